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
    definition="The respondents are synthetic, not customers: read their answers as a hypothesis to test."
    " Bars are centered on the middle of the scale. For NPS the middle is 7 and 8; below it is 0 to 6,"
    " above it 9 and 10. The color says how high an answer is, not how good.",
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
    colors = dict(zip((-2, -1, 0, 1, 2), draw.BANDS, strict=True))
    bars = grouped(feeds["rpt_answer_bars"], "focus_group_id", "question_id")
    drawn = [
        bar
        | {
            "question": number,
            "color": colors[bar["band"]],
            "opacity": 0.4 if bar["is_small_sample"] else 1,
        }
        for number, question in enumerate(shown)
        for bar in bars[question]
    ]
    (facts,) = feeds["rpt_mavera"]
    small = several(facts["small_question_count"], "question")
    words = ("lowest: 1, NPS 0 to 6", "2", "middle: 3, NPS 7 and 8", "4", "highest: 5, NPS 9 and 10")
    return Drawing(
        _highest(facts),
        draw.diverging(labels, drawn),
        [Key("square", color, word) for color, word in zip(draw.BANDS, words, strict=True)],
        [
            *(
                [f"Too few answers to compare (drawn pale): {small}."]
                if facts["small_question_count"]
                else []
            ),
            *part_of(shown, list(questions), "question"),
        ],
    )


def _highest(facts: Row) -> str:
    answered = several(facts["question_count"], "question was", "questions were")
    most = ""
    if facts["highest_answer_share"] is not None:
        share = percent(facts["highest_answer_share"])
        most = f". The question with the most top answers ({share}) is “{facts['highest_question']}”"
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
    definition="Records that the jobs want in Mavera, by state. “Not sent” means withheld or not yet"
    " activated; make plan says which.",
    fill="make transform",
)
def records(_: Rows, feeds: Feeds) -> Drawing:
    counted = feeds["rpt_records"]
    found = {row["standing"]: row["standing_count"] for row in counted}
    counts = {name: found[name] for name in STANDINGS if name in found}
    more = ", ".join(f"{count:,} {name}" for name, count in counts.items() if name != "sent")
    sent_count = counts.get("sent", 0)
    sent = f"{sent_count:,} of {several(counted[0]['all_wanted_count'], 'wanted record')}"
    sentence = f"{sent} {'is' if sent_count == 1 else 'are'} in Mavera{f'; {more}' if more else ''}."
    kinds = list(dict.fromkeys(plain(row["kind"]) for row in counted))
    places = {name: place for place, name in enumerate(STANDINGS)}
    drawn = [
        {
            "kind": plain(row["kind"]),
            "standing": row["standing"],
            "place": places[row["standing"]],
            "count": row["record_count"],
            "color": STANDINGS[row["standing"]],
        }
        for row in sorted(counted, key=lambda row: (row["kind"], places[row["standing"]]))
    ]
    axis = alt.Axis(title="records", tickCount=5, tickMinStep=1, format=",.0f")
    base = draw.chart(drawn).encode(
        y=draw.names("kind", kinds), x=alt.X("count:Q", stack="zero", axis=axis), order=alt.Order("place:Q")
    )
    bars = base.mark_bar(height=18, stroke=draw.CARD, strokeWidth=1).encode(color=draw.color("color"))
    keys = [Key("square", STANDINGS[name], f"{name} {count:,}") for name, count in counts.items()]
    small = counted[0]["all_small_group_count"]
    notes = [f"About too few people to be sent: {several(small, 'record')}."] if small else []
    return Drawing(sentence, draw.fitted(bars, draw.tall(kinds, 32, 50)), keys, notes)


@SECTION.figure(
    "credits",
    "Credits of the month",
    "marts.rpt_credits",
    select="month_from, called_on, next_called_on, kind, credits, month_credits, month_total_credits,"
    " getvariable('credit_budget') as credit_budget, drawn_to, month_to, is_last_day",
    tail="order by called_on desc, month_credits desc, kind",
    unlisted="drawn_to month_to is_last_day",
    definition="Cost of the requests of a calendar month. The dashed line is CREDIT_BUDGET, which a month"
    " never exceeds.",
    fill=SEND,
)
def month_of_credits(rows: Rows, _: Feeds) -> Drawing:
    last, budget = rows[0], rows[0]["credit_budget"]
    spent, month = last["month_total_credits"], f"{last['month_from']:%B %Y}"
    sentence = f"{spent:,} credits were spent in {month}; CREDIT_BUDGET is 0, so nothing more will be spent."
    if budget:
        sentence = f"{spent:,} of {budget:,} budgeted credits were spent in {month}."
    days = grouped(list(reversed(rows)), "called_on")
    over_time = draw.credits_over_time([same[0] for same in days.values()], budget)
    now = [row | {"label": plain(row["kind"])} for row in rows if row["is_last_day"]]
    kinds = draw.chart(now).encode(
        y=draw.names("label", [row["label"] for row in now]),
        x=draw.counts("month_credits", "credits by kind", now),
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
    "What each job found and what came back",
    "marts.rpt_job_results",
    select="job, finding, is_enabled, standing_count, waiting_count, credits, persona_count, analysis_count,"
    " brand_voice_count, respondent_answer_count, text_count, last_called_at",
    tail="order by job_number",
    definition="One line per job in dbt_project.yml: what its models found, its records in Mavera, and"
    " their credits.",
    fill=SEND,
    is_wide=True,
)
def jobs(rows: Rows, feeds: Feeds) -> Drawing:
    (facts,) = feeds["rpt_mavera"]
    with_records = facts["job_with_records_count"]
    has = "has" if with_records == 1 else "have"
    sentence = f"{with_records} of {several(facts['job_count'], 'job')} {has} records in Mavera."
    items = []
    for row in rows:
        sent = f"{several(row['standing_count'], 'record')}, {several(row['credits'], 'credit')}"
        found = row["finding"] or "nothing to report yet"
        items.append((row["job"], f"{found} · {sent if row['is_enabled'] else 'off'}"))
    silent = [row["job"] for row in rows if row["is_enabled"] and not row["standing_count"]]
    notes = [f"Nothing sent for {words}." for words in [listed(silent)] if words]
    return Drawing(sentence, items=items, notes=notes)
