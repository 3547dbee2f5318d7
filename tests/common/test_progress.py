"""What a long step shows of itself: on a terminal of 80 columns and 24 rows, in a log, and to programs."""

import fcntl
import io
import json
import os
import pty
import re
import subprocess
import sys
import termios
import time
from datetime import UTC, datetime

import pytest
from rich.console import Console

from common import terminal
from common.progress import Progress, State, clock, step
from common.settings import ROOT, Settings
from ingest.__main__ import Shown
from ingest.http import Client, Vendor
from ingest.model import Job, Outcome, Resource
from ingest.typed import Table, each
from ingest.vendors import SOURCES
from ingest.vendors.klaviyo import KLAVIYO

REDRAWN = re.compile(r"\r(?:\x1b\[(?:1A\x1b\[)?2K)+")
CODES = re.compile(r"\x1b\[[\d;?]*[A-Za-z]")
EIGHTY = {"width": 80, "height": 24, "color_system": None, "_environ": {}}
SCRIPT = """
import time
from common.progress import Progress, State
with Progress("load", "tables", 60) as shown:
    for number in range(60):
        left = None if number % 2 else float(number)
        shown.begin(f"table_{number}", lambda _, left=left: State("at work [busy]", 1, 1, left))
    time.sleep(0.4)
    for number in range(50):
        shown.end(f"table_{number}", "a line for a log")
        time.sleep(0.01)
    shown.say("said in between")
    time.sleep(0.3)
print("the result")
"""


