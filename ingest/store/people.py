"""Rows about people: their owners, and how all rows of one person are found and removed."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import duckdb

from ingest.store.raw import RawTables
from ingest.typed import Table
from privacy.traces import Trace, mentions, names_phone, normal, same_address, written

OBSERVATIONS: Final = "raw_ops.observations"


def about_people(tables: Sequence[Table]) -> Iterator[tuple[Table, Trace]]:
    """Return the tables whose rows are about people, each with its trace."""
    yield from ((table, table.people) for table in tables if table.people)


def row_key(connection: duckdb.DuckDBPyConnection, table: Table, salt: bytes) -> str:
    """Return SQL for a row's key as stored in `raw_ops.set_aside`: a salted hash in tables about people.

    The salt is bound to the connection, so that no error can quote it.
    """
    connection.execute("set variable row_salt = ?", [salt.hex()])
    names = ", ".join(f'"{name}"::varchar' for name in table.key)
    joined = f"concat_ws(' ', {names})"
    return f"sha256(concat(getvariable('row_salt'), {joined}))" if table.people else joined


class Person(NamedTuple):
    """How the warehouse knows a person: an address, phone numbers, and vendors' keys, browsers included."""

    address: str
    phones: Sequence[str] = ()
    keys: Sequence[str] = ()


def find(connection: duckdb.DuckDBPyConnection, tables: Sequence[Table], address: str) -> Person:
    """Return the person with this address.

    A profile with one of the person's phone numbers and no address also belongs to the person.
    """
    phones: dict[str, None] = {}
    for table, trace in about_people(tables):
        owned = " or ".join(f"{same_address(each)} = $1" for each in trace.addresses)
        for phone in trace.phones:
            query = f"select {phone} from {table.full_name} where ({owned}) and trim({phone}) <> ''"
            found = connection.execute(query, [normal(address)]).fetchall()
            phones |= dict.fromkeys(each for (each,) in found)
    keys: list[str] = []
    for table, trace in about_people(tables):
        if trace.is_owner:
            owners = [f"{same_address(each)} = $address" for each in trace.addresses]
            owners += [f"{trace.nobodys} and {each} in (select unnest($phones))" for each in trace.phones]
            parameters: dict[str, Any] = {"address": normal(address)}
            if trace.phones:
                parameters["phones"] = list(phones)
            query = f"select {trace.key} from {table.full_name} where {' or '.join(owners)}"
            keys += [key for (key,) in connection.execute(query, parameters).fetchall()]
    return Person(address, list(phones), keys)


def remove(raw: RawTables, tables: Sequence[Table], person: Person) -> dict[str, int]:
    """Delete every row that is a person's; return how many there were per raw table."""
    removed = {
        table.full_name: raw.delete(table.full_name, *_owned(trace, person))
        for table, trace in about_people(tables)
    }
    return removed | {OBSERVATIONS: remove_observations(raw.connection, person.keys)}


def remove_observations(connection: duckdb.DuckDBPyConnection, keys: Sequence[str]) -> int:
    """Delete the history of the people with these vendors' keys; return the number of rows."""
    is_there = "select 1 from duckdb_tables() where concat_ws('.', schema_name, table_name) = $1"
    if not connection.execute(is_there, [OBSERVATIONS]).fetchone():  # as before 0.2.0
        return 0
    query = f"delete from {OBSERVATIONS} where subject_id in (select unnest($1))"
    return int(connection.execute(query, [list(keys)]).fetchall()[0][0])


def remove_set_aside(
    connection: duckdb.DuckDBPyConnection, tables: Sequence[Table], person: Person, salt: bytes
) -> None:
    """Delete the notes on set-aside values of the rows that `remove` deletes."""
    for table, trace in about_people(tables):
        where, parameters = _owned(trace, person)
        connection.execute(
            f"""
            delete from raw_ops.set_aside
            where vendor = '{table.vendor}' and resource = '{table.name}' and row_key in (
                select {row_key(connection, table, salt)} from {table.full_name} as entry where {where}
            )
            """,
            parameters,
        )


def _owned(trace: Trace, person: Person) -> tuple[str, dict[str, Any]]:
    """Return SQL that says whether a row, as `entry`, belongs to the person, and its parameters."""
    owned = [f"{same_address(each)} = $address" for each in trace.addresses]
    owned += [mentions("entry")]
    owned += [f"{trace.key} in (select unnest($keys))"] if trace.key else []
    owned += [names_phone("entry", trace, f"$phone_{n}") for n in range(len(person.phones))]
    parameters: dict[str, Any] = {"keys": person.keys} if trace.key else {}
    parameters |= {f"phone_{n}": written(phone) for n, phone in enumerate(person.phones)}
    return " or ".join(owned), parameters | {"address": normal(person.address)}
