"""Reads all sources in parallel, writes to the warehouse one package at a time and reports the rows.

Reading threads turn pages into batches. The writer (`store/warehouse.py`) leaves out rows that the warehouse
already has and gives the rest to the source's dlt pipeline as one package. The cursor counts only once all
rows of the package are committed, and existing rows are not loaded again, so a run may be killed at any
instant. A resource that failed to read is in no package.
"""

import gc
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from dlt.pipeline.exceptions import PipelineStepFailed

from common import terminal, warehouse
from common.settings import Settings
from ingest import belief, messages
from ingest.ceilings import Ceilings
from ingest.errors import BrokenOffError, NotStartedError
from ingest.http import Client
from ingest.model import DEEP_EVERY, SETTLED, Batch, Cursor, Job, Outcome, Report, Source, Summary
from ingest.parallel import Reached
from ingest.store.aside import with_aside
from ingest.store.warehouse import Warehouse, widen
from ingest.typed import Aside, Form, Table
from privacy import outside

BATCH_ROWS = 100_000
BATCH_BYTES = 24_000_000
"""What a package holds at most, give or take a page: bounds memory and what a killed run reads again."""
BATCH_SECONDS = 20.0
"""A slow resource with a cursor is written so often: a run that is killed reads no more than that again."""
KEPT_ROWS = 2_000
"""So many rows are brought into their stored form at once, which frees what is not stored of their pages."""
BATCHES_WAITING = 1
GATHER_SECONDS = 20.0
"""A package costs dlt a fifth of a second whatever is in it: small batches of this time share one."""

Keep = Callable[[Table, pa.Table], pa.Table]
"""Returns the stored form of rows of a table."""
LONG_AGO = datetime.min.replace(tzinfo=UTC)


def run(
    settings: Settings,
    every: Sequence[Source],
    chosen: Sequence[str],
    report: Report,
    *,
    deep: bool = False,
    believe: Sequence[str] = (),
) -> Summary:
    """Load the `chosen` of `every` source and return a summary.

    `deep` also reads all rows that can arrive late. `believe` names resources whose emptier answers need no
    second witness.

    Raises NotStartedError if there is no key, the warehouse is in use, or it contains rows of another world;
    BrokenOffError if it cannot be written.
    """
    now = settings.now()
    jobs, skipped = _chosen(settings, every, chosen, believe, now)
    keyed = [source.name for source in every if source.name in chosen and source.key(settings)]
    file = Warehouse(settings)
    warehouse.keep_private(settings.private_paths)
    try:
        file.prepare([resource.table for source in every for resource in source.resources(settings)])
        file.keep_to_addresses()
        file.strip(now)
        file.claim(keyed)
        for name, reason in skipped.items():
            report.skip(name, reason)
        _set_out(jobs, file, deep=deep)
        _read_and_write(jobs, file, report, settings.believe_shrink_share)
        file.derive()
        file.raw.tidy()
    except Exception as error:
        if terminal.was_interrupted():
            raise KeyboardInterrupt from error  # DuckDB and dlt turn it into errors of their own
        if isinstance(error, PipelineStepFailed | duckdb.Error | OSError):
            where = settings.lake_path or Path(settings.lake_url)
            path = where if settings.is_spark else settings.warehouse_path
            raise BrokenOffError(warehouse.explain(path, error)) from error
        raise
    finally:
        gc.unfreeze()
        file.close()
    vendors = {job.source.name: job.client.vendor for job in jobs}
    told = [f"{name}: {notice}" for name, vendor in vendors.items() for notice in vendor.notices]
    notices = [*map(outside.words, told), *messages.clock(jobs), *messages.lacking(jobs)]
    found = [doubt for job in jobs for doubt in job.doubts]
    lasting = [doubt for doubt in found if now - doubt.first_seen_at >= belief.PERSISTS]
    notices += belief.lines(doubt for doubt in found if doubt not in lasting)
    return Summary(jobs, skipped, messages.errors(jobs, settings) + belief.lines(lasting), notices)


def _chosen(
    settings: Settings, every: Sequence[Source], chosen: Sequence[str], believe: Sequence[str], now: datetime
) -> tuple[list[Job], dict[str, str]]:
    """Return a job for each resource to read, and the reasons why other chosen sources are skipped."""
    sources = [source for source in every if source.name in chosen]
    keys = {source.name: source.key(settings) for source in every}
    skipped = {source.name: f"{source.key_name} is not set" for source in sources if not keys[source.name]}
    jobs = [job for source in sources for job in _jobs(source, keys[source.name], settings, now)]
    if not any(keys.values()) and (jobs or len(skipped) > 1):
        do = "Copy .env.example to .env, or try make demo, which needs none"
        raise NotStartedError(f"no vendor key is set. {do}")
    if not jobs:
        raise NotStartedError(f"nothing to load: {', '.join(skipped.values())}. See .env.example")
    try:
        believed = belief.chosen(believe, [job.name for job in jobs])
    except ValueError as error:
        raise NotStartedError(f"--believe: {error}") from None
    for job in jobs:
        job.is_believed = job.name in believed
    return jobs, skipped


