"""Measures the writing side of a load beside its yardstick, in CPU seconds of processes of their own.

    python -m tests.bench_loading --people 2000 --rows 100000 --kept 1000000

The yardstick is the least that dlt needs: the same pages parsed once by the same SQL, and one Arrow load.
"""

import os
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Annotated, Any, Final

import dlt
import pyarrow as pa
import typer

from common import settings
from ingest import pipeline, vendors
from ingest.http import Client, Vendor
from ingest.model import Job, Outcome, Resource, Source
from ingest.store.changes import changes
from ingest.store.warehouse import Warehouse
from ingest.typed import Table
from tests.commands import Project
from tests.measuring import TODAY, Measure
from tests.measuring import vendors as served

MEGABYTE: Final = 1024  # in getrusage's unit
FIRST_YEAR: Final = 1950
"""Of repeated pages: each repetition is a year later than the one before, and none is in the future."""
EVENTS: Final = "raw_klaviyo.events"
MORE: Final = 3
"""How many times as many events show whether memory grows with them."""
Page = tuple[str, str, Mapping[str, Any]]


class Silent:
    """A report that shows nothing."""

    def begin(self, jobs: Sequence[Job]) -> None: ...
    def skip(self, source: str, reason: str) -> None: ...
    def finish(self, job: Job) -> None: ...


