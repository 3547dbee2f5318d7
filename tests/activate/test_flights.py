"""Several requests under way at once: what holds for one request at a time holds for them all."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import pytest

from activate import engine, records
from activate.answers import Answer
from activate.flights import Landed, landed
from activate.kinds import KINDS
from activate.ledger import opening
from activate.ledger.journal import Ledger
from activate.mavera import MOST_AT_ONCE, REQUESTS_A_MINUTE, Mavera, Turns
from activate.planning import Limits
from activate.run import Outcome, Result
from common import settings
from common.pace import Turn
from sandbox import mavera as sandbox_mavera
from sandbox.faults import Fault
from sandbox.mavera.account import WORKSPACES
from sandbox.mavera.requests import Refusal
from sandbox.server import Sandbox, serving
from tests import activation
from tests.activate.test_activate_kills import numbered

LATENCY_MS = 60
PERSONAS = 9
SKIMMERS = [f"personas/viewer-clusters:skimmers_{number}" for number in range(PERSONAS)]


@dataclass
class Office:
    """A Mavera that takes a moment to answer, a ledger, and `apply` with 8 requests at once."""

    sandbox: Sandbox
    url: str
    path: Path
    waits: list[float] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    told: list[Result] = field(default_factory=list)
    on_begin: Callable[[int], object] = lambda _: None
    most_under_way: int = 0

    def spoil(self, name: str, count: int = 1, spare: int = 0, path: str = "/personas") -> None:
        self.sandbox.faults.add(Fault(name, "mavera", count=count, path=path, method="POST", spare=spare))

    def ledger(self) -> Ledger:
        return opening.connect(f"sqlite:///{self.path / 'ledger'}", f"{self.url}/mavera/api/v1", write=True)

    def apply(self, month: int = 20_000, settle: int = 300, **rows: tuple[activation.Row, ...]) -> Outcome:
        published = self.path / "published.duckdb"
        personas = tuple(numbered(activation.SKIMMERS, number) for number in range(PERSONAS))
        activation.publish(published, **{"personas": personas, **rows})
        wanted = records.load(
            settings.Settings(
                _env_file=None,
                published_path=published,
                mavera_workspace_id=WORKSPACES[0].workspace_id,
                mavera_transcripts_may_leave=True,
            ),
            list(KINDS),
        )
        client = Mavera(
            f"{self.url}/mavera/api/v1",
            sandbox_mavera.KEY,
            "enterprise",
            sleep=self.waits.append,
        )
        ledger, begin = self.ledger(), Ledger.begin
        self.told.clear()

        def begun(ledger: Ledger, run_id: str, **about: object) -> str:
            call_id = begin(ledger, run_id, **about)  # type: ignore[arg-type]
            self.most_under_way = max(self.most_under_way, len(ledger.unknown()))
            self.on_begin(len(ledger.calls()))
            return call_id

        limits = Limits(month, None, 20, settle, poll_seconds=0.01)
        with (
            patch.object(Turns, "most_at_once", MOST_AT_ONCE),
            patch.object(Ledger, "begin", begun),
        ):
            return engine.apply(
                wanted, ledger, client, list(KINDS), limits, tell=self.told.append, say=self.said.append
            )

    def credits(self) -> int:
        return int(self.sandbox.mavera.summary()["credits_spent"])

    def is_even(self) -> bool:
        """Whether the ledger counts what Mavera charged, and nothing is unknown."""
        return self.ledger().spent() == self.credits() and not self.ledger().unknown()


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    sandbox = Sandbox(activation.world(), limits="off", latency_ms=LATENCY_MS)
    with serving(sandbox) as url:
        yield Office(sandbox, url, tmp_path)


# --- how many ------------------------------------------------------------------------------------------


REAL = Turns.__dict__["most_at_once"]


@pytest.mark.parametrize("tier", REQUESTS_A_MINUTE)
@pytest.mark.parametrize("latency", [0.1, 0.25, 0.5])
def test_as_many_requests_are_under_way_as_the_pace_of_a_plan_needs(tier: str, latency: float) -> None:
    client = Mavera("http://127.0.0.1:9/api/v1", "key", tier)
    rate = 0.9 * REQUESTS_A_MINUTE[tier] / 60
    client.turns._took.extend([latency] * 8)
    needed = REAL.__get__(client.turns)
    assert 0.95 * rate <= needed / (latency + 0.03)
    assert needed <= MOST_AT_ONCE
    assert needed == 1 or (needed - 1) / latency < 1.5 * rate


def test_the_first_request_is_made_alone_and_a_slow_mavera_gets_a_few_at_once() -> None:
    client = Mavera("http://127.0.0.1:9/api/v1", "key", "enterprise")
    assert REAL.__get__(client.turns) == 1
    client.turns._took.append(30.0)
    assert REAL.__get__(client.turns) == MOST_AT_ONCE


def test_what_is_sent_side_by_side_is_told_in_the_order_of_the_plan(office: Office) -> None:
    office.spoil("slow-body", spare=2)
    with patch("sandbox.server.SLOW_BODY_SECONDS", 0.5):
        outcome = office.apply(analyses=(activation.CLUSTERS,))
    assert outcome.counts() == {"created": PERSONAS + 1}
    assert office.most_under_way >= 2
    assert [result.key for result in office.told] == [*SKIMMERS, "analyses/viewer-clusters:all"]
    assert list(outcome.results) == [result.key for result in office.told]
    assert office.is_even()


def test_questions_that_are_asked_again_read_their_threads_ahead_and_once(office: Office) -> None:
    rows = tuple(numbered(activation.DEVICES, number) for number in range(6))
    office.apply(personas=(), analyses=rows)
    seen = len(office.sandbox.journal)
    moved = tuple(activation.but(row, open_rate=0.5) for row in rows)
    with patch.object(Mavera, "look_ahead", autospec=True, side_effect=Mavera.look_ahead) as ahead:
        assert office.apply(personas=(), analyses=moved).counts() == {"updated": 6}
    threads = {f"mave/threads/{entry.thread_id}" for entry in office.ledger().entries().values()}
    read = Counter(
        entry.path.partition("/v1/")[2]
        for entry in list(office.sandbox.journal)[seen:]
        if entry.method == "GET"
    )
    assert {read[thread] for thread in threads} == {1}
    assert ahead.call_count > 1
    assert office.is_even()


def test_an_end_is_recorded_while_the_pace_lets_nothing_else_leave(office: Office) -> None:
    wait, left = Turns.await_room, []

    def waited(turns: Turns, land: Callable[[float], bool]) -> None:
        with patch.object(turns.pace, "room", lambda _: Turn(2.0, "the minute is used up")):
            wait(turns, land)
        left.append(len(office.ledger().unknown()))

    with patch.object(Turns, "await_room", waited):
        assert office.apply().counts() == {"created": PERSONAS}
    assert set(left) == {0}


# --- money ---------------------------------------------------------------------------------------------


def test_the_budget_counts_what_is_under_way_at_its_highest_price(office: Office) -> None:
    outcome = office.apply(month=300 * 4 + 299)
    assert outcome.counts() == {"created": 4, "held": PERSONAS - 4}
    assert office.ledger().spent() == office.credits() == 1_200
    assert office.apply(month=300 * 6).counts() == {"unchanged": 4, "created": 2, "held": PERSONAS - 6}


def test_what_costs_less_than_its_highest_price_leaves_room_for_the_rest(office: Office) -> None:
    analyses = tuple(numbered(activation.CLUSTERS, number) for number in range(6))
    with patch("sandbox.mavera.chat.priced", lambda _: ("simple", 10)):
        assert office.apply(month=6 * 75, personas=(), analyses=analyses).counts() == {"created": 6}
    assert office.ledger().spent() == office.credits() == 60


def test_a_price_that_rises_counts_for_what_is_under_way_as_well(office: Office) -> None:
    def rise(sent: int) -> None:
        office.sandbox.mavera.persona_credits = 300 if sent < 5 else 500

    office.on_begin = rise
    personas = tuple(numbered(activation.SKIMMERS, number) for number in range(19))
    outcome = office.apply(month=19 * 300, personas=personas)
    assert outcome.counts()["held"] > 0
    assert office.ledger().spent() == office.credits() <= 19 * 300


def test_a_402_ends_the_run_and_what_is_under_way_is_recorded(office: Office) -> None:
    office.sandbox.mavera.balance = 300 * 4
    outcome = office.apply()
    assert outcome.counts()["created"] == 4
    assert outcome.counts()["failed"] <= MOST_AT_ONCE
    assert outcome.is_out_of_credits
    assert len({result.key for result in office.told}) == len(office.told)
    assert office.is_even()
    office.sandbox.mavera.balance = 20_000
    assert office.apply().counts() == {"unchanged": 4, "created": PERSONAS - 4}


def test_the_first_of_a_kind_goes_alone_so_that_a_refused_shape_is_sent_once(office: Office) -> None:
    analyses = tuple(numbered(activation.CLUSTERS, number) for number in range(6))
    refusal = {"error": {"type": "invalid_request_error", "code": "unknown_field", "param": "message"}}
    with patch("sandbox.mavera.chat.Chat._fields", side_effect=Refusal(400, message=str(refusal))):
        outcome = office.apply(analyses=analyses)
    assert outcome.counts() == {"created": PERSONAS, "failed": 1, "not sent": 5}
    assert sum(entry.path.endswith("/mave/chat") for entry in office.sandbox.journal) == 1
    assert office.is_even()


# --- what goes wrong -----------------------------------------------------------------------------------


class Queued:
    """Requests that leave only when their ends are waited for: all that may be under way are."""

    def __init__(self) -> None:
        self._requests: list[tuple[int, Callable[[], Answer]]] = []

    def begin(self, number: int, request: Callable[[], Answer]) -> None:
        self._requests.append((number, request))

    def next(self, _: float | None = None) -> Landed:
        return landed(*self._requests.pop(0))


def test_several_that_are_told_to_wait_wait_once_and_are_sent_again(office: Office) -> None:
    office.spoil("429", count=3, spare=2)
    with patch("activate.send.Flights", Queued):
        assert office.apply().counts() == {"created": PERSONAS}
    assert office.most_under_way == MOST_AT_ONCE
    assert office.waits.count(1) == 1  # as Mavera asked; the others are those of the pace
    assert office.is_even()


@pytest.mark.parametrize("fault", ["cut-after", "cut-before", "broken-json", "500"])
def test_answers_that_are_lost_side_by_side_are_found(office: Office, fault: str) -> None:
    office.spoil(fault, count=3, spare=2)
    outcome = office.apply(settle=0)
    assert outcome.counts().keys() <= {"created", "failed"}
    office.apply(settle=0)
    assert office.apply(settle=0).counts() == {"unchanged": PERSONAS}
    assert activation.references(office.url) == Counter(key.split("/")[1] for key in SKIMMERS)
    assert office.credits() == 300 * PERSONAS


def test_records_that_depend_on_one_under_way_wait_for_it(office: Office) -> None:
    keys = [key.partition("/")[2] for key in SKIMMERS]
    studies = tuple(
        activation.but(numbered(activation.PAIR, number), reference_keys=[keys[-1], keys[number]])
        for number in range(7)
    )
    texts = tuple(numbered(activation.FOLLOW_UP, number) for number in range(4))
    office.sandbox.mavera.study_seconds = office.sandbox.mavera.voice_seconds = 0.2
    outcome = office.apply(studies=studies, voices=(activation.VOICE,), generations=texts)
    assert outcome.counts() == {"created": PERSONAS + 7 + 1 + 4}
    ((voice,),) = office.sandbox.mavera.query("select object_id from objects where kind = 'brand voice'")
    written = [call for call in office.ledger().calls() if call.kind == "generations"]
    assert {call.payload["brand_voice_id"] for call in written} == {voice}
    assert office.is_even()


# --- interruptions -------------------------------------------------------------------------------------


def test_a_signal_ends_the_run_once_what_is_under_way_is_recorded(office: Office) -> None:
    office.on_begin = lambda sent: os.kill(os.getpid(), signal.SIGTERM) if sent == 5 else None
    outcome = office.apply()
    assert outcome.stopped == "interrupted"
    assert outcome.counts() == {"created": 5, "not sent": PERSONAS - 5}
    assert office.is_even()
    office.on_begin = lambda _: None
    assert office.apply().counts() == {"unchanged": 5, "created": PERSONAS - 5}


def test_a_second_signal_leaves_what_is_under_way_to_the_next_run(office: Office) -> None:
    office.spoil("time-out", count=3, spare=2)

    def interrupt() -> None:
        while office.sandbox.mavera.summary()["personas"] < 5:
            time.sleep(0.01)
        for said in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            while len(office.said) <= 0 and not said:
                time.sleep(0.01)

    impatient = threading.Thread(target=interrupt)
    impatient.start()
    began = time.monotonic()
    outcome = office.apply()
    impatient.join()
    assert time.monotonic() - began < 30
    assert outcome.stopped == "interrupted"
    assert outcome.counts()["unknown"] >= 3
    assert sum(outcome.counts().values()) == PERSONAS
    assert office.apply(settle=0).counts().keys() <= {"unchanged", "adopted", "created"}
    assert activation.references(office.url) == Counter(key.split("/")[1] for key in SKIMMERS)
    assert office.credits() == 300 * PERSONAS
