"""`read`: what Mavera answered, formatted, whatever is in it."""

import json
import re
from typing import Any

import duckdb
import pytest
from rich.cells import cell_len

from tests import activation
from tests.activate import test_activate as shared
from tests.activate.test_activate import CLUSTERS, TOP, Desk

desk = shared.desk
sandbox = shared.sandbox

MARTS = {
    "fct_answers": "record_id text, kind text, record_key text, job text, answer_id text, title text,"
    " asked text, question text, answer text, recommendation text, to_do text, profile text, sources text,"
    " credits bigint, answered_at timestamptz",
    "fct_generations": "generation_id text, job text, input_data text",
    "rpt_job_findings": "job text, finding text",
    "fct_study_verdicts": "focus_group_id text, asked text, persona_name text, question text,"
    " hypothesis text, verdict text, outcome text, top_answer text, question_number bigint,"
    " answer_count bigint, top_share double",
    "fct_focus_group_answers": "focus_group_id text, question_id text, persona_id text, persona_name text,"
    " question_type text, question_number bigint, respondent_number bigint, answer text",
}
DAY = "2026-11-20 06:02:00+00"
ODD = (
    "",
    "   \n\t\n",
    "word " * 3_000,
    "x" * 4_000,
    "a \x1b[31mred\x1b[0m \x07bell\x00 and \u202eturned\u202c around",
    "<script>alert('x')</script> & <b>bold</b> <img src=x onerror=y>",
    "# Title\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```\n<code>\n```\n[link](http://evil.example)",
    "漢字" * 300,
    "\n" * 200,
)


def insert(desk: Desk, mart: str, **row: Any) -> None:
    with duckdb.connect(str(desk.path / "published.duckdb")) as connection:
        connection.execute("create schema if not exists marts")
        for name, columns in MARTS.items():
            connection.execute(f"create table if not exists marts.{name} ({columns})")
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        connection.execute(f"insert into marts.{mart} ({names}) values ({marks})", list(row.values()))


def answered(desk: Desk, key: str, **more: Any) -> None:
    """Publish what Mavera answered to a record."""
    kind, _, record_key = key.partition("/")
    row = {"record_id": key, "kind": kind, "record_key": record_key, "job": record_key.partition(":")[0]}
    insert(desk, "fct_answers", **{**row, "answer_id": "a1", "credits": 42, "answered_at": DAY, **more})


@pytest.fixture
def shelf(desk: Desk) -> Desk:
    desk.publish(activation.TOP, analyses=(activation.CLUSTERS,))
    return desk


def test_without_answers_the_list_says_what_brings_some(shelf: Desk) -> None:
    assert shelf.activate("read").text.startswith("Nothing to read yet. make activate asks Mavera")
    assert json.loads(shelf.activate("read", "--json").out) == {"answers": []}
    ran = shelf.activate("read", CLUSTERS)
    assert (ran.code, ran.err) == (
        2,
        f"error: there is no answer to {CLUSTERS}. python -m activate read lists what can be read\n",
    )


def test_the_list_names_each_answer_and_the_command_that_prints_it(shelf: Desk) -> None:
    answered(shelf, CLUSTERS, answer="Late.")
    answered(shelf, "focus-groups/ab-tests:t1", title="A/B test", credits=None, answered_at=None)
    assert shelf.activate("read").lines == [
        *("Analyses", "  Viewer clusters", f"  {CLUSTERS}", ""),
        *("Focus groups", "  A/B test", "  focus-groups/ab-tests:t1", ""),
        f"To read one: python -m activate read {CLUSTERS}",
    ]
    for name in (CLUSTERS, "viewer-clusters:all"):
        assert "Late." in shelf.activate("read", name).out
    assert shelf.activate("read", "focus-groups/ab-tests:t1").code == 0


def test_an_answer_stands_between_what_was_found_and_what_to_do(shelf: Desk) -> None:
    insert(shelf, "rpt_job_findings", job="viewer-clusters", finding="144 viewers binge.")
    answered(
        shelf, CLUSTERS, asked="Task: say why.", answer="## First\n\n1. Do **this**\n2. Then [that](https://a.example)",
        recommendation="Do **this**", sources=json.dumps([{"title": "A survey", "url": "https://web.example/s"}]),
        to_do="Note the day.",
    )  # fmt: skip
    assert shelf.activate("read", CLUSTERS).lines == [
        *("Viewer clusters", f"{CLUSTERS}  20 Nov 06:02 UTC  42 credits", ""),
        *("What we found", "144 viewers binge.", "", "What we asked", "Task: say why.", ""),
        *("Do first", "Do this", "", "What came back", "First", ""),
        *(" 1 Do this", " 2 Then that (https://a.example)", ""),
        *("Sources", "- A survey  https://web.example/s", "", "What to do", "Note the day."),
    ]


