"""What a lake remembers, in the ledger's PostgreSQL: which files a table has, cursors, and `raw_ops`.

One transaction adds a package's files, moves its cursors and counts its rows, so that a run which is killed
leaves nothing half done. One run at a time writes: it holds a lock of the server for as long as it is
connected.
"""

import os
import socket
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any, Final, NamedTuple

import pyarrow as pa
import sqlalchemy as sa

from common.lake.files import File, LakeError

WAIT_SECONDS: Final = 30
LOCK: Final = 6_288_372_513  # any number that nobody else uses on this server
OPERATIONS: Final = "raw_ops"

metadata = sa.MetaData(schema="lake")
FILES: Final = sa.Table(
    "files",
    metadata,
    sa.Column("relation", sa.Text, primary_key=True),
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("columns", sa.JSON, nullable=False),
    sa.Column("row_count", sa.BigInteger, nullable=False),
    sa.Column("byte_count", sa.BigInteger, nullable=False),
    sa.Column("holds_newer", sa.Boolean, nullable=False),
    sa.Column("is_whole", sa.Boolean, nullable=False),
)
CURSORS: Final = sa.Table(
    "cursors",
    metadata,
    sa.Column("vendor", sa.Text, primary_key=True),
    sa.Column("resource", sa.Text, primary_key=True),
    sa.Column("until", sa.Text, nullable=False),
)
COLUMNS: Final = sa.Table(
    "columns",
    metadata,
    sa.Column("relation", sa.Text, primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("is_key", sa.Boolean, nullable=False),
)
LAKES: Final = sa.Table("lake", metadata, sa.Column("identity", sa.Text, primary_key=True))
VIEWS: Final = sa.Table(
    "views",
    metadata,
    sa.Column("relation", sa.Text, primary_key=True),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("on_spark", sa.Text, nullable=False),
)
_OF_TYPE: Final[Mapping[str, tuple[Any, pa.DataType]]] = {
    "BIGINT": (sa.BigInteger, pa.int64()),
    "BOOLEAN": (sa.Boolean, pa.bool_()),
    "DOUBLE": (sa.Float, pa.float64()),
    "TIMESTAMP WITH TIME ZONE": (sa.DateTime(timezone=True), pa.timestamp("us", "UTC")),
}
_TEXT: Final = (sa.Text, pa.string())


class Column(NamedTuple):
    """A column of a raw table, with its type in DuckDB."""

    name: str
    type: str
    is_key: bool = False


class Commit(NamedTuple):
    """What one transaction changes. `operations` are rows of `raw_ops`; see `State.commit`."""

    added: Sequence[File]
    removed: Sequence[File]
    cursors: Mapping[tuple[str, str], date]
    operations: Mapping[str, tuple[bool, pa.Table]]


class State:
    """A connection to the state of a lake, which holds its lock if it may `write`."""

    def __init__(self, ledger_url: str, *, write: bool) -> None:
        """Raises LakeError if the server does not answer, or if another run holds the lock."""
        name = f"mavera-warehouse, process {os.getpid()} on {socket.gethostname()}"
        arguments = {"connect_timeout": WAIT_SECONDS, "application_name": name[:63]}
        self._engine = sa.create_engine(ledger_url, connect_args=arguments, poolclass=sa.NullPool)
        with _reached():
            self._connection = self._engine.connect()
            try:
                if write:
                    self._lock()
                    self._make()
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        self._connection.close()

    def _lock(self) -> None:
        with self._connection.begin():
            if self._connection.execute(sa.select(sa.func.pg_try_advisory_lock(LOCK))).scalar():
                return
            holder = self._connection.execute(
                sa.text(
                    "select application_name from pg_locks inner join pg_stat_activity using (pid)"
                    " where locktype = 'advisory' and granted"
                    " and (cast(classid as bigint) << 32) + cast(objid as bigint) = :lock"
                ),
                {"lock": LOCK},
            ).scalar()
        who = str(holder or "another process").removeprefix("mavera-warehouse, ")
        raise LakeError(f"the lake is in use by {who}. Wait for it to end, then run the same command again")

    def _make(self) -> None:
        with self._connection.begin():
            for schema in ("lake", OPERATIONS):
                self._connection.execute(sa.schema.CreateSchema(schema, if_not_exists=True))
            metadata.create_all(self._connection)

    @property
    def is_there(self) -> bool:
        """Whether anything was ever loaded."""
        with _reached(), self._connection.begin():
            return sa.inspect(self._connection).has_table("files", schema="lake")

    def identity(self) -> str:
        """Return which lake this is the state of; the first writer decides."""
        with _reached(), self._connection.begin():
            held = self._connection.execute(sa.select(LAKES.c.identity)).scalar()
            if held is None:
                held = uuid.uuid4().hex
                self._connection.execute(sa.insert(LAKES), {"identity": held})
            return str(held)

    def files(self) -> list[File]:
        """Return the manifest: every file of every table, the earliest first."""
        with _reached(), self._connection.begin():
            rows = self._connection.execute(sa.select(FILES).order_by(FILES.c.relation, FILES.c.path))
            return [File(**row._mapping)._replace(columns=tuple(row.columns)) for row in rows]

    def columns(self) -> dict[str, list[Column]]:
        """Return the columns of every table, by its name."""
        found: dict[str, list[Column]] = {}
        with _reached(), self._connection.begin():
            for row in self._connection.execute(sa.select(COLUMNS).order_by(COLUMNS.c.place)):
                found.setdefault(row.relation, []).append(Column(row.name, row.type, row.is_key))
        return found

    def declare(self, relation: str, columns: Sequence[Column]) -> None:
        """Store the columns of a table in place of those before."""
        with _reached(), self._connection.begin():
            self._declare(relation, columns)

    def _declare(self, relation: str, columns: Sequence[Column]) -> None:
        self._connection.execute(sa.delete(COLUMNS).where(COLUMNS.c.relation == relation))
        rows = [{"relation": relation, "place": n, **each._asdict()} for n, each in enumerate(columns)]
        self._connection.execute(sa.insert(COLUMNS), rows)

    def views(self) -> dict[str, tuple[str, str]]:
        """Return the queries of each view over raw tables: for DuckDB, and for Spark."""
        with _reached(), self._connection.begin():
            rows = self._connection.execute(sa.select(VIEWS)).all()
        return {row.relation: (row.query, row.on_spark) for row in rows}

    def define(self, relation: str, query: str, on_spark: str) -> None:
        with _reached(), self._connection.begin():
            self._connection.execute(sa.delete(VIEWS).where(VIEWS.c.relation == relation))
            values = {"relation": relation, "query": query, "on_spark": on_spark}
            self._connection.execute(sa.insert(VIEWS), values)

    def cursors(self) -> dict[tuple[str, str], Any]:
        """Return the time or day up to which the rows of each resource are in the lake."""
        with _reached(), self._connection.begin():
            rows = self._connection.execute(sa.select(CURSORS)).all()
        return {(row.vendor, row.resource): cursor_of(row.until) for row in rows}

    def operations(self, columns: Mapping[str, Sequence[Column]]) -> Iterator[tuple[str, pa.Table]]:
        """Yield the tables of `raw_ops` with their rows in the order in which they were written."""
        for relation, named in columns.items():
            if relation.startswith(f"{OPERATIONS}."):
                table = _table(relation, named)
                chosen = [table.c[each.name] for each in named]
                with _reached(), self._connection.begin():
                    rows = self._connection.execute(sa.select(*chosen).order_by(table.c.place)).all()
                yield relation, _arrow(named, rows)

    def commit(self, made: Commit, columns: Mapping[str, Sequence[Column]]) -> None:
        """Change manifest, cursors and `raw_ops` in one transaction.

        `operations` has the rows of each changed table: all of them, or those to add.
        """
        with _reached(), self._connection.begin():
            for file in made.removed:
                gone = (FILES.c.relation == file.relation) & (FILES.c.path == file.path)
                self._connection.execute(sa.delete(FILES).where(gone))
            if made.added:
                self._connection.execute(sa.insert(FILES), [each._asdict() for each in made.added])
            for (vendor, resource), until in made.cursors.items():
                about = (CURSORS.c.vendor == vendor) & (CURSORS.c.resource == resource)
                self._connection.execute(sa.delete(CURSORS).where(about))
                values = {"vendor": vendor, "resource": resource, "until": until.isoformat()}
                self._connection.execute(sa.insert(CURSORS), values)
            for relation, (is_all, rows) in made.operations.items():
                self._put(relation, columns[relation], rows, is_all=is_all)

    def _put(self, relation: str, named: Sequence[Column], rows: pa.Table, *, is_all: bool) -> None:
        table, inspected = _table(relation, named), sa.inspect(self._connection)
        name = relation.split(".")[1]
        if not inspected.has_table(name, schema=OPERATIONS):
            table.create(self._connection)
        else:
            there = {each["name"] for each in inspected.get_columns(name, schema=OPERATIONS)}
            for each in named:
                if each.name not in there:
                    kind = table.c[each.name].type.compile(self._engine.dialect)
                    self._connection.execute(
                        sa.text(f'alter table {OPERATIONS}.{name} add column "{each.name}" {kind}')
                    )
        self._declare(relation, named)
        if is_all:
            self._connection.execute(sa.delete(table))
        if rows.num_rows:
            self._connection.execute(sa.insert(table), rows.to_pylist())


def cursor_of(text: str) -> date:
    """Return the cursor that was stored as this text: a time, or a day."""
    return (datetime if "T" in text else date).fromisoformat(text)


@contextmanager
def _reached() -> Iterator[None]:
    """Say in one line that the server failed."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        said = str(error.orig).partition("\n")[0]
        if isinstance(error, sa.exc.ProgrammingError):
            raise LakeError(
                f"the lake's state cannot be kept ({said}): the user of LEDGER_URL must be allowed to create "
                "schemas and tables in its database"
            ) from None
        raise LakeError(
            f"the lake's state cannot be reached ({said}): see that the server of LEDGER_URL runs. "
            "Then run the same command again"
        ) from None


def _table(relation: str, named: Iterable[Column]) -> sa.Table:
    schema, name = relation.split(".")
    columns = [sa.Column(each.name, _OF_TYPE.get(each.type, _TEXT)[0]) for each in named]
    place = sa.Column("place", sa.BigInteger, sa.Identity(), primary_key=True)
    return sa.Table(name, sa.MetaData(), *columns, place, schema=schema)


def arrow_schema(named: Iterable[Column]) -> pa.Schema:
    """Return the types in which rows of `raw_ops` are stored; what PostgreSQL lacks is text in JSON."""
    return pa.schema([(each.name, _OF_TYPE.get(each.type, _TEXT)[1]) for each in named])


def _arrow(named: Sequence[Column], rows: Sequence[Any]) -> pa.Table:
    return pa.Table.from_pylist([row._asdict() for row in rows], arrow_schema(named))


def stored_as(column: Column) -> str:
    """Return SQL for a value of `raw_ops` as PostgreSQL stores it."""
    if column.type in _OF_TYPE or column.type == "VARCHAR":
        return f'"{column.name}"'
    return f'cast(to_json("{column.name}") as varchar) as "{column.name}"'


def read_as(column: Column) -> str:
    """Return SQL for the value of `raw_ops` that PostgreSQL stores so."""
    if column.type in _OF_TYPE or column.type == "VARCHAR":
        return f'"{column.name}"'
    return f'cast(cast("{column.name}" as json) as {column.type}) as "{column.name}"'
