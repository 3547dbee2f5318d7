"""What the report shows: one function per figure, each from the rows of one model.

A function gets the rows that its query named and says what they show: a sentence, a chart, and what is too
small to be judged. Whatever it draws stands in those rows; the page shows them as a table below.
"""

import json
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

import altair as alt

from report import drawing as draw

Row = dict[str, Any]
Rows = list[Row]

MOST_CATEGORIES = 20
MOST_MESSAGES = 12  # of a trigger
MOST_SEGMENTS = 10  # what a half of the page can hold with numbers in the cells
DAYS, WEEKS = 90, 8


@dataclass(frozen=True)
class Key:
    """An entry of a figure's legend: a shape, its colour, what it stands for."""

    shape: str  # square, circle, diamond, hollow, line or dashed
    colour: str
    words: str


@dataclass(frozen=True)
class Drawing:
    """What a function makes of its rows; `items` are shown in words where there is nothing to draw."""

    sentence: str
    chart: Any = None
    keys: Sequence[Key] = ()
    notes: Sequence[str] = ()
    items: Sequence[tuple[str, str]] = ()
    listed: Sequence[Row] | None = None  # rows of the table, where they are not the first of all


@dataclass(frozen=True)
class Figure:
    """A place on the page: where its rows come from, and the function that draws them."""

    name: str
    section: str
    title: str
    model: str
    select: str
    tail: str
    definition: str
    fill: str  # what to run while there are no rows
    job: str
    is_wide: bool
    draw: Callable[[Rows], Drawing] = field(repr=False)

    @property
    def query(self) -> str:
        return f"select {self.select} from {self.model} {self.tail}"


SECTIONS: Final = ("E-mail", "Video", "Customers", "Campaigns", "Mavera", "Data")
FIGURES: Final[list[Figure]] = []
LOAD, SEND = "make ingest transform", "make activate results"


def figure(
    name: str,
    section: str,
    title: str,
    model: str,
    *,
    select: str,
    tail: str = "",
    definition: str,
    fill: str = LOAD,
    job: str = "",
    is_wide: bool = False,
) -> Callable[[Callable[[Rows], Drawing]], Callable[[Rows], Drawing]]:
    """Put the decorated function on the page, in the order of this file."""

    def register(function: Callable[[Rows], Drawing]) -> Callable[[Rows], Drawing]:
        FIGURES.append(
            Figure(name, section, title, model, select, tail, bound(definition), fill, job, is_wide, function)
        )
        return function

    return register


# --- words -------------------------------------------------------------------------------------------


def percent(value: float) -> str:
    """Write a share: whole percents from 10 on, one decimal below."""
    shown = 100 * value
    return f"{shown:.0f}\u00a0%" if abs(shown) >= 9.95 or shown == 0 else f"{shown:.1f}\u00a0%"


def bound(text: str) -> str:
    """Keep each percent sign on the line of its number."""
    return text.replace(" %", "\u00a0%")


def day(value: date) -> str:
    return f"{value.day} {value:%b}"


