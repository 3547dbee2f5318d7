"""A brand voice as the sandbox reads it out of texts: counted, so that it can be checked against them."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
PREFERRED_TERMS: Final = 8
TERM_LETTERS: Final = 5  # shorter words are mostly grammar
LONG_LETTERS: Final = 10
BRIEF_WORDS: Final = 12  # a sentence
AVOIDED: Final = ("synergy", "leverage", "disrupt", "guarantee", "cheap")


def voice_in(texts: Sequence[str]) -> dict[str, Any]:
    """What Mavera generates from `texts`: summary, tone, style, vocabulary and phrases, always the same."""
    words = [word.lower() for text in texts for word in WORD.findall(text)]
    sentences = [one for text in texts for one in re.split(r"(?<=[.!?])\s+", text.strip()) if one]
    sentence_words = round(len(words) / max(1, len(sentences)))
    terms = preferred_terms(words)
    long_share = sum(len(word) >= LONG_LETTERS for word in words) / max(1, len(words))
    avoided = [term for term in AVOIDED if term not in words]
    adjectives = [
        "brief" if sentence_words < BRIEF_WORDS else "thorough",
        "personal" if {"you", "your"}.intersection(words) else "factual",
        "curious" if any(sentence.endswith("?") for sentence in sentences) else "assured",
    ]
    phrase = next((one for one in sentences if terms and terms[0] in one.lower()), "")
    return {
        "voice_summary": f"A {', '.join(adjectives)} voice, from {len(words):,} words in {len(texts)} texts.",
        "tone": {
            "adjectives": adjectives,
            "dos": [
                f"Keep sentences at about {sentence_words} words.",
                *(f"Say {term}." for term in terms[:2]),
            ],
            "donts": [f"Do not say {term}." for term in avoided[:2]],
        },
        "writing_style": {
            "sentence_structure": f"{sentence_words} words a sentence on average.",
            "jargon_usage": f"{long_share:.0%} of the words have {LONG_LETTERS} letters or more.",
        },
        "vocabulary": {"preferred_terms": terms, "avoid_terms": avoided},
        "example_phrases": [{"use_case": "Opening of an e-mail", "example": phrase}] if phrase else [],
    }


def preferred_terms(words: Sequence[str]) -> list[str]:
    """The most frequent of the longer words, the first by alphabet where two are."""
    counts = Counter(word for word in words if len(word) >= TERM_LETTERS)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return ranked[:PREFERRED_TERMS]
