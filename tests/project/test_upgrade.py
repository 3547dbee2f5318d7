"""A warehouse and a ledger that an earlier version wrote go on in this one.

`layouts/<version>` keeps what that version left after `make demo PEOPLE=20` on 21 November 2026: raw data of
the warehouse, from which all else is built, and the ledger. `demos/<version>.tar` keeps the same of a whole
`make demo PORT=8796` on 30 November 2026, with 42 records in the ledger, and what its Mavera held. A release
adds its own and changes none.
"""

import gzip
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from common import settings
from ingest.vendors import klaviyo, sendgrid, wistia
from sandbox.server import Sandbox, serving
from sandbox.world import World
from tests.commands import Project

LAYOUTS = sorted((Path(__file__).parents[1] / "layouts").iterdir())
LEDGER_OF = "http://127.0.0.1:8797/mavera/api/v1"  # a ledger belongs to one Mavera; plan asks it nothing
DEMOS = sorted((Path(__file__).parents[1] / "demos").iterdir())
DEMO_DAY = date(2026, 11, 30)
DEMO_PORT = 8796  # a ledger belongs to one Mavera, and the port is part of its address
VENDORS = (sendgrid.SENDGRID, wistia.WISTIA, klaviyo.KLAVIYO)
SENT = {"analyses/viewer-clusters:all", "brand-voices/brand-voice:account"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(Sandbox(World(20, 7, date(2026, 11, 21)), limits="off")) as url:
        yield url


@pytest.fixture(params=LAYOUTS, ids=lambda path: path.name)
def kept(request: pytest.FixtureRequest, tmp_path: Path, url: str) -> Project:
    for packed in request.param.glob("*.gz"):
        (tmp_path / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
    return Project(tmp_path, url, extra={"MAVERA_BASE_URL": LEDGER_OF})


def columns(project: Project) -> dict[str, list[str]]:
    """Return the key of every raw table of a vendor that is there, as far as it has those columns."""
    known: dict[str, set[str]] = defaultdict(set)
    for table, column in project.rows(
        "select table_schema || '.' || table_name, column_name from information_schema.columns"
    ):
        known[table].add(column)
    chosen = settings.Settings(_env_file=None)
    tables = [resource.table for source in VENDORS for resource in source.resources(chosen)]
    return {
        table.full_name: [column for column in table.key if column in known[table.full_name]]
        for table in tables
        if table.full_name in known
    }


def keys(project: Project, columns: dict[str, list[str]]) -> dict[str, list[tuple[Any, ...]]]:
    """Return the keys of all rows of these tables."""
    return {
        table: project.rows(f"select {', '.join(names)} from {table}") for table, names in columns.items()
    }


def test_what_an_earlier_version_left_is_loaded_on_modelled_and_not_paid_again(kept: Project) -> None:
    columns_before = columns(kept)
    before = keys(kept, columns_before)
    loaded = kept.well("ingest", "sendgrid", "wistia", "klaviyo")
    assert loaded["totals"]["rows_read"] > 0
    # Resources, rows and columns may be new; no old row is lost, and none is there twice.
    for table, rows in keys(kept, columns(kept)).items():
        assert len(rows) == len(set(rows)), table
    for table, rows in keys(kept, columns_before).items():
        assert set(rows) >= set(before[table]), table
    again = kept.well("ingest", "sendgrid", "wistia", "klaviyo")["totals"]
    assert (again["rows_new"], again["rows_changed"]) == (0, 0)
    # Klaviyo's events tell more since, such as what earned an order, and are read anew by themselves.
    (events,) = [
        row for row in loaded["resources"] if row["resource"] == "events" and row["vendor"] == "klaviyo"
    ]
    assert events["deep_at"]
    ((count, attributed),) = kept.rows("select count(*), count(attributions) from raw_klaviyo.events")
    assert count > attributed > 0
    assert kept.well("activate", "ledger", "verify")["rows"] == 6
    kept.well("transform")
    steps = {step["key"]: step["action"] for step in kept.well("activate", "plan")["steps"]}
    assert {steps[key] for key in SENT} == {"leave"}
    assert "create" not in steps.values()


@pytest.fixture(params=DEMOS, ids=lambda path: path.stem)
def demo(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Project]:
    with tarfile.open(request.param) as packed:
        packed.extractall(tmp_path, filter="data")
    for file in tmp_path.glob("*.gz"):
        (tmp_path / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as warehouse:
        raw = tmp_path / "raw"
        warehouse.execute((raw / "schema.sql").read_text(encoding="utf-8"))
        warehouse.execute((raw / "load.sql").read_text(encoding="utf-8").replace("FROM '", f"FROM '{raw}/"))
        warehouse.execute("delete from raw_ops.builds")  # the models were left out, to be built anew
    sandbox = Sandbox(World(2000, 7, DEMO_DAY), limits="off", state=tmp_path / "mavera.sqlite")
    with serving(sandbox, DEMO_PORT) as url:
        yield Project(tmp_path, url, today=str(DEMO_DAY))


def test_an_upgrade_pays_for_nothing_but_numbers_that_were_wrong(demo: Project) -> None:
    demo.well("ingest")
    demo.well("transform")
    planned = demo.well("activate", "plan")
    paid = [
        step for step in planned["steps"] if step["action"] in {"create", "update"} and step["credits_low"]
    ]
    assert [step["key"] for step in paid if not step["reason"]] == []
    assert len(planned["steps"]) == 42
    sent = demo.well("activate", "apply")
    assert sent["credits"] == sum(step["credits_low"] for step in paid) == 0
