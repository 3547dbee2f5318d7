"""SendGrid: single sends and automations with their stats, account-level stats by day, contacts and their
groups, suppressions.

Account-level stats count all mail of the account and cannot be joined to a single send. The vendor forgets
the advanced ones within days, so the rows stay in the warehouse when they are no longer served.
"""

import json
import time
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import pyarrow as pa

from common.settings import Settings
from ingest.gone import GONE_AT
from ingest.http import (
    CONFIRM,
    Client,
    Linked,
    Offset,
    Parameters,
    RefusedError,
    SourceError,
    Vendor,
    Whole,
    check_total,
)
from ingest.pipeline import Pages, Resource, Source
from ingest.typed import Aside, Column, Form, Table, each

SCHEMA = "raw_sendgrid"
FIRST_DAY = "2016-01-01"
"""Before any automation; without a first day the vendor takes one of its own."""
DAYS_A_REQUEST = 365
MOST_BUCKETS = 500
"""Days that one answer of an account-level stat holds at most; a full one may have been cut."""
LATE = timedelta(days=7)
"""Late opens and clicks move the figures of past days; each run reads a week of them again."""

LIST = Linked("$._metadata.next", "page_token", ("page_size", 100), "$._metadata.count")
STATS = Linked("$._metadata.next", "page_token", ("page_size", 50), "$._metadata.count")  # 51 is refused
BY_OFFSET = Offset(500)
READ_FOR = timedelta(days=30)
"""How long after it was sent a single send is followed by day; what is opened later is in its totals only."""
LISTS_PAGED = Linked("$._metadata.next", "page_token", ("page_size", 1000), "$._metadata.count")

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
        GONE_AT,
    ],
    newest="updated_at",
)
SINGLE_SEND_DETAILS = Table(
    SCHEMA,
    "single_send_details",
    ("id",),
    [
        Column("id", "text"),
        Column("subject", "text", "email_config"),
        Column("updated_at", "timestamptz"),
        *each("json", "send_to ab_test"),  # ab_test is in no document, but in live answers
    ],
    # The listing has the rest, and the whole text of every mail is of no use to any model.
    drops="name status categories send_at is_abtest created_at email_config warnings",
)
FIGURES = [
    *each(
        "bigint",
        "requests delivered opens unique_opens clicks unique_clicks bounces bounce_drops",
        "stats",
    ),
    *each("bigint", "invalid_emails spam_reports spam_report_drops unsubscribes", "stats"),
]
SEND_FIGURES = [*each("text", "id ab_variation ab_phase aggregation"), *FIGURES]
SEND_KEY = ("id", "ab_phase", "ab_variation", "aggregation")
SINGLE_SEND_STATS = Table(SCHEMA, "single_send_stats", SEND_KEY, SEND_FIGURES)
VARIATION_STATS = Table(SCHEMA, "single_send_variation_stats", SEND_KEY, SEND_FIGURES)
DAILY_STATS = Table(
    SCHEMA,
    "single_send_daily_stats",
    ("id", "date"),
    [Column("id", "text"), Column("date", "date", field="aggregation"), *FIGURES],
    drops="ab_variation ab_phase",  # asked for the whole, so always "all"
)
AUTOMATION_STATS = Table(
    SCHEMA,
    "automation_stats",
    ("id", "step_id", "aggregation"),
    [*each("text", "id step_id aggregation"), *FIGURES, GONE_AT],
)
LISTS = Table(
    SCHEMA,
    "lists",
    ("id",),
    [*each("text", "id name"), Column("contact_count", "bigint"), GONE_AT],
    drops="_metadata",
)
SEGMENTS = Table(
    SCHEMA,
    "segments",
    ("id",),
    [
        *each("text", "id name"),
        Column("contacts_count", "bigint"),
        *each("timestamptz", "created_at updated_at sample_updated_at next_sample_update"),
        Column("parent_list_ids", "json"),
        Column("query_version", "scalar"),
        Column("status", "json"),
        GONE_AT,
    ],
)
FIELD_DEFINITIONS = Table(
    SCHEMA,
    "field_definitions",
    ("id",),
    each("text", "id name field_type"),
    drops="reserved_fields _metadata",  # the same in every account
    opens="custom_fields",
)
CONTACTS = Table(
    SCHEMA,
    "contacts",
    ("contact_id",),
    [
        *each("text", "contact_id email first_name last_name city state_province_region country"),
        *each("timestamptz", "created_at updated_at"),
    ],
    # No model needs to know how else to reach somebody. The account's own fields are what is left: `other`.
    drops="address_line_1 address_line_2 postal_code phone_number phone_number_id alternate_emails whatsapp "
    "line facebook unique_name external_id anonymous_id",
)
EXPORTS = Table(
    SCHEMA,
    "contact_exports",
    ("id",),
    [*each("text", "id status message"), Column("contact_count", "bigint"), Column("urls", "json")],
)
SUPPRESSED = each("text", "email") + each("timestamptz", "created")
NOT_KEPT = "ip reason"
"""Of a suppression: the sender's own address, and words in which servers quote whom they like."""
SUPPRESSIONS = Table(
    SCHEMA,
    "suppressions",
    ("list", "email", "created"),
    [Column("list", "text", known=True), *SUPPRESSED, Column("status", "scalar")],
    drops=NOT_KEPT,
)
LISTED = ("bounces", "blocks", "spam_reports", "unsubscribes")
INVALID_EMAILS = Table(SCHEMA, "invalid_emails", ("email", "created"), SUPPRESSED, drops=NOT_KEPT)
UNSUBSCRIBE_GROUPS = Table(
    SCHEMA,
    "unsubscribe_groups",
    ("id",),
    [
        Column("id", "bigint"),
        *each("text", "name description"),
        Column("is_default", "bool"),
        Column("unsubscribes", "bigint"),
        GONE_AT,
    ],
)
GROUP_SUPPRESSIONS = Table(
    SCHEMA,
    "group_suppressions",
    ("group_id", "email"),
    [Column("group_id", "bigint"), *each("text", "email group_name"), Column("created_at", "timestamptz")],
)
CONTACT_COUNTS = Table(
    SCHEMA,
    "contact_counts",
    ("measured_on",),
    [Column("measured_on", "date", known=True), Column("contact_count", "bigint")],
    drops="billable_count billable_breakdown",
)
COUNT = Table(SCHEMA, "contact_count", ("contact_count",), [Column("contact_count", "bigint")])
POLLS = 40
"""How often a job is asked whether it is done: for half an hour. 100,000 contacts take five to ten minutes.
"""
FILE_MEGABYTES = 100
"""Files are read one at a time into memory."""


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


