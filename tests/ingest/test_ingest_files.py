"""Exported files: packed or plain, CSV or JSON lines, whole or cut off."""

import gzip
import json
from typing import Any

import pytest

from ingest.files import pages
from ingest.typed import BrokenBodyError

CSV = (
    b'EMAIL,CONTACT_ID,Custom_Industry\r\nada@example.com,c1,"Health, care"\r\n,c2,"two\nlines"\r\nx,c3,\r\n'
)
LINES = (
    b'{"email": "ada@example.com", "contact_id": "c1", "custom_industry": "Health, care"}\n'
    b'{"contact_id": "c2", "custom_industry": "two\\nlines"}\n'
    b'{"email": "x", "contact_id": "c3"}\n'
)
ROWS = [
    {"email": "ada@example.com", "contact_id": "c1", "custom_industry": "Health, care"},
    {"contact_id": "c2", "custom_industry": "two\nlines"},
    {"email": "x", "contact_id": "c3"},
]


def rows(content: bytes) -> list[dict[str, Any]]:
    return [row for page in pages(content) for row in json.loads(page)]


@pytest.mark.parametrize("plain", [CSV, LINES], ids=["csv", "lines"])
def test_a_file_is_read_for_what_it_is_and_not_for_its_name(plain: bytes) -> None:
    assert rows(plain) == rows(gzip.compress(plain)) == ROWS


@pytest.mark.parametrize("content", [b"", b"\n", b"EMAIL,CONTACT_ID\r\n", gzip.compress(b"", mtime=0)])
def test_a_file_without_contacts_has_no_rows(content: bytes) -> None:
    assert rows(content) == []


@pytest.mark.parametrize("plain", [CSV, LINES], ids=["csv", "lines"])
def test_a_long_file_comes_in_pages(plain: bytes) -> None:
    heading, _, rest = plain.partition(b"\r\n") if plain is CSV else (b"", b"", plain)
    content = heading + b"\r\n" + rest * 100_000
    assert len(list(pages(content))) > 1
    assert sum(len(json.loads(page)) for page in pages(content)) == 300_000


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(CSV * 100)[:60],
        b"\x1f\x8bnot packed at all",
        b"EMAIL,CONTACT_ID\r\na@example.com,c1\r\nb@example.com",
        b"<Error><Code>AccessDenied, to all</Code></Error>\n<p>",
        b"EMAIL,CONTACT_ID\r\n\xff\xfe@example.com,c1\r\n",
    ],
    ids=["cut gzip", "no gzip", "cut row", "no table", "no text"],
)
def test_a_broken_file_is_read_again_and_quotes_nobody(content: bytes) -> None:
    with pytest.raises(BrokenBodyError) as broken:
        rows(content)
    assert "example.com" not in str(broken.value)


ACCENTS = "EMAIL,CONTACT_ID,Custom_Industry\r\nrene@example.com,c1,Café Élodie\r\n,c2,Müller\r\n"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"]
)
@pytest.mark.parametrize("first", ["", "sep=,\r\n", '"sep=,"\n'])
def test_a_file_is_read_in_each_encoding_that_spreadsheets_write(encoding: str, first: str) -> None:
    found = rows((first + ACCENTS).encode(encoding))
    assert [row.get("custom_industry") for row in found] == ["Café Élodie", "Müller"]
    assert [row["contact_id"] for row in found] == ["c1", "c2"]


def test_a_first_line_that_names_another_separator_is_followed() -> None:
    assert rows(b"sep=;\nEMAIL;CONTACT_ID\na@example.com;c,1\n") == [
        {"email": "a@example.com", "contact_id": "c,1"}
    ]


@pytest.mark.parametrize("odd", [b"short", b"one,too,many,fields", b'"a\nb",c,d,e,f'])
def test_a_row_of_another_length_is_set_aside_and_the_others_are_read(odd: bytes) -> None:
    content = b"EMAIL,CONTACT_ID,X\na@example.com,c1,\n" + odd + b"\nb@example.com,c2,\n"
    assert [row and row["contact_id"] for row in rows(content)] == ["c1", "c2", None]


def test_a_line_of_json_that_is_none_is_set_aside_and_the_others_are_read() -> None:
    assert rows(b'{"contact_id": "c1"}\n{"contact_id": \n{"contact_id": "c2"}\n') == [
        {"contact_id": "c1"},
        None,
        {"contact_id": "c2"},
    ]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"EMAIL,CONTACT_ID\na@example.com,c1\n\xff\xfe@example.com,c2\n", "row 3 of the file is not UTF-8"),
        ("EMAIL,NAME\na,José\n".encode() + b"b,Ren\xe9\n", "row 3 of the file is not UTF-8"),
        ("EMAIL,NAME\na,b\n".encode("utf-16") + b"\x00", "is not UTF-16"),
        (b'{"contact_id": "c1"}\n{"contact_id": "ada@exam', "cut off"),
    ],
)
def test_what_is_not_sure_is_named_by_row_and_encoding_and_quotes_nobody(
    content: bytes, complaint: str
) -> None:
    with pytest.raises(BrokenBodyError, match=complaint) as broken:
        rows(content)
    assert "example.com" not in str(broken.value)
    assert "Ren" not in str(broken.value)
