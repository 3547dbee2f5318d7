"""Trends: the numbers of the first screen, and the sizes of segments, by week."""

from typing import Final

from report import drawing as draw
from report.figures import Drawing, Feeds, Row, Rows, Section, grouped
from report.words import amount, day, folded, listed, note, part_of, several

MOST_SEGMENTS = 6  # as many as fit in two rows of panels
SECTION: Final = Section("Trends")

# In the order of their panels; open and click rates are of four weeks.
MEASURES: Final = {
    "revenue": "Revenue",
    "orders": "Orders",
    "new_customers": "New customers",
    "new_viewers": "New viewers",
    "open_rate": "Open rate",
    "click_rate": "Click rate",
}


@SECTION.figure(
    "trends",
    "By week",
    "marts.rpt_trends",
    select="measure, currency, amount, lowest_amount, highest_amount, whole_count, period_count, is_rate,"
    " is_small_sample, is_latest, period_from, period_to",
    tail="where measure in ('revenue', 'orders', 'new_customers', 'new_viewers', 'open_rate', 'click_rate')"
    " order by measure, period_to",
    unlisted="lowest_amount highest_amount period_count is_latest",
    definition="The numbers of the tiles, at the end of each week. Rates are of the single sends of the four"
    " weeks before, so their windows overlap. Weeks before the first loaded day are left out.",
    is_wide=True,
)
def trends(rows: Rows, _: Feeds) -> Drawing:
    found = {measure: mine for (measure,), mine in grouped(rows, "measure").items()}
    shown = {measure: found[measure] for measure in MEASURES if measure in found}
    panels = []
    for measure, mine in shown.items():
        written = [row | {"day": row["period_to"], "tip": _point(measure, row)} for row in mine]
        title = f"{MEASURES[measure]}: {amount(mine[-1]['amount'], mine[-1])}"
        panels.append(draw.by_week(written, draw.OTHER if mine[-1]["is_rate"] else draw.MAIN, title))
    few = [MEASURES[measure] for measure, mine in shown.items() if mine[-1]["is_small_sample"]]
    latest = [mine[-1] for mine in shown.values() if mine[-1]["period_count"] != 1]
    return Drawing(
        _extremes(latest), draw.panels(panels), notes=note("Too few messages in the latest weeks:", few)
    )


def _point(measure: str, row: Row) -> str:
    period = f"{day(row['period_from'])} to {day(row['period_to'])}"
    return f"{MEASURES[measure]}, {period}: {amount(row['amount'], row)}"


def _extremes(latest: Rows) -> str:
    """Name the measures that have not been as high or as low in the weeks that are drawn."""
    ends = []
    for which in ("highest", "lowest"):
        names = [
            f"{MEASURES[row['measure']].lower()} ({amount(row['amount'], row)})"
            for row in latest
            if row["amount"] == row[f"{which}_amount"] and row["lowest_amount"] != row["highest_amount"]
        ]
        if names:
            ends.append(f"At the {which} of the weeks shown: {', '.join(names)}.")
    if not latest:
        return "One week is known so far; lines begin with the second."
    return " ".join(ends) or "No number is at its highest or lowest of the weeks shown."


@SECTION.figure(
    "segment-sizes",
    "Sizes of segments",
    "marts.fct_segment_sizes_weekly",
    select="segment_name, week_to, member_count, member_count_before, week_count, is_latest, weeks_ago,"
    " measured_on, segment_id",
    tail="order by is_latest desc, member_count desc, segment_id, week_to",
    unlisted="member_count_before week_count is_latest weeks_ago",
    definition="Members of the largest segments, by Klaviyo's own count at the end of each week. Klaviyo"
    " gives no past counts, so the lines begin with the first load.",
    is_wide=True,
)
def segment_sizes(rows: Rows, _: Feeds) -> Drawing:
    segments = grouped(rows, "segment_id")
    panels = []
    for mine in list(segments.values())[:MOST_SEGMENTS]:
        now = mine[0]
        written = [
            row
            | {
                "day": row["week_to"],
                "amount": row["member_count"],
                "is_small_sample": False,
                "tip": f"week to {day(row['week_to'])}: {several(row['member_count'], 'member')}",
            }
            for row in sorted(mine, key=lambda row: row["week_to"])
            if row["week_count"] != 1
        ]
        title = f"{folded(now['segment_name'] or '-', 26, 1)}: {now['member_count']:,}"
        if written:
            panels.append(draw.by_week(written, draw.MAIN, title))
    counted = [mine[0] for mine in segments.values() if mine[0]["member_count_before"] is not None]
    if not panels:
        return Drawing("Counts of one week are known so far; lines begin with the second week.")
    moved = [
        f"“{row['segment_name']}” from {row['member_count_before']:,} to {row['member_count']:,}"
        for row in counted
        if row["member_count"] != row["member_count_before"]
    ]
    sentence = f"In four weeks: {listed(moved)}." if moved else "No segment has changed in four weeks."
    if not counted:
        sentence = "Four weeks of counts are not known yet."
    return Drawing(
        sentence,
        draw.panels(panels),
        notes=part_of(panels, list(segments), "segment", ", the largest"),
    )
