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

from common.settings import Settings
from privacy import pseudonyms


class Trace(NamedTuple):
    """How a raw table tells whose a row is.

    `addresses` are SQL for the e-mail addresses in a row, `phones` the columns of phone numbers, `key` is
    the column of the vendor's key of the person or the browser. A table that `names` its owner says whose key
    that is.
    """

    addresses: tuple[str, ...] = ()
    key: str = ""
    names: bool = False
    phones: tuple[str, ...] = ()


TRACES: Final[Mapping[str, Trace]] = {
    "raw_sendgrid.contacts": Trace(("email",), "contact_id", names=True),
    "raw_sendgrid.suppressions": Trace(("email",)),
    "raw_sendgrid.invalid_emails": Trace(("email",)),
    "raw_sendgrid.group_suppressions": Trace(("email",)),
    "raw_wistia.visitors": Trace(("visitor_identity ->> 'email'",), "visitor_key", names=True),
    "raw_wistia.events": Trace(("email", "conversion_data ->> 'email'"), "visitor_key"),
    "raw_klaviyo.profiles": Trace(("email",), "id", names=True, phones=("phone_number",)),
    "raw_klaviyo.predictive_analytics": Trace(key="profile_id"),
    "raw_klaviyo.segment_members": Trace(key="profile_id"),
    "raw_klaviyo.list_members": Trace(key="profile_id"),
    "raw_klaviyo.events": Trace(key="profile_id"),
}


def row_key(connection: duckdb.DuckDBPyConnection, table: str, key: Iterable[str], salt: bytes) -> str:
    """SQL of a row's key as `raw_ops.set_aside` has it: a salted hash in tables about people.

    The salt is bound to the connection, so that no error can quote it.
    """
    connection.execute("set variable row_salt = ?", [salt.hex()])
    names = ", ".join(f'"{name}"::varchar' for name in key)
    joined = f"concat_ws(' ', {names})"
    return f"sha256(concat(getvariable('row_salt'), {joined}))" if table in TRACES else joined


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


# Between the digits of a phone number; a number inside a longer text, as people and links write it.
_GAP: Final = r"(?:[ ().\-/]|%20)"
_NUMBER: Final = rf"(?:\+|00|\()?[0-9](?:{_GAP}*[0-9]){{6,14}}"


def written(phone: str) -> str:
    """Return a pattern of a phone number in a readable text, however it is written; of a hash, that hash.

    Without its country it is one only with gaps, a leading 0 or in quotes: the bare digits are as often the
    number of something else.
    """
    if not re.fullmatch(r"\+?[0-9]+", phone):
        return re.escape(phone.lower())
    country, digits = _parts(phone)
    anyhow = f"{_GAP}*".join
    gapped = [f"{anyhow(digits[:at])}{_GAP}+{anyhow(digits[at:])}" for at in range(1, len(digits))]
    ways = [*gapped, f'"{digits}"', f"0{_GAP}*{anyhow(digits)}"]
    if country:
        ways.append(rf"(?:00{_GAP}*)?{anyhow(country)}{_GAP}*(?:0{_GAP}*)?{anyhow(digits)}")
    return f"(?:^|[^0-9])(?:{'|'.join(ways)})(?:[^0-9]|$)"


def tombstones_of(phone: str) -> list[str]:
    """Return what is remembered of a phone number: each way to write its digits, or its hash."""
    if not re.fullmatch(r"\+?[0-9]+", phone):
        return [phone]
    country, digits = _parts(phone)
    return [f"phone {each}" for each in ([f"{country}{digits}"] if country else []) + [digits, f"0{digits}"]]


def _parts(phone: str) -> tuple[str, str]:
    """The country's digits of a phone number and the others."""
    import phonenumbers  # see pseudonyms.normal_phone

    try:
        parsed = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return "", phone.removeprefix("+")
    return str(parsed.country_code), phonenumbers.national_significant_number(parsed)


