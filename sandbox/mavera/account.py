"""An account at Mavera: its plan, workspaces and credits, and the SQLite file that stores all objects."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from sandbox.mavera.requests import Refusal, Row, invalid, iso, made_at

PERSONA_CREDITS: Final = 300


class Plan(NamedTuple):
    """A price tier: requests in any 60 seconds, credits in a calendar month."""

    requests: int
    credits: int


PLANS: Final[Mapping[str, Plan]] = {
    "starter": Plan(60, 500),
    "basic": Plan(120, 2_000),
    "professional": Plan(240, 5_000),
    "enterprise": Plan(600, 50_000),  # negotiated, so any allocation is equally plausible
}


class Workspace(NamedTuple):
    """`usage_limit` is the most credits it may use a month; None leaves only the plan's balance."""

    workspace_id: str
    name: str
    usage_limit: int | None


# The first is the default: personas, and requests without a workspace, are charged to it.
WORKSPACES: Final = (
    Workspace("ws_sandbox", "Sandbox", None),
    Workspace("ws_sandbox_tight", "Sandbox on a tight budget", 40),
)


def require_workspace(workspace_id: object) -> None:
    """Raise Refusal for an unknown workspace."""
    if workspace_id not in {workspace.workspace_id for workspace in WORKSPACES}:
        raise invalid("workspace_id", "is not a workspace of this account")


SCHEMA: Final = """
create table if not exists objects (
    position integer primary key autoincrement,
    kind text not null,
    object_id text not null unique,
    body text not null
);
create table if not exists uploads (
    key text primary key,
    signature text not null,
    file_type text not null,
    file_size integer not null,
    checksum text,
    expires_at text not null,
    content blob
);
create table if not exists charges (
    position integer primary key autoincrement,
    object_id text not null,
    workspace_id text not null,
    credits integer not null,
    charged_at text not null
);
"""


