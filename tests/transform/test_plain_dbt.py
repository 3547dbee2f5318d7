"""dbt's own commands work in dbt_project/, and on the warehouse of the settings through `make dbt`."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import duckdb
import pytest
import requests

from common import settings
from privacy import pseudonyms
from tests.small import PROJECT, create_raw

DBT = Path(sys.executable).with_name("dbt")
MART = "dim_unsubscribe_groups"


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """A small warehouse; dbt's own files about the project are out of the way."""
    folder = tmp_path_factory.mktemp("plain")
    warehouse = folder / "warehouse.duckdb"
    create_raw(warehouse)
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("insert into raw_sendgrid.unsubscribe_groups (id, name) values (7, 'News')")
    pseudonyms.salt(folder / "salt", create=True)
    return {
        "WAREHOUSE_PATH": str(warehouse),
        "ENV_FILE": os.devnull,
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
        "DO_NOT_TRACK": "1",
        "PATH": "/usr/bin:/bin",
    }


def ran(command: list[str], where: Path, env: Mapping[str, str]) -> str:
    done = subprocess.run(command, cwd=where, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_dbt_lists_and_builds_in_its_own_folder(env: Mapping[str, str]) -> None:
    listed = ran([str(DBT), "--quiet", "ls", "--select", MART, "--resource-type", "model"], PROJECT, env)
    assert listed.split() == [f"mavera_warehouse.marts.contacts.{MART}"]
    ran([str(DBT), "build", "--select", f"+{MART}"], PROJECT, env)
    with duckdb.connect(env["WAREHOUSE_PATH"], read_only=True) as connection:
        assert connection.execute(f"select count(*) from marts.{MART}").fetchall() == [(1,)]


def test_dbt_serves_its_docs_in_its_own_folder(env: Mapping[str, str]) -> None:
    ran([str(DBT), "docs", "generate", "--no-compile", "--empty-catalog"], PROJECT, env)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(DBT), "docs", "serve", "--no-browser", "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, cwd=PROJECT, env=env, stdout=subprocess.DEVNULL) as server:
        try:
            assert "dbt Docs" in page(f"http://127.0.0.1:{port}/")
        finally:
            server.kill()


def page(url: str) -> str:
    for _ in range(240):
        try:
            return requests.get(url, timeout=5).text
        except requests.ConnectionError:
            time.sleep(0.25)
    raise AssertionError(f"nothing answers at {url}")


def test_make_dbt_lists_models_of_the_root(env: Mapping[str, str]) -> None:
    dbt = [sys.executable, "-m", "transform", "dbt", "--quiet"]
    command = [*dbt, "ls", "--select", MART]
    own = Path(env["WAREHOUSE_PATH"]).with_name("own.env")
    own.write_text("")
    of_the_root = {**env, "WAREHOUSE_PATH": os.path.relpath(env["WAREHOUSE_PATH"], settings.ROOT)}
    of_the_root["ENV_FILE"] = os.path.relpath(own, settings.ROOT)
    ran([*dbt, "run", "--select", f"+{MART}"], settings.ROOT, of_the_root)
    listed = ran([*command, "--resource-type", "model"], settings.ROOT, of_the_root)
    assert listed.split() == [f"mavera_warehouse.marts.contacts.{MART}"]
    wrong = subprocess.run([*command, "--oops"], cwd=settings.ROOT, env=env, capture_output=True, check=False)
    assert wrong.returncode == 2
