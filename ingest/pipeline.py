"""Read every source side by side, write to the warehouse one package at a time, say what came in.

Reading threads turn pages into batches; the writer takes what is there, leaves out what the warehouse already
has, and gives the rest to the source's dlt pipeline as one package. The cursor that they move counts only
once all rows of the package are committed, and rows that are there are not loaded again, so a run may be
killed at any instant; a resource whose reading failed is in no package. The warehouse is the only memory:
what an interrupted run left in the working folder is removed, and cursor and schema are taken from the
warehouse before anything is read.
"""

import json
import os
import queue
import shutil
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, cast
from urllib.parse import urlsplit

import dlt
import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import requests
from dlt.extract import DltResource
from dlt.pipeline.exceptions import PipelineStepFailed

from common import terminal, warehouse
from common.settings import Settings
from ingest import allowed, belief, captions, gone, people
from ingest.ceilings import Ceilings
from ingest.http import Client, OutageError, RefusedError, SourceError, Vendor
from ingest.people import Addresses, Forgotten
from ingest.typed import Aside, ChangedTypeError, Form, Table
from privacy import outside, pseudonyms

BATCH_ROWS = 100_000
"""Rows a package holds at most, give or take a page: bounds memory and what a killed run reads again."""
BATCHES_WAITING = 4
GATHER_SECONDS = 1.0
"""A package costs dlt a third of a second whatever is in it: batches that come close together share one."""
SETTLED = timedelta(seconds=5)
"""A cursor never comes nearer to the start of the run: vendors refuse or miss what is younger."""
DEEP_EVERY = timedelta(days=7)
"""What comes later than an overlap is found by reading all of the history again, so often. No vendor says how
late a row may come: a week lets no weekly figure stay wrong for longer than until the next one, and costs one
first load.
"""

SET_ASIDE = "set_aside"
"""The column beside the rows of a load that no table has."""
GONE = "gone"
"""Why nothing was read of something that was listed."""

Cursor = datetime | date
Pages = Iterator[pa.Table | None]


class NotStartedError(Exception):
    """Nothing was read or written; the text says what to do."""


class BrokenOffError(Exception):
    """The warehouse can be written no longer; what was loaded before stands, the text says what to do."""


@dataclass(frozen=True)
class Resource:
    """One raw table and how it is read.

    `read` gets the client and where to start (None: at the beginning). It yields pages, and None where a
    later run may go on from the newest row so far. `cursor` is the column that tells how new a row is,
    `overlap` how much is read again because the vendor delivers or changes it late; what has one is read
    whole every DEEP_EVERY, unless the vendor `forgets` old rows. A `daily` resource is measured once a day,
    and again by a deep read. A `replaced` one is the vendor's current list, without what has gone. `scope` is
    what the key must be allowed. An `optional` resource may be refused for lack of it: keys that were made
    for an earlier version do not have the scope yet. The run says so and ends well.

    `parent` is the column that parts a replaced table into lists which are judged one by one; `count` asks
    the vendor how many rows a list has, or all of it. What a whole read no longer lists is `gone`: things get
    `gone_at` and keep their rows, people are removed with all that is theirs. `owner` is the column of the
    person whose row it is, where the vendor gives rows of a merged person to another.
    """

    table: Table
    read: Callable[[Client, Any], Pages]
    scope: str = ""
    cursor: str = ""
    overlap: timedelta = timedelta()
    forgets: bool = False
    daily: bool = False
    replaced: bool = False
    needs_key: bool = True
    optional: bool = False
    parent: str = ""
    count: Callable[[Client, str], int | None] | None = None
    gone: Literal["", "people", "things"] = ""
    owner: str = ""

    @property
    def is_read_deeply(self) -> bool:
        """Whether a usual run may have missed a row that the vendor still serves."""
        return self.daily or (bool(self.overlap) and not self.forgets)


@dataclass(frozen=True)
class Source:
    """A vendor: how to reach it with a key, and its resources.

    `probes` gives for each scope of the resources a path whose GET needs just that, is cheap and changes
    nothing; `{today}` in it is a date.
    """

    name: str
    key_name: str
    connect: Callable[[Settings, str], Vendor]
    resources: Callable[[Settings], Sequence[Resource]]
    explain: Callable[[RefusedError, Settings], str | None] = lambda _error, _settings: None
    probes: Mapping[str, str] = field(default_factory=dict)

    def key(self, settings: Settings) -> str | None:
        secret = getattr(settings, self.key_name.lower())
        return secret.get_secret_value() if secret else None


class Changes(NamedTuple):
    """What a batch adds to the warehouse: the rows to write, None for nothing, and how many of which kind."""

    rows: pa.Table | None
    read: int
    new: int
    changed: int
    late: int
    latest_days: float


