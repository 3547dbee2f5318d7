"""The raw tables, wherever they are stored: in the warehouse's file, or as files of a lake.

Both bodies show the tables to SQL by their names on one DuckDB connection, and write them in their own way.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import duckdb
import pyarrow as pa

from common import warehouse
from common.settings import Settings
from ingest.model import Batch, Changes, Cursor, Job
from ingest.store.packages import Packages
from ingest.typed import Table

if TYPE_CHECKING:
    from common.lake.lake import Lake

LOAD_ID = "_dlt_load_id"


class RawTables(Protocol):
    """What a load and `make forget` change of raw tables and `raw_ops`."""

    connection: duckdb.DuckDBPyConnection

    def columns(self) -> dict[str, set[str]]:
        """Return the names of the columns that each table has, by the table's full name."""

    def create(self, table: Table) -> None:
        """Create a table, or add the columns that it lacks."""

    def define(self, name: str, query: str, on_spark: str) -> None:
        """Create a view over raw tables, from its query and the same for Spark."""

    def last(self, job: Job) -> Cursor | None:
        """Return the cursor value up to which the rows of `job` are stored."""

    def load(self, batches: Sequence[Batch], found: Sequence[Changes], fresh: Container[str]) -> None:
        """Write the rows of batches of one source in one package, and move their cursors."""

    def drop_package(self, source: str) -> None:
        """Drop what is left of a package that failed."""

    def update(
        self, name: str, values: Mapping[str, str], where: str, parameters: Any = None, source: str = ""
    ) -> int:
        """Give rows, as `held`, other values, of their table or of a `source`; return how many."""

    def delete(self, name: str, where: str, parameters: Any = None) -> int:
        """Remove rows, as `entry`, and return how many."""

    def transaction(self) -> AbstractContextManager[None]:
        """Let everything that the block changes count together."""

    def commit(self) -> None:
        """Let what has changed since the last package count, where it does not yet."""

    def rewrite(self) -> None:
        """Leave nothing on disk of rows that were removed."""

    def tidy(self) -> None:
        """Join what a run wrote in small parts."""

    def close(self) -> None:
        """Release the lock. What was not committed is lost."""


class DatabaseTables:
    """Raw tables in a DuckDB database."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    def columns(self) -> dict[str, set[str]]:
        known = self.connection.execute(
            """
            select table_schema || '.' || table_name, list(column_name)
            from information_schema.columns
            group by all
            """
        ).fetchall()
        return {name: set(columns) for name, columns in known}

    def create(self, table: Table) -> None:
        self.connection.execute(f"create schema if not exists {table.schema}")
        described = ", ".join(f'"{name}" {kind}' for name, kind in table.sql_columns.items())
        self.connection.execute(f"create table if not exists {table.full_name} ({described})")
        for name in sorted(table.sql_columns.keys() - self.columns()[table.full_name]):
            kind = table.sql_columns[name]
            self.connection.execute(f'alter table {table.full_name} add column "{name}" {kind}')

    def define(self, name: str, query: str, on_spark: str) -> None:  # noqa: ARG002
        self.connection.execute(f"create or replace view {name} as {query}")

    def update(
        self, name: str, values: Mapping[str, str], where: str, parameters: Any = None, source: str = ""
    ) -> int:
        given = ", ".join(f'"{column}" = {value}' for column, value in values.items())
        beside = f" from {source}" if source else ""
        query = f"update {name} as held set {given}{beside} where {where}"
        return _counted(self.connection.execute(query, parameters))

    def delete(self, name: str, where: str, parameters: Any = None) -> int:
        return _counted(self.connection.execute(f"delete from {name} as entry where {where}", parameters))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.connection.begin()
        yield
        self.connection.commit()

    def commit(self) -> None:
        """Do nothing: each statement counts at once."""


class WarehouseTables(DatabaseTables):
    """Raw tables in the warehouse's file, written by dlt."""

    def __init__(self, settings: Settings, *, create: bool) -> None:
        self._settings = settings
        self._open(create=create)

    def _open(self, *, create: bool) -> None:
        super().__init__(warehouse.connect(self._settings.warehouse_path, create=create))
        self._packages = Packages(self.connection, self._settings)

    def last(self, job: Job) -> Cursor | None:
        return self._packages.last(job)

    def load(self, batches: Sequence[Batch], found: Sequence[Changes], fresh: Container[str]) -> None:
        self._packages.load(batches, found, fresh)

    def drop_package(self, source: str) -> None:
        self._packages.forget(source)

    def rewrite(self) -> None:
        self.connection.close()
        warehouse.rewrite(self._settings.warehouse_path)
        self._open(create=False)

    def tidy(self) -> None:
        """Do nothing: DuckDB does it by itself."""

    def close(self) -> None:
        self.connection.close()


def _counted(changed: duckdb.DuckDBPyConnection) -> int:
    return int((changed.fetchone() or [0])[0])


class LakeTables:
    """Raw tables as files of a lake: a package is a file a table, in one transaction."""

    def __init__(self, lake: "Lake") -> None:
        self._lake, self.connection = lake, lake.connection

    def columns(self) -> dict[str, set[str]]:
        return {name: {each.name for each in columns} for name, columns in self._lake.columns.items()}

    def create(self, table: Table) -> None:
        from common.lake.state import Column

        columns = [Column(name, kind, name in table.key) for name, kind in table.sql_columns.items()]
        self._lake.declare(table.full_name, columns)

    def define(self, name: str, query: str, on_spark: str) -> None:
        self._lake.define(name, query, on_spark)

    def last(self, job: Job) -> Cursor | None:
        last: Cursor | None = self._lake.cursors.get(job.full_name)
        return last

    def load(self, batches: Sequence[Batch], found: Sequence[Changes], fresh: Container[str]) -> None:  # noqa: ARG002
        load_id = self._lake.load_id()
        for batch, new in zip(batches, found, strict=True):
            name, resource = batch.job.resource.table.full_name, batch.job.resource
            if new.rows is not None:
                load_ids = pa.array([load_id]).take(pa.array([0] * new.rows.num_rows, pa.int64()))
                rows = new.rows.append_column(LOAD_ID, load_ids)
                if resource.replaced:
                    self._lake.replace(name, rows)
                else:
                    self._lake.append(name, rows, holds_newer=bool(new.changed))
            if resource.cursor and batch.until != self.last(batch.job):
                self._lake.move(*batch.job.full_name, batch.until)

    def drop_package(self, source: str) -> None:  # noqa: ARG002
        self._lake.drop_pending()

    def update(
        self, name: str, values: Mapping[str, str], where: str, parameters: Any = None, source: str = ""
    ) -> int:
        return self._lake.update(name, values, where, parameters, source)

    def delete(self, name: str, where: str, parameters: Any = None) -> int:
        return self._lake.delete(name, where, parameters)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        yield
        self._lake.commit()

    def commit(self) -> None:
        self._lake.commit()

    def rewrite(self) -> None:
        """Do nothing: a file with a removed row was replaced, and deleted, by then."""

    def tidy(self) -> None:
        self._lake.tidy()

    def close(self) -> None:
        self._lake.close()


def raw_tables(settings: Settings, *, create: bool = True) -> RawTables:
    """Return the raw tables of these settings, locked for this process. Only `create` makes a missing file.

    Raises WarehouseError if they cannot be written.
    """
    if not settings.is_spark:
        return WarehouseTables(settings, create=create)
    from common.lake.lake import Lake  # which loads the driver of the state's server

    return LakeTables(Lake(settings))
