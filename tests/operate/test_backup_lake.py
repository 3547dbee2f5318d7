"""A backup of a lake, and of a warehouse that is restored as a lake: from DuckDB to Spark and back."""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

import pytest
from pydantic import SecretStr

from common import settings, warehouse
from operate import backup
from sandbox.server import Sandbox
from sandbox.world import World
from tests import postgres
from tests.ingest.lakes import LakeMachine
from tests.ingest.test_ingest import (  # noqa: F401 - fixtures
    TODAY,
    Machine,
    differences,
    machine,
    sandbox,
    worlds,
)

PASSPHRASE = SecretStr("correct horse battery staple")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres.running() as url:
        yield url


def loaded() -> settings.Settings:
    return settings.load().model_copy(update={"backup_passphrase": PASSPHRASE})


def test_a_warehouse_moves_to_a_lake_and_back_with_its_rows_and_cursors(
    machine: Machine,  # noqa: F811
    sandbox: Sandbox,  # noqa: F811
    worlds: Mapping[date, World],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    server: str,
) -> None:
    assert machine.ingest().code == 0
    backup.make(loaded(), tmp_path / "of duckdb")

    moved = LakeMachine(tmp_path / "moved", monkeypatch, server)
    backup.restore(loaded(), tmp_path / "of duckdb")
    assert not differences(moved, worlds[TODAY])
    again = moved.ingest()
    assert again.code == 0, again.said
    assert (again.report["totals"]["rows_new"], again.report["totals"]["rows_changed"]) == (0, 0)
    events = again.resource("klaviyo events")
    assert events["rows_read"] < moved.rows("select count(*) from raw_klaviyo.events")[0][0], (
        "no cursor moved"
    )
    with pytest.raises(warehouse.WarehouseError, match="has rows already, which are never replaced"):
        backup.restore(loaded(), tmp_path / "of duckdb")

    backup.make(loaded(), tmp_path / "of a lake")
    other = LakeMachine(tmp_path / "other", monkeypatch, server)
    backup.restore(loaded(), tmp_path / "of a lake")
    assert not differences(other, worlds[TODAY])
    assert other.ingest("wistia").report["totals"]["rows_new"] == 0

    back = Machine(tmp_path / "back", monkeypatch)
    back.set(WAREHOUSE="duckdb")
    backup.restore(loaded(), tmp_path / "of a lake")
    assert not differences(back, worlds[TODAY])
    ran = back.ingest()
    assert ran.code == 0, ran.said
    assert (ran.report["totals"]["rows_new"], ran.report["totals"]["rows_changed"]) == (0, 0)
