"""An exported file to pages of JSON rows, whatever it turns out to be: packed or not, CSV or JSON lines.

Names and headers of such files have been wrong, so that the bytes decide.
"""

import gzip
import io
import zlib
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.csv

from ingest.typed import BrokenBodyError, json_of

PACKED = b"\x1f\x8b"
BLOCK_BYTES = 4_000_000
"""How much of a file becomes one page; no row may be longer."""


def pages(content: bytes) -> Iterator[str]:
    """Yield the rows of a file as JSON arrays: field names in lower case, fields without a value left out.

    Raises BrokenBodyError where the file is cut off or is neither CSV nor JSON lines.
    """
    try:
        plain = gzip.decompress(content) if content.startswith(PACKED) else content
        if plain.lstrip()[:1] == b"{":
            yield from _lines(plain)
        elif plain.strip():
            yield from _csv(plain)
    except (EOFError, OSError, zlib.error, UnicodeDecodeError) as error:
        raise BrokenBodyError("the file is cut off") from error
    except pa.ArrowInvalid:
        raise BrokenBodyError("the file is no CSV") from None  # Arrow's text would quote a row


def _lines(plain: bytes) -> Iterator[str]:
    read = io.BytesIO(plain)
    while lines := read.readlines(BLOCK_BYTES):
        yield f"[{','.join(line.decode() for line in lines if line.strip())}]"


def _csv(plain: bytes) -> Iterator[str]:
    """Every value is text here: what it means is said where the raw table is declared."""
    headings = pa.csv.open_csv(io.BytesIO(plain)).schema.names
    read = pa.csv.open_csv(
        io.BytesIO(plain),
        pa.csv.ReadOptions(block_size=BLOCK_BYTES),
        pa.csv.ParseOptions(newlines_in_values=True),
        pa.csv.ConvertOptions(
            column_types=dict.fromkeys(headings, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )
    for batch in read:
        yield json_of(batch.rename_columns([name.lower() for name in headings]))
