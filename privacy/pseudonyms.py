"""Salted hashes that replace names and addresses, and the forms in which texts are compared.

The salt has its own file. Without it, nobody can test names or addresses against the hashes.
"""

import hashlib
import hmac
import os
import re
import secrets
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import permutations
from pathlib import Path
from typing import Any, Final

# Letters of other alphabets that look Latin. Both sides of a comparison are mapped, so that a Cyrillic name
# still equals itself.
_LIKE: Final = str.maketrans(
    "авекмнорстухіјѕԁһԛԝӏ" + "αβεζηικμνορτυχ" + "ıłøđ",
    "abekmhopctyxijsdhqwl" + "abezhikmnoptyx" + "ilod",
)
# Characters that are invisible although their category is a letter or not blank.
_BLANK: Final = dict.fromkeys(map(ord, "\u115f\u1160\u3164\uffa0\u2800\u00ad"))
_DASHES: Final = re.compile(r"[\u2010-\u2015\u2212]")
_WORD: Final = re.compile(r"[^\W\d_]+")
_HUMP: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")

NATIONAL_DIGITS: Final = 10
"""A number with more digits begins with its country, with or without a +."""

# Chinese, Japanese and Korean letters; a name in them has two to six.
_UNSPACED: Final = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\u1100-\u11ff]+")
_UNSPACED_LETTERS: Final = range(2, 7)

PERSON_ID_CHARACTERS: Final = 32
"""The length of the hash that is a `person_id`: 128 bits."""

_BLOCK: Final = 64  # bytes of SHA-256 that a key of HMAC fills

SALTED: Final = "salted"
"""A fixed text that is hashed as well, to detect another salt."""


