"""Notes what could not be loaded in `raw_ops.set_aside`: the field and the reason, never the value."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ingest.model import Batch
from ingest.store.people import row_key
from ingest.typed import Aside
from privacy import pseudonyms

SET_ASIDE = "set_aside"
"""The column beside the rows of a load that no table has."""
GONE = "gone"
"""Why nothing was read of something that was listed."""


def with_aside(page: pa.Table) -> pa.Table:
    """Return a page with a further column: what was set aside of each row, as JSON of field to reason."""
    column, values = pa.nulls(page.num_rows, pa.string()), Aside.of(page).values
    if values:
        noted = [json.dumps(values[place]) if place in values else None for place in range(page.num_rows)]
        column = pa.array(noted, pa.string())
    return page.replace_schema_metadata(None).append_column(SET_ASIDE, column)


def note(connection: duckdb.DuckDBPyConnection, run_id: str, salt_path: Path, batch: Batch) -> None:
    """Note what was set aside in a batch, in place of earlier notes on the same rows."""
    job, table, rows = batch.job, batch.job.resource.table, batch.rows
    values = rows.filter(pc.is_valid(rows.column(SET_ASIDE)))
    gone = job.client.tally.gone if batch.is_last else []
    about = [*job.full_name]
    held = connection.execute(
        "select 1 from raw_ops.set_aside where (vendor, resource) = (?, ?) limit 1", about
    ).fetchall()
    if not (held or values.num_rows or batch.keyless or gone):
        return
    salt = pseudonyms.salt(salt_path, create=True)
    key = row_key(connection, table, salt)
    now: list[Any] = [run_id, datetime.now(UTC)]
    connection.register("noted", rows.select([*table.key, SET_ASIDE]))
    connection.execute(
        f"""
        delete from raw_ops.set_aside
        where (vendor, resource) = (?, ?) and row_key in (select {key} from noted)
        """,
        about,
    )
    connection.execute(
        f"""
        insert into raw_ops.set_aside
        select distinct on (row_key, field) $1, $2, field, set_aside ->> field, row_key, $3, $4
        from (select {key} as row_key, set_aside, unnest(json_keys(set_aside)) as field from noted)
        """,
        [*about, *now],
    )
    connection.unregister("noted")
    others = [(name, why, pseudonyms.of_address(salt, digest)) for digest, name, why in batch.keyless]
    others += [(kind, GONE, id_) for kind, id_ in gone]
    for name, why, row in dict.fromkeys(others):
        connection.execute(
            "delete from raw_ops.set_aside where (vendor, resource, field, row_key) = (?, ?, ?, ?)",
            [*about, name, row],
        )
        connection.execute(
            "insert into raw_ops.set_aside values (?, ?, ?, ?, ?, ?, ?)",
            [*about, name, why, row, *now],
        )
    if batch.is_last and job.start is None:  # all was read: notes that this run did not repeat are obsolete
        connection.execute(
            "delete from raw_ops.set_aside where (vendor, resource) = (?, ?) and run_id <> ?",
            [*about, run_id],
        )
    if batch.is_last:
        job.outcome.set_aside = _counted(connection, about, run_id)


def _counted(connection: duckdb.DuckDBPyConnection, about: list[str], run_id: str) -> list[dict[str, Any]]:
    """Return what this run set aside of a table, by field and reason, most frequent first."""
    found = connection.execute(
        """
        select field, reason, count(*) from raw_ops.set_aside
        where (vendor, resource, run_id) = (?, ?, ?) group by all order by 3 desc, 1, 2
        """,
        [*about, run_id],
    ).fetchall()
    return [{"field": field_, "reason": reason, "count": count} for field_, reason, count in found]
