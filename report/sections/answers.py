"""Answers: a card per job that Mavera answered (`report.answers`), and whether it helped."""

from typing import Final

from report.figures import Section

SECTION: Final = Section(
    "Answers",
    feeds=(
        "marts.rpt_answers order by job_number, kind_place, place",
        "marts.rpt_job_results",
        "marts.rpt_answer_questions order by record_id, question_number, persona_name nulls first",
        "marts.rpt_answer_variations order by record_id, outcome desc, variation_id",
        "marts.rpt_answer_curves order by record_id, cell_place",
    ),
)
