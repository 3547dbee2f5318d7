"""Asking a vendor: its pace, what is asked again, what is final, and how a list ends.

dlt's RESTClient is not used: it builds a Python object per row to find the rows and the next page, which
costs more than everything else together at 1,000 rows a page, and it follows a `next` link to whatever host
it names.
"""

import json
import math
import random
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import parse_qs, quote, urlsplit

import pyarrow as pa
import pyarrow.compute as pc
import requests
from requests.adapters import HTTPAdapter

from ingest import files
from ingest.ceilings import LONGEST_WINDOW_SECONDS, Ceilings, TooMuchError, check_depth, check_link
from ingest.typed import Aside, BrokenBodyError, Table, value
from privacy import outside

TRIES = 8
"""How often one request is sent before its resource is given up; a 429 that says when to come back is no
failure."""
WAITS = 60
"""How often one request may be told to come back later."""
LONGEST_WAIT_SECONDS = 90.0
NEAR_SECONDS = (2.0, 5.0)
FAR_SECONDS = (10.0, 60.0)
"""How long a connection may take, and a silence within an answer, on this machine and elsewhere. Each failure
doubles what this machine gets, up to what others have: one that is busy is slow, and not dead."""
GOOD = (requests.codes.ok, requests.codes.accepted)
NOTICED_SECONDS = 0.05
"""A shorter wait is spacing, not worth a word."""
ROUND = 10
"""Caps of vendors are multiples of this."""
CONFIRM = 2
"""How often an empty page, a repeated one or an early end is asked again before it is believed."""

Parameters = Mapping[str, str | int]
T = TypeVar("T")


class SourceError(Exception):
    """The resource could not be read to its end. What was read is not kept; the next run reads it again."""


class OutageError(SourceError):
    """The vendor gave no good answer for as long as we were patient; `problem` is the last one."""

    def __init__(self, problem: str, path: str, times: int) -> None:
        super().__init__(outside.words(f"{problem} on {path}, {times} times"))
        self.problem = problem


class RefusedError(SourceError):
    """The vendor's answer is final: asking again would give the same."""

    def __init__(self, answer: requests.Response, path: str) -> None:
        said, code = _said(answer)
        super().__init__(outside.words(f"{answer.status_code} on {path}{': ' if said else ''}{said}"))
        self.status = answer.status_code
        self.path = outside.words(path)
        # Wistia answers 401 to a good key without the permission, and tells the two apart by a code.
        self.lacks_scope = self.status == requests.codes.forbidden or code == "unauthorized_scope"


@dataclass
class Tally:
    """What reading one resource took so far; the report shows it while it grows. `gone` are the kinds and ids
    of things that were listed, and were gone when they were read.
    """

    requests: int = 0
    waits: int = 0
    rows: int = 0
    waiting: str = ""
    gone: list[tuple[str, str]] = field(default_factory=list)
    total: int = 0
    done: int = 0
    since: float = 0.0

    def follow(self, total: int, since: float) -> None:
        """Count from now on what is done of a list of `total` rows, read since that `time.monotonic()`."""
        self.total, self.done, self.since = total, 0, since

    @property
    def seconds_left(self) -> float | None:
        """How long the rest of that list takes at the speed so far, None where the vendor gave no total."""
        if not 0 < self.done < self.total:
            return None
        return (time.monotonic() - self.since) / self.done * (self.total - self.done)


