"""Draws the report: `python -m report` writes build/report.html from the published copy alone."""

from common import terminal  # isort: split

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import duckdb
import typer
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from common import settings as environment
from common import warehouse
from privacy import outside
from report import drawing
from report.figures import FIGURES, SECTIONS, Drawing, Figure

PAGE = environment.ROOT / "build" / "report.html"
MOST_ROWS = 200  # of a table

# The tiles, in order: what each is called and how its number is written.
TILES: Final = {
    "delivered": ("Delivered", "{:,.0f}"),
    "open_rate": ("Open rate", "{:.1%}"),
    "click_rate": ("Click rate", "{:.1%}"),
    "orders": ("Orders", "{:,.0f}"),
    "revenue": ("Revenue", "{:,.0f}"),
    "new_viewers": ("New viewers", "{:,.0f}"),
    "new_customers": ("New customers", "{:,.0f}"),
    "credits": ("Mavera credits", "{:,.0f}"),
}

VENDORS: Final = {"E-mail": "sendgrid", "Video": "wistia", "Customers": "klaviyo", "Campaigns": "klaviyo"}

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class ReportError(Exception):
    """The report cannot be drawn; the text says what to do."""


class Shown(NamedTuple):
    """A figure with its drawing, or without one where its model has no rows; `row_count` are all of them."""

    figure: Figure
    drawn: Drawing | None
    svg: str
    rows: list[dict[str, Any]]
    row_count: int
    keyless: str = ""  # the vendor that would have to fill it, where no run had a key for it
    small_group_count: int = 0  # rows that are not published, as they are about too few people


class Page(NamedTuple):
    """The page as it is written, how many figures it has, and how many of them wait for rows."""

    text: str
    figures: int
    empty: int


# --- what is read ------------------------------------------------------------------------------------


def rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    """Return the rows of a query by column. Raises ReportError where the copy is of another version."""
    try:
        found = connection.execute(query)
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        reason = str(error).splitlines()[0]
        raise ReportError(
            f"the published copy is of another version ({reason}). Run make transform, then the same command"
        ) from None
    names = [column[0] for column in found.description]
    return [dict(zip(names, map(_number, row), strict=True)) for row in found.fetchall()]


def _number(value: Any) -> Any:
    """Money as a number: a chart takes no decimals; a text without signs that hide or turn letters."""
    if isinstance(value, str):
        return outside.printable(value)
    return float(value) if isinstance(value, Decimal) else value


def tiles(headlines: Sequence[Mapping[str, Any]], budget: int) -> list[dict[str, str]]:
    """Return the numbers of the first screen in words, each with how it stood before."""
    found = {row["measure"]: row for row in headlines}
    return [
        {"name": title, "value": _written(shape, row["amount"]), **_beside(row, shape, budget)}
        for measure, (title, plain) in TILES.items()
        if (row := found.get(measure)) and row["amount"] is not None
        for shape in [_in_currency(plain, row["currency"])]
    ]


def _in_currency(shape: str, currency: str | None) -> str:
    """Return how money is written in a currency; a number alone where none is known, or it is no money."""
    if currency == "USD":
        return f"${shape}"
    return shape if currency in (None, "unknown") else f"{shape}\u00a0{currency}"


def _written(shape: str, value: float) -> str:
    return shape.format(value).replace("%", "\u00a0%")


def _beside(row: Mapping[str, Any], shape: str, budget: int) -> dict[str, str]:
    before = _written(shape, row["amount_before"] or 0)
    if row["measure"] == "credits":
        return {
            "window": f"{row['measured_to']:%B}",
            "change": f"of {budget:,}; the month before {before}",
            "sign": "",
        }
    days = row["window_days"]
    window = f"{days} days to {_day(row['measured_to'])}"
    ago = "the week before" if days == 7 else f"the {days} days before"
    if row["is_surely_different"] is not None:
        if row["is_rate"] and row["amount_before"] is None:
            return {"window": window, "change": f"nothing to compare with in {ago}", "sign": ""}
        verdict = "no sure change"
        if row["is_small_sample"]:
            verdict = "too few to compare"
        elif row["is_surely_different"]:
            verdict = "surely more" if row["amount"] > row["amount_before"] else "surely less"
        sign = {"surely more": "▲", "surely less": "▼"}.get(verdict, "")
        before += "" if days == 7 else " in"
        return {"window": window, "change": f"{verdict}; {before} {ago}", "sign": sign}
    share = row["change_share"]
    # Money comes in lots: a few orders move it, and whether there are surely more of them stands beside it.
    if share is None or round(100 * share) == 0 or row["measure"] == "revenue":
        others = f"; besides {row['other_currency_revenue']}" if row["other_currency_revenue"] else ""
        return {"window": window, "change": f"{_net(row, shape)}{before} {ago}{others}", "sign": ""}
    return {
        "window": window,
        "change": f"{_written('{:.0%}', abs(share))} from {before} {ago}",
        "sign": "▲" if share > 0 else "▼",
    }


def _net(row: Mapping[str, Any], shape: str) -> str:
    """Return what is left of the revenue; nothing where no order was canceled or refunded."""
    if row["net_amount"] in (None, row["amount"]):
        return ""
    return f"{_written(shape, row['net_amount'])} after cancellations and refunds; "


