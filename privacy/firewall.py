"""The firewall: withhold undeclared facts, and texts that look personal or name a known person.

`personal.py` recognizes personal data by its form; this file checks declarations and known names.
"""

import json
import re
import urllib.parse
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any, Final

from privacy import pseudonyms
from privacy.personal import looks_in, looks_personal, readings

# --- which facts may leave ---------------------------------------------------------------------------

# The types that a fact may have, each with the values it allows. Null is always allowed.
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
    "name": lambda value: isinstance(value, str) and len(value) <= 100,  # that somebody gave to a thing
    "quote": lambda value: isinstance(value, str) and len(value) <= 200,  # a text that somebody wrote or said
    "text": lambda value: isinstance(value, str) and len(value) <= 5_000,  # a longer one, with its lines
}


def undeclared(value: Any, declared: Any, field: str) -> str:
    """Name the first fact that is undeclared or not of its declared type; empty if all are fine.

    Objects and lists are declared as such: `{"low": "share"}`, `[{"country": "name"}]`, `["word"]`. Raises
    ValueError if a declared type is not in DECLARABLE.
    """
    if _follows(value, declared):
        return ""
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


def _follows(value: Any, declared: Any) -> bool:
    """Whether a value is as it is declared; of what is not, `undeclared` names the first."""
    if type(declared) is str:
        return declared in DECLARABLE and (value is None or DECLARABLE[declared](value))
    if value is None:
        return declared is not None
    if type(value) is dict and isinstance(declared, Mapping):
        for name, inner in value.items():
            if name not in declared or not _follows(inner, declared[name]):
                return False
        return True
    if type(value) is list and isinstance(declared, list):
        return all(_follows(inner, declared[0]) for inner in value)
    return False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(field: str, name: str) -> str:
    """Return a fact's path, without a name that could not be a model's column."""
    return f"{field}.{name}" if re.fullmatch(r"[a-z0-9_]{1,60}", name) else f"a key in {field}"


# --- known people --------------------------------------------------------------------------------------

NAME_WORDS: Final = range(2, 9)  # number of words in a full name
_END_CHARACTERS: Final = 120  # more than any name, address or number has
_BESIDE_CHARACTERS: Final = 8  # next to it, which decide whether it is one
_PIECE_CHARACTERS: Final = 4 * _END_CHARACTERS  # at most, of the texts that are remembered
_SEAM: Final = re.compile(r"\n+")
_TOKEN_CHARACTERS: Final = 8
_TOKEN: Final = re.compile(rf"[\w.@:-]{{{_TOKEN_CHARACTERS},}}")
# The same short facts are in many records, and the same words in many texts.
_REMEMBERED: Final = 2**16
_ID_FIELD: Final = re.compile(r"(?:^|_)(?:ids?|urls?)$")
# The fingerprint in the reference at the end of a text: one in 300 has digits only, like a phone number.
_MARKED: Final = re.compile(r"(Ref: \S+ )[0-9a-f]{12}\Z")


