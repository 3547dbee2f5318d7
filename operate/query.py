"""Query the published copy: `python -m operate.query` is a prompt; with a file or SQL, it runs one query.

The copy is opened read-only for one statement at a time, so that the next statement reads a newer copy.
A statement has no access to other files or the network.
"""

from common import terminal  # isort: split

import csv
import io
import json
import os
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import duckdb
import typer

from common import copies, warehouse
from common import settings as environment
from privacy import outside

MOST_ROWS: Final = 200  # shown in a table; --csv and --json have all rows
STOP_EVERY_SECONDS: Final = 0.05
LEAST_WIDTH: Final = 12  # the narrowest that a column of text is cut to fit a terminal
LEAST_VALUE_WIDTH: Final = 20
# The beginning of a formula in spreadsheets, also in full-width letters.
FORMULA: Final = re.compile("\\s*[=+\\-@\uff1d\uff0b\uff0d\uff20]|[\t\r]")
SIGNED: Final = re.compile(r"[+-]?\d[\d.,]*")
NUMBER: Final = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class QueryError(Exception):
    """The query failed; the text says where."""


class Answer(NamedTuple):
    """The result of a statement: its columns, whether each is a number, and all rows."""

    names: list[str]
    are_numbers: list[bool]
    rows: list[tuple[Any, ...]]


def ask(path: Path, text: str, values: Sequence[Any] = (), origin: str = "", limit: int = 0) -> Answer:
    """Run one statement on the published copy at `path`; fetch at most `limit` rows, or all with 0.

    Raises QueryError, one line with `origin` and the line number, or WarehouseError without a copy.
    """
    place = f"{origin}, " if origin else ""
    warehouse.require_whole(path)
    with warehouse.connect(path, read_only=True) as connection:
        connection.execute(f"set errors_as_json = true; {warehouse.CONFINED}")
        try:
            statements = connection.extract_statements(text)
            if len(statements) != 1:
                found = f"{len(statements)} statements, but only one at a time can run"
                raise QueryError(place + (found if statements else "there is no statement"))
            described, rows = _fetched(connection, text, values, limit)
        except duckdb.Error as error:
            said = _unpublished(connection, text, error) or _one_line(str(error), text)
            raise QueryError(place + said) from error
    are_numbers = [bool(NUMBER.fullmatch(str(column[1]))) for column in described]
    return Answer([column[0] for column in described], are_numbers, rows)


def _fetched(
    connection: duckdb.DuckDBPyConnection, text: str, values: Sequence[Any], limit: int
) -> tuple[list[Any], list[tuple[Any, ...]]]:
    """Run one statement in another thread, so that this one receives Ctrl-C at once and stops DuckDB.

    If DuckDB receives it itself, its work may continue, and closing then waits for it to end.
    """

    def fetch() -> tuple[list[Any], list[tuple[Any, ...]]]:
        result = connection.execute(text, values)
        return result.description or [], result.fetchmany(limit) if limit else result.fetchall()

    with ThreadPoolExecutor(1) as beside:
        fetching = beside.submit(fetch)
        try:
            return fetching.result()
        except KeyboardInterrupt:
            while not fetching.done():  # an interrupt before its start has no effect
                connection.interrupt()
                time.sleep(STOP_EVERY_SECONDS)
            raise


def _unpublished(connection: duckdb.DuckDBPyConnection, text: str, error: duckdb.Error) -> str:
    """Return the setting that publishes a mart in the statement that the copy lacks, if any."""
    if not isinstance(error, duckdb.CatalogException):
        return ""
    try:
        asked = "select relation from lineage.withheld where reason = 'people'"
        relations = connection.execute(asked).fetchall()
    except duckdb.Error:  # a copy of an earlier version
        return ""
    named = (name for (name,) in relations if re.search(rf"\b{name.split('.')[1]}\b", text, re.IGNORECASE))
    do = "is not published: it has a row per person. Set PUBLISH_PEOPLE=true in .env, then make publish"
    return next((f"{name} {do}" for name in named), "")


def _one_line(message: str, text: str) -> str:
    """Return DuckDB's error after the number of its line in `text`.

    DuckDB's own line number ignores comments before a statement, but its byte position is right.
    """
    if not message.endswith("}"):
        return re.sub(r"^[\w ]+ Error: ", "", " ".join(message.split()))
    error = json.loads(message[message.index("{") :])
    words = " ".join(error["exception_message"].split())
    if "position" not in error:
        return words
    line = text.encode()[: int(error["position"])].count(b"\n") + 1
    return f"line {line}: {words}"


# --- output formats ----------------------------------------------------------------------------------


def as_table(answer: Answer, width: int | None = None) -> str:
    """Return a plain-text table with numbers aligned right, no wider than `width`.

    Columns of text are cut until it fits. If it cannot fit, each row is a block with one column per line.
    """
    shown = [[_cell(value) for value in row] for row in answer.rows[:MOST_ROWS]]
    names = [_cell(name) for name in answer.names]
    widths = [max(map(len, column)) for column in zip(names, *shown, strict=True)]
    if width and not _cut(widths, [*map(len, names)], answer.are_numbers, width):
        return as_blocks(answer, width)
    rules = ["-" * each for each in widths]
    lines = [_line(cells, widths, answer.are_numbers) for cells in (names, rules, *shown)]
    return "\n".join([*lines, _counted(answer)])


