"""SendGrid: single sends with their lifetime totals, and account-level stats by day.

Account-level stats count all mail of the account and cannot be joined to a single send. The vendor forgets
the advanced ones within days, so the rows stay in the warehouse when they are no longer served.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial

from ingest.http import Client, Linked, Parameters, Vendor, Whole
from ingest.pipeline import Pages, Resource, Source
from ingest.typed import Column, Table, each
from settings import Settings

SCHEMA = "raw_sendgrid"
DAYS_A_REQUEST = 365
MOST_BUCKETS = 500
"""Days that one answer of an account-level stat holds at most; a full one may have been cut."""
LATE = timedelta(days=7)
"""Late opens and clicks move the figures of past days; each run reads a week of them again."""

LIST = Linked("$._metadata.next", "page_token", ("page_size", 100), "$._metadata.count")
STATS = Linked("$._metadata.next", "page_token", ("page_size", 50), "$._metadata.count")  # 51 is refused

SINGLE_SENDS = Table(
    SCHEMA,
    "single_sends",
    ("id",),
    [
        *each("text", "id name status"),
        Column("categories", "json"),
        Column("send_at", "timestamptz"),
        Column("is_abtest", "bool"),
        Column("abtest", "json"),
        *each("timestamptz", "created_at updated_at"),
    ],
    newest="updated_at",
)
SINGLE_SEND_STATS = Table(
    SCHEMA,
    "single_send_stats",
    ("id", "ab_phase", "ab_variation", "aggregation"),
    [
        *each("text", "id ab_variation ab_phase aggregation"),
        *each(
            "bigint",
            "requests delivered opens unique_opens clicks unique_clicks bounces bounce_drops",
            "stats",
        ),
        *each("bigint", "invalid_emails spam_reports spam_report_drops unsubscribes", "stats"),
    ],
)


def by_day(name: str, metrics: str, *, is_split: bool = True) -> Table:
    """A stat by day; a split one has several rows a day, told apart by type and name."""
    split = each("text", "type name") if is_split else []
    return Table(
        SCHEMA,
        name,
        ("date", *(column.name for column in split)),
        [Column("date", "date"), *split, *each("bigint", metrics, "metrics")],
        opens="stats",
    )


GLOBAL_STATS = by_day(
    "global_stats",
    "blocks bounce_drops bounces clicks deferred delivered invalid_emails opens processed requests "
    "spam_report_drops spam_reports unique_clicks unique_opens unsubscribe_drops unsubscribes",
    is_split=False,
)
DEVICE_STATS = by_day("device_stats", "opens unique_opens")
CLIENT_STATS = by_day("client_stats", "opens unique_opens")
BROWSER_STATS = by_day("browser_stats", "clicks unique_clicks")
MAILBOX_PROVIDER_STATS = by_day(
    "mailbox_provider_stats",
    "blocks bounces deferred delivered drops processed requests spam_reports "
    "opens unique_opens clicks unique_clicks",
)
GEO_STATS = Table(
    SCHEMA,
    "geo_stats",
    ("country_filter", "date", "type", "name"),
    [
        Column("country_filter", "text", known=True),
        Column("date", "date"),
        *each("text", "type name"),
        *each("bigint", "opens unique_opens clicks unique_clicks", "metrics"),
    ],
    opens="stats",
)


def single_sends(client: Client, _since: None) -> Pages:
    """Every single send: there is no filter on what changed."""
    yield from client.pages("marketing/singlesends", SINGLE_SENDS, LIST)


def single_send_stats(client: Client, _since: None) -> Pages:
    """One row per single send and A/B part, with its totals since it was sent."""
    yield from client.pages("marketing/stats/singlesends", SINGLE_SEND_STATS, STATS)


def daily(
    client: Client,
    since: date | None,
    *,
    path: str,
    table: Table,
    countries: Sequence[str],
    history_days: int,
) -> Pages:
    """A stat by day from `since` to today, at most a year a request; an empty old day is no deletion."""
    start = since or client.today - timedelta(days=history_days)
    while start <= client.today:
        end = min(start + timedelta(days=DAYS_A_REQUEST - 1), client.today)
        asked = {"start_date": f"{start}", "end_date": f"{end}", "aggregated_by": "day"}
        paged: Parameters = {} if table is CLIENT_STATS else {"limit": MOST_BUCKETS, "offset": 0}
        for country in countries:
            narrowed = {"country": country} if country else {}
            params: Parameters = {**asked, **paged, **narrowed}
            yield from client.pages(path, table, Whole(), params, known={"country_filter": country})
        yield None
        start = end + timedelta(days=1)


def resources(settings: Settings) -> list[Resource]:
    def stat(table: Table, path: str, countries: Sequence[str] = ("",)) -> Resource:
        read = partial(daily, path=path, table=table, countries=countries, history_days=settings.history_days)
        return Resource(table, read, "stats.read", cursor="date", overlap=LATE)

    return [
        Resource(SINGLE_SENDS, single_sends, "marketing.read"),
        Resource(SINGLE_SEND_STATS, single_send_stats, "marketing.read"),
        stat(GLOBAL_STATS, "stats"),
        stat(DEVICE_STATS, "devices/stats"),
        stat(CLIENT_STATS, "clients/stats"),
        stat(BROWSER_STATS, "browsers/stats"),
        stat(GEO_STATS, "geo/stats", ("", "US", "CA")),
        stat(MAILBOX_PROVIDER_STATS, "mailbox_providers/stats"),
    ]


def connect(settings: Settings, key: str) -> Vendor:
    return Vendor(
        settings.sendgrid_base_url, f"Bearer {key}", is_near=settings.world_of("sendgrid") == "sandbox"
    )


SENDGRID = Source("sendgrid", "SENDGRID_API_KEY", connect, resources)
