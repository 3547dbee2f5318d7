"""Measures what each step costs, beside a yardstick measured in the same run: `make bench`.

    python -m tests.bench --people 2000 --runs 3 steps loading requests plan
    python -m tests.bench --events 10000000 models
    python -m tests.bench limits

A second depends on the machine, a ratio on this project. The sandbox runs beside it, without limits unless
the limits are what is measured. Run it on an idle machine. CPU seconds are those of the command's process.
"""

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import duckdb
import requests
import typer
from rich.console import Console
from rich.table import Column, Table

from common import settings
from privacy import pseudonyms
from sandbox import klaviyo, mavera, sendgrid, wistia
from tests import bench_apply, bench_loading, bench_models, bench_plan, bench_requests
from tests.commands import Project
from tests.measuring import SEED, TODAY, Measure, cost_of, vendors
from transform import build as transform

AUTHORIZATIONS: Final = {
    "sendgrid": f"Bearer {sendgrid.KEY}",
    "wistia": f"Bearer {wistia.KEY}",
    "klaviyo": f"Klaviyo-API-Key {klaviyo.KEY}",
    "mavera": f"Bearer {mavera.KEY}",
}
PARTS: Final = ("steps", "loading", "requests", "limits", "plan", "apply", "models")
USUAL: Final = ("steps", "loading", "requests", "plan")
REVISION: Final = settings.Settings.model_fields["klaviyo_revision"].default


def asked_again(url: str) -> float:
    """Send every GET of the load before once more, one after another; return the seconds.

    The answers are read and dropped: the minimum for a script that keeps and checks nothing.
    """
    journal = requests.get(f"{url}/control/journal?method=GET", timeout=60).json()
    began = time.monotonic()
    with requests.Session() as session:
        for entry in journal:
            signed = "signature=" in entry["query"]  # a download is refused if it comes with a key
            headers = (
                {} if signed else {"Authorization": AUTHORIZATIONS[entry["vendor"]], "revision": REVISION}
            )
            address = f"{url}/{entry['vendor']}{entry['path']}?{entry['query']}"
            answer = session.get(address, headers=headers, timeout=60)
            assert answer.status_code == entry["status"], address
    return time.monotonic() - began


def bare_sql(warehouse: Path) -> float:
    """Run the SQL of all models as compiled by dbt, on a copy of the warehouse; return the CPU seconds.

    One connection, no tests, no ordering, no publishing: the minimum cost of the models.
    """
    compiled = [each.node for each in transform.dbt(warehouse, "compile", "--select", "resource_type:model")]
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copy(warehouse, folder)
        began = time.process_time()
        with duckdb.connect(copy) as connection:
            pseudonyms.define_person_id(connection, b"")
            for model in compiled:  # in the order in which they ended, so each after its inputs
                kind = "view" if model.config.materialized == "view" else "table"
                if model.config.materialized != "ephemeral":
                    connection.execute(
                        f"create or replace {kind} {model.relation_name} as {model.compiled_code}"
                    )
        return time.process_time() - began


def measured(people: int, folder: Path) -> Iterator[Measure]:
    """Run every step on a new warehouse, again with nothing new, and again a day later."""
    state = folder / "mavera.sqlite"
    with vendors(people, TODAY, state=state) as url:
        project = Project(folder, url, TODAY.isoformat())
        loaded = cost_of(project, "ingest")
        bare = asked_again(url)
        yield Measure(
            "ingest, everything", "s", loaded.seconds, "the same GETs one by one, nothing kept", bare
        )
        yield Measure("ingest, everything: peak", "MB", loaded.peak_mb, "goal", 600)
        again = cost_of(project, "ingest")
        yield Measure("ingest, nothing new", "s", again.seconds, "everything", loaded.seconds)
        # dbt builds where its own settings are new; see transform/statements.py.
        with_dbt = cost_of(replace(project, extra={"DBT_MEASURED": f"{time.time()}"}), "transform", "--full")
        project.well("transform", "--full")
        modeled = cost_of(project, "transform", "--full")
        sql = bare_sql(folder / "warehouse.duckdb")
        yield Measure(
            "transform, dbt itself", "CPU s", with_dbt.cpu_seconds, "the models' SQL, no tests", sql
        )
        yield Measure("transform, everything", "CPU s", modeled.cpu_seconds, "the models' SQL, no tests", sql)
        again = cost_of(project, "transform")
        yield Measure("transform, nothing new", "s", again.seconds, "everything", modeled.seconds)
        sent = cost_of(project, "activate", "apply")
        again = cost_of(project, "activate", "apply")
        paid = again.numbers["credits"]
        yield Measure("activate, nothing new", "credits", paid, "the run before", sent.numbers["credits"])
        yield Measure("activate, nothing new", "s", again.seconds, "the run before", sent.seconds)
    tomorrow = TODAY + timedelta(days=1)
    port = int(url.rsplit(":", 1)[1])
    with vendors(people, tomorrow, port, state):
        project = Project(folder, url, tomorrow.isoformat())
        later = cost_of(project, "ingest")
        then, now = (each.numbers["totals"]["requests"] for each in (loaded, later))
        yield Measure("ingest, a day later", "requests", now, "everything", then)
        yield Measure("ingest, a day later", "s", later.seconds, "everything", loaded.seconds)
        again = cost_of(project, "transform")
        yield Measure("transform, a day later", "CPU s", again.cpu_seconds, "everything", modeled.cpu_seconds)


