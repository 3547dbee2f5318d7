"""E-mail: opens, devices, A/B tests and groups of contacts."""

from typing import Final

import altair as alt

from report import drawing as draw
from report.figures import Drawing, Feeds, Key, Row, Rows, Section, grouped
from report.words import day, folded, interval, note, part_of, percent, plain, several, told_apart

MOST_GROUPS = 12
MOST_TESTS = 8
SECTION: Final = Section("E-mail", feeds=("marts.rpt_email",), vendor="sendgrid")


@SECTION.figure(
    "opens-by-day",
    "Opens and clicks by day",
    "marts.fct_engagement_daily",
    select="happened_on, delivered_count, daily_unique_open_count, mean_daily_unique_open_count,"
    " daily_unique_click_count, mean_daily_unique_click_count",
    tail="order by happened_on desc limit 90",
    definition="Messages opened or clicked on a day, whenever they were delivered. These are counts, not"
    " rates. Dots are days; the line is the seven-day mean. Apple Mail opens some messages by itself.",
)
def opens_by_day(rows: Rows, feeds: Feeds) -> Drawing:
    opened, clicked = "daily_unique_open_count", "daily_unique_click_count"
    now, (facts,) = rows[0], feeds["rpt_email"]
    if now[f"mean_{opened}"] is None:
        sentence = (
            f"SendGrid has reported {several(facts['mail_day_count'], 'day')} so far; the mean needs seven."
        )
    else:
        opens, clicks = facts["mean_open_count_before"], facts["mean_click_count_before"]
        before = "" if opens is None else f"; {opens:,.0f} and {clicks:,.0f} in the seven days before"
        sentence = (
            f"In the last seven days, {now[f'mean_{opened}']:,.0f} messages a day were opened and"
            f" {now[f'mean_{clicked}']:,.0f} clicked{before}."
        )
    days = [row["happened_on"].isoformat() for row in rows]
    drawn = [row | {"day": at} for row, at in zip(rows, days, strict=True)]
    parts = [(opened, draw.MAIN, "Opened"), (clicked, draw.OTHER, "Clicked")]
    chart = alt.vconcat(
        *(
            draw.days_and_mean(
                [row | {"tip": f"{day(row['happened_on'])}: {row[count]:,}"} for row in drawn],
                count,
                color,
                title,
            )
            for count, color, title in parts
        ),
        spacing=14,
    )
    return Drawing(sentence, chart, notes=[f"{day(now['happened_on'])} may not be complete yet."])


# Colors of SG-1's personas: mobile first, desktop focused, hybrid.
DEVICES: Final = {
    "Phone": (draw.MAIN, "var(--on-main)"),
    "Tablet": (draw.SOFT, "var(--on-soft)"),
    "Desktop": (draw.OTHER, "var(--on-main)"),
    "Webmail": (draw.REST, "var(--on-main)"),
    "Other": (draw.PALE, "var(--on-soft)"),
}
UNNAMED: Final = (draw.PALE, "var(--on-soft)")
CHANGES: Final = {
    "more": ", significantly more than the",
    "less": ", significantly less than the",
    "unclear": ", no significant change from",
}


