"""The published copy as Parquet."""

from pathlib import Path

import duckdb
import pytest

from common import warehouse
from operate import export


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    path = tmp_path / "published.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("""
            create schema marts; create schema activation; create schema lineage; create schema raw_mavera;
            create table marts.fct_campaigns as select 'c1' as campaign_id, 3.50::decimal(18, 2) as revenue,
                timestamptz '2026-11-01 10:00:00+00' as sent_at;
            create view marts.rpt_campaigns as from marts.fct_campaigns;
            create table activation.sync_mavera__personas as select 'k' as record_key;
            create table activation.known_people as select 1 as stands_for;
            create table lineage.withheld as select 'marts.dim_people' as relation;
            create table raw_mavera.ledger as select 1 as entry_id;
        """)
    return path


def test_each_table_that_readers_need_is_a_file_with_its_types(copy: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "export"
    counts = export.export(copy, folder)
    assert counts == {
        "activation.sync_mavera__personas": 1,
        "marts.fct_campaigns": 1,
        "marts.rpt_campaigns": 1,
    }
    assert {path.name for path in folder.iterdir()} == {f"{name}.parquet" for name in counts}
    described = duckdb.sql(f"describe from '{folder}/marts.fct_campaigns.parquet'").fetchall()
    assert [row[1] for row in described] == ["VARCHAR", "DECIMAL(18,2)", "TIMESTAMP WITH TIME ZONE"]


def test_an_export_replaces_an_earlier_one_and_nothing_else(copy: Path, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    export.export(copy, folder)
    (folder / "marts.fct_gone.parquet").write_bytes(b"of an earlier version")
    export.export(copy, folder)
    assert not (folder / "marts.fct_gone.parquet").exists()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(export.ExportError, match=r"export holds notes\.txt, which is no table of an export"):
        export.export(copy, folder)
    assert (folder / "notes.txt").read_text() == "mine"
    assert [path.name for path in tmp_path.glob(".export*")] == []


def test_without_a_copy_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(warehouse.WarehouseError, match="Run make ingest transform first"):
        export.export(tmp_path / "published.duckdb", tmp_path / "export")
    assert not (tmp_path / "export").exists()
