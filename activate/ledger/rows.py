"""The tables of the ledger, and the calls that their rows describe."""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, NotRequired, TypedDict

import sqlalchemy as sa

from activate.plan import Price, Record

SCHEMA_VERSION: Final = 2

State = Literal["done", "failed", "unknown", "waiting"]
CreditsSource = Literal["answered", "documented"]
# A person's decision about an object that drifted: put back what was sent, leave it deleted, or ignore an
# object that does not belong to this ledger.
Decision = Literal["restore", "give up", "let be"]
BY_HAND: Final = "by hand"  # the run id of a person's decisions
WRITTEN_OFF: Final = "taken as lost"  # the error of a call that was not found in time

metadata = sa.MetaData()
versions = sa.Table("schema_version", metadata, sa.Column("version", sa.Integer, nullable=False))
journal = sa.Table(
    "journal",
    metadata,
    sa.Column("entry_id", sa.Integer, primary_key=True, autoincrement=True),
    # Joins a begin row with its end rows, of which the last counts.
    sa.Column("call_id", sa.Text, nullable=False, index=True),
    # begin, end; note: the start of a run, with its number of steps in payload; takeover: the former owner is
    # in error; decision: a person's decision about an object that drifted, without a call; original: what an
    # object of the account's own said before we added to it, in answer.
    sa.Column("event", sa.Text, nullable=False),
    # ISO 8601 in UTC, by the real clock even if RUN_AT is set: money is spent in real time.
    sa.Column("written_at", sa.Text, nullable=False),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("destination", sa.Text, nullable=False),
    sa.Column("kind", sa.Text),
    sa.Column("record_key", sa.Text),
    sa.Column("job", sa.Text),
    # create, update, adopt; remove: our part of an own object; of a later end row: poll, look up,
    # adopt, forget, charged; of a decision: one of Decision.
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
# A separate table, so that a journal without receipts (layout 1) can still be read.
receipts = sa.Table(
    "receipts",
    metadata,
    sa.Column("entry_id", sa.Integer, primary_key=True, autoincrement=False),
    # SHA-256 of the previous receipt and of the row's values without its number, as JSON.
    sa.Column("receipt", sa.Text, nullable=False),
)
# Binds plan files and accounts to this ledger. A separate table, so that older versions can still read it.
identity = sa.Table(
    "identity",
    metadata,
    # secret: 32 random bytes in hexadecimal; any other name: the fingerprint of an account's key.
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
# The key in a begin row's facts for values that were sent with the facts but are none.
SENT_WITH: Final = "sent_with"


OF_RECORD: Final = ("kind", "record_key", "job", "fingerprint")  # columns of every row about a record


class Texts(NamedTuple):
    """The texts of a begin row, as JSON."""

    facts: str
    payload: str


@dataclass(frozen=True, slots=True)
class Call:
    """One call in the journal: its announcement, and its end if there is one.

    `number` is that of its begin row, whose texts are read when they are asked for.
    """

    number: int
    texts: Callable[[int], Texts] = field(repr=False, compare=False)
    call_id: str
    run_id: str
    kind: str
    record_key: str
    job: str
    action: str
    fingerprint: str
    begun_at: datetime
    credits_high: int
    remote_id: str | None
    state: State = "unknown"
    closed_by: str = ""
    thread_id: str | None = None
    credits: int = 0
    credits_source: str = ""
    error: str = ""
    is_answered: bool = False  # by a 2xx with any content
    is_edit: bool = False  # of an object in place, so that it may be repeated blindly

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.record_key}"

    @property
    def is_written_off(self) -> bool:
        """Whether it was written off as lost and counts at its highest price until a person decides."""
        return self.error == WRITTEN_OFF and self.closed_by == "look up"

    @property
    def counted(self) -> int:
        """The credits that count against a budget: the highest while nobody knows them."""
        return self.credits_high if self.state == "unknown" and not self.credits_source else self.credits

    @property
    def facts(self) -> dict[str, Any]:
        facts = as_object(self.texts(self.number).facts)
        return {name: value for name, value in facts.items() if name != SENT_WITH}

    @property
    def person_count(self) -> int | None:
        return self._sent_with.get("person_count")

    @property
    def wording(self) -> str:
        return str(self._sent_with.get("wording", ""))

    @property
    def _sent_with(self) -> dict[str, Any]:
        """The values stored with the facts; empty in rows of older versions."""
        sent_with: dict[str, Any] = as_object(self.texts(self.number).facts).get(SENT_WITH, {})
        return sent_with

    @property
    def payload(self) -> dict[str, Any]:
        return as_object(self.texts(self.number).payload)


class Announced(TypedDict):
    """The fields of a begin row that describe the call's record.

    `person_count` and `wording` are stored with the facts, because receipts fix the layout of rows.
    """

    kind: str
    record_key: str
    job: str
    fingerprint: str
    facts: Mapping[str, Any]
    payload: Mapping[str, Any]
    person_count: NotRequired[int | None]
    wording: NotRequired[str]


def announced(record: "Record | Call") -> Announced:
    return {
        "kind": record.kind,
        "record_key": record.record_key,
        "job": record.job,
        "fingerprint": record.fingerprint,
        "facts": record.facts,
        "payload": record.payload,
        "person_count": record.person_count,
        "wording": record.wording,
    }


class Ending(TypedDict, total=False):
    """The fields of an end row; omitted ones are as announced, or unknown."""

    action: str
    fingerprint: str
    remote_id: str | None
    thread_id: str | None
    credits_spent: int | None
    credits_source: CreditsSource | None
    error: str
    answer: Any


@dataclass(frozen=True)
class Run:
    """One apply that had something to send: its number of steps at the start, and its calls."""

    run_id: str
    began_at: datetime
    steps: int
    calls: tuple[Call, ...] = ()


def begun(row: Any, texts: Callable[[int], Texts]) -> Call:
    return Call(
        number=row.entry_id,
        texts=texts,
        call_id=row.call_id,
        run_id=row.run_id,
        kind=row.kind,
        record_key=row.record_key,
        job=row.job,
        action=row.action,
        fingerprint=row.fingerprint,
        begun_at=datetime.fromisoformat(row.written_at),
        credits_high=row.credits_high,
        remote_id=row.remote_id,
        # Only a call that edits in place is announced with its object's id.
        is_edit=row.action in {"update", "remove"} and row.remote_id is not None,
    )


def ended(call: Call, row: Any) -> Call:
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
        is_answered=call.is_answered or bool(row.is_answered),
    )


def begin_row(run_id: str, action: str, price: Price, record: Announced) -> dict[str, Any]:
    with_facts = {"person_count": record.get("person_count"), "wording": record.get("wording", "")}
    return {
        **{name: value for name, value in record.items() if name in OF_RECORD},
        "call_id": uuid.uuid4().hex,
        "run_id": run_id,
        "event": "begin",
        "action": action,
        "facts": as_json({**record["facts"], **({SENT_WITH: with_facts} if record["facts"] else {})}),
        "payload": as_json(record["payload"]),
        "credits_low": price.low,
        "credits_high": price.high,
    }


def as_object(text: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(text)
    return value


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
