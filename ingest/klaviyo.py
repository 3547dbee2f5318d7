"""Klaviyo: profiles, predictions, segments with counts and members, metrics, events."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pyarrow as pa
import requests

from ingest.http import Client, Linked, RefusedError, Vendor, Whole, side_by_side
from ingest.pipeline import SETTLED, Pages, Resource, Source
from ingest.typed import Column, Table, each
from settings import Settings

SCHEMA = "raw_klaviyo"
NEWEST_REVISION = "2026-07-15"
"""The newest revision that these resources were written against."""
EVENTS_LATE = timedelta(days=7)
"""Events arrive days after they happened; four were seen, attribution takes five."""
PROFILES_LATE = timedelta(hours=1)
WINDOW = timedelta(days=7)
WINDOWS_AT_ONCE = 8
"""Events are asked for in windows side by side: at a second or two a page, one after the other takes hours.
"""

attribute = partial(Column, at="attributes")
attributes = partial(each, at="attributes")
ENVELOPE = "type relationships links"


def list_of(size: int | None) -> Linked:
    return Linked("$.links.next", "page[cursor]", ("page[size]", size) if size else None)


PROFILES = Table(
    SCHEMA,
    "profiles",
    ("id",),
    [
        Column("id", "text"),
        *attributes(
            "text", "email phone_number external_id first_name last_name organization locale title image"
        ),
        *attributes("timestamptz", "created updated last_event_date"),
        *attributes("json", "location properties subscriptions"),
    ],
    drops=ENVELOPE,
    newest="updated",
)
PREDICTIONS = Table(
    SCHEMA,
    "predictive_analytics",
    ("profile_id", "measured_on"),
    [
        Column("profile_id", "text", field="id"),
        Column("measured_on", "date", known=True),
        *each(
            "double",
            "historic_clv predicted_clv total_clv historic_number_of_orders predicted_number_of_orders "
            "average_days_between_orders average_order_value churn_probability",
            "attributes.predictive_analytics",
        ),
        Column("expected_date_of_next_order", "timestamptz", "attributes.predictive_analytics"),
        Column("ranked_channel_affinity", "json", "attributes.predictive_analytics"),
    ],
    drops=ENVELOPE,
)
SEGMENTS = Table(
    SCHEMA,
    "segments",
    ("id",),
    [
        Column("id", "text"),
        attribute("name", "text"),
        attribute("definition", "json"),
        *attributes("timestamptz", "created updated"),
        *attributes("bool", "is_active is_processing is_starred"),
    ],
    drops=ENVELOPE,
)
LISTED = "external_id title"
CATALOG_ITEMS = Table(
    SCHEMA,
    "catalog_items",
    ("id",),
    [
        Column("id", "text"),
        *attributes("text", f"{LISTED} description url"),
        attribute("price", "double"),
        attribute("published", "bool"),
        *attributes("timestamptz", "created updated"),
        Column("variants", "json", "relationships.variants", "data"),
    ],
    drops=ENVELOPE,
)
CATALOG_VARIANTS = Table(
    SCHEMA,
    "catalog_variants",
    ("id",),
    [
        Column("id", "text"),
        *attributes("text", f"{LISTED} sku"),
        attribute("price", "double"),
        attribute("inventory_policy", "bigint"),
        attribute("inventory_quantity", "double"),
        attribute("published", "bool"),
        *attributes("timestamptz", "created updated"),
    ],
    drops=ENVELOPE,
)
CATALOG_CATEGORIES = Table(
    SCHEMA,
    "catalog_categories",
    ("id",),
    [Column("id", "text"), *attributes("text", "external_id name"), attribute("updated", "timestamptz")],
    drops=ENVELOPE,
)
CATALOG_CATEGORY_ITEMS = Table(
    SCHEMA,
    "catalog_category_items",
    ("category_id", "item_id"),
    [Column("category_id", "text", known=True), Column("item_id", "text", field="id")],
    drops="type",
)
SEGMENT_COUNTS = Table(
    SCHEMA,
    "segment_counts",
    ("segment_id", "measured_on"),
    [
        Column("segment_id", "text", field="id"),
        Column("measured_on", "date", known=True),
        attribute("profile_count", "bigint"),
    ],
    drops=ENVELOPE,
)
SEGMENT_MEMBERS = Table(
    SCHEMA,
    "segment_members",
    ("segment_id", "profile_id"),
    [
        Column("segment_id", "text", known=True),
        Column("profile_id", "text", field="id"),
        attribute("joined_group_at", "timestamptz"),
    ],
    drops=ENVELOPE,
)
METRICS = Table(
    SCHEMA,
    "metrics",
    ("id",),
    [
        Column("id", "text"),
        attribute("name", "text"),
        *attributes("timestamptz", "created updated"),
        attribute("integration", "json"),
    ],
    drops=ENVELOPE,
    newest="updated",
)
EVENTS = Table(
    SCHEMA,
    "events",
    ("id",),
    [
        Column("id", "text"),
        attribute("timestamp", "bigint"),
        attribute("datetime", "timestamptz"),
        attribute("uuid", "text"),
        attribute("event_properties", "json"),
        Column("profile_id", "text", "relationships.profile.data", "id"),
        Column("metric_id", "text", "relationships.metric.data", "id"),
    ],
    drops=ENVELOPE,
)


def metrics(client: Client, _since: None) -> Pages:
    yield from client.pages("metrics", METRICS, list_of(None))


def segments(client: Client, _since: None = None) -> Iterator[pa.Table]:
    yield from client.pages("segments", SEGMENTS, list_of(10))


def catalog_items(client: Client, _since: None) -> Pages:
    """Every product that the shop lists, with the ids of its variants: a relation is told when included."""
    asked = {"include": "variants", "fields[catalog-variant]": "external_id"}
    yield from client.pages("catalog-items", CATALOG_ITEMS, list_of(100), asked)


def catalog_variants(client: Client, _since: None) -> Pages:
    yield from client.pages("catalog-variants", CATALOG_VARIANTS, list_of(100))


def catalog_categories(client: Client, _since: None = None) -> Iterator[pa.Table]:
    yield from client.pages("catalog-categories", CATALOG_CATEGORIES, list_of(100))


def catalog_category_items(client: Client, _since: None) -> Pages:
    """Which products stand in which category; an item itself does not tell, so each category is asked."""
    path = "catalog-categories/{category}/relationships/items"
    for page in catalog_categories(client):
        for category in page.column("id").to_pylist():
            ids, known = {"category": category}, {"category_id": category}
            yield from client.pages(path, CATALOG_CATEGORY_ITEMS, list_of(100), ids=ids, known=known)


def profiles(client: Client, since: datetime | None) -> Pages:
    """Profiles in the order of their changes; one that changes while it is read comes again at the end."""
    asked = {"sort": "updated", "additional-fields[profile]": "subscriptions"}
    if since:
        asked["filter"] = f"greater-than(updated,{_utc(since)})"  # there is no greater-or-equal here
    for page in client.pages("profiles", PROFILES, list_of(100), asked):
        yield page
        yield None


def predictive_analytics(client: Client, _since: None) -> Pages:
    """What Klaviyo expects of every profile, nulls where it expects nothing.

    Apart from `profiles`, because the vendor allows a fifteenth of the requests and fails under load.
    """
    asked = {
        "fields[profile]": "predictive_analytics",
        "additional-fields[profile]": "predictive_analytics",
    }
    known = {"measured_on": client.today}
    yield from client.pages("profiles", PREDICTIONS, list_of(100), asked, known=known)


def segment_counts(client: Client, _since: None) -> Pages:
    """Klaviyo's own count of each segment, one request a second each."""
    asked = {"fields[segment]": "profile_count", "additional-fields[segment]": "profile_count"}
    known = {"measured_on": client.today}
    for segment in _segment_ids(client):
        yield from client.pages(
            "segments/{segment}", SEGMENT_COUNTS, Whole(), asked, ids={"segment": segment}, known=known
        )


