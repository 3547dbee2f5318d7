"""The project on Spark against the project on DuckDB: a machine with each, the same account, the same days.

The tests are one story, in the order of the file: each takes the two machines where the one before left them.
"""

import filecmp
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa

from common import settings
from operate import cluster
from privacy.traces import normal
from sandbox.server import Sandbox, serving
from sandbox.world import World
from tests.commands import Project
from tests.ingest.lakes import database
from tests.spark import comparing
from tests.spark.conftest import settings_for

PEOPLE = int(os.environ.get("SPARK_PEOPLE", "2000"))
FIRST = date(2026, 11, 21)
DAYS = [FIRST + timedelta(days=number) for number in range(4)]
LARGEST = "intermediate_next.db/int_reading_events"
"""The model that takes Spark longest."""
SENT = ("--select", "test_type:unit,path:models/activation", "test_type:unit,path:models/jobs")
ALL = ("--select", "test_type:unit")
# Small data costs plans alone: these parts of them are for large data.
PLANS = {
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.constraintPropagation.enabled": "false",
}
CLOCK = {
    "marts.dim_vendors": {"last_loaded_at"},
    "marts.fct_source_freshness": {"hours_old", "last_loaded_at", "measured_at"},
    "marts.rpt_data": {"measured_at"},
    "marts.fct_runs": None,
    "marts.rpt_runs": None,
}
"""What the clock decides: columns, or all of a relation."""


@dataclass
class Machines:
    """A project on DuckDB and one on Spark, and the vendors that each has to itself."""

    duckdb: Project
    spark: Project
    ours: settings.Settings  # of the cluster
    servers: ExitStack = field(default_factory=ExitStack)

    @property
    def lake(self) -> Path:
        return Path(self.ours.lake_url)

    @property
    def both(self) -> tuple[Project, Project]:
        return self.duckdb, self.spark

    def meet(self, day: date, worlds: dict[date, World]) -> None:
        """Let both use the account as it is on a day. What Mavera has is a file of each."""
        self.servers.close()
        for project in self.both:
            served = Sandbox(worlds[day], limits="off", state=project.folder / "mavera.json")
            project.url, project.today = self.servers.enter_context(serving(served)), str(day)

    def differences(self) -> list[str]:
        relations = comparing.relations(self.duckdb.folder / "warehouse.duckdb")
        found = comparing.differences(
            self.duckdb.folder / "warehouse.duckdb", self.lake / "models", relations, CLOCK
        )
        return [str(each) for each in found]


@pytest.fixture(scope="module")
def worlds() -> dict[date, World]:
    return {day: World(PEOPLE, 7, day, since=date(2026, 7, 1)) for day in DAYS}


@pytest.fixture(scope="module")
def machines(
    tmp_path_factory: pytest.TempPathFactory, ledger_server: str, worlds: dict[date, World]
) -> Iterator[Machines]:
    folder = tmp_path_factory.mktemp("machines")
    ours = settings_for(folder / "spark" / "lake")
    for name in ("duckdb", "spark"):
        (folder / name).mkdir()
        (folder / name / "salt").write_text(f"{'5a' * 32}\n", encoding="ascii")
    on_spark = {
        "WAREHOUSE": "spark",
        "LAKE_URL": ours.lake_url,
        "SPARK_REMOTE": ours.spark_remote,
        "LEDGER_URL": database(ledger_server),
    }
    found = Machines(Project(folder / "duckdb", ""), Project(folder / "spark", "", extra=on_spark), ours)
    with found.servers:
        found.meet(FIRST, worlds)
        yield found


@pytest.fixture
def by_hand(request: pytest.FixtureRequest) -> None:
    """Two more builds take Spark ten minutes: these tests run with `make test-spark ALL=1`."""
    if not request.config.getoption("--all-models"):
        pytest.skip("runs with ALL=1")


@pytest.fixture(scope="module")
def engine(machines: Machines) -> Iterator[ExitStack]:
    """What closes the running cluster."""
    with ExitStack() as stack:
        stack.enter_context(cluster.running(machines.ours, more=PLANS))
        yield stack


def test_from_nothing_every_model_is_equal(machines: Machines, engine: ExitStack) -> None:
    for project in machines.both:
        loaded = project.well("ingest")
        assert loaded["totals"]["rows_new"] > 0
        built = project.well("transform")
        assert built["failures"] == []
    assert not machines.differences()


def test_unit_tests_pass_on_spark(
    machines: Machines, engine: ExitStack, request: pytest.FixtureRequest
) -> None:
    """Those of what is sent to Mavera; with `make test-spark ALL=1`, all."""
    selected = ALL if request.config.getoption("--all-models") else SENT
    ran = machines.spark.run("transform", "dbt", "test", *selected)
    assert ran.code == 0, ran.out
    passed = re.search(r"PASS=(\d+) WARN=0 ERROR=0", ran.out)
    assert passed, ran.out
    assert int(passed[1]) > 10