def _cut(widths: list[int], names: list[int], are_numbers: Sequence[bool], width: int) -> bool:
    """Cut columns of text, the widest first, until all fit; return whether they do.

    No number is cut, no name of a column, and no text to fewer than LEAST_WIDTH characters.
    """
    least = [
        each if is_number else max(name, min(each, LEAST_WIDTH))
        for each, name, is_number in zip(widths, names, are_numbers, strict=True)
    ]
    while (excess := sum(widths) + 2 * (len(widths) - 1) - width) > 0:
        spare = [each - low for each, low in zip(widths, least, strict=True)]
        if not any(spare):
            return False
        widest = max((each, at) for at, each in enumerate(widths) if spare[at])[1]
        widths[widest] -= min(1, excess)
    return True


def as_blocks(answer: Answer, width: int | None = None) -> str:
    """Return each row as a block, one column per line; long texts go on below their first line."""
    names = [_cell(name) for name in answer.names]
    margin = max(map(len, names), default=0) + 2
    room = max(LEAST_VALUE_WIDTH, width - margin) if width else None
    lines = []
    for number, row in enumerate(answer.rows[:MOST_ROWS], 1):
        lines.append(f"-- row {number} of {len(answer.rows):,} --")
        for name, value in zip(names, row, strict=True):
            text = _cell(value)
            first, *rest = (textwrap.wrap(text, room) if room else [text]) or [""]
            lines += [f"{name:{margin}}{first}".rstrip(), *(" " * margin + each for each in rest)]
    return "\n".join([*lines, _counted(answer)])


def _counted(answer: Answer) -> str:
    count = len(answer.rows)
    first = f"first {MOST_ROWS} of " if count > MOST_ROWS else ""
    return f"({first}{count:,} row{'' if count == 1 else 's'})"


def _line(cells: Sequence[str], widths: Sequence[int], are_numbers: Sequence[bool]) -> str:
    cut = [c if len(c) <= width else f"{c[: width - 2]}.." for c, width in zip(cells, widths, strict=True)]
    aligned = [
        cell.rjust(width) if is_number else cell.ljust(width)
        for cell, width, is_number in zip(cut, widths, are_numbers, strict=True)
    ]
    return "  ".join(aligned).rstrip()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.2e}" if 0 < abs(value) < 0.001 else f"{round(value, 4)}"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC) if value.tzinfo else value:%Y-%m-%d %H:%M:%S}"
    return " ".join(outside.printable(str(value)).split())


def as_csv(answer: Answer) -> str:
    """Return comma-separated values with a header line; null is empty."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow([_inert(name) for name in answer.names])
    lines.writerows(
        [value if value is None else _inert(_plain(value)) for value in row] for row in answer.rows
    )
    return text.getvalue().rstrip("\n")


def _inert(value: Any) -> Any:
    """Prefix a text with an apostrophe if a spreadsheet would read it as a formula."""
    if not isinstance(value, str):
        return value if isinstance(value, int | float) else _inert(str(value))
    text = "\n".join(outside.printable(line) for line in value.splitlines())
    return f"'{text}" if FORMULA.match(value) and not SIGNED.fullmatch(value) else text


def as_json(answer: Answer) -> str:
    """Return an array of objects; a decimal becomes a number, a time ISO 8601."""
    rows = [[_plain(value) for value in row] for row in answer.rows]
    return json.dumps([dict(zip(answer.names, row, strict=True)) for row in rows], default=str)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date) else value


# --- commands ----------------------------------------------------------------------------------------


@app.command(epilog=terminal.DEBUG_HELP)
def main(
    question: Annotated[
        str | None,
        typer.Argument(metavar="[FILE_OR_SQL]", help="A file or SQL; a prompt if left out."),
    ] = None,
    csv_: Annotated[bool, typer.Option("--csv", help="Comma-separated values.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print an array of objects as JSON.")] = False,
    vertical: Annotated[bool, typer.Option(help="Print one column per line, a block per row.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="The most rows; 0 for all.")] = 0,
    at: Annotated[
        str,
        typer.Option(metavar="DAY", help="Ask the copy that was current at the end of a day: 2026-11-01."),
    ] = "",
) -> None:
    """Query the published copy. queries/ has examples."""
    path = environment.load().published_path
    if at:
        path = copies.current_at(path, at)
    if csv_ + json_ + vertical > 1:
        raise QueryError("--csv, --json or --vertical, only one of them")
    if question is None and sys.stdin.isatty():
        from operate import prompt

        with terminal.left_to_command():
            prompt.run(path)
        return
    text, origin = _read(question)
    show(ask(path, text, origin=origin, limit=limit), as_csv_=csv_, as_json_=json_, vertical=vertical)


def show(answer: Answer, *, as_csv_: bool = False, as_json_: bool = False, vertical: bool = False) -> None:
    """Print an answer: a table that fits the terminal unless asked otherwise."""
    if as_csv_ or as_json_:
        typer.echo(as_csv(answer) if as_csv_ else as_json(answer))
    else:
        typer.echo((as_blocks if vertical else as_table)(answer, width()))


def _read(question: str | None) -> tuple[str, str]:
    """Return the statement and the name of its file, if it has one."""
    if question is None:
        return sys.stdin.buffer.read().decode(errors="replace"), ""
    question = os.fsencode(question).decode(errors="replace")  # undo the locale's decoding
    if question and (" " not in question.strip() or question.endswith(".sql")):
        file = Path(question)
        if not file.is_file():
            there = ", ".join(
                sorted(f"queries/{each.name}" for each in (environment.ROOT / "queries").glob("*.sql"))
            )
            raise QueryError(f"there is no file {question}. There are {there}")
        return file.read_text(encoding="utf-8"), question
    return question, ""


def width() -> int | None:
    """Return the columns of the output terminal; None for a file or a pipe, where nothing is cut."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


if __name__ == "__main__":
    terminal.run(
        app, environment.SettingsError, warehouse.WarehouseError, QueryError, stopped="stopped: no answer"
    )
