"""Runs the whole project once on this machine, without keys and without money: `make demo`.

It runs the project's own commands as a person would, against the sandbox. It keeps its files below
`build/demo`: a warehouse, a ledger and its own Mavera. A second run finds them and has nothing to send.
"""

import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import typer

from common import settings, terminal

BUILD = settings.ROOT / "build"
CREDIT_BUDGET = 10_000
ORPHAN_SECONDS = 10
FOUND_WIDTH = 30  # of a column of the table of jobs; longer findings go on in the next line
# Results: columns of marts.rpt_job_results without their _count suffix, with singular and plural.
CAME_BACK = {
    "persona": ("persona", "personas"),
    "brand_voice": ("brand voice", "brand voices"),
    "analysis": ("analysis", "analyses"),
    "respondent_answer": ("answer", "answers"),
    "text": ("text", "texts"),
}


class StepFailed(Exception):
    """A command of the demo failed; the text has its name and output."""


class DemoError(Exception):
    """The demo cannot begin; the text says why and what to do. No file was touched."""


class World(NamedTuple):
    """The parameters of the sandbox; stored, so that a second demo uses the same world."""

    people: int
    seed: int
    port: int  # the ledger belongs to one Mavera, and the port is part of its address
    as_of: str


class Place(NamedTuple):
    """Where a demo keeps its files, and the settings that direct commands there."""

    home: Path
    env_file: Path

    @property
    def world(self) -> World | None:
        """Return the world that was begun here; None if there is none or it cannot be read."""
        try:
            return World(**json.loads((self.home / "world.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None


FINISHED = Place(BUILD / "demo", BUILD / "demo.env")
# Where another world is made while the current one stays in place.
NEXT = Place(BUILD / "demo.next", BUILD / "demo.next.env")
BEFORE = BUILD / "demo.before"


def run(people: int, seed: int, port: int) -> None:
    """Run every step, print its results, end with a summary.

    Raises DemoError before any file is touched, StepFailed at the first step that fails.
    """
    with _alone(), _listening(port) as listening:
        place, world = _begin(people, seed, port)
        with _sandbox(place, world, listening) as seconds:
            _say("sandbox", f"4 vendors on 127.0.0.1:{port}, seed {seed}, no keys needed", seconds)
            _take_steps(place)
            if place == NEXT:
                place = _take_over(world)
            _summarise(place)


def _take_steps(place: Place) -> None:
    loaded, seconds = _command(place, "ingest", "--json")
    _say("ingest", _ingested(loaded), seconds)
    built, seconds = _command(place, "transform", "--json")
    _say("transform", _transformed(built), seconds)
    planned, seconds = _command(place, "activate", "plan", "--json")
    _say("plan", _planned(planned), seconds)
    sent, seconds = _command(place, "activate", "apply", "--json")
    _say("activate", _sent(sent), seconds)
    again, seconds = _command(place, "activate", "apply", "--json")
    _say("again", f"{again['calls']} calls, {again['credits']} credits: nothing has changed", seconds)
    _, seconds = _command(place, "ingest", "mavera", "--json")
    _, more = _command(place, "transform", "--json")
    studied = f"{_count(place, 'marts.fct_focus_group_answers'):,} answers of focus groups modeled"
    _say("results", f"{_count(place, 'marts.fct_analyses')} analyses, {studied}", seconds + more)
    drawn, seconds = _command(place, "report", "--json")
    size = f"{drawn['bytes'] / 1000:,.0f} kB"
    _say("report", f"{drawn['figures']} figures, {size}: build/report.html", seconds)


# --- alone, and on a port of its own -----------------------------------------------------------------


@contextmanager
def _alone() -> Iterator[None]:
    """Keep a second demo away while the block runs. Raises DemoError if one is already running."""
    terminal.make_shared_folder(BUILD)
    with (BUILD / "demo.lock").open("a+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise DemoError(
                f"another make demo is at work here (process {lock.read().strip()}). Wait for it, or stop it"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    """Return a socket that listens on `port`, before any file is touched.

    Ends a sandbox that an earlier demo left there. Raises PortTaken if anything else listens.
    """
    from sandbox.server import PortTaken, listen

    try:
        listening = listen(port)
    except PortTaken:
        # If its demo died, it is about to end, or is an orphan of a demo that could not end it.
        if not _end_orphan(port):
            time.sleep(1)
        listening = listen(port)
    with listening:
        yield listening


def _end_orphan(port: int) -> bool:
    """End the sandbox on `port` if it serves this project's demo; return whether it is gone.

    No other demo is running, so nobody needs it.
    """
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/control/self", timeout=2) as answer:
            told = json.load(answer)
            process, state = int(told["process"]), told["state"]
    except (OSError, ValueError, TypeError, KeyError, http.client.HTTPException):
        return False
    ours = {str((place.home / "mavera.sqlite").resolve()) for place in (FINISHED, NEXT)}
    shown = subprocess.run(  # noqa: S603
        ["ps", "-o", "command=", "-p", str(process)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    if state not in ours or "-m sandbox serve" not in shown.stdout:
        return False
    os.kill(process, signal.SIGTERM)
    typer.echo(f"ended a sandbox that an earlier demo left (process {process})", err=True)
    until = time.monotonic() + ORPHAN_SECONDS
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return True
        time.sleep(0.1)
    return False


# --- the world ---------------------------------------------------------------------------------------


def _begin(people: int, seed: int, port: int) -> tuple[Place, World]:
    """Return where to make this world, and the world: the current one, an unfinished one, or a new one.

    A different world is made beside the current one.
    """
    if BEFORE.exists() and not FINISHED.home.exists():  # killed while replacing it
        (NEXT.home if NEXT.home.exists() else BEFORE).rename(FINISHED.home)
    for place in (FINISHED, NEXT):
        world = place.world
        if world and (world.people, world.seed, world.port) == (people, seed, port):
            _write_environment(place, world)
            return place, world
    place = NEXT if FINISHED.home.exists() else FINISHED
    if place == NEXT:
        shutil.rmtree(NEXT.home, ignore_errors=True)  # from another world, and never finished
    world = World(people, seed, port, datetime.now(UTC).date().isoformat())
    place.home.mkdir(parents=True, exist_ok=True)
    (place.home / "world.json").write_text(json.dumps(world._asdict()), encoding="utf-8")
    _write_environment(place, world)
    return place, world


def _take_over(world: World) -> Place:
    """Replace the previous world with the finished one."""
    shutil.rmtree(BEFORE, ignore_errors=True)
    FINISHED.home.rename(BEFORE)
    NEXT.home.rename(FINISHED.home)
    _write_environment(FINISHED, world)
    NEXT.env_file.unlink(missing_ok=True)
    shutil.rmtree(BEFORE, ignore_errors=True)
    return FINISHED


def _write_environment(place: Place, world: World) -> None:
    """Write a settings file of the demo, so that every command can be tried on it afterwards."""
    from sandbox.server import environment

    home = place.home
    lines = {
        **environment(f"http://127.0.0.1:{world.port}"),
        "MAVERA_PLAN": "enterprise",
        "MAVERA_TRANSCRIPTS_MAY_LEAVE": True,
        "MAVERA_POLL_SECONDS": 0.2,
        "CREDIT_BUDGET": CREDIT_BUDGET,
        "HISTORY_DAYS": 365,
        "PUBLISH_PEOPLE": True,
        "WAREHOUSE_PATH": home / "warehouse.duckdb",
        "PUBLISHED_PATH": home / "published.duckdb",
        "PIPELINES_PATH": home / "pipelines",
        "RUNS_PATH": home / "runs.jsonl",
        "FORGOTTEN_PATH": home / "forgotten.json",
        "LEDGER_URL": f"sqlite:///{home / 'ledger.sqlite'}",
        "RUN_AT": f"{world.as_of}T06:00:00Z",
    }
    text = "".join(f"{name}={value}\n" for name, value in lines.items())
    place.env_file.write_text(
        f"# Written by make demo; play money, no real account.\n{text}", encoding="utf-8"
    )


@contextmanager
def _sandbox(place: Place, world: World, listening: socket.socket) -> Iterator[float]:
    """Serve the four vendors from a separate process; yield the seconds until they answered.

    It ends with this process, however that ends: its input is then closed.
    """
    started = time.monotonic()
    options = {
        "--people": world.people,
        "--seed": world.seed,
        "--as-of": world.as_of,
        "--inherit": listening.fileno(),
        "--state": place.home / "mavera.sqlite",
    }
    command = [sys.executable, "-m", "sandbox", "serve"]
    command += [str(part) for option in options.items() for part in option]
    process = subprocess.Popen(  # noqa: S603
        command,
        cwd=settings.ROOT,
        pass_fds=[listening.fileno()],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
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


def _command(place: Place, module: str, *arguments: str) -> tuple[dict[str, Any], float]:
    """Run `python -m module` with the demo's settings; return its JSON answer and its seconds."""
    ours = settings.names()
    environment = {name: value for name, value in os.environ.items() if name.upper() not in ours}
    started = time.monotonic()
    process = subprocess.run(  # noqa: S603
        [sys.executable, "-m", module, *arguments],
        cwd=settings.ROOT,
        env=environment | {"ENV_FILE": str(place.env_file)},
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        raise StepFailed(why([module, *arguments], process))
    answer: dict[str, Any] = json.loads(process.stdout)
    return answer, time.monotonic() - started


def why(command: list[str], ended: "subprocess.CompletedProcess[str]") -> str:
    """Return a command's own words for its failure, without the numbers beside them, and the remedy."""
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
    words = {"hold": "withheld", "leave": "unchanged"}
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


# --- output ------------------------------------------------------------------------------------------


def _rows(place: Place, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(place.home / "published.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


def _count(place: Place, table: str) -> int:
    return int(_rows(place, f"select count(*) from {table}")[0][0])


def _say_each_job(place: Place) -> None:
    """Print a line per job: its findings, requests sent with their credits, and results."""
    typer.echo(f"\n{'job':<18}{'found':<{FOUND_WIDTH}}{'sent':<10}came back")
    for job, finding, is_enabled, standing, credits_spent, *answers in _rows(
        place,
        "select job, finding, is_enabled, standing_count, credits,"
        f" {', '.join(f'{name}_count' for name in CAME_BACK)} from marts.rpt_job_results order by job_number",
    ):
        sent = f"{standing}, {credits_spent:,}" if is_enabled else "off"
        back = [
            f"{count:,} {one if count == 1 else many}"
            for count, (one, many) in zip(answers, CAME_BACK.values(), strict=True)
            if count
        ]
        first, *more = textwrap.wrap(finding or "-", FOUND_WIDTH - 2)
        typer.echo(f"{job:<18}{first:<{FOUND_WIDTH}}{sent:<10}{', '.join(back) or '-'}")
        for line in more:
            typer.echo(f"{'':<18}{line}")
    typer.echo("sent: objects in Mavera, credits")


def _summarise(place: Place) -> None:
    """Print a screen of the contents of the warehouse and Mavera, and the next commands to type."""
    with duckdb.connect(str(place.home / "warehouse.duckdb"), read_only=True) as connection:
        sources = connection.execute(
            "select vendor, sum(rows_new) from raw_ops.loads group by vendor order by vendor"
        ).fetchall()
    status, _ = _command(place, "activate", "status", "--json")
    _say_each_job(place)
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
    env_file = place.env_file.relative_to(settings.ROOT)
    typer.echo(
        "\nTo try next, on the demo's own files:\n"
        f"  make status ENV_FILE={env_file}\n"
        f"  ENV_FILE={env_file} .venv/bin/python -m activate explain personas/clv-tiers:top\n"
        f"  make docs ENV_FILE={env_file}, then open build/docs.html\n"
        f"Open build/report.html, or ask: make shell ENV_FILE={env_file}"
    )
