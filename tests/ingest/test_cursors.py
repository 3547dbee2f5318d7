"""Where a cursor may move, and what an overlap reads again: for every resource that has one."""

import queue
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pytest

from common.settings import Settings
from ingest import pipeline
from ingest.http import Client
from ingest.model import Batch, Cursor, Job, Outcome, Pages, Resource, Source
from ingest.parallel import Reached
from ingest.vendors import SOURCES
from sandbox import klaviyo, mavera, sendgrid, wistia
from sandbox.server import Sandbox, serving
from sandbox.world import World

pytestmark = pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result")

NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
OFFLINE = Settings(_env_file=None)
# How long each vendor's late rows and changes are read again.
OVERLAPS = {
    "klaviyo profiles": timedelta(hours=1),
    "klaviyo events": timedelta(days=7),
    "klaviyo metric_aggregates": timedelta(days=20),
    "klaviyo campaigns": timedelta(days=7),
    "klaviyo campaign_messages": timedelta(days=7),
    **dict.fromkeys(
        (
            f"sendgrid {name}_stats"
            for name in (
                "global",
                "device",
                "client",
                "browser",
                "mailbox_provider",
                "geo",
                "single_send_daily",
            )
        ),
        timedelta(days=7),
    ),
    "sendgrid single_send_link_stats": timedelta(days=30),
    "wistia events": timedelta(days=3),
    "wistia media_stats_by_date": timedelta(days=3),
    "wistia account_stats_by_date": timedelta(days=3),
}


def with_cursor(settings: Settings) -> dict[str, tuple[Source, Resource]]:
    return {
        f"{source.name} {resource.table.name}": (source, resource)
        for source in SOURCES
        for resource in source.resources(settings)
        if resource.cursor
    }


CURSORS = with_cursor(OFFLINE)


def job_of(name: str, settings: Settings = OFFLINE, read: Any = None, last: Cursor | None = None) -> Job:
    """Return the job of a resource at NOW, which may read given pages instead of a vendor's."""
    source, resource = with_cursor(settings)[name]
    vendor = source.connect(settings, source.key(settings) or "key")
    client = Client(vendor, NOW, settings.history_days)
    resource = replace(resource, read=read) if read else resource
    return Job(source, resource, client, Outcome(source.name, resource.table.name), last=last)


def moment(job: Job, at: datetime) -> Cursor:
    """Return a time in the type of a job's cursor."""
    is_day = pa.types.is_date(job.resource.table.arrow_schema.field(job.resource.cursor).type)
    return at.date() if is_day else at


def page_of(job: Job, *moments: datetime) -> pa.Table:
    """Return a page with a row for each of these times."""
    resource = job.resource
    keys = {name: resource.table.arrow_schema.field(name).type for name in resource.table.key}
    return resource.table.from_rows(
        {
            **{name: f"{at:%j%H%M%S}" if pa.types.is_string(kind) else None for name, kind in keys.items()},
            resource.cursor: moment(job, at),
        }
        for at in moments
    )


def batches_of(job: Job, rows: int = pipeline.BATCH_ROWS) -> list[Batch]:
    """Return the batches of reading `job`, with a maximum size."""
    batches: queue.Queue[Batch] = queue.Queue()
    with patch.object(pipeline, "BATCH_ROWS", rows):
        pipeline._read(job, batches, 0.5, lambda _table, rows: rows)
    return list(batches.queue)


# --- the future --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CURSORS)
def test_a_row_of_the_future_moves_no_cursor(name: str) -> None:
    def pages(_client: Client, _start: Any) -> Pages:
        yield page_of(job, NOW - 2 * DAY, NOW + 2 * DAY)
        yield page_of(job, NOW - 3 * DAY, NOW + 400 * DAY)

    job = job_of(name, read=pages)
    (batch,) = batches_of(job)
    assert batch.error is None
    assert batch.rows.num_rows == 4
    assert batch.until == moment(job, NOW - 2 * DAY)


@pytest.mark.parametrize("name", CURSORS)
def test_of_the_future_alone_a_cursor_stays_where_it_was(name: str) -> None:
    last = moment(job_of(name), NOW - 5 * DAY)
    job = job_of(name, read=lambda _client, _start: iter([page_of(job, NOW + 2 * DAY)]), last=last)
    (batch,) = batches_of(job)
    assert (batch.error, batch.until) == (None, last)


# --- batches -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CURSORS)
def test_a_cursor_moves_no_further_than_the_windows_that_are_whole(name: str) -> None:
    def pages(_client: Client, _start: Any) -> Pages:
        yield page_of(job, NOW - 9 * DAY)
        yield page_of(job, NOW - 6 * DAY)  # a window is not ordered by time
        yield None
        yield page_of(job, NOW - 5 * DAY)
        yield page_of(job, NOW - 3 * DAY)
        yield page_of(job, NOW - 4 * DAY)

    job = job_of(name, read=pages, last=moment(job_of(name), NOW - 10 * DAY))
    moved = [batch.until for batch in batches_of(job, rows=1) if batch.rows.num_rows or batch.is_last]
    days = [10, 10, 6, 6, 6] if not job.resource.replaced else []
    assert moved == [moment(job, NOW - count * DAY) for count in [*days, 3]]


