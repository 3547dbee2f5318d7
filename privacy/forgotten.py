"""Forgotten people: tombstones that keep every load from bringing them back.

A tombstone keeps only salted hashes of a person's address and vendors' keys. Tombstones have their own file,
because the warehouse can be deleted and loaded again.
"""

import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from privacy.traces import ADDRESS, NUMBER, Trace, parts_of, readable, same_address


def tombstones_of(phone: str) -> list[str]:
    """Return the forms of a phone number to remember: each way to write its digits, or its hash."""
    if not re.fullmatch(r"\+?[0-9]+", phone):
        return [phone]
    country, digits = parts_of(phone)
    return [f"phone {each}" for each in ([f"{country}{digits}"] if country else []) + [digits, f"0{digits}"]]


ABOUT: Final = (
    "People who asked to be forgotten: salted hashes of their addresses and of the vendors' keys for them, "
    "with the moment of each. No load brings them back while this file is here. Back it up. "
    "Written by make forget."
)


class Forgotten:
    """The tombstones in the file at `path`; none without a file."""

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
        """Add tombstones of these addresses and keys. They are on disk when it returns."""
        self._tombstones |= {self.tombstone(value): now.isoformat() for value in values}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with draft.open("w", encoding="utf-8") as file:
            json.dump({"about": ABOUT, "salt": self._salt, "tombstones": self._tombstones}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)

    def without(self, connection: duckdb.DuckDBPyConnection, trace: Trace | None, rows: pa.Table) -> pa.Table:
        """Return `rows` of a table with this trace, without those of forgotten people."""
        if not self._tombstones or trace is None or not rows.num_rows:
            return rows
        values = [*map(same_address, trace.addresses), *filter(None, [trace.key])]
        known = " or ".join(
            f"coalesce(sha256(concat($salt, {value})) in (select unnest($known)), false)" for value in values
        )
        # Or the row names them elsewhere: in the link to a video, in a note on an order.
        text = readable("unchecked::varchar")
        named = f"regexp_extract_all({text}, $address)"
        known += f" or {_any_known(named)}"
        called = f"list_concat({_NUMBERS.format(text=text)}, regexp_extract_all({text}, '[0-9a-f]{{64}}'))"
        known += f" or ({trace.nobodys if trace.is_owner else 'true'} and {_any_known(called)})"
        connection.register("unchecked", rows)
        kept: Any = connection.execute(
            f"select * from unchecked where not ({known})",
            {"salt": self._salt, "known": list(self._tombstones), "address": ADDRESS, "number": NUMBER},
        ).to_arrow_table()
        connection.unregister("unchecked")
        return kept.cast(rows.schema)


# SQL for the phone numbers in a text, in the form of tombstones; short numbers without a gap do not count.
_NUMBERS: Final = """list_transform(
    list_filter(
        regexp_extract_all({text}, $number), lambda each: not regexp_matches(each, '^[1-9][0-9]{{0,9}}$')),
    lambda each: concat('phone ', regexp_replace(regexp_replace(each, '[^0-9]', '', 'g'), '^00', '')))"""


def _any_known(values: str) -> str:
    """Return SQL for whether one of these texts has a tombstone."""
    return f"list_has_any($known, list_transform({values}, lambda each: sha256(concat($salt, each))))"
