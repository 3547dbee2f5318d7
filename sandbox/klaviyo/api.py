"""Klaviyo below /api in JSON:API, as the server mounts it.

One handler answers every endpoint of endpoints.py, another every report of reports.py. DuckDB writes the JSON
text of a page's rows, which it finds by position: a page costs the same at any depth.
"""

import math
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from itertools import accumulate
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Match, Route

from sandbox.klaviyo import KEY, NARROW_KEY
from sandbox.klaviyo.endpoints import ENDPOINTS, TIERS, Endpoint, Paging
from sandbox.klaviyo.filters import COMPARISONS, Filter
from sandbox.klaviyo.kinds import KINDS, SQL, Fields, Kind, Relation
from sandbox.klaviyo.reports import REPORTS, Report
from sandbox.klaviyo.requests import HEADERS, MEDIA_TYPE, Refusal, bad_filter, conditions_of, value_of
from sandbox.vendor import Limit, Standing
from sandbox.world import World

# A world may be in the past; its API is never older than the contract it was written from.
CONTRACT_DATE: Final = date(2026, 11, 21)
OLDEST_REVISION: Final = date(2024, 10, 15)  # of the quarterly ones
REVISION_YEARS: Final = 2  # one stable, one deprecated
SETTLED: Final = timedelta(seconds=5)  # how far in the past a lower bound must be

GATEWAY_ERRORS: Final = {502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}
SCOPES: Final = {
    KEY: {scope for endpoint in (*ENDPOINTS, *REPORTS) for scope in endpoint.scopes.split()},
    NARROW_KEY: {"accounts:read", "metrics:read", "segments:read", "lists:read", "campaigns:read"},
}


class Cursor(NamedTuple):
    """A page starts after the row at position `after`; the page before it started after `before`."""

    before: int | None = None
    after: int | None = None

    def as_text(self, listing: str) -> str:
        places = ("" if place is None else str(place) for place in self)
        return urlsafe_b64encode("::".join(["next", listing, *places]).encode()).decode()

    @classmethod
    def parse(cls, text: str, listing: str) -> "Cursor":
        """Read a cursor; the official client sends the whole link over http, a leading `=` over https.

        Raises Refusal for a cursor that belongs to another listing.
        """
        if text.startswith("http"):
            text = parse_qs(urlsplit(text).query).get("page[cursor]", [""])[0]
        try:
            _, given_for, before, after = urlsafe_b64decode(text.lstrip("=")).decode().split("::")
            cursor = cls(*(int(place) if place else None for place in (before, after)))
        except ValueError:
            given_for = ""
        if given_for != listing:
            raise Refusal(400, "Invalid cursor provided.", "page[cursor]")
        return cursor


@dataclass(frozen=True)
class Query:
    """A request's parameters, validated and converted to SQL; `listing` identifies the list."""

    fields: Mapping[str, Fields]
    include: Sequence[str]
    conditions: Sequence[SQL]
    values: Mapping[str, Any]
    sort: SQL
    is_descending: bool
    size: int
    cursor: Cursor
    listing: str

    @property
    def order(self) -> SQL:
        direction = "desc" if self.is_descending else "asc"
        return ", ".join(f"{term} {direction}" for term in dict.fromkeys([self.sort, "position"]))


