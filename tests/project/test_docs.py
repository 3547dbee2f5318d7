"""Every command, setting, table and file named in the docs exists; read from their text."""

import ast
import importlib
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from common import settings
from ingest import vendors

PAGES = [
    settings.ROOT / "README.md",
    settings.ROOT / "CONTRIBUTING.md",
    *sorted((settings.ROOT / "docs").rglob("*.md")),
]
MAKEFILE = (settings.ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))
VARIABLES = set(re.findall(r"^([A-Z]+) \?=", MAKEFILE, re.MULTILINE)) | {"ENV_FILE"}
RULE_PAGES = ("docs/privacy.md", "docs/decisions/people.md")
SETTINGS = {name.upper() for name in settings.Settings.model_fields}


def code_of(page: Path) -> Iterator[str]:
    """Return the code of a page: spans and the lines of blocks."""
    text = page.read_text(encoding="utf-8")
    for language, block in re.findall(r"^ *```(\w*)\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE):
        if language in {"", "sh"}:
            yield from block.splitlines()
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
    yield from re.findall(r"`([^`\n]+)`", prose)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(settings.ROOT)))
def test_every_target_of_make_exists(page: Path) -> None:
    for code in code_of(page):
        for called in re.findall(r"(?:^|[$;&|] ?)make ((?:[a-zA-Z_-]+(?:=\S+)? ?)+)", code):
            words = called.split()
            assert {word for word in words if "=" not in word} <= TARGETS, code
            assert {word.split("=")[0] for word in words if "=" in word} <= VARIABLES, code


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(settings.ROOT)))
def test_every_command_and_option_exists(page: Path) -> None:
    for code in code_of(page):
        for module, words in re.findall(r"python -m ([\w.]+)((?: [^|;&`]+)?)", code):
            if module.startswith("tests."):
                assert (settings.ROOT / f"{module.replace('.', '/')}.py").exists(), code
            elif module not in {"pip", "pytest", "venv"}:
                check(module, words.split(), code)


def app_of(module: str) -> typer.Typer:
    """Return the app that a module runs: its own, or that of its command line."""
    for name in (f"{module}.cli.main", module, f"{module}.__main__"):
        try:
            found = getattr(importlib.import_module(name), "app", None)
        except ModuleNotFoundError:
            continue
        if isinstance(found, typer.Typer):
            return found
    raise AssertionError(f"there is no command python -m {module}")


def check(module: str, words: list[str], code: str) -> None:
    command = typer.main.get_command(app_of(module))
    known = {option for parameter in command.params for option in parameter.opts}
    for word in words:
        commands = getattr(command, "commands", {})
        if word in commands:
            command = commands[word]
            known |= {option for parameter in command.params for option in parameter.opts}
        elif word.startswith("--"):
            assert word.split("=")[0] in known, f"{code}: no {word}"
        else:
            assert not commands or not word.isalpha(), f"{code}: no {word}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(settings.ROOT)))
def test_every_setting_exists(page: Path) -> None:
    named = set()
    for code in code_of(page):
        named |= set(re.findall(r"^([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=.*)?$", code))
    of_tests = {"ROUGH_PEOPLE", "WORLD_PEOPLE", "REQUIRE_SPARK"}
    assert named - {"DO_NOT_TRACK"} <= SETTINGS | VARIABLES | {"SURVEYS_API_KEY"} | of_tests


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(settings.ROOT)))
def test_every_file_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    linked = {link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link}
    assert [link for link in linked if link and not (page.parent / link).exists()] == []
    folders = {path.name for path in settings.ROOT.iterdir() if path.is_dir()} - {"build", "data", ".venv"}
    invented = tuple(re.findall(r"(?:New\s+file|new\s+folder\s+is)\s+`([^`]+)`", text))
    for code in code_of(page):
        named = re.fullmatch(r"([\w.-]+)/[\w./-]+\.\w+", code)
        if named and named[1] in folders and not code.startswith(invented):
            assert (settings.ROOT / code).exists(), code


def test_who_may_be_mailed_is_said_in_the_same_words_everywhere() -> None:
    pages = [" ".join((settings.ROOT / page).read_text(encoding="utf-8").split()) for page in RULE_PAGES]
    rule = re.findall(r"An address may be mailed if .* for one kind of mail\.", pages[0])
    assert len(rule) == 1
    assert all(rule[0] in page for page in pages)


def test_the_readme_begins_with_one_screen_of_what_it_is() -> None:
    text = (settings.ROOT / "README.md").read_text(encoding="utf-8")
    (picture,) = re.findall(r'<img src="([^"]+)" width="(\d+)" alt="[^"]+">', text)
    assert (settings.ROOT / picture[0]).exists()
    wide, high = struct.unpack(">II", (settings.ROOT / picture[0]).read_bytes()[16:24])  # of a PNG file
    assert int(picture[1]) * high / wide <= 400
    order = ["<img ", "```sh\nmake demo\n", "\n$ make demo\n", "```mermaid", "<details>", "## Your data"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)


def test_the_map_names_functions_that_exist_and_every_error() -> None:
    text = (settings.ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    steps = re.findall(r"^\| \d+ \| `([^`]+)` \| `(\w+)` \|", text, re.MULTILINE)
    assert len(steps) > 20
    for file, function in steps:
        assert f"def {function}(" in (settings.ROOT / file).read_text(encoding="utf-8"), f"{file} {function}"
    tree = text.split("\n## Errors\n")[1].split("\n## ")[0]
    assert set(re.findall(r"─ ([A-Z]\w+)", tree)) == set(errors())


def errors() -> Iterator[str]:
    """Return the name of every error class in every room."""
    known = {"Exception", "OSError", "ValueError", "RuntimeError"}
    rooms = [path.parent for path in settings.ROOT.glob("*/__init__.py")]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for room in rooms for path in room.rglob("*.py")]
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    more = True
    while more:
        found = {node.name for node in classes if {ast.unparse(b).split(".")[-1] for b in node.bases} & known}
        more = bool(found - known)
        known |= found
    yield from known - {"Exception", "OSError", "ValueError", "RuntimeError"}


def test_the_readme_is_short() -> None:
    lines = (settings.ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 146 + len(vendors.SOURCES)  # these have a row each


def test_every_setting_is_explained_in_the_example() -> None:
    example = (settings.ROOT / ".env.example").read_text(encoding="utf-8")
    explained = set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", example, re.MULTILINE))
    assert explained == SETTINGS


def test_every_table_that_a_page_reads_from_is_published() -> None:
    dictionary = (settings.ROOT / "docs" / "dictionary.md").read_text(encoding="utf-8")
    published = set(re.findall(r"^### `([a-z_.]+)`", dictionary, re.MULTILINE))
    for page in PAGES:
        if page.name != "CONTRIBUTING.md" and page.parent.name != "decisions":
            named = set(re.findall(r"\b((?:marts|activation)\.[a-z]\w+)", page.read_text(encoding="utf-8")))
            assert {name for name in named if not name.endswith("__")} <= published, page.name
