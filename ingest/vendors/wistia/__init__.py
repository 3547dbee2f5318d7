"""Wistia (Data and Stats API): medias with stats, curves, captions and settings, visitors, viewing events.

Both tracks are read alike; the end of the base URL, /v1 or /modern, selects the track.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from common.pace import Pace
from common.settings import Settings
from ingest.http import Vendor
from ingest.model import Remark, Resource, Source
from ingest.vendors.wistia import reads, tables
from privacy import outside

READ_DATA = "Read all folder and media data"
READ_STATS = "Read detailed stats"
REQUESTS_A_MINUTE = 600
"""The account's allowance; no answer says what is left of it."""


def resources(settings: Settings) -> list[Resource]:
    folders = tables.projects_table(reads.is_modern(settings.wistia_base_url))
    stats = "stats/medias/{media_id}"
    by_day = partial(Resource, scope=READ_STATS, cursor="date", overlap=reads.LATE)
    captions = reads.of_each_media("medias/{media_id}/captions", tables.CAPTIONS, reads.SOME)
    customizations = reads.of_each_media("medias/{media_id}/customizations", tables.CUSTOMIZATIONS)
    engagement = reads.of_each_media(f"{stats}/engagement", tables.MEDIA_ENGAGEMENT)
    return [
        Resource(tables.MEDIAS, reads.medias, READ_DATA, gone="things"),
        Resource(folders, partial(reads.projects, table=folders), READ_DATA, gone="things"),
        Resource(tables.VISITORS, reads.visitors, READ_STATS),
        Resource(
            tables.EVENTS, reads.events, READ_STATS, cursor="received_at", overlap=reads.LATE, is_dated=True
        ),
        Resource(tables.MEDIA_STATS, reads.of_each_media(stats, tables.MEDIA_STATS), READ_STATS),
        Resource(tables.MEDIA_ENGAGEMENT, engagement, READ_STATS, cursor="measured_on", daily=True),
        by_day(tables.MEDIA_STATS_BY_DATE, reads.media_stats_by_date),
        by_day(tables.ACCOUNT_STATS_BY_DATE, reads.account_stats_by_date),
        Resource(tables.CAPTIONS, captions, READ_DATA, replaced=True),
        Resource(tables.CUSTOMIZATIONS, customizations, READ_DATA, replaced=True),
    ]


def connect(settings: Settings, key: str) -> Vendor:
    pace = Pace([(REQUESTS_A_MINUTE, 60.0)]) if settings.is_paced("wistia") else Pace()
    # The modern track answers as in one of its monthly releases; without a header, as in the newest.
    release = {"X-Wistia-API-Version": settings.wistia_api_version}
    return Vendor(
        settings.wistia_base_url,
        f"Bearer {key}",
        pace=pace,
        classed=lambda _path, _params: "",
        headers=release if reads.is_modern(settings.wistia_base_url) else None,
        is_near=settings.world_of("wistia") == "sandbox",
    )


def tell(get: Callable[[str], Any], settings: Settings, scopes: str) -> Iterator[Remark]:
    """Return the token's permissions and expiry, which the modern track reports."""
    if not reads.is_modern(settings.wistia_base_url):
        yield Remark("ok", f"{scopes}; v1 is frozen, and does not report write permissions")
        return
    token = get("token")
    rights = [right for right in token["scopes"] if not right.endswith(":read")]
    if rights:
        yield Remark("warn", f"the token can do more than read ({outside.words(', '.join(rights))})")
    until = f", expires {outside.words(token['expires_at'])[:10]}" if token.get("expires_at") else ""
    yield Remark("ok", f"{scopes}{until}; release {settings.wistia_api_version}, of about a year each")


WISTIA = Source(
    name="wistia",
    title="Wistia",
    key_name="WISTIA_API_TOKEN",
    key_like="0123456789abcdef" * 4,
    connect=connect,
    resources=resources,
    tell=tell,
    probes={READ_DATA: "medias?per_page=1", READ_STATS: "stats/events?per_page=1"},
)
