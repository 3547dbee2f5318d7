"""The append-only journal of requests to Mavera, their outcomes and costs, in its own database.

It survives the deletion of the warehouse. A committed `begin` row announces every call and an `end` row
closes it, so a process that dies leaves a call without an end. Such a call is unresolved.
"""

import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Unpack

import sqlalchemy as sa

from activate.answers import Answer
from activate.errors import LedgerError
from activate.ledger.chain import Chain, Mark, append
from activate.ledger.identity import Identity
from activate.ledger.rows import (
    BY_HAND,
    OF_RECORD,
    Announced,
    Call,
    Decision,
    Ending,
    Run,
    State,
    announced,
    as_json,
    as_object,
    begin_row,
    begun,
    ended,
    journal,
)
from activate.plan import FREE, Entry, Price, Record, SentFacts


class Journal:
    """The rows of one Mavera account, read-only. `now` is the clock that sets the budget's month.

    `chain` covers the journal as a whole, `account` the Mavera account that it belongs to.
    """

    def __init__(
        self,
        engine: sa.Engine,
        destination: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        guard: Callable[[sa.Connection], None] = lambda _: None,
    ) -> None:
        self._engine = engine
        self._guard = guard
        self.destination = destination
        self.now = now
        self.chain = Chain(engine, destination, guard)
        self.account = Identity(engine, destination, guard)

    def calls(self) -> list[Call]:
        """Return every call and decision, in the order of their announcement."""
        calls: dict[str, Call] = {}
        with self._engine.connect() as connection:
            for row in connection.execute(sa.select(journal).order_by(journal.c.entry_id)):
                if row.event == "begin":
                    calls[row.call_id] = begun(row)
                elif row.event == "decision":
                    calls[row.call_id] = ended(begun(row), row)
                elif row.event == "end":
                    calls[row.call_id] = ended(calls[row.call_id], row)
        return list(calls.values())

    def calls_since(self, mark: Mark) -> list[Call]:
        """Return the calls that were announced, or decided about by a person, after `mark`."""
        later = sa.select(journal.c.call_id).where(
            journal.c.entry_id > mark.entry_id,
            journal.c.record_key.is_not(None),
            sa.or_(journal.c.event != "end", journal.c.action.in_(("adopt", "forget"))),
        )
        with self._engine.connect() as connection:
            ids: set[str] = set(connection.execute(later).scalars())
        return [call for call in self.calls() if call.call_id in ids]

    def entries(self) -> dict[str, Entry]:
        """Return the state of each record by its key (`personas/clv-tiers:top`)."""
        calls = self.calls()
        entries: dict[str, Entry] = {}
        for call in calls:
            if call.closed_by == "forget":
                entries.pop(call.key, None)
            elif call.action != "let be":
                entries[call.key] = _after(entries.get(call.key, Entry("failed")), call)
        accepted = _accepted(calls).items()
        return entries | {
            key: replace(entries[key], facts=call.facts, person_count=call.person_count, wording=call.wording)
            for key, call in accepted
        }

    def accepted(self) -> dict[str, Call]:
        """Return, by record key, the last call that Mavera accepted."""
        return _accepted(self.calls())

    def original(self, key: str) -> dict[str, Any] | None:
        """Return an object of the account's own as it was before a record added to it; None if none did."""
        kind, _, record_key = key.partition("/")
        kept = sa.select(journal.c.answer).where(
            journal.c.event == "original", journal.c.kind == kind, journal.c.record_key == record_key
        )
        with self._engine.connect() as connection:
            text = connection.execute(kept.order_by(journal.c.entry_id.desc()).limit(1)).scalar()
        return None if text is None else as_object(text)

    def unknown(self) -> list[Call]:
        """Return the unresolved calls: Mavera may have done and charged them, or not."""
        return [call for call in self.calls() if call.state == "unknown" and not call.is_edit]

    def written_off(self) -> list[Call]:
        """Return the calls that were written off as lost and whose charge no person has stated."""
        return [call for call in self.calls() if call.is_written_off]

    def waiting(self) -> list[Call]:
        """Return the calls that Mavera accepted and is still working on."""
        return [call for call in self.calls() if call.state == "waiting"]

    def paid(self, *, edits: bool = False) -> dict[str, list[int]]:
        """Return the credits that Mavera reported for objects (or edits) of each kind, oldest first."""
        paid: dict[str, list[int]] = {}
        for call in self.calls():
            if call.is_edit == edits and call.state == "done" and call.credits_source == "answered":
                paid.setdefault(call.kind, []).append(call.credits)
        return paid

    def spent(self, run_id: str | None = None) -> int:
        """Return the credits of this calendar month (UTC) or of one run.

        An unresolved call counts at its highest possible price, unless Mavera reported its price.
        """
        month = _month(self.now())
        return sum(
            call.credits_high if call.state == "unknown" and not call.credits_source else call.credits
            for call in self.calls()
            if (call.run_id == run_id if run_id else _month(call.begun_at) == month)
        )

    def last_run(self) -> Run | None:
        newest = (
            sa.select(journal).where(journal.c.event == "note").order_by(journal.c.entry_id.desc()).limit(1)
        )
        with self._engine.connect() as connection:
            note = connection.execute(newest).first()
        if note is None:
            return None
        calls = tuple(call for call in self.calls() if call.run_id == note.run_id)
        began_at = datetime.fromisoformat(note.written_at)
        return Run(note.run_id, began_at, json.loads(note.payload)["steps"], calls)

    def runs_of(self, plan_id: str) -> list[str]:
        """Return the runs that applied one approved plan."""
        noted = sa.select(journal.c.run_id, journal.c.payload).where(journal.c.event == "note")
        with self._engine.connect() as connection:
            rows = connection.execute(noted.order_by(journal.c.entry_id)).all()
        return [row.run_id for row in rows if as_object(row.payload).get("plan") == plan_id]

    def answer(self, call_id: str) -> Any:
        """Return Mavera's last answer to a call, unchanged, or None."""
        answers = sa.select(journal.c.answer).where(
            journal.c.call_id == call_id, journal.c.answer.is_not(None)
        )
        with self._engine.connect() as connection:
            text = connection.execute(answers.order_by(journal.c.entry_id.desc()).limit(1)).scalar()
        return None if text is None else json.loads(text)


