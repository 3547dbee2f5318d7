"""Operations, for the people who run the warehouse: sources, comparisons, runs, records sent, credits."""

from typing import Final

import altair as alt

from report import drawing as draw
from report.figures import SEND, Drawing, Feeds, Key, Row, Rows, Section, grouped
from report.words import day, listed, moment, note, plain, several, told_apart

VERDICTS: Final = {
    "within": ("agrees", "agree"),
    "outside": ("differs", "differ"),
    "not_compared": ("not compared", "not compared"),
}
SECTION: Final = Section(
    "Operations",
    feeds=(
        "marts.rpt_data",
        "marts.rpt_reconciliation order by vendor, subject_kind, measure",
        "activation.rpt_records order by kind, standing",
    ),
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
        row
        | {
            "label": name,
            "color": draw.ALERT if row["is_late"] else draw.MAIN,
            "tip": f"{name}: {row['hours_old']:,.0f} hours, limit {row['limit_hours']:,}",
        }
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
    definition="The latest run of each step, and the one before it. A build is missing from its own report"
    " because it ends later.",
)
def runs(rows: Rows, feeds: Feeds) -> Drawing:
    (facts,) = feeds["rpt_data"]
    latest = several(facts["run_count"], "run")
    unwell = next((row for row in rows if row["outcome"] != "well"), None)
    problem = f"{unwell['step']}, {unwell['outcome']}, {day(unwell['started_at'])}" if unwell else ""
    return Drawing(
        f"{facts['well_run_count']:,} of the latest {latest} succeeded"
        f"{f'; last problem: {problem}' if problem else ''}.",
        items=[
            (
                f"{step}, {moment(last['started_at'])}",
                f"{_brought(last)}; {f'previous run: {_brought(before[0])}' if before else 'first run'}",
            )
            for (step,), (last, *before) in grouped(rows, "step").items()
        ],
    )


def _brought(run: Row) -> str:
    """Say what a run brought, or why it brought nothing."""
    counts = (("row_count", "new row"), ("credits", "credit"))
    parts = [several(run[name], one) for name, one in counts if run[name] is not None]
    if run["outcome"] != "well":
        parts.append(": ".join(filter(None, (run["outcome"], run["detail"]))))
    return ", ".join(parts) or run["detail"] or "succeeded"


STANDINGS: Final = ("sent", "waiting", "not sent", "unwanted", "failed", "unknown")


@SECTION.figure(
    "records",
    "Records sent",
    "activation.fct_record_states",
    select="kind, standing, record_key, job, credits, error, is_wanted, is_small_group, last_called_at",
    tail="order by case standing when 'unknown' then 1 when 'failed' then 2 when 'not sent' then 3"
    " when 'waiting' then 4 when 'unwanted' then 5 else 6 end, kind, record_key",
    definition="Records that the jobs want in Mavera, by state. “Not sent” means withheld or not yet"
    " activated; make plan says which.",
    fill="make transform",
)
def records(_: Rows, feeds: Feeds) -> Drawing:
    counted = feeds["rpt_records"]
    found = {row["standing"]: row["standing_count"] for row in counted}
    counts = {name: found[name] for name in STANDINGS if name in found}
    more = ", ".join(f"{count:,} {name}" for name, count in counts.items() if name != "sent")
    sent_count = counts.get("sent", 0)
    sent = f"{sent_count:,} of {several(counted[0]['all_wanted_count'], 'wanted record')}"
    sentence = f"{sent} {'is' if sent_count == 1 else 'are'} in Mavera{f'; {more}' if more else ''}."
    items = []
    for (kind,), mine in grouped(counted, "kind").items():
        states = {row["standing"]: row["record_count"] for row in mine}
        words = (f"{states[name]:,} {name}" for name in STANDINGS if name in states)
        items.append((plain(kind), ", ".join(words)))
    small = counted[0]["all_small_group_count"]
    notes = [f"About too few people to be sent: {several(small, 'record')}."] if small else []
    return Drawing(sentence, items=items, notes=notes)


@SECTION.figure(
    "credits",
    "Credits of the month",
    "marts.rpt_credits",
    select="month_from, called_on, next_called_on, kind, credits, month_credits, month_total_credits,"
    " getvariable('credit_budget') as credit_budget, is_last_day",
    tail="order by called_on desc, month_credits desc, kind",
    unlisted="is_last_day",
    definition="Cost of the requests of a calendar month, which never exceeds CREDIT_BUDGET.",
    fill=SEND,
)
def month_of_credits(rows: Rows, _: Feeds) -> Drawing:
    last, budget = rows[0], rows[0]["credit_budget"]
    spent, month = last["month_total_credits"], f"{last['month_from']:%B %Y}"
    sentence = f"{spent:,} credits were spent in {month}; CREDIT_BUDGET is 0, so nothing more will be spent."
    if budget:
        sentence = f"{spent:,} of {budget:,} budgeted credits were spent in {month}."
    kinds = [row for row in rows if row["is_last_day"]]
    return Drawing(
        sentence, items=[(plain(row["kind"]), several(row["month_credits"], "credit")) for row in kinds]
    )
