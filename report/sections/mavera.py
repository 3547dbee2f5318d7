"""Mavera: what the focus groups answered, and each job's results."""

from typing import Final

from report import drawing as draw
from report.figures import SEND, Drawing, Feeds, Key, Row, Rows, Section, grouped
from report.words import folded, listed, part_of, percent, several

MOST_QUESTIONS = 20
SECTION: Final = Section(
    "Mavera",
    feeds=(
        "marts.rpt_mavera",
        "marts.rpt_answer_bars order by focus_group_id, question_id, band",
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
    bands = (-2, -1, 0, 1, 2)
    names = ("lowest: 1, NPS 0 to 6", "2", "middle: 3, NPS 7 and 8", "4", "highest: 5, NPS 9 and 10")
    colors, words = dict(zip(bands, draw.BANDS, strict=True)), dict(zip(bands, names, strict=True))
    bars = grouped(feeds["rpt_answer_bars"], "focus_group_id", "question_id")
    drawn = [
        bar
        | {
            "question": number,
            "color": colors[bar["band"]],
            "opacity": 0.4 if bar["is_small_sample"] else 1,
            "tip": f"{words[bar['band']]}: {percent(answered[bar['band']]['answer_share'])},"
            f" {several(answered[bar['band']]['answer_count'], 'answer')}",
        }
        for number, question in enumerate(shown)
        for answered in [{row["band"]: row for row in questions[question]}]
        for bar in bars[question]
    ]
    (facts,) = feeds["rpt_mavera"]
    small = several(facts["small_question_count"], "question")
    return Drawing(
        _highest(facts),
        draw.diverging(labels, drawn),
        [Key("square", color, word) for color, word in zip(draw.BANDS, names, strict=True)],
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
