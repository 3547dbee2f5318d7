"""What a load holds in memory: a few batches, however many there are."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import duckdb
import pyarrow as pa
import pytest

from common.settings import Settings
from ingest import pipeline
from ingest.http import Client
from ingest.model import Resource
from ingest.store import packages
from ingest.store.warehouse import Warehouse, widen
from ingest.vendors.klaviyo import KLAVIYO
from ingest.vendors.klaviyo.tables import EVENTS
from tests.ingest_faults import Silent

BATCHES, BATCH_ROWS, PAGE_ROWS = 16, 2_000, 500
NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)


def page_of(number: int) -> pa.Table:
    """Return a page of events with half a kilobyte of properties each, all of which may be loaded."""
    return EVENTS.from_rows(
        {
            "id": f"{number}-{n}",
            "metric_id": "m",
            "datetime": NOW - timedelta(days=1, minutes=number),
            "event_properties": f'{{"$event_id":"{number}-{n}","Subject":"{"x" * 500}"}}',
        }
        for n in range(PAGE_ROWS)
    )


@pytest.fixture
def ours(tmp_path: Path) -> Settings:
    return Settings(
        _env_file=None, klaviyo_api_key="k", klaviyo_base_url="http://127.0.0.1:1",
        salt_path=tmp_path / "salt", warehouse_path=tmp_path / "warehouse.duckdb",
        pipelines_path=tmp_path / "pipelines", forgotten_path=tmp_path / "forgotten.json",
    )  # fmt: skip


def test_of_a_long_load_only_a_few_batches_are_in_memory_and_little_is_in_the_log(ours: Settings) -> None:
    log = ours.warehouse_path.with_name(f"{ours.warehouse_path.name}.wal")
    rows, logged = [0], [0]
    batch_bytes = page_of(0).nbytes * BATCH_ROWS / PAGE_ROWS
    before = pa.total_allocated_bytes()

    def read(_client: Client, _since: object) -> Iterator[pa.Table | None]:
        for number in range(BATCHES * BATCH_ROWS // PAGE_ROWS):
            yield page_of(number)
            yield None
            rows.append(pa.total_allocated_bytes() - before)
            logged.append(log.stat().st_size if log.exists() else 0)

    resource = Resource(EVENTS, read, "events:read", "datetime", timedelta(days=7), is_dated=True)
    fed = replace(KLAVIYO, resources=lambda _settings: [resource])
    with (
        patch.object(pipeline, "BATCH_ROWS", BATCH_ROWS),
        patch.object(pipeline, "KEPT_ROWS", PAGE_ROWS),
        patch.object(packages, "LOG_BYTES", int(batch_bytes)),
    ):
        summary = pipeline.run(ours, [fed], ["klaviyo"], Silent())
    assert not summary.errors
    assert summary.jobs[0].outcome.rows_new == BATCHES * BATCH_ROWS
    assert max(rows) < BATCHES / 2 * batch_bytes
    assert 0 < max(logged) < 4 * batch_bytes


def test_duckdb_is_bounded_until_a_step_needs_more(ours: Settings) -> None:
    file = Warehouse(ours)
    tried: list[object] = []

    def scarce(batches: object) -> None:
        tried.append(batches)
        if len(tried) == 1:
            raise duckdb.OutOfMemoryException("Out of Memory Error: could not allocate")

    file.write = scarce  # type: ignore[method-assign]
    batch = pipeline.Batch(pipeline._jobs(KLAVIYO, "k", ours, NOW)[0], EVENTS.arrow_schema.empty_table())
    pipeline._write([batch], file)
    assert len(tried) == 2
    assert batch.job.error is None
    assert not widen(file.raw.connection)  # it was, and is no more
    file.close()
