"""`read`: what Mavera answered, formatted, whatever is in it."""

import json
import re
from typing import Any

import duckdb
import pytest
from rich.cells import cell_len

from tests import activation
from tests.activate import test_activate as shared
from tests.activate.test_activate import CLUSTERS, Desk

desk = shared.desk
sandbox = shared.sandbox

MARTS = {
    "fct_analyses": "record_key text, job text, thread_title text, question text, answer text, sources text,"
    " credits bigint, answered_at timestamptz",
    "dim_personas": "record_key text, job text, persona_name text, description text, standing text,"
    " profile text, credits bigint, is_current boolean, valid_from timestamptz",
    "fct_generations": "record_key text, job text, title text, generated_text text, input_data text,"
    " credits bigint, answered_at timestamptz",
    "fct_question_results": "record_key text, job text, focus_group_id text, question_id text,"
    " focus_group_name text, question text, question_number bigint, reported text, answered_at timestamptz",
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
        connection.execute(f"create table if not exists marts.{mart} ({MARTS[mart]})")
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        connection.execute(f"insert into marts.{mart} ({names}) values ({marks})", list(row.values()))


def analysis(desk: Desk, answer: str | None, **more: Any) -> None:
    row = {"record_key": "viewer-clusters:all", "job": "viewer-clusters", "thread_title": "Task: say",
           "question": "Task: say why.\n\nBackground.", "sources": "[]", "credits": 42}  # fmt: skip
    insert(desk, "fct_analyses", **{**row, "answer": answer, "answered_at": DAY, **more})


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


def test_the_list_names_each_answer_once_and_the_command_that_prints_it(shelf: Desk) -> None:
    analysis(shelf, "Early.", answered_at="2026-10-01 06:00:00+00")
    analysis(shelf, "Late.")
    assert shelf.activate("read").lines == [
        *("Analyses", "  Viewer clusters", f"  {CLUSTERS}", ""),
        f"To read one: python -m activate read {CLUSTERS}",
    ]
    for name in (CLUSTERS, "viewer-clusters:all"):
        out = shelf.activate("read", name).out
        assert "Late." in out
        assert "Early." not in out


def test_an_analysis_is_formatted_below_its_question_and_above_its_sources(shelf: Desk) -> None:
    sources = json.dumps([{"title": "A survey", "url": "https://web.example/s"}])
    analysis(shelf, "## First\n\n1. Do **this**\n2. Then [that](https://a.example)\n", sources=sources)
    assert shelf.activate("read", CLUSTERS).lines == [
        *("Viewer clusters", f"{CLUSTERS}  20 Nov 06:02 UTC  42 credits", ""),
        *("What we asked", "Task: say why.", "", "What came back", "First", ""),
        *(" 1 Do this", " 2 Then that (https://a.example)", ""),
        *("Sources", "- A survey https://web.example/s"),
    ]


@pytest.mark.parametrize("answer", ODD)
@pytest.mark.parametrize("columns", [80, 120])
def test_any_answer_fits_the_terminal_and_moves_no_cursor(
    shelf: Desk, monkeypatch: pytest.MonkeyPatch, answer: str, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    analysis(shelf, answer)
    row = {"record_key": "flow-rewrites:m1", "job": "flow-rewrites", "title": answer, "answered_at": DAY}
    insert(shelf, "fct_generations", **row, generated_text=answer, input_data=json.dumps({"topic": answer}))
    for key in (CLUSTERS, "generations/flow-rewrites:m1"):
        ran = shelf.activate("read", key)
        assert ran.code == 0
        assert max(map(cell_len, ran.lines)) <= columns
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e]", ran.out)
        if not answer.strip():
            assert "Mavera's answer has no text." in ran.out
    json.loads(shelf.activate("read", CLUSTERS, "--json").out)


def test_html_in_an_answer_is_text_and_none_of_it_is_lost(shelf: Desk) -> None:
    analysis(shelf, "Before <b>bold</b>\n\n<div>\nhidden?\n</div>\n\nAfter")
    out = shelf.activate("read", CLUSTERS).text
    assert "Before <b>bold</b> <div> hidden? </div> After" in out


@pytest.mark.parametrize("way", [(), ("--json",)])
def test_personal_data_in_an_answer_stays_masked(shelf: Desk, way: tuple[str, ...]) -> None:
    analysis(shelf, "Write to ada.lovelace@example.com first.\n\nThen wait.")
    out = shelf.activate("read", CLUSTERS, *way).out
    assert "ada.lovelace" not in out
    assert "Then wait." in out


def test_a_persona_is_shown_as_it_was_sent_and_as_mavera_made_it(shelf: Desk) -> None:
    profile = json.dumps({"goals": ["Save time", "Be sure"], "tone": {"style": "plain"}, "empty": None})
    insert(
        shelf, "dim_personas", record_key="clv-tiers:top", job="clv-tiers", persona_name="Top", credits=300,
        description="They buy often.\n\nRef: clv-tiers:top 0123456789ab", standing="live", profile=profile,
        is_current=True, valid_from=DAY,
    )  # fmt: skip
    lines = shelf.activate("read", "personas/clv-tiers:top").lines
    assert lines[2:7] == ["", "What was sent", "They buy often.", "", "The persona as Mavera made it"]
    assert [line.split() for line in lines[7:]] == [
        *(["goals", "-", "Save", "time"], ["-", "Be", "sure"], ["tone", "style", "plain"]),
    ]


def test_a_text_stands_beside_what_was_asked_where_there_is_room(
    shelf: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(
        shelf, "fct_generations", record_key="flow-rewrites:m1", job="flow-rewrites", title="Rewrite",
        generated_text="Come back.", input_data=json.dumps({"topic": "A reminder"}), answered_at=DAY,
    )  # fmt: skip
    key = "generations/flow-rewrites:m1"
    narrow = [line.split("  ")[0] for line in shelf.activate("read", key).lines]
    assert narrow.index("What we asked") < narrow.index("What came back")
    monkeypatch.setenv("COLUMNS", "120")
    (heads,) = [line for line in shelf.activate("read", key).lines if "What we asked" in line]
    assert heads.split("  ")[0] == "What we asked"
    assert heads.endswith("What came back")


def test_a_study_shows_each_question_with_its_result_and_words(shelf: Desk) -> None:
    study = {"record_key": "ab-tests:t1", "job": "ab-tests", "focus_group_id": "fg_1", "answered_at": DAY}
    name = "A/B test | Ref: ab-tests:t1 0123456789ab"
    said = {"focus_group_id": "fg_1", "question_id": "q_2", "persona_id": "p1", "persona_name": "Skimmers"}
    for number, question in enumerate(("How likely?", "What would change?"), start=1):
        insert(
            shelf, "fct_question_results", **study, question_id=f"q_{number}", focus_group_name=name,
            question=question, question_number=number, reported='{"nps": -57}',
        )  # fmt: skip
    for respondent in range(5):
        insert(
            shelf, "fct_focus_group_answers", **said, question_type="OPEN_ENDED", question_number=2,
            answer=f"Reason {respondent}", respondent_number=respondent,
        )  # fmt: skip
    lines = shelf.activate("read", "focus-groups/ab-tests:t1").lines
    assert lines[0] == "A/B test"
    assert [line.split() for line in lines if "nps" in line] == [["nps", "-57"]] * 2
    assert lines.index("1. How likely?") < lines.index("2. What would change?")
    assert [line for line in lines if "Reason" in line] == [f'- Skimmers: "Reason {n}"' for n in range(3)]
    assert "Synthetic respondents" in lines[-1]


def test_a_study_shows_its_verdict_per_question_and_persona(shelf: Desk) -> None:
    study = {"record_key": "ab-tests:t1", "job": "ab-tests", "focus_group_id": "fg_1", "answered_at": DAY}
    insert(
        shelf, "fct_question_results", **study, question_id="q_1", focus_group_name="A/B test",
        question="What keeps you from opening it?", question_number=1, reported="{}",
    )  # fmt: skip
    for asked, name, top, share, count, verdict in (
        ("p1", "Skimmers", "Too dull", 0.6, 10, None),
        ("all", None, "Too dull", 0.55, 20, "confirmed"),
        ("p2", "Bouncers", None, None, 0, None),
    ):
        insert(
            shelf, "fct_study_verdicts", focus_group_id="fg_1", asked=asked, persona_name=name,
            question_number=1, question="What keeps you from opening it?", top_answer=top,
            top_share=share, answer_count=count, hypothesis="Dull subjects keep them.",
            verdict=verdict, outcome="clear lead",
        )  # fmt: skip
    lines = shelf.activate("read", "focus-groups/ab-tests:t1").lines
    assert "Hypothesis: Dull subjects keep them. confirmed" in lines
    place = next(number for number, line in enumerate(lines) if line.startswith("Asked"))
    assert [" ".join(line.split()) for line in lines[place + 1 : place + 4]] == [
        "All together Too dull 55% of 20 confirmed",
        "Bouncers clear lead",
        "Skimmers Too dull 60% of 10 clear lead",
    ]
    whole = json.loads(shelf.activate("read", "focus-groups/ab-tests:t1", "--json").out)
    assert len(whole["answers"][0]["answer"]["questions"]) == 3
