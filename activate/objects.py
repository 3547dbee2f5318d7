"""What Mavera holds, in one shape whatever its kind, and the reference in it that says whose it is."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from activate import mavera as api
from activate.ledger import Call
from activate.records import MARKER, marker

# Where a listed object has its name, and where our reference. A thread has neither: its questions are read.
NAME: Final[Mapping[str, str]] = {
    "personas": "name",
    "brand-voices": "label",
    "focus-groups": "name",
    "generations": "title",
}
REFERENCE: Final[Mapping[str, str]] = {**NAME, "personas": "description", "brand-voices": "usage_context"}

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
        field = NAME.get(self.kind, "title")
        return MARKER.sub("", str(self.body.get(field) or "")).strip()

    @property
    def made_at(self) -> datetime:
        return api.created_at(self.body)

    @property
    def record_key(self) -> str:
        """The record whose reference it carries; empty where it carries none."""
        found = MARKER.search(self.words)
        return found[1] if found else ""

    @property
    def fingerprint(self) -> str:
        """As much of that record's fingerprint as the reference holds."""
        found = MARKER.search(self.words)
        return found[2] if found else ""

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.record_key}" if self.record_key else ""


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


def unknown(held: Iterator[Held], calls: Sequence[Call]) -> Iterator[Held]:
    """Yield what carries a reference of ours although the ledger tells of no call that made it.

    What a call without a known end may have made is not among them: that is looked up.
    """
    known = {call.remote_id for call in calls if call.state != "unknown"}
    at_large = {marker(call.record_key, call.fingerprint) for call in calls if call.state == "unknown"}
    for one in held:
        mark = marker(one.record_key, one.fingerprint)
        if one.record_key and one.remote_id not in known and mark not in at_large:
            yield one
