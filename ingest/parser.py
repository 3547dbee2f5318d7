"""Reads JSON texts with DuckDB, in a database in memory, in a few threads of its own."""

import os
import re
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

_SHAPE = "select json_type($page, ['$', '$.data', '$.result', '$.id', '$.results'])"
_USUAL = re.compile(r'\s*(?:\[|\{\s*("data")\s*:\s*\[)')
"""The start of most pages, which says where their objects are; of others, DuckDB must read all to say it."""
OBJECTS = "<the objects of the answer>"
"""Where SQL about a page names the objects in it: their place differs from page to page."""
# Escapes one after the other, so that an escaped backslash hides none: a pair that is one character, a lone
# half of one (the group), any other.
_ESCAPES = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_HALVES = re.compile(r"\\u[dD]")
T = TypeVar("T")
RENEWED_BYTES = 8_000_000
"""How much a reader reads before it frees the memory of the pages that it read."""
_MEMORY = duckdb.connect(config={"threads": 1})


class _Reader:
    """A cursor with its parsed statements and plans."""

    def __init__(self) -> None:
        self.cursor = _MEMORY.cursor()
        # Parsing one page leaves nothing to optimize, and trying took half of a small page's time.
        self.cursor.execute("set timezone = 'UTC'; pragma disable_optimizer")
        self._statements: dict[str, duckdb.Statement] = {}
        self._plans: dict[str, str] = {}
        self._held = RENEWED_BYTES

    def ask(self, query: str, **values: Any) -> Any:
        """Run a query; its text is parsed once, which was a third of a small page's time."""
        if query not in self._statements:
            (self._statements[query],) = self.cursor.extract_statements(query)
        return self.cursor.execute(self._statements[query], values)

    def read(self, query: str, page: str) -> Any:
        """Run a query over a page.

        DuckDB plans it once, because planning took as long as reading a small page. A plan has no parameters
        here, so it reads the page from a table.
        """
        self._held += len(page)
        if self._held > RENEWED_BYTES:  # its memory is not freed otherwise; the plans are made again
            self.ask("create or replace temp table read_page (page varchar)")
            self._held = len(page)
        self.ask("truncate read_page")
        self.ask("insert into read_page values ($page)", page=page)
        if query not in self._plans:
            planned, name = query.replace("$page", "(select page from read_page)"), f"plan_{len(self._plans)}"
            self.cursor.execute(f"prepare {name} as {planned}")
            self._plans[query] = f"execute {name}"
        return self.ask(self._plans[query])


_OWN = threading.local()
_THREADS = ThreadPoolExecutor(
    min(os.cpu_count() or 1, 4), "parser", lambda: setattr(_OWN, "reader", _Reader())
)
"""Few threads read the pages of all: each keeps its plans, and the memory that DuckDB allocates by thread."""


def _with_reader(do: Callable[[_Reader], T]) -> T:
    return _THREADS.submit(lambda: do(_OWN.reader)).result()


# Arrow directly from `execute` copies the rows once more, and DuckDB warns of it; its other way plans each
# query twice.
warnings.filterwarnings("ignore", "Arrow output on a DB-API result")


def read(page: str, query: str) -> pa.Table:
    """Return what a query finds in the objects of a page."""
    over = _over(query, page)
    found: pa.Table = _with_reader(lambda reader: reader.read(over, page).to_arrow_table())
    return found


def examine(page: str, query: str, **values: Any) -> list[tuple[Any, ...]]:
    """Return the rows that a query with values finds in the objects of a page."""
    return _rows(_over(query, page), page=page, **values)


def _rows(query: str, **values: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = _with_reader(lambda reader: reader.ask(query, **values).fetchall())
    return found


def _over(query: str, page: str) -> str:
    """Return a query over the objects of a page.

    They are a bare array, an array in an envelope, or one object in place of either. An object's own
    `results` are not objects of the answer.
    """
    if seen := _USUAL.match(page):
        return _filled(query, ".data" if seen[1] else "", "ARRAY")
    around, data, result, own, results = cell(_SHAPE, page=page)
    places = {".data": data, ".result": result, ".results": None if own else results}
    found = next(
        ((place, kind) for place, kind in places.items() if kind and around != "ARRAY"), ("", around)
    )
    return _filled(query, *found)


@lru_cache(None)
def _filled(query: str, place: str, kind: str) -> str:
    path = f"'${place}[*]'" if kind == "ARRAY" else f"'${place}'"
    objects = f"json_extract($page, {path})"
    return query.replace(OBJECTS, f"unnest({objects})" if kind == "ARRAY" else objects)


def cell(query: str, **values: Any) -> Any:
    """Return the one value that a query finds."""
    ((found,),) = _rows(query, **values)
    return found


def value(page: str, path: str) -> str | None:
    """Return the text at a JSON path of a page, such as a paging link or a total; None if there is none."""
    found: str | None = cell(
        "select json_extract_string($page, $path)", page=of_whole_characters(page), path=path
    )
    return found


def of_whole_characters(page: str) -> str:
    """Repair half characters: DuckDB refuses a whole page for one, and so would every later run."""
    if "\\" not in page or not _HALVES.search(page):  # one sign is found twenty times as fast as three
        return page
    return _ESCAPES.sub(lambda found: r"\ufffd" if found[1] else found[0], page)


def is_json(text: str) -> bool:
    return bool(cell("select json_valid($text)", text=of_whole_characters(text)))


def over(rows: pa.Table | pa.RecordBatch, query: str, **values: Any) -> pa.Table:
    """Return what a query finds in rows, which it calls `given`."""

    def find(reader: _Reader) -> pa.Table:
        reader.cursor.register("given", rows)
        found = reader.cursor.execute(query, values).to_arrow_table()
        reader.cursor.unregister("given")
        return found

    return _with_reader(find)


def json_of(rows: pa.RecordBatch) -> str:
    """Return the rows as a JSON array of objects, without the fields that are null."""
    query = "select json_group_array(json_merge_patch('{}', to_json(given)))::varchar as page from given"
    return str(over(rows, query).column("page")[0].as_py())