def single_sends(client: Client, _since: object) -> Iterator[pa.Table]:
    """Every single send: there is no filter on what changed."""
    yield from client.pages("marketing/singlesends", SINGLE_SENDS, LIST)


def single_send_details(client: Client, since: datetime | None) -> Pages:
    """What the listing leaves out, a request for each single send that changed."""
    for send in _sends(client):
        if since is None or send["updated_at"] is None or send["updated_at"] >= since:
            path, ids = "marketing/singlesends/{id}", {"id": send["id"]}
            yield from client.pages(path, SINGLE_SEND_DETAILS, Whole(), ids=ids)


def single_send_daily_stats(client: Client, since: date | None, history_days: int) -> Pages:
    """Each single send by day from `since` on, a request for each that was sent in the READ_FOR before it."""
    first = since or client.today - timedelta(days=history_days)
    for send in _sends(client):
        if send["status"] != "triggered":
            continue
        sent = send["send_at"] or send["updated_at"]
        sent_on = sent.date() if sent else first  # where no date could be read, it may be any day
        last = min(sent_on + READ_FOR, client.today) if sent else client.today
        if first <= last and sent_on <= last:
            days = {"start_date": f"{max(first, sent_on)}", "end_date": f"{last}"}
            path, asked = "marketing/stats/singlesends/{id}", {"aggregated_by": "day", **days}
            yield from client.pages(path, DAILY_STATS, STATS, asked, ids={"id": send["id"]})


def _sends(client: Client) -> Iterator[dict[str, Any]]:
    """The single sends as the listing has them. Raises ChangedTypeError where a page of it has no dates."""
    for page in single_sends(client, None):
        Form(SINGLE_SENDS).take(page, "created_at")
        yield from page.to_pylist()


