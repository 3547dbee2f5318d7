"""Finds what a batch adds to the warehouse: rows that are new or differ, each key once."""

from datetime import datetime, timedelta

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from common import spans
from ingest.model import Changes, Job
from ingest.typed import Table


@spans.spent_on("compare")
def changes(connection: duckdb.DuckDBPyConnection, job: Job, read: pa.Table) -> Changes:
    """Return the rows of `read` that are new or differ from the warehouse's, each key once.

    One join on the key costs about as much as the merge it saves, because most rows of an overlap already
    exist. Of two rows with one key, the one read last wins, unless a column says which is newer. A replaced
    table is rewritten as soon as a row is new, differs or is gone.
    """
    table, is_replaced = job.resource.table, job.resource.replaced
    names = [name for name in table.sql_columns if name != "_dlt_load_id"]
    key = ", ".join(f'"{name}"' for name in table.key)
    newest = f'"{table.newest}" desc nulls last, ' if table.newest else ""
    differs = " or ".join(
        f'once."{name}" is distinct from kept."{name}"'
        + ("::varchar" if table.sql_columns[name] == "json" else "")
        for name in names
        if name not in table.key
    )
    connection.register("read", read.append_column("read_as", pa.array(range(read.num_rows), pa.int64())))
    compared = connection.sql(
        f"""
        with once as (
            select * from read
            qualify row_number() over (partition by {key} order by {newest}read_as desc) = 1
        )
        select once.*, kept."{table.key[0]}" is null as is_new, not is_new and ({differs}) as is_changed
        from once left join {table.full_name} as kept using ({key})
        where is_new or is_changed or {is_replaced}
        order by read_as
        """
    ).to_arrow_table()
    gone = _gone(connection, table) if is_replaced else 0
    connection.unregister("read")
    new = compared.filter(compared.column("is_new"))
    changed = gone + (pc.sum(compared.column("is_changed")).as_py() or 0)
    late, latest_days = 0, 0.0
    if job.resource.overlap and isinstance(job.last, datetime):
        moments = new.column(job.resource.cursor)
        moments = moments.filter(pc.less(moments, job.last))
        late = len(moments)
        latest_days = (job.last - pc.min(moments).as_py()) / timedelta(days=1) if late else 0.0
    rows = compared.select(table.arrow_schema.names).cast(table.arrow_schema)
    return Changes(
        rows if new.num_rows or changed else None, read.num_rows, new.num_rows, changed, late, latest_days
    )


def _gone(connection: duckdb.DuckDBPyConnection, table: Table) -> int:
    """Count the rows of `table` that are not among the rows that were read."""
    keys = ", ".join(f'"{name}"' for name in table.key)
    found = connection.execute(
        f"select count(*) from {table.full_name} where ({keys}) not in (select ({keys}) from read)"
    ).fetchall()
    return int(found[0][0])


def new_rows(connection: duckdb.DuckDBPyConnection, table: Table, read: pa.Table) -> list[int]:
    """Return the rows that were read and are not in the warehouse."""
    keys = read.select(list(table.key))
    keys = keys.append_column("read_as", pa.array(range(read.num_rows), pa.int64()))
    connection.register("read", keys)
    same = ", ".join(f'"{name}"' for name in table.key)
    query = f"select read_as from read anti join {table.full_name} using ({same})"
    found = [place for (place,) in connection.execute(query).fetchall()]
    connection.unregister("read")
    return found
