"""A full disk, a folder without permission, a damaged file: one line with a remedy that works."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest

from sandbox.server import Sandbox, serving
from sandbox.world import World
from tests.commands import Project


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mount a disk of a given number of MB at a folder; another call resizes it."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def of(megabytes: int) -> Path:
        grown = "remount," if folder.is_mount() else ""
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"{grown}size={megabytes}m", "tmpfs", str(folder)],
            capture_output=True,
            check=False,
        )
        if mounted.returncode:
            pytest.skip("no right to mount a small disk here")
        return folder

    yield of
    if folder.is_mount():
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    world = World(60, 7, date(2026, 11, 21), since=date(2026, 9, 1))
    with serving(Sandbox(world, limits="off")) as url:
        yield url


def test_a_full_disk_is_one_line_and_the_next_run_goes_on(disk: Callable[[int], Path], url: str) -> None:
    project = Project(disk(2), url, extra={"HISTORY_DAYS": "90"})
    broken = project.run("ingest")
    assert broken.code == 1
    (line,) = [line for line in broken.err.splitlines() if "error" in line]
    assert line.startswith(f"error: the disk that holds {project.folder / 'warehouse.duckdb'} is full (")
    assert "Make room, then run the same command again" in line
    assert "Traceback" not in broken.err
    assert "leaked" not in broken.err

    folder = disk(60)
    project.well("ingest", "wistia")
    filler = folder / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(folder).free - 200_000))
    modelled = project.run("transform")
    assert modelled.code == 1
    (line,) = [line for line in modelled.out.splitlines() if line.startswith("fail")]
    assert "is full (" in line

    filler.unlink()
    disk(200)
    project.well("transform")
    assert project.rows("select count(*) > 0 from marts.dim_people", "published.duckdb") == [(True,)]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path, url: str) -> None:
    if os.geteuid() == 0:
        blocked = Path("/proc/1/warehouse")  # not even root can create a folder there
    else:
        blocked = tmp_path / "blocked"
        blocked.mkdir(mode=0o500)
    project = Project(tmp_path, url, extra={"WAREHOUSE_PATH": str(blocked / "warehouse.duckdb")})
    ran = project.run("ingest")
    assert (ran.code, ran.out) == (2, "")
    said = re.escape(f"error: {blocked / 'warehouse.duckdb'} cannot be written: ")
    assert re.fullmatch(said + r"[a-z ]+\. Change that, or set another path in \.env\n", ran.err)


def test_a_read_only_disk_is_one_line(disk: Callable[[int], Path], url: str) -> None:
    project = Project(disk(20), url)
    project.well("ingest", "mavera")
    remounted = ["mount", "-o", "remount,ro", str(project.folder)]
    subprocess.run(remounted, check=True)
    ran = project.run("ingest", "mavera")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        f"error: {project.folder / 'pipelines'} cannot be written: read-only. Change that, or set another "
        "PIPELINES_PATH in .env\n"
    )


# --- damaged files -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def loaded(url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one load of Mavera."""
    folder = tmp_path_factory.mktemp("loaded")
    Project(folder, url).well("ingest", "mavera")
    return folder


@pytest.fixture
def project(loaded: Path, url: str, tmp_path: Path) -> Project:
    return Project(Path(shutil.copytree(loaded, tmp_path / "copy")), url)


def cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


PERSONAS = "from raw_mavera.personas select id, name order by all"


def test_a_damaged_working_folder_is_made_anew(project: Project) -> None:
    before = project.rows(PERSONAS)
    cut(project.folder / "pipelines/mavera/state.json", 0.5)
    package = project.folder / "pipelines/mavera/load/normalized/1795269712.1/new_jobs/personas.1.parquet"
    package.parent.mkdir(parents=True)
    package.write_bytes(b"PAR1")
    assert project.well("ingest", "mavera")["totals"]["rows_new"] == 0
    assert project.rows(PERSONAS) == before != []


def damage(folder: Path, how: str) -> str:
    """Damage a file below `folder` in one way; return its name."""
    path = folder / "warehouse.duckdb"
    match how:
        case "garbage":
            path.write_bytes(b"garbage" * 5_000)
        case "truncated header" | "truncated":
            cut(path, 0.01 if "header" in how else 0.6)
        case "cursors":
            with duckdb.connect(str(path)) as connection:
                connection.execute("update raw_mavera._dlt_pipeline_state set state = 'garbage'")
        case "forgotten":
            path = folder / "forgotten.json"
            path.write_text('{"salt": "a')
        case "ledger":
            path = folder / "ledger.sqlite"
            path.write_bytes(b"garbage" * 5_000)
    return path.name


@pytest.mark.parametrize(
    "how", ["garbage", "truncated header", "truncated", "cursors", "forgotten", "ledger"]
)
def test_a_damaged_file_is_one_line_and_without_it_the_same_command_runs(project: Project, how: str) -> None:
    before = project.rows(PERSONAS)
    name = damage(project.folder, how)
    ran = project.run("ingest", "mavera")
    (line,) = [line for line in ran.err.splitlines() if "error" in line]
    assert ran.code == (1 if how in ("ledger", "truncated") else 2)  # a truncation is noticed on reading
    assert "Traceback" not in ran.err
    if how == "ledger":
        assert line == (
            "error: mavera ledger: the ledger cannot be read (file is not a database). Bring back its last "
            "backup. Not loaded; the next run reads it again"
        )
    else:
        assert line.startswith(f"error: {project.folder / name} is damaged")
        remedies = ("brings back the last backup", "Bring back its last backup", "run make ingest transform")
        assert any(remedy in line for remedy in remedies)
    (project.folder / name).rename(project.folder / "moved-away")
    project.well("ingest", "mavera")
    assert project.rows(PERSONAS) == before