def ledger_of(project: Project) -> list[Any]:
    """Return what the journal says of each paid step, in an order that does not depend on the clock."""
    columns = "record_key, event, action, fingerprint, facts, credits"
    url = project.environment["LEDGER_URL"].replace("postgresql:", "postgresql+psycopg:")
    with sa.create_engine(url).connect() as connection:
        return sorted(map(str, connection.execute(sa.text(f"select {columns} from journal"))))


def test_records_fingerprints_and_prices_are_the_same(machines: Machines, engine: ExitStack) -> None:
    plans = [project.well("activate", "plan") for project in machines.both]
    assert plans[0] == plans[1]
    assert plans[0]["counts"]["create"] > 0
    for project in machines.both:
        assert project.run("activate", "apply").code == 0
    on_duckdb, on_spark = map(ledger_of, machines.both)
    assert on_duckdb == on_spark


def test_a_second_round_sends_nothing(machines: Machines, engine: ExitStack) -> None:
    project = machines.spark
    project.well("ingest", "mavera")
    assert project.well("transform")["models"] > 0
    assert project.well("ingest")["totals"]["rows_new"] == 0
    planned = project.well("activate", "plan")
    assert {step["action"] for step in planned["steps"]} <= {"leave", "hold"}
    assert planned["credits_high"] == 0


def test_after_the_engine_died_the_published_copy_is_the_one_before(
    by_hand: None, machines: Machines, engine: ExitStack, worlds: dict[date, World]
) -> None:
    """Three days of new, changed and late rows; DuckDB adds each to its models."""
    machines.duckdb.well("ingest", "mavera")
    for day in DAYS[1:]:
        machines.meet(day, worlds)
        for project in machines.both:
            assert project.well("ingest")["totals"]["rows_new"] > 0
        machines.duckdb.well("transform")
    copy, kept = machines.spark.folder / "published.duckdb", machines.spark.folder / "kept.duckdb"
    shutil.copyfile(copy, kept)
    engine.close()
    with cluster.running(machines.ours, more=PLANS) as dying, machines.spark.start("transform") as process:
        _wait_for_the_largest_model(machines, process)
        os.kill(dying.connect.pid, signal.SIGKILL)
        out, err = process.communicate(timeout=240)
    assert process.returncode == 1, out + err
    assert "Traceback" not in err
    assert filecmp.cmp(copy, kept, shallow=False)


def _wait_for_the_largest_model(machines: Machines, process: Any) -> None:
    """Wait until Spark makes the folder of the largest model anew."""
    folder, begun = machines.lake / "models" / LARGEST, time.time()
    while not (folder.exists() and folder.stat().st_ctime > begun):
        assert process.poll() is None, process.communicate()
        assert time.time() - begun < 600
        time.sleep(0.05)


def test_a_lost_worker_changes_no_row_and_a_forgotten_person_is_in_no_file(
    by_hand: None, machines: Machines, engine: ExitStack
) -> None:
    """Both forget the same person, which builds every model anew, from the rows of all days.

    A worker is killed in the largest model.
    """
    address = _somebody(machines)
    assert any(_holds(path, address) for path in machines.lake.rglob("*.parquet"))
    it = engine.enter_context(cluster.running(machines.ours, more=PLANS))
    with machines.spark.start("forget", address, "--json") as process:
        _wait_for_the_largest_model(machines, process)
        os.kill(it.worker_pids()[0], signal.SIGKILL)
        out, err = process.communicate(timeout=900)
    assert process.returncode == 0, out + err
    assert len(it.worker_pids()) == 1
    assert sum(json.loads(out)["rows_removed"].values()) > 0
    assert not [path for path in machines.lake.rglob("*") if path.is_file() and _holds(path, address)]
    removed = machines.duckdb.well("forget", address)["rows_removed"]
    assert removed == json.loads(out)["rows_removed"]
    assert not machines.differences()
    assert machines.spark.well("ingest")["totals"]["rows_new"] == 0
    assert not [path for path in machines.lake.rglob("*.parquet") if _holds(path, address)]


def _somebody(machines: Machines) -> str:
    """Return the address of a person whom all three vendors know by a phone number as well."""
    query = """
        select profiles.email from raw_klaviyo.profiles inner join raw_sendgrid.contacts using (email)
        where profiles.phone_number is not null order by email limit 1
    """
    ((address,),) = machines.duckdb.rows(query)
    return str(address)


def _holds(path: Path, text: str) -> bool:
    """Whether a file of the lake has a text: in its bytes, or in a value of a Parquet file."""
    if path.suffix != ".parquet":
        return normal(text).encode() in path.read_bytes().lower()
    holds = f"contains(lower(entry::varchar), '{normal(text)}')"
    return bool(duckdb.sql(f"select 1 from read_parquet('{path}') as entry where {holds} limit 1").fetchall())
