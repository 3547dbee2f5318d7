"""The steps of a plan, their reasons and their prices."""

import dataclasses
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activate.differences import Change, differences
from activate.errors import RecordsError
from activate.kinds import KINDS, terms
from activate.plan import PAID_FOR_WORDS, Entry, Price, Record, SentFacts, diff, learned


def record(key: str = "personas/clv-tiers:top", people: int | None = 820, **changes: Any) -> Record:
    kind, _, record_key = key.partition("/")
    job = record_key.partition(":")[0]
    whole = Record(kind, record_key, job, job, "Top tier", {"customer_count": 820}, people, {}, "f1")
    return dataclasses.replace(whole, **changes)


TOP = record()
SKIMMERS = record("personas/viewer-clusters:skimmers", 389)
CLUSTERS = record("analyses/viewer-clusters:all", 1_800)
SENT = Entry("done", "f1", "per_1", accepted=SentFacts({"customer_count": 820}))


STUDY = record("focus-groups/product-affinity:P1_P2", 76, references=(TOP.key, SKIMMERS.key))
ASKED_ON = datetime(2026, 11, 1, tzinfo=UTC)


def plan_of(
    *wanted: Record,
    ledger: dict[str, Entry] | None = None,
    left: int | None = None,
    since: datetime | None = None,
) -> Any:
    return diff(wanted, ledger or {}, terms(), smallest_cohort=20, credits_left=left, lasting_since=since)


def action_of(wanted: Record, entry: Entry | None) -> str:
    (step,) = plan_of(wanted, ledger={wanted.key: entry} if entry else {}).steps
    return str(step.action)


def test_what_was_never_sent_is_created() -> None:
    assert action_of(TOP, None) == "create"


def test_what_mavera_holds_as_wanted_is_left() -> None:
    assert action_of(TOP, SENT) == "leave"


def test_what_has_changed_since_is_updated() -> None:
    assert action_of(dataclasses.replace(TOP, fingerprint="f2"), SENT) == "update"


def test_a_lost_answer_is_looked_up_not_created_again() -> None:
    assert action_of(TOP, Entry("unknown", sent_fingerprint="f1")) == "look up"


def test_a_lost_answer_is_looked_up_even_when_the_record_may_not_be_sent_any_more() -> None:
    assert action_of(record(people=3), Entry("unknown")) == "look up"


def test_a_refused_create_is_created_and_says_what_failed_before() -> None:
    (step,) = plan_of(TOP, ledger={TOP.key: Entry("failed", error="400 invalid_field")}).steps
    assert (step.action, step.reason) == ("create", "failed before: 400 invalid_field")


def test_a_failed_update_is_an_update_again() -> None:
    assert action_of(TOP, Entry("failed", "f0", "per_1")) == "update"


def test_a_failed_update_that_is_no_longer_wanted_leaves_what_mavera_has() -> None:
    assert action_of(TOP, Entry("failed", "f1", "per_1")) == "leave"


@pytest.mark.parametrize(("people", "action"), [(19, "hold"), (20, "create"), (None, "create")])
def test_a_group_under_the_smallest_cohort_is_held(people: int | None, action: str) -> None:
    assert action_of(record(people=people), None) == action


def test_a_held_group_says_its_size_and_the_least() -> None:
    (step,) = plan_of(record(people=12)).steps
    assert step.reason == "12 people, smallest cohort is 20"


def test_what_looks_personal_is_held_whatever_its_size() -> None:
    (step,) = plan_of(record(objection="facts.note looks like an e-mail address")).steps
    assert (step.action, step.reason) == ("hold", "facts.note looks like an e-mail address")


def test_an_update_is_held_for_the_same_reasons_as_a_create() -> None:
    assert action_of(record(people=12, fingerprint="f2"), SENT) == "hold"


def test_prices_are_those_of_the_kind_and_of_what_is_done() -> None:
    changed = dataclasses.replace(SKIMMERS, fingerprint="f2")
    plan = plan_of(TOP, changed, CLUSTERS, ledger={SKIMMERS.key: SENT})
    assert [str(step.price) for step in plan.steps] == ["300", "free", "10 to 75"]
    assert plan.price == Price(310, 375, is_documented=False)


