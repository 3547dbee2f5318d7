"""The parts of a load: vendors with resources, a job for each resource, batches and outcomes."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal, NamedTuple, Protocol

import pyarrow as pa

from common.settings import Settings
from ingest import belief
from ingest.errors import RefusedError
from ingest.http import Client, Vendor
from ingest.paging import Paging, Parameters
from ingest.parallel import Reached
from ingest.typed import Table

SETTLED = timedelta(seconds=5)
"""A cursor never comes nearer to the start of the run: vendors refuse or miss what is younger."""
DEEP_EVERY = timedelta(days=7)
"""How often all of the history is read again, for rows that come later than an overlap. No vendor says how
late a row may come: a week lets no weekly figure stay wrong for longer than until the next one, and costs one
first load.
"""


Cursor = datetime | date
Pages = Iterator[pa.Table | Reached | None]


@dataclass(frozen=True)
class Resource:
    """One raw table and how it is read.

    `read` gets the client and the starting point (None: the beginning). It yields pages, and None wherever a
    later run may continue from the newest row so far, or `Reached` if from the newest row before a moment.
    `cursor` is the column that orders rows by age.
    `overlap` is how much is read again because the vendor delivers or changes it late. A resource with an
    overlap is read completely every DEEP_EVERY, unless the vendor `forgets` old rows. A `daily` resource is
    measured once a day, and again by a deep read. Rows read less than `every` ago are not read again. A
    `replaced` one is the vendor's current list, without removed rows. In one that `is_dated`, the time of a
    row never changes. `scope` is the permission that the key needs. An `optional` resource may be refused for
    lack of it, because keys made for an earlier version lack the scope: the run says so and succeeds.

    `parent` is the column that splits a replaced table into lists that are judged separately. `count` asks
    the vendor for the size of one list or of all. Rows missing from a complete read are `gone`: objects get
    `gone_at` and keep their rows, people are removed with all their rows.
    """

    table: Table
    read: Callable[[Client, Any], Pages]
    scope: str = ""
    cursor: str = ""
    overlap: timedelta = timedelta()
    forgets: bool = False
    daily: bool = False
    every: timedelta = timedelta()
    replaced: bool = False
    is_dated: bool = False
    needs_key: bool = True
    optional: bool = False
    parent: str = ""
    count: Callable[[Client, str], int | None] | None = None
    gone: Literal["", "people", "things"] = ""

    @property
    def name(self) -> str:
        return self.table.name

    @property
    def owner(self) -> str:
        """The column of the person, if the vendor can move rows of a merged person to another."""
        people = self.table.people
        return people.key if people and people.given_on else ""

    @property
    def is_read_deeply(self) -> bool:
        """Whether a usual run may have missed a row that the vendor still serves."""
        return self.daily or (bool(self.overlap) and not self.forgets)


def listed(
    table: Table, path: str, paging: Paging, scope: str = "", params: Parameters | None = None, **more: Any
) -> Resource:
    """Return a resource that is one list, requested as a whole every time."""

    def read(client: Client, _since: Any) -> Pages:
        yield from client.pages(path, table, paging, params, known={"measured_on": client.today})

    return Resource(table, read, scope, **more)


class Remark(NamedTuple):
    """A remark by a vendor on a key that it accepted, and how serious it is."""

    state: Literal["ok", "warn", "fail"]
    text: str


def _untold(_get: Callable[[str], Any], _settings: Settings, scopes: str) -> Iterator[Remark]:
    yield Remark("ok", f"{scopes}; write permissions are not reported")


@dataclass(frozen=True)
class Source:
    """A vendor, declared once: its key, address, scopes and resources.

    `key_name` is the setting of the key; `<NAME>_BASE_URL` is the setting of the address. `key_like` is an
    invented key; tests use it to check that the firewall recognizes the form. `probes` gives a path for each
    scope of the resources: its GET needs exactly that scope, is cheap and changes nothing. `{today}` in it is
    a date. `tell` asks a vendor that accepted the key for its other permissions, and `explain` says what a
    refusal means where that is specific to the vendor. Columns about people are declared with the tables
    (`Table.people`).
    """

    name: str
    title: str
    key_name: str
    key_like: str
    connect: Callable[[Settings, str], Vendor]
    resources: Callable[[Settings], Sequence[Resource]]
    probes: Mapping[str, str]
    explain: Callable[[RefusedError, Settings], str | None] = lambda _error, _settings: None
    tell: Callable[[Callable[[str], Any], Settings, str], Iterator[Remark]] = _untold

    def key(self, settings: Settings) -> str | None:
        """Return the key, or None if it is not set."""
        secret = getattr(settings, self.key_name.lower())
        return secret.get_secret_value() if secret else None

    def has_people(self, settings: Settings) -> bool:
        """Whether any of its tables is about people."""
        return any(resource.table.people for resource in self.resources(settings))


class Changes(NamedTuple):
    """What a batch adds to the warehouse: the rows to write (None for none) and how many of each kind.

    `dropped` counts the values of new rows that may not be loaded, by metric and name.
    """

    rows: pa.Table | None
    read: int
    new: int
    changed: int
    late: int
    latest_days: float
    dropped: Counter[tuple[str, str]]


@dataclass
class Outcome:
    """The outcome of one resource in this run: a row of `raw_ops.loads` and a line of the report. `deep_at`
    is the run's time if all of the history was read. `set_aside` counts by field and reason.
    """

    vendor: str
    resource: str
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    finished_at: datetime | None = None
    requests: int = 0
    waits: int = 0
    rows_read: int = 0
    rows_new: int = 0
    rows_changed: int = 0
    rows_late: int = 0
    latest_days: float = 0.0
    deep_at: datetime | None = None
    outcome: str = "loaded"
    detail: str = ""
    set_aside: list[dict[str, Any]] = field(default_factory=list)

    def count(self, changes: Changes) -> None:
        self.rows_read += changes.read
        self.rows_new += changes.new
        self.rows_changed += changes.changed
        self.rows_late += changes.late
        self.latest_days = max(self.latest_days, changes.latest_days)

    @property
    def seconds(self) -> float:
        """Seconds from the start of reading to the last row written."""
        return ((self.finished_at or self.started_at) - self.started_at).total_seconds()


@dataclass
class Job:
    """One resource being read: its client, starting point and outcome. A deep job rereads everything, a fresh
    one was read so lately that it is left out.
    """

    source: Source
    resource: Resource
    client: Client
    outcome: Outcome
    last: Cursor | None = None
    is_deep: bool = False
    is_fresh: bool = False
    error: Exception | None = None
    before: belief.Sizes = field(default_factory=dict)
    remembered: Mapping[str, belief.Doubt] = field(default_factory=dict)
    doubts: Sequence[belief.Doubt] = ()
    is_believed: bool = False
    is_read: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether everything the vendor has is read, so that rows missing from the answer are gone."""
        return self.start is None and not self.is_measured

    @property
    def is_measured(self) -> bool:
        """Whether nothing is read: it is fresh, or is measured once a day, and was today."""
        return self.is_fresh or (self._is_of_today and not self.is_deep)

    @property
    def _is_of_today(self) -> bool:
        return self.resource.daily and self.last == self.client.today

    @property
    def is_guarded(self) -> bool:
        """Whether rows may be removed because an answer lacks them."""
        return self.is_whole and bool(self.resource.replaced or self.resource.gone)

    @property
    def start(self) -> Cursor | None:
        """The starting point of the read, None for the beginning. If the clock was set back, reading starts
        there, so that no day is skipped.
        """
        if self.last is None or self.is_deep:
            return None
        return min(self.last, self.now) - self.resource.overlap

    @property
    def now(self) -> Cursor:
        """The start of the run, in the cursor's type."""
        return self.client.started_at if isinstance(self.last, datetime) else self.client.today

    @property
    def full_name(self) -> tuple[str, str]:
        """The names of its vendor and its resource."""
        return self.source.name, self.resource.name

    @property
    def name(self) -> str:
        return " ".join(self.full_name)

    @property
    def is_refused(self) -> bool:
        """Whether the key lacks the scope of this resource."""
        return isinstance(self.error, RefusedError) and self.error.lacks_scope

    @property
    def is_skipped(self) -> bool:
        """Whether it was skipped because the key lacks an optional scope."""
        return self.resource.optional and self.is_refused

    @property
    def has_failed(self) -> bool:
        return self.error is not None and not self.is_skipped


@dataclass(frozen=True)
class Batch:
    """Rows that were read; `until` is the new cursor once they are in the warehouse. `keyless` lists the rows
    that cannot be loaded: a digest of each, the field and the reason.
    """

    job: Job
    rows: pa.Table
    until: Cursor | None = None
    is_last: bool = False
    error: Exception | None = None
    keyless: tuple[tuple[str, str, str], ...] = ()


class Report(Protocol):
    """Receives progress."""

    def begin(self, jobs: Sequence[Job]) -> None:
        """Reading starts."""

    def skip(self, source: str, reason: str) -> None:
        """A source is skipped."""

    def finish(self, job: Job) -> None:
        """A resource is finished or failed."""


@dataclass
class Summary:
    """The result of a run; `errors` and `notices` are lines for people."""

    jobs: Sequence[Job]
    skipped: dict[str, str]
    errors: list[str]
    notices: list[str]

    @property
    def doubts(self) -> list[belief.Doubt]:
        """The answers that were not believed."""
        return [doubt for job in self.jobs for doubt in job.doubts]
