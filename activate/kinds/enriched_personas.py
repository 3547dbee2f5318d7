"""The account's own personas: a measured paragraph between two lines in the description of each.

People made them in Mavera, and the seed own_personas maps them to groups. Nothing of them changes but what is
between the two lines, and nothing is sent while anything about their text is uncertain: each is read by its
id right before the request, because a list may shorten it.
"""

import html
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from activate.answers import Answer, answered
from activate.errors import KeyRefused, Refused, Withheld
from activate.kinds.kind import LONG_AGO, Aim, Draft, Listing, RemoteObject
from activate.kinds.personas import Personas
from activate.ledger.journal import Journal
from activate.ledger.rows import Call
from activate.likeness import letters, reference_in
from activate.mavera import Mavera
from activate.plan import Entry, Price, Record, Step, Terms
from common import assumptions
from common.settings import Settings

SEED: Final = "own_personas.csv"
START: Final = "--- Measured facts, kept current by mavera-warehouse ---"
END: Final = "--- End of measured facts ---"
APART: Final = "\n\n"  # between a person's text and ours
HEADING: Final = "What sets them apart (measured):"  # begins the paragraph in a job's template
FIELD: Final = "measured_paragraph"  # in the ledger: our part of a description, with its two lines
REMOVED: Final = "removed"  # the fingerprint of a removal
DRIFT: Final = "python -m activate drift"
SHORTENED: Final = ("…", "...")


class Parts(NamedTuple):
    """A description: a person's text before and after our part. `ours` is empty if there is none."""

    before: str
    ours: str = ""
    after: str = ""

    def enriched(self, ours: str) -> str:
        if self.ours or not self.before:
            return f"{self.before}{ours}{self.after}"
        return f"{self.before}{APART}{ours}"

    def without(self) -> str:
        """Return the person's text as it was before we added ours, with any later edits of it."""
        return self.before.removesuffix(APART) + self.after if self.ours else self.before


def parts_of(text: str) -> Parts | None:
    """Find our part of a description; None if our two lines were changed, doubled, or one is missing."""
    lines, plain = (START, END), letters(text)
    counts = [(text.count(line), plain.count(letters(line))) for line in lines]
    if counts == [(0, 0), (0, 0)]:
        return Parts(text)
    begin, end = text.find(START), text.find(END)
    if counts != [(1, 1), (1, 1)] or end < begin:
        return None
    return Parts(text[:begin], text[begin : end + len(END)], text[end + len(END) :])


class Persona(NamedTuple):
    """A persona as Mavera shows it by its id, with its whole description."""

    persona_id: str
    name: str
    text: str


class Edit(NamedTuple):
    """What a step changes: the persona as it is, and its description afterwards."""

    persona: Persona
    parts: Parts
    text: str


