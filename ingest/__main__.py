"""python -m ingest [SOURCE...]: load the vendors' data, then report the rows that came in."""

from common import terminal  # isort: split

import json
import os
import re
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from common import runs, settings
from common.progress import Progress, State, clock
from common.warehouse import WarehouseError
from ingest import vendors
from ingest.errors import BrokenOffError, NotStartedError
from ingest.model import Job, Summary
from ingest.pipeline import run

NAMES = [source.name for source in vendors.SOURCES]
WIDTH = 80 - len("06:00:04 ")
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Shown:
    """The progress of a load: a part for each table."""

    def __init__(self, console: Console | None = None) -> None:
        self.progress = Progress("ingest", "tables", console=console)

    def begin(self, jobs: Sequence[Job]) -> None:
        self._jobs, self.progress.total = jobs, len(jobs)
        self._open = [job.source.name for job in jobs]
        for job in jobs:
            self.progress.begin(_name(job), partial(_state, job))
        self.progress.__enter__()

    def skip(self, source: str, reason: str) -> None:
        self.progress.say(f"{source:<8} skipped: {reason}")

    def finish(self, job: Job) -> None:
        line = "" if job.has_failed else _line(job)  # failures are reported at the end, by reason
        self.progress.end(_name(job), line, table=job.name, seconds=round(job.outcome.seconds, 1))
        self._open.remove(job.source.name)
        if self.progress.is_live and job.source.name not in self._open:
            self.progress.say(_folded([each for each in self._jobs if each.source is job.source]))

    def end(self) -> None:
        self.progress.__exit__()


def _state(job: Job, _seconds: float) -> State:
    """Return the rows read so far and the time left where known, or the reason for waiting."""
    tally = job.client.tally
    if job.is_read:
        return State("loading", is_queued=True)
    ending = "" if tally.seconds_left is None else f"  ETA {clock(tally.seconds_left)}"
    counted = f"{tally.rows:,} rows  {tally.requests:,} req{ending}" if tally.requests else ""
    return State(tally.waiting or counted, tally.done, tally.total, tally.seconds_left, tally.requests)


def _name(job: Job) -> str:
    return f"{job.source.name:<8} {job.resource.name:<22}"


def _folded(jobs: Sequence[Job]) -> str:
    """Return the line of a source all of whose tables are done."""
    loaded = [job.outcome for job in jobs if job.error is None]
    changed = sum(outcome.rows_changed for outcome in loaded)
    news = f"+{sum(outcome.rows_new for outcome in loaded):,} new" + (
        f", {changed:,} changed" if changed else ""
    )
    read, seconds = sum(outcome.rows_read for outcome in loaded), max(job.outcome.seconds for job in jobs)
    tables = f"{len(loaded)} of {len(jobs)} tables"
    return f"{jobs[0].source.name:<8} {tables:<22} {read:>9,} rows  {news:<16} {seconds:>4.0f} s"


def _line(job: Job) -> str:
    outcome = job.outcome
    name = _name(job)
    if job.error is not None:
        return f"{name} skipped: the key lacks {job.resource.scope}"
    news = [f"+{outcome.rows_new:,} new"]
    if outcome.rows_changed:
        news.append(f"{outcome.rows_changed:,} changed")
    if outcome.rows_late:
        news.append(f"{outcome.rows_late:,} late ({outcome.latest_days:.1f} days)")
    is_deep = job.is_deep and job.last is not None and job.resource.overlap
    line = f"{name} {outcome.rows_read:>9,} rows  {', '.join(news):<16} {outcome.seconds:>4.0f} s"
    line += "  deep re-read" if is_deep else ""
    return line if len(line) <= WIDTH else re.sub(" +", " ", line)  # in columns while there is room


def _aside(job: Job) -> str:
    """Return the values and rows of a table that this run set aside, by field and reason."""
    counts = job.outcome.set_aside
    total = sum(each["count"] for each in counts)
    said = [f"{each['field']} {each['reason']} {each['count']:,}" for each in counts]
    return f"{total:,} set aside ({', '.join(said)})"


