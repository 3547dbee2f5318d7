"""The checks of `make doctor`, their output, and that it changes nothing."""

import hashlib
import re
import shutil
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

import duckdb
import pytest

from activate.ledger import opening
from activate.ledger.journal import Ledger
from activate.ledger.lock import lock
from activate.ledger.rows import State
from activate.plan import Price
from common import settings
from ingest import __main__ as ingest
from ingest.vendors.klaviyo import KLAVIYO
from ingest.vendors.wistia import WISTIA as wistia_source  # noqa: N811
from operate import doctor
from privacy import pseudonyms
from sandbox import klaviyo, mavera, sendgrid, wistia
from sandbox.server import Sandbox, serving
from sandbox.world import World
from tests import models, shapes
from tests.commands import Project
from transform import build as transform
from transform import publish, stale, statements

# All tests use the real clock: the sandbox's day is today, and its API revision of last year is valid for
# most of next year.
TODAY = datetime.now(UTC).date()
REVISION, ENDS = date(TODAY.year - 1, 10, 15), date(TODAY.year + 1, 10, 15)
KEYS = ("SENDGRID_API_KEY", "WISTIA_API_TOKEN", "KLAVIYO_API_KEY", "MAVERA_API_KEY")


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    return Sandbox(World(50, 7, TODAY), limits="off")


@pytest.fixture(scope="module")
def url(sandbox: Sandbox) -> Iterator[str]:
    with serving(sandbox) as url:
        yield url


@pytest.fixture
def project(tmp_path: Path, url: str) -> Project:
    """Return a clone with valid keys, a built and published warehouse, and a ledger with one call."""
    project = Project(tmp_path, url, extra={"RUN_AT": "", "KLAVIYO_REVISION": str(REVISION)})
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute("""
            create schema raw_ops; create schema marts;
            create table raw_ops.loads (vendor text, resource text, rows_new bigint, rows_changed bigint);
            create table raw_ops.set_aside (vendor text); create table raw_ops.people (kind text);
            create table raw_ops.observations (kind text);
            insert into raw_ops.loads values ('wistia', 'visitors', 3, 0);
            create table marts.agg_viewer_clusters as select 'skimmers' as viewer_cluster;
        """)
    path = tmp_path / "warehouse.duckdb"
    models.record(path)
    pseudonyms.salt(tmp_path / "salt", create=True)
    publish.publish(path, tmp_path / "published.duckdb", tmp_path / "salt")
    _, seen = stale.stale_tables(path, "")
    fingerprint = statements.project_fingerprint(pseudonyms.salt(tmp_path / "salt"))
    stale.record_build(path, fingerprint, seen, transform.Build(1, 1, [], []))
    pay(project)
    return project


def ours(project: Project, **changes: Any) -> settings.Settings:
    names = settings.Settings.model_fields
    given = {name.lower(): value for name, value in project.environment.items() if name.lower() in names}
    return settings.Settings(_env_file=None, **{**given, "run_at": None, **changes})


def examined(project: Project, **changes: Any) -> list[str]:
    """Return every line except those that are ok."""
    checks = doctor.examine(ours(project, **changes))
    return [" ".join(check) for check in checks if check.state != "ok"]


def pay(project: Project, state: State | None = "done") -> Ledger:
    """Write one call into the ledger; without a state it has no end."""
    here = ours(project)
    ledger = opening.connect(here.ledger_url, here.mavera_base_url, write=True)
    run = ledger.start(1, Price(300, 300))
    call = ledger.begin(
        run, kind="personas", record_key="clv-tiers:top", job="clv-tiers", action="create",
        fingerprint="f", facts={}, payload={}, price=Price(300, 300),
    )  # fmt: skip
    if state:
        ledger.end(call, state, remote_id="per_1", credits_spent=300, credits_source="answered")
    return ledger


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_where_all_is_well_it_says_so_and_writes_nothing(project: Project, sandbox: Sandbox) -> None:
    before, asked = digests(project.folder), len(sandbox.journal)
    ran = project.run("doctor")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0].startswith("ok    python 3.")
    left = (ENDS - datetime.now(UTC).date()).days
    assert f"ok    klaviyo    revision {REVISION}, retires in {left} days" in lines
    assert "ok    sendgrid   4 of 4 scopes, none to write" in lines
    assert any(
        re.fullmatch("ok    warehouse  writable, unlocked; published copy \\d+ min old", one) for one in lines
    )
    assert "ok    ledger     3 entries, 0 unknown" in lines
    assert lines[-1] == "all well. To load what is new: make ingest"
    assert max(map(len, lines)) <= 80
    assert {entry.method for entry in list(sandbox.journal)[asked:]} == {"GET"}
    assert digests(project.folder) == before


