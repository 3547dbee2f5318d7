"""Wistia (Data and Stats API): medias with stats, curves, captions and settings, visitors, viewing events.

Both tracks are read alike; the end of the base URL, /v1 or /modern, says which one is.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import partial

import pyarrow as pa
import requests

from common.settings import Settings
from ingest.gone import GONE_AT
from ingest.http import (
    Client,
    Numbered,
    Pace,
    Paging,
    Parameters,
    RefusedError,
    Vendor,
    Whole,
    side_by_side,
)
from ingest.pipeline import Pages, Resource, Source
from ingest.typed import Column, Table, Type, each

SCHEMA = "raw_wistia"
READ_DATA = "Read all folder and media data"
READ_STATS = "Read detailed stats"
REQUESTS_A_MINUTE = 600
"""The account's allowance; no answer says what is left of it."""
PAGE = Numbered(100)  # a larger page is cut to 100 without a word
ONE = Whole()
SOME = Whole(empty_ends=False)  # a media without captions is no sign of trouble
LATE = timedelta(days=3)
CLOSED_DAYS = 14
"""Days older than the overlap are asked for this many at a time."""
WINDOWS_AT_ONCE = 6
"""Pages of 100 rows take about as long as pages of 1,000: only several at once come near the allowance."""

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
    sparse=True,  # it has what somebody changed, and nothing where nobody did
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
    """The raw table of projects: v1 joins the words of its names by capitals, the modern track by `_`."""

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


def is_modern(base_url: str) -> bool:
    return base_url.endswith("/modern")


def on_track(client: Client, path: str) -> str:
    """A path as the track that is read has it: those of v1 end in `.json`."""
    return path if is_modern(client.vendor.base_url) else f"{path}.json"


def medias(client: Client, _since: None = None) -> Iterator[pa.Table]:
    """Every media: there is no filter on what changed."""
    yield from client.pages(on_track(client, "medias"), MEDIAS, PAGE)


def projects(client: Client, _since: None, table: Table) -> Pages:
    """Every project, which the modern track calls a folder."""
    name = "folders" if is_modern(client.vendor.base_url) else "projects"
    yield from client.pages(on_track(client, name), table, PAGE)


def visitors(client: Client, _since: None) -> Pages:
    """Every browser that loaded a player. The list moves while it is read: the next run heals it."""
    yield from client.pages(on_track(client, "stats/visitors"), VISITORS, PAGE)


def events(client: Client, since: datetime | None, history_days: int) -> Pages:
    """One row per viewing session, oldest window first, because inside a window the newest row comes first.

    A session in progress still grows and some arrive days late, so the last days are read again, day by day.
    """
    start = since.date() if since else client.today - timedelta(days=history_days)
    windows = (partial(_events_of, client, *days) for days in _windows(start, client.today))
    for pages in side_by_side(windows, WINDOWS_AT_ONCE):
        yield from pages
        yield None


def _events_of(client: Client, first: date, last: date) -> Iterator[pa.Table]:
    days = {"start_date": f"{first}", "end_date": f"{last}"}  # both inclusive
    yield from client.pages(on_track(client, "stats/events"), EVENTS, PAGE, days)


def _windows(start: date, today: date) -> Iterator[tuple[date, date]]:
    while start <= today:
        closed = today - LATE - start
        days = max(min(closed.days, CLOSED_DAYS), 1)
        yield start, start + timedelta(days=days - 1)
        start += timedelta(days=days)


def of_each_media(
    client: Client,
    _since: object,
    *,
    path: str,
    table: Table,
    paging: Paging = ONE,
    params: Parameters | None = None,
) -> Pages:
    """What `path` says of every media in the catalogue."""
    for page in medias(client):
        for media_id in page.column("hashed_id").to_pylist():
            ids = {"media_id": media_id}
            known = {"media_id": media_id, "measured_on": client.today}
            yield from client.pages(on_track(client, path), table, paging, params, ids=ids, known=known)


def media_stats_by_date(client: Client, since: date | None, history_days: int) -> Pages:
    """A media's counts by day, zero days too. Late sessions are counted on their day: the last ones are read
    again.
    """
    days = _days(client, since, history_days)
    path = "stats/medias/{media_id}/by_date"
    yield from of_each_media(client, since, path=path, table=MEDIA_STATS_BY_DATE, params=days)


def account_stats_by_date(client: Client, since: date | None, history_days: int) -> Pages:
    """The account's counts by day, with those of deleted medias. Not every v1 account is served them."""
    days = _days(client, since, history_days)
    try:
        yield from client.pages(on_track(client, "stats/account/by_date"), ACCOUNT_STATS_BY_DATE, ONE, days)
    except RefusedError as error:
        if error.status != requests.codes.not_found:
            raise
        client.vendor.notices.append("the account's counts by day are not served here; those by media are")


def _days(client: Client, since: date | None, history_days: int) -> Parameters:
    start = since or client.today - timedelta(days=history_days)
    return {"start_date": f"{start}", "end_date": f"{client.today}"}  # both inclusive


def resources(settings: Settings) -> list[Resource]:
    data, stats = READ_DATA, READ_STATS
    folders = projects_table(is_modern(settings.wistia_base_url))
    return [
        Resource(MEDIAS, medias, data, gone="things"),
        Resource(folders, partial(projects, table=folders), data, gone="things"),
        Resource(VISITORS, visitors, stats),
        Resource(
            EVENTS,
            lambda client, since: events(client, since, settings.history_days),
            stats,
            cursor="received_at",
            overlap=LATE,
        ),
        Resource(
            MEDIA_STATS,
            partial(of_each_media, path="stats/medias/{media_id}", table=MEDIA_STATS),
            stats,
        ),
        Resource(
            MEDIA_ENGAGEMENT,
            partial(of_each_media, path="stats/medias/{media_id}/engagement", table=MEDIA_ENGAGEMENT),
            stats,
            cursor="measured_on",
            daily=True,
        ),
        Resource(
            MEDIA_STATS_BY_DATE,
            partial(media_stats_by_date, history_days=settings.history_days),
            stats,
            cursor="date",
            overlap=LATE,
        ),
        Resource(
            ACCOUNT_STATS_BY_DATE,
            partial(account_stats_by_date, history_days=settings.history_days),
            stats,
            cursor="date",
            overlap=LATE,
        ),
        Resource(
            CAPTIONS,
            partial(of_each_media, path="medias/{media_id}/captions", table=CAPTIONS, paging=SOME),
            data,
            replaced=True,
        ),
        Resource(
            CUSTOMIZATIONS,
            partial(of_each_media, path="medias/{media_id}/customizations", table=CUSTOMIZATIONS),
            data,
            replaced=True,
        ),
    ]


def connect(settings: Settings, key: str) -> Vendor:
    is_near = settings.world_of("wistia") == "sandbox"
    # On loopback the limit may be switched off; where it is not, the answers say so.
    pace = Pace() if is_near else Pace([(REQUESTS_A_MINUTE, 60.0)])
    # The modern track answers as one of its monthly releases did; without a header, as the newest.
    release = {"X-Wistia-API-Version": settings.wistia_api_version}
    return Vendor(
        settings.wistia_base_url,
        f"Bearer {key}",
        pace=pace,
        by_endpoint=False,
        headers=release if is_modern(settings.wistia_base_url) else None,
        is_near=is_near,
    )


WISTIA = Source(
    "wistia",
    "WISTIA_API_TOKEN",
    connect,
    resources,
    probes={READ_DATA: "medias?per_page=1", READ_STATS: "stats/events?per_page=1"},
)
