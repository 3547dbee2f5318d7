"""SendGrid's v3 API over the population: single sends, their statistics, and the account's by day.

Every figure is a sum over `email_activity`. What can be grouped by what follows the vendor: opens by device
and client, clicks by browser, both by country, deliveries by mailbox provider, and no cross of two of them.
"""

import base64
import binascii
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.vendor import Limit, Standing
from sandbox.world import World

KEY = "SG.sandbox"
SCOPES = ["marketing.read", "stats.read", "browsers.stats.read", "devices.stats.read", "geo.stats.read",
          "mailbox_providers.stats.read", "clients.stats.read"]  # fmt: skip
LIMIT = Limit("account", 600, 60)
BUCKETS_PER_REPLY = 500
STATS_PAGE_MOST = 50

GLOBAL_METRICS = [
    *("blocks", "bounce_drops", "bounces", "clicks", "deferred", "delivered", "invalid_emails", "opens"),
    *("processed", "requests", "spam_report_drops", "spam_reports", "unique_clicks", "unique_opens"),
    *("unsubscribe_drops", "unsubscribes"),
]
SEND_METRICS = [
    *("requests", "delivered", "opens", "unique_opens", "clicks", "unique_clicks", "bounces", "bounce_drops"),
    *("invalid_emails", "spam_reports", "spam_report_drops", "unsubscribes"),
]
# Endpoint: type of its rows, where a mail's name comes from, and what it counts.
BREAKDOWNS = {
    "devices": ("device", "p.device", ["opens", "unique_opens"]),
    "clients": ("client", "p.client", ["opens", "unique_opens"]),
    "browsers": ("browser", "p.browser", ["clicks", "unique_clicks"]),
    "geo": ("country", "p.country", ["opens", "unique_opens", "clicks", "unique_clicks"]),
    "mailbox_providers": (
        "mailbox_provider",
        "p.provider",
        ["blocks", "bounces", "deferred", "delivered", "drops", "processed", "requests", "spam_reports"],
    ),
}
PROVINCE_COUNTRIES = ("US", "CA")

# Metric: what happened to a mail. A mail's first open and first click are the unique ones.
COUNTS = {
    "requests": "kind = 'request'",
    "delivered": "kind = 'delivered'",
    "deferred": "kind = 'deferred'",
    "bounces": "kind = 'bounce'",
    "blocks": "kind = 'block'",
    "bounce_drops": "kind = 'bounce_drop'",
    "invalid_emails": "kind = 'invalid_email'",
    "spam_report_drops": "kind = 'spam_report_drop'",
    "unsubscribe_drops": "kind = 'unsubscribe_drop'",
    "opens": "kind = 'open'",
    "unique_opens": "kind = 'open' and is_first",
    "clicks": "kind = 'click'",
    "unique_clicks": "kind = 'click' and is_first",
    "spam_reports": "kind = 'spam_report'",
    "unsubscribes": "kind = 'unsubscribe'",
}
DROPS = "bounce_drops + invalid_emails + spam_report_drops + unsubscribe_drops"
HAPPENINGS = f"""
create or replace table sendgrid_happenings as
with happened as (
    select
        *,
        row_number() over (partition by message_id, kind order by happened_at) = 1 as is_first
    from email_activity
)
select
    cast(h.happened_at as date) as day,
    h.single_send_id,
    h.ab_variation,
    h.ab_phase,
    p.device, p.client, p.browser, p.country, p.region_code, p.provider,
    {", ".join(f"count(*) filter (where {test}) as {name}" for name, test in COUNTS.items())},
    {DROPS} as drops,
    requests - drops as processed
from happened h
join people p using (person_id)
group by all
order by day
"""