class EnrichedPersonas(Personas):
    name = "enriched-personas"
    terms = Terms(
        create=Price(0, assumptions.PERSONA_UPDATE_CREDITS, is_documented=False),
        update=Price(0, assumptions.PERSONA_UPDATE_CREDITS, is_documented=False),
        update_edits=True,
        only_edits=True,
    )
    thing = "persona of the account"
    columns = ("persona",)
    choice_file = ""
    declared_as = Personas.name
    echo = (FIELD,)
    has_own = False
    remedies = ((("",), f"Remove its row from {SEED}"),)

    # Before sending

    def covered(self, draft: Draft, job: str) -> dict[str, Any]:
        return self._ours(draft)

    def payload(self, draft: Draft, settings: Settings) -> dict[str, Any]:
        return self._ours(draft)

    def _ours(self, draft: Draft) -> dict[str, Any]:
        measured = next((text for text in draft.text.split("\n\n") if text.startswith(HEADING)), "")
        return {FIELD: f"{START}\n{draft.name}. {measured}\n{END}" if measured else ""}

    def complaint(self, draft: Draft, payload: Mapping[str, Any], settings: Settings) -> str:
        ours = payload[FIELD]
        if not ours:
            return f'its words have no paragraph that begins with "{HEADING}"'
        return "" if parts_of(ours) == Parts("", ours) else "a name in it looks like our own two lines"

    def amended(self, wanted: Sequence[Record], ledger: Journal) -> list[Record]:
        """Remove the paragraph from personas that no row maps to its group any more."""
        records, removed = {record.key: record for record in wanted}, {}
        for key, entry in ledger.entries().items():
            kind, _, record_key = key.partition("/")
            if kind != self.name or not entry.remote_id:
                continue
            record = records.get(key)
            if record is None:
                why = f"{SEED} no longer names it: the paragraph is removed, everything else stays"
            elif record.target and record.target not in self._names(key, entry, ledger):
                why = f"{SEED} names {record.target} now: removed here, and added there by the next run"
            else:
                continue
            removed[key] = Record(
                kind=self.name,
                record_key=record_key,
                job=record_key.partition(":")[0],
                template="",
                name=self._kept_name(key, ledger) or entry.remote_id,
                facts={},
                person_count=None,
                payload={FIELD: ""},
                fingerprint=REMOVED,
                target=entry.remote_id,
                removes=why,
            )
        return [*(record for record in wanted if record.key not in removed), *removed.values()]

    def _kept_name(self, key: str, ledger: Journal) -> str:
        return str((ledger.original(key) or {}).get("name") or "")

    def _names(self, key: str, entry: Entry, ledger: Journal) -> set[str]:
        """Return what a row may call the persona of an entry."""
        return {str(entry.remote_id), self._kept_name(key, ledger)}

    # Sending

    def aimed(self, step: Step, payload: Mapping[str, Any], ledger: Journal, mavera: Mavera) -> Aim:
        """Read the persona, and put our part into its description or take it out."""
        persona, parts, text = self._edit(step, ledger, mavera)
        shown = {"id": persona.persona_id, "name": persona.name, "description": persona.text}
        is_first = payload[FIELD] and not parts.ours
        body = {**persona._asdict(), "after": text, FIELD: payload[FIELD]}
        return Aim(persona.persona_id, body, shown if is_first else None)

    def update(self, mavera: Mavera, remote_id: str, payload: Mapping[str, Any]) -> Answer:
        """Send the whole description, of which only our part is new; nothing if Mavera has it already."""
        before, after, ours = payload["text"], payload["after"], payload[FIELD]
        body: Mapping[str, Any] = {"id": remote_id, "name": payload["name"], "description": before}
        if before != after:
            edited = {"description": after}
            body = mavera.edit(self.path, remote_id, edited, self.seconds, ours={FIELD: ours})
            if body.get("description") != after:  # an answer may lack it, or show it otherwise
                body = {**body, **mavera.one(self.path, remote_id)}
        return self.answered(_shown(remote_id, body, is_whole=body.get("description") == after))

    def answered(self, body: Mapping[str, Any]) -> Answer:
        return answered(self.thing, body)

    def _edit(self, step: Step, ledger: Journal, mavera: Mavera) -> Edit:
        """Return the edit of a step. Raises Withheld while anything about the present text is uncertain."""
        record, entry = step.record, step.entry
        persona_id = entry.remote_id if entry and entry.remote_id else self._found(record, ledger, mavera)
        persona = self._read(mavera, persona_id)
        parts = parts_of(persona.text)
        if parts is None:
            raise Withheld(
                f'{persona_id} does not have each of the lines "{START}" and "{END}" once, as we wrote them. '
                "Restore them in Mavera, or delete them and what is between them"
            )
        said = [call for call in ledger.on_object(persona_id) if call.kind == self.name]
        ours = {text for call in said for text in (call.payload.get(FIELD), _answered(ledger, call)) if text}
        is_decided = entry is not None and entry.state == "drifted"
        if parts.ours and parts.ours not in ours and not is_decided:
            raise Withheld(
                f"the measured paragraph of {persona_id} was edited in Mavera: {DRIFT} --policy restore "
                "replaces it, --policy adopt accepts it until its facts move"
            )
        closed = [call for call in said if call.state == "done" or call.closed_by == "forget"]
        has_it = bool(closed) and closed[-1].state == "done" and closed[-1].action != "remove"
        if has_it and not parts.ours and not record.removes and not is_decided:
            raise Withheld(
                f"the measured paragraph of {persona_id} was deleted in Mavera: {DRIFT} --policy restore "
                f"adds it again. Or remove its row from {SEED}"
            )
        if not parts.ours and not record.removes:
            self._require_faithful(record, ledger)
        text = parts.without() if record.removes else parts.enriched(record.payload[FIELD])
        most = assumptions.PERSONA_DESCRIPTION_CHARACTERS
        if len(text) > max(most, len(persona.text)):
            raise Withheld(f"its description would have {len(text):,} characters, Mavera takes {most:,}")
        return Edit(persona, parts, text)

    def _found(self, record: Record, ledger: Journal, mavera: Mavera) -> str:
        """Return the id of the persona that a row names, by id or exact name."""
        target = record.target
        rows = mavera.rows_once(self.path, self.page)
        named = [row for row in rows if row["id"] == target] or [
            row for row in rows if str(row.get("name") or "").strip() == target
        ]
        own = [row for row in named if row.get(assumptions.CUSTOM, True)]
        if len(own) > 1:
            ids = ", ".join(sorted(row["id"] for row in own))
            raise Withheld(f'{len(own)} personas are called "{target}": put one id into {SEED} ({ids})')
        if not own:
            what = "is one of Mavera's base personas, which nobody can change" if named else "is no persona"
            raise Withheld(f'"{target}" {what}: correct {SEED}')
        persona_id = str(own[0]["id"])
        calls = ledger.on_object(persona_id)
        is_made = any(call.kind != self.name for call in calls)
        if is_made or reference_in(str(own[0].get("description") or "")):
            raise Withheld(f'this project made "{target}" and keeps it current: remove its row from {SEED}')
        for other in (call.key for call in calls if call.key != record.key):
            entry = ledger.entry(other)
            if entry and entry.remote_id == persona_id:
                raise Withheld(f"{persona_id} has the measured paragraph of {other} already")
        return persona_id

    def _read(self, mavera: Mavera, persona_id: str) -> Persona:
        """Read one persona by its id. Raises Withheld unless its whole description is certain."""
        try:
            body = mavera.one(self.path, persona_id)
        except KeyRefused:
            raise
        except Refused as error:
            raise Withheld(
                f"its whole text is not certain, because Mavera does not show it: {error}"
            ) from None
        text, name = body.get("description"), str(body.get("name") or "")
        if str(body.get("id")) != persona_id or not isinstance(text, str):
            raise Withheld(f"its whole text is not certain: Mavera shows no description of {persona_id}")
        if not body.get(assumptions.CUSTOM, True):
            raise Withheld(f"{persona_id} is one of Mavera's base personas, which nobody can change")
        if text.rstrip().endswith(SHORTENED):
            raise Withheld(f"its whole text is not certain: the description of {persona_id} ends with dots")
        if html.unescape(text) != text:
            raise Withheld(f"its whole text is not certain: that of {persona_id} has codes of HTML, as &amp;")
        return Persona(persona_id, name, text)

    def _require_faithful(self, record: Record, ledger: Journal) -> None:
        """Raise Withheld if Mavera showed another text than was sent when it last accepted a paragraph."""
        for key, call in ledger.accepted().items():
            is_other = call.kind == self.name and key != record.key and call.is_edit
            if is_other and _answered(ledger, call) != call.payload.get(FIELD):
                raise Withheld(
                    f"Mavera shows the text of {call.remote_id} otherwise than it was sent: compare "
                    f"python -m activate explain {key} --payload --answer"
                )

    # Listing

    def listing(
        self,
        mavera: Mavera,
        calls: Sequence[Call] = (),
        since: datetime = LONG_AGO,
        at_most: int | None = None,
    ) -> Listing:
        """Return the personas that have our paragraph, each read by its id; a list may shorten them."""
        last = {call.remote_id: call for call in calls if call.kind == self.name and call.remote_id}
        enriched = [
            one for one, call in last.items() if not (call.action == "remove" and call.state == "done")
        ]
        listed = {str(row["id"]) for row in self.rows(mavera)} if enriched else set()
        present = {one: self._remote(mavera, one) for one in enriched if one in listed}
        return Listing([], present)

    def fetched(self, mavera: Mavera, remote_id: str) -> RemoteObject | None:
        remote = self._remote(mavera, remote_id)
        return remote if remote and remote.body[FIELD] else None

    def _remote(self, mavera: Mavera, remote_id: str) -> RemoteObject | None:
        try:
            body = mavera.one(self.path, remote_id)
        except KeyRefused:
            raise
        except Refused:
            return None
        return RemoteObject(self, remote_id, "", _shown(remote_id, body))


def _shown(remote_id: str, body: Mapping[str, Any], *, is_whole: bool = True) -> dict[str, Any]:
    """Return what the ledger keeps of a persona: our part, and what it cost; nothing of the person's text."""
    parts = parts_of(str(body.get("description") or "")) if is_whole else None
    of_mavera = {
        name: body[name] for name in ("name", "created_at", "credits_charged", "usage") if name in body
    }
    return {"id": remote_id, **of_mavera, FIELD: parts.ours if parts else ""}


def _answered(ledger: Journal, call: Call) -> str:
    return str((ledger.answer(call.call_id) or {}).get(FIELD) or "")
