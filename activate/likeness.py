"""Recognizes our texts in what Mavera shows, also where it cut, flattened or escaped them."""

import html
import re
import unicodedata
from collections.abc import Iterable
from typing import Final, NamedTuple

MARKER: Final = re.compile(r"(?:\| ?)?\bRef: (\S+) ([0-9a-f]{12})(?![0-9a-f])")
ELLIPSIS: Final = re.compile(r"…|\.{3,}")
TAG: Final = re.compile(r"</?[A-Za-z][^<>]{0,60}>")
CUT_ENTITY: Final = re.compile(r"&#?\w{0,8}$")
ESCAPES: Final = 3  # times that a text may have been escaped
ESCAPED_SIGN: Final = re.compile(r"\\(?=[^\w\s])|\\(?=_)")
SURE_LETTERS: Final = 8  # of a name that was cut: fewer may begin anybody's


class Reference(NamedTuple):
    """The record that a text was made for, and as much of its fingerprint as a reference holds."""

    record_key: str
    fingerprint: str


def reference_in(text: str) -> Reference | None:
    """Return the last reference in a text, wherever it stands: what we send ends with it."""
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
    """Return the letters and digits of a text, in one case: what no reformatting changes."""
    folded = unicodedata.normalize("NFKC", TAG.sub(" ", plain(text))).casefold()
    return "".join(sign for sign in folded if sign.isalnum())


def may_be(shown: str, sent: str) -> bool:
    """Whether `shown` can be what became of `sent`: the whole or its beginning, in any form."""
    whole = letters(sent)
    first, *others = [letters(part) for part in ELLIPSIS.split(CUT_ENTITY.sub("", shown))]
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
    """Whether a name is one of these, or so much of its beginning that it is hardly another's."""
    own = letters(shown)
    is_cut = bool(ELLIPSIS.search(shown))
    return bool(own) and any(
        own == letters(name) or ((is_cut or len(own) >= SURE_LETTERS) and may_be(shown, name))
        for name in names
    )
