"""Reading of requests, refusals and paging of the catalog in Wistia's style."""

import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

Row = dict[str, Any]
Handler = Callable[[Request], Response]
Track = tuple[str, str]  # the beginning and the end of a path
V1: Final[Sequence[Track]] = (("/v1", ".json"), ("/v1", ""))
MODERN: Final[Sequence[Track]] = (("/modern", ""),)
RELEASES: Final = ("2026-01", "2026-03", "2026-05")  # of the modern track, one month each

MOST_ROWS: Final = 100  # a larger page is silently cut to this
USUAL_ROWS: Final = 10  # the old documented default: a client that sends no size must not expect more


class Served(NamedTuple):
    """The handler of a path, and its tracks."""

    path: str
    handler: Handler
    tracks: Sequence[Track] = (*V1, *MODERN)


class Refusal(Exception):
    """A request answered with `status` and a line of text, or without a body if there is none."""

    def __init__(self, status: int, text: str | None = None) -> None:
        super().__init__(text)
        self.response = JSONResponse({"error": text}, status) if text else Response(status_code=status)


def is_modern(request: Request) -> bool:
    return "/modern/" in request.scope["path"]


def release_of(request: Request) -> str:
    """Return the release of the modern track that answers: the newest not after the requested month.

    Raises Refusal (400) for an invalid month, or one before all releases.
    """
    asked = request.headers.get("x-wistia-api-version", RELEASES[-1])
    released = [release for release in RELEASES if release <= asked]
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", asked) or not released:
        raise Refusal(400, f"X-Wistia-API-Version must be a month like {RELEASES[-1]}, from {RELEASES[0]} on")
    return released[-1]


def listing(
    request: Request,
    rows: Sequence[Row],
    sorts: Mapping[str, str],
    usual: str,
    describe: Callable[[Row, Request], Row],
) -> Response:
    """Return the requested page of a catalog: by number, or after a cursor if one is given."""
    asked = request.query_params
    column = sorts.get(asked["sort_by"]) if "sort_by" in asked else usual
    if column is None:
        raise Refusal(400, f"sort_by must be one of {', '.join(sorts)}")
    rows = sorted(rows, key=lambda row: row[column], reverse=asked.get("sort_direction") == "0")
    start, count = page_of(request)
    after = asked.get("cursor[after]")
    has_cursor = after is not None or asked.get("cursor[enabled]") == "1"
    if after is not None:
        cursors = [cursor_of(row) for row in rows]
        if after not in cursors:
            raise Refusal(400, "The cursor is not valid.")
        start = cursors.index(after) + 1
    return JSONResponse(
        [
            describe(row, request) | ({"cursor": cursor_of(row)} if has_cursor else {})
            for row in rows[start : start + count]
        ]
    )


def unauthorized(code: str, text: str) -> Response:
    return JSONResponse({"code": code, "error": text}, 401)


def page_of(request: Request) -> tuple[int, int]:
    """Return the start and maximum size of the requested page; a page fault moves or empties it."""
    page, count = whole_number(request, "page", 1), whole_number(request, "per_page", USUAL_ROWS)
    count = min(count, MOST_ROWS)
    match request.state.page_fault:
        case "empty":
            return (page - 1) * count, 0
        case "repeat":
            page = max(1, page - 1)
        case "again" | "skip" as moved if page > 1:
            return (page - 1) * count + (1 if moved == "skip" else -1), count
    return (page - 1) * count, count


def whole_number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise Refusal(400, f"{name} must be a whole number above 0")
    return int(text)


def day_of(request: Request, name: str) -> date | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise Refusal(422, f"{name} must be a date like 2026-01-31") from None


def cursor_of(row: Row) -> str:
    return urlsafe_b64encode(row["hashed_id"].encode()).decode()