class Pace:
    """When the next request may leave, per bucket: windows the vendor is known to count, and holds it asked
    for.

    The sleep is outside the lock and the place in the window is taken before it, so threads queue in order.
    Windows are sliding: in no stretch of a window's length leave more requests than it allows, wherever the
    vendor starts counting.
    """

    def __init__(self, windows: Sequence[tuple[int, float]] = ()) -> None:
        self._given = tuple(windows)
        self._sent: dict[str, dict[tuple[int, float], deque[float]]] = {}
        self._hold: dict[str, float] = {}
        self._lock = threading.Lock()

    def wait(self, bucket: str, tally: Tally) -> None:
        """Count a request to `bucket` and sleep until it may leave."""
        with self._lock:
            tally.requests += 1
            now = time.monotonic()
            at, reason = max(now, self._hold.get(bucket, 0.0)), "the vendor asked for it"
            for (count, seconds), sent in self._windows(bucket).items():
                if len(sent) == count and sent[0] + seconds * 1.02 > at:
                    at, reason = sent[0] + seconds * 1.02, f"{count} in {seconds:.0f} s reached"
            for sent in self._windows(bucket).values():
                sent.append(at)
        self._sleep(at - now, tally, reason)

    def hold(self, bucket: str, seconds: float) -> None:
        """Let nothing leave to `bucket` for so long."""
        with self._lock:
            until = time.monotonic() + min(seconds, LONGEST_WAIT_SECONDS)
            self._hold[bucket] = max(until, self._hold.get(bucket, 0.0))

    def learn(self, bucket: str, headers: Mapping[str, str]) -> None:
        """Take windows and what is left of them from an answer, in either spelling the vendors use.

        `RateLimit-Limit: 10, 10;w=1, 150;w=60` names windows and its reset counts seconds;
        `X-RateLimit-Reset` is a Unix time.
        """
        windows = re.findall(r"\b(\d{1,9});w=(\d{1,9})\b", headers.get("RateLimit-Limit", ""))
        left = _number(headers.get("RateLimit-Remaining"))
        # An allowance that our own request did not lessen is not being counted.
        if windows and left is not None and left < int(windows[0][0]):
            with self._lock:
                known = self._windows(bucket)
                for count, seconds in windows:
                    if int(count) and float(seconds) <= LONGEST_WINDOW_SECONDS:
                        known.setdefault((int(count), float(seconds)), deque(maxlen=int(count)))
        if headers.get("RateLimit-Remaining") == "0":
            self.hold(bucket, _number(headers.get("RateLimit-Reset")) or 0.0)
        elif headers.get("X-RateLimit-Remaining") == "0":
            self.hold(bucket, reset_in(headers) or 0.0)

    def _windows(self, bucket: str) -> dict[tuple[int, float], deque[float]]:
        return self._sent.setdefault(bucket, {window: deque(maxlen=window[0]) for window in self._given})

    @staticmethod
    def _sleep(seconds: float, tally: Tally, reason: str) -> None:
        if seconds > NOTICED_SECONDS:
            tally.waits += 1
            tally.waiting = f"waiting {seconds:.0f} s: {reason}"
        time.sleep(max(seconds, 0.0))
        tally.waiting = ""


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text else math.nan
    except ValueError:
        return None
    return max(number, 0.0) if math.isfinite(number) else None


def _moment(text: str | None) -> datetime | None:
    """Return the date that an HTTP header names, None for anything else."""
    try:
        moment = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def reset_in(headers: Mapping[str, str]) -> float | None:
    """Seconds until the vendor wants to hear from us again, None where it does not say."""
    after = _number(headers.get("Retry-After"))
    if after is not None:
        return after
    if named := _moment(headers.get("Retry-After")):
        return max((named - datetime.now(UTC)).total_seconds(), 0.0)
    reset = _number(headers.get("X-RateLimit-Reset"))
    return None if reset is None else max(reset - time.time(), 0.0) + 0.1


class Page(NamedTuple):
    """One answer: its text, for what the envelope says of the list, and its rows."""

    text: str
    rows: pa.Table

    @property
    def row_count(self) -> int:
        """How many rows the vendor gave, with those that could not be read."""
        return int(self.rows.num_rows) + Aside.of(self.rows).row_count


class Paging(Protocol):
    """How one list goes on and ends."""

    @property
    def empty_ends(self) -> bool:
        """Whether a page without rows is a sign of the end: it is then asked again before it is believed."""

    @property
    def total(self) -> str | None:
        """Where an answer says how many rows the whole list has; a list that ends before them is broken."""

    def first(self) -> Parameters:
        """Return the parameters of the first page."""

    def after(self, asked: Parameters, page: Page, count: int) -> Parameters | None:
        """Return the parameters of the page after `page`, with which `count` rows are read; None at the end.

        Raises SourceError where the list cannot go on or end so.
        """


