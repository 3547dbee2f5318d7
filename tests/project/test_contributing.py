"""CONTRIBUTING.md, followed: a copy of the project with each step applied must load, build, test and plan."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import duckdb
import pytest

from activate import records
from common import settings
from tests.small import SMALL, create_raw, take_parsed

TEXT = (settings.ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
STEP = re.compile(
    r"(?:(?P<run>Run)|New\s+file\s+`(?P<new>[^`]+)`|In\s+`(?P<old>[^`]+)`,\s+(?P<where>after|before|instead\s+of)\s+the\s+line\s+`(?P<line>[^`]+)`):"
    r"\n\n(?P<indent> +)```\w+\n(?P<block>.*?)\n(?P=indent)```",
    re.DOTALL,
)
ROOMS = (
    "activate",
    "common",
    "dbt_project",
    "ingest",
    "operate",
    "privacy",
    "report",
    "sandbox",
    "tests",
    "transform",
)
PEOPLE = [
    {
        "id": f"person-000000{number}",
        "email": f"{first.lower()}@example.com",
        "first_name": first,
        "last_name": "Quillfeather",
        "score": number,
        "updated_at": f"2026-01-0{number}T10:00:00Z",
    }
    for number, first in enumerate(("Zora", "Max", "Ida"), 1)
]


class Step(NamedTuple):
    """A command, a new file, or a place in an existing one and its new text."""

    run: str | None
    new: str | None
    old: str | None
    where: str | None
    line: str | None
    block: str

    def follow(self, project: Path) -> None:
        if self.run:
            make, *words = shlex.split(self.block)
            # With this environment, which needs no renewal.
            followed = [make, f"PY={sys.executable}", "-o", ".venv/.ready", *words]
            subprocess.run(followed, cwd=project, check=True, stdout=subprocess.DEVNULL)
            return
        if self.new:
            path = project / self.new
            assert not path.exists(), f"{self.new} is there already"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.block, encoding="utf-8")
            return
        path = project / str(self.old)
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        positions = [number for number, text in enumerate(lines) if text.rstrip("\n") == self.line]
        assert positions, f"{self.old} has no line {self.line!r}"
        start = positions[0] + (self.where == "after")
        lines[start : start + (self.where == "instead of")] = [self.block]
        path.write_text("".join(lines), encoding="utf-8")


def steps() -> Iterator[Step]:
    for found in STEP.finditer(TEXT):
        shift = len(found["indent"])
        block = "".join(f"{line[shift:]}\n" for line in found["block"].split("\n"))
        where = " ".join(found["where"].split()) if found["where"] else None
        yield Step(found["run"], found["new"], found["old"], where, found["line"], block)


def test_every_block_belongs_to_a_step() -> None:
    assert len(list(steps())) == len(re.findall(r"^ *```\w", TEXT, re.MULTILINE))


@pytest.fixture(scope="module")
def surveys() -> Iterator[str]:
    """The invented vendor: people by limit and offset, for requests with its key."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(url.query).items()}
            assert url.path == "/v1/people"
            assert self.headers["Authorization"] == "Bearer survey-key"
            rows = [row for row in PEOPLE if row["updated_at"] >= asked.get("since", "")]  # type: ignore[operator]
            start, size = int(asked["offset"]), int(asked["limit"])
            body = json.dumps(rows[start : start + size]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, surveys: str) -> Path:
    """A copy of the project with every step applied, CLV tiers switched off, loaded and built."""
    project = tmp_path_factory.mktemp("contributing") / "clone"
    unneeded = shutil.ignore_patterns("target", "logs", "__pycache__", "demos", "layouts")
    for folder in ROOMS:
        shutil.copytree(settings.ROOT / folder, project / folder, ignore=unneeded)
    shutil.copytree(settings.ROOT / "docs", project / "docs")
    for file in (".env.example", "Makefile", "README.md", "pyproject.toml", "requirements.lock"):
        shutil.copy(settings.ROOT / file, project)
    take_parsed(project / "dbt_project")
    for step in steps():
        step.follow(project)
    config = project / "dbt_project" / "dbt_project.yml"
    text = config.read_text(encoding="utf-8")
    assert "    clv-tiers: {enabled: true," in text
    config.write_text(
        text.replace("    clv-tiers: {enabled: true,", "    clv-tiers: {enabled: false,"), encoding="utf-8"
    )
    warehouse = project / "data" / "warehouse.duckdb"
    create_raw(warehouse)
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(SMALL)
    loaded = json.loads(run(project, surveys, "ingest", "surveys", "--json"))
    assert loaded["totals"]["rows_new"] == 3
    run(project, surveys, "transform", "--full")
    return project


