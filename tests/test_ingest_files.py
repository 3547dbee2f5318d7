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
