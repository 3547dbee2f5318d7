"""The contents of every mart and sync model over the small warehouse, a file each in
tests/transform/expected.

`python -m tests.expected` writes them again, with the text of the report. Read the difference before you
commit it: a value that changed for no known reason is a bug.
"""

import csv
import hashlib
import io
import json
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import typer
import yaml

from report import page
from tests import models, small
from transform import publish

FOLDER = small.HERE / "transform" / "expected"
REPORT = FOLDER / "report.txt"
LAYERS = ("marts", "activation")
DIGITS = 9  # of a number; later digits differ by engine and order of summing
# A longer model is stored as every n-th row, with a hash of all of them.
MOST_ROWS, KEPT_ROWS = 200, 20
NOW = datetime(2026, 1, 7, 12, tzinfo=UTC)  # the time of the report
TEXT_OF_MOST_CELLS = 6  # for a table of the report: the rest is in the marts


class Contract(NamedTuple):
    """The columns of a model with their types, and the rows that its unit tests expect."""

    columns: Mapping[str, str]
    expected: Sequence[Mapping[str, Any]]


def contracts() -> dict[str, Contract]:
    """Return the declarations of every mart and sync model, by name. Nothing is built."""
    found: dict[str, dict[str, str]] = {}
    expected: dict[str, list[Mapping[str, Any]]] = {}
    for layer in LAYERS:
        for path in sorted((small.PROJECT / "models" / layer).rglob("*.yml")):
            written = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
            for model in written.get("models", ()):
                found[model["name"]] = {column["name"]: column["data_type"] for column in model["columns"]}
            for test in written.get("unit_tests", ()):
                rows = test["expect"].get("rows", ())
                expected.setdefault(test["model"], []).extend(rows if isinstance(rows, list) else ())
    return {name: Contract(columns, expected.get(name, ())) for name, columns in found.items()}


# --- files -------------------------------------------------------------------------------------------


def path_of(model: str) -> Path:
    return FOLDER / f"{model}.{'json' if model.startswith('sync_') else 'csv'}"


def written(model: str, connection: duckdb.DuckDBPyConnection) -> str:
    """Return the text that a model's file must have for the warehouse's rows."""
    ((schema,),) = connection.execute(
        "select table_schema from information_schema.tables where table_name = ?", [model]
    ).fetchall()
    found = connection.execute(f'from "{schema}"."{model}"')
    names = [column[0] for column in found.description]
    rows = sorted(tuple(_text(value) for value in row) for row in found.fetchall())
    if model.startswith("sync_"):
        records = [{name: _opened(text) for name, text in zip(names, row, strict=True)} for row in rows]
        return json.dumps(records, indent=1, ensure_ascii=False) + "\n"
    file = io.StringIO()
    lines = csv.writer(file, lineterminator="\n")
    lines.writerows([names, *_fewer(rows)])
    return file.getvalue()


def _fewer(rows: Sequence[tuple[str, ...]]) -> Iterator[Sequence[str]]:
    if len(rows) <= MOST_ROWS:
        yield from rows
        return
    kept = list(rows[:: len(rows) // KEPT_ROWS])
    for place in range(len(rows[0])):  # every column that has values keeps one
        if not any(row[place] for row in kept):
            kept += [row for row in rows if row[place]][:1]
    yield from kept
    whole = hashlib.sha256("\n".join("\t".join(row) for row in rows).encode()).hexdigest()
    yield [f"{len(rows)} rows", whole]


def _text(value: Any) -> str:
    """Return a value as a cell: empty for null, and numbers rounded so that engines agree."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | Decimal):
        return _number(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, str):
        if value[:1] in {"{", "["}:
            return json.dumps(_plain(json.loads(value)), ensure_ascii=False)
        return value or "''"
    return str(value)


def _number(value: float | Decimal) -> str:
    return f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    """Return nested facts with every number rounded in the same way."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return float(_number(value)) if isinstance(value, float) else value


def _opened(text: str) -> Any:
    return json.loads(text) if text[:1] in {"{", "["} else text


# --- the report's text -------------------------------------------------------------------------------


class _Said(HTMLParser):
    """Collects the text of a page, a line per element, without drawings; of tables only the first rows."""

    silent = frozenset({"script", "style", "svg"})
    lines_of = frozenset(
        {"p", "h1", "h2", "h3", "li", "figcaption", "tr", "section", "figure", "div", "summary"}
    )

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = [""]
        self.inside = 0
        self.row = 0

    def handle_starttag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        self.inside += tag in self.silent
        if tag == "table":
            self.row = 0
        self.row += tag == "tr"
        if tag in self.lines_of:
            self.said.append("")
        if tag in {"td", "th"}:
            self.said[-1] += " | "

    def handle_endtag(self, tag: str) -> None:
        self.inside -= tag in self.silent
        if tag == "table":
            self.row = 0
        if tag in self.lines_of:
            self.said.append("")

    def handle_data(self, data: str) -> None:
        if not self.inside and self.row < TEXT_OF_MOST_CELLS:
            self.said[-1] += data


def said(html: str) -> str:
    """Return the text of a page of the report, line by line."""
    parser = _Said()
    parser.feed(html)
    lines = (re.sub(r"\s+", " ", line).strip(" |") for line in parser.said)
    return "\n".join(line for line in lines if line) + "\n"


def report_of(warehouse: Path, folder: Path) -> str:
    """Return the report's text for a warehouse, which is published into `folder`."""
    copy = folder / "published.duckdb"
    models.record_all(warehouse)
    publish.publish(warehouse, copy, warehouse.with_name("salt"), people=True, smallest_cohort=1)
    return said(page.draw(copy, 1000, NOW).text)


# --- command -----------------------------------------------------------------------------------------


def files(warehouse: Path, folder: Path) -> Iterable[tuple[Path, str]]:
    """Return every file with its text, for a warehouse that is published into `folder`."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        for model in contracts():
            yield path_of(model), written(model, connection)
    yield REPORT, report_of(warehouse, folder)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        whole = small.whole(Path(sys.argv[1] if len(sys.argv) > 1 else folder))
        texts = dict(files(whole, Path(folder)))
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.iterdir():
        if path not in texts:
            path.unlink()
            typer.echo(f"gone: {path.name}")
    for path, text in texts.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            typer.echo(f"written: {path.name}")


if __name__ == "__main__":
    main()
