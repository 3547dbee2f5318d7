"""Show where the time of the last runs went, from the history of runs and their trace: `make profile`."""

from common import terminal  # isort: split

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Column, Table

from common import runs
from common import settings as environment

TRACE: Final = environment.ROOT / "build" / "trace.json"
WORDS: Final = {
    "vendor": "waiting for answers",
    "allowance": "waiting for an allowance",
    "parse": "reading pages",
    "compare": "comparing rows",
    "load": "loading rows",
    "model": "building models",
    "test": "testing models",
    "publish": "publishing",
}
SHOWN: Final = 12

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(epilog=terminal.DEBUG_HELP)
def main(
    as_json: Annotated[bool, typer.Option("--json", help="Print the same numbers as JSON.")] = False,
) -> None:
    """Print the parts of the last run of each step, and what took longest in the trace."""
    steps = list(parts(environment.load()))
    longest = slowest(TRACE)
    if as_json:
        typer.echo(json.dumps({"steps": steps, "slowest": longest}))
        return
    console = Console(highlight=False, width=None if terminal_is_wide() else 80)
    table = Table(
        "step", "part", Column("seconds", justify="right"), Column("share", justify="right"),
        box=None, pad_edge=False,
    )  # fmt: skip
    for step in steps:
        table.add_row(step["step"], "the whole run", f"{step['seconds']:.1f}", "")
        for part, seconds in step["parts"].items():
            share = f"{seconds / step['seconds']:.0%}" if step["seconds"] else "-"
            table.add_row("", WORDS.get(part, part), f"{seconds:.1f}", share)
    console.print(table)
    console.print("Seconds of threads that run side by side are added up, so shares may exceed 100%.\n")
    if longest:
        table = Table(
            "what took longest", Column("times", justify="right"), Column("seconds", justify="right"),
            box=None, pad_edge=False,
        )  # fmt: skip
        for each in longest:
            table.add_row(each["what"], f"{each['times']:,}", f"{each['seconds']:.1f}")
        console.print(table)
        console.print(f"Open {TRACE.relative_to(environment.ROOT)} in ui.perfetto.dev or chrome://tracing")


def terminal_is_wide() -> bool:
    """Whether the output goes to a terminal, which has its own width."""
    return Console().is_terminal


def parts(settings: environment.Settings) -> Iterator[dict[str, Any]]:
    """Yield the last run of each step that kept its parts: its seconds, and those of each part."""
    begins = {
        line["run_id"]: line["happened_at"] for line in runs.lines(settings) if line.get("event") == "begin"
    }
    for step, line in runs.latest(settings).items():
        if line.get("parts"):
            began, ended = (
                datetime.fromisoformat(at) for at in (begins[line["run_id"]], line["happened_at"])
            )
            seconds = round((ended - began).total_seconds(), 3)
            yield {"step": step, "seconds": seconds, "parts": line["parts"]}


def slowest(trace: Path) -> list[dict[str, Any]]:
    """Return what took longest in a trace, all acts of one name together; nothing without a trace."""
    times: dict[str, int] = defaultdict(int)
    spent: dict[str, float] = defaultdict(float)
    for line in trace.read_text(encoding="utf-8").splitlines()[1:] if trace.exists() else []:
        event = json.loads(line.removesuffix(","))
        if event["ph"] == "X":
            name = f"{WORDS.get(event['cat'], event['cat'])}: {event['name']}"
            times[name] += 1
            spent[name] += event["dur"] / 1e6
    longest = sorted(spent, key=lambda name: -spent[name])[:SHOWN]
    return [{"what": name, "times": times[name], "seconds": round(spent[name], 3)} for name in longest]


if __name__ == "__main__":
    terminal.run(app, environment.SettingsError, stopped="stopped; nothing was written")
