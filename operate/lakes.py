"""The raw tables of a lake as one DuckDB file, and back: for backups, and to move from DuckDB to Spark."""

from datetime import date
from pathlib import Path
from typing import Final

import duckdb

from common import settings as environment
from common import warehouse
from ingest import vendors
from ingest.store import packages

CURSORS: Final = "raw_ops.cursors"
"""A table of backups alone: up to where each resource of a lake was read."""
LEFT_OUT: Final = {CURSORS, "raw_ops.builds", "raw_ops.built_from", "raw_ops.grown", "raw_ops.warned"}
"""What is not restored: the next transform builds everything."""


def require_empty(settings: environment.Settings) -> None:
    """Raise WarehouseError if anything was loaded into the lake."""
    from common.lake.lake import opened  # which loads the driver of the state's server

    with opened(settings, write=False) as lake:
        if lake.manifest:
            raise warehouse.WarehouseError(
                f"the lake {settings.lake_url} has rows already, which are never replaced. Set another "
                "LAKE_URL, and a LEDGER_URL with another database"
            )


def copy(settings: environment.Settings, target: Path) -> None:
    """Write the raw tables of a lake, their cursors and `raw_ops` into a new DuckDB file."""
    from common.lake.lake import opened
    from common.lake.shown import described

    with opened(settings, write=False) as lake:
        here = lake.connection
        here.execute(f"attach {warehouse.quoted(target)} as whole")
        for relation, columns in lake.columns.items():
            schema, name = relation.split(".")
            here.execute(f'create schema if not exists whole."{schema}"')
            is_ours = schema == "raw_ops"  # where a key is a constraint that statements need
            here.execute(f'create table whole."{schema}"."{name}" ({described(columns, with_key=is_ours)})')
            if relation not in LEFT_OUT:
                here.execute(f'insert into whole."{schema}"."{name}" from {relation}')
        here.execute(f"create table whole.{CURSORS} (vendor text, resource text, until text)")
        for about, until in lake.cursors.items():
            here.execute(f"insert into whole.{CURSORS} values (?, ?, ?)", [*about, until.isoformat()])
        here.execute("detach whole")


def restore(settings: environment.Settings, source: Path) -> str:
    """Write the raw tables of a backup, of a lake or of a DuckDB warehouse, into an empty lake."""
    from common.lake.lake import opened
    from common.lake.state import Column, cursor_of

    tables = {table.full_name: table for table in vendors.tables_of(settings)}
    with warehouse.connect(source, read_only=True) as reading:
        cursors = _cursors(reading, settings)
        found = reading.execute(
            "select concat(schema_name, '.', table_name), sql from duckdb_tables()"
            " where starts_with(schema_name, 'raw_') and not ends_with(schema_name, '_staging')"
            " and not starts_with(table_name, '_dlt') order by 1"
        ).fetchall()
    with opened(settings) as lake:
        lake.connection.execute(f"attach {warehouse.quoted(source)} as whole (read_only)")
        for relation, created in ((name, sql) for name, sql in found if name not in LEFT_OUT):
            if table := tables.get(relation):
                kinds = table.sql_columns.items()
                lake.declare(relation, [Column(name, kind, name in table.key) for name, kind in kinds])
                lake.fill(relation, f"whole.{relation}")
            else:
                lake.connection.execute(f"create schema if not exists {relation.split('.')[0]}")
                lake.connection.execute(f"drop table if exists {relation}")
                lake.connection.execute(created)
                lake.connection.execute(f"insert into {relation} from whole.{relation}")
        for (vendor, resource), until in cursors.items():
            lake.move(vendor, resource, cursor_of(until))
        lake.commit()
        count = len(lake.manifest)
    return f"{count} raw tables restored to {settings.lake_url}"


def _cursors(
    connection: duckdb.DuckDBPyConnection, settings: environment.Settings
) -> dict[tuple[str, str], str]:
    """Return up to where each resource was read when the backup was made."""
    if CURSORS in warehouse.relations(connection):
        rows = connection.execute(f"from {CURSORS}").fetchall()
        return {(vendor, resource): until for vendor, resource, until in rows}
    found: dict[tuple[str, str], date] = {}
    for source in vendors.SOURCES:
        state = packages.stored_state(connection, source.name)
        for resource in source.resources(settings):
            if until := packages.cursor_in(state, source.name, resource):
                found[source.name, resource.name] = until
    return {about: until.isoformat() for about, until in found.items()}
