"""Parts of a list that are read side by side: nothing is lost, little is asked twice, memory stays small."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pyarrow as pa
import pytest

from ingest.parallel import Ahead, Reached, Spans, in_order, in_spans, side_by_side

START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(days=200)
MOMENT = pa.timestamp("us", tz="UTC")


class Listed:
    """A list sorted by moments, served in pages of ten; it counts the requests and how many are at once."""

    def __init__(self, moments: list[datetime], seconds: float = 0.0) -> None:
        self._moments, self._seconds = sorted(moments), seconds
        self._lock = threading.Lock()
        self.requests = self.under_way = self.most = 0

    def read(self, start: datetime | None, end: datetime | None) -> Iterator[pa.Table]:
        rows = [m for m in self._moments if (not start or m >= start) and (not end or m < end)]
        for at in range(0, max(len(rows), 1), 10):
            with self._lock:
                self.requests += 1
                self.under_way += 1
                self.most = max(self.most, self.under_way)
            time.sleep(self._seconds)
            with self._lock:
                self.under_way -= 1
            yield pa.table({"at": pa.array(rows[at : at + 10], MOMENT)})


def spread(count: int) -> list[datetime]:
    return [START + (END - START) * (n / count) for n in range(count)]


def in_bursts(count: int) -> list[datetime]:
    """Return moments of which half fall into a few hours, as after a campaign."""
    dense = [START + timedelta(days=90, seconds=10 * n) for n in range(count // 2)]
    return dense + spread(count - count // 2)


def read_spans(listed: Listed, at_once: int = 8, ahead: int = 1000) -> tuple[list[datetime], list[Reached]]:
    spans = Spans(START, END, newest=END, page_rows=10, pages_ahead=ahead)
    rows: list[datetime] = []
    told: list[Reached] = []
    for page in in_spans(listed.read, lambda page: page.column("at"), spans, at_once):
        if isinstance(page, Reached):
            told.append(page)
        else:
            rows += page.column("at").to_pylist()
    return rows, told


@pytest.mark.parametrize("rows", [spread(3), spread(1000), in_bursts(1000), [START] * 500, []])
def test_a_list_in_spans_is_read_whole(rows: list[datetime]) -> None:
    listed = Listed(rows)
    found, told = read_spans(listed)
    assert Counter(found).keys() == Counter(rows).keys()
    assert not Counter(rows) - Counter(found)
    assert told[-1] == Reached(END)


@pytest.mark.parametrize(
    "rows", [spread(1000), in_bursts(1000), [START] * 1000], ids=["even", "bursts", "one"]
)
def test_spans_cost_few_requests(rows: list[datetime]) -> None:
    listed = Listed(rows, 0.001)
    read_spans(listed)
    assert listed.requests <= 1.3 * len(rows) / 10


def test_a_list_that_is_dense_at_its_end_is_cut_there_at_once() -> None:
    rows = [END - (END - START) * 0.5**n for n in [part / 40 for part in range(1, 400)]]
    cuts = [END - timedelta(days=days) for days in (64, 16, 4, 1)]
    listed = Listed(rows, 0.01)
    spans = Spans(START, None, newest=END, page_rows=10, pages_ahead=1000, cuts=cuts)
    pages = in_spans(listed.read, lambda page: page.column("at"), spans, 8)
    found = [page.column("at").to_pylist() for page in pages if isinstance(page, pa.Table)]
    assert {moment for page in found for moment in page} == {*rows}
    assert {*cuts} <= {span.start for span in spans.spans}
    assert listed.requests <= len(rows) / 10 + 8


def test_a_list_of_one_page_takes_one_request() -> None:
    listed = Listed(spread(9))
    read_spans(listed)
    assert listed.requests == 1


def test_spans_are_read_side_by_side() -> None:
    listed = Listed(spread(1000), 0.02)
    began = time.monotonic()
    read_spans(listed)
    assert time.monotonic() - began < 0.5 * 0.02 * listed.requests
    assert 4 <= listed.most <= 8


def test_what_is_reached_was_handed_on_before() -> None:
    """Whenever a run is killed, what it was told to have read is all there."""
    rows = in_bursts(2000)
    listed = Listed(rows, 0.001)
    spans = Spans(START, END, newest=END, page_rows=10, pages_ahead=40)
    found: Counter[datetime] = Counter()
    for page in in_spans(listed.read, lambda page: page.column("at"), spans, 8):
        if isinstance(page, Reached):
            assert not Counter(m for m in rows if m < page.before) - found
        else:
            found.update(page.column("at").to_pylist())


def test_no_more_is_read_ahead_than_a_killed_run_may_repeat() -> None:
    rows = spread(5000)
    listed = Listed(rows, 0.001)
    spans = Spans(START, END, newest=END, page_rows=10, pages_ahead=40)
    read, beyond = 0, 0
    reached = START
    handed: list[datetime] = []
    for page in in_spans(listed.read, lambda page: page.column("at"), spans, 8):
        if isinstance(page, Reached):
            reached = max(reached, page.before)
            beyond = max(beyond, sum(m >= reached for m in handed))
        else:
            handed += page.column("at").to_pylist()
            read += 1
    assert beyond / 10 <= 40 + 8 * 25  # the limit, and the parts that were begun below it


def test_rows_that_are_not_sorted_end_no_span_early() -> None:
    rows = spread(300)

    class Shuffled(Listed):
        def read(self, start: datetime | None, end: datetime | None) -> Iterator[pa.Table]:
            yield from reversed(list(super().read(start, end)))

    found, _ = read_spans(Shuffled(rows))
    assert not Counter(rows) - Counter(found)


def test_the_first_error_ends_all_parts() -> None:
    def broken(number: int) -> Iterator[int]:
        yield number
        if number == 3:
            raise ValueError("no answer")

    others = set(threading.enumerate())  # an ingest that another test stopped leaves its readers waiting
    with pytest.raises(ValueError, match="no answer"):
        list(side_by_side((partial(broken, n) for n in range(1000)), 4))
    assert set(threading.enumerate()) <= others


def test_parts_wait_while_nobody_takes_their_pages() -> None:
    begun: list[int] = []

    def part(number: int) -> Iterator[int]:
        begun.append(number)
        yield number

    pages = side_by_side((partial(part, n) for n in range(1000)), 4)
    next(pages)
    time.sleep(0.2)
    assert len(begun) <= 4 + 2 + 1
    assert len(list(pages)) == 999


def test_a_part_is_reached_when_all_before_it_are_whole() -> None:
    def part(number: int) -> Iterator[int]:
        time.sleep(0.05 if number == 0 else 0)
        yield f"page {number}"

    parts = [(partial(part, n), START + timedelta(days=n)) for n in range(3)]
    told = list(in_order(parts, 3))
    assert told[-3:] == [Reached(START + timedelta(days=n)) for n in range(3)]


def test_a_counted_list_of_unknown_length_is_asked_a_little_beyond_its_end() -> None:
    asked: list[int] = []

    def ask(number: int) -> int:
        asked.append(number)
        return number

    for length, expected, most in ((4, 0, 5), (29, 0, 34), (40, 0, 46), (40, 40, 41), (40, 30, 43)):
        asked.clear()
        ahead = Ahead(ask, 16, expected)
        assert [ahead.get(number) for number in range(length)] == list(range(length))
        ahead.end()
        assert length <= len(asked) <= most
