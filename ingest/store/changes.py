"""Finds what a batch adds to the warehouse: rows that are new or differ, each key once."""

from datetime import datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from common import spans
from ingest.model import Changes, Job, Resource
from ingest.store.allowed import dropped_of
from ingest.typed import Table


@spans.spent_on("compare")
def changes(connection: duckdb.DuckDBPyConnection, job: Job, read: pa.Table) -> Changes:
    """Return the rows of `read` that are new or differ from the warehouse's, each key once.

    One join on the key costs about as much as the merge it saves, because most rows of an overlap already
    exist. It reads only the kept rows of the time that `read` spans, where that can be. Of two rows with one
    key, the one read last wins, unless a column says which is newer. A replaced table is rewritten as soon as
    a row is new, differs or is gone.
    """
    table, is_replaced = job.resource.table, job.resource.replaced
    key = ", ".join(f'"{name}"' for name in table.key)
    differs = " or ".join(
        f'once."{name}" is distinct from kept."{name}"' + ("::varchar" if kind == "json" else "")
        for name, kind in table.sql_columns.items()
        if name not in (*table.key, "_dlt_load_id")
    )
    within, span = _span(job.resource, read)
    read_as = pa.array(range(read.num_rows), pa.int64())
    connection.register("read", read.append_column("read_as", read_as))
    found: Any = connection.execute(
        f"""
        with once as ({_once(table, read, key)})
        select once.read_as, kept."{table.key[0]}" is null as is_new, not is_new and ({differs}) as is_changed
        from once left join (from {table.full_name} where {within}) as kept using ({key})
        where is_new or is_changed or {is_replaced}
        order by read_as
        """,
        span,
    )
    compared = found.to_arrow_table()
    gone = _gone(connection, table) if is_replaced else 0
    connection.unregister("read")
    found_as = compared.column("read_as").combine_chunks()
    # Filtering goes chunk by chunk; taking would copy all rows into one chunk first.
    rows = read if len(found_as) == read.num_rows else read.filter(pc.is_in(read_as, found_as))
    new = pc.sum(compared.column("is_new")).as_py() or 0
    changed = gone + (pc.sum(compared.column("is_changed")).as_py() or 0)
    late, latest_days = 0, 0.0
    if job.resource.overlap and isinstance(job.last, datetime):
        moments = rows.column(job.resource.cursor).filter(compared.column("is_new"))
        moments = moments.filter(pc.less(moments, job.last))
        late = len(moments)
        latest_days = (job.last - pc.min(moments).as_py()) / timedelta(days=1) if late else 0.0
    dropped = dropped_of(rows, compared.column("is_new"))
    rows = rows.select(table.arrow_schema.names).cast(table.arrow_schema)
    return Changes(rows if new or changed else None, read.num_rows, new, changed, late, latest_days, dropped)


def _once(table: Table, read: pa.Table, key: str) -> str:
    """Return SQL for the rows of `read`, each key once. Repeated keys are rare, and removing them is slow."""
    if read.select(list(table.key)).group_by(list(table.key)).aggregate([]).num_rows == read.num_rows:
        return "from read"
    newest = f'"{table.newest}" desc nulls last, ' if table.newest else ""
    return (
        f"from read where read_as in (select read_as from read "
        f"qualify row_number() over (partition by {key} order by {newest}read_as desc) = 1)"
    )


def _span(resource: Resource, read: pa.Table) -> tuple[str, list[Any]]:
    """Return SQL, with its values, for the kept rows that can have a key of `read`.

    If a row's time never changes, these are the rows of the time that was read, and those without a time.
    """
    cursor = resource.cursor
    if (
        not (resource.is_dated or cursor in resource.table.key)
        or not cursor
        or read.column(cursor).null_count
    ):
        return "true", []
    ends = pc.min_max(read.column(cursor)).as_py()
    return f'("{cursor}" between ? and ? or "{cursor}" is null)', [ends["min"], ends["max"]]


def _gone(connection: duckdb.DuckDBPyConnection, table: Table) -> int:
    """Count the rows of `table` that are not among the rows that were read."""
    keys = ", ".join(f'"{name}"' for name in table.key)
    found = connection.execute(
        f"select count(*) from {table.full_name} where ({keys}) not in (select ({keys}) from read)"
    ).fetchall()
    return int(found[0][0])
