"""Drift between Mavera and the ledger: shown, decided, and never paid for without a plan."""

import io
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from activate.kinds import GENERATIONS, PERSONAS, analyses
from activate.mavera import Mavera
from common import settings
from sandbox import mavera as sandbox_mavera
from tests import activation
from tests.activate.test_activate import Desk, desk, sandbox  # noqa: F401

TOP, SKIMMERS, MOBILE = (f"personas/{row['record_key']}" for row in activation.PERSONAS)
CLUSTERS = "analyses/viewer-clusters:all"
TEXT = "generations/viewer-follow-ups:m1/comparing"
OWN = {"pipeline_type": "north_star", "type": "B2C", "description": "Made by somebody here."}


@pytest.fixture
def office(desk: Desk) -> Iterator[Desk]:  # noqa: F811
    """A desk whose account has two personas of its own, one of them with the name of one of ours."""
    desk.set(mavera_settle_seconds=0)
    owned = [
        PERSONAS.create(client(), {**OWN, "name": name}).remote_id
        for name in ("Our best customers", activation.MOBILE["name"])
    ]
    desk.publish(activation.TOP, activation.SKIMMERS, analyses=(activation.CLUSTERS,))
    assert desk.activate("apply").code == 0
    yield desk
    touched = [entry for entry in desk.sandbox.journal if entry.method not in {"GET", "POST"}]
    assert not [entry for entry in touched if any(one in entry.path for one in owned)]
    names = {row["id"]: row["name"] for row in PERSONAS.rows(client())}
    assert [names[one] for one in owned] == ["Our best customers", activation.MOBILE["name"]]


def client() -> Mavera:
    return Mavera(settings.load().mavera_base_url, sandbox_mavera.KEY, "enterprise")


def let_own_be(desk: Desk) -> None:  # noqa: F811
    """Declare the persona with the name of one of ours to be the account's own."""
    (own,) = (row["id"] for row in PERSONAS.rows(client()) if row["name"] == activation.MOBILE["name"])
    assert desk.activate("drift", "--let-be", own).code == 0


def id_of(desk: Desk, key: str) -> str:  # noqa: F811
    entry = desk.ledger().entries()[key]
    return str(entry.thread_id or entry.remote_id)


def drifts(desk: Desk, *arguments: str) -> dict[str, str]:  # noqa: F811
    """Return the state of each drift by its record, from --json."""
    ran = desk.activate("drift", *arguments, "--json")
    assert ran.code == 0, ran.err
    return {one["key"]: one["state"] for one in json.loads(ran.out)["drifts"]}


def bring_back_the_ledger_from_before(desk: Desk, key: str) -> None:  # noqa: F811
    """Restore a backup made just before a record was first sent."""
    kept = []
    for line in desk.ledger().chain.export():
        row = json.loads(line)
        if f"{row['kind']}/{row['record_key']}" == key:
            break
        kept.append(line)
    kept.append(json.dumps({"rows": len(kept), "receipt": json.loads(kept[-1])["receipt"]}))
    backup = desk.path / "backup.jsonl"
    backup.write_text("\n".join(kept), encoding="utf-8")
    desk.set(ledger_url=f"sqlite:///{desk.path / 'restored.sqlite'}")
    assert desk.activate("ledger", "restore", str(backup)).code == 0


# --- nothing, deleted, edited ------------------------------------------------------------------------


def test_what_is_as_it_was_left_is_no_drift_and_looking_is_free(office: Desk) -> None:
    credits_spent, posts = office.credits(), office.requests("POST", "PATCH")
    assert office.activate("drift").lines == [
        "= 2 personas of the account's own, left alone",
        "3 objects in the ledger: all as they were left",
        "Nothing to decide. To see what is left to send: make plan",
    ]
    assert (office.credits(), office.requests("POST", "PATCH")) == (credits_spent, posts)