class Ledger(Journal):
    """The journal with write access; `now` is the clock of its rows. Every method commits its rows."""

    def start(self, steps: int, price: Price, plan_id: str | None = None) -> str:
        """Record the start of a run of `steps`, with the id of an approved plan; return the run's id."""
        run_id = uuid.uuid4().hex
        self._write(
            call_id=run_id,
            run_id=run_id,
            event="note",
            payload=as_json({"steps": steps} | ({"plan": plan_id} if plan_id else {})),
            credits_low=price.low,
            credits_high=price.high,
        )
        return run_id

    def note_takeover(self, owner: str) -> None:
        """Record that the lock was taken over from `owner`, which had stopped responding."""
        call_id = uuid.uuid4().hex
        self._write(call_id=call_id, run_id=call_id, event="takeover", error=f"from {owner}")

    def begin(
        self,
        run_id: str,
        *,
        action: str,
        price: Price,
        remote_id: str | None = None,
        **record: Unpack[Announced],
    ) -> str:
        """Announce a call before it is made; return the id with which to end it."""
        begun = begin_row(run_id, action, price, record)
        self._write(**begun, remote_id=remote_id)
        return str(begun["call_id"])

    def end(self, call_id: str, state: State, **how: Unpack[Ending]) -> None:
        announced = sa.select(journal).where(
            journal.c.call_id == call_id, journal.c.event.in_(("begin", "decision"))
        )
        with self._engine.connect() as connection:
            begin = connection.execute(announced).one()
        answer = how.get("answer")
        self._write(
            call_id=call_id,
            run_id=begin.run_id,
            event="end",
            kind=begin.kind,
            record_key=begin.record_key,
            job=begin.job,
            action=how.get("action") or begin.action,
            fingerprint=how.get("fingerprint") or begin.fingerprint,
            state=state,
            remote_id=how.get("remote_id") or begin.remote_id,
            thread_id=how.get("thread_id"),
            credits=how.get("credits_spent"),
            credits_source=how.get("credits_source"),
            error=how.get("error"),
            answer=None if answer is None else as_json(answer),
        )

    def close(self, call_id: str, answer: Answer, highest: int, action: str, fingerprint: str = "") -> int:
        """Record Mavera's answer; return its credits, or the highest price if Mavera reported none."""
        spent = highest if answer.credits is None else answer.credits
        self.end(
            call_id,
            answer.state,
            action=action,
            fingerprint=fingerprint,
            remote_id=answer.remote_id,
            thread_id=answer.thread_id,
            credits_spent=spent,
            credits_source="documented" if answer.credits is None else "answered",
            answer=answer.body,
        )
        return spent

    def take_over(
        self, *, remote_id: str, thread_id: str | None, state: State, answer: Any, **record: Unpack[Announced]
    ) -> None:
        """Record that a remote object is this record, at no cost: announced and ended in one commit."""
        begun = begin_row(BY_HAND, "adopt", FREE, record)
        of_both = ("call_id", "run_id", "action", *OF_RECORD)
        self._write(
            begun,
            {
                **{name: begun[name] for name in of_both},
                "event": "end",
                "state": state,
                "remote_id": remote_id,
                "thread_id": thread_id,
                "credits": 0,
                "credits_source": "documented",
                "answer": as_json(answer),
            },
        )

    def decide(
        self,
        action: Decision,
        key: str,
        reason: str,
        remote_id: str | None = None,
        thread_id: str | None = None,
    ) -> None:
        """Record a person's decision about an object that drifted; plan and apply carry it out."""
        kind, _, record_key = key.partition("/")
        self._write(
            call_id=uuid.uuid4().hex,
            run_id=BY_HAND,
            event="decision",
            kind=kind,
            record_key=record_key,
            job=record_key.partition(":")[0],
            action=action,
            fingerprint="",
            facts="{}",
            payload="{}",
            state="failed",
            remote_id=remote_id,
            thread_id=thread_id,
            credits_low=0,
            credits_high=0,
            credits=0,
            error=reason,
        )

    def keep_original(self, record: Record, shown: Mapping[str, Any]) -> None:
        """Keep an object of the account's own as Mavera shows it, before a request adds to it."""
        call_id = uuid.uuid4().hex
        of_record = {name: value for name, value in announced(record).items() if name in OF_RECORD}
        self._write(call_id=call_id, run_id=call_id, event="original", answer=as_json(shown), **of_record)

    def require_hold(self) -> None:
        """Raise LedgerError if this process may no longer write and therefore must not send."""
        self._write()

    def _write(self, *rows: Mapping[str, Any], **row: Any) -> None:
        always = {"written_at": self.now().astimezone(UTC).isoformat(), "destination": self.destination}
        try:
            with self._engine.begin() as connection:
                self._guard(connection)
                for each in (*rows, *([row] if row else [])):
                    append(connection, {**always, **each})
        except sa.exc.DBAPIError as error:
            raise LedgerError(f"the ledger cannot be written ({error.orig}): nothing more is sent") from None