@dataclass
class Outcome:
    """What one resource came to in this run; a row of `raw_ops.loads`, a line of the report. `deep_at` is the
    run's moment where all of the history has been read. `set_aside` counts by field and reason.
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
        """From the start of reading to the last row written."""
        return ((self.finished_at or self.started_at) - self.started_at).total_seconds()


@dataclass
class Job:
    """One resource being read: its client, where it starts, what came of it. A deep one starts anew."""

    source: Source
    resource: Resource
    client: Client
    outcome: Outcome
    last: Cursor | None = None
    is_deep: bool = False
    error: Exception | None = None
    before: belief.Sizes = field(default_factory=dict)
    remembered: Mapping[str, belief.Doubt] = field(default_factory=dict)
    doubts: Sequence[belief.Doubt] = ()
    is_believed: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether all that the vendor has is read, so that what is not in the answer is gone."""
        return self.start is None and not _is_measured(self)

    @property
    def is_guarded(self) -> bool:
        """Whether rows may go because an answer lacks them."""
        return self.is_whole and bool(self.resource.replaced or self.resource.gone)

    @property
    def start(self) -> Cursor | None:
        """Where reading starts, None at the beginning. A clock that was set back is followed, lest its days
        are read by nobody.
        """
        if self.last is None or self.is_deep:
            return None
        return min(self.last, self.now) - self.resource.overlap

    @property
    def now(self) -> Cursor:
        """The start of the run, as the cursor tells time."""
        return self.client.started_at if isinstance(self.last, datetime) else self.client.today

    @property
    def name(self) -> str:
        return f"{self.source.name} {self.resource.table.name}"

    @property
    def is_refused(self) -> bool:
        """Whether the key lacks the scope of this resource."""
        return isinstance(self.error, RefusedError) and self.error.lacks_scope

    @property
    def is_skipped(self) -> bool:
        """Whether it was left out because the key lacks a scope that this resource does not insist on."""
        return self.resource.optional and self.is_refused

    @property
    def has_failed(self) -> bool:
        return self.error is not None and not self.is_skipped


@dataclass(frozen=True)
class Batch:
    """Rows that were read; `until` is where the cursor may move to once they are in the warehouse. `keyless`
    are those that cannot be loaded: a digest of each, the field and the reason.
    """

    job: Job
    rows: pa.Table
    until: Cursor | None = None
    is_last: bool = False
    error: Exception | None = None
    keyless: tuple[tuple[str, str, str], ...] = ()


class Report(Protocol):
    """Where progress goes."""

    def begin(self, jobs: Sequence[Job]) -> None:
        """Reading starts."""

    def skip(self, source: str, reason: str) -> None:
        """A source is left out."""

    def finish(self, job: Job) -> None:
        """A resource is done, one way or the other."""


@dataclass
class Summary:
    """What a run came to; `errors` and `notices` are lines for people."""

    jobs: Sequence[Job]
    skipped: dict[str, str]
    errors: list[str]
    notices: list[str]

    @property
    def doubts(self) -> list[belief.Doubt]:
        """What was not believed."""
        return [doubt for job in self.jobs for doubt in job.doubts]


def run(
    settings: Settings,
    every: Sequence[Source],
    chosen: Sequence[str],
    report: Report,
    *,
    deep: bool = False,
    believe: Sequence[str] = (),
) -> Summary:
    """Load the `chosen` of `every` source and return what came in.

    `deep` reads all of what may come late; an emptier answer of a resource that `believe` names needs no
    second witness.

    Raises NotStartedError when there is no key, the warehouse is in use, or it holds another world's rows,
    BrokenOffError when it cannot be written.
    """
    sources = [source for source in every if source.name in chosen]
    keys = {source.name: source.key(settings) for source in every}
    skipped = {source.name: f"{source.key_name} is not set" for source in sources if not keys[source.name]}
    now = settings.now()
    jobs = [job for source in sources for job in _jobs(source, keys[source.name], settings, now)]
    if not any(keys.values()) and (jobs or len(skipped) > 1):
        raise NotStartedError(
            "no vendor key is set. Copy .env.example to .env, or try make demo, which needs none"
        )
    if not jobs:
        raise NotStartedError(f"nothing to load: {', '.join(skipped.values())}. See .env.example")
    try:
        believed = belief.chosen(believe, [job.name for job in jobs])
    except ValueError as error:
        raise NotStartedError(f"--believe: {error}") from None
    for job in jobs:
        job.is_believed = job.name in believed
    file = Warehouse(settings)
    warehouse.keep_private(settings.private_paths)
    try:
        tables = [resource.table for source in every for resource in source.resources(settings)]
        file.prepare(tables)
        file.keep_to_addresses()
        file.strip(tables, now)
        file.claim([source.name for source in sources if keys[source.name]])
        for name, reason in skipped.items():
            report.skip(name, reason)
        _set_out(jobs, file, deep=deep)
        _read_and_write(jobs, file, report, settings.believe_shrink_share)
        file.cut_captions()
    except Exception as error:
        if terminal.was_interrupted():
            raise KeyboardInterrupt from error  # of which DuckDB and dlt make errors of their own
        if isinstance(error, PipelineStepFailed | duckdb.Error | OSError):
            raise BrokenOffError(warehouse.explain(settings.warehouse_path, error)) from error
        raise
    finally:
        file.close()
    vendors = {job.source.name: job.client.vendor for job in jobs}
    notices = [
        outside.words(f"{name}: {notice}") for name, vendor in vendors.items() for notice in vendor.notices
    ]
    notices += _clock(jobs) + _lacking(jobs)
    found = [doubt for job in jobs for doubt in job.doubts]
    lasting = [doubt for doubt in found if now - doubt.first_seen_at >= belief.PERSISTS]
    notices += belief.lines(doubt for doubt in found if doubt not in lasting)
    return Summary(jobs, skipped, _errors(jobs, settings) + belief.lines(lasting), notices)


def _jobs(source: Source, key: str | None, settings: Settings, now: datetime) -> list[Job]:
    vendor = source.connect(settings, key or "")
    vendor.ceilings = Ceilings.of(settings)
    return [
        Job(source, resource, Client(vendor, now), Outcome(source.name, resource.table.name))
        for resource in source.resources(settings)
        if key or not resource.needs_key
    ]


def _set_out(jobs: Sequence[Job], file: "Warehouse", *, deep: bool) -> None:
    """Find out where each job starts, and which read all of their history."""
    read = file.deep_reads()
    for job in jobs:
        job.last = file.last(job)
        _set_depth(job, read, deep=deep)
        if job.is_guarded:
            file.look_back(job)


