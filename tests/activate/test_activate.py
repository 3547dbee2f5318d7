"""The commands of `python -m activate` against the sandbox's Mavera: what is sent, said and paid."""

import json
import re
import shlex
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from activate import drift, records
from activate.cli import main as cli
from activate.kinds import KINDS, PERSONAS
from activate.ledger import opening
from activate.ledger.journal import Ledger
from activate.ledger.lock import lock
from activate.mavera import Mavera
from common import settings
from sandbox import mavera as sandbox_mavera
from sandbox.faults import Fault
from sandbox.server import Sandbox, serving
from sandbox.world import World
from tests import activation

TOP, SKIMMERS, MOBILE = (f"personas/{row['record_key']}" for row in activation.PERSONAS)
CLUSTERS = "analyses/viewer-clusters:all"


WORLD = World(200, 7, date(2026, 11, 21))  # of which Mavera shows nothing; making it takes a while


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(WORLD, limits="off")


@dataclass
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@dataclass
class Desk:
    """A person's desk: settings, a published copy, a ledger, and the commands."""

    sandbox: Sandbox
    path: Path
    set: Callable[..., None]
    activate: Callable[..., Ran]

    def publish(
        self,
        *personas: activation.Row,
        analyses: tuple[activation.Row, ...] = (),
        studies: tuple[activation.Row, ...] = (),
        texts: tuple[activation.Row, ...] = (),
    ) -> None:
        activation.publish(self.path / "published.duckdb", personas, analyses, studies, generations=texts)

    def ledger(self, *, write: bool = False) -> Ledger:
        set_up = settings.load()
        return opening.connect(set_up.ledger_url, set_up.mavera_base_url, write=write)

    def credits(self) -> int:
        return int(self.sandbox.mavera.summary()["credits_spent"])

    def requests(self, *methods: str) -> int:
        return sum(entry.method in (methods or ("GET", "POST", "PATCH")) for entry in self.sandbox.journal)


