"""Ingest killed at random instants, again and again: what ends up in raw is what an undisturbed run loads."""

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from commands import Project

from sandbox.server import Sandbox, serving
from sandbox.world import World

DAYS = (date(2026, 11, 20), date(2026, 11, 21))
KILLS_A_DAY = 3
SEEDS = range(4)  # 4 seeds, 2 days, 3 kills: 24

Raw = dict[str, list[tuple[Any, ...]]]


def raw_rows(project: Project) -> Raw:
    """Return every row of every raw table, without the id of the load that brought it."""
    tables = project.rows("""
        select table_schema || '.' || table_name,
            string_agg('"' || column_name || '"', ', ' order by ordinal_position)
        from information_schema.columns
        where table_schema in ('raw_sendgrid', 'raw_wistia', 'raw_klaviyo', 'raw_mavera')
            and table_name not like '\\_dlt%' escape '\\' and column_name <> '_dlt_load_id'
        group by 1
    """)
    return {table: project.rows(f"select {columns} from {table} order by all") for table, columns in tables}


@pytest.fixture(scope="module")
def urls() -> Iterator[dict[date, str]]:
    with ExitStack() as stack:
        yield {
            day: stack.enter_context(
                serving(Sandbox(World(200, 7, day, since=date(2026, 7, 1)), limits="off"))
            )
            for day in DAYS
        }


@pytest.fixture(scope="module")
def undisturbed(
    urls: dict[date, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[date, tuple[Raw, float]]:
    """What each day leaves in raw when nothing goes wrong, and how many seconds it takes."""
    project = Project(tmp_path_factory.mktemp("undisturbed"), "")
    days = {}
    for day in DAYS:
        project.url, project.today = urls[day], day.isoformat()
        started = time.monotonic()
        project.well("ingest")
        days[day] = raw_rows(project), time.monotonic() - started
    return days


@pytest.mark.parametrize("seed", SEEDS)
def test_a_killed_ingest_loses_nothing_and_doubles_nothing(
    seed: int, urls: dict[date, str], undisturbed: dict[date, tuple[Raw, float]], tmp_path: Path
) -> None:
    instants = random.Random(seed)
    project = Project(tmp_path, "")
    for day in DAYS:
        project.url, project.today = urls[day], day.isoformat()
        expected, seconds = undisturbed[day]
        kills = 0
        while kills < KILLS_A_DAY:
            if project.killed(instants.uniform(0.2, 0.9) * seconds, "ingest"):
                kills += 1
            else:
                seconds *= 0.6  # what is left to do takes less time than a whole run
        project.well("ingest")
        rows = raw_rows(project)
        assert rows.keys() == expected.keys()
        for table, of_table in expected.items():
            assert rows[table] == of_table, table
