"""Turns an exported file into pages of JSON rows, whatever its form: packed or not, CSV or JSON lines, in
UTF-8, UTF-16 or Latin-1, with or without the first line that gives spreadsheets the separator.

Names and headers of such files have been wrong, so the bytes decide. A row with more or fewer fields than the
heading becomes null in its page, because nobody can know which field is missing.
"""

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.csv

from ingest.parser import is_json, json_of
from ingest.typed import BrokenBodyError

PACKED = b"\x1f\x8b"
BLOCK_BYTES = 4_000_000
"""How much of a file becomes one page; no row may be longer."""


_SEPARATOR = re.compile(rb'"?sep=([,;|\t])"?\r?\n', re.IGNORECASE)
# Letters and quotes of Latin-1 as encoded by Windows, next to a letter: anything else may be of any encoding.
_LETTER = rb"[\xc0-\xd6\xd8-\xf6\xf8-\xff\x8a\x8c\x8e\x9a\x9c\x9e\x9f\x91-\x94\x96]"
_LATIN = re.compile(rb"(?<=[A-Za-z])" + _LETTER + rb"{1,2}|" + _LETTER + rb"{1,2}(?=[A-Za-z])")


def pages(content: bytes) -> Iterator[str]:
    """Yield the rows of a file as JSON arrays, with field names in lower case and without empty fields.

    Raises BrokenBodyError if the file is cut off, is neither CSV nor JSON, or its encoding is uncertain.
    """
    try:
        plain = _utf8(gzip.decompress(content) if content.startswith(PACKED) else content)
        start = plain.lstrip()[:1]
        if start == b"{":
            yield from _lines(plain)
        elif start == b"[":
            yield plain.decode()
        elif start:
            yield from _csv(plain)
    except (EOFError, OSError, zlib.error) as error:
        raise BrokenBodyError("the file is cut off") from error
    except pa.ArrowInvalid:
        raise BrokenBodyError("the file is no CSV") from None  # Arrow's text would quote a row


def _utf8(plain: bytes) -> bytes:
    """Return the same text in UTF-8. Raises BrokenBodyError if its encoding is uncertain."""
    plain = plain.removeprefix(codecs.BOM_UTF8)
    encoding = "utf-16" if plain.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else ""
    if not encoding and b"\0" in plain[:4]:
        encoding = "utf-16-be" if plain[:1] == b"\0" else "utf-16-le"
    try:
        text = plain.decode(encoding or "utf-8")
        return text.encode() if encoding else plain
    except UnicodeDecodeError as error:
        row = plain.count(b"\n", 0, error.start) + 1
        rest = _LATIN.sub(b"", plain)
        is_mixed = bool(re.search(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}", plain))
        if not encoding and not is_mixed and rest.isascii():
            return plain.decode("cp1252", errors="replace").encode()
        name = encoding.upper() or "UTF-8, and not surely Latin-1 either"
        raise BrokenBodyError(f"row {row} of the file is not {name}") from None


def _lines(plain: bytes) -> Iterator[str]:
    read = io.BytesIO(plain)
    while lines := read.readlines(BLOCK_BYTES):
        texts = [line.decode() for line in lines if line.strip()]
        page = f"[{','.join(texts)}]"
        if not is_json(page):
            are_good = [is_json(text) for text in texts]
            if not are_good[-1] and not lines[-1].endswith(b"\n"):
                raise BrokenBodyError("the file is cut off")
            texts = [text if is_good else "null" for text, is_good in zip(texts, are_good, strict=True)]
            page = f"[{','.join(texts)}]"
        yield page


def _csv(plain: bytes) -> Iterator[str]:
    """Return CSV rows with every value as text: the raw table's declaration gives the types."""
    separator = _SEPARATOR.match(plain)
    plain = plain[separator.end() :] if separator else plain
    uneven = 0

    def leave_out(row: pa.csv.InvalidRow) -> str:
        nonlocal uneven
        uneven += 1
        is_cut = row.actual_columns < row.expected_columns and plain.endswith(row.text.encode())
        return "error" if is_cut else "skip"

    parse = pa.csv.ParseOptions(
        delimiter=separator[1].decode() if separator else ",",
        newlines_in_values=True,
        invalid_row_handler=leave_out,
    )
    block = pa.csv.ReadOptions(block_size=BLOCK_BYTES)
    headings = pa.csv.open_csv(io.BytesIO(plain), block, parse).schema.names
    uneven = 0
    convert = pa.csv.ConvertOptions(
        column_types=dict.fromkeys(headings, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )
    page = ""
    for batch in pa.csv.open_csv(io.BytesIO(plain), block, parse, convert):
        if page:
            yield page
        page = json_of(batch.rename_columns([name.lower() for name in headings]))
    if uneven:
        nulls = ", ".join(["null"] * uneven)
        page = f"{page[:-1]}, {nulls}]" if page.startswith("[{") else f"[{nulls}]"
    if page:
        yield page
