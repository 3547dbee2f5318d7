"""What `--json` prints has the shape that docs/json.md shows.

Of ingest and transform tests/test_end_to_end.py holds it, of forget tests/test_forget.py.
"""

import json
from collections.abc import Iterator

import activation
import pytest
import shapes
import test_activate
import typer
from test_activate import TOP, Desk

import forget
import transform
from activate import cli
from ingest import __main__ as ingest
from sandbox.faults import Fault

sandbox, desk = test_activate.sandbox, test_activate.desk


def commands(app: typer.Typer, name: str) -> Iterator[str]:
    """Give every command of `app` that takes --json, as a person types it."""
    callbacks = [(name, app.registered_callback)] if app.registered_callback else []
    alone = len(app.registered_commands) == 1 and not callbacks
    for command in app.registered_commands:
        called = command.name or command.callback.__name__  # type: ignore[union-attr]
        callbacks.append((name if alone else f"{name} {called}", command))  # type: ignore[arg-type]
    for called, command in callbacks:
        if "as_json" in command.callback.__annotations__:  # type: ignore[union-attr]
            yield called
    for group in app.registered_groups:
        yield from commands(group.typer_instance, f"{name} {group.name}")  # type: ignore[arg-type]


def test_every_command_with_json_is_documented_and_no_other() -> None:
    apps = {"ingest": ingest.app, "transform": transform.app, "activate": cli.app, "forget": forget.app}
    taking = {called for name, app in apps.items() for called in commands(app, name)}
    assert taking == shapes.sections().keys()


def printed(desk: Desk, *arguments: str) -> str:
    """Run a command with --json; return what it printed, once that has its documented shape."""
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
