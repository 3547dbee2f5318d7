"""The small warehouse: raw rows that can be counted by hand, and the models over them, built once a run."""

import fcntl
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
from transform import build as transform

PROJECT = settings.ROOT / "dbt_project"
HERE = Path(__file__).parent


def read(script: str) -> str:
    return (HERE / script).read_text(encoding="utf-8")


SMALL = read("small_warehouse.sql")
# Additional rows that give every column of a mart a value: a script each, loaded in this order.
BESIDE = ("small_rest.sql", "small_columns.sql")
# The same in every build, so that people's ids are as well.
SALT = hashlib.sha256(b"the small warehouse").hexdigest()


_parsed: list[Path] = []  # the project dbt last parsed in this process, to save the next command from that


def dbt(warehouse: Path, target: Path, *arguments: str) -> None:
    """Run dbt with separate files. It must succeed."""
    target.mkdir(exist_ok=True)
    parsed = target / "partial_parse.msgpack"
    if not parsed.exists() and _parsed and _parsed[0].exists():
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
    _parsed[:] = [parsed]


def parsed(folder: Path) -> Mapping[str, Any]:
    """Return the project's manifest as dbt writes it, parsed below `folder`."""
    dbt(folder / "warehouse.duckdb", folder, "parse")
    manifest: Mapping[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return manifest


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


def build_once(folder: Path) -> tuple[Path, Path]:
    """Build both small warehouses below `folder`, unless this run already has.

    The models of the small one are tested as well.
    """
    small, whole = (folder / name / "warehouse.duckdb" for name in ("small", "whole"))
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "built").exists():
            build(small, [SMALL], ("--exclude-resource-type", "unit_test"))
            build(whole, [SMALL, *(read(script) for script in BESIDE)])
            (folder / "built").touch()
    return small, whole


def build(
    warehouse: Path,
    scripts: Sequence[str],
    but: Sequence[str] = ("--exclude-resource-type", "unit_test", "--exclude-resource-type", "test"),
) -> None:
    """Load the scripts into a new warehouse, then build the models over it."""
    warehouse.parent.mkdir(exist_ok=True)
    create_raw(warehouse)
    with duckdb.connect(str(warehouse)) as connection:
        for script in scripts:
            connection.execute(script)
    warehouse.with_name("salt").write_text(f"{SALT}\n", encoding="ascii")
    dbt(warehouse, warehouse.with_name("target"), "build", *but)
