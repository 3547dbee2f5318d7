"""Brand voices: endpoints, and the derivation of a voice from texts.

A voice consists of counts, so that it can be checked against the texts.
"""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.mavera.account import WORKSPACES, Account, require_workspace
from sandbox.mavera.files import Files, key_of
from sandbox.mavera.requests import Row, Served, body_of, invalid, iso, missing, names, new_id

VOICE_CREDITS: Final = 50
VOICE_CONTENT: Final = names("voice_summary tone writing_style vocabulary example_phrases")
VOICE_FIELDS: Final = names("label usage_context workspace_id urls documents example_phrases vocabulary tone")
VOICE_SOURCES: Final = names("urls documents")
DOCUMENT_FIELDS: Final = names("name url file_type file_size")
VOICE_OBJECTS: Final = names("tone writing_style vocabulary")
VOICE_SHORTEST: Final = {"label": 2, "usage_context": 10}  # characters
VOICE_STATES: Final = {  # in the spelling of the reference, and of the guide
    "pending": ("pending", "PENDING"),
    "processing": ("generating", "GENERATING"),
    "completed": ("completed", "READY"),
    "failed": ("failed", "FAILED"),
}

WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
PREFERRED_TERMS: Final = 8
TERM_LETTERS: Final = 5  # shorter words are mostly grammar
LONG_LETTERS: Final = 10
BRIEF_WORDS: Final = 12  # a sentence
AVOIDED: Final = ("synergy", "leverage", "disrupt", "guarantee", "cheap")


