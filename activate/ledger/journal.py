"""The append-only journal of requests to Mavera, their outcomes and costs, in its own database.

It survives the deletion of the warehouse. A committed `begin` row announces every call and an `end` row
closes it, so a process that dies leaves a call without an end. Such a call is unresolved.
"""

import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Unpack

import sqlalchemy as sa

from activate.answers import Answer
from activate.errors import LedgerError
from activate.ledger.chain import Chain, Mark, append
from activate.ledger.fold import Fold, month_of
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
    Texts,
    announced,
    as_json,
    as_object,
    begin_row,
    journal,
)
from activate.plan import FREE, Entry, Price, Record

ROWS_AT_ONCE: Final = 1_000
TEXTS_KEPT: Final = 100
# What is folded: the texts of a row are read when they are asked for.
_ROWS: Final = sa.select(
    *(column for column in journal.columns if column.name not in {"facts", "payload", "answer"}),
    journal.c.answer.is_not(None).label("is_answered"),
    sa.case((journal.c.event == "note", journal.c.payload)).label("noted"),
)


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
        self._texts = lru_cache(maxsize=TEXTS_KEPT)(self._texts_of)
        self._fold = Fold(self._texts)

    def _folded(self) -> Fold:
        """Return what the rows say, with those that were added since the last time.

        If the last known row is not in the journal any more, another journal took its place: all is read.
        """
        number, *_ = self._fold.last
        rows = _ROWS.where(journal.c.entry_id >= number).order_by(journal.c.entry_id)
        with self._engine.connect() as connection:
            for row in connection.execute(rows).yield_per(ROWS_AT_ONCE):
                known = (row.entry_id, row.call_id, row.event)
                if known == self._fold.last:
                    number = 0
                    continue
                if number:
                    break
                self._fold.add(row)
        if number:
            self._texts.cache_clear()
            self._fold = Fold(self._texts)
            return self._folded()
        return self._fold

    def _texts_of(self, number: int) -> Texts:
        kept = sa.select(journal.c.facts, journal.c.payload).where(journal.c.entry_id == number)
        with self._engine.connect() as connection:
            row = connection.execute(kept).one()
        return Texts(row.facts, row.payload)

    def calls(self, key: str | None = None) -> list[Call]:
        """Return the calls and decisions, of all records or of one, in the order of their announcement."""
        folded = self._folded()
        return list(folded.calls.values()) if key is None else folded.of_record(key)

    def call(self, call_id: str) -> Call:
        return self._folded().calls[call_id]

    def on_object(self, remote_id: str) -> list[Call]:
        """Return the calls and decisions about one remote object, in the order of their announcement."""
        return self._folded().on_object(remote_id)

    def calls_since(self, mark: Mark) -> list[Call]:
        """Return the calls that were announced, or decided about by a person, after `mark`."""
        later = sa.select(journal.c.call_id).where(
            journal.c.entry_id > mark.entry_id,
            journal.c.record_key.is_not(None),
            sa.or_(journal.c.event != "end", journal.c.action.in_(("adopt", "forget"))),
        )
        with self._engine.connect() as connection:
            ids: set[str] = set(connection.execute(later).scalars())
        calls = self._folded().calls
        return sorted((calls[one] for one in ids), key=lambda call: call.number)

    def entries(self, kind: str | None = None) -> dict[str, Entry]:
        """Return the state of each record, of all kinds or of one, by its key (`personas/clv-tiers:top`)."""
        return self._folded().entries(kind)

    def entry(self, key: str) -> Entry | None:
        return self._folded().entry(key)

    def accepted(self) -> dict[str, Call]:
        """Return, by record key, the last call that Mavera accepted."""
        return self._folded().accepted()

    def original(self, key: str) -> dict[str, Any] | None:
        """Return an object of the account's own as it was before a record added to it; None if none did."""
        number = self._folded().originals.get(key)
        kept = sa.select(journal.c.answer).where(journal.c.entry_id == number)
        with self._engine.connect() as connection:
            text = connection.execute(kept).scalar()
        return None if text is None else as_object(text)

    def users_of(self, ids: Iterable[str]) -> set[str]:
        """Return the keys of the records whose requests named one of these objects.

        Ids are quoted in JSON, so an id cannot match a part of another id.
        """
        named = [journal.c.payload.contains(f'"{one}"', autoescape=True) for one in ids]
        users = sa.select(journal.c.kind, journal.c.record_key).where(
            journal.c.event == "begin", sa.or_(sa.false(), *named)
        )
        with self._engine.connect() as connection:
            return {f"{kind}/{record_key}" for kind, record_key in connection.execute(users)}

    def unknown(self) -> list[Call]:
        """Return the unresolved calls: Mavera may have done and charged them, or not."""
        return [call for call in self._folded().open("unknown") if not call.is_edit]

    def written_off(self) -> list[Call]:
        """Return the calls that were written off as lost and whose charge no person has stated."""
        return self._folded().written_off()

    def waiting(self, kind: str | None = None) -> list[Call]:
        """Return the calls that Mavera accepted and is still working on."""
        return self._folded().open("waiting", kind)

    def paid(self, *, edits: bool = False) -> dict[str, list[int]]:
        """Return the credits that Mavera reported for objects (or edits) of each kind, oldest first.

        Of many, those that were the lowest or the highest of their time, and the latest.
        """
        return self._folded().paid(edits=edits)

    def spent(self, run_id: str | None = None) -> int:
        """Return the credits of this calendar month (UTC) or of one run.

        An unresolved call counts at its highest possible price, unless Mavera reported its price.
        """
        return self._folded().spent(run_id or month_of(self.now()))

    def last_run(self) -> Run | None:
        return self._folded().last_run()

    def runs_of(self, plan_id: str) -> list[str]:
        """Return the runs that applied one approved plan."""
        return self._folded().runs_of(plan_id)

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
