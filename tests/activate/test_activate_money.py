"""The budget of activation, and its messages when it cannot spend."""

import pytest

from activate.ledger.lock import lock
from common import settings
from tests import activation
from tests.activate import test_activate as shared
from tests.activate.test_activate import SKIMMERS, Desk

desk = shared.desk
sandbox = shared.sandbox

# --- money -------------------------------------------------------------------------------------------


def test_a_budget_of_0_sends_nothing_and_says_what_to_set(desk: Desk) -> None:
    desk.set(credit_budget=0)
    desk.publish(activation.TOP, analyses=(activation.CLUSTERS,))
    ran = desk.activate("apply")
    said = "CREDIT_BUDGET is 0, nothing was sent. This plan costs 310 to 375: set it in .env"
    assert (ran.code, ran.err, ran.out) == (2, f"error: {said}\n", "")
    assert desk.requests() == 0


def test_a_budget_of_0_does_not_matter_when_there_is_nothing_to_send(desk: Desk) -> None:
    desk.publish(activation.TOP)
    desk.activate("apply")
    desk.set(credit_budget=0)
    assert desk.activate("apply").code == 0


@pytest.mark.parametrize("budget", [0, 10, 74, 75, 299, 300, 374, 375, 600, 975])
def test_what_is_spent_never_passes_the_budget_of_the_month(desk: Desk, budget: int) -> None:
    desk.set(credit_budget=budget)
    desk.publish(*activation.PERSONAS, analyses=activation.ANALYSES)
    for _ in range(2):
        desk.activate("apply")
    assert desk.credits() <= budget


def test_the_budget_of_a_run_binds_beside_that_of_the_month(desk: Desk) -> None:
    desk.publish(*activation.PERSONAS)
    ran = desk.activate("apply", "--budget", "650")
    assert desk.credits() == 600
    assert ran.lines[-2] == "2 created, 1 withheld: 600 credits"
    assert ran.code == 0


def test_what_mavera_really_charged_makes_room_for_more_in_the_next_run(desk: Desk) -> None:
    desk.set(credit_budget=175)
    desk.publish(analyses=activation.ANALYSES)
    first = desk.activate("apply")
    assert first.lines[-2] == f"2 created, 1 withheld: {desk.credits()} credits"
    assert first.code == 0
    assert desk.activate("apply").code == 0
    assert desk.sandbox.mavera.summary()["threads"] == 3
    assert desk.credits() <= 175


def test_the_first_402_stops_the_run(desk: Desk) -> None:
    desk.sandbox.mavera.balance = 310
    desk.publish(activation.TOP, activation.SKIMMERS, analyses=(activation.CLUSTERS,))
    ran = desk.activate("apply")
    assert ran.lines[2:] == [
        f"x {'Skimmers: sample a lot, finish little':<59}failed            0",
        f"  {SKIMMERS}",
        "  402 out of credits: stopping",
        "1 created, 1 failed, 1 not sent: 300 credits",
        "When credits are back, make activate sends the rest.",
    ]
    assert ran.code == 1
    assert desk.requests("POST") == 2


def test_after_a_402_the_next_run_sends_the_rest(desk: Desk) -> None:
    desk.sandbox.mavera.balance = 310
    desk.publish(activation.TOP, activation.SKIMMERS)
    desk.activate("apply")
    desk.sandbox.mavera.balance = 1_000
    ran = desk.activate("apply")
    assert ran.code == 0
    assert desk.sandbox.mavera.summary()["personas"] == 2


def test_a_price_that_was_learned_is_said_in_words(desk: Desk) -> None:
    desk.sandbox.mavera.persona_credits = 350
    desk.publish(activation.TOP)
    desk.activate("apply")
    desk.publish(activation.TOP, activation.SKIMMERS)
    assert desk.activate("plan").lines == [
        "viewer-clusters                                                      350 credits",
        f"+ {'Skimmers: sample a lot, finish little':<59}create          350",
        f"  {SKIMMERS}  389 people",
        "  price learned from Mavera's answers; documented: 300",
        "",
        "= 1 unchanged (--all lists them)",
        "2 wanted = 1 create + 1 unchanged",
        "350 credits; 1,650 left of 2,000",
        "To send it: make activate",
    ]


def test_what_an_edit_costs_is_learned_from_what_the_persona_has_cost(desk: Desk) -> None:
    desk.sandbox.mavera.persona_edit_credits = 15
    for share in (0.36, 0.31, 0.26):
        desk.publish(activation.but(activation.SKIMMERS, mean_watched_share=share))
        planned = desk.activate("plan")
        desk.activate("apply")
    assert planned.lines[:4] == [
        "viewer-clusters                                                       15 credits",
        f"~ {'Skimmers: sample a lot, finish little':<59}update           15",
        f"  {SKIMMERS}  389 people",
        "  price learned from Mavera's answers; none is documented",
    ]
    assert desk.ledger().spent() == desk.credits() == 330


