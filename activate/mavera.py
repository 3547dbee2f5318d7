"""The HTTP client for Mavera: requests, lists, pace, and the error class of each failure (errors.py).

Mavera has no idempotency key, no upsert and no balance endpoint, so the caller must know after every failure
whether work may have been done. The class of the error says so.
"""

import json
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NoReturn, TypeVar
from urllib.parse import quote

import requests
import urllib3

from activate.answers import one_line
from activate.errors import (
    KeyRefused,
    MaveraError,
    OutcomeUnknown,
    OutOfCredits,
    Refused,
    TryAgain,
    Withheld,
)
from activate.reader import Reader
from common import assumptions, spans
from common.pace import Pace, Turn, retry_after
from privacy.firewall import Firewall

REQUESTS_A_MINUTE: Final = {"starter": 60, "basic": 120, "professional": 240, "enterprise": 600}
HEADROOM: Final = 0.9  # used share of the tier's rate: other programs may use the same key
WINDOW_SECONDS: Final = 60

# So many requests are under way at once that the rate is used, but never more than this. Mavera allows 10
# chats at once, and each request under way is one whose outcome a killed run does not know.
MOST_AT_ONCE: Final = 8
ANSWERS_KEPT: Final = 8  # whose mean duration counts
SPARE_SHARE: Final = 1.4  # because answers take unequally long
SPARE_SECONDS: Final = 0.03  # between two requests, to announce and to record

ATTEMPTS: Final = 5
RETRY_AFTER_SECONDS: Final = 30  # for a 429 that names no time, as in the vendor's sample
LONGEST_WAIT_SECONDS: Final = 120

EXHAUSTED: Final = "credits_exhausted"  # the usual code of a 402; messages leave it out

CONNECT_SECONDS: Final = 10
PAGE_CHARACTERS: Final = 2_000  # kept of an answer that is not JSON

T = TypeVar("T")
NOTHING_KNOWN: Final = Firewall()  # recognizes personal data by its form only


