"""Decides what is loaded from objects in which vendors send arbitrary fields, recipients' addresses included.

The allow-lists are part of each table's declaration. A name that is not listed is counted in
`raw_ops.dropped_properties`, and its value never reaches the warehouse. `strip` applies the same rules to
rows that an earlier version loaded.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ingest import parser
from ingest.store.raw import RawTables
from ingest.typed import Table
from privacy.traces import NOTHING, PRODUCT_IDS, Kept, names_in

# An e-mail address (its sign may be encoded as in a link) or a phone number with its country.
_PERSONAL: Final = re.compile(
    r"[^\s@]+(?:@|%(?:25)*40)[^\s@]+\.[a-z]|\+[0-9](?:[ ().-]*[0-9]){7}", re.IGNORECASE
)
_HARMLESS: Final = frozenset(
    names_in(
        "utm_source, utm_medium, utm_campaign, utm_content, utm_term, utm_id, variant, sku, product_id, pid"
    )
    + names_in("category, collection, page")
)
"""Parameters of a link that say nothing of who followed it."""
_MOST_NAMES: Final = 500
_LONGEST_NAME: Final = 60
_UNNAMED: Final = "(a name that may be about a person)"
_DIGITS: Final = re.compile(r"[0-9][ ().-]*" * 6)
_ROWS_AT_ONCE: Final = 20_000
_SHAPES: Final = "select json_array(json_keys(text), json_type(text, '$.*'))::varchar as shape from given"
_LEFT: Final = """
    select
        case when patch is null and not is_linked then text
            else {replaced} end as stays,
        not decided or is_lost or {misplaced}
            or coalesce(regexp_matches(stays, $doubtful), false) as is_doubtful
    from (select *, ($patches::varchar[])[place + 1] as patch, $decided[place + 1] as decided from given)
"""
_NESTED: Final = r"[\[,]\s*([\[{]|null)"
_DOUBTFUL: Final = rf"(?i)@|%(25)*40|\+[0-9]|\\u|{_NESTED}"
"""What a text must contain to hold an address, a phone number, or a list of more than plain values."""


@lru_cache(100_000)
def link(url: str) -> str:
    """Return a link without the parts that may identify the person who followed it.

    Scheme, host, path and harmless parameters stay. Credentials, the fragment, other parameters and path
    segments with an address are removed. A link to a person is removed entirely.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.scheme and not parts.netloc:
        return f"{parts.scheme}:"  # mailto, tel
    path = "/".join("" if "@" in _decoded(part) else part for part in parts.path.split("/"))
    asked = parse_qsl(parts.query, keep_blank_values=True)
    kept = [(name, value) for name, value in asked if name.lower() in _HARMLESS and not _is_personal(value)]
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, urlencode(kept), ""))


def _decoded(text: str) -> str:
    while (plain := unquote(text)) != text:
        text = plain
    return text


def _is_personal(text: str) -> bool:
    return _PERSONAL.search(text) is not None


def _shown(name: str) -> str:
    """Return a name as it is counted; one that is long or contains an address or number is about a person."""
    is_about = len(name) > _LONGEST_NAME or "@" in name or _DIGITS.search(name)
    return _UNNAMED if is_about else name


def _scalar(value: Any, kept: Kept) -> Any:
    """Return a text, a number, a flag or a list of those; None for anything else and for personal values."""
    if isinstance(value, list):
        return value if all(_scalar(each, kept) is not None for each in value) else None
    if isinstance(value, dict):
        return None
    return None if isinstance(value, str) and not kept.known and _is_personal(value) else value


def _inside(value: Any, inner: Kept, drop: Callable[[str], None]) -> Any:
    """Return the allowed part of an object, a list of objects, or any value in their place."""
    if isinstance(value, dict):
        return _object(value, inner, drop)
    if isinstance(value, list):
        parts = [None if isinstance(part, list) else _inside(part, inner, drop) for part in value]
        return [part for part in parts if part is not None]
    return _scalar(value, inner)


