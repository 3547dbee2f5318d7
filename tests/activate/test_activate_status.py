"""A lost ledger, and the output of status, explain and settle."""

import re

import pytest

from activate import drift, records
from activate.kinds import KINDS
from activate.mavera import Mavera
from common import settings
from sandbox import mavera as sandbox_mavera
from sandbox.faults import Fault
from tests import activation
from tests.activate import test_activate as shared
from tests.activate.test_activate import CLUSTERS, SKIMMERS, TOP, Desk, standing

desk = shared.desk
sandbox = shared.sandbox

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
        "          marts.dim_viewers, 390 rows, 1 Jul 2026 to 20 Nov 2026: medias",
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
