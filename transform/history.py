"""Keeps what vendors cannot give again: who is in which segment or list, tiers, clusters and consent.

Models find what differs from the history in `raw_ops.observations`. Once their tests have passed, the
differences are added to it, so that it grows by what changes and not by the day. Columns of raw tables are
kept in the same way, before a build.
"""

from pathlib import Path
from typing import Final

from common import warehouse

CHANGED: Final = "intermediate.int_observations_changed"
COLUMNS: Final = "kind, subject_id, dimension_id, value, rule, happened_at, observed_at"

RAW_COLUMNS: Final = """
    with present as (
        select
            concat(table_schema, '.', table_name) as subject_id,
            column_name as dimension_id,
            data_type as value
        from information_schema.columns
        where table_catalog = current_database() and starts_with(table_schema, 'raw_')
            and table_schema <> 'raw_ops' and not ends_with(table_schema, '_staging')
            and not starts_with(table_name, '_dlt') and not starts_with(column_name, '_dlt')
    ),
    latest as (
        select subject_id, dimension_id, max_by(coalesce(value, ''), observed_at) as value
        from raw_ops.observations where kind = 'column' group by all
    )
    insert into raw_ops.observations (kind, subject_id, dimension_id, value, rule, observed_at, recorded_at)
    select 'column', subject_id, dimension_id, present.value, 'vendor', now(), now()
    from present full join latest using (subject_id, dimension_id)
    where coalesce(present.value, '') <> coalesce(latest.value, '')
"""


def keep_columns(path: Path) -> int:
    """Add the columns of raw tables that came, went or changed their type; return their number."""
    with warehouse.connect(path) as connection:
        ((added,),) = connection.execute(RAW_COLUMNS).fetchall()
    return int(added)


def keep(path: Path) -> int:
    """Add what the last build found changed; return the number of rows. Adding it twice adds nothing."""
    with warehouse.connect(path) as connection:
        ((added,),) = connection.execute(
            f"""
            insert into raw_ops.observations ({COLUMNS}, recorded_at)
            select {COLUMNS}, now() from (
                select {COLUMNS} from {CHANGED} except select {COLUMNS} from raw_ops.observations
            )
            """
        ).fetchall()
    return int(added)