ABOUT: Final = (
    "People who asked to be forgotten: salted hashes of their addresses and of the vendors' keys for them, "
    "with the moment of each. No load brings them back while this file is here. Back it up. "
    "Written by make forget."
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
            json.dump({"about": ABOUT, "salt": self._salt, "tombstones": self._tombstones}, file, indent=1)
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
        text = readable("unchecked::varchar")
        named = f"regexp_extract_all({text}, $address)"
        known += f" or {_any_known(named)}"
        called = f"list_concat({_NUMBERS.format(text=text)}, regexp_extract_all({text}, '[0-9a-f]{{64}}'))"
        known += f" or ({_is_nobodys(trace) if trace.names else 'true'} and {_any_known(called)})"
        connection.register("unchecked", rows)
        kept: Any = connection.execute(
            f"select * from unchecked where not ({known})",
            {"salt": self._salt, "known": list(self._tombstones), "address": _ADDRESS, "number": _NUMBER},
        ).to_arrow_table()
        connection.unregister("unchecked")
        return kept.cast(rows.schema)


# SQL of the phone numbers in a text, as tombstones know them; short digits without a gap are no phone number.
_NUMBERS: Final = """list_transform(
    list_filter(
        regexp_extract_all({text}, $number), lambda each: not regexp_matches(each, '^[1-9][0-9]{{0,9}}$')),
    lambda each: concat('phone ', regexp_replace(regexp_replace(each, '[^0-9]', '', 'g'), '^00', '')))"""


def _any_known(values: str) -> str:
    """SQL of whether one of these texts has a tombstone."""
    return f"list_has_any($known, list_transform({values}, lambda each: sha256(concat($salt, each))))"


# The same where the sign in its middle may be encoded, with all that a link may have encoded around it.
_IN_TEXT: Final = re.compile(_ADDRESS)
_IN_LINK: Final = re.compile(r"""[^\s"'<>(),;:\\/=&?#]*%(?:25)*40[^\s"'<>(),;:\\/=&?#]*""", re.IGNORECASE)
_WHOLE: Final = re.compile(r"""\s*(?:"[^"@]+"|[^\s@":;,<>()\\?]+)@[^\s@"'<>(),;:\\/=&?%]+\s*""")
_LITERAL: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
FEWEST_DIGITS: Final = 7
_HASH: Final = re.compile("[0-9a-f]{64}")
# A phone number with its country, or as North Americans write one, in which the gaps show what it is.
_PHONE: Final = re.compile(
    rf"(?<![\w+])(?:\+|%2B)[1-9](?:{_GAP}*[0-9]){{6,14}}(?!\w)"
    rf"|(?<![\w.+-])(?:1[ .-])?(?:\([0-9]{{3}}\) ?|[0-9]{{3}}[ .-])[0-9]{{3}}[ .-][0-9]{{4}}(?![\w-])",
    re.IGNORECASE,
)
_CALLED: Final = re.compile(
    r"""("[^"\\]*(?:phone|mobile|cell|whatsapp)[^"\\]*"\s*:\s*)("(?:[^"\\]|\\.)*"|[0-9]{7,15}(?![0-9.]))""",
    re.IGNORECASE,
)
_MAY_NAME: Final = (
    r"(?i)@|%(25)*40|u0040|\+[1-9]|%2b[1-9]|u002b|phone|mobile|cell|whatsapp|[0-9]{3}[ .-][0-9]{4}"
)
"""Texts without any of these name neither an address nor a phone number."""
HASHED_WITH: Final = "the salt"
"""What is hashed beside the addresses, so that another salt shows."""


class Addresses:
    """How the warehouse keeps e-mail addresses and phone numbers: as they are or, with a salt, as hashes.

    The hashes join as well as what they stand for.
    """

    def __init__(self, settings: Settings) -> None:
        self._is_hashed = settings.emails_in_warehouse == "hashed"
        self._salt = pseudonyms.salt(settings.salt_path) if self._is_hashed else b""

    @property
    def mark(self) -> str:
        """What tells one salt from another, and from none; empty where addresses are kept as they are."""
        return pseudonyms.of_address(self._salt, HASHED_WITH) if self._salt else ""

    def of(self, address: str) -> str:
        """Return an address as the warehouse has it."""
        return pseudonyms.of_address(self._salt, address) if self._is_hashed else normal(address)

    def of_phone(self, phone: str) -> str:
        """Return a phone number as the warehouse has it."""
        is_plain = self._is_hashed and any(sign.isdecimal() for sign in phone) and not _HASH.fullmatch(phone)
        return pseudonyms.of_phone(self._salt, phone) if is_plain else phone

    @property
    def is_hashed(self) -> bool:
        return self._is_hashed

    def kept(self, table: str, rows: pa.Table) -> pa.Table:
        """Return `rows` of a raw table as they are kept. What Mavera answers holds nobody's address."""
        if not self._is_hashed or table.startswith("raw_mavera."):
            return rows
        owned, phones = TRACES.get(table, Trace()).addresses, TRACES.get(table, Trace()).phones
        for place, field in enumerate(rows.schema):
            column = rows.column(place)
            if not pa.types.is_string(field.type):
                continue
            if field.name in owned:
                kept = [self.of(value) if value and value.strip() else value for value in column.to_pylist()]
            elif field.name in phones:
                kept = [value and self.of_phone(value) for value in column.to_pylist()]
            elif pc.any(pc.match_substring_regex(column, _MAY_NAME)).as_py():
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
        text = _CALLED.sub(self._in_member, text)
        return _LITERAL.sub(self._in_literal, text)

    def _in_member(self, found: re.Match[str]) -> str:
        """A member of an object whose name says that it is a phone number, hashed whatever its form."""
        name, value = found[1], json.loads(found[2])
        is_phone = sum(sign.isdecimal() for sign in str(value)) >= FEWEST_DIGITS and "@" not in str(value)
        return f"{name}{json.dumps(self.of_phone(str(value)))}" if is_phone else found[0]

    def _in_literal(self, found: re.Match[str]) -> str:
        text = json.loads(found[0])
        kept = self._hashed(text)
        return found[0] if kept == text else json.dumps(kept, ensure_ascii=False)

    def _hashed(self, text: str) -> str:
        if _WHOLE.fullmatch(text):  # as a column of its own would be, so that the two join
            return self.of(text)
        text = _IN_LINK.sub(self._in_link, text)
        text = _IN_TEXT.sub(lambda found: self.of(found[0]), text)
        return _PHONE.sub(self._in_phone, text)

    def _in_phone(self, found: re.Match[str]) -> str:
        phone = urllib.parse.unquote(found[0])
        if not phone.startswith("+"):
            digits = "".join(sign for sign in phone if sign.isdecimal())
            phone = f"+1{digits[-pseudonyms.NATIONAL_DIGITS :]}"
        return self.of_phone(phone)

    def _in_link(self, found: re.Match[str]) -> str:
        text = found[0]
        while "@" not in text:
            text = urllib.parse.unquote(text)
        return urllib.parse.quote(_IN_TEXT.sub(lambda address: self.of(address[0]), text), safe="+")


def keys_of(connection: duckdb.DuckDBPyConnection, address: str, phones: Sequence[str] = ()) -> list[str]:
    """Return the vendors' keys of the person with this address, a browser's among them.

    A profile with one of the person's phone numbers and no address is the person's, too.
    """
    keys: list[str] = []
    for table, trace in TRACES.items():
        if trace.names:
            owned = [f"{same_address(each)} = $address" for each in trace.addresses]
            owned += [f"{_is_nobodys(trace)} and {each} in (select unnest($phones))" for each in trace.phones]
            parameters: dict[str, Any] = {"address": normal(address)}
            if trace.phones:
                parameters["phones"] = list(phones)
            query = f"select {trace.key} from {table} where {' or '.join(owned)}"
            keys += [key for (key,) in connection.execute(query, parameters).fetchall()]
    return keys


def phones_of(connection: duckdb.DuckDBPyConnection, address: str) -> list[str]:
    """Return the phone numbers of the person with this address, as the warehouse has them."""
    phones: dict[str, None] = {}
    for table, trace in TRACES.items():
        owned = " or ".join(f"{same_address(each)} = $1" for each in trace.addresses)
        for phone in trace.phones:
            query = f"select {phone} from {table} where ({owned}) and trim({phone}) <> ''"
            phones |= dict.fromkeys(
                each for (each,) in connection.execute(query, [normal(address)]).fetchall()
            )
    return list(phones)


def _is_nobodys(trace: Trace) -> str:
    """SQL of whether a row has no address; a phone number may be shared by people who have their own."""
    return " and ".join(f"coalesce(trim({each}), '') = ''" for each in trace.addresses) or "true"


def names_phone(entry: str, table: str, pattern: str) -> str:
    """SQL of whether a row, but for one that has an owner with another address, names a phone number."""
    trace = TRACES.get(table, Trace())
    free = f"{_is_nobodys(trace)} and " if trace.names else ""
    return f"({free}regexp_matches({readable(f'{entry}::varchar')}, {pattern}))"


def remove(
    connection: duckdb.DuckDBPyConnection, address: str, keys: list[str], phones: Sequence[str] = ()
) -> dict[str, int]:
    """Delete the rows that name this address or phone number or have one of these keys.

    Returns how many there were per raw table.
    """
    removed = {}
    for table in TRACES:
        where, parameters = _owned(table, address, keys, phones)
        deleted = connection.execute(f"delete from {table} as entry where {where}", parameters).fetchone()
        removed[table] = int(deleted[0]) if deleted else 0
    return removed


def remove_set_aside(
    connection: duckdb.DuckDBPyConnection,
    address: str,
    keys: list[str],
    phones: Sequence[str],
    row_keys: Mapping[str, Sequence[str]],
    salt: bytes,
) -> None:
    """Delete what was set aside of the rows that `remove` deletes; `row_keys` are key columns by table."""
    for table in TRACES:
        where, parameters = _owned(table, address, keys, phones)
        vendor, resource = table.removeprefix("raw_").split(".")
        connection.execute(
            f"""
            delete from raw_ops.set_aside
            where vendor = '{vendor}' and resource = '{resource}' and row_key in (
                select {row_key(connection, table, row_keys[table], salt)} from {table} as entry where {where}
            )
            """,
            parameters,
        )


def _owned(table: str, address: str, keys: list[str], phones: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """SQL of whether a row, as `entry`, is of the person, and its parameters."""
    trace = TRACES[table]
    owned = [f"{same_address(each)} = $address" for each in trace.addresses]
    owned += [mentions("entry")]
    owned += [f"{trace.key} in (select unnest($keys))"] if trace.key else []
    owned += [names_phone("entry", table, f"$phone_{n}") for n in range(len(phones))]
    parameters: dict[str, Any] = {"keys": keys} if trace.key else {}
    parameters |= {f"phone_{n}": written(phone) for n, phone in enumerate(phones)}
    return " or ".join(owned), parameters | {"address": normal(address)}