def _set_depth(job: Job, read: Mapping[str, datetime | None], *, deep: bool) -> None:
    """Decide whether a job reads all of its history."""
    if job.resource.is_read_deeply:
        now, at = job.client.started_at, read.get(job.name)
        is_first = job.name not in read  # or goes on where a first load was interrupted
        # A deep read in the future is of a clock that was wrong, and proves nothing.
        is_due = not is_first and (at is None or not timedelta() <= now - at < DEEP_EVERY)
        job.is_deep = deep or is_due
        if is_first or job.is_deep:
            job.outcome.deep_at = now


def _clock(jobs: Sequence[Job]) -> list[str]:
    """One line where the clock is behind what was loaded before."""
    ahead = [job for job in jobs if job.last is not None and job.last > job.now]
    if not ahead:
        return []
    now, latest = ahead[0].client.started_at, max(f"{job.last:%Y-%m-%d %H:%M}" for job in ahead)
    line = (
        f"the clock says {now:%Y-%m-%d %H:%M} UTC, but loads reach to {latest}: set the clock, or RUN_AT, "
        "right. Nothing is lost, no cursor moved back"
    )
    return [line]


def _lacking(jobs: Sequence[Job]) -> list[str]:
    """One line for each optional scope that a key lacks, with the tables that were not read for it."""
    lacking: dict[tuple[str, str], list[str]] = {}
    for job in jobs:
        if job.is_skipped:
            lacking.setdefault((job.source.name, job.resource.scope), []).append(job.resource.table.name)
    return [
        f"{name}: the key lacks {scope}: {', '.join(tables)} not loaded. Add the scope to the key to get them"
        for (name, scope), tables in lacking.items()
    ]


