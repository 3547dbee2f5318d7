"""The sandbox as a server: one port, limits, a journal of requests, and faults on demand."""

import hashlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from typing import Any

import pytest
import requests

from common import settings
from sandbox import klaviyo, mavera, sendgrid, wistia
from sandbox.faults import NAMES, Fault, Faults
from sandbox.server import Windows, environment, listen, running
from sandbox.vendor import Limit
from sandbox.world import World

WORLD = World(50, 7, date(2026, 11, 21))
READS = {
    "sendgrid": ("/sendgrid/v3/marketing/singlesends", {"Authorization": f"Bearer {sendgrid.KEY}"}),
    "wistia": ("/wistia/v1/stats/visitors.json", {"Authorization": f"Bearer {wistia.KEY}"}),
    "klaviyo": (
        "/klaviyo/api/profiles",
        {"Authorization": f"Klaviyo-API-Key {klaviyo.KEY}", "revision": "2026-07-15"},
    ),
    "mavera": ("/mavera/api/v1/personas", {"Authorization": f"Bearer {mavera.KEY}"}),
}
PERSONA = {"pipeline_type": "north_star", "type": "B2C", "name": "Skimmers", "description": "120 viewers."}


@pytest.fixture
def url() -> Iterator[str]:
    with running(WORLD, limits="off") as url:
        yield url


def read(url: str, vendor: str = "sendgrid", **params: Any) -> requests.Response:
    path, headers = READS[vendor]
    return requests.get(url + path, headers=headers, params=params, timeout=10)


def create_persona(url: str) -> requests.Response:
    path, headers = READS["mavera"]
    return requests.post(url + path, json=PERSONA, headers=headers, timeout=10)


def journal(url: str, **narrowed: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = requests.get(f"{url}/control/journal", params=narrowed, timeout=10).json()
    return rows


@contextmanager
def spoiled(url: str, name: str, **fault: Any) -> Iterator[None]:
    answer = requests.post(f"{url}/control/faults", json={"name": name, **fault}, timeout=10)
    assert answer.status_code == 201, answer.text
    yield
    requests.delete(f"{url}/control/faults", timeout=10)


# --- the command ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_it_says_when_it_is_ready_serves_all_four_and_ends_at_once(end: signal.Signals) -> None:
    command = [
        sys.executable,
        "-m",
        "sandbox",
        "serve",
        "--people",
        "200",
        "--as-of",
        "2026-11-21",
        "--port",
        "0",
    ]
    with subprocess.Popen(
        command, cwd=settings.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        said = process.stderr.readline()
        assert said.startswith("sandbox ready on http://127.0.0.1:")
        url = said.split()[-1]
        told = [process.stdout.readline() for _ in range(10)]
        assert told[0] == "# In .env, these lines lead every command here:\n"
        assert dict(line.strip().split("=", 1) for line in told[1:]) == environment(url)
        assert [read(url, vendor).status_code for vendor in READS] == [200] * 4
        process.send_signal(end)
        process.wait(timeout=60)
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fault", "typo"], "unknown fault typo"),
        (["--fault", "500:sendgird"], "unknown vendor sendgird"),
        (["--fault", "500:all:2"], "rate must be above 0 and at most 1"),
        (["--as-of", "2026-01-01", "--since", "2026-02-01"], "starts on 2026-02-01"),
    ],
)
def test_a_wrong_flag_is_named_and_nothing_starts(arguments: list[str], said: str) -> None:
    command = [sys.executable, "-m", "sandbox", "serve", "--people", "200", "--port", "0", *arguments]
    ended = subprocess.run(command, cwd=settings.ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: ")
    assert said in ended.stderr


def test_a_port_in_use_is_named_with_the_way_on() -> None:
    with listen(0) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "sandbox", "serve", "--people", "200", "--port", str(port)]
        ended = subprocess.run(command, cwd=settings.ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"error: port {port} is in use. Take another: make PORT=")


def test_latency_is_waited_before_each_answer() -> None:
    with running(WORLD, latency_ms=120) as url:
        assert read(url).elapsed.total_seconds() > 0.12


