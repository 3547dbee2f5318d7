"""The raw tables of Wistia."""

from functools import partial

from ingest.store.gone import GONE_AT
from ingest.typed import Column, Table, Type, each
from ingest.vendors.wistia import captions
from privacy.traces import LINK, Kept, Trace

table = partial(Table, "raw_wistia")
BY_MEDIA = each(known=True, text="media_id")
BY_MEDIA_AND_DAY = each(known=True, text="media_id", date="measured_on")
DAILY = each(date="date", bigint="load_count play_count", double="hours_watched")

MEDIAS = table(
    "medias",
    ("hashed_id",),
    [
        *each(bigint="id", text="hashed_id name type description status section", bool="archived"),
        *each(timestamptz="created updated", double="duration progress"),
        *each(json="thumbnail project folder assets tags"),  # the modern track calls a project a folder
        GONE_AT,
    ],
    newest="updated",
)
VISITORS = table(
    "visitors",
    ("visitor_key",),
    [
        *each(text="visitor_key last_event_key identifying_event_key", bigint="load_count play_count"),
        *each(timestamptz="created_at last_active_at", json="visitor_identity user_agent_details"),
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
EVENTS = table(
    "events",
    ("event_key",),
    [
        *each(
            text="event_key visitor_key media_id media_name media_url embed_url email org country region city"
        ),
        *each(timestamptz="received_at", double="percent_viewed"),
        *each(scalar="conversion_type", json="conversion_data user_agent_details"),
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
MEDIA_STATS = table(
    "media_stats",
    ("media_id", "measured_on"),
    [
        *BY_MEDIA_AND_DAY,
        *each(bigint="load_count play_count visitors", double="play_rate hours_watched engagement"),
        *each(json="actions"),
    ],
)
MEDIA_ENGAGEMENT = table(
    "media_engagement",
    ("media_id", "measured_on"),
    [*BY_MEDIA_AND_DAY, *each(double="engagement", json="engagement_data rewatch_data")],
)
CAPTIONS = table(
    "captions",
    ("media_id", "language"),
    [*BY_MEDIA, *each(text="language id english_name native_name text", bool="is_draft")],
    derive=captions.cut,
)
CUSTOMIZATIONS = table(
    "customizations",
    ("media_id",),
    [*BY_MEDIA, Column("auto_play", "scalar", field="autoPlay"), *each(json="plugin")],
    drops="email encrypted private",  # an address filled in beforehand, a password
    sparse=True,  # only changed settings are present, possibly none
)
MEDIA_STATS_BY_DATE = table("media_stats_by_date", ("media_id", "date"), [*BY_MEDIA, *DAILY])
ACCOUNT_STATS_BY_DATE = table("account_stats_by_date", ("date",), DAILY)


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
    return table("projects", ("id",), columns, newest="updated")
