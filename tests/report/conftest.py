"""Copies that the tests of the report read, built once."""

import shutil
from pathlib import Path

import duckdb
import pytest

from report import page
from tests import models
from tests.report.copies import CROWD, NOW
from transform import publish


@pytest.fixture(scope="session")
def small(small_warehouse: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published copy of what the report reads, over rows that can be counted by hand."""
    path = tmp_path_factory.mktemp("small") / small_warehouse.name
    shutil.copyfile(small_warehouse, path)  # publishing writes into the warehouse that it reads
    copy = path.with_name("published.duckdb")
    models.record_all(path)
    publish.publish(path, copy, path.with_name("salt"), smallest_cohort=1)
    return copy


@pytest.fixture(scope="session")
def empty(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same copy before anything was loaded; a model that always has rows keeps them, without data."""
    copy = tmp_path_factory.mktemp("empty") / "published.duckdb"
    shutil.copyfile(small, copy)
    with duckdb.connect(str(copy)) as connection:
        for schema, table in connection.execute(
            "select schema_name, table_name from duckdb_tables() where table_name <> 'agg_viewer_clusters'"
        ).fetchall():
            connection.execute(f'delete from "{schema}"."{table}"')
        connection.execute("update marts.agg_viewer_clusters set viewer_count = 0, viewer_share = null")
    return copy


@pytest.fixture(scope="session")
def crowded(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same copy with more of everything than fits."""
    copy = tmp_path_factory.mktemp("crowded") / "published.duckdb"
    shutil.copyfile(small, copy)
    with duckdb.connect(str(copy)) as connection:
        connection.execute(CROWD)
    return copy


@pytest.fixture(scope="session")
def drawings(small: Path, empty: Path, crowded: Path) -> dict[str, page.Page]:
    """The page of each copy."""
    copies = {"small": small, "empty": empty, "crowded": crowded}
    return {name: page.draw(copy, 10_000, NOW) for name, copy in copies.items()}
