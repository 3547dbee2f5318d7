"""Analyses: questions to Mave, each with its answer in a thread.

The list shows threads without their messages, so a thread must be opened to see its questions. A repeated
question continues the thread of the previous one, so that Mave knows its earlier answer.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from activate.answers import Answer, created_at, credits_in, touched_at, whole_credits
from activate.errors import KeyRefused, OutcomeUnknown, Refused
from activate.kinds.kind import (
    CLOCKS_APART,
    LONG_AGO,
    PAGE,
    WORKSPACE,
    Draft,
    Found,
    Kind,
    Known,
    Listing,
    RemoteObject,
    lacking,
    may_come_from,
    reference_of,
)
from activate.ledger.journal import Journal
from activate.ledger.rows import Call
from activate.likeness import letters, may_be
from activate.mavera import Mavera
from activate.plan import Price, Record, Step, Terms
from common import assumptions
from common.settings import Settings

THREADS: Final = "/mave/threads"
SPEAKERS: Final = frozenset({"user", "assistant"})
SURE_QUESTION: Final = 20  # letters of a truncated question: fewer could match any question


def opened(mavera: Mavera, thread_id: str) -> dict[str, Any]:
    return mavera.whole(THREADS, thread_id)


def asked_in(thread: Mapping[str, Any]) -> Iterator[tuple[str, Answer | None]]:
    """Yield each question of a thread, oldest first, with its answer as the call would have received it.

    A thread reports one sum of credits, so an answer has credits only if it is the only one.
    """
    messages = [message for message in thread.get("messages") or () if message.get("role") in SPEAKERS]
    questions = [place for place, message in enumerate(messages) if message["role"] == "user"]
    used = whole_credits(thread.get("credits_used")) if len(questions) == 1 else None
    for place in questions:
        reply = messages[place + 1] if place + 1 < len(messages) else {"role": "user"}
        is_answered = reply["role"] == "assistant"
        yield (
            str(messages[place]["content"]),
            Answer(str(reply["id"]), str(thread["id"]), used, dict(thread)) if is_answered else None,
        )


def to_open(
    rows: Sequence[Mapping[str, Any]], calls: Sequence[Call], since: datetime, at_most: int | None
) -> tuple[list[str], int]:
    """Choose the threads that may contain an analysis missing from `calls`.

    These are the threads changed since `since` whose message count differs from the ledger's. Return their
    ids, newest first, and the number of older threads left unread.
    """
    counted: dict[str, int] = {}
    for call in calls:
        if call.thread_id:
            counted[call.thread_id] = counted.get(call.thread_id, 0) + 2
    unsure = [
        row
        for row in rows
        if touched_at(row) >= since and row.get("message_count") != counted.get(str(row["id"]), -1)
    ]
    unsure.sort(key=touched_at, reverse=True)
    ids = [str(row["id"]) for row in unsure]
    return ids[:at_most], len(ids) - len(ids[:at_most])


class Analyses(Kind):
    name = "analyses"
    terms = Terms(create=Price(10, 75), update=Price(10, 75))
    thing = "answer"
    path = "/mave/chat"
    seconds = assumptions.ANALYSIS_SECONDS
    words_file = "analysis.md.j2"
    name_field = "title"
    reference_field = ""  # a thread has no such field: its questions are read
    echo = ()
    is_listed_whole = False
    remedies = (WORKSPACE, (("",), "Change the job's analysis.md.j2"))
    likeness = "the same question"

    def payload(self, draft: Draft, settings: Settings) -> dict[str, Any]:
        workspace = {"workspace_id": settings.mavera_workspace_id} if settings.mavera_workspace_id else {}
        return {"message": draft.marked_text, **workspace}

    def complaint(self, draft: Draft, payload: Mapping[str, Any], settings: Settings) -> str:
        length, most = len(draft.marked_text), assumptions.MESSAGE_CHARACTERS
        return f"its message has {length:,} characters, the most is {most:,}" if length > most else ""

    # Sending

    def completed(
        self, step: Step, ledger: Journal, mavera: Mavera, say: Callable[[str], None]
    ) -> dict[str, Any]:
        payload = super().completed(step, ledger, mavera, say)
        thread_id = step.entry.thread_id if step.entry else None
        if thread_id and self._thread(mavera, thread_id, may_be_ahead=True) is None:
            say(f"{step.record.key}: {thread_id} is gone from Mavera, a new thread begins")
        elif thread_id:
            payload["thread_id"] = thread_id
        return payload

    def look_ahead(self, step: Step, mavera: Mavera) -> None:
        if step.entry and step.entry.thread_id:
            mavera.look_ahead(THREADS, step.entry.thread_id)

    def answered(self, body: Mapping[str, Any]) -> Answer:
        """Return Mave's answer. Raises OutcomeUnknown if the id of the answer or of the thread is missing."""
        message_id, thread_id = body.get("id"), body.get("thread_id")
        if not (message_id and thread_id):
            raise OutcomeUnknown(
                f"Mavera answered without the id of the {'thread' if message_id else 'answer'}", body
            )
        is_wordless = not str(body.get("content") or "").strip()
        return Answer(str(message_id), str(thread_id), credits_in(body), body, is_wordless=is_wordless)

    def identified(self, body: Any) -> Answer | None:
        message_id, thread_id = (
            (body.get("id"), body.get("thread_id")) if isinstance(body, Mapping) else (None, None)
        )
        if not (message_id or thread_id):
            return None
        shown = str(thread_id) if thread_id else None
        return Answer(str(message_id or thread_id), shown, credits_in(body), dict(body))

    # Listing

    def rows(self, mavera: Mavera) -> list[dict[str, Any]]:
        """Return every thread of the account, without its messages."""
        return mavera.rows(THREADS, PAGE)

    def asked(self, thread: Mapping[str, Any]) -> list[RemoteObject]:
        return [
            RemoteObject(self, answer.remote_id, words, thread, answer)
            for words, answer in asked_in(thread)
            if answer
        ]

    def listing(
        self,
        mavera: Mavera,
        calls: Sequence[Call] = (),
        since: datetime = LONG_AGO,
        at_most: int | None = None,
    ) -> Listing:
        rows = self.rows(mavera)
        ids, unread = to_open(rows, calls, since, at_most)
        objects = [one for thread_id in ids for one in self.asked(opened(mavera, thread_id))]
        return Listing(objects, dict.fromkeys((str(row["id"]) for row in rows), None), unread)

    def answer_of(self, mavera: Mavera, remote: RemoteObject) -> Answer:
        assert remote.answer  # noqa: S101
        return remote.answer

    def fetched(self, mavera: Mavera, remote_id: str) -> RemoteObject | None:
        return next(reversed(self.asked(opened(mavera, remote_id))), None)

    def opened_since(
        self, mavera: Mavera, since: datetime, known: frozenset[str]
    ) -> Iterator[tuple[str, str]]:
        for row in self.rows(mavera):
            if created_at(row) >= since and row["id"] not in known:
                for words, _ in asked_in(opened(mavera, row["id"])):
                    yield words, row["id"]

    # Finding lost answers

    def find_lost(self, call: Call, ledger: Journal, mavera: Mavera) -> Found:
        """Search the thread that the question continued; for a first question, search the newer threads."""
        known = Known(ledger.calls())
        if continued := call.payload.get("thread_id"):
            thread = self._thread(mavera, continued)
            if thread is None:
                return Found(doubt=f"{continued} is gone from Mavera: python -m activate settle decides")
            return self._look_in(thread, call, known, ledger) or _shows_all(thread, ledger)
        rows = self.rows(mavera)
        doubts = []
        for row in rows:
            if str(row["id"]) in known.ids or touched_at(row) < call.begun_at - CLOCKS_APART:
                continue
            found = self._look_in(opened(mavera, str(row["id"])), call, known, ledger)
            if found and found.answer:
                return found
            doubts += [found] if found else []
        return doubts[0] if doubts else lacking(self, ledger, {str(row["id"]) for row in rows})

    def _thread(
        self, mavera: Mavera, thread_id: str, *, may_be_ahead: bool = False
    ) -> Mapping[str, Any] | None:
        try:
            return mavera.whole(THREADS, thread_id, may_be_ahead=may_be_ahead)
        except KeyRefused:
            raise
        except Refused:
            return None

    def _look_in(self, thread: Mapping[str, Any], call: Call, known: Known, ledger: Journal) -> Found | None:
        """Search one thread for a question; None if nothing in it can come from that call."""
        asked = [RemoteObject(self, a.remote_id if a else "", w, thread, a) for w, a in asked_in(thread)]
        new = [one for one in asked if not (one.answer and one in known)]
        for one in new:
            if one.reference == reference_of(call):
                if one.answer is None:
                    return Found(doubt=f"Mave has not answered yet in {thread['id']}")
                return Found(one.answer._replace(credits=_credits_of(one.answer, thread, ledger)))
        if not asked and str(thread["id"]) not in known.ids:
            return Found(doubt=f"{may_come_from(str(thread['id']), call)}; it shows no messages")
        if any(one.may_come_from(call) for one in new):
            return Found(doubt=may_come_from(str(thread["id"]), call))
        return None

    def names(self, record: Record) -> Iterable[str]:
        return (str(record.payload.get("message")),)

    def shown_name(self, remote: RemoteObject) -> str:
        return remote.words

    def bears(self, remote: RemoteObject, record: Record) -> bool:
        """Whether a remote question is the one that a record would ask, in any form."""
        if remote.record_key:
            return remote.record_key == record.record_key
        (message,) = self.names(record)
        return len(letters(remote.words)) >= SURE_QUESTION and may_be(remote.words, message)


def _shows_all(thread: Mapping[str, Any], ledger: Journal) -> Found:
    """Doubt a thread that shows fewer questions than the ledger has answers in it."""
    answered = sum(
        call.state == "done" and call.thread_id == thread["id"] and call.action != "let be"
        for call in ledger.calls()
    )
    if len(list(asked_in(thread))) < answered:
        return Found(doubt=f"{thread['id']} does not show all that was asked in it")
    return Found()


def _credits_of(answer: Answer, thread: Mapping[str, Any], ledger: Journal) -> int | None:
    """Return a thread's credits minus those of the answers in the ledger; None if Mavera reports none."""
    total = whole_credits(thread.get("credits_used"))
    paid = sum(
        call.credits for call in ledger.calls() if call.thread_id == answer.thread_id and call.state == "done"
    )
    return None if total is None else max(total - paid, 0)
