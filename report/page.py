"""Read everything that the page shows from the published copy, and render page.html.j2."""

import textwrap
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from common import settings as environment
from common import warehouse
from common.progress import step
from privacy import outside
from report import answers, drawing, first_screen, sharing
from report.figures import Drawing, Feeds, Figure, Rows
from report.sections import FIGURES, SECTIONS
from report.sections.answers import SECTION as ANSWERS

PAGE = environment.ROOT / "build" / "report.html"
SHARED_PAGE = environment.ROOT / "build" / "share" / "report.html"
SUMMARIES = ("summary.html", "summary.txt")
MOST_STEPS = 5  # of the summary
MOST_ROWS = 200  # of a table
MAVERAS_WORDS = {"recommendation", "said", "advice"}  # columns with a sentence of an answer
LONGEST_SENTENCE = 600


class ReportError(Exception):
    """The report cannot be drawn; the text says what to do."""


class Shown(NamedTuple):
    """A figure with its drawing, or without one if its model has no rows; `row_count` counts all rows."""

    figure: Figure
    drawn: Drawing | None
    svg: str
    rows: Rows
    row_count: int
    keyless: str = ""  # the vendor that its rows come from, if no run had a key for it
    small_group_count: int = 0  # rows that are not published because they are about too few people


class Page(NamedTuple):
    """The page and its summaries, its number of figures, and how many of these have no rows."""

    text: str
    figures: int
    empty: int
    summaries: Mapping[str, str]

    def write(self, to: Path) -> None:
        """Write the page, and the summaries beside it."""
        for path, text in [
            (to, self.text),
            *((to.with_name(name), self.summaries[name]) for name in SUMMARIES),
        ]:
            with warehouse.beside(path, is_shared=True) as draft:
                draft.write_text(text, encoding="utf-8")


def rows(connection: duckdb.DuckDBPyConnection, query: str) -> Rows:
    """Return the rows of a query by column. Raises ReportError if another version wrote the copy."""
    try:
        found = connection.execute(query)
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        reason = str(error).splitlines()[0]
        raise ReportError(
            f"the published copy was written by another version ({reason})."
            " Run make transform, then repeat this command"
        ) from None
    names = [column[0] for column in found.description]
    return [dict(zip(names, map(_value, names, row), strict=True)) for row in found.fetchall()]


def _value(name: str, value: Any) -> Any:
    """Return decimals as floats, which charts need, and text without invisible characters.

    Markdown keeps its lines; words of Mavera are checked for people and keys.
    """
    if isinstance(value, str):
        if name in MAVERAS_WORDS:
            return outside.words(value, LONGEST_SENTENCE)
        return outside.paragraphs(value) if name.endswith("_markdown") else outside.printable(value)
    return float(value) if isinstance(value, Decimal) else value


def draw(copy: Path, budget: int, now: datetime, *, share: bool = False) -> Page:
    """Return the page of a published copy, with `share` its edition for a wider circle.

    Raises ReportError or WarehouseError if the copy cannot be read.
    """
    with warehouse.read_copy(copy) as connection:
        connection.execute("set variable credit_budget = ?", [budget])
        sections = _sections(connection, share)
        shown = _first_screen(connection, budget, share)
        worlds = rows(
            connection, "select distinct vendor, world from marts.fct_source_freshness order by vendor"
        )
        (data,) = rows(connection, "select * from marts.rpt_data")
    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    pages.filters["cell"] = cell
    pages.filters["lines"] = lines
    loaded = data["measured_at"]
    facts: dict[str, Any] = shown | {
        "verdicts": answers.VERDICTS,
        "sections": sections,
        "note": sharing.NOTE if share else "",
        "sandboxes": [row["vendor"] for row in worlds if row["world"] == "sandbox"],
        "vendors": list(dict.fromkeys(row["vendor"] for row in worlds)),
        "newest": data["newest_row_at"],
        "loaded": loaded,
        "hours_since": (now - loaded).total_seconds() / 3600 if loaded else 0,
        "limit_hours": data["limit_hours"] or 0,
        "drawn_at": now,
    }
    text, *summaries = (
        pages.get_template(f"{name}.j2").render(**facts, most_steps=MOST_STEPS)
        for name in ("page.html", *SUMMARIES)
    )
    figures = [one for _, figures in sections for one in figures]
    empty = sum(one.drawn is None for one in figures)
    return Page(text, len(figures), empty, dict(zip(SUMMARIES, summaries, strict=True)))


