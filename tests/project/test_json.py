"""The output of `--json` has the shape in docs/json.md.

The tests of the other commands check theirs: test_end_to_end.py, test_forget.py, test_doctor.py,
test_report.py, test_terminal.py.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from activate.cli import main as cli
from ingest import __main__ as ingest
from operate import doctor, forget, profile, query
from report import __main__ as report
from sandbox import __main__ as sandbox_commands
from sandbox.faults import Fault
from tests import activation, shapes
from tests.activate import test_activate
from tests.activate.test_activate import TOP, Desk
from transform.__main__ import app as transform

sandbox, desk = test_activate.sandbox, test_activate.desk


def commands(command: Any, name: str) -> Iterator[str]:
    """Yield every command at or below `command` that accepts --json, as typed."""
    if any("--json" in parameter.opts for parameter in command.params):
        yield name
    for called, below in getattr(command, "commands", {}).items():
        yield from commands(below, f"{name} {called}")


def test_every_command_with_json_is_documented_and_no_other() -> None:
    apps = {
        "doctor": doctor.app, "ingest": ingest.app, "transform": transform, "activate": cli.app,
        "forget": forget.app, "query": query.app, "profile": profile.app, "report": report.app,
        "sandbox": sandbox_commands.app,
    }  # fmt: skip
    taking = {called for name, app in apps.items() for called in commands(typer.main.get_command(app), name)}
    assert taking == shapes.sections().keys()


def printed(desk: Desk, *arguments: str) -> str:
    """Run a command with --json; return its output, after checking its documented shape."""
    ran = desk.activate(*arguments, "--json")
    name = " ".join(word for word in ("activate", *arguments) if "/" not in word)
    assert shapes.amiss(name, json.loads(ran.out)) == [], ran.out + ran.err
    return ran.out


@pytest.fixture
def busy(desk: Desk) -> Desk:
    """A desk with one of each: sent, moved, held, lost, unwanted."""
    gone = activation.but(activation.TOP, record_key="clv-tiers:new", name="Customers: new")
    desk.publish(activation.TOP, activation.SKIMMERS, gone)
    desk.activate("apply")
    small = activation.but(activation.MOBILE, person_count=12)
    moved = activation.but(activation.SKIMMERS, mean_watched_share=0.31)
    desk.publish(activation.TOP, moved, small, analyses=(activation.CLUSTERS,), studies=(activation.PAIR,))
    activation.publish_origins(desk.path / "published.duckdb")
    return desk


def test_each_command_prints_what_is_documented(busy: Desk) -> None:
    before = json.loads(printed(busy, "plan"))
    assert before["unwanted"] == ["personas/clv-tiers:new"]
    assert [step["changes"] for step in before["steps"] if step["changes"]]
    busy.sandbox.faults.add(Fault("cut-before", "mavera", count=1, path="/mave/chat"))
    printed(busy, "apply")
    printed(busy, "status")
    assert len(json.loads(printed(busy, "settle"))["unknown"]) == 1
    assert json.loads(printed(busy, "explain", TOP))["used_by"]
    unwanted = json.loads(printed(busy, "explain", "personas/clv-tiers:new"))
    assert (unwanted["wanted"], unwanted["calls"][0]["credits"]) == (False, 300)
    assert {fact["fact"] for fact in unwanted["facts"]} == activation.TOP["facts"].keys()
    made = json.loads(printed(busy, "explain", TOP))["calls"][0]["id"]
    busy.sandbox.mavera.edit_by_hand(made, name="Somebody else")
    assert json.loads(printed(busy, "drift"))["counts"]["edited"] == 1
    assert json.loads(printed(busy, "ledger", "verify"))["rows"]
