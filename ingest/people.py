"""Where raw rows say who somebody is, how that is kept, and who must not come back.

A person who asked to be forgotten is remembered by tombstones alone: salted hashes of the address and of the
vendors' keys. They stand in a file of their own, because the warehouse can be deleted and loaded anew.
"""

import hashlib
import json
import os
import re
import secrets
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

import pseudonyms
from settings import Settings


class Trace(NamedTuple):
    """How a raw table tells whose a row is.

    `addresses` are SQL for the e-mail addresses in a row, `key` is the column of the vendor's key of the
    person or the browser. A table that `names` its owner says whose key that is.
    """

    addresses: tuple[str, ...] = ()
    key: str = ""
    names: bool = False


TRACES: Final[Mapping[str, Trace]] = {
    "raw_sendgrid.contacts": Trace(("email",), "contact_id", names=True),
    "raw_sendgrid.suppressions": Trace(("email",)),
    "raw_sendgrid.invalid_emails": Trace(("email",)),
    "raw_sendgrid.group_suppressions": Trace(("email",)),
    "raw_wistia.visitors": Trace(("visitor_identity ->> 'email'",), "visitor_key", names=True),
    "raw_wistia.events": Trace(("email", "conversion_data ->> 'email'"), "visitor_key"),
    "raw_klaviyo.profiles": Trace(("email",), "id", names=True),
    "raw_klaviyo.predictive_analytics": Trace(key="profile_id"),
    "raw_klaviyo.segment_members": Trace(key="profile_id"),
    "raw_klaviyo.list_members": Trace(key="profile_id"),
    "raw_klaviyo.events": Trace(key="profile_id"),
}


def row_key(table: str, key: Iterable[str], salt: bytes) -> str:
    """SQL of a row's key as `raw_ops.set_aside` has it: a salted hash in tables about people."""
    names = ", ".join(f'"{name}"::varchar' for name in key)
    joined = f"concat_ws(' ', {names})"
    return f"sha256(concat('{salt.hex()}', {joined}))" if table in TRACES else joined


def normal(address: str) -> str:
    """Return an address as it is compared: in small letters, without blanks around it."""
    return address.strip().lower()


def same_address(sql: str) -> str:
    """SQL of an address as it is compared."""
    return f"lower(trim({sql}, concat(' ', chr(9), chr(10), chr(11), chr(12), chr(13))))"


# An address inside a longer text, as in JSON or a link; an apostrophe is part of it between letters only.
_PART: Final = r"""[^\s@"'<>(),;:\\/=&?%]"""
_ADDRESS: Final = rf"{_PART}+(?:'{_PART}+)*@{_PART}*[^\s@\"'<>(),;:\\/=&?%.]"


def readable(sql: str) -> str:
    """SQL of a text in small letters, with its addresses as one writes them, not as JSON or a link does."""
    for pattern, sign in (
        (r"%(25)*40|\\+u0040", "@"),
        ("%(25)*2b", "+"),
        ("%(25)*27", "''"),
        (r"\\+[bfnrt]", " "),
    ):
        sql = f"regexp_replace({sql}, '{pattern}', '{sign}', 'gi')"
    return rf"lower(replace({sql}, '\', ''))"


def mentions(entry: str) -> str:
    """SQL of whether a row, anywhere in it, names `$address`; one that ends in the same is another."""
    text = readable(f"{entry}::varchar")
    return (
        f"(contains(lower({entry}::varchar), split_part($address, '@', 2)) and regexp_matches({text}, concat("
        "'(^|[^a-z0-9._%+''-]|[^a-z0-9]'')', regexp_escape($address), '(\\.?[^a-z0-9.-]|\\.?$)')))"
    )


