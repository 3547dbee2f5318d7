"""Measures what a build costs with many events: everything, a day that brings 1% of them, and the copy.

    python -m tests.bench_models FOLDER --events 1000000

FOLDER is that of a project that has loaded a small world; its people and events are repeated by SQL. All
figures are processor seconds of the commands, and memory is the most that any of them held.
"""

import resource
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import duckdb
import typer

from tests.commands import Project
from tests.measuring import TODAY, Measure, vendors

MINE: Final = {
    "raw_klaviyo.profiles": {"id": "id", "email": "address", "last_name": "name"},
    "raw_klaviyo.predictive_analytics": {"profile_id": "id"},
    "raw_klaviyo.segment_members": {"profile_id": "id"},
    "raw_klaviyo.list_members": {"profile_id": "id"},
    "raw_klaviyo.events": {"id": "id", "profile_id": "id", "event_properties": "order"},
    "raw_sendgrid.contacts": {"contact_id": "id", "email": "address", "last_name": "name"},
    "raw_wistia.visitors": {"visitor_key": "id"},
    "raw_wistia.events": {"event_key": "id", "visitor_key": "id", "email": "address"},
}
"""The columns of each raw table that say who somebody is, and what is put into the repeated rows."""
EVENTS: Final = {"raw_klaviyo.events": ("id", "datetime"), "raw_wistia.events": ("event_key", "received_at")}
REPEATED: Final = {
    "id": "{column} || '-' || copy_number",
    "address": "replace({column}, '@', copy_number || '@')",
    # An order belongs to one person.
    "order": "regexp_replace({column}, '\"([$]event_id|OrderId)\":\"?', '\\0' || copy_number, 'g')",
    # Letters alone, because a digit is no part of a name.
    "name": "{column} || translate(copy_number::varchar, '0123456789', 'abcdefghij')",
}
DAY_SHARE: Final = 0.01


class Cost(NamedTuple):
    """What a step cost: processor seconds, and the most memory that any command held so far, in MB."""

    step: str
    cpu_seconds: float
    memory_mb: float


def repeat(path: Path, events: int) -> int:
    """Repeat the people and events of a loaded warehouse until it has this many events; return how many."""
    with duckdb.connect(str(path)) as connection:
        counts = [f"(select count(*) from {table})" for table in EVENTS]
        ((once,),) = connection.execute(f"select {' + '.join(counts)}").fetchall()
        times = max(1, events // once)
        for table, columns in MINE.items():
            connection.execute(
                f"insert into {table} select * exclude (copy_number) replace ({_put(columns)})"
                f" from {table} cross join range(1, {times}) as copies(copy_number)"
            )
    return int(once * times)


def add_a_day(path: Path, share: float = DAY_SHARE) -> int:
    """Load a day later: this share of events once more on the next day, as a run of ingest; return how many.

    A twentieth of them came late, a week before. This share of the last week's has changed: a run reads
    nothing older again.
    """
    added = 0
    with duckdb.connect(str(path)) as connection:
        ((run,),) = connection.execute("select count(distinct run_id) from raw_ops.loads").fetchall()
        for table, (key, moment) in EVENTS.items():
            load = f"replace(_dlt_load_id, '.', '.{run}')"
            late = f"case when hash({key}) % 20 = 0 then to_days(7) else to_days(0) end"
            ((count,),) = connection.execute(
                f"insert into {table} select * replace ({key} || '+{run}' as {key}, {load} as _dlt_load_id,"
                f" (select max({moment}) from {table}) - to_seconds((hash({key}) % 80000)::bigint)"
                f" + to_days(1) - {late} as {moment})"
                f" from {table} where hash({key}, {run}) % 1000000 < {share * 1e6:.0f}"
            ).fetchall()
            connection.execute(
                f"update {table} set _dlt_load_id = {load}"
                f" where {moment} > (select max({moment}) from {table}) - to_days(8)"
                f" and hash({key}, {run}, 'changed') % 1000000 < {share * 1e6:.0f}"
            )
            connection.execute(
                "insert into raw_ops.loads (run_id, vendor, resource, started_at, finished_at, rows_read,"
                " rows_new, rows_changed, rows_late, outcome)"
                " select ?, ?, ?, now(), now(), ?, ?, 1, 0, 'loaded'",
                [f"day {run}", *table.removeprefix("raw_").split("."), count, count],
            )
            added += count
    return added


def _put(columns: Mapping[str, str]) -> str:
    put = ((column, REPEATED[kind].format(column=column)) for column, kind in columns.items())
    return ", ".join(f"{value} as {column}" for column, value in put)


def measured(folder: Path, events: int) -> list[Cost]:
    """Build everything, build a day later, build everything again, and publish, on a copy of the project."""
    found: list[Cost] = []
    with tempfile.TemporaryDirectory() as scratch:
        project = Project(shutil.copytree(folder, Path(scratch) / "project"), "http://127.0.0.1:1")
        warehouse = project.folder / "warehouse.duckdb"
        repeat(warehouse, events)

        def run(step: str, *arguments: str) -> None:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            ran = project.run("transform", *arguments)
            assert ran.code == 0, ran.out + ran.err
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            found.append(Cost(step, round(seconds, 1), round(after.ru_maxrss / 1000)))

        run("everything")
        add_a_day(warehouse)
        run("a day of 1% later")
        run("everything again", "--full")
        run("the copy alone", "publish")
    return found


def measures(people: int, events: int) -> Iterator[Measure]:
    """Yield what a day of 1% costs beside everything, and the copy beside the build, at this many events."""
    with tempfile.TemporaryDirectory() as name, vendors(people, TODAY) as url:
        folder = Path(name) / "loaded"
        folder.mkdir()
        Project(folder, url, TODAY.isoformat()).well("ingest")
        _, day, whole, copy = measured(folder, events)
    step = f"transform, {events:,} events"
    yield Measure(f"{step}, a day of 1%", "CPU s", day.cpu_seconds, "everything", whole.cpu_seconds)
    yield Measure(f"{step}: peak", "MB", whole.memory_mb, "goal", 600)
    yield Measure(f"publish, {events:,} events", "CPU s", copy.cpu_seconds, "everything", whole.cpu_seconds)


def main(
    folder: Annotated[Path, typer.Argument(help="Of a project that has loaded a small world.")],
    events: Annotated[int, typer.Option(help="Events to repeat it to.")] = 1_000_000,
) -> None:
    for cost in measured(folder, events):
        typer.echo(f"{cost.step:<20}{cost.cpu_seconds:>8.1f} CPU s{cost.memory_mb:>8.0f} MB")


if __name__ == "__main__":
    typer.run(main)
