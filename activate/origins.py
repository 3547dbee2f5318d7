"""Where a record's facts come from, as the published copy tells it: marts, rows, windows, raw tables."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

from activate.plan import Record
from common import warehouse
from common.settings import Settings

RAW_BEHIND = """
    with recursive behind(relation) as (
        select ? union select parent from behind join lineage.reads using (relation)
    )
    select relation, row_count, loaded_at from behind join lineage.tables using (relation)
    where relation like 'raw_%' and relation not like 'raw_ops.%' order by relation
"""
ORIGINS = """
    select fact_name, model_name, column_name, counted_name, row_count, counted,
        interval_low, interval_high, measured_from, measured_to
    from activation.fct_record_facts where kind = ? and record_key = ?
"""


class Origin(NamedTuple):
    """The mart behind a fact: how many of its rows, what they count, the interval and the days."""

    fact: str
    model: str
    column: str
    counted_name: str
    row_count: int
    counted: int | None
    low: float | None
    high: float | None
    first_day: date | None
    last_day: date | None


class RawTable(NamedTuple):
    """A table of a vendor's rows; `loaded_at` is None where no load of it has ended well."""

    name: str
    row_count: int
    loaded_at: datetime | None


class Origins(NamedTuple):
    """All that stands behind a record. Both are empty in a copy that was published without."""

    facts: Sequence[Origin]
    raw: Sequence[RawTable]


def missing_metrics(settings: Settings) -> list[str]:
    """Return a line for each metric that the vendors lack by name; none where the copy does not tell."""
    with warehouse.read_copy(settings.published_path) as connection:
        told = connection.execute(
            "select 1 from information_schema.tables"
            " where (table_schema, table_name) = ('marts', 'dim_metric_roles')"
        ).fetchone()
        query = "select missing_message from marts.dim_metric_roles where is_missing order by metric_role"
        return [line for (line,) in connection.execute(query).fetchall()] if told else []


class Witnesses(NamedTuple):
    """How many numbers the vendors tell as well as we count them, and how many of them agree."""

    within: int = 0
    outside: int = 0
    not_compared: int = 0
    differences: Sequence[str] = ()

    def line(self) -> str:
        """Say it in one line; empty where nothing is compared."""
        if not self.within + self.outside:
            return ""
        numbers = "number agrees" if self.within == 1 else "numbers agree"
        agree = f"{self.within:,} {numbers} with the vendors' own"
        if not self.outside:
            return agree
        more = f"; and {len(self.differences) - 1:,} more" if len(self.differences) > 1 else ""
        verb = "does" if self.outside == 1 else "do"
        return f"{agree}, {self.outside:,} {verb} not: {self.differences[0]}{more}"


def witnesses(settings: Settings) -> Witnesses:
    """Return how our numbers agree with the vendors' own; nothing where the copy does not tell.

    Totals are not counted, and are first among the differences.
    """
    with warehouse.read_copy(settings.published_path) as connection:
        told = connection.execute(
            "select 1 from information_schema.tables"
            " where (table_schema, table_name) = ('marts', 'fct_reconciliation')"
        ).fetchone()
        if not told:
            return Witnesses()
        counts = connection.execute(
            "select verdict, count(*) from marts.fct_reconciliation where not is_total group by all"
        ).fetchall()
        differences = connection.execute(
            "select message from marts.fct_reconciliation where verdict = 'outside'"
            " order by is_total desc, abs(difference) / greatest(tolerance, 1) desc, message"
        ).fetchall()
    by_verdict = {str(verdict).replace(" ", "_"): int(count) for verdict, count in counts}
    return Witnesses(**by_verdict, differences=[line for (line,) in differences])


def of(settings: Settings, record: Record) -> Origins:
    """Return what stands behind a record's facts, in the order in which the record has them."""
    job_model = f"activation.{record.job}__{record.kind}".replace("-", "_")
    with warehouse.read_copy(settings.published_path) as connection:
        tables = {".".join(names) for names in connection.execute(
            "select table_schema, table_name from information_schema.tables"
        ).fetchall()}  # fmt: skip
        facts, raw = [], []
        if "activation.fct_record_facts" in tables:
            facts = connection.execute(ORIGINS, [record.kind, record.record_key]).fetchall()
        if "lineage.reads" in tables:
            raw = connection.execute(RAW_BEHIND, [job_model]).fetchall()
    told = {origin.fact: origin for origin in (Origin(*row) for row in facts)}
    return Origins([told[name] for name in record.facts if name in told], [RawTable(*row) for row in raw])
