"""The interface of a vendor to the server: each of the four implements it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


@dataclass(frozen=True)
class Limit:
    """At most `count` requests to `bucket` in `seconds`; a sliding window if the vendor uses one."""

    bucket: str
    count: int
    seconds: int
    sliding: bool = False


class Standing(NamedTuple):
    """The state of a limit after a request: what is left, and the Unix second at which its window ends."""

    limit: Limit
    remaining: int
    reset: float


class Vendor(Protocol):
    """One vendor's API. The server does the rest: journal, latency, faults and the counting of limits."""

    @property
    def name(self) -> str:
        """The prefix it is mounted under: sendgrid, wistia, klaviyo or mavera."""

    @property
    def routes(self) -> Sequence[Route]:
        """Its endpoints, below the prefix."""

    def authorize(self, request: Request) -> Response | None:
        """Return the vendor's refusal of this request's key, or None."""

    def limits(self, request: Request) -> Sequence[Limit]:
        """Return every limit that this request counts against."""

    def limit_headers(self, standing: Sequence[Standing]) -> dict[str, str]:
        """Return the headers in which the vendor reports its limits."""

    def error(self, status: int, request: Request, standing: Sequence[Standing] = ()) -> Response:
        """Return the vendor's own body and headers for a refusal or failure with this status."""
