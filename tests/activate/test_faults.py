"""A sample of the fault matrix, and a life of plans, deaths, edits and decisions in any order."""

import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from activate import drift
from activate.kinds import PERSONAS
from activate.ledger.journal import Ledger
from activate.plan import Record
from activate.planning import credits_left
from common.settings import ROOT
from tests import faults
from tests import hazards as h

CASES_OF_A_KIND = 20
ROUNDS = 2  # how often each combination may occur among the seeds


@pytest.mark.parametrize("kind", h.MADE)
def test_nothing_is_lost_doubled_or_paid_twice_whatever_fails_and_whenever(kind: str) -> None:
    seeds = [n for n in range(ROUNDS * len(faults.CELLS)) if faults.CELLS[n % len(faults.CELLS)][2] == kind]
    cases = [faults.play(seed) for seed in random.Random(kind).sample(seeds, CASES_OF_A_KIND)]
    wrong = [
        (f"python -m tests.faults --seeds {c.seed}:{c.seed + 1}", c) for c in cases if faults.is_wrong(c)
    ]
    assert wrong == []
    assert sum((case.met for case in cases), start=Counter[str]()).total() > CASES_OF_A_KIND


def test_the_matrix_shows_what_a_script_without_a_ledger_pays_twice() -> None:
    seed = faults.CELLS.index(("none", "cut, work done", "personas"))
    with_notes, records = faults.compare_script(seed, remembers=True)
    without, _ = faults.compare_script(seed, remembers=False)
    assert with_notes.doubled >= 1
    assert with_notes.credits >= 300
    assert without.objects >= 2 * records


def test_the_matrix_tells_a_program_the_same_and_which_seed_to_play_again() -> None:
    command = [
        sys.executable,
        "-m",
        "tests.faults",
        "--seeds",
        "40:42",
        "--jobs",
        "1",
        "--scripts",
        "0",
        "--json",
    ]
    played = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    told = json.loads(played.stdout)
    assert (played.returncode, told["wrong_seeds"], told["cases"]) == (0, [], 2)
    assert {row["doubled_wrong"] for row in told["matrix"]} == {0}


# --- how long Mavera may still be working -------------------------------------------------------------


@pytest.fixture
def account(tmp_path: Path) -> h.Account:
    return h.Account(tmp_path)


def test_a_call_made_again_after_long_waits_is_as_young_as_its_last_attempt(account: h.Account) -> None:
    faults_met = {("personas", attempt): "429" for attempt in (1, 2, 3, 4)} | {
        ("personas", 5): "work done late"
    }
    hazards = h.Hazards(faults_met, late_seconds=250)
    hazards.chance.choice = lambda _: 120  # type: ignore[method-assign,assignment]
    wanted = [h.record("personas", 0)]
    account.run(wanted, 1_000, hazards)
    account.run(wanted, 1_000)
    account.let_pass(h.SETTLE_SECONDS)
    account.run(wanted, 1_000)
    assert h.compare(wanted, account.standing()) == h.Wrong()
    assert account.ledger().spent() == account.charged() == 300


def test_a_look_that_takes_long_does_not_write_off_what_was_not_to_be_seen_yet(account: h.Account) -> None:
    # Newest first, on two pages: an object that appears after the first page was read is on neither.
    wanted = [h.record("generations", number) for number in range(0, 2 * h.ROWS_A_PAGE + 4, 2)]
    account.run(wanted[:-1], 1_000)
    death = ("before the answer", "", 1)
    account.run(
        wanted, 1_000, h.Hazards({("generations", 1): "work done late"}, late_seconds=290, death=death)
    )
    account.let_pass(285)
    slow = h.Hazards({(h.LOOKS, 2): "429"}, listing="list lags behind", lag_seconds=8)
    slow.chance.choice = lambda _: 120  # type: ignore[method-assign,assignment]
    ended = account.run(wanted, 1_000, slow)
    assert ended.outcome
    assert ended.outcome.counts() == {"unchanged": len(wanted) - 1, "unknown": 1}
    assert_all_is_known_and_nothing_refused(account, wanted)


def test_a_look_that_takes_long_right_after_a_call_does_not_write_it_off_either(account: h.Account) -> None:
    # Two pages are listed before anything is sent, and the apps once. The fifth read is the second page of
    # the search for the lost call. The work is done before it, and after the first page.
    wanted = [h.record("generations", number) for number in range(0, 2 * h.ROWS_A_PAGE + 4, 2)]
    account.run(wanted[:-1], 1_000)
    faults_met = {("generations", 1): "work done late"} | {(h.LOOKS, look): "429" for look in (5, 6, 7)}
    slow = h.Hazards(faults_met, late_seconds=150)
    slow.chance.choice = lambda _: 120  # type: ignore[method-assign,assignment]
    ended = account.run(wanted, 1_000, slow)
    assert ended.outcome
    assert ended.outcome.counts() == {"unchanged": len(wanted) - 1, "unknown": 1}
    assert_all_is_known_and_nothing_refused(account, wanted)


