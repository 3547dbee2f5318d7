"""Keeps a line for each run of a step, and says in one line when a run changes how things stand.

The lines stand in a file of their own, `RUNS_PATH`: a run that cannot open the warehouse leaves its line all
the same. Transform loads them, and `marts.fct_runs` is what to read. Each run writes one line when it begins
and one when it ends, so that one that died is seen as well.
"""

import json
import os
import re
import shlex
import socket
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Final, Literal

import typer
from pydantic import SecretStr

from common import terminal
from common.settings import Settings, without_secrets
from privacy import outside

Outcome = Literal["well", "failed", "not started", "stopped"]

BUDGET_SHARE_TO_TELL: Final = 0.8
NOTICE_SECONDS: Final = 10
DETAIL_CHARACTERS: Final = 300
NOTICE_CHARACTERS: Final = 500
CANNOT: Final = "cannot be written"  # as every error of a read-only disk has it


class NotDeliveredError(Exception):
    """A heartbeat did not arrive; the text says why."""


@dataclass
class Run:
    """What a step says of itself before it ends; what it does not measure stays None.

    `detail` is its last line, or what failed.
    `held` maps each record that is held to the reason; `spent` and `budget` are credits of the month.
    """

    outcome: Outcome = "well"
    detail: str = ""
    row_count: int | None = None
    request_count: int | None = None
    wait_count: int | None = None
    credits: int | None = None
    held: Mapping[str, str] | None = None
    spent: int = 0
    budget: int = 0

    def fail(self, complaints: Sequence[str]) -> None:
        """Note what failed; nothing where nothing did."""
        if complaints:
            more = f" (and {len(complaints) - 1} more)" if complaints[1:] else ""
            self.outcome, self.detail = "failed", complaints[0] + more


@dataclass
class _Told:
    """What was said last about a step, so that a change is told once."""

    failing: bool = False
    held: list[str] = field(default_factory=list)
    budget_month: str = ""


@contextmanager
def recorded(settings: Settings, step: str, scope: Sequence[str] = ()) -> Iterator[Run]:
    """Write when `step` began and how it ended, whatever ended it, and tell what changed.

    `scope` names the part of it that was asked for, such as sources. An exception passes through.
    """
    run, began_at = Run(), datetime.now(UTC)
    told, left_open = _last(settings, step)
    run_id = uuid.uuid4().hex
    begin = {"run_id": run_id, "event": "begin", "step": step, "scope": ", ".join(scope)}
    unwritten = _append(settings, {**begin, "happened_at": began_at.isoformat(), "process": _process()})
    if (
        left_open
        and not told.failing
        and _deliver(settings, f"{step} died: its run of {left_open} never ended")
    ):
        told.failing = True
    ending = _Ending(settings, step, run, told, begin)
    try:
        with terminal.last_act(lambda: ending.write("stopped")):
            yield run
    except typer.Exit as ended:
        if ended.exit_code and run.outcome == "well":
            run.outcome = "failed"
        raise
    except KeyboardInterrupt:
        run.outcome = "stopped"
        raise
    except BaseException as error:
        run.outcome, run.detail = "not started", str(error) or type(error).__name__
        raise
    finally:
        unwritten = ending.write(run.outcome) or unwritten
        # Where the disk itself is read-only, the error that ends the run says so.
        if unwritten and CANNOT not in run.detail:
            typer.echo(f"warn  {unwritten}: this run is not in it", err=True)


@dataclass
class _Ending:
    """The line that ends a run, written once: by the run itself, or by a Ctrl-C that did not wait for it."""

    settings: Settings
    step: str
    run: Run
    told: _Told
    begin: Mapping[str, Any]
    turn: Lock = field(default_factory=Lock)

    def write(self, outcome: Outcome) -> str:
        """Write the line; return why it could not be written, if so."""
        if not self.turn.acquire(blocking=False):
            return ""
        run = self.run
        run.outcome = "stopped" if terminal.was_interrupted() else outcome
        run.detail = outside.words(run.detail, DETAIL_CHARACTERS)
        ended_at = datetime.now(UTC)
        _tell(self.settings, self.step, run, self.told, f"{ended_at:%Y-%m}")
        line = {
            "outcome": run.outcome,
            "detail": run.detail,
            "row_count": run.row_count,
            "request_count": run.request_count,
            "wait_count": run.wait_count,
            "credits": run.credits,
            "told": vars(self.told),
        }
        end = {**self.begin, "event": "end", "happened_at": ended_at.isoformat(), **line}
        return _append(self.settings, end)


def _tell(settings: Settings, step: str, run: Run, told: _Told, month: str) -> None:
    """Deliver what changed since the last notice; what could not be delivered is tried by the next run."""
    fails = run.outcome in {"failed", "not started"}
    if fails and not told.failing:
        told.failing = _deliver(settings, f"{step} {run.outcome}: {run.detail}")
    elif run.outcome == "well" and told.failing:
        told.failing = not _deliver(settings, f"{step} is well again")
    if run.held is not None:
        new = [key for key in run.held if key not in told.held]
        if not new or _deliver(settings, f"{step} holds {len(new)} new: {_named(new, run.held)}"):
            told.held = list(run.held)
    passed = run.budget > 0 and run.spent >= BUDGET_SHARE_TO_TELL * run.budget
    if passed and told.budget_month != month:
        share = f"{run.spent:,} of {run.budget:,} credits of {month} are spent"
        told.budget_month = month if _deliver(settings, f"{step}: {share}") else told.budget_month


