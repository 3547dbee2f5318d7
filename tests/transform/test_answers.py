"""Each question of `queries/` has its answer in docs/for-analysts.md."""

import re
from pathlib import Path

import pytest

from sandbox.server import Sandbox, serving
from tests import answers, loaded


@pytest.fixture(scope="module")
def copies(
    shared: Path, whole_warehouse: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """The published copy of the world, and the warehouse of the account that is written by hand."""
    folder = tmp_path_factory.mktemp("answers")
    with serving(Sandbox(loaded.world(), limits="off")) as url:
        project = loaded.copy(shared, folder / "project", url)
    return project.folder / "published.duckdb", whole_warehouse


def test_the_answers_in_the_docs_are_current(copies: tuple[Path, Path]) -> None:
    page = answers.PAGE.read_text(encoding="utf-8")
    assert answers.section(page) == answers.render(*copies), "python -m tests.answers renews them"


def test_no_answer_is_empty_or_has_an_address() -> None:
    section = answers.section(answers.PAGE.read_text(encoding="utf-8"))
    assert "(0 rows)" not in section
    assert not re.search(r"[\w.+-]+@[\w-]+\.\w", section)
    assert not re.search(r"\b[0-9a-f]{32,}\b", section)