@SECTION.figure(
    "devices",
    "Opens by device",
    "marts.rpt_opens_by_device",
    select="week_from, device_class, unique_open_share, unique_open_share_low, unique_open_share_high,"
    " summed_daily_unique_open_count, total_count, day_count, is_small_sample, is_first_week, is_last_week",
    tail="order by week_from, device_class",
    unlisted="is_first_week is_last_week",
    definition="Share of a week's opens over the whole account: SendGrid does not report the device of a"
    " person or a single send. Webmail is read in a browser, on any device.",
    job="device-geography",
)
def devices(rows: Rows, feeds: Feeds) -> Drawing:
    (facts,) = feeds["rpt_email"]
    order = [*DEVICES, *sorted({row["device_class"] for row in rows if row["device_class"] not in DEVICES})]
    places = {name: place for place, name in enumerate(order)}
    drawn = [
        row
        | {
            "unique_open_share": row["unique_open_share"] or 0,
            "week": day(row["week_from"]),
            "place": places[row["device_class"]],
            "color": DEVICES.get(row["device_class"], UNNAMED)[0],
            "ink": DEVICES.get(row["device_class"], UNNAMED)[1],
            "words": percent(row["unique_open_share"] or 0)
            if row["is_first_week"] or row["is_last_week"]
            else "",
            "opacity": 0.4 if row["is_small_sample"] else 1,
            "tip": f"{row['device_class']}, week of {day(row['week_from'])}:"
            f" {percent(row['unique_open_share'] or 0)} of {row['total_count']:,} opens",
        }
        for row in rows
    ]
    weeks = list(dict.fromkeys(row["week"] for row in drawn))
    few = dict.fromkeys(day(row["week_from"]) for row in rows if row["is_small_sample"])
    notes = note("Too few opens to compare (drawn pale): week of", few)
    if facts["is_last_week_partial"]:
        days = several(facts["last_week_day_count"], "day")
        notes.append(f"The week of {day(facts['last_week_from'])} has {days} so far.")
    found = {row["device_class"] for row in rows}
    keys = [Key("square", color, name) for name, (color, _) in DEVICES.items() if name in found]
    return Drawing(_leading_device(facts), draw.stacked(drawn, weeks), keys, notes)


def _leading_device(facts: Row) -> str:
    leading = f"{facts['leading_device_class']} leads with {percent(facts['leading_share'])} of opens"
    change = ""
    if facts["leading_change"]:
        change = (
            f"{CHANGES[facts['leading_change']]} {percent(facts['leading_share_before'])}"
            f" in the week of {day(facts['first_week_from'])}"
        )
    return f"{leading} in the week of {day(facts['last_week_from'])}{change}."


@SECTION.figure(
    "ab-tests",
    "A/B tests",
    "marts.fct_ab_tests",
    select="single_send_name, outcome, criterion, criterion_share, criterion_share_low, criterion_share_high,"
    " delivered_count, p_value, words, is_sent_to_rest, is_small_sample, sent_at, single_send_id",
    tail="order by sent_at desc, single_send_id, criterion_share desc",
    definition="Share of messages in the test phase that were opened (or clicked, where clicks decided),"
    " with the 95% interval. The best and the worst variation are a winner and a loser only if their"
    " difference is significant.",
    job="ab-tests",
)
def ab_tests(rows: Rows, feeds: Feeds) -> Drawing:
    tests = list(grouped(rows, "single_send_id").values())
    shown = tests[:MOST_TESTS]
    labels = told_apart([
        f"{folded(first['single_send_name'] or '-', 26, 2)}\n{first['criterion']}s, {day(first['sent_at'])}"
        for first, *_ in shown
    ])  # fmt: skip
    looks = {"winner": (draw.MAIN, "circle"), "loser": (draw.ALERT, "diamond")}
    drawn = [
        draw.marked(row | {"label": label, "place": place, "tip": f"{row['words'] or row['outcome']}:"
                           f" {interval(row, 'criterion_share')} of {row['delivered_count']:,} delivered"},
                    *looks.get(row["outcome"], (draw.WAIT, "square")),
                    hollow=row["is_small_sample"] or row["outcome"] == "undecided")
        for test, label in zip(shown, labels, strict=True)
        for place, row in enumerate(test) if row["criterion_share"] is not None
    ]  # fmt: skip
    base = draw.chart(drawn).encode(yOffset=alt.YOffset("place:O"))  # each variation has a line of its own
    chart = draw.with_intervals(
        base, draw.names("label", labels), "criterion_share", "share of delivered messages opened or clicked"
    )
    keys = [
        Key("circle", draw.MAIN, "winner"),
        Key("diamond", draw.ALERT, "loser"),
        Key("square", draw.WAIT, "tie or in between"),
        Key("hollow", draw.REST, "too few messages to decide"),
    ]
    few = dict.fromkeys(row["single_send_name"] for row in rows if row["outcome"] == "undecided")
    notes = note("Undecided because too few messages were delivered:", few)
    return Drawing(
        _lost_tests(rows, feeds["rpt_email"][0]),
        draw.fitted(chart, draw.height(labels, 46)),
        keys,
        [*notes, *part_of(shown, tests, "test", ", the latest")],
    )