def several(count: int, one: str, many: str | None = None) -> str:
    """Count in words of the page: 1 pair, 2 pairs."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def plain(name: str) -> str:
    """Write a name out of a model as people do: binge_watchers, binge watchers."""
    return name.replace("_", " ").replace("-", " ")


def listed(names: Iterable[str]) -> str:
    """Name up to three and count the rest."""
    all_names = list(names)
    shown = ", ".join(all_names[:3])
    return f"{shown} and {len(all_names) - 3} more" if len(all_names) > 3 else shown


def folded(text: str, width: int, lines: int = 3) -> str:
    """Break a text into lines of so many signs; the table has whole what ends in an ellipsis here."""
    return "\n".join(textwrap.wrap(text, width, max_lines=lines, placeholder=" …")) or "-"


def told_apart(labels: Sequence[str]) -> list[str]:
    """Number those that are the same, so that two things never share a place on an axis."""
    return [
        label if labels.count(label) == 1 else f"{label} ({labels[: place + 1].count(label)})"
        for place, label in enumerate(labels)
    ]


def part_of(shown: Sequence[Any], found: Sequence[Any], thing: str, which: str = "") -> list[str]:
    """Say how many are drawn where that is not all: on paper, and beside a table that ends too."""
    few = len(shown) < len(found)
    return [f"Drawn: {len(shown):,} of {several(len(found), thing)}{which}."] if few else []


def look(is_alert: bool) -> tuple[str, str]:
    """Return colour and shape of what somebody should look at, or of what is as the others."""
    return (draw.ALERT, "diamond") if is_alert else (draw.MAIN, "circle")


def marked(row: Row, colour: str, shape: str, *, hollow: bool) -> Row:
    """Give a row the look of its mark; few data are hollow and grey, whatever they say."""
    look = {"colour": draw.REST, "fill": draw.CARD, "shape": "circle"}
    return row | (look if hollow else {"colour": colour, "fill": colour, "shape": shape})


# --- E-mail ------------------------------------------------------------------------------------------


@figure(
    "opens-by-day",
    "E-mail",
    "Opens and clicks by day",
    "marts.fct_engagement_daily",
    select="happened_on, delivered_count, daily_unique_open_count, mean_daily_unique_open_count,"
    " daily_unique_click_count, mean_daily_unique_click_count",
    tail=f"order by happened_on desc limit {DAYS}",
    definition="Messages that were opened or clicked on a day, whenever they were delivered: counts,"
    " no rates. Dots are days, the line is the mean of seven. Apple Mail opens some by itself.",
)
def opens_by_day(rows: Rows) -> Drawing:
    means = ("mean_daily_unique_open_count", "mean_daily_unique_click_count")
    now = rows[0]
    week_before = next(
        (row for row in rows if row["happened_on"] == now["happened_on"] - timedelta(days=7)), None
    )
    if now[means[0]] is None:
        sentence = f"SendGrid has told of {several(len(rows), 'day')} so far; a mean needs seven."
    else:
        opens, clicks = (f"{now[mean]:,.0f}" for mean in means)
        sentence = f"In the last seven days {opens} messages a day were opened and {clicks} clicked"
        before = week_before and week_before[means[0]] is not None and week_before
        sentence += (
            f"; {before[means[0]]:,.0f} and {before[means[1]]:,.0f} in the seven before." if before else "."
        )
    days = [row["happened_on"].isoformat() for row in rows]
    drawn = [row | {"day": at} for row, at in zip(rows, days, strict=True)]
    ticks = draw.dates([*days[-1:0:-15], days[0]] if len(days) > 15 else days)

    def panel(count: str, mean: str, colour: str, title: str) -> Any:
        base = draw.chart(drawn).encode(x=alt.X("day:T", axis=ticks))
        axis = alt.Axis(title=None, grid=True, tickCount=3, format=",.0f")
        dots = base.mark_circle(size=14, color=colour, opacity=0.55).encode(y=alt.Y(f"{count}:Q", axis=axis))
        line = base.mark_line(strokeWidth=2, color=colour).encode(y=alt.Y(f"{mean}:Q", axis=axis))
        return alt.layer(dots, line).properties(width=draw.HALF - 60, height=90, title=title)

    chart = alt.vconcat(
        panel("daily_unique_open_count", means[0], draw.MAIN, "Opened"),
        panel("daily_unique_click_count", means[1], draw.OTHER, "Clicked"),
        spacing=14,
    )
    return Drawing(sentence, chart, notes=[f"{day(now['happened_on'])} may not be over yet."])


# Colours of SG-1's personas: mobile first, desktop focused, hybrid.
DEVICES: Final = {
    "Phone": (draw.MAIN, "var(--on-main)"),
    "Tablet": (draw.SOFT, "var(--on-soft)"),
    "Desktop": (draw.OTHER, "var(--on-main)"),
    "Webmail": (draw.REST, "var(--on-main)"),
    "Other": (draw.PALE, "var(--on-soft)"),
}


@figure(
    "devices",
    "E-mail",
    "Opens by device",
    "marts.fct_opens_by_device_weekly",
    select="week_from, device_class, unique_open_share, unique_open_share_low, unique_open_share_high,"
    " summed_daily_unique_open_count, total_count, day_count, is_small_sample",
    tail=f"qualify dense_rank() over (order by week_from desc) <= {WEEKS} order by week_from, device_class",
    definition="Share of a week's opens, account level: SendGrid ties devices to no single send and to"
    " no person. Webmail is read in a browser, on whatever device.",
    job="device-geography",
)
def devices(rows: Rows) -> Drawing:
    order = [*DEVICES, *sorted({row["device_class"] for row in rows} - DEVICES.keys())]
    weeks = sorted({row["week_from"] for row in rows})
    last = max(
        (row for row in rows if row["week_from"] == weeks[-1]), key=lambda row: row["unique_open_share"] or 0
    )
    first = next(
        (row for row in rows if row["week_from"] == weeks[0] and row["device_class"] == last["device_class"]),
        None,
    )
    share = percent(last["unique_open_share"] or 0)
    sentence = f"{last['device_class']} leads with {share} of opens in the week of {day(weeks[-1])}"
    if first and len(weeks) > 1 and first["unique_open_share"] is not None:
        if first["unique_open_share_high"] < last["unique_open_share_low"]:
            sentence += f", more than the {percent(first['unique_open_share'])}"
        elif first["unique_open_share_low"] > last["unique_open_share_high"]:
            sentence += f", less than the {percent(first['unique_open_share'])}"
        else:
            sentence += f", no sure change from {percent(first['unique_open_share'])}"
        sentence += f" in the week of {day(weeks[0])}"
    drawn = [
        row
        | {
            "week": day(row["week_from"]),
            "place": order.index(row["device_class"]),
            "colour": DEVICES.get(row["device_class"], (draw.PALE, ""))[0],
            "ink": DEVICES.get(row["device_class"], ("", "var(--on-soft)"))[1],
            "words": percent(row["unique_open_share"] or 0)
            if row["week_from"] in (weeks[0], weeks[-1]) and (row["unique_open_share"] or 0) >= 0.06
            else "",
            "opacity": 0.4 if row["is_small_sample"] else 1,
        }
        for row in rows
    ]
    base = draw.chart(drawn).encode(
        x=alt.X("week:O", sort=[day(week) for week in weeks], axis=alt.Axis(title="week from", labelAngle=0)),
        y=alt.Y("unique_open_share:Q", stack="zero", scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(title=None, labelExpr=draw.PERCENT, tickCount=5)),
        order=alt.Order("place:Q"),
    )  # fmt: skip
    bars = base.mark_bar(stroke=draw.CARD, strokeWidth=1).encode(
        color=draw.colour("colour"), opacity=alt.Opacity("opacity:Q", scale=None, legend=None)
    )
    text = base.mark_text(fontSize=11).encode(
        text="words:N", color=draw.colour("ink"),
        y=alt.Y("unique_open_share:Q", stack="zero", bandPosition=0.5),
    )  # fmt: skip
    few = [
        day(week) for week in weeks if any(row["is_small_sample"] for row in rows if row["week_from"] == week)
    ]
    notes = [f"Few opens in the week of {listed(few)}: drawn pale, not judged."] if few else []
    days_of_last = max(row["day_count"] for row in rows if row["week_from"] == weeks[-1])
    notes += (
        [f"The week of {day(weeks[-1])} has {several(days_of_last, 'day')} so far."]
        if days_of_last < 7
        else []
    )
    keys = [
        Key("square", DEVICES[name][0], name)
        for name in DEVICES
        if any(row["device_class"] == name for row in rows)
    ]
    return Drawing(f"{sentence}.", draw.fitted(alt.layer(bars, text), 250), keys, notes)


@figure(
    "ab-tests",
    "E-mail",
    "A/B tests",
    "marts.fct_ab_tests",
    select="single_send_name, outcome, criterion, criterion_share, criterion_share_low, criterion_share_high,"
    " delivered_count, p_value, words, is_sent_to_rest, is_small_sample, sent_at, single_send_id",
    tail="order by sent_at desc, single_send_id, criterion_share desc",
    definition="Who opened (or clicked, where that decided) of those in the test phase, with the 95 %"
    " interval. Best and worst are a winner and a loser only where a two-proportion z-test is sure of"
    " it.",
    job="ab-tests",
)
def ab_tests(rows: Rows) -> Drawing:
    tests = list(dict.fromkeys(row["single_send_id"] for row in rows))
    shown = tests[:8]
    lost = {row["single_send_id"]: row for row in rows if row["outcome"] == "loser"}
    sentence = (
        f"{len(lost):,} of {several(len(tests), 'A/B test')} {'has' if len(lost) == 1 else 'have'} a loser"
    )
    if all(row["outcome"] == "undecided" for row in rows):
        sentence = f"None of {several(len(tests), 'A/B test')} could be decided"
    if lost:
        loser = next(iter(lost.values()))
        winner = next(
            row
            for row in rows
            if row["single_send_id"] == loser["single_send_id"] and row["outcome"] == "winner"
        )
        did = "clicked" if loser["criterion"] == "click" else "opened"
        most, least = percent(winner["criterion_share"]), percent(loser["criterion_share"])
        sentence += f"; of “{loser['single_send_name']}” {most} {did} the one and {least} the other"
    looks = {"winner": (draw.MAIN, "circle"), "loser": (draw.ALERT, "diamond")}
    first = {test: next(row for row in rows if row["single_send_id"] == test) for test in shown}
    told = told_apart([
        f"{folded(row['single_send_name'] or '-', 26, 2)}\n{row['criterion']}s, {day(row['sent_at'])}"
        for row in first.values()
    ])  # fmt: skip
    labels = dict(zip(shown, told, strict=True))
    drawn = [
        marked(row | {"label": labels[row["single_send_id"]],
                      "place": rows.index(row) - rows.index(first[row["single_send_id"]])},
               *looks.get(row["outcome"], (draw.WAIT, "square")),
               hollow=row["is_small_sample"] or row["outcome"] == "undecided")
        for row in rows if row["single_send_id"] in labels and row["criterion_share"] is not None
    ]  # fmt: skip
    y = draw.names("label", list(labels.values()))
    base = draw.chart(drawn).encode(yOffset=alt.YOffset("place:O"))  # each variation has a line of its own
    chart = draw.with_intervals(base, y, "criterion_share", "opened or clicked, of those delivered")
    keys = [
        Key("circle", draw.MAIN, "winner"),
        Key("diamond", draw.ALERT, "loser"),
        Key("square", draw.WAIT, "tie, or in between"),
        Key("hollow", draw.REST, "too few to decide"),
    ]
    few = list(dict.fromkeys(row["single_send_name"] for row in rows if row["outcome"] == "undecided"))
    notes = [f"Not decided, too few were delivered: {listed(few)}."] if few else []
    notes += part_of(shown, tests, "test", ", the latest")
    return Drawing(f"{sentence}.", draw.fitted(chart, draw.height(list(labels.values()), 46)), keys, notes)


@figure(
    "contact-groups",
    "E-mail",
    "Groups of contacts",
    "marts.agg_contact_groups",
    select="role, industry, contact_count, contact_share, size_position, is_selected, is_small_group,"
    " is_small_sample, grouped_contact_count, total_contact_count",
    tail="order by contact_count desc, size_position",
    definition="Contacts by the role and industry that they state in SendGrid. The largest become"
    " personas, of nearly one size the first by name; a group under the smallest size never does.",
    job="contact-groups",
)
def contact_groups(rows: Rows) -> Drawing:
    shown = rows[:MOST_CATEGORIES]
    chosen = sum(row["is_selected"] for row in rows)
    top = rows[0]
    largest = f"{plain(top['role'])}, {plain(top['industry'])} with {top['contact_count']:,} contacts"
    become = "become a persona" if chosen == 1 else "become personas"
    sentence = f"{f'{chosen:,}' if chosen else 'None'} of {several(len(rows), 'group')} can {become}"
    sentence += f"; the largest is {largest}."
    labels = told_apart([folded(f"{plain(row['role'])}, {plain(row['industry'])}", 24, 2) for row in shown])
    drawn = [
        row
        | {
            "label": label,
            "colour": draw.MAIN if row["is_selected"] else draw.REST,
            "fill": draw.CARD if row["is_small_sample"] else draw.MAIN if row["is_selected"] else draw.REST,
        }
        for row, label in zip(shown, labels, strict=True)
    ]
    y = draw.names("label", labels)
    base = draw.chart(drawn).encode(
        y=y, x=draw.counts("contact_count", "contacts", max(row["contact_count"] for row in shown))
    )
    bars = base.mark_bar(height=11, strokeWidth=1.5).encode(
        color=draw.colour("colour"),
        fill=draw.filled("fill"),
        stroke=alt.Stroke("colour:N", scale=None, legend=None),
    )
    text = base.mark_text(align="left", dx=5, color=draw.INK).encode(
        text=alt.Text("contact_count:Q", format=",.0f")
    )
    keys = [Key("square", draw.MAIN, "becomes a persona"), Key("square", draw.REST, "does not")]
    notes = [f"{top['grouped_contact_count']:,} of {top['total_contact_count']:,} contacts state both."]
    small = sum(row["is_small_sample"] for row in rows)
    notes += [f"{several(small, 'group has', 'groups have')} few contacts: drawn hollow."] if small else []
    return Drawing(
        sentence,
        draw.fitted(alt.layer(bars, text), draw.height(labels, 20)),
        keys,
        notes + part_of(shown, rows, "group", ", the largest"),
    )


# --- Video -------------------------------------------------------------------------------------------


@figure(
    "viewer-clusters",
    "Video",
    "Viewer clusters",
    "marts.agg_viewer_clusters",
    select="viewer_cluster, viewer_count, viewer_share, mean_watched_share, mean_watched_share_low,"
    " mean_watched_share_high, identified_share, identified_share_low, identified_share_high,"
    " mean_media_count, mobile_share, is_small_sample, rule_position",
    tail="qualify sum(viewer_count) over () > 0 order by viewer_count desc, rule_position",
    definition="A viewer is a browser, and belongs to the first rule that fits: how many videos it"
    " watched, and how much of each. Lines are 95 % intervals.",
    job="viewer-clusters",
    is_wide=True,
)
def viewer_clusters(rows: Rows) -> Drawing:
    enough = [row for row in rows if not row["is_small_sample"]]
    top, sentence = rows[0], "No cluster has enough viewers to be compared."
    if enough:
        largest, keen = enough[0], max(enough, key=lambda row: row["mean_watched_share"])
        watches = f"watch most: {percent(keen['mean_watched_share'])} of a video."
        sentence = f"{plain(largest['viewer_cluster']).capitalize()} are the largest of {len(rows)} clusters,"
        sentence += f" {percent(largest['viewer_share'])} of viewers"
        also = f"; {plain(keen['viewer_cluster'])}, {percent(keen['viewer_share'])}, {watches}"
        sentence += f", and {watches}" if keen is largest else also
    order = [plain(row["viewer_cluster"]) for row in rows]
    drawn = [
        marked(
            row | {"label": plain(row["viewer_cluster"])}, draw.OTHER, "circle", hollow=row["is_small_sample"]
        )
        | {
            "bar": draw.REST if row["is_small_sample"] else draw.MAIN,
            "bar_fill": draw.CARD if row["is_small_sample"] else draw.MAIN,
        }
        for row in rows
    ]
    base = draw.chart(drawn)
    height = 34 * len(rows)
    count = base.encode(
        y=draw.names("label", order), x=draw.counts("viewer_count", "viewers", top["viewer_count"])
    )
    bars = alt.layer(
        count.mark_bar(height=18, strokeWidth=1.5).encode(
            fill=draw.filled("bar_fill"), stroke=alt.Stroke("bar:N", scale=None, legend=None)
        ),
        count.mark_text(align="left", dx=5, color=draw.INK).encode(
            text=alt.Text("viewer_count:Q", format=",.0f")
        ),
    ).properties(width=300, height=height)
    silent = alt.Y("label:N", sort=order, axis=None)
    watched = draw.with_intervals(base, silent, "mean_watched_share", "mean share watched").properties(
        width=205, height=height
    )
    known = draw.with_intervals(
        draw.chart([row | {"shape": "square"} for row in drawn]),
        silent,
        "identified_share",
        "share whose e-mail is known",
    ).properties(width=205, height=height)
    few = [plain(row["viewer_cluster"]) for row in rows if row["is_small_sample"]]
    return Drawing(
        sentence,
        alt.hconcat(bars, watched, known, spacing=36),
        notes=[f"Few viewers, not judged: {listed(few)}."] if few else [],
    )


@figure(
    "drop-offs",
    "Video",
    "Where viewers leave",
    "marts.rpt_most_played_retention",
    select="media_name, position_seconds, retention_share, starting_play_count, drop_off_number,"
    " drop_off_to_seconds, lost_share, is_small_sample, media_id, media_position",
    tail="order by media_position, cell_place",
    definition="Share of plays that are still watching, of the most played videos that lose many at"
    " once. A drop-off loses over ten points within five seconds, and lasts for as long as it goes on so.",
    job="drop-offs",
    is_wide=True,
)
def drop_offs(rows: Rows) -> Drawing:
    medias = list(dict.fromkeys(row["media_id"] for row in rows))
    drops = [row for row in rows if row["drop_off_number"] is not None]
    if sure := [row for row in drops if not row["is_small_sample"]]:
        worst = max(sure, key=lambda row: row["lost_share"])
        sentence = (
            f"“{worst['media_name']}” loses {percent(worst['lost_share'])} of its plays from second"
            f" {worst['position_seconds']:,.0f} to {worst['drop_off_to_seconds']:,.0f}."
        )
    else:
        count = several(len(medias), "most played video")
        sentence = f"None of the {count} loses over ten points within five seconds."

    most = max((sum(row["media_id"] == media for row in drops) for media in medias), default=0)

    def panel(media: str) -> Any:
        mine = [row for row in rows if row["media_id"] == media]
        thinned = [
            row
            for place, row in enumerate(mine)
            if place % max(1, len(mine) // 240) == 0 or row["drop_off_number"]
        ]
        hollow = mine[0]["is_small_sample"]
        colour = draw.REST if hollow else draw.MAIN
        base = draw.chart(thinned).encode(
            x=alt.X(
                "position_seconds:Q",
                axis=alt.Axis(title="second", tickCount=4, grid=False, format=",.0f"),
                scale=alt.Scale(nice=False),
            ),
            y=alt.Y(
                "retention_share:Q",
                axis=alt.Axis(title=None, labelExpr=draw.PERCENT, tickCount=4, grid=True),
                scale=alt.Scale(domainMin=0),
            ),
        )
        layers = [
            base.mark_area(color=colour, opacity=0 if hollow else 0.18),
            base.mark_line(color=colour, strokeWidth=2),
        ]
        here = [row for row in mine if row["drop_off_number"] is not None]
        for place, row in enumerate(here):
            # A flag on a pole of its own, above the curve; each pole ends under the flags before it.
            top = 17 * (place - most) - 4
            mark = draw.chart([row | {"words": f"−{percent(row['lost_share'])}"}])
            span = mark.mark_rect(color=draw.ALERT, opacity=0.25)
            layers.append(span.encode(x="position_seconds:Q", x2="drop_off_to_seconds"))
            pole = mark.mark_rule(color=draw.ALERT, strokeDash=[4, 3], strokeWidth=2)
            layers.append(pole.encode(x="position_seconds:Q", y=alt.value(top), y2=alt.value(150)))
            flag = mark.mark_text(color=draw.INK, fontWeight="bold", align="left", baseline="top", dx=5)
            layers.append(flag.encode(x="position_seconds:Q", text="words:N", y=alt.value(top)))
        title = folded(mine[0]["media_name"] or media, 34, 2).split("\n")
        return alt.layer(*layers).properties(width=240, height=150, title=alt.TitleParams(title))

    few = list(dict.fromkeys(row["media_name"] for row in rows if row["is_small_sample"]))
    keys = [
        Key("line", draw.MAIN, "still watching"),
        Key("dashed", draw.ALERT, "a drop-off begins; what it loses until the shade ends"),
    ]
    return Drawing(
        sentence,
        alt.hconcat(*(panel(media) for media in medias), spacing=24),
        keys,
        [f"Few plays, not judged: {listed(few)}."] if few else [],
        listed=drops,
    )


@figure(
    "calls-to-action",
    "Video",
    "Calls to action",
    "marts.fct_media_action_rates",
    select="media_name, action_type, action_text, placement, action_share, action_share_low,"
    " action_share_high, median_action_share, impression_count, action_count, has_enough_impressions,"
    " is_surely_below_median, media_id",
    tail="where action_share is not null"
    " order by has_enough_impressions desc, action_share_high - median_action_share, media_id, action_type",
    definition="Taken per time shown, with the 95 % interval; the tick is the median of the kind over"
    " videos with enough impressions. Under it means surely under it, among all of them.",
    job="calls-to-action",
)
def calls_to_action(rows: Rows) -> Drawing:
    under = [row for row in rows if row["is_surely_below_median"]]
    measured = sum(row["has_enough_impressions"] for row in rows)
    sentence = "No call to action was shown often enough to be judged"
    if measured:
        count = several(len(under), "call is", "calls are") if under else "No call is"
        sentence = f"{count} surely under the median, of {measured:,} with enough impressions"
    if under:
        sentence += f"; in “{under[0]['media_name']}” {percent(under[0]['action_share'])} follow it"
    shown = rows[:12]
    labels = told_apart(
        [f"{folded(row['media_name'] or row['media_id'], 28, 1)}\n{row['action_type']}" for row in shown]
    )
    drawn = [
        marked(
            row | {"label": label},
            *look(row["is_surely_below_median"]),
            hollow=not row["has_enough_impressions"],
        )
        for row, label in zip(shown, labels, strict=True)
    ]
    y = draw.names("label", labels)
    base = draw.chart(drawn)
    ticks = base.mark_tick(color=draw.INK, thickness=2, height=20).encode(
        x=draw.shares("median_action_share", "taken per time shown"), y=y
    )
    chart = alt.layer(ticks, draw.with_intervals(base, y, "action_share", "taken per time shown"))
    keys = [
        Key("circle", draw.MAIN, "as the others"),
        Key("diamond", draw.ALERT, "surely under the median"),
        Key("hollow", draw.REST, "too few impressions"),
    ]
    few = [row["media_name"] or row["media_id"] for row in rows if not row["has_enough_impressions"]]
    notes = [f"Shown too seldom to be judged: {listed(few)}."] if few else []
    return Drawing(
        f"{sentence}.",
        draw.fitted(chart, draw.height(labels, 30)),
        keys,
        notes + part_of(shown, rows, "call", ", the furthest under their median first" if measured else ""),
    )


@figure(
    "leads",
    "Video",
    "Leads to follow up",
    "marts.agg_lead_cohorts",
    select="cohort, cohort_media_name, cohort_stage, cohort_watched, recent_lead_count, mailable_lead_count,"
    " lead_count, cohort_person_count, is_written, last_viewed_at",
    tail="order by recent_lead_count desc, cohort",
    definition="People with a known address who watched a video nearly whole, of late, by what is true"
    " of enough of them to be written to. A text is for those who may be mailed: their consent is known, and"
    " nothing refuses mail to them. Addresses stay on this machine.",
    fill=LOAD,
    job="viewer-follow-ups",
)
def leads(rows: Rows) -> Drawing:
    def label(row: Row) -> str:
        watched = {"whole": "seen whole", "nearly_whole": "seen nearly whole"}.get(row["cohort_watched"])
        parts = [row["cohort_stage"], row["cohort_media_name"], watched]
        return folded(", ".join(part for part in parts if part) or "too few alike", 34, 2)

    waiting = [
        row
        for row in rows
        if not row["is_written"] and row["mailable_lead_count"] and row["cohort"] != "none"
    ]
    if alike := [row for row in rows if row["cohort"] != "none"]:
        sentence = f"The largest group has {several(alike[0]['recent_lead_count'], 'recent lead')}"
        if alike[0]["mailable_lead_count"] is None:
            sentence += "; who may be mailed is unknown: no consent was read from Klaviyo."
        else:
            sentence += f", {alike[0]['mailable_lead_count']:,} of whom may be mailed"
            sentence += (
                f"; {several(len(waiting), 'group has', 'groups have')} no text."
                if waiting
                else "; every group with leads that may be mailed has its text."
            )
    else:
        sentence = f"{several(rows[0]['recent_lead_count'], 'recent lead')}, too few alike for a text."
    shown = rows[:MOST_CATEGORIES]
    labels = told_apart([label(row) for row in shown])
    drawn = [
        row
        | {
            "label": name,
            "colour": draw.MAIN if row["is_written"] else draw.REST if row["cohort"] == "none" else draw.WAIT,
        }
        for row, name in zip(shown, labels, strict=True)
    ]
    base = draw.chart(drawn).encode(
        y=draw.names("label", labels),
        x=draw.counts("recent_lead_count", "recent leads", rows[0]["recent_lead_count"]),
    )
    bars = base.mark_bar(height=14).encode(color=draw.colour("colour"))
    text = base.mark_text(align="left", dx=5, color=draw.INK).encode(
        text=alt.Text("recent_lead_count:Q", format=",.0f")
    )
    keys = [
        Key("square", draw.MAIN, "has a text"),
        Key("square", draw.WAIT, "has none"),
        Key("square", draw.REST, "too few alike for one"),
    ]
    return Drawing(
        sentence,
        draw.fitted(alt.layer(bars, text), draw.height(labels, 24)),
        keys,
        part_of(shown, rows, "group", ", the largest"),
    )


@figure(
    "brand-voice",
    "Video",
    "The voice of the videos",
    "marts.dim_brand_voices",
    select="voice_label, status, voice_summary, adjectives, dos, donts, preferred_terms,"
    " avoided_terms, media_count, asked_at",
    tail="where is_current or record_key is not null order by is_current desc, asked_at desc limit 1",
    definition="What Mavera made of the transcripts: words to brief a writer with.",
    fill="MAVERA_TRANSCRIPTS_MAY_LEAVE=true, then " + SEND,
    job="brand-voice",
)
def brand_voice(rows: Rows) -> Drawing:
    voice = rows[0]

    def words(column: str) -> str:
        found = json.loads(voice[column] or "[]")
        return "; ".join(str(one).rstrip(".") for one in found) if isinstance(found, list) else str(found)

    parts = [
        ("Sounds", "adjectives"),
        ("Do", "dos"),
        ("Do not", "donts"),
        ("Words to use", "preferred_terms"),
        ("Words to avoid", "avoided_terms"),
    ]
    items = [(name, words(column)) for name, column in parts if words(column)]
    sentence = voice["voice_summary"] or f"Mavera is at work on it ({voice['status'] or 'no state'})."
    made = f"Made from {several(voice['media_count'] or 0, 'transcript')}, of the most played videos."
    return Drawing(sentence, items=items, notes=[made])


# --- Customers ---------------------------------------------------------------------------------------


@figure(
    "clv-churn",
    "Customers",
    "CLV tier and churn risk",
    "marts.agg_customers_by_tier",
    select="clv_tier, churn_band, customer_count, tier_share, tier_share_low, tier_share_high,"
    " currency, mean_predicted_clv, is_small_sample",
    tail="order by case clv_tier when 'top' then 1 when 'middle' then 2 when 'rest' then 3 else 4 end,"
    " case churn_band when 'low' then 1 when 'medium' then 2 when 'high' then 3 else 4 end",
    definition="Customers by predicted value and probability of no further order, as Klaviyo predicts"
    " both. A cell has the customers and their share of the tier; a larger share has a stronger colour.",
    job="clv-tiers",
)
def clv_churn(rows: Rows) -> Drawing:
    tiers, bands = ["top", "middle", "rest"], ["low", "medium", "high"]
    cells = [row for row in rows if row["clv_tier"] in tiers and row["churn_band"] in bands]
    at_risk = next((row for row in cells if row["clv_tier"] == "top" and row["churn_band"] == "high"), None)
    top = [row for row in cells if row["clv_tier"] == "top"]
    if at_risk:
        count = several(at_risk["customer_count"], "customer")
        share = percent(at_risk["tier_share"])
        sentence = f"{count} of the top tier, {share}, will probably not order again."
    elif top:
        sentence = "No customer of the top tier is at high risk of leaving."
    else:
        sentence = "No predictions: Klaviyo needs 500 customers and 180 days of orders."
    drawn = []
    for row in sorted(cells, key=lambda row: row["is_small_sample"]):  # their lines last: on top of all
        step = min(5, int(6 * row["tier_share"]))
        drawn.append(row | {
            "colour": draw.CARD if row["is_small_sample"] else draw.STEPS[step],
            "ink": draw.INK if row["is_small_sample"] else draw.ON_STEPS[step],
            "line": draw.REST if row["is_small_sample"] else draw.CARD,
            "words": f"{row['customer_count']:,} · {percent(row['tier_share'])}",
        })  # fmt: skip
    base = draw.chart(drawn).encode(
        x=alt.X(
            "churn_band:O",
            sort=bands,
            scale=alt.Scale(domain=bands),
            axis=alt.Axis(title="risk of leaving", orient="top", labelAngle=0, labelColor=draw.INK),
        ),
        y=alt.Y(
            "clv_tier:O",
            sort=tiers,
            scale=alt.Scale(domain=tiers),
            axis=alt.Axis(title="predicted value", labelColor=draw.INK),
        ),
    )
    boxes = base.mark_rect(strokeWidth=2).encode(
        color=draw.colour("colour"), stroke=alt.Stroke("line:N", scale=None, legend=None)
    )
    text = base.mark_text(fontSize=13).encode(text="words:N", color=draw.colour("ink"))
    notes = []
    for row in rows:
        if row["clv_tier"] == "no_prediction":
            count = several(row["customer_count"], "customer has", "customers have")
            notes.append(f"{count} no prediction and no place here.")
    few = list(dict.fromkeys(row["clv_tier"] for row in cells if row["is_small_sample"]))
    notes += [f"Few customers, drawn hollow: tier {listed(few)}."] if few else []
    return Drawing(sentence, draw.fitted(alt.layer(boxes, text), 230) if cells else None, notes=notes)


@figure(
    "segments",
    "Customers",
    "Segment overlap",
    "marts.agg_segment_overlaps",
    select="segment_a_name, segment_b_name, jaccard_share, shared_count, member_a_count,"
    " member_b_count, a_in_b_share, b_in_a_share, is_near_duplicate, is_contained, segment_a_id,"
    " segment_b_id",
    tail="order by jaccard_share desc nulls last, segment_a_id, segment_b_id",
    definition="Jaccard index: people in both segments per person in either. From 0.8 on two segments"
    " are nearly the same.",
    job="segment-overlap",
)
def segments(rows: Rows) -> Drawing:
    twins = [row for row in rows if row["is_near_duplicate"]]
    if twins:
        pairs = (f"“{row['segment_a_name']}” and “{row['segment_b_name']}”" for row in twins)
        sentence = f"Nearly the same people: {listed(pairs)}."
    else:
        first = rows[0]
        both = f"“{first['segment_a_name']}” and “{first['segment_b_name']}”"
        sentence = (
            f"No two segments are nearly the same; {both} share most, {first['jaccard_share'] or 0:.2f}."
        )
    members: dict[str, int] = {}
    titles: dict[str, str] = {}
    for row in rows:  # the pairs that share most come first, and so do their segments
        for side in ("a", "b"):
            members.setdefault(row[f"segment_{side}_id"], row[f"member_{side}_count"])
            titles.setdefault(row[f"segment_{side}_id"], row[f"segment_{side}_name"] or "-")
    shown = list(members)[:MOST_SEGMENTS]
    letters = {segment: chr(ord("A") + place) for place, segment in enumerate(shown)}
    labels = {segment: f"{letters[segment]}  {folded(titles[segment], 22, 1)}" for segment in shown}
    drawn = []
    for row in sorted(rows, key=lambda row: bool(row["is_near_duplicate"])):  # as above: a frame lies on top
        pair = sorted((row["segment_a_id"], row["segment_b_id"]), key=list(members).index)
        if all(segment in letters for segment in pair) and row["jaccard_share"] is not None:
            step = min(5, int(6 * row["jaccard_share"]))
            drawn.append({
                "across": letters[pair[0]], "down": labels[pair[1]], "words": f"{row['jaccard_share']:.2f}",
                "colour": draw.STEPS[step], "ink": draw.ON_STEPS[step],
                "line": draw.ALERT if row["is_near_duplicate"] else draw.CARD,
            })  # fmt: skip
    base = draw.chart(drawn).encode(
        x=alt.X(
            "across:O",
            scale=alt.Scale(domain=list(letters.values())[:-1]),
            axis=alt.Axis(title=None, orient="top", labelAngle=0, labelColor=draw.INK),
        ),
        y=alt.Y(
            "down:O",
            scale=alt.Scale(domain=list(labels.values())),
            axis=alt.Axis(title=None, labelColor=draw.INK),
        ),
    )
    boxes = base.mark_rect(strokeWidth=3).encode(
        color=draw.colour("colour"), stroke=alt.Stroke("line:N", scale=None, legend=None)
    )
    text = base.mark_text(fontSize=11).encode(text="words:N", color=draw.colour("ink"))
    notes = part_of(shown, list(members), "segment", ", those that share most")
    within = [
        f"“{row[f'segment_{inner}_name']}” in “{row[f'segment_{outer}_name']}”"
        for row in rows
        if row["is_contained"] and not row["is_near_duplicate"]
        for inner, outer in (["a", "b"] if row["a_in_b_share"] > row["b_in_a_share"] else ["b", "a"],)
    ]
    notes += [f"One within another: {listed(within)}."] if within else []
    keys = [Key("hollow-square", draw.ALERT, "nearly the same")] if twins else []
    return Drawing(sentence, draw.fitted(alt.layer(boxes, text), 40 + 30 * len(shown)), keys, notes)


@figure(
    "products",
    "Customers",
    "Bought together",
    "marts.agg_product_pairs",
    select="product_a_name, product_b_name, lift, lift_low, lift_high, joint_customer_count,"
    " chance_customer_count, a_to_b_share, b_to_a_share, adjusted_p_value, currency, pair_price, is_affinity,"
    " is_offered, judged_pair_count, product_a_id, product_b_id",
    tail="where lift_low > 0 order by is_affinity desc, lift desc, product_a_id, product_b_id",
    definition="Lift: how many more customers bought both within 90 days than chance would have it, where"
    " who buys much buys more of everything. 1 is chance; the line is the 95 % interval of a pair by itself."
    " Many pairs are looked at: of those surely above it, one in twenty may be chance at most.",
    job="product-affinity",
)
def products(rows: Rows) -> Drawing:
    sure = [row for row in rows if row["is_affinity"]]
    if sure:
        best = sure[0]
        both = f"{best['product_a_name']} with {best['product_b_name']}"
        count = several(len(sure), "pair is", "pairs are")
        sentence = (
            f"Strongest: {both}, {best['lift']:.1f} times as often as chance;"
            f" {count} surely above it, of {best['judged_pair_count']:,} looked at."
        )
    else:
        sentence = "No pair is surely bought together more often than chance."
    shown = (sure or rows)[:12]
    labels = told_apart(
        [
            folded(
                f"{row['product_a_name']} + {row['product_b_name']} (n={row['joint_customer_count']:,})",
                34,
                2,
            )
            for row in shown
        ]
    )
    drawn = [
        marked(
            row | {"label": label},
            draw.MAIN if row["is_affinity"] else draw.WAIT,
            "circle",
            hollow=row["joint_customer_count"] < 30,
        )
        for row, label in zip(shown, labels, strict=True)
    ]
    y = draw.names("label", labels)
    scale = alt.Scale(
        type="log", nice=False, padding=8, domainMin=min(0.9, *(row["lift_low"] for row in shown))
    )
    values = [
        value
        for value in (0.25, 0.5, 1, 2, 3, 4, 8, 16)
        if value <= 1.2 * max(row["lift_high"] for row in shown)
    ]
    axis = alt.Axis(title="lift, on a scale of ratios", values=values, format="~g", grid=True)
    base = draw.chart(drawn).encode(y=y)
    line = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("lift_low:Q", scale=scale, axis=axis), x2="lift_high", color=draw.colour("colour")
    )
    mark = base.mark_point(size=80, strokeWidth=2, opacity=1).encode(
        x=alt.X("lift:Q", scale=scale, axis=axis), color=draw.colour("colour"), fill=draw.filled("fill")
    )
    one = (
        draw.chart([{"chance": 1}])
        .mark_rule(color=draw.INK, strokeDash=[4, 3])
        .encode(x=alt.X("chance:Q", scale=scale))
    )
    keys = [Key("dashed", draw.INK, "chance"), Key("hollow", draw.REST, "under 30 joint buyers")]
    few = [
        f"{row['product_a_name']} + {row['product_b_name']}"
        for row in shown
        if row["joint_customer_count"] < 30
    ]
    notes = [f"Few joint buyers, drawn hollow: {listed(few)}."] if few else []
    return Drawing(
        sentence,
        draw.fitted(alt.layer(one, line, mark), draw.height(labels, 24)),
        keys,
        notes + part_of(shown, sure or rows, "pair", " surely above chance, the strongest" if sure else ""),
    )


# --- Campaigns ---------------------------------------------------------------------------------------

CHANNELS: Final = {"email": "e-mail", "sms": "text"}
TRIGGERS: Final = {
    "Metric": "after an action",
    "Added to List": "on joining a list",
    "Date Based": "on a date",
    "Price Drop": "as a price falls",
    "Low Inventory": "as stock runs out",
}


@figure(
    "flow-messages",
    "Campaigns",
    "Flow messages against their peers",
    "marts.fct_flow_messages",
    select="flow_name, message_name, channel, trigger_type, received_count, open_share,"
    " open_share_low, open_share_high, peer_open_share, click_share, click_share_low,"
    " click_share_high, peer_click_share, currency, revenue, net_revenue, is_compared,"
    " is_open_laggard, is_click_laggard, is_laggard, flow_message_id",
    tail="where received_count > 0 order by trigger_type, channel, received_count desc, flow_message_id",
    definition="Opened or clicked, by no machine, per message received in the last 30 days, with the"
    " 95 % interval. The tick is the median of live messages with the same trigger and channel; a message"
    " lags when it is over a fifth, and surely among all that are compared, under it.",
    job="flow-rewrites",
    is_wide=True,
)
def flow_messages(rows: Rows) -> Drawing:
    lagging = [row for row in rows if row["is_laggard"]]
    compared = sum(row["is_compared"] for row in rows)
    sentence = "No message has enough recipients to be compared."
    if lagging:
        names = (f"“{row['message_name'] or row['flow_message_id']}”" for row in lagging)
        sentence = f"Lagging: {listed(names)}."
    elif compared:
        sentence = f"None of {several(compared, 'message')} with enough recipients lags behind its peers."
    shown: Rows = []
    for row in rows:
        if sum(same["trigger_type"] == row["trigger_type"] for same in shown) < MOST_MESSAGES:
            shown.append(row)
    labels = told_apart([
        f"{folded(row['message_name'] or row['flow_message_id'], 38, 1)}\n"
        f"{TRIGGERS.get(row['trigger_type'], 'no trigger')}, {CHANNELS.get(row['channel'], row['channel'])},"
        f" n={row['received_count']:,}"
        for row in shown
    ])  # fmt: skip
    y, silent = draw.names("label", labels), alt.Y("label:N", sort=labels, axis=None)

    def panel(measure: str, title: str, axis: alt.Y, width: int) -> Any:
        late = f"is_{measure}_laggard"
        drawn = [
            marked(row | {"label": label}, *look(row[late]), hollow=not row["is_compared"])
            for row, label in zip(shown, labels, strict=True)
        ]
        base = draw.chart(drawn)
        tick = base.mark_tick(color=draw.INK, thickness=2, height=22).encode(
            x=draw.shares(f"peer_{measure}_share", title), y=axis
        )
        return alt.layer(tick, draw.with_intervals(base, axis, f"{measure}_share", title)).properties(
            width=width, height=36 * len(shown)
        )

    chart = alt.hconcat(
        panel("open", "opened, of those received", y, 310),
        panel("click", "clicked, of those received", silent, 310),
        spacing=36,
    )
    keys = [
        Key("circle", draw.MAIN, "in line"),
        Key("diamond", draw.ALERT, "lags"),
        Key("hollow", draw.REST, "too few to compare"),
        Key("tick", draw.INK, "median of peers"),
    ]
    few = [row["message_name"] or row["flow_message_id"] for row in rows if not row["is_compared"]]
    notes = [f"Too few received, not judged: {listed(few)}."] if few else []
    return Drawing(sentence, chart, keys, notes + part_of(shown, rows, "message"))


@figure(
    "channels",
    "Campaigns",
    "Texts against e-mails",
    "marts.agg_channel_pairs",
    select="campaign_stem, email_clicked_share, email_clicked_share_low, email_clicked_share_high,"
    " email_received_count, sms_clicked_share, sms_clicked_share_low, sms_clicked_share_high,"
    " sms_received_count, click_outcome, conversion_outcome, click_p_value, is_small_sample,"
    " email_sent_at, email_campaign_id",
    tail="order by email_sent_at desc, email_campaign_id",
    definition="Clicked per person who received it, with the 95 % interval, for an e-mail and a text"
    " about the same within 48 hours. Nobody knows a text's opens. Texts go to those who agreed to"
    " them: another audience.",
    job="channel-pairs",
    is_wide=True,
)
def channels(rows: Rows) -> Drawing:
    wins = {channel: sum(row["click_outcome"] == channel for row in rows) for channel in ("sms", "email")}
    pairs = several(len(rows), "pair")
    sentence = f"By clicks, texts surely won {wins['sms']:,} of {pairs} and e-mails {wins['email']:,}"
    sentence += "; the others are ties or undecided." if sum(wins.values()) < len(rows) else "."
    if not sum(wins.values()):
        sentence = f"By clicks, neither texts nor e-mails surely won any of {pairs}."
    verdicts = {"sms": "text wins", "email": "e-mail wins", "tie": "tie", "undecided": "undecided"}
    shown = rows[:12]
    labels = told_apart([
        f"{folded(plain(row['campaign_stem'] or '-'), 38, 1)}\n"
        f"{day(row['email_sent_at'])}, {verdicts[row['click_outcome']]}"
        for row in shown
    ])  # fmt: skip
    drawn = []
    for row, label in zip(shown, labels, strict=True):
        for channel, colour, shape in (("email", draw.MAIN, "circle"), ("sms", draw.OTHER, "square")):
            part = {
                name: row[f"{channel}_{name}"]
                for name in ("clicked_share", "clicked_share_low", "clicked_share_high")
            }
            drawn.append(
                marked(
                    part | {"label": label, "channel": channel}, colour, shape, hollow=row["is_small_sample"]
                )
                | {"colour": colour}
            )
    offset = alt.YOffset("channel:N", sort=["email", "sms"])
    chart = draw.with_intervals(
        draw.chart(drawn).encode(yOffset=offset),
        draw.names("label", labels),
        "clicked_share",
        "clicked per person who received it",
    )
    few = [plain(row["campaign_stem"] or "-") for row in rows if row["is_small_sample"]]
    notes = [f"Few recipients, drawn hollow: {listed(few)}."] if few else []
    keys = [Key("circle", draw.MAIN, "e-mail"), Key("square", draw.OTHER, "text")]
    return Drawing(
        sentence,
        draw.fitted(chart, draw.height(labels, 42), draw.WIDE),
        keys,
        notes + part_of(shown, rows, "pair", ", the latest"),
    )


# --- Mavera ------------------------------------------------------------------------------------------


@figure(
    "answers",
    "Mavera",
    "What the focus groups answered",
    "marts.fct_answer_bands",
    select="question, question_type, band, answer_count, answer_share, response_count, job,"
    " is_small_sample, focus_group_id, question_id",
    tail="order by job, focus_group_id, question_number, band",
    definition="Synthetic respondents, not customers: read it as a hypothesis to test. Bars are"
    " centred on the middle of the scale; of NPS that is 7 and 8, below it 0 to 6, above it 9 and 10."
    " A colour says how high an answer is, not how good.",
    fill=SEND,
    is_wide=True,
)
def answers(rows: Rows) -> Drawing:
    questions = list(dict.fromkeys((row["focus_group_id"], row["question_id"]) for row in rows))

    def of(question: tuple[str, str], *bands: int) -> list[Row]:
        return [
            row
            for row in rows
            if (row["focus_group_id"], row["question_id"]) == question and row["band"] in bands
        ]

    sentence = f"{several(len(questions), 'question was', 'questions were')} answered on a scale"
    if top := [row for row in rows if row["band"] == 2 and not row["is_small_sample"]]:
        best = max(top, key=lambda row: row["answer_share"])
        sentence += f"; most at the top, {percent(best['answer_share'])}, for “{best['question']}”"
    shown = questions[:MOST_CATEGORIES]
    asked = [of(question, -2, -1, 0, 1, 2)[0] for question in shown]
    labels = [
        folded(f"{row['question'] or row['question_id']}\u00a0(n={row['response_count']:,})", 63, 4)
        for row in asked
    ]
    bars: Rows = []
    for number, question in enumerate(shown):
        place = -sum(
            row["answer_share"] * (0.5 if row["band"] == 0 else 1) for row in of(question, -2, -1, 0)
        )
        for row in of(question, -2, -1, 0, 1, 2):
            to = place + row["answer_share"]
            look_of = {"colour": draw.BANDS[row["band"] + 2], "opacity": 0.4 if row["is_small_sample"] else 1}
            bars.append({"question": number, "from": place, "to": to, **look_of})
            place = to
    axis = alt.Axis(
        title="share of answers, to either side of the middle",
        labelExpr=draw.PERCENT.replace("datum.value", "abs(datum.value)"),
        tickCount=6,
        grid=False,
    )
    widest = max(max(-bar["from"], bar["to"]) for bar in bars)
    x: Row = {"axis": axis, "scale": alt.Scale(domain=[-widest, widest], nice=True)}

    def panel(numbers: range) -> Any:
        """Draw each question above its bar: beside it, a phone would show little else."""
        tops, height = {}, 0
        for number in numbers:
            tops[number] = height
            height += draw.LINE * (labels[number].count("\n") + 1) + 32
        y: Row = {"axis": None, "scale": alt.Scale(domain=[0, height], reverse=True, nice=False)}
        ends = {number: (tops.get(number + 1) or height) - 14 for number in numbers}
        asked = [
            {
                "label": labels[number],
                "top": top,
                "middle": 0,
                "from": ends[number] - 17,
                "to": ends[number] + 3,
            }
            for number, top in tops.items()
        ]
        placed = [
            bar | {"top": ends[bar["question"]] - 14, "bottom": ends[bar["question"]]}
            for bar in bars
            if bar["question"] in tops
        ]
        base = draw.chart(asked)
        return alt.layer(
            draw.chart(placed).mark_rect(stroke=draw.CARD, strokeWidth=1).encode(
                x=alt.X("from:Q", **x), x2="to", y=alt.Y("top:Q", **y), y2="bottom",
                color=draw.colour("colour"), opacity=alt.Opacity("opacity:Q", scale=None, legend=None),
            ),
            base.mark_rule(color=draw.INK).encode(x=alt.X("middle:Q", **x), y=alt.Y("from:Q", **y), y2="to"),
            base.mark_text(
                align="left", baseline="top", lineBreak="\n", lineHeight=draw.LINE, color=draw.INK
            ).encode(x=alt.value(0), y=alt.Y("top:Q", **y), text="label:N"),
        ).properties(width=draw.HALF, height=height)  # fmt: skip

    half = (len(shown) + 1) // 2
    halves = [panel(part) for part in (range(half), range(half, len(shown))) if part]
    words = ("lowest: 1, NPS 0 to 6", "2", "middle: 3, NPS 7 and 8", "4", "highest: 5, NPS 9 and 10")
    keys = [Key("square", colour, word) for colour, word in zip(draw.BANDS, words, strict=True)]
    few = list(dict.fromkeys(row["question"] for row in rows if row["is_small_sample"]))
    notes = [f"{several(len(few), 'question has', 'questions have')} few answers: drawn pale."] if few else []
    return Drawing(
        f"{sentence}.",
        alt.hconcat(*halves, spacing=60),
        keys,
        notes + part_of(shown, questions, "question"),
    )


@figure(
    "records",
    "Mavera",
    "Records sent",
    "activation.fct_record_states",
    select="kind, standing, record_key, job, credits, error, is_wanted, is_small_group, last_called_at",
    tail="order by case standing when 'unknown' then 1 when 'failed' then 2 when 'not sent' then 3"
    " when 'waiting' then 4 when 'unwanted' then 5 else 6 end, kind, record_key",
    definition="What the jobs want in Mavera, and how it stands. Not sent is held or not asked for"
    " yet: make plan says which.",
    fill="make transform",
)
def records(rows: Rows) -> Drawing:
    standings = {
        "sent": draw.MAIN,
        "waiting": draw.WAIT,
        "not sent": draw.REST,
        "unwanted": draw.PALE,
        "failed": draw.ALERT,
        "unknown": draw.ALERT,
    }
    counts = {name: sum(row["standing"] == name for row in rows) for name in standings}
    wanted = sum(row["is_wanted"] for row in rows)
    more = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count and name != "sent")
    sentence = f"{counts['sent']:,} of {several(wanted, 'wanted record')} stand in Mavera"
    sentence += f"; {more}." if more else "."
    kinds = list(dict.fromkeys(sorted(row["kind"] for row in rows)))
    drawn = [
        {
            "kind": plain(kind),
            "standing": name,
            "place": place,
            "count": sum(row["kind"] == kind and row["standing"] == name for row in rows),
            "colour": colour,
        }
        for kind in kinds
        for place, (name, colour) in enumerate(standings.items())
    ]
    drawn = [bar for bar in drawn if bar["count"]]
    base = draw.chart(drawn).encode(
        y=draw.names("kind", [plain(kind) for kind in kinds]),
        x=alt.X(
            "count:Q", stack="zero", axis=alt.Axis(title="records", tickCount=5, tickMinStep=1, format=",.0f")
        ),
        order=alt.Order("place:Q"),
    )
    bars = base.mark_bar(height=18, stroke=draw.CARD, strokeWidth=1).encode(color=draw.colour("colour"))
    keys = [
        Key("square", colour, f"{name} {counts[name]:,}")
        for name, colour in standings.items()
        if counts[name]
    ]
    small = sum(row["standing"] == "not sent" and row["is_small_group"] for row in rows)
    notes = [f"Of too few people to be sent yet: {several(small, 'record')}."] if small else []
    return Drawing(sentence, draw.fitted(bars, 50 + 32 * len(kinds)), keys, notes)


@figure(
    "credits",
    "Mavera",
    "Credits of the month",
    "marts.fct_credits_to_date",
    select="month_from, called_on, next_called_on, kind, credits, month_credits, month_total_credits,"
    " getvariable('credit_budget') as credit_budget",
    tail="qualify month_from = max(month_from) over () order by called_on desc, month_credits desc, kind",
    definition="What the calls of a calendar month cost. The dashed line is CREDIT_BUDGET, which a"
    " month never passes.",
    fill=SEND,
)
def spent(rows: Rows) -> Drawing:
    last, budget = rows[0], rows[0]["credit_budget"]
    month = f"{last['month_from']:%B %Y}"
    sentence = f"{last['month_total_credits']:,} credits were spent in {month}"
    sentence += (
        f", of {budget:,} that it may cost." if budget else "; CREDIT_BUDGET is 0, so that nothing more is."
    )
    steps = {row["called_on"]: row for row in rows}
    drawn = [
        {
            "from": called.isoformat(),
            "to": (row["next_called_on"] or called + timedelta(days=1)).isoformat(),
            "total": row["month_total_credits"],
        }
        for called, row in sorted(steps.items())
    ]
    first = last["month_from"]
    after = (first.replace(day=28) + timedelta(days=4)).replace(day=1)
    x = alt.X(
        "from:T",
        scale=alt.Scale(domain=[first.isoformat(), after.isoformat()], nice=False),
        axis=alt.Axis(title=None, format="%-d %b", grid=False, tickCount=5),
    )
    y = alt.Y("total:Q", axis=alt.Axis(title="credits so far", tickCount=4, format=",.0f", grid=True))
    layers = [draw.chart(drawn).mark_rect(color=draw.MAIN).encode(x=x, x2="to:T", y=y, y2=alt.datum(0))]
    if budget:
        layers.append(
            draw.chart([{"total": budget}]).mark_rule(color=draw.INK, strokeDash=[5, 4]).encode(y=y)
        )
    over_time = alt.layer(*layers).properties(width=draw.HALF - 70, height=130)
    now = [row | {"label": plain(row["kind"])} for row in rows if row["called_on"] == last["called_on"]]
    kinds = draw.chart(now).encode(
        y=draw.names("label", [row["label"] for row in now]),
        x=draw.counts("month_credits", "of these", now[0]["month_credits"]),
    )
    bars = alt.layer(
        kinds.mark_bar(height=12, color=draw.MAIN),
        kinds.mark_text(align="left", dx=5, color=draw.INK).encode(
            text=alt.Text("month_credits:Q", format=",.0f")
        ),
    ).properties(width=draw.HALF - 150, height=24 * len(now))
    keys = [
        Key("square", draw.MAIN, "spent"),
        *([Key("dashed", draw.INK, f"budget {budget:,}")] if budget else []),
    ]
    return Drawing(sentence, alt.vconcat(over_time, bars, spacing=20), keys)


@figure(
    "jobs",
    "Mavera",
    "What each job found and got back",
    "marts.rpt_job_results",
    select="job, finding, is_enabled, standing_count, waiting_count, credits, persona_count, analysis_count,"
    " brand_voice_count, respondent_answer_count, text_count, last_called_at",
    tail="order by job_number",
    definition="One line per job of dbt_project.yml: what its models found, the records that stand in"
    " Mavera, their credits.",
    fill=SEND,
    is_wide=True,
)
def jobs(rows: Rows) -> Drawing:
    standing = sum(row["standing_count"] > 0 for row in rows)
    silent = [row["job"] for row in rows if row["is_enabled"] and not row["standing_count"]]
    sentence = (
        f"{several(standing, 'job')} of {len(rows)} {'has' if standing == 1 else 'have'} something in Mavera."
    )
    items = []
    for row in rows:
        sent = f"{several(row['standing_count'], 'record')}, {several(row['credits'], 'credit')}"
        found = row["finding"] or "nothing to look at yet"
        items.append((row["job"], f"{found} · {sent if row['is_enabled'] else 'off'}"))
    return Drawing(sentence, items=items, notes=[f"Nothing sent for {listed(silent)}."] if silent else [])


# --- Data --------------------------------------------------------------------------------------------


@figure(
    "freshness",
    "Data",
    "How fresh the data are",
    "marts.fct_source_freshness",
    select="vendor, resource, hours_old, limit_hours, is_late, newest_row_at, last_loaded_at,"
    " last_outcome, new_row_count, changed_row_count, late_row_count, world, measured_at",
    tail="order by hours_old desc nulls last, vendor, resource",
    definition="Hours from the newest row to the last load of anything; the tick is the limit."
    " Statistics by day carry midnight.",
)
def freshness(rows: Rows) -> Drawing:
    late = [f"{row['vendor']} {plain(row['resource'])}" for row in rows if row["is_late"]]
    aged = [row for row in rows if row["hours_old"] is not None]
    names = told_apart([f"{row['vendor']} {plain(row['resource'])}" for row in aged])
    if late:
        sentence = f"Late: {listed(late)}."
    elif aged:
        oldest = f"{names[0]}, whose newest row is {aged[0]['hours_old']:,.0f} hours old"
        sentence = f"Every source is within its limit; the slowest is {oldest}."
    else:
        sentence = "No source has brought a row yet."
    drawn = [
        row
        | {
            "label": name,
            "age": max(0, row["hours_old"]),
            "colour": draw.ALERT if row["is_late"] else draw.MAIN,
        }
        for row, name in zip(aged, names, strict=True)
    ]
    base = draw.chart(drawn).encode(y=draw.names("label", names))
    axis = alt.Axis(title="hours", tickCount=5, format=",.0f")
    bars = base.mark_bar(height=12).encode(x=alt.X("age:Q", axis=axis), color=draw.colour("colour"))
    ticks = base.mark_tick(color=draw.INK, thickness=2, height=20).encode(x=alt.X("limit_hours:Q", axis=axis))
    keys = [
        Key("square", draw.MAIN, "within the limit"),
        Key("square", draw.ALERT, "late"),
        Key("tick", draw.INK, "limit"),
    ]
    silent = [f"{row['vendor']} {plain(row['resource'])}" for row in rows if row["hours_old"] is None]
    notes = [f"No rows yet: {listed(silent)}."] if silent else []
    behind = [
        f"{row['vendor']} {plain(row['resource'])} {row['late_row_count']:,}"
        for row in rows
        if row["late_row_count"]
    ]
    notes += [f"Rows that came later than newer ones, and were taken: {listed(behind)}."] if behind else []
    return Drawing(
        sentence,
        draw.fitted(alt.layer(bars, ticks), draw.height(names, 24)) if drawn else None,
        keys if drawn else [],
        notes,
    )


@figure(
    "set-aside",
    "Data",
    "What could not be read",
    "marts.fct_quarantined_rows",
    select="vendor, table_name, field, reason, row_count, total_count",
    tail="order by row_count desc, vendor, table_name, field, reason",
    definition="Values that cannot be, such as NaN or the year 9999, are null; rows without a readable key"
    " are left out. Both are counted by table, field and reason.",
)
def set_aside(rows: Rows) -> Drawing:
    tables: dict[str, list[Any]] = {}
    for row in rows:
        if row["row_count"]:
            tables.setdefault(f"{row['vendor']} {plain(row['table_name'])}", []).append(row)
    total = sum(row["row_count"] for row in rows)
    sentence = (
        f"{several(total, 'value or row', 'values and rows')} of {several(len(tables), 'table')}"
        " could not be read and count nowhere."
        if tables
        else "Everything that the vendors served could be read."
    )
    items = [
        (name, ", ".join(f"{row['reason']} {row['row_count']:,}" for row in reasons))
        for name, reasons in tables.items()
    ]
    return Drawing(sentence, items=items)


@figure(
    "reconciliation",
    "Data",
    "What the vendors count themselves",
    "marts.fct_reconciliation",
    select="vendor, subject_kind, subject_name, measure, period, currency, verdict, ours, theirs, difference,"
    " tolerance, tolerance_reason, not_compared_reason, message, is_total, measured_on, subject_id",
    tail="order by verdict = 'outside' desc, is_total desc, verdict = 'within' desc,"
    " vendor, subject_kind, measure, subject_id, period",
    definition="Each number that a vendor tells as well, counted by the vendor's own definition: machines'"
    " opens and clicks included, all currencies added as they stand.",
)
def reconciliation(rows: Rows) -> Drawing:
    single = [row for row in rows if not row["is_total"]]
    agree = sum(row["verdict"] == "within" for row in single)
    differ = [row for row in rows if row["verdict"] == "outside"]
    count = sum(not row["is_total"] for row in differ)
    if differ:
        sentence = (
            f"{several(agree, 'number agrees', 'numbers agree')} with the vendors' own,"
            f" {count:,} {'does' if count == 1 else 'do'} not: {differ[0]['message']}."
        )
    elif agree:
        sentence = f"All {several(agree, 'number')} that the vendors tell as well agree with theirs."
    else:
        sentence = "No number is compared with a vendor's own yet."
    kinds: dict[str, list[Any]] = {}
    for row in single:
        kind = f"{row['vendor']} {plain(row['subject_kind'])}, {plain(row['measure'])}"
        kinds.setdefault(kind, []).append(row["verdict"])
    items = [
        (
            kind,
            ", ".join(
                f"{verdicts.count(verdict):,} {verdict}"
                for verdict in ("within", "outside", "not compared")
                if verdict in verdicts
            ),
        )
        for kind, verdicts in sorted(kinds.items())
    ]
    why = sorted({row["not_compared_reason"] for row in single if row["not_compared_reason"]})
    notes = [f"Not compared: {'; '.join(why)}."] if why else []
    return Drawing(sentence, notes=notes, items=items)


@figure(
    "runs",
    "Data",
    "Runs",
    "marts.fct_runs",
    select="step, outcome, started_at, duration_seconds, row_count, request_count, wait_count,"
    " credits, scope, detail, run_id",
    tail="order by started_at desc, run_id limit 200",
    definition="The latest runs of each step and how long they took. A build is not in its own report:"
    " it ends after it.",
)
def runs(rows: Rows) -> Drawing:
    unwell = [row for row in rows if row["outcome"] != "well"]
    sentence = f"{len(rows) - len(unwell):,} of the latest {several(len(rows), 'run')} ended well"
    sentence += (
        f"; {unwell[0]['step']} {unwell[0]['outcome']} on {day(unwell[0]['started_at'])}." if unwell else "."
    )
    shown = [row for row in rows if row["duration_seconds"] is not None][:MOST_CATEGORIES]
    labels = told_apart(
        [f"{row['step']}, {day(row['started_at'])} {row['started_at']:%H:%M:%S}" for row in shown]
    )
    drawn = [
        row | {"label": label, "colour": draw.MAIN if row["outcome"] == "well" else draw.ALERT}
        for row, label in zip(shown, labels, strict=True)
    ]
    most = max((row["duration_seconds"] for row in shown), default=1)
    base = draw.chart(drawn).encode(
        y=draw.names("label", labels), x=draw.counts("duration_seconds", "seconds", most)
    )
    bars = base.mark_bar(height=12).encode(color=draw.colour("colour"))
    text = base.mark_text(align="left", dx=5, color=draw.INK).encode(
        text=alt.Text("duration_seconds:Q", format=",.0f")
    )
    chart = draw.fitted(alt.layer(bars, text), draw.height(labels, 20)) if shown else None
    keys = [Key("square", draw.MAIN, "ended well"), Key("square", draw.ALERT, "did not")]
    return Drawing(sentence, chart, keys if shown else [], part_of(shown, rows, "run"))