def test_what_was_deleted_by_hand_is_shown_and_left(office: Desk) -> None:
    persona, thread = id_of(office, TOP), id_of(office, CLUSTERS)
    for one in (persona, thread):
        office.sandbox.mavera.delete_by_hand(one)
    rows = list(office.ledger().chain.export())
    assert office.activate("drift").lines == [
        f"x {TOP:<36}deleted  {persona} is gone from Mavera",
        f"x {CLUSTERS:<36}deleted  {thread} is gone from Mavera",
        "= 2 personas of the account's own, left alone",
        "3 objects in the ledger: 2 deleted",
        "Left as they are. To put back what was sent: python -m activate drift --policy restore",
        "To accept the drift: python -m activate drift --policy adopt. For one alone add --only RECORD|ID",
    ]
    assert list(office.ledger().chain.export()) == rows
    assert office.activate("plan").lines[-1] == "Nothing to send."


def test_a_deleted_persona_is_restored_by_a_create_that_is_planned_and_priced(office: Desk) -> None:
    office.sandbox.mavera.delete_by_hand(id_of(office, TOP))
    credits_spent = office.ledger().spent()
    ran = office.activate("drift", "--policy", "restore")
    assert ran.lines[0].endswith("is gone from Mavera: to be made again, at its price")
    assert ran.lines[-1] == "To see what follows, and its price: make plan"
    assert office.ledger().spent() == credits_spent
    assert office.activate("plan").lines[1:4] == [
        f"+ {activation.TOP['name']:<59}create          300",
        f"  {TOP}  820 people",
        "  deleted in Mavera",
    ]
    office.set(credit_budget=credits_spent + 299)
    assert office.activate("apply").lines[-2] == "2 unchanged, 1 withheld: 0 credits"
    office.set(credit_budget=credits_spent + 300)
    assert office.activate("apply").lines[-2] == "1 created, 2 unchanged: 300 credits"
    assert drifts(office) == {}
    assert office.activate("apply").lines[0] == "3 unchanged: 0 credits"
    assert "decided   " in office.activate("explain", TOP).out


def test_a_deleted_analysis_is_asked_again_in_a_new_thread(office: Desk) -> None:
    thread = id_of(office, CLUSTERS)
    office.sandbox.mavera.delete_by_hand(thread)
    assert drifts(office, "--policy", "restore") == {CLUSTERS: "deleted"}
    assert office.activate("apply").lines[-2].startswith("1 created, 2 unchanged: ")
    assert id_of(office, CLUSTERS) != thread


def test_a_deletion_that_is_adopted_stays_until_somebody_says_otherwise(office: Desk) -> None:
    office.sandbox.mavera.delete_by_hand(id_of(office, TOP))
    drifts(office, "--policy", "adopt")
    held = [f"  {TOP}", "  deleted in Mavera, and left so; settle --forget makes it anew"]
    assert office.activate("plan").lines[2:4] == held
    office.publish(activation.but(activation.TOP, customer_count=900), activation.SKIMMERS)
    assert office.activate("plan").lines[2:4] == held
    assert drifts(office) == {}
    office.activate("settle", TOP, "--forget")
    assert office.activate("apply").lines[-2].startswith("1 created, ")


def test_an_edit_by_hand_is_shown_with_its_fields_and_patched_back(office: Desk) -> None:
    persona = id_of(office, SKIMMERS)
    office.sandbox.mavera.edit_by_hand(persona, name="Renamed", description="Rewritten, without a reference.")
    assert office.activate("drift").lines[0] == (
        f"~ {SKIMMERS:<36}edited   {persona} has another name and description"
    )
    office.activate("drift", "--policy", "restore")
    assert office.activate("plan").lines[1:4] == [
        f"~ {activation.SKIMMERS['name']:<59}update         free",
        f"  {SKIMMERS}  389 people",
        "  edited by hand in Mavera",
    ]
    assert office.activate("apply").lines[-2] == "1 updated, 2 unchanged: 0 credits"
    assert drifts(office) == {}
    assert (
        activation.references(settings.load().mavera_base_url.removesuffix("/mavera/api/v1"))[
            "viewer-clusters:skimmers"
        ]
        == 1
    )


def test_an_edit_that_is_adopted_stands_until_the_facts_move(office: Desk) -> None:
    persona = id_of(office, SKIMMERS)
    office.sandbox.mavera.edit_by_hand(persona, name="Those who skim")
    assert drifts(office, "--policy", "adopt") == {SKIMMERS: "edited"}
    assert drifts(office) == {}
    assert office.activate("apply").lines == ["3 unchanged: 0 credits", "Nothing to send."]
    office.sandbox.mavera.edit_by_hand(persona, name="Those who skim on")
    assert drifts(office) == {SKIMMERS: "edited"}
    moved = activation.but(activation.SKIMMERS, mean_watched_share=0.31)
    office.publish(activation.TOP, moved, analyses=(activation.CLUSTERS,))
    assert office.activate("apply").lines[-2] == "1 updated, 2 unchanged: 0 credits"
    assert drifts(office) == {}


