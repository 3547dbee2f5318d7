"""The raw tables of SendGrid."""

from ingest.store.gone import GONE_AT
from ingest.typed import Column, Table, each
from privacy.traces import Trace

SCHEMA = "raw_sendgrid"

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
        *each("json", "send_to ab_test"),  # ab_test is undocumented, but in live answers
    ],
    # The listing has the rest, and no model needs the full text of every mail.
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
    drops="ab_variation ab_phase",  # the whole was requested, so always "all"
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
EXPORTS = Table(
    SCHEMA,
    "contact_exports",
    ("id",),
    [*each("text", "id status message"), Column("contact_count", "bigint"), Column("urls", "json")],
)
BY_ADDRESS = Trace(addresses=("email",))
SUPPRESSED = each("text", "email") + each("timestamptz", "created")
NOT_KEPT = "ip reason"
"""Of a suppression: the sender's own address, and words in which servers quote whom they like."""
SUPPRESSIONS = Table(
    SCHEMA,
    "suppressions",
    ("list", "email", "created"),
    [Column("list", "text", known=True), *SUPPRESSED, Column("status", "scalar")],
    drops=NOT_KEPT,
    people=BY_ADDRESS,
)
INVALID_EMAILS = Table(
    SCHEMA, "invalid_emails", ("email", "created"), SUPPRESSED, drops=NOT_KEPT, people=BY_ADDRESS
)
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
    people=BY_ADDRESS,
)
CONTACT_COUNTS = Table(
    SCHEMA,
    "contact_counts",
    ("measured_on",),
    [Column("measured_on", "date", known=True), Column("contact_count", "bigint")],
    drops="billable_count billable_breakdown",
)
COUNT = Table(SCHEMA, "contact_count", ("contact_count",), [Column("contact_count", "bigint")])


def by_day(name: str, metrics: str, *, is_split: bool = True) -> Table:
    """Return a stat by day; a split one has several rows a day, identified by type and name."""
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