class Refusal(Exception):
    """An answer other than 200, to be sent as it is."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


class SendGrid:
    """The parts of SendGrid that an analytics ingest reads."""

    name = "sendgrid"

    def __init__(self, world: World) -> None:
        self._world = world
        world.sql(HAPPENINGS)
        self.routes: Sequence[Route] = [
            self._route("/v3/scopes", lambda _: {"scopes": SCOPES}),
            self._route("/v3/tracking_settings/open", lambda _: {"enabled": True}),
            self._route("/v3/tracking_settings/click", lambda _: {"enabled": True}),
            self._route("/v3/marketing/singlesends", self._list_single_sends),
            self._route("/v3/marketing/singlesends/{id}", self._get_single_send),
            self._route("/v3/marketing/stats/singlesends", self._list_send_stats),
            self._route("/v3/marketing/stats/singlesends/{id}", self._get_send_stats),
            self._route("/v3/stats", self._global_stats),
            *(self._route(f"/v3/{name}/stats", self._breakdown(name)) for name in BREAKDOWNS),
        ]

    def _route(self, path: str, handler: Any) -> Route:
        def answer(request: Request) -> Response:
            try:
                return _json(handler(request))
            except Refusal as refusal:
                return refusal.response

        return Route(path, answer)

    # --- the interface of a vendor

    def authorize(self, request: Request) -> Response | None:
        if request.headers.get("authorization") == f"Bearer {KEY}":
            return None
        return _json({"errors": [{"field": None, "message": "authorization required"}]}, 401)

    def limits(self, request: Request) -> Sequence[Limit]:  # noqa: ARG002
        return [LIMIT]

    def limit_headers(self, standing: Sequence[Standing]) -> dict[str, str]:
        return {
            name: str(value)
            for at in standing
            for name, value in (
                ("X-RateLimit-Limit", at.limit.count),
                ("X-RateLimit-Remaining", at.remaining),
                ("X-RateLimit-Reset", int(at.reset)),
            )
        }

    def error(self, status: int, request: Request, standing: Sequence[Standing] = ()) -> Response:  # noqa: ARG002
        message = {
            404: "resource not found",
            405: "method not allowed",
            429: "too many requests",
            500: "unable to get stats",
        }.get(status, "service unavailable")
        body = {"errors": [{"field": None, "message": message}]}
        return _json(body, status, self.limit_headers(standing))

    # --- single sends

    def _list_single_sends(self, request: Request) -> Any:
        size = _number(request, "page_size", 100, 1, 100)
        start = _token(request)
        rows = self._rows(
            """
            select single_send_id as id, name, status, categories, send_at, is_abtest, abtest::json as abtest,
                created_at, updated_at
            from single_sends where position >= ? order by position limit ?
            """,
            [start, size],
        )
        ((count,),) = self._world.sql("select count(*) from single_sends")
        return {"result": rows, "_metadata": _metadata(request, start, size, count)}

    def _get_single_send(self, request: Request) -> Any:
        rows = self._rows(
            """
            select single_send_id as id, name, status, categories, send_at, is_abtest, created_at, updated_at
            from single_sends where single_send_id = ?
            """,
            [request.path_params["id"]],
        )
        if not rows:
            raise Refusal(self.error(404, request))
        return rows[0] | {
            "send_to": {"list_ids": [], "segment_ids": [], "all": True},
            "email_config": {"subject": rows[0]["name"], "html_content": "", "editor": "code"},
            "warnings": [],
        }

    def _list_send_stats(self, request: Request) -> Any:
        size = _number(request, "page_size", 25, 1, STATS_PAGE_MOST)
        start = _token(request)
        wanted = [id for id in request.query_params.get("singlesend_ids", "").split(",") if id]  # noqa: A001
        if len(wanted) > 25:
            raise _bad("singlesend_ids", "singlesend_ids may hold at most 25 ids")
        sums = ", ".join(f"'{name}', coalesce(sum({name}), 0)::bigint" for name in SEND_METRICS)
        rows = self._rows(
            f"""
            select s.single_send_id as id, 'all' as ab_variation, 'all' as ab_phase, 'total' as aggregation,
                json_object({sums}) as stats
            from single_sends s left join sendgrid_happenings h using (single_send_id)
            where s.status = 'triggered' and (len($wanted) = 0 or list_contains($wanted, s.single_send_id))
            group by s.single_send_id, s.position order by s.position limit $size offset $start
            """,
            {"wanted": wanted, "size": size, "start": start},
        )
        ((count,),) = self._world.sql(
            "select count(*) from single_sends where status = 'triggered'"
            " and (len($1) = 0 or list_contains($1, single_send_id))",
            [wanted],
        )
        return {"results": rows, "_metadata": _metadata(request, start, size, count)}

    def _get_send_stats(self, request: Request) -> Any:
        query = request.query_params
        size = _number(request, "page_size", 25, 1, STATS_PAGE_MOST)
        start = _token(request)
        by = [name for name in query.get("group_by", "").split(",") if name]
        if unknown := set(by) - {"ab_variation", "ab_phase"}:
            raise _bad("group_by", f"group_by does not know {', '.join(sorted(unknown))}")
        if query.get("aggregated_by", "total") not in ("total", "day"):
            raise _bad("aggregated_by", "aggregated_by must be total or day")
        if not self._world.sql(
            "select 1 from single_sends where single_send_id = ?", [request.path_params["id"]]
        ):
            raise Refusal(self.error(404, request))
        is_daily = query.get("aggregated_by") == "day"
        sums = ", ".join(f"'{name}', sum({name})::bigint" for name in SEND_METRICS)
        rows = self._rows(
            f"""
            select single_send_id as id,
                {"coalesce(ab_variation, 'all')" if "ab_variation" in by else "'all'"} as ab_variation,
                {"coalesce(ab_phase, 'send')" if "ab_phase" in by else "'all'"} as ab_phase,
                {"day::varchar" if is_daily else "'total'"} as aggregation,
                json_object({sums}) as stats
            from sendgrid_happenings
            where single_send_id = $id and day between $first and $last
            group by 1, 2, 3, 4 order by 4, 2, 3
            """,
            {
                "id": request.path_params["id"],
                "first": _day(request, "start_date", date(2000, 1, 1)),
                "last": _day(request, "end_date", self._world.as_of),
            },
        )
        page = rows[start : start + size]
        return {"results": page, "_metadata": _metadata(request, start, size, len(rows))}

    # --- the account

    def _global_stats(self, request: Request) -> Any:
        days, unit = self._days(request)
        sums = ", ".join(f"'{name}', coalesce(sum({name}), 0)::bigint" for name in GLOBAL_METRICS)
        return self._rows(
            f"""
            select date_trunc('{unit}', d.day)::date::varchar as date,
                json_array(json_object('metrics', json_object({sums}))) as stats
            from (select unnest($days) as day) d left join sendgrid_happenings h using (day)
            group by 1 order by 1
            """,
            {"days": days},
        )

    def _breakdown(self, name: str) -> Any:
        type_, column, metrics = BREAKDOWNS[name]

        def answer(request: Request) -> Any:
            days, unit = self._days(request)
            kind, group, condition = type_, column.removeprefix("p."), "true"
            if name == "geo" and (country := request.query_params.get("country")):
                if country not in PROVINCE_COUNTRIES:
                    raise _bad("country", "country must be US or CA")
                kind, group, condition = "province", "region_code", f"country = '{country}'"
            sums = ", ".join(f"'{metric}', sum({metric})::bigint" for metric in metrics)
            counted = " + ".join(f"sum({metric})" for metric in metrics)
            return self._rows(
                f"""
                with named as (
                    select date_trunc('{unit}', day)::date as bucket, {group} as name,
                        json_object('type', '{kind}', 'name', {group}, 'metrics', json_object({sums})) as row
                    from sendgrid_happenings
                    where list_contains($days, day) and {condition}
                    group by 1, 2
                    having {counted} > 0
                )
                select b.bucket::varchar as date,
                    coalesce(to_json(list(n.row order by n.name) filter (n.row is not null)), '[]'::json)
                        as stats
                from (select distinct date_trunc('{unit}', unnest($days))::date as bucket) b
                left join named n using (bucket)
                group by 1 order by 1
                """,
                {"days": days},
            )

        return answer

    def _days(self, request: Request) -> tuple[list[date], str]:
        """Return the days of the buckets that were asked for, and the bucket's unit."""
        query = request.query_params
        if "start_date" not in query:
            raise _bad("start_date", "start_date is required")
        unit = query.get("aggregated_by", "day")
        if unit not in ("day", "week", "month"):
            raise _bad("aggregated_by", "aggregated_by must be day, week or month")
        first = _day(request, "start_date", self._world.as_of)
        last = min(_day(request, "end_date", self._world.as_of), self._world.as_of)
        limit = _number(request, "limit", BUCKETS_PER_REPLY, 1, BUCKETS_PER_REPLY)
        offset = _number(request, "offset", 0, 0, 1_000_000)
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        starts = list(dict.fromkeys(_bucket(day, unit) for day in days))
        wanted = set(starts[offset : offset + limit])
        return [day for day in days if _bucket(day, unit) in wanted], unit

    def _rows(self, query: str, params: Any) -> list[dict[str, Any]]:
        """Run a query; JSON columns come back as objects, times as the vendor writes them."""
        cursor = self._world.cursor().execute(query, params)
        names = [(column[0], str(column[1])) for column in cursor.description or []]
        return [
            {name: _plain(value, type_) for (name, type_), value in zip(names, row, strict=True)}
            for row in cursor.fetchall()
        ]


