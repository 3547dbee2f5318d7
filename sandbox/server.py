"""The four vendors behind one port on loopback, with their limits, a journal of requests, and faults."""

import asyncio
import hashlib
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox import klaviyo, mavera, sendgrid, wistia
from sandbox.faults import PAGES, REFUSALS, STRICT, Fault, Faults, spoilt
from sandbox.klaviyo.api import Klaviyo
from sandbox.klaviyo.requests import MEDIA_TYPE
from sandbox.mavera.account import WORKSPACES
from sandbox.mavera.api import Mavera
from sandbox.sendgrid.api import SendGrid
from sandbox.vendor import Limit, Standing, Vendor
from sandbox.wistia.api import Wistia
from sandbox.world import World

HANG_SECONDS = 600  # longer than any client waits; ends when the client disconnects
SLOW_BODY_SECONDS = 2.0
TICK_SECONDS = 0.1  # as uvicorn
JOURNAL_ROWS = 200_000
TELL_WHEN = (
    b"retry-after",
    b"ratelimit-reset",
    b"ratelimit-remaining",
    b"x-ratelimit-reset",
    b"x-ratelimit-remaining",
)
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
FORBIDDEN = JSONResponse({"error": "control routes answer this machine only"}, 403)
CURSORS = ("page_token", "page[cursor]", "cursor")


def environment(host: str) -> dict[str, str]:
    """Return the settings that direct the project to a sandbox at `host`: its keys work nowhere else."""
    return {
        "SENDGRID_API_KEY": sendgrid.KEY,
        "WISTIA_API_TOKEN": wistia.KEY,
        "KLAVIYO_API_KEY": klaviyo.KEY,
        "MAVERA_API_KEY": mavera.KEY,
        "MAVERA_WORKSPACE_ID": WORKSPACES[0].workspace_id,
        "SENDGRID_BASE_URL": f"{host}/sendgrid/v3",
        "WISTIA_BASE_URL": f"{host}/wistia/v1",
        "KLAVIYO_BASE_URL": f"{host}/klaviyo/api",
        "MAVERA_BASE_URL": f"{host}/mavera/api/v1",
    }


def _is_from_here(request: Request) -> bool:
    """Return whether a program on this machine asks: a page in a browser, even with its name rebound to this
    address, sends its own Host or Origin.
    """
    named = [f"//{request.headers.get('host', '')}", request.headers.get("origin", "//localhost")]
    return all(urlsplit(each).hostname in LOOPBACK for each in named)