def test_the_state_tells_which_population_it_is(url: str) -> None:
    state = requests.get(f"{url}/control/state", timeout=10).json()
    assert (state["people"], state["seed"], state["as_of"]) == (50, 7, "2026-11-21")
    assert requests.get(f"{url}/nobody/v1", timeout=10).status_code == 404


# --- the journal ---------------------------------------------------------------------------------------


def test_the_journal_holds_every_request_and_what_came_of_it(url: str) -> None:
    read(url)
    read(url, "klaviyo", **{"page[size]": 1000})
    made = create_persona(url)
    rows = journal(url)
    assert [(row["vendor"], row["method"], row["status"]) for row in rows] == [
        ("sendgrid", "GET", 200),
        ("klaviyo", "GET", 400),
        ("mavera", "POST", made.status_code),
    ]
    assert rows[0]["path"] == "/v3/marketing/singlesends"
    assert rows[1]["query"] == "page%5Bsize%5D=1000"
    assert isinstance(made.request.body, bytes)
    assert rows[2]["body_sha256"] == hashlib.sha256(made.request.body).hexdigest()
    assert journal(url, vendor="mavera", method="POST") == rows[2:]


# --- limits --------------------------------------------------------------------------------------------


def test_a_fixed_window_opens_again_when_it_ends() -> None:
    now = [1000.0]
    windows, limit = Windows(lambda: now[0]), Limit("account", 2, 10)
    admitted = []
    for moment in (1001.0, 1002.0, 1009.9, 1010.0):
        now[0] = moment
        is_let_in, (standing,) = windows.admit([limit], is_counted=True)
        admitted.append((is_let_in, standing.remaining, standing.reset))
    assert admitted == [(True, 1, 1010), (True, 0, 1010), (False, 0, 1010), (True, 1, 1020)]


def test_a_sliding_window_opens_as_its_oldest_request_leaves_it() -> None:
    now = [1000.0]
    windows, limit = Windows(lambda: now[0]), Limit("account", 2, 10, sliding=True)
    admitted = []
    for moment in (1001.0, 1008.0, 1010.9, 1011.5, 1012.0):
        now[0] = moment
        is_let_in, _ = windows.admit([limit], is_counted=True)
        admitted.append(is_let_in)
    assert admitted == [True, True, False, True, False]


def test_a_request_that_one_limit_refuses_counts_against_none() -> None:
    windows = Windows(lambda: 1000.0)
    second, minute = Limit("account", 1, 1), Limit("account", 10, 60)
    windows.admit([second, minute], is_counted=True)
    is_let_in, (_, standing) = windows.admit([second, minute], is_counted=True)
    assert (is_let_in, standing.remaining) == (False, 9)


def test_limits_that_are_off_refuse_nobody_and_still_send_their_headers(url: str) -> None:
    answers = [read(url) for _ in range(3)]
    assert {answer.headers["X-RateLimit-Remaining"] for answer in answers} == {"600"}


# --- faults --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", READS)
@pytest.mark.parametrize("status", [429, 500, 503])
def test_refusals_and_failures_come_as_the_vendor_sends_them(url: str, vendor: str, status: int) -> None:
    with spoiled(url, str(status), vendor=vendor):
        answer = read(url, vendor)
    assert answer.status_code == status
    assert answer.content
    waits = {"sendgrid": "X-RateLimit-Reset"}.get(vendor, "Retry-After")
    assert (waits in answer.headers) == (status == 429)
    assert read(url, vendor).status_code == 200


def test_a_connection_cut_before_the_work_leaves_nothing_behind(url: str) -> None:
    with spoiled(url, "cut-before"), pytest.raises(requests.ConnectionError):
        create_persona(url)
    assert requests.get(f"{url}/control/state", timeout=10).json()["mavera"]["personas"] == 0
    assert [(row["status"], row["fault"]) for row in journal(url)] == [(0, "cut-before")]


