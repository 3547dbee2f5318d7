"""Keep a line for each run of a step, and send a notice when the state of a step changes.

The lines are in a separate file, `RUNS_PATH`, so that a run without access to the warehouse leaves one too.
Transform loads them into `marts.fct_runs`. Each run writes one line at its start and one at its end, so that
dead runs show as well.
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

from common import spans, terminal
from common.settings import Settings, without_secrets
from privacy import outside

Outcome = Literal["well", "failed", "not started", "stopped"]

BUDGET_SHARE_TO_TELL: Final = 0.8
NOTICE_SECONDS: Final = 10
DETAIL_CHARACTERS: Final = 300
NOTICE_CHARACTERS: Final = 500
RECORDED: Final = ("outcome", "detail", "row_count", "request_count", "wait_count", "credits")
CANNOT: Final = "cannot be written"  # in every error of a read-only disk


class NotDeliveredError(Exception):
    """A heartbeat was not delivered; the text says why."""


@dataclass
class Run:
    """A step's report about itself; numbers that it does not measure stay None.

    `detail` is its last line or its failure. `held` maps each withheld record to the reason. `spent` and
    `budget` are credits of the month.
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
        """Record failures; do nothing without any."""
        if complaints:
            more = f" (and {len(complaints) - 1} more)" if complaints[1:] else ""
            self.outcome, self.detail = "failed", complaints[0] + more


@dataclass
class _Told:
    """The last notice about a step, so that each change is reported once."""

    failing: bool = False
    held: list[str] = field(default_factory=list)
    budget_month: str = ""


@contextmanager
def recorded(settings: Settings, step: str, scope: Sequence[str] = ()) -> Iterator[Run]:
    """Record the start and end of `step`, however it ends, and report what changed.

    `scope` names the requested part, such as sources. An exception passes through.
    """
    if settings.trace:
        spans.trace()
    run, began_at = Run(), datetime.now(UTC)
    told, left_open = _last(settings, step)
    run_id = uuid.uuid4().hex
    begin = {"run_id": run_id, "event": "begin", "step": step, "scope": ", ".join(scope)}
    unwritten = _append(settings, {**begin, "happened_at": began_at.isoformat(), "process": _process()})
    if left_open and not told.failing:
        told.failing = _deliver(settings, f"{step} died: its run of {left_open} never ended")
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
        # If the disk is read-only, the error that ends the run says so.
        if unwritten and CANNOT not in run.detail:
            typer.echo(f"warn  {unwritten}: this run is not in it", err=True)


@dataclass
class _Ending:
    """The line that ends a run, written once: by the run, or by a Ctrl-C that did not wait for it."""

    settings: Settings
    step: str
    run: Run
    told: _Told
    begin: Mapping[str, Any]
    turn: Lock = field(default_factory=Lock)

    def write(self, outcome: Outcome) -> str:
        """Write the line; return the reason if that failed."""
        if not self.turn.acquire(blocking=False):
            return ""
        run = self.run
        run.outcome = "stopped" if terminal.was_interrupted() else outcome
        run.detail = outside.words(run.detail, DETAIL_CHARACTERS)
        ended_at = datetime.now(UTC)
        _tell(self.settings, self.step, run, self.told, f"{ended_at:%Y-%m}")
        end = {**self.begin, "event": "end", "happened_at": ended_at.isoformat()}
        kept = {name: getattr(run, name) for name in RECORDED} | {"parts": spans.seconds()}
        if self.settings.trace:
            spans.write(self.settings.trace, self.step)
        return _append(self.settings, {**end, **kept, "told": vars(self.told)})


def _tell(settings: Settings, step: str, run: Run, told: _Told, month: str) -> None:
    """Deliver the changes since the last notice; the next run tries failed deliveries again."""
    fails = run.outcome in {"failed", "not started"}
    if fails and not told.failing:
        told.failing = _deliver(settings, f"{step} {run.outcome}: {run.detail}")
    elif run.outcome == "well" and told.failing:
        told.failing = not _deliver(settings, f"{step} is well again")
    if run.held is not None:
        new = [key for key in run.held if key not in told.held]
        if not new or _deliver(settings, f"{step} withholds {len(new)} new: {_named(new, run.held)}"):
            told.held = list(run.held)
    passed = run.budget > 0 and run.spent >= BUDGET_SHARE_TO_TELL * run.budget
    if passed and told.budget_month != month:
        share = f"{run.spent:,} of {run.budget:,} credits of {month} are spent"
        told.budget_month = month if _deliver(settings, f"{step}: {share}") else told.budget_month


def _named(keys: Sequence[str], reasons: Mapping[str, str]) -> str:
    more = f", and {len(keys) - 1} more" if keys[1:] else ""
    return f"{keys[0]} ({reasons[keys[0]]}){more}"


def _deliver(settings: Settings, words: str) -> bool:
    """Deliver one line to the receivers in the settings; True if it arrived or there are none."""
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
    except OSError as error:  # also from requests; its text may contain the address, a secret
        return _undelivered(type(error).__name__)
    except subprocess.TimeoutExpired:
        return _undelivered(f"NOTICE_COMMAND took over {NOTICE_SECONDS} s")
    return True


def escaped(line: str) -> str:
    """Escape a line for a chat in Slack's format, so that it mentions nobody and links nowhere."""
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        line = line.replace(sign, entity)
    # Slack links addresses and mentions names even without markup.
    line = re.sub(r"\b(\w+):(?=//)|\b(mailto|tel):", lambda found: f"{found[1] or found[2]}\u200b:", line)
    return re.sub(r"@(?=\w)", "@\u200b", line)


def _send(url: SecretStr, body: Mapping[str, str]) -> int:
    """Post to an address from the settings and return the status.

    No redirect is followed and no `.netrc` is read: either could send the text, or a password, to a host that
    is not in the settings.
    """
    import requests

    answer = requests.post(
        url.get_secret_value(),
        json=body,
        timeout=NOTICE_SECONDS,
        allow_redirects=False,
        auth=lambda request: request,
        stream=True,  # the answer is not read
    )
    return answer.status_code


def beat(settings: Settings) -> None:
    """Report to HEARTBEAT_URL that a scheduled run succeeded.

    A service that expects this at a known time notices a missing run. Raises NotDeliveredError.
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
    """Yield every complete line, oldest first."""
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
    """Return the last ending line of each step, by step, in the order of their ends."""
    ends: dict[str, dict[str, Any]] = {}
    for line in lines(settings):
        if line.get("event") == "end":
            ends.pop(line["step"], None)
            ends[line["step"]] = line
    return ends


def _last(settings: Settings, step: str) -> tuple[_Told, str]:
    """Return the last notice about a step, and the start of its last run if that run died."""
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
    """Whether a process is running; a process of another machine counts as alive."""
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
    """Write a line; return the reason if that failed, which does not end the run."""
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
        """Send the heartbeat of a successful scheduled run, if HEARTBEAT_URL is set."""
        beat(settings.load())

    terminal.run(
        app,
        settings.SettingsError,
        half_done=(NotDeliveredError,),
        stopped="stopped; no heartbeat was sent",
    )
