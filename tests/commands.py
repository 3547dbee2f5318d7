"""Runs the project's commands as a person does, against a sandbox and with their own files."""

import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from common import settings
from sandbox.server import environment

ROOMS = {name: f"operate.{name}" for name in ("backup", "doctor", "forget", "query")}
"""Where the commands stand that are no room of their own."""
PATIENCE_SECONDS = 300  # a command silent for this long is stuck, even on the slowest machine


@dataclass(frozen=True)
class Ran:
    """The exit code and output of a command."""

    code: int
    out: str
    err: str

    @property
    def numbers(self) -> dict[str, Any]:
        """The answer to `--json`."""
        return json.loads(self.out)  # type: ignore[no-any-return]


@dataclass
class Project:
    """A user's clone: settings for the sandbox at `url` on `today`, and files below `folder`."""

    folder: Path
    url: str
    today: str = "2026-11-21"
    extra: dict[str, str] = field(default_factory=dict)
    root: Path = settings.ROOT  # where its code is

    @property
    def environment(self) -> Mapping[str, str]:
        ours = settings.names()
        return {
            **{name: value for name, value in os.environ.items() if name.upper() not in ours},
            "ENV_FILE": os.devnull,
            "RUN_AT": f"{self.today}T06:00:00Z",
            **environment(self.url),
            "MAVERA_PLAN": "enterprise",
            "MAVERA_SETTLE_SECONDS": "0",
            "MAVERA_TRANSCRIPTS_MAY_LEAVE": "true",
            "MAVERA_POLL_SECONDS": "0.2",
            "CREDIT_BUDGET": "10000",
            "HISTORY_DAYS": "160",  # to before the first day of a world
            "PUBLISH_PEOPLE": "true",
            "WAREHOUSE_PATH": str(self.folder / "warehouse.duckdb"),
            "PUBLISHED_PATH": str(self.folder / "published.duckdb"),
            "PIPELINES_PATH": str(self.folder / "pipelines"),
            "FORGOTTEN_PATH": str(self.folder / "forgotten.json"),
            "RUNS_PATH": str(self.folder / "runs.jsonl"),
            "LEDGER_URL": f"sqlite:///{self.folder / 'ledger.sqlite'}",
            **self.extra,
        }

    def start(self, module: str, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", ROOMS.get(module, module), *arguments],
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",  # a command may use another encoding on purpose
        )

    def run(self, module: str, *arguments: str) -> Ran:
        with self.start(module, *arguments) as process:
            out, err = process.communicate(timeout=2 * PATIENCE_SECONDS)
        return Ran(process.returncode, out, err)

    def on_a_terminal(self, module: str, *arguments: str, typed: Sequence[tuple[str, str]] = ()) -> Ran:
        """Run a command on a terminal of 80 columns; type each text once its prompt was printed."""
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, 80))
        with subprocess.Popen(
            [sys.executable, "-m", ROOMS.get(module, module), *arguments],
            cwd=self.root,
            env={**self.environment, "TERM": "xterm-256color", **self.extra},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that a typed Ctrl-C works
        ) as process:
            os.close(theirs)
            shown, waiting, seen = b"", list(typed), 0
            while select.select([ours], [], [], PATIENCE_SECONDS)[0]:
                try:
                    shown += os.read(ours, 65_536)
                except OSError:  # Linux reports a closed terminal this way
                    break
                if waiting and waiting[0][0].encode() in shown[seen:]:
                    seen = len(shown)
                    time.sleep(0.2)  # a prompt is printed just before the program listens
                    os.write(ours, waiting.pop(0)[1].encode())
            else:
                process.kill()  # it waits for input that was not typed
            os.close(ours)
        text = shown.decode().replace("\r\n", "\n")
        assert not waiting, text
        return Ran(process.returncode, text, "")

    def well(self, module: str, *arguments: str) -> dict[str, Any]:
        """Run a command that must succeed; return its `--json`."""
        ran = self.run(module, *arguments, "--json")
        assert ran.code == 0, ran.err + ran.out
        assert "leaked" not in ran.err  # DuckDB's message about objects kept from collection
        return ran.numbers

    def killed(self, after_seconds: float, module: str, *arguments: str) -> bool:
        """Run a command and kill it without warning; return whether it was still running."""
        with self.start(module, *arguments) as process:
            try:
                process.communicate(timeout=after_seconds)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
        return process.returncode == -signal.SIGKILL

    def rows(self, query: str, file: str = "warehouse.duckdb") -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.folder / file), read_only=True) as connection:
            connection.execute("set timezone = 'UTC'")
            return connection.execute(query).fetchall()
