"""Measures of texts that are paid for: how much siblings share, how many numbers, how easy they read.

They take plain texts, so that they fit personas, prompts and questions of any job. `complaints` compares
the texts of one job with the bars of docs/jobs.md.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, Final, NamedTuple

SHARED_WORDS: Final = 0.6  # highest cosine of the word counts of two texts of a job
DIGITS: Final = 0.08  # highest part of the words that are numbers
SHARED_SENTENCES: Final = 2  # most sentences that every text of a job has
GRADES: Final = (6.0, 9.0)  # Flesch-Kincaid
BLAND: Final = re.compile(
    r"stay general|nothing else (?:here )?was measured|counted as such|in general terms"
    r"|where (?:they|the figures) say nothing",
    re.IGNORECASE,
)
BROKEN: Final = re.compile(
    r"\b(?:None|null|nan|undefined|unknown number|unmeasured|unknown amount)\b|  |[.,;:]{2}| [.,;:!?)]"
    r"|\(\)|\{|\}|\b(?:and|of|by|in|to)\.|:\s*$|:\s*\n",
)
_WORD: Final = re.compile(r"[^\W_][\w'’.,%$€£-]*", re.UNICODE)
_NUMBER: Final = re.compile(r"[$€£]?\d[\d,]*(?:\.\d+)?%?")
_SENTENCE: Final = re.compile(r"(?<=[.!?])[\"']?\s+|\n+|(?<=\)): ")
_REFERENCE: Final = re.compile(r"\s*Ref: \S+ [0-9a-f]{12}\s*\Z")
_VOWELS: Final = re.compile(r"[aeiouy]+")


class Measured(NamedTuple):
    """The measures of the texts of one job: the worst pair's cosine, and of each text the worst."""

    cosine: float
    digits: float
    shared_sentences: int
    grades: tuple[float, float]
    bland: int


def without_reference(text: str) -> str:
    return _REFERENCE.sub("", text)


def words(text: str) -> list[str]:
    """Return the words of a text in small letters, numbers included."""
    return [word.strip(".,'’-").lower() for word in _WORD.findall(without_reference(text))]


def cosine(one: str, other: str) -> float:
    """Return the cosine of the word counts of two texts: 1 if they use the same words equally often."""
    a, b = Counter(words(one)), Counter(words(other))
    dot = sum(count * b[word] for word, count in a.items())
    lengths = math.prod(math.sqrt(sum(count**2 for count in counts.values())) for counts in (a, b))
    return dot / lengths if lengths else 0.0


def digits(text: str) -> float:
    """Return the part of the words that have a digit."""
    found = words(text)
    return sum(any(map(str.isdigit, word)) for word in found) / max(1, len(found))


def sentences(text: str) -> list[str]:
    """Return the sentences of a text; a heading that ends in `(…):` is one."""
    found = (part.strip() for part in _SENTENCE.split(without_reference(text)))
    return [part for part in found if part]


def syllables(word: str) -> int:
    """Count groups of vowels, without a silent e at the end. A number counts as one."""
    plain = re.sub(r"[^a-z]", "", word.lower())
    count = len(_VOWELS.findall(plain))
    if plain.endswith("e") and not plain.endswith("le") and count > 1:
        count -= 1
    if plain.endswith(("ed", "es")) and not plain.endswith(
        ("ted", "ded", "ses", "zes", "ces", "ges", "ches", "shes")
    ):
        count -= count > 1
    return max(1, count)


def grade(text: str) -> float:
    """Return the school grade that reads a text, after Flesch and Kincaid; headings begin sentences."""
    said = re.split(r"(?<=[.!?])[\"']?\s+", without_reference(text))
    found = [word for sentence in said for word in words(sentence)]
    spoken = sum(map(syllables, found))
    return 0.39 * len(found) / max(1, len(said)) + 11.8 * spoken / max(1, len(found)) - 15.59


def numbers(text: str) -> list[str]:
    """Return the numbers of a text as written, without those in quotes, which are names."""
    return _NUMBER.findall(re.sub(r'"[^"]*"', "", without_reference(text)))


def written(value: Any) -> Iterator[str]:
    """Yield every form in which the words may write a fact, at any depth."""
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from written(inner)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for inner in value:
            yield from written(inner)
    elif isinstance(value, int | float):
        for form in (
            f"{value:,.0f}" if value == round(value) else "",
            f"{value:,.1f}",
            f"{value:,.2f}",
            f"{value:,}",
        ):
            yield from (form, f"${form}") if form else ()
        yield f"{value * 100:.0f}%"


def invented(text: str, facts: Mapping[str, Any]) -> list[str]:
    """Return the numbers of a text that are no fact's."""
    known = set(written(facts))
    return [number for number in numbers(text) if number.strip(",.") not in known]


def measured(texts: Sequence[str]) -> Measured:
    """Measure the texts of one job side by side."""
    grades = [grade(text) for text in texts]
    shared = set.intersection(*(set(sentences(text)) for text in texts)) if len(texts) > 1 else set()
    return Measured(
        max((cosine(*pair) for pair in combinations(texts, 2)), default=0.0),
        max(map(digits, texts)),
        len(shared),
        (min(grades), max(grades)),
        sum(len(BLAND.findall(text)) for text in texts),
    )


def complaints(texts: Sequence[str]) -> Iterator[str]:
    """Yield each bar that the texts of one job miss."""
    found = measured(texts)
    if found.cosine > SHARED_WORDS:
        yield f"two texts share too many words: {found.cosine:.2f}"
    if found.digits > DIGITS:
        yield f"a text has too many numbers: {found.digits:.1%}"
    if found.shared_sentences > SHARED_SENTENCES:
        yield f"{found.shared_sentences} sentences are in every text"
    if not (GRADES[0] <= found.grades[0] and found.grades[1] <= GRADES[1]):
        yield f"grades {found.grades[0]:.1f} to {found.grades[1]:.1f}"
    if found.bland:
        yield f"{found.bland} orders to be bland"


def broken(texts: Iterable[str]) -> list[str]:
    """Return what reads like a hole in a sentence, with the words around it."""
    return [
        text[max(0, match.start() - 40) : match.end() + 20]
        for text in texts
        for match in BROKEN.finditer(text)
    ]
