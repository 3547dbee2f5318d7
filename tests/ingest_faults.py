"""Ingest with faults: each of the sandbox's alone and in pairs, per vendor, and the resulting raw tables.

    python -m tests.ingest_faults --seeds 0:50
    python -m tests.ingest_faults --seeds 0:3426 --alone

A seed is a case: a vendor, one fault or two, and the start of the faulty run, from nothing or from the day
before; --alone plays those with one. A fault may be a SIGKILL at a stage of the run. Then the faults end,
ingest runs once more, and raw is compared with an undisturbed warehouse, row by row, by key and content.
Prints a line per case; exits 1 if a row is lost, duplicated or differs.
"""

import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple
from unittest.mock import patch

import dlt
import duckdb
import pyarrow as pa
import requests
import typer
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.common.normalizers.naming import NamingConvention
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common.settings import Settings
from ingest import paging, pipeline
from ingest.model import Job, Resource, Source, Summary
from ingest.store.warehouse import Warehouse
from ingest.typed import Table
from ingest.vendors import SOURCES as EVERY
from ingest.vendors.klaviyo import reads as klaviyo
from ingest.vendors.mavera import reads as mavera
from ingest.vendors.sendgrid import reads as sendgrid
from ingest.vendors.wistia import reads as wistia
from sandbox import klaviyo as klaviyo_api
from sandbox import mavera as mavera_api
from sandbox import sendgrid as sendgrid_api
from sandbox import wistia as wistia_api
from sandbox.faults import NAMES, SOME, STRICT, VENDORS, Fault
from sandbox.server import Sandbox, serving
from sandbox.world import ANOMALIES, World

YESTERDAY, TODAY = date(2026, 11, 20), date(2026, 11, 21)
SINCE = date(2026, 9, 1)
PEOPLE = 60
HISTORY_DAYS = 100
SOURCES: Final[dict[str, Source]] = {source.name: source for source in EVERY}
CLOCKS: Final = {"clock-behind": timedelta(days=-1), "clock-ahead": timedelta(days=1)}
"""How far our clock is from the vendor's: what happened since is from the future, or nothing happened yet."""
KILLS: Final = (
    "kill-reading",
    "kill-extract",
    "kill-normalise",
    "kill-load",
    "kill-staged",
    "kill-merging",
    "kill-data",
    "kill-state",
    "kill-unmarked",
    "kill-marked",
    "kill-recording",
)
"""Where a run is killed: after a few answers, before each of dlt's steps, with rows in the staging tables,
before a commit of rows and after it, after that of the cursor, before and after the row that makes the
cursor count, and before the run is written down.
"""
# A strict gateway refuses none of our requests, as test_ingest.py checks.
FAULTS: Final = sorted({*NAMES, *ANOMALIES, *CLOCKS, *KILLS} - {STRICT})
ANOMALOUS: Final = {
    **dict.fromkeys(["future-rows", "same-second", "old-attribution"], ("klaviyo",)),
    "late-rows": VENDORS[:3],
}
"""Whose rows an anomaly of the population touches."""

FEW_ROWS: Final = 50
"""Of a batch, so that a small world has many: a third of the cases are read in such."""
ANSWERS: Final = 9
"""How many requests a run may make that is killed while it reads."""
ROWS: Final = re.compile(r'INSERT INTO "raw_[a-z]+"\."(?!_dlt)')
STATE: Final = re.compile(r'INSERT INTO "raw_[a-z]+"\."_dlt_pipeline_state"')
WORDS: Final = {"topic": "Repair", "target_audience": "Viewers"}

# Frequencies: faults that slow a run down or are believed after three times occur once or twice.
OFTEN: Final[dict[str, tuple[float, int | None]]] = {
    "429": (0.2, 1),
    "429-untimed": (0.1, None),
    "time-out": (0.2, 1),
    "slow-body": (0.2, 2),
    "empty-page": (0.2, 2),
    "repeated-page": (0.2, 2),
    "changed-type": (0.1, 1),
    "short-total": (0.3, 4),
    "repeated-cursor": (0.3, None),
    "added-row": (1.0, None),  # every later page shifts
    "deleted-row": (1.0, None),
}
USUAL: Final = (0.1, None)