def _object(given: Mapping[str, Any], kept: Kept, drop: Callable[[str], None]) -> dict[str, Any]:
    """Return the allowed part of an object, and pass the names of dropped fields with a value to `drop`."""
    has_product = any(given.get(name) is not None for name in PRODUCT_IDS)
    found: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            continue
        if name in kept.named:
            stays = value
        elif inner := kept.inside.get(name):
            stays = _inside(value, inner, lambda part, of=name: drop(f"{of}.{part}"))  # type: ignore[misc]
        elif name in kept.links:
            stays = link(value) or None if isinstance(value, str) else None
        elif name in kept.names or (has_product and name in kept.products):
            stays = _scalar(value, kept)
        else:
            stays = None
        if stays is None:
            drop(name)
        else:
            found[name] = stays
    return found


def _column(text: str, kept: Kept) -> tuple[str | None, list[str]]:
    """Return the allowed part of a column's value, as the warehouse stores it, and the dropped names."""
    names: list[str] = []
    given = json.loads(text)
    if not isinstance(given, dict):
        return None, names
    found = _object(given, kept, names.append)
    if kept == NOTHING:
        return None, names
    stays = text if found == given else json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    return stays, names


class _Shape(NamedTuple):
    """What is left out of all objects with the same fields of the same types: a merge patch that removes it,
    and the dropped names. Unless it `decides`, each object must be looked at. `links` names its links.
    """

    patch: str | None = None
    names: tuple[str, ...] = ()
    decides: bool = False
    links: tuple[str, ...] = ()


def _shape(text: str | None, kept: Kept) -> _Shape:
    """Return what is left out of objects of a shape: JSON of their fields' names and of their types."""
    fields, kinds = json.loads(text) if text else ((), ())
    if not fields or len(set(fields)) < len(fields):
        return _Shape()
    types = {name: kind for name, kind in zip(fields, kinds, strict=True) if kind != "NULL"}
    has_product = any(name in types for name in PRODUCT_IDS)
    names, links = [], []
    for name, kind in types.items():
        if name in kept.named:
            continue
        # Lists of plain values stay; other lists are doubtful. A known object's texts are not searched.
        if name in kept.inside and (kind == "OBJECT" or (kept.known and kind in ("ARRAY", "VARCHAR"))):
            return _Shape()
        is_named = name in kept.inside or name in kept.names or (has_product and name in kept.products)
        if name in kept.links and name not in kept.inside and kind == "VARCHAR":
            links.append(name)
        elif (name in kept.links and name not in kept.inside) or not is_named or kind == "OBJECT":
            names.append(name)
    gone = [*names, *(name for name in fields if name not in types)]
    patch = json.dumps(dict.fromkeys(gone)) if gone else None
    return _Shape(patch, tuple(names), decides=True, links=tuple(links))


def _allowed(texts: pa.Array, kept: Kept) -> tuple[pa.Array, pa.Array]:
    """Return the allowed part of a column's values, and the names dropped of each as a JSON array.

    Few shapes make up most objects: SQL removes what each shape says. Python looks at the other objects, and
    at those in which what stays may be about a person or holds lists of anything but plain values.
    """
    if kept.is_link:
        links = texts.dictionary_encode()
        stays = pa.array(map(link, links.dictionary.to_pylist()), pa.string()).take(links.indices)
        return stays, pa.nulls(len(texts), pa.binary())
    shaped = (
        parser.over(pa.table({"text": texts}), _SHAPES).column("shape").combine_chunks().dictionary_encode()
    )
    shapes = [_shape(text, kept) for text in shaped.dictionary.to_pylist()] or [_Shape()]
    places = shaped.indices.fill_null(0)
    given, replaced, misplaced = _with_links(texts, places, shapes)
    left = parser.over(
        given,
        _LEFT.format(replaced=replaced, misplaced=misplaced),
        patches=[shape.patch for shape in shapes],
        decided=[shape.decides for shape in shapes],
        doubtful=_NESTED if kept.known else _DOUBTFUL,
    )
    names = _listed(shape.names for shape in shapes).take(places)
    doubts = pc.and_(left.column("is_doubtful").combine_chunks(), texts.is_valid())
    stays = left.column("stays").combine_chunks()
    if pc.any(doubts).as_py():
        looked_at = [_column(text.as_py(), kept) for text in texts.filter(doubts)]
        stays = pc.replace_with_mask(stays, doubts, pa.array([text for text, _ in looked_at], pa.string()))
        names = pc.replace_with_mask(names, doubts, _listed(those for _, those in looked_at))
    return pa.nulls(len(texts), pa.string()) if kept == NOTHING else stays, names


