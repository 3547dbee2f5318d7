"""Turns a page of a vendor's answer into a typed Arrow table: declared once per raw table, done by DuckDB.

Python never builds an object per row: DuckDB parses the page with its JSON functions, at a third of the CPU
that `json` needs. Nested values remain the vendor's text. Unlisted fields go into the column `other`.

If a column cannot store a value, the value becomes null and its row stays; a row without a key is left out.
Both are set aside: noted in the metadata of the page, with the field and the reason. Only if this affects a
share of a column (see `Form`) has the vendor changed its type, which is an error.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, Literal, cast

import duckdb
import pyarrow as pa

from ingest.parser import OBJECTS, cell, examine, of_whole_characters, read
from privacy.traces import Trace

Type = Literal["text", "scalar", "bool", "bigint", "double", "timestamptz", "date", "json", "any"]

ARROW: dict[Type, pa.DataType] = {
    "text": pa.string(),
    "scalar": pa.string(),  # text that a vendor also sends as a number
    "bool": pa.bool_(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "date": pa.date32(),
    "json": pa.string(),  # an object or a list
    "any": pa.string(),  # JSON that may be a bare value as well
}
SQL: dict[Type, str] = {name: name for name in ARROW} | {
    "text": "varchar",
    "scalar": "varchar",
    "any": "json",
}
DLT: dict[Type, str] = {name: name for name in ARROW} | {
    "scalar": "text",
    "timestamptz": "timestamp",
    "any": "json",
}
NESTED = ("json", "any")
FIRST_YEAR, END_YEAR = 1900, 2200
"""Vendors write the year 1 or 9999 where they have no date. No date of theirs is outside of these years."""
LARGEST_INTEGER = 2**53
"""A double holds no larger whole number, so vendors that compute in doubles send none."""
LARGEST = 1e15
"""No amount, count or duration of a vendor comes near it, and sums of such values still fit a decimal."""
NUMBERS = "('UBIGINT', 'BIGINT', 'HUGEINT', 'DOUBLE')"
MILLISECONDS_FROM = 1e11
"""A time that is a larger number counts milliseconds: as seconds it would be after the year 5000."""
SECONDS = f"try_cast({{0}} as double) / if(try_cast({{0}} as double) > {MILLISECONDS_FROM}, 1000, 1)"
# `{0}` is the value as text, `{1}` its JSON type. A number in quotes is still that number, 1.5 is no integer.
CASTS: dict[Type, str] = {
    "text": "case when {1} = 'VARCHAR' then {0} end",
    "scalar": "case when {1} not in ('OBJECT', 'ARRAY') then {0} end",
    "bool": "case when {1} = 'BOOLEAN' then try_cast({0} as boolean) end",
    "bigint": f"case when {{1}} <> 'BOOLEAN' and abs(try_cast({{0}} as double)) < {LARGEST_INTEGER} "
    "and try_cast({0} as double) = try_cast({0} as bigint) then try_cast({0} as bigint) end",
    "double": f"case when {{1}} <> 'BOOLEAN' and abs(try_cast({{0}} as double)) < {LARGEST} "
    "then try_cast({0} as double) end",
    "timestamptz": f"case when {{1}} in {NUMBERS} then case when {SECONDS} "
    f"between epoch(date '{FIRST_YEAR}-01-01') and epoch(date '{END_YEAR}-01-01') "
    f"then to_timestamp({SECONDS}) end "
    f"when try_cast({{0}} as timestamptz) >= timestamptz '{FIRST_YEAR}-01-01' "
    f"and try_cast({{0}} as timestamptz) < timestamptz '{END_YEAR}-01-01' "
    "then try_cast({0} as timestamptz) end",
    "date": f"case when {{1}} = 'VARCHAR' and try_cast({{0}} as date) >= date '{FIRST_YEAR}-01-01' "
    f"and try_cast({{0}} as date) < date '{END_YEAR}-01-01' then try_cast({{0}} as date) end",
}
ASIDE = b"set aside"
NO_KEY, NO_ROW, EMPTY, NESTING = "no key", "not a row", "empty", "not a plain value"
NOT_IN_RANGE, NOT_FINITE = "out of range", "not finite"
NOT_OF_TYPE: dict[Type, str] = {
    "text": "not text",
    "scalar": NESTING,
    "bool": "not true or false",
    "bigint": "not a whole number",
    "double": "not a number",
    "timestamptz": "not a time",
    "date": "not a date",
    "json": "not an object or list",
}
MOST_UNREAD = 0.05
"""Above this share of a column's values, it is the vendor's form that has changed, and not a value."""
FEWEST_UNREAD = 20
"""Fewer values that cannot be read prove no change, however short the list is."""
_QUOTABLE = re.compile(r"[a-z/]{1,4}|[-+]?[\d.,]{1,6}|-?(nan|inf|infinity)", re.IGNORECASE)
"""Values that can be about nobody: a message shows these alone."""
SAID = {
    "NULL": "null",
    "VARCHAR": "text",
    "BOOLEAN": "bool",
    "UBIGINT": "bigint",
    "OBJECT": "json",
    "ARRAY": "json",
}


class BrokenBodyError(Exception):
    """The body is not JSON, or not the requested rows: ask again."""


class ChangedTypeError(Exception):
    """A column is no longer of its type: this read is discarded until a person has checked."""


@dataclass(frozen=True)
class Aside:
    """The values and rows of a page that were set aside.

    `values` maps the position of a row to its null fields and the reason for each. `rows` gives a digest of
    the content, the field and the reason for each of the `row_count` rows that were left out. `complaints`
    has the line to show for each field, should the load turn out to have changed its form.
    """

    values: dict[int, dict[str, str]] = field(default_factory=dict)
    rows: list[tuple[str, str, str]] = field(default_factory=list)
    complaints: dict[str, str] = field(default_factory=dict)
    row_count: int = 0

    @classmethod
    def of(cls, page: pa.Table) -> "Aside":
        """Return what was set aside when this page was read."""
        noted = (page.schema.metadata or {}).get(ASIDE)
        if noted is None:
            return cls()
        values, *others = json.loads(noted)
        return cls({int(place): fields for place, fields in values.items()}, *others)

    def noted_on(self, page: pa.Table) -> pa.Table:
        noted = [self.values, self.rows, self.complaints, self.row_count]
        return page.replace_schema_metadata({ASIDE: json.dumps(noted)})


class Form:
    """Whether the rows of one load still have the form in which their table was declared."""

    def __init__(self, table: "Table") -> None:
        self._table = table
        self._values: Counter[str] = Counter()
        self._unread: Counter[str] = Counter()
        self._complaints: dict[str, str] = {}

    def take(self, page: pa.Table, cursor: str) -> None:
        """Count the values of one page. Raises ChangedTypeError if no row of it has a cursor."""
        aside = Aside.of(page)
        for column in self._table.columns:
            self._values[column.name] += page.num_rows - page.column(column.name).null_count
        reasons = [each for fields in aside.values.values() for each in fields.items()]
        reasons += [(name, reason) for _, name, reason in aside.rows]
        for name, reason in reasons:
            if reason != EMPTY:
                self._values[name] += 1
                self._unread[name] += 1
        self._complaints = aside.complaints | self._complaints
        if cursor and page.num_rows > 1 and page.column(cursor).null_count == page.num_rows:
            raise ChangedTypeError(aside.complaints.get(cursor) or self._table.complaint(cursor, "null"))

    def check(self) -> None:
        """Raise ChangedTypeError if too many values of a column, or all rows, were set aside."""
        for name, unread in self._unread.items():
            count = self._values[name]
            is_key = name in self._table.key
            is_common = unread >= FEWEST_UNREAD and unread > MOST_UNREAD * count
            if is_common or (is_key and unread == count):
                raise ChangedTypeError(self._complaints[name])


@dataclass(frozen=True)
class Column:
    """A column of a raw table and its place in the vendor's row.

    `at` is the object inside the row that has the field; `field` is the field's name if it differs from the
    column's. A `known` column is in no answer: it comes from the request (the segment or day it asked for).
    `Table.unfolds` gives an `apart` column beside `row`, as it is stored.
    """

    name: str
    type: Type
    at: str = ""
    field: str = ""
    known: bool = False
    apart: bool = False

    @property
    def path(self) -> list[str]:
        return [*filter(None, self.at.split(".")), self.field or self.name]


def _path(column: Column) -> str:
    return "$." + ".".join(column.path)


def _paths_of(columns: list[Column]) -> str:
    return "[" + ", ".join(f"'{_path(c)}'" for c in columns) + "]::varchar[]"


def each(at: str = "", /, *, known: bool = False, **names: str) -> list[Column]:
    """Return columns by their types, such as `each(text="id name", bool="archived")`."""
    return [Column(name, cast(Type, kind), at, "", known) for kind in names for name in names[kind].split()]


@dataclass(frozen=True)
class Table:
    """A raw table: its name, key and columns, and the fields that are left out on purpose.

    `opens` names an array inside each row whose elements are the rows that count; the fields around it are
    repeated. If they are nested deeper, `unfolds` is SQL from `around`, whose `row` is each object of the
    answer, to the rows that count, as JSON in `row`. `newest` is the column that says which of two rows with
    one key is newer, if there is one. A row of a `sparse` table may lack every listed field; in other tables
    such a row is not the requested object.

    `people` says how to find the owner of a row, if rows are about people. Tables of this project's own
    requests and their results are `is_ours`: they contain nobody's address. `derive` renews tables that are
    made of this one.
    """

    schema: str
    name: str
    key: tuple[str, ...]
    columns: list[Column] = field(hash=False)
    drops: str = ""
    opens: str = ""
    unfolds: str = ""
    newest: str = ""
    sparse: bool = False
    people: Trace | None = None
    is_ours: bool = False
    derive: Callable[[duckdb.DuckDBPyConnection], None] | None = None

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def vendor(self) -> str:
        return self.schema.removeprefix("raw_")

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        fields = [pa.field(c.name, ARROW[c.type], nullable=c.name not in self.key) for c in self.columns]
        return pa.schema([*fields, pa.field("other", pa.string())])

    @cached_property
    def sql_columns(self) -> dict[str, str]:
        """Return each column's DuckDB type, as stored in the warehouse."""
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
        return [c for c in self._read if c.type not in NESTED and not c.apart]

    @cached_property
    def _nested(self) -> list[Column]:
        return [c for c in self._read if c.type in NESTED and not c.apart]

    @cached_property
    def _query(self) -> str:
        """Return SQL from `$page` to its columns, `other`, and whether anything in a row must be set aside.

        Scalars are extracted in one pass over the row and their JSON types in another, so that a number in a
        text field is noticed. Nested values are copied unchanged.
        """
        paths = _paths_of(self._scalars)
        cells = {c.name: (f"text_of[{n}]", f"type_of[{n}]") for n, c in enumerate(self._scalars, 1)}
        copied = [f"row -> '{_path(c)}' as {c.name}" for c in self._nested]
        apart = [c.name for c in self._read if c.apart]
        cast = [f"{CASTS[c.type].format(*cells[c.name])} as {c.name}" for c in self._scalars]
        kept = [f"nullif({c.name}::varchar, 'null') as {c.name}" for c in self._nested]
        bare = [f"left({c.name}, 1) not in ('{{', '[')" for c in self._nested if c.type == "json"]
        wrong = [f"{c.name} is null and type_of[{n}] <> 'NULL'" for n, c in enumerate(self._scalars, 1)]
        nothing = [f"{c.name} is null" for c in self._scalars if c.name in self.key]
        absent = " and ".join(f"{c.name} is null" for c in self._read)
        is_strange = [f"({absent})"] if not nothing and absent and not self.sparse else ["not is_object"]
        is_wrong = " or ".join([*wrong, *nothing, *bare, *is_strange])
        return f"""
            with {self._rows},
            cells as (
                select
                    json_extract_string(row, {paths}) as text_of,
                    json_type(row, {paths}) as type_of,
                    json_type(row) = 'OBJECT' as is_object,
                    {"".join(f"{each}, " for each in [*copied, *apart])}
                    nullif(json_merge_patch(row, '{self._listed}')::varchar, '{self._rest}') as other
                from rows
            ),
            cast_once as (select {", ".join([*cast, *kept, *apart])}, other, type_of, is_object from cells)
            select * exclude (type_of, is_object), coalesce({is_wrong}, false) as is_wrong
            from cast_once
        """

    @cached_property
    def _rows(self) -> str:
        """Return SQL for the rows of an answer; a missing row is null."""
        if self.unfolds:
            return f"around as (select {OBJECTS} as row), rows as ({self.unfolds})"
        if not self.opens:
            return f"rows as (select {OBJECTS} as row)"
        fields = ", ".join(
            f"'{name}'"
            for name in [self.opens, *self.drops.split(), *(column.path[0] for column in self._read)]
        )
        return f"""around as (select {OBJECTS} as row), inside as (
            select json_merge_patch(row, '{{"{self.opens}": null}}') as row, unnest(
                case
                    when not coalesce(list_has_any(json_keys(row), [{fields}]), false) then ['null'::json]
                    when json_type(row -> '{self.opens}') = 'NULL' then []
                    when (row -> '{self.opens}') is not null then {listed("$." + self.opens)}
                end
            ) as element from around
        ), rows as (select json_merge_patch(row, element) as row from inside)"""

    @cached_property
    def _listed(self) -> str:
        """A merge patch that removes every listed or dropped field: null deletes (RFC 7396)."""
        patch: dict[str, Any] = {}
        for column in (*self._scalars, *self._nested):
            *around, last = column.path
            inside = patch
            for name in around:
                inside = inside.setdefault(name, {})
            inside[last] = None
        return json.dumps(patch | dict.fromkeys(self.drops.split()))

    @cached_property
    def _rest(self) -> str:
        """Return the part that `_listed` leaves of a row in which nothing is unlisted."""
        return str(cell("select json_merge_patch('{}', $patch)::varchar", patch=self._listed))

    def rows(self, page: str, known: Mapping[str, Any]) -> pa.Table:
        """Return the rows of one page, typed, in the vendor's order; `Aside.of` gives what was set aside of
        it.

        Half a character, as left by a cut text, becomes U+FFFD. Raises BrokenBodyError when the page is not
        JSON or has none of the requested rows. Raises ChangedTypeError when two or more rows have no key at
        all.
        """
        page = of_whole_characters(page)
        try:
            found = read(page, self._query)
        except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
            raise BrokenBodyError("it is not JSON") from error  # DuckDB's text would quote the answer
        wrong = [at for at, is_wrong in enumerate(found.column("is_wrong").to_pylist()) if is_wrong]
        aside = None
        if wrong:
            aside, left_out = self._examined(page, wrong, found.num_rows)
            found = self._without_bare(found.filter(pa.array(at not in left_out for at in range(len(found)))))
        count = found.num_rows
        arrays = [
            pa.array([known.get(c.name)] * count, ARROW[c.type])
            if c.known
            else found.column(c.name).cast(ARROW[c.type])
            for c in self.columns
        ]
        rows = pa.table([*arrays, found.column("other").cast(pa.string())], schema=self.arrow_schema)
        return aside.noted_on(rows) if aside else rows

    def from_rows(self, rows: Iterable[dict[str, Any]]) -> pa.Table:
        """Return the same table from Python values, for the one source that is not a web service."""
        return pa.Table.from_pylist(list(rows), schema=self.arrow_schema)

    def _without_bare(self, found: pa.Table) -> pa.Table:
        """Return the page with null in place of bare values where objects or lists belong."""
        for column in self._nested:
            if column.type == "json":
                texts = [t if t and t[0] in "{[" else None for t in found.column(column.name).to_pylist()]
                place = found.schema.get_field_index(column.name)
                found = found.set_column(place, column.name, pa.array(texts, pa.string()))
        return found

    @cached_property
    def _examine(self) -> str:
        """Return SQL that examines the rows at the positions `$wrong`: shape, fields, values and types."""
        columns = [*self._scalars, *self._nested]
        paths = _paths_of(columns)
        fits = ", ".join(
            f"({'true' if c.type in NESTED else CASTS[c.type].format(f'text_of[{n}]', f'type_of[{n}]')}) "
            "is not null"
            for n, c in enumerate(columns, 1)
        )
        return f"""
            with {self._rows},
            counted as (select row, row_number() over () - 1 as place from rows),
            cells as (
                select place, row, json_extract_string(row, {paths}) as text_of,
                    json_type(row, {paths}) as type_of
                from counted where place in (select unnest($wrong))
            )
            select place, json_type(row), json_keys(row), text_of, type_of, [{fits}]::boolean[],
                sha256(coalesce(row::varchar, 'null'))
            from cells order by place
        """

    def _examined(self, page: str, wrong: list[int], count: int) -> tuple[Aside, set[int]]:
        """Return what to set aside of the rows at the positions `wrong`, and which of them to leave out."""
        aside, left_out, strange = Aside(), set[int](), 0
        columns, fields = [*self._scalars, *self._nested], list[str]()
        told = {column.name for column in columns}
        first = next((name for name in self.key if name in told), self.key[0])
        found = examine(page, self._examine, wrong=wrong)
        for place, kind, names, texts, types, fits, digest in found:
            texts, types = texts or [None] * len(columns), types or [None] * len(columns)
            cells = {c.name: cell for c, *cell in zip(columns, texts, types, strict=True)}
            unread: dict[str, str] = {}
            if kind != "OBJECT" or not (self.sparse or any(types)):
                strange += 1
                fields = fields or [name for name in names or [] if name.isidentifier()]
                unread[first] = NO_ROW
            else:
                for column, text, said, is_fit in zip(columns, texts, types, fits, strict=True):
                    if reason := _reason(column.type, text, said, is_fit):
                        unread[column.name] = reason
                    elif column.name in self.key and said in (None, "NULL"):
                        unread[column.name] = NO_KEY
            for name in unread.keys() - aside.complaints.keys():
                text, said = cells.get(name, (None, None))
                which = self._which({key: text for key, (text, _) in cells.items()})
                aside.complaints[name] = self.complaint(name, said, text, which)
            missing = [(digest, name, reason) for name, reason in unread.items() if name in self.key]
            if missing:
                left_out.add(place)
                aside.rows.extend(missing)
            else:
                aside.values[place - len(left_out)] = unread
        if strange == count:
            shown = ", ".join(fields)[:80]
            raise BrokenBodyError(f"a row without its key ({', '.join(self.key)}); its fields: {shown}")
        if len(left_out) == count > 1:
            raise ChangedTypeError(aside.complaints[aside.rows[0][1]])
        return replace(aside, row_count=len(left_out)), left_out

    def _which(self, texts: Mapping[str, str | None]) -> str:
        """Return a row's key as shown in a message; never an address."""
        keys = [
            text for name in self.key if name != "email" and (text := texts.get(name)) and "@" not in text
        ]
        return f"{self.name.removesuffix('s').replace('_', ' ')} {' '.join(keys)}".rstrip()

    def complaint(self, name: str, said: str | None, text: str | None = None, which: str = "") -> str:
        """Return the line that names a changed column; its value is shown only if it cannot be about a
        person.
        """
        (before,) = [DLT[column.type] for column in self.columns if column.name == name]
        now = "missing" if said is None else SAID.get(said, said.lower())
        shown = f'"{text}"' if text and now == "text" and _QUOTABLE.fullmatch(text) else ""
        details = ", ".join(filter(None, [shown, which]))
        return (
            f"{self.full_name}.{name} was {before}, now {now}{f' ({details})' if details else ''}. "
            "Load not kept: docs/operating.md, Types"
        )


