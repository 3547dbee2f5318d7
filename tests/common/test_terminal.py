"""Commands at a terminal: error messages, Ctrl-C, closed pipes, unusual locales, a prompt."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest
import typer

from common import settings, terminal
from operate import query
from sandbox import demo, sendgrid
from sandbox.faults import Fault
from sandbox.server import Sandbox, serving
from sandbox.world import World
from tests import loaded, shapes
from tests.commands import PATIENCE_SECONDS, ROOMS, Project, Ran
from tests.common.test_progress import pictures
from tests.ingest.test_ingest_days import Changed
from tests.project.test_docs import app_of

TODAY = date(2026, 11, 21)
KEYS = ("SENDGRID_API_KEY", "WISTIA_API_TOKEN", "KLAVIYO_API_KEY", "MAVERA_API_KEY")
NOWHERE = "http://127.0.0.1:9"
# These commands only read, so they may run in parallel.
LOOKING = (
    ("activate", "plan", "--all"),
    ("activate", "status"),
    ("doctor",),
    ("query", "select record_key, facts from activation.sync_mavera__personas order by all"),
)
Command = tuple[str, ...]


@pytest.fixture(scope="module")
def world() -> World:
    return loaded.world()


@pytest.fixture(scope="module")
def url(world: World) -> Iterator[str]:
    with serving(Sandbox(world, limits="off")) as url:
        yield url


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, shared: Path, url: str) -> Project:
    """Return a clone with everything loaded, modeled and published, and nothing sent."""
    return loaded.copy(shared, tmp_path_factory.mktemp("terminal") / "project", url)


def but(project: Project, **changes: str) -> Project:
    return replace(project, extra={**project.extra, **changes})


def together(project: Project, *commands: Command) -> list[Ran]:
    """Run commands in parallel, as most of their time is startup."""
    processes = [project.start(*command) for command in commands]
    said = [process.communicate(timeout=PATIENCE_SECONDS) for process in processes]
    return [Ran(p.returncode, *texts) for p, texts in zip(processes, said, strict=True)]


def errors(ran: Ran) -> list[str]:
    return [line for line in ran.err.splitlines() if line.startswith("error: ")]


# --- error messages ----------------------------------------------------------------------------------

Trying = dict[str, tuple["subprocess.Popen[str]", str]]


@pytest.fixture(scope="module")
def trying(tmp_path_factory: pytest.TempPathFactory, world: World) -> Iterator[Trying]:
    """Loads of vendors that do not answer, each with its URL. They try for ten seconds, beside others."""
    sandbox = Sandbox(world, limits="off", faults=[Fault.parse("500:klaviyo:1:100000")])
    folder = tmp_path_factory.mktemp("trying")
    with (
        serving(sandbox) as url,
        Project(folder / "outage", NOWHERE).start("ingest") as outage,
        Project(folder / "trouble", url).start("ingest", "klaviyo") as trouble,
    ):
        yield {"outage": (outage, NOWHERE), "trouble": (trouble, url)}
        outage.kill()
        trouble.kill()


def ended(trying: Trying, name: str) -> tuple[Ran, str]:
    process, url = trying[name]
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    return Ran(process.returncode, out, err), url.removeprefix("http://")


@pytest.mark.usefixtures("trying")
def test_without_any_key(tmp_path: Path) -> None:
    ran = Project(tmp_path, NOWHERE, extra=dict.fromkeys(KEYS, "")).run("ingest")
    said = "no vendor key is set. Copy .env.example to .env, or try make demo, which needs none"
    assert ran == Ran(2, "", f"error: {said}\n")
    assert not (tmp_path / "warehouse.duckdb").exists()


@pytest.mark.parametrize("asked", [("ingest",), ("ingest", "mavera"), ("ingest", "mavera", "wistia")])
def test_without_any_key_nothing_is_made(tmp_path: Path, asked: Command) -> None:
    ran = Project(tmp_path, NOWHERE, extra=dict.fromkeys(KEYS, "")).run(*asked)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: no vendor key is set. ")
    assert not (tmp_path / "warehouse.duckdb").exists()


def test_a_wrong_base_url_is_one_line(tmp_path: Path, url: str) -> None:
    ran = Project(tmp_path, url, extra={"WISTIA_BASE_URL": f"{url}/wistia/v9"}).run("ingest", "wistia")
    (error,) = errors(ran)
    assert "answers 404 to " in error
    assert error.endswith("check WISTIA_BASE_URL. Not loaded; the next run asks again")


def test_with_a_wrong_key(tmp_path: Path, url: str) -> None:
    ran = Project(tmp_path, url, extra={"KLAVIYO_API_KEY": "pk_wrong"}).run("ingest", "klaviyo", "wistia")
    assert ran.code == 1
    refused = "error: klaviyo refused KLAVIYO_API_KEY (401)"
    assert errors(ran) == [f"{refused}: nothing loaded from it, the other sources were. Run make doctor"]
    assert ran.out.startswith("1 of 2 sources loaded, ")
    assert "pk_wrong" not in ran.err


def test_with_a_key_that_lacks_a_scope(project: Project) -> None:
    ran = but(project, SENDGRID_API_KEY=sendgrid.NARROW_KEY).run("ingest", "sendgrid")
    assert ran.code == 1
    lacks = "error: sendgrid: the key lacks stats.read (403 on /sendgrid/v3/devices/stats). Add it; "
    assert f"{lacks}device_stats stays at 20 Nov" in errors(ran)
    assert len(errors(ran)) == 6  # one for each table that was not loaded


def test_with_a_retired_revision(tmp_path: Path, url: str) -> None:
    ran = Project(tmp_path, url, extra={"KLAVIYO_REVISION": "2024-10-15"}).run("ingest", "klaviyo")
    assert ran.code == 1
    assert errors(ran) == [
        "error: klaviyo retired revision 2024-10-15. Set KLAVIYO_REVISION=2026-07-15, then make doctor"
    ]


def test_with_a_warehouse_that_is_open_elsewhere(project: Project) -> None:
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(project.folder / "warehouse.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        stopped = together(project, ("ingest",), ("transform",))
        holder.communicate()
    held = f"warehouse.duckdb is open in process {holder.pid}. Close it there; to read, use make shell"
    assert stopped == [Ran(2, "", f"error: {held}\n")] * 2


def test_with_a_type_that_changed(tmp_path: Path, world: World) -> None:
    before, after = b'"percent_viewed":0', b'"percent_viewed":"n/a","was":0'
    changed: Any = Changed(Sandbox(world, limits="off"), "events.json", before, after)
    with serving(changed) as url:
        ran = Project(tmp_path, url).run("ingest", "wistia")
    assert ran.code == 1
    (error,) = errors(ran)
    assert re.fullmatch(
        r'error: raw_wistia\.events\.percent_viewed was double, now text \("n/a", event \S+\)\. '
        r"Load not kept: docs/operating\.md, Types",
        error,
    )


def test_with_a_budget_of_0(project: Project) -> None:
    ran = but(project, CREDIT_BUDGET="0").run("activate", "apply")
    assert (ran.code, ran.out) == (2, "")
    assert re.fullmatch(
        r"error: CREDIT_BUDGET is 0, nothing was sent\. This plan costs [\d,]+ to [\d,]+: set it in \.env\n",
        ran.err,
    )


def test_a_step_of_the_demo_that_fails_says_why_and_what_to_do_without_its_numbers() -> None:
    progress = "06:00:04 wistia   medias   12 rows\n"
    failed = subprocess.CompletedProcess[str](
        (), 1, stdout='{"totals": {}}\n', stderr=f"{progress}error: the disk is full\n"
    )
    assert demo.why(["ingest", "--json"], failed).splitlines() == [
        "python -m ingest --json ended with 1:",
        "error: the disk is full",
        "docs/operating.md has what each message asks for. Then run make demo again.",
    ]
    failed.stderr, failed.stdout = "", "fail  marts.dim_people: no message\n"
    assert demo.why(["transform"], failed).splitlines()[1] == "fail  marts.dim_people: no message"


def test_debug_shows_where_an_error_was_raised_wherever_it_stands(project: Project) -> None:
    commands = [
        ("ingest", "--debug"),
        ("transform", "publish", "--debug"),
        ("activate", "plan", "--debug"),
        ("doctor", "--debug"),
        ("query", "select 1", "--debug"),
        ("forget", "--debug", "ada@example.com"),
        ("report", "--debug"),
    ]
    for ran in together(but(project, SMALLEST_COHORT="many"), *commands):
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith("Traceback")
        assert ran.err.splitlines()[-1].startswith("error: SMALLEST_COHORT: ")


def test_the_sandbox_takes_debug_too(tmp_path: Path) -> None:
    said = "error: unknown fault typo"
    plain, debugged = together(
        Project(tmp_path, NOWHERE),
        ("sandbox", "serve", "--fault", "typo"),
        ("sandbox", "serve", "--fault", "typo", "--debug"),
    )
    assert (plain.code, debugged.code) == (2, 2)
    assert plain.err.startswith(said)
    assert debugged.err.startswith("Traceback")
    assert debugged.err.splitlines()[-1].startswith(said)


@pytest.mark.parametrize(
    "module", ["ingest", "transform", "activate", "doctor", "query", "forget", "report", "sandbox"]
)
def test_every_help_shows_debug(module: str) -> None:
    command = typer.main.get_command(app_of(ROOMS.get(module, module)))
    for each in command.commands.values() if module == "sandbox" else [command]:  # type: ignore[attr-defined]
        options = {option for parameter in each.params for option in parameter.opts}
        assert "--debug" in options or each.epilog == terminal.DEBUG_HELP, each.name


def test_help_names_a_command_as_it_is_typed_and_cuts_nothing(tmp_path: Path) -> None:
    sandboxed, modelled, sent = together(
        Project(tmp_path, NOWHERE, extra={"COLUMNS": "80"}),
        ("sandbox", "serve", "--help"),
        ("transform", "--help"),
        ("activate", "plan", "--help"),
    )
    assert "NAME:VENDOR:RATE:COUNT" in sandboxed.out
    assert "…" not in sandboxed.out
    for ran, typed in ((sandboxed, "sandbox serve"), (modelled, "transform"), (sent, "activate plan")):
        assert f"Usage: python -m {typed} [" in ran.out


# --- Ctrl-C ------------------------------------------------------------------------------------------


def interrupted(project: Project, *command: str, after: str) -> Ran:
    """Press Ctrl-C once a command has printed `after`."""
    with project.start(*command) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        heard = ""
        stream = process.stderr if command[0] == "ingest" else process.stdout
        while after not in heard:
            heard += stream.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    return Ran(process.returncode, out, err)


def test_ctrl_c_ends_a_load_and_says_what_is_kept(tmp_path: Path, world: World) -> None:
    with serving(Sandbox(world, limits="off", latency_ms=300)) as url:
        ran = interrupted(Project(tmp_path, url), "ingest", "wistia", after="wistia ")
    assert ran.code == 1
    assert ran.err.splitlines()[-1] == "stopped; what was loaded is kept, make ingest reads the rest"
    assert "Traceback" not in ran.err


def test_ctrl_c_ends_a_check_without_waiting_for_a_vendor(project: Project, world: World) -> None:
    with serving(Sandbox(world, limits="off", latency_ms=3000)) as url:
        ran = interrupted(replace(project, url=url), "doctor", after="ok    python")
    assert (ran.code, ran.err) == (1, "stopped; nothing was changed\n")


PUBLISHED_BEFORE = "stopped; the published copy is the one before, make transform builds what is missing"
SWALLOWING = ("try: time.sleep(9)\\nexcept BaseException: pass", "signal.signal(2, print)")
# Each command with its possible last line; it prints none if it ended before the press.
PRESSED: dict[Command, str] = {
    ("ingest", "wistia"): "stopped; what was loaded is kept, make ingest reads the rest",
    (
        "transform",
        "--full",
    ): "stopped; the published copy is the one before, make transform builds what is missing",
    ("doctor",): "stopped; nothing was changed",
    ("query", "select sum(a.range * b.range) from range(9999999) a, range(9999999) b"): "stopped: no answer",
    ("activate", "plan"): "stopped; the ledger knows what was sent, make activate continues from there",
    ("report",): "stopped; the previous page is unchanged",
}


@pytest.mark.parametrize("presses", [1, 2])
@pytest.mark.parametrize("command", PRESSED, ids=lambda command: command[0])
def test_ctrl_c_at_any_moment_ends_a_command_at_once_and_quietly(
    project: Project, command: Command, presses: int
) -> None:
    delays = Random(f"{command}{presses}")
    for _ in range(2):
        delay = delays.uniform(0.3, 5)
        with project.start(*command) as process:
            try:
                process.communicate(timeout=delay)
            except subprocess.TimeoutExpired:
                for press in range(presses):
                    time.sleep(0.1 * press)
                    process.send_signal(signal.SIGINT)
            pressed = time.monotonic()
            _, err = process.communicate(timeout=PATIENCE_SECONDS)
        took = time.monotonic() - pressed
        ended = (process.returncode, re.sub(r"^[\d:]{8} .*\n", "", err, flags=re.MULTILINE))
        # Once Python has begun to exit, Ctrl-C ends it like a signal, without output.
        allowed = {(-2, ""), (1, PRESSED[command] + "\n"), (2, "stopped before anything was done\n"), (0, "")}
        assert ended in allowed, f"{delay:.2f} s: {ended}"
        assert took < 4, f"{delay:.2f} s: ended {took:.1f} s after the press"
    assert project.run("ingest", "wistia").code == 0


@pytest.mark.parametrize(
    "swallow", ["try: time.sleep(9)\\nexcept BaseException: pass", "signal.signal(2, print)"]
)
def test_ctrl_c_ends_what_swallows_it(swallow: str) -> None:
    code = f"""