def test_an_analysis_whose_facts_changed_costs_as_much_as_a_new_one() -> None:
    (step,) = plan_of(dataclasses.replace(CLUSTERS, fingerprint="f2"), ledger={CLUSTERS.key: SENT}).steps
    assert (step.action, step.price) == ("update", Price(10, 75))


def test_the_larger_group_comes_first_when_the_budget_does_not_suffice_for_both() -> None:
    plan = plan_of(SKIMMERS, TOP, left=400)
    assert [step.record.key for step in plan.of("create")] == [TOP.key]
    (held,) = plan.of("hold")
    assert held.reason == "exceeds the budget by 200 credits"


def test_a_cheaper_record_still_fits_behind_one_that_does_not() -> None:
    assert [step.action for step in plan_of(TOP, CLUSTERS, left=299).steps] == ["hold", "create"]


def test_updates_do_not_wait_for_money() -> None:
    changed = dataclasses.replace(SKIMMERS, fingerprint="f2")
    assert [step.action for step in plan_of(TOP, changed, ledger={SKIMMERS.key: SENT}, left=0).steps] == [
        "hold",
        "update",
    ]


@pytest.mark.parametrize("left", [0, 74, 75, 300, 375, 599, 600, 675, 10_000])
def test_the_highest_price_of_what_is_sent_fits_any_budget(left: int) -> None:
    assert plan_of(TOP, SKIMMERS, CLUSTERS, left=left).price.high <= left


def test_every_wanted_record_has_exactly_one_step() -> None:
    wanted = [
        TOP,
        dataclasses.replace(SKIMMERS, fingerprint="f2"),
        record("personas/viewer-clusters:bouncers", 12),
        record("personas/viewer-clusters:binge_watchers"),
        record("personas/device-geography:hybrid"),
        CLUSTERS,
    ]
    ledger = {
        SKIMMERS.key: SENT,
        "personas/viewer-clusters:binge_watchers": Entry("unknown"),
        "personas/device-geography:hybrid": SENT,
    }
    plan = plan_of(*wanted, ledger=ledger, left=300)
    assert plan.counts() == {"create": 1, "update": 1, "hold": 2, "look up": 1, "leave": 1}
    assert {step.record.key for step in plan.steps} == {wanted.key for wanted in wanted}


def test_what_no_row_asks_for_any_more_is_reported_and_kept() -> None:
    plan = plan_of(TOP, ledger={"personas/clv-tiers:new": SENT, TOP.key: SENT})
    assert plan.unwanted == ("personas/clv-tiers:new",)
    assert plan.price == Price(0, 0)


def test_a_create_that_failed_left_nothing_unwanted() -> None:
    assert plan_of(TOP, ledger={"personas/clv-tiers:new": Entry("failed")}).unwanted == ()


def test_two_rows_for_one_record_are_an_error() -> None:
    with pytest.raises(RecordsError, match="two rows ask for personas/clv-tiers:top"):
        plan_of(TOP, TOP)


def test_one_key_may_name_a_persona_and_an_analysis() -> None:
    assert len(plan_of(record("personas/clv-tiers:all"), record("analyses/clv-tiers:all")).steps) == 2


def test_an_update_names_the_facts_that_moved() -> None:
    sent = SentFacts({"count": 5, "shares": {"low": 0.4}, "rows": [{"a": 1}]})
    before = Entry("done", "f0", "per_1", accepted=sent)
    wanted = dataclasses.replace(TOP, facts={"count": 5, "shares": {"low": 0.5}, "rows": []})
    (step,) = plan_of(wanted, ledger={TOP.key: before}).steps
    assert step.changes() == [Change("shares.low", 0.4, 0.5), Change("rows[0].a", 1, None)]


# --- moved facts -------------------------------------------------------------------------------------


STEPS = {"share": 0.01, "count": 10, "mean": 0.1, "countries[]": 0.05, "countries[].share": 0.01}


TYPES = {"share": "share", "count": "count", "mean": "number", "media_name": "name", "top": "word"}


