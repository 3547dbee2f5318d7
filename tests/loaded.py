"""A project that has loaded and modeled everything, made once a run; tests change copies of it."""

import shutil
from datetime import date
from pathlib import Path
from typing import Final

from sandbox.server import Sandbox, serving
from sandbox.world import World
from tests.commands import Project
from tests.shared import once
from tests.small import small

PEOPLE: Final = 200
TODAY: Final = date(2026, 11, 21)


def world() -> World:
    return World(PEOPLE, 7, TODAY)


def copy(shared: Path, folder: Path, url: str) -> Project:
    """Return a copy of the project in a new folder, whose vendors are those at `url`, of the same world."""

    def load(made: Path) -> None:
        small(shared)  # whose statements are sent again
        _load(made)

    return Project(shutil.copytree(once(shared / "loaded", load), folder), url)


def _load(folder: Path) -> None:
    with serving(Sandbox(world(), limits="off")) as url:
        project = Project(folder, url)
        project.well("ingest")
        project.well("transform")
