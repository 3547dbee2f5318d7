"""Data: freshness, unreadable values, comparison with the vendors' own numbers, runs."""

from typing import Final

import altair as alt

from report import drawing as draw
from report.figures import Drawing, Feeds, Key, Row, Rows, Section, grouped
from report.words import day, listed, note, part_of, plain, several, told_apart

MOST_RUNS = 20
VERDICTS: Final = {
    "within": ("agrees", "agree"),
    "outside": ("differs", "differ"),
    "not_compared": ("not compared", "not compared"),
}
SECTION: Final = Section(
    "Data", feeds=("marts.rpt_data", "marts.rpt_reconciliation order by vendor, subject_kind, measure")
)


@SECTION.figure(
    "freshness",
    "Data freshness",
    "marts.fct_source_freshness",
    select="vendor, resource, hours_old, limit_hours, is_late, newest_row_at, last_loaded_at,"
    " last_outcome, new_row_count, changed_row_count, late_row_count, world, measured_at",
    tail="order by hours_old desc nulls last, vendor, resource",
    definition="Hours between the newest row and the last load of any source; the tick is the limit. Daily"
    " statistics are dated midnight.",
)
def freshness(rows: Rows, _: Feeds) -> Drawing:
    aged = [row for row in rows if row["hours_old"] is not None]
    names = told_apart([_source(row) for row in aged])
    late = [_source(row) for row in rows if row["is_late"]]
    if late:
        sentence = f"Late: {listed(late)}."
    elif aged:
        oldest = f"{names[0]}, whose newest row is {aged[0]['hours_old']:,.0f} hours old"
        sentence = f"Every source is within its limit; the oldest is {oldest}."
    else:
        sentence = "No source has delivered a row yet."
    drawn = [
        row | {"label": name, "color": draw.ALERT if row["is_late"] else draw.MAIN}
        for row, name in zip(aged, names, strict=True)
    ]
    base = draw.chart(drawn).encode(y=draw.names("label", names))
    axis = alt.Axis(title="hours", tickCount=5, format=",.0f")
    bars = base.mark_bar(height=12).encode(x=alt.X("hours_old:Q", axis=axis), color=draw.color("color"))
    ticks = base.mark_tick(color=draw.INK, thickness=2, height=20).encode(x=alt.X("limit_hours:Q", axis=axis))
    keys = [
        Key("square", draw.MAIN, "within the limit"),
        Key("square", draw.ALERT, "late"),
        Key("tick", draw.INK, "limit"),
    ]
    silent = (_source(row) for row in rows if row["hours_old"] is None)
    behind = (f"{_source(row)} {row['late_row_count']:,}" for row in rows if row["late_row_count"])
    return Drawing(
        sentence,
        draw.fitted(alt.layer(bars, ticks), draw.height(names, 24)) if drawn else None,
        keys if drawn else [],
        [
            *note("No rows yet:", silent),
            *note("Rows that arrived after newer ones and were loaded:", behind),
        ],
    )


def _source(row: Row) -> str:
    return f"{row['vendor']} {plain(row['resource'])}"


@SECTION.figure(
    "set-aside",
    "Unreadable values",
    "marts.fct_quarantined_rows",
    select="vendor, table_name, field, reason, row_count, total_count",
    tail="order by row_count desc, vendor, table_name, field, reason",
    definition="Impossible values, such as NaN or the year 9999, become null. Rows without a readable key"
    " are left out. Both are counted by table, field and reason.",
)
def set_aside(rows: Rows, feeds: Feeds) -> Drawing:
    (facts,) = feeds["rpt_data"]
    sentence = "Everything that the vendors sent could be read."
    if facts["unread_table_count"]:
        unread = several(facts["unread_count"], "value or row", "values and rows")
        tables = several(facts["unread_table_count"], "table")
        sentence = f"{unread} in {tables} could not be read and are not counted anywhere."
    tables_found = grouped([row for row in rows if row["row_count"]], "vendor", "table_name")
    items = [
        (
            f"{vendor} {plain(table)}",
            ", ".join(f"{row['reason']} {row['row_count']:,}" for row in reasons),
        )
        for (vendor, table), reasons in tables_found.items()
    ]
    return Drawing(sentence, items=items)