class Klaviyo:
    """The parts of Klaviyo that an analytics ingest reads, below /api."""

    name = "klaviyo"

    def __init__(self, world: World) -> None:
        self._world = world
        # A run may be at any time of the world's last day.
        self._now = datetime.combine(world.as_of + timedelta(days=1), datetime.min.time(), UTC)
        self._endpoints = [
            (Route(f"/api/{endpoint.path}{slash}", self._handler(endpoint), methods=["GET"]), endpoint)
            for endpoint in ENDPOINTS
            for slash in ("", "/")
        ]
        self._reports = [
            (Route(f"/api/{report.path}{slash}", self._reporter(report), methods=["POST"]), report)
            for report in REPORTS
            for slash in ("", "/")
        ]
        self.routes: Sequence[Route] = [route for route, _ in [*self._endpoints, *self._reports]]

    def authorize(self, request: Request) -> Response | None:
        """Return the refusal for a missing or unknown key."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme != "Klaviyo-API-Key" or not key:
            detail = "Missing or invalid authorization scheme. Please use Klaviyo-API-Key."
            return Refusal(401, detail, code="not_authenticated").response
        return None if key in SCOPES else Refusal(401).response

    def limits(self, request: Request) -> Sequence[Limit]:
        for route, endpoint in self._endpoints:
            if route.matches(request.scope)[0] == Match.FULL:
                names = ("include", f"additional-fields[{endpoint.kind.name}]")
                asked = {value for name in names for value in values_of(request, name)}
                dear = next((value for value in endpoint.dear if value in asked), "")
                burst, steady = TIERS[endpoint.dear.get(dear, endpoint.tier)]
                bucket = f"{endpoint.path} {dear}"
                return [Limit(bucket, burst, 1), Limit(bucket, steady, 60)]
        for route, report in self._reports:
            if route.matches(request.scope)[0] == Match.FULL:
                return [Limit(report.path, count, seconds) for count, seconds in report.limits]
        return []

    def limit_headers(self, standing: Sequence[Standing]) -> dict[str, str]:
        if not standing:
            return {}
        tightest = min(standing, key=lambda window: window.remaining)
        policy = [f"{limit.count};w={limit.seconds}" for limit, _, _ in standing]
        return {
            "RateLimit-Limit": ", ".join([str(tightest.limit.count), *policy]),
            "RateLimit-Remaining": str(tightest.remaining),
            "RateLimit-Reset": str(seconds_until(tightest.reset)),
        }

    def error(self, status: int, request: Request, standing: Sequence[Standing] = ()) -> Response:  # noqa: ARG002
        if status in GATEWAY_ERRORS:
            page = f"<html><body><h1>{status} {GATEWAY_ERRORS[status]}</h1></body></html>"
            return HTMLResponse(page, status, HEADERS)
        if status != 429:
            return Refusal(status).response
        # A window that ends within the second has 0 seconds left: a waiting client must wait it out.
        wait = 1 + max((seconds_until(reset) for _, remaining, reset in standing if not remaining), default=0)
        detail = f"Request was throttled. Expected available in {wait} second{'s' if wait > 1 else ''}."
        response = Refusal(429, detail).response
        response.headers["Retry-After"] = str(wait)
        return response

    def _handler(self, endpoint: Endpoint) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            revision = None
            try:
                revision = revision_of(request, max(self._world.as_of, CONTRACT_DATE))
                require_scopes(request, endpoint)
                document = self._document(endpoint, request, self._query(endpoint, request, revision))
                response = Response(document, 200, HEADERS, MEDIA_TYPE)
            except Refusal as refusal:
                response = refusal.response
            if revision:
                response.headers["X-Klaviyo-API-Revision"] = revision.isoformat()
            return response

        return answer

    def _reporter(self, report: Report) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            content = await request.body()
            revision = None
            try:
                revision = revision_of(request, max(self._world.as_of, CONTRACT_DATE))
                require_scopes(request, report)
                require_parameters(request, report.takes, "endpoint")
                chosen(request, f"fields[{report.name}]", report.fields)
                asked = report.attributes_of(content)
                document = await run_in_threadpool(report.answer, self._world, asked, str(request.url))
                response = Response(document, 200, HEADERS, MEDIA_TYPE)
            except Refusal as refusal:
                response = refusal.response
            response.headers["Allow"] = "POST"
            if revision:
                response.headers["X-Klaviyo-API-Revision"] = revision.isoformat()
            return response

        return answer

    def _query(self, endpoint: Endpoint, request: Request, revision: date) -> Query:
        """Check all parameters. Raises Refusal for the first not accepted by this endpoint and revision."""
        params = request.query_params
        require_parameters(request, endpoint.takes(revision), "endpoint and revision")
        additional = chosen(request, f"additional-fields[{endpoint.kind.name}]", endpoint.additional)
        include = chosen(request, "include", endpoint.includes.split())
        sort = params.get("sort", "")
        if sort and sort.removeprefix("-") not in endpoint.sorts:
            raise Refusal(400, f"'{sort}' is not a valid sort value.", "sort")
        usual, most, _ = endpoint.paging or Paging(1000, 1000)  # all at once
        size = params.get("page[size]", str(usual))
        if not size.isdecimal() or not 1 <= int(size) <= most:
            raise Refusal(400, f"Page size must be an integer from 1 to {most}.", "page[size]")
        filter_text = params.get("filter", "")
        conditions, values = self._conditions(endpoint.filters, filter_text)
        world = self._world
        listed = (world.people, world.seed, world.as_of, request.url.path.rstrip("/"), sort, filter_text)
        listing = sha256(repr(listed).encode()).hexdigest()[:12]
        return Query(
            fields={
                kind.name: fields_of(kind, request, endpoint.additional, additional)
                for kind in endpoint.kinds
            },
            include=sorted(include),
            conditions=[endpoint.rows, *conditions],
            values={**values, **request.path_params, "base": base_of(request)},
            sort=endpoint.sorts[sort.removeprefix("-")] if sort else "position",
            is_descending=sort.startswith("-"),
            size=int(size),
            cursor=Cursor.parse(params["page[cursor]"], listing) if "page[cursor]" in params else Cursor(),
            listing=listing,
        )

    def _conditions(self, filters: Mapping[str, Filter], text: str) -> tuple[list[SQL], dict[str, Any]]:
        """Return a filter as SQL, with the values of its parameters. Raises Refusal."""
        conditions: list[SQL] = []
        values: dict[str, Any] = {}
        unused = dict(filters)
        for number, (operator, field_name, operand) in enumerate(conditions_of(text)):
            known = filters.get(field_name)
            if known is None or operator not in known.operators.split():
                raise bad_filter(f"'{operator}' is not allowed on '{field_name}'")
            value = value_of(operator, operand, known.form)
            is_lower_bound = isinstance(value, datetime) and operator.startswith("greater")
            if is_lower_bound and value > self._now - SETTLED:
                raise bad_filter(f"'{field_name}' must start in the past")
            if known.known and self._rows(
                f"select 1 from (select unnest($ids) as id) where id not in ({known.known})", {"ids": value}
            ):
                raise bad_filter(f"'{field_name}' names what does not exist")
            comparison = known.compared or COMPARISONS[operator]
            conditions.append(comparison.format(known.sql, f"$value_{number}"))
            values[f"value_{number}"] = value
            unused.pop(field_name, None)
        for field_name, known in unused.items():
            if known.is_required:
                raise bad_filter(f"a filter on '{field_name}' is required")
            conditions.append(known.otherwise)
        return conditions, values

    def _document(self, endpoint: Endpoint, request: Request, query: Query) -> str:
        parent = endpoint.parent
        if parent and not self._rows(f"select 1 from {parent.source} where {parent.key} = $id", query.values):
            raise Refusal(404, f"There is no {parent.name} with this id.")
        fault = getattr(request.state, "page_fault", None) if endpoint.paging else None
        start = query.cursor.before if fault == "repeat" else query.cursor.after
        positions = [] if fault == "empty" else self._positions(endpoint, query, start)
        page = positions[: query.size]
        rows, included = self._resources(endpoint, query, page)
        links = {"self": str(request.url)}
        if endpoint.shape == "one":
            if not rows:
                raise Refusal(404, f"There is no {endpoint.kind.name} with this id.")
            return json_text(rows[0], links, included)
        following = None
        if len(positions) > len(page) or fault == "empty":
            cursor = Cursor(start, page[-1] if page else start).as_text(query.listing)
            following = str(
                request.url.replace(query=urlencode({**request.query_params, "page[cursor]": cursor}))
            )
        return json_text(f"[{','.join(rows)}]", {**links, "next": following, "prev": None}, included)

    def _positions(self, endpoint: Endpoint, query: Query, start: int | None) -> list[int]:
        """Return the ordered positions of a page's rows, plus one more if there are more."""
        source = endpoint.kind.source
        conditions = list(query.conditions)
        if start is not None:
            beyond = "<" if query.is_descending else ">"
            last = f"select {query.sort} from {source} where {endpoint.rows} and position = $start"
            conditions.append(
                f"position {beyond} $start"
                if query.sort == "position"
                else f"({query.sort}, position) {beyond} (({last}), $start)"
            )
        found = self._rows(
            f"""
            select position from {source}
            where {" and ".join(conditions)} order by {query.order} limit {query.size + 1}
            """,
            {**query.values, "start": start},
        )
        return [position for (position,) in found]

    def _resources(
        self, endpoint: Endpoint, query: Query, positions: Sequence[int]
    ) -> tuple[list[str], list[str] | None]:
        """Return the rows at `positions` as JSON, and the objects included with them (None: none requested).

        Their range is selected as well, so that no other row is written as JSON only to be discarded.
        """
        kind = endpoint.kind
        relations = [kind.relations[name] for name in query.include]
        row = resource(kind, query) if endpoint.shape != "ids" else linkage(kind.name, kind.key)
        found = self._rows(
            f"""
            select {", ".join([f"to_json({row})", *(relation.ids or "[]" for relation in relations)])}
            from {kind.source} as entry
            where {endpoint.rows} and position between $first and $last
                and position in (select unnest($positions))
            order by {query.order}
            """,
            {
                **query.values,
                "positions": positions,
                "first": min(positions, default=0),
                "last": max(positions, default=0),
            },
        )
        included: list[str] = []
        for place, relation in enumerate(relations, start=1):
            target = KINDS[relation.kind]
            if ids := {id_ for row in found for id_ in row[place]}:
                texts = self._rows(
                    f"""
                    select to_json({resource(target, replace(query, include=()))})
                    from {target.source} as entry
                    where {target.key} in (select unnest($ids)) order by position
                    """,
                    {**query.values, "ids": list(ids)},
                )
                included += [text for (text,) in texts]
        return [row[0] for row in found], included if query.include else None

    def _rows(self, sql: SQL, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        used = {name: values[name] for name in re.findall(r"\$(\w+)", sql)}
        return self._world.cursor().execute(sql, used).fetchall()


# --- how a request is read ------------------------------------------------------------------------------


def revision_of(request: Request, today: date) -> date:
    """Return the revision that answers, by the vendor's rules for `today`. Raises Refusal."""
    text = request.headers.get("revision")
    if text is None:
        raise Refusal(400, "The header 'revision' is required.")
    try:
        asked = date.fromisoformat(text.removesuffix(".pre"))
    except ValueError:
        raise Refusal(400, "The header 'revision' must be a date, YYYY-MM-DD.") from None
    if asked > today:
        raise Refusal(400, f"Revision {asked} lies in the future.")
    years = range(OLDEST_REVISION.year, today.year + 1)
    quarters = [date(year, month, 15) for year in years for month in (1, 4, 7, 10)]
    released = [quarter for quarter in quarters if OLDEST_REVISION <= quarter <= today]
    oldest = next(one for one in released if one.replace(year=one.year + REVISION_YEARS) > today)
    revision = max((one for one in released if one <= asked), default=OLDEST_REVISION)
    if revision < oldest and request.headers.get("X-Klaviyo-Revision-Fall-Forward-Opt-Out") == "1":
        raise Refusal(410, f"Revision {asked} is retired; the oldest that answers is {oldest}.")
    return max(revision, oldest)


def require_scopes(request: Request, endpoint: Endpoint | Report) -> None:
    """Raise Refusal, which names the missing scopes of the key."""
    key = request.headers["authorization"].partition(" ")[2]
    if lacking := set(endpoint.scopes.split()) - SCOPES[key]:
        raise Refusal(403, f"The key lacks the scope {', '.join(sorted(lacking))}.")


def require_parameters(request: Request, taken: set[str], by: str) -> None:
    """Raise Refusal, which names the first parameter that is not accepted."""
    for name in sorted(request.query_params.keys() - taken):
        raise Refusal(400, f"'{name}' is not a parameter of this {by}.", name)


def values_of(request: Request, name: str) -> list[str]:
    return [value for value in request.query_params.get(name, "").split(",") if value]


def chosen(request: Request, name: str, allowed: Iterable[str]) -> frozenset[str]:
    """Return the values of a parameter, separated by commas. Raises Refusal for one that is not allowed."""
    values = frozenset(values_of(request, name))
    for value in sorted(values.difference(allowed)):
        raise Refusal(400, f"'{value}' is not a valid value of '{name}'.", name)
    return values


def fields_of(kind: Kind, request: Request, offered: frozenset[str], asked: frozenset[str]) -> Fields:
    """Return the attributes to serve: the ones in `fields`, and of the extra ones only those `asked` for."""
    parameter = f"fields[{kind.name}]"
    above = {
        path: list(accumulate(path.split("."), "{}.{}".format))  # location, location.city
        for path in kind.fields
    }
    known = {
        "id",
        *(name for names in above.values() for name in names if names[0] not in kind.extra - offered),
    }
    parts = {value for value in values_of(request, parameter) if value.partition(".")[0] in kind.whole}
    wanted = chosen(request, parameter, known | parts) | {part.partition(".")[0] for part in parts}
    is_sparse = parameter in request.query_params
    return {
        path: kind.fields[path]
        for path, names in above.items()
        if names[0] not in kind.extra - asked and (not is_sparse or wanted.intersection(names))
    }


def base_of(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}/api"


def seconds_until(moment: float) -> int:
    return max(0, math.floor(moment - datetime.now(UTC).timestamp()))


# --- how an answer is written ---------------------------------------------------------------------------


def json_text(data: str, links: Mapping[str, str | None], included: list[str] | None) -> str:
    more = "" if included is None else f',"included":[{",".join(included)}]'
    return f'{{"data":{data},"links":{orjson.dumps(links).decode()}{more}}}'


def resource(kind: Kind, query: Query) -> SQL:
    """Return a row of the kind's source as a struct that reads as a JSON:API resource."""

    def link(rest: str = "") -> SQL:
        return f"concat($base, '/{kind.path}/', {kind.key}, '/{rest}')"

    relations = ", ".join(
        f"""'{name}': {{
            {f"'data': {data_of(relation)}," if name in query.include and relation.has_data else ""}
            'links': {{'self': {link(f"relationships/{name}/")}, 'related': {link(f"{name}/")}}}
        }}"""
        for name, relation in kind.relations.items()
    )
    return f"""{{
        'type': '{kind.name}',
        'id': {kind.key},
        {f"'attributes': {struct(query.fields[kind.name])}," if kind.fields else ""}
        {f"'relationships': {kind.linkages or f'{{{relations}}}'}," if kind.linkages or relations else ""}
        'links': {{'self': {link()}}}
    }}"""


def data_of(relation: Relation) -> SQL:
    ids = relation.ids or "[]"
    if relation.is_many:
        return f"list_transform({ids}, lambda id: {linkage(relation.kind, 'id')})"
    return linkage(relation.kind, f"({ids})[1]")


def linkage(kind: str, id_: SQL) -> SQL:
    return f"{{'type': '{kind}', 'id': {id_}}}"


def struct(fields: Fields) -> SQL:
    """Nest fields by the dots of their names; omit an object in which nothing ever has a value."""
    nested: dict[str, dict[str, SQL | None]] = {}
    for name, sql in fields.items():
        outer, _, inner = name.partition(".")
        nested.setdefault(outer, {})[inner] = sql
    members = [
        f"'{outer}': {(inner[''] or 'null') if '' in inner else struct(inner)}"
        for outer, inner in nested.items()
        if "" in inner or any(inner.values())
    ]
    return f"{{{', '.join(members)}}}" if members else "'{}'::json"
