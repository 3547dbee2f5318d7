"""Reads JSON texts with DuckDB, in a database in memory with a cursor per thread."""

import re
import threading
import warnings
from functools import lru_cache
from typing import Any

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
_MEMORY = duckdb.connect(config={"threads": 1})


class _Reader(threading.local):
    """A thread's cursor, with its parsed statements and plans: several vendors' pages are read at once."""

    def __init__(self) -> None:
        self.cursor = _MEMORY.cursor()
        # Parsing one page leaves nothing to optimize, and trying took half of a small page's time.
        self.cursor.execute("set timezone = 'UTC'; pragma disable_optimizer")
        self.cursor.execute("create temp table read_page (page varchar)")
        self.statements: dict[str, duckdb.Statement] = {}
        self.plans: dict[str, str] = {}


_READER = _Reader()
# Arrow directly from `execute` copies the rows once more, and DuckDB warns of it; its other way plans each
# query twice.
warnings.filterwarnings("ignore", "Arrow output on a DB-API result")


def asked(query: str, **values: Any) -> Any:
    """Run a query of this thread; its text is parsed once, which was a third of a small page's time."""
    reader = _READER
    if query not in reader.statements:
        (reader.statements[query],) = reader.cursor.extract_statements(query)
    return reader.cursor.execute(reader.statements[query], values)


def read(page: str, query: str, **values: Any) -> Any:
    """Run a query over the objects of a page.

    DuckDB plans it once a thread: planning took as long as reading a small page. A plan has no parameters
    here, so it reads the page from a table.
    """
    query = _over(query, page)
    if values:
        return asked(query, page=page, **values)
    plans = _READER.plans
    asked("truncate read_page")
    asked("insert into read_page values ($page)", page=page)
    if query not in plans:
        planned, name = query.replace("$page", "(select page from read_page)"), f"plan_{len(plans)}"
        _READER.cursor.execute(f"prepare {name} as {planned}")
        plans[query] = f"execute {name}"
    return asked(plans[query])


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
    ((found,),) = asked(query, **values).fetchall()
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


def json_of(rows: pa.RecordBatch) -> str:
    """Return the rows as a JSON array of objects, without the fields that are null."""
    cursor = _READER.cursor
    cursor.register("rows", rows)
    query = "select json_group_array(json_merge_patch('{}', to_json(rows)))::varchar from rows"
    found: str = cursor.execute(query).fetchall()[0][0]
    cursor.unregister("rows")
    return found