@dataclass(frozen=True)
class Whole:
    """Everything in one answer. Where it holds at most `most` different values of the column `of`, a full one
    may have been cut.
    """

    empty_ends: bool = True
    total: str | None = None
    most: int = 0
    of: str = ""

    def first(self) -> Parameters:
        return {}

    def after(self, asked: Parameters, page: Page, count: int) -> Parameters | None:  # noqa: ARG002
        if self.most and pc.count_distinct(page.rows.column(self.of)).as_py() >= self.most:
            raise SourceError(f"{self.most:,} {self.of}s, the most it gives. Rows may be missing")
        return None


def _may_go_on(rows: int, size: int) -> bool:
    """Whether a page of so many rows may have one after it. It need not be full: a vendor that lowers its cap
    without a word gives round pages.
    """
    return rows >= size or (rows > 0 and rows % ROUND == 0)


@dataclass(frozen=True)
class Numbered:
    """Pages by number; the first page that is not full is the last. `size` must not pass the vendor's cap."""

    size: int
    empty_ends: bool = True
    total: str | None = None

    def first(self) -> Parameters:
        return {"page": 1, "per_page": self.size}

    def after(self, asked: Parameters, page: Page, count: int) -> Parameters | None:  # noqa: ARG002
        goes_on = _may_go_on(page.row_count, self.size)
        return {**asked, "page": int(asked["page"]) + 1} if goes_on else None


@dataclass(frozen=True)
class Offset:
    """Pages by how many rows come before them; the first that is not full is the last, even an overfull one,
    which a vendor gives that does not know `limit`. `size` must not pass the vendor's cap.
    """

    size: int
    empty_ends: bool = True
    total: str | None = None

    def first(self) -> Parameters:
        return {"limit": self.size, "offset": 0}

    def after(self, asked: Parameters, page: Page, count: int) -> Parameters | None:
        may_go_on = page.row_count <= self.size and _may_go_on(page.row_count, self.size)
        return {**asked, "offset": count} if may_go_on else None


@dataclass(frozen=True)
class Linked:
    """Pages by a link to the next, of which only the token is taken: the key goes nowhere else."""

    link: str
    token: str
    size: tuple[str, int] | None = None
    total: str | None = None
    empty_ends: bool = False

    def first(self) -> Parameters:
        return dict([self.size]) if self.size else {}

    def after(self, asked: Parameters, page: Page, count: int) -> Parameters | None:  # noqa: ARG002
        link = value(page.text, self.link)
        try:
            tokens = parse_qs(urlsplit(link or "").query, keep_blank_values=True).get(self.token)
        except ValueError:  # a host that is none
            tokens = None
        if link and tokens is None:
            raise SourceError(f"the link to the next page has no {self.token}")
        return {**self.first(), self.token: tokens[0]} if tokens and tokens[0] else None


def total_of(text: str, path: str | None) -> int | None:
    """How many rows the whole list has, where the answer says so."""
    told = value(text, path) if path else None
    return int(told) if told and told.isascii() and told.isdigit() else None


def check_total(count: int, promised: int | None) -> None:
    """Raise SourceError when a list ends before the number of rows that the vendor said it has."""
    if promised is not None and count < promised:
        raise SourceError(f"the list ended after {count:,} of {promised:,} rows")