def moved(before: dict[str, Any], after: dict[str, Any], **changes: Any) -> Any:
    """Plan a record with the accepted facts `before` and the current facts `after`; return its step."""
    entry = Entry("done", "f0", "per_1", accepted=SentFacts(before, changes.pop("accepted", None), "w"))
    wording = changes.pop("wording", "w")
    fingerprint = "f0" if (before, wording) == (after, "w") else "f1"
    wanted = record(facts=after, fact_steps=STEPS, fact_types=TYPES, fingerprint=fingerprint, wording=wording)
    (step,) = plan_of(dataclasses.replace(wanted, **changes), ledger={TOP.key: entry}).steps
    return step


def listed(**shares: float) -> dict[str, Any]:
    return {"countries": [{"share": share, "country": country} for country, share in shares.items()]}


@pytest.mark.parametrize(
    ("before", "after", "action"),
    [
        ({"share": 0.35}, {"share": 0.36}, "leave"),  # could be as close as 0.354 and 0.356
        ({"share": 0.35}, {"share": 0.37}, "update"),
        ({"share": 0.35}, {"share": 0.33}, "update"),
        ({"count": 820}, {"count": 830}, "leave"),
        ({"count": 820}, {"count": 840}, "update"),
        ({"threshold": 5}, {"threshold": 6}, "update"),  # has no step
        ({"share": None}, {"share": 0.36}, "update"),
        ({"words": "one"}, {"words": "two"}, "update"),
        ({"is_sure": True}, {"is_sure": False}, "update"),
        ({}, {"share": 0.36}, "update"),  # the sent facts are unknown
        ({"rows": ["one"]}, {"rows": ["two"]}, "update"),
        (listed(US=0.5, CA=0.3), listed(CA=0.3, US=0.5), "leave"),  # in another order
        (listed(US=0.5, CA=0.3), listed(US=0.51, CA=0.29), "leave"),
        (listed(US=0.5, CA=0.3), listed(US=0.5, CA=0.28), "update"),
        (listed(US=0.5), listed(US=0.5, CA=0.06), "leave"),  # just over the share from which it is listed
        (listed(US=0.5), listed(US=0.5, CA=0.07), "update"),
        (listed(US=0.5, CA=0.07), listed(US=0.5), "update"),
    ],
)
def test_a_fact_has_moved_once_it_moved_by_more_than_its_step(
    before: dict[str, Any], after: dict[str, Any], action: str
) -> None:
    assert moved(before, after).action == action


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"share": 0.35, "old": 1}, {"share": 0.35}),
        ({"share": 0.35}, {"share": 0.35, "new": "EUR"}),
        ({"share": 0.35}, {"share": 0.35, "new": {"low": 0.1}, "list": [{"a": 1}]}),
        ({"clv_usd": 400, "share": 0.35}, {"clv": 400, "share": 0.35, "currency": "USD"}),
        ({"shares": {"low": 0.1, "high": 0.9}}, {"shares": {"low": 0.1, "middle": None}}),
        ({"rows": [{"share": 0.5, "name": "US"}]}, {"rows": [{"part": 0.5, "name": "US"}]}),
    ],
)
def test_a_fact_that_a_version_renamed_added_or_dropped_has_not_moved(
    before: dict[str, Any], after: dict[str, Any], kind: str
) -> None:
    wanted = record(f"{kind}/job:all", facts=after, earlier_facts={"clv_usd": "clv"}, fingerprint="f1")
    entry = Entry("done", "f0", "remote_1", accepted=SentFacts(before))
    (step,) = plan_of(wanted, ledger={wanted.key: entry}).steps
    assert (step.action, step.changes()) == ("leave", [])
    assert step.reason == "facts were renamed, added or dropped; none moved"


def test_a_renamed_fact_that_moved_is_told_by_its_new_name() -> None:
    step = moved({"clv_usd": 400}, {"clv": 500, "currency": "JPY"}, earlier_facts={"clv_usd": "clv"})
    assert (step.action, step.changes()) == ("update", [Change("clv", 400, 500)])
    step = moved({"clv_usd": None}, {"clv": 500}, earlier_facts={"clv_usd": "clv"})
    assert (step.action, step.changes()) == ("update", [Change("clv", None, 500)])