def _named(keys: Sequence[str], reasons: Mapping[str, str]) -> str:
    more = f", and {len(keys) - 1} more" if keys[1:] else ""
    return f"{keys[0]} ({reasons[keys[0]]}){more}"


def _deliver(settings: Settings, words: str) -> bool:
    """Hand one line to whoever the settings name; True where it got there, or where nobody is named."""
    line = f"mavera-warehouse: {outside.words(words, NOTICE_CHARACTERS)}"
    try:
        if settings.notice_url:
            status = _send(settings.notice_url, {"text": escaped(line)})
            if not 200 <= status < 300:
                return _undelivered(f"NOTICE_URL answered {status}")
        if settings.notice_command:
            command = [*shlex.split(settings.notice_command), line]
            done = subprocess.run(  # noqa: S603
                command, timeout=NOTICE_SECONDS, capture_output=True, check=False, env=without_secrets()
            )
            if done.returncode:
                return _undelivered(f"NOTICE_COMMAND ended with {done.returncode}")
    except OSError as error:  # of requests as well; its text may hold the address, which is a secret
        return _undelivered(type(error).__name__)
    except subprocess.TimeoutExpired:
        return _undelivered(f"NOTICE_COMMAND took over {NOTICE_SECONDS} s")
    return True


def escaped(line: str) -> str:
    """Return a line as a chat in Slack's format shows it: it calls nobody and links nowhere."""
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        line = line.replace(sign, entity)
    # Addresses become links, and names are called, without any sign around them.
    line = re.sub(r"\b(\w+):(?=//)|\b(mailto|tel):", lambda found: f"{found[1] or found[2]}\u200b:", line)
    return re.sub(r"@(?=\w)", "@\u200b", line)


def _send(url: SecretStr, body: Mapping[str, str]) -> int:
    """Post to an address of the settings and return the status.

    No redirect is followed and no `.netrc` is read: either would hand the words, or a password, to a host
    that the settings do not name.
    """
    import requests

    answer = requests.post(
        url.get_secret_value(),
        json=body,
        timeout=NOTICE_SECONDS,
        allow_redirects=False,
        auth=lambda request: request,
        stream=True,  # what it answers is not read
    )
    return answer.status_code


def beat(settings: Settings) -> None:
    """Tell the address of HEARTBEAT_URL that a whole scheduled run ended well.

    A service that expects this at a known time notices the run that never came. Raises NotDeliveredError.
    """
    if settings.heartbeat_url is None:
        return
    try:
        status = _send(settings.heartbeat_url, {"text": "mavera-warehouse: the scheduled run ended well"})
    except OSError as error:
        raise NotDeliveredError(f"HEARTBEAT_URL could not be reached ({type(error).__name__})") from None
    if not 200 <= status < 300:
        raise NotDeliveredError(f"HEARTBEAT_URL answered {status}")


def _undelivered(reason: str) -> bool:
    typer.echo(f"warn  a notice was not delivered ({reason}); the next run tries again", err=True)
    return False


def lines(settings: Settings) -> Iterator[dict[str, Any]]:
    """Give every line, oldest first; one that was cut off while it was written is left out."""
    if not settings.runs_path.exists():
        return
    with settings.runs_path.open(encoding="utf-8", errors="replace") as file:
        for text in file:
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict):
                yield line


def latest(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the line that ended the last run of each step, by the step, those that ended first before."""
    ends: dict[str, dict[str, Any]] = {}
    for line in lines(settings):
        if line.get("event") == "end":
            ends.pop(line["step"], None)
            ends[line["step"]] = line
    return ends


def _last(settings: Settings, step: str) -> tuple[_Told, str]:
    """Return what was last told of a step, and when the last run of it began if that one died."""
    told, left_open = _Told(), None
    for line in lines(settings):
        if line.get("step") != step:
            continue
        left_open = line if line["event"] == "begin" else None
        if left_open is None:
            told = _Told(**line["told"])
    died = left_open is not None and not _is_alive(*left_open["process"])
    return told, left_open["happened_at"][:16].replace("T", " ") if left_open and died else ""


def _process() -> tuple[str, int]:
    return socket.gethostname(), os.getpid()


def _is_alive(host: str, number: int) -> bool:
    """Whether a process is at work; of another machine nobody knows, and it counts as alive."""
    if host != socket.gethostname():
        return True
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _append(settings: Settings, line: Mapping[str, Any]) -> str:
    """Write a line; where it cannot be written, which ends no run, return why."""
    path = settings.runs_path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
            broken_off = end > 0 and file.read(1) != b"\n"
            text = json.dumps(line, ensure_ascii=False) + "\n"
            file.write(("\n" * broken_off + text).encode())
    except OSError as error:
        return f"{path} {CANNOT} ({error.strerror})"
    return ""


if __name__ == "__main__":
    from common import settings, terminal

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

    @app.command(epilog=terminal.DEBUG_HELP)
    def heartbeat() -> None:
        """Send the heartbeat of a scheduled run that ended well, where HEARTBEAT_URL is set."""
        beat(settings.load())

    terminal.run(
        app,
        settings.SettingsError,
        half_done=(NotDeliveredError,),
        stopped="stopped; no heartbeat was sent",
    )
