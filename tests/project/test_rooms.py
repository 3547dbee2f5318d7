"""The size of every file, function and class is limited, and each exception has a reason."""

import ast
from collections.abc import Iterator
from pathlib import Path

from common import settings
from tests.project.test_layout import BELOW

ROOT = settings.ROOT
FILE_LINES = 600
FUNCTION_LINES = 60
METHODS = 20

EXCEPTIONS: dict[str, str] = {
    "activate/kinds/kind.py::Kind": "one method over the limit: all that is asked of a kind",
    "tests/activate/test_faults.py::Life": "a state machine of hypothesis, with a method for each rule",
    "tests/common/test_terminal.py": "all its tests share one project that was loaded and modelled",
    "tests/hazards.py": "one simulation of Mavera, with all that goes wrong on the way to it",
    "tests/project/test_end_to_end.py": "all its tests share one world that was loaded and modelled",
    "tests/project/test_end_to_end.py::test_campaigns_and_their_pairs_are_those_of_the_world": (
        "most of its lines are the SQL that counts the world"
    ),
}
"""`file`, `file::function` or `file::Class`, and why it is larger. Complexity and arguments are ruff's."""


def python_files() -> list[Path]:
    return sorted(path for room in (*BELOW, "tests", "examples") for path in (ROOT / room).rglob("*.py"))


def too_large(path: Path) -> Iterator[str]:
    name, text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
    if len(text.splitlines()) > FILE_LINES:
        yield name
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES:
                yield f"{name}::{node.name}"
        elif isinstance(node, ast.ClassDef):
            methods = [one for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
            if len(methods) > METHODS:
                yield f"{name}::{node.name}"


def test_nothing_is_too_large_to_see_without_a_reason() -> None:
    large = {name for path in python_files() for name in too_large(path)}
    assert large - EXCEPTIONS.keys() == set(), f"split it, or give the reason in {Path(__file__).name}"


def test_every_exception_is_still_needed_and_has_a_reason() -> None:
    large = {name for path in python_files() for name in too_large(path)}
    assert EXCEPTIONS.keys() - large == set(), "no longer too large"
    assert all(len(reason.split()) > 3 for reason in EXCEPTIONS.values())
