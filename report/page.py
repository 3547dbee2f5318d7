"""Read everything that the page shows from the published copy, and render page.html.j2."""

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
from report import answers, drawing, first_screen
from report.figures import Drawing, Feeds, Figure, Rows
from report.sections import FIGURES, SECTIONS
from report.sections.answers import SECTION as ANSWERS

PAGE = environment.ROOT / "build" / "report.html"
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
    """The text of the page, its number of figures, and how many of these have no rows."""

    text: str
    figures: int
    empty: int


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


def draw(copy: Path, budget: int, now: datetime) -> Page:
    """Return the page of a published copy. Raises ReportError or WarehouseError if it cannot be read."""
    with warehouse.read_copy(copy) as connection:
        connection.execute("set variable credit_budget = ?", [budget])
        sections = _sections(connection)
        shown: dict[str, Any] = {
            "tiles": first_screen.tiles(rows(connection, "select * from marts.rpt_headlines"), budget),
            "steps": rows(
                connection,
                "select * from activation.rpt_next_steps order by urgency, affected_count desc, step",
            ),
        }
        answered = {name: rows(connection, query) for name, query in ANSWERS.queries().items()}
        shown["answers"] = answers.cards(answered, {figure.job: figure.name for figure in FIGURES[::-1]})
        worlds = rows(
            connection, "select distinct vendor, world from marts.fct_source_freshness order by vendor"
        )
        (data,) = rows(connection, "select * from marts.rpt_data")
    page = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    page.filters["cell"] = cell
    loaded = data["measured_at"]
    text = page.get_template("page.html.j2").render(
        **shown,
        verdicts=answers.VERDICTS,
        sections=sections,
        sandboxes=[row["vendor"] for row in worlds if row["world"] == "sandbox"],
        vendors=list(dict.fromkeys(row["vendor"] for row in worlds)),
        newest=data["newest_row_at"],
        loaded=loaded,
        hours_since=(now - loaded).total_seconds() / 3600 if loaded else 0,
        limit_hours=data["limit_hours"] or 0,
        drawn_at=now,
    )
    figures = [one for _, figures in sections for one in figures]
    return Page(text, len(figures), sum(one.drawn is None for one in figures))


def _sections(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, list[Shown]]]:
    """Return the drawn figures of each section."""
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
                _shown(figure, rows(connection, figure.query), feeds, vendors.get(section.vendor))
                for figure in section.figures
            ]
            sections.append(
                (section.name,
                 [one._replace(small_group_count=small_groups.get(one.figure.model, 0)) for one in shown])
            )  # fmt: skip
            progress.end(section.name)
    return sections


def _shown(figure: Figure, found: Rows, feeds: Feeds, vendor: Mapping[str, Any] | None) -> Shown:
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
