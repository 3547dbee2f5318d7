"""A Mavera in this process, on a clock that only waiting advances, with lost answers and killed runs.

Every run is a forked child, so that a killed run really stops. As in reality, only the ledger's file,
Mavera's state, and the work still pending at Mavera survive it. No socket, no real second and no dbt is
needed, so that thousands of runs take minutes.
"""

import asyncio
import hashlib
import json
import multiprocessing
import os
import pickle
import random
import signal
import sqlite3
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest.mock import patch
from urllib.parse import parse_qs, urlencode, urlsplit

import requests
import sqlalchemy as sa
from requests.adapters import BaseAdapter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.types import Message

from activate import engine, planning
from activate.errors import LedgerError, MaveraError, NotStarted
from activate.flights import Landed, landed
from activate.kinds import KINDS, enriched_personas
from activate.kinds.kind import Draft
from activate.ledger import opening
from activate.ledger.journal import Ledger
from activate.ledger.lock import UNGUARDED, Hold, lock
from activate.mavera import Mavera, Turns
from activate.plan import Document, Plan, Record
from activate.planning import Limits
from activate.records import MARKER, marker
from activate.run import Outcome
from activate.templates import canonical
from common.settings import Settings
from sandbox import mavera as sandbox
from sandbox.mavera.account import WORKSPACES
from sandbox.mavera.api import Mavera as SandboxMavera
from sandbox.mavera.manners import shown

BEGAN_AT: Final = datetime(2026, 11, 1, tzinfo=UTC)
BASE_URL: Final = "http://mavera.invalid/api/v1"
CALL_SECONDS: Final = 0.2
SETTLE_SECONDS: Final = 300
BY_HAND: Final = "Our own"  # prefix of the names of the account's own objects
ROWS_A_PAGE: Final = 5  # whatever the request, so that lists have several pages

# Paid requests by path, with the sandbox's name of the objects.
PAID: Final = {
    "/personas": "personas",
    "/brand-voices": "brand-voices",
    "/mave/chat": "analyses",
    "/focus-groups": "focus-groups",
    "/generations": "generations",
}
OBJECTS: Final = {
    "personas": "persona",
    "brand-voices": "brand voice",
    "analyses": "thread",
    "focus-groups": "focus group",
    "generations": "generation",
}
# Kinds of which new objects are made; the account's own personas are only edited.
MADE: Final = {name: kind for name, kind in KINDS.items() if not kind.terms.only_edits}
EDITED: Final = "enriched-personas"
LISTS: Final = frozenset({"/personas", "/brand-voices", "/mave/threads", "/focus-groups", "/generations"})


class Fault(NamedTuple):
    """A failure of a paid request: whether its work is done, and the answer.

    `answer` is a status, or `cut`, `silence` (the client waits until it gives up), `garbage` or `late`:
    silence, with the work done after that or meanwhile. Any other is a variant of the sandbox.
    """

    works: bool
    answer: int | str


FAULTS: Final = {
    "500, work done": Fault(True, 500),
    "500, not done": Fault(False, 500),
    "cut, work done": Fault(True, "cut"),
    "cut, not done": Fault(False, "cut"),
    "time-out, done": Fault(True, "silence"),
    "time-out, not done": Fault(False, "silence"),
    "work done late": Fault(False, "late"),
    "answer garbled": Fault(True, "garbage"),
    "answer without id": Fault(True, "no-ids"),
    "answer empty": Fault(True, "empty-answers"),
    "a page, not an answer": Fault(True, "page-answers"),
    "429": Fault(False, 429),
    "503": Fault(False, 503),
    "402": Fault(False, 402),
}
WAITS: Final = (1, 30, 120)  # seconds after which a 429 admits requests again
LOOKS: Final = "looks"  # free requests, if a fault is for these
# Effects on lists and texts that only variants of the sandbox have.
MANNERS: Final = {
    "list ends early": {"short-lists"},
    "names shortened": {"short-names", "short-texts"},
    "texts reformatted": {"flat-texts", "escaped-texts"},
}
LISTING_FAULTS: Final = ("pages repeated", "list lags behind", "list reordered", *MANNERS)

# Places of a kill. The last but one is told twice to stop while a request is in flight, and may clean up.
DEATHS: Final = (
    "before the begin row",
    "within the begin row",
    "before the request",
    "before the answer",
    "before the end row",
    "within the end row",
    "after the end row",
    "while polling",
    "while looking up",
    "before adopting",
    "after adopting",
    "told to stop twice",
)


