"""The origin of a record's facts in the published copy: marts, rows, windows and raw tables."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import duckdb

from activate.kinds import KINDS
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
    """The mart behind a fact: its number of rows, what they count, the interval and the days."""

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
    """A raw table of a vendor; `loaded_at` is None if it was never loaded successfully."""

    name: str
    row_count: int
    loaded_at: datetime | None


class Origins(NamedTuple):
    """The sources of a record. Both are empty if the copy was published without them."""

    facts: Sequence[Origin]
    raw: Sequence[RawTable]


def missing_metrics(settings: Settings) -> list[str]:
    """Return a line for each metric that the vendors lack by name; empty if the copy has no such table."""
    query = "select missing_message from marts.dim_metric_roles where is_missing order by metric_role"
    return [row["missing_message"] for row in rows(settings, query)]


def findings(settings: Settings) -> dict[str, str]:
    """Return what each job's marts found, in a sentence."""
    found = rows(settings, "select job, finding from marts.rpt_job_findings where finding is not null")
    return {row["job"]: row["finding"] for row in found}


class Witnesses(NamedTuple):
    """The numbers that both the vendors and we report, and how many of them agree."""

    within: int = 0
    outside: int = 0
    not_compared: int = 0
    differences: Sequence[str] = ()

    def line(self) -> str:
        """Return the comparison as one line; empty if nothing is compared."""
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
    """Compare our numbers with the vendors' own; empty if the copy has no comparison.

    Totals are not counted, but come first among the differences.
    """
    counts = rows(
        settings,
        "select verdict, count(*) as numbers from marts.fct_reconciliation where not is_total group by all",
    )
    differences = rows(
        settings,
        "select message from marts.fct_reconciliation where verdict = 'outside'"
        " order by is_total desc, abs(difference) / greatest(tolerance, 1) desc, message",
    )
    by_verdict = {row["verdict"].replace(" ", "_"): row["numbers"] for row in counts}
    return Witnesses(**by_verdict, differences=[row["message"] for row in differences])


def of(settings: Settings, record: Record) -> Origins:
    """Return the sources of a record's facts, in the order of the facts."""
    kind = KINDS[record.kind].declared_as or record.kind
    job_model = f"activation.{record.job}__{kind}".replace("-", "_")
    facts = rows(settings, ORIGINS, kind, record.record_key)
    found = {row["fact_name"]: Origin(*row.values()) for row in facts}
    raw = (RawTable(*row.values()) for row in rows(settings, RAW_BEHIND, job_model))
    return Origins([found[name] for name in record.facts if name in found], list(raw))


def rows(settings: Settings, query: str, *parameters: object) -> list[dict[str, Any]]:
    """Return rows of the published copy; none if an earlier version published it without the table."""
    with warehouse.read_copy(settings.published_path) as connection:
        try:
            found = connection.execute(query, parameters)
        except duckdb.CatalogException:
            return []
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
