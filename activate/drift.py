"""What a person decides about remote objects: to adopt, restore, leave or forget them.

Nothing here changes or deletes anything in Mavera. Decisions are written to the ledger; plan then shows their
effect and price, and apply carries them out within the budget. A persona without our reference that is not in
the ledger is the account's own: it is only counted. Of one that is enriched, only our paragraph is compared.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

from activate.answers import Answer, is_proof
from activate.errors import NotStarted
from activate.kinds import KINDS
from activate.kinds.kind import LONG_AGO, Bearers, Kind, RemoteObject, borne, shown_id, unclaimed
from activate.ledger.journal import Ledger
from activate.ledger.rows import Announced, Call, announced
from activate.likeness import letters
from activate.mavera import Mavera
from activate.plan import Record, standing
from activate.planning import THREADS_TO_OPEN
from common.settings import DriftPolicy

State = Literal["deleted", "edited", "unknown", "twice"]

# If this many objects are all gone at once, the key probably belongs to another account.
ALL_GONE: Final = 3


# --- drift ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drift:
    """One remote object that differs from the ledger, with the call that made it, if any."""

    key: str
    state: State
    shown_id: str
    text: str
    remote: RemoteObject | None = None
    call: Call | None = None


@dataclass(frozen=True)
class Findings:
    """The result of a comparison with Mavera: the drift, and the numbers of our objects and own personas.

    `unread`: older threads that were not opened and may contain our analyses. `strays`: all objects that are
    not in the ledger and have no reference, including the account's own.
    """

    objects: int
    own: int
    unread: int
    drifts: tuple[Drift, ...]
    strays: tuple[RemoteObject, ...] = ()

    def counts(self) -> Counter[str]:
        return Counter(drift.state for drift in self.drifts)


def find(ledger: Ledger, mavera: Mavera, kinds: Sequence[str], settle_seconds: int) -> Findings:
    """Compare Mavera's lists with the objects in the ledger. Free calls only.

    Objects made within the last `settle_seconds` may not be listed yet and do not count as deleted.
    """
    settled = ledger.now() - timedelta(seconds=settle_seconds)
    ours = own = unread = 0
    drifts: list[Drift] = []
    strays: list[RemoteObject] = []
    calls = ledger.calls()
    for kind in map(KINDS.__getitem__, kinds):
        listing = kind.listing(mavera, calls, LONG_AGO, THREADS_TO_OPEN)
        unread += listing.unread
        new = [one for one in unclaimed(listing.objects, calls) if not one.record_key]
        strays += new
        own += len(new) if kind.has_own else 0
        # A persona of the account's own is ours no more once our paragraph was removed.
        freed = {key for key, entry in ledger.entries().items() if not entry.remote_id}
        gone = freed if kind.terms.only_edits else set()
        ours += sum(call.kind == kind.name for key, call in ledger.accepted().items() if key not in gone)
        drifts += _of_known(ledger, kind, listing.present, settled)
        drifts += _of_unknown(ledger, kind, listing.objects)
    return Findings(ours, own, unread, tuple(drifts), tuple(strays))


def _of_known(
    ledger: Ledger, kind: Kind, present: Mapping[str, RemoteObject | None], settled: datetime
) -> Iterator[Drift]:
    entries = ledger.entries()
    for key, call in ledger.accepted().items():
        entry = entries[key]
        known = shown_id(kind, entry)
        if call.kind != kind.name or not known:
            continue
        if known not in present and call.begun_at <= settled:
            yield Drift(key, "deleted", known, "is gone from Mavera", call=call)
        elif (remote := present.get(known)) and entry.state == "done":
            fields = _edited(ledger, call, remote)
            if fields:
                yield Drift(
                    key,
                    "edited",
                    known,
                    f"has another {' and '.join(fields).replace('_', ' ')}",
                    remote,
                    call,
                )


def _edited(ledger: Ledger, call: Call, remote: RemoteObject) -> list[str]:
    """Return the fields that differ from Mavera's answer, or from the payload if the answer lacks them.

    Mavera may change a text when it accepts it. That is not an edit, so its answer takes precedence.
    """
    answered = ledger.answer(call.call_id) or {}
    expected = {**call.payload, **answered}
    return [
        field
        for field in KINDS[call.kind].echo
        if field in remote.body and expected.get(field) is not None
        and _plain(remote.body[field]) != _plain(expected[field])
    ]  # fmt: skip


def _of_unknown(ledger: Ledger, kind: Kind, objects: Sequence[RemoteObject]) -> Iterator[Drift]:
    calls, entries = ledger.calls(), ledger.entries()
    # An object that cannot be edited is replaced when its facts move: its fingerprint differs then.
    edits = kind.terms.update_edits
    beside = {
        (key, "" if edits else (entry.fingerprint or "")[:12]): entry.thread_id or entry.remote_id
        for key, entry in entries.items()
        if entry.remote_id
    }
    strangers = {one.remote_id for one in unclaimed(objects, calls) if one.record_key}
    let_be = {call.remote_id for call in calls if call.action == "let be"}
    settled = {entry.remote_id for entry in entries.values()} | let_be
    ours = [one for one in objects if one.record_key and one.remote_id not in settled]
    for one in sorted(ours, key=lambda one: one.made_at, reverse=True):
        which = (one.key, "" if edits else one.fingerprint)
        is_stranger = one.remote_id in strangers
        if which in beside and (edits or is_stranger):
            yield Drift(one.key, "twice", one.shown_id, f"stands beside {beside[which]}", one)
        elif is_stranger:
            beside[which] = one.shown_id
            yield Drift(one.key, "unknown", one.shown_id, "carries our reference", one)


def _plain(text: Any) -> str:
    return " ".join(str(text).split())


# --- decisions about drift -----------------------------------------------------------------------------


def settle(
    drifts: Sequence[Drift], policy: DriftPolicy, wanted: Sequence[Record], ledger: Ledger, mavera: Mavera
) -> Iterator[tuple[Drift, str]]:
    """Apply `policy` to each drift in the ledger, and yield what follows; "" if nothing.

    Raises NotStarted if everything seems deleted: the key may belong to another account.
    """
    known = sum(entry.remote_id is not None for entry in ledger.entries().values())
    deleted = sum(drift.state == "deleted" for drift in drifts)
    if policy != "leave" and deleted == known >= ALL_GONE:
        raise NotStarted(
            f"Mavera has none of the {known:,} objects that the ledger knows: does MAVERA_API_KEY belong "
            "to another account? Nothing was decided. Where they are really gone, name each with --only"
        )
    records = {record.key: record for record in wanted}
    for drift in drifts:
        yield drift, _settle(drift, policy, records.get(drift.key), ledger, mavera)


def _settle(drift: Drift, policy: DriftPolicy, record: Record | None, ledger: Ledger, mavera: Mavera) -> str:
    match policy, drift.state:
        case "restore", "deleted":
            if drift.call and KINDS[drift.call.kind].terms.only_edits:
                return "left: people made it, so only they can make it again"
            ledger.decide("restore", drift.key, "deleted in Mavera")
            return (
                "to be made again, at its price" if record else "no row asks for it any more: not made again"
            )
        case "restore", "edited":
            if drift.remote is None or not drift.remote.of.terms.update_edits:
                return "left: only a persona can be put back"
            ledger.decide("restore", drift.key, "edited by hand in Mavera", drift.remote.remote_id)
            return "to be put back"
        case "adopt", "deleted":
            ledger.decide("give up", drift.key, "deleted in Mavera, and left so")
            return "left deleted"
        case "adopt", "edited":
            _accept(drift, ledger, mavera)
            return "accepted as it stands"
        case "adopt", "unknown" if drift.remote:
            _adopt(drift.remote, drift.remote.of.answer_of(mavera, drift.remote), record, ledger)
            return "adopted"
    return ""


def _accept(drift: Drift, ledger: Ledger, mavera: Mavera) -> None:
    """Accept an edit made in Mavera as if it had been sent; it stays until the facts move."""
    if drift.call and drift.remote:
        call, body = drift.call, drift.remote.body
        echoed = {field: body[field] for field in KINDS[call.kind].echo if field in body}
        record = announced(call)
        record["payload"] = {**call.payload, **echoed}
        ledger.take_over(
            remote_id=drift.remote.remote_id,
            thread_id=call.thread_id,
            state="done",
            answer=drift.remote.of.answer_of(mavera, drift.remote).body,
            **record,
        )


def let_be(ids: Sequence[str], findings: Findings, ledger: Ledger) -> Iterator[Drift]:
    """Record that these objects do not belong to this ledger: they no longer count as drift.

    Raises NotStarted, and records nothing, if the ledger knows one of them or Mavera has no such object.
    """
    strange = {
        found.shown_id: found
        for found in findings.drifts
        if found.remote and found.state in {"unknown", "twice"}
    }
    own = "is the account's own"
    strange |= {one.shown_id: Drift(one.kind, "unknown", one.shown_id, own, one) for one in findings.strays}
    if nowhere := [one for one in ids if one not in strange]:
        raise NotStarted(
            f"{nowhere[0]} is no object with our reference, nor any other, that the ledger does not know"
        )
    for drift in map(strange.__getitem__, ids):
        if drift.remote:
            one, thread_id = drift.remote, drift.remote.answer.thread_id if drift.remote.answer else None
            key = f"{one.kind}/{one.record_key}"
            ledger.decide("let be", key, "not of this ledger", one.remote_id, thread_id)
            yield drift


# --- decisions about single records --------------------------------------------------------------------


def adopt(record: Record, ledger: Ledger, mavera: Mavera, remote_id: str) -> str:
    """Accept a person's decision that `remote_id` in Mavera is this record; return the adopted id.

    This ends an unresolved call of the record. Without one, the object counts as paid for earlier. Raises
    NotStarted if Mavera has no such object.
    """
    remote = KINDS[record.kind].fetched(mavera, remote_id)
    if remote is None:
        raise NotStarted(f"Mavera has no custom persona {remote_id}, or no answer yet in such a thread")
    _adopt(remote, remote.of.answer_of(mavera, remote), record, ledger)
    return remote_id


def adopt_all(wanted: Sequence[Record], ledger: Ledger, mavera: Mavera) -> Iterator[tuple[str, str]]:
    """Adopt every remote object that carries our reference and is not in the ledger.

    Yields the record's key and the object's id. This rebuilds a lost ledger: of several objects of a record,
    the newest is adopted last and so becomes current. A record that has an object in the ledger keeps it.
    """
    records = {record.key: record for record in wanted}
    taken = {key for key, entry in ledger.entries().items() if entry.remote_id}
    taken |= {call.key for call in ledger.unknown()}
    for kind in KINDS.values():
        objects = kind.listing(mavera).objects
        strangers = [one for one in unclaimed(objects, ledger.calls()) if one.record_key]
        for one in sorted(strangers, key=lambda one: one.made_at):
            if one.key not in taken:
                _adopt(one, one.of.answer_of(mavera, one), records.get(one.key), ledger)
                yield one.key, one.shown_id


def unadopted(wanted: Sequence[Record], ledger: Ledger, mavera: Mavera) -> list[tuple[Record, str]]:
    """Return the records that are not in the ledger although a remote object has their name."""
    known = standing(ledger.entries())
    found = []
    for kind in KINDS:
        missing = [one for one in wanted if one.kind == kind and one.key not in known and not one.beside]
        strays = _strays(kind, ledger, mavera) if missing else []
        records = {record.key: record for record in missing}
        for key, bearing in borne(KINDS[kind], missing, strays).items():
            found += [(records[key], one.shown_id) for one in bearing]
    return found


def forget(key: str, ledger: Ledger, record: Record | None = None, mavera: Mavera | None = None) -> None:
    """Accept a person's decision that Mavera has no object of this record: the next run may pay for it again.

    Raises NotStarted if `mavera` is given and an object there has the record's name.
    """
    entry = ledger.entries().get(key)
    if entry is None:
        raise NotStarted(f"the ledger knows nothing of {key}: there is nothing to forget")
    strays = _strays(record.kind, ledger, mavera) if record and mavera else []
    if bearers := [one.shown_id for one in strays if record and one.of.bears(one, record)]:
        raise NotStarted(
            f"{bearers[0]} in Mavera may be {key}: nothing was forgotten. python -m activate settle "
            f"{key} --adopt {bearers[0]} adopts it for free, python -m activate drift --let-be "
            f"{bearers[0]} says that it is your own"
        )
    call = ledger.call(entry.call_id)
    spent = call.credits
    if call.state == "unknown" and not spent and is_proof(ledger.answer(call.call_id)):
        spent = call.credits_high
    ledger.end(
        call.call_id,
        "failed",
        action="forget",
        remote_id=call.remote_id,
        credits_spent=spent,
        error="forgotten by hand",
    )


def charged(key: str, credits_spent: int, ledger: Ledger) -> int:
    """Record what Mavera charged, according to a person, for a record's calls that were written off as lost.

    Return the number of calls: the first counts as charged, the others as free. Raises NotStarted if none.
    """
    lost = [call for call in ledger.written_off() if call.key == key]
    if not lost:
        raise NotStarted(f"no call of {key} was written off as lost: there is nothing to decide")
    for place, call in enumerate(lost):
        spent = 0 if place else credits_spent
        ledger.end(call.call_id, "failed", action="charged", credits_spent=spent, error=call.error)
    return len(lost)


def _strays(kind: str, ledger: Ledger, mavera: Mavera) -> list[RemoteObject]:
    """Return the remote objects of a kind that have no reference of ours and are not in the ledger."""
    objects = KINDS[kind].listing(mavera, ledger.calls(), LONG_AGO, THREADS_TO_OPEN).objects
    return [one for one in unclaimed(objects, ledger.calls()) if not one.record_key]


def _adopt(remote: RemoteObject, answer: Answer, record: Record | None, ledger: Ledger) -> None:
    """Adopt an object for a record: it ends the record's unresolved call, or else counts as paid for earlier.

    The facts behind an object without a reference are unknown, so it counts as made from no facts.
    """
    record_key = record.record_key if record else remote.record_key
    key = f"{remote.kind}/{record_key}"
    is_current = bool(record and remote.fingerprint and record.fingerprint.startswith(remote.fingerprint))
    fingerprint = record.fingerprint if record and is_current else remote.fingerprint
    call = next((call for call in ledger.unknown() if call.key == key), None)
    if call:
        ledger.close(call.call_id, answer, call.credits_high, "adopt", fingerprint)
    else:
        _take_over(key, record if is_current else None, fingerprint, answer, ledger)


def _take_over(key: str, record: Record | None, fingerprint: str, answer: Answer, ledger: Ledger) -> None:
    """Adopt an object for a record in its wanted form, or in an unknown earlier form (None)."""
    kind, _, record_key = key.partition("/")
    unknown = Announced(
        kind=kind,
        record_key=record_key,
        job=_job_of(record_key),
        fingerprint=fingerprint,
        facts={},
        payload={},
    )
    ledger.take_over(
        remote_id=answer.remote_id,
        thread_id=answer.thread_id,
        state=answer.state,
        answer=answer.body,
        **(announced(record) if record else unknown),
    )


def _job_of(record_key: str) -> str:
    return record_key.partition(":")[0]


# --- objects of an earlier script ----------------------------------------------------------------------


class Match(NamedTuple):
    """A record that is not in the ledger, and the remote objects with its name.

    If it has several objects or shares one with another record, it is ambiguous and nothing is adopted.
    """

    record: Record
    objects: Sequence[RemoteObject]
    how: str
    is_shared: bool

    @property
    def is_clear(self) -> bool:
        return len(self.objects) == 1 and not self.is_shared


def matches(wanted: Sequence[Record], ledger: Ledger, mavera: Mavera, kinds: Sequence[str]) -> list[Match]:
    """Match records by name with remote objects that have no reference and no ledger row. Free calls only.

    A thread does not have our name, so its question is compared.
    """
    known = standing(ledger.entries())
    found: list[Match] = []
    for kind in kinds:
        missing = [one for one in wanted if one.kind == kind and one.key not in known and not one.beside]
        objects = _strays(kind, ledger, mavera) if missing else []
        bearers, own = Bearers(KINDS[kind], missing), dict[str, list[RemoteObject]]()
        for one in objects:
            for key in _closest(one, bearers.of(one)):
                own.setdefault(key, []).append(one)
        found += [_match(record, own[record.key]) for record in missing if record.key in own]
    times = Counter(one.remote_id for match in found for one in match.objects)
    return [
        match._replace(is_shared=any(times[one.remote_id] > 1 for one in match.objects)) for match in found
    ]


def _closest(one: RemoteObject, bearing: Sequence[Record]) -> set[str]:
    """Return the keys of the records with the object's name; of several, those with the most common text."""
    exact = [record for record in bearing if letters(one.name) in map(letters, record.names)]
    scores = {record.key: _agreement(one, record) for record in exact or bearing}
    most = max(scores.values(), default=0)
    return {key for key, score in scores.items() if score == most}