import signal, time
from common import terminal
def command(**_):
    print("ready", flush=True)
    exec("{swallow}")
    time.sleep(60)
terminal.run(command, stopped="stopped")
"""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=settings.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (1, "stopped\n")


def test_ctrl_c_ends_a_build_in_one_line_whatever_dbt_makes_of_it(project: Project) -> None:
    with but(project, DBT_STOPPED="1").start("transform", "--full") as process:  # so that dbt runs
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(timeout=4)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert out == ""
    err = re.sub(r"^[\d:]{8} .*\n", "", err, flags=re.MULTILINE)  # steps that have ended
    assert (process.returncode, err) in {
        (2, "stopped before anything was done\n"),  # a slow machine is still loading
        (1, "stopped; the published copy is the one before, make transform builds what is missing\n"),
    }
    if process.returncode == 1:
        last = (project.folder / "runs.jsonl").read_text(encoding="utf-8").splitlines()[-1]
        assert json.loads(last)["outcome"] == "stopped"  # and no notice says that a build failed


def test_an_error_that_a_library_makes_of_ctrl_c_is_not_shown() -> None:
    code = """
import signal
from common import terminal
import typer
app = typer.Typer()
@app.command()
def main() -> None:
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        raise RuntimeError("query interrupted") from None
terminal.run(app, stopped="stopped; nothing was written")
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=settings.ROOT, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", "stopped; nothing was written\n")


