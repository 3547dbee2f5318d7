"""Machines whose raw tables are files of a lake, with its state on a PostgreSQL server."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from common import settings
from common.lake.lake import Lake, opened
from tests.ingest.test_ingest import Machine


def database(server: str) -> str:
    """Return the address of a new, empty database on a server."""
    name = f"lake_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    return f"{server.rpartition('/')[0]}/{name}"


class LakeMachine(Machine):
    """A machine that loads into a lake."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, server: str) -> None:
        super().__init__(folder, monkeypatch)
        self.lake_folder = folder / "lake"
        self.set(WAREHOUSE="spark", LAKE_URL=str(self.lake_folder), LEDGER_URL=database(server))

    @contextmanager
    def opened(self, *, write: bool = False) -> Iterator[Lake]:
        with opened(settings.load(), write=write) as lake:
            yield lake

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.opened() as lake:
            lake.connection.execute("set timezone = 'UTC'")
            return lake.connection.execute(query).fetchall()

    def files(self) -> list[str]:
        """Return the paths of all raw files, whether or not a table has them."""
        return sorted(str(path.relative_to(self.lake_folder)) for path in self.lake_folder.rglob("*.parquet"))
