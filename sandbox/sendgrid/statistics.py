"""The account's statistics by day, week or month, as totals and broken down."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from starlette.requests import Request

from sandbox.sendgrid.requests import Refusal, Served, day_of, rows_of, whole_number, wrong
from sandbox.sendgrid.sums import ACCOUNT_METRICS, CLICKS, OPENS, PROVIDER_METRICS, figures_of
from sandbox.world import World

MOST_BUCKETS: Final = 500
MOST_NAMES: Final = 10


class Breakdown(NamedTuple):
    """A breakdown of account statistics: the type of its rows, the source of their names, its counts."""

    type: str
    column: str
    condition: str
    metrics: list[str]
    parameter: str | None = None  # restricts it to some names


DEVICES: Final = Breakdown("device", "device", "kind = 'open'", OPENS)
CLIENTS: Final = Breakdown("client", "client", "kind = 'open'", OPENS)
BROWSERS: Final = Breakdown("browser", "browser", "kind = 'click'", CLICKS, "browsers")
COUNTRIES: Final = Breakdown("country", "country", "kind in ('open', 'click')", OPENS + CLICKS)
PROVINCES: Final = Breakdown("province", "region_code", "kind in ('open', 'click')", OPENS + CLICKS)
PROVIDERS: Final = Breakdown("mailbox_provider", "provider", "true", PROVIDER_METRICS, "mailbox_providers")

PROVINCE_COUNTRIES: Final = ("US", "CA")
CLIENT_TYPES: Final = {"phone": "Phone", "tablet": "Tablet", "webmail": "Webmail", "desktop": "Desktop"}


class Statistics:
    """Endpoints of the statistics of the account."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.routes: Sequence[Served] = [
            ("/v3/stats", self._get_account_stats),
            ("/v3/devices/stats", lambda request: self._break_down(request, DEVICES)),
            ("/v3/clients/stats", lambda request: self._break_down(request, CLIENTS)),
            ("/v3/clients/{client_type}/stats", self._get_client_type_stats),
            ("/v3/browsers/stats", lambda request: self._break_down(request, BROWSERS)),
            ("/v3/geo/stats", self._get_geo_stats),
            ("/v3/mailbox_providers/stats", lambda request: self._break_down(request, PROVIDERS)),
        ]

    def _get_account_stats(self, request: Request) -> Any:
        unit, days = self._buckets(request)
        return rows_of(
            self._world,
            f"""
            select
                date_trunc('{unit}', day)::date::varchar as date,
                [{{'metrics': {figures_of(ACCOUNT_METRICS, f"first_of_{unit}")}}}]::json as stats
            from (select unnest($days::date[]) as day) left join sendgrid_sums using (day)
            where send_no is not null or kind is null
            group by 1 order by 1
            """,
            {"days": days},
        )

    def _get_geo_stats(self, request: Request) -> Any:
        country = request.query_params.get("country")
        if country is None:
            return self._break_down(request, COUNTRIES)
        if country not in PROVINCE_COUNTRIES:
            raise wrong("country", "must be US or CA")
        return self._break_down(request, PROVINCES, f"country = '{country}'")

    def _get_client_type_stats(self, request: Request) -> Any:
        device = CLIENT_TYPES.get(request.path_params["client_type"])
        if device is None:
            raise Refusal(404)
        return self._break_down(request, CLIENTS, f"device = '{device}'")

    def _break_down(self, request: Request, breakdown: Breakdown, condition: str = "true") -> Any:
        """Return the buckets with a row for every active name; a quiet bucket has none."""
        unit, days = self._buckets(request)
        names = request.query_params.getlist(breakdown.parameter) if breakdown.parameter else []
        if len(names) > MOST_NAMES:
            raise wrong(str(breakdown.parameter), f"at most {MOST_NAMES} names")
        return rows_of(
            self._world,
            f"""
            with told as (
                select
                    date_trunc('{unit}', day)::date as bucket,
                    {breakdown.column} as name,
                    {figures_of(breakdown.metrics, f"first_of_{unit}")} as metrics
                from sendgrid_sums
                where {breakdown.column} is not null and {breakdown.condition} and {condition}
                    and list_contains($days::date[], day)
                    and (len($names) = 0 or list_contains($names, {breakdown.column}))
                group by all
            )
            select
                bucket::varchar as date,
                coalesce(
                    list({{'type': '{breakdown.type}', 'name': name, 'metrics': metrics}} order by name)
                        filter (name is not null), []
                )::json as stats
            from (select distinct date_trunc('{unit}', unnest($days::date[]))::date as bucket)
            left join told using (bucket)
            group by bucket order by bucket
            """,
            {"days": days, "names": names},
        )

    def _buckets(self, request: Request) -> tuple[str, list[date]]:
        """Return the bucket's unit, and the days of all requested buckets."""
        query = request.query_params
        if "start_date" not in query:
            raise wrong("start_date", "required")
        unit = query.get("aggregated_by", "day")
        if unit not in ("day", "week", "month"):
            raise wrong("aggregated_by", "must be day, week or month")
        today = self._world.as_of
        first, last = day_of(request, "start_date", today), day_of(request, "end_date", today)
        if last < first:
            raise wrong("end_date", "must not be before start_date")
        if unit == "week" and first.isocalendar().week == 53:
            raise Refusal(500)  # as the vendor does
        limit = whole_number(request, "limit", MOST_BUCKETS, 1, MOST_BUCKETS)
        offset = whole_number(request, "offset", 0, 0, 1_000_000)
        days = [first + timedelta(days=n) for n in range((min(last, today) - first).days + 1)]
        buckets = dict.fromkeys(bucket_of(day, unit) for day in days)
        wanted = set(list(buckets)[offset : offset + limit])
        return unit, [day for day in days if bucket_of(day, unit) in wanted]


def bucket_of(day: date, unit: str) -> date:
    """Return the first day of the bucket, which is its label."""
    if unit == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unit == "month" else day