def test_each_failure_is_named_with_what_to_do_and_no_key_is_repeated(project: Project) -> None:
    wrong = {
        "SENDGRID_API_KEY": sendgrid.NARROW_KEY,
        "WISTIA_API_TOKEN": wistia.NARROW_KEY,
        "KLAVIYO_REVISION": "2024-10-15",
        "MAVERA_API_KEY": mavera.REVOKED_KEY,
    }
    ran = replace(project, extra={**project.extra, **wrong}).run("doctor", "--json")
    assert ran.code == 1
    sendgrids, wistias = "403 on /sendgrid/v3/devices/stats", "401 on /wistia/v1/stats/events"
    until = "add it; until then"
    failed = [" ".join([c["name"], c["text"]]) for c in ran.numbers["checks"] if c["state"] == "fail"]
    assert failed == [
        f"sendgrid the key lacks stats.read ({sendgrids}): {until} global_stats and 5 more cannot be read",
        f"wistia the key lacks Read detailed stats ({wistias}): {until} visitors and 5 more cannot be read",
        "klaviyo klaviyo retired revision 2024-10-15. Set KLAVIYO_REVISION=2026-07-15, then make doctor",
        "mavera 401: MAVERA_API_KEY is wrong or revoked; make a new one",
    ]
    assert (ran.numbers["failed"], ran.numbers["warnings"]) == (4, 0)
    assert shapes.amiss("doctor", ran.numbers) == []
    assert not any(key in ran.out + ran.err for key in wrong.values() if "-" not in key)


def test_a_right_to_write_is_a_warning(project: Project) -> None:
    assert examined(project, sendgrid_api_key=sendgrid.WRITING_KEY) == [
        "warn sendgrid the key can write (mail.send and 1 more): read scopes are enough"
    ]


def test_each_lacking_scope_of_klaviyo_is_named(project: Project) -> None:
    lacking = {line.split(" (")[0] for line in examined(project, klaviyo_api_key=klaviyo.NARROW_KEY)}
    assert lacking == {
        *(f"fail klaviyo the key lacks {name}:read" for name in ("profiles", "flows", "events", "catalogs")),
        "warn klaviyo the key lacks templates:read",
    }


def test_a_vendor_without_a_key_is_named_and_no_key_at_all_is_a_failure(project: Project) -> None:
    assert examined(project, wistia_api_token=None) == [
        "skip wistia WISTIA_API_TOKEN is not set: nothing is read from it"
    ]
    first, *_ = examined(project, **{name.lower(): None for name in KEYS})
    assert first.startswith("fail keys no vendor key is set. Copy .env.example to .env")


def test_a_vendor_that_cannot_be_reached_is_named_with_the_setting(project: Project) -> None:
    (line,) = examined(project, wistia_base_url="http://127.0.0.1:9/v1")
    assert line.startswith("fail wistia 127.0.0.1:9 cannot be reached (the connection failed)")
    assert line.endswith("check network, proxy and WISTIA_BASE_URL")


def test_the_modern_track_of_wistia_tells_what_a_token_may(project: Project, url: str) -> None:
    checks = doctor.examine(ours(project, wistia_base_url=f"{url}/wistia/modern"))
    (line,) = [check for check in checks if check.name == "wistia"]
    assert line == ("ok", "wistia", "2 of 2 scopes; release 2026-05, of about a year each")


