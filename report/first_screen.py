"""The first screen of the report: key numbers with their change."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from report.words import day

# The tiles in order, each with its title and the format of its number.
TILES: Final = {
    "delivered": ("Delivered", "{:,.0f}"),
    "open_rate": ("Open rate", "{:.1%}"),
    "click_rate": ("Click rate", "{:.1%}"),
    "orders": ("Orders", "{:,.0f}"),
    "revenue": ("Revenue", "{:,.0f}"),
    "new_viewers": ("New viewers", "{:,.0f}"),
    "new_customers": ("New customers", "{:,.0f}"),
    "credits": ("Mavera credits", "{:,.0f}"),
}


SIGNS: Final = {"more": "▲", "less": "▼"}


def tiles(headlines: Sequence[Mapping[str, Any]], budget: int) -> list[dict[str, str]]:
    """Return the numbers of the first screen in words, each beside its value before."""
    found = {row["measure"]: row for row in headlines}
    return [
        {"name": title, "value": shape.format(row["amount"]), **_beside(row, shape, budget)}
        for measure, (title, plain) in TILES.items()
        if (row := found.get(measure)) and row["amount"] is not None
        for shape in [_in_currency(plain, row["currency"])]
    ]


def _in_currency(shape: str, currency: str | None) -> str:
    """Return the format of a number in a currency; without one if it is unknown or the number is no money."""
    if currency == "USD":
        return f"${shape}"
    return shape if currency in (None, "unknown") else f"{shape}\u00a0{currency}"


def _beside(row: Mapping[str, Any], shape: str, budget: int) -> dict[str, str]:
    if row["measure"] == "credits":
        before = shape.format(row["amount_before"] or 0)
        spent = f"of {budget:,}; {before} the month before"
        return {"window": f"{row['measured_to']:%B}", "change": spent, "sign": ""}
    change = _counted(row, shape) if row["is_surely_different"] is None else _tested(row, shape)
    return {"window": f"{row['window_days']} days to {day(row['measured_to'])}", **change}


def _ago(days: int) -> str:
    return "the week before" if days == 7 else f"the {days} days before"


def _tested(row: Mapping[str, Any], shape: str) -> dict[str, str]:
    """Describe a change that was tested for significance."""
    ago = _ago(row["window_days"])
    if row["is_rate"] and row["amount_before"] is None:
        return {"change": f"nothing to compare with in {ago}", "sign": ""}
    verdict, sign = "no significant change", ""
    if row["is_small_sample"]:
        verdict = "too few to compare"
    elif row["is_surely_different"]:
        verdict, sign = f"significantly {row['direction']}", SIGNS[row["direction"]]
    before = shape.format(row["amount_before"] or 0)
    return {"change": f"{verdict}; {before}{'' if row['window_days'] == 7 else ' in'} {ago}", "sign": sign}


def _counted(row: Mapping[str, Any], shape: str) -> dict[str, str]:
    """Describe a change that is not tested, because the numbers come in batches."""
    ago, before = _ago(row["window_days"]), shape.format(row["amount_before"] or 0)
    change = "" if row["change_share"] is None else f"{row['change_share']:.0%}".lstrip("-")
    # A few orders move the revenue; the tile of orders beside it says whether there are significantly more.
    if change in ("", "0%") or row["measure"] == "revenue":
        others = f"; plus {row['other_currency_revenue']}" if row["other_currency_revenue"] else ""
        return {"change": f"{_net(row, shape)}{before} {ago}{others}", "sign": ""}
    return {"change": f"{change} from {before} {ago}", "sign": SIGNS[row["direction"]]}


def _net(row: Mapping[str, Any], shape: str) -> str:
    """Return the revenue after cancellations and refunds in words, or nothing without any."""
    if row["net_amount"] in (None, row["amount"]):
        return ""
    return f"{shape.format(row['net_amount'])} after cancellations and refunds; "
