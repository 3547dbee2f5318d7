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
from ingest.model import Remark, Resource, Source, listed
from ingest.paging import Whole
from ingest.typed import Table
from ingest.vendors.sendgrid import reads, tables
from privacy import outside

MARKETING, SUPPRESSION, GROUPS = "marketing.read", "suppression.read", "asm.groups.read"
WRITING = frozenset({"create", "update", "delete", "send", "write"})
"""The last part of a scope that allows more than reading."""
LATE = timedelta(days=7)
"""Late opens and clicks move the figures of past days; each run reads a week of them again."""


def resources(_settings: Settings) -> list[Resource]:
    by_day = partial(Resource, cursor="date", overlap=LATE)

    def stat(table: Table, path: str, countries: Sequence[str] = ("",), *, forgets: bool = True) -> Resource:
        read = partial(reads.daily, path=path, table=table, countries=countries)
        return by_day(table, read, "stats.read", forgets=forgets)

    def suppressed(table: Table, lists: Sequence[str], **more: Any) -> Resource:
        return Resource(table, partial(reads.suppressions, table=table, lists=lists), SUPPRESSION, **more)

    return [
        Resource(tables.SINGLE_SENDS, reads.single_sends, MARKETING, gone="things"),
        listed(tables.SINGLE_SEND_STATS, "marketing/stats/singlesends", reads.STATS, MARKETING),
        Resource(tables.VARIATION_STATS, reads.single_send_variation_stats, MARKETING),
        Resource(
            tables.LINK_STATS,
            reads.single_send_link_stats,
            MARKETING,
            cursor="sent_at",
            overlap=reads.READ_FOR,
        ),
        Resource(tables.SINGLE_SEND_DETAILS, reads.single_send_details, MARKETING, cursor="updated_at"),
        by_day(tables.DAILY_STATS, reads.single_send_daily_stats, MARKETING),
        Resource(tables.AUTOMATION_STATS, reads.automation_stats, MARKETING, gone="things"),
        suppressed(tables.SUPPRESSIONS, reads.LISTED, replaced=True, parent="list"),
        suppressed(tables.INVALID_EMAILS, ["invalid_emails"]),  # the vendor forgets them after 30 days
        listed(tables.UNSUBSCRIBE_GROUPS, "asm/groups", Whole(), GROUPS, gone="things"),
        # Its paging is undocumented; live, it takes the parameters of the other suppressions.
        listed(tables.GROUP_SUPPRESSIONS, "asm/suppressions", reads.BY_OFFSET, GROUPS, replaced=True),
        listed(tables.LISTS, "marketing/lists", reads.LISTS_PAGED, MARKETING, gone="things"),
        listed(tables.SEGMENTS, "marketing/segments/2.0", Whole(), MARKETING, gone="things"),
        listed(tables.FIELD_DEFINITIONS, "marketing/field_definitions", Whole(), MARKETING, replaced=True),
        Resource(tables.CONTACTS, reads.contacts, MARKETING, replaced=True, count=reads.contact_count),
        # A witness for the number of contacts loaded.
        listed(tables.CONTACT_COUNTS, "marketing/contacts/count", Whole(), MARKETING, optional=True),
        stat(tables.GLOBAL_STATS, "stats", forgets=False),
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