def segment_members(client: Client, _since: None) -> Pages:
    """Who is in each segment now; leavers leave no trace, so the whole membership is read."""
    asked = {"fields[profile]": "joined_group_at"}
    path = "segments/{segment}/profiles"
    for segment in _segment_ids(client):
        ids, known = {"segment": segment}, {"segment_id": segment}
        yield from client.pages(path, SEGMENT_MEMBERS, list_of(100), asked, ids=ids, known=known)


def _segment_ids(client: Client) -> list[str]:
    return [segment for page in segments(client) for segment in page.column("id").to_pylist()]


def events(client: Client, since: datetime | None, history_days: int) -> Pages:
    """Every tracked action in the order in which it happened, from `since` to just before the run began.

    The upper bound keeps an event that claims to be from the future out until its time has come.
    """
    end = client.started_at - SETTLED
    start = since or end - timedelta(days=history_days)
    windows = (
        partial(_events_between, client, at, min(at + WINDOW, end)) for at in _steps(start, end, WINDOW)
    )
    for pages in side_by_side(windows, WINDOWS_AT_ONCE):
        yield from pages
        yield None


def _steps(start: datetime, end: datetime, step: timedelta) -> Iterator[datetime]:
    while start < end:
        yield start
        start += step


def _events_between(client: Client, start: datetime, end: datetime) -> Iterator[pa.Table]:
    """Half-open, so that the windows touch without sharing a second. Profiles and metrics only as ids."""
    asked = {
        "sort": "datetime",
        "filter": f"greater-or-equal(datetime,{_utc(start)}),less-than(datetime,{_utc(end)})",
        "include": "metric,profile",
        "fields[profile]": "id",
        "fields[metric]": "name",
    }
    yield from client.pages("events", EVENTS, list_of(1000), asked)


