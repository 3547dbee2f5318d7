"""What `make cluster` needs, and says without it. What it does with Spark is in tests/spark."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from common import settings
from operate import cluster
from tests import needs
from tests.project.test_layout import BELOW, imports_of


def refused(monkeypatch: pytest.MonkeyPatch, **changes: str) -> str:
    monkeypatch.setattr(cluster, "_spark_home", lambda: Path("/nowhere"))
    ours = settings.Settings(_env_file=None, lake_url="/dev/null/lake", **changes)
    with pytest.raises(cluster.ClusterError) as caught, cluster.running(ours):
        pass
    return str(caught.value)


def java_that_says(text: str, folder: Path) -> str:
    java = folder / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f"#!/bin/sh\necho '{text}' >&2\n", encoding="utf-8")
    java.chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(
    ("says", "found"),
    [('openjdk version "11.0.2" 2019', "java is 11"), ("Segmentation fault", "java does not run")],
)
def test_an_old_java_is_refused_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, found: str
) -> None:
    monkeypatch.setenv("JAVA_HOME", java_that_says(says, tmp_path))
    said = refused(monkeypatch, spark_remote="sc://127.0.0.1:0".replace(":0", f":{free_port()}"))
    assert said.startswith("Spark needs Java 17 or 21: apt-get install openjdk-17-jre-headless. ")
    assert said.endswith(found)


def test_without_java_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cluster.java_problem() == f"Spark needs {cluster.JAVA_NEEDED}"
    monkeypatch.setenv("JAVA_HOME", java_that_says('openjdk version "21.0.1"', tmp_path))
    assert cluster.java_problem() == ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_taken_port_and_another_machine_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused(monkeypatch, spark_remote=f"sc://127.0.0.1:{port}/;token=hidden")
    assert said.startswith(f"port {port} is taken: stop the program that uses it, or set another port")
    said = refused(monkeypatch, spark_remote="sc://spark.example/;token=hidden")
    assert said == (
        "make cluster runs Spark on this machine, but SPARK_REMOTE is on spark.example: "
        "set SPARK_REMOTE=sc://127.0.0.1:15002"
    )


def test_the_command_says_what_is_wrong_in_one_line() -> None:
    command = [sys.executable, "-m", "operate.cluster", "--conf", "spark.x"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=settings.ROOT)
    assert ran.returncode == 2
    assert ran.stderr == "error: --conf spark.x: write it as --conf spark.NAME=VALUE\n"


def test_nobody_on_duckdb_imports_pyspark() -> None:
    """Only one file may, and only inside functions: everything else runs without Java and pyspark."""
    for path in (path for room in BELOW for path in (settings.ROOT / room).rglob("*.py")):
        named = {name for name in imports_of(path) if name.startswith(("pyspark", "dbt.adapters.spark"))}
        assert not named, (
            f"{path} imports {named}: use import_module within a function, in transform/spark.py"
        )
        is_spark = path == settings.ROOT / "transform" / "spark.py"
        assert is_spark or 'import_module("pyspark' not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize(("is_required", "outcome"), [(False, "Skipped"), (True, "Failed")])
def test_a_test_without_spark_is_skipped_unless_it_is_required(
    monkeypatch: pytest.MonkeyPatch, is_required: bool, outcome: str
) -> None:
    monkeypatch.setattr(needs, "IS_SPARK_REQUIRED", is_required)
    monkeypatch.setattr(needs, "find_spec", lambda _: None)
    with pytest.raises(BaseException, match="build/spark: make test-spark") as caught:
        needs.spark()
    assert type(caught.value).__name__ == outcome
