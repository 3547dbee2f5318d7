"""Reads all sources in parallel, writes to the warehouse one package at a time and reports the rows.

Reading threads turn pages into batches. The writer (`store/warehouse.py`) leaves out rows that the warehouse
already has and gives the rest to the source's dlt pipeline as one package. The cursor counts only once all
rows of the package are committed, and existing rows are not loaded again, so a run may be killed at any
instant. A resource that failed to read is in no package.
"""

import queue
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

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
from ingest.store.aside import with_aside
from ingest.store.warehouse import Warehouse
from ingest.typed import Aside, Form
from privacy import outside

BATCH_ROWS = 100_000
"""Rows a package holds at most, give or take a page: bounds memory and what a killed run reads again."""
BATCHES_WAITING = 4
GATHER_SECONDS = 1.0
"""A package costs dlt a third of a second whatever is in it: batches that come close together share one."""


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
    except Exception as error:
        if terminal.was_interrupted():
            raise KeyboardInterrupt from error  # DuckDB and dlt turn it into errors of their own
        if isinstance(error, PipelineStepFailed | duckdb.Error | OSError):
            raise BrokenOffError(warehouse.explain(settings.warehouse_path, error)) from error
        raise
    finally:
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
    return [
        Job(source, resource, Client(vendor, now, settings.history_days), Outcome(source.name, resource.name))
        for resource in source.resources(settings)
        if key or not resource.needs_key
    ]


def _set_out(jobs: Sequence[Job], file: Warehouse, *, deep: bool) -> None:
    """Set where each job starts, and which jobs read all of their history."""
    read = file.deep_reads()
    for job in jobs:
        job.last = file.packages.last(job)
        if job.resource.is_read_deeply:
            now, at = job.client.started_at, read.get(job.name)
            is_first = job.name not in read  # or continues an interrupted first load
            # A deep read in the future comes from a wrong clock, and proves nothing.
            is_due = not is_first and (at is None or not timedelta() <= now - at < DEEP_EVERY)
            job.is_deep = deep or is_due
            if is_first or job.is_deep:
                job.outcome.deep_at = now
        if job.is_guarded:
            file.look_back(job)


def _read_and_write(jobs: Sequence[Job], file: Warehouse, report: Report, share: float) -> None:
    """Read every job in its own thread, and write the batches in this thread."""
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
    for thread in threads:  # DuckDB complains of cursors that outlive the program
        thread.join()


def _gathered(batches: "queue.Queue[Batch]", open_jobs: int) -> list[Batch]:
    """Return the batches that arrive within a moment of the first, or until no job is left to wait for."""
    taken = [batches.get()]
    until = time.monotonic() + GATHER_SECONDS
    with suppress(queue.Empty):
        while sum(batch.rows.num_rows for batch in taken) < BATCH_ROWS and open_jobs > sum(
            batch.is_last for batch in taken
        ):
            taken.append(batches.get(timeout=max(until - time.monotonic(), 0)))
    return taken


def _joined(taken: Sequence[Batch]) -> list[Batch]:
    """Return one batch per job, in the order of reading. Batches of a failed job are left out, now and later:
    its cursor would skip rows that were not kept.
    """
    joined: dict[str, Batch] = {}
    for batch in taken:
        batch.job.error = batch.job.error or batch.error
        before = joined.get(batch.job.name)
        rows = pa.concat_tables([before.rows, batch.rows]) if before else batch.rows
        keyless = (*before.keyless, *batch.keyless) if before else batch.keyless
        joined[batch.job.name] = replace(batch, rows=rows, keyless=keyless)
    return [batch for batch in joined.values() if batch.job.error is None]


def _write(batches: Sequence[Batch], file: Warehouse) -> None:
    """Write batches of one source in one package; if that fails, one by one, to find the one at fault."""
    try:
        file.write(batches)
    except Exception as error:
        if isinstance(error, OSError) or warehouse.is_full(error) or terminal.was_interrupted():
            raise  # no row is at fault
        file.packages.forget(batches[0].job.source.name)
        if len(batches) == 1:
            batches[0].job.error = error
            return
        for batch in batches:
            _write([batch], file)


def _read(job: Job, batches: "queue.Queue[Batch]", share: float) -> None:
    """Put all batches of `job` into the queue; the last one comes even when reading fails."""
    resource = job.resource
    rows = nothing = with_aside(resource.table.arrow_schema.empty_table())
    keyless: list[tuple[str, str, str]] = []
    form = Form(resource.table)
    until = newest = job.last
    sizes: Counter[str] = Counter()
    settled = job.client.started_at - SETTLED
    try:
        for page in () if job.is_measured else resource.read(job.client, job.start):
            if page is None:
                until = newest
            else:
                form.take(page, resource.cursor)
                rows = pa.concat_tables([rows, with_aside(page)])
                keyless += Aside.of(page).rows
                sizes.update(
                    page.column(resource.parent).to_pylist() if resource.parent else {"": page.num_rows}
                )
                job.client.tally.rows += page.num_rows
                newest = _newest(newest, page, resource.cursor, settled)
            if rows.num_rows >= BATCH_ROWS and not resource.replaced:
                form.check()
                batches.put(Batch(job, rows, until, keyless=tuple(keyless)))
                rows, keyless = nothing, []
        form.check()
        job.doubts = _doubts(job, sizes, share)
        job.is_read = True
        batches.put(Batch(job, rows, newest, is_last=True, keyless=tuple(keyless)))
    except Exception as error:  # a thread has no caller: the writer reports any error
        batches.put(Batch(job, nothing, is_last=True, error=error))


def _doubts(job: Job, sizes: belief.Sizes, share: float) -> list[belief.Doubt]:
    """Return the parts of a complete answer that are too empty to be believed alone."""
    if not job.is_guarded or job.is_believed:
        return []

    def count(parent: str) -> int | None:
        return job.resource.count(job.client, parent) if job.resource.count else None

    at = job.client.started_at
    return belief.doubts(job.full_name, job.before, sizes, share, at, job.remembered, count)


def _newest(newest: Cursor | None, page: pa.Table, cursor: str, settled: datetime) -> Cursor | None:
    """Return the highest cursor value so far; a row with a date in the future does not count."""
    if not cursor or not page.num_rows:
        return newest
    moments = page.column(cursor)
    latest = settled if pa.types.is_timestamp(moments.type) else settled.date()
    highest: Any = pc.max(moments.filter(pc.less_equal(moments, pa.scalar(latest, moments.type)))).as_py()
    return newest if highest is None else max(newest or highest, highest)