@pytest.fixture
def desk(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Desk]:
    def set_up(**changes: Any) -> None:
        for name, value in changes.items():
            monkeypatch.setenv(name.upper(), str(value))

    def activate(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["activate", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return Ran(int(ended.value.code or 0), said.out, said.err)

    with serving(sandbox) as url:
        set_up(**activation.environment(tmp_path, url))
        yield Desk(sandbox, tmp_path, set_up, activate)


# --- plan --------------------------------------------------------------------------------------------


def test_a_ledger_without_receipts_is_planned_with_and_says_what_gives_it_some(desk: Desk) -> None:
    desk.publish(activation.TOP)
    desk.ledger(write=True).note_takeover("process 1 on elsewhere")
    with sqlite3.connect(desk.path / "ledger.sqlite") as connection:
        connection.execute("drop table receipts")
        connection.execute("update schema_version set version = 1")
    assert desk.activate("plan").code == 0
    export = desk.path / "ledger.jsonl"
    for command in (["plan", "--save", str(desk.path / "plan.json")], ["ledger", "verify"]):
        ran = desk.activate(*command)
        assert (ran.code, len(ran.err.splitlines())) == (2, 1)
        assert "layout 1, whose rows have no receipts. make activate brings it up" in ran.err
    assert desk.activate("ledger", "export", str(export)).code == 2
    assert not [*desk.path.glob("*ledger.jsonl*"), *desk.path.glob(".ledger.jsonl*")]
    assert desk.activate("apply", "--budget", "0").code == 0
    assert desk.activate("ledger", "verify").code == 0


def test_the_plan_says_what_would_be_done_and_its_price(desk: Desk) -> None:
    small = activation.but(
        activation.SKIMMERS, record_key="viewer-clusters:bouncers", viewer_cluster="bouncers", person_count=12
    )
    desk.publish(activation.TOP, small, analyses=(activation.CLUSTERS,))
    assert desk.activate("plan").lines == [
        "+ personas/clv-tiers:top              create   300        820 people",
        "+ analyses/viewer-clusters:all        create   10 to 75   1,800 people",
        "! personas/viewer-clusters:bouncers   held     12 people, smallest cohort is 20",
        "3 wanted = 2 create + 1 held",
        "310 to 375 credits; 2,000 left of 2,000",
        "To send it: make activate",
    ]


def test_planning_only_lists_what_mavera_has_and_writes_nothing(desk: Desk) -> None:
    desk.publish(*activation.PERSONAS)
    assert desk.activate("plan").code == 0
    assert (desk.requests(), desk.requests("POST", "PATCH")) == (1, 0)
    assert not (desk.path / "ledger.sqlite").exists()


def test_the_plan_says_what_may_be_in_mavera_already_or_that_nobody_could_look(desk: Desk) -> None:
    body = {"pipeline_type": "north_star", "type": "B2C", "description": "Made by a script."}
    url, key = settings.load().mavera_base_url, sandbox_mavera.KEY
    made = PERSONAS.create(Mavera(url, key), {**body, "name": activation.TOP["name"]}).remote_id
    desk.publish(activation.TOP, activation.SKIMMERS)
    planned = json.loads(desk.activate("plan", "--json").out)
    actions = {step["key"]: (step["action"], step["reason"]) for step in planned["steps"]}
    assert actions[SKIMMERS][0] == "create"
    assert actions[TOP][0] == "hold"
    assert all(word in actions[TOP][1] for word in (made, "activate import", f"drift --let-be {made}"))
    ran = desk.activate("apply")
    assert ran.code == 0
    assert ran.lines[-1].startswith(f"Waits for your decision: {TOP}: ")
    assert desk.activate("drift", "--let-be", made).code == 0
    assert desk.activate("apply").code == 0
    desk.set(mavera_api_key="")
    desk.publish(activation.TOP, activation.SKIMMERS, activation.MOBILE)
    assert "MAVERA_API_KEY is not set: nobody looked" in desk.activate("plan").out
    assert "nobody looked" in json.loads(desk.activate("plan", "--json").out)["not_looked"]


def test_a_run_that_would_pay_for_too_much_says_so_and_exits_1(desk: Desk) -> None:
    noted = [sys.executable, "-c", f"open({str(desk.path / 'noticed')!r}, 'w')"]
    desk.set(mavera_creations=1, notice_command=shlex.join(noted))
    desk.publish(activation.TOP, activation.SKIMMERS)
    assert "MAVERA_CREATIONS allows 1 in a run" in desk.activate("plan").lines[-1]
    ran = desk.activate("apply")
    assert (ran.code, desk.credits()) == (1, 0)
    assert "apply --creations 2" in ran.out
    assert (desk.path / "noticed").exists()
    assert desk.activate("apply", "--creations", "1").code == 0
    assert desk.credits() == 300
    plan = str(desk.path / "plan.json")
    desk.publish(activation.TOP, activation.SKIMMERS, activation.MOBILE)
    assert desk.activate("plan", "--save", plan).code == 0
    assert desk.activate("apply", plan).code == 0
    assert desk.credits() == 900


def test_what_was_taken_as_lost_is_listed_and_decided(desk: Desk) -> None:
    desk.set(mavera_settle_seconds=0)
    desk.publish(activation.TOP)
    desk.sandbox.faults.add(Fault("500", "mavera", count=1, path="/personas", method="POST"))
    desk.activate("apply")
    desk.activate("apply")
    assert desk.ledger().spent() == desk.credits() + 300
    assert f"python -m activate settle {TOP} --charged CREDITS" in desk.activate("settle").lines
    assert json.loads(desk.activate("settle", "--json").out)["written_off"][0]["credits"] == 300
    assert desk.activate("settle", TOP, "--charged", "0").code == 0
    assert desk.ledger().spent() == desk.credits()
    assert desk.activate("settle", TOP, "--charged", "0").code == 2


def test_the_plan_shows_the_facts_that_moved(desk: Desk) -> None:
    desk.publish(activation.TOP, activation.SKIMMERS)
    desk.activate("apply")
    desk.publish(activation.TOP, activation.but(activation.SKIMMERS, mean_watched_share=0.31))
    assert desk.activate("plan").lines == [
        "~ personas/viewer-clusters:skimmers   update   0 to ?     389 people",
        "      mean_watched_share  0.36 -> 0.31",
        "= 1 unchanged (--all lists them)",
        "2 wanted = 1 update + 1 unchanged",
        "0 to ? credits (? counts as 0 until learned); 1,400 left of 2,000",
        "To send it: make activate",
    ]


def test_the_plan_lists_what_is_unchanged_when_asked(desk: Desk) -> None:
    desk.publish(activation.TOP)
    desk.activate("apply")
    assert desk.activate("plan", "--all").lines == [
        "= personas/clv-tiers:top              unchanged",
        "1 wanted = 1 unchanged",
        "Nothing to send.",
    ]


def test_facts_that_move_less_than_their_step_are_left_until_it_adds_up(desk: Desk) -> None:
    steps = {"mean_watched_share": 0.01}
    sent = {**activation.SKIMMERS, "fact_steps": steps}
    desk.publish(sent)
    desk.activate("apply")
    desk.publish(activation.but(sent, mean_watched_share=0.37))
    assert desk.activate("plan", "--all").lines[0] == (
        f"= {SKIMMERS:<36}unchanged facts moved less than their step"
    )
    requests = desk.requests()
    assert desk.activate("apply").lines[0] == "1 unchanged: 0 credits"
    assert desk.requests() == requests
    desk.publish(activation.but(sent, mean_watched_share=0.38))
    assert desk.activate("apply").lines[-2] == "1 updated: 0 credits"


def test_an_update_waits_until_more_than_a_few_people_joined(desk: Desk) -> None:
    desk.publish(activation.SKIMMERS)
    desk.activate("apply")
    one_more = activation.but(activation.SKIMMERS, mean_watched_share=0.31, person_count=390)
    desk.publish(one_more)
    why = "only 1 person joined or left since it was sent; an update would tell about them"
    assert desk.activate("plan").lines[0] == f"! {SKIMMERS:<36}held     {why}"
    assert desk.activate("apply").lines[-2] == "1 held: 0 credits"
    desk.publish(activation.but(one_more, person_count=408))
    assert desk.activate("plan").lines[-2].startswith("1 wanted = 1 held")
    desk.publish(activation.but(one_more, person_count=409))
    assert desk.activate("apply").lines[-2] == "1 updated: 0 credits"


def test_the_plan_names_what_no_row_asks_for_any_more(desk: Desk) -> None:
    desk.publish(activation.TOP, activation.SKIMMERS)
    desk.activate("apply")
    desk.publish(activation.TOP)
    assert f"  {SKIMMERS}: no row asks for it any more; kept in Mavera" in desk.activate("plan").lines
    assert desk.activate("apply").code == 0
    assert desk.sandbox.mavera.summary()["personas"] == 2


def test_what_the_last_look_would_withhold_is_planned_as_held_and_costs_nothing(desk: Desk) -> None:
    desk.set(mavera_workspace_id=sandbox_mavera.KEY)  # pasted into the wrong line
    desk.publish(activation.TOP, analyses=(activation.CLUSTERS,))
    why = "the body.workspace_id looks like a key"
    file = desk.path / "plan.json"
    assert desk.activate("plan", "--save", str(file)).lines[1:4] == [
        f"! {CLUSTERS:<36}held     {why}",
        "2 wanted = 1 create + 1 held",
        "300 credits; 2,000 left of 2,000",
    ]
    kept = json.loads(file.read_text(encoding="utf-8"))
    told = json.loads(desk.activate("plan", "--json").out)
    for plan in (kept, told):
        assert (plan["credits_high"], plan["steps"][1]["action"], plan["steps"][1]["reason"]) == (
            *(300, "hold"),
            why,
        )
    sent = json.loads(desk.activate("apply", str(file), "--json").out)
    assert sent["results"][1] == {"key": CLUSTERS, "state": "held", "text": why, "credits": 0}


def test_without_a_budget_the_plan_says_what_it_would_cost(desk: Desk) -> None:
    desk.set(credit_budget=0)
    desk.publish(activation.TOP, activation.SKIMMERS)
    assert desk.activate("plan").lines[-3:] == [
        "2 wanted = 2 create",
        "600 credits; CREDIT_BUDGET is 0: nothing is sent",
        "To send it: set CREDIT_BUDGET in .env, then make activate",
    ]


def test_one_kind_is_planned_alone(desk: Desk) -> None:
    desk.publish(activation.TOP, analyses=(activation.CLUSTERS,))
    planned = json.loads(desk.activate("plan", "analyses", "--json").out)
    assert [step["key"] for step in planned["steps"]] == [CLUSTERS]


def test_the_plan_is_read_in_the_order_of_what_is_sent_held_unknown_and_unchanged(desk: Desk) -> None:
    desk.publish(activation.MOBILE)
    desk.activate("apply")
    desk.publish(activation.MOBILE, activation.TOP)
    desk.sandbox.faults.add(Fault("500", "mavera", count=1, path="/personas", method="POST"))
    desk.activate("apply")
    small = activation.but(activation.SKIMMERS, person_count=12)
    desk.publish(activation.MOBILE, activation.TOP, small, analyses=(activation.CLUSTERS,))
    keys = [line.split()[:2] for line in desk.activate("plan", "--all").lines[:4]]
    assert keys == [["+", CLUSTERS], ["!", SKIMMERS], ["?", TOP], ["=", MOBILE]]


def test_the_plan_has_the_same_numbers_for_a_machine(desk: Desk) -> None:
    desk.publish(activation.TOP, analyses=(activation.CLUSTERS,))
    planned = json.loads(desk.activate("plan", "--json").out)
    assert planned["counts"] == {"create": 2, "update": 0, "hold": 0, "look up": 0, "wait": 0, "leave": 0}
    assert (planned["credits_low"], planned["credits_high"], planned["credits_left"]) == (310, 375, 2_000)


# --- apply -------------------------------------------------------------------------------------------


def test_apply_sends_each_record_and_says_what_it_cost(desk: Desk) -> None:
    desk.publish(activation.TOP, analyses=(activation.CLUSTERS,))
    ran = desk.activate("apply")
    (persona, thread), credits_spent = standing(desk), desk.credits()
    assert ran.lines == [
        f"+ personas/clv-tiers:top              created {persona:<28}   300",
        f"+ analyses/viewer-clusters:all        created {thread:<28} {credits_spent - 300:>5}",
        f"2 created: {credits_spent} credits",
        "To have the answers as tables: make results",
    ]
    assert ran.code == 0


def standing(desk: Desk) -> list[str | None]:
    """The ids under which a person finds what the ledger says Mavera holds."""
    return [entry.thread_id or entry.remote_id for entry in desk.ledger().entries().values()]


def test_a_second_run_sends_nothing_and_makes_no_call(desk: Desk) -> None:
    desk.publish(*activation.PERSONAS, analyses=activation.ANALYSES)
    assert desk.activate("apply").code == 0
    requests, credits_spent = desk.requests(), desk.credits()
    again = desk.activate("apply")
    assert (desk.requests(), desk.credits()) == (requests, credits_spent)
    assert again.lines == ["6 unchanged: 0 credits", "Nothing to send."]
    assert again.code == 0


def test_the_second_run_reports_no_calls_to_a_machine(desk: Desk) -> None:
    desk.publish(activation.TOP)
    first = json.loads(desk.activate("apply", "--json").out)
    again = json.loads(desk.activate("apply", "--json").out)
    assert (first["credits"], first["counts"]["created"]) == (300, 1)
    assert (again["calls"], again["credits"], again["counts"]["unchanged"]) == (0, 0, 1)


def test_changed_facts_update_a_persona_without_a_second_one(desk: Desk) -> None:
    desk.publish(activation.SKIMMERS)
    desk.activate("apply")
    desk.publish(activation.but(activation.SKIMMERS, mean_watched_share=0.31))
    ran = desk.activate("apply")
    assert ran.lines[-2].startswith("1 updated: 0 credits")
    assert (desk.sandbox.mavera.summary()["personas"], desk.credits()) == (1, 300)
    assert desk.activate("apply").lines[0] == "1 unchanged: 0 credits"


def test_an_analysis_is_asked_once_per_set_of_facts_in_one_conversation(desk: Desk) -> None:
    desk.publish(analyses=(activation.CLUSTERS,))
    desk.activate("apply")
    desk.publish(analyses=(activation.but(activation.CLUSTERS, viewer_count=2_000),))
    desk.activate("apply")
    desk.activate("apply")
    first, second = desk.ledger().calls()
    assert (first.thread_id, second.action) == (second.thread_id, "update")
    assert desk.sandbox.mavera.summary()["threads"] == 1
    assert desk.ledger().spent() == desk.credits()


def test_the_ledger_holds_what_mavera_charged_and_answered(desk: Desk) -> None:
    desk.publish(activation.TOP, analyses=(activation.CLUSTERS,))
    desk.activate("apply")
    persona, analysis = desk.ledger().calls()
    assert (persona.credits, persona.credits_source) == (300, "answered")
    assert analysis.credits == desk.credits() - 300
    assert desk.ledger().answer(analysis.call_id)["content"]


def test_counts_of_a_run_add_up_to_what_is_wanted(desk: Desk) -> None:
    desk.set(credit_budget=650)
    small = activation.but(activation.MOBILE, person_count=12)
    desk.publish(activation.TOP, activation.SKIMMERS, small, analyses=activation.ANALYSES)
    ran = json.loads(desk.activate("apply", "--json").out)
    assert ran["wanted"] == 6
    assert sum(ran["counts"].values()) == len(ran["results"]) == 6


@pytest.mark.parametrize("shape", ["reference", "examples"])
def test_a_lenient_mavera_takes_either_shape_of_a_persona(desk: Desk, shape: str) -> None:
    desk.sandbox.mavera.strict = False
    desk.set(mavera_persona_shape=shape)
    desk.publish(activation.TOP)
    assert desk.activate("apply").code == 0


def test_what_mavera_refuses_is_named_and_the_rest_is_sent(desk: Desk) -> None:
    desk.set(mavera_persona_shape="examples")
    desk.publish(activation.TOP, analyses=(activation.CLUSTERS,))
    ran = desk.activate("apply")
    assert ran.lines[0].startswith(f"x {TOP:<36}POST /personas: 400 missing_field (")
    assert ran.lines[2].startswith("1 created, 1 failed: ")
    assert ran.lines[3].startswith("make activate tries again")
    assert ran.code == 1


def test_a_study_is_planned_waited_for_and_explained(desk: Desk) -> None:
    desk.publish(activation.TOP, activation.SKIMMERS, studies=(activation.PAIR,))
    study = "focus-groups/product-affinity:P100_P101"
    assert desk.activate("plan").lines[2:] == [
        f"+ {study}  create   50 to 200  76 people, asks 2 personas",
        "3 wanted = 3 create",
        "650 to 800 credits; 2,000 left of 2,000",
        "To send it: make activate",
    ]
    desk.sandbox.mavera.study_seconds = 3_600
    desk.set(mavera_poll_ceiling_seconds=0)
    ran = desk.activate("apply")
    assert ran.lines[-2].startswith("2 created, 1 waiting: ")
    assert ran.lines[-1] == "Mavera is at work: make activate asks again and pays nothing for that."
    assert ran.code == 0
    assert desk.activate("plan").lines[0] == f"? {study}  waiting  Mavera is at work on it"
    assert re.search(r"^focus groups  1 waiting \(\d+ min\)$", desk.activate("status").out, re.MULTILINE)
    assert json.loads(desk.activate("status", "--json").out)["waiting_since"]
    desk.sandbox.mavera.study_seconds = 0
    assert desk.activate("apply").code == 0
    (remote_id,) = (remote for remote in standing(desk) if remote and remote.startswith("fg_"))
    *_, words, sent, answered = desk.activate("explain", study).lines
    assert words == "words     dbt_project/models/jobs/product_affinity/study.toml"
    assert 'POST /focus-groups {"name"' in sent
    assert answered.startswith(f"answered  {remote_id}, ")


def test_a_text_is_planned_written_and_explained(desk: Desk) -> None:
    text = "generations/viewer-follow-ups:m1/comparing"
    desk.publish(texts=(activation.FOLLOW_UP,))
    assert desk.activate("plan").lines[0] == f"+ {text}  create   10 to 30   31 people"
    assert desk.activate("apply").code == 0
    assert desk.activate("status").lines[-1] == "generations   1 sent"
    (remote_id,) = standing(desk)
    *_, words, sent, answered = desk.activate("explain", text, "--payload").lines
    assert words == "words     dbt_project/models/jobs/viewer_follow_ups/generation.toml"
    assert 'POST /generations {"app_id": "email-writer"' in sent
    asked = 'People who watched more than 80 % of it; they watched a few others of ours as far"'
    assert f'"target_audience": "{asked}' in sent
    assert answered.startswith(f"answered  {remote_id}, 1")


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
    assert ran.lines[-2] == "2 created, 1 held: 600 credits"
    assert ran.code == 0


def test_what_mavera_really_charged_makes_room_for_more_in_the_next_run(desk: Desk) -> None:
    desk.set(credit_budget=175)
    desk.publish(analyses=activation.ANALYSES)
    first = desk.activate("apply")
    assert first.lines[-2] == f"2 created, 1 held: {desk.credits()} credits"
    assert first.code == 0
    assert desk.activate("apply").code == 0
    assert desk.sandbox.mavera.summary()["threads"] == 3
    assert desk.credits() <= 175


def test_the_first_402_stops_the_run(desk: Desk) -> None:
    desk.sandbox.mavera.balance = 310
    desk.publish(activation.TOP, activation.SKIMMERS, analyses=(activation.CLUSTERS,))
    ran = desk.activate("apply")
    assert ran.lines[1:] == [
        f"x {SKIMMERS:<36}402 out of credits: stopping             0",
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
        "+ personas/viewer-clusters:skimmers   create   350        389 people",
        "      price learned from Mavera's answers; documented: 300",
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
    assert planned.lines[:2] == [
        "~ personas/viewer-clusters:skimmers   update   15         389 people",
        "      price learned from Mavera's answers; none is documented",
    ]
    assert desk.ledger().spent() == desk.credits() == 330


def test_a_run_has_a_budget_of_its_own_within_the_months(desk: Desk) -> None:
    desk.set(credit_budget_per_run=300)
    desk.publish(activation.TOP, activation.SKIMMERS)
    said = desk.activate("plan").lines
    assert "! personas/viewer-clusters:skimmers   held     passes the budget by 300 credits" in said
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
    assert desk.activate("apply").lines[-2] == "2 created, 1 held: 700 credits"


# --- mistakes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "arguments", "said"),
    [
        ({}, ("plan", "persona"), "there is no kind persona. Choose from personas, brand-voices, analyses"),
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
    assert "Set LEDGER_URL to a file of its own for each" in ran.err


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
    assert "held     facts.medias[0].media_name looks like an e-mail address" in ran[0].out
    assert all("ada@" not in said.out + said.err for said in ran)
    assert b"ada@" not in (desk.path / "ledger.sqlite").read_bytes()
    assert desk.sandbox.mavera.summary()["personas"] == 1


# --- a lost ledger -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["personas", "analyses"])
def test_a_lost_ledger_is_noticed_before_anything_is_paid_twice(desk: Desk, kind: str) -> None:
    rows = (activation.TOP,) if kind == "personas" else ()
    desk.publish(*rows, analyses=() if rows else (activation.CLUSTERS,))
    desk.activate("apply")
    (desk.path / "ledger.sqlite").unlink()
    credits_spent = desk.credits()
    ran = desk.activate("apply")
    assert ran.code == 2
    assert "with our reference, which the ledger does not know: it is new. Bring" in ran.err
    assert "settle --from-mavera" in ran.err
    assert desk.credits() == credits_spent


def test_a_lost_ledger_is_made_again_from_what_mavera_holds(desk: Desk) -> None:
    desk.publish(*activation.PERSONAS, analyses=activation.ANALYSES)
    desk.activate("apply")
    (desk.path / "ledger.sqlite").unlink()
    credits_spent = desk.credits()
    assert desk.activate("settle", "--from-mavera").out.count("adopted") == 6
    assert desk.activate("apply").lines == ["6 unchanged: 0 credits", "Nothing to send."]
    assert desk.credits() == credits_spent


def test_taking_over_can_itself_be_interrupted(desk: Desk) -> None:
    desk.publish(activation.TOP, activation.SKIMMERS)
    desk.activate("apply")
    (desk.path / "ledger.sqlite").unlink()
    set_up = settings.load()
    account = Mavera(set_up.mavera_base_url, sandbox_mavera.KEY, "enterprise")
    taking = drift.adopt_all(records.load(set_up, list(KINDS)), desk.ledger(write=True), account)
    assert next(taking)[0] == TOP
    assert desk.activate("apply").code == 2
    desk.activate("settle", "--from-mavera")
    assert desk.activate("apply").lines[0] == "2 unchanged: 0 credits"


def test_what_no_row_asks_for_is_taken_over_and_not_paid_again_when_one_does(desk: Desk) -> None:
    desk.publish(activation.TOP, analyses=(activation.CLUSTERS,))
    desk.activate("apply")
    (desk.path / "ledger.sqlite").unlink()
    desk.publish(activation.TOP)
    assert desk.activate("settle", "--from-mavera").out.count("adopted") == 2
    assert f"  {CLUSTERS}: no row asks for it any more; kept in Mavera" in desk.activate("plan").lines
    desk.publish(activation.TOP, analyses=(activation.CLUSTERS,))
    assert desk.activate("apply").lines == ["2 unchanged: 0 credits", "Nothing to send."]


def test_a_persona_taken_over_with_older_facts_is_updated_not_created(desk: Desk) -> None:
    desk.publish(activation.SKIMMERS)
    desk.activate("apply")
    (desk.path / "ledger.sqlite").unlink()
    desk.publish(activation.but(activation.SKIMMERS, mean_watched_share=0.31))
    desk.activate("settle", "--from-mavera")
    assert desk.activate("apply").lines[-2] == "1 updated: 0 credits"
    assert desk.sandbox.mavera.summary()["personas"] == 1


# --- status, explain, settle -------------------------------------------------------------------------


def test_status_tells_what_stands_and_what_is_left_without_a_call(desk: Desk) -> None:
    desk.publish(activation.TOP, activation.SKIMMERS)
    desk.activate("apply")
    requests = desk.requests()
    desk.publish(activation.TOP)
    ran, last, *lines = desk.activate("status").lines
    assert re.match(r"activate      \d+ [A-Z][a-z]{2} \d\d:\d\d UTC, ", ran)
    assert ran.endswith(", well: 2 created: 600 credits")
    assert re.fullmatch(r"last sent     \d+ [A-Z][a-z]{2} \d\d:\d\d UTC, .*", last)
    assert last.endswith(", 600 credits; 1,400 left of 2,000")
    assert lines == [
        "personas      2 sent",
        "brand voices  none",
        "analyses      none",
        "focus groups  none",
        "generations   none",
        "unwanted      personas/viewer-clusters:skimmers: no row asks for it any more; kept",
    ]
    assert desk.requests() == requests


def test_status_before_the_first_run_says_so(desk: Desk) -> None:
    desk.publish(activation.TOP)
    assert desk.activate("status").lines == [
        "last sent     nothing yet; 2,000 left of 2,000",
        "personas      1 to send",
        "brand voices  none",
        "analyses      none",
        "focus groups  none",
        "generations   none",
    ]


def test_explain_follows_a_record_from_its_facts_to_its_answer(desk: Desk) -> None:
    desk.publish(activation.TOP)
    desk.activate("apply")
    (persona,) = standing(desk)
    facts, *more, model, words, sent, answered = desk.activate("explain", TOP).lines
    assert facts.startswith("facts     clv_tier top, tier_from_share 0.0,")
    assert all(len(line) <= 80 for line in (facts, *more))
    assert model == "from      activation.sync_mavera__personas, job clv-tiers"
    assert words == "words     dbt_project/models/jobs/clv_tiers/persona.md.j2"
    assert 'POST /personas {"pipeline_type"' in sent
    assert answered == f"answered  {persona}, 300 credits"
    assert "Ref: clv-tiers:top" in desk.activate("explain", TOP, "--payload").out
    assert '"credits_charged": 300' in desk.activate("explain", TOP, "--answer").out


def test_explain_goes_down_to_the_marts_the_rows_and_the_raw_tables(desk: Desk) -> None:
    desk.publish(activation.SKIMMERS)
    activation.publish_origins(desk.path / "published.duckdb")
    lines = desk.activate("explain", SKIMMERS).lines
    assert "mean_watched_share 0.36 (0.341 to 0.379)" in " ".join(line.strip() for line in lines)
    assert lines[-7:] == [
        "from      activation.sync_mavera__personas, job viewer-clusters",
        "          marts.agg_viewer_clusters, viewer_count 390, to 20 Nov 2026:",
        "          viewer_count, mean_watched_share",
        "          marts.dim_viewers, 390 rows, 1 Jul 2026 to 20 Nov 2026: countries",
        "raw       raw_wistia.visitors 2,852 rows (loaded 20 Nov 06:01 UTC)",
        "words     dbt_project/models/jobs/viewer_clusters/persona.md.j2",
        "sent      not yet",
    ]


def test_explain_names_who_uses_a_record_and_which_threshold_a_fact_is(desk: Desk) -> None:
    desk.publish(activation.TOP, activation.SKIMMERS, studies=(activation.PAIR,))
    activation.publish_origins(desk.path / "published.duckdb")
    desk.activate("apply")
    lines = desk.activate("explain", TOP).lines
    assert "          dbt_project.yml: tier_to_share (top_tier_to_share)" in lines
    assert "raw       raw_klaviyo.profiles 1,429 rows (not loaded)" in lines
    assert lines[-1] == "used by   focus-groups/product-affinity:P100_P101"


def test_explain_tells_of_what_no_row_asks_for_what_the_ledger_knows_and_what_to_do(desk: Desk) -> None:
    desk.publish(activation.SKIMMERS)
    desk.activate("apply")
    (persona,) = standing(desk)
    desk.publish(activation.TOP)
    lines = desk.activate("explain", SKIMMERS).lines
    assert lines[:3] == [
        "unwanted  no row asks for it any more; kept in Mavera",
        "facts     viewer_cluster skimmers, viewer_count 390, share_of_viewers 0.3,",
        "          mean_media_count 3.1, mean_watched_share 0.36, mean_session_count 4.2,",
    ]
    place = lines.index("from      the ledger, as they were sent; job viewer-clusters")
    sent, answered, *to_do = lines[place + 1 :]
    assert 'POST /personas {"pipeline_type"' in sent
    assert answered == f"answered  {persona}, 300 credits"
    assert " ".join(" ".join(to_do).split()) == (
        "to do nothing: it costs no more, and a row that asks for it again goes on with it. Or delete "
        f"{persona} in Mavera, then python -m activate drift --policy adopt --only {SKIMMERS}"
    )
    assert "Ref: viewer-clusters:skimmers" in desk.activate("explain", SKIMMERS, "--payload").out

    desk.set(mavera_settle_seconds=0)
    desk.sandbox.mavera.delete_by_hand(str(persona))
    desk.activate("drift", "--policy", "adopt", "--only", SKIMMERS)
    assert SKIMMERS not in desk.activate("plan").out
    lines = desk.activate("explain", SKIMMERS).lines
    assert lines[0] == "unwanted  no row asks for it any more; Mavera has nothing of it"
    assert lines[-1] == "to do     nothing"


def test_explain_of_an_unwanted_record_without_an_answer_says_who_finds_out(desk: Desk) -> None:
    desk.publish(activation.SKIMMERS)
    desk.sandbox.faults.add(Fault("500", "mavera", count=1, path="/personas", method="POST"))
    desk.activate("apply")
    desk.publish(activation.TOP)
    lines = desk.activate("explain", SKIMMERS).lines
    assert lines[0] == "unwanted  no row asks for it any more; whether Mavera has it is not known"
    assert lines[-1] == "to do     make activate looks it up"


def test_settle_lists_what_is_unknown_and_takes_a_persons_word(desk: Desk) -> None:
    desk.publish(activation.TOP)
    desk.activate("apply")
    desk.publish(activation.TOP, activation.SKIMMERS)
    desk.sandbox.faults.add(Fault("500", "mavera", count=1, path="/personas", method="POST"))
    assert desk.activate("apply").code == 1
    assert desk.activate("settle").lines[0].startswith(f"? {SKIMMERS:<36}sent ")
    desk.activate("settle", SKIMMERS, "--forget")
    assert desk.activate("settle").out == "Nothing to settle: every call has a known end.\n"
    assert desk.activate("apply").code == 0
    assert desk.sandbox.mavera.summary()["personas"] == 2


def test_a_persona_that_a_person_names_is_taken_over(desk: Desk) -> None:
    desk.publish(activation.TOP)
    desk.activate("apply")
    (persona,) = standing(desk)
    desk.activate("settle", TOP, "--forget")
    ran = desk.activate("settle", TOP, "--adopt", str(persona))
    assert ran.lines[0] == f"? {TOP:<36}adopted {persona}"
    assert desk.activate("apply").lines[0] == "1 unchanged: 0 credits"
    assert desk.ledger().spent() == 300


def test_an_id_that_mavera_does_not_know_is_not_taken_over(desk: Desk) -> None:
    desk.publish(activation.TOP)
    ran = desk.activate("settle", TOP, "--adopt", "per_none")
    assert (ran.code, ran.err) == (
        2,
        "error: Mavera has no custom persona per_none, or no answer yet in such a thread\n",
    )


def test_a_ledger_is_verified_exported_and_restored(desk: Desk) -> None:
    desk.publish(activation.TOP)
    desk.activate("apply")
    assert desk.activate("ledger", "verify").out == "3 rows, each as it was written\n"
    kept = desk.path / "kept.jsonl"
    assert desk.activate("ledger", "export", str(kept)).out == f"3 rows in {kept}\n"
    assert "exists already" in desk.activate("ledger", "export", str(kept)).err
    assert desk.activate("ledger", "export").out == kept.read_text(encoding="utf-8")
    desk.set(ledger_url=f"sqlite:///{desk.path / 'another.sqlite'}")
    restored = desk.activate("ledger", "restore", str(kept))
    assert restored.out == "3 rows restored, each as it was written\n"
    assert desk.activate("plan").lines[-1] == "Nothing to send."
