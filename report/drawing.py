"""Turn Altair charts into SVG that takes its colors from the page: one drawing for light, dark and paper.

Colors are CSS variables. No scale can blend these, so each mark carries its own color. Legends are part of
the page, where text wraps; an SVG has marks and axes only.
"""

import re
from collections.abc import Mapping, Sized
from datetime import date
from typing import Any, Final

import altair as alt
import vl_convert

HALF, WIDE = 440, 960  # pixels wide; a phone can still show a half legibly
LINE = 14  # pixels from one line of a label to the next
TIP = "\u2063"  # invisible; Vega's own descriptions do not begin with it

# A color has one meaning on the whole page.
MAIN: Final = "var(--main)"  # measured values; e-mail; good states
OTHER: Final = "var(--other)"  # a second measure; clicks; text messages
ALERT: Final = "var(--alert)"  # needs attention
WAIT: Final = "var(--wait)"  # undecided or unfinished
REST: Final = "var(--rest)"  # the rest: too little data, not chosen, unrecognized
PALE: Final = "var(--pale)"
SOFT: Final = "var(--soft)"  # the main color, lighter
CARD: Final = "var(--card)"
INK: Final = "var(--ink)"
MUTED: Final = "var(--muted)"
STEPS: Final = tuple(f"var(--s{number})" for number in range(1, 7))  # low to high
ON_STEPS: Final = tuple(f"var(--t{number})" for number in range(1, 7))  # text on each of these
BANDS: Final = tuple(f"var(--b{number})" for number in range(1, 6))  # low to high; neither is better

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
    """Return `chart` as an `<svg>` with `label` for screen readers; `name` keeps its ids unique."""
    spec = chart.to_dict(validate=False) | {"config": _CONFIG}
    text = vl_convert.vegalite_to_svg(spec)
    text = re.sub(rf'<(path|line|rect) ([^>]*?)aria-label="{TIP}([^"]*)"([^>]*?)/>', _titled, text)
    text = re.sub(
        r' (?:role|aria-\w+|pointer-events|stroke-miterlimit|class|xmlns:xlink|version)="[^"]*"', "", text
    )
    text = re.sub(r'\b(id="|url\(#)(clip)', rf"\g<1>{name}-\g<2>", text)
    text = re.sub(r"(\d\.\d\d)\d+", r"\1", text)
    text = re.sub(
        r'(<text text-anchor="end" transform="translate\([-\d.]+,)([-\d.]+)(\).*?</text>)', _centered, text
    )
    size = re.search(r'width="([\d.]+)" height="([\d.]+)"', text)
    width, height = (size[1], size[2]) if size else ("0", "0")
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{_escaped(label)}"'
        f' viewBox="0 0 {width} {height}" style="max-width: {1.2 * float(width):.0f}px">'
    )
    return re.sub(r"^<svg[^>]*>", lambda _: opening, text)


def _titled(mark: re.Match[str]) -> str:
    """Write a mark with the tooltip that its description carries."""
    name, before, tip, after = mark.groups()
    return f"<{name} {before}{after.lstrip()}><title>{tip}</title></{name}>"


def _centered(found: re.Match[str]) -> str:
    """Center a label of several lines: Vega puts the first line where the middle belongs."""
    lines = max(1, found[3].count("<tspan"))
    return f"{found[1]}{float(found[2]) - (lines - 1) * LINE / 2:g}{found[3]}"


