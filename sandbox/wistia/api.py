"""Wistia below /v1 and /modern, as the server mounts it."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sandbox import wistia
from sandbox.vendor import Limit, Standing
from sandbox.wistia.catalogue import Catalogue
from sandbox.wistia.players import Players
from sandbox.wistia.requests import MODERN, Refusal, Served, release_of, unauthorized
from sandbox.wistia.statistics import Statistics
from sandbox.wistia.viewers import Viewers
from sandbox.world import World

REQUESTS_A_MINUTE: Final = 600
RETRY_AFTER_SECONDS: Final = 10


class Wistia:
    """The API below /v1 and /modern."""

    name = "wistia"

    def __init__(self, world: World) -> None:
        catalogue = Catalogue(world)
        resources = (catalogue, Players(world, catalogue), Statistics(world, catalogue), Viewers(world))
        served = [one for resource in resources for one in resource.routes]
        served.append(Served("/token", self._token, MODERN))
        self.routes: Sequence[Route] = [route for one in served for route in self._route(one)]

    def _route(self, served: Served) -> list[Route]:
        def answer(request: Request) -> Response:
            try:
                release_of(request)
                return served.handler(request)
            except Refusal as refusal:
                return refusal.response

        return [Route(f"{start}{served.path}{end}", answer) for start, end in served.tracks]

    def authorize(self, request: Request) -> Response | None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if {"access_token", "api_password"} & request.query_params.keys():
            return unauthorized("unauthorized_params", "A token in the address is no longer accepted.")
        if scheme.lower() != "bearer" or key not in {wistia.KEY, wistia.INACTIVE_KEY, wistia.NARROW_KEY}:
            return unauthorized("unauthorized_credentials", "Invalid credentials.")
        if key == wistia.INACTIVE_KEY:
            return unauthorized("account_inactive", "The account is not active.")
        if key == wistia.NARROW_KEY and "/stats" in request.scope["path"]:
            return unauthorized("unauthorized_scope", "The token may not read detailed stats.")
        return None

    def limits(self, request: Request) -> Sequence[Limit]:  # noqa: ARG002
        return [Limit("account", REQUESTS_A_MINUTE, 60)]

    def limit_headers(self, standing: Sequence[Standing]) -> dict[str, str]:  # noqa: ARG002
        return {}  # Wistia shows no limits until it refuses

    def error(self, status: int, request: Request, standing: Sequence[Standing] = ()) -> Response:  # noqa: ARG002
        if status == 429:
            now = datetime.now(UTC).timestamp()
            seconds = max((math.ceil(reset - now) for _, _, reset in standing), default=RETRY_AFTER_SECONDS)
            headers = {"Retry-After": str(max(1, seconds))}
            return PlainTextResponse("Too many requests", status, headers=headers)
        texts = {500: "Internal server error", 503: "Service unavailable"}
        return Refusal(status, texts.get(status)).response

    def _token(self, request: Request) -> Response:  # noqa: ARG002
        scopes = ["all_folders_and_medias:read", "detailed_stats:read"]
        return JSONResponse(
            {
                "type": "permanent",
                "application": None,
                "scopes": scopes,
                "name": "Sandbox",
                "expires_at": None,
            }
        )