@pytest.mark.parametrize("thread", ["", "thread"])
def test_a_command_ends_with_its_code_once_its_threads_and_what_was_left_for_the_end_are_done(
    thread: str,
) -> None:
    code = f"""
import atexit, sys, threading, time
from common import terminal
def command(**_):
    atexit.register(print, "left for the end")
    if "{thread}":
        threading.Thread(target=lambda: (time.sleep(0.3), print("{thread}"))).start()
    sys.stderr.write("half a line")
    sys.exit(3)
terminal.run(command, stopped="stopped")
"""
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "LOG": "json", "ENV_FILE": os.devnull},
        cwd=settings.ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout.split("\n")) == (3, [*thread.split(), "left for the end", ""])
    assert json.loads(ended.stderr)["text"] == "half a line"


def test_a_program_that_only_imports_from_the_project_keeps_its_own_ctrl_c() -> None:
    listening = "import threading; print([each.name for each in threading.enumerate()])"
    started = {
        "a worker of pytest-xdist": "import sys;exec(eval(sys.stdin.readline()))",
        "a program": "from common import settings, warehouse; from ingest import pipeline; " + listening,
    }
    for program, code in started.items():
        ran = subprocess.run(
            [sys.executable, "-c", code],
            input=repr(f"from common import terminal; {listening}") + "\n",
            cwd=settings.ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert ran.stdout == "['MainThread']\n", program
    assert "Ctrl-C" not in {thread.name for thread in threading.enumerate()}, "pytest itself, or its worker"


def test_ctrl_c_while_a_command_is_being_loaded_is_one_line() -> None:
    press = "from common import terminal; import signal, time; signal.raise_signal(2); time.sleep(9)"
    ran = subprocess.run(
        [sys.executable, "-c", press], cwd=settings.ROOT, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", "stopped before anything was done\n")
    for command in (
        "ingest/__main__",
        "activate/__main__",
        "transform/__main__",
        *map("operate/{}".format, ("forget", "doctor", "query")),
    ):
        source = (settings.ROOT / f"{command}.py").read_text(encoding="utf-8")
        first = re.search(r"^(?:import|from) (.+)", source, re.MULTILINE)
        assert first, command
        assert first[1].startswith("common import terminal"), f"{command} loads {first[1]} first"


# --- closed pipes and unusual terminals --------------------------------------------------------------


def test_a_reader_that_goes_ends_nothing(project: Project) -> None:
    def unread(*command: str) -> tuple[int, str]:
        reading, writing = os.pipe()
        os.close(reading)
        process = subprocess.Popen(
            [sys.executable, "-m", ROOMS.get(command[0], command[0]), *command[1:]],
            cwd=settings.ROOT,
            env=project.environment,
            stdout=writing,
            stderr=subprocess.PIPE if command[0] != "ingest" else writing,
            text=True,
        )
        os.close(writing)
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
        return process.returncode, err or ""

    before = project.rows("select count(*) from raw_ops.loads")[0][0]
    for command in (*LOOKING, ("ingest", "wistia"), ("transform",)):
        assert unread(*command) == (0, ""), command
    assert project.rows("select count(*) from raw_ops.loads")[0][0] > before


@pytest.mark.parametrize(
    "locale",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "latin-1"},
    ],
    ids=["ascii", "latin-1"],
)
def test_a_locale_without_a_letter_stops_no_command(project: Project, locale: dict[str, str]) -> None:
    odd = ("query", "select 'Zürich … 東京' as place")
    there = but(project, **locale)
    for ran in (*together(there, odd, *LOOKING), there.run("ingest", "mavera")):
        assert (ran.code, "Traceback" in ran.err, "UnicodeEncodeError" in ran.err) == (0, False, False)