def _verdict(summary: Summary) -> str:
    failed = {job.source.name for job in summary.jobs if job.has_failed}
    names = {job.source.name for job in summary.jobs} | summary.skipped.keys()
    loaded = names - failed - summary.skipped.keys()
    new = sum(job.outcome.rows_new for job in summary.jobs)
    parts = [f"{len(loaded)} of {len(names)} sources loaded", f"{new:,} new rows"]
    if failed:
        parts.append(f"{len(failed)} failed")
    if summary.skipped:
        parts.append(f"{len(summary.skipped)} skipped")
    return ", ".join(parts)


def _totals(summary: Summary) -> dict[str, int]:
    counted = ("requests", "waits", "rows_read", "rows_new", "rows_changed", "rows_late")
    return {name: sum(getattr(job.outcome, name) for job in summary.jobs) for name in counted}


def _as_json(summary: Summary) -> str:
    outcomes = [asdict(job.outcome) | {"seconds": job.outcome.seconds} for job in summary.jobs]
    report = {
        "verdict": _verdict(summary),
        "totals": _totals(summary),
        "resources": outcomes,
        "skipped": summary.skipped,
        "errors": summary.errors,
        "warnings": summary.notices,
        "doubts": [asdict(doubt) for doubt in summary.doubts],
    }
    return json.dumps(report, default=lambda moment: moment.isoformat())


def _end_at_once(words: str) -> NoReturn:
    """Print the reason and exit at once: reading threads have nothing to save, and would delay the exit."""
    typer.echo(words, err=True)
    sys.stderr.flush()
    os._exit(1)


@app.command()
def ingest(
    sources: Annotated[list[str] | None, typer.Argument(help=f"Of {', '.join(NAMES)}; all.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    believe: Annotated[
        list[str] | None,
        typer.Option(metavar="RESOURCE", help="Take its answer as it is, however empty. Repeatable."),
    ] = None,
    deep: Annotated[bool, typer.Option(help="Read all of what may come late, as once a week.")] = False,
    debug: Annotated[bool, typer.Option(help="Show where an error was raised.")] = False,
) -> None:
    """Load the vendors' and Mavera's data into the warehouse. Safe to run again at any time."""
    unknown = set(sources or ()) - set(NAMES)
    if unknown:
        raise typer.BadParameter(
            f"no such source: {', '.join(sorted(unknown))}. There are {', '.join(NAMES)}"
        )
    report = Shown()
    try:
        loaded = settings.load()
        with runs.recorded(loaded, "ingest", sources or ()) as record:
            summary = run(loaded, vendors.SOURCES, sources or NAMES, report, deep=deep, believe=believe or ())
            totals = _totals(summary)
            record.row_count, record.request_count, record.wait_count = (
                totals["rows_new"],
                totals["requests"],
                totals["waits"],
            )
            record.detail = _verdict(summary)
            record.fail(summary.errors)
    except (settings.SettingsError, NotStartedError, WarehouseError) as error:
        if debug:
            traceback.print_exc()
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    except BrokenOffError as error:
        if debug:
            traceback.print_exc()
        report.end()
        _end_at_once(f"error: {error}")
    report.end()
    for job in summary.jobs:
        if debug and job.error is not None:
            traceback.print_exception(job.error)
    for job in summary.jobs:
        if job.outcome.set_aside:
            typer.echo(f"aside {job.name}: {_aside(job)}", err=True)
    for notice in summary.notices:
        typer.echo(f"warn  {notice}", err=True)
    for complaint in summary.errors:
        typer.echo(f"error: {complaint}", err=True)
    typer.echo(_as_json(summary) if as_json else _verdict(summary))
    raise typer.Exit(1 if summary.errors else 0)


if __name__ == "__main__":
    terminal.run(app, stopped="stopped; what was loaded is kept, make ingest reads the rest")
