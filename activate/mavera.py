"""The Mavera calls, and what each failure allows next.

Mavera has no idempotency key, no upsert and no balance to ask for, so the caller has to know of every failure
whether work can have been done. The class of the error says it.
"""

import email.utils
import json
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import quote

import requests
import urllib3

from activate import generations, studies, voices
from activate.reader import Reader, Unreadable, lacking
from common import assumptions
from privacy import outside
from privacy.firewall import Firewall

REQUESTS_A_MINUTE: Final = {"starter": 60, "basic": 120, "professional": 240, "enterprise": 600}
HEADROOM: Final = 0.9  # part of the tier's rate that is used: the key may serve other programs as well
WINDOW_SECONDS: Final = 60

ATTEMPTS: Final = 5
RETRY_AFTER_SECONDS: Final = 30  # where a 429 does not say; the vendor's own sample waits as long
LONGEST_WAIT_SECONDS: Final = 120

EXHAUSTED: Final = "credits_exhausted"  # the code of a 402 that needs no further word

CONNECT_SECONDS: Final = 10
SPEAKERS: Final = frozenset({"user", "assistant"})
PERSONA_PAGE: Final = 100
STUDY_PAGE: Final = 100
THREAD_PAGE: Final = 100
GENERATION_PAGE: Final = 100
MOST_CREDITS: Final = 2**31 - 1  # that a row of the ledger holds
MESSAGE_CHARACTERS: Final = 200  # of what Mavera says about a refusal
PAGE_CHARACTERS: Final = 2_000  # that are kept of an answer that is no JSON

NOTHING_KNOWN: Final = Firewall()  # looks for what anybody's data look like, and knows nobody


class Timeouts(NamedTuple):
    """Seconds without a byte after which a call is given up, by what it does."""

    read: float = assumptions.LOOK_SECONDS
    persona: float = assumptions.PERSONA_SECONDS
    analysis: float = assumptions.ANALYSIS_SECONDS
    study: float = assumptions.STUDY_SECONDS
    voice: float = assumptions.VOICE_SECONDS
    upload: float = assumptions.UPLOAD_SECONDS
    generation: float = assumptions.GENERATION_SECONDS


PATIENT: Final = Timeouts()


class MaveraError(Exception):
    """A call failed; `message` is one line without any secret."""


class TryAgain(MaveraError):
    """Nothing was done and nothing charged. The same call may be made after `seconds` (None: a while)."""

    def __init__(self, text: str, seconds: float | None = None) -> None:
        super().__init__(text)
        self.seconds = seconds


class Refused(MaveraError):
    """Mavera read the call and said no; the same call would be refused again.

    `field` is the field that Mavera named, if it named one, and `said` its own message.
    """

    def __init__(self, text: str, field: str = "", said: str = "") -> None:
        super().__init__(text)
        self.field = field
        self.said = said


class Withheld(Refused):
    """Nothing was sent, because of what would have been; `message` names the field, never its value."""


class KeyRefused(Refused):
    """Every other call would be refused as well: stop."""


class OutOfCredits(MaveraError):
    """Nothing more can be bought: stop."""


class OutcomeUnknown(MaveraError):
    """The work may have been done and charged. Look first; never make the call again blindly.

    `body` is what an answer of 2xx said that could not be used; None where no such answer came.
    """

    def __init__(self, text: str, body: Any = None) -> None:
        super().__init__(text)
        self.body = body


class NotUnderstood(MaveraError):
    """Mavera's objects have other fields than expected: stop. The text names the setting that helps."""


class Answer(NamedTuple):
    """What Mavera made of a call. `credits` is None where it did not say, `body` its answer as it came.

    A study or a brand voice is `waiting` until it has its results, a generation until it has its text; each
    may have `failed`.
    """

    remote_id: str
    thread_id: str | None
    credits: int | None
    body: Any
    state: Literal["done", "failed", "waiting"] = "done"

    @property
    def shown_id(self) -> str:
        """The id under which a person finds it in Mavera."""
        return self.thread_id or self.remote_id


