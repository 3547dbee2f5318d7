"""How lists continue and end: all at once, by number, by offset, by link."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from ingest.errors import SourceError
from ingest.parser import value
from ingest.typed import Aside

ROUND = 10
"""Caps of vendors are multiples of this."""

AT_ONCE = 8
"""How many pages of one list are requested at once, where pages can be requested by number."""

Parameters = Mapping[str, str | int]


class Page(NamedTuple):
    """One answer: its rows, and its text for the envelope's facts about the list."""

    text: str
    rows: pa.Table

    @property
    def row_count(self) -> int:
        """The number of rows the vendor sent, including those that could not be read."""
        return int(self.rows.num_rows) + Aside.of(self.rows).row_count


@dataclass(frozen=True, kw_only=True)
class Paging:
    """How one list continues and ends: everything in one answer, if no other way is given.

    If `empty_ends`, a page without rows means the end, and is requested again before it is believed. `total`
    is where an answer gives the total number of rows; a list that ends before them is broken. Pages that are
    counted are requested up to `at_once`; `expected` is how many there may be.
    """

    empty_ends: bool = True
    total: str | None = None
    at_once: int = AT_ONCE
    expected: int = 0

    def first(self) -> Parameters:
        """Return the parameters of the first page."""
        return {}

    def nth(self, number: int) -> Parameters | None:  # noqa: ARG002
        """Return the parameters of the page with a number from 0, None if only the page before knows them."""
        return None

    def after(self, asked: Parameters, page: Page, count: int) -> Parameters | None:  # noqa: ARG002
        """Return the parameters of the page after `page`, given that `count` rows are read; None at the end.

        Raises SourceError if the list cannot continue or end there.
        """
        return None


@dataclass(frozen=True)
class Whole(Paging):
    """Everything in one answer. If it can contain at most `most` different values of the column `of`, a full
    one may have been cut.
    """

    most: int = 0
    of: str = ""

    def after(self, asked: Parameters, page: Page, count: int) -> Parameters | None:  # noqa: ARG002
        if self.most and pc.count_distinct(page.rows.column(self.of)).as_py() >= self.most:
            raise SourceError(f"{self.most:,} {self.of}s, the most it gives. Rows may be missing")
        return None


def _may_go_on(rows: int, size: int) -> bool:
    """Return whether a page with this many rows can have a successor. It need not be full: a vendor that
    silently lowers its cap gives round pages.
    """
    return rows >= size or (rows > 0 and rows % ROUND == 0)


@dataclass(frozen=True)
class Numbered(Paging):
    """Pages by number; the first page that is not full is the last. `size` must not exceed the cap."""

    size: int

    def first(self) -> Parameters:
        return self.nth(0)

    def nth(self, number: int) -> Parameters:
        return {"page": number + 1, "per_page": self.size}

    def after(self, asked: Parameters, page: Page, count: int) -> Parameters | None:  # noqa: ARG002
        goes_on = _may_go_on(page.row_count, self.size)
        return {**asked, "page": int(asked["page"]) + 1} if goes_on else None


@dataclass(frozen=True)
class Offset(Paging):
    """Pages by the number of rows before them. The first page that is not full is the last, even an overfull
    one from a vendor that ignores `limit`. `size` must not exceed the vendor's cap.
    """

    size: int

    def first(self) -> Parameters:
        return self.nth(0)

    def nth(self, number: int) -> Parameters:
        return {"limit": self.size, "offset": number * self.size}

    def after(self, asked: Parameters, page: Page, count: int) -> Parameters | None:
        may_go_on = page.row_count <= self.size and _may_go_on(page.row_count, self.size)
        return {**asked, "offset": count} if may_go_on else None


@dataclass(frozen=True)
class Linked(Paging):
    """Pages by a link to the next, from which only the token is used: the key goes to no other host."""

    link: str
    token: str
    size: tuple[str, int] | None = None
    empty_ends: bool = field(default=False, kw_only=True)

    def first(self) -> Parameters:
        return dict([self.size]) if self.size else {}

    def after(self, asked: Parameters, page: Page, count: int) -> Parameters | None:  # noqa: ARG002
        link = value(page.text, self.link)
        try:
            tokens = parse_qs(urlsplit(link or "").query, keep_blank_values=True).get(self.token)
        except ValueError:  # an invalid host
            tokens = None
        if link and tokens is None:
            raise SourceError(f"the link to the next page has no {self.token}")
        return {**self.first(), self.token: tokens[0]} if tokens and tokens[0] else None


def total_of(text: str, path: str | None) -> int | None:
    """Return the total number of rows of the list, if the answer gives it."""
    told = value(text, path) if path else None
    return int(told) if told and told.isascii() and told.isdigit() else None


def check_total(count: int, promised: int | None) -> None:
    """Raise SourceError when a list ends before the number of rows that the vendor announced."""
    if promised is not None and count < promised:
        raise SourceError(f"the list ended after {count:,} of {promised:,} rows")
