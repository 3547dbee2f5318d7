"""Handles rows that a vendor no longer lists: objects keep theirs and get `gone_at`, people are removed.

The keys of a complete read are collected while it is written. If the owner of a row changed, one person was
merged into another. Rows older than the requested period then follow.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import duckdb
import pyarrow as pa

from ingest.store.people import about_people, remove_observations
from ingest.store.raw import RawTables
from ingest.typed import Column, Table

GONE_AT: Final = Column("gone_at", "timestamptz", known=True)
"""A column of every table of things: when a whole read first lacked the row; null while it is listed."""


def _seen(table: Table) -> str:
    return f"temp.seen_{table.schema}_{table.name}"


def _moved(table: Table) -> str:
    return f"temp.moved_{table.schema}_{table.name}"


def _key(table: Table) -> str:
    return ", ".join(f'"{name}"' for name in table.key)


def see(connection: duckdb.DuckDBPyConnection, table: Table, rows: pa.Table, owner: str) -> None:
    """Note the rows that a complete read brought, and the existing rows whose owner has changed."""
    connection.register("brought", rows.select(dict.fromkeys([*table.key, *([owner] if owner else [])])))
    key = _key(table)
    connection.execute(f"create temp table if not exists {_seen(table)} as select {key} from brought limit 0")
    connection.execute(f"insert into {_seen(table)} select {key} from brought")
    if owner:
        moved = f"""
            select distinct held."{owner}" as old_key, brought."{owner}" as new_key
            from brought inner join {table.full_name} as held using ({key})
            where held."{owner}" <> brought."{owner}"
        """
        connection.execute(f"create temp table if not exists {_moved(table)} as {moved} limit 0")
        connection.execute(f"insert into {_moved(table)} {moved}")
    connection.unregister("brought")


def _unseen(table: Table) -> str:
    return f"({_key(table)}) not in (select ({_key(table)}) from {_seen(table)})"


def _forget_seen(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    connection.execute(f"drop table if exists {_seen(table)}; drop table if exists {_moved(table)}")


def things(raw: RawTables, table: Table, now: datetime) -> int:
    """Mark the rows that a complete read lacked; return how many."""
    unlisted = f"gone_at is null and {_unseen(table)}"
    marked = raw.update(table.full_name, {GONE_AT.name: "$now"}, unlisted, {"now": now})
    _forget_seen(raw.connection, table)
    return marked


def people(raw: RawTables, table: Table, tables: Sequence[Table], now: datetime) -> int:
    """Remove the people whom a complete read lacked, and their rows in the vendor's other `tables`.

    Rows that may be `given_on` wait for `follow`: they may belong to somebody else by now. Returns the number
    of people.
    """
    (key,) = table.key
    connection = raw.connection
    query = f'select "{key}" from {table.full_name} where {_unseen(table)}'
    keys = [found for (found,) in connection.execute(query).fetchall()]
    _forget_seen(connection, table)
    if not keys:
        return 0
    with raw.transaction():
        for other, trace in about_people(tables):
            name = other.full_name
            if not trace.key or other.schema != table.schema:
                continue
            if trace.given_on:
                connection.execute(
                    "insert into raw_ops.gone_people select unnest($1), $2, $3", [keys, name, now]
                )
            else:
                raw.delete(name, f"{trace.key} in (select unnest($keys))", {"keys": keys})
        remove_observations(connection, keys)
    return len(keys)


def follow(raw: RawTables, table: Table, owner: str) -> int:
    """Settle the rows of people who are gone, after a complete read of `table`; return how many changed.

    If one row of a person went to another person, all of them do. Otherwise, rows that the vendor no longer
    serves are removed with their person.
    """
    connection, seen, moved = raw.connection, _seen(table), _moved(table)
    if not _exists(connection, seen):
        return 0
    name = {"name": table.full_name}
    theirs = f'"{owner}" in (select person_key from raw_ops.gone_people where table_name = $name)'
    merged = f"(select old_key, max(new_key) as new_key from {moved} group by all) as merged"
    with raw.transaction():
        is_merged = f'held."{owner}" = merged.old_key and held.{theirs}'
        given = raw.update(table.full_name, {owner: "new_key"}, is_merged, name, merged)
        removed = raw.delete(table.full_name, f"{theirs} and {_unseen(table)}", name)
        connection.execute(
            f"""
            delete from raw_ops.gone_people where table_name = $name
            and person_key not in (select "{owner}" from {table.full_name} where "{owner}" is not null)
            """,
            name,
        )
    _forget_seen(connection, table)
    return given + removed


def _exists(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    query = "select 1 from duckdb_tables() where temporary and table_name = $1"
    return connection.execute(query, [name.removeprefix("temp.")]).fetchone() is not None