class Vendor(requests.Session):
    """One vendor: where it is, the key, the pace, and what is done about each way in which it can fail.

    The key is sent to the configured host only: redirects are not followed, links are not either, and a
    `.netrc` is never asked.
    """

    def __init__(
        self,
        base_url: str,
        authorization: str,
        *,
        pace: Pace | None = None,
        by_endpoint: bool = True,
        headers: Mapping[str, str] | None = None,
        is_near: bool = False,
    ) -> None:
        super().__init__()
        self.base_url = base_url
        self.pace = pace or Pace()
        self.by_endpoint = by_endpoint
        self.headers.update({"Accept": "application/json", **(headers or {})})
        self.auth = _Bearer(authorization)
        self.notices: list[str] = []
        self.ceilings = Ceilings()
        self.mount(base_url, HTTPAdapter(pool_maxsize=32))
        # On loopback nobody is served by politeness: the sandbox answers at once or breaks on purpose.
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
        """Return the first good answer; a `body` makes the request a POST. `read` turns text to rows and
        raises BrokenBodyError if it cannot.

        Raises RefusedError when the answer is final, SourceError when patience has run out.
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
            text = _decoded(answer.content)
            return Page(text, read(text))

        return self._insist(send, take, bucket, urlsplit(f"{self.base_url}/{path}").path, tally)

    def fetch(self, link: str, read: Callable[[bytes], list[pa.Table]], tally: Tally) -> list[pa.Table]:
        """Return the rows of a file behind a signed link. The key stays here: storage refuses what brings two
        permissions, and it may be anybody's host.

        Raises SourceError: what storage refuses, a new link may open.
        """
        try:
            address = check_link(link, self.base_url)
        except TooMuchError as error:
            raise SourceError(f"a file of the export is not fetched: {error}") from None

        def send(patience: tuple[float, float]) -> requests.Response:
            return self.get(link, auth=_without_key, timeout=patience, allow_redirects=False, stream=True)

        try:
            return self._insist(
                send,
                lambda answer: read(answer.content),
                address.netloc,
                address.path,
                tally,
                is_export=True,
            )
        except RefusedError as error:
            raise SourceError(f"a file of the export was refused: {error}") from None

    def back_off(self, failures: int) -> None:
        """Sleep before the next try, twice as long after each failure, and not all clients as long."""
        first, longest = self._backoff_seconds
        time.sleep(random.uniform(0.5, 1.0) * min(first * 2**failures, longest))  # noqa: S311

    def _patience(self, failures: int) -> tuple[float, float]:
        connecting, silence = (
            min(first * 2**failures, most) for first, most in zip(self._timeout, FAR_SECONDS, strict=True)
        )
        return connecting, silence

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
        bucket = bucket if self.by_endpoint else ""
        problem, failures, told = "", 0, 0
        while failures < TRIES and told < WAITS:
            self.pace.wait(bucket, tally)
            try:
                answer = send(self._patience(failures))
                self.pace.learn(bucket, answer.headers)
                # What requests would read itself, however much it is.
                answer._content = self.ceilings.read(answer, is_export=is_export)
                answer._content_consumed = True  # type: ignore[attr-defined]
                if answer.status_code in GOOD:
                    return take(answer)
            except (requests.ConnectionError, requests.Timeout) as error:
                problem = (
                    "no answer in time" if isinstance(error, requests.Timeout) else "the connection broke"
                )
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


def _decoded(content: bytes) -> str:
    """The text of an answer. A byte that is none of its encoding becomes U+FFFD, and costs no page."""
    encoding = json.detect_encoding(content)
    return content.decode(encoding, errors="replace")


def _without_key(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """In place of the vendor's key; being an `auth`, it keeps requests from looking for another."""
    return request


class _Bearer(requests.auth.AuthBase):
    """The Authorization header; being an `auth`, it keeps requests from looking for another in `.netrc`."""

    def __init__(self, authorization: str) -> None:
        self._authorization = authorization

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._authorization
        return request


def _said(answer: requests.Response) -> tuple[str, str]:
    """The vendor's words about a refusal, as they came, and its code, where it gives any."""
    if answer.is_redirect:
        return f"redirects to {_host(answer.headers['Location'])}; check the base URL", ""
    try:
        body = answer.json()
    except (requests.exceptions.JSONDecodeError, UnicodeDecodeError, RecursionError):
        return "", ""
    error = body.get("errors") or body.get("error") if isinstance(body, dict) else None
    if isinstance(error, list) and error:
        error = error[0]
    if isinstance(error, dict):
        error = error.get("detail") or error.get("message")
    code = body.get("code") if isinstance(body, dict) else None
    return error if isinstance(error, str) else "", str(code)


def _host(link: str) -> str:
    try:
        return urlsplit(link).hostname or "nowhere"
    except ValueError:
        return "nowhere"


