"""Reads the parts of a list side by side: several at once, each page handed on as it comes.

Memory holds the pages that are under way and no more. Nothing here sends a request or knows a vendor: the
shared pace (`common/pace.py`) decides when a request may leave, so more parts at once never mean more
requests than the vendor allows.
"""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from math import isqrt
from typing import Any, Generic, NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

SECOND = timedelta(seconds=1)
FEWEST_PAGES = 3
"""A part of a list is expected to hold at least so many pages: each ends with a page that is not full."""
MOST_PAGES = 20
"""A part is expected to hold at most so many pages: a killed run reads unfinished parts again."""
PARTS = 16
"""Into how many parts a list is split whose parts are neither too small nor too large."""
GROWTH = 4
"""After so many pages of a list of unknown length, one more is asked for at once."""
IMPLAUSIBLE_PAGES = 100_000
"""More pages than this are no estimate, but a page of rows that all came within a few seconds."""

Part = Callable[[], Iterator[Any]]
T = TypeVar("T")


class Reached(NamedTuple):
    """Handed on among pages: every row whose cursor is before this moment has been handed on."""

    before: datetime


class _Done(NamedTuple):
    """The end of a worker, with the error that ended it."""

    error: BaseException | None = None


class Workers:
    """Threads that put pages into one short queue; the reader takes them out and ends the threads."""

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self._out: queue.Queue[Any] = queue.Queue(max(at_once // 4, 2))
        self._threads: list[threading.Thread] = []
        self._running = 0
        self._lock = threading.Lock()
        self.is_over = False

    def start(self, work: Callable[[], None]) -> None:
        """Run `work` in another thread, unless `at_once` are running."""

        def run() -> None:
            error = None
            try:
                work()
            except BaseException as raised:  # a thread has no caller: the reader raises it
                error = raised
            with self._lock:
                self._running -= 1
            self._out.put(_Done(error))

        with self._lock:
            if self.is_over or self._running >= self.at_once:
                return
            self._running += 1
            thread = threading.Thread(target=run, daemon=True)
            self._threads.append(thread)
            thread.start()

    def put(self, page: Any) -> None:
        """Hand on a page; waits while the reader is behind."""
        self._out.put(page)

    def pages(self) -> Iterator[Any]:
        """Yield what the threads put until all have ended. Raises the first error of a thread."""
        ended = 0
        try:
            while ended < len(self._threads):
                match self._out.get():
                    case _Done(error):
                        ended += 1
                        if error is not None:
                            raise error
                    case page:
                        yield page
        finally:
            self.is_over = True
            while ended < len(self._threads):  # a thread may be waiting to hand on its last page
                ended += isinstance(self._out.get(), _Done)
            for thread in self._threads:
                thread.join()


def side_by_side(parts: Iterable[Part], at_once: int) -> Iterator[Any]:
    """Yield the pages of each part in the order in which they come, with up to `at_once` parts under way."""
    left = iter(parts)
    taking = threading.Lock()
    workers = Workers(at_once)

    def take() -> Part | None:
        with taking:
            return None if workers.is_over else next(left, None)

    def work() -> None:
        while part := take():
            workers.start(work)  # one more each time there was something to do
            with closing(part()) as pages:  # type: ignore[type-var]
                for page in pages:
                    workers.put(page)
                    if workers.is_over:
                        return

    workers.start(work)
    yield from workers.pages()


def in_order(parts: Iterable[tuple[Part, datetime]], at_once: int) -> Iterator[Any]:
    """Yield the pages of parts side by side, and what is `Reached`: each part comes with its end."""
    ends: list[datetime] = []
    whole: set[int] = set()

    def told() -> Iterator[Part]:
        for number, (part, end) in enumerate(parts):
            ends.append(end)
            yield partial(_with_end, part, number)

    reached = 0
    for page in side_by_side(told(), at_once):
        if not isinstance(page, int):
            yield page
            continue
        whole.add(page)
        while reached in whole:
            reached += 1
            yield Reached(ends[reached - 1])


def _with_end(part: Part, number: int) -> Iterator[Any]:
    yield from part()
    yield number


@dataclass
class Span:
    """A stretch of a list that is sorted by a moment, from `start` to before `end` (None: no bound).

    All its rows before `at` are handed on, the first of them at `first_row`. `is_full` is of its last page.
    """

    start: datetime | None
    end: datetime | None
    at: datetime | None = None
    first_row: datetime | None = None
    rows: int = 0
    pages: int = 0
    is_taken: bool = False
    is_done: bool = False
    is_sorted: bool = True
    is_full: bool = False


class Spans:
    """The spans of one list, in order. They are split where rows are dense, as the pages that came tell.

    `newest` is the end of the list for estimates; the last span itself may have no bound. Up to `pages_ahead`
    pages are read beyond the first span that is not finished: a run that is killed repeats them. `cuts` are
    moments at which a list of several pages is split in any case, because its first rows tell little.
    """

    def __init__(
        self,
        start: datetime | None,
        end: datetime | None,
        *,
        newest: datetime,
        page_rows: int,
        pages_ahead: int,
        cuts: Sequence[datetime] = (),
    ) -> None:
        self.spans = [Span(start, end)]
        self._cuts = cuts
        self._newest, self._page_rows, self._pages_ahead = newest, page_rows, pages_ahead
        self._lock = threading.RLock()

    @property
    def is_split(self) -> bool:
        return len(self.spans) > 1

    @property
    def last(self) -> datetime | None:
        """The moment of the last row; None if there is none."""
        return max((span.at for span in self.spans if span.at), default=None)

    def take(self) -> Span | None:
        """Return the next span to read; None if there is none now."""
        with self._lock:
            span = self._waiting()
            if span is None and self._split():
                span = self._waiting()
            if span is not None:
                self._carve(span)
                span.is_taken = True
            return span

    @property
    def has_work(self) -> bool:
        """Whether another worker would find something to read."""
        with self._lock:
            return self._waiting() is not None or (self._may_cut and any(map(self._is_long, self.spans)))

    def note(self, span: Span, moments: pa.ChunkedArray) -> bool:
        """Note a page of a span that was handed on; return whether the rest of the span is another one."""
        with self._lock:
            if len(moments) > moments.null_count:
                found = pc.min_max(moments)
                first, last = found["min"].as_py(), found["max"].as_py()
                # Not sorted: then neither is a part of it known to be whole, nor may it end early.
                span.is_sorted &= span.at is None or first >= span.at - SECOND
                span.first_row = span.first_row or first
                span.at = max(last, span.at or last)
            span.rows += len(moments)
            span.pages += 1
            span.is_full = len(moments) >= self._page_rows
            if span.is_full and self._cuts:
                self._cut_at(self._cuts)
                self._cuts = ()
            return bool(span.is_sorted and span.end and span.at and span.at >= span.end)

    def end(self, span: Span) -> None:
        """Note that a span is read to its end."""
        with self._lock:
            span.is_done = True

    def reached(self) -> datetime | None:
        """Return the moment before which everything is handed on; None if it is not known."""
        with self._lock:
            for span in self.spans:
                if not span.is_done:
                    return span.at if span.is_sorted and span.at else span.start
            return self._newest

    def _waiting(self) -> Span | None:
        """Return the first span that nobody reads, unless too much is read beyond an unfinished one."""
        first = next((n for n, span in enumerate(self.spans) if not span.is_done), len(self.spans))
        is_far = sum(span.pages for span in self.spans[first + 1 :]) >= self._pages_ahead
        for place, span in enumerate(self.spans[first:], first):
            if not span.is_taken:
                return None if is_far and place > first else span
        return None

    def _split(self) -> bool:
        """Split the first span that turned out longer than a part should be."""
        long = next(filter(self._is_long, self.spans), None) if self._may_cut else None
        return long is not None and self._cut(long, min(self._size, self._pages(long) / 2))

    def _carve(self, span: Span) -> None:
        """Cut a span that nobody reads to a part that is read soon."""
        if self._may_cut and self._pages(span) >= self._size + FEWEST_PAGES:
            self._cut(span, self._size)

    @property
    def _size(self) -> float:
        """The pages that a part should have: the more of them are left, the more."""
        left = sum(self._pages(span) for span in self.spans if not span.is_done)
        return min(max(left / PARTS, FEWEST_PAGES), MOST_PAGES)

    @property
    def _may_cut(self) -> bool:
        """Whether enough pages came for one more span: a wrong guess costs a request."""
        return len(self.spans) <= sum(span.pages for span in self.spans)

    def _is_long(self, span: Span) -> bool:
        is_read = span.is_taken and not span.is_done and span.is_sorted and span.at is not None
        return is_read and span.is_full and self._pages(span) >= 2 * FEWEST_PAGES

    def _cut(self, span: Span, pages: float) -> bool:
        """Cut a span after so many more pages, at a whole second; return whether it is long enough."""
        start, end = span.at or span.start, span.end or self._newest
        if start is None:
            return False
        at = start + (end - start) * min(pages / max(self._pages(span), 1.0), 1.0)
        at = at.replace(microsecond=0) + SECOND
        if at + SECOND >= end:
            return False
        self.spans.insert(self.spans.index(span) + 1, Span(at, span.end))
        span.end = at
        return True

    def _cut_at(self, moments: Sequence[datetime]) -> None:
        """Cut the last span at each of these moments that it has not passed."""
        for at in moments:
            last = self.spans[-1]
            if (last.at or last.start or at) < at and (last.end is None or at < last.end):
                self.spans.append(Span(at.replace(microsecond=0), last.end))
                last.end = self.spans[-1].start

    def _pages(self, span: Span) -> float:
        """Return how many pages of a span are left, by the density of its rows, or of all rows so far."""
        start, end = span.at or span.start, span.end or self._newest
        known = [span] if span.pages else self.spans
        rows = sum(each.rows for each in known)
        if start is None or not rows:
            return 0.0
        seconds = max(sum(map(self._seconds_read, known)), 1.0)
        pages = max((end - start).total_seconds(), 0.0) * rows / seconds / self._page_rows
        return pages if pages < IMPLAUSIBLE_PAGES else 0.0

    def _seconds_read(self, span: Span) -> float:
        """Return how much time the rows of a span cover so far; before the first row of all is nothing."""
        start = span.first_row if span is self.spans[0] else span.start
        end = (span.end or self._newest) if span.is_done else span.at
        return (end - start).total_seconds() if start and end else 0.0


def in_spans(
    read: Callable[[datetime | None, datetime | None], Iterator[pa.Table]],
    moments: Callable[[pa.Table], pa.ChunkedArray],
    spans: Spans,
    at_once: int,
) -> Iterator[Any]:
    """Yield the pages of a list that is sorted by a moment, in spans side by side, and what is `Reached`.

    `read` gives the pages from a moment to before another, in order. A list of few pages is read as one: it
    is split where the pages that came promise more of them.
    """
    workers = Workers(at_once)

    def work() -> None:
        while span := spans.take():
            if spans.has_work:
                workers.start(work)
            with closing(read(span.start, span.end)) as pages:  # type: ignore[type-var]
                for page in pages:
                    workers.put(page)
                    is_enough = spans.note(span, moments(page))
                    if reached := spans.reached():
                        workers.put(Reached(reached))
                    if spans.has_work:
                        workers.start(work)
                    if is_enough or workers.is_over:
                        break
            if workers.is_over:
                return
            spans.end(span)
            if reached := spans.reached():
                workers.put(Reached(reached))

    workers.start(work)
    yield from workers.pages()


class Ahead(Generic[T]):
    """Asks for pages of a counted list before it is their turn, each in a thread of its own.

    Nobody knows how long such a list is: the more pages came, the more are asked for at once, at most their
    root, so that few are asked for behind its end. `expected` is the number of pages as far as it is known:
    there may be more.
    """

    def __init__(self, ask: Callable[[int], T], at_once: int, expected: int = 0) -> None:
        self._ask, self._at_once, self._expected = ask, at_once, expected
        self._asked: dict[int, Future[T]] = {}

    def get(self, number: int) -> T:
        """Return the page with this number, counted from 0, and ask for some of those after it."""
        beyond = number - self._expected
        most = min(-beyond if beyond < 0 else 1 + min(beyond // GROWTH, isqrt(beyond)), self._at_once)
        for each in range(number, number + most):
            if each not in self._asked:
                self._asked[each] = future = Future[T]()
                threading.Thread(target=_fill, args=(future, partial(self._ask, each)), daemon=True).start()
        return self._asked.pop(number).result()

    def end(self) -> None:
        """Wait for the pages that nobody needs."""
        wait(self._asked.values())
        self._asked.clear()


def _fill(future: "Future[T]", ask: Callable[[], T]) -> None:
    try:
        future.set_result(ask())
    except BaseException as error:  # the reader raises it, if it needs the page
        future.set_exception(error)