def listed(path: str) -> str:
    """Return SQL for the elements of the list at `path` of `row`; one null if there is no list."""
    return (
        f"case when json_type(row, '{path}') = 'ARRAY' then from_json(row -> '{path}', '[\"JSON\"]') "
        "else ['null'::json] end"
    )


def _reason(kind: Type, text: str | None, said: str | None, is_fit: bool) -> str:
    """Return why a value with the JSON type `said` does not fit a column; empty if it fits."""
    is_nested = said in ("OBJECT", "ARRAY")
    if said in (None, "NULL") or kind == "any" or (is_nested if kind == "json" else is_fit):
        return ""
    if is_nested:
        return NESTING
    if not (text or "").strip():
        return EMPTY
    number = None if kind in ("text", "scalar", "bool", "json") else _number(text)
    if number is not None and not math.isfinite(number):
        return NOT_FINITE
    if number is not None and kind in ("bigint", "double"):
        return NOT_IN_RANGE if abs(number) >= LARGEST else NOT_OF_TYPE[kind]
    if kind in ("date", "timestamptz") and said != "BOOLEAN" and (number is not None or _is_time(text)):
        return NOT_IN_RANGE if kind == "timestamptz" or number is None else NOT_OF_TYPE[kind]
    return NOT_OF_TYPE[kind]


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None


@lru_cache
def _is_time(text: str | None) -> bool:
    return bool(cell("select try_cast($text as timestamptz) is not null", text=text))
