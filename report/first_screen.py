"""The first screen of the report: key numbers with their trend and their change."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from report import drawing
from report.words import amount, day

TILES: Final = {
    "delivered": "Delivered",
    "open_rate": "Open rate",
    "click_rate": "Click rate",
    "orders": "Orders",
    "revenue": "Revenue",
    "new_viewers": "New viewers",
    "new_customers": "New customers",
    "credits": "Mavera credits",
}
"""The tiles in order, each with its title."""


SIGNS: Final = {"more": "▲", "less": "▼"}


def tiles(
    headlines: Iterable[Mapping[str, Any]], trends: Sequence[Mapping[str, Any]], budget: int
) -> list[dict[str, str]]:
    """Return the numbers of the first screen in words, each beside its value before and with its trend."""
    found = {row["measure"]: row for row in headlines}
    return [
        {
            "name": title,
            "value": amount(row["amount"], row),
            "trend": _trend(title, [one for one in trends if one["measure"] == measure]),
            **_beside(row, budget, _ago(row["window_days"])),
        }
        for measure, title in TILES.items()
        if (row := found.get(measure)) and row["amount"] is not None
    ]


def changes(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return what changed in the last four weeks in words, significant changes first."""
    found = {row["measure"]: row for row in rows if row["amount"] is not None}
    said = [
        {
            "name": title,
            "value": amount(found[measure]["amount"], found[measure]),
            "sure": "yes" if found[measure]["is_surely_different"] else "",
            **_beside(found[measure], 0, "before"),
        }
        for measure, title in TILES.items()
        if measure in found
    ]
    return sorted(said, key=lambda change: not change["sure"])


def _trend(title: str, periods: Sequence[Mapping[str, Any]]) -> str:
    """Return a small line of the periods, or nothing if there is only one."""
    if not periods[1:]:
        return ""
    first, *_, last = periods
    drawn = [
        {
            "day": row["period_to"],
            "amount": row["amount"],
            "tip": f"{day(row['period_from'])} to {day(row['period_to'])}: {amount(row['amount'], row)}",
        }
        for row in periods
    ]
    said = (
        f"{amount(first['amount'], first)} to {day(first['period_to'])}, {amount(last['amount'], last)} now"
    )
    return drawing.svg(drawing.sparkline(drawn), f"trend-{first['measure']}", f"{title}: {said}")


def _beside(row: Mapping[str, Any], budget: int, ago: str) -> dict[str, str]:
    if row["measure"] == "credits":
        before = amount(row["amount_before"] or 0, row)
        spent = f"of {budget:,}; {before} the month before"
        return {"window": f"{row['measured_to']:%B}", "change": spent, "sign": ""}
    change = _counted(row, ago) if row["is_surely_different"] is None else _tested(row, ago)
    return {"window": f"{row['window_days']} days to {day(row['measured_to'])}", **change}


def _ago(days: int | None) -> str:
    return "the week before" if days == 7 else f"in the {days} days before"


def _tested(row: Mapping[str, Any], ago: str) -> dict[str, str]:
    """Describe a change that was tested for significance."""
    if row["is_rate"] and row["amount_before"] is None:
        return {"change": f"nothing to compare with {ago}", "sign": ""}
    verdict, sign = "no significant change", ""
    if row["is_small_sample"]:
        verdict = "too few to compare"
    elif row["is_surely_different"]:
        verdict, sign = f"significantly {row['direction']}", SIGNS[row["direction"]]
    before = amount(row["amount_before"] or 0, row)
    return {"change": f"{verdict}; {before} {ago}", "sign": sign}


def _counted(row: Mapping[str, Any], ago: str) -> dict[str, str]:
    """Describe a change that is not tested, because the numbers come in batches."""
    before = amount(row["amount_before"] or 0, row)
    change = "" if row["change_share"] is None else f"{row['change_share']:.0%}".lstrip("-")
    # A few orders move the revenue; the tile of orders beside it says whether there are significantly more.
    if change in ("", "0%") or row["measure"] == "revenue":
        others = f"; plus {row['other_currency_revenue']}" if row.get("other_currency_revenue") else ""
        return {"change": f"{_net(row)}{before} {ago}{others}", "sign": ""}
    return {"change": f"{change} from {before} {ago}", "sign": SIGNS[row["direction"]]}


def _net(row: Mapping[str, Any]) -> str:
    """Return the revenue after cancellations and refunds in words, or nothing without any."""
    if row.get("net_amount") in (None, row["amount"]):
        return ""
    return f"{amount(row['net_amount'], row)} after cancellations and refunds; "
