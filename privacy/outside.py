"""The only entry for text from outside: a vendor's error text passes here before it is shown or kept.

It masks known secrets and personal data, removes control and direction characters, and truncates the rest
between whole characters. A text that still looks personal is not shown at all.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

MASK: Final = "***"
LONGEST: Final = 300
LONGEST_LINE: Final = 5_000  # of a text of many lines, such as an answer
LEAST_OF_SECRET: Final = 8  # letters of a truncated key: fewer could be any word
LEFT_OUT: Final = "(left out: it looks personal)"
_JOINS: Final = {"\u200d", *map(chr, range(0xFE00, 0xFE10)), *map(chr, range(0x1F3FB, 0x1F400))}
# An address of this machine or of a private network, which identifies nobody.
_PRIVATE_HOST: Final = re.compile(
    r"(?<![\d.])(?:127|10|192\.168|172\.(?:1[6-9]|2\d|3[01]))(?:\.\d{1,3}){2,3}(?::\d{1,5})?(?![\d.])"
)
# A terminal's escape sequence.
_SEQUENCE: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")

_secrets: set[str] = set()


def know(secrets: Iterable[str]) -> None:
    """Register keys and passwords of this process, so that later texts never show them."""
    _secrets.update(secret for secret in secrets if len(secret) >= LEAST_OF_SECRET)


def words(text: object, longest: int = LONGEST) -> str:
    """Return the part of an outside text that may be shown and kept, in one line of bounded length."""
    from privacy import personal  # slow to load, and most runs need it not

    line = _without_encoded(_without_people(_without_secrets(_in_one_line(text))))
    if personal.looks_personal(_PRIVATE_HOST.sub("host", line)):
        return LEFT_OUT
    return cut(line, longest)


def paragraphs(text: object) -> str:
    """Return the part of an outside text of many lines that may be shown, with its lines and indentation."""
    lines = str(text).replace("\r\n", "\n").split("\n")
    return "\n".join(_indent(line) + words(line, LONGEST_LINE) if line.strip() else "" for line in lines)


def _indent(line: str) -> str:
    return " " * (len(line.expandtabs()) - len(line.expandtabs().lstrip()))


def cut(text: str, longest: int) -> str:
    """Return at most `longest` characters of a text, without splitting a visible character."""
    if len(text) <= longest:
        return text
    end = longest - 1
    while end > 0 and (_goes_with_before(text[end]) or text[end - 1] == "\u200d"):
        end -= 1
    return f"{text[:end].rstrip()}…"


def printable(text: str) -> str:
    """Return a text with a blank for each character that moves the cursor, or hides or turns letters."""
    return "".join(_shown(text))


def _shown(text: str) -> Iterator[str]:
    for place, sign in enumerate(text):
        kind = unicodedata.category(sign)
        joins = sign == "\u200d" and 0 < place < len(text) - 1 and not text[place - 1].isascii()
        # A joiner between the parts of an emoji is part of it.
        if joins and unicodedata.category(text[place - 1]) in {"So", "Sk", "Mn"}:
            yield sign
        elif kind == "Cf":
            yield ""
        else:
            yield " " if kind in {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"} else sign


def _in_one_line(text: object) -> str:
    said = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    return " ".join(printable(_SEQUENCE.sub("", said)).split())


def _goes_with_before(sign: str) -> bool:
    return sign in _JOINS or unicodedata.category(sign) in {"Mn", "Me", "Mc"}


def _without_secrets(text: str) -> str:
    """Mask each known secret, also a truncated one."""
    for secret in sorted(_secrets, key=len, reverse=True):
        for length in range(len(secret), LEAST_OF_SECRET - 1, -1):
            start = text.casefold().find(secret[:length].casefold())
            while start >= 0:
                text = f"{text[:start]}{MASK}{text[start + length :]}"
                start = text.casefold().find(secret[:length].casefold())
    return text


def _without_people(text: str) -> str:
    """Mask personal data, found by its place in the folded text, which has the same number of words."""
    from privacy import personal, pseudonyms

    shown, folded = text.split(), pseudonyms.folded(_PRIVATE_HOST.sub("host", text)).split()
    if len(shown) != len(folded):
        return text
    starts, position = [], 0
    for word in folded:
        starts.append(position)
        position += len(word) + 1
    for start, end in personal.spans(" ".join(folded)):
        for place, begin in enumerate(starts):
            if begin < end and begin + len(folded[place]) > start:
                shown[place] = _masked(shown[place], folded[place], start - begin, end - begin)
    return " ".join(word for word, _ in groupby(shown))


def _masked(word: str, folded: str, start: int, end: int) -> str:
    """Mask a part of a word; the whole word if its folded form has another length."""
    if len(word) != len(folded):
        return MASK
    return f"{word[: max(start, 0)]}{MASK}{word[end:]}"


def _without_encoded(text: str) -> str:
    """Mask each word that contains a secret or personal data when decoded."""
    from privacy import personal

    def is_good(word: str) -> bool:
        held = (secret in each for each in personal.readings(word) for secret in _secrets)
        return not any(held) and not personal.looks_personal(_PRIVATE_HOST.sub("host", word))

    return " ".join(word if is_good(word) else MASK for word in text.split())