def test_a_revision_near_its_end_and_a_strange_workspace_are_named(project: Project) -> None:
    for days, ends in ((-45, "retires in 45 days"), (45, "retired 45 days ago")):
        day = ENDS + timedelta(days=days)
        assert examined(project, run_at=f"{day}T00:00:00Z") == [
            f"warn klaviyo revision {REVISION}, {ends}: set KLAVIYO_REVISION to a newer one",
            f"warn clock RUN_AT is set: every run counts as of {day} 00:00",
        ]
    (line,) = examined(project, mavera_workspace_id="ws_other")
    assert line.startswith("fail mavera MAVERA_WORKSPACE_ID is none of ws_sandbox")


@pytest.mark.parametrize(("hours", "state"), [(0, "ok"), (2, "fail"), (-2, "fail")])
def test_a_clock_that_is_off_is_told_by_the_vendors(
    project: Project, hours: int, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(hours=hours)

    monkeypatch.setattr(doctor, "datetime", Clock)
    (line,) = [check for check in doctor.examine(ours(project)) if check.name == "clock"]
    assert line.state == state


def test_a_disk_with_little_room_is_a_failure_wherever_it_is(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(project.folder)
    for small in (project.folder, project.folder / "runs"):
        small.mkdir(exist_ok=True)
        monkeypatch.setattr(
            shutil,
            "disk_usage",
            lambda folder, small=small: usage._replace(free=2_000_000 if folder == small else 10**12),
        )
        (line,) = examined(project, runs_path=project.folder / "runs" / "runs.jsonl")
        assert line == f"fail disk 2 MB free in {small}: make room, a run needs more"


def test_the_disk_line_says_how_much_room_earlier_copies_take(project: Project) -> None:
    kept = project.folder / "kept"
    kept.mkdir()
    (kept / "2026-11-01.people.duckdb").write_bytes(b"x" * 3_000_000)
    (line,) = (check.text for check in doctor.examine(ours(project)) if check.name == "disk")
    assert line.endswith(" free; 3 MB in 1 kept copies")


@pytest.mark.parametrize("name", ["warehouse", "published", "pipelines", "forgotten", "runs"])
def test_a_path_that_cannot_be_written_is_a_failure(project: Project, name: str) -> None:
    blocked = project.folder / "a file"
    blocked.touch()
    path = blocked / "below" / name
    # Another path for forgotten people means another salt and another build, which adds a warning.
    (line,) = [line for line in examined(project, **{f"{name}_path": path}) if line.startswith("fail")]
    remedy = (
        f"{path} cannot be written: {blocked} is no folder. Change that, or set another {name.upper()}_PATH"
    )
    assert line == f"fail paths {remedy}"
    if name not in {"warehouse", "published", "pipelines"}:
        folder = project.folder / "folder"
        folder.mkdir()
        (line,) = [line for line in examined(project, **{f"{name}_path": folder}) if line.startswith("fail")]
        assert line.startswith(f"fail paths {folder} cannot be written: it is a folder")


def test_every_part_goes_by_one_list_of_vendors_and_the_doctor_takes_any(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert doctor.vendors is ingest.vendors
    another = replace(wistia_source, name="another", resources=lambda _: [])
    monkeypatch.setattr(doctor.vendors, "SOURCES", (another,))
    names = [check.name for check in doctor.examine(ours(project)) if check.state == "ok"]
    assert "another" in names


@pytest.mark.parametrize("read_only", [False, True], ids=["to write", "to read"])
def test_a_warehouse_that_is_open_elsewhere_is_named_with_its_process(
    project: Project, read_only: bool
) -> None:
    hold = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == 'True');"
        "print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(project.folder / "warehouse.duckdb"), str(read_only)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        (line,) = examined(project)
        holder.communicate()
    assert line.startswith(f"fail warehouse warehouse.duckdb is open in process {holder.pid}. Close it there")


def test_a_damaged_warehouse_is_named_and_a_missing_one_is_no_fault(project: Project) -> None:
    path = project.folder / "warehouse.duckdb"
    path.write_bytes(b"not a database" * 1000)
    (line,) = examined(project)
    assert line.startswith(f"fail warehouse {path} is damaged or no DuckDB file")
    path.unlink()
    assert examined(project) == []


def test_a_damaged_published_copy_is_named_and_the_next_transform_writes_it_again(project: Project) -> None:
    copy = project.folder / "published.duckdb"
    whole = copy.read_bytes()
    for damaged in (b"not a database" * 1000, whole[: len(whole) // 2]):
        copy.write_bytes(damaged)
        remedy = f"{copy} is damaged or no DuckDB file. Run make publish, which writes the copy again"
        assert examined(project) == [f"fail published {remedy}"]
    asked = project.run("query", "select 1")
    assert (asked.code, asked.err) == (2, f"error: {remedy}\n")
    again = project.run("transform")
    assert (again.code, again.out) == (0, "nothing new came in: models stand, and were published again\n")
    assert examined(project) == []
    copy.unlink()
    project.well("transform")
    assert project.rows("from marts.agg_viewer_clusters", "published.duckdb") == [("skimmers",)]
    assert project.run("transform").out == "nothing new came in: models and published copy stand\n"


def test_what_came_in_or_changed_since_the_copy_was_built_is_a_warning(project: Project) -> None:
    with duckdb.connect(str(project.folder / "warehouse.duckdb")) as connection:
        connection.execute("insert into raw_ops.loads values ('wistia', 'visitors', 2, 0)")
        connection.execute("update raw_ops.builds set fingerprint = 'another'")
    assert examined(project) == [
        "warn published the models have changed and 1 tables have new rows since it was built: make transform"
    ]


def test_an_unknown_call_and_an_apply_at_work_are_warnings(project: Project) -> None:
    pay(project, None)
    with lock(ours(project).ledger_url):
        unknown, at_work = examined(project)
    assert unknown == "warn ledger 5 entries, 1 unknown: make activate looks them up in Mavera"
    assert at_work.startswith("warn ledger an apply is at work (process ")


def test_a_changed_row_of_the_ledger_is_a_failure(project: Project) -> None:
    ledger = pay(project)
    with ledger._engine.begin() as connection:
        connection.exec_driver_sql("update journal set credits = 1 where credits = 300")
    (line,) = examined(project)
    assert line.startswith("fail ledger row 3 of the ledger")


def test_a_ledger_on_a_server_that_does_not_answer_is_a_failure(project: Project) -> None:
    (line,) = examined(project, ledger_url="postgresql://somebody:secret@127.0.0.1:9/ledger")
    assert line.startswith("fail ledger the ledger cannot be reached (")
    assert "secret" not in line


@pytest.mark.parametrize("page", ["README.md", ".env.example"])
def test_a_key_of_klaviyo_is_asked_for_no_more_than_is_used(page: str) -> None:
    text = (settings.ROOT / page).read_text(encoding="utf-8")
    (listed,) = re.findall(r"\b[a-z, ]*\bprofiles, segments[a-z, ]*\b[;#\s]*templates\b", text)
    asked = {name.strip("# \n").removeprefix("access to ") for name in re.split("[,;]", listed)}
    assert {f"{name}:read" for name in asked} == KLAVIYO.probes.keys()


# --- Spark -------------------------------------------------------------------------------------------

SPARK = {
    "warehouse": "spark",
    "ledger_url": "postgresql://somebody:secret@127.0.0.1:9/ledger",
    "spark_remote": "sc://127.0.0.1:9/;token=secret",
}


def of_spark(project: Project, lake: object, state: str = "fail") -> list[str]:
    checks = [*doctor.examine(ours(project, **SPARK, lake_url=str(lake)))]
    return [
        f"{check.name} {check.text}".strip()
        for check in checks
        if check.state == state and check.name in {"", "spark", "lake", "paths"}
    ]


def test_whatever_spark_lacks_is_named_with_its_remedy(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    here = [distribution for name in doctor.PACKAGES for distribution in metadata.distributions(name=name)]
    monkeypatch.setattr(doctor.metadata, "distributions", lambda: here)
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    lacking, java, pyspark = of_spark(project, project.folder)
    assert lacking == (
        "pyspark and dbt-spark not installed here: make doctor runs in build/spark, which has them"
    )
    assert java == "spark Spark needs Java 17 or 21: apt-get install openjdk-17-jre-headless"
    assert pyspark.startswith("spark WAREHOUSE=spark needs pyspark, which is not installed here")


def test_a_spark_that_does_not_answer_is_a_failure(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {name: types.ModuleType(name) for name in ("pyspark", "pyspark.sql")}
    modules["pyspark.sql"].SparkSession = None  # type: ignore[attr-defined]
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    said = of_spark(project, project.folder)
    assert any("no Spark Connect server answers at 127.0.0.1:9 (SPARK_REMOTE)" in line for line in said)
    assert not [line for line in said if "secret" in line]


def test_a_lake_is_written_read_and_left_as_it_was(project: Project, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    assert f"lake none yet in {lake}: make ingest makes it" in of_spark(project, lake, "ok")
    assert not lake.exists()
    lake.mkdir()
    assert f"lake {lake} can be written and read" in of_spark(project, lake, "ok")
    assert not [*lake.iterdir()]
    file = tmp_path / "file"
    file.touch()
    assert any(check.text.startswith("the lake; ") for check in doctor._warehouse(ours(project, **SPARK)))
    told = f"paths {file} cannot be written: {file} is no folder. Change that, or set another LAKE_URL"
    assert told in of_spark(project, file)
    assert not [line for line in of_spark(project, file) if line.startswith("lake")]


def test_a_lake_that_does_not_answer_does_not_keep_the_doctor(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up = threading.Event()
    monkeypatch.setattr(doctor, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(doctor, "_tried", lambda *_: given_up.wait(60))
    ours_of_spark = ours(project, **SPARK, lake_url="s3://nobody/lake")
    (check,) = doctor._lake(ours_of_spark)
    given_up.set()
    assert check.state == "fail"
    assert check.text.startswith("s3://nobody/lake does not answer within 0 s: check network, proxy and")


def test_unusual_volumes_and_columns_are_named(tmp_path: Path) -> None:
    copy = tmp_path / "published.duckdb"
    ours = settings.Settings(_env_file=None, published_path=copy)
    assert list(doctor._data(ours)) == []
    with duckdb.connect(str(copy)) as connection:
        connection.execute("""
            create schema marts;
            create table marts.fct_volumes_weekly as from (values
                ('klaviyo', 'events', 1200, 4000.0, 6000.0, true, true, date '2026-01-05'),
                ('klaviyo', 'events', 9, 4000.0, 6000.0, true, true, date '2025-12-29'),
                ('wistia', 'events', 1, 4.0, 6.0, false, false, date '2026-01-12')
            ) as t(vendor, table_name, new_row_count, low_row_count, high_row_count,
                is_outside, is_complete, week_from);
            create table marts.fct_schema_changes as from (values
                ('raw_wistia.medias', 'score', 'other type', current_date - 3),
                ('raw_wistia.medias', 'id', 'new column', current_date - 3),
                ('raw_wistia.medias', 'old', 'column is gone', current_date - 99)
            ) as t(relation, column_name, change, changed_on);
        """)
    (check,) = doctor._data(ours)
    since = datetime.now(UTC).date() - timedelta(days=3)
    assert check == doctor.Check(
        "warn",
        "data",
        "klaviyo events: 1,200 new rows in the week of 2026-01-05, usually 4,000 to 6,000;"
        f" raw_wistia.medias.score: other type since {since}:"
        " marts.fct_volumes_weekly and fct_schema_changes have all",
    )
