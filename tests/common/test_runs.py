"""The history of runs, and the notices about them."""

import json
import os
import shlex
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import duckdb
import pytest
import typer
from pydantic import SecretStr

from activate.errors import LedgerError
from common import runs, settings
from tests.commands import Project
from transform import build as transform


@pytest.fixture
def ours(tmp_path: Path) -> settings.Settings:
    """Return settings with a separate history; each notice is a line in the file `told`."""
    teller = tmp_path / "tell.py"
    teller.write_text(f"import sys; open({str(tmp_path / 'told')!r}, 'a').write(sys.argv[1] + '\\n')")
    return settings.Settings(
        _env_file=None,
        runs_path=tmp_path / "runs.jsonl",
        warehouse_path=tmp_path / "warehouse.duckdb",
        notice_command=shlex.join([sys.executable, str(teller)]),
    )


@pytest.fixture
def told(tmp_path: Path) -> Callable[[], list[str]]:
    def lines() -> list[str]:
        path = tmp_path / "told"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    return lines


def ended(ours: settings.Settings, outcome: runs.Outcome, detail: str = "", step: str = "ingest") -> None:
    with runs.recorded(ours, step) as run:
        run.outcome, run.detail = outcome, detail


def test_a_run_leaves_a_line_when_it_begins_and_one_when_it_ends(ours: settings.Settings) -> None:
    with runs.recorded(ours, "ingest", ["wistia"]) as run:
        run.row_count, run.request_count, run.wait_count, run.detail = 12, 3, 1, "1 of 1 sources\n  loaded"
    begin, end = runs.lines(ours)
    assert begin["run_id"] == end["run_id"]
    assert (begin["event"], end["event"]) == ("begin", "end")
    assert {name: end[name] for name in ("step", "scope", "outcome", "detail", "row_count", "credits")} == {
        "step": "ingest",
        "scope": "wistia",
        "outcome": "well",
        "detail": "1 of 1 sources loaded",
        "row_count": 12,
        "credits": None,
    }


@pytest.mark.parametrize(
    ("error", "outcome", "detail"),
    [
        (ValueError("no such file"), "not started", "no such file"),
        (typer.Exit(1), "failed", ""),
        (typer.Exit(0), "well", ""),
        (KeyboardInterrupt(), "stopped", ""),
    ],
    ids=["an error", "exit 1", "exit 0", "Ctrl-C"],
)
def test_whatever_ends_a_run_is_written_and_passed_on(
    error: BaseException, outcome: str, detail: str, ours: settings.Settings
) -> None:
    with pytest.raises(type(error)), runs.recorded(ours, "transform"):
        raise error
    *_, end = runs.lines(ours)
    assert (end["outcome"], end["detail"]) == (outcome, detail)


def test_failing_and_recovering_are_told_once_each(
    ours: settings.Settings, told: Callable[[], list[str]]
) -> None:
    for outcome in ("well", "failed", "failed", "stopped", "not started", "well", "well"):
        ended(ours, outcome, "klaviyo refused KLAVIYO_API_KEY (401)")  # type: ignore[arg-type]
    assert told() == [
        "mavera-warehouse: ingest failed: klaviyo refused KLAVIYO_API_KEY (401)",
        "mavera-warehouse: ingest is well again",
    ]


def test_the_latest_of_each_step_is_told(ours: settings.Settings) -> None:
    for step, outcome in (("ingest", "failed"), ("transform", "well"), ("ingest", "well")):
        ended(ours, outcome, step=step)  # type: ignore[arg-type]
    latest = [(step, line["outcome"]) for step, line in runs.latest(ours).items()]
    assert latest == [("transform", "well"), ("ingest", "well")]


def test_each_step_is_told_for_itself(ours: settings.Settings, told: Callable[[], list[str]]) -> None:
    ended(ours, "failed", "one", step="ingest")
    ended(ours, "failed", "two", step="transform")
    assert told() == ["mavera-warehouse: ingest failed: one", "mavera-warehouse: transform failed: two"]


