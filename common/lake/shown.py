"""A lake as a DuckDB file: raw tables are views over the files, `raw_ops` has the rows of PostgreSQL.

So whatever reads a warehouse reads a lake. The DuckDB file is thrown away at the end.
"""

import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Final

import pyarrow as pa

from common import warehouse
from common.lake.files import File, Files, LakeError
from common.lake.state import (
    OPERATIONS,
    Column,
    State,
    read_as,
    stored_as,
)
from common.settings import Settings

LOAD_ID: Final = "_dlt_load_id"
"""The column of a raw row with its load: a greater number is a later one."""
NO_FILES: Final = "(select 1) as no_parquet where false"


_NUMBERS: Final = count(1)


class ShownLake:
    """The raw tables and `raw_ops` of a lake, in a DuckDB file that only this process uses."""

    def __init__(self, settings: Settings, *, write: bool = True) -> None:
        """Raises LakeError if files or state cannot be reached or another run has the lock."""
        self.files = Files(settings.lake_url)
        # dbt keeps a file open to the end of the process: each lake has one of its own.
        self.path = settings.warehouse_path.with_name(
            f"{warehouse.SCRATCH}{os.getpid()}.{next(_NUMBERS)}.duckdb"
        )
        self.state = State(settings.ledger_url, write=write)
        try:
            self._remove_scratch()
            self.connection = warehouse.connect(self.path, create=True)
            warehouse.keep_private([self.path])
            self.files.open_to(self.connection)
            self._pull()
        except BaseException:
            self.state.close()
            raise
        if write:
            try:
                self._require_ours()
                self._sweep()
            except OSError as error:
                self.close()
                what = f"the lake {self.files.url} cannot be written ({str(error).splitlines()[0]})"
                raise LakeError(f"{what}. Change that, or set another LAKE_URL") from None
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Throw away whatever was not committed."""
        self.connection.close()
        self._remove_scratch()
        self.state.close()

    def _remove_scratch(self) -> None:
        """Remove our DuckDB file, and those that killed processes left."""
        for path in self.path.parent.glob(f"{warehouse.SCRATCH}*.duckdb*"):
            process = path.name.split(".")[2]
            if path.name.startswith(self.path.name) or not _is_alive(int(process)):
                path.unlink(missing_ok=True)

    def _pull(self) -> None:
        is_there = self.state.is_there
        self.columns = self.state.columns() if is_there else {}
        self.manifest: dict[str, list[File]] = {}
        for file in self.state.files() if is_there else ():
            self.manifest.setdefault(file.relation, []).append(file)
        self.cursors = self.state.cursors() if is_there else {}
        self._added: list[File] = []
        self._removed: list[File] = []
        self._moved: dict[tuple[str, str], Any] = {}
        self._before: dict[str, pa.Table] = {}
        self._last_load = max((file_load(each) for each in self.every), default=0.0)
        self.connection.execute(f"create schema {OPERATIONS}")
        for relation, rows in self.state.operations(self.columns):
            self._before[relation] = rows
            named = self.columns[relation]
            self.connection.execute(f"create table {relation} ({described(named, with_key=True)})")
            self.connection.register("pulled", rows)
            self.connection.execute(
                f"insert into {relation} select {', '.join(map(read_as, named))} from pulled"
            )
            self.connection.unregister("pulled")
        self._whole: dict[str, tuple[Any, ...]] = {}
        for relation in self.columns:
            if not relation.startswith(f"{OPERATIONS}."):
                self.show(relation)
        for relation, (query, _) in (self.state.views() if is_there else {}).items():
            self.connection.execute(f"create or replace view {relation} as {query}")

    @property
    def every(self) -> Iterator[File]:
        """All files of the manifest."""
        yield from (file for files in self.manifest.values() for file in files)

    def _require_ours(self) -> None:
        """Raise LakeError if the files belong to another ledger, whose rows this one does not know."""
        ours, theirs = self.state.identity(), self.files.identity()
        if theirs is None and not self.files.raw():
            self.files.identify(ours)
        elif theirs != ours:
            raise LakeError(
                f"the lake {self.files.url} was filled with another database as its ledger. Set LEDGER_URL "
                "to that one, or set another LAKE_URL: what is in it stays as it is"
            )

    def _sweep(self) -> None:
        """Remove files that no package names: those of a run that was killed."""
        known = {file.path for file in self.every}
        self.files.remove(path for path in self.files.raw() if path not in known)

    def _schema(self, relation: str) -> None:
        self.connection.execute(f'create schema if not exists "{relation.split(".")[0]}"')

    def show(self, relation: str) -> None:
        """Let a relation have the rows of its files; one that is stored whole becomes a table."""
        self._schema(relation)
        files = self.manifest.get(relation, [])
        if files and files[0].is_whole:
            self.connection.execute(f"create or replace table {relation} as {self.rows(relation, files)}")
            self._whole[relation] = self._mark(relation)
            return
        query = self.newest(relation, files)
        self.connection.execute(f"create or replace view {relation} as {query}")

    def newest(self, relation: str, files: Sequence[File]) -> str:
        """Return SQL for the rows of these files: of each key, the version that came last."""
        query = self.rows(relation, files)
        if not any(file.holds_newer for file in files):
            return query
        keys = ", ".join(quoted(each.name) for each in self.columns[relation] if each.is_key)
        newest = f"row_number() over (partition by {keys} order by {LOAD_ID}::double desc) = 1"
        return f"from ({query}) qualify {newest}"

    def rows(self, relation: str, files: Sequence[File]) -> str:
        """Return SQL for all rows of these files, earlier versions included, with the declared columns."""
        there = {name for file in files for name in file.columns}
        chosen = chosen_of(self.columns[relation], there)
        source = self.files.read([file.path for file in files]) if files else NO_FILES
        return f"select {chosen} from {source}"

    def show_model(self, relation: str, types: Mapping[str, str], paths: Sequence[str]) -> None:
        """Let a relation have the rows of files that Spark wrote, with these types."""
        self._schema(relation)
        source = self.files.read(paths) if paths else NO_FILES
        chosen = ", ".join(
            f'cast({quoted(name) if paths else "null"} as {kind}) as "{name}"' for name, kind in types.items()
        )
        query = f"select {chosen or '*'} from {source}"
        self.connection.execute(f"create or replace view {relation} as {query}")

    def types_in_files(self, relation: str) -> dict[str, str]:
        """Return the types of a relation's columns as its files have them."""
        is_ours = relation.startswith(f"{OPERATIONS}.")
        return {
            each.name: "varchar" if is_ours and stored_as(each) != quoted(each.name) else each.type
            for each in self.columns[relation]
        }

    def _mark(self, relation: str) -> tuple[Any, ...]:
        """Identify the rows of a table that is stored whole."""
        query = f"select count(*), bit_xor(hash(entry)), sum(hash(entry)) from {relation} as entry"
        return tuple(self.connection.execute(query).fetchall()[0])

    def declare(self, relation: str, columns: Sequence[Column]) -> None:
        """Store the columns of a raw table, and let it have those that are new."""
        if self.columns.get(relation) != [*columns]:
            self.columns[relation] = [*columns]
            self.state.declare(relation, columns)
            self.show(relation)

    def define(self, relation: str, query: str, on_spark: str) -> None:
        """Create a view over raw tables, from its query and the same for Spark."""
        self._schema(relation)
        self.connection.execute(f"create or replace view {relation} as {query}")
        self.state.define(relation, query, on_spark)

    def _tables(self) -> list[str]:
        """Return the tables of raw schemas: rows that are stored by table, not by file."""
        found = self.connection.execute(
            "select concat(schema_name, '.', table_name) from duckdb_tables()"
            " where database_name = current_database() and starts_with(schema_name, 'raw_')"
            " and not temporary order by 1"
        ).fetchall()
        return [name for (name,) in found]

    def _described(self, relation: str) -> list[Column]:
        schema, name = relation.split(".")
        found = self.connection.execute(
            "select column_name, data_type,"
            " coalesce(list_contains(constraint_column_names, column_name), false)"
            " from duckdb_columns() left join"
            " (from duckdb_constraints() where constraint_type = 'PRIMARY KEY')"
            " using (database_name, schema_name, table_name)"
            " where database_name = current_database() and (schema_name, table_name) = (?, ?)"
            " order by column_index",
            [schema, name],
        ).fetchall()
        return [Column(*each) for each in found]

    def declare_whole(self, relation: str) -> None:
        columns = self._described(relation)
        if self.columns.get(relation) != columns:
            self.columns[relation] = columns
            self.state.declare(relation, columns)

    def load_id(self) -> str:
        """Return a text that, as a number, is greater than that of every earlier load."""
        self._last_load = max(time.time(), self._last_load + 0.001)
        return f"{self._last_load:.6f}"


def chosen_of(columns: Sequence[Column], there: Collection[str]) -> str:
    """Return SQL that selects columns in their types; those that are not `there` are null."""
    return ", ".join(
        f'cast({quoted(each.name) if each.name in there else "null"} as {each.type}) as "{each.name}"'
        for each in columns
    )


def described(columns: Sequence[Column], *, with_key: bool) -> str:
    """Return the columns of a table as SQL that creates it has them."""
    parts = [f'"{each.name}" {each.type}' for each in columns]
    keys = ", ".join(f'"{each.name}"' for each in columns if each.is_key)
    return ", ".join([*parts, *([f"primary key ({keys})"] if keys and with_key else [])])


def file_load(file: File) -> float:
    """Return the load id in the name of a file."""
    return float(file.path.rpartition("/")[2].removesuffix(".parquet"))


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def quoted(name: str) -> str:
    return f'"{name}"'