def single_send_stats(client: Client, _since: None) -> Pages:
    """One row per single send and A/B part, with its totals since it was sent."""
    yield from client.pages("marketing/stats/singlesends", SINGLE_SEND_STATS, STATS)


def single_send_variation_stats(client: Client, _since: None) -> Pages:
    """Of each A/B test its totals by variation and phase, a request each: the listing has the whole only."""
    by_part = {"aggregated_by": "total", "group_by": "ab_variation,ab_phase"}
    for send in _sends(client):
        if send["is_abtest"] and send["status"] == "triggered":
            # Without dates the vendor takes some of its own.
            first = f"{send['created_at']:%Y-%m-%d}" if send["created_at"] else FIRST_DAY
            days = {"start_date": first, "end_date": f"{client.today}"}
            path, ids = "marketing/stats/singlesends/{id}", {"id": send["id"]}
            yield from client.pages(path, VARIATION_STATS, STATS, {**by_part, **days}, ids=ids)


def automation_stats(client: Client, _since: None) -> Pages:
    """Each automation's totals since it began, and those of its steps, a request for each automation."""
    path = "marketing/stats/automations"
    for page in client.pages(path, AUTOMATION_STATS, STATS):
        yield page
        for automation_id in page.column("id").unique().to_pylist():
            yield from client.pages(
                f"{path}/{{id}}",
                AUTOMATION_STATS,
                STATS,
                {
                    "aggregated_by": "total",
                    "group_by": "step_id",
                    "start_date": FIRST_DAY,
                    "end_date": f"{client.today}",
                },
                ids={"id": automation_id},
            )


def suppressions(client: Client, _since: None, *, table: Table, lists: Sequence[str]) -> Pages:
    """The whole of each list: who was taken off leaves no trace. Newest first, so that who is added meanwhile
    makes a row come twice and none be missed; up to a moment by our clock, who came since would be left out
    when it is behind. An empty list is asked for again, for a slip of the vendor would take everybody off.
    """
    for name in lists:
        yield from client.pages(f"suppression/{name}", table, BY_OFFSET, known={"list": name})


def unsubscribe_groups(client: Client, _since: None) -> Pages:
    yield from client.pages("asm/groups", UNSUBSCRIBE_GROUPS, Whole())


def group_suppressions(client: Client, _since: None) -> Pages:
    """Who left which group. How this list is paged is not documented; live, it takes what the others take."""
    yield from client.pages("asm/suppressions", GROUP_SUPPRESSIONS, BY_OFFSET)


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
            paging = Whole(most=MOST_BUCKETS, of="date")
            yield from client.pages(path, table, paging, params, known={"country_filter": country})
        yield None
        start = end + timedelta(days=1)


def lists(client: Client, _since: None) -> Pages:
    yield from client.pages("marketing/lists", LISTS, LISTS_PAGED)


def segments(client: Client, _since: None) -> Pages:
    """Every segment, with the contacts that the vendor counted in it: one answer, no paging."""
    yield from client.pages("marketing/segments/2.0", SEGMENTS, Whole())


def field_definitions(client: Client, _since: None) -> Pages:
    """The fields that the account made up."""
    yield from client.pages("marketing/field_definitions", FIELD_DEFINITIONS, Whole())


def contacts(client: Client, _since: None) -> Pages:
    """Everybody, by way of an export: the listing stops at the 50 newest.

    Raises SourceError where the files have fewer contacts than the vendor counted, read again and again, or
    where the vendor does not say how many there are.
    """
    export = _exported(client)
    promised = export["contact_count"]
    if promised is None:
        promised = _counted(client)
    if promised is None:
        raise SourceError("neither the export nor the count of contacts says how many there are")
    found: list[pa.Table] = []
    for _ in range(1 + CONFIRM):
        client.tally.follow(promised, time.monotonic())
        links = [link for link in json.loads(export["urls"] or "[]") if isinstance(link, str)]
        found = [page for link in links for page in client.file(link, CONTACTS)]
        count = sum(page.num_rows + Aside.of(page).row_count for page in found)
        if count >= promised:
            break
    check_total(count, promised)
    yield from found


def _counted(client: Client) -> int | None:
    """SendGrid's own count of all contacts."""
    counted = _only(client.pages("marketing/contacts/count", COUNT, Whole())).get("contact_count")
    return None if counted is None else int(counted)