def batch(job: Job, days: int, *, is_last: bool = False, error: Exception | None = None) -> Batch:
    rows = pipeline.with_aside(page_of(job, NOW - days * DAY))
    return Batch(job, rows.slice(0, 0) if error else rows, moment(job, NOW), is_last=is_last, error=error)


def test_no_batch_of_a_job_that_failed_is_written() -> None:
    """Neither its earlier batches nor its later ones are written; those of other jobs are."""
    failed, well = job_of("klaviyo events"), job_of("wistia events")
    error = RuntimeError("no answer")
    taken = [batch(failed, 9), batch(well, 9), batch(failed, 8, is_last=True, error=error), batch(well, 8)]
    (written,) = pipeline._joined(taken)
    assert written.job is well
    assert written.rows.num_rows == 2
    assert failed.error is error
    assert [each.job for each in pipeline._joined([batch(failed, 7), batch(well, 7)])] == [well]


# --- overlaps ----------------------------------------------------------------------------------------


def test_every_overlap_is_expected_here() -> None:
    assert {name: job.overlap for name, (_, job) in CURSORS.items() if job.overlap} == OVERLAPS


@pytest.mark.parametrize("name", OVERLAPS)
def test_reading_goes_on_an_overlap_before_the_cursor(name: str) -> None:
    last = moment(job_of(name), NOW - DAY)
    assert job_of(name, last=last).start == last - OVERLAPS[name]


@pytest.fixture(scope="module")
def served() -> Iterator[Settings]:
    """The sandbox of a small world, whose history is longer than every overlap."""
    sandbox = Sandbox(World(60, 7, NOW.date(), since=date(2026, 9, 1)), limits="off")
    with serving(sandbox) as url:
        yield Settings(
            _env_file=None,
            sendgrid_api_key=sendgrid.KEY,
            wistia_api_token=wistia.KEY,
            klaviyo_api_key=klaviyo.KEY,
            mavera_api_key=mavera.KEY,
            sendgrid_base_url=f"{url}/sendgrid/v3",
            wistia_base_url=f"{url}/wistia/v1",
            klaviyo_base_url=f"{url}/klaviyo/api",
            mavera_base_url=f"{url}/mavera/api/v1",
            history_days=80,
            run_at=NOW,
        )


def read(job: Job, start: Cursor | None) -> list[Cursor]:
    """Return the cursor of each row that a job reads from `start`."""
    pages = [page for page in job.resource.read(job.client, start) if isinstance(page, pa.Table)]
    return [moment for page in pages for moment in page.column(job.resource.cursor).to_pylist()]


@pytest.mark.parametrize("name", OVERLAPS)
def test_a_row_that_lies_just_within_the_overlap_is_read_again(served: Settings, name: str) -> None:
    """A row before the overlap is not: by a second, or by a day if a vendor is asked for whole days."""
    every = sorted(set(read(job_of(name, served), None)))
    row = every[len(every) // 2]
    second = SECOND if isinstance(row, datetime) else timedelta()
    within = job_of(name, served, last=row + OVERLAPS[name] - second)
    outside = job_of(
        name, served, last=row + OVERLAPS[name] + (SECOND if second and "klaviyo" in name else DAY)
    )
    assert row in read(within, within.start)
    assert row not in read(outside, outside.start)


# --- how soon rows are written ------------------------------------------------------------------------


def test_a_slow_list_is_written_before_a_batch_is_full() -> None:
    """A killed run has to read unwritten rows again."""

    def pages(_client: Client, _start: Any) -> Pages:
        for days in (9, 8, 7):
            yield page_of(job, NOW - days * DAY)
            yield None

    job = job_of("wistia events", read=pages)
    with patch.object(pipeline, "BATCH_SECONDS", 0.0):
        batches = batches_of(job)
    assert [batch.rows.num_rows for batch in batches] == [1, 1, 1, 0]
    assert batches[-1].until == NOW - 7 * DAY


def test_pages_in_any_order_move_a_cursor_to_what_is_whole() -> None:
    def pages(_client: Client, _start: Any) -> Pages:
        yield page_of(job, NOW - 2 * DAY)  # of a later part
        yield page_of(job, NOW - 9 * DAY)
        yield Reached(NOW - 8 * DAY)
        yield page_of(job, NOW - 7 * DAY)
        yield page_of(job, NOW - 6 * DAY)
        yield Reached(NOW - 5 * DAY)
        yield page_of(job, NOW - 4 * DAY)

    job = job_of("klaviyo events", read=pages)
    moved = [batch.until for batch in batches_of(job, rows=1)]
    assert moved == [None, None, *[NOW - 9 * DAY] * 2, NOW - 6 * DAY, NOW - 2 * DAY]