def _jobs(source: Source, key: str | None, settings: Settings, now: datetime) -> list[Job]:
    vendor = source.connect(settings, key or "")
    vendor.ceilings = Ceilings.of(settings)
    jobs = [
        Job(source, resource, Client(vendor, now, settings.history_days), Outcome(source.name, resource.name))
        for resource in source.resources(settings)
        if key or not resource.needs_key
    ]
    vendor.tallies = {job.resource.name: job.client.tally for job in jobs}
    return jobs


def _set_out(jobs: Sequence[Job], file: Warehouse, *, deep: bool) -> None:
    """Set where each job starts, and which jobs read all of their history."""
    read, read_at = file.deep_reads(), file.reads()
    for job in jobs:
        job.last = file.raw.last(job)
        job.client.rows_before = file.count(job.resource.table)
        if job.resource.is_read_deeply:
            now, at = job.client.started_at, read.get(job.name)
            is_first = job.name not in read  # or continues an interrupted first load
            # A deep read in the future comes from a wrong clock, and proves nothing.
            is_due = not is_first and (at is None or not timedelta() <= now - at < DEEP_EVERY)
            job.is_deep = deep or is_due
            if is_first or job.is_deep:
                job.outcome.deep_at = now
        age = job.outcome.started_at - read_at.get(job.name, LONG_AGO)
        job.is_fresh = timedelta() <= age < job.resource.every and not deep and not job.is_believed
        if job.is_guarded:
            file.look_back(job)


def _read_and_write(jobs: Sequence[Job], file: Warehouse, report: Report, share: float) -> None:
    """Read every job in its own thread, and write the batches in this thread."""
    batches: queue.Queue[Batch] = queue.Queue(BATCHES_WAITING)
    report.begin(jobs)
    threads = [
        threading.Thread(target=_read, args=(job, batches, share, file.kept), daemon=True) for job in jobs
    ]
    for thread in threads:
        thread.start()
    open_jobs = len(jobs)
    gc.freeze()  # modules and declarations are no garbage: collecting is cheap without them
    while open_jobs:
        ended = _written(_gathered(batches, open_jobs), file)
        gc.collect()  # dlt's circles hold the rows of the package
        pa.default_memory_pool().release_unused()
        open_jobs -= len(ended)
        for job in ended:
            file.settle(job)
        file.record(ended)
        for job in ended:
            report.finish(job)
    file.follow(jobs)
    for thread in threads:  # DuckDB complains of cursors that outlive the program
        thread.join()


def _written(taken: Sequence[Batch], file: Warehouse) -> list[Job]:
    """Write these batches, and return the jobs that end with them."""
    sources: dict[str, list[Batch]] = {}
    for batch in _joined(taken):
        sources.setdefault(batch.job.source.name, []).append(batch)
    for together in sources.values():
        _write(together, file)
    return [batch.job for batch in taken if batch.is_last]


def _gathered(batches: "queue.Queue[Batch]", open_jobs: int) -> list[Batch]:
    """Return the batches that arrive within a moment of the first, or until no job is left to wait for."""
    taken = [batches.get()]
    until = time.monotonic() + GATHER_SECONDS
    rows, size, ended = taken[0].rows.num_rows, taken[0].rows.nbytes, int(taken[0].is_last)
    with suppress(queue.Empty):
        while rows < BATCH_ROWS and size < BATCH_BYTES and ended < open_jobs:
            batch = batches.get(timeout=max(until - time.monotonic(), 0))
            taken.append(batch)
            rows, size = rows + batch.rows.num_rows, size + batch.rows.nbytes
            ended += batch.is_last
    return taken


def _joined(taken: Sequence[Batch]) -> list[Batch]:
    """Return one batch per job, in the order of reading. Batches of a failed job are left out, now and later:
    its cursor would skip rows that were not kept. So are those of a job that read nothing on purpose.
    """
    joined: dict[str, Batch] = {}
    for batch in taken:
        batch.job.error = batch.job.error or batch.error
        before = joined.get(batch.job.name)
        rows = _together([before.rows, batch.rows]) if before else batch.rows
        keyless = (*before.keyless, *batch.keyless) if before else batch.keyless
        joined[batch.job.name] = replace(batch, rows=rows, keyless=keyless)
    return [batch for batch in joined.values() if batch.job.error is None and not batch.job.is_measured]


def _together(parts: Sequence[pa.Table]) -> pa.Table:
    """Join rows of one table; a part without dropped values lacks the columns that note them."""
    return pa.concat_tables(parts, promote_options="default")


def _write(batches: Sequence[Batch], file: Warehouse) -> None:
    """Write batches of one source in one package; if that fails, one by one, to find the one at fault."""
    try:
        file.write(batches)
    except Exception as error:
        if (
            isinstance(error, OSError | warehouse.WarehouseError)
            or warehouse.is_full(error)
            or terminal.was_interrupted()
        ):
            raise  # no row is at fault
        file.raw.drop_package(batches[0].job.source.name)
        if "Out of Memory" in str(error) and widen(file.raw.connection):
            _write(batches, file)
            return
        if len(batches) == 1:
            batches[0].job.error = error
            return
        for batch in batches:
            _write([batch], file)