def _read_and_write(jobs: Sequence[Job], file: "Warehouse", report: Report, share: float) -> None:
    """Read every job in a thread of its own, and write in this one what the threads bring."""
    batches: queue.Queue[Batch] = queue.Queue(BATCHES_WAITING)
    report.begin(jobs)
    threads = [threading.Thread(target=_read, args=(job, batches, share), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    open_jobs = len(jobs)
    while open_jobs:
        taken = _gathered(batches, open_jobs)
        sources: dict[str, list[Batch]] = {}
        for batch in _joined(taken):
            sources.setdefault(batch.job.source.name, []).append(batch)
        for together in sources.values():
            _write(together, file)
        for job in [batch.job for batch in taken if batch.is_last]:
            open_jobs -= 1
            file.settle(job)
            file.record(job)
            report.finish(job)
    file.follow(jobs)
    for (
        thread
    ) in threads:  # each has put its last batch; DuckDB complains of cursors that outlive the program
        thread.join()


def _gathered(batches: "queue.Queue[Batch]", open_jobs: int) -> list[Batch]:
    """What comes within a moment of the first batch, or until nobody is left to wait for."""
    taken = [batches.get()]
    until = time.monotonic() + GATHER_SECONDS
    while (
        sum(batch.rows.num_rows for batch in taken) < BATCH_ROWS
        and sum(batch.is_last for batch in taken) < open_jobs
    ):
        try:
            taken.append(batches.get(timeout=max(until - time.monotonic(), 0)))
        except queue.Empty:
            break
    return taken


def _joined(taken: Sequence[Batch]) -> list[Batch]:
    """One batch per job, in the order of reading. Those of a job that failed are left out, now and later: its
    cursor would pass rows that were not kept.
    """
    joined: dict[str, Batch] = {}
    for batch in taken:
        batch.job.error = batch.job.error or batch.error
        before = joined.get(batch.job.name)
        rows = pa.concat_tables([before.rows, batch.rows]) if before else batch.rows
        keyless = (*before.keyless, *batch.keyless) if before else batch.keyless
        joined[batch.job.name] = replace(batch, rows=rows, keyless=keyless)
    return [batch for batch in joined.values() if batch.job.error is None]


def _write(batches: Sequence[Batch], file: "Warehouse") -> None:
    """Write batches of one source in one package; where that fails, one by one, to find whose fault it is."""
    try:
        file.write(batches)
    except Exception as error:
        if isinstance(error, OSError) or warehouse.is_full(error) or terminal.was_interrupted():
            raise  # it is nobody's rows
        file.forget(batches[0].job.source.name)
        if len(batches) == 1:
            batches[0].job.error = error
            return
        for batch in batches:
            _write([batch], file)


def _read(job: Job, batches: "queue.Queue[Batch]", share: float) -> None:
    """Put everything that `job` has to read into `batches`; the last one comes even when reading fails."""
    resource = job.resource
    rows = nothing = _with_aside(resource.table.arrow_schema.empty_table())
    keyless: list[tuple[str, str, str]] = []
    form = Form(resource.table)
    until = newest = job.last
    sizes: Counter[str] = Counter()
    settled = job.client.started_at - SETTLED
    try:
        for page in () if _is_measured(job) else resource.read(job.client, job.start):
            if page is None:
                until = newest
            else:
                form.take(page, resource.cursor)
                rows = pa.concat_tables([rows, _with_aside(page)])
                keyless += Aside.of(page).rows
                sizes += _sizes(page, resource.parent)
                job.client.tally.rows += page.num_rows
                newest = _newest(newest, page, resource.cursor, settled)
            if rows.num_rows >= BATCH_ROWS and not resource.replaced:
                form.check()
                batches.put(Batch(job, rows, until, keyless=tuple(keyless)))
                rows, keyless = nothing, []
        form.check()
        job.doubts = _doubts(job, sizes, share)
        batches.put(Batch(job, rows, newest, is_last=True, keyless=tuple(keyless)))
    except Exception as error:  # a thread has no caller: whatever it is, the writer reports it
        batches.put(Batch(job, nothing, is_last=True, error=error))


def _with_aside(page: pa.Table) -> pa.Table:
    """A page with what was set aside of each row beside it, as JSON of field to reason."""
    values = Aside.of(page).values
    noted = [json.dumps(values[place]) if place in values else None for place in range(page.num_rows)]
    column = pa.array(noted, pa.string()) if values else pa.nulls(page.num_rows, pa.string())
    return page.replace_schema_metadata(None).append_column(SET_ASIDE, column)


def _sizes(page: pa.Table, parent: str) -> Counter[str]:
    """How many rows a page has, by the list that they belong to."""
    return Counter(page.column(parent).to_pylist()) if parent else Counter({"": page.num_rows})


def _doubts(job: Job, sizes: belief.Sizes, share: float) -> list[belief.Doubt]:
    """What of a whole answer is too empty to be believed alone."""
    if not job.is_guarded or job.is_believed:
        return []
    resource, name = job.resource, (job.source.name, job.resource.table.name)
    at = job.client.started_at

    def count(parent: str) -> int | None:
        return resource.count(job.client, parent) if resource.count else None

    return belief.doubts(name, job.before, sizes, share, at, job.remembered, count)


def _is_measured(job: Job) -> bool:
    return job.resource.daily and job.last == job.client.today and not job.is_deep


def _newest(newest: Cursor | None, page: pa.Table, cursor: str, settled: datetime) -> Cursor | None:
    """The highest cursor value so far; a row that claims to be from the future does not count."""
    if not cursor or not page.num_rows:
        return newest
    moments = page.column(cursor)
    latest = settled if pa.types.is_timestamp(moments.type) else settled.date()
    highest: Any = pc.max(moments.filter(pc.less_equal(moments, pa.scalar(latest, moments.type)))).as_py()
    return newest if highest is None else max(newest or highest, highest)


def _errors(jobs: Sequence[Job], settings: Settings) -> list[str]:
    """One line for each thing that went wrong: what, then what to do. What a vendor answers alike to several
    resources, as in an outage or to a wrong key, is said once for it.
    """
    errors: dict[str, None] = {}
    failed = [job for job in jobs if job.error is not None and job.has_failed]
    alike: dict[str, list[Job]] = {}
    for job in failed:
        alike.setdefault(_cause(job), []).append(job)
    for job in failed:
        together = alike[_cause(job)]
        line = _said_once(together, jobs, settings) if len(together) > 1 else ""
        line = line or _error(job, jobs, settings)
        errors[line] = None
        job.outcome.detail = line
    return list(errors)


def _cause(job: Job) -> str:
    """Return what is the same of resources that failed for one reason."""
    name, error = job.source.name, job.error
    if isinstance(error, OutageError):
        return f"{name} outage"
    return f"{name} {error.status}" if isinstance(error, RefusedError) else job.name


def _said_once(failed: Sequence[Job], jobs: Sequence[Job], settings: Settings) -> str:
    """Say in one line what a vendor answers to all of `failed`; "" where each has a line of its own."""
    source, error = failed[0].source, failed[0].error
    asked = [job for job in jobs if job.source is source and job.resource.needs_key]
    host, base_url = urlsplit(failed[0].client.vendor.base_url).netloc, f"{source.name.upper()}_BASE_URL"
    names = ", ".join(job.resource.table.name for job in failed[:3])
    more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
    is_whole = len(failed) == len(asked)
    stay = "Nothing loaded from it" if is_whole else f"Not loaded: {names}{more}"
    if isinstance(error, OutageError):
        ((problem, _),) = Counter(str(getattr(job.error, "problem", "")) for job in failed).most_common(1)
        what = f"{host} answers {problem}" if problem.isdigit() else f"{host} cannot be reached ({problem})"
        do = f"check network, proxy and {base_url}" if not problem.isdigit() else "the vendor is in trouble"
        return f"{source.name}: {what}: {do}. {stay}; the next run reads it again"
    if not isinstance(error, RefusedError) or source.explain(error, settings):
        return ""
    if error.status == requests.codes.unauthorized and not failed[0].is_refused:
        return ""
    if failed[0].is_refused:
        lacks = f"{source.name} refused {source.key_name} ({error.status}) everywhere: it lacks every scope"
        return f"{lacks}, or is another's. {stay}. Run make doctor" if is_whole else ""
    what = f"{source.name}: {host} answers {error.status} to {names}{more}"
    return f"{what}: check {base_url}. Not loaded; the next run asks again"


def _error(job: Job, jobs: Sequence[Job], settings: Settings) -> str:
    """Say in one line why one resource failed, and what to do."""
    loaded = {each.source.name for each in jobs if each.error is None}
    others = ", the other sources were" if loaded - {job.source.name} else ""
    name, error = job.source.name, job.error
    if isinstance(error, RefusedError):
        explained = job.source.explain(error, settings)
        if job.is_refused and job.resource.scope:
            stays = f"stays at {job.last:%d %b}" if job.last else "stays as it is"
            explained = (
                f"{name}: the key lacks {job.resource.scope} ({error.status} on {error.path}). "
                f"Add it; {job.resource.table.name} {stays}"
            )
        elif error.status == requests.codes.unauthorized:
            explained = (
                f"{name} refused {job.source.key_name} (401): nothing loaded from it{others}. Run make doctor"
            )
        return explained or f"{job.name}: {outside.words(error)}. Not loaded; the next run asks again"
    if isinstance(error, SourceError):
        return f"{job.name}: {outside.words(error)}. Not loaded; the next run reads it again"
    if isinstance(error, ChangedTypeError):
        return outside.words(error)
    if isinstance(error, PipelineStepFailed | duckdb.Error):
        said, *_ = [*str(error).splitlines(), type(error).__name__]
        return f"{job.name}: {outside.words(said)}. Not loaded; the next run reads it again"
    # A mistake of this program, whose words say nothing to whoever reads them.
    what = f"an answer that this version cannot read ({type(error).__name__})"
    return f"{job.name}: {what}. Not loaded; python -m ingest {name} --debug shows where"


class Warehouse:
    """The DuckDB file: held open, and so locked, for the whole run; written by one thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._run_id = uuid.uuid4().hex
        self._pipelines: dict[str, dlt.Pipeline] = {}
        self._forgotten = _forgotten(settings.forgotten_path)
        _make_writable(settings.pipelines_path)
        self._connection = warehouse.connect(settings.warehouse_path, create=True)
        self._addresses = Addresses(settings)
        self._allowances = allowed.Allowances(settings.klaviyo_event_properties)
        self._dropped: dict[str, allowed.Dropped] = {}

    def close(self) -> None:
        self._connection.close()

    def prepare(self, tables: Sequence[Table]) -> None:
        """Create what is missing of `tables`: models find their sources before anything was loaded.

        A table that gets a column counts as never read whole: its next load reads all of its history.
        """
        known = self._connection.execute(
            """
            select table_schema || '.' || table_name, list(column_name)
            from information_schema.columns
            group by all
            """
        ).fetchall()
        columns = dict(known)
        for schema in sorted({table.schema for table in tables} | {"raw_ops"}):
            self._connection.execute(f"create schema if not exists {schema}")
        widened: list[Table] = []
        for table in tables:
            missing = table.sql_columns.keys() - set(columns.get(table.full_name, ()))
            if table.full_name not in columns:
                described = ", ".join(f'"{name}" {kind}' for name, kind in table.sql_columns.items())
                self._connection.execute(f"create table {table.full_name} ({described})")
            else:
                widened.extend([table] if missing else [])
                for name in sorted(missing):
                    kind = table.sql_columns[name]
                    self._connection.execute(f'alter table {table.full_name} add column "{name}" {kind}')
        self._connection.execute(
            """
            create table if not exists raw_ops.origins (vendor text primary key, world text, base_url text);
            create table if not exists raw_ops.addresses (hashed_with text);
            create table if not exists raw_ops.gone_people (
                person_key text, table_name text, gone_at timestamptz
            );
            create table if not exists raw_ops.allowances (mark text, stripped_at timestamptz);
            create table if not exists raw_ops.dropped_properties (
                vendor text, resource text, metric_id text, property text, value_count bigint,
                first_seen_at timestamptz, last_seen_at timestamptz,
                primary key (vendor, resource, metric_id, property)
            );
            create table if not exists raw_ops.loads (
                run_id text, vendor text, resource text, started_at timestamptz, finished_at timestamptz,
                requests bigint, waits bigint, rows_read bigint, rows_new bigint, rows_changed bigint,
                rows_late bigint, outcome text, detail text
            );
            alter table raw_ops.loads add column if not exists deep_at timestamptz;
            create table if not exists raw_ops.set_aside (
                vendor text, resource text, field text, reason text, row_key text,
                run_id text, set_aside_at timestamptz
            )
            """
        )
        self._connection.execute(belief.MEMORY)
        for table in widened:  # what an earlier version loaded lacks the new columns: it is read anew
            self._connection.execute(
                "update raw_ops.loads set deep_at = null where concat('raw_', vendor, '.', resource) = ?",
                [table.full_name],
            )
        if captions.TABLE in (table.full_name for table in tables):
            self.cut_captions()

    def cut_captions(self) -> None:
        """Cut captions that are new or changed into cues; those of earlier versions are cut as well."""
        captions.cut(self._connection)

    def claim(self, vendors: Sequence[str]) -> None:
        """Write down which world each vendor's rows are from.

        Raises NotStartedError when the file already holds rows of the other: invented and real people never
        mix.
        """
        origins = dict(self._connection.execute("select vendor, world from raw_ops.origins").fetchall())
        for vendor in vendors:
            world = self._settings.world_of(vendor)
            for holder, held in origins.items():
                if held != world:
                    raise NotStartedError(
                        f"{self._settings.warehouse_path.name} holds {held} rows of {holder}, but "
                        f"{vendor.upper()}_BASE_URL is {world}. Set another WAREHOUSE_PATH"
                    )
        for vendor in vendors:
            base_url = getattr(self._settings, f"{vendor}_base_url")
            self._connection.execute(
                "insert or ignore into raw_ops.origins values (?, ?, ?)",
                [vendor, self._settings.world_of(vendor), base_url],
            )

    def deep_reads(self) -> dict[str, datetime | None]:
        """When all history of what was ever loaded was read for the last time, by the name of its job."""
        found = self._connection.execute(
            """
            select vendor || ' ' || resource, max(deep_at) from raw_ops.loads
            where outcome = 'loaded' group by all
            """
        ).fetchall()
        return dict(found)

    def keep_to_addresses(self) -> None:
        """Write down how e-mail addresses are kept, at the first load; keep to it from then on.

        Raises NotStartedError where the setting or the salt is another one: hashes and addresses do not join.
        """
        name = self._settings.warehouse_path.name
        held = self._connection.execute("select hashed_with from raw_ops.addresses").fetchone()
        if held is None and self._connection.execute("select 1 from raw_ops.loads").fetchone():
            held = ("",)  # written before there was a choice
        if held is None:
            pseudonyms.salt(self._settings.salt_path, create=True)  # person ids need it, too
        ours = Addresses(self._settings)
        if held and bool(held[0]) != (self._settings.emails_in_warehouse == "hashed"):
            kept = "hashed" if held[0] else "plain"
            raise NotStartedError(
                f"{name} holds e-mail addresses {kept}. Set EMAILS_IN_WAREHOUSE={kept}, or move that file "
                "away and load anew"
            )
        if held and held[0] != ours.mark:
            raise NotStartedError(
                f"{name} holds hashes by another salt than {self._settings.salt_path}. Bring that file back, "
                f"or move {name} away and load anew"
            )
        if held is None or not self._connection.execute("select 1 from raw_ops.addresses").fetchone():
            self._connection.execute("insert into raw_ops.addresses values (?)", [ours.mark])
        self._addresses = ours

    def look_back(self, job: Job) -> None:
        """Give a job what its answer is compared with: the rows of each list, and what was not believed."""
        table, parent = job.resource.table, job.resource.parent
        by = f'"{parent}"' if parent else "''"
        there = "where gone_at is null" if job.resource.gone == "things" else ""
        query = f"select {by}, count(*) from {table.full_name} {there} group by all"
        job.before = dict(self._connection.execute(query).fetchall())
        job.remembered = belief.remembered(self._connection, (job.source.name, table.name))

    def settle(self, job: Job) -> None:
        """End a whole read: mark things and remove people that were not in it, unless it is not believed."""
        if not job.is_guarded or job.error is not None:
            return
        if job.doubts or job.remembered:
            belief.remember(self._connection, (job.source.name, job.resource.table.name), job.doubts)
        if job.resource.gone and job.before and not job.doubts:
            sweep = gone.things if job.resource.gone == "things" else gone.people
            job.outcome.rows_changed += sweep(self._connection, job.resource.table, job.client.started_at)

    def follow(self, jobs: Sequence[Job]) -> None:
        """Give the rows of people who are gone to whom the vendor gave them, or remove them."""
        for job in jobs:
            if job.resource.owner and job.is_deep and job.error is None:
                changed = gone.follow(self._connection, job.resource.table, job.resource.owner)
                job.outcome.rows_changed += changed
                self._connection.execute(
                    "update raw_ops.loads set rows_changed = rows_changed + $1 "
                    "where (run_id, vendor, resource) = ($2, $3, $4)",
                    [changed, self._run_id, job.source.name, job.resource.table.name],
                )

    def strip(self, tables: Sequence[Table], now: datetime) -> None:
        """Take out of rows loaded by other rules what may not be loaded by these, then write the file anew.

        What a setting names now was dropped before: events are then read anew.
        """
        connection, mark = self._connection, f"{self._allowances.mark} {self._addresses.mark}".strip()
        held = connection.execute("select mark from raw_ops.allowances").fetchone()
        if held and held[0] == mark:
            return
        if connection.execute("select 1 from raw_ops.loads limit 1").fetchone():
            self._allowances.strip(connection, tables, now)
            self._hash(tables)
            connection.close()
            warehouse.rewrite(self._settings.warehouse_path)
            self._connection = connection = warehouse.connect(self._settings.warehouse_path)
        if held:
            connection.execute(
                "update raw_ops.loads set deep_at = null where (vendor, resource) = ('klaviyo', 'events')"
            )
        connection.execute("delete from raw_ops.allowances")
        connection.execute("insert into raw_ops.allowances values (?, ?)", [mark, now])

    def _hash(self, tables: Sequence[Table]) -> None:
        """Hash what an earlier version left plain where addresses are hashed: phone numbers."""
        for table in tables if self._addresses.is_hashed else ():
            rows: Any = self._connection.execute(f"from {table.full_name}").to_arrow_table()
            kept = self._addresses.kept(table.full_name, rows)
            texts = [
                field.name
                for place, field in enumerate(rows.schema)
                if field.name not in table.key and not rows.column(place).equals(kept.column(place))
            ]
            if texts:
                allowed.put(self._connection, table, texts, kept)

    def last(self, job: Job) -> Cursor | None:
        """The cursor value up to which the rows of `job` are in the warehouse."""
        state: Any = self._pipeline(job.source.name).state
        for step in ("sources", job.source.name, "resources", job.resource.table.name, "incremental"):
            state = state.get(step, {})
        last: Cursor | None = state.get(job.resource.cursor, {}).get("last_value")
        return last

    def write(self, batches: Sequence[Batch]) -> None:
        """Load in one package what `batches` of one source add, and move their cursors."""
        known = [(batch, self._known(batch)) for batch in batches]
        for batch, rows in known:  # before their rows, lest a kill loads values that nobody counts
            self._set_aside(batch, rows)
        compared = [(batch, self._changes(batch.job, self._believed(batch, rows))) for batch, rows in known]
        now = batches[0].job.client.started_at
        resources = [
            _package(batch.job.resource, changes.rows, batch.until)
            for batch, changes in compared
            if changes.rows is not None or batch.until != self.last(batch.job)
        ]
        if resources:
            pipeline = self._pipeline(batches[0].job.source.name)
            pipeline.activate()
            pipeline.extract(resources)
            pipeline.normalize()
            pipeline.load()
        for batch, changes in compared:
            batch.job.outcome.count(changes)
            if dropped := self._dropped.pop(batch.job.name, None):
                allowed.record(self._connection, batch.job.resource.table.full_name, dropped, now)

    def _believed(self, batch: Batch, rows: pa.Table) -> pa.Table:
        """The rows of a batch, with those from before in place of what is not believed."""
        job, table, parent = batch.job, batch.job.resource.table, batch.job.resource.parent
        if job.is_whole and ((job.resource.gone and job.before) or (job.resource.owner and job.is_deep)):
            gone.see(self._connection, table, rows, job.resource.owner)
        if not job.resource.replaced or not job.doubts:
            return rows
        doubted = [doubt.parent for doubt in job.doubts]
        names = ", ".join(f'"{name}"' for name in table.arrow_schema.names)
        query = f"select {names} from {table.full_name}"
        if not parent:
            return _with_aside(self._connection.sql(query).to_arrow_table().cast(table.arrow_schema))
        held = self._connection.execute(f'{query} where "{parent}" in (select unnest($1))', [doubted])
        kept: Any = held.to_arrow_table()
        is_doubted = pc.is_in(rows.column(parent), pa.array(doubted, pa.string()))
        kept = _with_aside(kept.cast(table.arrow_schema))
        return pa.concat_tables([rows.filter(pc.invert(is_doubted)), kept])

    def _known(self, batch: Batch) -> pa.Table:
        """The rows of a batch as they are kept, without those of people who asked to be forgotten.

        Hashes are looked at, too: of who was forgotten, only the hash of a phone number may be known.
        """
        table = batch.job.resource.table
        rows = self._forgotten.without(self._connection, table.full_name, batch.rows)
        rows, dropped = self._allowances.kept(table.full_name, rows)
        if any(dropped):
            self._dropped[batch.job.name] = sum(
                (dropped[row] for row in self._new_rows(table, rows)), allowed.Dropped()
            )
        if not self._addresses.is_hashed:
            return rows
        rows = self._addresses.kept(table.full_name, rows)
        return self._forgotten.without(self._connection, table.full_name, rows)

    def _new_rows(self, table: Table, read: pa.Table) -> list[int]:
        """Which of the rows that were read are not in the warehouse."""
        keys = read.select(list(table.key))
        keys = keys.append_column("read_as", pa.array(range(read.num_rows), pa.int64()))
        self._connection.register("read", keys)
        same = ", ".join(f'"{name}"' for name in table.key)
        query = f"select read_as from read anti join {table.full_name} using ({same})"
        found = [place for (place,) in self._connection.execute(query).fetchall()]
        self._connection.unregister("read")
        return found

    def _set_aside(self, batch: Batch, rows: pa.Table) -> None:
        """Note what of a batch was set aside, in place of what earlier loads noted of the same rows."""
        job, table = batch.job, batch.job.resource.table
        values = rows.filter(pc.is_valid(rows.column(SET_ASIDE)))
        gone = job.client.tally.gone if batch.is_last else []
        about = [job.source.name, table.name]
        held = self._connection.execute(
            "select 1 from raw_ops.set_aside where (vendor, resource) = (?, ?) limit 1", about
        ).fetchall()
        if not (held or values.num_rows or batch.keyless or gone):
            return
        salt = pseudonyms.salt(self._settings.salt_path, create=True)
        key = people.row_key(self._connection, table.full_name, table.key, salt)
        now: list[Any] = [self._run_id, datetime.now(UTC)]
        self._connection.register("noted", rows.select([*table.key, SET_ASIDE]))
        self._connection.execute(
            f"""
            delete from raw_ops.set_aside
            where (vendor, resource) = (?, ?) and row_key in (select {key} from noted)
            """,
            about,
        )
        self._connection.execute(
            f"""
            insert into raw_ops.set_aside
            select distinct on (row_key, field) $1, $2, field, set_aside ->> field, row_key, $3, $4
            from (select {key} as row_key, set_aside, unnest(json_keys(set_aside)) as field from noted)
            """,
            [*about, *now],
        )
        self._connection.unregister("noted")
        others = [(name, why, pseudonyms.of_address(salt, digest)) for digest, name, why in batch.keyless]
        others += [(kind, GONE, id_) for kind, id_ in gone]
        for name, why, row_key in dict.fromkeys(others):
            self._connection.execute(
                "delete from raw_ops.set_aside where (vendor, resource, field, row_key) = (?, ?, ?, ?)",
                [*about, name, row_key],
            )
            self._connection.execute(
                "insert into raw_ops.set_aside values (?, ?, ?, ?, ?, ?, ?)",
                [*about, name, why, row_key, *now],
            )
        if batch.is_last and job.start is None:  # all was read: what this run did not note is no more
            self._connection.execute(
                "delete from raw_ops.set_aside where (vendor, resource) = (?, ?) and run_id <> ?",
                [*about, self._run_id],
            )
        if batch.is_last:
            job.outcome.set_aside = self._counted_aside(about)

    def _counted_aside(self, about: list[str]) -> list[dict[str, Any]]:
        """What this run set aside of a table, by field and reason, most first."""
        found = self._connection.execute(
            """
            select field, reason, count(*) from raw_ops.set_aside
            where (vendor, resource, run_id) = (?, ?, ?) group by all order by 3 desc, 1, 2
            """,
            [*about, self._run_id],
        ).fetchall()
        return [{"field": field_, "reason": reason, "count": count} for field_, reason, count in found]

    def _changes(self, job: Job, read: pa.Table) -> Changes:
        """The rows of `read` that are new or differ from the warehouse's, each key once.

        One join on the key, which costs about as much as the merge it saves: most of what an overlap reads
        again is there already. Of two rows with one key the one read last is the vendor's latest word, unless
        a column says which is newer. A replaced table is written whole once a row is new, differs or is gone.
        """
        table, is_replaced = job.resource.table, job.resource.replaced
        names = [name for name in table.sql_columns if name != "_dlt_load_id"]
        key = ", ".join(f'"{name}"' for name in table.key)
        newest = f'"{table.newest}" desc nulls last, ' if table.newest else ""
        differs = " or ".join(
            f'once."{name}" is distinct from kept."{name}"'
            + ("::varchar" if table.sql_columns[name] == "json" else "")
            for name in names
            if name not in table.key
        )
        self._connection.register(
            "read", read.append_column("read_as", pa.array(range(read.num_rows), pa.int64()))
        )
        compared = self._connection.sql(
            f"""
            with once as (
                select * from read
                qualify row_number() over (partition by {key} order by {newest}read_as desc) = 1
            )
            select once.*, kept."{table.key[0]}" is null as is_new, not is_new and ({differs}) as is_changed
            from once left join {table.full_name} as kept using ({key})
            where is_new or is_changed or {is_replaced}
            order by read_as
            """
        ).to_arrow_table()
        gone = self._gone(table) if is_replaced else 0
        self._connection.unregister("read")
        new = compared.filter(compared.column("is_new"))
        changed = gone + (pc.sum(compared.column("is_changed")).as_py() or 0)
        late, latest_days = 0, 0.0
        if job.resource.overlap and isinstance(job.last, datetime):
            moments = new.column(job.resource.cursor)
            moments = moments.filter(pc.less(moments, job.last))
            late = len(moments)
            latest_days = (job.last - pc.min(moments).as_py()) / timedelta(days=1) if late else 0.0
        rows = compared.select(table.arrow_schema.names).cast(table.arrow_schema)
        return Changes(
            rows if new.num_rows or changed else None, read.num_rows, new.num_rows, changed, late, latest_days
        )

    def _gone(self, table: Table) -> int:
        """How many rows of `table` are not among those that were read."""
        keys = ", ".join(f'"{name}"' for name in table.key)
        found = self._connection.execute(
            f"select count(*) from {table.full_name} where ({keys}) not in (select ({keys}) from read)"
        ).fetchall()
        return int(found[0][0])

    def record(self, job: Job) -> None:
        """Append how a resource ended to `raw_ops.loads`."""
        outcome = job.outcome
        outcome.finished_at = datetime.now(UTC)
        outcome.requests, outcome.waits = job.client.tally.requests, job.client.tally.waits
        if job.error is not None:
            outcome.outcome = "skipped" if job.is_skipped else "failed"
            outcome.detail = outside.words(job.error)
        columns = [name for name in asdict(outcome) if name not in ("latest_days", "set_aside")]
        self._connection.execute(
            f"insert into raw_ops.loads (run_id, {', '.join(columns)}) "
            f"values ({', '.join('?' * (len(columns) + 1))})",
            [self._run_id, *(getattr(outcome, name) for name in columns)],
        )

    def _pipeline(self, name: str) -> dlt.Pipeline:
        """The dlt pipeline of a source, with cursor and schema as the warehouse has them.

        Its folder is removed before dlt looks at it: what a run left there may be half written. Raises
        WarehouseError where the warehouse's own memory cannot be read.
        """
        if name not in self._pipelines:
            shutil.rmtree(self._settings.pipelines_path / name, ignore_errors=True)
            pipeline = dlt.pipeline(
                name,
                destination=dlt.destinations.duckdb(self._connection, replace_strategy="insert-from-staging"),
                dataset_name=f"raw_{name}",
                pipelines_dir=str(self._settings.pipelines_path),
            )
            self._pipelines[name] = pipeline = pipeline.drop()
            try:
                pipeline.sync_destination()
            except PipelineStepFailed as error:
                if warehouse.is_full(error):
                    raise
                raise warehouse.WarehouseError(
                    f"{self._settings.warehouse_path} is damaged: what it knows of {name} cannot be read. "
                    "Move it away and run make ingest transform: everything in it comes from the vendors and "
                    "the ledger"
                ) from error
        return self._pipelines[name]

    def forget(self, name: str) -> None:
        """Take a source's cursor and schema from the warehouse again: a package of it was not loaded."""
        self._pipelines.pop(name, None)


def _forgotten(path: Path) -> Forgotten:
    """Who must not come back. Raises NotStartedError where that cannot be read."""
    try:
        return Forgotten(path)
    except ValueError:
        raise NotStartedError(
            f"{path} is damaged, and says who asked to be forgotten: nothing is loaded without it. "
            "Bring back its last backup"
        ) from None


def _make_writable(folder: Path) -> None:
    """Make dlt's working folder. Raises NotStartedError where nothing can be written to it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reason = "" if os.access(folder, os.W_OK) else "read-only"
    except OSError as error:
        reason = str(error.strerror).lower()
    if reason:
        raise NotStartedError(
            f"{folder} cannot be written: {reason}. Change that, or set another PIPELINES_PATH in .env"
        )


def _package(resource: Resource, rows: pa.Table | None, until: Cursor | None) -> DltResource:
    """The dlt resource that loads `rows` and moves the cursor to `until`.

    The rows were chosen by the vendor and compared already, so the incremental only remembers: advancing it
    switches its own filter off.
    """
    table = resource.table
    described: dict[str, Any] = {
        "name": table.name,
        "primary_key": table.key,
        "write_disposition": "replace" if resource.replaced else "merge",
        "columns": table.dlt_columns,
        "schema_contract": {"tables": "evolve", "columns": "evolve", "data_type": "freeze"},
    }
    if not resource.cursor:
        return cast(DltResource, dlt.resource([rows], **described))

    @dlt.resource(**described)
    def read_up_to(
        cursor: dlt.sources.incremental[Any] = dlt.sources.incremental(resource.cursor),  # noqa: B008
    ) -> Iterator[pa.Table]:
        cursor.advance(until)
        if rows is not None:
            yield rows

    return cast(DltResource, read_up_to())
