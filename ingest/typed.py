"""A page of a vendor's answer, as text, to a typed Arrow table: declared once per raw table, done by DuckDB.

Python never builds an object per row: DuckDB takes the page apart with its JSON functions, at a third of the
CPU that `json` needs. Nested values stay the vendor's own text. Fields that nobody listed go into the column
`other`. A value that is not of its column's type is an error that names it, never a null and never text.
"""

import json
import re
import threading
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import duckdb
import pyarrow as pa

Type = Literal["text", "scalar", "bool", "bigint", "double", "timestamptz", "date", "json"]

ARROW: dict[Type, pa.DataType] = {
    "text": pa.string(),
    "scalar": pa.string(),  # text that a vendor also sends as a number
    "bool": pa.bool_(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "date": pa.date32(),
    "json": pa.string(),
}
SQL: dict[Type, str] = {name: name for name in ARROW} | {"text": "varchar", "scalar": "varchar"}
DLT: dict[Type, str] = {name: name for name in ARROW} | {"scalar": "text", "timestamptz": "timestamp"}
NUMBERS = "('UBIGINT', 'BIGINT', 'HUGEINT', 'DOUBLE')"
# `{0}` is the value as text, `{1}` its JSON type. A number in quotes is still that number, 1.5 is no integer.
CASTS: dict[Type, str] = {
    "text": "case when {1} = 'VARCHAR' then {0} end",
    "scalar": "case when {1} not in ('OBJECT', 'ARRAY') then {0} end",
    "bool": "case when {1} = 'BOOLEAN' then try_cast({0} as boolean) end",
    "bigint": "case when {1} not in ('DOUBLE', 'BOOLEAN') then try_cast({0} as bigint) end",
    "double": "case when {1} <> 'BOOLEAN' then try_cast({0} as double) end",
    "timestamptz": f"case when {{1}} in {NUMBERS} then to_timestamp(try_cast({{0}} as double)) "
    "else try_cast({0} as timestamptz) end",
    "date": "case when {1} = 'VARCHAR' then try_cast({0} as date) end",
}
_ROWS = """found as (
    select case json_type(page) when 'ARRAY' then page
        else coalesce(
            page -> 'data', page -> 'result',
            case when (page -> 'id') is null then page -> 'results' end,
            page
        ) end as found
    from (select $page::json as page)
), {0} as (
    select unnest(from_json(
        case json_type(found) when 'ARRAY' then found else json_array(found) end, '["JSON"]'
    )) as row from found
)"""
# Escapes one after the other, so that an escaped backslash hides none: a pair that is one character, half of
# one that stands alone (the group), any other.
_ESCAPES = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
SAID = {"VARCHAR": "text", "BOOLEAN": "bool", "UBIGINT": "bigint", "OBJECT": "json", "ARRAY": "json"}


class BrokenBodyError(Exception):
    """The body is not JSON, or not the rows that were asked for: ask again."""


class ChangedTypeError(Exception):
    """A value is not of its column's type: nothing of this read is kept until a person has looked."""


@dataclass(frozen=True)
class Column:
    """A column of a raw table and where a row of the vendor has it.

    `at` is the object inside the row that holds the field, `field` the field's name where it is not the
    column's. A `known` column is in no answer: it comes from the request (the segment that was asked, the
    day).
    """

    name: str
    type: Type
    at: str = ""
    field: str = ""
    known: bool = False

    @property
    def path(self) -> list[str]:
        return [*filter(None, self.at.split(".")), self.field or self.name]


def _path(column: Column) -> str:
    return "$." + ".".join(column.path)


def each(type: Type, names: str, at: str = "") -> list[Column]:  # noqa: A002
    """Several columns of one type; `names` parts them with blanks."""
    return [Column(name, type, at) for name in names.split()]


@dataclass(frozen=True)
class Table:
    """A raw table: where it is, what identifies a row, its columns, and what of a row is left out on purpose.

    `opens` names an array inside each row whose elements are the rows that count; fields around it are
    repeated. Where they lie deeper, `unfolds` is SQL from `around`, whose `row` is each object of the answer,
    to the rows that count, as JSON in `row`. `newest` is the column that tells which of two rows with one key
    is the newer, where the vendor has one.
    """

    schema: str
    name: str
    key: tuple[str, ...]
    columns: list[Column] = field(hash=False)
    drops: str = ""
    opens: str = ""
    unfolds: str = ""
    newest: str = ""

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        fields = [pa.field(c.name, ARROW[c.type], nullable=c.name not in self.key) for c in self.columns]
        return pa.schema([*fields, pa.field("other", pa.string())])

    @cached_property
    def sql_columns(self) -> dict[str, str]:
        """Column to DuckDB type, as the table stands in the warehouse."""
        return {c.name: SQL[c.type] for c in self.columns} | {"other": "json", "_dlt_load_id": "varchar"}

    @cached_property
    def dlt_columns(self) -> dict[str, dict[str, Any]]:
        hints = {c.name: {"data_type": DLT[c.type], "nullable": c.name not in self.key} for c in self.columns}
        return hints | {"other": {"data_type": "json", "nullable": True}}

    @cached_property
    def _read(self) -> list[Column]:
        return [c for c in self.columns if not c.known]

    @cached_property
    def _scalars(self) -> list[Column]:
        return [c for c in self._read if c.type != "json"]

    @cached_property
    def _query(self) -> str:
        """SQL from `$page` to the columns it holds, `other`, and whether a value or the key is wrong.

        Scalars are taken out in one pass over the row, their JSON types in another, so that a number where
        text was promised is seen; nested values are copied as they stand.
        """
        cells = {c.name: (f"text_of[{n}]", f"type_of[{n}]") for n, c in enumerate(self._scalars, 1)}
        nested = [c.name for c in self._read if c.type == "json"]
        copied = [f"row -> '{_path(c)}' as {c.name}" for c in self._read if c.type == "json"]
        cast = [f"{CASTS[c.type].format(*cells[c.name])} as {c.name}" for c in self._scalars]
        kept = [f"nullif({name}::varchar, 'null') as {name}" for name in nested]
        wrong = [f"{c.name} is null and type_of[{n}] <> 'NULL'" for n, c in enumerate(self._scalars, 1)]
        nothing = [f"{c.name} is null" for c in self._scalars if c.name in self.key]
        is_wrong = " or ".join([*wrong, *nothing]) or "false"  # all may be known or nested
        return f"""
            with {self._rows},
            cells as (
                select
                    json_extract_string(row, {self._paths}) as text_of,
                    json_type(row, {self._paths}) as type_of,
                    {"".join(f"{each}, " for each in copied)}
                    nullif(json_merge_patch(row, '{self._listed}')::varchar, '{self._rest}') as other
                from rows
            ),
            cast_once as (select {", ".join([*cast, *kept, "other", "type_of"])} from cells)
            select * exclude (type_of), coalesce({is_wrong}, false) as is_wrong
            from cast_once
        """

    @cached_property
    def _rows(self) -> str:
        """SQL: the rows of an answer: a bare array, an array in an envelope, or one object in place of
        either, whose own `results` are no rows."""
        if self.unfolds:
            return f"{_ROWS.format('around')}, rows as ({self.unfolds})"
        if not self.opens:
            return _ROWS.format("rows")
        return f"""{_ROWS.format("around")}, inside as (
            select json_merge_patch(row, '{{"{self.opens}": null}}') as row, unnest(from_json(
                row -> '{self.opens}', '["JSON"]')) as element from around
        ), rows as (select json_merge_patch(row, element) as row from inside)"""

    @cached_property
    def _paths(self) -> str:
        return "[" + ", ".join(f"'{_path(c)}'" for c in self._scalars) + "]::varchar[]"

    @cached_property
    def _listed(self) -> str:
        """A merge patch that removes every listed or dropped field: null deletes (RFC 7396)."""
        patch: dict[str, Any] = {}
        for column in self._read:
            *around, last = column.path
            inside = patch
            for name in around:
                inside = inside.setdefault(name, {})
            inside[last] = None
        return json.dumps(patch | dict.fromkeys(self.drops.split()))

    @cached_property
    def _rest(self) -> str:
        """What `_listed` leaves of a row in which nothing is unlisted."""

        def emptied(patch: dict[str, Any]) -> dict[str, Any]:
            return {name: emptied(inner) for name, inner in patch.items() if inner is not None}

        return json.dumps(emptied(json.loads(self._listed)), separators=(",", ":"))

    def rows(self, page: str, known: Mapping[str, Any]) -> pa.Table:
        """The rows of one page, typed, in the vendor's order.

        Half of a character, as a text that was cut has it, becomes U+FFFD. Raises BrokenBodyError when the
        page is not JSON and ChangedTypeError when a value does not fit its column.
        """
        page = _of_whole_characters(page)
        try:
            found: Any = _cursor().execute(self._query, {"page": page}).to_arrow_table()
        except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
            raise BrokenBodyError("it is not JSON") from error  # DuckDB's text would quote the answer
        wrong = found.column("is_wrong").to_pylist()
        if any(wrong):
            raise self._complaint(page, wrong.index(True))
        count = found.num_rows
        arrays = [
            pa.array([known[c.name]] * count, ARROW[c.type])
            if c.known
            else found.column(c.name).cast(ARROW[c.type])
            for c in self.columns
        ]
        return pa.table([*arrays, found.column("other").cast(pa.string())], schema=self.arrow_schema)

    def from_rows(self, rows: Iterable[dict[str, Any]]) -> pa.Table:
        """The same table from Python values, for the one source that is no web service."""
        return pa.Table.from_pylist(list(rows), schema=self.arrow_schema)

    def _complaint(self, page: str, position: int) -> Exception:
        """What is wrong in the row at `position`; says a value only where it cannot be about a person."""
        query = (
            f"with {self._rows} select json_keys(row), json_extract_string(row, {self._paths}), "
            f"json_type(row, {self._paths}) from rows limit 1 offset {position}"
        )
        fields, texts, types = _cursor().execute(query, {"page": page}).fetchall()[0]
        if texts is None:
            return BrokenBodyError("null where a row was promised")
        shown_key = [name for name in self.key if name != "email"]  # an address is for no message
        keys = [texts[n] for n, c in enumerate(self._scalars) if c.name in shown_key and texts[n] is not None]
        which = f"{self.name.removesuffix('s').replace('_', ' ')} {' '.join(keys)}".rstrip()
        for column, text, said in zip(self._scalars, texts, types, strict=True):
            if said in (None, "NULL"):
                continue
            cast = CASTS[column.type]
            fits = _cursor().execute(f"select {cast.format('$1', '$2')}", [text, said]).fetchall()[0][0]
            if fits is None:
                shown = f'"{text[:40]}", ' if column.type not in ("text", "scalar") else ""
                before, now = DLT[column.type], SAID.get(said, said.lower())
                return ChangedTypeError(
                    f"{self.full_name}.{column.name} was {before}, now {now} ({shown}{which}). "
                    "Load not kept: docs/operating.md, Types"
                )
        return BrokenBodyError(
            f"a row without its key ({', '.join(self.key)}); its fields: {', '.join(fields)[:80]}"
        )


_MEMORY = duckdb.connect(config={"threads": 1})
_THREAD = threading.local()


# Arrow straight from `execute` copies the rows once more, which DuckDB warns of; its other way plans each
# query twice.
warnings.filterwarnings("ignore", "Arrow output on a DB-API result")


def _cursor() -> duckdb.DuckDBPyConnection:
    """This thread's cursor on a database in memory: pages of several vendors are taken apart at once."""
    cursor: duckdb.DuckDBPyConnection | None = getattr(_THREAD, "cursor", None)
    if cursor is None:
        cursor = _THREAD.cursor = _MEMORY.cursor()
        # There is nothing to optimize in taking one page apart, and trying took half of a small page's time.
        cursor.execute("set timezone = 'UTC'; pragma disable_optimizer")
    return cursor


def value(page: str, path: str) -> str | None:
    """The text at a JSON path of a page, None where there is none: what a paging link says, a total."""
    whole = _of_whole_characters(page)
    found: str | None = _cursor().execute("select $1::json ->> $2", [whole, path]).fetchall()[0][0]
    return found


def _of_whole_characters(page: str) -> str:
    """DuckDB refuses a whole page for one half of a character, and so would every later run."""
    if "\\ud" not in page and "\\uD" not in page:
        return page
    return _ESCAPES.sub(lambda found: r"\ufffd" if found[1] else found[0], page)


def json_of(rows: pa.RecordBatch) -> str:
    """The rows as the text of a JSON array of objects, which lack the fields that are null."""
    cursor = _cursor()
    cursor.register("rows", rows)
    query = "select json_group_array(json_merge_patch('{}', to_json(rows)))::varchar from rows"
    found: str = cursor.execute(query).fetchall()[0][0]
    cursor.unregister("rows")
    return found
