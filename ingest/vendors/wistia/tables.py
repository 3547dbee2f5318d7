"""The raw tables of Wistia."""

from ingest.store.gone import GONE_AT
from ingest.typed import Column, Table, Type, each
from ingest.vendors.wistia import captions
from privacy.traces import LINK, Kept, Trace

SCHEMA = "raw_wistia"

MEDIAS = Table(
    SCHEMA,
    "medias",
    ("hashed_id",),
    [
        Column("hashed_id", "text"),
        Column("id", "bigint"),
        *each("text", "name type"),
        Column("archived", "bool"),
        *each("timestamptz", "created updated"),
        Column("duration", "double"),
        Column("description", "text"),
        Column("progress", "double"),
        *each("text", "status section"),
        *each("json", "thumbnail project folder assets tags"),  # the modern track calls a project a folder
        GONE_AT,
    ],
    newest="updated",
)
VISITORS = Table(
    SCHEMA,
    "visitors",
    ("visitor_key",),
    [
        Column("visitor_key", "text"),
        *each("timestamptz", "created_at last_active_at"),
        Column("last_event_key", "text"),
        *each("bigint", "load_count play_count"),
        Column("identifying_event_key", "text"),
        *each("json", "visitor_identity user_agent_details"),
    ],
    newest="last_active_at",
    people=Trace(
        addresses=("visitor_identity ->> 'email'",),
        names=(("visitor_identity ->> 'name'",),),
        key="visitor_key",
        is_owner=True,
        kept={
            "visitor_identity": Kept(
                ("name", "email"), inside={"org": Kept(("name", "title"), known=True)}, known=True
            )
        },
    ),
)
EVENTS = Table(
    SCHEMA,
    "events",
    ("event_key",),
    [
        Column("event_key", "text"),
        Column("received_at", "timestamptz"),
        *each("text", "visitor_key media_id media_name media_url"),
        Column("percent_viewed", "double"),
        *each("text", "embed_url email org country region city"),
        Column("conversion_type", "scalar"),
        *each("json", "conversion_data user_agent_details"),
    ],
    drops="ip lat lon iframe_heatmap_url thumbnail attributes",  # personal, or of no use to any model
    people=Trace(
        addresses=("email", "conversion_data ->> 'email'"),
        names=(("conversion_data ->> 'first_name'", "conversion_data ->> 'last_name'"),),
        key="visitor_key",
        kept={
            "conversion_data": Kept(("email", "first_name", "last_name", "is_new_lead"), known=True),
            "embed_url": LINK,
        },
    ),
)
MEDIA_STATS = Table(
    SCHEMA,
    "media_stats",
    ("media_id", "measured_on"),
    [
        Column("media_id", "text", known=True),
        Column("measured_on", "date", known=True),
        *each("bigint", "load_count play_count"),
        *each("double", "play_rate hours_watched engagement"),
        Column("visitors", "bigint"),
        Column("actions", "json"),
    ],
)

MEDIA_ENGAGEMENT = Table(
    SCHEMA,
    "media_engagement",
    ("media_id", "measured_on"),
    [
        Column("media_id", "text", known=True),
        Column("measured_on", "date", known=True),
        Column("engagement", "double"),
        *each("json", "engagement_data rewatch_data"),
    ],
)
CAPTIONS = Table(
    SCHEMA,
    "captions",
    ("media_id", "language"),
    [
        Column("media_id", "text", known=True),
        *each("text", "language id english_name native_name text"),
        Column("is_draft", "bool"),
    ],
    derive=captions.cut,
)

CUSTOMIZATIONS = Table(
    SCHEMA,
    "customizations",
    ("media_id",),
    [
        Column("media_id", "text", known=True),
        Column("auto_play", "scalar", field="autoPlay"),
        Column("plugin", "json"),
    ],
    drops="email encrypted private",  # an address filled in beforehand, a password
    sparse=True,  # only changed settings are present, possibly none
)

MEDIA_STATS_BY_DATE = Table(
    SCHEMA,
    "media_stats_by_date",
    ("media_id", "date"),
    [
        Column("media_id", "text", known=True),
        Column("date", "date"),
        *each("bigint", "load_count play_count"),
        Column("hours_watched", "double"),
    ],
)
ACCOUNT_STATS_BY_DATE = Table(
    SCHEMA,
    "account_stats_by_date",
    ("date",),
    [Column("date", "date"), *each("bigint", "load_count play_count"), Column("hours_watched", "double")],
)


def projects_table(modern: bool) -> Table:
    """Return the raw table of projects: v1 joins words of names in camel case, the modern track with `_`."""

    def spelled(name: str) -> str:
        first, *rest = name.split("_")
        return name if modern else first + "".join(word.capitalize() for word in rest)

    types: dict[Type, str] = {
        "text": "hashed_id name description public_id",
        "bigint": "media_count",
        "bool": "public anonymous_can_upload anonymous_can_download",
        "timestamptz": "created updated",
    }
    named = [Column(name, type_, field=spelled(name)) for type_ in types for name in types[type_].split()]
    columns = [Column("id", "bigint"), *named, GONE_AT]
    return Table(SCHEMA, "projects", ("id",), columns, newest="updated")
