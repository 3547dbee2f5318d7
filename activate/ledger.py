"""What was sent to Mavera, how it ended and what it cost: an append-only journal in a database of its own.

Deleting the warehouse must not forget what was paid for. Every call is announced by a committed `begin` row
and closed by an `end` row, so a process that dies at any instant leaves a call without an end, which reads as
unknown. Each row has a receipt over itself and the receipt before it: a row that was changed, taken out or
put in afterwards shows.
"""

import hashlib
import hmac
import json
import secrets
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, NotRequired, TypedDict, Unpack

import sqlalchemy as sa

from activate.lock import UNGUARDED, Hold, LedgerError, file_of, is_sqlite, open_engine, unreachable
from activate.plan import FREE, KINDS, Entry, Price, Told

SCHEMA_VERSION: Final = 2
NOWHERE: Final = "sqlite://"  # an empty ledger in memory

State = Literal["done", "failed", "unknown", "waiting"]
CreditsSource = Literal["answered", "documented"]
# What a person may want of an object that drifted: put back what was sent, leave it deleted, or let an object
# be that is not this ledger's business.
Decision = Literal["restore", "give up", "let be"]
BY_HAND: Final = "by hand"  # the run of what no run did
WRITTEN_OFF: Final = "taken as lost"  # the error of a call of which nothing was found once its time was over

metadata = sa.MetaData()
versions = sa.Table("schema_version", metadata, sa.Column("version", sa.Integer, nullable=False))
journal = sa.Table(
    "journal",
    metadata,
    sa.Column("entry_id", sa.Integer, primary_key=True, autoincrement=True),
    # Joins a begin row with its end rows, of which the last counts.
    sa.Column("call_id", sa.Text, nullable=False, index=True),
    # begin, end; note: a run that set out, the number of its steps in payload; takeover: from whom, in error;
    # decision: a person's word about an object that drifted, which makes no call.
    sa.Column("event", sa.Text, nullable=False),
    # ISO 8601 in UTC, by the real clock whatever RUN_AT says: money is spent in real time.
    sa.Column("written_at", sa.Text, nullable=False),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("destination", sa.Text, nullable=False),
    sa.Column("kind", sa.Text),
    sa.Column("record_key", sa.Text),
    sa.Column("job", sa.Text),
    # create, update, adopt; of a later end row: poll, look up, adopt, forget, charged; of a
    # decision: one of Decision.
    sa.Column("action", sa.Text),
    sa.Column("fingerprint", sa.Text),
    sa.Column("facts", sa.Text),
    sa.Column("payload", sa.Text),
    sa.Column("state", sa.Text),
    sa.Column("remote_id", sa.Text),
    sa.Column("thread_id", sa.Text),
    sa.Column("credits_low", sa.Integer),
    sa.Column("credits_high", sa.Integer),
    sa.Column("credits", sa.Integer),
    sa.Column("credits_source", sa.Text),
    sa.Column("error", sa.Text),
    sa.Column("answer", sa.Text),
    sqlite_autoincrement=True,
)
# Beside the journal, so that one without receipts (layout 1) can still be read as it is.
receipts = sa.Table(
    "receipts",
    metadata,
    sa.Column("entry_id", sa.Integer, primary_key=True, autoincrement=False),
    # SHA-256 of the receipt before it and of the row's values but its number, as JSON.
    sa.Column("receipt", sa.Text, nullable=False),
)
# What binds plan files and accounts to this ledger. Beside the journal, so that older versions read on.
identity = sa.Table(
    "identity",
    metadata,
    # secret: 32 random bytes in hexadecimal; any other: the fingerprint of an account's key.
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
SEALED_BY: Final = "secret"
FIRST_RECEIPT: Final = ""
# The key in a begin row's facts under which stands what is no fact and was sent with them.
SENT_WITH: Final = "sent_with"


@dataclass(frozen=True)
class Call:
    """One call as the journal tells it: what was announced, and how it ended if it did."""

    call_id: str
    run_id: str
    kind: str
    record_key: str
    job: str
    action: str
    fingerprint: str
    facts_text: str
    payload_text: str
    begun_at: datetime
    credits_high: int
    remote_id: str | None
    state: State = "unknown"
    closed_by: str = ""
    thread_id: str | None = None
    credits: int = 0
    credits_source: str = ""
    error: str = ""
    is_answered: bool = False  # by a 2xx, whatever it said

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.record_key}"

    @property
    def is_written_off(self) -> bool:
        """Whether it was taken as lost, and counts at its highest price until somebody decides."""
        return self.error == WRITTEN_OFF and self.closed_by == "look up"

    @property
    def facts(self) -> dict[str, Any]:
        return {name: value for name, value in _object(self.facts_text).items() if name != SENT_WITH}

    @property
    def person_count(self) -> int | None:
        return self._sent_with.get("person_count")

    @property
    def wording(self) -> str:
        return str(self._sent_with.get("wording", ""))

    @property
    def _sent_with(self) -> dict[str, Any]:
        """What stood with the facts; nothing in rows of older versions."""
        sent_with: dict[str, Any] = _object(self.facts_text).get(SENT_WITH, {})
        return sent_with

    @property
    def payload(self) -> dict[str, Any]:
        return _object(self.payload_text)


