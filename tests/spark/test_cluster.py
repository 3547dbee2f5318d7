"""The cluster on this machine: it starts, refuses, outlives a worker, stops, and leaves nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from common import settings
from operate import cluster
from tests.spark.conftest import session_at, settings_for

BUILD = settings.ROOT / "build"
PATIENCE_SECONDS = 120


def until(fact: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end
        time.sleep(0.1)


def programs_of(folder: Path) -> list[int]:
    """Return the processes that work in a cluster's folder: all of Spark's programs do."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append(int(process.name))
        except OSError:  # it has ended
            continue
    return found


class Command:
    """`python -m operate.cluster` with a lake of its own."""

    def __init__(self, lake: Path, **extra: str) -> None:
        ours = settings_for(lake)
        self.remote = ours.spark_remote
        before = set(BUILD.glob("cluster-*"))
        given = {
            "WAREHOUSE": "spark",
            "LEDGER_URL": ours.ledger_url.replace("+psycopg", ""),
            "LAKE_URL": ours.lake_url,
            "SPARK_REMOTE": self.remote,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "operate.cluster"],
            cwd=settings.ROOT,
            env={**os.environ, **given, **extra},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline()
        (self.folder,) = set(BUILD.glob("cluster-*")) - before or {BUILD / "none"}

    def rest(self) -> str:
        return self.process.communicate(timeout=PATIENCE_SECONDS)[0]


def test_a_server_has_what_models_need(shared_cluster: cluster.Cluster, lake: Path) -> None:
    with session_at(shared_cluster.remote) as session:
        assert session.conf.get("spark.sql.session.timeZone") == "UTC"
        assert session.conf.get("spark.sql.sources.partitionOverwriteMode") == "DYNAMIC"
        session.sql("create database of_test")
        session.sql("create table of_test.t using parquet as select id from range(1000)")
        assert session.sql("select sum(id) from of_test.t").collect()[0][0] == 499_500
        assert [*(lake / "models" / "of_test.db" / "t").glob("*.parquet")]
        session.sql("drop database of_test cascade")


def test_a_plan_shows_no_key(shared_cluster: cluster.Cluster) -> None:
    key = "0123456789abcdef" * 4
    with session_at(shared_cluster.remote) as session:
        plan = session.sql(f"explain extended select '{key}' as key, id from range(2)").collect()[0][0]
    assert "redacted" in plan
    assert key not in plan


def test_it_listens_on_loopback_only(shared_cluster: cluster.Cluster) -> None:
    ours = {inode_of(link) for pid in programs_of(shared_cluster.folder) for link in sockets_of(pid)}
    listening = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path("/proc/net", name).read_text().splitlines()[1:]
        if line.split()[3] == "0A"
    ]
    addresses = {columns[1].split(":")[0] for columns in listening if columns[9] in ours}
    assert addresses
    assert addresses <= {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


def sockets_of(pid: int) -> list[str]:
    links = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            links.append(str(descriptor.readlink()))
        except OSError:
            continue
    return [link for link in links if link.startswith("socket:")]


def inode_of(link: str) -> str:
    return link.removeprefix("socket:[").removesuffix("]")


def test_a_second_one_is_refused(shared_cluster: cluster.Cluster, lake: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(cluster.ClusterError, match="another cluster uses"),
        cluster.running(settings_for(lake)),
    ):
        pass
    same_port = settings_for(tmp_path).model_copy(update={"spark_remote": shared_cluster.remote})
    with pytest.raises(cluster.ClusterError, match=r"port \d+ is taken: stop"), cluster.running(same_port):
        pass


def test_a_setting_that_spark_refuses_is_told_in_one_line(tmp_path: Path) -> None:
    before = set(BUILD.glob("cluster-*"))
    wrong = {"spark.master": "nowhere"}
    with (
        pytest.raises(cluster.ClusterError, match=r"^Spark did not start: .*[Mm]aster") as caught,
        cluster.running(settings_for(tmp_path), more=wrong),
    ):
        pass
    assert "\n" not in str(caught.value)
    assert set(BUILD.glob("cluster-*")) <= before


def test_it_goes_on_with_one_worker_and_keeps_its_tables(tmp_path: Path) -> None:
    first = Command(tmp_path)
    assert first.first_line.startswith("cluster: master, 2 workers and Spark Connect listen at 127.0.0.1:")
    with session_at(first.remote) as session:
        session.sql("create database kept")
        session.sql("create table kept.t using parquet as select id from range(10)")
        workers = [pid for pid in programs_of(first.folder) if "worker.Worker" in command_of(pid)]
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGKILL)
        assert session.sql("select count(*) from kept.t").collect()[0][0] == 10
    first.process.terminate()
    said = first.rest()
    assert "a worker ended, 1 left" in said
    assert first.process.returncode == 128 + signal.SIGTERM
    assert programs_of(first.folder) == []
    assert not first.folder.exists()

    again = Command(tmp_path)
    with session_at(again.remote) as session:
        assert session.sql("select count(*) from kept.t").collect()[0][0] == 10
    again.process.kill()
    again.rest()
    until(lambda: not programs_of(again.folder) and not again.folder.exists(), 20)


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def test_without_connect_the_command_and_sessions_end(tmp_path: Path) -> None:
    command = Command(tmp_path)
    (connect,) = [pid for pid in programs_of(command.folder) if "SparkConnectServer" in command_of(pid)]
    statements = (
        f"session = spark.session({command.remote!r}); print(session.sql('select 1').collect(), flush=True);"
        "input(); session.sql('select 2').collect()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", f"from transform import spark; {statements}"],
        cwd=settings.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as client:  # fmt: skip
        assert client.stdout is not None
        assert "Row" in client.stdout.readline()
        os.kill(connect, signal.SIGKILL)
        said = command.rest()
        assert command.process.returncode == 2
        assert "error: Spark ended" in said
        assert programs_of(command.folder) == []
        begun = time.monotonic()
        assert "Exception" in client.communicate("\n", timeout=PATIENCE_SECONDS)[1]
        assert client.returncode == 1
        assert time.monotonic() - begun < PATIENCE_SECONDS / 2