class Clock:
    """Time since `BEGAN_AT` that passes only during waits; children share it, and it survives them."""

    def __init__(self) -> None:
        self._seconds = multiprocessing.Value("d", 0.0, lock=False)

    def __call__(self) -> float:
        return BEGAN_AT.timestamp() + self._seconds.value

    def now(self) -> datetime:
        return BEGAN_AT + timedelta(seconds=self._seconds.value)

    def sleep(self, seconds: float) -> None:
        self._seconds.value += seconds


@dataclass
class Hazards:
    """The failures of one run: the first, second, … paid request of a kind gets a fault; lists get theirs.

    `death` is a place, its kind (any if empty), and how many times the place must be reached. Up to `at_once`
    requests are under way at once.
    """

    faults: dict[tuple[str, int], str] = field(default_factory=dict)
    listing: str = ""
    lag_seconds: float = 0
    late_seconds: float = 0
    death: tuple[str, str, int] | None = None
    seed: int = 0
    at_once: int = 1

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.calls: Counter[str] = Counter()
        self.places: Counter[str] = Counter()
        self.met: Callable[[str], object] = lambda _: None

    def are_for(self, kind: str) -> bool:
        """Whether any hazard names this kind."""
        return (self.death or ("", "", 0))[1] == kind or any(of == kind for of, _ in self.faults)

    def fault(self, kind: str) -> Fault | None:
        self.calls[kind] += 1
        name = self.faults.get((kind, self.calls[kind]), "")
        if name:
            self.met(name)
        return FAULTS.get(name)

    def pass_by(self, place: str, kind: str = "") -> None:
        """Die here, if this is the place and the time."""
        if self.death is None or self.death[0] != place or self.death[1] not in {"", kind}:
            return
        self.places[place] += 1
        if self.places[place] == self.death[2]:
            self.met(place)
            if place == "told to stop twice":
                os.kill(os.getpid(), signal.SIGTERM)
                os.kill(os.getpid(), signal.SIGTERM)
            else:
                os.kill(os.getpid(), signal.SIGKILL)


CALM: Final = Hazards()


class Air:
    """Requests that are under way at once, without threads: chance chooses when Mavera gets each, and which
    answer comes next."""

    def __init__(self, hazards: Hazards) -> None:
        self._chance = random.Random(f"under way {hazards.seed}")
        self._leaving: list[tuple[int, Callable[[], Any]]] = []
        self._answered: list[Landed] = []

    def begin(self, number: int, request: Callable[[], Any]) -> None:
        self._leaving.append((number, request))
        if self._chance.random() < 0.5:
            self._answered.append(landed(*self._leaving.pop(self._chance.randrange(len(self._leaving)))))

    def next(self, seconds: float | None = None) -> Landed | None:  # noqa: ARG002 - answers take no time here
        place = self._chance.randrange(len(self._answered) + len(self._leaving))
        if place < len(self._answered):
            return self._answered.pop(place)
        return landed(*self._leaving.pop(place - len(self._answered)))