class Announced(TypedDict):
    """What a begin row tells of the record that a call is about.

    `person_count` and `wording` stand with the facts, so that rows keep the layout they have receipts of.
    """

    kind: str
    record_key: str
    job: str
    fingerprint: str
    facts: Mapping[str, Any]
    payload: Mapping[str, Any]
    person_count: NotRequired[int | None]
    wording: NotRequired[str]


class Mark(NamedTuple):
    """A row of the journal by its number and receipt; 0 and nothing before the first."""

    entry_id: int
    receipt: str


@dataclass(frozen=True)
class Run:
    """One apply that had something to send: how many steps it set out with, and its calls."""

    run_id: str
    began_at: datetime
    steps: int
    calls: tuple[Call, ...]


class Ledger:
    """The journal of one Mavera account. `now` is the clock of its rows and of the month that is spent."""

    def __init__(
        self,
        engine: sa.Engine,
        destination: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        guard: Callable[[sa.Connection], None] = lambda _: None,
    ) -> None:
        self._engine = engine
        self.destination = destination
        self.now = now
        self._guard = guard

    # Reading

    def is_empty(self) -> bool:
        with self._engine.connect() as connection:
            return connection.execute(sa.select(journal.c.entry_id).limit(1)).first() is None

    def calls(self) -> list[Call]:
        """Return every call in the order in which they were announced; among them the decisions."""
        calls: dict[str, Call] = {}
        with self._engine.connect() as connection:
            for row in connection.execute(sa.select(journal).order_by(journal.c.entry_id)):
                if row.event == "begin":
                    calls[row.call_id] = _begun(row)
                elif row.event == "decision":
                    calls[row.call_id] = _ended(_begun(row), row)
                elif row.event == "end":
                    calls[row.call_id] = _ended(calls[row.call_id], row)
        return list(calls.values())

    def entries(self) -> dict[str, Entry]:
        """Return how each record stands, by its key (`personas/clv-tiers:top`)."""
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
        """Return, by the key of its record, the call whose words Mavera accepted last."""
        return _accepted(self.calls())

    def unknown(self) -> list[Call]:
        """Return the calls of which nobody knows whether Mavera did, and charged, what they asked for."""
        return [
            call
            for call in self.calls()
            if call.state == "unknown" and not (call.action == "update" and KINDS[call.kind].update_edits)
        ]

    def written_off(self) -> list[Call]:
        """Return the calls that were taken as lost and of which nobody has said what Mavera charged."""
        return [call for call in self.calls() if call.is_written_off]

    def waiting(self) -> list[Call]:
        """Return the calls that Mavera accepted and is still at work on."""
        return [call for call in self.calls() if call.state == "waiting"]

    def paid(self, *, edits: bool = False) -> dict[str, list[int]]:
        """Return what Mavera said that objects of each kind cost, or edits of them, oldest first."""
        paid: dict[str, list[int]] = {}
        for call in self.calls():
            is_edit = call.action != "create" and KINDS[call.kind].update_edits
            if is_edit == edits and call.state == "done" and call.credits_source == "answered":
                paid.setdefault(call.kind, []).append(call.credits)
        return paid

    def spent(self, run_id: str | None = None) -> int:
        """Return the credits of this calendar month (UTC) or of one run.

        A call without a known end counts at the highest price it can have had, unless Mavera told its price.
        """
        month = self.now().astimezone(UTC).strftime("%Y-%m")
        of_run_or_month = journal.c.run_id == run_id if run_id else journal.c.written_at.startswith(month)
        begun = sa.select(journal.c.call_id, journal.c.credits_high).where(
            journal.c.event == "begin", of_run_or_month
        )
        called = sa.select(begun.subquery().c.call_id)
        ended = sa.select(journal.c.call_id, journal.c.state, journal.c.credits).where(
            journal.c.event == "end", journal.c.call_id.in_(called)
        )
        with self._engine.connect() as connection:
            costs = {row.call_id: row.credits_high for row in connection.execute(begun)}
            highest = dict(costs)
            for row in connection.execute(ended.order_by(journal.c.entry_id)):
                is_open = row.state == "unknown" and row.credits is None
                costs[row.call_id] = highest[row.call_id] if is_open else row.credits or 0
        return sum(costs.values())

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
        return [row.run_id for row in rows if _object(row.payload).get("plan") == plan_id]

    def mark(self) -> Mark:
        """Return where the journal ends now. Raises LedgerError where its rows have no receipts yet."""
        self._require_receipts()
        newest = sa.select(receipts).order_by(receipts.c.entry_id.desc()).limit(1)
        with self._engine.connect() as connection:
            row = connection.execute(newest).first()
        return Mark(row.entry_id, row.receipt) if row else Mark(0, FIRST_RECEIPT)

    def seal_of(self, text: str) -> str:
        """Return what only this ledger can make of a text; "" before it has a secret."""
        secret = self._identity().get(SEALED_BY, "")
        return hmac.digest(bytes.fromhex(secret), text.encode(), "sha256").hex() if secret else ""

    def has_account(self) -> bool:
        """Whether any key was accepted yet."""
        return bool(self._identity().keys() - {SEALED_BY})

    def accepts(self, key: str) -> bool:
        """Whether a key of Mavera was accepted as one of this ledger's account."""
        return self._fingerprint(key) in self._identity()

    def accept(self, key: str) -> None:
        """Accept a key of Mavera as one of this ledger's account."""
        with self._engine.begin() as connection:
            self._guard(connection)
            row = {"name": self._fingerprint(key), "value": self.now().astimezone(UTC).isoformat()}
            connection.execute(sa.insert(identity).values(row))

    def _fingerprint(self, key: str) -> str:
        return self.seal_of(f"{self.destination}\n{key}")

    def _identity(self) -> dict[str, str]:
        if not sa.inspect(self._engine).has_table(identity.name):
            return {}
        with self._engine.connect() as connection:
            return {row.name: row.value for row in connection.execute(sa.select(identity))}

    def holds(self, mark: Mark) -> bool:
        """Whether this is the journal that ended at `mark`, or what it has grown to."""
        if mark.entry_id == 0:
            return True
        own = sa.select(receipts.c.receipt).where(receipts.c.entry_id == mark.entry_id)
        with self._engine.connect() as connection:
            return connection.execute(own).scalar() == mark.receipt

    def calls_since(self, mark: Mark) -> list[Call]:
        """Return the calls announced after `mark`, and those that a person decided about after it."""
        later = sa.select(journal.c.call_id).where(
            journal.c.entry_id > mark.entry_id,
            journal.c.record_key.is_not(None),
            sa.or_(journal.c.event != "end", journal.c.action.in_(("adopt", "forget"))),
        )
        with self._engine.connect() as connection:
            ids: set[str] = set(connection.execute(later).scalars())
        return [call for call in self.calls() if call.call_id in ids]

    def answer(self, call_id: str) -> Any:
        """Return Mavera's last answer to a call as it came, or None."""
        answers = sa.select(journal.c.answer).where(
            journal.c.call_id == call_id, journal.c.answer.is_not(None)
        )
        with self._engine.connect() as connection:
            text = connection.execute(answers.order_by(journal.c.entry_id.desc()).limit(1)).scalar()
        return None if text is None else json.loads(text)

    # Writing: each of these has committed when it returns

    def start(self, steps: int, price: Price, plan_id: str | None = None) -> str:
        """Note that a run sets out to do `steps`, of an approved plan if there is one; return its id."""
        run_id = uuid.uuid4().hex
        self._write(
            call_id=run_id,
            run_id=run_id,
            event="note",
            payload=_json({"steps": steps} | ({"plan": plan_id} if plan_id else {})),
            credits_low=price.low,
            credits_high=price.high,
        )
        return run_id

    def note_takeover(self, owner: str) -> None:
        """Note that the lock was taken over from `owner`, who had stopped giving signs of life."""
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
        """Announce a call before it is made; return the id under which it is ended."""
        begun = _begin_row(run_id, action, price, record)
        self._write(**begun, remote_id=remote_id)
        return str(begun["call_id"])

    def end(
        self,
        call_id: str,
        state: State,
        *,
        action: str | None = None,
        fingerprint: str | None = None,
        remote_id: str | None = None,
        thread_id: str | None = None,
        credits_spent: int | None = None,
        credits_source: CreditsSource | None = None,
        error: str | None = None,
        answer: Any = None,
    ) -> None:
        """Say how a call ended, or, where it was unknown, how it turned out to have ended."""
        announced = sa.select(journal).where(
            journal.c.call_id == call_id, journal.c.event.in_(("begin", "decision"))
        )
        with self._engine.connect() as connection:
            begin = connection.execute(announced).one()
        self._write(
            call_id=call_id,
            run_id=begin.run_id,
            event="end",
            kind=begin.kind,
            record_key=begin.record_key,
            job=begin.job,
            action=action or begin.action,
            fingerprint=fingerprint or begin.fingerprint,
            state=state,
            remote_id=remote_id or begin.remote_id,
            thread_id=thread_id,
            credits=credits_spent,
            credits_source=credits_source,
            error=error,
            answer=None if answer is None else _json(answer),
        )

    def take_over(
        self,
        *,
        remote_id: str,
        thread_id: str | None,
        state: State,
        answer: Any,
        **record: Unpack[Announced],
    ) -> None:
        """Write that an object in Mavera is this record, for nothing: announced and ended in one commit."""
        begun = _begin_row(BY_HAND, "adopt", FREE, record)
        of_both = ("call_id", "run_id", "kind", "record_key", "job", "action", "fingerprint")
        self._write_all(
            begun,
            {
                **{name: begun[name] for name in of_both},
                "event": "end",
                "state": state,
                "remote_id": remote_id,
                "thread_id": thread_id,
                "credits": 0,
                "credits_source": "documented",
                "answer": _json(answer),
            },
        )

    def decide(
        self,
        action: Decision,
        *,
        kind: str,
        record_key: str,
        job: str,
        reason: str,
        remote_id: str | None,
        thread_id: str | None = None,
    ) -> None:
        """Write what a person wants of an object that drifted; plan and apply then do it."""
        self._write(
            call_id=uuid.uuid4().hex,
            run_id=BY_HAND,
            event="decision",
            kind=kind,
            record_key=record_key,
            job=job,
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

    def _write(self, **values: Any) -> None:
        self._write_all(values)

    def require_hold(self) -> None:
        """Raise LedgerError where this process may no longer write, and so may send nothing."""
        self._write_all()

    def _write_all(self, *rows: Mapping[str, Any]) -> None:
        always = {"written_at": self.now().astimezone(UTC).isoformat(), "destination": self.destination}
        try:
            with self._engine.begin() as connection:
                self._guard(connection)
                for row in rows:
                    _append(connection, {**always, **row})
        except sa.exc.DBAPIError as error:
            raise LedgerError(f"the ledger cannot be written ({error.orig}): nothing more is sent") from None

    # As a whole

    def verify(self) -> int:
        """Return the number of rows, each as it was written. Raises LedgerError at the first that is not."""
        self._require_receipts()
        receipt, count = FIRST_RECEIPT, 0
        joined = sa.select(journal, receipts.c.receipt).outerjoin(
            receipts, journal.c.entry_id == receipts.c.entry_id
        )
        with self._engine.connect() as connection:
            for row in connection.execute(joined.order_by(journal.c.entry_id)).mappings():
                receipt = receipt_of(dict(row), receipt)
                if row["receipt"] != receipt:
                    raise LedgerError(
                        f"row {row['entry_id']} of the ledger, written {row['written_at']}, or the one "
                        "before it, is not as it was written. Bring the ledger back from a backup"
                    )
                count += 1
            last = connection.execute(sa.select(sa.func.count()).select_from(receipts)).scalar_one()
        if last != count:
            raise LedgerError(f"the ledger has {last} receipts and {count} rows: rows were taken out")
        return count

    def _require_receipts(self) -> None:
        if not sa.inspect(self._engine).has_table(receipts.name):
            raise LedgerError(
                "the ledger is of layout 1, whose rows have no receipts. make activate brings it up to this "
                "version, and keeps a copy of it as it is; the same command works then"
            )

    def export(self) -> Iterator[str]:
        """Give every row as a line of JSON with its receipt, oldest first: any tool can read it.

        A last line tells how many they are and the receipt that ends them, so that a part is not taken for
        the whole.
        """
        self._require_receipts()
        joined = sa.select(journal, receipts.c.receipt).join(
            receipts, journal.c.entry_id == receipts.c.entry_id
        )
        count, receipt = 0, FIRST_RECEIPT
        with self._engine.connect() as connection:
            for row in connection.execute(joined.order_by(journal.c.entry_id)).mappings():
                count, receipt = count + 1, row["receipt"]
                yield _json(dict(row))
        yield _end_of_export(count, receipt)

    def restore(self, lines: Iterable[str]) -> int:
        """Write exported lines into this ledger, which must be empty; return the number of rows.

        All or nothing. Raises LedgerError at a line that is not as it was exported, or is of another Mavera,
        and where the line that ends an export is missing.
        """
        count, written, is_whole = 0, FIRST_RECEIPT, False
        with self._engine.begin() as connection:
            self._guard(connection)
            if connection.execute(sa.select(journal.c.entry_id).limit(1)).first():
                raise LedgerError("this ledger has rows already: set LEDGER_URL to a new one")
            for line in lines:
                is_whole = line.strip() == _end_of_export(count, written)
                if is_whole:
                    continue
                count += 1
                try:
                    row = json.loads(line)
                    receipt = row.pop("receipt")
                    del row["entry_id"]
                    if row["destination"] != self.destination:
                        raise LedgerError(
                            f"line {count} was sent to {row['destination']}, "
                            f"and MAVERA_BASE_URL is {self.destination}"
                        )
                    written = _append(connection, row)
                except (ValueError, KeyError, TypeError, AttributeError, sa.exc.SQLAlchemyError):
                    raise LedgerError(f"line {count} is no row of an exported ledger") from None
                if written != receipt:
                    raise LedgerError(f"line {count}, or the one before it, is not as it was exported")
            if not is_whole:
                raise LedgerError(
                    f"the file ends after {count:,} rows without the line that ends an export: it was cut "
                    "off, or an older version wrote it. Only where you know that it is whole, add this line "
                    f"to it: {_end_of_export(count, written)}"
                )
        return count


def receipt_of(row: Mapping[str, Any], before: str) -> str:
    """Return the receipt of a journal row: a hash over its values and the receipt of the row before."""
    values = {column.name: row.get(column.name) for column in journal.columns if not column.primary_key}
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()


def _end_of_export(count: int, receipt: str) -> str:
    return _json({"rows": count, "receipt": receipt})


def _append(connection: sa.Connection, row: Mapping[str, Any]) -> str:
    """Write one row with its receipt; return that."""
    newest = sa.select(receipts.c.receipt).order_by(receipts.c.entry_id.desc()).limit(1)
    before = connection.execute(newest).scalar() or FIRST_RECEIPT
    receipt = receipt_of(row, before)
    key = connection.execute(sa.insert(journal).values(dict(row))).inserted_primary_key
    connection.execute(sa.insert(receipts).values(entry_id=key[0] if key else None, receipt=receipt))
    return receipt


# --- opening -----------------------------------------------------------------------------------------


def connect(url: str, destination: str, *, write: bool = False, hold: Hold = UNGUARDED) -> Ledger:
    """Open the ledger of `destination` (Mavera's base URL). Raises LedgerError where that would be unsafe.

    The first writer makes the tables, and a SQLite file; until then there is an empty ledger to read. A
    ledger of an older layout is backed up, then brought up to this one, by its first writer. What is written
    is written under `hold`, the lock that the writer took.
    """
    path = file_of(url)
    if path and write:
        path.parent.mkdir(parents=True, exist_ok=True)
    elif path and not path.exists():
        return connect(NOWHERE, destination, write=True)
    try:
        engine = open_engine(url)
        if not write and not sa.inspect(engine).has_table(journal.name):
            return connect(NOWHERE, destination, write=True)
        _check(engine, destination, path, write)
    except sa.exc.DBAPIError as error:
        if not is_sqlite(url):
            raise unreachable(error) from None
        raise LedgerError(
            f"{path or 'the ledger'} cannot be used ({error.orig}). It remembers what was paid "
            "for: restore it from a backup, or move it away and run python -m activate settle --from-mavera"
        ) from None
    ledger = Ledger(engine, destination, guard=hold.guard)
    if hold.taken_from:
        ledger.note_takeover(hold.taken_from)
    return ledger


def _check(engine: sa.Engine, destination: str, path: Path | None, write: bool) -> None:
    with engine.begin() as connection:
        version = (
            connection.execute(sa.select(versions.c.version)).scalar()
            if sa.inspect(connection).has_table(versions.name)
            else None
        )
        if version is not None and version > SCHEMA_VERSION:
            raise LedgerError(
                f"the ledger was written by a newer version of this project (layout {version}, "
                f"this one knows {SCHEMA_VERSION}). Update the project"
            )
    if write:
        if version is not None and version < SCHEMA_VERSION:
            _back_up(engine, path, version)
        with engine.begin() as connection:
            metadata.create_all(connection)
            _migrate(connection, version)
            kept = engine.url.database or not is_sqlite(str(engine.url))  # not in memory, where nothing lasts
            if kept and not connection.execute(sa.select(identity.c.name)).first():
                connection.execute(sa.insert(identity).values(name=SEALED_BY, value=secrets.token_hex(32)))
    with engine.connect() as connection:
        other = connection.execute(
            sa.select(journal.c.destination).where(journal.c.destination != destination).limit(1)
        ).scalar()
    if other is not None:
        raise LedgerError(
            f"the ledger tells what was sent to {other}, and MAVERA_BASE_URL is {destination}. "
            "Set LEDGER_URL to a file of its own for each"
        )


def _back_up(engine: sa.Engine, path: Path | None, version: int) -> None:
    """Keep the ledger as it was: a file beside it, or, on a server, a table beside the journal."""
    if path:
        shutil.copy2(path, path.with_name(f"{path.name}.layout-{version}"))
    else:
        with engine.begin() as connection:
            connection.execute(sa.text(f"create table journal_layout_{version} as table journal"))


def _migrate(connection: sa.Connection, version: int | None) -> None:
    """Bring a ledger of an older layout up to this one, within the caller's transaction."""
    if version is None:
        connection.execute(sa.insert(versions).values(version=SCHEMA_VERSION))
    elif version < SCHEMA_VERSION:
        # 1 to 2: the rows get receipts.
        receipt = FIRST_RECEIPT
        rows = connection.execute(sa.select(journal).order_by(journal.c.entry_id)).mappings().all()
        for row in rows:
            receipt = receipt_of(dict(row), receipt)
            connection.execute(sa.insert(receipts).values(entry_id=row["entry_id"], receipt=receipt))
        connection.execute(sa.update(versions).values(version=SCHEMA_VERSION))


# --- reading rows ------------------------------------------------------------------------------------


def _begun(row: Any) -> Call:
    return Call(
        call_id=row.call_id,
        run_id=row.run_id,
        kind=row.kind,
        record_key=row.record_key,
        job=row.job,
        action=row.action,
        fingerprint=row.fingerprint,
        facts_text=row.facts,
        payload_text=row.payload,
        begun_at=datetime.fromisoformat(row.written_at),
        credits_high=row.credits_high,
        remote_id=row.remote_id,
    )


def _ended(call: Call, row: Any) -> Call:
    return replace(
        call,
        state=row.state,
        closed_by=row.action,
        fingerprint=row.fingerprint,
        remote_id=row.remote_id,
        thread_id=row.thread_id,
        credits=row.credits or 0,
        credits_source=row.credits_source or "",
        error=row.error or "",
        is_answered=call.is_answered or row.answer is not None,
    )


def _accepted(calls: Iterable[Call]) -> dict[str, Call]:
    accepted: dict[str, Call] = {}
    for call in calls:
        if call.closed_by == "forget":
            accepted.pop(call.key, None)
        elif call.state == "done":
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
            entry,
            state="drifted",
            fingerprint=None,
            remote_id=call.remote_id,
            thread_id=call.thread_id,
        )
    if call.action == "give up":
        return replace(entry, state="gone", remote_id=None, thread_id=None)
    if call.state == "done":
        return replace(
            entry,
            fingerprint=call.fingerprint,
            remote_id=call.remote_id,
            thread_id=call.thread_id,
            perhaps=(),
        )
    if call.action == "update" and KINDS[call.kind].update_edits:
        # Mavera holds the old words or the new ones: sending them again settles it and makes nothing twice.
        lost = (Told(call.facts, call.person_count),) if call.state == "unknown" else ()
        return replace(
            entry,
            state="failed",
            fingerprint=None,
            error=call.error or "no answer",
            perhaps=(*before.perhaps, *lost),
        )
    if call.state == "failed" and call.remote_id and not KINDS[call.kind].update_edits:
        return replace(entry, broken_id=call.remote_id)
    return entry


def _begin_row(run_id: str, action: str, price: Price, record: Announced) -> dict[str, Any]:
    with_facts = {"person_count": record.get("person_count"), "wording": record.get("wording", "")}
    return {
        "call_id": uuid.uuid4().hex,
        "run_id": run_id,
        "event": "begin",
        "kind": record["kind"],
        "record_key": record["record_key"],
        "job": record["job"],
        "action": action,
        "fingerprint": record["fingerprint"],
        "facts": _json({**record["facts"], **({SENT_WITH: with_facts} if record["facts"] else {})}),
        "payload": _json(record["payload"]),
        "credits_low": price.low,
        "credits_high": price.high,
    }


def _object(text: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(text)
    return value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