def test_plain_lines_stay_within_80_columns_and_without_colour(project: Project) -> None:
    for ran in (project.run("ingest", "sendgrid"), *together(project, ("doctor",), ("activate", "status"))):
        assert ran.code in {0, 1}, ran.err
        lines = (ran.out + ran.err).splitlines()
        assert [line for line in lines if len(line) > 80 and not line.startswith("error: ")] == []
        assert not any("\x1b" in line for line in lines)


def test_a_terminal_shows_progress_and_no_color_keeps_it_without_colour(project: Project) -> None:
    ran = project.on_a_terminal("ingest", "wistia")
    shown = ran.out
    assert ran.code == 0, shown[-2000:]
    assert "\x1b[" in shown
    assert " of 10 tables" in shown
    assert re.search(r"wistia   10 of 10 tables +[\d,]+ rows  \+0 new", shown)
    assert "wistia   medias                " not in pictures(shown)[-1]
    assert "1 of 1 sources loaded, " in shown.splitlines()[-1], shown[-2000:]
    plain = but(project, NO_COLOR="1").on_a_terminal("ingest", "wistia").out
    assert " of 10 tables" in plain
    assert not re.search(r"\x1b\[[\d;]*\b3\d", plain)


def test_a_build_shows_what_it_is_at(project: Project) -> None:
    with duckdb.connect(str(project.folder / "warehouse.duckdb")) as connection:
        connection.execute(  # as if a run had found a new persona
            "insert into raw_ops.loads select * replace ('a run' as run_id, 1 as rows_new) from raw_ops.loads"
            " where (vendor, resource) = ('mavera', 'personas') limit 1"
        )
    ran = but(project, DBT_SHOWN="1").on_a_terminal("transform")  # a setting of dbt's own: dbt runs
    shown = [picture.rstrip("\n").split("\n") for picture in pictures(ran.out)]
    assert ran.code == 0, ran.out[-2000:]
    assert max(map(len, shown)) <= 24
    drawn = [picture for picture in shown if picture[0].startswith("transform ")]
    assert max(len(line) for picture in drawn for line in picture) <= 80
    tops = [" ".join(picture[0].split()) for picture in shown]
    works = ("reading the project", "models and tests", "freshness checks", "tables published")
    seen = [next((at for at, top in enumerate(tops) if work in top), -1) for work in works]
    found_at = [at for at in seen if at >= 0]  # a small copy is published sooner than anything is drawn
    assert found_at == sorted(found_at)
    assert seen[0] == min(found_at)
    assert len(found_at) >= 3
    counted = [re.search(r"transform ━*╸? ?(\d+) of (\d+) models and tests \d+:\d\d", top) for top in tops]
    done = [(int(found[1]), int(found[2])) for found in counted if found]
    assert len({total for _, total in done}) == 1
    assert [count for count, _ in done] == sorted(count for count, _ in done)
    assert any(line.startswith("model ") for picture in shown for line in picture[1:])
    assert re.fullmatch(r"\d+ models, \d+ tests: \d+ passed.*", shown[-1][-1])


