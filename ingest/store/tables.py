"""Creates the raw tables and those of `raw_ops`, so that models find them before anything is loaded."""

import re
from collections.abc import Sequence
from typing import Final

from ingest.store.people import about_people
from ingest.store.raw import RawTables
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
    );
    create table if not exists raw_ops.observations (
        kind text, subject_id text, dimension_id text, value text, rule text,
        happened_at timestamptz, observed_at timestamptz, recorded_at timestamptz
    )
"""


_ARROW: Final = re.compile(r"(\w+) ->> '(\w+)'")


def prepare(raw: RawTables, tables: Sequence[Table]) -> None:
    """Create whatever is missing of `tables`.

    A table that gets a column counts as never read completely: its next load reads all of its history.
    """
    known = raw.columns()
    raw.connection.execute("create schema if not exists raw_ops")
    widened: list[Table] = []
    for table in tables:
        there = known.get(table.full_name)
        if there is None or table.sql_columns.keys() - there:
            raw.create(table)
            widened.extend([table] if there is not None else [])
    raw.connection.execute(OPERATIONS)
    name_people(raw, tables)
    for table in widened:  # rows of an earlier version lack the new columns: they are read again
        raw.connection.execute(
            "update raw_ops.loads set deep_at = null where concat('raw_', vendor, '.', resource) = ?",
            [table.full_name],
        )


def name_people(raw: RawTables, tables: Sequence[Table]) -> None:
    """Create `raw_ops.people`, a view of every name and vendor's key of a person in `tables`.

    The firewall recognizes people by it. It is a view, so nothing in it has to be forgotten.
    """
    raw.define("raw_ops.people", people(tables), people(tables, on_spark=True))


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