def run(project: Path, url: str, *arguments: str, code: int = 0, **extra: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=project,
        env={
            "PATH": "/usr/bin:/bin",
            "DO_NOT_TRACK": "1",
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            "WAREHOUSE_PATH": str(project / "data" / "warehouse.duckdb"),
            "MAVERA_API_KEY": "mvra_live_nobody_calls_with_this_one",
            "MAVERA_WORKSPACE_ID": "ws_mine",
            "SURVEYS_API_KEY": "survey-key",
            "SURVEYS_BASE_URL": url,
            **extra,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == code, ran.stdout + ran.stderr
    return ran.stdout


def test_job_measure_and_vendor_are_added_by_the_steps_alone(clone: Path, surveys: str) -> None:
    again = json.loads(run(clone, surveys, "ingest", "surveys", "--json"))
    assert again["totals"]["rows_new"] == 0
    with duckdb.connect(str(clone / "data" / "warehouse.duckdb"), read_only=True) as connection:
        answered = connection.execute("select sum(score) from staging.stg_surveys__people").fetchone()
        halves = connection.execute(
            "select viewer_count, half_watched_count from marts.fct_media_half_watched where media_id = 'm1'"
        ).fetchone()
    new = ("stg_surveys__people", "fct_media_half_watched", "segment_members__*", "sync_mavera__personas")
    where = ("--project-dir", "../dbt_project", "--profiles-dir", "../dbt_project")
    # As `transform` names the warehouse: for another path dbt would parse everything again.
    path = {"WAREHOUSE_PATH": "warehouse.duckdb", "PYTHONPATH": str(clone)}
    run(clone / "data", surveys, "dbt.cli.main", "test", "-s", *new, *where, **path)
    assert answered == (6,)
    assert halves == (4, 2)

    planned = json.loads(run(clone, surveys, "activate", "plan", "--json"))
    people = {step["key"]: step["people"] for step in planned["steps"]}
    own = {key: count for key, count in people.items() if key.startswith("personas/segment-members:")}
    assert sorted(own.values()) == [5, 20, 42, 43]
    assert not any(key.startswith("personas/clv-tiers:") for key in people)
    shown = run(clone, surveys, "activate", "explain", next(key for key in own if own[key] == 43))
    assert "segment Buyers, member_count 43, only_here_share " in " ".join(shown.split())
    assert "marts.dim_segments, member_count 43" in shown
    assert "words     dbt_project/models/jobs/segment_members/persona.md.j2\n" in shown
    run(clone, surveys, "pytest", "tests/transform/test_jobs.py", "tests/project/test_vendors.py")


def test_the_new_vendors_key_is_probed_and_its_people_are_withheld_and_forgotten(
    clone: Path, surveys: str
) -> None:
    # Mavera cannot be reached from here, so the doctor ends with 1.
    examined = json.loads(run(clone, surveys, "operate.doctor", "--json", code=1))
    said = [(check["state"], check["text"]) for check in examined["checks"] if check["name"] == "surveys"]
    assert said == [("ok", "1 of 1 scopes; write permissions are not reported")]

    published = clone / "published" / "published.duckdb"
    ours = settings.Settings(
        _env_file=None, published_path=published, forgotten_path=clone / "data" / "forgotten.json"
    )
    wall = records.guard(ours)
    assert wall.looks_personal("Write as Zora Quillfeather would") == "the name of a person"
    assert wall.looks_personal("as person-0000002 said") == "an id of a person or a browser"

    certificate = json.loads(run(clone, surveys, "operate.forget", "zora@example.com", "--json"))
    assert {table: count for table, count in certificate["rows_removed"].items() if count} == {
        "raw_surveys.people": 1
    }
    assert records.guard(ours).looks_personal("Write as Zora Quillfeather would") == ""
    run(clone, surveys, "ingest", "surveys", "--deep")
    with duckdb.connect(str(clone / "data" / "warehouse.duckdb"), read_only=True) as connection:
        left = connection.execute("select first_name from raw_surveys.people order by id").fetchall()
    assert left == [("Max",), ("Ida",)]