def _first_screen(connection: duckdb.DuckDBPyConnection, budget: int, share: bool) -> dict[str, Any]:
    """Return the parts of the first screen and the answers; with `share` without what is private."""
    measures = sharing.MONEY if share else frozenset()
    headlines, changed = (
        [row for row in rows(connection, query) if row["measure"] not in measures]
        for query in ("select * from marts.rpt_headlines", "select * from marts.rpt_changes")
    )
    steps = rows(
        connection,
        "select * from activation.rpt_next_steps order by urgency, affected_count desc, step",
    )
    shown: dict[str, Any] = {
        "tiles": first_screen.tiles(
            headlines,
            rows(connection, "select * from marts.rpt_trends order by measure, period_to"),
            budget,
        ),
        "changes": first_screen.changes(changed),
        "steps": [step | {"advice": None} for step in steps if step["figure"] in sharing.FIGURES]
        if share
        else steps,
    }
    if share:
        return shown | {"answers": []}
    answered = {name: rows(connection, query) for name, query in ANSWERS.queries().items()}
    figures = {figure.job: figure.name for figure in FIGURES[::-1]}
    return shown | {"answers": answers.cards(answered, figures)}


def lines(text: str, indent: int = 0) -> str:
    """Break a text into lines of at most 72 characters, all but the first with `indent` spaces."""
    return "\n".join(textwrap.wrap(text, 72, subsequent_indent=" " * indent, break_on_hyphens=False))


def _sections(connection: duckdb.DuckDBPyConnection, share: bool) -> list[tuple[str, list[Shown]]]:
    """Return the drawn figures of each section; with `share` those for a wider circle."""
    vendors = {row["vendor"]: row for row in rows(connection, "select * from marts.dim_vendors")}
    small_groups = {
        row["relation"]: row["row_count"]
        for row in rows(connection, "from lineage.withheld where reason = 'small groups'")
    }
    sections = []
    with step("report", "sections drawn", len(SECTIONS)) as progress:
        for section in SECTIONS:
            progress.begin(section.name)
            feeds = {name: rows(connection, query) for name, query in section.queries().items()}
            shown = [
                _shown(figure, rows(connection, figure.query), feeds, vendors.get(section.vendor), share)
                for figure in section.figures
                if not share or figure.name in sharing.FIGURES
            ]
            if shown:
                counted = [
                    one._replace(small_group_count=small_groups.get(one.figure.model, 0)) for one in shown
                ]
                sections.append((section.name, counted))
            progress.end(section.name)
    return sections


def _shown(figure: Figure, found: Rows, feeds: Feeds, vendor: Mapping[str, Any] | None, share: bool) -> Shown:
    if share:
        found = [row for row in found if sharing.may_be_shared(row)]
    if not found:
        keyless = vendor["vendor_name"] if vendor and not vendor["has_key"] else ""
        return Shown(figure, None, "", [], 0, keyless)
    drawn = figure.draw(found, feeds)
    label = f"{figure.title}: {drawn.sentence}"
    svg = drawing.svg(drawn.chart, figure.name, label) if drawn.chart is not None else ""
    table = [
        {column: value for column, value in row.items() if column not in figure.unlisted}
        for row in (found if drawn.listed is None else drawn.listed)[:MOST_ROWS]
    ]
    if share:
        table = sharing.shared(table)
    return Shown(figure, drawn, svg, table, len(found))


def cell(value: Any, column: str) -> str:
    """Write a value of a table in the format that its column name implies."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int | float):
        if "share" in column:
            return f"{value:.1%}"
        return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
    return str(value)