def _lost_tests(rows: Rows, facts: Row) -> str:
    tests, lost = several(facts["ab_test_count"], "A/B test"), facts["lost_ab_test_count"]
    if not facts["decided_ab_test_count"]:
        return f"None of {tests} could be decided."
    count = f"{lost:,} of {tests} {'has' if lost == 1 else 'have'} a loser"
    loser = next((row for row in rows if row["outcome"] == "loser"), None)
    if not loser:
        return f"{count}."
    (winner,) = (
        row for row in rows if (row["single_send_id"], row["outcome"]) == (loser["single_send_id"], "winner")
    )
    did = "clicked" if loser["criterion"] == "click" else "opened"
    most, least = percent(winner["criterion_share"]), percent(loser["criterion_share"])
    return f"{count}. In “{loser['single_send_name']}”, {most} {did} the winner and {least} the loser."


@SECTION.figure(
    "contact-groups",
    "Groups of contacts",
    "marts.agg_contact_groups",
    select="role, industry, contact_count, contact_share, size_position, is_selected, is_small_group,"
    " is_small_sample, grouped_contact_count, total_contact_count",
    tail="order by contact_count desc, size_position",
    definition="Contacts by role and industry, as SendGrid has them. The largest groups become personas; of"
    " groups of nearly equal size, the first by name. Groups below the smallest size never do.",
    job="contact-groups",
)
def contact_groups(rows: Rows, feeds: Feeds) -> Drawing:
    shown = rows[:MOST_GROUPS]
    top, (facts,) = rows[0], feeds["rpt_email"]
    chosen, small = facts["selected_contact_group_count"], facts["small_contact_group_count"]
    sentence = (
        f"{f'{chosen:,}' if chosen else 'None'} of {several(facts['contact_group_count'], 'group')} can"
        f" {'become personas' if chosen and chosen != 1 else 'become a persona'}; the largest is"
        f" {plain(top['role'])}, {plain(top['industry'])} with {top['contact_count']:,} contacts."
    )
    labels = told_apart([folded(f"{plain(row['role'])}, {plain(row['industry'])}", 24, 2) for row in shown])
    drawn = [
        row
        | {
            "label": label,
            "color": draw.MAIN if row["is_selected"] else draw.REST,
            "fill": draw.CARD if row["is_small_sample"] else draw.MAIN if row["is_selected"] else draw.REST,
            "tip": f"{plain(row['role'])}, {plain(row['industry'])}:"
            f" {several(row['contact_count'], 'contact')}, {percent(row['contact_share'])} of all with both",
        }
        for row, label in zip(shown, labels, strict=True)
    ]
    base = draw.chart(drawn).encode(
        y=draw.names("label", labels), x=draw.counts("contact_count", "contacts", shown)
    )
    bars = base.mark_bar(height=11, strokeWidth=1.5).encode(
        color=draw.color("color"), fill=draw.filled("fill"), stroke=draw.outlined("color")
    )
    chart = draw.bars_with_numbers(base, bars, "contact_count")
    keys = [Key("square", draw.MAIN, "becomes a persona"), Key("square", draw.REST, "does not")]
    few = f"Too few contacts to compare (drawn hollow): {several(small, 'group')}."
    notes = [
        f"{top['grouped_contact_count']:,} of {top['total_contact_count']:,} contacts have both.",
        *([few] if small else []),
        *part_of(shown, rows, "group", ", the largest"),
    ]
    return Drawing(sentence, draw.fitted(chart, draw.height(labels, 20)), keys, notes)
