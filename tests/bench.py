"""Measures how long the steps take, each beside a yardstick measured in the same run: `make bench`.

    python -m tests.bench --people 2000

A second depends on the machine, a ratio on this project. The sandbox runs beside it, without limits, so that
the time is our own and not the vendors' pace; run it on an idle machine. Each number is measured once.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import duckdb
import requests
import typer
from rich.console import Console
from rich.table import Column, Table

from common import settings
from sandbox import klaviyo, mavera, sendgrid, wistia
from tests.commands import Project
from transform import build as transform

SEED: Final = 7
TODAY: Final = date(2026, 11, 20)
AUTHORIZATIONS: Final = {
    "sendgrid": f"Bearer {sendgrid.KEY}",
    "wistia": f"Bearer {wistia.KEY}",
    "klaviyo": f"Klaviyo-API-Key {klaviyo.KEY}",
    "mavera": f"Bearer {mavera.KEY}",
}
REVISION: Final = settings.Settings.model_fields["klaviyo_revision"].default


class Measure(NamedTuple):
    """One step beside its yardstick; both in `unit`."""

    step: str
    unit: str
    ours: float
    yardstick: str
    theirs: float

    @property
    def ratio(self) -> float | None:
        """Our time divided by the yardstick's; None if the yardstick is zero."""
        return self.ours / self.theirs if self.theirs else None


@contextmanager
def vendors(
    people: int,
    as_of: date,
    port: int = 0,
    state: Path | None = None,
    *,
    limits: str = "off",
    latency_ms: int = 0,
) -> Iterator[str]:
    """Serve the sandbox from a separate process, as real vendors do; yield the URL of its root."""
    command = [sys.executable, "-m", "sandbox", "serve", "--limits", limits, "--seed", str(SEED)]
    command += ["--latency-ms", str(latency_ms)]
    command += ["--people", str(people), "--as-of", as_of.isoformat(), "--port", str(port)]
    command += ["--state", str(state)] if state else []
    with subprocess.Popen(
        command, cwd=settings.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = process.stderr.readline().strip()
        if "ready on" not in said:
            typer.echo(said, err=True)
            raise typer.Exit(2)
        try:
            yield said.split()[-1]
        finally:
            process.terminate()


def timed(project: Project, module: str, *arguments: str) -> tuple[dict[str, Any], float]:
    """Run a command that must succeed; return its `--json` and its seconds, including its start."""
    began = time.monotonic()
    return project.well(module, *arguments), time.monotonic() - began


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
    """Run the SQL of all models as compiled by dbt, on a copy of the warehouse; return the seconds.

    One connection, no tests, no ordering, no publishing: the minimum cost of the models.
    """
    compiled = [each.node for each in transform.dbt(warehouse, "compile", "--select", "resource_type:model")]
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copy(warehouse, folder)
        began = time.monotonic()
        with duckdb.connect(copy) as connection:
            for model in compiled:  # in the order in which they ended, so each after its inputs
                kind = model.config.materialized
                if kind in ("table", "view"):
                    connection.execute(
                        f"create or replace {kind} {model.relation_name} as {model.compiled_code}"
                    )
        return time.monotonic() - began


def measured(people: int, folder: Path) -> Iterator[Measure]:
    """Run every step on a new warehouse, again with nothing new, and again a day later."""
    state = folder / "mavera.sqlite"
    with vendors(people, TODAY, state=state) as url:
        project = Project(folder, url, TODAY.isoformat())
        loaded, loading = timed(project, "ingest")
        yield Measure(
            "ingest, everything", "s", loading, "the same GETs one by one, nothing kept", asked_again(url)
        )
        again, seconds = timed(project, "ingest")
        yield Measure("ingest, nothing new", "s", seconds, "everything", loading)
        _, modelling = timed(project, "transform")
        bare = bare_sql(folder / "warehouse.duckdb")
        yield Measure("transform, everything", "s", modelling, "the models' SQL alone, no tests", bare)
        _, seconds = timed(project, "transform")
        yield Measure("transform, nothing new", "s", seconds, "everything", modelling)
        sent, sending = timed(project, "activate", "apply")
        again, seconds = timed(project, "activate", "apply")
        yield Measure("activate, nothing new", "credits", again["credits"], "the run before", sent["credits"])
        yield Measure("activate, nothing new", "s", seconds, "the run before", sending)
    tomorrow = TODAY + timedelta(days=1)
    port = int(url.rsplit(":", 1)[1])
    with vendors(people, tomorrow, port, state):
        project = Project(folder, url, tomorrow.isoformat())
        later, seconds = timed(project, "ingest")
        requests_then, requests_now = (each["totals"]["requests"] for each in (loaded, later))
        yield Measure("ingest, a day later", "requests", requests_now, "everything", requests_then)
        yield Measure("ingest, a day later", "s", seconds, "everything", loading)
        _, seconds = timed(project, "transform")
        yield Measure("transform, a day later", "s", seconds, "everything", modelling)


def show(measures: Sequence[Measure]) -> None:
    """Print a line per measure."""
    table = Table("step", "", Column("ours", justify="right"), "yardstick", Column("", justify="right"),
                  Column("ratio", justify="right"), box=None, pad_edge=False)  # fmt: skip
    for measure in measures:
        ours, theirs = (
            f"{number:,.0f}" if measure.unit != "s" else f"{number:.1f}"
            for number in (measure.ours, measure.theirs)
        )
        ratio = "-" if measure.ratio is None else f"{measure.ratio:.2f}"
        table.add_row(measure.step, measure.unit, ours, measure.yardstick, theirs, ratio)
    Console(width=100, highlight=False).print(table)


def main(
    people: Annotated[int, typer.Option(help="Size of the population, 200 to 1,000,000.")] = 2000,
    as_json: Annotated[bool, typer.Option("--json", help="Print the same numbers as JSON.")] = False,
) -> None:
    """Measure every step once, in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        measures = []
        for measure in measured(people, Path(folder)):
            measures.append(measure)
            typer.echo(f"{measure.step}: {measure.ours:,.1f} {measure.unit}", err=True)
    if as_json:
        told = [measure._asdict() | {"ratio": measure.ratio} for measure in measures]
        typer.echo(json.dumps({"people": people, "seed": SEED, "measures": told}))
    else:
        show(measures)


if __name__ == "__main__":
    typer.run(main)