def test_the_setting_is_the_policy_where_none_is_typed(office: Desk) -> None:
    office.set(mavera_drift="adopt")
    office.sandbox.mavera.edit_by_hand(id_of(office, SKIMMERS), name="Those who skim")
    office.sandbox.mavera.delete_by_hand(id_of(office, TOP))
    assert drifts(office, "--policy", "leave") == {TOP: "deleted", SKIMMERS: "edited"}
    assert drifts(office, "--only", SKIMMERS) == {SKIMMERS: "edited"}
    assert drifts(office, "--policy", "leave") == {TOP: "deleted"}


def test_what_can_only_be_renamed_is_not_put_back(desk: Desk) -> None:  # noqa: F811
    desk.set(mavera_settle_seconds=0)
    desk.publish(texts=(activation.FOLLOW_UP,))
    desk.activate("apply")
    desk.sandbox.mavera.edit_by_hand(id_of(desk, TEXT), title="Renamed")
    assert "left: only a persona can be put back" in desk.activate("drift", "--policy", "restore").out
    desk.activate("drift", "--policy", "adopt")
    assert drifts(desk) == {}
    assert desk.activate("apply").lines == ["1 unchanged: 0 credits", "Nothing to send."]


def test_what_mavera_made_of_a_text_when_it_took_it_is_no_edit(office: Desk) -> None:
    made = PERSONAS.create(client(), {**OWN, "name": "Ours", "description": "Sent, and enriched by Mavera."})
    office.ledger(write=True).take_over(
        kind="personas",
        record_key="clv-tiers:low",
        job="clv-tiers",
        fingerprint="f",
        facts={},
        payload={"name": "Ours", "description": "Sent."},
        remote_id=made.remote_id,
        thread_id=None,
        state="done",
        answer=made.body,
    )
    assert drifts(office) == {}
    office.sandbox.mavera.edit_by_hand(made.remote_id, description="Sent.")
    assert drifts(office) == {"personas/clv-tiers:low": "edited"}


def test_of_threads_the_newest_that_the_ledger_does_not_tell_all_of_are_opened() -> None:
    rows = [
        {"id": f"t{day}", "message_count": 2, "created_at": f"2026-11-0{day}T00:00:00Z"}
        for day in range(1, 7)
    ]
    since = datetime(2026, 11, 2, tzinfo=UTC)
    assert analyses.to_open(rows, [], since, at_most=3) == (["t6", "t5", "t4"], 2)
    touched = {**rows[0], "updated_at": "2026-11-08T00:00:00Z"}
    assert analyses.to_open([touched, *rows[1:]], [], since, at_most=1) == (["t1"], 5)


def test_what_was_made_just_now_is_not_taken_for_deleted(office: Desk) -> None:
    office.set(mavera_settle_seconds=300)
    office.sandbox.mavera.delete_by_hand(id_of(office, TOP))
    assert drifts(office) == {}


def test_a_key_of_another_account_is_not_taken_for_a_deletion_of_everything(office: Desk) -> None:
    for key in (TOP, SKIMMERS, CLUSTERS):
        office.sandbox.mavera.delete_by_hand(id_of(office, key))
    ran = office.activate("drift", "--policy", "restore")
    assert ran.code == 2
    assert "Mavera has none of the 3 objects that the ledger knows: does MAVERA_API_KEY belong" in ran.err
    assert office.activate("plan").lines[-1] == "Nothing to send."
    assert drifts(office, "--policy", "restore", "--only", TOP) == {TOP: "deleted"}


# --- unknown and twice, and a ledger that is older than Mavera ---------------------------------------


