"""Cuts captions into cues: `raw_wistia.caption_cues`, beside the raw text of `raw_wistia.captions`.

Wistia serves uploaded files: SRT and WebVTT in every spelling. Lines are first converted to plain SRT, which
pysubs2 reads; pysubs2 itself recognizes texts without any line of times. Tags, positions and entities never
reach a cue. Unchanged texts are not cut again.
"""

import html
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import duckdb
import pysubs2

TABLE = "raw_wistia.captions"
CUT = 1
"""Raised when texts are cut in another way: all of them are then cut again."""
_TIME = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?"
_TIMES = re.compile(rf"^\s*{_TIME}\s*-{{1,3}}>\s*{_TIME}(?:\s.*)?$")
_NO_TEXT = re.compile(r"^(?:NOTE|STYLE|REGION)\b")  # blocks of WebVTT that are not displayed
# Styles and positions in a text: tags such as <i> and <v Speaker>, times inside a cue, {\an8} and the like.
_STYLE = re.compile(r"</?[a-zA-Z][^<>\n]*>|<[\d:.]+>|\{\\[^{}]*\}|\{[a-zA-Z]:[^{}]*\}")
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060\ufeff]")


class Cue(NamedTuple):
    """The words from one second of a media to another, in one line."""

    started_seconds: float
    ended_seconds: float
    text: str


def cues(subtitles: str) -> list[Cue]:
    """Return the cues of a text in the order in which they appear; empty if it has none."""
    lines = re.split(r"\r\n|\r|\n", subtitles.replace("\x00", ""))
    if plain := "\n".join(_srt(lines)):
        file = pysubs2.SSAFile.from_string(plain, format_="srt", keep_html_tags=True)
    else:
        try:
            file = pysubs2.SSAFile.from_string(subtitles)
        except (pysubs2.Pysubs2Error, ValueError):  # an unknown format
            return []
    found = (Cue(event.start / 1000, event.end / 1000, _said(event.text)) for event in file)
    return sorted(cue for cue in found if cue.text)


def _srt(lines: list[str]) -> Iterator[str]:
    """Return the same cues as plain SRT: numbers, full times, a text of one line and an empty line."""
    found: list[tuple[int, Any]] = [
        (place, times.groups()) for place, line in enumerate(lines) if (times := _TIMES.match(line))
    ]
    ends = [*(place for place, _ in found[1:]), len(lines)]
    is_numbered = bool(found) and found[0][0] > 0 and lines[found[0][0] - 1].strip().isdigit()
    for number, ((place, times), after) in enumerate(zip(found, ends, strict=False), 1):
        inside = lines[place + 1 : after]
        if is_numbered and after < len(lines) and inside and inside[-1].strip().isdigit():
            inside.pop()  # the number of the next cue
        text = " ".join(_first_block(inside))
        started, ended = _time(*times[:4]), _time(*times[4:])
        yield f"{number}\n{started} --> {ended}\n{text}\n"


def _first_block(lines: list[str]) -> Iterator[str]:
    """Return the lines up to an empty one; empty lines before them are skipped."""
    is_begun = is_skipped = False
    for line in lines:
        if not line.strip():
            if is_begun:
                return
            is_skipped = True
        elif is_skipped and not is_begun and _NO_TEXT.match(line):
            return  # the cue is empty, and a block that is no cue follows it
        else:
            is_begun = True
            yield line.strip()


def _time(hours: str | None, minutes: str, seconds: str, fraction: str | None) -> str:
    return f"{int(hours or 0):02}:{int(minutes):02}:{int(seconds):02},{(fraction or '0').ljust(3, '0')}"


def _said(text: str) -> str:
    """Return the words of a cue without style, position and entities, in one line."""
    plain = _STYLE.sub("", text.replace(r"\N", " ").replace(r"\h", " "))
    return " ".join(_INVISIBLE.sub("", html.unescape(plain)).split())


def cut(connection: duckdb.DuckDBPyConnection) -> None:
    """Update `raw_wistia.caption_cues` from the captions that were loaded."""
    connection.execute(
        """
        create table if not exists raw_wistia.caption_cues (
            media_id text, language text, cue_number bigint, started_seconds double, ended_seconds double,
            text text, cut_from text
        )
        """
    )
    connection.execute(
        """
        delete from raw_wistia.caption_cues as cues where not exists (
            select 1 from raw_wistia.captions as captions
            where (captions.media_id, captions.language) = (cues.media_id, cues.language)
                and concat(?, ' ', md5(captions.text)) = cues.cut_from
        )
        """,
        [str(CUT)],
    )
    uncut = connection.execute(
        """
        select media_id, language, text, concat(?, ' ', md5(text)) from raw_wistia.captions
        where text is not null
            and (media_id, language) not in (select (media_id, language) from raw_wistia.caption_cues)
        order by all
        """,
        [str(CUT)],
    ).fetchall()
    columns = list(zip(*_rows(uncut), strict=True))
    if columns:  # as lists, for a statement a row is slow
        each = ", ".join("unnest(?)" for _ in columns)
        connection.execute(f"insert into raw_wistia.caption_cues select {each}", [[*c] for c in columns])


def _rows(uncut: Iterable[tuple[str, str, str, str]]) -> Iterator[tuple[Any, ...]]:
    for media_id, language, text, cut_from in uncut:
        for number, cue in enumerate(cues(text), 1):
            yield media_id, language, number, *cue, cut_from
