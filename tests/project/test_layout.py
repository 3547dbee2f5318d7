"""The layout of docs/architecture.md, read from the code itself."""

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from common import assumptions, settings

ROOT = settings.ROOT
BELOW = {
    "privacy": set(),
    "common": {"privacy"},
    "ingest": {"privacy", "common"},
    "transform": {"privacy", "common"},
    "activate": {"privacy", "common"},
    "report": {"privacy", "common"},
    "operate": {"privacy", "common", "ingest", "transform", "activate", "report"},
    "sandbox": {"common"},
}
"""Every room, and the rooms it may import from."""
PARTS = ("ingest", "activate", "sandbox", "transform", "report", "operate")


def imports_of(path: Path) -> Iterator[str]:
    package = path.relative_to(ROOT).parts[0] if path.parent != ROOT else ""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = f"{package}.{node.module or ''}".strip(".") if node.level else node.module or ""
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def test_every_package_is_a_room() -> None:
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} == set(BELOW)
    assert not [*ROOT.glob("*.py")]


@pytest.mark.parametrize("room", BELOW)
def test_a_room_imports_only_the_rooms_below_it(room: str) -> None:
    for path in (ROOT / room).rglob("*.py"):
        used = {name.split(".")[0] for name in imports_of(path)} & set(BELOW)
        assert used <= BELOW[room] | {room}, f"{path.relative_to(ROOT)} imports {used}"


def test_the_plan_is_pure() -> None:
    """None of its imports, direct or indirect, knows a clock, a file, a request or another room."""
    leaves = {"activate.differences", "activate.errors", "common.assumptions"}
    for module in ("plan", "differences", "errors"):
        used = set(imports_of(ROOT / "activate" / f"{module}.py"))
        ours = {
            name
            for name in used
            if name.split(".")[0] in BELOW and (ROOT / f"{name.replace('.', '/')}.py").exists()
        }
        assert ours <= leaves, f"{module} imports {ours}"
        assert not {"requests", "sqlalchemy", "duckdb", "jinja2"} & used


ACTIVATION = (
    *("errors", "differences", "plan", "declarations", "likeness", "reader", "answers"),
    *("ledger.rows", "ledger.lock", "ledger.chain", "ledger.identity", "ledger.fold", "ledger.journal"),
    *(
        "ledger.opening",
        "mavera",
        "kinds",
        "templates",
        "records",
        "planning",
        "run",
        "flights",
        "reconcile",
        "send",
        "engine",
    ),
    *("drift", "account", "origins", "approval"),
    *("cli.arguments", "cli.screen", "cli.plans", "cli.shapes"),
    *("cli.deciding", "cli.reading", "cli.showing", "cli.sending", "cli.main"),
)
"""The modules of `activate`, each of which imports only those before it; a folder stands for its files."""


def test_activation_imports_point_one_way() -> None:
    modules = {
        module: sorted((ROOT / "activate" / module).glob("*.py"))
        or [ROOT / "activate" / f"{module.replace('.', '/')}.py"]
        for module in ACTIVATION
    }
    there = {path for path in (ROOT / "activate").rglob("*.py") if path.stem not in {"__init__", "__main__"}}
    assert there <= {path for paths in modules.values() for path in paths}
    for place, paths in enumerate(modules.values()):
        for path in paths:
            used = {name.removeprefix("activate.") for name in imports_of(path)}
            upward = {
                name
                for name in ACTIVATION[place + 1 :]
                if any(f"{one}.".startswith(f"{name}.") for one in used)
            }
            assert not upward, f"{path.relative_to(ROOT)} imports {upward}"


def test_what_a_kind_is_is_asked_of_its_file_alone() -> None:
    """A new kind is a file and its line: no other module decides by a kind's name."""
    from activate.kinds import KINDS

    names = {spelled for name in KINDS for spelled in (name, name.replace("-", "_"))}
    for path in (ROOT / "activate").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Compare(left=left, comparators=others):
                    decided: list[ast.expr | None] = [left, *others]
                case ast.MatchValue(value=value):
                    decided = [value]
                case ast.Dict(keys=keys):
                    decided = list(keys)
                case ast.Subscript(slice=key):
                    decided = [key]
                case _:
                    continue
            literals = {
                inner.value
                for one in decided
                if one
                for inner in ast.walk(one)
                if isinstance(inner, ast.Constant)
            }
            assert path.parent.name == "kinds" or not literals & names, f"{path}:{node.lineno} names a kind"


