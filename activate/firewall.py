"""What must not leave: texts that look like a person's, and who may be known by them."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

# What a fact may be declared as, and what may then stand there. Nothing (null) always may.
DECLARABLE: Final[Mapping[str, Callable[[Any], bool]]] = {
    "count": lambda value: _is_number(value) and isinstance(value, int) and value >= 0,
    "share": lambda value: _is_number(value) and 0 <= value <= 1,
    "number": lambda value: _is_number(value),
    "usd": lambda value: _is_number(value),
    "seconds": lambda value: _is_number(value),
    "flag": lambda value: isinstance(value, bool),
    "date": lambda value: isinstance(value, str) and bool(re.fullmatch(r"\d{4}-\d\d-\d\d", value)),
    "word": lambda value: isinstance(value, str) and bool(re.fullmatch(r"[a-z0-9_]{1,40}", value)),  # of ours
    "name": lambda value: isinstance(value, str) and len(value) <= 100,  # that somebody gave a thing
    "quote": lambda value: isinstance(value, str) and len(value) <= 200,  # what somebody wrote or said
}


def undeclared(value: Any, declared: Any, field: str) -> str:
    """Name the first fact that is not declared, or is something else than that; empty where none is.

    Objects and lists are declared as such: `{"low": "share"}`, `[{"country": "name"}]`, `["word"]`. Raises
    ValueError where a declaration is none of DECLARABLE.
    """
    if isinstance(declared, str) and declared not in DECLARABLE:
        raise ValueError(f"{field} is declared as {declared}, which is none of {', '.join(DECLARABLE)}")
    if value is None and declared is not None:
        return ""
    if isinstance(declared, Mapping) and isinstance(value, Mapping):
        inside = (
            undeclared(inner, declared[name], f"{field}.{name}")
            if name in declared
            else f"{_shown(field, str(name))} is not declared"
            for name, inner in value.items()
        )
        return next(filter(None, inside), "")
    if isinstance(declared, list) and isinstance(value, list):
        within = (undeclared(inner, declared[0], f"{field}[{place}]") for place, inner in enumerate(value))
        return next(filter(None, within), "")
    if isinstance(declared, str) and DECLARABLE[declared](value):
        return ""
    kind = declared if isinstance(declared, str) else "list" if isinstance(declared, list) else "object"
    return f"{field} is not the {kind} that is declared"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(field: str, name: str) -> str:
    """Name a fact; one whose name holds more than a model's column may is not said."""
    return f"{field}.{name}" if re.fullmatch(r"[a-z0-9_]{1,60}", name) else f"a key in {field}"


_PERSONAL: Final[Mapping[str, re.Pattern[str]]] = {
    "an e-mail address": re.compile(r"[^\s@\"'<>(),;:]+\s?(?:@|%40)\s?[^\s@\"'<>(),;:]+\.\w{2,}"),
    # Vendors' own forms: SG.…, pk_…, mvra_live_…, sk-…, bearer tokens.
    "a key": re.compile(
        r"\b(?:SG\.|pk_|sk[_-]|mvra_|xox[a-z]-|AKIA)[\w.-]{8,}|\bbearer\s+[\w.-]{16,}", re.IGNORECASE
    ),
    # Cookie ids of Wistia (40 hexadecimal digits; a time with a tail), UUIDs, ULIDs of Klaviyo profiles.
    "an id of a person or a browser": re.compile(
        r"\b[0-9a-f]{16,}\b|\b\d{9,}[a-f][0-9a-f]*\.\d+|\b\d{9,}_[0-9a-z-]{4,}"
        r"|\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b|\b01[0-9a-hjkmnp-tv-z]{24}\b",
        re.IGNORECASE,
    ),
    "an IP address": re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])"),
}
# Dates and decimals are taken out first; then come groups of digits with short separators. A comma is no such
# separator, so 1,234,567 is a number; without any separator, nine digits still are one.
_NUMBERS: Final = re.compile(r"\b\d{4}-\d\d-\d\d\b|(?<![\d.+])\d+\.\d+(?![\d.])")
_PHONE: Final = re.compile(r"(?<![\w,])(?:\+\s?)?\(?\d{1,5}\)?(?:[ .\-/]{0,2}\(?\d{2,5}\)?){1,6}(?![\w%])")
_PHONE_DIGITS: Final = range(9, 16)


def objection(fields: Iterable[tuple[str, str]]) -> str:
    """Name the first of these fields that looks personal, never its value; empty where none does."""
    found = ((field, looks_personal(value)) for field, value in fields)
    return next((f"{field} looks like {what}" for field, what in found if what), "")


def looks_personal(text: str) -> str:
    """Say what in a text looks like a person's, or nothing."""
    # A sign can be written in many ways (full-width, with invisible ones between): compare the plain text.
    plain = "".join(
        sign for sign in unicodedata.normalize("NFKC", text) if unicodedata.category(sign) != "Cf"
    )
    for what, pattern in _PERSONAL.items():
        if pattern.search(plain):
            return what
    for found in _PHONE.finditer(_NUMBERS.sub("|", plain)):
        digits = sum(sign.isdigit() for sign in found[0])
        if digits in _PHONE_DIGITS and not (digits == len(found[0]) == _PHONE_DIGITS.start):
            return "a phone number"
    return ""


def texts(value: Any, field: str) -> Iterator[tuple[str, str]]:
    """Give every text, number and key in nested facts with its field; a key goes by its parent's name."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield f"a key in {field}", str(name)
            yield from texts(inner, f"{field}.{name}")
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from texts(inner, f"{field}[{position}]")
    elif isinstance(value, str):
        yield field, value
    elif isinstance(value, int) and not isinstance(value, bool):
        yield field, str(value)
