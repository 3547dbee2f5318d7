"""What must not leave: facts that no job declares, and texts that look like a person's or name one.

A text is looked at as it reads (folded: accents, width, invisible signs, look-alike letters) and once more
with its encodings undone. What is a name stands in docs/decisions.md, what cannot be caught beside it.
"""

import base64
import binascii
import html
import json
import re
import urllib.parse
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

import pseudonyms

# --- which facts may leave ---------------------------------------------------------------------------

# What a fact may be declared as, and what may then stand there. Nothing (null) always may.
DECLARABLE: Final[Mapping[str, Callable[[Any], bool]]] = {
    "count": lambda value: _is_number(value) and isinstance(value, int) and value >= 0,
    "share": lambda value: _is_number(value) and 0 <= value <= 1,
    "number": lambda value: _is_number(value),
    "money": lambda value: _is_number(value),
    "currency": lambda value: isinstance(value, str) and bool(re.fullmatch(r"[A-Z]{3}", value)),
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


# --- what looks like a person ------------------------------------------------------------------------

# Domains that end so are recognised although blanks were put into them: "example . com" is no sentence's end.
_TOP: Final = r"(?:com|net|org|edu|gov|info|biz|io|de|uk|fr|nl|es|eu|ch|ca|au|jp|br|pl|se|dk|fi|example)"
_OUTSIDE: Final = r"[^\s@\"'<>(),;:]+"
_PERSONAL: Final[Mapping[str, re.Pattern[str]]] = {
    "an e-mail address": re.compile(
        rf"(?<![^\s@\"'<>(),;:]){_OUTSIDE}[\s\"',]*@[\s\"',]*(?:{_OUTSIDE}\.\w{{2,}}|[\w-]+(?:\s*\.\s*[\w-]+)*?\s*\.\s*{_TOP}\b)"
        # Spelled: ada at example dot com, ada (at) example.com, ada.lovelace at example.com
        rf"|(?<![\w.+-])[\w.+-]+(?:\s+at\s+|\s*@\s*)[\w-]+(?:\s+dot\s+[\w-]+)*?\s+dot\s+{_TOP}\b"
        r"|(?<![\w.+-])[\w.+-]+\s*[\[({<]\s*at\s*[\])}>]\s*[\w-]+\s*(?:\.|[\[({<]?\s*dot\s*[\])}>]?)\s*\w{2,}"
        rf"|\b\w+[._]\w+\s+at\s+[\w-]+\.{_TOP}\b"
        # Cut off by the length that a text may have: ada@exam
        rf"|{_OUTSIDE}@[\w.-]*(?:\.\.\.)?\Z"
    ),
    # Vendors' own forms: SG.…, pk_…, mvra_live_…, sk-…, bearer tokens; and those of common services.
    "a key": re.compile(
        r"\b(?:sg\.|pk_|sk[_-]|rk_|mvra_|xox[a-z]-|akia|aiza|gh[opsu]_|glpat-|eyj[\w-]{8,}\.)[\w.-]{8,}"
        r"|\bbearer\s+[\w.-]{16,}|-----begin "
    ),
    # Cookie ids of Wistia (40 hexadecimal digits; a time with a tail), UUIDs, ULIDs of Klaviyo profiles.
    "an id of a person or a browser": re.compile(
        r"(?<![0-9a-z])(?:[0-9a-f]{16,}\b|\d{9,}[a-f][0-9a-f]*\.\d+|\d{9,}_[0-9a-z-]{4,}"
        r"|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?![0-9a-z])|01[0-9a-hjkmnp-tv-z]{24}(?![0-9a-z]))"
    ),
    "an IP address": re.compile(
        r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])"
        r"|\b(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}\b|\b(?:[0-9a-f]{1,4}:){2,6}:[0-9a-f]{1,4}\b"
    ),
}
# Dates, decimals and rows of years are taken out first; then come groups of digits with short separators. A
# comma is no such separator, so 1,234,567 is a number; without any separator, nine digits still are one.
_NUMBERS: Final = re.compile(
    r"\b\d{4}-\d\d-\d\d\b|(?<![\d.+])\d+\.\d+(?![\d.])|\b(?:19|20)\d\d(?:\s?[-/ ]\s?(?:19|20)\d\d)+\b"
)
_PHONE: Final = re.compile(
    r"(?<!\w)(?<!\d,)(?:\+\s?)?\(?\d{1,5}\)?(?:[ .\-/_\u00b7]{0,3}\(?\d{2,5}\)?){1,6}"
    r"(?:\s?(?:x|ext\.?)\s?\d{1,5})?(?![\w%])"
)
_PHONE_DIGITS: Final = range(9, 16)
_SIZES: Final = re.compile(r"[1-9]\d(?:[ \-/]{1,2}[1-9]\d)+")  # 36 38 40 42 44: a number begins with 0 or +

_ESCAPED: Final = re.compile(r"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})|=([0-9A-F]{2})")
_ENCODED: Final = re.compile(r"(?<![\w+/-])[A-Za-z0-9+/_-]{12,}={0,2}")
_DEEPEST: Final = 3  # encodings within encodings that are undone

NAME_WORDS: Final = range(2, 9)  # words of a name with both its parts
_TOKEN: Final = re.compile(r"[\w.@:-]{8,}")
_ID_FIELD: Final = re.compile(r"(?:^|_)(?:ids?|urls?)$")
# The fingerprint in the reference that ends a text: one in 300 has digits only, as a phone number has.
_MARKED: Final = re.compile(r"(Ref: \S+ )[0-9a-f]{12}\Z")