@dataclass
class Client:
    """A vendor as one resource sees it, with a tally of its own and the moment at which the run began."""

    vendor: Vendor
    started_at: datetime
    tally: Tally = field(default_factory=Tally)

    @property
    def today(self) -> date:
        """The day of the run, in UTC."""
        return self.started_at.date()

    def pages(
        self,
        path: str,
        table: Table,
        paging: Paging,
        params: Parameters | None = None,
        *,
        ids: Mapping[str, str] | None = None,
        known: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | Callable[[Parameters], Mapping[str, Any]] | None = None,
    ) -> Iterator[pa.Table]:
        """Yield the pages of a list, typed as `table`; none of something in `ids` that is gone meanwhile.

        `path` may hold `{names}` of `ids`; `known` gives the columns that no answer has; a `body` makes the
        request a POST, and as a function takes the parameters of the page into itself. Raises SourceError,
        which names the path, when the list does not end as the vendor says lists end.
        """
        if ids and not all(map(is_path_segment, ids.values())):
            self.tally.gone.extend(ids.items())  # no address leads to it
            return
        filled = path.format(**{name: quote(id_, safe="") for name, id_ in (ids or {}).items()})
        try:
            yield from self._pages(path, filled, table, paging, params or {}, known or {}, body)
        except RefusedError as error:
            if not ids or error.status != requests.codes.not_found:
                raise
            self.tally.gone.extend(ids.items())

    def _pages(
        self,
        path: str,
        filled: str,
        table: Table,
        paging: Paging,
        params: Parameters,
        known: Mapping[str, Any],
        body: Mapping[str, Any] | Callable[[Parameters], Mapping[str, Any]] | None,
    ) -> Iterator[pa.Table]:
        def ask(place: Parameters) -> Page:
            return self.vendor.ask(
                filled,
                f"{path} {table.name}",
                {**params, **({} if callable(body) else place)},
                lambda text: table.rows(text, known),
                self.tally,
                body(place) if callable(body) else body,
            )

        place: Parameters | None = paging.first()
        seen: list[Parameters] = []
        before: pa.Table | None = None
        count, since = 0, time.monotonic()
        leads = not self.tally.total  # what is read for the rows of such a list is counted with them
        while place is not None:
            seen.append(place)
            for _ in range(1 + CONFIRM):
                page = ask(place)
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
            yield page.rows
            if leads:
                self.tally.done += page.row_count
            before, place = page.rows, following
            count += page.row_count

    def file(self, link: str, table: Table) -> list[pa.Table]:
        """Return the rows of an exported file, typed as `table`."""
        pages = self.vendor.fetch(
            link, lambda content: [table.rows(page, {}) for page in files.pages(content)], self.tally
        )
        self.tally.done += sum(page.num_rows for page in pages)
        return pages

    def wait(self, times: int, reason: str) -> None:
        """Sleep until it may be time to ask again whether a vendor is done, having asked so many times."""
        self.tally.waiting = f"waiting: {reason}"
        self.vendor.back_off(times)
        self.tally.waiting = ""


def is_path_segment(id_: str) -> bool:
    """Whether an id can stand in a path: dots alone would lead to the address above."""
    return id_.strip(".") != ""


def _repeats(rows: pa.Table, before: pa.Table | None, table: Table) -> bool:
    """Whether a page has the very rows of the one before it, which no list has."""
    keys = list(table.key)
    return before is not None and rows.num_rows > 0 and rows.select(keys).equals(before.select(keys))


def side_by_side(reads: Iterable[Callable[[], Iterator[pa.Table]]], at_once: int) -> Iterator[list[pa.Table]]:
    """Yield the pages of each read, in the order of the reads, with up to `at_once` of them under way."""
    with ThreadPoolExecutor(at_once) as pool:
        under_way: deque[Future[list[pa.Table]]] = deque()
        for read in reads:
            under_way.append(pool.submit(_all_of, read))
            if len(under_way) == at_once:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def _all_of(read: Callable[[], Iterator[pa.Table]]) -> list[pa.Table]:
    return list(read())