class Mavera:
    """One account. `firewall` sees the bytes of every call; `clock` and `sleep` stand in for time.

    `fields` are names of fields that Mavera has for ours, where they are others than assumptions.py expects.
    """

    def __init__(
        self,
        base_url: str,
        key: str,
        tier: str = "starter",
        *,
        firewall: Firewall = NOTHING_KNOWN,
        timeouts: Timeouts = PATIENT,
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
        self._session.auth = with_key  # a header of the session would lose against a .netrc file
        # A pooled connection that the server has dropped fails just as a lost answer does, and would leave a
        # create unknown. At about one call a second a new connection each costs little.
        self._session.headers["Connection"] = "close"
        self._firewall = firewall
        self._pace = Pace(math.floor(REQUESTS_A_MINUTE[tier] * HEADROOM), clock, sleep)
        self._clock = clock
        self._sleep = sleep
        self._timeouts = timeouts
        self._reader = Reader(fields)

    # Writing

    def create_persona(self, payload: Mapping[str, Any]) -> Answer:
        return persona_in(self._charge("/personas", payload, self._timeouts.persona))

    def update_persona(self, persona_id: str, fields: Mapping[str, Any]) -> Answer:
        """Set `fields` of a persona; making the call twice changes nothing more than making it once.

        The answer repeats what the persona cost when it was created: its credits are the sum until now.
        """
        url = path_to("/personas", persona_id)
        body = self._call("PATCH", url, TryAgain, json=dict(fields), timeout=self._timeouts.persona)
        return persona_in({"id": persona_id, **body})

    def ask(self, payload: Mapping[str, Any]) -> Answer:
        """Ask Mave, and wait for the answer: 5 to 90 seconds."""
        return message_in(self._charge("/mave/chat", payload, self._timeouts.analysis))

    def create_study(self, payload: Mapping[str, Any]) -> Answer:
        """Set up a focus group, which then takes a minute or two."""
        return study_in(self._charge("/focus-groups", payload, self._timeouts.study))

    def create_voice(self, payload: Mapping[str, Any]) -> Answer:
        """Have a brand voice made of files that were uploaded, which then takes a while."""
        return voice_in(self._charge("/brand-voices", payload, self._timeouts.voice))

    def upload(self, name: str, text: str, workspace_id: str) -> dict[str, Any]:
        """Put a text where a brand voice can be made from it; return it as one of the voice's documents.

        Anybody who has its address can read it there. Files cost nothing, and one more does no harm.
        """
        content = text.encode()
        asked = voices.upload(name, len(content), workspace_id)
        place = self._repeat("POST", "/files/upload-url", json=asked, timeout=self._timeouts.read)
        if not (place.get("upload_url") and place.get("public_url")):
            raise Refused("POST /files/upload-url: Mavera answered without the address of a file")
        self._attempt(lambda: self._put(place, content))
        made = voices.file(name, place["public_url"], len(content), workspace_id)
        self._repeat("POST", "/files", json=made, timeout=self._timeouts.read)
        return voices.document(name, place["public_url"], len(content))

    def generate(self, payload: Mapping[str, Any]) -> Answer:
        """Have an app write a text; most answer with it, some take their time."""
        return generation_in(self._charge("/generations", payload, self._timeouts.generation))

    # Looking, which costs nothing

    def voice(self, voice_id: str) -> Answer:
        """Return how a brand voice stands, with what it says once it is made."""
        path = path_to("/brand-voices", voice_id)
        return voice_in(self._repeat("GET", path, timeout=self._timeouts.read))

    def voices(self) -> list[dict[str, Any]]:
        """Return every brand voice of the account; no paging of theirs is documented."""
        return self._list("/brand-voices", None)

    def study(self, study_id: str) -> Answer:
        """Return how a focus group stands, with its results once it has them."""
        path = path_to("/focus-groups", study_id)
        return study_in(self._repeat("GET", path, timeout=self._timeouts.read))

    def studies(self) -> list[dict[str, Any]]:
        """Return every focus group of the account, without its results."""
        return self._list("/focus-groups", STUDY_PAGE)

    def apps(self) -> list[generations.App]:
        """Return the apps that write texts."""
        return [generations.app_in(row) for row in self._list("/generation-apps", GENERATION_PAGE)]

    def generation(self, generation_id: str) -> Answer:
        """Return a generation with its text, once it has one."""
        path = path_to("/generations", generation_id)
        return generation_in(self._repeat("GET", path, timeout=self._timeouts.read))

    def generations(self) -> list[dict[str, Any]]:
        """Return every generation of the account, with or without its text."""
        return self._list("/generations", GENERATION_PAGE)

    def pause(self, seconds: float) -> None:
        """Let Mavera work."""
        self._sleep(seconds)

    def await_turn(self) -> None:
        """Wait until the pace lets the next call leave at once, a minute at most."""
        self._pace.await_room()

    def wait_out(self, failure: TryAgain, attempt: int) -> None:
        """Wait before the next of `ATTEMPTS` attempts, for as long as Mavera said, or longer each time."""
        seconds = 2.0**attempt / 2 if failure.seconds is None else failure.seconds
        self._sleep(min(seconds, LONGEST_WAIT_SECONDS))

    def custom_personas(self) -> list[dict[str, Any]]:
        """Return every custom persona of the account."""
        return [row for row in self._list("/personas", PERSONA_PAGE) if row.get(assumptions.CUSTOM, True)]

    def threads(self, since: datetime) -> Iterator[dict[str, Any]]:
        """Yield the Mave threads that were created at or after `since`, with their messages."""
        for row in self.thread_rows():
            if created_at(row) >= since:
                yield self.thread(row["id"])

    def thread_rows(self) -> list[dict[str, Any]]:
        """Return every Mave thread of the account, without its messages."""
        return self._list("/mave/threads", THREAD_PAGE)

    def thread(self, thread_id: str) -> dict[str, Any]:
        path = path_to("/mave/threads", thread_id)
        body = self._repeat("GET", path, timeout=self._timeouts.read)
        try:
            return self._reader.thread(body, path)
        except Unreadable as error:
            raise NotUnderstood(str(error)) from None

    def _list(self, path: str, limit: int | None) -> list[dict[str, Any]]:
        """Return all rows of a list, in whichever of the two documented paging styles Mavera answers.

        A list with a hole would hide an object that exists, and have it paid for again. So a list with a page
        that is empty although more is announced, or that repeats rows, is read again, in the end an error.
        """
        for _ in range(ATTEMPTS):
            try:
                rows = self._pages(path, limit)
            except Unreadable as error:
                raise NotUnderstood(str(error)) from None
            if rows is not None:
                return rows
        raise TryAgain(f"GET {path}: the list has holes or repeats itself")

    def _pages(self, path: str, limit: int | None) -> list[dict[str, Any]] | None:
        rows: dict[str, dict[str, Any]] = {}
        where: dict[str, Any] = {}
        while True:
            asked = {"limit": limit, **where}
            page = self._repeat("GET", path, params=asked, timeout=self._timeouts.read, is_list=True)
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
        """Look through a body as it would leave. Raises Withheld where it must not."""
        self._check(requests.Request("POST", self._base_url, json=dict(payload)).prepare().body)

    def _check(self, body: bytes | str | None) -> None:
        if objection := self._firewall.objection_to(body):
            raise Withheld(objection)

    def _charge(self, path: str, payload: Mapping[str, Any], timeout: float) -> Any:
        """POST what costs credits, once: whoever sends it again announces it again (`wait_out`)."""
        return self._call("POST", path, OutcomeUnknown, json=dict(payload), timeout=timeout)

    def _repeat(self, method: str, path: str, **arguments: Any) -> Any:
        """Make a call that may be made any number of times."""
        return self._attempt(lambda: self._call(method, path, TryAgain, **arguments))

    def _attempt(self, call: Callable[[], Any]) -> Any:
        for attempt in range(1, ATTEMPTS):
            try:
                return call()
            except TryAgain as failure:
                self.wait_out(failure, attempt)
        return call()

    def _put(self, place: Mapping[str, Any], content: bytes) -> None:
        """Put a file where Mavera said: at a host of storage, which must never see the key."""
        self._check(content)
        self.calls += 1
        try:
            response = requests.put(
                place["upload_url"],
                data=content,
                headers=place.get("headers"),
                auth=_as_it_is,
                timeout=(CONNECT_SECONDS, self._timeouts.upload),
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
        **arguments: Any,
    ) -> Any:
        """Make one call. Raises TryAgain where nothing was done, `doubtful` where something may have been.

        A 2xx to a call that costs credits is never taken for nothing: what it said is kept with the error.
        """
        request = self._session.prepare_request(requests.Request(method, self._base_url + path, **arguments))
        self._check(request.body)
        self._pace.wait()
        self.calls += 1
        where = f"{method} {path}"
        try:
            response = self._session.send(
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
        try:
            content = response.content
        except requests.RequestException:
            lost = f"{where}: connection lost within the answer"
            raise (OutcomeUnknown(lost, {}) if _is_kept(response, doubtful) else doubtful(lost)) from None
        self._pace.heed(response.headers)
        try:
            body = self._reader.opened(_of_whole_characters(json.loads(content)))
        except (ValueError, RecursionError):
            body = None
        if is_list and isinstance(body, list):
            body = {"data": body}
        if isinstance(body, dict) and not is_list:
            body = self._reader.whole(body, path)
        # An object with a status of its own may tell in `error` why it failed: then the call has not.
        is_object = response.ok and isinstance(body, dict)
        if is_object and (body.get("status") or body.get("id") or not body.get("error")):
            return body
        failure = _failure(where, response, body, doubtful, self._clock())
        if isinstance(failure, OutcomeUnknown) and response.ok:
            page = content.decode(errors="replace")[:PAGE_CHARACTERS]
            failure.body = body if body is not None else {"unreadable": page}
        raise failure


def _is_kept(response: requests.Response, doubtful: type[MaveraError]) -> bool:
    return response.ok and doubtful is OutcomeUnknown


class Pace:
    """Keeps at most `count` calls in any 60 seconds, and waits out a window that Mavera says is used up."""

    def __init__(self, count: int, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._made: deque[float] = deque(maxlen=count)
        self._closed_until = 0.0
        self._clock = clock
        self._sleep = sleep

    def await_room(self) -> None:
        now = self._clock()
        full_until = self._made[0] + WINDOW_SECONDS if len(self._made) == self._made.maxlen else 0.0
        # Mavera's clock may differ from ours, and no window is longer than one minute.
        seconds = min(max(full_until, self._closed_until) - now, WINDOW_SECONDS)
        if seconds > 0:
            self._sleep(seconds)
        self._closed_until = 0.0

    def wait(self) -> None:
        self.await_room()
        self._made.append(self._clock())

    def heed(self, headers: Mapping[str, str]) -> None:
        reset = _number(headers.get("X-RateLimit-Reset"))
        if _number(headers.get("X-RateLimit-Remaining")) == 0 and reset is not None:
            self._closed_until = reset


def path_to(list_path: str, object_id: str) -> str:
    """Return where one object of a list is. Raises Refused for an id that would lead somewhere else."""
    if not str(object_id).strip(". "):
        raise Refused(f"{list_path}: no object can have the id {object_id!r}. Nothing was sent")
    return f"{list_path}/{quote(str(object_id), safe='')}"


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Let a request go without credentials, also where a .netrc file has some for its host."""
    return request


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
    """Say what an answer that is no success allows next; the body's `error` counts before the status."""
    error = body.get("error") if isinstance(body, dict) else None
    error = error if isinstance(error, dict) else {"message": error} if isinstance(error, str) else {}
    category, code, param = (_line(error.get(field)) for field in ("type", "code", "param"))
    message = _line(error.get("message") or (body.get("message") if isinstance(body, dict) else ""))
    status = response.status_code
    said = " ".join(filter(None, [str(status), code or category, param and f"({param})"]))
    text = f"{where}: {said}"
    if status == 402 or category == "insufficient_credits":
        # Any other code names another remedy, such as budget_exceeded: a limit of the workspace.
        return OutOfCredits(
            f"{status} out of credits" + (f" ({code})" if code not in {"", EXHAUSTED} else "")
        )
    if status == 401 or category == "authentication_error":
        return KeyRefused(f"mavera refused MAVERA_API_KEY ({status} {code or category})".replace(" )", ")"))
    wait = _seconds(response.headers.get("Retry-After"), now)
    if status == 429 or category == "rate_limit_error":
        return TryAgain(text, RETRY_AFTER_SECONDS if wait is None else wait)
    if status == 503 and doubtful is TryAgain:
        return TryAgain(text, wait)
    # 408 is what a server, or one before it, says that has waited for something too long.
    if status != 408 and (300 <= status < 500 or category == "invalid_request_error"):
        return Refused(f'{text}: "{message}"' if message else text, param, message)
    if response.ok and not error:
        text = f"{where}: {status} with an answer that is no JSON object"
    return doubtful(text)


def _line(value: Any) -> str:
    """Return what Mavera says as one short line that may be shown and kept."""
    text = value.replace('"', "'") if isinstance(value, str) else ""
    return outside.words(text, MESSAGE_CHARACTERS) if text.strip() else ""


def _of_whole_characters(body: Any) -> Any:
    """Put ? for each half of a character that stands alone in an answer, as in a text that was cut.

    JSON lets them through, and no ledger could be written of them after the object was paid for.
    """
    return json.loads(json.dumps(body, ensure_ascii=False).encode(errors="replace"))


def _seconds(header: str | None, now: float) -> float | None:
    """Return how long Retry-After says to wait: it has seconds, perhaps in fractions, or a moment."""
    seconds = _number(header)
    if seconds is None and header:
        try:
            seconds = email.utils.parsedate_to_datetime(header).timestamp() - now
        except ValueError:
            return None
    return None if seconds is None else max(seconds, 0.0)


def _number(header: str | None) -> float | None:
    try:
        number = float(header or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def persona_in(body: Any) -> Answer:
    """Return a persona, created or listed, as the answer to its creation."""
    return Answer(_id_of("persona", body), None, credits_in(body), body)


def message_in(body: Any) -> Answer:
    """Return Mave's answer. One without an id goes by that of its thread, which must not be missing then."""
    message_id, thread_id = body.get("id"), body.get("thread_id")
    if not (message_id and thread_id):
        raise OutcomeUnknown(
            f"Mavera answered without the id of the {'thread' if message_id else 'answer'}", body
        )
    return Answer(str(message_id), str(thread_id), credits_in(body), body)


def identified(kind: str, body: Any) -> Answer | None:
    """Return an incomplete answer under whatever identifies it; None where nothing does."""
    if kind != "analyses" or not isinstance(body, Mapping):
        return None
    message_id, thread_id = body.get("id"), body.get("thread_id")
    if not (message_id or thread_id):
        return None
    shown = str(thread_id) if thread_id else None
    return Answer(str(message_id or thread_id), shown, credits_in(body), dict(body))


def is_proof(body: Any) -> bool:
    """Whether an answer shows that its work was done and charged, even where nothing identifies it."""
    return isinstance(body, Mapping) and any(body.get(field) for field in assumptions.PROOFS)


def text_of(kind: str, body: Any) -> str | None:
    """Return the text of an answer, empty where it lacks one; None for kinds that have none."""
    return str(body.get("content") or "").strip() if kind == "analyses" else None


def study_in(body: Any) -> Answer:
    """Return a focus group, created or listed, as the answer to its creation."""
    state = studies.state_of(body.get("status"), body.get("results"))
    return Answer(_id_of("focus group", body), None, credits_in(body), body, state)


def voice_in(body: Any) -> Answer:
    """Return a brand voice, created or listed, as the answer to its creation; none tells its price."""
    state = studies.state_of(body.get("status"), body.get("voice_summary"))
    return Answer(_id_of("brand voice", body), None, credits_in(body), body, state)


def generation_in(body: Any) -> Answer:
    """Return a generation, created or listed, as the answer to its creation."""
    return Answer(_id_of("generation", body), None, credits_in(body), body, generations.state_of(body))


def _id_of(what: str, body: Any) -> str:
    if not body.get("id"):
        raise OutcomeUnknown(f"Mavera answered without the id of the {what}", body)
    return str(body["id"])


def credits_in(body: Any) -> int | None:
    """Return what an object cost, wherever its kind says it; None where it does not."""
    usage = body.get("usage")
    used = whole_credits(usage.get("credits_used")) if isinstance(usage, dict) else None
    return whole_credits(body.get("credits_charged")) if used is None else used


def asked_in(thread: Mapping[str, Any]) -> Iterator[tuple[str, Answer | None]]:
    """Yield each question of a thread, oldest first, with its answer as if the call had got it.

    A thread tells its credits as one sum, so an answer has them only where it is the only one.
    """
    messages = [message for message in thread.get("messages") or () if message.get("role") in SPEAKERS]
    questions = [place for place, message in enumerate(messages) if message["role"] == "user"]
    used = whole_credits(thread.get("credits_used")) if len(questions) == 1 else None
    for place in questions:
        reply = messages[place + 1] if place + 1 < len(messages) else {"role": "user"}
        told = reply["role"] == "assistant"
        yield (
            str(messages[place]["content"]),
            Answer(str(reply["id"]), str(thread["id"]), used, dict(thread)) if told else None,
        )


def created_at(row: Mapping[str, Any]) -> datetime:
    """Return when a listed object was made."""
    return _moment(row, "created_at")


def touched_at(row: Mapping[str, Any]) -> datetime:
    """Return when a listed object was last changed, as far as it says so."""
    return _moment(row, "updated_at" if row.get("updated_at") else "created_at")


def _moment(row: Mapping[str, Any], field: str) -> datetime:
    """Read a time; Mavera writes Unix seconds here and ISO 8601 there."""
    value = row.get(field)
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        return datetime.fromisoformat(str(value)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise NotUnderstood(
            str(lacking(f"{_line(row.get('object')) or 'an object'} {_line(row.get('id'))}", field, row))
        ) from None


def whole_credits(value: Any) -> int | None:
    """Return credits as Mavera tells them, parts of one as a whole; None where that can be no price."""
    if isinstance(value, bool):
        return None
    try:
        told = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return math.ceil(told) if 0 <= told <= MOST_CREDITS else None
