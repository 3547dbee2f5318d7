"""One Spark cluster for all tests of this folder: `make test-spark`."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from common import settings
from operate import cluster
from tests import needs, postgres

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all-models", action="store_true", help="Run every unit test of a model on Spark.")


@pytest.fixture(scope="session", autouse=True)
def there() -> None:
    """Java and pyspark."""
    needs.spark()


def settings_for(lake: Path) -> settings.Settings:
    """Return the settings of a cluster that keeps its tables below `lake`, at a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        remote = f"sc://127.0.0.1:{probe.getsockname()[1]}"
    ledger = "postgresql://nobody@127.0.0.1:1/none"  # the cluster does not use it
    return settings.Settings(
        _env_file=None, warehouse="spark", ledger_url=ledger, lake_url=str(lake), spark_remote=remote
    )


@contextmanager
def started(lake: Path) -> Iterator[cluster.Cluster]:
    """Yield a cluster of a test's own, for tests that end some of it."""
    with cluster.running(settings_for(lake)) as it:
        yield it


@pytest.fixture(scope="session")
def lake(there: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder below which the shared cluster keeps tables: LAKE_URL of a project that uses it."""
    return tmp_path_factory.mktemp("lake")


@pytest.fixture(scope="session")
def shared_cluster(lake: Path) -> Iterator[cluster.Cluster]:
    """A cluster for all tests, none of which ends a part of it."""
    with started(lake) as it:
        yield it


@pytest.fixture(scope="session")
def ledger_server(there: None) -> Iterator[str]:
    """The address of a PostgreSQL server for ledgers."""
    with postgres.running() as url:
        yield url


@pytest.fixture(scope="session")
def object_store(there: None) -> Iterator[str]:
    """The host and port of a server with S3's interface."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"{host}:{port}"
    finally:
        server.stop()


@contextmanager
def session_at(remote: str) -> Iterator["SparkSession"]:
    """Yield a session of its own at an address."""
    from pyspark.sql import SparkSession

    session = SparkSession.builder.remote(remote).create()
    try:
        yield session
    finally:
        session.stop()
