"""Reading of requests, refusals, paging of lists, ids and times in Mavera's style."""

import secrets
import string
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

Row = dict[str, Any]
Handler = Callable[[Request], Awaitable[Response]]


class Served(NamedTuple):
    """The handler of a path; `below` is the beginning of the path."""

    method: str
    path: str
    handler: Handler
    below: str = "/api/v1"


# Type, code and usual message. The types of 400, 401, 402 and 429 are documented, and every code except that
# of 405; the rest follows their style.
ERRORS: Final[Mapping[int, tuple[str, str, str]]] = {
    400: ("invalid_request_error", "invalid_field", "The request could not be read."),
    401: ("authentication_error", "invalid_api_key", "This API key is not valid."),
    402: ("insufficient_credits", "credits_exhausted", "The plan's credits are used up."),
    403: ("permission_error", "forbidden", "This is not allowed."),
    404: ("not_found_error", "resource_not_found", "There is no such resource."),
    405: ("invalid_request_error", "method_not_allowed", "The resource does not support this method."),
    429: ("rate_limit_error", "rate_limit_exceeded", "Too many requests."),
    500: ("api_error", "internal_error", "Something went wrong at Mavera."),
    502: ("api_error", "bad_gateway", "The service did not answer."),
    503: ("api_error", "service_unavailable", "The service is not available right now."),
}


class Refusal(Exception):
    """A request answered with an error in Mavera's envelope; missing parts follow from its status."""

    def __init__(
        self,
        status: int,
        code: str | None = None,
        message: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        kind, usual_code, usual_message = ERRORS[status]
        message = message or usual_message
        super().__init__(message)
        error = {"message": message, "type": kind, "code": code or usual_code, "param": param}
        self.response = JSONResponse({"error": error}, status, headers=headers)


def missing(field: str) -> Refusal:
    return Refusal(400, "missing_field", f"{field} is required.", field)


def invalid(field: str, reason: str) -> Refusal:
    return Refusal(400, "invalid_field", f"{field} {reason}.", field)


def names(text: str) -> frozenset[str]:
    return frozenset(text.split())


async def body_of(request: Request) -> Row:
    """Return the request's JSON object; raises Refusal for anything else."""
    try:
        body = await request.json()
    except ValueError:
        raise Refusal(400, message="The body is not JSON.") from None
    if not isinstance(body, dict):
        raise Refusal(400, message="The body is not a JSON object.")
    return body


def whole_number(request: Request, name: str, default: int, lowest: int, highest: int | None = None) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdecimal() or int(text) < lowest or (highest is not None and int(text) > highest):
        raise invalid(name, f"must be a whole number from {lowest}" + (f" to {highest}" if highest else ""))
    return int(text)


def page_by_cursor(request: Request, rows: Sequence[Row]) -> Row:
    """Return a page of `rows`; its cursor names its last row, so later rows shift nothing."""
    limit = whole_number(request, "limit", default=50, lowest=1, highest=100)
    start = 0
    if cursor := request.query_params.get("cursor"):
        cursors = [cursor_after(row) for row in rows]
        if cursor not in cursors:
            raise invalid("cursor", "is not one that Mavera gave")
        start = cursors.index(cursor) + 1
    page = rows[start : start + limit]
    has_more = start + limit < len(rows)
    next_cursor = cursor_after(page[-1]) if has_more else None
    return {"object": "list", "data": page, "has_more": has_more, "next_cursor": next_cursor}


def page_by_offset(request: Request, rows: Sequence[Row]) -> Row:
    """Return a page of `rows` in the other of the two documented styles."""
    limit = whole_number(request, "limit", default=20, lowest=1, highest=100)
    offset = whole_number(request, "offset", default=0, lowest=0)
    page, total = rows[offset : offset + limit], len(rows)
    standing = {"total": total, "limit": limit, "offset": offset, "has_more": offset + len(page) < total}
    return {"object": "list", "data": page, **standing}


def cursor_after(row: Row) -> str:
    return urlsafe_b64encode(row["id"].encode()).decode()


def iso(moment: datetime) -> str:
    """Return UTC in ISO 8601, to the millisecond; such texts sort in the order of time."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def made_at(body: Row) -> datetime:
    """Return when an object was made: personas have Unix seconds."""
    made = body["created_at"]
    return datetime.fromtimestamp(made, UTC) if isinstance(made, int) else datetime.fromisoformat(made)


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


def new_cuid(now: datetime) -> str:
    """Return 25 characters, `cl` and the time in base 36 first: the form of the vendor's persona ids."""
    digits = string.digits + string.ascii_lowercase
    milliseconds, clock = int(now.timestamp() * 1000), ""
    while milliseconds:
        milliseconds, digit = divmod(milliseconds, len(digits))
        clock = digits[digit] + clock
    return f"cl{clock}" + "".join(secrets.choice(digits) for _ in range(23 - len(clock)))