@pytest.mark.parametrize(("key", "lost"), [(SKIMMERS, [SKIMMERS, CLUSTERS]), (CLUSTERS, [CLUSTERS])])
def test_a_restored_backup_is_refused_before_anything_is_paid(
    office: Desk, key: str, lost: list[str]
) -> None:
    newer, credits_spent = id_of(office, key), office.credits()
    bring_back_the_ledger_from_before(office, key)
    ran = office.activate("apply")
    assert ran.code == 2
    assert f"Mavera holds {newer} ({key})" in ran.err
    assert "with our reference, which the ledger does not know: it is older than Mavera" in ran.err
    assert drifts(office) == dict.fromkeys(lost, "unknown")
    assert drifts(office, "--policy", "adopt") == dict.fromkeys(lost, "unknown")
    assert office.activate("apply").lines == ["3 unchanged: 0 credits", "Nothing to send."]
    assert office.credits() == credits_spent


def test_a_newer_question_in_a_known_thread_is_noticed(office: Desk) -> None:
    rows = list(office.ledger().chain.export())
    moved = activation.but(activation.CLUSTERS, viewer_count=2_000)
    office.publish(activation.TOP, activation.SKIMMERS, analyses=(moved,))
    assert office.activate("apply").code == 0
    (office.path / "rows.jsonl").write_text("\n".join(rows), encoding="utf-8")
    office.set(ledger_url=f"sqlite:///{office.path / 'restored.sqlite'}")
    assert office.activate("ledger", "restore", str(office.path / "rows.jsonl")).code == 0
    ran = office.activate("apply")
    assert (ran.code, "which the ledger does not know" in ran.err) == (2, True)
    office.activate("settle", "--from-mavera")
    assert drifts(office) == {CLUSTERS: "unknown"}  # the record already has an answer, so a person decides
    office.activate("drift", "--policy", "adopt")
    assert office.activate("apply").lines == ["3 unchanged: 0 credits", "Nothing to send."]


def test_a_kind_is_listed_once_however_much_of_it_is_created(desk: Desk) -> None:  # noqa: F811
    desk.publish(*activation.PERSONAS)
    assert desk.activate("apply").lines[-2] == "3 created: 900 credits"
    assert desk.requests("GET") == 1


def test_only_kinds_that_are_to_be_paid_for_are_listed(office: Desk) -> None:
    bring_back_the_ledger_from_before(office, SKIMMERS)
    office.publish(activation.but(activation.TOP, customer_count=900))
    gets = office.requests("GET")
    assert office.activate("apply").lines[-2] == "1 updated: 0 credits"
    assert office.requests("GET") == gets


def test_a_row_of_the_ledger_that_was_changed_keeps_a_run_from_paying(office: Desk) -> None:
    with sqlite3.connect(office.path / "ledger.sqlite") as connection:
        connection.execute("update journal set credits = 0 where credits > 0")
    office.publish(*activation.PERSONAS, analyses=(activation.CLUSTERS,))
    posts = office.requests("POST")
    ran = office.activate("apply")
    assert (ran.code, "is not as it was written" in ran.err) == (2, True)
    assert office.requests("POST") == posts


def test_two_personas_of_one_record_are_left_to_a_person(office: Desk) -> None:
    let_own_be(office)
    (call,) = (call for call in office.ledger().calls() if call.key == TOP)
    second = PERSONAS.create(client(), call.payload).remote_id
    office.publish(*activation.PERSONAS, analyses=(activation.CLUSTERS,))
    for policy in ("leave", "restore", "adopt"):
        assert drifts(office, "--policy", policy) == {TOP: "twice"}
    assert office.activate("apply").code == 2
    ran = office.activate("drift", "--let-be", second)
    assert ran.lines[0] == f"! {TOP:<36}twice    {second} stands beside {id_of(office, TOP)}: let be"
    assert drifts(office) == {}
    assert office.activate("apply").lines[-2].startswith("1 created, 3 unchanged: 300")


def test_what_another_project_made_can_be_let_be(office: Desk) -> None:
    let_own_be(office)
    body = {**OWN, "name": "Another's", "description": "Theirs.\n\nRef: their-job:all 0123456789ab"}
    theirs = PERSONAS.create(client(), body).remote_id
    office.publish(*activation.PERSONAS, analyses=(activation.CLUSTERS,))
    assert drifts(office) == {"personas/their-job:all": "unknown"}
    assert office.activate("apply").code == 2
    assert "per_none is no object with our reference" in office.activate("drift", "--let-be", "per_none").err
    office.activate("drift", "--let-be", theirs)
    assert office.activate("apply").code == 0
    assert "personas/their-job:all" not in office.ledger().entries()


