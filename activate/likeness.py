"""Recognize our texts in Mavera's lists, even if they were truncated, flattened or escaped."""

import html
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

MARKER: Final = re.compile(r"(?:\| ?)?\bRef: (\S+) ([0-9a-f]{12})(?![0-9a-f])")
ELLIPSIS: Final = re.compile(r"…|\.{3,}")
TAG: Final = re.compile(r"</?[A-Za-z][^<>]{0,60}>")
CUT_ENTITY: Final = re.compile(r"&#?\w{0,8}$")
ESCAPES: Final = 3  # the most times that a text may have been escaped
ESCAPED_SIGN: Final = re.compile(r"\\(?=[^\w\s])|\\(?=_)")
NAME_CHARACTERS: Final = 200
SURE_LETTERS: Final = 8  # letters of a truncated name: fewer could match any name


class Reference(NamedTuple):
    """The record behind a text, and the part of its fingerprint that fits a reference."""

    record_key: str
    fingerprint: str


def reference_in(text: str) -> Reference | None:
    """Return the last reference anywhere in a text: our texts end with one."""
    found = MARKER.findall(plain(text))
    return Reference(*found[-1]) if found else None


def without_reference(text: str) -> str:
    return MARKER.sub("", plain(text)).strip()


def plain(text: str) -> str:
    """Return a text without the escapes of HTML and Markdown."""
    for _ in range(ESCAPES):
        text = html.unescape(text)
    return ESCAPED_SIGN.sub("", text)


def letters(text: str) -> str:
    """Return the letters and digits of a text in one case: reformatting does not change them."""
    return _letters_of_name(text) if len(text) <= NAME_CHARACTERS else _letters(text)


@lru_cache(maxsize=2**14)
def _letters_of_name(name: str) -> str:
    # The names of all records are compared with that of every remote object.
    return _letters(name)


def _letters(text: str) -> str:
    folded = unicodedata.normalize("NFKC", TAG.sub(" ", plain(text))).casefold()
    return "".join(sign for sign in folded if sign.isalnum())


def beginning(shown: str) -> str:
    """Return the letters with which a text must begin if it was shown like this (`may_be`)."""
    return letters(_parts(shown)[0])


def _parts(shown: str) -> list[str]:
    return ELLIPSIS.split(CUT_ENTITY.sub("", shown))


def may_be(shown: str, sent: str) -> bool:
    """Whether `shown` can come from `sent`: all of it or its beginning, in any form."""
    whole = letters(sent)
    first, *others = map(letters, _parts(shown))
    if not whole.startswith(first):
        return False
    place = len(first)
    for part in filter(None, others):
        place = whole.find(part, place)
        if place < 0:
            return False
        place += len(part)
    return True


def bears(shown: str, names: Iterable[str]) -> bool:
    """Whether a name is one of these, or a beginning long enough to be unlikely in another name."""
    own = letters(shown)
    is_cut = bool(ELLIPSIS.search(shown))
    return bool(own) and any(
        own == letters(name) or ((is_cut or len(own) >= SURE_LETTERS) and may_be(shown, name))
        for name in names
    )
