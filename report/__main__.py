"""Write the report: `python -m report` makes build/report.html from the published copy alone."""

from common import terminal  # isort: split

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from common import settings as environment
from common import warehouse
from report.page import PAGE, SHARED_PAGE, ReportError, draw

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(epilog=terminal.DEBUG_HELP)
def main(
    to: Annotated[Path | None, typer.Option("--to", help="Where the page is written.")] = None,
    share: Annotated[
        bool, typer.Option("--share", help="Leave out what a wider circle should not see.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the same numbers as JSON.")] = False,
) -> None:
    """Draw the report from the published copy, and a summary for a mail beside it."""
    settings = environment.load()
    if not settings.published_path.exists():
        raise ReportError(f"{settings.published_path.name} is not there yet. Run make ingest transform first")
    started = time.monotonic()
    to = to or (SHARED_PAGE if share else PAGE)
    page = draw(settings.published_path, settings.credit_budget, datetime.now(UTC), share=share)
    to.parent.mkdir(parents=True, exist_ok=True)
    page.write(to)
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
        stopped="stopped; the previous page is unchanged",
    )
