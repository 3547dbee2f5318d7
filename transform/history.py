"""Keeps what vendors cannot give again: who is in which segment or list, tiers, clusters and consent.

Models find what differs from the history in `raw_ops.observations`. Once their tests have passed, the
differences are added to it, so that it grows by what changes and not by the day.
"""

from pathlib import Path

from common import warehouse

CHANGED = "intermediate.int_observations_changed"
COLUMNS = "kind, subject_id, dimension_id, value, rule, happened_at, observed_at"


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