def test_whom_a_study_is_asked_of_counts_although_it_was_asked_of_nobody_before() -> None:
    asked = {"facts": {"n": 1, "personas": ["personas/a:b"]}, "references_field": "persona_ids"}
    step = moved({"n": 1}, asked.pop("facts"), **asked)
    assert step.action == "update"
    assert moved({"n": 1, "personas": ["personas/a:b"]}, {"n": 1}, **asked).action == "update"


def test_what_is_left_because_little_moved_says_so() -> None:
    assert moved({"share": 0.35}, {"share": 0.36}).reason == "facts moved less than their step"


def test_new_wording_reaches_mavera_however_little_moved() -> None:
    assert moved({"share": 0.35}, {"share": 0.36}, wording="w2").action == "update"
    assert moved({"share": 0.35}, {"share": 0.35}, wording="w2").action == "update"


def test_what_mavera_holds_is_told_anew_where_nobody_knows_what_it_is() -> None:
    wanted = record(facts={"share": 0.36}, fact_steps=STEPS)
    adopted = Entry("done", "f0", "per_1")
    unanswered = Entry("failed", None, "per_1", accepted=SentFacts({"share": 0.35}))
    assert [action_of(wanted, entry) for entry in (adopted, unanswered)] == ["update", "update"]


def test_an_analysis_is_not_paid_again_for_less_than_a_step() -> None:
    before = Entry("done", "f0", "thr_1", accepted=SentFacts({"share": 0.35}))
    assert action_of(record(CLUSTERS.key, facts={"share": 0.36}, fact_steps=STEPS), before) == "leave"
    assert action_of(record(CLUSTERS.key, facts={"share": 0.37}, fact_steps=STEPS), before) == "update"


values = st.floats(-1000, 1000, allow_nan=False)


@given(values, st.floats(-1, 1))
def test_noise_below_the_step_never_updates(accepted: float, noise: float) -> None:
    assert moved({"mean": accepted}, {"mean": accepted + noise * 0.1}).action == "leave"


@given(values, st.lists(st.floats(-0.099, 0.099), max_size=30))
def test_small_moves_update_once_they_add_up_to_more_than_the_step(
    accepted: float, moves: list[float]
) -> None:
    for count in range(len(moves) + 1):
        total = math.fsum(moves[:count])
        step = moved({"mean": accepted}, {"mean": accepted + total})
        assert step.action == ("update" if abs(total) > 0.1 + 1e-6 else "leave")


facts = st.fixed_dictionaries(
    {},
    optional={
        "share": st.integers(0, 100).map(lambda number: number / 100) | st.none(),
        "count": st.integers(0, 2000),
        "words": st.text(max_size=3),
        "rows": st.lists(st.text(max_size=2), max_size=3),
        "countries": st.dictionaries(st.sampled_from(["US", "CA", "FR"]), st.integers(5, 100)).map(
            lambda shares: listed(**{country: share / 100 for country, share in shares.items()})["countries"]
        ),
    },
)


@given(facts, facts)
def test_a_move_counts_as_much_there_as_back(one: dict[str, Any], other: dict[str, Any]) -> None:
    there, back = ([*differences(a, b, STEPS)] for a, b in ((one, other), (other, one)))
    assert sorted((move.change.fact, move.is_material) for move in there) == sorted(
        (move.change.fact, move.is_material) for move in back
    )


@given(facts)
def test_nothing_moved_where_nothing_changed(one: dict[str, Any]) -> None:
    assert [*differences(one, one, STEPS)] == []


# --- updates that would reveal a few people ---------------------------------------------------------


@pytest.mark.parametrize(
    ("accepted", "people", "action"),
    [
        (100, 101, "hold"),
        (100, 99, "hold"),
        (100, 119, "hold"),
        (100, 120, "update"),
        (100, 100, "update"),
        (100, None, "update"),
        (None, 100, "update"),
        (4_000, 4_019, "update"),  # too few among so many to show in steps of 0.01
        (3_000, 3_019, "hold"),
    ],
)
def test_an_update_that_would_tell_of_a_few_is_held_until_they_are_many(
    accepted: int | None, people: int | None, action: str
) -> None:
    step = moved({"share": 0.3}, {"share": 0.4}, accepted=accepted, person_count=people)
    assert step.action == action


