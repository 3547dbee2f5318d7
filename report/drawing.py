"""Turns an Altair chart into SVG that takes its colours from the page: one drawing for light, dark and paper.

Colours are written as CSS variables, which no scale can blend: each mark carries its own. Legends are the
page's, where text wraps; an SVG holds marks and axes only.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

import altair as alt
import vl_convert

HALF, WIDE = 440, 960  # pixels across; half is as wide as a phone can show legibly
LINE = 14  # pixels from one line of a label to the next

# What a colour says is the same on the whole page.
MAIN: Final = "var(--main)"  # what is measured; e-mail; what is well
OTHER: Final = "var(--other)"  # the second measure beside it; clicks; texts
ALERT: Final = "var(--alert)"  # what somebody should look at
WAIT: Final = "var(--wait)"  # not decided, not finished
REST: Final = "var(--rest)"  # what is left: too few data, not chosen, unrecognised
PALE: Final = "var(--pale)"
SOFT: Final = "var(--soft)"  # the main colour, lighter
CARD: Final = "var(--card)"
INK: Final = "var(--ink)"
MUTED: Final = "var(--muted)"
STEPS: Final = tuple(f"var(--s{number})" for number in range(1, 7))  # little to much
ON_STEPS: Final = tuple(f"var(--t{number})" for number in range(1, 7))  # text on each
BANDS: Final = tuple(f"var(--b{number})" for number in range(1, 6))  # low to high, neither the better

_FONT = "DejaVu Sans, Verdana, sans-serif"
_AXIS = {
    "labelColor": MUTED,
    "titleColor": MUTED,
    "gridColor": "var(--grid)",
    "domainColor": "var(--line)",
    "tickColor": "var(--line)",
    "labelFont": _FONT,
    "titleFont": _FONT,
    "labelFontSize": 12,
    "titleFontSize": 12,
    "titleFontWeight": "normal",
    "titlePadding": 8,
    "labelLimit": 0,
    "ticks": False,
    "labelPadding": 6,
    "domain": False,
}
_CONFIG = {
    "background": None,
    "font": _FONT,
    "view": {"stroke": None},
    "axis": _AXIS,
    "axisX": {"labelFlush": False, "labelPadding": 10},
    "axisY": {"grid": False},
    "aria": False,
    "text": {"font": _FONT, "fontSize": 12},
    "title": {
        "font": _FONT,
        "fontSize": 12,
        "color": INK,
        "anchor": "start",
        "frame": "group",  # where the marks begin, however wide the numbers of the axis are
        "fontWeight": "bold",
    },
    "concat": {"spacing": 22},
}


def svg(chart: alt.TopLevelMixin, name: str, label: str) -> str:
    """Return `chart` as an `<svg>` with a text for those who do not see it; `name` keeps its ids apart."""
    spec = chart.to_dict(validate=False) | {"config": _CONFIG}
    text = vl_convert.vegalite_to_svg(spec)
    text = re.sub(
        r' (?:role|aria-\w+|pointer-events|stroke-miterlimit|class|xmlns:xlink|version)="[^"]*"', "", text
    )
    text = re.sub(r'\b(id="|url\(#)(clip)', rf"\g<1>{name}-\g<2>", text)
    text = re.sub(r"(\d\.\d\d)\d+", r"\1", text)
    text = re.sub(
        r'(<text text-anchor="end" transform="translate\([-\d.]+,)([-\d.]+)(\).*?</text>)', _centred, text
    )
    size = re.search(r'width="([\d.]+)" height="([\d.]+)"', text)
    width, height = (size[1], size[2]) if size else ("0", "0")
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{_escaped(label)}"'
        f' viewBox="0 0 {width} {height}" style="max-width: {1.2 * float(width):.0f}px">'
    )
    return re.sub(r"^<svg[^>]*>", lambda _: opening, text)


def _centred(found: re.Match[str]) -> str:
    """Move a label of several lines up: Vega puts its first line where the middle belongs."""
    lines = max(1, found[3].count("<tspan"))
    return f"{found[1]}{float(found[2]) - (lines - 1) * LINE / 2:g}{found[3]}"


def _escaped(text: str) -> str:
    for sign, entity in (("&", "&amp;"), ('"', "&quot;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(sign, entity)
    return text


def chart(rows: list[dict[str, Any]]) -> alt.Chart:
    """Return a chart over rows that it carries itself; days and times as text."""
    written = [
        {name: value.isoformat() if isinstance(value, date) else value for name, value in row.items()}
        for row in rows
    ]
    return alt.Chart(alt.InlineData(written))


def fitted(layers: Any, height: int, width: int = HALF) -> Any:
    """Give a chart its whole size, axes and their labels included."""
    size: Mapping[str, Any] = {"width": width, "height": height}
    return layers.properties(**size, autosize=alt.AutoSizeParams(type="fit", contains="padding"))


def colour(field: str) -> alt.Color:
    """Encode a colour that the rows carry."""
    return alt.Color(f"{field}:N", scale=None, legend=None)


def filled(field: str) -> alt.Fill:
    """Encode a filling that the rows carry; few data are hollow."""
    return alt.Fill(f"{field}:N", scale=None, legend=None)


def shaped(field: str) -> alt.Shape:
    """Encode a shape that the rows carry."""
    return alt.Shape(f"{field}:N", scale=None, legend=None)


def names(field: str, order: list[str], **more: Any) -> alt.Y:
    """Encode names from top to bottom; a line break in one starts a line of its label."""
    axis = alt.Axis(title=None, labelExpr="split(datum.label, '\\n')", labelColor=INK, labelPadding=12)
    return alt.Y(f"{field}:N", sort=order, axis=axis, **more)


PERCENT: Final = "replace(format(datum.value, '.0%'), '%', '\u00a0%')"


def height(labels: list[str], least: int) -> int:
    """Return how tall a chart with these names is: each has room for its lines."""
    lines = max(label.count("\n") + 1 for label in labels)
    return 60 + len(labels) * max(least, LINE * lines + 8)


def shares(field: str, title: str) -> alt.X:
    """Encode a part of a whole, in percent from 0."""
    axis = alt.Axis(labelExpr=PERCENT, title=title, tickCount=5)
    return alt.X(f"{field}:Q", axis=axis, scale=alt.Scale(zero=True, nice=True))


def counts(field: str, title: str, most: float) -> alt.X:
    """Encode a count from 0, with room for a number behind the longest bar."""
    room = 1.08 + 0.04 * len(f"{most:,.0f}")
    few: dict[str, Any] = {"values": list(range(int(most) + 1))} if most < 4 else {"tickCount": 3}
    axis = alt.Axis(title=title, format=",.0f", **few)
    return alt.X(f"{field}:Q", axis=axis, scale=alt.Scale(domain=[0, room * max(1, most)], nice=False))


def dates(days: list[str]) -> alt.Axis:
    """Return an axis of days, with a label at each of `days`."""
    values = [alt.DateTime(year=int(day[:4]), month=int(day[5:7]), date=int(day[8:])) for day in days]
    return alt.Axis(title=None, format="%-d %b", grid=False, values=values)


def with_intervals(base: alt.Chart, y: alt.Y, value: str, title: str, size: int = 80) -> Any:
    """Draw a share as a mark with its interval as a line; rows carry colour, fill and shape."""
    line = base.mark_rule(strokeWidth=2).encode(
        x=shares(f"{value}_low", title), x2=alt.X2(f"{value}_high"), y=y, color=colour("colour")
    )
    mark = base.mark_point(size=size, strokeWidth=2, opacity=1).encode(
        x=shares(value, title), y=y, color=colour("colour"), fill=filled("fill"), shape=shaped("shape")
    )
    return alt.layer(line, mark)