def _listed(names: Iterable[Sequence[str]]) -> pa.Array:
    """Return lists of names as JSON; as bytes, because nothing searches these for addresses."""
    return pa.array([json.dumps(each).encode() if each else None for each in names], pa.binary())


def _with_links(texts: pa.Array, places: pa.Array, shapes: Sequence[_Shape]) -> tuple[pa.Table, str, str]:
    """Return the texts with what changes in their links, SQL that puts it in, and SQL whether that failed.

    `is_lost` is set where nothing of a link stays. The SQL finds a link beside its name: if a shape decides,
    a text has no other object with that name. A link in another notation would not be found.
    """
    names = list(dict.fromkeys(name for shape in shapes for name in shape.links))
    read = [f"json_extract_string(text, '$.{_sql(json.dumps(name))}')" for name in names]
    paths = [f"{path} as link_{n}" for n, path in enumerate(read)]
    misplaced = [
        f"case when before_{n} is null then false"
        f" else {path.replace('(text,', '(stays,')} is distinct from after_{n} end"
        for n, path in enumerate(read)
    ]
    found = pa.table({"text": texts})
    if names:
        found = parser.over(found, f"select {', '.join(paths)} from given")
    given = {"text": texts, "place": places}
    is_lost = is_linked = pa.array([False], pa.bool_()).take(pa.array([0] * len(texts)))
    replaced = "json_merge_patch(text, coalesce(patch, '{}'))::varchar"
    for n, name in enumerate(names):
        coded = found.column(f"link_{n}").combine_chunks().dictionary_encode()
        before, after = coded.dictionary, pa.array(map(link, coded.dictionary.to_pylist()), pa.string())
        is_link = pa.array([name in shape.links for shape in shapes]).take(places)
        differs = pc.and_(is_link, pc.not_equal(before, after).take(coded.indices).fill_null(False))
        is_lost = pc.or_(is_lost, pc.and_(is_link, pc.equal(after, "").take(coded.indices).fill_null(False)))
        is_linked = pc.or_(is_linked, differs)
        at = pc.if_else(differs, coded.indices, None)
        given |= {f"before_{n}": before.take(at), f"after_{n}": after.take(at)}
        sign = _sql(json.dumps(name, ensure_ascii=False))
        replaced = (
            f"replace({replaced}, coalesce('{sign}:' || to_json(before_{n})::varchar, ''), "
            f"coalesce('{sign}:' || to_json(after_{n})::varchar, ''))"
        )
    given |= {"is_linked": is_linked, "is_lost": is_lost}
    return pa.table(given), replaced, " or ".join(["false", *misplaced])


def _sql(text: str) -> str:
    return text.replace("'", "''")


Dropped = Counter[tuple[str, str]]
"""How many values were dropped, by metric and name."""
DROPPED: Final = "dropped from "
"""The start of the name of a column beside the rows of a load: the names dropped of that column, as JSON."""


def dropped_of(rows: pa.Table, which: pa.ChunkedArray | None = None) -> Dropped:
    """Return how many values were dropped of `which` of the rows that `Allowances.kept` returned."""
    found: Dropped = Counter()
    for column in (name for name in rows.column_names if name.startswith(DROPPED)):
        by = [column, *(["metric_id"] if "metric_id" in rows.column_names else [])]
        has_any = pc.is_valid(rows.column(column))
        left = rows.select(by).filter(has_any if which is None else pc.and_(has_any, which))
        name = column.removeprefix(DROPPED)
        prefix = "" if name == "event_properties" else f"{name}."
        for each in left.group_by(by).aggregate([([], "count_all")]).to_pylist():
            for dropped in json.loads(each[column]):
                found[each.get("metric_id") or "", _shown(f"{prefix}{dropped}")] += each["count_all"]
    return found


