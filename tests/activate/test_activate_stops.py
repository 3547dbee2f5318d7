"""The pace that Mavera asks for, and runs that are interrupted."""

import os
import signal
import threading
import time

import pytest
import sqlalchemy as sa
from starlette.responses import JSONResponse

from activate import engine, records
from activate.errors import LedgerError
from activate.kinds import KINDS
from activate.ledger import opening
from activate.ledger.lock import Hold
from activate.mavera import Mavera, pace
from activate.planning import Limits
from common import settings
from sandbox import mavera as sandbox_mavera
from tests import activation
from tests.activate import test_activate_faults as shared
from tests.activate.test_activate_faults import SKIMMERS, TOP, Account, answering

account = shared.account

# --- pace --------------------------------------------------------------------------------------------


class Clock:
    """A clock that advances only during sleeps."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_calls_are_spread_so_that_no_minute_has_more_than_the_pace() -> None:
    clock = Clock()
    turns = pace("starter", clock)
    times = []
    for _ in range(200):
        clock.sleep(turns.turn("").seconds)
        times.append(clock.now)
    assert all(later - earlier >= 60 for earlier, later in zip(times, times[54:], strict=False))
    assert times[-1] - times[0] == 180


def test_a_window_that_mavera_calls_used_up_is_waited_out() -> None:
    clock = Clock()
    turns = pace("starter", clock)
    turns.learn("", {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1042"})
    clock.sleep(turns.turn("").seconds)
    assert clock.now == 1_042


def test_a_clock_that_disagrees_with_mavera_costs_a_minute_at_most() -> None:
    clock = Clock()
    turns = pace("starter", clock)
    turns.learn("", {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9999999999"})
    clock.sleep(turns.turn("").seconds)
    assert clock.now == 1_060


def test_the_pace_is_waited_for_before_a_call_is_announced(account: Account) -> None:
    activation.publish(account.path / "published.duckdb", (activation.TOP, activation.SKIMMERS))
    wanted = records.load(
        settings.Settings(_env_file=None, published_path=account.path / "published.duckdb"), ["personas"]
    )
    clock, announced = Clock(), []

    def sleep(seconds: float) -> None:
        announced.append((seconds, len(account.ledger().calls())))
        clock.sleep(seconds)

    used_up = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1042"}
    nothing = JSONResponse({"object": "list", "data": []}, headers=used_up)
    with answering(nothing, {"id": "per_9"}, sleep=sleep, clock=clock) as client:
        limits = Limits(20_000, None, 20, 300)
        assert engine.apply(wanted, account.ledger(), client, ["personas"], limits).is_well
    assert announced == [(42, 1)]


def test_who_is_cut_off_after_a_call_was_announced_does_not_make_it(account: Account) -> None:
    activation.publish(account.path / "published.duckdb", (activation.TOP, activation.SKIMMERS))
    wanted = records.load(
        settings.Settings(_env_file=None, published_path=account.path / "published.duckdb"), ["personas"]
    )
    path = account.path / "ledger"

    def guard(connection: sa.Connection) -> None:
        if connection.execute(sa.text("select count(*) from journal where event = 'begin'")).scalar() == 2:
            raise LedgerError("the lease ran out")

    ledger = opening.connect(f"sqlite:///{path}", account.ledger().destination, write=True, hold=Hold(guard))
    limits = Limits(20_000, None, 20, 300)
    outcome = engine.apply(wanted, ledger, account.client(), ["personas"], limits)
    assert outcome.stopped == "the lease ran out"
    assert [call.state for call in ledger.calls()] == ["done", "unknown"]
    assert account.sandbox.mavera.summary()["personas"] == 1


# --- interruptions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_the_call_in_flight(account: Account, number: signal.Signals) -> None:
    account.tell = lambda _: os.kill(os.getpid(), number)
    outcome = account.apply(activation.TOP, activation.SKIMMERS, activation.MOBILE)
    assert outcome.counts() == {"unchanged": 1, "created": 1, "not sent": 1}
    assert outcome.stopped == "interrupted"
    assert account.said == ["stopping after the requests under way, in 30 s at most"]
    account.tell = lambda _: None
    assert account.apply(activation.TOP, activation.SKIMMERS, activation.MOBILE).counts()["created"] == 1


def test_a_second_signal_gives_the_call_in_flight_up_and_it_is_looked_up_later(account: Account) -> None:
    account.spoil("time-out", "/personas")
    patient = Mavera(f"{account.url}/mavera/api/v1", sandbox_mavera.KEY, "enterprise")
    published = account.path / "published.duckdb"
    activation.publish(published, (activation.TOP, activation.SKIMMERS))
    wanted = records.load(settings.Settings(_env_file=None, published_path=published), list(KINDS))

    def interrupt() -> None:
        while account.sandbox.mavera.summary()["personas"] < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)
        while not account.said:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    impatient = threading.Thread(target=interrupt)
    impatient.start()
    limits = Limits(20_000, None, 20, 300)
    outcome = engine.apply(wanted, account.ledger(), patient, list(KINDS), limits, say=account.said.append)
    impatient.join()
    assert outcome.results[SKIMMERS].state == "unknown"
    assert account.apply(activation.TOP, activation.SKIMMERS).results[SKIMMERS].state == "adopted"
    assert account.is_true(TOP, SKIMMERS)