def of_parts(parts: Sequence[str], people: int, events: int) -> Iterator[Measure]:
    """Yield the measures of each part, by its name in `PARTS`."""
    with tempfile.TemporaryDirectory() as folder:
        measures: dict[str, Callable[[], Iterator[Measure]]] = {
            "steps": lambda: measured(people, Path(folder)),
            "loading": lambda: bench_loading.measures(people, 100_000, 1_000_000),
            "requests": lambda: bench_requests.measures(people),
            "limits": bench_requests.of_limits,
            "plan": bench_plan.measures,
            "apply": bench_apply.measures,
            "models": lambda: bench_models.measures(people, events),
        }
        for part in parts:
            yield from measures[part]()


class Repeated(NamedTuple):
    """A measure in several runs; `runs` are of the first one's step and unit."""

    runs: Sequence[Measure]

    @property
    def middle(self) -> Measure:
        """The run in the middle by ratio, or by our figure."""
        return sorted(self.runs, key=lambda run: (run.ratio or 0.0, run.ours))[len(self.runs) // 2]

    @property
    def range(self) -> str:
        """The least and the greatest ratio, if there are several."""
        ratios = sorted(run.ratio for run in self.runs if run.ratio is not None)
        return f"{ratios[0]:.2f} to {ratios[-1]:.2f}" if len(ratios) > 1 else ""


def repeated(parts: Sequence[str], people: int, events: int, runs: int) -> list[Repeated]:
    """Measure everything `runs` times, one run after the other, and return each measure with all its runs."""
    found: dict[tuple[str, str], list[Measure]] = {}
    for _ in range(runs):
        for measure in of_parts(parts, people, events):
            found.setdefault((measure.step, measure.unit), []).append(measure)
            typer.echo(f"{measure.step}: {measure.ours:,.2f} {measure.unit}", err=True)
    return [Repeated(each) for each in found.values()]


def show(measures: Sequence[Repeated]) -> None:
    """Print a line per measure: the run in the middle, and the range of the ratios."""
    table = Table("step", "", Column("ours", justify="right"), "yardstick", Column("", justify="right"),
                  Column("ratio", justify="right"), "range", box=None, pad_edge=False)  # fmt: skip
    for measure in measures:
        middle = measure.middle
        ours, theirs = (
            f"{number:,.0f}" if number >= 100 or number == int(number) else f"{number:,.2f}"
            for number in (middle.ours, middle.theirs)
        )
        ratio = "-" if middle.ratio is None else f"{middle.ratio:.2f}"
        table.add_row(middle.step, middle.unit, ours, middle.yardstick, theirs, ratio, measure.range)
    Console(width=120, highlight=False).print(table)


def main(
    parts: Annotated[list[str] | None, typer.Argument(help=f"Of {', '.join(PARTS)}.")] = None,
    *,
    people: Annotated[int, typer.Option(help="Size of the population, 200 to 1,000,000.")] = 2000,
    events: Annotated[int, typer.Option(help="Events of the part `models`.")] = 1_000_000,
    runs: Annotated[int, typer.Option(help="How often everything is measured.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the same numbers as JSON.")] = False,
) -> None:
    """Measure every step beside its yardstick, in a temporary folder."""
    if unknown := sorted({*(parts or ())} - {*PARTS}):
        raise typer.BadParameter(f"{unknown[0]} is not one of {', '.join(PARTS)}")
    measures = repeated(parts or USUAL, people, events, runs)
    if as_json:
        told = [
            measure.middle._asdict()
            | {"ratio": measure.middle.ratio, "runs": [[run.ours, run.theirs] for run in measure.runs]}
            for measure in measures
        ]
        typer.echo(json.dumps({"people": people, "seed": SEED, "measures": told}))
    else:
        show(measures)


if __name__ == "__main__":
    typer.run(main)