def used() -> tuple[float, float]:
    """Return the CPU seconds and the peak MB of this process."""
    spent = getrusage(RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime, spent.ru_maxrss / MEGABYTE


def ours(folder: Path) -> settings.Settings:
    project = Project(folder, "http://127.0.0.1:1", TODAY.isoformat())
    os.environ.update(project.environment)
    return settings.load()


def sources() -> dict[str, Table]:
    """Return every table by its name."""
    return {table.full_name: table for table in vendors.tables_of(settings.Settings(_env_file=None))}


def pages_in(file: Path) -> Iterator[Page]:
    with file.open("rb") as stored:
        while stored.peek():
            yield pickle.load(stored)  # noqa: S301


def repeated(file: Path, rows: int) -> Iterator[str]:
    """Yield pages of events until they have `rows`; each repetition has its own ids and its own year."""
    counted, times = 0, 0
    while True:
        for text in (text for name, text, _ in pages_in(file) if name == EVENTS):  # never all in memory
            if counted >= rows:
                return
            counted += text.count('"type":"event","id":"') - text.count('"attributed-event":{"data":{"type"')
            yield text.replace('"datetime":"2026-', f'"datetime":"{FIRST_YEAR + times}-').replace(
                '"type":"event","id":"', f'"type":"event","id":"{times:04x}'
            )
        times += 1


# --- what runs in a process of its own ---------------------------------------------------------------


def record(folder: Path, url: str) -> None:
    """Load everything once, and keep the pages that were read."""
    project = Project(folder, url, TODAY.isoformat())
    os.environ.update(project.environment)
    parse, lock, tables = Table.rows, threading.Lock(), sources()

    def kept(table: Table, page: str, known: Mapping[str, Any]) -> pa.Table:
        with lock, (folder / "pages").open("ab") as stored:
            if table.full_name in tables:
                pickle.dump((table.full_name, page, dict(known)), stored)
        return parse(table, page, known)

    Table.rows = kept  # type: ignore[method-assign]
    pipeline.run(settings.load(), vendors.SOURCES, [each.name for each in vendors.SOURCES], Silent())


def load(folder: Path, url: str) -> None:
    """Load everything."""
    project = Project(folder, url, TODAY.isoformat())
    os.environ.update(project.environment)
    pipeline.run(settings.load(), vendors.SOURCES, [each.name for each in vendors.SOURCES], Silent())


def feed(folder: Path, stored: Path, rows: int) -> None:
    """Load repeated pages of events as if a vendor had sent them."""
    table = sources()[EVENTS]

    def read(client: Client, _since: object) -> Iterator[pa.Table | None]:
        for page in repeated(stored, rows):
            yield table.rows(page, {})
            yield None

    (klaviyo,) = [source for source in vendors.SOURCES if source.name == "klaviyo"]
    resource = Resource(table, read, "events:read", "datetime", timedelta(days=7))
    fed = Source(
        "klaviyo", "Klaviyo", klaviyo.key_name, klaviyo.key_like, klaviyo.connect, lambda _: [resource], {}
    )
    summary = pipeline.run(ours(folder), [fed], ["klaviyo"], Silent())
    assert not summary.errors, summary.errors
    assert summary.jobs[0].outcome.rows_new >= rows * 0.9, summary.jobs[0].outcome


def least(folder: Path, stored: Path, rows: int) -> None:
    """Parse the same pages, or as many repeated ones, and load them with dlt: one package, appended."""
    tables, texts = sources(), dict[str, list[tuple[str, Mapping[str, Any]]]]()
    if not rows:
        for name, page, known in pages_in(stored):
            texts.setdefault(name, []).append((page, known))

    def pages(name: str) -> Iterator[pa.Table]:
        found = ((page, {}) for page in repeated(stored, rows)) if rows else texts[name]
        yield from (tables[name].rows(page, known) for page, known in found)

    names = [EVENTS] if rows else sorted(texts)
    loaded = dlt.pipeline(
        "least", destination=dlt.destinations.duckdb(str(folder / "least.duckdb")), pipelines_dir=str(folder)
    )
    resources = [
        dlt.resource(pages(name), name=name.replace(".", "__"), columns=tables[name].dlt_columns)
        for name in names
    ]
    loaded.run(resources)


# --- the measures ------------------------------------------------------------------------------------


def alone(part: str, *arguments: object) -> tuple[float, float]:
    """Run one of the functions above in a process of its own; return its CPU seconds and peak MB."""
    command = [sys.executable, "-m", "tests.bench_loading", part, *map(str, arguments)]
    done = subprocess.run(command, cwd=settings.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seconds, megabytes = done.stdout.split()[-2:]
    return float(seconds), float(megabytes)


def compared(folder: Path, kept: int, stored: Path) -> float:
    """Return the CPU seconds of comparing a batch of new events with `kept` rows of earlier years."""
    table = sources()[EVENTS]
    found = ours(folder)
    file = Warehouse(found)
    file.prepare([table])
    batch = pa.concat_tables([table.rows(page, {}) for page in repeated(stored, 50_000)])
    connection = file.raw.connection
    connection.register("batch", batch)
    times = -(-kept // batch.num_rows)
    names = ", ".join(name for name in batch.column_names if name not in ("id", "datetime"))
    connection.execute(
        f"""
        insert into {EVENTS} by name
        select concat(n, id) as id, datetime - to_years(n + 1) as datetime, {names}
        from batch, range({times}) as years(n) order by n desc limit {kept}
        """
    )
    connection.execute("checkpoint")
    job = Job(
        vendors.SOURCES[2],
        Resource(table, lambda *_: iter(()), "events:read", "datetime", timedelta(days=7)),
        Client(Vendor("http://127.0.0.1:1", ""), datetime(2026, 11, 20, tzinfo=UTC)),
        Outcome("klaviyo", "events"),
    )
    rows = batch.append_column("set_aside", pa.nulls(batch.num_rows, pa.string()))
    before, _ = used()
    # A part of a list may have been asked for twice, so its pages hold some events twice.
    assert changes(connection, job, rows).new == len(batch.column("id").unique())
    after, _ = used()
    file.close()
    return after - before


def measures(people: int, rows: int, kept: int) -> Iterator[Measure]:
    """Yield what loading costs beside its yardstick, how much memory it takes, and how comparing grows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folders = [
            folder / part
            for part in ("recorded", "loaded", "fed", "fed-more", "least", "least-fed", "kept", "few")
        ]
        for each in folders:
            each.mkdir()
        recorded, loaded, fed, fed_more, least_, least_fed, many, few = folders
        with served(people, TODAY) as url:
            alone("record", recorded, url)
            seconds, peak = alone("load", loaded, url)
        stored = recorded / "pages"
        bare, _ = alone("least", least_, stored, 0)
        yield Measure("load, everything", "s", seconds, "the same pages parsed, one dlt load", bare)
        yield Measure("load, everything: peak", "MB", peak, "most", 600)
        seconds, peak = alone("feed", fed, stored, rows)
        bare, _ = alone("least", least_fed, stored, rows)
        yield Measure(f"load, {rows:,} events", "s", seconds, "the same pages parsed, one dlt load", bare)
        yield Measure(f"load, {rows:,} events: peak", "MB", peak, "most", 600)
        _, more = alone("feed", fed_more, stored, MORE * rows)
        yield Measure(f"load, {MORE * rows:,} events: peak", "MB", more, f"with {rows:,}", peak)
        least_kept = compared(few, 50_000, stored)
        step = f"compare 50,000 rows with {kept:,} kept"
        yield Measure(step, "s", compared(many, kept, stored), "with 50,000 kept", least_kept)


def main(
    part: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    *,
    people: Annotated[int, typer.Option(help="Size of the population.")] = 2000,
    rows: Annotated[int, typer.Option(help="Events that are loaded from repeated pages.")] = 100_000,
    kept: Annotated[int, typer.Option(help="Events that a batch is compared with.")] = 1_000_000,
) -> None:
    """Print each measure."""
    match part or []:
        case ["record" | "load" as name, folder, url]:
            {"record": record, "load": load}[name](Path(folder), url)
            typer.echo(" ".join(map(str, used())))
        case ["feed" | "least" as name, folder, stored, count]:
            {"feed": feed, "least": least}[name](Path(folder), Path(stored), int(count))
            typer.echo(" ".join(map(str, used())))
        case _:
            for measure in measures(people, rows, kept):
                typer.echo(
                    f"{measure.step}: {measure.ours:,.2f} {measure.unit}; {measure.yardstick}: "
                    f"{measure.theirs:,.2f}; ratio {measure.ratio or 0:.2f}"
                )


if __name__ == "__main__":
    typer.run(main)