class Firewall:
    """Search everything that leaves for personal data and secrets.

    `people` are the hashes with `salt` of known names and vendors' keys (pseudonyms.of_text, sorted).
    `secrets` are this project's own keys. `id_fields` are fields of a body with Mavera's ids, besides those
    whose name says so.
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
        self._strangers: set[str] = set()  # words that are part of no known name
        self._passed: set[str] = set()  # texts that do not look personal
        self._is_id = lru_cache(maxsize=_REMEMBERED)(self._is_id_field)

    def looks_personal(self, text: str) -> str:
        """Return the kind of personal data or secret in a text, or an empty string."""
        if text in self._passed:
            return ""
        what = self._look(text)
        if not what:
            self._remember((text,))
        return what

    def _look(self, text: str) -> str:
        forms, folded = _forms(text)
        return self._known(forms, folded) or looks_in(folded)

    def passes(self, text: str) -> bool:
        """Whether nothing in a longer text looks personal.

        Its lines are looked at one by one, as most are in many texts, and each seam between two with what is
        around it: nothing that is recognized is longer than _END_CHARACTERS.
        """
        return self.pass_all(_pieces(text))

    def pass_all(self, texts: Iterable[str]) -> bool:
        """Whether none of these texts looks personal; those that many records have are looked at once."""
        fresh = set(texts) - self._passed
        if any(map(self._look, fresh)):
            return False
        self._remember(fresh)
        return True

    def _remember(self, passed: Iterable[str]) -> None:
        if len(self._passed) > _REMEMBERED:
            self._passed.clear()
        self._passed.update([text for text in passed if len(text) <= _PIECE_CHARACTERS])

    def objection(self, fields: Iterable[tuple[str, str]]) -> str:
        """Name the first of these fields that looks personal, never its value; empty if none does."""
        found = ((field, self.looks_personal(value)) for field, value in fields)
        return next((f"{field} looks like {what}" for field, what in found if what), "")

    def objection_to(self, body: bytes | str | None, *, passed: str = "") -> str:
        """Check the bytes of a request like `objection`.

        Mavera's ids look like personal ids: in their fields, only known people and addresses count. Of a text
        that has `passed` already, as the whole of a field or as its beginning, only the end is checked.
        """
        if not body:
            return ""
        text = body.decode(errors="replace") if isinstance(body, bytes) else body
        try:
            read = json.loads(text)
        except ValueError:
            return self.objection([("the file", text)])
        return self.objection_in(read, passed=passed)

    def objection_in(self, body: Any, *, passed: str = "") -> str:
        """Check the values of a request as `objection_to` checks its bytes, once these are read."""
        for field, value in texts(body, "the body"):
            is_id = self._is_id(field)
            value = _unseen(value, passed)
            what = self.looks_personal(value if is_id else _MARKED.sub(r"\1", value))
            if what and is_id:
                what = self._known(*_forms(value)) or _address(value)
            if what:
                return f"{field} looks like {what}"
        return ""

    def _is_id_field(self, field: str) -> bool:
        parts = re.split(r"[.\[]", field.removeprefix("the body."))
        return any(_ID_FIELD.search(part) or part in self._id_fields for part in parts)

    def _known(self, forms: Sequence[str], folded: Sequence[str]) -> str:
        """Return which secret or known person the readings of a text contain, or an empty string."""
        if any(secret in each for secret in self._secrets for each in folded):
            return "a key"
        if not self._people:
            return ""
        for form, plain in zip(forms, folded, strict=True):
            if self._names_somebody(form):
                return "the name of a person"
            words = plain.split()
            long = " ".join([word for word in words if len(word) >= _TOKEN_CHARACTERS and not word.isalpha()])
            found = [part for token in _TOKEN.findall(long) for part in (token, *token.split(":"))]
            tokens = {token.strip(".:-") for token in found if not token.isalpha()}
            if any(self.knows(pseudonyms.key_of(token)) for token in tokens):
                return "an id of a person or a browser"
        return ""

    def _names_somebody(self, text: str) -> bool:
        """Whether a text contains a known name: adjacent words, with or without initials."""
        every = pseudonyms.words(text, shortest=1)
        parts = self._parts(set(every))
        for words in (every, [word for word in every if len(word) > 1]) if parts else ():
            for are_parts, run in groupby(words, parts.__contains__):
                if are_parts and any(self.knows(name) for name in _names_in(list(run))):
                    return True
        return any(self.knows(name) for name in pseudonyms.unspaced(text))

    def _parts(self, words: set[str]) -> set[str]:
        """Return the words that are part of a known name."""
        fresh = words - self._strangers
        parts = {word for word in fresh if self.knows(pseudonyms.part_of(word))}
        if len(self._strangers) < _REMEMBERED:
            self._strangers |= fresh - parts
        return parts

    def knows(self, text: str) -> bool:
        """Whether a text, in a form from `pseudonyms.known_by`, belongs to a known person."""
        if not text:
            return False
        wanted = pseudonyms.of_text(self._salt, text)
        place = bisect_left(self._people, wanted)
        return place < len(self._people) and self._people[place] == wanted


def _pieces(text: str) -> list[str]:
    """Return the lines of a text, and the surroundings of each seam between two of them.

    These may cut a word at their ends: that is not where the seam is.
    """
    around = _END_CHARACTERS + _BESIDE_CHARACTERS
    seams = [seam.span() for seam in _SEAM.finditer(text)]
    return text.split("\n") + [text[max(0, begin - around) : end + around] for begin, end in seams]


def _forms(text: str) -> tuple[list[str], list[str]]:
    """Return the readings of a text, each once, as they are and folded."""
    forms = list(dict.fromkeys(readings(text)))
    return forms, [pseudonyms.folded(form) for form in forms]


def _unseen(text: str, passed: str) -> str:
    """Return the end of a text, if what is before it has passed; else the text."""
    seen = len(text) if text in passed else len(passed) if text.startswith(passed) else 0
    begin = text.rfind(" ", 0, max(0, seen - _END_CHARACTERS))
    return text[begin + 1 :] if passed and begin > 0 else text


def _names_in(words: Sequence[str]) -> Iterator[str]:
    """Yield possible names among adjacent words."""
    for count in NAME_WORDS:
        for place in range(len(words) - count + 1):
            yield pseudonyms.name_of(words[place : place + count])


def texts(value: Any, field: str) -> Iterator[tuple[str, str]]:
    """Yield every text, number and key in nested facts with its field; a key has its parent's field."""
    if isinstance(value, str):
        yield field, value
    elif isinstance(value, int):
        if not isinstance(value, bool):
            yield field, str(value)
    elif isinstance(value, list | tuple):
        for position, inner in enumerate(value):
            yield from texts(inner, f"{field}[{position}]")
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield f"a key in {field}", str(name)
            yield from texts(inner, f"{field}.{name}")


def _address(text: str) -> str:
    return looks_personal(text) if "@" in pseudonyms.folded(urllib.parse.unquote(text)) else ""