class Windows:
    """Counts requests against limits, in fixed windows or sliding ones."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._seen: dict[Limit, deque[float]] = {}
        self._lock = threading.Lock()

    def admit(self, limits: Sequence[Limit], *, is_counted: bool) -> tuple[bool, list[Standing]]:
        """Count one request against all `limits` unless one is used up; return whether it is admitted."""
        now = self._clock()
        with self._lock:
            seen = {limit: self._current(limit, now) for limit in limits}
            is_let_in = not is_counted or all(len(times) < limit.count for limit, times in seen.items())
            if is_let_in and is_counted:
                for times in seen.values():
                    times.append(now)
            return is_let_in, [
                Standing(limit, max(0, limit.count - len(times)), self._reset(limit, times, now))
                for limit, times in seen.items()
            ]

    def _current(self, limit: Limit, now: float) -> deque[float]:
        times = self._seen.setdefault(limit, deque())
        start = now - limit.seconds if limit.sliding else now // limit.seconds * limit.seconds
        while times and times[0] < start:
            times.popleft()
        return times

    def _reset(self, limit: Limit, times: deque[float], now: float) -> float:
        if limit.sliding:
            return (times[0] if times else now) + limit.seconds
        return (now // limit.seconds + 1) * limit.seconds


class Entry(NamedTuple):
    """One request in the journal, written after its work was committed and before its answer was sent."""

    number: int
    at: float
    vendor: str
    method: str
    path: str
    query: str
    status: int
    fault: str | None
    body_sha256: str | None


class Sandbox:
    """An ASGI application: each vendor below its prefix, and `/control` to inspect it and to inject faults.

    `limits` off still sends the headers. `latency_ms` delays each answer. `state` is Mavera's file.
    """

    def __init__(
        self,
        world: World,
        *,
        limits: Literal["real", "off"] = "real",
        latency_ms: int = 0,
        faults: Sequence[Fault] = (),
        state: Path | None = None,
        strict: bool = True,
        balance: int | None = 1_000_000,
    ) -> None:
        self.world = world
        self.mavera = Mavera(state, strict=strict, balance=balance)
        self.faults = Faults(world.seed, list(faults))
        self.journal: deque[Entry] = deque(maxlen=JOURNAL_ROWS)
        self._state_file = state
        self._is_limited = limits == "real"
        self.latency_ms = latency_ms
        self._windows = Windows()
        self._count = 0
        vendors: list[Vendor] = [SendGrid(world), Wistia(world), Klaviyo(world), self.mavera]
        self._vendors = {vendor.name: (vendor, _application(vendor)) for vendor in vendors}
        self._control = Starlette(
            routes=[
                Route("/control/self", self._get_self),
                Route("/control/journal", self._get_journal),
                Route("/control/state", self._get_state),
                Route("/control/faults", self._get_faults),
                Route("/control/faults", self._post_faults, methods=["POST"]),
                Route("/control/faults", self._delete_faults, methods=["DELETE"]),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        name, _, rest = scope["path"].lstrip("/").partition("/")
        if name not in self._vendors:
            answer = self._control if _is_from_here(Request(scope)) else FORBIDDEN
            await answer(scope, receive, send)
            return
        vendor, application = self._vendors[name]
        # As below a mount: routes match the part after root_path, and a vendor's links lead back here.
        scope = {**scope, "root_path": f"/{name}", "state": {"path": f"/{rest}"}}
        await self._serve(vendor, application, scope, receive, send)

    async def _serve(
        self, vendor: Vendor, application: ASGIApp, scope: Scope, receive: Receive, send: Send
    ) -> None:
        request = Request(scope, receive)
        body = await request.body()
        await asyncio.sleep(self.latency_ms / 1000)
        refusal = vendor.authorize(request)
        fault = None if refusal else self.faults.draw(vendor.name, request.method, scope["state"]["path"])
        if fault == "cut-before":
            self._note(request, body, 0, fault)
            await _cut(receive)
            return
        if refusal:
            answer: ASGIApp = refusal
        elif fault in REFUSALS:
            standing = _used_up(vendor, request) if fault == "429" else ()
            answer = vendor.error(REFUSALS[fault], request, standing)
        elif fault == STRICT and request.headers.get("accept") != MEDIA_TYPE:
            answer = vendor.error(406, request)
        else:
            answer = await self._admitted(vendor, application, request, fault)
        status, headers, content = await _capture(answer, scope, body)
        self._note(request, body, status, fault)
        if fault == "cut-after":
            await _cut(receive)
        elif fault == "time-out":
            await _hang(receive)
            await _cut(receive)
        else:
            if fault:
                asked = request.query_params
                cursor = next((asked[name] for name in CURSORS if name in asked), None)
                content = spoilt(fault, content, str(request.url), cursor)
            await _send(send, status, headers, content, fault)
            if fault == "cut-body":
                await _cut(receive)

    async def _admitted(
        self, vendor: Vendor, application: ASGIApp, request: Request, fault: str | None
    ) -> ASGIApp:
        limits = vendor.limits(request)
        is_let_in, standing = self._windows.admit(limits, is_counted=self._is_limited)
        if not is_let_in:
            return vendor.error(429, request, standing)
        request.scope["state"]["page_fault"] = PAGES.get(fault or "")
        headers = vendor.limit_headers(standing)

        async def with_headers(scope: Scope, receive: Receive, send: Send) -> None:
            async def add(message: Message) -> None:
                if message["type"] == "http.response.start":
                    message["headers"] += [(k.lower().encode(), v.encode()) for k, v in headers.items()]
                await send(message)

            await application(scope, receive, add)

        return with_headers

    def _note(self, request: Request, body: bytes, status: int, fault: str | None) -> None:
        self._count += 1
        vendor, path = request.scope["root_path"].lstrip("/"), request.scope["state"]["path"]
        digest = hashlib.sha256(body).hexdigest() if body else None
        query = request.scope["query_string"].decode()
        self.journal.append(
            Entry(self._count, time.time(), vendor, request.method, path, query, status, fault, digest)
        )

    async def _get_self(self, _request: Request) -> Response:
        """Return the id and files of this process, so that a demo recognizes its own orphan."""
        file = str(self._state_file.resolve()) if self._state_file else None
        return JSONResponse({"process": os.getpid(), "state": file})

    async def _get_journal(self, request: Request) -> Response:
        """Return the journal, newest last; `vendor` and `method` filter it."""
        wanted = dict(request.query_params)
        rows = [entry._asdict() for entry in list(self.journal)]
        return JSONResponse([row for row in rows if all(str(row.get(k)) == v for k, v in wanted.items())])

    async def _get_state(self, _: Request) -> Response:
        world = self.world
        return JSONResponse(
            {
                "people": world.people,
                "seed": world.seed,
                "as_of": world.as_of.isoformat(),
                "requests": self._count,
                "mavera": self.mavera.summary(),
            }
        )

    async def _get_faults(self, _: Request) -> Response:
        return JSONResponse(self.faults.as_rows())

    async def _post_faults(self, request: Request) -> Response:
        try:
            fault = Fault(**await request.json())
        except (TypeError, ValueError) as error:
            return JSONResponse({"error": str(error)}, 400)
        self.faults.add(fault)
        return JSONResponse(self.faults.as_rows(), 201)

    async def _delete_faults(self, _: Request) -> Response:
        self.faults.clear()
        return JSONResponse([])


def _application(vendor: Vendor) -> Starlette:
    """Return the vendor's routes as an application whose failures use the vendor's own words."""

    async def refuse(request: Request, error: Exception) -> Response:
        return vendor.error(error.status_code if isinstance(error, HTTPException) else 500, request)

    application = Starlette(routes=list(vendor.routes), exception_handlers={HTTPException: refuse})
    application.router.redirect_slashes = False
    return application


def _used_up(vendor: Vendor, request: Request) -> list[Standing]:
    """Return the limits during a storm of 429s: open again in a second, so that waiting is cheap."""
    return [Standing(limit, 0, time.time() + 1) for limit in vendor.limits(request)]


async def _capture(
    answer: ASGIApp, scope: Scope, body: bytes
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Run `answer` on the request, whose body was already read; return status, headers and the whole body."""
    started: list[Message] = []
    content = bytearray()

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def keep(message: Message) -> None:
        if message["type"] == "http.response.start":
            started.append(message)
        else:
            content.extend(message.get("body", b""))

    await answer(scope, receive, keep)
    return started[0]["status"], started[0]["headers"], bytes(content)