class Wire(BaseAdapter):
    """Carries requests to the sandbox's Mavera without a socket, through the hazards of this run."""

    def __init__(self, account: "Account", hazards: Hazards) -> None:
        super().__init__()
        self._clock, self._hazards, self._late = account.clock, hazards, account.late
        self._mavera = account.open_mavera()
        if hazards.listing == "list lags behind":
            self._mavera.list_lag_seconds = hazards.lag_seconds
        self._mavera.manners |= MANNERS.get(hazards.listing, set())
        hazards.met = account.note
        self._app = Starlette(routes=list(self._mavera.routes))
        self._loop = asyncio.new_event_loop()
        self._page = b""

    def close(self) -> None:
        self._loop.close()

    def send(self, request: requests.PreparedRequest, timeout: Any = None, **_: Any) -> requests.Response:  # type: ignore[override]
        self._clock.sleep(CALL_SECONDS)
        self.catch_up()
        path = urlsplit(str(request.url)).path.removeprefix("/api/v1")
        kind = PAID.get(path, "") if request.method == "POST" else ""
        if request.method == "PATCH" and self._hazards.are_for(EDITED):
            kind = EDITED
        if request.method == "GET":
            self._hazards.pass_by("while polling" if self._is_poll(path) else "while looking up")
            fault = self._hazards.fault(LOOKS)
            return self._refused(request, fault) if fault else self._look(request, path)
        if not kind:
            return _response(request, *self._serve(request))
        self._hazards.pass_by("before the request", kind)
        return self._charge(request, kind, timeout)

    def _is_poll(self, path: str) -> bool:
        return path.startswith(("/focus-groups/", "/brand-voices/", "/generations/"))

    def _look(self, request: requests.PreparedRequest, path: str) -> requests.Response:
        if path not in LISTS:
            return _response(request, *self._serve(request))
        query = parse_qs(urlsplit(str(request.url)).query)
        is_first = not (query.keys() & {"cursor", "offset"})
        if self._hazards.listing in {"list lags behind", "list reordered", *MANNERS}:
            self._hazards.met(self._hazards.listing)
        if self._hazards.listing == "list reordered" and (is_first or "offset" in query):
            order = self._hazards.chance.random()
            self._mavera.shuffle = lambda rows: random.Random(order).shuffle(rows)
        if path != "/brand-voices":
            query["limit"] = [str(ROWS_A_PAGE)]
        status, headers, content = self._serve(request, urlencode(query, doseq=True))
        if self._hazards.listing == "pages repeated" and not is_first and self._hazards.chance.random() < 0.5:
            content = self._page
            self._hazards.met("pages repeated")
        self._page = content
        return _response(request, status, headers, content)

    def _charge(self, request: requests.PreparedRequest, kind: str, timeout: Any) -> requests.Response:
        fault = self._hazards.fault(kind)
        if fault and fault.answer == "late":
            due = self._clock() + self._hazards.late_seconds
            late = {
                "due": due,
                "path": urlsplit(str(request.url)).path,
                "body": request.body.decode(),
                "method": request.method,
            }  # type: ignore[union-attr]
            with self._late.open("a", encoding="utf-8") as queue:
                queue.write(json.dumps(late) + "\n")
        status, headers, content = self._serve(request) if fault is None or fault.works else (0, {}, b"")
        self._hazards.pass_by("told to stop twice", kind)
        self._hazards.pass_by("before the answer", kind)
        match fault:
            case None:
                return _response(request, status, headers, content)
            case Fault(answer="cut"):
                raise requests.ConnectionError
            case Fault(answer="silence" | "late"):
                self._clock.sleep(timeout[1])
                raise requests.ReadTimeout
            case Fault(answer="garbage"):
                return _response(request, status, headers, content[: len(content) // 2])
            case Fault(answer=str(manner)):
                path = urlsplit(str(request.url)).path.removeprefix("/api/v1")
                return _response(
                    request, status, headers, shown({manner}, str(request.method), path, content)
                )
        return self._refused(request, fault)

    def _refused(self, request: requests.PreparedRequest, fault: Fault) -> requests.Response:
        refusal = self._mavera.error(int(fault.answer), Request({"type": "http"}))
        if fault.answer == 429:
            refusal.headers["Retry-After"] = str(self._hazards.chance.choice(WAITS))
        return _response(request, refusal.status_code, dict(refusal.headers), bytes(refusal.body))

    def catch_up(self) -> None:
        """Do the work that Mavera would have done by now."""
        if not self._late.exists():
            return
        waiting = [json.loads(line) for line in self._late.read_text(encoding="utf-8").splitlines()]
        due = [work for work in waiting if work["due"] <= self._clock()]
        for work in due:
            self._mavera.now = lambda at=work["due"]: datetime.fromtimestamp(at, UTC)
            self._call(work["method"], work["path"], "", {}, work["body"].encode())
        self._mavera.now = self._clock.now
        if due:
            left = [json.dumps(work) + "\n" for work in waiting if work not in due]
            self._late.write_text("".join(left), encoding="utf-8")

    def _serve(
        self, request: requests.PreparedRequest, query: str | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        parts = urlsplit(str(request.url))
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        query = parts.query if query is None else query
        return self._call(str(request.method), parts.path, query, dict(request.headers), body)  # type: ignore[arg-type]

    def _call(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "server": ("mavera.invalid", 80),
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), str(value).encode()) for name, value in headers.items()],
        }
        told: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            told.append(message)

        self._loop.run_until_complete(self._app(scope, receive, send))
        content = b"".join(message.get("body", b"") for message in told[1:])
        answered = {name.decode(): value.decode() for name, value in told[0]["headers"]}
        return told[0]["status"], answered, content