def test_a_run_has_a_budget_of_its_own_within_the_months(desk: Desk) -> None:
    desk.set(credit_budget_per_run=300)
    desk.publish(activation.TOP, activation.SKIMMERS)
    said = desk.activate("plan").lines
    place = said.index(f"  {SKIMMERS}")
    assert said[place - 1].split()[-1] == "withheld"
    assert said[place + 1] == "  exceeds the budget by 300 credits"
    assert said[-2] == "300 credits; 2,000 left of 2,000, 300 at most in one run"
    for sent in (1, 2):
        assert desk.activate("apply").code == 0
        assert desk.sandbox.mavera.summary()["personas"] == sent


def test_the_budget_of_a_run_can_be_given_where_it_is_planned_and_where_it_is_run(desk: Desk) -> None:
    desk.set(credit_budget_per_run=0)
    desk.publish(activation.TOP, activation.SKIMMERS)
    assert desk.activate("plan").lines[-1] == "Nothing to send."
    assert desk.activate("plan", "--budget", "600").lines[-2].endswith(", 600 at most in one run")
    assert desk.activate("apply", "--budget", "600").lines[-2] == "2 created: 600 credits"


def test_a_price_that_rises_within_a_run_does_not_pass_the_budget(desk: Desk) -> None:
    desk.set(credit_budget=900)
    desk.sandbox.mavera.persona_credits = 350
    desk.publish(*activation.PERSONAS)
    assert desk.activate("apply").lines[-2] == "2 created, 1 withheld: 700 credits"


# --- mistakes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "arguments", "said"),
    [
        (
            {},
            ("plan", "persona"),
            "there is no kind persona. Choose from personas, enriched-personas, brand-voices",
        ),
        (
            {"mavera_api_key": ""},
            ("apply",),
            "MAVERA_API_KEY is not set. Put it into .env, or try make demo, which needs none",
        ),
        (
            {"published_path": "no/published.duckdb"},
            ("plan",),
            "published.duckdb is not there yet. Run make ingest transform first",
        ),
        ({"credit_budget": "many"}, ("plan",), "CREDIT_BUDGET: "),
        (
            {},
            ("explain", "personas/clv-tiers:none"),
            "no row asks for personas/clv-tiers:none. python -m activate plan --all lists the records",
        ),
    ],
)
def test_a_mistake_is_one_line_that_says_how_to_go_on(
    desk: Desk, changes: dict[str, str], arguments: tuple[str, ...], said: str
) -> None:
    desk.publish(activation.TOP)
    desk.set(**changes)
    ran = desk.activate(*arguments)
    assert ran.code == 2
    assert ran.err.startswith(f"error: {said}")
    assert len(ran.err.splitlines()) == 1


def test_a_wrong_key_stops_the_run_and_is_never_repeated(desk: Desk) -> None:
    desk.set(mavera_api_key="mvra_live_wrong000000000000000000")
    desk.publish(activation.TOP)
    ran = desk.activate("apply")
    assert ran.code == 1
    assert "mavera refused MAVERA_API_KEY (401 invalid_api_key)" in ran.out
    assert "mvra_live_wrong" not in ran.out + ran.err


def test_a_ledger_of_another_mavera_is_refused(desk: Desk) -> None:
    desk.publish(activation.TOP)
    desk.activate("apply")
    desk.set(mavera_base_url="https://app.mavera.io/api/v1")
    ran = desk.activate("apply")
    assert ran.code == 2
    assert "Set LEDGER_URL to a separate file for each" in ran.err


def test_a_second_apply_at_the_same_time_is_refused(desk: Desk) -> None:
    desk.publish(activation.TOP)
    with lock(settings.load().ledger_url):
        ran = desk.activate("apply")
    assert ran.code == 2
    assert "another apply is at work (process " in ran.err


def test_two_rows_for_one_record_stop_before_anything_is_sent(desk: Desk) -> None:
    desk.publish(activation.TOP, activation.TOP)
    ran = desk.activate("apply")
    assert (ran.code, desk.requests()) == (2, 0)
    assert "two rows ask for personas/clv-tiers:top" in ran.err


def test_a_personal_fact_is_held_and_stays_out_of_mavera_ledger_and_messages(desk: Desk) -> None:
    medias = [{"share": 0.6, "media_name": "ada@example.com"}]
    desk.publish(activation.TOP, activation.but(activation.SKIMMERS, medias=medias))
    ran = [desk.activate(*words) for words in (("plan",), ("apply",), ("explain", SKIMMERS), ("status",))]
    ran.append(desk.activate("explain", SKIMMERS, "--json"))
    assert "facts.medias[0].media_name looks like an e-mail address" in ran[0].text
    assert all("ada@" not in said.out + said.err for said in ran)
    assert b"ada@" not in (desk.path / "ledger.sqlite").read_bytes()
    assert desk.sandbox.mavera.summary()["personas"] == 1
