"""SendGrid: single sends and automations with their stats, account-level stats by day, contacts and their
groups, suppressions.

Account-level stats count all mail of the account and cannot be joined to a single send. The vendor forgets
the advanced ones within days, so the rows stay in the warehouse when they are no longer served.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from common.settings import Settings
from ingest.http import Vendor
from ingest.model import Remark, Resource, Source
from ingest.typed import Table
from ingest.vendors.sendgrid import reads, tables
from privacy import outside

WRITING = frozenset({"create", "update", "delete", "send", "write"})
"""The last part of a scope that allows more than reading."""
LATE = timedelta(days=7)
"""Late opens and clicks move the figures of past days; each run reads a week of them again."""


def resources(settings: Settings) -> list[Resource]:
    def stat(table: Table, path: str, countries: Sequence[str] = ("",)) -> Resource:
        read = partial(
            reads.daily, path=path, table=table, countries=countries, history_days=settings.history_days
        )
        forgets = table is not tables.GLOBAL_STATS
        return Resource(table, read, "stats.read", cursor="date", overlap=LATE, forgets=forgets)

    return [
        Resource(tables.SINGLE_SENDS, reads.single_sends, "marketing.read", gone="things"),
        Resource(tables.SINGLE_SEND_STATS, reads.single_send_stats, "marketing.read"),
        Resource(tables.VARIATION_STATS, reads.single_send_variation_stats, "marketing.read"),
        Resource(
            tables.SINGLE_SEND_DETAILS, reads.single_send_details, "marketing.read", cursor="updated_at"
        ),
        Resource(
            tables.DAILY_STATS,
            partial(reads.single_send_daily_stats, history_days=settings.history_days),
            "marketing.read",
            cursor="date",
            overlap=LATE,
        ),
        Resource(tables.AUTOMATION_STATS, reads.automation_stats, "marketing.read", gone="things"),
        Resource(
            tables.SUPPRESSIONS,
            partial(reads.suppressions, table=tables.SUPPRESSIONS, lists=reads.LISTED),
            "suppression.read",
            replaced=True,
            parent="list",
        ),
        Resource(  # the vendor forgets them after 30 days
            tables.INVALID_EMAILS,
            partial(reads.suppressions, table=tables.INVALID_EMAILS, lists=["invalid_emails"]),
            "suppression.read",
        ),
        Resource(tables.UNSUBSCRIBE_GROUPS, reads.unsubscribe_groups, "asm.groups.read", gone="things"),
        Resource(tables.GROUP_SUPPRESSIONS, reads.group_suppressions, "asm.groups.read", replaced=True),
        Resource(tables.LISTS, reads.lists, "marketing.read", gone="things"),
        Resource(tables.SEGMENTS, reads.segments, "marketing.read", gone="things"),
        Resource(tables.FIELD_DEFINITIONS, reads.field_definitions, "marketing.read", replaced=True),
        Resource(tables.CONTACTS, reads.contacts, "marketing.read", replaced=True, count=reads.contact_count),
        Resource(tables.CONTACT_COUNTS, reads.contact_counts, "marketing.read", optional=True),
        stat(tables.GLOBAL_STATS, "stats"),
        stat(tables.DEVICE_STATS, "devices/stats"),
        stat(tables.CLIENT_STATS, "clients/stats"),
        stat(tables.BROWSER_STATS, "browsers/stats"),
        stat(tables.GEO_STATS, "geo/stats", ("", "US", "CA")),
        stat(tables.MAILBOX_PROVIDER_STATS, "mailbox_providers/stats"),
    ]


def connect(settings: Settings, key: str) -> Vendor:
    return Vendor(
        settings.sendgrid_base_url, f"Bearer {key}", is_near=settings.world_of("sendgrid") == "sandbox"
    )


def tell(get: Callable[[str], Any], _settings: Settings, scopes: str) -> Iterator[Remark]:
    """Return whether the key can write, which SendGrid reports for every key."""
    rights = [right for right in get("scopes")["scopes"] if right.split(".")[-1] in WRITING]
    if rights:
        more = f" and {len(rights) - 1} more" if len(rights) > 1 else ""
        first = outside.words(rights[0])
        yield Remark("warn", f"the key can write ({first}{more}): read scopes are enough")
    yield Remark("ok", f"{scopes}{'' if rights else ', none to write'}")


SENDGRID = Source(
    name="sendgrid",
    title="SendGrid",
    key_name="SENDGRID_API_KEY",
    key_like="SG.aBcDeFgHiJkLmNoPqRsTuV.0123456789abcdefghij",
    connect=connect,
    resources=resources,
    tell=tell,
    probes={
        "marketing.read": "marketing/lists?page_size=1",
        "stats.read": "devices/stats?start_date={today}&end_date={today}&limit=1",
        "suppression.read": "suppression/bounces?limit=1",
        "asm.groups.read": "asm/groups",
    },
)
