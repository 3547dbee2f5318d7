"""A first load that is killed again and again: it goes on, and repeats little of what it has asked for."""

import multiprocessing
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final
from unittest.mock import patch

import duckdb
import pytest

from common.settings import Settings
from ingest import pipeline
from ingest.vendors.klaviyo import KLAVIYO, reads
from sandbox import klaviyo
from sandbox.server import Sandbox, serving
from sandbox.world import World
from tests.ingest_faults import Silent

TODAY: Final = date(2026, 11, 21)
LATENCY_MS: Final = 200
AT_ONCE: Final = 4
AHEAD: Final = 20
BATCH_SECONDS: Final = 0.5
WRITING_SECONDS: Final = 4.0
"""A package takes a third of a second to write, and several times that on a busy machine."""
KILLS: Final = 2
SOON: Final = (120, 140)
"""After how many requests for events a run is killed, at least and at most."""
REPEATED: Final = AHEAD + AT_ONCE + (BATCH_SECONDS + WRITING_SECONDS) * AT_ONCE * 1000 / LATENCY_MS
"""What a killed run may repeat here: what it read ahead, and what came while its last batch was gathered and
written. With the usual numbers it is less than a minute of the allowance.
"""


@contextmanager
def slowly() -> Iterator[None]:
    """Read events in pages of six, a few at once, so that a small world has a long history."""
    usual = reads.list_of
    with ExitStack() as stack:
        for target, name, value in (
            (reads, "list_of", lambda size: usual(6 if size == 1000 else size)),
            (reads, "AT_ONCE", {**reads.AT_ONCE, "XL": AT_ONCE}),
            (reads, "PAGES_AHEAD", {**reads.PAGES_AHEAD, "XL": AHEAD}),
            (pipeline, "BATCH_SECONDS", BATCH_SECONDS),
            (pipeline, "GATHER_SECONDS", 0.2),
        ):
            stack.enter_context(patch.object(target, name, value))
        yield


def load_slowly(settings: Settings) -> None:
    alone = replace(
        KLAVIYO,
        resources=lambda _settings: [each for each in KLAVIYO.resources(settings) if each.name == "events"],
    )
    with slowly():
        summary = pipeline.run(settings, [alone], ["klaviyo"], Silent())
    assert not summary.errors, summary.errors


def asked_for_events(sandbox: Sandbox) -> int:
    return sum(entry.path == "/api/events" for entry in list(sandbox.journal))


def kill_after(requests: int, sandbox: Sandbox, settings: Settings) -> int:
    """Load in another process, kill it once it has made so many requests for events; return how many."""
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload([__name__])
    before = asked_for_events(sandbox)
    child = forks.Process(target=load_slowly, args=(settings,))
    child.start()
    while child.is_alive() and asked_for_events(sandbox) < before + requests:
        time.sleep(0.02)
    assert child.is_alive(), "it ended before it was killed"
    child.kill()
    child.join()
    return asked_for_events(sandbox) - before


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(World(120, 7, TODAY, since=date(2026, 8, 1)), limits="off", latency_ms=LATENCY_MS)


def test_a_backfill_that_is_killed_at_any_time_repeats_less_than_a_minute_of_requests(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    moments = random.Random(7)
    with serving(sandbox) as url:

        def settings(name: str) -> Settings:
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            return Settings(
                _env_file=None,
                klaviyo_api_key=klaviyo.KEY,
                klaviyo_base_url=f"{url}/klaviyo/api",
                warehouse_path=folder / "warehouse.duckdb",
                pipelines_path=folder / "pipelines",
                forgotten_path=folder / "forgotten.json",
                salt_path=folder / "salt",
                ledger_url=f"sqlite:///{folder / 'ledger.sqlite'}",
                history_days=110,
                run_at=datetime(2026, 11, 21, 6, tzinfo=UTC),
            )

        sandbox.latency_ms = 0  # only a run that is killed must take its time
        load_slowly(settings("undisturbed"))
        least = asked_for_events(sandbox)
        sandbox.latency_ms = LATENCY_MS
        asked = [kill_after(moments.randint(*SOON), sandbox, settings("killed")) for _ in range(KILLS)]
        before = asked_for_events(sandbox)
        sandbox.latency_ms = 0
        load_slowly(settings("killed"))
        asked.append(asked_for_events(sandbox) - before)
    assert sum(asked) <= least + KILLS * REPEATED, (least, asked)
    assert SOON[0] > REPEATED, "a run that began anew would pass"
    found = [
        duckdb.connect(str(tmp_path / name / "warehouse.duckdb"), read_only=True)
        .sql(
            "select count(*), count(distinct id), sum(hash(event_properties) % 1000) from raw_klaviyo.events"
        )
        .fetchall()
        for name in ("undisturbed", "killed")
    ]
    assert found[0] == found[1]
