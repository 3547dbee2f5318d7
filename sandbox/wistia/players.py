"""The features of a media's player: captions, the form for an address, the call to action."""

import math
import re
from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.wistia.catalogue import Catalogue
from sandbox.wistia.requests import Row, Served
from sandbox.world import World

CUE_SECONDS: Final = 5
CUES: Final = (
    "Let us look at {topic} step by step.",
    "You need less than you think to begin with {topic}.",
    "Here is what most people get wrong.",
    "Watch how the second attempt goes better than the first.",
    "Keep this in mind; we will come back to it.",
    "That is the whole trick, and it takes ten minutes a week.",
)
ASKS_FOR_ADDRESS: Final = "Where may we send the rest?"
TEDIOUS_CUE: Final = "But first, a word about our company and its history."


class Players:
    """Endpoints of captions and of a player's settings."""

    def __init__(self, world: World, catalogue: Catalogue) -> None:
        self._world, self._catalogue = world, catalogue
        self.routes: Sequence[Served] = [
            Served("/medias/{key}/captions", self._captions),
            Served("/medias/{key}/customizations", self._customizations),
        ]

    def _captions(self, request: Request) -> Response:
        """Return the captions of a media, by language; the last of each project has none."""
        media = self._catalogue.find(request.path_params["key"])
        languages = {"eng": ("English", "English")}
        if media["media_no"] % 8 == 1:
            languages |= {"deu": ("German", "Deutsch")}
        if media["media_no"] % 4 == 3 and media["type"] == "Video":
            languages = {}
        return JSONResponse(
            [
                {
                    "english_name": english_name,
                    "native_name": native_name,
                    "language": language,
                    "text": self._spelled(subtitles(media), media),
                    "is_draft": False,
                    "id": f"{media['hashed_id'][::-1]}{language}",
                }
                for language, (english_name, native_name) in languages.items()
            ]
        )

    def _spelled(self, srt: str, media: Row) -> str:
        """Return the same captions as uploaded: in a rough account each media has its own spelling."""
        if "rough" not in self._world.anomalies:
            return srt
        spellings = (
            as_webvtt,
            without_milliseconds,
            with_lone_returns,
            with_single_arrows,
            without_gaps,
            styled,
        )
        return spellings[media["media_no"] % len(spellings)](srt.replace("\r\n", "\n"))

    def _customizations(self, request: Request) -> Response:
        """Return the settings of a media's player, every value as text; the last of each project has none.

        A form asks for an address before the media or in it; a call to action is in it or follows it. Without
        a `time`, the form comes before it and the call to action at the end.
        """
        media = self._catalogue.find(request.path_params["key"])
        number, duration = media["media_no"], media["duration_seconds"]
        if number % 4 == 3:
            return JSONResponse({})
        link, text = call_to_action(media)
        post_roll = {"text": text, "link": link, "ctaType": "text", "autoSize": "true", "on": "true"}
        post_roll |= ({"time": "end"}, {"time": f"{duration * 0.5:.1f}"}, {})[number % 3]
        form = {"topText": ASKS_FOR_ADDRESS, "on": "true"}
        form |= ({}, {"time": f"{duration * 0.3:.0f}"})[number % 2]
        return JSONResponse(
            {
                "playerColor": "2f6f4f",
                "autoPlay": "false",
                "playbar": "true",
                "email": "",
                "plugin": {
                    "postRoll-v1": post_roll,
                    "requireEmail-v1": form,
                    "captions-v1": {"on": "true", "onByDefault": "false"},
                },
            }
        )


def call_to_action(media: Row) -> tuple[str, str]:
    """Return the link and the text of a media's call to action."""
    return f"https://shop.example/{media['topic']}", f"Get the {media['topic']} kit"


def subtitles(media: Row) -> str:
    """Return a media's captions in the SRT format; the one at the tedious place says so."""
    duration = media["duration_seconds"]
    tedious = math.floor((media["tedious_share"] or 2) * duration / CUE_SECONDS)
    cues = []
    for cue in range(math.ceil(duration / CUE_SECONDS)):
        text = TEDIOUS_CUE if cue == tedious else CUES[cue % len(CUES)].format(topic=media["topic"])
        times = (srt_time(seconds) for seconds in (cue * CUE_SECONDS, min((cue + 1) * CUE_SECONDS, duration)))
        cues.append(f"{cue + 1}\r\n{' --> '.join(times)}\r\n{text}\r\n")
    return "\r\n".join(cues)


def as_webvtt(srt: str) -> str:
    return "WEBVTT\n\nNOTE made by hand\n\n" + re.sub(
        r"(?m)^\d+\n|(?<=\d),(?=\d{3}\b)|\b00:(?=\d\d:\d\d,)", _dotted, srt
    )


def _dotted(found: re.Match[str]) -> str:
    return "." if found[0] == "," else ""


def without_milliseconds(srt: str) -> str:
    return re.sub(r",\d{3}\b", "", srt)


def with_lone_returns(srt: str) -> str:
    return srt.replace("\n", "\r")


def with_single_arrows(srt: str) -> str:
    return srt.replace(" --> ", "\t->\t")


def without_gaps(srt: str) -> str:
    return srt.replace("\n\n", "\n")


def styled(srt: str) -> str:
    """Add tags and a position, a line of one blank between cues, and an empty line after the times."""
    return re.sub(r"(?m)^(.* --> .*)\n(.*)$", r"\1\n\n{\\an8}<i>\2</i>", srt).replace("\n\n", "\n \n")


def srt_time(seconds: float) -> str:
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02},{milliseconds:03}"
