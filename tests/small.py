"""The small warehouse: raw rows that can be counted by hand, and the models over them, built once a run."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from common import settings
from ingest.store.warehouse import Warehouse
from ingest.vendors import tables_of
from tests.shared import once
from transform import build as transform

PROJECT = settings.ROOT / "dbt_project"
HERE = Path(__file__).parent


def read(script: str) -> str:
    return (HERE / script).read_text(encoding="utf-8")


SMALL = read("small_warehouse.sql")
# Additional rows that give every column of a mart a value: a script each, loaded in this order.
BESIDE = ("small_rest.sql", "small_columns.sql")
NAME = "warehouse.duckdb"
# The same in every build, so that people's ids are as well.
SALT = hashlib.sha256(b"the small warehouse").hexdigest()


# dbt's own record of the project it parsed last; with a copy of it, dbt parses only what changed since.
PARSED = "partial_parse.msgpack"
_parsed = [PROJECT / "target" / PARSED]


def dbt(warehouse: Path, target: Path, *arguments: str) -> None:
    """Run dbt with separate files. It must succeed."""
    target.mkdir(exist_ok=True)
    parsed = target / PARSED
    if not parsed.exists() and _parsed[0].exists():
        shutil.copyfile(_parsed[0], parsed)
    where = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--target-path", str(target)]
    quiet = ["--no-use-colors", "--log-level-file", "none"]
    ran = subprocess.run(
        [sys.executable, "-c", "from dbt.cli.main import cli; cli()", *quiet, *arguments, *where],
        env={
            "WAREHOUSE_PATH": warehouse.name,  # another path would make dbt parse everything again
            "FORGOTTEN_PATH": str(warehouse.with_name("forgotten.json")),
            "ENV_FILE": os.devnull,
            "PYTHONPATH": str(settings.ROOT),
            "DO_NOT_TRACK": "1",
            "PATH": "/usr/bin:/bin",
        },
        cwd=warehouse.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    _parsed[0] = parsed


def take_parsed(project: Path) -> None:
    """Give a copy of the project what dbt parsed of this one."""
    if _parsed[0].exists():
        (project / "target").mkdir()
        shutil.copyfile(_parsed[0], project / "target" / PARSED)


def manifest(shared: Path) -> Mapping[str, Any]:
    """Return the project's manifest as dbt writes it, parsed once a run."""
    folder = once(shared / "parsed", lambda folder: dbt(folder / "warehouse.duckdb", folder, "parse"))
    read: Mapping[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return read


def create_raw(warehouse: Path) -> None:
    """Make every raw table, empty, as a first run of ingest does."""
    ours = settings.Settings(
        _env_file=None,
        warehouse_path=warehouse,
        runs_path=warehouse.with_name("runs.jsonl"),
        pipelines_path=warehouse.with_name("pipelines"),
    )
    written = Warehouse(ours)
    written.prepare(tables_of(ours))
    written.close()
    transform.load_runs(ours)


def small(shared: Path) -> Path:
    """Return the warehouse of rows that can be counted by hand, whose models are tested as well."""
    but = ("--exclude-resource-type", "unit_test")
    return once(shared / "small", lambda folder: build(folder / NAME, [SMALL], but)) / NAME


def whole(shared: Path) -> Path:
    """Return the warehouse with additional rows."""
    scripts = [SMALL, *(read(script) for script in BESIDE)]
    return once(shared / "whole", lambda folder: build(folder / NAME, scripts)) / NAME


def build(
    warehouse: Path,
    scripts: Sequence[str],
    but: Sequence[str] = ("--exclude-resource-type", "unit_test", "--exclude-resource-type", "test"),
) -> None:
    """Load the scripts into a new warehouse, then build the models over it."""
    create_raw(warehouse)
    with duckdb.connect(str(warehouse)) as connection:
        for script in scripts:
            connection.execute(script)
    warehouse.with_name("salt").write_text(f"{SALT}\n", encoding="ascii")
    dbt(warehouse, warehouse.with_name("target"), "build", *but)


def facts(connection: duckdb.DuckDBPyConnection, model: str, record_key: str) -> dict[str, Any]:
    """Return the facts of one record."""
    row = connection.execute(
        f"select facts from activation.sync_mavera__{model} where record_key = ?", [record_key]
    ).fetchone()
    assert row
    found: dict[str, Any] = json.loads(row[0])
    return found
