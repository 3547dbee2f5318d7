"""What the benches measure with: the vendors beside them, and the cost of a command."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Final, NamedTuple

import typer

from common import settings
from tests.commands import Project

SEED: Final = 7
TODAY: Final = date(2026, 11, 20)


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


class Cost(NamedTuple):
    """The answer of a command to `--json`, and what it cost: seconds, seconds of processor, peak MB."""

    numbers: dict[str, Any]
    seconds: float
    cpu_seconds: float
    peak_mb: float


def cost_of(project: Project, module: str, *arguments: str) -> Cost:
    """Run a command that must succeed, including its start, and return what it cost."""
    command = [sys.executable, "-m", module, *arguments, "--json"]
    began = time.monotonic()
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(
            command, cwd=project.root, env=project.environment, stdout=subprocess.PIPE, stderr=said, text=True
        ) as process,
    ):
        assert process.stdout is not None
        answer = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        assert process.returncode == 0, said.read()
    seconds = time.monotonic() - began
    return Cost(json.loads(answer), seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def timed(project: Project, module: str, *arguments: str) -> tuple[dict[str, Any], float]:
    """Run a command that must succeed; return its `--json` and its seconds, including its start."""
    began = time.monotonic()
    return project.well(module, *arguments), time.monotonic() - began
