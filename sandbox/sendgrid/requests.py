"""How SendGrid reads a request, and how it writes rows, pages and refusals."""

import base64
import binascii
from collections.abc import Callable
from datetime import date, datetime
from typing import Any, Final, NamedTuple

import orjson
from starlette.requests import Request
from starlette.responses import Response

from sandbox.world import World

Handler = Callable[[Request], Any]
Served = tuple[str, Handler]  # a path and its handler


MOST_IDS: Final = 25
LAST_SECOND: Final = 2**33
STORAGE: Final = "/storage/exports"  # a separate host at the vendor, which knows no key


class Refusal(Exception):
    """An answer other than 200: status, the parameter at fault, and the reason."""

    def __init__(self, status: int, field: str | None = None, message: str = "") -> None:
        super().__init__(message)
        self.status, self.field, self.message = status, field, message


class Page(NamedTuple):
    """The requested rows of a listing, and the served ones, which a fault may shift.

    Only listings with tokens have it: for the account's statistics an empty page would be the documented end.
    """

    start: int
    size: int
    served_from: int
    served: int


def rows_of(world: World, query: str, params: Any) -> list[dict[str, Any]]:
    """Run a query; JSON becomes objects, times get the vendor's format."""
    with world.cursor() as cursor:
        cursor.execute(query, params)
        columns = [(column[0], str(column[1])) for column in cursor.description or []]
        return [
            {name: _plain(value, kind) for (name, kind), value in zip(columns, row, strict=True)}
            for row in cursor.fetchall()
        ]


def _plain(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "JSON":
        return orjson.loads(value)
    return f"{value:%Y-%m-%dT%H:%M:%SZ}" if kind.startswith("TIMESTAMP") else value


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, "application/json")


def errors_response(
    status: int, field: str | None, message: str, headers: dict[str, str] | None = None
) -> Response:
    return json_response({"errors": [{"field": field, "message": message}]}, status, headers)


def usual_errors(status: int, headers: dict[str, str] | None = None) -> Response:
    """Return a refusal or failure in the vendor's usual words for its status."""
    said = {
        404: "resource not found",
        405: "method not allowed",
        429: "too many requests",
        500: "unable to get stats",
    }
    return errors_response(status, None, said.get(status, "service unavailable"), headers)


def key_of(request: Request) -> str:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key if scheme == "Bearer" else ""


def is_storage(request: Request) -> bool:
    return str(request.scope["state"]["path"]).startswith(STORAGE)


def refused_by_storage(status: int) -> Response:
    code = {400: "InvalidArgument", 403: "SignatureDoesNotMatch"}[status]
    return Response(f"<Error><Code>{code}</Code></Error>", status, media_type="application/xml")


def time_text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def wrong(parameter: str, message: str) -> Refusal:
    return Refusal(400, parameter, f"{parameter}: {message}")


def names_in(text: str | None) -> list[str]:
    return [name for name in (text or "").split(",") if name]


def whole_number(request: Request, name: str, usual: int, least: int, most: int) -> int:
    text = request.query_params.get(name, str(usual))
    if not text.isdecimal() or not least <= int(text) <= most:
        raise wrong(name, f"must be between {least} and {most}")
    return int(text)


def grouping_of(request: Request, breakdowns: set[str]) -> tuple[list[str], bool]:
    """Return the grouping of marketing stats, and whether they are also by day."""
    query = request.query_params
    by, aggregation = names_in(query.get("group_by")), query.get("aggregated_by", "total")
    if not breakdowns.issuperset(by):
        raise wrong("group_by", f"must be among {', '.join(sorted(breakdowns))}")
    if aggregation not in ("total", "day"):
        raise wrong("aggregated_by", "must be total or day")
    if query.get("timezone", "UTC") != "UTC":
        raise wrong("timezone", "must be UTC: the sandbox keeps its days in no other")
    return by, aggregation == "day"


def day_of(request: Request, name: str, usual: date) -> date:
    try:
        return date.fromisoformat(request.query_params.get(name, usual.isoformat()))
    except ValueError:
        raise wrong(name, "must be YYYY-MM-DD") from None


def page_of(request: Request, usual: int, most: int) -> Page:
    """Read page_size and page_token. The token is opaque to a client: the number of a row."""
    size = whole_number(request, "page_size", usual, 1, most)
    token = request.query_params.get("page_token")
    try:
        start = int(base64.urlsafe_b64decode(token).removeprefix(b"row:")) if token else 0
    except (binascii.Error, ValueError):
        raise wrong("page_token", "invalid") from None
    match request.state.page_fault:
        case "empty":
            return Page(start, size, start, 0)
        case "repeat":
            return Page(start, size, max(0, start - size), size)
    return Page(start, size, moved_start(request, start), size)


def moved_start(request: Request, start: int) -> int:
    """Return the start of a page after a row was added or deleted before it since the list was begun."""
    return start + {"skip": 1, "again": -1}.get(request.state.page_fault, 0) if start else 0


def results_of(request: Request, page: Page, rows: list[dict[str, Any]]) -> dict[str, Any]:
    served = rows[page.served_from : page.served_from + page.served]
    return {"results": served, "_metadata": metadata_of(request, page, len(rows))}


def metadata_of(request: Request, page: Page, count: int) -> dict[str, Any]:
    def link(row: int) -> str:
        token = base64.urlsafe_b64encode(b"row:%d" % row).decode()
        return str(request.url.include_query_params(page_token=token, page_size=page.size))

    links: dict[str, Any] = {"self": link(page.start), "count": count}
    if page.start > 0:
        links["prev"] = link(max(0, page.start - page.size))
    if page.start + page.size < count:
        links["next"] = link(page.start + page.size)
    return links