def test_a_connection_cut_after_the_work_loses_the_answer_only(url: str) -> None:
    with spoiled(url, "cut-after"), pytest.raises(requests.ConnectionError):
        create_persona(url)
    assert requests.get(f"{url}/control/state", timeout=10).json()["mavera"]["personas"] == 1
    assert [(row["status"] // 100, row["fault"]) for row in journal(url)] == [(2, "cut-after")]


def test_a_time_out_does_the_work_and_never_answers(url: str) -> None:
    path, headers = READS["mavera"]
    with spoiled(url, "time-out"), pytest.raises(requests.ReadTimeout):
        requests.post(url + path, json=PERSONA, headers=headers, timeout=1)
    assert requests.get(f"{url}/control/state", timeout=10).json()["mavera"]["personas"] == 1


def test_broken_json_arrives_whole_and_cannot_be_read(url: str) -> None:
    with spoiled(url, "broken-json"):
        answer = read(url)
    assert answer.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


def test_a_slow_body_comes_in_drops_and_is_complete(url: str) -> None:
    usual = read(url).json()
    with spoiled(url, "slow-body"):
        started = time.monotonic()
        answer = read(url)
    assert time.monotonic() - started > 1
    assert answer.json() == usual


@pytest.mark.parametrize("vendor", ["sendgrid", "wistia", "klaviyo"])
def test_an_empty_page_has_no_rows_and_is_a_good_answer(url: str, vendor: str) -> None:
    with spoiled(url, "empty-page", vendor=vendor):
        answer = read(url, vendor)
    body = answer.json()
    rows = body if isinstance(body, list) else body.get("data", body.get("result"))
    assert (answer.status_code, rows) == (200, [])


def test_a_fault_meets_its_vendor_its_path_and_its_count_only(url: str) -> None:
    with spoiled(url, "500", vendor="sendgrid", path="/marketing", count=2):
        assert read(url, "wistia").status_code == 200
        scopes = requests.get(f"{url}/sendgrid/v3/scopes", headers=READS["sendgrid"][1], timeout=10)
        assert scopes.status_code == 200
        assert [read(url).status_code for _ in range(3)] == [500, 500, 200]


def test_a_wrong_key_is_refused_before_any_fault(url: str) -> None:
    with spoiled(url, "500"):
        assert requests.get(f"{url}/sendgrid/v3/scopes", timeout=10).status_code == 401


def test_a_rate_is_a_share_and_the_same_seed_gives_the_same_bad_day() -> None:
    days = [Faults(seed, [Fault("503", rate=0.3)]) for seed in (1, 1, 2)]
    one, again, other = [[day.draw("wistia", "GET", "/v1") for _ in range(1000)] for day in days]
    assert one == again != other
    assert 250 < one.count("503") < 350


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"name": "late-rows"}, "set it when the sandbox starts"),
        ({"name": "typo"}, "unknown fault typo"),
        ({"name": "500", "vendor": "typo"}, "unknown vendor typo"),
        ({"name": "500", "rate": 0}, "rate must be"),
        ({"name": "500", "often": 3}, "often"),
    ],
)
def test_a_wrong_fault_is_refused_with_the_reason(url: str, fault: dict[str, Any], said: str) -> None:
    answer = requests.post(f"{url}/control/faults", json=fault, timeout=10)
    assert answer.status_code == 400
    assert said in answer.json()["error"]


def test_faults_can_be_listed_and_cleared(url: str) -> None:
    with spoiled(url, "503", vendor="klaviyo", rate=0.5):
        (row,) = requests.get(f"{url}/control/faults", timeout=10).json()
        assert row == asdict(Fault("503", "klaviyo", rate=0.5))
    assert requests.get(f"{url}/control/faults", timeout=10).json() == []


@pytest.mark.parametrize("name", NAMES)
def test_a_fault_is_read_from_a_flag(name: str) -> None:
    assert Fault.parse(name) == Fault(name)
    assert Fault.parse(f"{name}:wistia:0.25:3") == Fault(name, "wistia", 0.25, 3)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:8790"}, 200),
        ({"Host": "[::1]:8790"}, 200),
        ({"Origin": "http://127.0.0.1:3000"}, 200),
        ({"Host": "rebound.example"}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_control_routes_answer_programs_on_this_machine_and_no_page_of_another_host(
    url: str, headers: dict[str, str], status: int
) -> None:
    for path in ("journal", "state", "faults"):
        assert requests.get(f"{url}/control/{path}", headers=headers, timeout=10).status_code == status
