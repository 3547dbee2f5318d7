"""Plans saved in a file: applied exactly, or refused with the changes since."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import requests

from activate import approval
from activate.kinds import KINDS
from common import settings
from sandbox import mavera
from sandbox.faults import Fault
from tests import activation
from tests.activate import test_activate
from tests.activate.test_activate import CLUSTERS, MOBILE, SKIMMERS, TOP, Desk, Ran

sandbox, desk = test_activate.sandbox, test_activate.desk


def planned(desk: Desk, *rows: activation.Row, **others: Any) -> str:
    """Publish rows and save the plan for them; return its file."""
    desk.publish(*rows, **others)
    file = str(desk.path / "plan.json")
    ran = desk.activate("plan", "--save", file)
    assert ran.code == 0, ran.err
    return file


def refused(desk: Desk, file: str) -> list[str]:
    """Apply a plan that must be refused with nothing sent; return the changes it lists."""
    sent = desk.requests("POST", "PATCH")
    ran = desk.activate("apply", file)
    assert (ran.code, desk.requests("POST", "PATCH")) == (2, sent)
    first, *moved, last = ran.err.splitlines()
    assert first.startswith(f"error: {file} was planned ")
    assert last == f"Plan again: make plan PLAN={file}"
    return [line.strip() for line in moved]


def edit(desk: Desk, path: str, **fields: Any) -> None:
    """Edit an object in Mavera by hand."""
    headers = {"Authorization": f"Bearer {mavera.KEY}"}
    url = settings.load().mavera_base_url + path
    method = "PATCH" if fields else "DELETE"
    assert requests.request(method, url, json=fields or None, headers=headers, timeout=5).ok


def ids(desk: Desk) -> dict[str, str]:
    entries = desk.ledger().entries()
    return {key: entry.thread_id or str(entry.remote_id) for key, entry in entries.items()}


# --- the file ----------------------------------------------------------------------------------------


def test_the_plan_as_kept_names_each_step_and_where_everything_stood(desk: Desk) -> None:
    small = activation.but(activation.MOBILE, person_count=12)
    file = planned(desk, activation.TOP, small, analyses=(activation.CLUSTERS,))
    kept = json.loads(Path(file).read_bytes())
    steps = {
        step["key"]: (step["action"], step["credits_low"], step["credits_high"]) for step in kept["steps"]
    }
    assert steps == {TOP: ("create", 300, 300), MOBILE: ("hold", 0, 0), CLUSTERS: ("create", 10, 75)}
    assert {step["people"] for step in kept["steps"]} == {820, 12, 1_800}
    assert all(len(step["fingerprint"]) == len(step["payload_sha256"]) == 64 for step in kept["steps"])
    assert (kept["credits_low"], kept["credits_high"], kept["ledger"]) == (310, 375, [0, ""])
    assert kept["mavera"] == settings.load().mavera_base_url
    assert kept["settings"] == {
        "smallest_cohort": 20,
        "credit_budget": 2_000,
        "credit_budget_per_run": None,
        "mavera_study_days": 30,
    }


def test_the_plan_as_kept_holds_no_fact_no_text_and_no_key(desk: Desk) -> None:
    file = planned(desk, activation.TOP, analyses=(activation.CLUSTERS,))
    kept = Path(file).read_text(encoding="utf-8")
    said = json.loads(desk.activate("plan", "--json").out)
    told = ("412", "Product tour", "United States", mavera.KEY)
    # Search for whole words: a plan file is full of digests, which may contain any three digits.
    assert not [word for word in told if re.search(rf"\b{re.escape(word)}\b", kept)]
    assert said["credits_high"] == 375


def test_a_plan_that_is_kept_says_how_it_is_sent(desk: Desk) -> None:
    desk.publish(activation.TOP)
    file = desk.path / "plan.json"
    assert desk.activate("plan", "--save", str(file)).lines[-1] == f"To send it: make activate PLAN={file}"


def test_a_plan_that_is_kept_costs_no_credits_and_only_looks(desk: Desk) -> None:
    planned(desk, *activation.PERSONAS, analyses=activation.ANALYSES)
    assert (desk.credits(), desk.requests("POST", "PATCH")) == (0, 0)
    assert desk.ledger().chain.mark().entry_id == 0
    assert (desk.path / "ledger.sqlite").stat().st_mode & 0o777 == 0o600  # it has the secret that seals plans


def test_without_a_key_a_plan_is_kept_without_a_call(desk: Desk) -> None:
    desk.set(mavera_api_key="")
    file = planned(desk, activation.TOP)
    assert (desk.requests(), json.loads(Path(file).read_bytes())["seen"]) == (0, None)
    desk.set(mavera_api_key=mavera.KEY)
    assert desk.activate("apply", file).lines[-2] == "1 created: 300 credits"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: text.replace('"credits_high": 300', '"credits_high": 900'), "is not as it was written"),
        (
            lambda text: text.replace('"layout": 1', '"layout": 2'),
            "is not a plan of this version (layout)",
        ),
        (lambda text: text[:-20], "is not a plan of this version (its form)"),
        (lambda _: "personas/clv-tiers:top", "is not a plan of this version (its form)"),
    ],
)
def test_a_file_that_is_not_as_it_was_written_is_refused_in_one_line(
    desk: Desk, spoil: Any, said: str
) -> None:
    file = Path(planned(desk, activation.TOP))
    file.write_text(spoil(file.read_text(encoding="utf-8")), encoding="utf-8")
    ran = desk.activate("apply", str(file))
    assert (ran.code, desk.requests("POST"), len(ran.err.splitlines())) == (2, 0, 1)
    assert said in ran.err
    assert f"make plan PLAN={file}" in ran.err


@pytest.mark.parametrize("changes", [{"budget": 50_000}, {"credits_high": 9_000}, {"seal": ""}])
def test_a_plan_whose_hash_was_computed_anew_is_refused(desk: Desk, changes: dict[str, Any]) -> None:
    file = Path(planned(desk, activation.TOP))
    kept = approval.read(file, settings.load())
    edited = kept.model_copy(update=changes)
    edited = edited.model_copy(update={"sha256": edited.receipt()})
    file.write_text(edited.model_dump_json(), encoding="utf-8")
    ran = desk.activate("apply", str(file))
    assert (ran.code, desk.requests("POST"), len(ran.err.splitlines())) == (2, 0, 1)
    assert "was changed after plan --save wrote it, or belongs to another ledger: nothing was sent" in ran.err
    file.write_text(kept.model_dump_json(), encoding="utf-8")
    assert desk.activate("apply", str(file)).lines[-2] == "1 created: 300 credits"


def test_a_plan_for_another_mavera_is_refused(desk: Desk) -> None:
    file = planned(desk, activation.TOP)
    desk.set(mavera_base_url="https://app.mavera.io/api/v1")
    ran = desk.activate("apply", file)
    assert ran.code == 2
    assert "MAVERA_BASE_URL is https://app.mavera.io/api/v1: nothing was sent" in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("apply", "no/plan.json"),
            "no/plan.json cannot be read: No such file or directory. Plan again: make plan",
        ),
        (("apply", "plan"), "there is no kind plan. Choose from personas"),
        (("plan", "--save", "no/plan.json"), "no/plan.json cannot be written: No such file or directory"),
    ],
)
def test_a_mistake_with_a_file_is_one_line(desk: Desk, arguments: tuple[str, ...], said: str) -> None:
    desk.publish(activation.TOP)
    ran = desk.activate(*arguments)
    assert ran.code == 2
    assert ran.err.startswith(f"error: {said}")
    assert len(ran.err.splitlines()) == 1


def test_a_file_is_applied_with_the_budget_that_it_was_planned_with(desk: Desk) -> None:
    desk.publish(activation.TOP, activation.SKIMMERS)
    file = str(desk.path / "plan.json")
    desk.activate("plan", "--budget", "300", "--save", file)
    ran = desk.activate("apply", file, "--budget", "900")
    assert (ran.code, desk.requests("POST")) == (2, 0)
    assert (
        ran.err
        == f"error: {file} was planned with its budget. For another one: plan --save {file} --budget N\n"
    )
    for _ in range(2):  # a second run does not send the record that exceeded the budget
        assert desk.activate("apply", file).code == 0
    assert (list(ids(desk)), desk.credits()) == ([TOP], 300)


# --- applied -----------------------------------------------------------------------------------------


def test_a_plan_that_nothing_has_moved_since_is_sent_as_it_is(desk: Desk) -> None:
    file = planned(desk, activation.TOP, activation.SKIMMERS, analyses=(activation.CLUSTERS,))
    assert desk.activate("apply", file).lines[-2].startswith("3 created: ")
    requests_then, credits_then = desk.requests("POST", "PATCH"), desk.credits()
    again = desk.activate("apply", file)
    assert (again.code, again.lines[-1]) == (0, "Nothing to send.")
    assert (desk.requests("POST", "PATCH"), desk.credits()) == (requests_then, credits_then)


def test_kinds_that_were_not_planned_are_not_sent(desk: Desk) -> None:
    desk.publish(activation.TOP, analyses=(activation.CLUSTERS,))
    file = str(desk.path / "plan.json")
    desk.activate("plan", "analyses", "--save", file)
    desk.activate("apply", file)
    assert list(ids(desk)) == [CLUSTERS]


def test_a_budget_may_be_set_after_the_plan_showed_what_it_has_to_be(desk: Desk) -> None:
    desk.set(credit_budget=0)
    file = planned(desk, activation.TOP)
    assert "CREDIT_BUDGET is 0, nothing was sent. This plan costs 300" in desk.activate("apply", file).err
    desk.set(credit_budget=300)
    assert desk.activate("apply", file).code == 0
    assert desk.credits() == 300


def test_a_plan_never_costs_more_than_it_said(desk: Desk) -> None:
    file = planned(desk, *activation.PERSONAS)
    desk.sandbox.mavera.persona_credits = 420
    ran = desk.activate("apply", file)
    assert ran.lines[-2] == "2 created, 1 withheld: 840 credits"
    assert "held" in ran.out
    assert desk.activate("apply", file).lines[0] == "2 unchanged, 1 withheld: 0 credits"
    assert desk.credits() == 840


# --- changes since the plan --------------------------------------------------------------------------


def test_rows_that_moved_are_named_each_in_a_line(desk: Desk) -> None:
    file = planned(desk, activation.TOP, activation.SKIMMERS)
    small = activation.but(activation.CLUSTERS, viewer_count=900)
    desk.publish(activation.but(activation.TOP, customer_count=900), activation.MOBILE, analyses=(small,))
    assert refused(desk, file) == [
        f"{TOP} has other facts or words",
        f"{SKIMMERS} is no longer wanted",
        f"{MOBILE} is wanted now",
        f"{CLUSTERS} is wanted now",
    ]


def test_a_group_that_grew_without_a_fact_that_moved_is_no_move(desk: Desk) -> None:
    file = planned(desk, activation.TOP)
    desk.publish(activation.but(activation.TOP, person_count=821))
    assert desk.activate("apply", file).code == 0


def test_a_group_that_fell_under_the_smallest_cohort_is_not_sent(desk: Desk) -> None:
    file = planned(desk, activation.TOP)
    desk.publish(activation.but(activation.TOP, person_count=19))
    assert refused(desk, file) == [f"{TOP} was to create, is now to hold: 19 people, smallest cohort is 20"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"smallest_cohort": 900}, "SMALLEST_COHORT was 20 and is 900"),
        ({"credit_budget": 5_000}, "CREDIT_BUDGET was 2,000 and is 5,000"),
        ({"credit_budget_per_run": 300}, "CREDIT_BUDGET_PER_RUN was empty and is 300"),
        ({"mavera_persona_type": "B2B"}, f"{TOP} would be sent with other settings, or words"),
    ],
)
def test_settings_that_moved_are_named(desk: Desk, change: dict[str, Any], said: str) -> None:
    file = planned(desk, activation.TOP)
    desk.set(**change)
    assert refused(desk, file)[0] == said


def test_what_another_run_did_since_is_named(desk: Desk) -> None:
    file = planned(desk, activation.TOP, activation.SKIMMERS, analyses=(activation.CLUSTERS,))
    desk.activate("apply", "analyses")
    assert refused(desk, file)[0] == f"{CLUSTERS} was created by another run"


def test_what_a_person_decided_since_is_named(desk: Desk) -> None:
    desk.publish(activation.TOP)
    desk.activate("apply")
    file = planned(desk, activation.TOP, activation.SKIMMERS)
    desk.activate("settle", TOP, "--forget")
    assert refused(desk, file)[0] == f"{TOP} was forgotten by hand"


def test_another_ledger_than_the_plan_knew_is_named(desk: Desk) -> None:
    desk.publish(activation.TOP)
    desk.activate("apply")
    file = planned(desk, activation.TOP, activation.SKIMMERS)
    (desk.path / "ledger.sqlite").unlink()
    assert refused(desk, file) == [
        "the ledger is a different one, or older than the plan: it lacks the plan's last row"
    ]


@pytest.mark.parametrize("key", [mavera.KEY, ""])
def test_what_was_deleted_in_mavera_since_is_named(desk: Desk, key: str) -> None:
    desk.publish(analyses=(activation.CLUSTERS,))
    desk.activate("apply")
    desk.set(mavera_api_key=key)
    file = planned(desk, activation.TOP, analyses=(activation.CLUSTERS,))
    desk.set(mavera_api_key=mavera.KEY)
    thread = ids(desk)[CLUSTERS]
    edit(desk, f"/mave/threads/{thread}")
    assert refused(desk, file) == [f"{CLUSTERS} is gone from Mavera, or its reference was removed ({thread})"]


def test_what_was_edited_in_mavera_since_is_named(desk: Desk) -> None:
    desk.publish(activation.TOP)
    desk.activate("apply")
    file = planned(desk, activation.TOP, activation.SKIMMERS)
    persona = ids(desk)[TOP]
    edit(desk, f"/personas/{persona}", description="As somebody else sees it.")
    assert refused(desk, file) == [f"{TOP} was edited in Mavera ({persona})"]


@pytest.mark.parametrize("kind", ["personas", "analyses"])
def test_what_another_ledger_made_in_mavera_since_is_named(desk: Desk, kind: str) -> None:
    rows: dict[str, Any] = {"analyses": (activation.CLUSTERS,)} if kind == "analyses" else {}
    desk.publish(activation.SKIMMERS)
    desk.activate("apply")  # a ledger with rows does not count as lost
    file = planned(desk, activation.SKIMMERS, *(() if rows else (activation.TOP,)), **rows)
    ours = settings.load().ledger_url
    desk.set(ledger_url=f"sqlite:///{desk.path / 'other.sqlite'}")
    desk.activate("settle", "--from-mavera")
    desk.activate("apply")
    key = CLUSTERS if rows else TOP
    made = ids(desk)[key]
    desk.set(ledger_url=ours.replace(f"{settings.ROOT}/", ""))
    assert refused(desk, file) == [f"{key} is in Mavera but not in this ledger ({made})"]


# --- an interrupted run ------------------------------------------------------------------------------


def test_a_plan_that_ran_out_of_credits_goes_on_with_the_rest(desk: Desk) -> None:
    file = planned(desk, *activation.PERSONAS, analyses=(activation.CLUSTERS,))
    desk.sandbox.mavera.balance = 450
    assert desk.activate("apply", file).code == 1
    desk.sandbox.mavera.balance = 10_000
    assert desk.activate("apply", file).code == 0
    assert set(ids(desk)) == {*(TOP, SKIMMERS, MOBILE), CLUSTERS}
    assert desk.sandbox.mavera.summary()["personas"] == 3


def test_a_plan_whose_answer_was_lost_goes_on_without_paying_twice(desk: Desk) -> None:
    desk.set(mavera_settle_seconds=0)
    file = planned(desk, activation.TOP, activation.SKIMMERS)
    desk.sandbox.faults.add(Fault("cut-after", "mavera", count=1, path="/personas"))
    desk.activate("apply", file)
    assert desk.activate("apply", file).code == 0
    assert (desk.sandbox.mavera.summary()["personas"], desk.credits()) == (2, 600)


def test_a_call_that_was_lost_before_the_plan_is_looked_up_and_not_paid_again(desk: Desk) -> None:
    desk.set(mavera_settle_seconds=0)
    desk.publish(activation.TOP)
    ledger = desk.ledger(write=True)
    price = KINDS["personas"].terms.create
    run_id = ledger.start(1, price)
    ledger.begin(
        run_id,
        kind="personas",
        record_key="clv-tiers:top",
        job="clv-tiers",
        action="create",
        fingerprint="f0",
        facts={},
        payload={"name": "never arrived"},
        price=price,
    )
    file = planned(desk, activation.TOP)
    ran = desk.activate("apply", file)
    assert ran.lines[0] == "1 withheld: 0 credits"
    assert desk.requests("POST") == 0


def test_another_run_in_between_ends_what_was_approved(desk: Desk) -> None:
    file = planned(desk, *activation.PERSONAS)
    desk.sandbox.mavera.balance = 450
    desk.activate("apply", file)
    desk.sandbox.mavera.balance = 10_000
    desk.activate("apply", "--budget", "300")
    (moved,) = refused(desk, file)
    assert moved == f"{MOBILE} was created by another run"


def test_rows_that_moved_while_half_was_sent_end_what_was_approved(desk: Desk) -> None:
    file = planned(desk, *activation.PERSONAS)
    desk.sandbox.mavera.balance = 450
    desk.activate("apply", file)
    desk.sandbox.mavera.balance = 10_000
    changed = activation.but(activation.SKIMMERS, mean_watched_share=0.31)
    desk.publish(activation.TOP, changed, activation.MOBILE)
    assert refused(desk, file) == [f"{SKIMMERS} has other facts or words"]


@pytest.mark.parametrize("posts", [1, 2, 3])
def test_a_plan_that_was_killed_goes_on_and_pays_for_each_record_once(desk: Desk, posts: int) -> None:
    desk.set(mavera_settle_seconds=0)
    # The last call before the kill gets no answer, so that the run cannot continue even if this test is slow.
    desk.sandbox.faults.add(Fault("time-out", "mavera", count=1, method="POST", spare=posts - 1))
    rows = [
        activation.but(
            activation.SKIMMERS, record_key=f"viewer-clusters:s{number}", name=f"Skimmers {number}"
        )
        for number in range(6)
    ]
    file = planned(desk, *rows)
    command = [sys.executable, "-m", "activate", "apply", file]
    process = subprocess.Popen(command, cwd=settings.ROOT, env=os.environ, stdout=subprocess.DEVNULL)
    while desk.requests("POST") < posts and process.poll() is None:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    ran: Ran = desk.activate("apply", file)
    assert ran.code == 0, ran.err
    url = settings.load().mavera_base_url.removesuffix("/mavera/api/v1")
    assert activation.references(url) == Counter(row["record_key"] for row in rows)
    assert desk.ledger().spent() == desk.credits() == 1_800