@pytest.mark.parametrize(("people", "few"), [(119, 1), (120, 0), (121, 1), (139, 19), (140, 0)])
def test_the_few_are_counted_from_all_that_mavera_may_hold(people: int, few: int) -> None:
    facts = {number: {"share": number / 1000} for number in (100, 120, people)}
    entry = Entry(
        "failed",
        None,
        "per_1",
        accepted=SentFacts(facts[100], 100),
        unconfirmed_edits=(SentFacts(facts[120], 120),),
    )
    (step,) = plan_of(record(people=people, facts=facts[people]), ledger={TOP.key: entry}).steps
    assert step.action == ("hold" if few else "update")
    assert step.reason.startswith(f"only {few} " if few else "")


def test_a_held_update_says_how_few_it_would_tell_about() -> None:
    reasons = [
        moved({"share": 0.3}, {"share": 0.4}, accepted=100, person_count=people).reason
        for people in (101, 97)
    ]
    assert reasons == [
        "only 1 person joined or left since it was sent; an update would reveal who they are",
        "only 3 people joined or left since it was sent; an update would reveal who they are",
    ]


@pytest.mark.parametrize(("remote_id", "action"), [("per_1", "update"), (None, "create")])
def test_what_drifted_is_put_back_only_where_that_tells_of_nobody(remote_id: str | None, action: str) -> None:
    before = {"accepted": SentFacts({"share": 0.3}, 100), "error": "deleted in Mavera"}
    drifted = Entry("drifted", None, remote_id, **before)
    now = record(people=101, facts={"share": 0.4})
    (held,) = plan_of(now, ledger={TOP.key: drifted}).steps
    assert (held.action, held.is_usable) == ("hold", remote_id is not None)
    (step,) = plan_of(record(people=100, facts={"share": 0.3}), ledger={TOP.key: drifted}).steps
    assert (step.action, step.reason) == (action, "deleted in Mavera")


def test_a_new_name_tells_of_nobody() -> None:
    step = moved({"media_name": "Tour"}, {"media_name": "The tour"}, accepted=100, person_count=101)
    assert step.action == "update"
    worded = moved({"share": 0.3}, {"share": 0.3}, accepted=100, person_count=101, wording="w2")
    assert worded.action == "update"


@pytest.mark.parametrize(("before", "after"), [(410, 470), (0, 1), (0.9, 1.4), (1.5, 1.9), (0.7, 0.9)])
def test_one_person_may_show_in_money_however_many_there_are(before: float, after: float) -> None:
    step = moved({"mean": before}, {"mean": after}, accepted=9_000, person_count=9_001)
    assert step.action == "hold"


def test_what_came_on_a_list_or_has_no_step_may_tell_of_one_person() -> None:
    before, after = {"small_clusters": []}, {"small_clusters": ["skimmers"]}
    assert moved(before, after, accepted=9_000, person_count=9_001).action == "hold"
    assert moved({"p": 0.1}, {"p": 0.9}, accepted=9_000, person_count=9_001).action == "hold"


def test_a_word_of_ours_is_measured_and_may_tell_of_one_person() -> None:
    step = moved({"top": "skimmers"}, {"top": "bouncers"}, accepted=100, person_count=101)
    assert step.action == "hold"


def test_a_study_may_be_asked_of_a_persona_whose_update_is_held_for_a_few() -> None:
    before = Entry("done", "f0", "per_1", accepted=SentFacts({"share": 0.3}, 100))
    held = record(SKIMMERS.key, 101, facts={"share": 0.4})
    plan = plan_of(STUDY, TOP, held, ledger={SKIMMERS.key: before})
    assert [step.action for step in plan.steps] == ["create", "hold", "create"]


def told(people: int, buyers: int) -> dict[str, Any]:
    """Return facts of a group, rounded like the models': two significant digits, shares in steps of 0.01."""
    unit = 10 ** max(0, math.floor(math.log10(people)) - 1)
    return {"count": round(people / unit) * unit, "share": round(buyers / people, 2)}