@SECTION.figure(
    "reconciliation",
    "Comparison with the vendors' own numbers",
    "marts.fct_reconciliation",
    select="vendor, subject_kind, subject_name, measure, period, currency, verdict, ours, theirs, difference,"
    " tolerance, tolerance_reason, not_compared_reason, message, is_total, measured_on, subject_id",
    tail="order by verdict = 'outside' desc, is_total desc, verdict = 'within' desc,"
    " vendor, subject_kind, measure, subject_id, period",
    definition="Numbers that a vendor reports as well, counted by the vendor's own definition: opens and"
    " clicks by machines are included, and currencies are added up without conversion.",
)
def reconciliation(rows: Rows, feeds: Feeds) -> Drawing:
    items = [
        (
            f"{row['vendor']} {plain(row['subject_kind'])}, {plain(row['measure'])}",
            ", ".join(
                several(row[f"{verdict}_count"], *words)
                for verdict, words in VERDICTS.items()
                if row[f"{verdict}_count"]
            ),
        )
        for row in feeds["rpt_reconciliation"]
    ]
    why = sorted({
        row["not_compared_reason"] for row in rows if row["not_compared_reason"] and not row["is_total"]
    })  # fmt: skip
    notes = [f"Not compared: {'; '.join(why)}."] if why else []
    return Drawing(_agreement(rows, feeds["rpt_data"][0]), notes=notes, items=sorted(items))


def _agreement(rows: Rows, facts: Row) -> str:
    agree, differ = facts["within_count"], facts["outside_count"]
    first = next((row for row in rows if row["verdict"] == "outside"), None)
    if first:
        return (
            f"{several(agree, 'number agrees', 'numbers agree')} with the vendors' own,"
            f" {differ:,} {'does' if differ == 1 else 'do'} not: {first['message']}."
        )
    if agree:
        return f"All {several(agree, 'number')} that the vendors report as well agree with theirs."
    return "No number has been compared with a vendor's own yet."


@SECTION.figure(
    "runs",
    "Runs",
    "marts.rpt_runs",
    select="step, outcome, started_at, duration_seconds, row_count, request_count, wait_count,"
    " credits, scope, detail, run_id",
    tail="order by started_at desc, run_id",
    definition="The latest runs and how long they took. A build is missing from its own report because it"
    " ends later.",
)
def runs(rows: Rows, feeds: Feeds) -> Drawing:
    (facts,) = feeds["rpt_data"]
    unwell = next((row for row in rows if row["outcome"] != "well"), None)
    last = (
        f"; last problem: {unwell['step']}, {unwell['outcome']}, {day(unwell['started_at'])}"
        if unwell
        else ""
    )
    latest = several(facts["run_count"], "run")
    shown = [row for row in rows if row["duration_seconds"] is not None][:MOST_RUNS]
    labels = told_apart(
        [f"{row['step']}, {day(row['started_at'])} {row['started_at']:%H:%M:%S}" for row in shown]
    )
    drawn = [
        row | {"label": label, "color": draw.MAIN if row["outcome"] == "well" else draw.ALERT}
        for row, label in zip(shown, labels, strict=True)
    ]
    base = draw.chart(drawn).encode(
        y=draw.names("label", labels), x=draw.counts("duration_seconds", "seconds", shown)
    )
    bars = base.mark_bar(height=12).encode(color=draw.color("color"))
    chart = draw.bars_with_numbers(base, bars, "duration_seconds")
    keys = [Key("square", draw.MAIN, "succeeded"), Key("square", draw.ALERT, "did not succeed")]
    return Drawing(
        f"{facts['well_run_count']:,} of the latest {latest} succeeded{last}.",
        draw.fitted(chart, draw.height(labels, 20)) if shown else None,
        keys if shown else [],
        part_of(shown, rows, "run"),
    )
