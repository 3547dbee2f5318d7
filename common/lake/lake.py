"""A lake as a DuckDB file: raw tables are views over the files, `raw_ops` has the rows of PostgreSQL.

So whatever reads a warehouse reads a lake. The DuckDB file is thrown away at the end: what a command changes
counts from `commit` on, in one transaction of the server.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from common import warehouse
from common.lake.files import File, Files
from common.lake.state import (
    OPERATIONS,
    Column,
    Commit,
    State,
    arrow_schema,
    read_as,
    stored_as,
)
from common.settings import Settings

LOAD_ID: Final = "_dlt_load_id"
NO_FILES: Final = "(select 1) as no_parquet where false"
ROWS_AT_ONCE: Final = 100_000
SMALL_BYTES: Final = 64_000_000
"""Files below it are joined once there are `MANY` of a table: an engine opens every file."""
MANY: Final = 16
SUPERSEDED_SHARE: Final = 0.2
"""A table with a larger share of rows in files that replace earlier rows is written anew."""


class Lake:
    """The raw tables and `raw_ops` of a lake, in a DuckDB file that only this process uses."""

    def __init__(self, settings: Settings, *, write: bool = True) -> None:
        """Raises LakeError if files or state cannot be reached or another run has the lock."""
        self.files = Files(settings.lake_url)
        self.path = settings.scratch_path
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
            self._sweep()

    def close(self) -> None:
        """Throw away whatever was not committed."""
        self.connection.close()
        self._remove_scratch()
        self.state.close()

    def _remove_scratch(self) -> None:
        """Remove our DuckDB file, and those that killed processes left."""
        for path in self.path.parent.glob(".lake.*.duckdb*"):
            process = path.name.split(".")[2]
            if int(process) == os.getpid() or not Path(f"/proc/{process}").exists():
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

    def _sweep(self) -> None:
        """Remove files that no package names: those of a run that was killed."""
        known = {file.path for file in self.every}
        self.files.remove(path for path in self.files.every() if is_raw(path) and path not in known)

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
        query = self.rows(relation, files)
        if any(file.holds_newer for file in files):
            keys = ", ".join(f'"{each.name}"' for each in self.columns[relation] if each.is_key)
            newest = f"row_number() over (partition by {keys} order by {LOAD_ID}::double desc) = 1"
            query = f"from ({query}) qualify {newest}"
        self.connection.execute(f"create or replace view {relation} as {query}")

    def rows(self, relation: str, files: Sequence[File]) -> str:
        """Return SQL for all rows of these files, earlier versions included, with the declared columns."""
        there = {name for file in files for name in file.columns}
        chosen = ", ".join(
            f'cast({_quoted(each.name) if each.name in there else "null"} as {each.type}) as "{each.name}"'
            for each in self.columns[relation]
        )
        source = self.files.read([file.path for file in files]) if files else NO_FILES
        return f"select {chosen} from {source}"

    def show_model(self, relation: str, types: Mapping[str, str], paths: Sequence[str]) -> None:
        """Let a relation have the rows of files that Spark wrote, with these types."""
        self._schema(relation)
        source = self.files.read(paths) if paths else NO_FILES
        chosen = ", ".join(
            f'cast({_quoted(name) if paths else "null"} as {kind}) as "{name}"'
            for name, kind in types.items()
        )
        query = f"select {chosen or '*'} from {source}"
        self.connection.execute(f"create or replace view {relation} as {query}")

    def types_in_files(self, relation: str) -> dict[str, str]:
        """Return the types of a relation's columns as its files have them."""
        is_ours = relation.startswith(f"{OPERATIONS}.")
        return {
            each.name: "varchar" if is_ours and stored_as(each) != _quoted(each.name) else each.type
            for each in self.columns[relation]
        }

    def keep_operations(self) -> None:
        """Write the tables of `raw_ops` into files as well, for Spark; then commit."""
        self.commit()
        for relation, rows in self._before.items():
            self.replace(relation, rows)
        self.commit()

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

    def load_id(self) -> str:
        """Return a text that, as a number, is greater than that of every earlier load."""
        self._last_load = max(time.time(), self._last_load + 0.001)
        return f"{self._last_load:.6f}"

    # --- changes, which count once they are committed

    def append(self, relation: str, rows: pa.Table, *, holds_newer: bool) -> None:
        """Add rows, which bring their load id along."""
        file = self._written(relation, rows.to_batches(), rows.schema, holds_newer=holds_newer)
        self._added.append(file)

    def fill(self, relation: str, source: str) -> None:
        """Let a table have the rows of a table in another database, a part at a time."""
        self._drop_all(relation)
        there = {name for name, *_ in self.connection.execute(f"describe {source}").fetchall()}
        chosen = ", ".join(
            f'cast({_quoted(each.name) if each.name in there else "null"} as {each.type}) as "{each.name}"'
            for each in self.columns[relation]
        )
        if self.connection.execute(f"select 1 from {source} limit 1").fetchone():
            query = f"select {chosen} from {source}"
            self._added.append(self._streamed(relation, query, holds_newer=False))

    def replace(self, relation: str, rows: pa.Table, *, is_whole: bool = False) -> None:
        """Let a table have these rows and no others."""
        self._drop_all(relation)
        if rows.num_rows or is_whole:
            file = self._written(
                relation, rows.to_batches(), rows.schema, holds_newer=False, is_whole=is_whole
            )
            self._added.append(file)

    def move(self, vendor: str, resource: str, until: Any) -> None:
        """Let the cursor of a resource be at `until`."""
        self._moved[vendor, resource] = until

    def update(
        self, relation: str, values: Mapping[str, str], where: str, parameters: Any = None, source: str = ""
    ) -> int:
        """Give rows, as `held`, other values, of their table or of a `source`; return how many."""
        load_id = self.load_id()
        values = {**values, LOAD_ID: f"'{load_id}'"}
        chosen = ", ".join(
            f'cast({values.get(each.name, f"held.{_quoted(each.name)}")} as {each.type}) as "{each.name}"'
            for each in self.columns[relation]
        )
        beside = f", {source}" if source else ""
        query = f"select {chosen} from {relation} as held{beside} where {where}"
        rows = _stored(self.connection.execute(query, parameters).to_arrow_table())
        if rows.num_rows:
            self.append(relation, rows, holds_newer=True)
            self._show_pending(relation)
        return int(rows.num_rows)

    def delete(self, relation: str, where: str, parameters: Any = None) -> int:
        """Remove rows, as `entry`, and all earlier versions of them; return how many there were now.

        Every file that holds one is written anew without it; an earlier version for which the condition is
        true goes even if its row stays.
        """
        keys = ", ".join(f'"{each.name}"' for each in self.columns[relation] if each.is_key)
        self.connection.execute(
            f"create or replace temp table doomed as select {keys} from {relation} as entry where {where}",
            parameters,
        )
        counted = self.connection.execute("select count(*) from doomed").fetchall()[0][0]
        goes = f"coalesce({where}, false) or ({keys}) in (select ({keys}) from doomed)"
        for file in self._present(relation):
            rows = self.rows(relation, [file])
            going = self.connection.execute(
                f"select count(*) from ({rows}) as entry where {goes}", parameters
            ).fetchall()[0][0]
            if going:
                self._remove(file)
                if going < file.row_count:
                    stay = f"from ({rows}) as entry where not ({goes})"
                    self._added.append(
                        self._streamed(relation, stay, parameters, holds_newer=file.holds_newer)
                    )
        self._show_pending(relation)
        return int(counted)

    def _present(self, relation: str) -> list[File]:
        """Return a table's files as they will be."""
        there = [file for file in self.manifest.get(relation, []) if file not in self._removed]
        return there + [file for file in self._added if file.relation == relation]

    def _show_pending(self, relation: str) -> None:
        before = self.manifest.get(relation, [])
        self.manifest[relation] = self._present(relation)
        self.show(relation)
        self.manifest[relation] = before

    def _drop_all(self, relation: str) -> None:
        for file in self._present(relation):
            self._remove(file)

    def _remove(self, file: File) -> None:
        if file in self._added:
            self._added.remove(file)
            self.files.remove([file.path])
        else:
            self._removed.append(file)

    def _streamed(self, relation: str, query: str, parameters: Any = None, **kind: bool) -> File:
        """Write a file with the rows of a query, a part at a time."""
        rows: Any = self.connection.execute(query, parameters).to_arrow_reader(ROWS_AT_ONCE)
        schema = _stored_schema(rows.schema)
        parts = (batch for part in rows for batch in pa.Table.from_batches([part]).cast(schema).to_batches())
        return self._written(relation, parts, schema, **kind)

    def _written(self, relation: str, rows: Any, schema: pa.Schema, **kind: bool) -> File:
        return self.files.write(relation, self.load_id(), rows, schema, **kind)

    def drop_pending(self) -> None:
        """Forget the changes since the last commit that are not in `raw_ops`: a package failed."""
        relations = {file.relation for file in [*self._added, *self._removed]}
        self.files.remove(file.path for file in self._added)
        self._added, self._removed, self._moved = [], [], {}
        for relation in relations:
            self.show(relation)

    def commit(self) -> None:
        """Let all changes count. Files that no table has any more are removed afterwards."""
        self._store_whole()
        operations = dict(self._changed_operations())
        if not (self._added or self._removed or self._moved or operations):
            return
        made = Commit(self._added, self._removed, self._moved, operations)
        self.state.commit(made, self.columns)
        gone, relations = self._removed, {file.relation for file in [*self._added, *self._removed]}
        for relation in relations:
            self.manifest[relation] = self._present(relation)
        self.cursors |= self._moved
        self._added, self._removed, self._moved = [], [], {}
        for relation in relations:
            if relation not in self._whole and not relation.startswith(f"{OPERATIONS}."):
                self.show(relation)
        self.files.remove(file.path for file in gone)

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

    def _store_whole(self) -> None:
        """Write the tables that are derived from others again if they have changed."""
        for relation in self._tables():
            if relation.startswith(f"{OPERATIONS}.") or self._whole.get(relation) == self._mark(relation):
                continue
            self.declare_whole(relation)
            rows = _stored(self.connection.sql(f"from {relation}").to_arrow_table())
            self.replace(relation, rows, is_whole=True)
            self._whole[relation] = self._mark(relation)

    def declare_whole(self, relation: str) -> None:
        columns = self._described(relation)
        if self.columns.get(relation) != columns:
            self.columns[relation] = columns
            self.state.declare(relation, columns)

    def _changed_operations(self) -> Iterator[tuple[str, tuple[bool, pa.Table]]]:
        """Yield the changed tables of `raw_ops`: the rows to add, or all rows if others have changed."""
        for relation in self._tables():
            if not relation.startswith(f"{OPERATIONS}."):
                continue
            named = self._described(relation)
            before = self._before.get(relation)
            query = f"select {', '.join(map(stored_as, named))} from {relation} order by rowid"
            rows: Any = self.connection.sql(query).to_arrow_table()
            now = rows.cast(arrow_schema(named))
            if before is None or before.schema != now.schema:
                known, is_longer = 0, False
            else:
                known = before.num_rows
                is_longer = now.num_rows >= known and now.slice(0, known).equals(before)
            if is_longer and now.num_rows == known:
                continue
            self.columns[relation], self._before[relation] = named, now
            yield relation, ((False, now.slice(known)) if is_longer else (True, now))

    # --- many small files

    def tidy(self) -> None:
        """Join small files, and write tables anew in which many rows have newer versions."""
        for relation, files in [*self.manifest.items()]:
            small = [file for file in files if file.byte_count < SMALL_BYTES]
            rows = sum(file.row_count for file in files)
            newer = sum(file.row_count for file in files if file.holds_newer)
            if relation.startswith(f"{OPERATIONS}.") or (files[:1] and files[0].is_whole):
                continue
            joined = files if newer > SUPERSEDED_SHARE * rows else small if len(small) >= MANY else []
            if len(joined) > 1:
                self._join(relation, joined, is_all=len(joined) == len(files))
        self.commit()

    def _join(self, relation: str, files: Sequence[File], *, is_all: bool) -> None:
        holds_newer = any(file.holds_newer for file in files)
        query = self.rows(relation, files)
        if holds_newer:
            keys = ", ".join(f'"{each.name}"' for each in self.columns[relation] if each.is_key)
            newest = f"row_number() over (partition by {keys} order by {LOAD_ID}::double desc) = 1"
            query = f"from ({query}) qualify {newest}"
        file = self._streamed(relation, query, holds_newer=holds_newer and not is_all)
        for each in files:
            self._remove(each)
        self._added.append(file)


