"""The whole way once on this machine, without keys and without money: `make demo`.

It runs the project's own commands as a person would, against the sandbox, and keeps its files below
`build/demo`: a warehouse, a ledger and a Mavera of its own. Run again it finds them, and has nothing to send.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import duckdb
import typer

import settings
import terminal

HOME = settings.ROOT / "build" / "demo"
ENV_FILE = settings.ROOT / "build" / "demo.env"
WORLD_FILE = HOME / "world.json"
CREDIT_BUDGET = 10_000
# What came back: columns of marts.job_results, without their _count, in words for one and for many.
CAME_BACK = {
    "persona": ("persona", "personas"),
    "brand_voice": ("brand voice", "brand voices"),
    "analysis": ("analysis", "analyses"),
    "respondent_answer": ("answer", "answers"),
    "text": ("text", "texts"),
}


class StepFailed(Exception):
    """A command of the demo failed; the text holds its name and what it said."""


class World(NamedTuple):
    """What the sandbox is made from; kept, so that a second demo meets the same world."""

    people: int
    seed: int
    port: int  # the ledger belongs to one Mavera, and the port is part of its address
    as_of: str


def run(people: int, seed: int, port: int) -> None:
    """Take every step, say what came of it, end with a summary. Raises StepFailed at the first that fails."""
    world = _remember(people, seed, port)
    _write_environment(world)
    with _sandbox(world) as seconds:
        _say("sandbox", f"4 vendors on 127.0.0.1:{port}, seed {seed}, no keys needed", seconds)
        loaded, seconds = _command("ingest", "--json")
        _say("ingest", _ingested(loaded), seconds)
        built, seconds = _command("transform", "--json")
        _say("transform", _transformed(built), seconds)
        planned, seconds = _command("activate", "plan", "--json")
        _say("plan", _planned(planned), seconds)
        sent, seconds = _command("activate", "apply", "--json")
        _say("activate", _sent(sent), seconds)
        again, seconds = _command("activate", "apply", "--json")
        _say("again", f"{again['calls']} calls, {again['credits']} credits: nothing has changed", seconds)
        _, seconds = _command("ingest", "mavera", "--json")
        _, more = _command("transform", "--json")
        studied = f"{_count('marts.fct_focus_group_answers'):,} answers of focus groups modelled"
        _say("results", f"{_count('marts.fct_analyses')} analyses, {studied}", seconds + more)
        drawn, seconds = _command("report", "--json")
        size = f"{drawn['bytes'] / 1000:,.0f} kB"
        _say("report", f"{drawn['figures']} figures, {size}: build/report.html", seconds)
    _summarise()


# --- the world ---------------------------------------------------------------------------------------


def _remember(people: int, seed: int, port: int) -> World:
    """Return the world of the last demo, or start a new one where its size, seed or port was another."""
    if WORLD_FILE.exists():
        world = World(**json.loads(WORLD_FILE.read_text(encoding="utf-8")))
        if (world.people, world.seed, world.port) == (people, seed, port):
            return world
        shutil.rmtree(HOME)
    world = World(people, seed, port, datetime.now(UTC).date().isoformat())
    terminal.make_shared_folder(HOME.parent)
    HOME.mkdir(exist_ok=True)
    WORLD_FILE.write_text(json.dumps(world._asdict()), encoding="utf-8")
    return world


def _write_environment(world: World) -> None:
    """Write a settings file of the demo, so that every command can be tried on it afterwards."""
    from sandbox.server import environment

    lines = {
        **environment(f"http://127.0.0.1:{world.port}"),
        "MAVERA_PLAN": "enterprise",
        "MAVERA_TRANSCRIPTS_MAY_LEAVE": True,
        "MAVERA_POLL_SECONDS": 0.2,
        "CREDIT_BUDGET": CREDIT_BUDGET,
        "HISTORY_DAYS": 365,
        "WAREHOUSE_PATH": HOME / "warehouse.duckdb",
        "PUBLISHED_PATH": HOME / "published.duckdb",
        "PIPELINES_PATH": HOME / "pipelines",
        "RUNS_PATH": HOME / "runs.jsonl",
        "FORGOTTEN_PATH": HOME / "forgotten.json",
        "LEDGER_URL": f"sqlite:///{HOME / 'ledger.sqlite'}",
        "RUN_AT": f"{world.as_of}T06:00:00Z",
    }
    text = "".join(f"{name}={value}\n" for name, value in lines.items())
    ENV_FILE.write_text(f"# Written by make demo; play money, no real account.\n{text}", encoding="utf-8")


@contextmanager
def _sandbox(world: World) -> Iterator[float]:
    """Serve the four vendors from a process of their own; give the seconds it took until they answered."""
    started = time.monotonic()
    command = [
        sys.executable,
        "-m",
        "sandbox",
        "serve",
        "--people",
        str(world.people),
        "--seed",
        str(world.seed),
    ]
    command += ["--as-of", world.as_of, "--port", str(world.port), "--state", str(HOME / "mavera.sqlite")]
    process = subprocess.Popen(  # noqa: S603
        command, cwd=settings.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stderr is not None  # noqa: S101
        heard = []
        for line in process.stderr:
            heard.append(line)
            if "ready on" in line:
                break
        else:
            raise StepFailed("sandbox: " + "".join(heard).strip())
        try:
            yield time.monotonic() - started
        finally:
            process.terminate()


# --- the steps ---------------------------------------------------------------------------------------


def _command(module: str, *arguments: str) -> tuple[dict[str, Any], float]:
    """Run `python -m module` on the demo's settings; return its JSON answer and its seconds."""
    ours = settings.names()
    environment = {name: value for name, value in os.environ.items() if name.upper() not in ours}
    started = time.monotonic()
    process = subprocess.run(  # noqa: S603
        [sys.executable, "-m", module, *arguments],
        cwd=settings.ROOT,
        env=environment | {"ENV_FILE": str(ENV_FILE)},
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        raise StepFailed(why([module, *arguments], process))
    answer: dict[str, Any] = json.loads(process.stdout)
    return answer, time.monotonic() - started


def why(command: list[str], ended: "subprocess.CompletedProcess[str]") -> str:
    """Say in a command's own words how it failed, without the numbers beside them, and what to do."""
    lines = (ended.stderr.strip() or ended.stdout.strip()).splitlines()
    said = [line for line in lines if line.startswith(("error", "warn", "fail"))] or lines
    ending = f"python -m {' '.join(command)} ended with {ended.returncode}:"
    remedy = "docs/operating.md has what each message asks for. Then run make demo again."
    return "\n".join([ending, *said, remedy])


def _say(step: str, text: str, seconds: float) -> None:
    typer.echo(f"{step:<10} {text:<60} {seconds:5.1f} s")


def _ingested(loaded: dict[str, Any]) -> str:
    totals, tables = loaded["totals"], len(loaded["resources"])
    new = f"{totals['rows_new']:,} new rows" if totals["rows_new"] else "nothing new"
    return f"{new}, {totals['rows_read']:,} read for {tables} tables; {totals['waits']} rate-limit waits"


def _transformed(built: dict[str, Any]) -> str:
    if not built["models"]:
        return "nothing new came in"
    warned = f", {len(built['warnings'])} warned" if built["warnings"] else " passed"
    return f"{built['models']} models, {built['tests']} tests{warned}"


def _planned(planned: dict[str, Any]) -> str:
    signs = {"create": "+", "update": "~", "hold": "!", "look up": "?", "leave": "="}
    words = {"hold": "held", "leave": "unchanged"}
    counts = [f"{sign} {planned['counts'][action]} {words.get(action, action)}"
              for action, sign in signs.items() if planned["counts"].get(action)]  # fmt: skip
    low, high = planned["credits_low"], planned["credits_high"]
    return f"{'  '.join(counts):<30} {low:,} to {high:,} credits"


def _sent(sent: dict[str, Any]) -> str:
    if not sent["calls"]:
        return "nothing to send                0 credits"
    counts = sent["counts"]
    done = [f"{counts[name]} {name}" for name in ("created", "updated", "adopted") if counts[name]]
    return f"{', '.join([*done, str(counts['failed']) + ' failed']):<30} {sent['credits']:,} credits"


# --- what to look at ---------------------------------------------------------------------------------


def _rows(query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(HOME / "published.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


def _count(table: str) -> int:
    return int(_rows(f"select count(*) from {table}")[0][0])


def _say_each_job() -> None:
    """Print a line per job: what its models found, what was sent for how many credits, what came back."""
    typer.echo(f"\n{'job':<19}{'found':<37}{'sent':<10}came back")
    for job, finding, is_enabled, standing, credits_spent, *answers in _rows(
        "select job, finding, is_enabled, standing_count, credits,"
        f" {', '.join(f'{name}_count' for name in CAME_BACK)} from marts.job_results order by job_number"
    ):
        sent = f"{standing}, {credits_spent:,}" if is_enabled else "off"
        back = [
            f"{count:,} {one if count == 1 else many}"
            for count, (one, many) in zip(answers, CAME_BACK.values(), strict=True)
            if count
        ]
        typer.echo(f"{job:<19}{finding or '-':<37}{sent:<10}{', '.join(back) or '-'}")
    typer.echo("sent: objects in Mavera, credits")


def _summarise() -> None:
    """Print a screen of what is now in the warehouse and in Mavera, and what to type next."""
    with duckdb.connect(str(HOME / "warehouse.duckdb"), read_only=True) as connection:
        sources = connection.execute(
            "select vendor, sum(rows_new) from raw_ops.loads group by vendor order by vendor"
        ).fetchall()
    status, _ = _command("activate", "status", "--json")
    _say_each_job()
    typer.echo(f"\n{'rows':<10} {', '.join(f'{vendor} {count:,}' for vendor, count in sources)}")
    standing = [
        f"{kind} {count} {state}"
        for kind, counts in status["kinds"].items()
        for state, count in counts.items()
        if count
    ]
    spent = status["credit_budget"] - status["credits_left"]
    typer.echo(f"{'in Mavera':<10} {', '.join(standing)}")
    typer.echo(f"{'credits':<10} {spent:,} of {status['credit_budget']:,} spent this month (play money)")
    env_file = ENV_FILE.relative_to(settings.ROOT)
    typer.echo(
        "\nTo try next, on the demo's own files:\n"
        f"  make status ENV_FILE={env_file}\n"
        f"  ENV_FILE={env_file} .venv/bin/python -m activate explain personas/clv-tiers:top\n"
        f"  make docs ENV_FILE={env_file}, then open build/docs.html\n"
        f"Open build/report.html, or ask: make shell ENV_FILE={env_file}"
    )
