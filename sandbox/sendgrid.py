"""SendGrid's v3 API: single sends and what became of each, the account's statistics by day, and its contacts.

Every figure is a sum over the population's mail. What can be told by what follows the vendor: opens by device
and client, clicks by browser, both by country, deliveries by mailbox provider, never two of them crossed.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.sendgrid_exports import Export, Exports
from sandbox.vendor import Limit, Standing
from sandbox.world import World

KEY: Final = "SG.sandbox"
SCOPES: Final = [
    *("marketing.read", "stats.read", "stats.global.read", "browsers.stats.read", "clients.stats.read"),
    *("devices.stats.read", "geo.stats.read", "mailbox_providers.stats.read", "tracking_settings.read"),
    *("suppression.read", "asm.groups.read"),
]
NARROW_KEY: Final = "SG.narrow"  # valid, without any statistics of the account
WRITING_KEY: Final = "SG.writing"  # may do more than anybody needs who reads
RIGHTS: Final = {
    KEY: SCOPES,
    NARROW_KEY: [scope for scope in SCOPES if "stats" not in scope],
    WRITING_KEY: ["mail.send", "marketing.update", *SCOPES],
}
# The scope that a path needs, by what it begins with.
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
MOST_BUCKETS: Final = 500
MOST_STATS_ROWS: Final = 50  # 100 was allowed once; above 50 is refused today
MOST_NAMES: Final = 10
MOST_IDS: Final = 25
MOST_LISTS: Final = 1000
MOST_SUPPRESSIONS: Final = 500
LAST_SECOND: Final = 2**33
INVALID_DAYS: Final = 30  # the vendor forgets older invalid addresses

# One row per day, kind and value of one dimension; the columns of all other dimensions are null. A mail that
# is opened on two days is a unique open of each, but one of the week: repeats count once in their bucket, so
# that unique figures of days do not add up to those of a longer time.
SUMS: Final = """
create table if not exists sendgrid_sums as
with repeated as (
    select *, lag(happened) over (partition by send_no, person_id, kind order by happened) as before
    from email_happenings where kind in ('open', 'click')
    union all
    select *, null from email_happenings where kind not in ('open', 'click')
),
named as (
    select
        make_date((happened // 86400)::integer) as day, make_date((before // 86400)::integer) as day_before,
        date_trunc('week', day_before) as week_before, date_trunc('month', day_before) as month_before,
        kind, send_no, ab_phase, variation, device, client, browser, country, region_code, provider
    from repeated inner join people using (person_id)
)
select
    day, kind::varchar as kind, send_no, ab_phase, variation,
    device, client, browser, country, region_code, provider,
    count(*) as all_times,
    count(*) filter (day_before is distinct from day) as first_of_day,
    count(*) filter (week_before is distinct from date_trunc('week', day)) as first_of_week,
    count(*) filter (month_before is distinct from date_trunc('month', day)) as first_of_month,
    count(*) filter (day_before is null) as first_of_all
from named
group by grouping sets (
    (day, kind, send_no, ab_phase, variation), (day, kind, device, client), (day, kind, browser),
    (day, kind, country, region_code), (day, kind, provider)
)
"""

DROPPED: Final = "'bounce_drop', 'invalid_email', 'spam_report_drop', 'unsubscribe_drop'"
# {unique} becomes the column that counts repeats once in the bucket at hand.
METRICS: Final = {
    "blocks": "sum(all_times) filter (kind = 'block')",
    "bounce_drops": "sum(all_times) filter (kind = 'bounce_drop')",
    "bounces": "sum(all_times) filter (kind = 'bounce')",
    "clicks": "sum(all_times) filter (kind = 'click')",
    "deferred": "sum(all_times) filter (kind = 'deferred')",
    "delivered": "sum(all_times) filter (kind = 'delivered')",
    "drops": f"sum(all_times) filter (kind in ({DROPPED}))",
    "invalid_emails": "sum(all_times) filter (kind = 'invalid_email')",
    "opens": "sum(all_times) filter (kind = 'open')",
    # what was asked for and not dropped before it left
    "processed": f"sum(if(kind = 'request', all_times, -all_times)) filter (kind in ('request', {DROPPED}))",
    "requests": "sum(all_times) filter (kind = 'request')",
    "spam_report_drops": "sum(all_times) filter (kind = 'spam_report_drop')",
    "spam_reports": "sum(all_times) filter (kind = 'spam_report')",
    "unique_clicks": "sum({unique}) filter (kind = 'click')",
    "unique_opens": "sum({unique}) filter (kind = 'open')",
    "unsubscribe_drops": "sum(all_times) filter (kind = 'unsubscribe_drop')",
    "unsubscribes": "sum(all_times) filter (kind = 'unsubscribe')",
}
ACCOUNT_METRICS: Final = [name for name in METRICS if name != "drops"]
SEND_METRICS: Final = [
    *("requests", "delivered", "opens", "unique_opens", "clicks", "unique_clicks", "bounces", "bounce_drops"),
    *("invalid_emails", "spam_reports", "spam_report_drops", "unsubscribes"),
]
OPENS: Final = ["opens", "unique_opens"]
CLICKS: Final = ["clicks", "unique_clicks"]
PROVIDER_METRICS: Final = [
    *("blocks", "bounces", *CLICKS, "deferred", "delivered", "drops", *OPENS, "processed", "requests"),
    "spam_reports",
]


class Breakdown(NamedTuple):
    """An account statistic by something: what its rows are called, where names come from, what it counts."""

    type: str
    column: str
    condition: str
    metrics: list[str]
    parameter: str | None = None  # narrows it to some names


DEVICES: Final = Breakdown("device", "device", "kind = 'open'", OPENS)
CLIENTS: Final = Breakdown("client", "client", "kind = 'open'", OPENS)
BROWSERS: Final = Breakdown("browser", "browser", "kind = 'click'", CLICKS, "browsers")
COUNTRIES: Final = Breakdown("country", "country", "kind in ('open', 'click')", OPENS + CLICKS)
PROVINCES: Final = Breakdown("province", "region_code", "kind in ('open', 'click')", OPENS + CLICKS)
PROVIDERS: Final = Breakdown("mailbox_provider", "provider", "true", PROVIDER_METRICS, "mailbox_providers")

RESERVED_FIELDS: Final = {
    "Text": "first_name last_name email address_line_1 address_line_2 city state_province_region postal_code "
    "country phone_number unique_name contact_id",
    "Date": "last_clicked last_opened last_emailed created_at updated_at",
}
READ_ONLY: Final = "last_clicked last_opened last_emailed created_at updated_at contact_id"
CUSTOM_FIELDS: Final = ("custom_role", "custom_industry", "signup_source")

# What a row of each list of suppressions has; status is empty where the other server gave none.
SUPPRESSIONS: Final = {
    "bounces": ("bounce", "created, email, reason, status"),
    "blocks": ("block", "created, email, reason, status"),
    "spam_reports": ("spam_report", "created, email, '192.0.2.25' as ip"),
    "invalid_emails": ("invalid_email", "created, email, reason"),
    "unsubscribes": ("unsubscribe", "created, email"),
}

PROVINCE_COUNTRIES: Final = ("US", "CA")
CLIENT_TYPES: Final = {"phone": "Phone", "tablet": "Tablet", "webmail": "Webmail", "desktop": "Desktop"}

EXPORTS: Final = "/v3/marketing/contacts/exports"
STORAGE: Final = "/storage/exports"  # another host at the vendor, which knows no key

Handler = Callable[[Request], Any]


class Refusal(Exception):
    """An answer other than 200: status, the parameter it is about, and why."""

    def __init__(self, status: int, field: str | None = None, message: str = "") -> None:
        super().__init__(message)
        self.status, self.field, self.message = status, field, message


class Page(NamedTuple):
    """The rows of a listing that were asked for, and those that are served, which a fault may move.

    Only listings with tokens have it: of the account's statistics an empty page would be the documented end.
    """

    start: int
    size: int
    served_from: int
    served: int


class SendGrid:
    """The parts of SendGrid that an analytics ingest reads."""

    name = "sendgrid"

    def __init__(self, world: World) -> None:
        self._world = world
        self._exports = Exports(world)
        world.sql(SUMS)
        self.routes: Sequence[Route] = [
            self._route("/v3/scopes", lambda request: {"scopes": RIGHTS[_key_of(request)]}),
            self._route("/v3/tracking_settings/open", lambda _: {"enabled": True}),
            self._route("/v3/tracking_settings/click", lambda _: {"enable_text": False, "enabled": True}),
            self._route("/v3/marketing/singlesends", self._list_single_sends),
            self._route("/v3/marketing/singlesends/{id}", self._get_single_send),
            self._route("/v3/marketing/stats/singlesends", self._list_send_stats),
            self._route("/v3/marketing/stats/singlesends/{id}", self._get_send_stats),
            self._route("/v3/marketing/stats/automations", self._list_automation_stats),
            self._route("/v3/marketing/stats/automations/{id}", self._get_automation_stats),
            self._route("/v3/suppression/{kind}", self._list_suppressions),
            self._route("/v3/asm/groups", self._list_unsubscribe_groups),
            self._route("/v3/asm/suppressions", self._list_group_suppressions),
            self._route("/v3/stats", self._get_account_stats),
            self._route("/v3/devices/stats", lambda request: self._break_down(request, DEVICES)),
            self._route("/v3/clients/stats", lambda request: self._break_down(request, CLIENTS)),
            self._route("/v3/clients/{client_type}/stats", self._get_client_type_stats),
            self._route("/v3/browsers/stats", lambda request: self._break_down(request, BROWSERS)),
            self._route("/v3/geo/stats", self._get_geo_stats),
            self._route("/v3/mailbox_providers/stats", lambda request: self._break_down(request, PROVIDERS)),
            self._route("/v3/marketing/lists", self._list_lists),
            self._route("/v3/marketing/segments/2.0", self._list_segments),
            self._route("/v3/marketing/field_definitions", self._list_fields),
            self._route("/v3/marketing/contacts/count", self._count_contacts),
            Route(EXPORTS, self._begin_export, methods=["POST"]),
            self._route(EXPORTS, self._list_exports),
            self._route(EXPORTS + "/{id}", self._get_export),
            Route(STORAGE + "/{id}/{number:int}/{name}", self._get_file),
        ]

    def _route(self, path: str, handler: Handler) -> Route:
        def answer(request: Request) -> Response:
            try:
                return _json(handler(request))
            except Refusal as refusal:
                if not refusal.message:
                    return self.error(refusal.status, request)
                return _errors(refusal.status, refusal.field, refusal.message)

        return Route(path, answer)

    # --- the interface of a vendor -----------------------------------------------------------------

    def authorize(self, request: Request) -> Response | None:
        if _is_storage(request):
            # The signature in the link is the permission; storage refuses a request that brings two.
            return _refused_by_storage(400) if "authorization" in request.headers else None
        key = _key_of(request)
        if key not in RIGHTS:
            return _errors(401, None, "authorization required")
        path = str(request.scope["state"]["path"])
        needed = next((scope for start, scope in NEEDED.items() if path.startswith(start)), None)
        if needed and needed not in RIGHTS[key]:
            return _errors(403, None, "access forbidden")
        return None

    def limits(self, request: Request) -> Sequence[Limit]:
        # Exports are limited to one at a time, of which no header tells; storage has no limit.
        is_export = request.method == "POST" and request.url.path.endswith(EXPORTS)
        return [] if is_export or _is_storage(request) else [LIMIT]

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
        said = {
            404: "resource not found",
            405: "method not allowed",
            429: "too many requests",
            500: "unable to get stats",
        }
        return _errors(status, None, said.get(status, "service unavailable"), self.limit_headers(standing))

    # --- single sends ------------------------------------------------------------------------------

    def _list_single_sends(self, request: Request) -> Any:
        page = _page(request, usual=100, most=100)
        rows = self._rows(
            """
            select
                single_send_id as id, name, status, categories, send_at, is_abtest, abtest::json as abtest,
                created_at, updated_at
            from single_sends where position >= ? and position < ? order by position
            """,
            [page.served_from, page.served_from + page.served],
        )
        ((count,),) = self._world.sql("select count(*) from single_sends")
        return {"result": rows, "_metadata": _metadata(request, page, count)}

    def _get_single_send(self, request: Request) -> Any:
        rows = self._rows(
            """
            select single_send_id as id, name, status, categories, send_at, is_abtest, created_at, updated_at
            from single_sends where single_send_id = ?
            """,
            [request.path_params["id"]],
        )
        if not rows:
            raise Refusal(404)
        variations = self._rows(
            "select variation_id as id, subject, plain_content from single_send_variations"
            " where single_send_id = ? order by variation",
            [request.path_params["id"]],
        )
        first = variations[0] if variations else {"subject": rows[0]["name"], "plain_content": "…"}
        words = {name: first[name] for name in ("subject", "plain_content")} | {"html_content": "<p>…</p>"}
        return rows[0] | {
            "send_to": {"list_ids": [], "segment_ids": [], "all": True},
            "email_config": words | {"generate_plain_content": True, "editor": "code"},
            "warnings": [],
            # In no document. Seen in live answers without a test, where it is null; the rest is inferred.
            "ab_test": {"variations": variations} if variations else None,
        }

    def _list_send_stats(self, request: Request) -> Any:
        page = _page(request, usual=25, most=MOST_STATS_ROWS)
        ids = _names(request.query_params.get("singlesend_ids"))
        if len(ids) > MOST_IDS:
            raise _wrong("singlesend_ids", f"at most {MOST_IDS} ids")
        rows = self._rows(
            f"""
            select
                single_send_id as id, 'all' as ab_variation, 'all' as ab_phase, 'total' as aggregation,
                {_figures(SEND_METRICS, "first_of_all")} as stats
            from single_sends left join sendgrid_sums using (send_no)
            where status = 'triggered' and (len($ids) = 0 or list_contains($ids, single_send_id))
            group by position, single_send_id order by position
            """,
            {"ids": ids},
        )
        return _results(request, page, rows)

    def _get_send_stats(self, request: Request) -> Any:
        page = _page(request, usual=25, most=MOST_STATS_ROWS)
        by, is_daily = _asked(request, {"ab_variation", "ab_phase"})
        sends = self._world.sql(
            "select send_no from single_sends where single_send_id = ?", [request.path_params["id"]]
        )
        if not sends:
            raise Refusal(404)
        variation, phase = "'all'", "'all'"
        if "ab_variation" in by:
            variation = "if(variation is null, 'all', uuid_of('variation', send_no, variation))"
        if "ab_phase" in by:
            phase = "coalesce(ab_phase, 'send')"
        rows = self._rows(
            f"""
            select
                $id as id,
                {variation} as ab_variation,
                {phase} as ab_phase,
                {"day::varchar" if is_daily else "'total'"} as aggregation,
                {_figures(SEND_METRICS, "first_of_day" if is_daily else "first_of_all")} as stats
            from sendgrid_sums
            where send_no = $send_no and day between $first and $last
            group by all order by aggregation, ab_variation, ab_phase
            """,
            {
                "id": request.path_params["id"],
                "send_no": sends[0][0],
                "first": _day(request, "start_date", self._world.since),
                "last": _day(request, "end_date", self._world.as_of),
            },
        )
        return _results(request, page, rows)

    # --- automations -------------------------------------------------------------------------------

    def _list_automation_stats(self, request: Request) -> Any:
        page = _page(request, usual=25, most=MOST_STATS_ROWS)
        ids = _names(request.query_params.get("automation_ids"))
        if len(ids) > MOST_IDS:
            raise _wrong("automation_ids", f"at most {MOST_IDS} ids")
        rows = self._automations("len($ids) = 0 or list_contains($ids, automation_id)", {"ids": ids})
        return _results(request, page, rows)

    def _get_automation_stats(self, request: Request) -> Any:
        page = _page(request, usual=25, most=MOST_STATS_ROWS)
        by, is_daily = _asked(request, {"step_id"})
        id_ = request.path_params["id"]
        if not self._world.sql("select 1 from automation_activity where automation_id = ? limit 1", [id_]):
            raise Refusal(404)
        rows = self._automations(
            "automation_id = $id and happened_at::date between $first and $last"
            " and (len($steps) = 0 or list_contains($steps, step_id))",
            {
                "id": id_,
                "first": _day(request, "start_date", self._world.since),
                "last": _day(request, "end_date", self._world.as_of),
                "steps": _names(request.query_params.get("step_ids")),
            },
            step="step_id" if by else "'all'",
            aggregation="happened_at::date::varchar" if is_daily else "'total'",
        )
        return _results(request, page, rows)

    def _automations(
        self, condition: str, params: dict[str, Any], step: str = "'all'", aggregation: str = "'total'"
    ) -> list[dict[str, Any]]:
        """Return what became of the automations' mail; a mail opened twice is one unique open of a row."""
        figures = _figures(SEND_METRICS, "is_first::integer")
        return self._rows(
            f"""
            with told as (
                select
                    automation_id, {step} as step_id, {aggregation} as aggregation, kind, 1 as all_times,
                    row_number() over (
                        partition by message_id, kind, {aggregation} order by happened_at
                    ) = 1 as is_first
                from automation_activity where {condition}
            )
            select automation_id as id, aggregation, step_id, {figures} as stats
            from told group by all order by id, aggregation, step_id
            """,
            params,
        )

    # --- suppressions ------------------------------------------------------------------------------

    def _list_suppressions(self, request: Request) -> Any:
        if request.path_params["kind"] not in SUPPRESSIONS:
            raise Refusal(404)
        kind, columns = SUPPRESSIONS[request.path_params["kind"]]
        return self._rows(
            f"""
            select {columns.replace("created", "listed as created")}
            from sendgrid_suppressions
            where kind = $kind and listed between $start and $end and starts_with(email, $email)
                and (kind <> 'invalid_email' or listed >= until() - 86400 * {INVALID_DAYS})
            order by position limit $limit offset $offset
            """,
            {
                "kind": kind,
                "start": _number(request, "start_time", 0, 0, LAST_SECOND),
                "end": _number(request, "end_time", LAST_SECOND, 0, LAST_SECOND),
                "email": request.query_params.get("email", ""),
                "limit": _number(request, "limit", MOST_SUPPRESSIONS, 1, MOST_SUPPRESSIONS),
                "offset": _moved(request, _number(request, "offset", 0, 0, LAST_SECOND)),
            },
        )

    def _list_unsubscribe_groups(self, request: Request) -> Any:
        wanted = request.query_params.getlist("id")
        return self._rows(
            """
            select
                group_id as id, name, description, is_default,
                (select count(*) from sendgrid_suppressions as listed where listed.group_id = groups.group_id)
                    as unsubscribes
            from sendgrid_unsubscribe_groups as groups
            where len($wanted) = 0 or list_contains($wanted, group_id::varchar) order by position
            """,
            {"wanted": wanted},
        )

    def _list_group_suppressions(self, request: Request) -> Any:
        """Everybody who left a group; how it is paged stands in no document, but connectors page it."""
        return self._rows(
            """
            select email, group_id, name as group_name, listed as created_at
            from sendgrid_suppressions as listed join sendgrid_unsubscribe_groups using (group_id)
            order by listed.position limit ? offset ?
            """,
            [
                _number(request, "limit", LAST_SECOND, 1, LAST_SECOND),
                _moved(request, _number(request, "offset", 0, 0, LAST_SECOND)),
            ],
        )

    # --- the account -------------------------------------------------------------------------------

    def _get_account_stats(self, request: Request) -> Any:
        unit, days = self._buckets(request)
        return self._rows(
            f"""
            select
                date_trunc('{unit}', day)::date::varchar as date,
                [{{'metrics': {_figures(ACCOUNT_METRICS, f"first_of_{unit}")}}}]::json as stats
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
            raise _wrong("country", "must be US or CA")
        return self._break_down(request, PROVINCES, f"country = '{country}'")

    def _get_client_type_stats(self, request: Request) -> Any:
        device = CLIENT_TYPES.get(request.path_params["client_type"])
        if device is None:
            raise Refusal(404)
        return self._break_down(request, CLIENTS, f"device = '{device}'")

    def _break_down(self, request: Request, breakdown: Breakdown, condition: str = "true") -> Any:
        """Return the buckets with a row for every name that did something; a quiet bucket has none."""
        unit, days = self._buckets(request)
        names = request.query_params.getlist(breakdown.parameter) if breakdown.parameter else []
        if len(names) > MOST_NAMES:
            raise _wrong(str(breakdown.parameter), f"at most {MOST_NAMES} names")
        return self._rows(
            f"""
            with told as (
                select
                    date_trunc('{unit}', day)::date as bucket,
                    {breakdown.column} as name,
                    {_figures(breakdown.metrics, f"first_of_{unit}")} as metrics
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
        """Return the bucket's unit, and the days of all buckets that were asked for."""
        query = request.query_params
        if "start_date" not in query:
            raise _wrong("start_date", "required")
        unit = query.get("aggregated_by", "day")
        if unit not in ("day", "week", "month"):
            raise _wrong("aggregated_by", "must be day, week or month")
        today = self._world.as_of
        first, last = _day(request, "start_date", today), _day(request, "end_date", today)
        if last < first:
            raise _wrong("end_date", "must not be before start_date")
        if unit == "week" and first.isocalendar().week == 53:
            raise Refusal(500)  # the vendor does
        limit = _number(request, "limit", MOST_BUCKETS, 1, MOST_BUCKETS)
        offset = _number(request, "offset", 0, 0, 1_000_000)
        days = [first + timedelta(days=n) for n in range((min(last, today) - first).days + 1)]
        buckets = dict.fromkeys(_bucket(day, unit) for day in days)
        wanted = set(list(buckets)[offset : offset + limit])
        return unit, [day for day in days if _bucket(day, unit) in wanted]

    # --- contacts ----------------------------------------------------------------------------------

    def _list_lists(self, request: Request) -> Any:
        page = _page(request, usual=100, most=MOST_LISTS)
        rows = self._rows(
            """
            select
                list_id as id, name,
                (select count(*) from sendgrid_contacts where list_contains(list_ids, list_id))
                    as contact_count
            from sendgrid_lists order by position
            """,
            [],
        )
        for row in rows:
            row["_metadata"] = {"self": f"{request.url.replace(query='')}/{row['id']}"}
        served = rows[page.served_from : page.served_from + page.served]
        return {"result": served, "_metadata": _metadata(request, page, len(rows))}

    def _list_segments(self, request: Request) -> Any:
        """Every segment in one reply, whatever page is asked for, in an envelope unlike the specification."""
        rows = self._rows(
            """
            select
                segment_id as id, name,
                (select count(*) from sendgrid_contacts where list_contains(segment_ids, segment_id))
                    as contacts_count,
                created_at, updated_at, updated_at as sample_updated_at,
                updated_at + interval 1 hour as next_sample_update,
                parent_list_ids, '2' as query_version, {'query_validation': 'VALID'}::json as status
            from sendgrid_segments order by position
            """,
            [],
        )
        return {"results": rows, "_metadata": {"self": str(request.url)}}

    def _list_fields(self, request: Request) -> Any:
        reserved = [(kind, name) for kind, names in RESERVED_FIELDS.items() for name in names.split()]
        return {
            "custom_fields": [
                {"id": f"e{n}_T", "name": name, "field_type": "Text"}
                for n, name in enumerate(CUSTOM_FIELDS, 1)
            ],
            "reserved_fields": [
                {"id": f"_rf{n}_{kind[0]}", "name": name, "field_type": kind}
                | ({"read_only": True} if name in READ_ONLY.split() else {})
                for n, (kind, name) in enumerate(reserved)
            ],
            "_metadata": {"self": str(request.url)},
        }

    def _count_contacts(self, _: Request) -> Any:
        ((count,),) = self._world.sql("select count(*) from sendgrid_contacts")
        return {"contact_count": count, "billable_count": count}

    async def _begin_export(self, request: Request) -> Response:
        body = orjson.loads(await request.body() or b"{}")
        file_type = body.get("file_type", "csv")
        if file_type not in ("csv", "json"):
            return _errors(400, "file_type", "file_type: must be csv or json")
        job = self._exports.begin(file_type, body.get("list_ids", []), body.get("segment_ids", []))
        if job is None:
            return self.error(429, request)
        return _json({"id": job.id, "_metadata": {"self": f"{request.url}/{job.id}"}}, 202)

    def _list_exports(self, request: Request) -> Any:
        """Every job; unlike in the rest of the API, nested lists and segments have capitalised keys."""
        names = dict(
            self._world.sql(
                "select list_id, name from sendgrid_lists"
                " union all select segment_id, name from sendgrid_segments"
            )
        )

        def named(ids: Sequence[str]) -> list[dict[str, str]]:
            return [{"ID": id_, "Name": names[id_]} for id_ in ids if id_ in names]

        kinds = {(False, False): "contacts_export", (True, False): "list_export"}
        rows = [
            self._told(request, job)
            | {
                "export_type": kinds.get((bool(job.list_ids), bool(job.segment_ids)), "segment_export"),
                "lists": named(job.list_ids),
                "segments": named(job.segment_ids),
            }
            for job in self._exports.all()
        ]
        return {"result": rows, "_metadata": {"self": str(request.url)}}

    def _get_export(self, request: Request) -> Any:
        job = self._exports.get(request.path_params["id"])
        if job is None:
            raise Refusal(404)
        told = self._told(request, job)
        if job.is_ready:
            told |= {"contact_count": job.contact_count}
        return told | {"updated_at": _time(job.begun), "_metadata": {"self": str(request.url)}}

    def _told(self, request: Request, job: Export) -> dict[str, Any]:
        """What both answers about a job have; where its files are only once they are there."""
        told = {
            "id": job.id,
            "status": "pending",
            "created_at": _time(job.begun),
            "expires_at": _time(job.expires),
        }
        if not job.is_ready:
            return told
        storage = str(request.base_url).rstrip("/") + STORAGE
        links = [f"{storage}/{link}" for link in self._exports.links(job)]
        return told | {"status": "ready", "completed_at": _time(job.completed), "urls": links}

    def _get_file(self, request: Request) -> Response:
        content = self._exports.file(
            request.path_params["id"],
            request.path_params["number"],
            request.query_params.get("signature", ""),
        )
        return (
            _refused_by_storage(403)
            if content is None
            else Response(content, media_type="binary/octet-stream")
        )

    def _rows(self, query: str, params: Any) -> list[dict[str, Any]]:
        """Run a query; JSON comes back as objects, times as the vendor writes them."""
        with self._world.cursor() as cursor:
            cursor.execute(query, params)
            columns = [(column[0], str(column[1])) for column in cursor.description or []]
            return [
                {name: _plain(value, kind) for (name, kind), value in zip(columns, row, strict=True)}
                for row in cursor.fetchall()
            ]


def _figures(metrics: Sequence[str], unique: str) -> str:
    """Return the SQL of one JSON object with these sums over sendgrid_sums."""
    sums = (f"'{name}': coalesce({METRICS[name]}, 0)::bigint" for name in metrics)
    return f"{{{', '.join(sums)}}}::json".replace("{unique}", unique)


def _plain(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "JSON":
        return orjson.loads(value)
    return f"{value:%Y-%m-%dT%H:%M:%SZ}" if kind.startswith("TIMESTAMP") else value


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, "application/json")


def _errors(status: int, field: str | None, message: str, headers: dict[str, str] | None = None) -> Response:
    return _json({"errors": [{"field": field, "message": message}]}, status, headers)


def _key_of(request: Request) -> str:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key if scheme == "Bearer" else ""


def _is_storage(request: Request) -> bool:
    return str(request.scope["state"]["path"]).startswith(STORAGE)


def _refused_by_storage(status: int) -> Response:
    code = {400: "InvalidArgument", 403: "SignatureDoesNotMatch"}[status]
    return Response(f"<Error><Code>{code}</Code></Error>", status, media_type="application/xml")


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _wrong(parameter: str, message: str) -> Refusal:
    return Refusal(400, parameter, f"{parameter}: {message}")


def _names(text: str | None) -> list[str]:
    return [name for name in (text or "").split(",") if name]


def _number(request: Request, name: str, usual: int, least: int, most: int) -> int:
    text = request.query_params.get(name, str(usual))
    if not text.isdecimal() or not least <= int(text) <= most:
        raise _wrong(name, f"must be between {least} and {most}")
    return int(text)


def _asked(request: Request, breakdowns: set[str]) -> tuple[list[str], bool]:
    """Return what marketing stats are to be grouped by, and whether by day as well."""
    query = request.query_params
    by, aggregation = _names(query.get("group_by")), query.get("aggregated_by", "total")
    if not breakdowns.issuperset(by):
        raise _wrong("group_by", f"must be among {', '.join(sorted(breakdowns))}")
    if aggregation not in ("total", "day"):
        raise _wrong("aggregated_by", "must be total or day")
    if query.get("timezone", "UTC") != "UTC":
        raise _wrong("timezone", "must be UTC: the sandbox keeps its days in no other")
    return by, aggregation == "day"


def _day(request: Request, name: str, usual: date) -> date:
    try:
        return date.fromisoformat(request.query_params.get(name, usual.isoformat()))
    except ValueError:
        raise _wrong(name, "must be YYYY-MM-DD") from None


def _bucket(day: date, unit: str) -> date:
    """Return the first day of the bucket, which is its label."""
    if unit == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unit == "month" else day


def _page(request: Request, usual: int, most: int) -> Page:
    """Read page_size and page_token. The token is opaque to a client: the number of a row."""
    size = _number(request, "page_size", usual, 1, most)
    token = request.query_params.get("page_token")
    try:
        start = int(base64.urlsafe_b64decode(token).removeprefix(b"row:")) if token else 0
    except (binascii.Error, ValueError):
        raise _wrong("page_token", "invalid") from None
    match request.state.page_fault:
        case "empty":
            return Page(start, size, start, 0)
        case "repeat":
            return Page(start, size, max(0, start - size), size)
    return Page(start, size, _moved(request, start), size)


def _moved(request: Request, start: int) -> int:
    """Where a page starts before which a row was added or deleted since the list was begun."""
    return start + {"skip": 1, "again": -1}.get(request.state.page_fault, 0) if start else 0


def _results(request: Request, page: Page, rows: list[dict[str, Any]]) -> dict[str, Any]:
    served = rows[page.served_from : page.served_from + page.served]
    return {"results": served, "_metadata": _metadata(request, page, len(rows))}


def _metadata(request: Request, page: Page, count: int) -> dict[str, Any]:
    def link(row: int) -> str:
        token = base64.urlsafe_b64encode(b"row:%d" % row).decode()
        return str(request.url.include_query_params(page_token=token, page_size=page.size))

    links: dict[str, Any] = {"self": link(page.start), "count": count}
    if page.start > 0:
        links["prev"] = link(max(0, page.start - page.size))
    if page.start + page.size < count:
        links["next"] = link(page.start + page.size)
    return links
