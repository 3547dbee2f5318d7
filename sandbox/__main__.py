"""python -m sandbox serve | demo"""

from common import terminal  # isort: split

import os
import threading
from contextlib import suppress
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sandbox.faults import NAMES, Fault
from sandbox.mavera.manners import MANNERS
from sandbox.world import ANOMALIES, World

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

People = Annotated[int, typer.Option(help="Size of the population, 200 to 1,000,000.")]
Seed = Annotated[int, typer.Option(help="Which population; the same number gives the same one.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")]


class Limits(StrEnum):
    """Whether the vendors' documented rate limits are enforced."""

    REAL = "real"
    OFF = "off"


@app.command(epilog=terminal.DEBUG_HELP)
def serve(  # noqa: PLR0913 - each is an option of the command
    people: People = 2000,
    seed: Seed = 7,
    as_of: Annotated[str, typer.Option(help="What time it is there: midnight UTC of this date.")] = "today",
    since: Annotated[str, typer.Option(help="First day of its history.")] = "",
    port: Port = 8790,
    limits: Limits = Limits.REAL,
    latency_ms: Annotated[int, typer.Option(help="Wait before each answer.")] = 0,
    state: Annotated[Path | None, typer.Option(help="File that keeps what Mavera holds.")] = None,
    strict: Annotated[bool, typer.Option("--strict/--lenient", help="Mavera refuses unknown fields.")] = True,
    currency: Annotated[str, typer.Option(help="The shop's currency, an ISO 4217 code.")] = "USD",
    listening_on: Annotated[
        int, typer.Option("--inherit", hidden=True, help="An open socket; it ends with who opened it.")
    ] = -1,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FAULT",
            help="NAME:VENDOR:RATE:COUNT, of which NAME is enough; repeatable. "
            f"Names: {', '.join([*NAMES, *sorted(ANOMALIES)])}.",
        ),
    ] = None,
    manner: Annotated[
        list[str] | None,
        typer.Option(help=f"Another way in which Mavera answers; repeatable: {', '.join(MANNERS)}."),
    ] = None,
) -> None:
    """Serve the four vendors on this machine until interrupted."""
    from sandbox import server

    day = datetime.now(UTC).date() if as_of == "today" else date.fromisoformat(as_of)
    names = fault or []
    world = World(
        people,
        seed,
        day,
        date.fromisoformat(since) if since else None,
        ANOMALIES.intersection(names),
        currency,
    )
    faults = [Fault.parse(text) for text in names if text not in ANOMALIES]
    sandbox = server.Sandbox(
        world, limits=limits.value, latency_ms=latency_ms, faults=faults, state=state, strict=strict
    )
    if unknown := sorted({*(manner or ())} - MANNERS.keys()):
        raise ValueError(f"unknown manner {unknown[0]}; there are {', '.join(MANNERS)}")
    sandbox.mavera.manners |= {*(manner or ())}
    if listening_on >= 0:
        _end_with_parent()
    with server.inherited(listening_on) if listening_on >= 0 else server.listen(port) as listening:
        host = f"http://127.0.0.1:{listening.getsockname()[1]}"
        typer.echo("# In .env, these lines lead every command here:")
        for name, value in server.environment(host).items():
            typer.echo(f"{name}={value}")
        typer.echo(f"sandbox ready on {host}", err=True)
        with suppress(KeyboardInterrupt), terminal.left_to_command():  # the usual way to stop
            server.server(sandbox).run(sockets=[listening])


def _end_with_parent() -> None:
    """End this process once its parent is gone, however it ended: its end of our input is then closed."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


@app.command(epilog=terminal.DEBUG_HELP)
def demo(people: People = 2000, seed: Seed = 7, port: Port = 8790) -> None:
    """Run the whole demo once: serve, ingest, transform, plan, apply, fetch the results."""
    from sandbox.demo import run

    run(people, seed, port)


if __name__ == "__main__":
    from sandbox.demo import DemoError, StepFailed

    terminal.run(
        app,
        OSError,
        ValueError,
        DemoError,
        half_done=(StepFailed,),
        stopped="stopped; make demo continues from there",
    )
