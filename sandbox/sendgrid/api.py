"""SendGrid's v3 API, as the server mounts it."""

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.sendgrid import KEY, NARROW_KEY, WRITING_KEY
from sandbox.sendgrid.contacts import EXPORTS, Contacts
from sandbox.sendgrid.requests import (
    STORAGE,
    Handler,
    Refusal,
    Served,
    errors_response,
    is_storage,
    json_response,
    key_of,
    refused_by_storage,
    usual_errors,
)
from sandbox.sendgrid.sends import Automations, Sends
from sandbox.sendgrid.statistics import Statistics
from sandbox.sendgrid.sums import SUMS
from sandbox.sendgrid.suppressions import Suppressions
from sandbox.vendor import Limit, Standing
from sandbox.world import World

SCOPES: Final = [
    *("marketing.read", "stats.read", "stats.global.read", "browsers.stats.read", "clients.stats.read"),
    *("devices.stats.read", "geo.stats.read", "mailbox_providers.stats.read", "tracking_settings.read"),
    *("suppression.read", "asm.groups.read"),
]
RIGHTS: Final = {
    KEY: SCOPES,
    NARROW_KEY: [scope for scope in SCOPES if "stats" not in scope],
    WRITING_KEY: ["mail.send", "marketing.update", *SCOPES],
}
# The scope that a path needs, by its prefix.
NEEDED: Final = {
    "/v3/marketing/": "marketing.read",
    "/v3/suppression/": "suppression.read",
    "/v3/asm/": "asm.groups.read",
    "/v3/stats": "stats.read",
    **{
        f"/v3/{kind}/": "stats.read"
        for kind in ("devices", "clients", "browsers", "geo", "mailbox_providers")
    },
}
LIMIT: Final = Limit("account", 600, 60)


class SendGrid:
    """The parts of SendGrid that an analytics ingest reads."""

    name = "sendgrid"

    def __init__(self, world: World) -> None:
        world.sql(SUMS)
        contacts = Contacts(world)
        settings: Sequence[Served] = [
            ("/v3/scopes", lambda request: {"scopes": RIGHTS[key_of(request)]}),
            ("/v3/tracking_settings/open", lambda _: {"enabled": True}),
            ("/v3/tracking_settings/click", lambda _: {"enable_text": False, "enabled": True}),
        ]
        kinds = (Sends(world), Automations(world), Suppressions(world), Statistics(world), contacts)
        served = [*settings, *(one for kind in kinds for one in kind.routes)]
        self.routes: Sequence[Route] = [
            *(self._route(path, handler) for path, handler in served),
            Route(EXPORTS, contacts.begin_export, methods=["POST"]),
            Route(STORAGE + "/{id}/{number:int}/{name}", contacts.get_file),
        ]

    def _route(self, path: str, handler: Handler) -> Route:
        def answer(request: Request) -> Response:
            try:
                return json_response(handler(request))
            except Refusal as refusal:
                if not refusal.message:
                    return usual_errors(refusal.status)
                return errors_response(refusal.status, refusal.field, refusal.message)

        return Route(path, answer)

    def authorize(self, request: Request) -> Response | None:
        if is_storage(request):
            # The signature in the link is the permission; storage refuses a request with two permissions.
            return refused_by_storage(400) if "authorization" in request.headers else None
        key = key_of(request)
        if key not in RIGHTS:
            return errors_response(401, None, "authorization required")
        path = str(request.scope["state"]["path"])
        needed = next((scope for start, scope in NEEDED.items() if path.startswith(start)), None)
        if needed and needed not in RIGHTS[key]:
            return errors_response(403, None, "access forbidden")
        return None

    def limits(self, request: Request) -> Sequence[Limit]:
        # Exports are limited to one at a time, which no header shows; storage has no limit.
        is_export = request.method == "POST" and request.url.path.endswith(EXPORTS)
        return [] if is_export or is_storage(request) else [LIMIT]

    def limit_headers(self, standing: Sequence[Standing]) -> dict[str, str]:
        return {
            name: str(value)
            for limit, remaining, reset in standing
            for name, value in {
                "X-RateLimit-Limit": limit.count,
                "X-RateLimit-Remaining": remaining,
                "X-RateLimit-Reset": int(reset),
            }.items()
        }

    def error(self, status: int, request: Request, standing: Sequence[Standing] = ()) -> Response:  # noqa: ARG002
        return usual_errors(status, self.limit_headers(standing))