def since_last_run(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Say of each step what its latest run brought, beside the run before it; `runs` come latest first."""
    said = []
    for step in dict.fromkeys(run["step"] for run in runs):
        last, *others = [run for run in runs if run["step"] == step]
        before = f"the run before: {_brought(others[0])}" if others else "its first run"
        said.append(
            {"step": step, "when": _moment(last["started_at"]), "brought": _brought(last), "before": before}
        )
    return said


def _brought(run: Mapping[str, Any]) -> str:
    counts = (("row_count", "new row", "new rows"), ("credits", "credit", "credits"))
    parts = [
        f"{run[name]:,} {one if run[name] == 1 else many}"
        for name, one, many in counts
        if run[name] is not None
    ]
    if run["outcome"] != "well":
        parts.append(f"{run['outcome']}{': ' + run['detail'] if run['detail'] else ''}")
    return ", ".join(parts) or run["detail"] or "well"


def _moment(value: datetime) -> str:
    return f"{_day(value)}, {value:%H:%M}"


# --- the page ----------------------------------------------------------------------------------------


def draw(copy: Path, budget: int, now: datetime) -> Page:
    """Return the page of a published copy. Raises ReportError or WarehouseError where it cannot be read."""
    with warehouse.read_copy(copy) as connection:
        headlines = rows(connection, "select * from marts.rpt_headlines")
        steps = rows(
            connection, "select * from activation.rpt_next_steps order by urgency, affected_count desc, step"
        )
        runs = rows(connection, "select * from marts.fct_runs order by started_at desc")
        fresh = rows(connection, "select * from marts.fct_source_freshness")
        connection.execute("set variable credit_budget = ?", [budget])
        vendors = {row["vendor"]: row for row in rows(connection, "select * from marts.dim_vendors")}
        small_groups = {
            row["relation"]: row["row_count"]
            for row in rows(connection, "from lineage.withheld where reason = 'small groups'")
        }
        drawn = [
            _shown(figure, rows(connection, figure.query), vendors.get(VENDORS.get(figure.section, "")))
            for figure in FIGURES
        ]
    shown = [one._replace(small_group_count=small_groups.get(one.figure.model, 0)) for one in drawn]
    page = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    page.filters["cell"] = cell
    loaded = max((row["measured_at"] for row in fresh), default=None)
    text = page.get_template("page.html.j2").render(
        sections=[(name, [one for one in shown if one.figure.section == name]) for name in SECTIONS],
        tiles=tiles(headlines, budget),
        steps=steps,
        runs=since_last_run(runs),
        sandboxes=sorted({row["vendor"] for row in fresh if row["world"] == "sandbox"}),
        vendors=sorted({row["vendor"] for row in fresh}),
        newest=max((row["newest_row_at"] for row in fresh if row["newest_row_at"]), default=None),
        loaded=loaded,
        hours_since=(now - loaded).total_seconds() / 3600 if loaded else 0,
        limit_hours=max((row["limit_hours"] for row in fresh), default=0),
        drawn_at=now,
    )
    return Page(text, len(shown), sum(one.drawn is None for one in shown))


def _shown(figure: Figure, found: list[dict[str, Any]], vendor: Mapping[str, Any] | None) -> Shown:
    if not found:
        keyless = vendor["vendor_name"] if vendor and not vendor["has_key"] else ""
        return Shown(figure, None, "", [], 0, keyless)
    drawn = figure.draw(found)
    label = f"{figure.title}: {drawn.sentence}"
    svg = drawing.svg(drawn.chart, figure.name, label) if drawn.chart is not None else ""
    table = found if drawn.listed is None else list(drawn.listed)
    return Shown(figure, drawn, svg, table[:MOST_ROWS], len(found))


def cell(value: Any, column: str) -> str:
    """Write a value of a table by what its column's name says it is."""
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


def _day(value: date) -> str:
    return f"{value.day} {value:%b}"


# --- command -----------------------------------------------------------------------------------------


@app.command(epilog=terminal.DEBUG_HELP)
def main(
    to: Annotated[Path, typer.Option("--to", help="Where the page is written.")] = PAGE,
    as_json: Annotated[bool, typer.Option("--json", help="The same numbers for a machine.")] = False,
) -> None:
    """Draw the report from the published copy."""
    settings = environment.load()
    if not settings.published_path.exists():
        raise ReportError(f"{settings.published_path.name} is not there yet. Run make ingest transform first")
    started = time.monotonic()
    page = draw(settings.published_path, settings.credit_budget, datetime.now(UTC))
    with warehouse.beside(to, is_shared=True) as draft:
        draft.write_text(page.text, encoding="utf-8")
    size, seconds = to.stat().st_size, round(time.monotonic() - started, 1)
    numbers = {
        "path": str(to),
        "figures": page.figures,
        "empty": page.empty,
        "bytes": size,
        "seconds": seconds,
    }
    inside = to.relative_to(environment.ROOT) if to.is_relative_to(environment.ROOT) else to
    empty = f", {page.empty} of them empty" if page.empty else ""
    said = (
        f"{inside}: {page.figures} figures{empty}, {size / 1000:,.0f} kB in {seconds} s; open it in a browser"
    )
    typer.echo(json.dumps(numbers) if as_json else said)


if __name__ == "__main__":
    terminal.run(
        app,
        environment.SettingsError,
        warehouse.WarehouseError,
        ReportError,
        stopped="stopped; the page is the one before",
    )
