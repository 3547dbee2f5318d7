"""Each question of `queries/` with its answer, in docs/for-analysts.md.

`python -m tests.answers` writes the section again, from the sandbox's account of 200 people that tests load.
A question about what is not there, such as Mavera's answers before anything was sent, is answered from the
small account whose rows are written by hand (`tests/small_warehouse.sql`). A test compares it.
"""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import typer

from common import settings
from operate import query
from sandbox.server import Sandbox, serving
from tests import loaded, small

PAGE: Final = settings.ROOT / "docs" / "for-analysts.md"
BEGIN, END = "<!-- answers: python -m tests.answers -->\n", "<!-- end of answers -->\n"
# The questions that the warehouse is judged by come first, in this order; the others follow by name.
FIRST: Final = (
    "binge_watchers", "deliverability", "one_person", "lost_viewers", "moved_tier", "champions", "cohorts",
    "order_touches", "hours", "lifecycle",
)  # fmt: skip
WIDTH: Final = 140
MOST_ROWS, MOST_PEOPLE = 6, 3
# Some are hashes by a salt of the project's own, which are others in each run.
IDS_OF_PEOPLE: Final = ("person_id", "buyer_id", "customer_id", "viewer_id")
# About changes, of which a world that was loaded once has none.
ABOUT_CHANGES: Final = ("lost_viewers", "moved_tier")
PEOPLE: Final = "-- Needs PUBLISH_PEOPLE=true"
INTRO: Final = f"""\
## Questions with their answers

`queries/` has these questions, ready to run: `make query Q=queries/tiers.sql`. The answers are those of the
sandbox's account with {loaded.PEOPLE} people; the demo has ten times as many. The first {MOST_ROWS} rows are
shown, {MOST_PEOPLE} where rows are about people, without ids of people.
"""


def questions() -> list[Path]:
    files = sorted((settings.ROOT / "queries").glob("*.sql"))
    return sorted(files, key=lambda file: FIRST.index(file.stem) if file.stem in FIRST else len(FIRST))


def render(world: Path, by_hand: Path) -> str:
    """Return the section from the world's published copy and the warehouse of the account written by hand."""
    return "\n".join([INTRO, *(line for file in questions() for line in _answered(file, world, by_hand))])


def _answered(file: Path, world: Path, by_hand: Path) -> Iterator[str]:
    text = file.read_text(encoding="utf-8")
    asked = text.splitlines()[0].removeprefix("-- ")
    answer, note = query.ask(world, text, origin=file.name), ""
    if not answer.rows or file.stem in ABOUT_CHANGES:
        answer, note = query.ask(by_hand, text, origin=file.name), " From the small account of the tests."
    yield f"**{asked}** `queries/{file.name}`{note}\n"
    yield "```text"
    yield _shown(answer, MOST_PEOPLE if PEOPLE in text else MOST_ROWS)
    yield "```\n"


def _shown(answer: query.Answer, most: int) -> str:
    hidden = [name in IDS_OF_PEOPLE for name in answer.names]
    rows = [
        tuple("…" if hide and cell else cell for cell, hide in zip(row, hidden, strict=True))
        for row in answer.rows
    ]
    shown = query.as_table(answer._replace(rows=rows[:most]), WIDTH).replace("```", "'''")
    left = f"({len(rows[:most])} of {len(rows):,} rows)" if len(rows) > most else ""
    return re.sub(r"\(.*\)$", left, shown) if left else shown


def section(page: str) -> str:
    """Return the section of the page's text."""
    return page.split(BEGIN)[1].split(END)[0]


def main() -> None:
    """Write the section again."""
    with tempfile.TemporaryDirectory() as name:
        shared = Path(name) / "shared"
        with serving(Sandbox(loaded.world(), limits="off")) as url:
            project = loaded.copy(shared, Path(name) / "project", url)
        answers = render(project.folder / "published.duckdb", small.whole(shared))
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(page.replace(section(page), answers), encoding="utf-8")
    typer.echo(f"{len(questions())} questions answered: {PAGE.relative_to(settings.ROOT)}")


if __name__ == "__main__":
    typer.run(main)
