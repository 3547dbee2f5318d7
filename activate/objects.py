"""What Mavera holds, in one shape whatever its kind, and the reference in it that says whose it is."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from activate import mavera as api
from activate.ledger.rows import Call
from activate.likeness import Reference, bears, letters, may_be, reference_in, without_reference
from activate.plan import Record

# Where a listed object has its name, and where our reference. A thread has neither: its questions are read.
NAME: Final[Mapping[str, str]] = {
    "personas": "name",
    "brand-voices": "label",
    "focus-groups": "name",
    "generations": "title",
}
REFERENCE: Final[Mapping[str, str]] = {**NAME, "personas": "description", "brand-voices": "usage_context"}

SURE_QUESTION: Final = 20  # letters of a question that was cut: fewer may begin anybody's

# The fields that we send and Mavera's lists repeat. Of a thread that is none.
ECHOED: Final[Mapping[str, tuple[str, ...]]] = {
    "personas": ("name", "description"),
    "brand-voices": ("label", "usage_context"),
    "analyses": (),
    "focus-groups": ("name",),
    "generations": ("title",),
}


class Held(NamedTuple):
    """One object in Mavera as a list shows it; of an analysis, one question of a thread with its answer."""

    kind: str
    remote_id: str
    words: str
    body: Mapping[str, Any]
    answer: api.Answer | None = None

    @property
    def shown_id(self) -> str:
        """The id under which a person finds it in Mavera."""
        return self.answer.shown_id if self.answer else self.remote_id

    @property
    def name(self) -> str:
        """What a person called it, without our reference."""
        return without_reference(str(self.body.get(NAME.get(self.kind, "title")) or ""))

    @property
    def made_at(self) -> datetime:
        return api.created_at(self.body)

    @property
    def reference(self) -> Reference | None:
        """The reference in its words or, where these were cut, in another text that it shows."""
        texts = (self.words, *self.shown)
        return next((found for text in texts if (found := reference_in(text))), None)

    @property
    def record_key(self) -> str:
        """The record whose reference it carries; empty where it carries none."""
        return self.reference.record_key if self.reference else ""

    @property
    def fingerprint(self) -> str:
        """As much of that record's fingerprint as the reference holds."""
        return self.reference.fingerprint if self.reference else ""

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.record_key}" if self.record_key else ""

    @property
    def shown(self) -> list[str]:
        """The texts of ours that it may show."""
        texts = [self.words] if self.kind == "analyses" else map(self.body.get, ECHOED[self.kind])
        return [text for text in texts if isinstance(text, str) and text.strip()]

    def may_come_from(self, call: Call) -> bool:
        """Whether nothing that it shows says that another call made it, or somebody else."""
        if self.reference:
            return self.reference == Reference(call.record_key, call.fingerprint[:12])
        sent = [text for text in call.payload.values() if isinstance(text, str)]
        return not self.shown or any(may_be(shown, text) for shown in self.shown for text in sent)

    def bears_name_of(self, record: Record) -> bool:
        """Whether it goes by a name of a record, or is a question that it would ask, in any form."""
        if self.record_key:
            return self.record_key == record.record_key
        if self.kind == "analyses":
            message = str(record.payload.get("message"))
            return len(letters(self.words)) >= SURE_QUESTION and may_be(self.words, message)
        return bears(self.name, map(without_reference, record.names))


def listed(mavera: api.Mavera, kind: str) -> Iterator[Held]:
    """Yield every object of a kind, oldest and newest in Mavera's order; analyses are read from threads."""
    lists = {
        "personas": mavera.custom_personas,
        "brand-voices": mavera.voices,
        "focus-groups": mavera.studies,
        "generations": mavera.generations,
    }
    for row in lists[kind]():
        yield Held(kind, str(row["id"]), str(row.get(REFERENCE[kind]) or ""), row)


def asked(thread: Mapping[str, Any]) -> Iterator[Held]:
    """Yield the answered questions of a thread, oldest first."""
    for words, answer in api.asked_in(thread):
        if answer:
            yield Held("analyses", answer.remote_id, words, thread, answer)


def answer(mavera: api.Mavera, held: Held) -> api.Answer:
    """Return a listed object as if it were the answer to its creation, with what it holds by now."""
    if held.answer:
        return held.answer
    if held.kind == "personas":
        return api.persona_in(held.body)
    return standing(mavera, held.kind, held.remote_id)


def standing(mavera: api.Mavera, kind: str, remote_id: str) -> api.Answer:
    """Return how an object that Mavera takes its time for stands."""
    looks = {
        "brand-voices": mavera.voice,
        "focus-groups": mavera.study,
        "generations": mavera.generation,
    }
    return looks[kind](remote_id)


class Threads(NamedTuple):
    """The threads to be opened, newest first, and how many older ones are left unread."""

    ids: Sequence[str]
    unread: int


def to_open(
    rows: Sequence[Mapping[str, Any]], calls: Sequence[Call], since: datetime, at_most: int
) -> Threads:
    """Choose from the list of threads those that may hold an analysis that `calls` do not tell of.

    These are the threads that were touched since a moment, but for those that have as many messages as the
    ledger's questions and answers in them.
    """
    told: dict[str, int] = {}
    for call in calls:
        if call.thread_id:
            told[call.thread_id] = told.get(call.thread_id, 0) + 2
    unsure = [
        row
        for row in rows
        if api.touched_at(row) >= since and row.get("message_count") != told.get(str(row["id"]), -1)
    ]
    unsure.sort(key=api.touched_at, reverse=True)
    return Threads([str(row["id"]) for row in unsure[:at_most]], len(unsure[at_most:]))


class Known:
    """What the ledger tells of; a question is known also where its answer came without an id of its own."""

    def __init__(self, calls: Sequence[Call]) -> None:
        closed = [call for call in calls if call.state != "unknown"]
        self.ids = {name for call in closed for name in (call.remote_id, call.thread_id) if name}
        self._objects = {call.remote_id for call in closed}
        self._by_thread = [call for call in closed if call.remote_id and call.remote_id == call.thread_id]

    def __contains__(self, one: Held) -> bool:
        return one.remote_id in self._objects or any(
            one.answer
            and one.answer.thread_id == call.thread_id
            and (call.action == "let be" or one.may_come_from(call))
            for call in self._by_thread
        )


def unclaimed(held: Iterable[Held], calls: Sequence[Call]) -> Iterator[Held]:
    """Yield what the ledger does not tell of; what a call without a known end may have made is looked up."""
    known, at_large = Known(calls), [call for call in calls if call.state == "unknown"]
    for one in held:
        if one not in known and not any(_was_sent_by(one, call) for call in at_large):
            yield one


def _was_sent_by(one: Held, call: Call) -> bool:
    return one.kind == call.kind and one.reference == Reference(call.record_key, call.fingerprint[:12])


def unknown(held: Iterable[Held], calls: Sequence[Call]) -> Iterator[Held]:
    """Yield what carries a reference of ours although the ledger tells of no call that made it."""
    return (one for one in unclaimed(held, calls) if one.record_key)
