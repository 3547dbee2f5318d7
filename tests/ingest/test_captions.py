"""Captions in every spelling of live accounts are cut into the same cues."""

from pathlib import Path

import duckdb
import pytest

from ingest.vendors.wistia import captions
from ingest.vendors.wistia.captions import cues
from tests.small import create_raw

SAID = [(0.0, 2.5, "Hello"), (2.5, 64.0, "Bye, you & I")]
SPELLINGS = {
    "SRT": "1\n00:00:00,000 --> 00:00:02,500\nHello\n\n2\n00:00:02,500 --> 00:01:04,000\nBye,\nyou &amp; I\n",
    "byte order mark, CRLF": (
        "\ufeff1\r\n00:00:00,000 --> 00:00:02,500\r\nHello\r\n\r\n"
        "2\r\n00:00:02,500 --> 00:01:04,000\r\nBye, you &amp; I"
    ),
    "CR alone": "1\r00:00:00,000 --> 00:00:02,500\rHello\r\r2\r00:00:02,500 --> 00:01:04,000\rBye,\ryou & I",
    "WebVTT with optional hours": (
        "WEBVTT\n\n00:00.000 --> 00:02.500\nHello\n\n00:00:02.500 --> 01:04.000\nBye, you &amp; I\n"
    ),
    "WebVTT with notes, styles, ids and settings": (
        "WEBVTT Title\nKind: captions\n\nSTYLE\n::cue { color: red }\n\nNOTE by\nhand\n\nintro\n"
        "00:00.000 --> 00:02.500 align:start position:10%\n<v Ada>Hello</v>\n\nNOTE what follows\n\n"
        "00:02.500 --> 01:04.000\n<c.loud>Bye,</c> <00:03.000>you &amp; I\n"
    ),
    "no milliseconds": "1\n00:00:00 --> 00:00:02.5\nHello\n\n2\n00:00:02,5 --> 00:01:04\nBye, you & I\n",
    "tabs at the arrow": (
        "1\n00:00:00,000\t-->\t00:00:02,500\nHello\n\n2\n00:00:02,500\t-->\t00:01:04,000\nBye, you & I\n"
    ),
    "nothing at the arrow": (
        "1\n00:00:00,000-->00:00:02,500\nHello\n\n2\n00:00:02,500-->00:01:04,000\nBye, you & I\n"
    ),
    "single arrows": (
        "1\n00:00:00,000 -> 00:00:02,500\nHello\n\n2\n00:00:02,500 -> 00:01:04,000\nBye, you & I\n"
    ),
    "no empty line between cues": (
        "1\n00:00:00,000 --> 00:00:02,500\nHello\n2\n00:00:02,500 --> 00:01:04,000\nBye, you & I\n"
    ),
    "no empty line and no numbers": (
        "00:00:00.000 --> 00:00:02.500\nHello\n00:00:02.500 --> 00:01:04.000\nBye, you & I\n"
    ),
    "a line of one blank": (
        "1\n00:00:00,000 --> 00:00:02,500\nHello\n \n2\n00:00:02,500 --> 00:01:04,000\nBye, you & I\n \n"
    ),
    "an empty line after the times": (
        "1\n00:00:00,000 --> 00:00:02,500\n\nHello\n\n2\n00:00:02,500 --> 00:01:04,000\n\nBye, you & I\n"
    ),
    "tags and positions": (
        "1\n00:00:00,000 --> 00:00:02,500\n{\\an8}<i>Hello</i>\n\n2\n00:00:02,500 --> 00:01:04,000\n"
        '<font color="#fff">Bye,</font>\n<b>you</b> &amp;&nbsp;I\n'
    ),
    "another format that the library knows": (
        "[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\n\n[Events]\n"
        "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
        "Dialogue: 0,0:00:00.00,0:00:02.50,Default,,0,0,0,,Hello\n"
        "Dialogue: 0,0:00:02.50,0:01:04.00,Default,,0,0,0,,{\\i1}Bye,\\Nyou & I\n"
    ),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_captions_are_cut_into_the_same_cues_however_they_are_spelled(spelling: str) -> None:
    assert cues(SPELLINGS[spelling]) == SAID


@pytest.mark.parametrize(
    "text", ["", " \n\n", "no captions yet", "-->", "\x00", "1\n00:00:01,000 --> 00:00:02,000\n"]
)
def test_a_text_without_a_cue_has_none(text: str) -> None:
    assert cues(text) == []


def test_what_only_looks_like_a_number_a_tag_or_an_arrow_is_said() -> None:
    text = (
        "1\n00:00:01,000 --> 00:00:02,000\nThe answer is\n42\n\n2\n00:00:02,000 --> 00:00:03,000\n42\n\n"
        "3\n00:00:03,000 --> 00:00:04,000\n5 < 6 > 4 -> {laughs}\n"
    )
    assert [cue.text for cue in cues(text)] == ["The answer is 42", "42", "5 < 6 > 4 -> {laughs}"]


def test_only_new_and_changed_captions_are_cut_and_those_of_earlier_versions_too(tmp_path: Path) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    create_raw(warehouse)
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("drop table raw_wistia.caption_cues")  # as left by an earlier version
        connection.executemany(
            "insert into raw_wistia.captions (media_id, language, text) values (?, 'eng', ?)",
            [("m1", SPELLINGS["SRT"]), ("m2", "none"), ("m3", SPELLINGS["CR alone"])],
        )
        captions.cut(connection)
        counted = "select media_id, count(*), min(rowid) from raw_wistia.caption_cues group by 1 order by 1"
        first = connection.execute(counted).fetchall()
        assert [row[:2] for row in first] == [("m1", 2), ("m3", 2)]
        connection.execute(
            "update raw_wistia.captions set text = ? where media_id = 'm1'", [SPELLINGS["SRT"][:40]]
        )
        connection.execute("delete from raw_wistia.captions where media_id = 'm2'")
        captions.cut(connection)
        second = connection.execute(counted).fetchall()
        assert [row[:2] for row in second] == [("m1", 1), ("m3", 2)]
        assert second[1] == first[1], "cut again although nothing changed"


def test_a_note_is_only_what_stands_in_a_block_of_its_own() -> None:
    text = "WEBVTT\n\n00:01.000 --> 00:02.000\nNOTE the date\n\n00:02.000 --> 00:03.000\n\nNOTE unseen\n"
    assert cues(text) == [(1.0, 2.0, "NOTE the date")]
