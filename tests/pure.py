"""Finds the pure test files: those that start no program, no server and no build of the warehouse.

`make check` runs them, in seconds. A file's imports, its own and its helpers' in tests/, decide whether it is
pure: nobody keeps a list.
"""

import ast
from functools import cache
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parent
SLOW: Final = frozenset(
    {
        "subprocess",
        "multiprocessing",
        "socket",
        "dbt",
        "sandbox.server",
        "playwright.sync_api",
        "transform.build",
        "operate.cluster",
    }
)
BUILT: Final = frozenset({"small_warehouse", "whole_warehouse", "small", "manifest", "models"})
"""The fixtures of conftest.py for which dbt starts."""


@cache
def imports_of(path: Path) -> frozenset[str]:
    """Return the modules that a file imports, and those imported by its helpers in tests/."""
    named = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            named |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    helpers = {TESTS.parent / f"{name.replace('.', '/')}.py" for name in named if name.startswith("tests.")}
    return frozenset(named).union(*(imports_of(helper) for helper in helpers if helper.exists()))


def arguments_of(path: Path) -> set[str]:
    """Return the names of all arguments in a file: those of its tests are fixtures."""
    return {
        node.arg
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.arg)
    }


def files() -> list[Path]:
    """Return the test files that import nothing slow, and whose fixtures do not either."""
    found = []
    for path in sorted(TESTS.rglob("test_*.py")):
        beside = [file for file in (path, path.with_name("conftest.py")) if file.exists()]
        if not any(imports_of(file) & SLOW or arguments_of(file) & BUILT for file in beside):
            found.append(path)
    return found


if __name__ == "__main__":
    print(*(path.relative_to(TESTS.parent) for path in files()), sep="\n")  # noqa: T201