class Voices:
    """Endpoints of brand voices, which are derived from uploaded files."""

    def __init__(self, account: Account, files: Files) -> None:
        self._account, self._files = account, files
        self.routes: Sequence[Served] = [
            Served("GET", "/brand-voices", self._list),
            Served("POST", "/brand-voices", self._create),
            Served("GET", "/brand-voices/{id}", self._get),
            Served("PATCH", "/brand-voices/{id}", self._update),
        ]

    async def _list(self, request: Request) -> Response:
        """Return all of them at once: no paging is documented, and strict accepts only the two filters."""
        filters = request.query_params
        for name in filters:
            if self._account.strict and name not in {"workspace_id", "status"}:
                raise invalid(name, "is not a parameter of this request")
        voices = [self._shown(voice) for voice in self._account.listed("brand voice")]
        wanted = [
            voice
            for voice in voices
            if voice["workspace_id"] == filters.get("workspace_id", voice["workspace_id"])
            and voice["status"] == filters.get("status", voice["status"])
        ]
        return JSONResponse({"object": "list", "data": wanted})

    async def _get(self, request: Request) -> Response:
        return JSONResponse(self._shown(self._account.load("brand voice", request.path_params["id"])))

    async def _create(self, request: Request) -> Response:
        defaults: Row = {"workspace_id": WORKSPACES[0].workspace_id, "urls": [], "documents": []}
        fields = defaults | self._fields(self._account.known(await body_of(request), VOICE_FIELDS))
        for field in VOICE_SHORTEST:
            if field not in fields:
                raise missing(field)
        if self._account.strict and not (fields["urls"] or fields["documents"]):
            raise missing("documents")
        require_workspace(fields["workspace_id"])
        texts = [self._document_text(one, at) for at, one in enumerate(fields["documents"])]
        urls = [url if isinstance(url, str) else url["url"] for url in fields["urls"]]
        now = iso(self._account.now())
        voice: Row = {
            "id": new_id("bv"),
            "object": "brand_voice",
            **voice_in(texts),
            **{field: value for field, value in fields.items() if field not in VOICE_SOURCES},
            "sources": {
                "urls": [{"id": new_id("url"), "url": url, "name": url, "description": None} for url in urls],
                "documents": [{"id": new_id("doc"), **document} for document in fields["documents"]],
            },
            "fails": self._account.voices_to_fail > 0,
            "created_at": now,
            "edited_at": now,
        }
        with self._account.charged(voice["id"], VOICE_CREDITS, fields["workspace_id"]):
            self._account.save("brand voice", voice)
        self._account.voices_to_fail = max(0, self._account.voices_to_fail - 1)
        return JSONResponse(self._shown(voice, "pending"), 201)

    async def _update(self, request: Request) -> Response:
        """Change its name and the generated fields; its sources stay."""
        sent = self._account.known(await body_of(request), VOICE_CONTENT | VOICE_SHORTEST.keys())
        voice = self._account.load("brand voice", request.path_params["id"])
        voice |= self._fields(sent) | {"edited_at": iso(self._account.now())}
        with self._account.state:
            self._account.save("brand voice", voice)
        return JSONResponse(self._shown(voice))

    def _fields(self, fields: Row) -> Row:
        """Return `fields`; raises Refusal for an invalid value."""
        for field, value in fields.items():
            if field in VOICE_SHORTEST:
                if not isinstance(value, str) or len(value.strip()) < VOICE_SHORTEST[field]:
                    raise invalid(field, f"must have at least {VOICE_SHORTEST[field]} characters")
            elif field in {"urls", "documents", "example_phrases"}:
                if not isinstance(value, list):
                    raise invalid(field, "must be a list")
            elif field in VOICE_OBJECTS:
                if not isinstance(value, dict):
                    raise invalid(field, "must be an object")
            elif not isinstance(value, str):
                raise invalid(field, "must be a string")
        for position, url in enumerate(fields.get("urls", ())):
            # The schema has objects, the same page's example has strings.
            address = url.get("url") if isinstance(url, dict) else url
            if not isinstance(address, str) or urlsplit(address).scheme not in {"http", "https"}:
                raise invalid(f"urls[{position}]", "must be a URL, or an object with one")
        return fields

    def _document_text(self, document: Any, position: int) -> str:
        """Return the text of an uploaded file; raises Refusal if a document names none."""
        where = f"documents[{position}]"
        if not isinstance(document, dict):
            raise invalid(where, "must be an object")
        for field in sorted(DOCUMENT_FIELDS):
            if field not in document:
                raise missing(f"{where}.{field}")
        self._account.known(document, DOCUMENT_FIELDS)
        content = self._files.uploaded(key_of(str(document["url"])))
        registered = {
            url for (url,) in self._account.query("select body ->> 'url' from objects where kind = 'file'")
        }
        if content is None or document["url"] not in registered:
            raise invalid(f"{where}.url", "is not that of a file of this account")
        if len(content) != document["file_size"]:
            raise invalid(f"{where}.file_size", "is not that of the file")
        return content.decode("utf-8", "replace")

    def _shown(self, voice: Row, stage: str = "") -> Row:
        """Return a brand voice as served at `stage`: generated fields only once it is completed."""
        stage = stage or self._account.stage(voice, self._account.voice_seconds)
        ended = datetime.fromisoformat(voice["created_at"]) + timedelta(seconds=self._account.voice_seconds)
        is_over = stage in {"completed", "failed"}
        shown = {field: value for field, value in voice.items() if field not in {"fails", "edited_at"}}
        if stage != "completed":
            shown |= dict.fromkeys(VOICE_CONTENT)
        return shown | {
            "status": VOICE_STATES[stage][0 if self._account.strict else 1],
            "error": "The sources could not be read." if stage == "failed" else None,
            "updated_at": max(voice["edited_at"], iso(ended)) if is_over else voice["edited_at"],
        }


def voice_in(texts: Sequence[str]) -> dict[str, Any]:
    """Return what Mavera generates from `texts`: summary, tone, style, vocabulary, phrases; deterministic."""
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
    """Return the most frequent of the longer words, ties in alphabetical order."""
    counts = Counter(word for word in words if len(word) >= TERM_LETTERS)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return ranked[:PREFERRED_TERMS]