def looks_personal(text: str) -> str:
    """Say what in a text looks like a person's, or nothing."""
    return next(filter(None, (_looks(pseudonyms.folded(reading)) for reading in _readings(text))), "")


def _readings(text: str) -> Iterator[str]:
    """Give a text as it stands, then with its encodings undone, then what it holds in base64."""
    yield text
    plain = text
    for _ in range(_DEEPEST):
        before, plain = plain, _undone(plain)
        if plain == before:
            break
        yield plain
    for found in _ENCODED.findall(plain):
        # A slash is a sign of base64, and divides a link as well.
        for part in {found, *_ENCODED.findall(found.replace("/", " "))}:
            try:
                packed = part.rstrip("=").replace("-", "+").replace("_", "/")
                unpacked = base64.b64decode(packed + "=" * (-len(packed) % 4)).decode()
            except (binascii.Error, UnicodeDecodeError):
                continue
            yield unpacked
            yield _undone(unpacked)


def _undone(text: str) -> str:
    return html.unescape(urllib.parse.unquote(_ESCAPED.sub(_unescaped, text)))


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1] or found[2] or found[3], 16))


def _looks(folded: str) -> str:
    folded = " ".join(folded.split())
    for what, pattern in _PERSONAL.items():
        if pattern.search(folded):
            return what
    for found in _PHONE.finditer(_NUMBERS.sub("|", folded)):
        digits = sum(sign.isdigit() for sign in found[0])
        is_number = digits == len(found[0]) == _PHONE_DIGITS.start or _SIZES.fullmatch(found[0])
        if digits in _PHONE_DIGITS and not is_number:
            return "a phone number"
    return ""


class Firewall:
    """What is looked for in everything that leaves.

    `people` are what stands, by `salt`, for the names and vendors' keys that the warehouse knows
    (pseudonyms.of_text, sorted); `secrets` are this project's own keys; `id_fields` name fields of a body
    that hold ids of Mavera's beside those whose name says so.
    """

    def __init__(
        self,
        people: Sequence[int] = (),
        salt: bytes = b"",
        secrets: Iterable[str] = (),
        id_fields: Iterable[str] = (),
    ) -> None:
        self._people = people
        self._salt = salt
        self._secrets = [pseudonyms.folded(secret) for secret in secrets if secret]
        self._id_fields = frozenset(id_fields)

    def looks_personal(self, text: str) -> str:
        """Say what in a text is a person's or a secret, or nothing."""
        return self._known(text) or looks_personal(text)

    def objection(self, fields: Iterable[tuple[str, str]]) -> str:
        """Name the first of these fields that looks personal, never its value; empty where none does."""
        found = ((field, self.looks_personal(value)) for field, value in fields)
        return next((f"{field} looks like {what}" for field, what in found if what), "")

    def objection_to(self, body: bytes | str | None) -> str:
        """Name what in the bytes of a request looks personal, as `objection` does.

        Ids that Mavera gave look like anybody's: in their fields only what is known, or an address, is one.
        """
        if not body:
            return ""
        text = body.decode(errors="replace") if isinstance(body, bytes) else body
        try:
            fields = list(texts(json.loads(text), "the body"))
        except ValueError:
            return self.objection([("the file", text)])
        for field, value in fields:
            name = re.split(r"[.\[]", field.removeprefix("the body."))
            is_id = any(_ID_FIELD.search(part) or part in self._id_fields for part in name)
            what = self._known(value) or (
                _address(value) if is_id else looks_personal(_MARKED.sub(r"\1", value))
            )
            if what:
                return f"{field} looks like {what}"
        return ""

    def _known(self, text: str) -> str:
        """Say whether a text holds a key of ours, or names somebody whom the warehouse knows."""
        readings = dict.fromkeys(_readings(text))
        folded = [pseudonyms.folded(reading) for reading in readings]
        if any(secret in each for secret in self._secrets for each in folded):
            return "a key"
        if not self._people:
            return ""
        for reading, plain in zip(readings, folded, strict=True):
            words = pseudonyms.words(reading)
            parts = {word: self.knows(pseudonyms.part_of(word)) for word in set(words)}
            for are_parts, run in groupby(words, parts.__getitem__):
                if are_parts and any(self.knows(name) for name in _names_in(list(run))):
                    return "the name of a person"
            found = [part for token in _TOKEN.findall(plain) for part in (token, *token.split(":"))]
            tokens = {token.strip(".:-") for token in found if not token.isalpha()}
            if any(self.knows(pseudonyms.key_of(token)) for token in tokens):
                return "an id of a person or a browser"
        return ""

    def knows(self, text: str) -> bool:
        """Whether a text, as `pseudonyms.known_by` gives it, stands for somebody."""
        if not text:
            return False
        wanted = pseudonyms.of_text(self._salt, text)
        place = bisect_left(self._people, wanted)
        return place < len(self._people) and self._people[place] == wanted


def _names_in(words: Sequence[str]) -> Iterator[str]:
    """Give what may be a name among words that stand side by side."""
    for count in NAME_WORDS:
        for place in range(len(words) - count + 1):
            yield pseudonyms.name_of(words[place : place + count])


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


def _address(text: str) -> str:
    return looks_personal(text) if "@" in pseudonyms.folded(urllib.parse.unquote(text)) else ""