class Turns:
    """When the requests of one account may leave, and how many at once. All threads share it."""

    def __init__(self, tier: str, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._rate = _allowed(tier) / WINDOW_SECONDS
        self.pace = pace(tier, clock)
        self._clock, self._pause = clock, sleep
        self._took: deque[float] = deque(maxlen=ANSWERS_KEPT)
        self._counting = threading.Lock()

    def count(self, seconds: float) -> None:
        """Note how long an answer took."""
        with self._counting:
            self._took.append(max(seconds, 0.0))

    @property
    def most_at_once(self) -> int:
        """The number of requests under way that uses the rate, by how long the last answers took."""
        with self._counting:
            mean = sum(self._took) / max(len(self._took), 1)
        needed = math.ceil(self._rate * (SPARE_SHARE * mean + SPARE_SECONDS))
        return min(max(needed, 1), MOST_AT_ONCE)

    def await_room(self, land: Callable[[float], bool]) -> None:
        """Wait, for at most a minute, until the pace allows the next call at once.

        `land` uses the time: it waits for so many seconds, and returns whether a request ended in them.
        """
        turn = self.pace.room("")
        due = self._clock() + turn.seconds
        while turn.seconds > 0 and land(turn.seconds):
            turn = turn._replace(seconds=due - self._clock())
        _await(turn._replace(seconds=due - self._clock()), self._pause)

    def take(self) -> None:
        """Count the request that `charge` or `edit` makes next, and wait until it may leave."""
        _await(self.pace.turn(""), self._pause)

    def wait_out(self, *failures: tuple[TryAgain, int]) -> None:
        """Wait before the next of `ATTEMPTS` attempts, as long as Mavera asked or longer each time.

        `failures` are those of requests that ended together, each with its number of attempts so far.
        """
        seconds = (
            2.0**attempt / 2 if failure.seconds is None else failure.seconds for failure, attempt in failures
        )
        self._pause(min(max(seconds), LONGEST_WAIT_SECONDS))


class Mavera:
    """One account. `firewall` checks the bytes of every call; `clock` and `sleep` can replace real time.

    `fields` maps our field names to Mavera's where these differ from assumptions.py. A request that makes or
    changes an object is abandoned after at most `most_seconds` without a byte.
    """

    def __init__(
        self,
        base_url: str,
        key: str,
        tier: str = "starter",
        *,
        firewall: Firewall = NOTHING_KNOWN,
        most_seconds: float = math.inf,
        fields: Mapping[str, str] = MappingProxyType({}),
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        def with_key(request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["Authorization"] = f"Bearer {key}"
            return request

        self.calls = 0
        self._base_url = base_url
        self._session = requests.Session()
        self._session.auth = with_key  # a .netrc file would override a session header
        # A pooled connection that the server dropped fails like a lost answer and would leave a create
        # unresolved. At about one call per second, new connections cost little.
        self._session.headers["Connection"] = "close"
        self._firewall = firewall
        self.turns = Turns(tier, clock, sleep)
        self._ahead: dict[str, Callable[[], dict[str, Any]]] = {}
        self._counting = threading.Lock()
        self._clock = clock
        self.pause = sleep
        self._most_seconds = most_seconds
        self._reader = Reader(fields)
        self._once: dict[str, list[dict[str, Any]]] = {}

    # Requests

    def charge(self, path: str, payload: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """POST a paid request once; the caller takes its turn and must announce each repetition."""
        return self._call(
            "POST",
            path,
            OutcomeUnknown,
            json=dict(payload),
            timeout=min(seconds, self._most_seconds),
            has_turn=True,
        )

    def edit(
        self,
        path: str,
        object_id: str,
        fields: Mapping[str, Any],
        seconds: float,
        *,
        ours: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Set `fields` of an object; the call is idempotent. The caller takes its turn.

        The firewall checks `ours` instead, if given: the rest is what Mavera has shown of its own account.
        """
        body = self._call(
            "PATCH",
            path_to(path, object_id),
            TryAgain,
            json=dict(fields),
            timeout=min(seconds, self._most_seconds),
            has_turn=True,
            ours=ours,
        )
        return {"id": object_id, **body}

    def prepare(self, path: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        return self._repeat("POST", path, json=dict(payload))

    def put(self, place: Mapping[str, Any], content: bytes) -> None:
        self._attempt(lambda: self._put(place, content))

    def one(self, path: str, object_id: str) -> dict[str, Any]:
        return self._repeat("GET", path_to(path, object_id))

    def whole(self, path: str, object_id: str, *, may_be_ahead: bool = False) -> dict[str, Any]:
        """Return one object with its messages, or as it was a moment ago if it was read ahead and may be.

        Raises NotUnderstood if it has no id.
        """
        where = path_to(path, object_id)
        ahead = self._ahead.pop(where, None) if may_be_ahead else None
        return self._reader.row(ahead() if ahead else self._repeat("GET", where), where)

    def look_ahead(self, path: str, object_id: str) -> None:
        """Begin to read an object beside other requests, for the next `whole` that may be ahead."""
        where = path_to(path, object_id)
        if where not in self._ahead:
            self._ahead[where] = beside(lambda: self._repeat("GET", where))

    # Lists

    def rows_once(self, path: str, limit: int | None) -> list[dict[str, Any]]:
        """Return all rows of a list that does not change during the life of this client."""
        if path not in self._once:
            self._once[path] = self.rows(path, limit)
        return self._once[path]

    def rows(self, path: str, limit: int | None) -> list[dict[str, Any]]:
        """Return all rows of a list, in either of Mavera's two documented paging styles.

        A gap in a list could hide an object, which would then be paid for again. So a list that ends before
        its announced end or repeats rows is read again. Raises TryAgain if it is never complete.
        """
        for _ in range(ATTEMPTS):
            if (rows := self._pages(path, limit)) is not None:
                return rows
        raise TryAgain(f"GET {path}: the list has holes or repeats itself")

    def _pages(self, path: str, limit: int | None) -> list[dict[str, Any]] | None:
        rows: dict[str, dict[str, Any]] = {}
        where: dict[str, Any] = {}
        while True:
            asked = {"limit": limit, **where}
            page = self._repeat("GET", path, params=asked, is_list=True)
            data, page = self._reader.rows(page, path), self._reader.whole(page)
            cursor, total = page.get("next_cursor"), page.get("total")
            if data is None or any(row["id"] in rows for row in data):
                return None
            rows |= {row["id"]: row for row in data}
            more = bool(page.get("has_more", cursor)) or (total is not None and len(rows) < total)
            if not more:
                return list(rows.values())
            if not data or (cursor is None and total is None and "offset" not in page):
                return None
            where = {assumptions.CURSOR: cursor} if cursor is not None else {"offset": len(rows)}

    # Transport

    def check(self, payload: Mapping[str, Any]) -> None:
        """Check a body as it would be sent. Raises Withheld if it must not leave."""
        self._check(requests.Request("POST", self._base_url, json=dict(payload)).prepare().body)

    def _check(self, body: bytes | str | None) -> None:
        if objection := self._firewall.objection_to(body):
            raise Withheld(objection)

    def _repeat(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        seconds = assumptions.LOOK_SECONDS
        return self._attempt(lambda: self._call(method, path, TryAgain, timeout=seconds, **arguments))

    def _attempt(self, call: Callable[[], T]) -> T:
        for attempt in range(1, ATTEMPTS):
            try:
                return call()
            except TryAgain as failure:
                self.turns.wait_out((failure, attempt))
        return call()

    def _put(self, place: Mapping[str, Any], content: bytes) -> None:
        """Upload a file to the address from Mavera: a storage host, which must never see the key."""
        self._check(content)
        with self._counting:
            self.calls += 1
        try:
            response = requests.put(
                place["upload_url"],
                data=content,
                headers=place.get("headers"),
                auth=lambda request: request,  # even if a .netrc file has credentials for its host
                timeout=(CONNECT_SECONDS, assumptions.UPLOAD_SECONDS),
                allow_redirects=False,
            )
        except requests.RequestException:
            raise TryAgain("PUT of a file: its host cannot be reached") from None
        if not response.ok:
            text = f"PUT of a file: {response.status_code}"
            raise TryAgain(text) if response.status_code in {408, 429, *range(500, 600)} else Refused(text)

    def _call(
        self,
        method: str,
        path: str,
        doubtful: type[MaveraError],
        *,
        timeout: float,
        is_list: bool = False,
        has_turn: bool = False,
        ours: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> dict[str, Any]:
        """Make one call. Raises TryAgain if nothing was done, `doubtful` if something may have been done.

        A 2xx to a paid call always means work: if it cannot be used, the error keeps its content.
        """
        request = self._session.prepare_request(requests.Request(method, self._base_url + path, **arguments))
        self._check(request.body if ours is None else json.dumps(ours))
        if not has_turn:
            self.turns.take()
        with self._counting:
            self.calls += 1
        where, began = f"{method} {path}", self._clock()
        with spans.span("vendor", f"{method} /{path.strip('/').split('/')[0]}"):
            response = self._send(request, where, timeout, doubtful)
            content = _content_of(response, where, doubtful)
        if has_turn:
            self.turns.count(self._clock() - began)
        self.turns.pace.learn("", response.headers)
        body = self._read(content, path, is_list=is_list)
        # An object with its own status may explain its failure in `error`: the call itself has succeeded.
        is_object = response.ok and isinstance(body, dict)
        if is_object and (body.get("status") or body.get("id") or not body.get("error")):
            answer: dict[str, Any] = body
            return answer
        failure = _failure(where, response, body, doubtful, self._clock())
        if isinstance(failure, OutcomeUnknown) and response.ok:
            page = content.decode(errors="replace")[:PAGE_CHARACTERS]
            failure.body = body if body is not None else {"unreadable": page}
        raise failure

    def _send(
        self, request: requests.PreparedRequest, where: str, timeout: float, doubtful: type[MaveraError]
    ) -> requests.Response:
        try:
            return self._session.send(
                request,
                timeout=(CONNECT_SECONDS, timeout),
                allow_redirects=False,
                **self._session.merge_environment_settings(request.url, {}, True, None, None),
            )
        except requests.RequestException as error:
            if _never_sent(error):
                raise TryAgain(f"{where}: Mavera cannot be reached") from None
            what = f"no answer in {timeout:g} s" if isinstance(error, requests.Timeout) else "connection lost"
            raise doubtful(f"{where}: {what}") from None

    def _read(self, content: bytes, path: str, *, is_list: bool) -> Any:
        """Return an answer with the reference's names beside its own; None if it is not JSON."""
        try:
            body = self._reader.opened(_of_whole_characters(json.loads(content)))
        except (ValueError, RecursionError):
            return None
        if is_list:
            return {"data": body} if isinstance(body, list) else body
        return self._reader.whole(body, path) if isinstance(body, dict) else body


def beside(request: Callable[[], T]) -> Callable[[], T]:
    """Make a request in a thread of its own; return a function that waits for its end and passes that on."""
    ended: queue.SimpleQueue[Callable[[], T]] = queue.SimpleQueue()

    def make() -> None:
        try:
            answer = request()
        except Exception as error:
            failed = error
            ended.put(lambda: _raised(failed))
        else:
            ended.put(lambda: answer)

    threading.Thread(target=make, daemon=True).start()
    return lambda: ended.get()()


def _raised(error: Exception) -> NoReturn:
    raise error


def _content_of(response: requests.Response, where: str, doubtful: type[MaveraError]) -> bytes:
    try:
        return response.content
    except requests.RequestException:
        lost = f"{where}: connection lost within the answer"
        is_kept = response.ok and doubtful is OutcomeUnknown
        raise (OutcomeUnknown(lost, {}) if is_kept else doubtful(lost)) from None


def pace(tier: str, clock: Callable[[], float]) -> Pace:
    """Return the pace of a tier. As Mavera's clock may differ, no pause is longer than the window."""
    return Pace(
        [(_allowed(tier), WINDOW_SECONDS)], longest=WINDOW_SECONDS, is_exact=True, clock=clock, wall=clock
    )


def _allowed(tier: str) -> int:
    return math.floor(REQUESTS_A_MINUTE[tier] * HEADROOM)


def _await(turn: Turn, pause: Callable[[float], None]) -> None:
    if turn.seconds > 0:
        with spans.span("allowance", turn.reason):
            pause(turn.seconds)


def path_to(list_path: str, object_id: str) -> str:
    """Return the path of one object of a list. Raises Refused for an id that would change the path."""
    if not str(object_id).strip(". "):
        raise Refused(f"{list_path}: no object can have the id {object_id!r}. Nothing was sent")
    return f"{list_path}/{quote(str(object_id), safe='')}"


def _never_sent(error: requests.RequestException) -> bool:
    """Whether the connection itself failed, so that Mavera cannot have seen the call."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", None)
    return isinstance(reason, urllib3.exceptions.NewConnectionError)


def _failure(
    where: str, response: requests.Response, body: Any, doubtful: type[MaveraError], now: float
) -> MaveraError:
    """Return the error for an unsuccessful answer; the body's `error` takes precedence over the status."""
    category, code, param, message = _said_in(body)
    status = response.status_code
    said = " ".join(filter(None, [str(status), code or category, param and f"({param})"]))
    text = f"{where}: {said}"
    if status == 402 or category == "insufficient_credits":
        # Other codes have other remedies; budget_exceeded, for example, is a limit of the workspace.
        return OutOfCredits(
            f"{status} out of credits" + (f" ({code})" if code not in {"", EXHAUSTED} else "")
        )
    if status == 401 or category == "authentication_error":
        return KeyRefused(f"mavera refused MAVERA_API_KEY ({status} {code or category})".replace(" )", ")"))
    wait = retry_after(response.headers.get("Retry-After"), now)
    if status == 429 or category == "rate_limit_error":
        return TryAgain(text, RETRY_AFTER_SECONDS if wait is None else wait)
    if status == 503 and doubtful is TryAgain:
        return TryAgain(text, wait)
    # 408 is a timeout of the server or of a proxy: the work may have been done.
    if status != 408 and (300 <= status < 500 or category == "invalid_request_error"):
        return Refused(f'{text}: "{message}"' if message else text, param, message)
    if response.ok and not _error_in(body):
        text = f"{where}: {status} with an answer that is no JSON object"
    return doubtful(text)


def _error_in(body: Any) -> Mapping[str, Any]:
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {"message": error} if isinstance(error, str) else {}


def _said_in(body: Any) -> tuple[str, str, str, str]:
    error = _error_in(body)
    category, code, param = (one_line(error.get(field)) for field in ("type", "code", "param"))
    message = one_line(error.get("message") or (body.get("message") if isinstance(body, dict) else ""))
    return category, code, param, message


def _of_whole_characters(body: Any) -> Any:
    """Replace each lone surrogate in an answer, such as from a truncated text, with `?`.

    JSON allows them, but the ledger could not store them after the object was paid for.
    """
    return json.loads(json.dumps(body, ensure_ascii=False).encode(errors="replace"))
