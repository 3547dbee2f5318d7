"""How the warehouse stores e-mail addresses and phone numbers: unchanged, or as salted hashes."""

import json
import re
import urllib.parse
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from privacy import pseudonyms
from privacy.traces import ADDRESS, GAP, Trace, normal

# The same with an encoded @, and with everything that a link may have encoded around it.
_IN_TEXT: Final = re.compile(ADDRESS)
_IN_LINK: Final = re.compile(r"""[^\s"'<>(),;:\\/=&?#]*%(?:25)*40[^\s"'<>(),;:\\/=&?#]*""", re.IGNORECASE)
_WHOLE: Final = re.compile(r"""\s*(?:"[^"@]+"|[^\s@":;,<>()\\?]+)@[^\s@"'<>(),;:\\/=&?%]+\s*""")
_LITERAL: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
FEWEST_DIGITS: Final = 7
_HASH: Final = re.compile("[0-9a-f]{64}")
# A phone number with its country, or in North American form, recognizable by its gaps.
_PHONE: Final = re.compile(
    rf"(?<![\w+])(?:\+|%2B)[1-9](?:{GAP}*[0-9]){{6,14}}(?!\w)"
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
"""Texts without any of these contain neither an address nor a phone number."""
HASHED_WITH: Final = "the salt"
"""A fixed text that is hashed as well, to detect another salt."""


class Addresses:
    """One of the two ways, with the salt at `salt_path`. Hashes join like the originals."""

    def __init__(self, is_hashed: bool, salt_path: Path) -> None:
        self.is_hashed = is_hashed
        self._salt = pseudonyms.salt(salt_path) if is_hashed else b""

    @property
    def mark(self) -> str:
        """The identifier of the salt; empty if addresses are stored unchanged."""
        return pseudonyms.of_address(self._salt, HASHED_WITH) if self._salt else ""

    def of(self, address: str) -> str:
        """Return an address as the warehouse stores it."""
        return pseudonyms.of_address(self._salt, address) if self.is_hashed else normal(address)

    def of_phone(self, phone: str) -> str:
        """Return a phone number as the warehouse stores it."""
        is_plain = self.is_hashed and any(sign.isdecimal() for sign in phone) and not _HASH.fullmatch(phone)
        return pseudonyms.of_phone(self._salt, phone) if is_plain else phone

    def kept(self, trace: Trace | None, rows: pa.Table) -> pa.Table:
        """Return `rows` of a table with this trace as the warehouse stores them."""
        if not self.is_hashed:
            return rows
        owned, phones = (trace.addresses, trace.phones) if trace else ((), ())
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
        """Return a text with a hash in place of each address; JSON strings without one stay unchanged."""
        if not text.lstrip().startswith(("{", "[", '"')):
            return self._hashed(text)
        try:
            json.loads(text)
        except ValueError:
            return self._hashed(text)
        text = _CALLED.sub(self._in_member, text)
        return _LITERAL.sub(self._in_literal, text)

    def _in_member(self, found: re.Match[str]) -> str:
        """Return an object's member that is named as a phone number, hashed in any form."""
        name, value = found[1], json.loads(found[2])
        is_phone = sum(sign.isdecimal() for sign in str(value)) >= FEWEST_DIGITS and "@" not in str(value)
        return f"{name}{json.dumps(self.of_phone(str(value)))}" if is_phone else found[0]

    def _in_literal(self, found: re.Match[str]) -> str:
        text = json.loads(found[0])
        kept = self._hashed(text)
        return found[0] if kept == text else json.dumps(kept, ensure_ascii=False)

    def _hashed(self, text: str) -> str:
        if _WHOLE.fullmatch(text):  # like a separate column, so that the two join
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