class Account:
    """The objects of an account, its credits, and the behavior of its Mavera.

    `state` is a SQLite file (created when absent; None keeps all in memory), `balance` the credits of a
    calendar month in UTC (None: the plan's). `plan` and the following may be changed at any time.
    `chat_seconds` is how long Mave thinks before its work is done and charged. `study_seconds`,
    `voice_seconds` and `generation_seconds` are the times of a focus group, a brand voice and a slow app.
    `studies_to_fail` and `voices_to_fail` count the next ones that fail, charged all the same.
    `list_lag_seconds` is how long lists omit a new object; `shuffle` reorders the rows of a list. `now` is
    its clock. `manners` are other ways of answering (sandbox/mavera/manners.py). It refuses `refused_fields`
    of a persona although the reference has them.
    """

    def __init__(self, state: Path | None = None, strict: bool = True, balance: int | None = None) -> None:
        self.strict = strict
        # Fields of the reference, and fields outside it; either may turn out otherwise.
        self.persona_credits, self.persona_edit_credits = PERSONA_CREDITS, 0
        self.plan = PLANS["professional"]
        self.balance = self.plan.credits if balance is None else balance
        self.chat_seconds = 0.0
        self.study_seconds = 1.0
        self.studies_to_fail = 0
        self.voice_seconds = 1.0
        self.voices_to_fail = 0
        self.generation_seconds = 1.0
        self.list_lag_seconds = 0.0
        self.shuffle: Callable[[list[Row]], None] | None = None
        self.manners: set[str] = set()
        self.refused_fields: set[str] = set()
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        if state:
            state.parent.mkdir(parents=True, exist_ok=True)
        # One connection serves all: handlers share an event loop and never pause inside a transaction. The
        # loop may run in another thread than the one that builds this object.
        self.state = sqlite3.connect(state or ":memory:", check_same_thread=False)
        self.state.executescript(f"pragma synchronous = full; {SCHEMA}")

    def summary(self) -> Row:
        """Return the number of objects of each kind, all credits spent, and the rest of the balance."""
        ((personas, threads, studies, voices, generations, spent),) = self.query(
            """
            select
                (select count(*) from objects where kind = 'persona'),
                (select count(*) from objects where kind = 'thread'),
                (select count(*) from objects where kind = 'focus group'),
                (select count(*) from objects where kind = 'brand voice'),
                (select count(*) from objects where kind = 'generation'),
                (select coalesce(sum(credits), 0) from charges)
            """
        )
        balance = self.balance - self.spent_this_month()
        counts = {"personas": personas, "threads": threads, "focus_groups": studies, "brand_voices": voices}
        return counts | {"generations": generations, "credits_spent": spent, "balance": balance}

    def known(self, fields: Row, known: frozenset[str]) -> Row:
        """Return the `fields` that the endpoint knows; strict raises Refusal for the first unknown one."""
        for field in fields:
            if self.strict and field not in known:
                raise invalid(field, "is not a field of this request")
        return {field: value for field, value in fields.items() if field in known}

    def stage(self, work: Row, seconds: float) -> str:
        """Return how far work that takes `seconds` is: pending for a third of its time, then in progress."""
        age = (self.now() - datetime.fromisoformat(work["created_at"])).total_seconds()
        if age < seconds:
            return "pending" if age < seconds / 3 else "processing"
        return "failed" if work["fails"] else "completed"

    # Actions of a person on Mavera's own pages: no endpoint for them is documented

    def delete_by_hand(self, object_id: str) -> None:
        with self.state:
            self.state.execute("delete from objects where object_id = ?", (object_id,))

    def edit_by_hand(self, object_id: str, **fields: str) -> None:
        """Set fields of an object; raises KeyError if there is none."""
        found = self.query("select kind, body from objects where object_id = ?", object_id)
        if not found:
            raise KeyError(object_id)
        ((kind, body),) = found
        with self.state:
            self.save(kind, json.loads(body) | fields)

    def load(self, kind: str, object_id: object) -> Row:
        rows = self.query("select body from objects where kind = ? and object_id = ?", kind, str(object_id))
        if not rows:
            raise Refusal(404, message=f"There is no such {kind}.")
        loaded: Row = json.loads(rows[0][0])
        return loaded

    def listed(self, kind: str, *, newest_first: bool = False, by: str = "") -> list[Row]:
        """Return the objects of a kind that lists already show, in the order of creation or by time `by`."""
        shown_until = self.now() - timedelta(seconds=self.list_lag_seconds)
        bodies = self.query("select body from objects where kind = ? order by position", kind)
        rows = [row for (body,) in bodies if made_at(row := json.loads(body)) <= shown_until]
        if newest_first:
            rows.reverse()
        if by:
            rows.sort(key=lambda row: str(row[by]), reverse=True)
        if self.shuffle:
            self.shuffle(rows)
        return rows

    def save(self, kind: str, body: Row) -> None:
        self.state.execute(
            """
            insert into objects (kind, object_id, body) values (?, ?, ?)
            on conflict (object_id) do update set body = excluded.body
            """,
            (kind, body["id"], json.dumps(body)),
        )

    @contextmanager
    def charged(self, object_id: str, credits_used: int, workspace_id: str) -> Iterator[None]:
        """Commit the block's work and its price together; raises Refusal (402) first if it costs too much."""
        if self.spent_this_month() + credits_used > self.balance:
            raise Refusal(402)
        limit = next(workspace.usage_limit for workspace in WORKSPACES if workspace[0] == workspace_id)
        if limit is not None and self.spent_this_month(workspace_id) + credits_used > limit:
            raise Refusal(402, "budget_exceeded", "The workspace's usage limit is reached.")
        with self.state:
            yield
            self.state.execute(
                "insert into charges (object_id, workspace_id, credits, charged_at) values (?, ?, ?, ?)",
                (object_id, workspace_id, credits_used, iso(self.now())),
            )

    def spent_this_month(self, workspace_id: str | None = None) -> int:
        month = f"{self.now():%Y-%m}"
        ((spent,),) = self.query(
            """
            select coalesce(sum(credits), 0) from charges
            where charged_at like ? || '%' and coalesce(workspace_id = ?, true)
            """,
            *(month, workspace_id),
        )
        return int(spent)

    def query(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return self.state.execute(query, values).fetchall()
