"""Compute what to send, and its price, from the wanted records and the ledger.

Pure: no clock, no files, no calls.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, Protocol

from activate.differences import Change, Difference, Facts, differences
from activate.errors import RecordsError

Action = Literal["create", "update", "look up", "wait", "hold", "leave"]


class Price(NamedTuple):
    """Credits that a call may cost. An undocumented price counts as `high` until Mavera has answered once.

    A learned price comes from Mavera's answers, if these differ from the documentation.
    """

    low: int
    high: int
    is_documented: bool = True
    is_learned: bool = False

    def __str__(self) -> str:
        if not self.high:
            return "free"
        return f"{self.low:,}" if self.low == self.high else f"{self.low:,} to {self.high:,}"


FREE: Final = Price(0, 0)
PAID_FOR_WORDS: Final = "only its words changed, and Mavera charges for edits"
SPEAKS_TO: Final = "personas"  # the fact with the keys of the records that a record speaks to


class Terms(NamedTuple):
    """The prices of one kind of object (from Mavera's credit guide), and whether an update edits in place.

    If it does, an update may be repeated blindly. If not (an analysis is asked again), it costs as much as a
    create and must be looked up if no answer came. A kind that `lasts` is not asked again for some days, even
    if a fact has moved. A kind that `only_edits` never creates: people made its objects.
    """

    create: Price
    update: Price
    update_edits: bool = False
    lasts: bool = False
    only_edits: bool = False

    def learned(self, paid: Sequence[int], paid_for_edits: Sequence[int]) -> "Terms":
        """Return the terms with the prices learned from Mavera's answers."""
        create = learned(self.create, paid)
        update = learned(self.update, paid_for_edits) if self.update_edits else create
        return self._replace(create=create, update=update)


class Document(NamedTuple):
    """A text that is uploaded as a file before the record that is made from it."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Record:
    """One wanted record: a row of a sync model with its words.

    `person_count` is None if the facts describe the whole account instead of a group of people. `objection`
    names the field that must not leave and why, never its value; such a record is withheld. `references` are
    the keys of the records it speaks to: their ids in Mavera are sent in `references_field`. A generation has
    at most one. `documents` are uploaded first, and the object is made from them.

    `fact_steps` gives by path how far a number may move before that counts, and `fact_types` the declared
    types (`differences`). `earlier_facts` maps fact names of earlier versions to the current ones. `wording`
    is a hash of the other values that the fingerprint covers: when they change, the facts may be the same.
    `withheld` says why it is not worth its price. `earlier_names` are its names in earlier versions.
    `mailable_count` is the number of its people who may be mailed, None if it is not about mail. `doubt`
    names a number behind it that disagrees with the vendor's.
    `target` is the id or name of the account's own persona that is enriched; `removes` says why its paragraph
    is removed. `beside` is the key of another record about the same people: of a persona of ours that is not
    bought, because one of the account's own is enriched instead; or the other way round.
    """

    kind: str
    record_key: str
    job: str
    template: str
    name: str
    facts: Facts
    person_count: int | None
    payload: Mapping[str, Any]
    fingerprint: str
    references: tuple[str, ...] = ()
    references_field: str = ""
    documents: tuple[Document, ...] = ()
    objection: str = ""
    fact_steps: Facts = field(default_factory=dict)
    fact_types: Mapping[str, str] = field(default_factory=dict)
    earlier_facts: Mapping[str, str] = field(default_factory=dict)
    wording: str = ""
    withheld: str = ""
    earlier_names: tuple[str, ...] = ()
    mailable_count: int | None = None
    doubt: str = ""
    target: str = ""
    removes: str = ""
    beside: str = ""

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.record_key}"

    @property
    def names(self) -> tuple[str, ...]:
        """The names that the remote object may have: for a text, its title."""
        title = self.payload.get("title")
        return (*filter(None, (self.name, title if isinstance(title, str) else "")), *self.earlier_names)


class Sent(Protocol):
    """What was sent to Mavera: facts, the number of people they describe, and the hash of the words."""

    @property
    def facts(self) -> Facts: ...
    @property
    def person_count(self) -> int | None: ...
    @property
    def wording(self) -> str: ...


class SentFacts(NamedTuple):
    facts: Facts = MappingProxyType({})
    person_count: int | None = None
    wording: str = ""


NOTHING_SENT: Final = SentFacts()


@dataclass(frozen=True, slots=True)
class Entry:
    """The state of a record in the ledger.

    `fingerprint`, `accepted` and the ids are those that Mavera accepted last, and empty if the ledger does
    not know them. The other fields belong to the last call, which may have failed.
    For an object that was adopted although no row asks for it, only the 12 digits in its reference are known.
    `broken_id`: an object that Mavera charged for and could not finish. `drifted`: somebody deleted or edited
    the object in Mavera, and it is to be restored; `gone`: it was deleted there and stays deleted.
    `unconfirmed_edits`: edits that were sent but never answered. Mavera may have applied them.
    """

    state: Literal["done", "failed", "unknown", "waiting", "drifted", "gone"]
    fingerprint: str | None = None
    remote_id: str | None = None
    thread_id: str | None = None
    accepted: Sent = NOTHING_SENT
    call_id: str = ""
    called_at: datetime | None = None
    sent_fingerprint: str = ""
    error: str = ""
    broken_id: str | None = None
    unconfirmed_edits: tuple[Sent, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """What happens to one wanted record, and why.

    `is_usable`: the record is withheld, but other records may refer to its remote object. `edits`: the update
    edits the remote object in place.
    """

    action: Action
    record: Record
    price: Price = FREE
    reason: str = ""
    entry: Entry | None = None
    is_usable: bool = False
    edits: bool = False

    def withheld(self, reason: str) -> "Step":
        return Step("hold", self.record, reason=reason, entry=self.entry)

    @property
    def sends(self) -> bool:
        return self.action in {"create", "update"}

    @property
    def pays(self) -> bool:
        """Whether it creates a new remote object, which is paid for and cannot be undone."""
        return self.sends and not self.edits

    @property
    def is_paid(self) -> bool:
        return self.pays or (self.sends and self.price.high > 0)

    @property
    def is_reworded(self) -> bool:
        """Whether it updates the words alone: no fact moved by more than its step."""
        return self.action == "update" and not any(each.is_material for each in self._moved())

    @property
    def is_paid_for_words(self) -> bool:
        """Whether Mavera charges for an edit that nothing asks for but new words."""
        asked = self.entry and self.entry.fingerprint is None  # such as by a person, after drift
        return self.edits and self.price.high > 0 and self.is_reworded and not asked

    def changes(self) -> list[Change]:
        """Return the changed facts that an update sends."""
        return [each.change for each in self._moved()]

    def _moved(self) -> Iterator[Difference]:
        return _differences(self.entry.accepted.facts if self.entry else {}, self.record)


@dataclass(frozen=True)
class Plan:
    """One step per wanted record, and the keys of remote objects that no row asks for."""

    steps: tuple[Step, ...]
    unwanted: tuple[str, ...] = ()

    @property
    def price(self) -> Price:
        prices = [step.price for step in self.steps if step.sends]
        return Price(
            sum(price.low for price in prices),
            sum(price.high for price in prices),
            all(price.is_documented for price in prices),
        )

    def counts(self) -> Counter[str]:
        return Counter(step.action for step in self.steps)

    @property
    def has_work(self) -> bool:
        """Whether a run would send something, or ask Mavera how an earlier request ended."""
        return bool(self.of("create", "update", "look up", "wait"))

    def of(self, *actions: Action) -> list[Step]:
        return [step for step in self.steps if step.action in actions]


def diff(
    wanted: Iterable[Record],
    ledger: Mapping[str, Entry],
    terms: Mapping[str, Terms],
    *,
    smallest_cohort: int,
    credits_left: int | None = None,
    lasting_since: datetime | None = None,
    unclaimed: Mapping[str, str] = MappingProxyType({}),
    creations: int | None = None,
) -> Plan:
    """Return the steps that bring Mavera in line with `wanted`, with highest prices within `credits_left`.

    If not all fit, updates come first (they keep paid objects up to date), then kinds in their order, then
    larger groups. A step that exceeds the budget is withheld; a cheaper one after it may still fit.
    An `unknown` entry was sent but never answered. It is looked up first, as Mavera would charge again.
    A record is withheld together with the record that it refers to. It is unchanged while its facts are
    within their steps of the accepted facts or, for a kind that lasts, if it was asked after `lasting_since`.
    An update is withheld if fewer than `smallest_cohort` people joined or left and it could reveal them.
    `terms` has every kind, in the order of sending. `unclaimed` gives by key the remote object that may be
    the record, which is then withheld.
    At most `creations` objects are paid for, in the same order of priority. A paid step of a record in doubt
    is withheld.
    """
    order = {kind: rank for rank, kind in enumerate(terms)}
    # Removals come first: what they free may be mapped to another group.
    in_order = sorted(wanted, key=lambda one: (order[one.kind], not one.removes, one.record_key))
    records = {record.key: record for record in in_order}
    if twice := [key for key, count in Counter(record.key for record in in_order).items() if count > 1]:
        raise RecordsError(f"two rows ask for {twice[0]}: a record key must be unique in its model")
    steps = {
        key: _step(
            record, (ledger.get(key), ledger.get(record.beside)), smallest_cohort, lasting_since, terms
        )
        for key, record in records.items()
    }
    steps |= {
        key: replace(step.withheld(unclaimed[key]), is_usable=bool(step.entry and step.entry.remote_id))
        for key, step in steps.items()
        if key in unclaimed
        and step.sends
        and (step.record.target or not (step.entry and step.entry.remote_id))
    }
    # Other records may still refer to the remote object of a record in doubt.
    steps |= {
        key: replace(
            step.withheld(f"its numbers are in doubt: {step.record.doubt}"),
            is_usable=bool(step.entry and step.entry.remote_id),
        )
        for key, step in steps.items()
        if step.record.doubt and step.is_paid
    }
    steps |= _behind(steps, ledger)
    many, much = f"after the first {creations} of this run", "exceeds the budget by {:,} credits"
    for most, cost, reason in ((creations, _creations_of, many), (credits_left, _credits_of, much)):
        if most is not None:
            steps |= _beyond(most, cost, reason, _by_priority(steps.values(), order))
            steps |= _behind(steps, ledger)
    return Plan(tuple(steps.values()), unwanted=tuple(sorted(standing(ledger) - records.keys())))


def standing(ledger: Mapping[str, Entry]) -> set[str]:
    """Return the keys of the records that are, or may be, in Mavera."""
    return {key for key, entry in ledger.items() if entry.remote_id or entry.state in {"unknown", "waiting"}}


def learned(documented: Price, paid: Sequence[int]) -> Price:
    """Return the price learned from Mavera's answers, or the documented price without any.

    A fixed price becomes the latest price paid. A documented range only widens, because unseen prices may
    still come. An undocumented price becomes the range of prices paid.
    """
    if not paid:
        return documented
    if not documented.is_documented:
        return Price(min(paid), max(paid), is_learned=True)
    if documented.low == documented.high:
        low = high = paid[-1]
    else:
        low, high = min(documented.low, *paid), max(documented.high, *paid)
    return Price(low, high, is_learned=(low, high) != (documented.low, documented.high))


def _step(
    record: Record,
    entries: tuple[Entry | None, Entry | None],
    smallest_cohort: int,
    lasting_since: datetime | None,
    terms: Mapping[str, Terms],
) -> Step:
    """Return the step of a record; `entries` are its own, and that of the record beside it."""
    entry, _ = entries
    if entry and (undecided := _undecided(record, entry)):
        return undecided
    step = _apart_from_people(record, entry, lasting_since, terms[record.kind])
    if not step.sends:
        return step
    if objection := _objection(record, smallest_cohort):
        return step.withheld(objection)
    if few := _few_changed(record, entries, smallest_cohort):
        people = "person" if few == 1 else "people"
        reason = f"only {few} {people} joined or left since it was sent; an update would reveal who they are"
        return replace(step.withheld(reason), is_usable=bool(entry and entry.remote_id))
    if entry and entry.state == "drifted":
        return replace(step, reason=entry.error)
    if entry and entry.state == "failed" and entry.error:
        return replace(step, reason=f"failed before: {entry.error}")
    return step


def _undecided(record: Record, entry: Entry) -> Step | None:
    """Return the step of a record that must not be sent regardless of its facts; else None."""
    match entry:
        case Entry(state="waiting"):
            return Step("wait", record, reason="Mavera is at work on it", entry=entry)
        case Entry(broken_id=str(broken)):
            reason = f"Mavera charged for {broken} and gave it up; settle --forget asks again"
            return Step("hold", record, reason=reason, entry=entry)
        case Entry(state="gone", error=error):
            return Step("hold", record, reason=f"{error}; settle --forget makes it anew", entry=entry)
        case Entry(state="unknown", called_at=called_at):
            sent = f"sent {called_at.day} {called_at:%b}, " if called_at else ""
            return Step("look up", record, reason=f"{sent}no answer: looked up first", entry=entry)
    return None


def _apart_from_people(
    record: Record, entry: Entry | None, lasting_since: datetime | None, terms: Terms
) -> Step:
    """Create a missing object, update one that differs, leave the rest."""
    if record.removes:
        return Step("update", record, terms.update, record.removes, entry, edits=True)
    if entry is None or entry.remote_id is None:
        if terms.only_edits:
            reason = f"adds a measured paragraph to {record.target}"
            return Step("update", record, terms.update, reason, entry, edits=True)
        if record.beside:
            return Step(
                "leave", record, reason=f"not bought: {record.beside} is enriched instead", entry=entry
            )
        return Step("create", record, terms.create, entry=entry)
    if entry.fingerprint and record.fingerprint.startswith(entry.fingerprint):
        return Step("leave", record, entry=entry)
    if not _is_material(record, entry):
        moved = any(_differences(entry.accepted.facts, record))
        none = "facts were renamed, added or dropped; none moved"
        reason = "facts moved less than their step" if moved else none
        return Step("leave", record, reason=reason, entry=entry)
    # The same question went to the same personas so recently that the answers still count.
    is_recent = bool(lasting_since and entry.called_at and entry.called_at >= lasting_since)
    if terms.lasts and is_recent and entry.accepted.facts.get(SPEAKS_TO) == record.facts.get(SPEAKS_TO):
        return Step("leave", record, reason="its facts moved, its results still count", entry=entry)
    step = Step("update", record, terms.update, entry=entry, edits=terms.update_edits)
    if step.is_paid_for_words:
        return Step("leave", record, reason=PAID_FOR_WORDS, entry=entry)
    return step


def _objection(record: Record, smallest_cohort: int) -> str:
    """Return why a record must not be sent or is not worth its price; or an empty string."""
    if record.objection:
        return record.objection
    if record.withheld:
        return f"not worth its price: {record.withheld}"
    if record.person_count is not None and record.person_count < smallest_cohort:
        return f"{record.person_count:,} people, smallest cohort is {smallest_cohort:,}"
    return ""


def _is_material(record: Record, entry: Entry) -> bool:
    """Whether facts moved beyond their steps, or the accepted facts are unknown, or the wording changed."""
    sent = entry.accepted
    if entry.fingerprint is None or sent.wording != record.wording or sent.facts in ({}, record.facts):
        return True
    return any(each.is_material for each in _differences(sent.facts, record))


def _few_changed(record: Record, entries: Iterable[Entry | None], smallest_cohort: int) -> int:
    """Return the number of people who changed, if so few that an update would reveal who they are; else 0.

    Of all the facts that Mavera may have, those with the smallest change count, also of another record about
    the same people: the two texts can be compared there. Facts do not count if only
    shares moved and the group is so large that so few could hardly move them.
    """
    counts = []
    sent = [one for entry in filter(None, entries) for one in (entry.accepted, *entry.unconfirmed_edits)]
    for one in sent:
        before = one.person_count
        if record.person_count is None or before is None:
            continue
        few = abs(record.person_count - before)
        share = few / max(1, min(record.person_count, before))
        if 0 < few < smallest_cohort and any(
            each.is_revealed_by(share) for each in _differences(one.facts, record)
        ):
            counts.append(few)
    return min(counts, default=0)


def _behind(steps: Mapping[str, Step], ledger: Mapping[str, Entry]) -> dict[str, Step]:
    """Withhold records that refer to a record that is withheld or will not be in Mavera."""
    held = {}
    for step in steps.values():
        for key in step.record.references if step.sends else ():
            before, entry = steps.get(key), ledger.get(key)
            if before and before.action in {"hold", "look up"} and not before.is_usable:
                reason = f"after {key}: {before.reason}"
            elif (before and before.sends) or (entry and entry.remote_id):
                continue
            else:
                reason = f"after {key}, which is not in Mavera"
            held[step.record.key] = step.withheld(reason)
            break
    return held


def _beyond(left: int, cost: Callable[[Step], int], reason: str, steps: Iterable[Step]) -> dict[str, Step]:
    """Withhold every step, in order of priority, whose cost exceeds what is left after those before it."""
    held = {}
    for step in steps:
        if (over := cost(step) - left) > 0:
            held[step.record.key] = step.withheld(reason.format(over))
        else:
            left -= cost(step)
    return held


def _creations_of(step: Step) -> int:
    return int(step.pays)


def _credits_of(step: Step) -> int:
    return step.price.high


def _by_priority(steps: Iterable[Step], order: Mapping[str, int]) -> list[Step]:
    """Return the steps that send: updates first, then kinds in their order, then larger groups."""
    return sorted(
        (step for step in steps if step.sends),
        key=lambda step: (step.action != "update", order[step.record.kind], -(step.record.person_count or 0)),
    )


# --- moved facts -------------------------------------------------------------------------------------


def _differences(before: Facts, record: Record) -> Iterator[Difference]:
    """Compare the facts that were sent, under names of any version, with those of a record."""
    earlier = record.earlier_facts
    sent = {earlier[name]: value for name, value in before.items() if name in earlier}
    sent |= {name: value for name, value in before.items() if name not in earlier}
    # The list of personas is not a declared fact, and it is left out when empty.
    nobody: dict[str, Any] = {SPEAKS_TO: []} if record.references_field else {}
    return differences(
        nobody | sent if before else None, nobody | dict(record.facts), record.fact_steps, record.fact_types
    )
