"""The plan as people read it: fitted to 80 columns, grouped by job, with the words that would leave."""

import json
import re

import pytest
from rich.cells import cell_len

from activate.cli import sending
from activate.plan import PAID_FOR_WORDS
from common import settings
from tests import activation
from tests.activate import test_activate as shared
from tests.activate.test_activate import SKIMMERS, TOP, Desk

desk = shared.desk
sandbox = shared.sandbox
ODD = (
    "A name without end " + "x" * 200,
    "Right\u202eto left, \x1b[31mred\x1b[0m and \x07 bell",
    "<script>alert(1)</script> & | `code` [link](http://x)",
    "漢字の名前は二倍の幅を取ります" * 6,
)


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("columns", [80, 120])
def test_every_line_fits_the_terminal_whatever_a_name_holds(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    desk.publish({**activation.TOP, "name": name}, analyses=({**activation.CLUSTERS, "name": name},))
    out = desk.activate("plan").out
    assert max(map(cell_len, out.splitlines())) <= columns
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", out)
    assert "To send it" in out


def test_color_comes_only_where_there_is_one_and_means_nothing_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = activation.but(activation.SKIMMERS, person_count=12)
    desk.publish(activation.TOP, small)
    plain = desk.activate("plan").out
    assert "\x1b" not in plain
    monkeypatch.setenv("FORCE_COLOR", "1")
    colored = desk.activate("plan").out
    assert "\x1b[32m" in colored
    assert re.sub(r"\x1b\[[\d;]*m", "", colored) == plain
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[(?:\d+;)*3\d", desk.activate("plan").out)


def test_the_whole_text_that_would_leave_is_shown_as_it_would_be_sent(desk: Desk) -> None:
    desk.publish(activation.TOP)
    ran = desk.activate("plan", "--show", TOP)
    desk.activate("apply")
    (call,) = desk.ledger().calls()
    assert call.payload["description"] in ran.out
    assert f"name: {call.payload['name']}" in ran.lines
    assert desk.activate("plan", "--show", "personas/clv-tiers:none").code == 2


def test_words_that_must_not_leave_are_not_shown(desk: Desk) -> None:
    desk.publish({**activation.TOP, "name": "Ask ada.lovelace@example.com"})
    shown = [desk.activate("plan", *way) for way in ((), ("--show", TOP), ("--markdown",), ("--json",))]
    shown += [desk.activate("plan", "--show", TOP, "--json"), desk.activate("status")]
    assert all("name" in ran.text for ran in shown)
    assert not any("ada.lovelace" in ran.out for ran in shown)


def test_an_update_is_shown_as_a_difference_from_what_was_sent_last(desk: Desk) -> None:
    desk.publish(activation.SKIMMERS)
    desk.activate("apply")
    desk.publish(activation.but(activation.SKIMMERS, mean_watched_share=0.31))
    lines = desk.activate("plan", "--show", SKIMMERS).lines
    removed = [line for line in lines if line.startswith("-") and "36" in line]
    added = [line for line in lines if line.startswith("+") and "31" in line]
    assert (len(removed), len(added)) == (1, 1)
    assert not any(
        line.startswith(("pipeline_type", "type")) for line in lines
    )  # an update does not send them
    shown = json.loads(desk.activate("plan", "--show", SKIMMERS, "--json").out)["shown"]
    assert (shown["key"], shown["body"].keys()) == (SKIMMERS, {"name", "description"})
    assert shown["sent"]["description"] != shown["body"]["description"]


def test_new_words_for_the_same_facts_are_free_fold_into_a_line_and_need_no_budget(desk: Desk) -> None:
    desk.publish(*activation.PERSONAS)
    desk.activate("apply")
    spent = desk.credits()
    desk.publish(*({**row, "name": f"{row['name']}, renamed"} for row in activation.PERSONAS))
    desk.set(credit_budget=0)
    ran = desk.activate("plan")
    assert ran.out.count("1 persona: new wording, the same facts") == 3
    assert "Free; CREDIT_BUDGET is 0, which is enough" in ran.text
    assert ran.lines[-1] == "To send it: make activate"
    assert "new wording, the same facts" in desk.activate("plan", "--all").text
    steps = json.loads(desk.activate("plan", "--json").out)["steps"]
    assert [(step["reworded"], step["credits_high"], step["changes"]) for step in steps] == [
        (True, 0, [])
    ] * 3
    sent = desk.activate("apply")
    assert (sent.code, sent.lines[-2]) == (0, "3 updated: 0 credits")
    assert desk.credits() == spent
    assert desk.activate("apply").lines == ["3 unchanged: 0 credits", "Nothing to send."]


def test_without_a_budget_free_updates_are_sent_and_nothing_is_paid_for(desk: Desk) -> None:
    desk.publish(activation.SKIMMERS)
    desk.activate("apply")
    spent = desk.credits()
    desk.set(credit_budget=0)
    desk.publish({**activation.SKIMMERS, "name": "Skimmers, renamed"}, activation.TOP)
    assert "CREDIT_BUDGET is 0: nothing is paid for" in desk.activate("plan").text
    ran = json.loads(desk.activate("apply", "--json").out)
    assert (ran["counts"]["updated"], ran["counts"]["created"], ran["credits"]) == (1, 0, 0)
    assert ran["stopped"].startswith("CREDIT_BUDGET is 0, only free steps were sent. The rest costs 300")
    assert desk.credits() == spent


def test_where_mavera_charges_for_edits_new_words_are_not_sent(desk: Desk) -> None:
    desk.sandbox.mavera.persona_edit_credits = 15
    desk.publish(*activation.PERSONAS)
    desk.activate("apply")
    renamed = [{**row, "name": f"{row['name']}, renamed"} for row in activation.PERSONAS]
    desk.publish(*renamed)
    ran = json.loads(desk.activate("apply", "--json").out)  # the first edit shows the price
    assert (ran["counts"]["updated"], ran["counts"]["held"], ran["credits"]) == (1, 2, 15)
    assert {result["text"] for result in ran["results"] if result["state"] == "held"} == {PAID_FOR_WORDS}
    assert json.loads(desk.activate("plan", "--json").out)["counts"]["leave"] == 3
    spent = desk.credits()
    assert desk.activate("apply").lines[0] == "3 unchanged: 0 credits"
    assert desk.credits() == spent


def test_other_words_alone_pay_for_no_analysis(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.publish(analyses=(activation.CLUSTERS,))
    desk.activate("apply")
    desk.publish(analyses=({**activation.CLUSTERS, "name": "Clusters, in other words"},))
    assert json.loads(desk.activate("plan", "--json").out)["counts"]["leave"] == 1


def test_status_names_each_withheld_record_with_its_reason(desk: Desk) -> None:
    small = activation.but(activation.SKIMMERS, person_count=12)
    smaller = activation.but(activation.MOBILE, person_count=12)
    desk.publish(activation.TOP, small, smaller)
    lines = desk.activate("status").lines
    place = lines.index("withheld      12 people, smallest cohort is 20")
    assert [line.strip() for line in lines[place + 1 : place + 5]] == [
        *("personas/device-geography:mobile_first", "Mobile First: read on the phone, between other things"),
        *(SKIMMERS, "Skimmers: sample a lot, finish little"),
    ]
    held = json.loads(desk.activate("status", "--json").out)["withheld"]
    assert {"key": SKIMMERS, "reason": "12 people, smallest cohort is 20"} in held


def test_a_pull_request_gets_a_table_for_each_job_in_which_nothing_is_live(desk: Desk) -> None:
    name = "Top | @team <b>bold</b> [link](http://x) `code`"
    desk.publish({**activation.TOP, "name": name}, activation.but(activation.SKIMMERS, person_count=12))
    out = desk.activate("plan", "--markdown").out
    assert out.startswith("## Plan for Mavera\n\n### clv-tiers: 300 credits\n\n| | Record | | Credits |\n")
    (row,) = [line for line in out.splitlines() if TOP in line]
    assert row == (
        "| + | `Top \\| @team <b>bold</b> [link](http://x) 'code'`<br>`personas/clv-tiers:top`  820 people "
        "| create | 300 |"
    )
    assert "`12 people, smallest cohort is 20`" in out
    assert "- `2 wanted = 1 create + 1 withheld`" in out


def test_the_exit_code_tells_nothing_to_do_from_changes_and_errors(desk: Desk) -> None:
    detailed = ("plan", sending.DETAILED)
    desk.publish(activation.but(activation.TOP, person_count=12))
    assert desk.activate(*detailed).code == 0  # withheld alone is nothing to do
    desk.publish(activation.TOP)
    assert (desk.activate(*detailed).code, desk.activate("plan").code) == (2, 0)
    assert desk.activate(*detailed, "--json").code == 2
    desk.activate("apply")
    assert desk.activate(*detailed).code == 0
    for mistake in (("nonsense",), ("--show", "personas/none"), ("--no-such-option",)):
        assert (desk.activate(*detailed, *mistake).code, desk.activate("plan", *mistake).code) == (1, 2)
    settings.load().published_path.unlink()
    assert desk.activate(*detailed).code == 1
