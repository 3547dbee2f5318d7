"""A small part of `make bench`: ratios and counts, with a clear margin, and never seconds."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tests import bench, bench_plan
from tests.measuring import Measure


def test_a_step_of_apply_costs_the_same_after_many(tmp_path: Path) -> None:
    first, later = bench_plan.cost_of_steps(tmp_path, 400).values()
    assert later < 3 * first


def test_a_plan_without_changes_sends_nothing(tmp_path: Path) -> None:
    figures = bench_plan.measured(600, tmp_path, later=10)
    assert figures["unchanged"]["steps"]["leave"] == figures["unchanged"]["records"]
    assert figures["new"]["records"] == figures["unchanged"]["records"] > 500


@pytest.fixture
def twice(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = iter([2.0, 3.0, 9.0])

    def measured(parts: list[str], people: int, events: int) -> Iterator[Measure]:
        assert (list(parts), people, events) == (["plan"], 300, 1_000_000)
        yield Measure("plan", "CPU s", next(ours), "least", 2.0)

    monkeypatch.setattr(bench, "of_parts", measured)


@pytest.mark.usefixtures("twice")
def test_several_runs_give_the_middle_and_the_range() -> None:
    app = typer.Typer()
    app.command()(bench.main)
    arguments = ["plan", "--people", "300", "--runs", "3"]
    shown = CliRunner().invoke(app, [*arguments, "--json"])
    (measure,) = json.loads(shown.stdout)["measures"]
    assert (measure["ours"], measure["ratio"]) == (3.0, 1.5)
    assert measure["runs"] == [[2.0, 2.0], [3.0, 2.0], [9.0, 2.0]]


def test_an_unknown_part_is_named() -> None:
    app = typer.Typer()
    app.command()(bench.main)
    shown = CliRunner().invoke(app, ["everything"])
    assert shown.exit_code == 2
    assert "everything is not one of steps, loading" in shown.output
