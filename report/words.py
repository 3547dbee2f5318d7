"""Formats of numbers, days, names and lists in the report."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any


def percent(value: float) -> str:
    """Write a share in percent: whole numbers from 10 on, one decimal below."""
    shown = 100 * value
    return f"{shown:.0f}%" if abs(shown) >= 9.95 or shown == 0 else f"{shown:.1f}%"


def interval(row: Mapping[str, Any], share: str) -> str:
    """Write a share of a row with its 95% interval."""
    low, high = row[f"{share}_low"], row[f"{share}_high"]
    if row[share] is None:
        return "not measured"
    found = percent(row[share])
    return found if low is None or high is None else f"{found} ({percent(low)} to {percent(high)})"


def amount(value: float, row: Mapping[str, Any]) -> str:
    """Write a number of the first screen in the unit of its row: a rate, money or a count."""
    if row["is_rate"]:
        return f"{value:.1%}"
    currency = row["currency"]
    if currency == "USD":
        return f"${value:,.0f}"
    return f"{value:,.0f}" if currency in (None, "unknown") else f"{value:,.0f}\u00a0{currency}"


def day(value: date) -> str:
    return f"{value:%b} {value.day}"


def moment(value: datetime) -> str:
    return f"{day(value)}, {value:%H:%M}"


def several(count: int, one: str, many: str | None = None) -> str:
    """Write a count with its noun: 1 pair, 2 pairs."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def plain(name: str) -> str:
    """Write a name from a model as people do: binge_watchers becomes binge watchers."""
    return name.replace("_", " ").replace("-", " ")


def listed(names: Iterable[str]) -> str:
    """Name up to three things and count the rest."""
    all_names = list(names)
    shown = ", ".join(all_names[:3])
    return f"{shown} and {len(all_names) - 3} more" if len(all_names) > 3 else shown


def note(words: str, names: Iterable[str]) -> list[str]:
    """Return a note that ends in these names, or none without names."""
    found = listed(names)
    return [f"{words} {found}."] if found else []


def folded(text: str, width: int, lines: int = 3) -> str:
    """Break a text into lines of `width` characters; the table has the text in full."""
    return "\n".join(textwrap.wrap(text, width, max_lines=lines, placeholder=" …")) or "-"


def told_apart(labels: Sequence[str]) -> list[str]:
    """Number equal labels, so that no two things share a place on an axis."""
    return [
        label if labels.count(label) == 1 else f"{label} ({labels[: place + 1].count(label)})"
        for place, label in enumerate(labels)
    ]


def part_of(
    shown: Sequence[Any], found: Sequence[Any], one: str, which: str = "", *, many: str | None = None
) -> list[str]:
    """Say how many are shown if that is not all: on paper, and beside a table that ends too."""
    few = len(shown) < len(found)
    return [f"Shown: {len(shown):,} of {several(len(found), one, many)}{which}."] if few else []