def test_a_report_shows_its_sections(project: Project) -> None:
    ran = project.on_a_terminal("report", "--to", str(project.folder / "report.html"))
    assert ran.code == 0, ran.out
    tops = [picture.split("\n")[0] for picture in pictures(ran.out)]
    assert any(re.search(r"report +.*[1-7] of 8 sections drawn  \d:\d\d", top) for top in tops), ran.out


# --- what took a while -------------------------------------------------------------------------------


def test_an_outage_is_one_line_per_vendor_with_host_and_remedy(trying: Trying) -> None:
    ran, host = ended(trying, "outage")
    assert ran.code == 1
    reason = f"{host} cannot be reached (the connection broke): check network, proxy and"
    stays = "Nothing loaded from it; the next run reads it again"
    assert errors(ran) == [
        f"error: {name}: {reason} {name.upper()}_BASE_URL. {stays}"
        for name in ("sendgrid", "wistia", "klaviyo", "mavera")
    ]
    assert len(ran.err.splitlines()) < 10


def test_a_vendor_in_trouble_is_one_line(trying: Trying) -> None:
    ran, host = ended(trying, "trouble")
    trouble = f"error: klaviyo: {host} answers 500: the vendor is in trouble"
    assert errors(ran) == [f"{trouble}. Nothing loaded from it; the next run reads it again"]