def _plain(value: Any, type_: str) -> Any:
    if value is None:
        return None
    if type_ == "JSON":
        return orjson.loads(value)
    if type_.startswith("TIMESTAMP"):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return value


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, "application/json")


def _bad(field: str, message: str) -> Refusal:
    return Refusal(_json({"errors": [{"field": field, "message": message}]}, 400))


def _number(request: Request, name: str, default: int, low: int, high: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdigit() or not low <= int(text) <= high:
        raise _bad(name, f"{name} must be between {low} and {high}")
    return int(text)


def _day(request: Request, name: str, default: date) -> date:
    try:
        return date.fromisoformat(request.query_params.get(name, default.isoformat()))
    except ValueError:
        raise _bad(name, f"{name} must be YYYY-MM-DD") from None


def _bucket(day: date, unit: str) -> date:
    """Return the first day of the bucket, which is what the vendor labels it with."""
    if unit == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unit == "month" else day


def _token(request: Request) -> int:
    """Return the row that a page starts with. A page token is opaque: it is the row's number, encoded."""
    text = request.query_params.get("page_token", "")
    start = 0
    if text:
        try:
            start = int(base64.urlsafe_b64decode(text).decode().removeprefix("row:"))
        except (binascii.Error, ValueError):
            raise _bad("page_token", "page_token is invalid") from None
    return start


def _metadata(request: Request, start: int, size: int, count: int) -> dict[str, Any]:
    def link(row: int) -> str:
        token = base64.urlsafe_b64encode(f"row:{row}".encode()).decode()
        return str(request.url.include_query_params(page_token=token))

    links = {"self": link(start), "count": count}
    if start > 0:
        links["prev"] = link(max(0, start - size))
    if start + size < count:
        links["next"] = link(start + size)
    return links