@given(st.data(), st.integers(20, 20_000), st.integers(1, 19), st.booleans())
def test_no_update_goes_out_for_what_a_few_who_joined_or_left_did(
    data: st.DataObject, people: int, few: int, joined: bool
) -> None:
    buyers = data.draw(st.integers(0, people))
    of_them = data.draw(st.integers(0, few))
    small, large = told(people, buyers), told(people + few, buyers + of_them)
    before, after = (small, large) if joined else (large, small)
    counts = (people, people + few) if joined else (people + few, people)
    unit = 10 ** max(0, math.floor(math.log10(counts[1])) - 1)
    step = moved(
        before, after, accepted=counts[0], person_count=counts[1], fact_steps={"share": 0.01, "count": unit}
    )
    assert step.action in {"leave", "hold"}


def test_a_look_up_tells_when_the_call_was_made() -> None:
    sent = Entry("unknown", called_at=datetime(2026, 11, 18, tzinfo=UTC))
    (step,) = plan_of(TOP, ledger={TOP.key: sent}).steps
    assert step.reason == "sent 18 Nov, no answer: looked up first"


# --- studies -----------------------------------------------------------------------------------------


def test_a_study_comes_after_the_personas_it_refers_to() -> None:
    plan = plan_of(STUDY, SKIMMERS, TOP)
    assert [step.record.key for step in plan.of("create")] == [TOP.key, SKIMMERS.key, STUDY.key]
    assert plan.price == Price(650, 800)


@pytest.mark.parametrize(
    ("personas", "ledger", "reason"),
    [
        ((TOP, dataclasses.replace(SKIMMERS, person_count=3)), {}, "3 people, smallest cohort is 20"),
        (
            (TOP, dataclasses.replace(SKIMMERS, objection="name looks like a key")),
            {},
            "name looks like a key",
        ),
        ((TOP, SKIMMERS), {SKIMMERS.key: Entry("unknown")}, "no answer: looked up first"),
    ],
)
def test_a_study_is_held_with_its_persona_and_says_why(
    personas: tuple[Record, ...], ledger: dict[str, Entry], reason: str
) -> None:
    (held,) = (step for step in plan_of(STUDY, *personas, ledger=ledger).steps if step.record is STUDY)
    assert (held.action, held.reason) == ("hold", f"after {SKIMMERS.key}: {reason}")


def test_a_study_is_held_with_a_persona_that_passes_the_budget() -> None:
    plan = plan_of(STUDY, TOP, SKIMMERS, left=500)
    assert [step.record.key for step in plan.of("create")] == [TOP.key]
    assert plan.of("hold")[1].reason == f"after {SKIMMERS.key}: exceeds the budget by 100 credits"


def test_a_study_of_personas_that_stand_needs_no_row_of_theirs() -> None:
    assert plan_of(STUDY, ledger={TOP.key: SENT, SKIMMERS.key: SENT}).counts() == {"create": 1}
    (step,) = plan_of(STUDY, ledger={TOP.key: SENT}).steps
    assert step.reason == f"after {SKIMMERS.key}, which is not in Mavera"


def test_a_study_at_work_is_waited_for_whatever_its_facts_say_now() -> None:
    entry = Entry("waiting", sent_fingerprint="f0")
    (step,) = plan_of(STUDY, ledger={STUDY.key: entry}).steps
    assert (step.action, step.reason) == ("wait", "Mavera is at work on it")
    assert plan_of(ledger={STUDY.key: entry}).unwanted == (STUDY.key,)


def test_a_study_that_mavera_charged_and_gave_up_waits_for_a_person() -> None:
    entry = Entry("failed", sent_fingerprint="f1", broken_id="fg_1")
    (step,) = plan_of(STUDY, ledger={STUDY.key: entry}).steps
    assert (step.action, step.reason) == (
        "hold",
        "Mavera charged for fg_1 and gave it up; settle --forget asks again",
    )