class Forgotten:
    """The tombstones, in the file at `path`; none where there is no file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        held: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self._salt: str = held.get("salt") or secrets.token_hex(16)
        self._tombstones: dict[str, str] = held.get("tombstones", {})

    def __len__(self) -> int:
        return len(self._tombstones)

    def tombstone(self, value: str) -> str:
        return hashlib.sha256(f"{self._salt}{value}".encode()).hexdigest()

    def add(self, values: Iterable[str], now: datetime) -> None:
        """Remember these addresses and keys. They are on disk when it returns."""
        self._tombstones |= {self.tombstone(value): now.isoformat() for value in values}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with draft.open("w", encoding="utf-8") as file:
            json.dump({"salt": self._salt, "tombstones": self._tombstones}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)

    def without(self, connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> pa.Table:
        """Return `rows` of a raw table without those of somebody who was forgotten."""
        trace = TRACES.get(table)
        if not self._tombstones or trace is None or not rows.num_rows:
            return rows
        values = [*map(same_address, trace.addresses), *filter(None, [trace.key])]
        known = " or ".join(
            f"coalesce(sha256(concat($salt, {value})) in (select unnest($known)), false)" for value in values
        )
        # Or names them somewhere else: in the link that led to a video, in what a shop noted of an order.
        named = f"regexp_extract_all({readable('unchecked::varchar')}, $address)"
        known += (
            f" or list_has_any($known, list_transform({named}, lambda each: sha256(concat($salt, each))))"
        )
        connection.register("unchecked", rows)
        kept: Any = connection.execute(
            f"select * from unchecked where not ({known})",
            {"salt": self._salt, "known": list(self._tombstones), "address": _ADDRESS},
        ).to_arrow_table()
        connection.unregister("unchecked")
        return kept.cast(rows.schema)


# The same where the sign in its middle may be encoded, with all that a link may have encoded around it.
_IN_TEXT: Final = re.compile(_ADDRESS)
_IN_LINK: Final = re.compile(r"""[^\s"'<>(),;:\\/=&?#]*%(?:25)*40[^\s"'<>(),;:\\/=&?#]*""", re.IGNORECASE)
_WHOLE: Final = re.compile(r"""\s*(?:"[^"@]+"|[^\s@":;,<>()\\?]+)@[^\s@"'<>(),;:\\/=&?%]+\s*""")
_LITERAL: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
HASHED_WITH: Final = "the salt"
"""What is hashed beside the addresses, so that another salt shows."""


class Addresses:
    """How the warehouse keeps e-mail addresses: as they are or, with a salt, as hashes that join as well."""

    def __init__(self, settings: Settings, *, create: bool = False) -> None:
        self._is_hashed = settings.emails_in_warehouse == "hashed"
        self._salt = pseudonyms.salt(settings.salt_path, create=create) if self._is_hashed else b""

    @property
    def mark(self) -> str:
        """What tells one salt from another, and from none; empty where addresses are kept as they are."""
        return pseudonyms.of_address(self._salt, HASHED_WITH) if self._salt else ""

    def of(self, address: str) -> str:
        """Return an address as the warehouse has it."""
        return pseudonyms.of_address(self._salt, address) if self._is_hashed else normal(address)

    def kept(self, table: str, rows: pa.Table) -> pa.Table:
        """Return `rows` of a raw table as they are kept. What Mavera answers holds nobody's address."""
        if not self._is_hashed or table.startswith("raw_mavera."):
            return rows
        owned = TRACES.get(table, Trace()).addresses
        for place, field in enumerate(rows.schema):
            column = rows.column(place)
            if not pa.types.is_string(field.type):
                continue
            if field.name in owned:
                kept = [self.of(value) if value and value.strip() else value for value in column.to_pylist()]
            elif pc.any(pc.match_substring_regex(column, "(?i)@|%(25)*40|u0040")).as_py():
                kept = [value and self._without_addresses(value) for value in column.to_pylist()]
            else:
                continue
            rows = rows.set_column(place, field, pa.array(kept, pa.string()))
        return rows

    def _without_addresses(self, text: str) -> str:
        """Return a text with a hash for each address; of JSON, strings without one stay as they are."""
        if not text.lstrip().startswith(("{", "[", '"')):
            return self._hashed(text)
        try:
            json.loads(text)
        except ValueError:
            return self._hashed(text)
        return _LITERAL.sub(self._in_literal, text)

    def _in_literal(self, found: re.Match[str]) -> str:
        text = json.loads(found[0])
        kept = self._hashed(text)
        return found[0] if kept == text else json.dumps(kept, ensure_ascii=False)

    def _hashed(self, text: str) -> str:
        if _WHOLE.fullmatch(text):  # as a column of its own would be, so that the two join
            return self.of(text)
        text = _IN_LINK.sub(self._in_link, text)
        return _IN_TEXT.sub(lambda found: self.of(found[0]), text)

    def _in_link(self, found: re.Match[str]) -> str:
        text = found[0]
        while "@" not in text:
            text = urllib.parse.unquote(text)
        return urllib.parse.quote(_IN_TEXT.sub(lambda address: self.of(address[0]), text), safe="+")


def keys_of(connection: duckdb.DuckDBPyConnection, address: str) -> list[str]:
    """Return the vendors' keys of the person with this address, a browser's among them."""
    keys: list[str] = []
    for table, trace in TRACES.items():
        if trace.names:
            where = " or ".join(f"{same_address(each)} = $1" for each in trace.addresses)
            found = connection.execute(f"select {trace.key} from {table} where {where}", [normal(address)])
            keys += [key for (key,) in found.fetchall()]
    return keys


def remove(connection: duckdb.DuckDBPyConnection, address: str, keys: list[str]) -> dict[str, int]:
    """Delete the rows that name this address or have one of these keys; return how many per raw table."""
    removed = {}
    for table, trace in TRACES.items():
        where, parameters = _owned(trace, address, keys)
        deleted = connection.execute(f"delete from {table} as entry where {where}", parameters).fetchone()
        removed[table] = int(deleted[0]) if deleted else 0
    return removed


def remove_set_aside(
    connection: duckdb.DuckDBPyConnection,
    address: str,
    keys: list[str],
    row_keys: Mapping[str, Sequence[str]],
    salt: bytes,
) -> None:
    """Delete what was set aside of the rows that `remove` deletes; `row_keys` are key columns by table."""
    for table, trace in TRACES.items():
        where, parameters = _owned(trace, address, keys)
        vendor, resource = table.removeprefix("raw_").split(".")
        connection.execute(
            f"""
            delete from raw_ops.set_aside
            where vendor = '{vendor}' and resource = '{resource}' and row_key in (
                select {row_key(table, row_keys[table], salt)} from {table} as entry where {where}
            )
            """,
            parameters,
        )


def _owned(trace: Trace, address: str, keys: list[str]) -> tuple[str, dict[str, Any]]:
    """SQL of whether a row, as `entry`, is of the person, and its parameters."""
    owned = [f"{same_address(each)} = $address" for each in trace.addresses]
    owned += [mentions("entry")]
    owned += [f"{trace.key} in (select unnest($keys))"] if trace.key else []
    parameters: dict[str, Any] = {"keys": keys} if trace.key else {}
    return " or ".join(owned), parameters | {"address": normal(address)}