async def _send(
    send: Send, status: int, headers: list[tuple[bytes, bytes]], content: bytes, fault: str | None
) -> None:
    left_out = {b"content-length", *(TELL_WHEN if fault == "429-untimed" else ())}
    kept = [(name, value) for name, value in headers if name.lower() not in left_out]
    kept += [(b"content-encoding", b"gzip")] if fault == "broken-gzip" else []
    length = (b"content-length", str(len(content)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*kept, length]})
    if fault == "cut-body":
        await send({"type": "http.response.body", "body": content[: len(content) // 2], "more_body": True})
        return
    if fault == "slow-body":
        step = max(1, len(content) // 10)
        for start in range(0, len(content), step):
            await asyncio.sleep(SLOW_BODY_SECONDS / 10)
            part = content[start : start + step]
            await send({"type": "http.response.body", "body": part, "more_body": True})
        content = b""
    await send({"type": "http.response.body", "body": content})


async def _hang(receive: Receive) -> None:
    """Wait until the client gives up."""
    try:
        await asyncio.wait_for(_gone(receive), HANG_SECONDS)
    except TimeoutError:
        return


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cut(receive: Receive) -> None:
    """Drop the connection at once. ASGI has no message for it: use uvicorn's transport."""
    receive.__self__.transport.abort()  # type: ignore[attr-defined]
    await _gone(receive)  # returning sooner would look like an application that forgot to answer


# --- running it --------------------------------------------------------------------------------------


class PortTaken(OSError):
    """Something else listens there; the text says what to do."""


def listen(port: int) -> socket.socket:
    """Return a listening socket on loopback; port 0 chooses a free one. Raises PortTaken."""
    # asyncio sends at once (TCP_NODELAY) only if the socket names TCP: otherwise each answer takes 40 ms.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
    except OSError:
        listening.close()
        raise PortTaken(
            f"port {port} is in use. Take another: make PORT={port + 1} with the same target"
        ) from None
    listening.listen(128)
    return listening


def inherited(number: int) -> socket.socket:
    """Return the listening socket that the parent process has opened."""
    return socket.socket(fileno=number)


class Server(uvicorn.Server):
    """A server that stops at once if no request is under way: uvicorn takes up to two tenths of a second."""

    _woken: Callable[[], object] | None = None

    async def main_loop(self) -> None:
        stopped = asyncio.Event()
        self._woken = partial(asyncio.get_running_loop().call_soon_threadsafe, stopped.set)
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), TICK_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.server_state.tasks:
            await super().shutdown(sockets)
            return
        for served in self.servers:
            served.close()
        for listening in sockets or []:
            listening.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()

    def stop(self) -> None:
        """Stop serving; called from another thread."""
        self.should_exit = True
        if self._woken:
            with suppress(RuntimeError):  # it has stopped already
                self._woken()


def server(sandbox: Sandbox) -> Server:
    return Server(
        uvicorn.Config(
            sandbox,
            http="h11",
            lifespan="off",
            access_log=False,
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=1,
        )
    )


@contextmanager
def running(world: World, **options: Any) -> Iterator[str]:
    """Serve `world` from a thread of this process during the block; yield the URL of its root."""
    with serving(Sandbox(world, **options)) as url:
        yield url


@contextmanager
def serving(sandbox: Sandbox, port: int = 0) -> Iterator[str]:
    """Serve a sandbox that the caller keeps for inspection; port 0 chooses a free one."""
    with listen(port) as listening:
        served = server(sandbox)
        thread = threading.Thread(target=served.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            served.stop()
            thread.join()