@pytest.mark.parametrize(
    ("since", "personas", "action"),
    [
        (ASKED_ON, [TOP.key], "leave"),
        (ASKED_ON + timedelta(seconds=1), [TOP.key], "update"),
        (ASKED_ON, [SKIMMERS.key], "update"),
        (None, [TOP.key], "update"),
    ],
)
def test_answers_count_while_they_are_recent_and_of_the_same_personas(
    since: datetime | None, personas: list[str], action: str
) -> None:
    sent = SentFacts({"lift": 2.0, "personas": [TOP.key]})
    before = Entry("done", "f0", "fg_1", accepted=sent, called_at=ASKED_ON)
    wanted = record(STUDY.key, facts={"lift": 2.5, "personas": personas})
    (step,) = plan_of(wanted, ledger={STUDY.key: before}, since=since).steps
    assert step.action == action


@pytest.mark.parametrize(
    ("documented", "paid", "price"),
    [
        (Price(300, 300), [], Price(300, 300)),
        (Price(300, 300), [300], Price(300, 300)),
        (Price(300, 300), [300, 350], Price(350, 350, is_learned=True)),  # the latest fixed price counts
        (Price(10, 75), [22, 31], Price(10, 75)),  # unseen prices may still come
        (Price(10, 75), [22, 90, 5], Price(5, 90, is_learned=True)),
        (Price(0, 0, is_documented=False), [15, 4], Price(4, 15, is_learned=True)),
    ],
)
def test_prices_are_learned_from_what_mavera_said(documented: Price, paid: list[int], price: Price) -> None:
    assert learned(documented, paid) == price


def test_a_learned_price_counts_against_the_budget() -> None:
    planned = diff([TOP, SKIMMERS], {}, terms({"personas": [350]}), smallest_cohort=20, credits_left=699)
    assert [(step.action, step.price.high) for step in planned.steps] == [("create", 350), ("hold", 0)]


def test_an_edit_costs_what_edits_did_whatever_a_persona_costs() -> None:
    changed, paid = dataclasses.replace(TOP, fingerprint="f2"), {"personas": [350]}
    (step,) = diff([changed], {TOP.key: SENT}, terms(paid), smallest_cohort=20).steps
    assert (step.action, str(step.price)) == ("update", "free")
    edits = {"personas": [15]}
    moved = dataclasses.replace(changed, facts={"customer_count": 900})
    (step,) = diff([moved], {TOP.key: SENT}, terms(paid, edits), smallest_cohort=20).steps
    assert step.price == Price(15, 15, is_learned=True)
    (step,) = diff([changed], {TOP.key: SENT}, terms(paid, edits), smallest_cohort=20).steps
    assert (step.action, step.reason) == ("leave", PAID_FOR_WORDS)


def test_what_is_in_doubt_is_not_paid_for_and_free_updates_go_on() -> None:
    doubt = "Klaviyo says 42 and we count 0 converted of all campaigns"
    top = dataclasses.replace(TOP, doubt=doubt)
    (step,) = diff([top], {}, terms(), smallest_cohort=20).steps
    assert (step.action, step.reason) == ("hold", f"its numbers are in doubt: {doubt}")
    moved = dataclasses.replace(top, fingerprint="f2", facts={"customer_count": 990}, person_count=990)
    (step,) = diff([moved], {TOP.key: SENT}, terms(), smallest_cohort=20).steps
    assert step.action == "update"
    (step,) = diff([dataclasses.replace(CLUSTERS, doubt=doubt)], {}, terms(), smallest_cohort=20).steps
    assert step.action == "hold"


def test_what_refers_to_a_record_in_doubt_that_stands_is_not_held_for_it() -> None:
    voice = record("brand-voices/brand-voice:account", None, fingerprint="f2", doubt="plays differ")
    text = record("generations/j:a", 50, references=(voice.key,))
    entry = Entry("done", "f1", "bv_1", accepted=SentFacts({"customer_count": 1}))
    steps = {
        step.record.key: step
        for step in diff([voice, text], {voice.key: entry}, terms(), smallest_cohort=20).steps
    }
    assert steps[voice.key].action == "hold"
    assert steps[text.key].action == "create"