class Allowances:
    """Which parts of rows about people may be loaded, as declared by their tables."""

    def __init__(self, tables: Iterable[Table]) -> None:
        about_people = ((table.full_name, table.people.rules) for table in tables if table.people)
        self._rules = {name: rules for name, rules in about_people if rules}

    @property
    def mark(self) -> str:
        """The identity of this set of rules."""
        return hashlib.sha256(repr(sorted(self._rules.items())).encode()).hexdigest()[:16]

    def kept(self, table: str, rows: pa.Table) -> pa.Table:
        """Return the loadable form of `rows` of a raw table, with further columns for `dropped_of`."""
        for name, kept in self._rules.get(table, {}).items():
            column = rows.column(name)
            if column.null_count == rows.num_rows:
                continue
            parts = [
                _allowed(column.slice(at, _ROWS_AT_ONCE).combine_chunks(), kept)
                for at in range(0, rows.num_rows, _ROWS_AT_ONCE)
            ]
            place = rows.schema.get_field_index(name)
            stays = pa.chunked_array([part for part, _ in parts])
            rows = rows.set_column(place, rows.schema.field(place), stays)
            rows = rows.append_column(f"{DROPPED}{name}", pa.chunked_array([names for _, names in parts]))
        return rows

    def strip(self, raw: RawTables, tables: Sequence[Table], now: datetime) -> None:
        """Reduce rows already in the warehouse to what may be loaded, in one transaction."""
        with raw.transaction():
            for table in tables:
                columns = list(self._rules.get(table.full_name, {}))
                for rows in _in_parts(raw.connection, table, columns) if columns else ():
                    kept = self.kept(table.full_name, rows)
                    record(raw.connection, table.full_name, dropped_of(kept), now)
                    put(raw, table, columns, kept)


def _in_parts(
    connection: duckdb.DuckDBPyConnection, table: Table, columns: Sequence[str]
) -> Iterator[pa.Table]:
    """Yield the key and values of rows that have a value in one of `columns`, in parts of limited size.

    They are read by a cursor of their own, which sees the rows as they were before any is changed.
    """
    metric = ["metric_id"] if "metric_id" in table.sql_columns else []
    chosen = ", ".join(f'"{name}"' for name in dict.fromkeys([*table.key, *columns, *metric]))
    filled = " or ".join(f'"{name}" is not null' for name in columns)
    with connection.cursor() as reading:
        rows: Any = reading.execute(f"select {chosen} from {table.full_name} where {filled}")
        for part in rows.to_arrow_reader(_ROWS_AT_ONCE):
            yield pa.Table.from_batches([part])


def put(raw: RawTables, table: Table, columns: Sequence[str], kept: pa.Table) -> None:
    """Write `columns` of rows that are already in a table."""
    raw.connection.register("kept", kept)
    values = {name: f'kept."{name}"' for name in columns}
    same = " and ".join(f'held."{name}" = kept."{name}"' for name in table.key)
    raw.update(table.full_name, values, same, source="kept")
    raw.connection.unregister("kept")


def record(connection: duckdb.DuckDBPyConnection, table: str, dropped: Dropped, now: datetime) -> None:
    """Add the dropped names to the counts in `raw_ops.dropped_properties`."""
    vendor, resource = table.removeprefix("raw_").split(".")
    ranked = dropped.most_common()
    counts = [(*names, count) for names, count in ranked[:_MOST_NAMES]]
    if rest := sum(count for _, count in ranked[_MOST_NAMES:]):
        counts.append(("", "(others)", rest))
    for metric_id, name, count in counts:
        connection.execute(
            """
            insert into raw_ops.dropped_properties values ($1, $2, $3, $4, $5, $6, $6)
            on conflict do update
            set value_count = value_count + excluded.value_count, last_seen_at = excluded.last_seen_at
            """,
            [vendor, resource, metric_id, name, count, now],
        )
