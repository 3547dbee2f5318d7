"""The commands of `python -m activate` against the sandbox's Mavera: requests, output and credits."""

import json
import re
import shlex
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from activate.cli import main as cli
from activate.kinds import PERSONAS
from activate.ledger import opening
from activate.ledger.journal import Ledger
from activate.mavera import Mavera
from common import settings
from sandbox import mavera as sandbox_mavera
from sandbox.faults import Fault
from sandbox.server import Sandbox, serving
from tests import activation

TOP, SKIMMERS, MOBILE = (f"personas/{row['record_key']}" for row in activation.PERSONAS)
CLUSTERS = "analyses/viewer-clusters:all"


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(activation.world(), limits="off")


@dataclass
class Ran:
    """The result of a command."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.out.splitlines()]

    @property
    def text(self) -> str:
        """The output as one line, however it was wrapped."""
        return " ".join(self.out.split())


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
        "clv-tiers                                                            300 credits",
        "+ Loyal Top Spenders                                         create          300",
        "  personas/clv-tiers:top  820 people",
        "",
        "viewer-clusters                                                 10 to 75 credits",
        "+ Viewer clusters                                            create     10 to 75",
        "  analyses/viewer-clusters:all  1,800 people",
        "! Skimmers: sample a lot, finish little                      withheld",
        "  personas/viewer-clusters:bouncers",
        "  12 people, smallest cohort is 20",
        "",
        "3 wanted = 2 create + 1 withheld",
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
    assert ran.lines[-1].startswith(f"Waiting for your decision: {TOP}: ")
    assert desk.activate("drift", "--let-be", made).code == 0
    assert desk.activate("apply").code == 0
    desk.set(mavera_api_key="")
    desk.publish(activation.TOP, activation.SKIMMERS, activation.MOBILE)
    assert "MAVERA_API_KEY is not set: Mavera was not checked" in desk.activate("plan").out
    assert "Mavera was not checked" in json.loads(desk.activate("plan", "--json").out)["not_looked"]


def test_a_run_that_would_pay_for_too_much_says_so_and_exits_1(desk: Desk) -> None:
    noted = [sys.executable, "-c", f"open({str(desk.path / 'noticed')!r}, 'w')"]
    desk.set(mavera_creations=1, notice_command=shlex.join(noted))
    desk.publish(activation.TOP, activation.SKIMMERS)
    assert "MAVERA_CREATIONS allows 1 in a run" in desk.activate("plan").text
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
        "viewer-clusters                                                             free",
        "~ Skimmers: sample a lot, finish little                      update         free",
        "  personas/viewer-clusters:skimmers  389 people",
        "  mean_watched_share  0.36 -> 0.31",
        "",
        "= 1 unchanged (--all lists them)",
        "2 wanted = 1 update + 1 unchanged",
        "Free; 1,400 left of 2,000",
        "Mavera's price list has no updates of personas: they count as free until an",
        "answer charges for one.",
        "To send it: make activate",
    ]


def test_the_plan_lists_what_is_unchanged_when_asked(desk: Desk) -> None:
    desk.publish(activation.TOP)
    desk.activate("apply")
    assert desk.activate("plan", "--all").lines == [
        "clv-tiers",
        "= Loyal Top Spenders                                         unchanged",
        "  personas/clv-tiers:top",
        "",
        "1 wanted = 1 unchanged",
        "Nothing to send.",
    ]


def test_facts_that_move_less_than_their_step_are_left_until_it_adds_up(desk: Desk) -> None:
    steps = {"mean_watched_share": 0.01}
    sent = {**activation.SKIMMERS, "fact_steps": steps}
    desk.publish(sent)
    desk.activate("apply")
    desk.publish(activation.but(sent, mean_watched_share=0.37))
    assert desk.activate("plan", "--all").lines[2:4] == [
        f"  {SKIMMERS}",
        "  facts moved less than their step",
    ]
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
    why = "only 1 person joined or left since it was sent; an update would reveal who they are"
    assert f"{SKIMMERS} {why}" in desk.activate("plan").text
    assert desk.activate("apply").lines[-2] == "1 withheld: 0 credits"
    desk.publish(activation.but(one_more, person_count=408))
    assert desk.activate("plan").lines[-2].startswith("1 wanted = 1 withheld")
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
    desk.set(mavera_workspace_id=sandbox_mavera.KEY)  # a key pasted into the wrong line
    desk.publish(activation.TOP, analyses=(activation.CLUSTERS,))
    why = "the body.workspace_id looks like a key"
    file = desk.path / "plan.json"
    lines = desk.activate("plan", "--save", str(file)).lines
    assert lines[5:7] == [f"! {CLUSTERS:<59}withheld", f"  {CLUSTERS}"]
    assert lines[7:11] == [
        f"  {why}",
        "",
        "2 wanted = 1 create + 1 withheld",
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
    lines = desk.activate("plan", "--all").lines
    signs = [line[0] for line in lines if line[:2] in {"+ ", "! ", "? ", "= "}]
    keys = [line.split()[0] for line in lines if line.startswith(("  personas/", "  analyses/"))]
    assert list(zip(signs, keys, strict=True)) == [
        ("+", CLUSTERS),
        ("!", SKIMMERS),
        ("?", TOP),
        ("=", MOBILE),
    ]


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
        "+ Loyal Top Spenders                                         created         300",
        f"  personas/clv-tiers:top  {persona}",
        f"+ {'Viewer clusters':<59}created         {credits_spent - 300:>3}",
        f"  analyses/viewer-clusters:all  {thread}",
        f"2 created: {credits_spent} credits",
        "To have the answers as tables: make results",
    ]
    assert ran.code == 0


def standing(desk: Desk) -> list[str | None]:
    """Return the shown ids of the remote objects in the ledger."""
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
    assert ran.lines[0] == f"x {activation.TOP['name']:<59}failed            0"
    assert ran.lines[1:3] == [f"  {TOP}", ran.lines[2]]
    assert ran.lines[2].startswith("  POST /personas: 400 missing_field (")
    assert ran.lines[-2].startswith("1 created, 1 failed: ")
    assert ran.lines[-1].startswith("make activate tries again")
    assert ran.code == 1


def test_a_study_is_planned_waited_for_and_explained(desk: Desk) -> None:
    desk.publish(activation.TOP, activation.SKIMMERS, studies=(activation.PAIR,))
    study = "focus-groups/product-affinity:P100_P101"
    assert desk.activate("plan").lines[-6:] == [
        f"+ {activation.PAIR['name']:<59}create    50 to 200",
        f"  {study}  76 people, asks 2 personas",
        "",
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
    planned = desk.activate("plan").lines
    assert planned[1] == f"? {activation.PAIR['name']:<59}waiting"
    assert planned[2:4] == [f"  {study}", "  Mavera is at work on it"]
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
    assert f"  {text}  31 people" in desk.activate("plan").lines
    assert desk.activate("apply").code == 0
    assert desk.activate("status").lines[-1] == "generations   1 sent"
    (remote_id,) = standing(desk)
    *_, words, sent, answered = desk.activate("explain", text, "--payload").lines
    assert words == "words     dbt_project/models/jobs/viewer_follow_ups/generation.toml"
    assert 'POST /generations {"app_id": "email-writer"' in sent
    asked = "People who watched more than 80% of the video. They watched a few of our other videos as far"
    assert f'"target_audience": "{asked}' in sent
    assert re.match(rf"answered  {remote_id}, [12]\d credits", answered)
