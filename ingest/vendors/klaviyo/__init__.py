"""Klaviyo: profiles, predictions, segments and lists with members, flows, campaigns, metrics, events."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import partial
from typing import Any

import requests

from common.settings import Settings
from ingest.errors import RefusedError
from ingest.http import Client, Vendor
from ingest.model import Pages, Remark, Resource, Source
from ingest.typed import Table
from ingest.vendors.klaviyo import reads, tables

MEDIA_TYPE = "application/vnd.api+json"
"""The only type that Klaviyo's description offers; gateways refuse another."""
NEWEST_REVISION = "2026-07-15"
"""The newest revision that these resources were written against."""
REVISION_LIVES_YEARS = 2
"""By Klaviyo's policy: one stable, one deprecated."""
SOON = timedelta(days=90)
"""Klaviyo brings a revision a quarter."""
EVENTS_LATE = timedelta(days=7)
"""Events arrive days after they happened; four were seen, attribution takes five."""
PROFILES_LATE = timedelta(hours=1)
CAMPAIGNS_LATE = timedelta(days=7)
AGGREGATES_LATE = timedelta(days=20)
"""Events have been seen to arrive on day 17."""


THINGS = partial(Resource, gone="things")
WHOLE = partial(Resource, replaced=True)
DAILY = partial(Resource, cursor="measured_on", daily=True)
CHANGED = partial(Resource, cursor="updated_at", overlap=CAMPAIGNS_LATE, gone="things")


def resources(settings: Settings) -> list[Resource]:
    days = settings.history_days
    return [
        WHOLE(tables.ACCOUNTS, reads.accounts, "accounts:read", optional=True),
        THINGS(tables.METRICS, reads.metrics, "metrics:read"),
        WHOLE(tables.MAPPED_METRICS, reads.mapped_metrics, "metrics:read", optional=True),
        WHOLE(tables.CATALOG_ITEMS, reads.catalog_items, "catalogs:read"),
        WHOLE(tables.CATALOG_VARIANTS, reads.catalog_variants, "catalogs:read"),
        WHOLE(tables.CATALOG_CATEGORIES, reads.catalog_categories, "catalogs:read"),
        WHOLE(
            tables.CATALOG_CATEGORY_ITEMS, reads.catalog_category_items, "catalogs:read", parent="category_id"
        ),
        THINGS(tables.SEGMENTS, reads.segments, "segments:read"),
        Resource(
            tables.PROFILES,
            reads.profiles,
            "profiles:read",
            cursor="updated",
            overlap=PROFILES_LATE,
            gone="people",
        ),
        Resource(
            tables.events(settings.klaviyo_event_properties),
            partial(reads.events, history_days=days),
            "events:read",
            cursor="datetime",
            overlap=EVENTS_LATE,
        ),
        THINGS(tables.FLOWS, reads.flows, "flows:read"),
        THINGS(tables.FLOW_ACTIONS, reads.flow_actions, "flows:read"),
        THINGS(tables.FLOW_MESSAGES, reads.flow_messages, "flows:read"),
        Resource(
            tables.METRIC_AGGREGATES,
            partial(reads.metric_aggregates, history_days=days),
            "metrics:read",
            cursor="date",
            overlap=AGGREGATES_LATE,
        ),
        DAILY(tables.FLOW_VALUES, reads.flow_values, "flows:read and metrics:read"),
        _members(tables.SEGMENT_MEMBERS, reads.segment_members, "segment"),
        THINGS(tables.LISTS, reads.lists, "lists:read"),
        _members(tables.LIST_MEMBERS, reads.list_members, "list"),
        CHANGED(tables.CAMPAIGNS, reads.campaigns, "campaigns:read"),
        CHANGED(
            tables.CAMPAIGN_MESSAGES,
            partial(reads.campaigns, table=tables.CAMPAIGN_MESSAGES),
            "campaigns:read",
        ),
        DAILY(tables.CAMPAIGN_VALUES, reads.campaign_values, "campaigns:read and metrics:read"),
        DAILY(tables.SEGMENT_COUNTS, reads.segment_counts, "segments:read"),
        DAILY(tables.LIST_COUNTS, reads.list_counts, "lists:read", optional=True),
        DAILY(tables.PREDICTIONS, reads.predictive_analytics, "profiles:read"),
    ]


def _members(table: Table, read: Callable[[Client, None], Pages], group: str) -> Resource:
    """Yield the members of each segment or list, judged per group against Klaviyo's own count."""
    count, parent = partial(reads.counted, group), f"{group}_id"
    return WHOLE(table, read, f"{group}s:read and profiles:read", parent=parent, count=count)


def connect(settings: Settings, key: str) -> Vendor:
    revision = settings.klaviyo_revision
    vendor = Vendor(
        settings.klaviyo_base_url,
        f"Klaviyo-API-Key {key}",
        headers={
            "Accept": MEDIA_TYPE,
            "Content-Type": MEDIA_TYPE,
            "revision": revision,
            "X-Klaviyo-Revision-Fall-Forward-Opt-Out": "1",
        },
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
    """Explain a retired revision: every call with it is 410, because falling forward is opted out of."""
    if error.status != requests.codes.gone:
        return None
    revision = settings.klaviyo_revision
    return f"klaviyo retired revision {revision}. Set KLAVIYO_REVISION={NEWEST_REVISION}, then make doctor"


def tell(_get: Callable[[str], Any], settings: Settings, scopes: str) -> Iterator[Remark]:
    """Say when the configured revision ends: two years after its date."""
    yield Remark("ok", f"{scopes}; write permissions are not reported")
    year, month, day = (int(part) for part in settings.klaviyo_revision.removesuffix(".pre").split("-"))
    left = date(year + REVISION_LIVES_YEARS, month, min(day, 28)) - settings.now().date()
    ends = f"retires in {left.days:,} days" if left.days >= 0 else f"retired {-left.days:,} days ago"
    text = f"revision {settings.klaviyo_revision}, {ends}"
    if left > SOON:
        yield Remark("ok", text)
    else:
        yield Remark("warn", f"{text}: set KLAVIYO_REVISION to a newer one")


KLAVIYO = Source(
    name="klaviyo",
    title="Klaviyo",
    key_name="KLAVIYO_API_KEY",
    key_like="pk_0123456789abcdef0123456789abcdef01",
    connect=connect,
    resources=resources,
    explain=explain,
    tell=tell,
    # Without a page size: older revisions do not support it.
    probes={
        "accounts:read": "accounts",
        "profiles:read": "profiles",
        "segments:read": "segments",
        "lists:read": "lists",
        "flows:read": "flows",
        "campaigns:read": "campaigns?filter=equals(messages.channel,'email')",
        "metrics:read": "metrics",
        "events:read": "events",
        "catalogs:read": "catalog-items",
    },
)