def _escaped(text: str) -> str:
    for sign, entity in (("&", "&amp;"), ('"', "&quot;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(sign, entity)
    return text


def chart(rows: list[dict[str, Any]]) -> alt.Chart:
    """Return a chart that carries its rows; days and times become text. The `tip` of a row is its tooltip."""
    written = [
        {name: value.isoformat() if isinstance(value, date) else value for name, value in row.items()}
        | ({"tip": TIP + row["tip"]} if "tip" in row else {})
        for row in rows
    ]
    base = alt.Chart(alt.InlineData(written))
    return base.encode(description="tip:N") if rows and "tip" in rows[0] else base


def whole(base: alt.Chart) -> alt.Chart:
    """Return a chart without tooltips, which would cut a line into one of each row."""
    return base.encode(description=alt.value(""))


def fitted(layers: Any, height: int, width: int = HALF) -> Any:
    """Set the size of a chart including its axes and labels."""
    size: Mapping[str, Any] = {"width": width, "height": height}
    return layers.properties(**size, autosize=alt.AutoSizeParams(type="fit", contains="padding"))


def color(field: str) -> alt.Color:
    """Encode the color that each row carries."""
    return alt.Color(f"{field}:N", scale=None, legend=None)


def filled(field: str) -> alt.Fill:
    """Encode the fill that each row carries; too little data is hollow."""
    return alt.Fill(f"{field}:N", scale=None, legend=None)


def shaped(field: str) -> alt.Shape:
    """Encode the shape that each row carries."""
    return alt.Shape(f"{field}:N", scale=None, legend=None)


def names(field: str, order: list[str], **more: Any) -> alt.Y:
    """Encode names from top to bottom; line breaks in a name are kept."""
    axis = alt.Axis(title=None, labelExpr="split(datum.label, '\\n')", labelColor=INK, labelPadding=12)
    return alt.Y(f"{field}:N", sort=order, axis=axis, **more)


PERCENT: Final = "format(datum.value, '.0%')"


def bars_with_numbers(base: alt.Chart, bars: alt.Chart, field: str) -> Any:
    """Draw the number of each row behind its bar."""
    text = base.mark_text(align="left", dx=5, color=INK).encode(text=alt.Text(f"{field}:Q", format=",.0f"))
    return alt.layer(bars, text)


def outlined(field: str) -> alt.Stroke:
    """Encode the outline color that each row carries."""
    return alt.Stroke(f"{field}:N", scale=None, legend=None)


def look(is_alert: bool) -> tuple[str, str]:
    """Return the color and shape of a mark that needs attention, or of any other."""
    return (ALERT, "diamond") if is_alert else (MAIN, "circle")


def marked(row: dict[str, Any], color: str, shape: str, *, hollow: bool) -> dict[str, Any]:
    """Add the look of its mark to a row; too little data is always hollow and gray."""
    look = {"color": REST, "fill": CARD, "shape": "circle"}
    return row | (look if hollow else {"color": color, "fill": color, "shape": shape})


def shade(share: float) -> tuple[str, str]:
    """Return the colors of a cell and of the text on it, by its share."""
    step = min(5, int(6 * share))
    return STEPS[step], ON_STEPS[step]


def cells(base: alt.Chart, line: int, size: int) -> Any:
    """Draw a box with text per row; rows carry color, line, ink and words."""
    boxes = base.mark_rect(strokeWidth=line).encode(color=color("color"), stroke=outlined("line"))
    return alt.layer(boxes, base.mark_text(fontSize=size).encode(text="words:N", color=color("ink")))


def height(labels: list[str], least: int) -> int:
    """Return the height of a chart in which each of these names has room for its lines."""
    lines = max(label.count("\n") + 1 for label in labels)
    return 60 + len(labels) * max(least, LINE * lines + 8)


def tall(rows: Sized, each: int, more: int = 0) -> int:
    """Return the height of a chart that gives `each` pixels to each row."""
    return more + each * len(rows)


def shares(field: str, title: str) -> alt.X:
    """Encode a share, in percent from 0."""
    axis = alt.Axis(labelExpr=PERCENT, title=title, tickCount=5)
    return alt.X(f"{field}:Q", axis=axis, scale=alt.Scale(zero=True, nice=True))


def counts(field: str, title: str, rows: list[dict[str, Any]]) -> alt.X:
    """Encode a count from 0, with room for a number behind the longest bar."""
    most = max((row[field] for row in rows), default=1)
    room = 1.08 + 0.04 * len(f"{most:,.0f}")
    few: dict[str, Any] = {"values": list(range(int(most) + 1))} if most < 4 else {"tickCount": 3}
    axis = alt.Axis(title=title, format=",.0f", **few)
    return alt.X(f"{field}:Q", axis=axis, scale=alt.Scale(domain=[0, room * max(1, most)], nice=False))


def dates(days: list[str]) -> alt.Axis:
    """Return an axis of days, with a label at each of `days`."""
    values = [alt.DateTime(year=int(day[:4]), month=int(day[5:7]), date=int(day[8:])) for day in days]
    return alt.Axis(title=None, format="%b %-d", grid=False, values=values)


def with_intervals(base: alt.Chart, y: alt.Y, value: str, title: str, size: int = 80) -> Any:
    """Draw a share as a mark with its interval as a line; rows carry color, fill and shape."""
    line = base.mark_rule(strokeWidth=2).encode(
        x=shares(f"{value}_low", title), x2=alt.X2(f"{value}_high"), y=y, color=color("color")
    )
    mark = base.mark_point(size=size, strokeWidth=2, opacity=1).encode(
        x=shares(value, title), y=y, color=color("color"), fill=filled("fill"), shape=shaped("shape")
    )
    return alt.layer(line, mark)


def days_and_mean(rows: list[dict[str, Any]], count: str, color: str, title: str) -> Any:
    """Draw a dot per day and a line for the seven-day mean; `rows` come latest first."""
    days = [row["day"] for row in rows]
    ticks = dates([*days[-1:0:-15], days[0]] if len(days) > 15 else days)
    base = chart(rows).encode(x=alt.X("day:T", axis=ticks))
    axis = alt.Axis(title=None, grid=True, tickCount=3, format=",.0f")
    dots = base.mark_circle(size=14, color=color, opacity=0.55).encode(y=alt.Y(f"{count}:Q", axis=axis))
    line = whole(base).mark_line(strokeWidth=2, color=color).encode(y=alt.Y(f"mean_{count}:Q", axis=axis))
    return alt.layer(dots, line).properties(width=HALF - 60, height=90, title=title)


def by_week(rows: list[dict[str, Any]], color: str, title: str) -> Any:
    """Draw a line through the weekly `amount` of each row, from 0, with a large last point."""
    ends = [rows[0]["day"].isoformat(), rows[-1]["day"].isoformat()]
    drawn = [
        marked(row, color, "circle", hollow=row["is_small_sample"]) | {"size": 60 if row is rows[-1] else 24}
        for row in rows
    ]
    scale = alt.Scale(domainMin=0, nice=True)
    most = max(row["amount"] for row in rows)
    form = "~%" if most < 1 and not isinstance(rows[0]["amount"], int) else ",.0f"
    base = chart(drawn).encode(
        x=alt.X("day:T", axis=dates(sorted({*ends})), scale=alt.Scale(padding=6)),
        y=alt.Y(
            "amount:Q",
            scale=scale,
            axis=alt.Axis(title=None, grid=True, tickCount=3, format=form, minExtent=44),
        ),
    )
    line = whole(base).mark_line(strokeWidth=2, color=color)
    size = alt.Size("size:Q", scale=None, legend=None)
    points = base.mark_point(strokeWidth=2, opacity=1).encode(
        color=alt.Color("color:N", scale=None, legend=None), fill=filled("fill"), size=size
    )
    return alt.layer(line, points).properties(width=250, height=96, title=title)


def panels(charts: list[Any], columns: int = 3) -> Any:
    """Put panels in rows of `columns`."""
    lines = [charts[start : start + columns] for start in range(0, len(charts), columns)]
    return alt.vconcat(*(alt.hconcat(*line, spacing=26) for line in lines), spacing=18)


def sparkline(rows: list[dict[str, Any]]) -> Any:
    """Draw the amounts of a tile as a line without axes, its last point as a dot."""
    last = chart([rows[-1]])
    base = chart(rows)
    x, y = alt.X("day:T", axis=None), alt.Y("amount:Q", axis=None, scale=alt.Scale(zero=False))
    line = whole(base).mark_line(strokeWidth=1.75, color=MAIN).encode(x=x, y=y)
    points = base.mark_circle(size=90, opacity=0).encode(x=x, y=y)
    dot = last.mark_circle(size=34, color=MAIN, opacity=1).encode(x=x, y=y)
    return alt.layer(line, dot, points).properties(width=150, height=26)


LEAST_WITH_WORDS: Final = 0.06  # of a whole: in less of a bar a text has no room


def stacked(rows: list[dict[str, Any]], weeks: list[str]) -> Any:
    """Draw a stacked bar per week; rows carry color, ink, words, opacity and place."""
    base = chart([
        row | {"words": row["words"] if row["unique_open_share"] >= LEAST_WITH_WORDS else ""} for row in rows
    ]).encode(
        x=alt.X("week:O", sort=weeks, axis=alt.Axis(title="week of", labelAngle=0)),
        y=alt.Y("unique_open_share:Q", stack="zero", scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(title=None, labelExpr=PERCENT, tickCount=5)),
        order=alt.Order("place:Q"),
    )  # fmt: skip
    bars = base.mark_bar(stroke=CARD, strokeWidth=1).encode(
        color=color("color"), opacity=alt.Opacity("opacity:Q", scale=None, legend=None)
    )
    text = base.mark_text(fontSize=11).encode(
        text="words:N", color=color("ink"),
        y=alt.Y("unique_open_share:Q", stack="zero", bandPosition=0.5),
    )  # fmt: skip
    return fitted(alt.layer(bars, text), 250)


def retention(rows: list[dict[str, Any]], title: list[str], most_flags: int) -> Any:
    """Draw the retention of a video, with a flag at each drop-off; rows carry the words of their flag.

    `most_flags` is the most flags that any panel of the figure has, so that all panels are equally tall.
    """
    thinned = [
        row
        for place, row in enumerate(rows)
        if place % max(1, len(rows) // 240) == 0 or row["drop_off_number"]
    ]
    hollow = rows[0]["is_small_sample"]
    color = REST if hollow else MAIN
    base = chart(thinned).encode(
        x=alt.X(
            "position_seconds:Q",
            axis=alt.Axis(title="second", tickCount=4, grid=False, format=",.0f"),
            scale=alt.Scale(nice=False),
        ),
        y=alt.Y(
            "retention_share:Q",
            axis=alt.Axis(title=None, labelExpr=PERCENT, tickCount=4, grid=True),
            scale=alt.Scale(domainMin=0),
        ),
    )
    layers = [
        whole(base).mark_area(color=color, opacity=0 if hollow else 0.18),
        whole(base).mark_line(color=color, strokeWidth=2),
    ]
    flagged = [row for row in rows if row["drop_off_number"] is not None]
    for place, row in enumerate(flagged):
        # A flag on a pole of its own, above the curve; each pole ends under the flags before it.
        top = 17 * (place - most_flags) - 4
        mark = chart([row])
        span = mark.mark_rect(color=ALERT, opacity=0.25)
        layers.append(span.encode(x="position_seconds:Q", x2="drop_off_to_seconds"))
        pole = mark.mark_rule(color=ALERT, strokeDash=[4, 3], strokeWidth=2)
        layers.append(pole.encode(x="position_seconds:Q", y=alt.value(top), y2=alt.value(150)))
        flag = mark.mark_text(color=INK, fontWeight="bold", align="left", baseline="top", dx=5)
        layers.append(flag.encode(x="position_seconds:Q", text="words:N", y=alt.value(top)))
    return alt.layer(*layers).properties(width=240, height=150, title=alt.TitleParams(title))


def ratios(base: alt.Chart, rows: list[dict[str, Any]]) -> Any:
    """Draw the lift of each row with its interval, on a logarithmic scale around 1."""
    scale = alt.Scale(
        type="log", nice=False, padding=8, domainMin=min(0.9, *(row["lift_low"] for row in rows))
    )
    most = 1.2 * max(row["lift_high"] for row in rows)
    values = [value for value in (0.25, 0.5, 1, 2, 3, 4, 8, 16) if value <= most]
    axis = alt.Axis(title="lift (logarithmic scale)", values=values, format="~g", grid=True)
    line = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("lift_low:Q", scale=scale, axis=axis), x2="lift_high", color=color("color")
    )
    mark = base.mark_point(size=80, strokeWidth=2, opacity=1).encode(
        x=alt.X("lift:Q", scale=scale, axis=axis), color=color("color"), fill=filled("fill")
    )
    chance = chart([{"chance": 1}]).mark_rule(color=INK, strokeDash=[4, 3])
    return alt.layer(chance.encode(x=alt.X("chance:Q", scale=scale)), line, mark)


def diverging(labels: list[str], bars: list[dict[str, Any]]) -> Any:
    """Draw questions in two columns, with bars to either side of the middle of the scale.

    Each bar carries from_share, to_share, color, opacity and, as `question`, the position of its label.
    """
    widest = max(max(-bar["from_share"], bar["to_share"]) for bar in bars)
    axis = alt.Axis(
        title="share of answers below and above the middle",
        labelExpr=PERCENT.replace("datum.value", "abs(datum.value)"),
        tickCount=6,
        grid=False,
    )
    x = {"axis": axis, "scale": alt.Scale(domain=[-widest, widest], nice=True)}
    half = (len(labels) + 1) // 2
    columns = [range(half), range(half, len(labels))]
    return alt.hconcat(*(_questions(labels, bars, column, x) for column in columns if column), spacing=60)


def _questions(labels: list[str], bars: list[dict[str, Any]], numbers: range, x: dict[str, Any]) -> Any:
    """Draw each question above its bar: beside it, a phone would show little else."""
    tops, height = {}, 0
    for number in numbers:
        tops[number] = height
        height += LINE * (labels[number].count("\n") + 1) + 32
    y: dict[str, Any] = {"axis": None, "scale": alt.Scale(domain=[0, height], reverse=True, nice=False)}
    ends = {number: (tops.get(number + 1) or height) - 14 for number in numbers}
    asked = [
        {"label": labels[number], "top": top, "middle": 0, "from": ends[number] - 17, "to": ends[number] + 3}
        for number, top in tops.items()
    ]
    placed = [
        bar | {"top": ends[bar["question"]] - 14, "bottom": ends[bar["question"]]}
        for bar in bars
        if bar["question"] in tops
    ]
    base = chart(asked)
    return alt.layer(
        chart(placed).mark_rect(stroke=CARD, strokeWidth=1).encode(
            x=alt.X("from_share:Q", **x), x2="to_share", y=alt.Y("top:Q", **y), y2="bottom",
            color=color("color"), opacity=alt.Opacity("opacity:Q", scale=None, legend=None),
        ),
        base.mark_rule(color=INK).encode(x=alt.X("middle:Q", **x), y=alt.Y("from:Q", **y), y2="to"),
        base.mark_text(
            align="left", baseline="top", lineBreak="\n", lineHeight=LINE, color=INK
        ).encode(x=alt.value(0), y=alt.Y("top:Q", **y), text="label:N"),
    ).properties(width=HALF, height=height)  # fmt: skip