# --- querying the published copy ---------------------------------------------------------------------


def test_a_question_is_answered_as_a_table_as_csv_and_as_json(project: Project) -> None:
    sql = (
        "select 'a,b' as words, 1 as number, 0.5::double as share, null as nothing, date '2026-11-21' as day"
    )
    table, separated, objects = together(
        project, ("query", sql), ("query", sql, "--csv"), ("query", sql, "--json")
    )
    assert table.out == (
        "words  number  share  nothing  day\n"
        "-----  ------  -----  -------  ----------\n"
        "a,b         1    0.5           2026-11-21\n"
        "(1 row)\n"
    )
    assert separated.out == 'words,number,share,nothing,day\n"a,b",1,0.5,,2026-11-21\n'
    row = {"words": "a,b", "number": 1, "share": 0.5, "nothing": None, "day": "2026-11-21"}
    assert objects.numbers == [row]  # type: ignore[comparison-overlap]
    assert shapes.amiss("query", objects.numbers) == []


def test_a_mistake_in_a_question_is_one_line_with_the_line_of_its_file(
    project: Project, tmp_path: Path
) -> None:
    file = tmp_path / "a question of mine.sql"
    file.write_text("-- What?\n\nselect\n    nothing_such\nfrom marts.dim_people\n", encoding="utf-8")
    told = together(
        project,
        ("query", str(file)),
        ("query", "selec 1"),
        ("query", "select 1; select 2"),
        ("query", "queries/none.sql"),
        ("query", ""),
    )
    assert [(ran.code, ran.out, ran.err.count("\n")) for ran in told] == [(2, "", 1)] * 5
    assert told[0].err.startswith(f'error: {file}, line 4: Referenced column "nothing_such" not found')
    assert told[1].err == 'error: line 1: syntax error at or near "selec"\n'
    assert told[2].err == "error: 2 statements, but only one at a time can run\n"
    assert told[3].err.startswith(
        "error: there is no file queries/none.sql. There are queries/ab_tests.sql, "
    )
    assert told[4].err == "error: there is no statement\n"