def _response(
    request: requests.PreparedRequest, status: int, headers: dict[str, str], content: bytes
) -> requests.Response:
    response = requests.Response()
    response.status_code, response.request, response.url = status, request, str(request.url)
    response.headers.update(headers)
    response._content = content
    return response


def at_once(request: Callable[[], Any]) -> Callable[[], Any]:
    """Make a request now, and pass its end on later."""
    ended = landed(0, request)

    def passed_on() -> Any:
        if ended.error:
            raise ended.error
        return ended.answer

    return passed_on


class Ended(NamedTuple):
    """How a run ended: killed, refused for a reason, or with an outcome; and its number of requests."""

    was_killed: bool = False
    refusal: str = ""
    outcome: Outcome | None = None
    calls: int = 0


class Standing(NamedTuple):
    """A paid object or question of a thread in Mavera, by its reference."""

    kind: str
    record_key: str
    fingerprint: str
    object_id: str
    credits: int


# One engine opens every ledger: all share its compiled statements, which a separate run would recompile.
_OPEN: list[Path] = []
_ENGINE: Final = sa.create_engine(
    "sqlite:///ledger", creator=lambda: sqlite3.connect(_OPEN[-1], timeout=30), poolclass=sa.QueuePool
)


class Account:
    """One account with its ledger, below a directory that should be in memory. Only one is open at a time."""

    def __init__(self, path: Path, *, is_strict: bool = True, work_seconds: float = 0) -> None:
        self.path = path
        self.clock = Clock()
        self.late = path / "late.jsonl"
        self.ledger_path = path / "ledger.sqlite"
        self.url = f"sqlite:///{self.ledger_path}"
        _OPEN[:] = [self.ledger_path]
        _ENGINE.dispose()
        self._is_strict = is_strict
        self._work_seconds = work_seconds
        self.open_mavera()

    def note(self, hazard: str) -> None:
        """Note that a hazard occurred, even in a run that dies of it."""
        with (self.path / "met").open("a", encoding="utf-8") as met:
            met.write(f"{hazard}\n")

    def met(self) -> Counter[str]:
        """Return how often each hazard occurred."""
        noted = self.path / "met"
        return Counter(noted.read_text(encoding="utf-8").splitlines() if noted.exists() else ())

    def open_mavera(self) -> SandboxMavera:
        mavera = SandboxMavera(self.path / "mavera.sqlite", strict=self._is_strict, balance=1_000_000)
        mavera.now = self.clock.now
        mavera.study_seconds = mavera.voice_seconds = mavera.generation_seconds = self._work_seconds
        return mavera

    def ledger(self, *, write: bool = False, hold: Hold = UNGUARDED) -> Ledger:
        with patch.object(sa, "create_engine", lambda *_, **__: _ENGINE):
            ledger = opening.connect(self.url, BASE_URL, write=write, hold=hold)
        ledger.now = self.clock.now
        return ledger

    def remove_ledger(self) -> None:
        _ENGINE.dispose()
        self.ledger_path.unlink()

    def client(self) -> Mavera:
        return Mavera(BASE_URL, sandbox.KEY, "enterprise", clock=self.clock, sleep=self.clock.sleep)

    def limits(self, month: int) -> Limits:
        return Limits(month, None, 20, SETTLE_SECONDS, poll_seconds=10, poll_ceiling_seconds=60)

    def plan(self, wanted: Sequence[Record], month: int) -> Plan:
        return planning.plan(wanted, self.ledger(), list(KINDS), self.limits(month))

    def run(self, wanted: Sequence[Record], month: int, hazards: Hazards = CALM) -> Ended:
        """Apply in a separate process, as the command does, under the ledger's lock."""

        return self.forked(lambda: self._apply(wanted, month, hazards), hazards)

    def _apply(self, wanted: Sequence[Record], month: int, hazards: Hazards) -> Ended:
        client = self.client()
        with lock(self.url) as hold:
            ledger = self.ledger(write=True, hold=hold)
            _watch(ledger, hazards)
            try:
                outcome = engine.apply(wanted, ledger, client, list(KINDS), self.limits(month))
            except (NotStarted, LedgerError, MaveraError) as error:
                return Ended(refusal=str(error), calls=client.calls)
        return Ended(outcome=outcome, calls=client.calls)

    def warm_up(self, wanted: Sequence[Record]) -> None:
        """Run once in this process, so that the children find everything compiled."""
        with self._reached(CALM):
            self._apply(wanted, 100_000, CALM)

    @contextmanager
    def _reached(self, hazards: Hazards) -> Iterator[None]:
        wire = Wire(self, hazards)
        with (
            patch.object(requests.Session, "get_adapter", lambda *_, **__: wire),
            patch.object(Turns, "most_at_once", hazards.at_once),
            patch("activate.send.Flights", lambda: Air(hazards)),
            patch("activate.mavera.beside", at_once),
        ):
            yield

    def forked(self, work: Any, hazards: Hazards = CALM) -> Any:
        """Return the result of `work` in a child that reaches this Mavera, or Ended(was_killed=True)."""
        reading, writing = os.pipe()
        _ENGINE.dispose()  # a child must not share a connection
        child = os.fork()
        if child == 0:
            try:
                os.close(reading)
                with self._reached(hazards):
                    told = pickle.dumps(work())
                with os.fdopen(writing, "wb") as pipe:
                    pipe.write(told)
            except BaseException:
                traceback.print_exc()
                os._exit(3)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            told = pipe.read()
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            return Ended(was_killed=True)
        if status:
            raise RuntimeError("a run broke down; its traceback stands above")
        return pickle.loads(told)  # noqa: S301

    def let_pass(self, seconds: float) -> None:
        """Let time pass, in which Mavera does its pending work."""
        self.clock.sleep(seconds)
        if self.late.exists() and self.late.stat().st_size:
            Wire(self, CALM).catch_up()

    # Contents of Mavera

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path / "mavera.sqlite")) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def charged(self) -> int:
        """Return the credits of all objects except those made by hand."""
        by_runs = """
            select coalesce(sum(credits), 0) from charges
            where object_id not in (select object_id from objects where body ->> 'name' like ? || '%')
        """
        return int(self.query(by_runs, BY_HAND)[0][0])

    def counted(self) -> int:
        """Return the ledger's total, without calls presumed lost that await a person's decision."""
        ledger = self.ledger()
        return ledger.spent() - sum(call.credits for call in ledger.written_off())

    def standing(self) -> list[Standing]:
        """Return every paid object of ours that exists, oldest first."""
        charges: dict[str, list[int]] = {}
        for object_id, price in self.query("select object_id, credits from charges order by position"):
            charges.setdefault(object_id, []).append(price)
        found = []
        for kind, text in self.query("select kind, body from objects order by position"):
            body = json.loads(text)
            prices = charges.get(body["id"], [])
            for number, words in enumerate(_words(kind, body)):
                if reference := MARKER.search(words):
                    (ours,) = (name for name, theirs in OBJECTS.items() if theirs == kind)
                    price = prices[number] if number < len(prices) else 0
                    found.append(Standing(ours, reference[1], reference[2], body["id"], price))
        return found


