"""Sends requests to a vendor: which failures are retried, which are final, and how pages of a list are read.

dlt's RESTClient is not used. It builds a Python object per row to find the rows and the next page, which
costs more than everything else together at 1,000 rows a page. It also follows a `next` link to any host.
"""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import pyarrow as pa
import requests
from requests.adapters import HTTPAdapter

from common import spans
from common.pace import Pace, reset_in
from ingest import files
from ingest.ceilings import Ceilings, TooMuchError, check_depth, check_link
from ingest.errors import OutageError, RefusedError, SourceError
from ingest.paging import Page, Paging, Parameters, check_total, total_of
from ingest.parallel import Ahead
from ingest.typed import BrokenBodyError, Table

TRIES = 8
"""How often one request is sent before its resource is given up; a 429 that says when to come back is no
failure."""
WAITS = 60
"""How often one request may be told to come back later."""
NEAR_SECONDS = (2.0, 5.0)
FAR_SECONDS = (10.0, 60.0)
"""How long a connection may take, and a silence within an answer, on this machine and elsewhere. Each failure
doubles what this machine gets, up to what others have: one that is busy is slow, and not dead."""
GOOD = (requests.codes.ok, requests.codes.accepted)
NOTICED_SECONDS = 0.05
"""A shorter wait is spacing, not worth a word."""
CONFIRM = 2
"""How often an empty page, a repeated one or an early end is asked again before it is believed."""

BODIES = 16
"""How many answers of a vendor are in memory at once: what else has arrived waits in its connection."""
CONNECTIONS = 128
"""How many requests to one host are under way at once, at most."""

T = TypeVar("T")
Body = Mapping[str, Any] | Callable[[Parameters], Mapping[str, Any]]


@dataclass
class Tally:
    """Counts for one resource, shown while they grow. `gone` lists the kinds and ids of objects that were
    listed but no longer existed when they were read.
    """

    requests: int = 0
    waits: int = 0
    rows: int = 0
    waiting: str = ""
    gone: list[tuple[str, str]] = field(default_factory=list)
    total: int = 0
    done: int = 0
    since: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self) -> None:
        """Count a request; several threads may send at once."""
        with self.lock:
            self.requests += 1

    def follow(self, total: int, since: float) -> None:
        """Start counting progress on a list of `total` rows, read since that `time.monotonic()`."""
        self.total, self.done, self.since = total, 0, since

    @property
    def seconds_left(self) -> float | None:
        """Return how long the rest of that list takes at this speed; None if the vendor gave no total."""
        if not 0 < self.done < self.total:
            return None
        return (time.monotonic() - self.since) / self.done * (self.total - self.done)

    def wait(self, seconds: float, reason: str) -> None:
        """Sleep, and report the reason meanwhile."""
        if seconds > NOTICED_SECONDS:
            with self.lock:
                self.waits += 1
            self.waiting = f"waiting {seconds:.0f} s: {reason}"
        with spans.span("allowance", reason):
            time.sleep(max(seconds, 0.0))
        self.waiting = ""