def contact_counts(client: Client, _since: None) -> Pages:
    """SendGrid's own count of all contacts, one a day: a witness of how many were loaded."""
    known = {"measured_on": client.today}
    yield from client.pages("marketing/contacts/count", CONTACT_COUNTS, Whole(), known=known)


def _contact_count(client: Client, _parent: str) -> int | None:
    """The same as a witness, None where it is not given."""
    try:
        return _counted(client)
    except (RefusedError, SourceError):
        return None


def _exported(client: Client) -> dict[str, Any]:
    """Run an export of all contacts to its end. One runs at a time: another, whoever began it, goes first."""
    path, once = "marketing/contacts/exports", Whole(empty_ends=False)
    for times in range(POLLS):
        jobs = [job for page in client.pages(path, EXPORTS, once) for job in page.to_pylist()]
        if not any(job["status"] == "pending" for job in jobs):
            break
        client.wait(times, "another export of contacts")
    asked = {"file_type": "csv", "max_file_size": FILE_MEGABYTES, "notifications": {"email": False}}
    begun = _only(client.pages(path, EXPORTS, once, body=asked))
    if not begun:
        raise SourceError("the export of contacts began without an id")
    for times in range(POLLS):
        job = _only(client.pages(f"{path}/{{id}}", EXPORTS, once, ids={"id": begun["id"]}))
        match job.get("status"):
            case "ready":
                return job
            case "failure":
                raise SourceError(f"the export of contacts failed: {job['message']}")
        client.wait(times, "the export of contacts")
    raise SourceError("the export of contacts was pending for too long")


def _only(pages: Iterator[pa.Table]) -> dict[str, Any]:
    """The first row of an answer that has one; empty where it could not be read."""
    return next((row for page in pages for row in page.to_pylist()), {})


def resources(settings: Settings) -> list[Resource]:
    def stat(table: Table, path: str, countries: Sequence[str] = ("",)) -> Resource:
        read = partial(daily, path=path, table=table, countries=countries, history_days=settings.history_days)
        forgets = table is not GLOBAL_STATS
        return Resource(table, read, "stats.read", cursor="date", overlap=LATE, forgets=forgets)

    return [
        Resource(SINGLE_SENDS, single_sends, "marketing.read", gone="things"),
        Resource(SINGLE_SEND_STATS, single_send_stats, "marketing.read"),
        Resource(VARIATION_STATS, single_send_variation_stats, "marketing.read"),
        Resource(SINGLE_SEND_DETAILS, single_send_details, "marketing.read", cursor="updated_at"),
        Resource(
            DAILY_STATS,
            partial(single_send_daily_stats, history_days=settings.history_days),
            "marketing.read",
            cursor="date",
            overlap=LATE,
        ),
        Resource(AUTOMATION_STATS, automation_stats, "marketing.read", gone="things"),
        Resource(
            SUPPRESSIONS,
            partial(suppressions, table=SUPPRESSIONS, lists=LISTED),
            "suppression.read",
            replaced=True,
            parent="list",
        ),
        Resource(  # the vendor forgets them after 30 days
            INVALID_EMAILS,
            partial(suppressions, table=INVALID_EMAILS, lists=["invalid_emails"]),
            "suppression.read",
        ),
        Resource(UNSUBSCRIBE_GROUPS, unsubscribe_groups, "asm.groups.read", gone="things"),
        Resource(GROUP_SUPPRESSIONS, group_suppressions, "asm.groups.read", replaced=True),
        Resource(LISTS, lists, "marketing.read", gone="things"),
        Resource(SEGMENTS, segments, "marketing.read", gone="things"),
        Resource(FIELD_DEFINITIONS, field_definitions, "marketing.read", replaced=True),
        Resource(CONTACTS, contacts, "marketing.read", replaced=True, count=_contact_count),
        Resource(CONTACT_COUNTS, contact_counts, "marketing.read", optional=True),
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


SENDGRID = Source(
    "sendgrid",
    "SENDGRID_API_KEY",
    connect,
    resources,
    probes={
        "marketing.read": "marketing/lists?page_size=1",
        "stats.read": "devices/stats?start_date={today}&end_date={today}&limit=1",
        "suppression.read": "suppression/bounces?limit=1",
        "asm.groups.read": "asm/groups",
    },
)
