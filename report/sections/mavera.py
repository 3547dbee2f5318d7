"""Mavera: what the focus groups answered, records sent, credits, and each job's results."""

from typing import Final

import altair as alt

from report import drawing as draw
from report.figures import SEND, Drawing, Feeds, Key, Row, Rows, Section, grouped
from report.words import folded, listed, part_of, percent, plain, several

MOST_QUESTIONS = 20
SECTION: Final = Section(
    "Mavera",
    feeds=(
        "marts.rpt_mavera",
        "marts.rpt_answer_bars order by focus_group_id, question_id, band",
        "activation.rpt_records order by kind, standing",
    ),
)


@SECTION.figure(
    "answers",
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
def answers(rows: Rows, feeds: Feeds) -> Drawing:
    questions = grouped(rows, "focus_group_id", "question_id")
    shown = list(questions)[:MOST_QUESTIONS]
    asked = [questions[question][0] for question in shown]
    labels = [
        folded(f"{row['question'] or row['question_id']}\u00a0(n={row['response_count']:,})", 63, 4)
        for row in asked
    ]
    colours = dict(zip((-2, -1, 0, 1, 2), draw.BANDS, strict=True))
    bars = grouped(feeds["rpt_answer_bars"], "focus_group_id", "question_id")
    drawn = [
        bar
        | {
            "question": number,
            "colour": colours[bar["band"]],
            "opacity": 0.4 if bar["is_small_sample"] else 1,
        }
        for number, question in enumerate(shown)
        for bar in bars[question]
    ]
    (facts,) = feeds["rpt_mavera"]
    small = several(facts["small_question_count"], "question has", "questions have")
    words = ("lowest: 1, NPS 0 to 6", "2", "middle: 3, NPS 7 and 8", "4", "highest: 5, NPS 9 and 10")
    return Drawing(
        _highest(facts),
        draw.diverging(labels, drawn),
        [Key("square", colour, word) for colour, word in zip(draw.BANDS, words, strict=True)],
        [
            *([f"{small} few answers: drawn pale."] if facts["small_question_count"] else []),
            *part_of(shown, list(questions), "question"),
        ],
    )


def _highest(facts: Row) -> str:
    answered = several(facts["question_count"], "question was", "questions were")
    most = ""
    if facts["highest_answer_share"] is not None:
        share = percent(facts["highest_answer_share"])
        most = f"; most at the top, {share}, for “{facts['highest_question']}”"
    return f"{answered} answered on a scale{most}."


STANDINGS: Final = {
    "sent": draw.MAIN,
    "waiting": draw.WAIT,
    "not sent": draw.REST,
    "unwanted": draw.PALE,
    "failed": draw.ALERT,
    "unknown": draw.ALERT,
}


@SECTION.figure(
    "records",
    "Records sent",
    "activation.fct_record_states",
    select="kind, standing, record_key, job, credits, error, is_wanted, is_small_group, last_called_at",
    tail="order by case standing when 'unknown' then 1 when 'failed' then 2 when 'not sent' then 3"
    " when 'waiting' then 4 when 'unwanted' then 5 else 6 end, kind, record_key",
    definition="What the jobs want in Mavera, and how it stands. Not sent is held or not asked for"
    " yet: make plan says which.",
    fill="make transform",
)
def records(_: Rows, feeds: Feeds) -> Drawing:
    counted = feeds["rpt_records"]
    found = {row["standing"]: row["standing_count"] for row in counted}
    counts = {name: found[name] for name in STANDINGS if name in found}
    more = ", ".join(f"{count:,} {name}" for name, count in counts.items() if name != "sent")
    sent = f"{counts.get('sent', 0):,} of {several(counted[0]['all_wanted_count'], 'wanted record')}"
    sentence = f"{sent} stand in Mavera{f'; {more}' if more else ''}."
    kinds = list(dict.fromkeys(plain(row["kind"]) for row in counted))
    places = {name: place for place, name in enumerate(STANDINGS)}
    drawn = [
        {
            "kind": plain(row["kind"]),
            "standing": row["standing"],
            "place": places[row["standing"]],
            "count": row["record_count"],
            "colour": STANDINGS[row["standing"]],
        }
        for row in sorted(counted, key=lambda row: (row["kind"], places[row["standing"]]))
    ]
    axis = alt.Axis(title="records", tickCount=5, tickMinStep=1, format=",.0f")
    base = draw.chart(drawn).encode(
        y=draw.names("kind", kinds), x=alt.X("count:Q", stack="zero", axis=axis), order=alt.Order("place:Q")
    )
    bars = base.mark_bar(height=18, stroke=draw.CARD, strokeWidth=1).encode(color=draw.colour("colour"))
    keys = [Key("square", STANDINGS[name], f"{name} {count:,}") for name, count in counts.items()]
    small = counted[0]["all_small_group_count"]
    notes = [f"Of too few people to be sent yet: {several(small, 'record')}."] if small else []
    return Drawing(sentence, draw.fitted(bars, draw.tall(kinds, 32, 50)), keys, notes)


@SECTION.figure(
    "credits",
    "Credits of the month",
    "marts.rpt_credits",
    select="month_from, called_on, next_called_on, kind, credits, month_credits, month_total_credits,"
    " getvariable('credit_budget') as credit_budget, drawn_to, month_to, is_last_day",
    tail="order by called_on desc, month_credits desc, kind",
    unlisted="drawn_to month_to is_last_day",
    definition="What the calls of a calendar month cost. The dashed line is CREDIT_BUDGET, which a"
    " month never passes.",
    fill=SEND,
)
def spent(rows: Rows, _: Feeds) -> Drawing:
    last, budget = rows[0], rows[0]["credit_budget"]
    of_budget = (
        f", of {budget:,} that it may cost" if budget else "; CREDIT_BUDGET is 0, so that nothing more is"
    )
    sentence = f"{last['month_total_credits']:,} credits were spent in {last['month_from']:%B %Y}{of_budget}."
    days = grouped(list(reversed(rows)), "called_on")
    over_time = draw.credits_over_time([same[0] for same in days.values()], budget)
    now = [row | {"label": plain(row["kind"])} for row in rows if row["is_last_day"]]
    kinds = draw.chart(now).encode(
        y=draw.names("label", [row["label"] for row in now]),
        x=draw.counts("month_credits", "of these", now),
    )
    by_kind = draw.bars_with_numbers(kinds, kinds.mark_bar(height=12, color=draw.MAIN), "month_credits")
    bars = by_kind.properties(width=draw.BESIDE_NAMES, height=draw.tall(now, 24))
    keys = [
        Key("square", draw.MAIN, "spent"),
        *([Key("dashed", draw.INK, f"budget {budget:,}")] if budget else []),
    ]
    return Drawing(sentence, alt.vconcat(over_time, bars, spacing=20), keys)


@SECTION.figure(
    "jobs",
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
def jobs(rows: Rows, feeds: Feeds) -> Drawing:
    (facts,) = feeds["rpt_mavera"]
    standing = facts["job_with_records_count"]
    has = "has" if standing == 1 else "have"
    sentence = f"{several(standing, 'job')} of {facts['job_count']} {has} something in Mavera."
    items = []
    for row in rows:
        sent = f"{several(row['standing_count'], 'record')}, {several(row['credits'], 'credit')}"
        found = row["finding"] or "nothing to look at yet"
        items.append((row["job"], f"{found} · {sent if row['is_enabled'] else 'off'}"))
    silent = [row["job"] for row in rows if row["is_enabled"] and not row["standing_count"]]
    notes = [f"Nothing sent for {words}." for words in [listed(silent)] if words]
    return Drawing(sentence, items=items, notes=notes)