class Vendor(requests.Session):
    """One vendor: its address, key and pace, and how each of its failures is handled.

    All tables of a run share it. `classed` names the class of a request, by its path and parameters: the
    requests of one class share an allowance.

    The key is sent to the configured host only: redirects and links are not followed, and `.netrc` is never
    read.
    """

    def __init__(
        self,
        base_url: str,
        authorization: str,
        *,
        pace: Pace | None = None,
        classed: Callable[[str, Parameters], str] = lambda path, _params: path,
        headers: Mapping[str, str] | None = None,
        is_near: bool = False,
    ) -> None:
        super().__init__()
        self.base_url = base_url
        self.pace = pace or Pace()
        self.classed = classed
        self.headers.update({"Accept": "application/json", **(headers or {})})
        self.auth = partial(_with_key, authorization)
        self.notices: list[str] = []
        self.ceilings = Ceilings()
        self.tallies: dict[str, Tally] = {}
        self.listings = Listings()
        self._met: dict[str, threading.Event] = {}
        self._meeting = threading.Lock()
        self._bodies = threading.BoundedSemaphore(BODIES)
        self.mount(base_url, HTTPAdapter(pool_maxsize=CONNECTIONS))
        # On loopback nobody needs politeness: the sandbox answers at once or breaks on purpose.
        self._timeout = NEAR_SECONDS if is_near else FAR_SECONDS
        self._backoff_seconds = (0.02, 0.5) if is_near else (1.0, 60.0)

    def ask(
        self,
        path: str,
        bucket: str,
        params: Parameters,
        read: Callable[[str], pa.Table],
        tally: Tally,
        body: Mapping[str, Any] | None = None,
    ) -> Page:
        """Return the first good answer; a `body` makes the request a POST. `read` turns text into rows and
        raises BrokenBodyError if it cannot.

        Raises RefusedError when the answer is final, SourceError when the time allowed has run out.
        """

        def send(patience: tuple[float, float]) -> requests.Response:
            return self.request(
                "GET" if body is None else "POST",
                f"{self.base_url}/{path}",
                params=dict(params),
                json=body,
                timeout=patience,
                allow_redirects=False,
                stream=True,
            )

        def take(answer: requests.Response) -> Page:
            check_depth(answer.content)
            text = answer.content.decode(json.detect_encoding(answer.content), errors="replace")
            return Page(text, read(text))

        return self._insist(send, take, bucket, urlsplit(f"{self.base_url}/{path}").path, tally)

    def fetch(self, link: str, read: Callable[[bytes], list[pa.Table]], tally: Tally) -> list[pa.Table]:
        """Return the rows of a file behind a signed link. The key is not sent: storage refuses requests with
        two permissions, and the host may be anyone's.

        Raises SourceError if storage refuses: a new link may work.
        """
        try:
            address = check_link(link, self.base_url)
        except TooMuchError as error:
            raise SourceError(f"a file of the export is not fetched: {error}") from None

        def send(patience: tuple[float, float]) -> requests.Response:
            return self.get(link, auth=_without_key, timeout=patience, allow_redirects=False, stream=True)

        def take(answer: requests.Response) -> list[pa.Table]:
            return read(answer.content)

        try:
            return self._insist(send, take, address.netloc, address.path, tally, is_export=True)
        except RefusedError as error:
            raise SourceError(f"a file of the export was refused: {error}") from None

    def back_off(self, failures: int) -> None:
        """Sleep before the next try, twice as long after each failure, plus a random part that spreads
        clients.
        """
        first, longest = self._backoff_seconds
        time.sleep(random.uniform(0.5, 1.0) * min(first * 2**failures, longest))  # noqa: S311

    @contextmanager
    def _first_alone(self, bucket: str) -> Iterator[None]:
        """Let the first request of a class go alone if its allowance is unknown: the answer may name it."""
        if self.pace.knows(bucket):
            yield
            return
        with self._meeting:
            is_first = bucket not in self._met
            met = self._met.setdefault(bucket, threading.Event())
        if not is_first:
            met.wait()
        try:
            yield
        finally:
            met.set()

    def _patience(self, failures: int) -> tuple[float, float]:
        connecting, silence = (first * 2**failures for first in self._timeout)
        return min(connecting, FAR_SECONDS[0]), min(silence, FAR_SECONDS[1])

    def _insist(
        self,
        send: Callable[[tuple[float, float]], requests.Response],
        take: Callable[[requests.Response], T],
        bucket: str,
        shown: str,
        tally: Tally,
        *,
        is_export: bool = False,
    ) -> T:
        problem, failures, told = "", 0, 0
        while failures < TRIES and told < WAITS:
            try:
                with self._first_alone(bucket):
                    tally.count()
                    tally.wait(*self.pace.turn(bucket))
                    with spans.span("vendor", bucket):
                        answer = send(self._patience(failures))
                    self.pace.learn(bucket, answer.headers)
                with self._bodies:
                    # The body that requests would otherwise read itself, however large.
                    with spans.span("vendor", bucket):
                        answer._content = self.ceilings.read(answer, is_export=is_export)
                    answer._content_consumed = True  # type: ignore[attr-defined]
                    if answer.status_code in GOOD:
                        with spans.span("parse", bucket):
                            return take(answer)
            except (requests.ConnectionError, requests.Timeout) as error:
                is_late = isinstance(error, requests.Timeout)
                problem = "no answer in time" if is_late else "the connection broke"
            except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError):
                problem = "the answer broke off"
            except TooMuchError as error:
                raise SourceError(f"the answer on {shown} is refused: {error}") from None
            except (BrokenBodyError, UnicodeDecodeError) as error:
                problem = f"a broken answer ({error})"
            else:
                problem = str(answer.status_code)
                if answer.status_code != requests.codes.too_many and answer.status_code < 500:
                    raise RefusedError(answer, shown)
                wait = reset_in(answer.headers)
                if wait is not None:
                    told += 1
                    self.pace.hold(bucket, wait + random.uniform(0, 0.1))  # noqa: S311
                    continue
            failures += 1
            tally.waiting = f"waiting: {problem}, {failures} of {TRIES} tries"
            self.back_off(failures)
            tally.waiting = ""
        raise OutageError(problem, shown, failures + told)


