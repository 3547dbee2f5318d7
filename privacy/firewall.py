"""What must not leave: facts that no job declares, and texts that look like a person's or name one.

`personal.py` knows what looks like a person's; here stands what a job may send, and who is known by name.
"""

import json
import re
import urllib.parse
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from privacy import pseudonyms
from privacy.personal import looks_personal, readings

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


# --- who is known --------------------------------------------------------------------------------------

NAME_WORDS: Final = range(2, 9)  # words of a name with both its parts
_TOKEN: Final = re.compile(r"[\w.@:-]{8,}")
_ID_FIELD: Final = re.compile(r"(?:^|_)(?:ids?|urls?)$")
# The fingerprint in the reference that ends a text: one in 300 has digits only, as a phone number has.
_MARKED: Final = re.compile(r"(Ref: \S+ )[0-9a-f]{12}\Z")


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
        forms = dict.fromkeys(readings(text))
        folded = [pseudonyms.folded(form) for form in forms]
        if any(secret in each for secret in self._secrets for each in folded):
            return "a key"
        if not self._people:
            return ""
        for form, plain in zip(forms, folded, strict=True):
            if self._names_somebody(form):
                return "the name of a person"
            found = [part for token in _TOKEN.findall(plain) for part in (token, *token.split(":"))]
            tokens = {token.strip(".:-") for token in found if not token.isalpha()}
            if any(self.knows(pseudonyms.key_of(token)) for token in tokens):
                return "an id of a person or a browser"
        return ""

    def _names_somebody(self, text: str) -> bool:
        """Whether a text holds a known name: its words side by side, initials left out or counted."""
        for shortest in (2, 1):
            words = pseudonyms.words(text, shortest=shortest)
            parts = {word: self.knows(pseudonyms.part_of(word)) for word in set(words)}
            for are_parts, run in groupby(words, parts.__getitem__):
                if are_parts and any(self.knows(name) for name in _names_in(list(run))):
                    return True
        return any(self.knows(name) for name in pseudonyms.unspaced(text))

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
