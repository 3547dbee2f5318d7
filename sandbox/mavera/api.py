"""The Mavera API below /api/v1, as the server mounts it."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox import mavera
from sandbox.mavera.account import Account
from sandbox.mavera.chat import Chat
from sandbox.mavera.files import Files, is_storage, refused_by_storage
from sandbox.mavera.generations import Generations
from sandbox.mavera.manners import shown
from sandbox.mavera.personas import Personas
from sandbox.mavera.requests import Refusal, Served
from sandbox.mavera.studies import Studies
from sandbox.mavera.voices import Voices
from sandbox.mavera.workspaces import Workspaces
from sandbox.vendor import Limit, Standing

RETRY_AFTER_SECONDS: Final = 30  # the wait in the vendor's own sample when the header is missing


class Mavera(Account):
    """The Mavera API below /api/v1, over one account."""

    name = "mavera"

    def __init__(self, state: Path | None = None, strict: bool = True, balance: int | None = None) -> None:
        super().__init__(state, strict, balance)
        files = Files(self)
        resources = (
            *(Workspaces(self), Personas(self), Studies(self), files),
            *(Voices(self, files), Generations(self), Chat(self)),
        )
        self.routes: Sequence[Route] = [
            self._route(served) for resource in resources for served in resource.routes
        ]

    def _route(self, served: Served) -> Route:
        method, path, handler, below = served

        async def answer(request: Request) -> Response:
            try:
                response = await handler(request)
            except Refusal as refusal:
                return refusal.response
            if self.manners and isinstance(response, JSONResponse):
                path = request.url.path.partition(below)[2] if below else request.url.path
                content = shown(self.manners, method, path, bytes(response.body))
                kind = "text/html" if content.startswith(b"<") else "application/json"
                return Response(content, response.status_code, media_type=kind)
            return response

        return Route(f"{below}{path}", answer, methods=[method])

    def authorize(self, request: Request) -> Response | None:
        if is_storage(request):
            # The signature in the link is the permission; storage refuses a request with two permissions.
            return refused_by_storage(400) if "authorization" in request.headers else None
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            return Refusal(401, "missing_api_key", "Send the header Authorization: Bearer <key>.").response
        if key == mavera.REVOKED_KEY:
            return Refusal(401, "revoked_api_key", "This API key was revoked.").response
        if key == mavera.EXPIRED_KEY:
            return Refusal(401, "expired_api_key", "This API key has expired.").response
        return None if key == mavera.KEY else Refusal(401).response

    def limits(self, request: Request) -> Sequence[Limit]:
        return [] if is_storage(request) else [Limit("key", self.plan.requests, 60, sliding=True)]

    def limit_headers(self, standing: Sequence[Standing]) -> dict[str, str]:
        headers = {}
        for limit, remaining, reset in standing:
            headers["X-RateLimit-Limit"] = str(limit.count)
            headers["X-RateLimit-Remaining"] = str(remaining)
            headers["X-RateLimit-Reset"] = str(math.ceil(reset))
        return headers

    def error(self, status: int, request: Request, standing: Sequence[Standing] = ()) -> Response:  # noqa: ARG002
        headers = self.limit_headers(standing)
        if status == 429:
            now = self.now().timestamp()
            seconds = [max(1, math.ceil(reset - now)) for _, _, reset in standing]
            headers["Retry-After"] = str(max(seconds, default=RETRY_AFTER_SECONDS))
        return Refusal(status, headers=headers).response