def _with_key(authorization: str, request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Set the header; as an `auth`, this also keeps requests from looking for a key in `.netrc`."""
    request.headers["Authorization"] = authorization
    return request


def _without_key(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


class Listings:
    """The texts of the lists that several tables of a run need, each read by the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[Any, threading.Lock] = {}
        self._texts: dict[Any, list[str]] = {}

    def get(self, name: Any, read: Callable[[], list[str]]) -> list[str]:
        """Return the pages of a list. If reading fails, the next table that needs it tries again."""
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            if name not in self._texts:
                self._texts[name] = read()
            return self._texts[name]


@dataclass
class Client:
    """A vendor as one resource sees it: with a tally, the start of the run, how far back it reads, and how
    many rows its table has.
    """

    vendor: Vendor
    started_at: datetime
    history_days: int = 730
    tally: Tally = field(default_factory=Tally)
    rows_before: int = 0

    @property
    def today(self) -> date:
        """The day of the run, in UTC."""
        return self.started_at.date()

    @property
    def first_day(self) -> date:
        """The first day of the history that is loaded."""
        return self.today - timedelta(days=self.history_days)

    def pages(
        self,
        path: str,
        table: Table,
        paging: Paging,
        params: Parameters | None = None,
        *,
        ids: Mapping[str, str] | None = None,
        known: Mapping[str, Any] | None = None,
        body: Body | None = None,
    ) -> Iterator[pa.Table]:
        """Yield the pages of a list, typed as `table`; none if something in `ids` no longer exists.

        `path` may contain `{names}` of `ids`; `known` gives the columns that no answer has. A `body` makes
        the request a POST; a function as `body` receives the parameters of the page. Raises SourceError,
        which names the path, when the list does not end as the vendor says lists end.
        """
        for page in self._pages(path, table, paging, params or {}, ids or {}, known or {}, body):
            yield page.rows

    def shared(
        self,
        owner: str,
        path: str,
        table: Table,
        paging: Paging,
        params: Parameters | None = None,
        *,
        ids: Mapping[str, str] | None = None,
        known: Mapping[str, Any] | None = None,
    ) -> Iterator[pa.Table]:
        """Yield the pages of a short list that several tables need, as `pages` does: requested once a run.

        Its requests are counted with the table `owner`, even if another table is read first.
        """
        asker = replace(self, tally=self.vendor.tallies.get(owner, self.tally))
        name = (path, *sorted((params or {}).items()), *(ids or {}).values())

        def read() -> list[str]:
            pages = asker._pages(path, table, paging, params or {}, ids or {}, {}, keeps_text=True)
            return [page.text for page in pages]

        for text in self.vendor.listings.get(name, read):
            yield table.rows(text, known or {})

    def _pages(
        self,
        path: str,
        table: Table,
        paging: Paging,
        params: Parameters,
        ids: Mapping[str, str],
        known: Mapping[str, Any],
        body: Body | None = None,
        *,
        keeps_text: bool = False,
    ) -> Iterator[Page]:
        if not all(map(is_path_segment, ids.values())):
            self.tally.gone.extend(ids.items())  # no address leads to it
            return
        filled = path.format(**{name: quote(id_, safe="") for name, id_ in ids.items()})
        bucket = self.vendor.classed(path, params)

        def ask(place: Parameters) -> Page:
            return self.vendor.ask(
                filled,
                bucket,
                {**params, **({} if callable(body) else place)},
                lambda text: table.rows(text, known),
                self.tally,
                body(place) if callable(body) else body,
            )

        try:
            yield from self._in_order(ask, filled, table, paging, keeps_text=keeps_text)
        except RefusedError as error:
            if not ids or error.status != requests.codes.not_found:
                raise
            self.tally.gone.extend(ids.items())

    def _in_order(
        self,
        ask: Callable[[Parameters], Page],
        filled: str,
        table: Table,
        paging: Paging,
        *,
        keeps_text: bool,
    ) -> Iterator[Page]:
        """Yield the pages of a list in their order. `ask` sends the request of one page."""
        ahead = Ahead(lambda number: ask(paging.nth(number) or {}), paging.at_once, paging.expected)
        place: Parameters | None = paging.first()
        seen: list[Parameters] = []
        before: pa.Table | None = None
        count, since = 0, time.monotonic()
        leads = not self.tally.total  # requests for the rows of such a list are counted with them
        try:
            while place is not None:
                is_counted = place == paging.nth(len(seen))
                seen.append(place)
                for attempt in range(1 + CONFIRM):
                    page = ahead.get(len(seen) - 1) if is_counted and not attempt else ask(place)
                    following, wrong = None, ""
                    total = total_of(page.text, paging.total)
                    try:
                        following = paging.after(place, page, count + page.row_count)
                        if following is None:
                            check_total(count + page.row_count, total)
                    except SourceError as error:
                        wrong = str(error)
                    goes_round = following in seen
                    repeats = _repeats(page.rows, before, table)
                    is_empty = paging.empty_ends and page.row_count == 0
                    if not (wrong or goes_round or repeats or is_empty):
                        break
                if wrong:
                    raise SourceError(f"{filled}: {wrong}")
                if repeats:
                    raise SourceError(f"{filled} gave one page twice, {1 + CONFIRM} times")
                if goes_round:
                    raise SourceError(f"{filled} named one page as the next twice")
                if leads and not count:
                    self.tally.follow(total or 0, since)
                page = page if keeps_text else Page("", page.rows)  # while nobody takes it, it is in memory
                yield page
                if leads:
                    self.tally.done += page.row_count
                before, place = page.rows, following
                count += page.row_count
        finally:
            ahead.end()

    def file(self, link: str, table: Table) -> list[pa.Table]:
        """Return the rows of an exported file, typed as `table`."""

        def read(content: bytes) -> list[pa.Table]:
            return [table.rows(page, {}) for page in files.pages(content)]

        pages = self.vendor.fetch(link, read, self.tally)
        self.tally.done += sum(page.num_rows for page in pages)
        return pages

    def wait(self, times: int, reason: str) -> None:
        """Sleep until it is time to poll again, given how many times the vendor has been asked."""
        self.tally.waiting = f"waiting: {reason}"
        self.vendor.back_off(times)
        self.tally.waiting = ""


def is_path_segment(id_: str) -> bool:
    """Return whether an id can be part of a path: dots alone would lead to the address above."""
    return id_.strip(".") != ""


def _repeats(rows: pa.Table, before: pa.Table | None, table: Table) -> bool:
    """Return whether a page has exactly the rows of the one before it, which no list has."""
    keys = list(table.key)
    return before is not None and rows.num_rows > 0 and rows.select(keys).equals(before.select(keys))