def assert_all_is_known_and_nothing_refused(account: h.Account, wanted: list[Record]) -> None:
    """Assert that after the wait, Mavera and the ledger agree on objects and credits, and runs continue."""
    account.let_pass(h.SETTLE_SECONDS)
    for _ in range(2):
        ended = account.run(wanted, 1_000)
        assert (ended.refusal, ended.outcome and ended.outcome.is_well) == ("", True)
    assert ended.calls == 0
    assert h.compare(wanted, account.standing()) == h.Wrong()
    assert account.ledger().spent() == account.charged()
    assert account.ledger().written_off() == []


# --- prices -------------------------------------------------------------------------------------------


def test_a_range_that_is_exceeded_within_a_run_widens_for_the_rest_of_it(
    account: h.Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Three analyses at up to 75 fit 260. Two at 90 leave 80: enough for 75, too little for 90.
    monkeypatch.setattr("sandbox.mavera.chat.priced", lambda _: ("complex", 90))
    wanted = [h.record("analyses", number) for number in range(3)]
    assert account.plan(wanted, 260).counts() == {"create": 3}
    ended = account.run(wanted, 260)
    assert ended.outcome
    assert ended.outcome.counts() == {"created": 2, "held": 1}
    (held,) = (result for result in ended.outcome.results.values() if result.state == "held")
    assert held.text == "exceeds the budget by 10 credits"
    assert account.ledger().spent() == account.charged() == 180
    (step,) = account.plan(wanted, 1_000).of("create")
    assert (step.price.low, step.price.high, step.price.is_learned) == (10, 90, True)


# --- limits of the guarantee --------------------------------------------------------------------------


def test_an_older_ledger_pays_again_for_what_was_deleted_since_and_for_nothing_else(
    account: h.Account,
) -> None:
    before, since = [h.record("personas", 0)], [h.record("analyses", 0), h.record("analyses", 1)]
    account.run(before, 1_000)
    backup = account.ledger_path.read_bytes()
    account.run([*before, *since], 1_000)
    charged = account.charged()
    account.remove_ledger()
    account.ledger_path.write_bytes(backup)
    first, second = (one.object_id for one in account.standing() if one.kind == "analyses")
    account.query("delete from objects where object_id = ?", first)
    assert "which the ledger does not know" in account.run([*before, *since], 1_000).refusal
    assert account.charged() == charged
    account.query("delete from objects where object_id = ?", second)
    again = account.run([*before, *since], 1_000).outcome
    assert again
    assert again.counts() == {"created": 2, "unchanged": 1}
    assert account.charged() > charged


# --- any order ----------------------------------------------------------------------------------------

AMPLE = 100_000
RECORDS_OF_A_KIND = 2
kinds = st.sampled_from(list(h.MADE))


class Life(RuleBasedStateMachine):
    """An account and its ledger, with everything that people, programs and faults may do to them.

    A rule acts, and the invariants are checked after each. Each manual change in Mavera has its own rule, so
    that a new response to it changes only that rule.
    """

    def __init__(self) -> None:
        super().__init__()
        faults.warm_up()
        self.path = Path(tempfile.mkdtemp())
        self.account = h.Account(self.path, work_seconds=20)
        self.wanted_now: dict[tuple[str, int], int] = {}
        self.budget = 1_000
        self.belongs: dict[str, tuple[str, str]] = {}  # our objects by id, even after manual edits
        self.of_the_account: dict[str, str] = {}
        self.was_deleted = False
        self.backup = b""

    def teardown(self) -> None:
        """Check that a few plain runs create everything in the end, except what somebody deleted."""
        for _ in range(8):
            self.account.let_pass(400)
            self.account.run(self.wanted(), AMPLE)
        if not self.was_deleted:
            left = self.account.plan(self.wanted(), AMPLE).counts()
            assert left["leave"] == len(self.wanted()), left
            assert self.account.counted() == self.account.charged()
        shutil.rmtree(self.path)

    def wanted(self) -> list[Record]:
        behind = (
            [f"personas/{h.record('personas', 0).record_key}"] if ("personas", 0) in self.wanted_now else []
        )
        return [
            h.record(kind, number, generation, personas_behind=behind if kind == "focus-groups" else ())
            for (kind, number), generation in self.wanted_now.items()
            if behind or kind != "focus-groups"
        ]

    def run(self, hazards: h.Hazards) -> h.Ended:
        before = self.account.ledger().spent()
        ended = self.account.run(self.wanted(), self.budget, hazards)
        assert self.account.ledger().spent() <= max(self.budget, before)
        if ended.outcome:
            assert len(ended.outcome.results) == len(self.wanted())
        return ended

    # Wanted records

    @rule(kind=kinds, number=st.integers(0, RECORDS_OF_A_KIND - 1))
    def want(self, kind: str, number: int) -> None:
        self.wanted_now.setdefault((kind, number), 1)

    @rule(kind=kinds)
    def move_facts(self, kind: str) -> None:
        for key in self.wanted_now:
            self.wanted_now[key] += key[0] == kind

    @precondition(lambda self: self.wanted_now)
    @rule(choice=st.randoms(use_true_random=False))
    def want_no_more(self, choice: random.Random) -> None:
        key = choice.choice(sorted(self.wanted_now))
        assume(key != ("personas", 0))
        del self.wanted_now[key]

    # Runs

    @rule()
    def plan(self) -> None:
        planned = self.account.plan(self.wanted(), self.budget)
        left = credits_left(self.account.ledger(), self.account.limits(self.budget))
        assert sum(planned.counts().values()) == len(self.wanted())
        assert planned.price.high <= left

    @rule()
    def apply(self) -> None:
        self.run(h.Hazards())

    @rule(kind=kinds, fault=st.sampled_from(sorted(h.FAULTS)), number=st.integers(1, 2))
    def lose(self, kind: str, fault: str, number: int) -> None:
        self.run(h.Hazards({(kind, number): fault}, late_seconds=200))

    @rule(kind=st.sampled_from(["", *h.MADE]), place=st.sampled_from(h.DEATHS), number=st.integers(1, 3))
    def kill(self, kind: str, place: str, number: int) -> None:
        self.run(h.Hazards(death=(place, kind, number)))

    @rule(listing=st.sampled_from(h.LISTING_FAULTS), kind=kinds, seed=st.integers(0, 9))
    def lose_and_list_badly(self, listing: str, kind: str, seed: int) -> None:
        self.run(h.Hazards({(kind, 1): "cut, work done"}, listing, lag_seconds=60, seed=seed))

    @rule(seconds=st.sampled_from([10, 100, 400]))
    def wait(self, seconds: int) -> None:
        self.account.let_pass(seconds)

    @rule(budget=st.sampled_from([1, 60, 400, 3_000]))
    def set_the_budget(self, budget: int) -> None:
        self.budget = budget

    # People

    @rule(number=st.integers(0, 3))
    def make_by_hand(self, number: int) -> None:
        name = f"{h.BY_HAND} {number}"
        body = {"pipeline_type": "north_star", "type": "B2C", "name": name, "description": "By hand."}
        made = self.account.forked(lambda: PERSONAS.create(self.account.client(), body).remote_id)
        ((self.of_the_account[made],),) = self.account.query(
            "select body from objects where object_id = ?", made
        )

    @precondition(lambda self: self.known_to_the_ledger())
    @rule(choice=st.randoms(use_true_random=False))
    def edit(self, choice: random.Random) -> None:
        """Somebody overwrites our words and the reference; the ledger still knows the object."""
        object_id = choice.choice(self.known_to_the_ledger())
        field = {"personas": "description", "brand-voices": "usage_context", "focus-groups": "name"}
        name = field.get(self.belongs[object_id][0], "title")
        self.account.query(
            f"update objects set body = json_set(body, '$.{name}', 'Mine now.') where object_id = ?",
            object_id,
        )

    @precondition(lambda self: self.known_to_the_ledger())
    @rule(choice=st.randoms(use_true_random=False))
    def delete(self, choice: random.Random) -> None:
        self.was_deleted = True
        object_id = choice.choice(self.known_to_the_ledger())
        self.account.query("delete from objects where object_id = ?", object_id)

    def known_to_the_ledger(self) -> list[str]:
        calls = self.account.ledger().calls()
        known = {name for call in calls if call.state == "done" for name in (call.remote_id, call.thread_id)}
        living = {name for (name,) in self.account.query("select object_id from objects")}
        return sorted(known & living & self.belongs.keys())

    @precondition(lambda self: self.account.ledger().unknown())
    @rule()
    def settle(self) -> None:
        """A person waits, looks into Mavera, and settles the unresolved calls."""
        self.account.let_pass(2 * h.SETTLE_SECONDS)
        self.see()
        wanted = {record.key: record for record in self.wanted()}
        for call in self.account.ledger().unknown():
            calls = self.account.ledger().calls()
            known = {
                name
                for other in calls
                if other.state != "unknown"
                for name in (other.remote_id, other.thread_id)
            }
            found = [name for name, whose in self.belongs.items() if whose == (call.kind, call.record_key)]
            new = [name for name in found if name not in known and self.exists(name)]
            if not new and call.payload.get("thread_id"):
                continue  # asked in a known thread: a run finds the question there
            if not new:
                drift.forget(call.key, self.account.ledger(write=True))
            elif call.key in wanted:
                record, name = wanted[call.key], new[0]
                self.account.forked(lambda r=record, n=name: self.adopt(r, n))

    def adopt(self, record: Record, object_id: str) -> str:
        return drift.adopt(record, self.account.ledger(write=True), self.account.client(), object_id)

    def exists(self, object_id: str) -> bool:
        return bool(self.account.query("select 1 from objects where object_id = ?", object_id))

    @rule()
    def move_the_ledger(self) -> None:
        """Export the ledger, and restore it into a new file."""
        if self.account.ledger_path.exists():
            lines = list(self.account.ledger().chain.export())
            self.account.remove_ledger()
            assert self.account.ledger(write=True).chain.restore(lines) == len(lines) - 1

    @rule()
    def back_up(self) -> None:
        if self.account.ledger_path.exists():
            self.backup = self.account.ledger_path.read_bytes()

    @precondition(lambda self: self.backup and self.stands() and not self.pays())
    @rule()
    def apply_with_an_older_ledger(self) -> None:
        """After everything is paid for, a backup replaces the ledger: then nothing is paid for.

        Objects deleted since, or whose reference was removed by hand, cannot be known.
        """
        newest, charged = self.account.ledger_path.read_bytes(), self.account.charged()
        self.account.remove_ledger()
        self.account.ledger_path.write_bytes(self.backup)
        refused_or_free = self.account.run(self.wanted(), AMPLE)
        assert self.account.charged() == charged, refused_or_free
        self.account.remove_ledger()
        self.account.ledger_path.write_bytes(newest)

    @precondition(lambda self: self.stands() and not self.pays())
    @rule(listing=st.sampled_from(sorted(h.MANNERS)))
    def apply_with_a_lost_ledger(self, listing: str) -> None:
        """The ledger is lost, and Mavera lists its objects in another form: nothing is paid for either.

        It is rebuilt as far as possible, and still nothing is paid for.
        """
        assume(listing != "list ends early")  # objects that no list shows cannot be known
        newest, charged = self.account.ledger_path.read_bytes(), self.account.charged()
        self.account.remove_ledger()
        hazards = h.Hazards(listing=listing)
        refused = self.account.run(self.wanted(), AMPLE, hazards)
        assert self.account.charged() == charged, refused
        adopted = self.account.forked(self.take_over_all, hazards)
        again = self.account.run(self.wanted(), AMPLE, hazards)
        assert self.account.charged() == charged, (adopted, again)
        self.account.remove_ledger()
        self.account.ledger_path.write_bytes(newest)

    def take_over_all(self) -> int:
        ledger, client = self.account.ledger(write=True), self.account.client()
        found = len(list(drift.adopt_all(self.wanted(), ledger, client)))
        clear = [one for one in drift.matches(self.wanted(), ledger, client, list(h.MADE)) if one.is_clear]
        for match in clear:
            drift.take(match, ledger, client)
        return found + len(clear)

    def stands(self) -> bool:
        """Whether Mavera has every wanted record, with its reference."""
        standing = {(one.kind, one.record_key) for one in self.account.standing()}
        return standing >= {(record.kind, record.record_key) for record in self.wanted()}

    def pays(self) -> bool:
        """Whether any wanted record still has to be looked up or paid for."""
        steps = self.account.plan(self.wanted(), AMPLE).steps
        return any(
            step.action in {"look up", "create", "hold"}
            or (step.action == "update" and not h.MADE[step.record.kind].terms.update_edits)
            for step in steps
        )

    # Invariants

    def see(self) -> None:
        self.belongs |= {one.object_id: (one.kind, one.record_key) for one in self.account.standing()}

    @invariant()
    def no_record_has_two_objects_and_no_question_is_asked_twice(self) -> None:
        self.see()
        living = Counter(whose for object_id, whose in self.belongs.items() if self.exists(object_id))
        assert all(count == 1 for count in living.values()), living
        wrong = h.compare((), self.account.standing())
        assert wrong._replace(objects=0) == h.Wrong()

    @invariant()
    def the_ledger_counts_at_least_what_mavera_charged_and_is_as_it_was_written(self) -> None:
        ledger: Ledger = self.account.ledger()
        ledger.chain.verify()
        assert self.account.charged() <= ledger.spent()

    @invariant()
    def what_the_account_made_itself_is_untouched(self) -> None:
        rows: list[tuple[Any, ...]] = self.account.query(
            "select object_id, body from objects where body ->> 'name' like ? || '%'", h.BY_HAND
        )
        assert dict(rows) == self.of_the_account


def test_in_any_order_no_record_is_made_twice_and_every_credit_is_in_the_ledger() -> None:
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            suppress_health_check=list(HealthCheck),
        ),
    )