def described(columns: Sequence[Column], *, with_key: bool) -> str:
    """Return the columns of a table as SQL that creates it has them."""
    parts = [f'"{each.name}" {each.type}' for each in columns]
    keys = ", ".join(f'"{each.name}"' for each in columns if each.is_key)
    return ", ".join([*parts, *([f"primary key ({keys})"] if keys and with_key else [])])


def file_load(file: File) -> float:
    """Return the load id in the name of a file."""
    return float(file.path.rpartition("/")[2].removesuffix(".parquet"))


def is_raw(path: str) -> bool:
    return path.startswith("raw_") and path.endswith(".parquet")


def _quoted(name: str) -> str:
    return f'"{name}"'


def _stored_schema(schema: pa.Schema) -> pa.Schema:
    """Return the types in Parquet: JSON is text there, and times are in UTC."""
    return pa.schema([(field.name, _stored_type(field.type)) for field in schema])


def _stored_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind) and kind.tz:
        return pa.timestamp("us", "UTC")
    if isinstance(kind, pa.BaseExtensionType):
        return kind.storage_type
    return kind


def _stored(rows: pa.Table) -> pa.Table:
    return rows.cast(_stored_schema(rows.schema))


@contextmanager
def opened(settings: Settings, *, write: bool = True) -> Iterator[Lake]:
    """Yield the lake until the block ends. Raises LakeError as `Lake` does."""
    lake = Lake(settings, write=write)
    try:
        yield lake
    finally:
        lake.close()
