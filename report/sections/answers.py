"""Answers: a card per job that Mavera answered (`report.answers`), and whether they helped."""

from typing import Final

import altair as alt

from report import answers
from report import drawing as draw
from report.figures import Drawing, Feeds, Key, Row, Rows, Section
from report.words import day, folded, part_of, percent, several, told_apart

MOST_EXPERIMENTS: Final = 6  # as many as fit a page of paper
SECTION: Final = Section(
    "Answers",
    feeds=(
        "marts.rpt_answers order by job_number, kind_place, place",
        "marts.rpt_job_results",
        "marts.rpt_answer_questions order by record_id, question_number, persona_name nulls first",
        "marts.rpt_answer_variations order by record_id, outcome desc, variation_id",
        "marts.rpt_answer_curves order by record_id, position_seconds",
        "marts.rpt_experiments",
    ),
)
MEASURES: Final = {
    "opened": "opened",
    "clicked": "clicked",
    "watched": "share watched",
    "none": "not measured",
}


@SECTION.figure(
    "experiments",
    "Did it help?",
    "marts.fct_experiments",
    select="title, job, record_id, measure, outcome, before_share, before_share_low, before_share_high,"
    " before_count, after_share, after_share_low, after_share_high, after_count, aim_share, known_by, note,"
    " said, length_change_seconds, window_days, put_in_at",
    tail="order by put_in_at desc, record_id, measure",
    definition="Before and after something was put in place, with 95% intervals. Only three things show that:"
    " a later edit in Klaviyo, a later change in Wistia, or a line that somebody wrote into the seed. This"
    " compares and proves no cause: season and audience may have changed as well.",
    fill="put a text or an edit in place, or write a line into dbt_project/seeds/put_in.csv",
    is_wide=True,
)
def experiments(rows: Rows, feeds: Feeds) -> Drawing:
    measured = [row for row in rows if row["measure"] != "none"]
    shown = measured[:MOST_EXPERIMENTS]
    items = [(_named(row), _told(row)) for row in rows[:MOST_EXPERIMENTS]]
    sentence = _helped(feeds["rpt_experiments"][0])
    if not shown:
        return Drawing(sentence, items=items)
    labels = told_apart([f"{_named(row)}, {MEASURES[row['measure']]}\n{row['outcome']}" for row in shown])
    drawn = []
    for row, label in zip(shown, labels, strict=True):
        hollow = row["outcome"] == "too early"
        for part, color, shape in (("before", draw.SOFT, "circle"), ("after", draw.MAIN, "square")):
            values = {f"share{end}": row[f"{part}_share{end}"] for end in ("", "_low", "_high")}
            tip = f"{part}: {_rate(values['share'])} of {row[f'{part}_count']:,}"
            place = {"label": label, "part": part, "aim_share": row["aim_share"], "tip": tip}
            drawn.append(draw.marked(values | place, color, shape, hollow=hollow) | {"color": color})
    y = draw.names("label", labels)
    base = draw.chart(drawn)
    ticks = base.mark_tick(color=draw.INK, thickness=2, height=30).encode(
        x=draw.shares("aim_share", "share"), y=y
    )
    marks = draw.with_intervals(
        base.encode(yOffset=alt.YOffset("part:N", sort=["before", "after"])), y, "share", "share"
    )
    keys = [
        Key("circle", draw.SOFT, "before"),
        Key("square", draw.MAIN, "after"),
        Key("tick", draw.INK, "median of comparable messages"),
    ]
    chart = draw.fitted(alt.layer(ticks, marks), draw.height(labels, 46), draw.WIDE)
    return Drawing(sentence, chart, keys, part_of(shown, measured, "comparison", ", the latest"), items)


def _named(row: Row) -> str:
    title: str = row["title"] or answers.TITLES.get(row["job"]) or row["record_id"]
    return folded(title, 40, 1)


def _told(row: Row) -> str:
    said = f"Mavera said: {row['said']}. " if row["said"] else ""
    note = f"Noted: {row['note']}. " if row["note"] else ""
    length = ""
    if row["length_change_seconds"]:
        length = f" The video's length changed by {row['length_change_seconds']:+,.0f} seconds."
    measured = "Nothing is measured for it."
    if row["measure"] != "none":
        before, after = _rate(row["before_share"]), _rate(row["after_share"])
        counts = f"{row['before_count']:,} before, {row['after_count']:,} after"
        rates = f"{MEASURES[row['measure']].capitalize()}: {before}, then {after}"
        measured = f"{rates} ({counts}): {row['outcome']}."
    return f"{said}{note}{measured}{length} Put in on {day(row['put_in_at'])}, {row['known_by']}."


def _rate(share: float | None) -> str:
    return "nothing yet" if share is None else percent(share)


def _helped(facts: Row) -> str:
    if not facts["compared_count"]:
        put_in = several(facts["put_in_count"], "thing was", "things were")
        return f"{put_in} put in place; nothing can be compared yet."
    return (
        f"Of {several(facts['compared_count'], 'comparison')} with enough people,"
        f" {facts['better_count']:,} came out significantly better, {facts['worse_count']:,} worse,"
        f" {facts['same_count']:,} without a difference."
    )
