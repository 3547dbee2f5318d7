"""Creates the raw tables and those of `raw_ops`, so that models find them before anything is loaded."""

import re
from collections.abc import Sequence
from typing import Final

import duckdb

from ingest.store.people import about_people
from ingest.typed import Table
from privacy.traces import Trace

OPERATIONS = """
    create table if not exists raw_ops.origins (vendor text primary key, world text, base_url text);
    create table if not exists raw_ops.addresses (hashed_with text);
    create table if not exists raw_ops.gone_people (
        person_key text, table_name text, gone_at timestamptz
    );
    create table if not exists raw_ops.allowances (mark text, stripped_at timestamptz);
    create table if not exists raw_ops.dropped_properties (
        vendor text, resource text, metric_id text, property text, value_count bigint,
        first_seen_at timestamptz, last_seen_at timestamptz,
        primary key (vendor, resource, metric_id, property)
    );
    create table if not exists raw_ops.loads (
        run_id text, vendor text, resource text, started_at timestamptz, finished_at timestamptz,
        requests bigint, waits bigint, rows_read bigint, rows_new bigint, rows_changed bigint,
        rows_late bigint, outcome text, detail text
    );
    alter table raw_ops.loads add column if not exists deep_at timestamptz;
    create table if not exists raw_ops.set_aside (
        vendor text, resource text, field text, reason text, row_key text,
        run_id text, set_aside_at timestamptz
    );
    create table if not exists raw_ops.doubts (
        vendor text, resource text, parent text, rows_before bigint, rows_now bigint, counted bigint,
        first_seen_at timestamptz
    )
"""

_ARROW: Final = re.compile(r"(\w+) ->> '(\w+)'")


def prepare(connection: duckdb.DuckDBPyConnection, tables: Sequence[Table]) -> None:
    """Create whatever is missing of `tables`.

    A table that gets a column counts as never read completely: its next load reads all of its history.
    """
    known = connection.execute(
        """
        select table_schema || '.' || table_name, list(column_name)
        from information_schema.columns
        group by all
        """
    ).fetchall()
    columns = dict(known)
    for schema in sorted({table.schema for table in tables} | {"raw_ops"}):
        connection.execute(f"create schema if not exists {schema}")
    widened: list[Table] = []
    for table in tables:
        missing = table.sql_columns.keys() - set(columns.get(table.full_name, ()))
        if table.full_name not in columns:
            described = ", ".join(f'"{name}" {kind}' for name, kind in table.sql_columns.items())
            connection.execute(f"create table {table.full_name} ({described})")
        else:
            widened.extend([table] if missing else [])
            for name in sorted(missing):
                kind = table.sql_columns[name]
                connection.execute(f'alter table {table.full_name} add column "{name}" {kind}')
    connection.execute(OPERATIONS)
    name_people(connection, tables)
    for table in widened:  # rows of an earlier version lack the new columns: they are read again
        connection.execute(
            "update raw_ops.loads set deep_at = null where concat('raw_', vendor, '.', resource) = ?",
            [table.full_name],
        )


def name_people(connection: duckdb.DuckDBPyConnection, tables: Sequence[Table]) -> None:
    """Create `raw_ops.people`, a view of every name and vendor's key of a person in `tables`.

    The firewall recognizes people by it. It is a view, so nothing in it has to be forgotten.
    """
    connection.execute(f"create or replace view raw_ops.people as {people(tables)}")


def people(tables: Sequence[Table], *, on_spark: bool = False) -> str:
    """Return the SQL of that view. Spark has a function where DuckDB has ->>."""
    selects = [
        f"select '{table.vendor}' as vendor, '{table.name}' as resource, '{kind}' as kind, {sql} as known_by"
        f" from {table.full_name}"
        for table, trace in about_people(tables)
        for kind, sql in (*(("name", _full_name(parts)) for parts in trace.names), *_keys(trace))
    ]
    nobody = "select '' as vendor, '' as resource, '' as kind, '' as known_by"
    sql = f"select distinct * from ({' union all '.join([nobody, *selects])}) where known_by <> ''"
    return _ARROW.sub(r"get_json_object(\1, '$.\2')", sql) if on_spark else sql


def _full_name(parts: Sequence[str]) -> str:
    return f"trim(concat_ws(' ', {', '.join(f'trim({part})' for part in parts)}))"


def _keys(trace: Trace) -> list[tuple[str, str]]:
    """Return SQL for the keys of people in a table. A key that is not the owner's repeats the owner's."""
    keys = [trace.key, *trace.other_keys] if trace.is_owner else trace.other_keys
    return [("key", f"trim(cast({key} as string))") for key in keys]
