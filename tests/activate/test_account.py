"""A ledger belongs to one account: it accepts another key of that account, but no other account's key."""

import json
import sqlite3

import pytest

from sandbox import mavera
from tests import activation
from tests.activate import test_activate
from tests.activate.test_activate import Desk
from tests.activate.test_approval import ids

sandbox, desk = test_activate.sandbox, test_activate.desk
OTHER = "mvra_live_another0key"


def renew(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the account's key."""
    monkeypatch.setattr(mavera, "KEY", OTHER)
    desk.set(mavera_api_key=OTHER)


def move(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a new key belong to an account without any object of the ledger."""
    for remote_id in ids(desk).values():
        desk.sandbox.mavera.delete_by_hand(remote_id)
    renew(desk, monkeypatch)


def test_a_new_key_of_the_account_is_accepted_where_it_lists_what_the_ledger_knows(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.publish(activation.TOP)
    assert desk.activate("apply").code == 0
    renew(desk, monkeypatch)
    desk.publish(activation.TOP, activation.SKIMMERS)
    assert desk.activate("apply").code == 0
    assert desk.credits() == 600


def test_a_key_of_another_account_sends_nothing_until_a_person_accepts_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.publish(activation.TOP)
    assert desk.activate("apply").code == 0
    move(desk, monkeypatch)
    desk.publish(activation.TOP, activation.SKIMMERS)
    sent = desk.requests("POST")
    ran = desk.activate("apply")
    assert (ran.code, desk.requests("POST"), len(ran.err.splitlines())) == (2, sent, 1)
    assert "run python -m activate settle --accept-key" in ran.err
    assert OTHER not in ran.err
    assert desk.activate("settle", "--accept-key").code == 0
    assert desk.activate("apply").code == 0
    assert desk.requests("POST") == sent + 1


def test_a_ledger_of_an_earlier_version_is_taken_over_unasked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.publish(activation.TOP)
    assert desk.activate("apply").code == 0
    with sqlite3.connect(desk.path / "ledger.sqlite") as connection:
        connection.execute("drop table identity")
    assert json.loads(desk.activate("plan", "--json").out)["counts"]["create"] == 0
    assert desk.activate("apply").code == 0
    assert desk.credits() == 300
    move(desk, monkeypatch)
    assert desk.activate("apply").code == 2


def test_no_key_stands_in_the_ledger(desk: Desk) -> None:
    desk.publish(activation.TOP)
    assert desk.activate("apply").code == 0
    assert mavera.KEY.encode() not in (desk.path / "ledger.sqlite").read_bytes()
