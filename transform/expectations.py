"""Fits the two models of `lifetimes` to the buyers' histories, and stores what they expect for dbt to read.

`marts.fct_purchase_histories` says what is fitted: its purpose (a forecast, or a check on days that are
over), the days to expect orders in, and how many buyers must have bought again. What is stored is keyed by
history, not by person. If the histories of a purpose are those of its last fit, nothing is written.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import duckdb
import pyarrow as pa

from common import warehouse
from common.progress import step

if TYPE_CHECKING:
    from transform import lifetimes

FITS: Final = "raw_ops.lifetime_fits"
EXPECTATIONS: Final = "raw_ops.lifetime_expectations"
TABLES: Final = f"""
    create schema if not exists raw_ops;
    create table if not exists {FITS} (
        purpose text, mark text, fitted_to text, reason text, horizon_days bigint, buyer_count bigint,
        repeat_buyer_count bigint, r double, alpha double, a double, b double, p double, q double,
        gamma double
    );
    create table if not exists {EXPECTATIONS} (
        purpose text, frequency bigint, recency_days bigint, age_days bigint, expected_order_count double,
        alive_probability double
    )
"""
HISTORIES: Final = "marts.fct_purchase_histories"
DAYS_A_WEEK: Final = 7.0
"""The models count in weeks, as their authors do."""
VERSION: Final = 1
"""A greater number fits everything anew."""

MARKS: Final = f"""
    select
        purpose, min(horizon_days), min(repeat_buyers_from), cast(min(fitted_to) as text), count(*),
        count(*) filter (where frequency > 0),
        concat_ws(' ', {VERSION}, min(horizon_days), min(repeat_buyers_from), count(*), sum(hash(
            frequency, recency_days, age_days, mean_repeat_value
        )))
    from {HISTORIES} group by purpose order by purpose
"""


class Task(NamedTuple):
    """What is to be fitted; `mark` differs if the result could."""

    purpose: str
    horizon_days: int
    repeat_buyers_from: int
    fitted_to: str
    buyer_count: int
    repeat_buyer_count: int
    mark: str


class Fitted(NamedTuple):
    """What the fits of a purpose found; `reason` says why something is missing."""

    purchases: "lifetimes.Purchases | None"
    values: "lifetimes.Values | None"
    reason: str | None


def create(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the tables, empty, so that models can be built before anything was fitted."""
    connection.execute(TABLES)


def renew(path: Path) -> tuple[bool, list[str]]:
    """Fit again what has changed. Return whether anything was written, and a line for each missing fit."""
    with warehouse.connect(path) as connection:
        create(connection)
        if HISTORIES not in warehouse.relations(connection):
            return False, []
        tasks = [Task(*row) for row in connection.execute(MARKS).fetchall()]
        stored = dict(connection.execute(f"select purpose, mark from {FITS}").fetchall())
        stale = [task for task in tasks if stored.get(task.purpose) != task.mark]
        gone = stored.keys() - {task.purpose for task in tasks}
        if stale:
            with step("transform", "expected orders", len(stale)) as shown:
                for task in stale:
                    shown.begin(task.purpose)
                    _replace(connection, task)
                    shown.end(task.purpose)
        for purpose in gone:
            _remove(connection, purpose)
        rows = connection.execute(
            f"select purpose, reason from {FITS} where reason is not null order by purpose"
        ).fetchall()
    return bool(stale or gone), [f"expected orders ({purpose}): {reason}" for purpose, reason in rows]


def _remove(connection: duckdb.DuckDBPyConnection, purpose: str) -> None:
    for table in (FITS, EXPECTATIONS):
        connection.execute(f"delete from {table} where purpose = ?", [purpose])


def _replace(connection: duckdb.DuckDBPyConnection, task: Task) -> None:
    """Fit one purpose and let its rows be those of this fit, in one transaction."""
    found, expected = _fit(connection, task)
    connection.begin()
    _remove(connection, task.purpose)
    row: list[Any] = [
        task.purpose, task.mark, task.fitted_to, found.reason, task.horizon_days, task.buyer_count,
        task.repeat_buyer_count, *(found.purchases or [None] * 4), *(found.values or [None] * 3),
    ]  # fmt: skip
    connection.execute(f"insert into {FITS} values ({', '.join('?' * len(row))})", row)
    if expected is not None:
        connection.register("expected_now", expected)
        connection.execute(f"insert into {EXPECTATIONS} select ?, * from expected_now", [task.purpose])
        connection.unregister("expected_now")
    connection.commit()


def _fit(connection: duckdb.DuckDBPyConnection, task: Task) -> tuple[Fitted, pa.Table | None]:
    """Return what was fitted, and what is expected of each history; no table without a fit of purchases."""
    if task.repeat_buyer_count < task.repeat_buyers_from:
        few = f"{task.repeat_buyer_count:,} buyers bought again, and a fit needs {task.repeat_buyers_from:,}"
        return Fitted(None, None, few), None
    import numpy as np  # a second, saved by a run with nothing to fit

    from transform import lifetimes

    columns = _columns(connection, task.purpose, "frequency, recency_days, age_days, mean_repeat_value")
    frequency, recency, age, value = columns
    try:
        purchases = lifetimes.fit_purchases(frequency, recency / DAYS_A_WEEK, age / DAYS_A_WEEK)
    except lifetimes.NotFitted as error:
        return Fitted(None, None, f"not fitted, because {error}"), None
    values, reason = None, None
    try:
        values = lifetimes.fit_values(frequency, np.nan_to_num(value))
    except lifetimes.NotFitted as error:
        reason = f"orders are expected, but not their value, because {error}"
    histories = "distinct frequency, recency_days, age_days"
    frequency, recency, age = _columns(connection, task.purpose, histories)
    weeks = recency / DAYS_A_WEEK, age / DAYS_A_WEEK
    span = np.full(len(frequency), task.horizon_days / DAYS_A_WEEK)
    expected = purchases.expected(span, frequency, *weeks)
    if not np.all(np.isfinite(expected)):
        return Fitted(None, None, "not fitted, because a history has no expectation under the fit"), None
    table = pa.table({
        "frequency": frequency.astype("int64"),
        "recency_days": recency.astype("int64"),
        "age_days": age.astype("int64"),
        "expected_order_count": expected,
        "alive_probability": purchases.alive(frequency, *weeks),
    })  # fmt: skip
    return Fitted(purchases, values, reason), table


def _columns(connection: duckdb.DuckDBPyConnection, purpose: str, chosen: str) -> "list[lifetimes.Numbers]":
    """Return columns of the histories of a purpose; a missing number is NaN."""
    query = f"select {chosen} from {HISTORIES} where purpose = ? order by all"
    rows: Any = connection.sql(query, params=[purpose]).to_arrow_table()
    return [column.to_numpy().astype("float64") for column in rows.columns]
