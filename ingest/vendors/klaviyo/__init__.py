"""Klaviyo: profiles, predictions, segments and lists with members, flows, campaigns, metrics, events."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from functools import partial
from typing import Any

import requests

from common.pace import Pace
from common.settings import Settings
from ingest.errors import RefusedError
from ingest.http import Vendor
from ingest.model import Remark, Resource, Source, listed
from ingest.paging import Whole
from ingest.typed import Table
from ingest.vendors.klaviyo import reads, tables
from ingest.vendors.klaviyo.classes import class_of, windows_of

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

REPLACED = partial(Resource, replaced=True)
WHOLE = partial(listed, replaced=True)
DAY: Mapping[str, Any] = {"cursor": "measured_on", "daily": True}
DAILY: Callable[..., Resource] = partial(Resource, **DAY)
CHANGED = partial(Resource, cursor="updated_at", overlap=CAMPAIGNS_LATE, gone="things")


def resources(settings: Settings) -> list[Resource]:
    hundred, variants = reads.list_of(100), {"include": "variants", "fields[catalog-variant]": "external_id"}
    segments, lists = (partial(reads.groups, kind=kind) for kind in ("segment", "list"))
    account = {"fields[account]": ",".join(column.name for column in tables.ACCOUNTS.columns if column.at)}
    events = tables.events(settings.klaviyo_event_properties)
    messages = partial(reads.campaigns, table=tables.CAMPAIGN_MESSAGES)
    return [
        WHOLE(tables.ACCOUNTS, "accounts", Whole(), "accounts:read", account, optional=True),
        Resource(tables.METRICS, reads.metrics, "metrics:read", gone="things"),
        REPLACED(tables.MAPPED_METRICS, reads.mapped_metrics, "metrics:read", optional=True),
        # Relations come only when included.
        WHOLE(tables.CATALOG_ITEMS, "catalog-items", hundred, "catalogs:read", variants),
        WHOLE(tables.CATALOG_VARIANTS, "catalog-variants", hundred, "catalogs:read"),
        REPLACED(tables.CATALOG_CATEGORIES, reads.categories, "catalogs:read"),
        REPLACED(tables.CATALOG_CATEGORY_ITEMS, reads.category_items, "catalogs:read", parent="category_id"),
        Resource(tables.SEGMENTS, segments, "segments:read", gone="things"),
        Resource(tables.PROFILES, reads.profiles, "profiles:read", "updated", PROFILES_LATE, gone="people"),
        Resource(events, reads.events, "events:read", "datetime", EVENTS_LATE, is_dated=True),
        Resource(tables.FLOWS, reads.flows, "flows:read", gone="things"),
        Resource(tables.FLOW_ACTIONS, reads.flow_actions, "flows:read", gone="things"),
        Resource(tables.FLOW_MESSAGES, reads.flow_messages, "flows:read", gone="things"),
        REPLACED(tables.FLOW_TRIGGERS, reads.flow_triggers, "metrics:read"),
        REPLACED(tables.FLOW_MESSAGE_TEMPLATES, reads.templates, "templates:read", optional=True),
        Resource(tables.METRIC_AGGREGATES, reads.metric_aggregates, "metrics:read", "date", AGGREGATES_LATE),
        DAILY(tables.FLOW_VALUES, reads.flow_values, "flows:read and metrics:read"),
        _members(tables.SEGMENT_MEMBERS, "segment", settings),
        Resource(tables.LISTS, lists, "lists:read", gone="things"),
        _members(tables.LIST_MEMBERS, "list", settings),
        CHANGED(tables.CAMPAIGNS, reads.campaigns, "campaigns:read"),
        CHANGED(tables.CAMPAIGN_MESSAGES, messages, "campaigns:read"),
        DAILY(tables.CAMPAIGN_VALUES, reads.campaign_values, "campaigns:read and metrics:read"),
        _counts(tables.SEGMENT_COUNTS, "segment"),
        _counts(tables.LIST_COUNTS, "list", optional=True),
        DAILY(tables.PREDICTIONS, reads.predictions, "profiles:read"),
    ]


def _members(table: Table, kind: str, settings: Settings) -> Resource:
    """Return the members of each segment or list, judged per group against Klaviyo's own count."""
    read, count = partial(reads.group_members, kind=kind, table=table), partial(reads.counted, kind)
    scope = f"{kind}s:read and profiles:read"
    every = timedelta(hours=settings.klaviyo_members_every_hours)
    return REPLACED(table, read, scope, parent=f"{kind}_id", count=count, every=every)


def _counts(table: Table, kind: str, *, optional: bool = False) -> Resource:
    read = partial(reads.group_counts, kind=kind, table=table)
    return DAILY(table, read, f"{kind}s:read", optional=optional)


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
        pace=Pace(windows_of) if settings.is_paced("klaviyo") else Pace(),
        classed=class_of,
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
        "templates:read": "templates",
        "campaigns:read": "campaigns?filter=equals(messages.channel,'email')",
        "metrics:read": "metrics",
        "events:read": "events",
        "catalogs:read": "catalog-items",
    },
)