def _read(job: Job, batches: "queue.Queue[Batch]", share: float, kept: Keep) -> None:
    """Put all batches of `job` into the queue; the last one comes even when reading fails."""
    pages = Unwritten(job, kept)
    form = Form(job.resource.table)
    sizes: Counter[str] = Counter()
    parent = job.resource.parent
    try:
        for page in () if job.is_measured else job.resource.read(job.client, job.start):
            if isinstance(page, pa.Table):
                form.take(page, job.resource.cursor)
                sizes.update(page.column(parent).to_pylist() if parent else {"": page.num_rows})
                job.client.tally.rows += page.num_rows
                pages.take(page)
            else:
                pages.reach(page)
            if pages.are_due:
                form.check()
                batches.put(pages.batch())
        form.check()
        job.doubts = _doubts(job, sizes, share)
        job.is_read = True
        pages.reach(None)
        batches.put(pages.batch(is_last=True))
    except Exception as error:  # a thread has no caller: the writer reports any error
        nothing = with_aside(job.resource.table.arrow_schema.empty_table())
        batches.put(Batch(job, nothing, is_last=True, error=error))


class Unwritten:
    """The pages of a job that are in no batch yet, and how far its cursor may move with them.

    `kept` brings rows into their stored form.
    """

    def __init__(self, job: Job, kept: Keep) -> None:
        self._job, self._kept = job, kept
        self._pages: list[pa.Table] = []
        self._parts: list[pa.Table] = []
        self._keyless: list[tuple[str, str, str]] = []
        self._raw_count = self._count = self._size = 0
        self._since = time.monotonic()
        self._until = job.last
        self._newest: list[Cursor] = []
        self._settled = job.client.started_at - SETTLED

    def take(self, page: pa.Table) -> None:
        """Add a page, which may come in any order."""
        self._pages.append(with_aside(page))
        self._keyless += Aside.of(page).rows
        self._raw_count += page.num_rows
        newest = _newest(page, self._job.resource.cursor, self._settled)
        if newest is not None:
            self._newest.append(newest)
        if self._raw_count >= KEPT_ROWS:
            self._keep()

    def _keep(self) -> None:
        """Bring the pages into their stored form, in memory of their own."""
        if self._pages:
            part = self._kept(self._job.resource.table, pa.concat_tables(self._pages)).combine_chunks()
            self._parts.append(part)
            self._count, self._size = self._count + part.num_rows, self._size + part.nbytes
            self._pages, self._raw_count = [], 0

    def reach(self, reached: Reached | None) -> None:
        """Let the cursor move to the newest row of the pages that are wholly before what is reached; of all
        pages, if nothing is named.
        """
        if reached is None:
            whole, self._newest = self._newest, []
        else:
            whole = [newest for newest in self._newest if _moment(newest) < reached.before]
            self._newest = [newest for newest in self._newest if _moment(newest) >= reached.before]
        if whole:
            self._until = max(*whole, self._until or whole[0])

    @property
    def are_due(self) -> bool:
        """Whether to write them now: they are many, or a killed run would have to read too much again."""
        is_late = bool(self._job.resource.cursor) and time.monotonic() - self._since > BATCH_SECONDS
        count = self._count + self._raw_count
        return not self._job.resource.replaced and (
            count >= BATCH_ROWS or self._size >= BATCH_BYTES or (is_late and count > 0)
        )

    def batch(self, *, is_last: bool = False) -> Batch:
        """Return the pages as a batch, and begin the next one."""
        self._keep()
        nothing = with_aside(self._job.resource.table.arrow_schema.empty_table())
        rows = _together([nothing, *self._parts])
        batch = Batch(self._job, rows, self._until, is_last=is_last, keyless=tuple(self._keyless))
        self._parts, self._keyless, self._since = [], [], time.monotonic()
        self._count = self._size = 0
        return batch


def _moment(cursor: Cursor) -> datetime:
    return cursor if isinstance(cursor, datetime) else datetime.combine(cursor, clock(), UTC)


def _doubts(job: Job, sizes: belief.Sizes, share: float) -> list[belief.Doubt]:
    """Return the parts of a complete answer that are too empty to be believed alone."""
    if not job.is_guarded or job.is_believed:
        return []

    def count(parent: str) -> int | None:
        return job.resource.count(job.client, parent) if job.resource.count else None

    at = job.client.started_at
    return belief.doubts(job.full_name, job.before, sizes, share, at, job.remembered, count)


def _newest(page: pa.Table, cursor: str, settled: datetime) -> Cursor | None:
    """Return the highest cursor value of a page; a row with a date in the future does not count."""
    if not cursor or not page.num_rows:
        return None
    moments = page.column(cursor)
    latest = settled if pa.types.is_timestamp(moments.type) else settled.date()
    highest: Cursor | None = pc.max(
        moments.filter(pc.less_equal(moments, pa.scalar(latest, moments.type)))
    ).as_py()
    return highest