def _month(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m")


def _accepted(calls: Iterable[Call]) -> dict[str, Call]:
    accepted: dict[str, Call] = {}
    for call in calls:
        if call.closed_by == "forget":
            accepted.pop(call.key, None)
        elif call.state == "done" and call.action != "remove":
            accepted[call.key] = call
    return accepted


def _after(before: Entry, call: Call) -> Entry:
    entry = replace(
        before,
        state=call.state,
        call_id=call.call_id,
        called_at=call.begun_at,
        sent_fingerprint=call.fingerprint,
        error=call.error,
        broken_id=None,
    )
    if call.action == "restore":
        return replace(
            entry, state="drifted", fingerprint=None, remote_id=call.remote_id, thread_id=call.thread_id
        )
    if call.action == "remove" and call.state == "done":
        return replace(entry, fingerprint=None, remote_id=None, thread_id=None, unconfirmed_edits=())
    if call.action == "give up":
        return replace(entry, state="gone", remote_id=None, thread_id=None)
    if call.state == "done":
        return replace(
            entry,
            fingerprint=call.fingerprint,
            remote_id=call.remote_id,
            thread_id=call.thread_id,
            unconfirmed_edits=(),
        )
    if call.is_edit:
        # Mavera has the old words or the new ones. Repeating the edit settles that and duplicates nothing.
        lost = (SentFacts(call.facts, call.person_count),) if call.state == "unknown" else ()
        return replace(
            entry,
            state="failed",
            fingerprint=None,
            remote_id=before.remote_id or call.remote_id,
            error=call.error or "no answer",
            unconfirmed_edits=(*before.unconfirmed_edits, *lost),
        )
    if call.state == "failed" and call.remote_id:
        return replace(entry, broken_id=call.remote_id)
    return entry