@pytest.mark.parametrize("answer", ODD)
@pytest.mark.parametrize("columns", [80, 120])
def test_any_answer_fits_the_terminal_and_moves_no_cursor(
    shelf: Desk, monkeypatch: pytest.MonkeyPatch, answer: str, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    answered(shelf, CLUSTERS, asked=answer, answer=answer, sources=answer, to_do=answer)
    answered(
        shelf, "generations/flow-rewrites:m1", title=answer, answer=answer, answer_id="g1", profile=answer
    )
    insert(shelf, "fct_generations", generation_id="g1", input_data=json.dumps({"topic": answer}))
    for key in (CLUSTERS, "generations/flow-rewrites:m1"):
        ran = shelf.activate("read", key)
        assert ran.code == 0
        assert max(map(cell_len, ran.lines)) <= columns
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e]", ran.out)
        if not answer.strip():
            assert "Mavera's answer has no text." in ran.out
    json.loads(shelf.activate("read", CLUSTERS, "--json").out)


def test_html_in_an_answer_is_text_and_none_of_it_is_lost(shelf: Desk) -> None:
    answered(shelf, CLUSTERS, answer="Before <b>bold</b>\n\n<div>\nhidden?\n</div>\n\nAfter")
    out = shelf.activate("read", CLUSTERS).text
    assert "Before <b>bold</b> <div> hidden? </div> After" in out


@pytest.mark.parametrize("way", [(), ("--json",)])
def test_personal_data_in_an_answer_stays_masked(shelf: Desk, way: tuple[str, ...]) -> None:
    answered(shelf, CLUSTERS, answer="Write to ada.lovelace@example.com first.\n\nThen wait.")
    out = shelf.activate("read", CLUSTERS, *way).out
    assert "ada.lovelace" not in out
    assert "Then wait." in out


def test_a_persona_is_shown_as_it_was_sent_and_as_mavera_made_it(shelf: Desk) -> None:
    profile = json.dumps({"goals": ["Save time", "Be sure"], "tone": {"style": "plain"}, "empty": None})
    answered(shelf, TOP, title="Top", question="They buy often.", profile=profile)
    lines = shelf.activate("read", TOP).lines
    assert lines[2:7] == ["", "What we asked", "They buy often.", "", "Mavera's profile"]
    assert [line.split() for line in lines[7:]] == [
        *(["goals", "-", "Save", "time"], ["-", "Be", "sure"], ["tone", "style", "plain"]),
    ]


def test_a_text_stands_beside_what_was_asked_where_there_is_room(
    shelf: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "generations/flow-rewrites:m1"
    answered(shelf, key, asked="A new text.", answer="Come back.", answer_id="g1")
    insert(shelf, "fct_generations", generation_id="g1", input_data=json.dumps({"topic": "A reminder"}))
    narrow = [line.split("  ")[0] for line in shelf.activate("read", key).lines]
    assert narrow.index("What we asked") < narrow.index("What came back")
    monkeypatch.setenv("COLUMNS", "120")
    (heads,) = [line for line in shelf.activate("read", key).lines if "What we asked" in line]
    assert heads.split("  ")[0] == "What we asked"
    assert heads.endswith("What came back")


def test_a_study_shows_its_verdict_per_question_and_persona(shelf: Desk) -> None:
    study = "focus-groups/ab-tests:t1"
    answered(
        shelf, study, title="A/B test", answer_id="fg_1", asked="2 questions. The hypothesis: dull subjects"
    )
    question = {"focus_group_id": "fg_1", "question_number": 1, "question": "What keeps you?"}
    for asked, name, top, share, count, verdict in (
        ("p1", "Skimmers", "Too dull", 0.6, 10, None),
        ("all", None, "Too dull", 0.55, 20, "confirmed"),
        ("p2", "Bouncers", None, None, 0, None),
    ):
        insert(
            shelf, "fct_study_verdicts", **question, asked=asked, persona_name=name, top_answer=top,
            top_share=share, answer_count=count, hypothesis="Dull subjects keep them.", verdict=verdict,
            outcome="clear lead",
        )  # fmt: skip
    insert(shelf, "fct_study_verdicts", **{**question, "question_number": 2}, asked="all", answer_count=5)
    said = {"focus_group_id": "fg_1", "question_id": "q_2", "persona_id": "p1", "persona_name": "Skimmers"}
    for respondent in range(5):
        insert(
            shelf, "fct_focus_group_answers", **said, question_type="OPEN_ENDED", question_number=2,
            answer=f"Reason {respondent}", respondent_number=respondent,
        )  # fmt: skip
    lines = shelf.activate("read", study).lines
    assert "Hypothesis: Dull subjects keep them. confirmed" in lines
    place = next(number for number, line in enumerate(lines) if line.startswith("Asked"))
    assert [" ".join(line.split()) for line in lines[place + 1 : place + 4]] == [
        "All together Too dull 55% of 20 confirmed",
        "Bouncers clear lead",
        "Skimmers Too dull 60% of 10 clear lead",
    ]
    assert [line for line in lines if "Reason" in line] == [f'- Skimmers: "Reason {n}"' for n in range(3)]
    assert lines.index("1. What keeps you?") < lines.index("2. What keeps you?")
    whole = json.loads(shelf.activate("read", study, "--json").out)
    assert len(whole["answers"][0]["answer"]["questions"]) == 4