# --- objects of an earlier script --------------------------------------------------------------------


def test_an_earlier_scripts_persona_is_imported_after_its_match_was_shown(
    office: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    shouted = activation.but(
        activation.MOBILE, record_key="device-geography:desktop", name="Earlier  Persona"
    )
    made = PERSONAS.create(client(), {**OWN, "name": "earlier persona"}).remote_id
    office.publish(activation.TOP, activation.SKIMMERS, shouted, analyses=(activation.CLUSTERS,))
    key = f"personas/{shouted['record_key']}"
    shown = f'? {key:<36}"earlier persona" {made}, 0 days old: same letters and digits'
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))  # no person answers
    ran = office.activate("import")
    assert ran.lines[0] == shown
    assert ran.lines[-1] == "Nothing was taken over. Add --yes to take over without asking."
    assert office.activate("import", "personas", "--yes").lines[:2] == [shown, f"? {key:<36}adopted {made}"]
    credits_spent = office.credits()
    assert f"  {key}  1,200 people" in office.activate("plan").lines
    assert office.activate("apply").lines[-2] == "1 updated, 3 unchanged: 0 credits"
    assert office.credits() == credits_spent
    assert drifts(office) == {}
    assert office.activate("import", "--yes").lines == [
        "Nothing to take over: no new record has the name of exactly one object in Mavera."
    ]


def test_an_ambiguous_name_is_shown_and_left(office: Desk) -> None:
    PERSONAS.create(client(), {**OWN, "name": "Twin"})
    PERSONAS.create(client(), {**OWN, "name": "Twin"})
    office.publish(activation.but(activation.MOBILE, name="Twin"))
    ran = office.activate("import", "--yes")
    assert [line.endswith("0 days old: same name") for line in ran.lines[:2]] == [True, True]
    assert ran.lines[2].startswith("      ambiguous: left alone.")
    assert MOBILE not in office.ledger().entries()


def test_a_text_that_is_imported_is_not_paid_for_before_its_facts_move(desk: Desk) -> None:  # noqa: F811
    desk.publish(texts=(activation.FOLLOW_UP,))
    made = sent_by_a_script()
    assert desk.activate("import", "generations", "--yes").lines[-2] == f"? {TEXT:<36}adopted {made}"
    assert desk.activate("apply").lines == ["1 unchanged: 0 credits", "Nothing to send."]
    assert desk.ledger().spent() == 0


def sent_by_a_script() -> str:
    body = {
        "app_id": "email-writer",
        "title": activation.FOLLOW_UP["name"],
        "input_data": {"topic": "Product tour", "target_audience": "Viewers", "tone": "plain"},
    }
    return GENERATIONS.create(client(), body).remote_id


# --- killed between ----------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["adopt", "restore"])
def test_a_decision_that_is_killed_is_taken_whole_or_not_at_all(office: Desk, policy: str) -> None:
    rows = [
        activation.but(
            activation.SKIMMERS, record_key=f"viewer-clusters:n{number}", name=f"Skimmers {number}"
        )
        for number in range(6)
    ]
    keys = [f"personas/{row['record_key']}" for row in rows]
    office.publish(*rows)
    office.set(credit_budget=20_000)
    office.activate("apply")
    for key in keys:
        office.sandbox.mavera.edit_by_hand(id_of(office, key), name=f"By hand {key[-1]}")
    chance, killed = random.Random(7), 0
    while killed < 2:  # on a busy machine, a run may end before it is killed
        process = subprocess.Popen(
            [sys.executable, "-m", "activate", "drift", "--policy", policy],
            cwd=settings.ROOT,
            env=dict(os.environ),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        seen = len(office.sandbox.journal)
        while len(office.sandbox.journal) < seen + 3 and process.poll() is None:
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    assert {call.state for call in office.ledger().calls() if call.action != "restore"} == {"done"}
    office.activate("drift", "--policy", policy)
    assert drifts(office) == {}
    spent = office.credits()
    assert office.activate("apply").code == 0
    assert (office.ledger().chain.verify() > 0, office.credits()) == (True, spent)