def _words(kind: str, body: dict[str, Any]) -> list[str]:
    if kind == "thread":
        return [message["content"] for message in body["messages"] if message["role"] == "user"]
    named = {
        "persona": "description",
        "brand voice": "usage_context",
        "focus group": "name",
        "generation": "title",
    }
    return [str(body[named[kind]])] if kind in named else []


def _watch(ledger: Ledger, hazards: Hazards) -> None:
    """Let a run die at writes to its ledger."""
    if hazards.death is None:
        return
    begin, end, rows = ledger.begin, ledger.end, ["end", ""]

    def begun(run_id: str, **about: Any) -> str:
        rows[:] = ["begin", about["kind"]]
        hazards.pass_by("before the begin row", about["kind"])
        return begin(run_id, **about)

    def ended(call_id: str, state: Any, **about: Any) -> None:
        (kind,) = {call.kind for call in ledger.calls() if call.call_id == call_id}
        rows[:] = ["end", kind]
        adopts = about.get("action") in {"look up", "adopt"}
        hazards.pass_by("before the end row", kind)
        if adopts:
            hazards.pass_by("before adopting")
        end(call_id, state, **about)
        hazards.pass_by("after the end row", kind)
        if adopts:
            hazards.pass_by("after adopting")

    def within(*told: Any) -> None:
        if told[2].startswith(
            "INSERT INTO receipts"
        ):  # the row is written, its receipt and its commit are not
            hazards.pass_by(f"within the {rows[0]} row", rows[1])

    ledger.begin, ledger.end = begun, ended  # type: ignore[method-assign]
    sa.event.listen(_ENGINE, "before_cursor_execute", within)