def _utc(moment: datetime) -> str:
    """The form that is safe in a filter: no blank, no plus sign, whole seconds."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def resources(settings: Settings) -> list[Resource]:
    return [
        Resource(METRICS, metrics, "metrics:read"),
        Resource(CATALOG_ITEMS, catalog_items, "catalogs:read", replaced=True),
        Resource(CATALOG_VARIANTS, catalog_variants, "catalogs:read", replaced=True),
        Resource(CATALOG_CATEGORIES, catalog_categories, "catalogs:read", replaced=True),
        Resource(CATALOG_CATEGORY_ITEMS, catalog_category_items, "catalogs:read", replaced=True),
        Resource(SEGMENTS, segments, "segments:read", replaced=True),
        Resource(PROFILES, profiles, "profiles:read", cursor="updated", overlap=PROFILES_LATE),
        Resource(
            EVENTS,
            lambda client, since: events(client, since, settings.history_days),
            "events:read",
            cursor="datetime",
            overlap=EVENTS_LATE,
        ),
        Resource(SEGMENT_MEMBERS, segment_members, "segments:read and profiles:read", replaced=True),
        Resource(SEGMENT_COUNTS, segment_counts, "segments:read", cursor="measured_on", daily=True),
        Resource(PREDICTIONS, predictive_analytics, "profiles:read", cursor="measured_on", daily=True),
    ]


def connect(settings: Settings, key: str) -> Vendor:
    revision = settings.klaviyo_revision
    vendor = Vendor(
        settings.klaviyo_base_url,
        f"Klaviyo-API-Key {key}",
        headers={"revision": revision, "X-Klaviyo-Revision-Fall-Forward-Opt-Out": "1"},
        is_near=settings.world_of("klaviyo") == "sandbox",
    )

    def compare(answer: requests.Response, **_: object) -> None:
        answered = answer.headers.get("X-Klaviyo-API-Revision", revision)
        notice = f"revision {answered} answered, {revision} was asked for; set KLAVIYO_REVISION"
        if answered != revision and notice not in vendor.notices:
            vendor.notices.append(notice)

    vendor.hooks["response"].append(compare)
    return vendor


def explain(error: RefusedError, settings: Settings) -> str | None:
    """A retired revision: every call with it is 410, because falling forward is opted out of."""
    if error.status != requests.codes.gone:
        return None
    revision = settings.klaviyo_revision
    return f"klaviyo retired revision {revision}. Set KLAVIYO_REVISION={NEWEST_REVISION}, then make ingest"


KLAVIYO = Source("klaviyo", "KLAVIYO_API_KEY", connect, resources, explain)
