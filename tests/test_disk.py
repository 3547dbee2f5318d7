"""A disk without room, a folder without permission: one line, a remedy, and the same command afterwards."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from commands import Project

from sandbox.server import Sandbox, serving
from sandbox.world import World


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mount a disk of so many MB at a folder; called again, it grows."""
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
    with serving(Sandbox(World(200, 7, date(2026, 11, 21)), limits="off")) as url:
        yield url


def test_a_full_disk_is_one_line_and_the_next_run_goes_on(disk: Callable[[int], Path], url: str) -> None:
    project = Project(disk(2), url)
    broken = project.run("ingest")
    assert broken.code == 1
    (line,) = [line for line in broken.err.splitlines() if "error" in line]
    assert line.startswith(f"error: the disk that holds {project.folder / 'warehouse.duckdb'} is full (")
    assert "Make room, then run the same command again" in line
    assert "Traceback" not in broken.err
    assert "leaked" not in broken.err

    folder = disk(60)
    project.well("ingest")
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
        blocked = Path("/proc/1/warehouse")  # not even root makes a folder there
    else:
        blocked = tmp_path / "blocked"
        blocked.mkdir(mode=0o500)
    project = Project(tmp_path, url, extra={"WAREHOUSE_PATH": str(blocked / "warehouse.duckdb")})
    ran = project.run("ingest")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"error: {blocked / 'warehouse.duckdb'}")
    assert ran.err.count("\n") == 1