# --- wanted records ----------------------------------------------------------------------------------

WORKSPACE: Final = WORKSPACES[0].workspace_id
SETTINGS: Final = Settings(_env_file=None, mavera_workspace_id=WORKSPACE)


def record(
    kind: str, number: int, generation: int = 1, *, personas_behind: Sequence[str] = (), target: str = ""
) -> Record:
    """Return a record as requested by the activation models, with facts that depend on `generation`."""
    record_key, name = f"faults:{kind}_{number}", f"Record {number} of {kind}"
    facts: dict[str, Any] = {"generation": generation, "person_count": 1_000 * generation}
    documents = (Document("Tour", f"Watch the kettle, {generation}."),) if kind == "brand-voices" else ()
    if personas_behind:
        facts["personas"] = list(personas_behind)
    fingerprint = hashlib.sha256(canonical([kind, record_key, facts]).encode()).hexdigest()
    form: dict[str, Any] = {}
    if kind == "focus-groups":
        form = {"respondents": 10, "questions": [{"type": "NPS", "question": "Would you?"}]}
    elif kind == "generations":
        app = "long-form-article" if number % 2 else "email-writer"
        given = {"topic": f"Kettles, {generation}", "target_audience": "Cooks", "key_points": "Water"}
        form = {"app": app, "title": name, "input": given}
    text, mark = f"What is known of {1_000 * generation:,} people.", marker(record_key, fingerprint)
    if kind == EDITED:
        text = f"Some people.\n\n{enriched_personas.HEADING} {text}"
    draft = Draft(name, facts, text, form, {}, documents, len(personas_behind), mark)

    payload = KINDS[kind].payload(draft, SETTINGS)
    return Record(
        kind=kind,
        record_key=record_key,
        job="faults",
        template="faults",
        name=name,
        facts=facts,
        person_count=1_000 * generation,
        payload=payload,
        fingerprint=fingerprint,
        references=tuple(personas_behind),
        references_field=KINDS[kind].references_field(SETTINGS) if personas_behind else "",
        documents=documents,
        target=target,
    )


# --- results -----------------------------------------------------------------------------------------


class Wrong(NamedTuple):
    """How far Mavera and the ledger are from the correct state; all zeros if correct."""

    objects: int = 0  # in Mavera beyond one for each record
    credits: int = 0  # charged twice for the same, or the difference from the ledger's total
    lost: int = 0  # wanted records that are missing or outdated in Mavera
    doubled: int = 0  # facts that were paid for more than once

    def __add__(self, other: object) -> "Wrong":
        assert isinstance(other, Wrong)
        return Wrong(*(mine + its for mine, its in zip(self, other, strict=True)))


def compare(wanted: Iterable[Record], standing: Sequence[Standing], kind: str = "") -> Wrong:
    """Compare the contents of Mavera with the wanted records; of one kind, or of all."""
    ours = [one for one in standing if kind in {"", one.kind}]
    objects = Counter((one.kind, one.record_key) for one in {(s.object_id): s for s in ours}.values())
    paid: Counter[tuple[str, str, str]] = Counter()
    twice = 0
    for one in ours:
        paid[one.kind, one.record_key, one.fingerprint] += 1
        is_once = paid[one.kind, one.record_key, one.fingerprint] == 1
        twice += 0 if is_once and (one.kind == "analyses" or _is_first(one, ours)) else one.credits
    lost = sum(
        not any(
            (one.kind, one.record_key) == (record.kind, record.record_key)
            and (KINDS[record.kind].terms.lasts or record.fingerprint.startswith(one.fingerprint))
            for one in ours
        )
        for record in wanted
        if kind in {"", record.kind}
    )
    return Wrong(
        objects=sum(count - 1 for count in objects.values()),
        credits=twice,
        lost=lost,
        doubled=sum(count - 1 for count in paid.values()),
    )


def _is_first(one: Standing, ours: Sequence[Standing]) -> bool:
    return next(o for o in ours if (o.kind, o.record_key) == (one.kind, one.record_key)) is one
