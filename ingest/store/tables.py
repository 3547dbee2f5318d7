"""The raw tables and those of `raw_ops`, which models find before anything was loaded."""

from collections.abc import Sequence

import duckdb

from ingest import belief
from ingest.typed import Table

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
    )
"""


def prepare(connection: duckdb.DuckDBPyConnection, tables: Sequence[Table]) -> None:
    """Create what is missing of `tables`.

    A table that gets a column counts as never read whole: its next load reads all of its history.
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
    connection.execute(belief.MEMORY)
    for table in widened:  # rows that an earlier version loaded lack the new columns: they are read anew
        connection.execute(
            "update raw_ops.loads set deep_at = null where concat('raw_', vendor, '.', resource) = ?",
            [table.full_name],
        )