@contextmanager
def small_pages() -> Iterator[None]:
    """Read lists in pages small enough for a small world to have several."""
    usual = klaviyo.list_of
    with ExitStack() as stack:
        for target, name, value in (
            (klaviyo, "list_of", lambda size: usual(size and max(size // 10, 5))),
            (klaviyo, "AGGREGATE_ROWS", 20),
            (sendgrid, "LIST", replace(sendgrid.LIST, size=("page_size", 5))),
            (sendgrid, "STATS", replace(sendgrid.STATS, size=("page_size", 5))),
            (sendgrid, "BY_OFFSET", paging.Offset(4)),
            (wistia, "PAGE", paging.Numbered(15)),
            (mavera, "PAGE_ROWS", 3),
            (pipeline, "GATHER_SECONDS", 0.3),
            (sys.modules["sandbox.server"], "SLOW_BODY_SECONDS", 0.2),
        ):
            stack.enter_context(patch.object(target, name, value))
        yield


@contextmanager
def remembered() -> Iterator[None]:
    """Cache results that no fault can change: the rows in the text of a page, a word in it, dlt's
    capabilities of its DuckDB.
    """
    in_page, of_dlt = Table.rows, dlt.destinations.duckdb.capabilities
    rows: dict[tuple[object, ...], pa.Table] = {}
    able: dict[str, DestinationCapabilitiesContext] = {}

    def rows_once(table: Table, page: str, known: Mapping[str, object]) -> pa.Table:
        key = (table.full_name, page, *known.values())
        if key not in rows:
            rows[key] = in_page(table, page, known)
        return rows[key]

    def able_once(
        to: dlt.destinations.duckdb, config: Any = None, naming: NamingConvention | None = None
    ) -> DestinationCapabilitiesContext:
        if config is not None:
            return of_dlt(to, config, naming)
        name = naming.name() if naming else ""
        if name not in able:
            able[name] = of_dlt(to, config, naming)
        return able[name].copy()

    with ExitStack() as stack:
        for target, name, instead in (
            (Table, "rows", rows_once),
            (paging, "value", cache(paging.value)),
            (mavera, "value", cache(mavera.value)),
            (dlt.destinations.duckdb, "capabilities", able_once),
        ):
            stack.enter_context(patch.object(target, name, instead))
        yield


def answered_once(application: ASGIApp) -> ASGIApp:
    """Return an application with answers cached by request; exports are not cached, because they are jobs."""
    answers: dict[tuple[object, ...], list[Message]] = {}

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if "export" in scope["path"]:
            await application(scope, receive, send)
            return
        body = (await receive())["body"]
        key = (scope["path"], scope["query_string"], body, scope["state"]["page_fault"])
        if key not in answers:
            said: list[Message] = []

            async def again() -> Message:
                return {"type": "http.request", "body": body, "more_body": False}

            async def keep(message: Message) -> None:
                said.append(message)

            await application(scope, again, keep)
            answers[key] = said
        for message in answers[key]:
            copied = {**message, "headers": list(message["headers"])} if "headers" in message else message
            await send(copied)

    return answer


class Case(NamedTuple):
    """The case of a seed; `faults` are one or two."""

    seed: int
    vendor: str
    faults: tuple[str, ...]
    is_first_load: bool
    batch_rows: int = pipeline.BATCH_ROWS


class Found(NamedTuple):
    """The outcome of a case: how many resources failed under faults, or `killed`; then raw's errors."""

    failed: int | str
    lost: int
    doubled: int
    differing: int
    requests: int

    @property
    def is_whole(self) -> bool:
        return not (self.lost or self.doubled or self.differing)


@cache
def combined() -> list[tuple[str, tuple[str, ...]]]:
    """Return every vendor with each of its faults, alone and in pairs; each twice, for both starts."""
    cases = []
    for vendor in VENDORS:
        can = [fault for fault in FAULTS if vendor in ({**SOME, **ANOMALOUS}.get(fault, VENDORS))]
        can = [fault for fault in can if vendor != "mavera" or fault not in CLOCKS]  # it has the real time
        cases += [(vendor, (fault,)) for fault in can]
        cases += [
            (vendor, pair)
            for pair in combinations(can, 2)
            if not any(set(pair) <= set(one_at_a_time) for one_at_a_time in (CLOCKS, KILLS))
        ]
    return [each for each in cases for _ in range(2)]


@cache
def order() -> list[int]:
    """Return the positions of cases in `combined`, shuffled."""
    return random.Random(0).sample(range(len(combined())), len(combined()))


def case_of(seed: int) -> Case:
    """Return the case of a seed: all of them in an order that spreads vendors and faults, then again."""
    cases = combined()
    at = order()[seed % len(cases)]
    vendor, faults = cases[at]
    batch_rows = FEW_ROWS if seed % 3 == 0 else pipeline.BATCH_ROWS
    return Case(seed, vendor, faults, at % 2 == 0, batch_rows)


class Silent:
    """A report without a reader."""

    def begin(self, jobs: Sequence[Job]) -> None:
        """Print nothing."""

    def skip(self, source: str, reason: str) -> None:
        """Print nothing."""

    def finish(self, job: Job) -> None:
        """Print nothing."""


class Days:
    """The sandboxes of two days with some anomalies, and a vendor's rows from undisturbed runs."""

    def __init__(self, anomalies: frozenset[str], folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self.sandboxes = {
            day: Sandbox(World(PEOPLE, 7, day, since=SINCE, anomalies=anomalies), limits="off")
            for day in (YESTERDAY, TODAY)
        }
        for sandbox in self.sandboxes.values():
            for name in VENDORS[:3]:
                vendor, application = sandbox._vendors[name]
                sandbox._vendors[name] = vendor, answered_once(application)
        self._urls = {day: stack.enter_context(serving(sandbox)) for day, sandbox in self.sandboxes.items()}
        self._fill(self._urls[TODAY])
        self._kept: dict[tuple[str, tuple[date, ...], bool], Path] = {}

    def _fill(self, url: str) -> None:
        """Add threads and texts to Mavera: more than a page of each."""
        for number in range(5):
            for path, body in (
                ("mave/chat", {"message": f"Who watches to the end of {number}?"}),
                (
                    "generations",
                    {"app_id": "email-writer", "input_data": WORDS | {"topic": f"Repair {number}"}},
                ),
            ):
                requests.post(
                    f"{url}/mavera/api/v1/{path}",
                    json=body,
                    headers={"Authorization": f"Bearer {mavera_api.KEY}"},
                    timeout=10,
                ).raise_for_status()

    def settings(self, folder: Path, day: date, apart: timedelta = timedelta()) -> Settings:
        """Return settings for `day` with files in `folder`, by a clock that is `apart` from the real one."""
        url = self._urls[day]
        return Settings(
            _env_file=None,
            sendgrid_api_key=sendgrid_api.KEY,
            wistia_api_token=wistia_api.KEY,
            klaviyo_api_key=klaviyo_api.KEY,
            mavera_api_key=mavera_api.KEY,
            sendgrid_base_url=f"{url}/sendgrid/v3",
            wistia_base_url=f"{url}/wistia/v1",
            klaviyo_base_url=f"{url}/klaviyo/api",
            mavera_base_url=f"{self._urls[TODAY]}/mavera/api/v1",
            # Mavera uses the real time, the same on every day.
            warehouse_path=folder / "warehouse.duckdb",
            pipelines_path=folder / "pipelines",
            forgotten_path=folder / "forgotten.json",
            ledger_url=f"sqlite:///{folder / 'ledger.sqlite'}",
            history_days=HISTORY_DAYS,
            run_at=datetime.combine(day, time(6), UTC) + apart,
        )

    def undisturbed(self, vendor: str, *days: date, deep: bool = False) -> Path:
        """Return the warehouse of runs without faults after these days, the last one a deep read or not."""
        if (vendor, days, deep) not in self._kept:
            folder = self._folder / f"{vendor}-{'-'.join(map(str, days))}-{deep}"
            folder.mkdir()
            if before := days[:-1]:
                shutil.copy(self.undisturbed(vendor, *before), folder)
            summary = load(self.settings(folder, days[-1]), vendor, deep=deep)
            assert not summary.errors, summary.errors
            self._kept[vendor, days, deep] = folder / "warehouse.duckdb"
        return self._kept[vendor, days, deep]


def load(settings: Settings, vendor: str, *, deep: bool = False) -> Summary:
    return pipeline.run(settings, list(SOURCES.values()), [vendor], Silent(), deep=deep)


def load_until(point: str, settings: Settings, vendor: str, batch_rows: int) -> None:  # noqa: C901 - a branch for each point
    """Load in this process, and kill it without warning at `point`."""

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    answers = 0
    said: list[str] = []
    commit, query, execute = (
        getattr(DuckDbSqlClient, name) for name in ("commit_transaction", "execute_query", "execute_sql")
    )

    def ask(session: requests.Session, *given: object, **named: object) -> requests.Response:
        nonlocal answers
        answers += 1
        return die() if answers == ANSWERS else request(session, *given, **named)  # type: ignore[func-returns-value]

    def say(client: DuckDbSqlClient, text: str, *given: object, **named: object) -> object:
        said.append(str(text))
        return query(client, text, *given, **named)

    def end(client: DuckDbSqlClient) -> None:
        has_rows = any(ROWS.search(text) for text in said)
        if point == "kill-merging" and has_rows:
            die()
        commit(client)
        has_state = any(STATE.search(text) for text in said)
        if (point == "kill-data" and has_rows) or (point == "kill-state" and has_state):
            die()
        said.clear()

    def run(client: DuckDbSqlClient, text: str, *given: object, **named: object) -> object:
        is_mark = "INSERT" in text and "_dlt_loads" in text
        if point == "kill-unmarked" and is_mark:
            die()
        done = execute(client, text, *given, **named)
        if (point == "kill-marked" and is_mark) or (point == "kill-staged" and "read_parquet" in text):
            die()
        return done

    steps = {"kill-extract": "extract", "kill-normalise": "normalize", "kill-load": "load"}
    request = requests.Session.request
    with ExitStack() as stack:
        stack.enter_context(small_pages())
        stack.enter_context(patch.object(pipeline, "BATCH_ROWS", batch_rows))
        if point in steps:
            stack.enter_context(patch.object(dlt.Pipeline, steps[point], lambda *_, **__: die()))
        if point == "kill-recording":
            stack.enter_context(patch.object(Warehouse, "record", lambda *_: die()))
        if point == "kill-reading":
            stack.enter_context(patch.object(requests.Session, "request", ask))
        for name, instead in (("commit_transaction", end), ("execute_query", say), ("execute_sql", run)):
            stack.enter_context(patch.object(DuckDbSqlClient, name, instead))
        load(settings, vendor)


def killed(point: str, settings: Settings, vendor: str, batch_rows: int) -> bool:
    """Load in a process that is killed at `point`; return whether it reached that point."""
    forks = multiprocessing.get_context("forkserver")  # a child in which everything is imported already
    forks.set_forkserver_preload([__name__])
    child = forks.Process(target=load_until, args=(point, settings, vendor, batch_rows))
    child.start()
    child.join()
    return child.exitcode == -signal.SIGKILL


def compared(vendor: str, kept: Path, wanted: Path, settings: Settings) -> tuple[int, int, int]:
    """Return how many rows of `wanted` are missing in `kept`, duplicated or unexpected, and different. Of
    daily measures, today's counts; of days, those that have come.
    """
    lost = doubled = differing = 0
    with duckdb.connect() as connection:
        for name, path in (("kept", kept), ("wanted", wanted)):
            connection.execute(f"attach '{path}' as {name} (read_only)")
        for resource in SOURCES[vendor].resources(settings):
            table = resource.table
            key = ", ".join(f'"{column}"' for column in table.key)
            rest = [c for c in table.sql_columns if c not in (*table.key, "_dlt_load_id")]
            differs = " or ".join(f'kept."{c}"::varchar is distinct from wanted."{c}"::varchar' for c in rest)
            kept_rows, wanted_rows = (
                f"(from {name}.{table.full_name} where {_counts(resource)})" for name in ("kept", "wanted")
            )
            ((wanted_count, kept_count, same, different),) = connection.execute(
                f"""
                select (select count(*) from {wanted_rows}), (select count(*) from {kept_rows}),
                    count(distinct ({key})), count(*) filter ({differs})
                from {wanted_rows} as wanted inner join {kept_rows} as kept using ({key})
                """
            ).fetchall()
            lost += wanted_count - same
            doubled += kept_count - same
            differing += different
    return lost, doubled, differing


def _counts(resource: Resource) -> str:
    """Return the compared rows of a table, as SQL."""
    days = {column.name for column in resource.table.columns if column.type == "date"}
    if "measured_on" in days:
        return f"measured_on = date '{TODAY}'"
    # A clock that was behind began its history a day earlier, with a correct row that was not requested.
    history = f"date '{TODAY - timedelta(days=HISTORY_DAYS)}' and date '{TODAY}'"
    return f"{resource.cursor} between {history}" if resource.cursor in days else "true"


class Faulty:
    """Runs cases; reuses sandboxes and undisturbed warehouses."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._days: dict[frozenset[str], Days] = {}
        stack.enter_context(small_pages())
        stack.enter_context(remembered())

    def days(self, anomalies: frozenset[str]) -> Days:
        if anomalies not in self._days:
            folder = self._folder / ("-".join(sorted(anomalies)) or "usual")
            folder.mkdir()
            self._days[anomalies] = Days(anomalies, folder, self._stack)
        return self._days[anomalies]

    def run(self, case: Case) -> Found:
        """Load under the faults of `case`, then without, and compare."""
        days = self.days(ANOMALIES.intersection(case.faults))
        before = () if case.is_first_load else (YESTERDAY,)
        # A row deleted while pages are counted hides its neighbor until the deep read finds it; the same
        # holds for a late attribution of an old event.
        deep = bool({"deleted-row", "late-attribution"}.intersection(case.faults))
        wanted = days.undisturbed(case.vendor, *before, TODAY, deep=deep and bool(before))
        sandbox = days.sandboxes[TODAY]
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            if before:
                shutil.copy(days.undisturbed(case.vendor, *before), folder)
            apart = next((CLOCKS[fault] for fault in case.faults if fault in CLOCKS), timedelta())
            asked_before = sandbox.journal[-1].number
            sandbox.faults.reseed(case.seed)
            for fault in case.faults:
                if fault in NAMES:
                    rate, count = OFTEN.get(fault, USUAL)
                    sandbox.faults.add(Fault(fault, case.vendor, rate, count))
            disturbed = days.settings(Path(folder), TODAY, apart)
            point = next((fault for fault in case.faults if fault in KILLS), "")
            failed: int | str = "killed"
            if not point:
                with patch.object(pipeline, "BATCH_ROWS", case.batch_rows):
                    failed = sum(job.error is not None for job in load(disturbed, case.vendor).jobs)
            elif not killed(point, disturbed, case.vendor, case.batch_rows):
                failed = "ended"
            sandbox.faults.clear()
            settings = days.settings(Path(folder), TODAY)
            summary = load(settings, case.vendor, deep=deep)
            assert not summary.errors, summary.errors
            found = compared(case.vendor, settings.warehouse_path, wanted, settings)
            return Found(failed, *found, sandbox.journal[-1].number - asked_before)


def sample() -> list[Case]:
    """Return the first cases that together cover each fault (except those of the population, which need their
    own worlds) and the kills; pairs before single ones.
    """
    cases = [case_of(seed) for seed in range(len(combined()))]
    met = {*ANOMALIES, *KILLS}
    taken = []
    for fresh in (2, 1):
        for case in cases:
            if len(set(case.faults) - met) >= fresh and not ANOMALIES.intersection(case.faults):
                taken.append(case)
                met |= set(case.faults)
    return taken


def lines(seeds: Sequence[int]) -> Iterator[tuple[str, bool]]:
    """Run the cases of `seeds`; yield a line for each, and whether raw equaled the world."""
    with ExitStack() as stack:
        faulty = Faulty(Path(stack.enter_context(tempfile.TemporaryDirectory())), stack)
        for seed in seeds:
            case = case_of(seed)
            start = "nothing" if case.is_first_load else "day before"
            named = f"{seed:>5} {case.vendor:<8} {' x '.join(case.faults):<33} {start:<10}"
            try:
                found = faulty.run(case)
            except AssertionError as error:  # the run without faults failed
                yield f"{named} {error}", False
                continue
            line = (
                f"{named} {found.failed!s:>6} "
                f"{found.lost:>5} {found.doubled:>7} {found.differing:>9} {found.requests:>8}"
            )
            yield line, found.is_whole


HEADING: Final = (
    f"{'seed':>5} {'vendor':<8} {'faults':<33} {'from':<10} {'failed':>6} {'lost':>5} "
    f"{'doubled':>7} {'differing':>9} {'requests':>8}"
)


def main(
    seeds: Annotated[str, typer.Option(help="First and one past the last, FIRST:END.")] = "0:50",
    *,
    alone: Annotated[bool, typer.Option(help="Of these seeds those with one fault only.")] = False,
) -> None:
    """Print a line per case, then how many left raw correct."""
    first, end = (int(text) for text in seeds.split(":"))
    chosen = [seed for seed in range(first, end) if not alone or len(case_of(seed).faults) == 1]
    typer.echo(HEADING)
    bad = 0
    for line, is_good in lines(chosen):
        typer.echo(line if is_good else f"{line}  <--")
        bad += not is_good
    typer.echo(f"{len(chosen)} of {len(combined())} cases: {bad} with rows lost, doubled or differing")
    raise typer.Exit(1 if bad else 0)


if __name__ == "__main__":
    typer.run(main)