def test_every_assumption_about_mavera_is_marked_and_used() -> None:
    source = (ROOT / "common" / "assumptions.py").read_text(encoding="utf-8")
    code = " ".join(path.read_text(encoding="utf-8") for path in that_speak_to_mavera())
    statements, lines, end = ast.parse(source).body, source.splitlines(), 0
    for node in statements:
        if isinstance(node, ast.AnnAssign):
            name = ast.unparse(node.target)
            assert re.search(r"\[[IUGE]\]", "\n".join(lines[end : node.end_lineno])), f"{name} has no mark"
            assert f"assumptions.{name}" in code, f"{name} is assumed, and used nowhere"
        end = node.end_lineno or end


def test_what_is_inferred_about_mavera_stands_in_one_place() -> None:
    named = set(re.findall(r"\b(?:activate|ingest)/\w+\.py", assumptions.__doc__ or ""))
    assert all((ROOT / path).exists() for path in named)
    marked = {
        str(path.relative_to(ROOT))
        for path in that_speak_to_mavera()
        if "[I]" in path.read_text(encoding="utf-8")
    }
    assert marked == named


def that_speak_to_mavera() -> list[Path]:
    return [
        *(ROOT / "activate").rglob("*.py"),
        *(ROOT / "ingest").rglob("*.py"),
        ROOT / "common" / "settings.py",
    ]


def test_only_settings_reads_the_environment() -> None:
    reading = re.compile(r"os\.(environ\b(?! \|=)|getenv)|dotenv")
    for part in set(BELOW) - {"common", "sandbox"}:
        for path in (ROOT / part).rglob("*.py"):
            assert not reading.search(path.read_text(encoding="utf-8")), path


def test_asking_the_published_copy_needs_no_part_of_the_project() -> None:
    for file in ("query.py", "prompt.py"):
        named = imports_of(ROOT / "operate" / file)
        used = {name.split(".")[0] for name in named if not re.fullmatch(r"operate(\.(query|prompt))?", name)}
        assert not used & {"dlt", "dbt", "rich", "pyarrow", *PARTS}, file


def test_the_lock_names_no_index() -> None:
    for lock in ROOT.glob("requirements*.lock"):
        assert "://" not in lock.read_text(encoding="utf-8"), lock.name


def _locked(*names: str) -> set[str]:
    texts = [(ROOT / f"requirements{name}.lock").read_text(encoding="utf-8") for name in names]
    return {name.lower() for text in texts for name in re.findall(r"^([\w.-]+)==", text, re.MULTILINE)}


def _named(requirements: Iterable[str]) -> set[str]:
    return {re.split(r"[\[<>= ]", requirement)[0].lower() for requirement in requirements}


def test_the_locks_hold_every_dependency_and_the_one_that_runs_no_other() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups, running = project["dependency-groups"], _locked("")
    assert _named(project["project"]["dependencies"]) <= running
    assert _named([*groups["test"], *groups["lint"]]) <= _locked("-dev") | running
    for group in ("lineage", "audit", "metrics", "spark"):
        assert _named(groups[group]) <= _locked(f"-{group}") | running
    assert running | _named(groups["test"]) <= _locked("-spark")  # an environment by itself
    tools = {"pytest", "pytest-xdist", "hypothesis", "mypy", "ruff", "playwright", "klaviyo-api", "sendgrid"}
    assert not tools & running


def test_what_a_lock_adds_has_the_versions_that_run() -> None:
    def versions(name: str) -> dict[str, str]:
        text = (ROOT / name).read_text(encoding="utf-8")
        return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))

    running = versions("requirements.lock")
    for name in (
        "requirements-dev.lock",
        "requirements-lineage.lock",
        "requirements-metrics.lock",
        "requirements-spark.lock",
    ):
        assert {n: v for n, v in versions(name).items() if running.get(n, v) != v} == {}


def test_every_promise_names_tests_that_exist() -> None:
    text = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", text)
    assert named
    for file, name in named:
        (path,) = (ROOT / "tests").rglob(file)
        assert f"def {name}(" in path.read_text(encoding="utf-8"), f"{file}::{name}"
