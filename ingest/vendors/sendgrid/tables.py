"""The raw tables of SendGrid."""

from functools import partial

from ingest.store.gone import GONE_AT
from ingest.typed import Column, Table, each
from privacy.traces import Trace

table = partial(Table, "raw_sendgrid")

SINGLE_SENDS = table(
    "single_sends",
    ("id",),
    [
        *each(text="id name status", json="categories abtest", bool="is_abtest"),
        *each(timestamptz="send_at created_at updated_at"),
        GONE_AT,
    ],
    newest="updated_at",
)
SINGLE_SEND_DETAILS = table(
    "single_send_details",
    ("id",),
    # ab_test is undocumented, but in live answers.
    [
        *each("email_config", text="subject"),
        *each(text="id", timestamptz="updated_at", json="send_to ab_test"),
    ],
    # The listing has the rest, and no model needs the full text of every mail.
    drops="name status categories send_at is_abtest created_at email_config warnings",
)
FIGURES = [
    *each("stats", bigint="requests delivered opens unique_opens clicks unique_clicks bounces bounce_drops"),
    *each("stats", bigint="invalid_emails spam_reports spam_report_drops unsubscribes"),
]
SEND_FIGURES = [*each(text="id ab_variation ab_phase aggregation"), *FIGURES]
SEND_KEY = ("id", "ab_phase", "ab_variation", "aggregation")
SINGLE_SEND_STATS = table("single_send_stats", SEND_KEY, SEND_FIGURES)
VARIATION_STATS = table("single_send_variation_stats", SEND_KEY, SEND_FIGURES)
DAILY_STATS = table(
    "single_send_daily_stats",
    ("id", "date"),
    [*each(text="id"), Column("date", "date", field="aggregation"), *FIGURES],
    drops="ab_variation ab_phase",  # the whole was requested, so always "all"
)
LINK_STATS = table(
    "single_send_link_stats",
    ("id", "url", "url_location"),
    [
        *each(known=True, text="id", timestamptz="sent_at"),
        *each(text="url", bigint="url_location clicks"),
    ],
    drops="ab_variation ab_phase",  # the whole was requested, so always "all"
)
AUTOMATION_STATS = table(
    "automation_stats",
    ("id", "step_id", "aggregation"),
    [*each(text="id step_id aggregation"), *FIGURES, GONE_AT],
)
LISTS = table("lists", ("id",), [*each(text="id name", bigint="contact_count"), GONE_AT], drops="_metadata")
SEGMENTS = table(
    "segments",
    ("id",),
    [
        *each(text="id name", bigint="contacts_count", scalar="query_version", json="parent_list_ids status"),
        *each(timestamptz="created_at updated_at sample_updated_at next_sample_update"),
        GONE_AT,
    ],
)
FIELD_DEFINITIONS = table(
    "field_definitions",
    ("id",),
    each(text="id name field_type"),
    drops="reserved_fields _metadata",  # the same in every account
    opens="custom_fields",
)
CONTACTS = table(
    "contacts",
    ("contact_id",),
    [
        *each(text="contact_id email first_name last_name city state_province_region country"),
        *each(timestamptz="created_at updated_at"),
    ],
    # No model needs other ways to contact a person. The account's custom fields remain: `other`.
    drops="address_line_1 address_line_2 postal_code phone_number phone_number_id alternate_emails whatsapp "
    "line facebook unique_name external_id anonymous_id",
    people=Trace(
        addresses=("email",),
        names=(("first_name", "last_name"),),
        key="contact_id",
        is_owner=True,
        keeps_other=True,  # the account's custom fields: a job groups contacts by them
    ),
)
EXPORTS = table(
    "contact_exports", ("id",), each(text="id status message", bigint="contact_count", json="urls")
)
# Not kept of a suppression: the sender's own address, and words in which servers quote whom they like.
suppressed = partial(table, drops="ip reason", people=Trace(addresses=("email",)))
SUPPRESSIONS = suppressed(
    "suppressions",
    ("list", "email", "created"),
    [*each(known=True, text="list"), *each(text="email", timestamptz="created", scalar="status")],
)
INVALID_EMAILS = suppressed("invalid_emails", ("email", "created"), each(text="email", timestamptz="created"))
UNSUBSCRIBE_GROUPS = table(
    "unsubscribe_groups",
    ("id",),
    [*each(text="name description", bigint="id unsubscribes", bool="is_default"), GONE_AT],
)
GROUP_SUPPRESSIONS = table(
    "group_suppressions",
    ("group_id", "email"),
    each(bigint="group_id", text="email group_name", timestamptz="created_at"),
    people=Trace(addresses=("email",)),
)
CONTACT_COUNTS = table(
    "contact_counts",
    ("measured_on",),
    [*each(known=True, date="measured_on"), *each(bigint="contact_count")],
    drops="billable_count billable_breakdown",
)
COUNT = table("contact_count", ("contact_count",), each(bigint="contact_count"))


def by_day(name: str, metrics: str, split: str = "type name", known: str = "") -> Table:
    """Return a stat by day; a split one has several rows a day, identified by type and name."""
    columns = [
        *each(known=True, text=known),
        *each(date="date", text=split),
        *each("metrics", bigint=metrics),
    ]
    return table(name, (*known.split(), "date", *split.split()), columns, opens="stats")


GLOBAL_STATS = by_day(
    "global_stats",
    "blocks bounce_drops bounces clicks deferred delivered invalid_emails opens processed requests "
    "spam_report_drops spam_reports unique_clicks unique_opens unsubscribe_drops unsubscribes",
    split="",
)
DEVICE_STATS = by_day("device_stats", "opens unique_opens")
CLIENT_STATS = by_day("client_stats", "opens unique_opens")
BROWSER_STATS = by_day("browser_stats", "clicks unique_clicks")
MAILBOX_PROVIDER_STATS = by_day(
    "mailbox_provider_stats",
    "blocks bounces deferred delivered drops processed requests spam_reports "
    "opens unique_opens clicks unique_clicks",
)
GEO_STATS = by_day("geo_stats", "opens unique_opens clicks unique_clicks", known="country_filter")