def salt(path: Path, *, create: bool = False) -> bytes:
    """Return the salt in a file; without one, create it or return b""."""
    if path.exists():
        return bytes.fromhex(path.read_text(encoding="ascii").strip())
    if not create:
        return b""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(f"{secrets.token_hex(32)}\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return salt(path)


def of_address(salt: bytes, address: str) -> str:
    """Return the hash of an e-mail address: the HMAC-SHA-256 of its form in staging, in hexadecimal."""
    return hmac.digest(salt, address.strip().lower().encode(), "sha256").hex()


def person_key(salt: bytes) -> bytes:
    """Return a separate key for person ids, so that the salt itself never enters a database."""
    return hmac.digest(salt, b"person_id", "sha256")


def person_key_blocks(salt: bytes) -> dict[str, bytes]:
    """Return the two keys into which HMAC-SHA-256 turns the key of person ids, by their variable's name."""
    key = person_key(salt).ljust(_BLOCK, b"\0")
    return {
        name: bytes(byte ^ sign for byte in key) for name, sign in (("inner_key", 0x36), ("outer_key", 0x5C))
    }


def person_id(salt: bytes, address: str) -> str:
    """Return the `person_id` that the models give to an address in the warehouse's form."""
    return hmac.digest(person_key(salt), address.encode(), "sha256").hex()[:PERSON_ID_CHARACTERS]


def define_person_id(connection: Any, salt: bytes) -> None:
    """Add `person_id(address)` to a connection of DuckDB: HMAC-SHA-256 as in RFC 2104.

    Its two keys are bound, so that neither SQL nor dbt's files show them. Before there is a salt, as in unit
    tests of the models alone, the key is empty.
    """
    for name, key in person_key_blocks(salt).items():
        connection.execute(f"set variable {name} = ?", [key])
    connection.execute(f"""
        create or replace temporary macro person_id(address) as left(
            sha256(getvariable('outer_key') || unhex(sha256(getvariable('inner_key') || encode(address)))),
            {PERSON_ID_CHARACTERS}
        )
    """)


def of_phone(salt: bytes, phone: str) -> str:
    """Return the hash of a phone number in any notation: HMAC-SHA-256 in hexadecimal."""
    return hmac.digest(salt, normal_phone(phone).encode(), "sha256").hex()


def normal_phone(phone: str) -> str:
    """Return a phone number for comparison: + and all digits if it has its country, else the digits."""
    import phonenumbers  # here because it is slow, and few runs need it

    digits = "".join(sign for sign in phone if sign.isdecimal())
    if not (phone.strip().startswith(("+", "00")) or len(digits) > NATIONAL_DIGITS):
        return digits
    whole = f"+{digits.removeprefix('00')}"
    try:
        parsed = phonenumbers.parse(whole)
    except phonenumbers.NumberParseException:
        return whole
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def of_text(salt: bytes, text: str) -> int:
    """Return the hash of a name or a key: 63 bits, enough to look it up."""
    return int.from_bytes(hashlib.blake2b(text.encode(), key=salt, digest_size=8).digest()) >> 1


def folded(text: str) -> str:
    """Return a text without accents, invisible characters, width and case, with look-alikes made Latin."""
    if text.isascii():
        return text.casefold()
    return _DASHES.sub("-", _plain(text).casefold().translate(_LIKE)).replace("\u3002", ".")


class _Visible(dict[int, str | None]):
    """A table for `str.translate` that drops accents and invisible characters."""

    def __missing__(self, code: int) -> str | None:
        kept = unicodedata.category(chr(code)) not in {"Mn", "Me", "Cf"}
        self[code] = chr(code) if kept else None
        return self[code]


_VISIBLE: Final = _Visible()
# Of texts in ASCII, which need no more: the letters in lower case, and the case of each letter.
_LETTERS: Final = {code: chr(code).lower() if chr(code).isalpha() else " " for code in range(128)}
_CASES: Final = {code: "A" if chr(code).isupper() else "a" for code in range(128) if chr(code).isalpha()}


def _plain(text: str) -> str:
    if text.isascii():
        return text
    return unicodedata.normalize("NFKD", text.translate(_BLANK)).translate(_VISIBLE)


def words(text: str, *, shortest: int = 2) -> list[str]:
    """Return the folded words of a text; initials do not count, and `AdaLovelace` is two words."""
    if text.isascii():
        apart = _HUMP.sub(" ", text) if "aA" in text.translate(_CASES) else text
        found = apart.translate(_LETTERS).split()
    else:
        found = _WORD.findall(folded(_HUMP.sub(" ", _plain(text))))
    return [word for word in found if len(word) >= shortest]


def unspaced(text: str) -> Iterator[str]:
    """Yield possible names in scripts without blanks, such as Chinese."""
    for run in () if text.isascii() else _UNSPACED.findall(_plain(text)):
        for length in _UNSPACED_LETTERS:
            yield from (f"joined {run[at : at + length]}" for at in range(len(run) - length + 1))


def name_of(parts: Iterable[str]) -> str:
    """Return the words of a name in a fixed order; "" for a single word."""
    parts = sorted(parts)
    return " ".join(parts) if len(parts) > 1 else ""


def part_of(word: str) -> str:
    """Return one word of a name in the form for a separate lookup."""
    return f"part {word}"


def known_by(text: str, kind: str) -> set[str]:
    """Return every text of a row of `intermediate.int_known_people` that is hashed."""
    if kind == "key":
        return {key_of(text)} - {""}
    # McDonald is also written mcdonald, in which the two words do not show.
    names = {name_of(words(text)), name_of(words(text.lower()))} - {""}
    # Names such as E Park or 李 娜 have nothing but single letters.
    names = names or {name_of(words(text, shortest=1))} - {""}
    if text.isascii():
        return names | {part_of(word) for name in names for word in name.split()}
    joined = {"".join(parts) for parts in permutations(_plain(text).split()[:3])}
    written = {
        f"joined {each}" for each in joined if _UNSPACED.fullmatch(each) and len(each) in _UNSPACED_LETTERS
    }
    return names | written | {part_of(word) for name in names for word in name.split()}


def key_of(text: str) -> str:
    """Return a vendor's key of a person in the form for lookups; "" if it could be a word or a number."""
    key = folded(text)
    digits = sum(sign.isdigit() for sign in key)
    return key if len(key) >= 8 and (0 < digits < len(key) or digits >= 10) else ""