def on_a_terminal(**environment: str) -> list[str]:
    """Run the script on a terminal of 80 columns and 24 rows; return each picture that it drew."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    given = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **environment}
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdin=theirs, stdout=theirs, stderr=theirs, env=given, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    ) as process:  # fmt: skip
        os.close(theirs)
        drawn = b""
        while True:
            try:
                drawn += os.read(ours, 65_536)
            except OSError:  # Linux reports a closed terminal this way
                break
    os.close(ours)
    assert process.returncode == 0, drawn.decode()
    return pictures(drawn.decode().replace("\r\n", "\n"))


def pictures(text: str) -> list[str]:
    """Return what a terminal showed, one text each time that progress was drawn anew."""
    return [CODES.sub("", picture) for picture in REDRAWN.split(text)]


def test_it_never_draws_more_than_the_screen_and_counts_what_is_done() -> None:
    shown = on_a_terminal(NO_COLOR="1")
    lines = [picture.rstrip("\n").split("\n") for picture in shown]
    assert max(map(len, lines)) <= 24
    assert max(len(line) for picture in lines for line in picture) <= 80
    first = lines[0]
    assert first[0].split() == ["load", "0", "of", "60", "tables", "0:01"]
    assert first[-1].strip() == "and 39 more"
    # The slowest are on top: the list whose end is farthest.
    assert [line.split()[0] for line in first[1:4]] == ["table_32", "table_34", "table_36"]
    last = next(picture for picture in reversed(lines) if "of 60" in picture[0])
    assert "50 of 60 tables" in last[0]
    assert sorted(line.split()[0] for line in last[1:]) == [f"table_{number}" for number in range(50, 60)]
    whole = "".join(shown)
    assert "a line for a log" not in whole
    assert "said in between" in whole
    assert shown[-1].split() == ["the", "result"]


def test_a_bar_is_never_full_while_its_part_is_at_work() -> None:
    rows = [line for picture in on_a_terminal(NO_COLOR="1") for line in picture.split("\n") if "busy" in line]
    assert rows
    assert {len(re.findall("━", row)) for row in rows} == {11}  # of 12


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"TTY_INTERACTIVE": "0"}])
def test_a_terminal_that_cannot_move_its_cursor_gets_lines(environment: dict[str, str]) -> None:
    (picture,) = on_a_terminal(**environment)
    said = picture.split("\n")
    assert len([line for line in said if re.fullmatch(r"\d\d:\d\d:\d\d a line for a log", line)]) == 50
    assert said[-3:] == [said[-3], "the result", ""]


def test_elsewhere_a_step_is_one_line_with_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    with step("transform", "tables published", 2) as shown:
        shown.begin("marts.a")
        shown.end("marts.a")
        shown.tell()
    with step("docs", "reading"):
        pass
    first, second = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d transform 1 tables published {30,}0 s", first)
    assert re.fullmatch(r"\d\d:\d\d:\d\d docs      reading {30,}0 s", second)
    assert (len(first), len(second)) == (74, 74)


def test_a_step_that_fails_says_nothing_of_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="broken"), step("transform", "tables"):
        raise ValueError("broken")
    assert capsys.readouterr().err == ""


def test_programs_get_each_line_as_an_object_with_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", terminal.JsonLines(written))
    monkeypatch.setattr("common.progress.TOLD_SECONDS", 0)
    with step("transform", "models and tests", 3) as shown:
        shown.begin("model a")
        shown.end("model a", "model a is built", model="a")
        shown.tell()
    part, told, end = map(json.loads, written.getvalue().splitlines())
    counts = {"step": "transform", "work": "models and tests", "done": 1, "total": 3}
    assert [each["progress"] for each in (part, told)] == [counts | {"model": "a"}, counts]
    assert end["progress"] == counts | {"seconds": 0.0}
    assert (told["level"], told["text"][9:]) == ("info", "transform: 1 of 3 models and tests")


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0:01"), (41, "0:41"), (600, "10:00"), (3723, "1:02:03")]
)
def test_a_time_left_is_short(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


# --- of a load ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [0, 6_134, 1_572_300])
def test_lines_of_few_rows_and_of_millions_share_their_columns(
    capsys: pytest.CaptureFixture[str], rows: int
) -> None:
    now = datetime.now(UTC)
    events = Resource(Table("raw_klaviyo", "events", ("id",), each(text="id")), lambda *_: iter(()))
    outcome = Outcome("klaviyo", "events", now, now, rows_read=rows, rows_new=rows)
    job, shown = Job(KLAVIYO, events, Client(Vendor("http://nowhere", "pk"), now), outcome), Shown()
    shown.begin([job])
    shown.finish(job)
    line = capsys.readouterr().err.rstrip("\n")
    assert (line.index(" rows "), line.index(" +"), len(line)) == (50, 56, 80)


def drawn(progress: Progress) -> list[str]:
    """Return the rows that a step draws, without the blanks between their columns."""
    file = io.StringIO()
    Console(file=file, force_terminal=True, no_color=True, **EIGHTY).print(progress)  # type: ignore[arg-type]
    lines = CODES.sub("", file.getvalue()).splitlines()
    assert max(map(len, lines)) <= 80
    return [re.sub(" +", " ", line).strip() for line in lines]


def test_a_load_shows_the_slow_tables_on_top_and_counts_those_that_are_read() -> None:
    shown = Shown(Console(file=io.StringIO()))
    given = Settings(_env_file=None)
    jobs = [
        Job(source, resource, Client(source.connect(given, ""), given.now()), Outcome("", ""))
        for source in SOURCES
        for resource in source.resources(given)
    ]
    quick, slow, waiting, throttled = (job.client.tally for job in jobs[:4])
    for tally, rows in ((quick, 9_900), (slow, 1_712), (throttled, 10_000)):
        tally.rows, tally.requests = rows, 420
        tally.follow(10_000, time.monotonic() - 100)
        tally.done = rows
    waiting.requests, waiting.waiting = 1_500, "waiting 8 s: 150 in 60 s reached"
    throttled.waiting = "waiting 8 s: 150 in 60 s reached"
    jobs[4].is_read = jobs[5].is_read = True
    shown.begin(jobs)
    top, *rows, last = drawn(shown.progress)
    assert top == f"ingest 0 of {len(jobs)} tables 0:01"
    assert re.fullmatch(r"sendgrid single_send_stats ━+╸? 1,712 rows 420 req ETA \d:\d\d", rows[0]), rows[0]
    assert rows[1].startswith("sendgrid single_sends ━━━━━")
    assert rows[2] == "sendgrid single_send_variation… waiting 8 s: 150 in 60 s reached"
    assert (
        rows[3].replace("╸", "━")
        == f"sendgrid single_send_link_stats {'━' * 11} waiting 8 s: 150 in 60 s reached"
    )
    assert len(rows) == 4  # the others have asked nothing yet
    assert last == "and 2 loading"


def test_a_part_says_how_long_it_has_been_at_work() -> None:
    progress = Progress("report", "sections drawn", 6, console=Console(file=io.StringIO()))
    progress.begin("Video", lambda seconds: State(f"{seconds:.0f} s"))
    assert drawn(progress)[1] == "Video 0 s"


def test_before_the_total_is_known_it_says_what_it_is_at() -> None:
    console = Console(file=io.StringIO())
    progress = Progress("docs", "models described", at_first="reading the project", console=console)
    assert drawn(progress) == ["docs reading the project 0:01"]
    progress.total = 2
    assert drawn(progress) == ["docs 0 of 2 models described 0:01"]