def test_a_question_changes_nothing_and_reaches_nothing_else(project: Project, tmp_path: Path) -> None:
    copy = tmp_path / "copy.csv"
    told = together(
        project,
        ("query", "drop table marts.dim_people"),
        ("query", f"copy marts.dim_people to '{copy}'"),
        ("query", "select * from read_csv('/etc/passwd')"),
        ("query", "set enable_external_access = true"),
        ("query", "install httpfs"),
    )
    assert [ran.code for ran in told] == [2] * 5
    assert not copy.exists()


def test_without_a_published_copy_it_says_what_to_run(tmp_path: Path) -> None:
    ran = Project(tmp_path, NOWHERE).run("query", "select 1")
    said = "published.duckdb is not there yet. Run make ingest transform first"
    assert ran == Ran(2, "", f"error: {said}\n")


def test_a_prompt_answers_goes_on_after_a_mistake_and_gives_up_at_ctrl_c(project: Project) -> None:
    endless = "select sum(a.range * b.range) from range(9999999) a, range(9999999) b where a.range % 7 = 3;"
    plain = but(project, TERM="dumb")  # the line editor moves no cursor there
    ran = plain.on_a_terminal(
        "query",
        typed=[
            ("query > ", ".tables\n"),
            ("rows)\r\nquery > ", "select 'one ' || 'line'\n"),
            ("      > ", "as answer;\n"),
            ("row)\r\nquery > ", "selec;\n"),
            ("query > ", "select half\n"),
            ("      > ", "\x03"),
            ("query > ", f"{endless}\n"),
            ("% 7 = 3;", "\x03"),
            ("stopped", ".columns marts.rpt_job_results\n"),
            ("rows)\r\nquery > ", "\x04"),
        ],
    )
    assert ran.code == 0
    for text in (
        "read-only. .help",
        "marts.dim_people",
        "one line",
        "error: line 1: ",
        "stopped",
        "standing_count",
    ):
        assert text in ran.out
    assert "Traceback" not in ran.out


QUESTIONS = sorted((settings.ROOT / "queries").glob("*.sql"))


def test_every_question_in_queries_is_a_comment_and_has_an_answer(project: Project) -> None:
    assert len(QUESTIONS) >= 33
    for file in QUESTIONS:
        text = file.read_text(encoding="utf-8")
        assert re.match(r"-- [A-Z].*\?\n", text), file.name
        answer = query.ask(project.folder / "published.duckdb", text, origin=file.name)
        assert answer.names, file.name
        assert not {"email", "phone_number"} & set(answer.names), file.name
