"""The small warehouse: raw rows that can be counted by hand, and the models over them, built once a run."""

import ast
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
from common.progress import step
from ingest.store.warehouse import Warehouse
from ingest.vendors import tables_of
from privacy import pseudonyms
from tests.shared import once
from transform import build as transform
from transform import statements

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
STATEMENTS, RESULT = "statements", "result.txt"
APART = """
import sys
from pathlib import Path
from transform import build, statements
statements.STORED = Path(sys.argv[1])
build.UNWRITTEN = f"--target-path={sys.argv[4]}"  # dbt writes all that it can
print(repr(tuple(build.build(Path(sys.argv[2]), bytes.fromhex(sys.argv[3]), None))))
"""


# dbt's own record of the project it parsed last; with a copy of it, dbt parses only what changed since.
PARSED = "partial_parse.msgpack"
_parsed = [PROJECT / "target" / PARSED]


def dbt(warehouse: Path, target: Path, *arguments: str) -> None:
    """Run dbt with separate files. It must succeed."""
    target.mkdir(exist_ok=True)
    take(target)
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
    _parsed[0] = target / PARSED


def take(target: Path) -> None:
    """Copy what dbt parsed of the project to where dbt writes next, unless something is there."""
    if _parsed[0].exists() and not (target / PARSED).exists():
        shutil.copyfile(_parsed[0], target / PARSED)


def take_parsed(project: Path) -> None:
    """Give a copy of the project what dbt parsed of this one."""
    (project / "target").mkdir()
    take(project / "target")


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
    transform.load_runs(ours.warehouse_path, ours)


def small(shared: Path) -> Path:
    """Return the warehouse of rows that can be counted by hand, built and tested by dbt.

    Beside it, `STATEMENTS` has what dbt sent, which other builds of the run send again, and `RESULT` what the
    build returned.
    """
    return once(shared / "small", _small) / NAME


def _small(folder: Path) -> None:
    path = folder / NAME
    load(path, [SMALL])
    done = by_dbt(path, folder / STATEMENTS)
    assert not done.failures, done.failures
    (folder / RESULT).write_text(repr(tuple(done)), encoding="utf-8")
    shutil.copytree(folder / STATEMENTS, statements.STORED, dirs_exist_ok=True)
    shutil.copy(_parsed[0], PROJECT / "target")


def result(shared: Path) -> transform.Build:
    """Return what the build of the small warehouse by dbt returned."""
    return _read(small(shared).with_name(RESULT).read_text(encoding="utf-8"))


def by_dbt(path: Path, stored: Path) -> transform.Build:
    """Build in another process, for dbt never closes the warehouse, and store what dbt sent in a folder."""
    target = path.with_name("target")
    target.mkdir(exist_ok=True)
    take(target)
    ran = subprocess.run(
        [sys.executable, "-c", APART, str(stored), str(path), SALT, str(target)],
        env=os.environ | {"FORGOTTEN_PATH": str(path.with_name("forgotten.json"))},
        cwd=settings.ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    _parsed[0] = target / PARSED
    return _read(ran.stdout)


def _read(told: str) -> transform.Build:
    return transform.Build(*ast.literal_eval(told))


def whole(shared: Path) -> Path:
    """Return the warehouse with additional rows, built by the statements of the small one and not tested."""

    def build(folder: Path) -> None:
        load(folder / NAME, [SMALL, *(read(script) for script in BESIDE)])
        send(shared, folder / NAME)

    return once(shared / "whole", build) / NAME


def send(shared: Path, warehouse: Path, *names: str) -> None:
    """Build a warehouse, or these models and what they read, by the statements of the small one; no test."""
    (stored,) = small(shared).with_name(STATEMENTS).glob("*.json")
    assert statements.key(warehouse) == stored.stem, "dbt would send other statements"
    kept = statements.read(stored)
    nodes = [node for node in kept.nodes if node.kind in ("seed", "model", "operation")]
    if names:
        wanted, nodes = {*names}, nodes[::-1]  # each before its parents
        chosen = []
        for node in nodes:
            if wanted.intersection((node.name, node.unique_id)):
                wanted.update(node.parents)
                chosen.append(node)
        nodes = chosen[::-1]
    with step("transform", "models") as shown:
        salt = pseudonyms.salt(warehouse.with_name("salt"), create=True)
        kept._replace(nodes=nodes).send(warehouse, salt, None, shown)


def load(warehouse: Path, scripts: Sequence[str]) -> None:
    """Load the scripts into a new warehouse."""
    create_raw(warehouse)
    with duckdb.connect(str(warehouse)) as connection:
        for script in scripts:
            connection.execute(script)
    warehouse.with_name("salt").write_text(f"{SALT}\n", encoding="ascii")


def facts(connection: duckdb.DuckDBPyConnection, model: str, record_key: str) -> dict[str, Any]:
    """Return the facts of one record."""
    row = connection.execute(
        f"select facts from activation.sync_mavera__{model} where record_key = ?", [record_key]
    ).fetchone()
    assert row
    found: dict[str, Any] = json.loads(row[0])
    return found