def _agreement(one: RemoteObject, record: Record) -> int:
    """Count the letters that the texts of an object and of a record's payload have in common."""
    sent = [letters(text) for text in record.payload.values() if isinstance(text, str)]
    shown = [letters(text) for text in one.shown]
    # Letters are compared, not parts of paths.
    return sum(max((len(os.path.commonprefix([s, t])) for s in sent), default=0) for t in shown)  # noqa: RUF071


def _match(record: Record, objects: Sequence[RemoteObject]) -> Match:
    if same := [one for one in objects if one.name == record.name]:
        return Match(record, same, "same name", is_shared=False)
    if alike := [one for one in objects if one.name and letters(one.name) == letters(record.name)]:
        return Match(record, alike, "same letters and digits", is_shared=False)
    return Match(record, objects, KINDS[record.kind].likeness, is_shared=False)


def take(match: Match, ledger: Ledger, mavera: Mavera) -> str:
    """Adopt the object that matches a record; return its id.

    A persona counts as made from other facts, so that the next run edits it for free and adds our reference.
    An object that cannot be edited counts as made from the current facts: it is not replaced until they move.
    """
    (remote,) = match.objects
    record = None if remote.of.terms.update_edits else match.record
    fingerprint = record.fingerprint if record else ""
    answer = remote.of.answer_of(mavera, remote)
    _take_over(match.record.key, record, fingerprint, answer, ledger)
    return remote.shown_id