def test_only_what_is_newly_held_is_told(ours: settings.Settings, told: Callable[[], list[str]]) -> None:
    for held in ({"personas/a": "12 people"}, {"personas/a": "11 people"}, {}, {"personas/a": "9 people"}):
        with runs.recorded(ours, "activate") as run:
            run.held = held
    assert told() == [
        "mavera-warehouse: activate withholds 1 new: personas/a (12 people)",
        "mavera-warehouse: activate withholds 1 new: personas/a (9 people)",
    ]


def test_four_fifths_of_the_budget_are_told_once_a_month(
    ours: settings.Settings, told: Callable[[], list[str]]
) -> None:
    for spent in (799, 800, 950):
        with runs.recorded(ours, "activate") as run:
            run.spent, run.budget = spent, 1000
    (line,) = told()
    assert line.startswith("mavera-warehouse: activate: 800 of 1,000 credits of 20")


def test_a_notice_that_was_not_delivered_is_tried_by_the_next_run(
    ours: settings.Settings, told: Callable[[], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    broken = ours.model_copy(
        update={"notice_command": shlex.join([sys.executable, "-c", "raise SystemExit(3)"])}
    )
    ended(broken, "failed", "no room")
    assert capsys.readouterr().err == (
        "warn  a notice was not delivered (NOTICE_COMMAND ended with 3); the next run tries again\n"
    )
    ended(ours, "failed", "no room")
    assert told() == ["mavera-warehouse: ingest failed: no room"]


def test_a_webhook_that_nobody_serves_does_not_end_a_run_and_its_address_is_not_shown(
    ours: settings.Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = settings.Settings(
        _env_file=None, runs_path=ours.runs_path, notice_url="http://127.0.0.1:9/T0/hidden"
    )
    ended(nowhere, "failed", "no room")
    said = capsys.readouterr().err
    assert said == "warn  a notice was not delivered (ConnectionError); the next run tries again\n"


def test_a_run_that_died_is_told_by_the_next(ours: settings.Settings, told: Callable[[], list[str]]) -> None:
    child = os.fork()
    if child == 0:
        with runs.recorded(ours, "ingest"):
            os._exit(9)
    os.waitpid(child, 0)
    ended(ours, "well")
    died, well = told()
    assert died.startswith("mavera-warehouse: ingest died: its run of 20")
    assert well == "mavera-warehouse: ingest is well again"


def test_a_run_beside_another_does_not_take_it_for_dead(
    ours: settings.Settings, told: Callable[[], list[str]]
) -> None:
    with runs.recorded(ours, "activate"):
        ended(ours, "well", step="activate")
    assert told() == []


def test_a_line_that_was_cut_off_costs_only_itself(ours: settings.Settings) -> None:
    ended(ours, "well")
    with ours.runs_path.open("a", encoding="utf-8") as file:
        file.write('{"run_id": "abc", "ev')
    ended(ours, "well")
    assert [line["event"] for line in runs.lines(ours)] == ["begin", "end"] * 2


def test_a_history_that_cannot_be_written_is_said_once_and_ends_nothing(
    ours: settings.Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    nowhere = ours.model_copy(update={"runs_path": tmp_path / "file" / "runs.jsonl"})
    ended(nowhere, "well")
    said = f"warn  {nowhere.runs_path} cannot be written (File exists): this run is not in it\n"
    assert capsys.readouterr().err == said
    with pytest.raises(OSError, match="no such host"), runs.recorded(nowhere, "ingest"):
        raise OSError("no such host")
    assert capsys.readouterr().err == said


def test_an_error_that_says_that_the_disk_cannot_be_written_needs_no_warning_beside_it(
    ours: settings.Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    nowhere = ours.model_copy(update={"runs_path": tmp_path / "file" / "runs.jsonl"})
    with pytest.raises(LedgerError), runs.recorded(nowhere, "activate"):
        raise LedgerError("the ledger cannot be written (attempt to write a readonly database)")
    assert capsys.readouterr().err == ""


def test_the_lines_are_loaded_as_they_stand(ours: settings.Settings) -> None:
    with duckdb.connect(str(ours.warehouse_path)) as connection:
        connection.execute("create schema raw_ops")
    transform.load_runs(ours.warehouse_path, ours)
    ended(ours, "failed", 'a "quoted" line')
    transform.load_runs(ours.warehouse_path, ours)
    with duckdb.connect(str(ours.warehouse_path)) as connection:
        rows = connection.execute("select event, outcome, detail from raw_ops.runs").fetchall()
    assert rows == [("begin", None, None), ("end", "failed", 'a "quoted" line')]


def test_the_webhook_gets_slacks_format(ours: settings.Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    import requests

    sent = []

    def post(url: str, **given: object) -> requests.Response:
        sent.append((url, given["json"]))
        answer = requests.Response()
        answer.status_code = 200
        return answer

    monkeypatch.setattr(requests, "post", post)
    hook = settings.Settings(
        _env_file=None, runs_path=ours.runs_path, notice_url="https://hooks.example/T0/x"
    )
    ended(hook, "failed", "no room")
    assert sent == [("https://hooks.example/T0/x", {"text": "mavera-warehouse: ingest failed: no room"})]
    assert "hooks.example" not in json.dumps(list(runs.lines(hook)))
    assert "hooks.example" not in repr(hook)


class Listener:
    """A web server on this machine that keeps each request, and answers with one status."""

    def __init__(self, status: int, **headers: str) -> None:
        self.bodies: list[bytes] = []
        self.keys: list[str | None] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                listener.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                listener.keys.append(self.headers["Authorization"])
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    listeners: list[Listener] = []

    def start(status: int = 200, **headers: str) -> Listener:
        listeners.append(Listener(status, **headers))
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.close()


def test_a_notice_follows_no_redirect_and_carries_no_password_of_a_netrc(
    ours: settings.Settings,
    listen: Callable[..., Listener],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ada password secret\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    elsewhere = listen()
    moved = listen(307, Location=elsewhere.url)
    ended(ours.model_copy(update={"notice_url": SecretStr(moved.url), "notice_command": None}), "failed", "x")
    assert (len(moved.bodies), moved.keys, elsewhere.bodies) == (1, [None], [])
    assert "NOTICE_URL answered 307" in capsys.readouterr().err


def test_a_command_that_is_told_gets_no_key(
    ours: settings.Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = ("KLAVIYO_API_KEY", "mavera_api_key", "WISTIA_API_TOKEN_FILE", "LEDGER_URL", "NOTICE_URL")
    for name in secrets:
        monkeypatch.setenv(name, "https://secret.example")
    monkeypatch.setenv("TEAM", "analytics")
    script = f"import os; open({str(tmp_path / 'env')!r}, 'w').write(repr(dict(os.environ)))"
    command = shlex.join([sys.executable, "-c", script])
    ended(ours.model_copy(update={"notice_command": command}), "failed", "it broke")
    seen = (tmp_path / "env").read_text(encoding="utf-8")
    assert "secret" not in seen
    assert "'TEAM': 'analytics'" in seen


def test_a_heartbeat_is_sent_where_it_is_wanted_and_says_when_it_did_not_arrive(
    ours: settings.Settings, listen: Callable[..., Listener]
) -> None:
    runs.beat(ours)
    well, ill = listen(), listen(500)
    runs.beat(ours.model_copy(update={"heartbeat_url": SecretStr(well.url)}))
    assert len(well.bodies) == 1
    with pytest.raises(runs.NotDeliveredError, match="HEARTBEAT_URL answered 500"):
        runs.beat(ours.model_copy(update={"heartbeat_url": SecretStr(ill.url)}))


def test_log_lines_are_json_where_that_is_set(tmp_path: Path) -> None:
    project = Project(tmp_path, "http://127.0.0.1:9", extra={"LOG": "json"})
    ran = project.run("transform")
    lines = [json.loads(line) for line in ran.err.splitlines()]
    assert [line["level"] for line in lines] == ["error"]
    assert lines[0]["text"].startswith("error: ")
    assert lines[0]["at"].endswith("+00:00")
    assert ran.code == 2
