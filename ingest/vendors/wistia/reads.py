"""Reads the tables of Wistia."""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from functools import partial

import pyarrow as pa
import requests

from ingest.errors import RefusedError
from ingest.http import Client, side_by_side
from ingest.model import Pages
from ingest.paging import Numbered, Paging, Parameters, Whole
from ingest.typed import Table
from ingest.vendors.wistia import tables

PAGE = Numbered(100)  # a larger page is silently cut to 100
ONE = Whole()
SOME = Whole(empty_ends=False)  # a media without captions is usual
LATE = timedelta(days=3)
CLOSED_DAYS = 14
"""Days older than the overlap are asked for this many at a time."""
WINDOWS_AT_ONCE = 6
"""Pages of 100 rows take about as long as pages of 1,000: only several at once come near the allowance."""


def is_modern(base_url: str) -> bool:
    return base_url.endswith("/modern")


def on_track(client: Client, path: str) -> str:
    """Return a path for the configured track: paths of v1 end in `.json`."""
    return path if is_modern(client.vendor.base_url) else f"{path}.json"


def medias(client: Client, _since: None = None) -> Iterator[pa.Table]:
    """Yield every media: there is no filter for changes."""
    yield from client.pages(on_track(client, "medias"), tables.MEDIAS, PAGE)


def projects(client: Client, _since: None, table: Table) -> Pages:
    """Yield every project, which the modern track calls a folder."""
    name = "folders" if is_modern(client.vendor.base_url) else "projects"
    yield from client.pages(on_track(client, name), table, PAGE)


def visitors(client: Client, _since: None) -> Pages:
    """Yield every browser that loaded a player. The list moves during the read: the next run repairs it."""
    yield from client.pages(on_track(client, "stats/visitors"), tables.VISITORS, PAGE)


def events(client: Client, since: datetime | None) -> Pages:
    """Yield one row per viewing session, oldest window first, because a window starts with its newest row.

    A session in progress still grows and some arrive days late, so the last days are read again, day by day.
    """
    start = since.date() if since else client.first_day
    windows = (partial(_events_of, client, *days) for days in _windows(start, client.today))
    for pages in side_by_side(windows, WINDOWS_AT_ONCE):
        yield from pages
        yield None


def _events_of(client: Client, first: date, last: date) -> Iterator[pa.Table]:
    days = {"start_date": f"{first}", "end_date": f"{last}"}  # both inclusive
    yield from client.pages(on_track(client, "stats/events"), tables.EVENTS, PAGE, days)


def _windows(start: date, today: date) -> Iterator[tuple[date, date]]:
    while start <= today:
        closed = today - LATE - start
        days = max(min(closed.days, CLOSED_DAYS), 1)
        yield start, start + timedelta(days=days - 1)
        start += timedelta(days=days)


def of_each_media(path: str, table: Table, paging: Paging = ONE) -> Callable[..., Pages]:
    """Return how the answers of `path` are read for every media in the catalogue."""

    def read(client: Client, _since: object, params: Parameters | None = None) -> Pages:
        for page in medias(client):
            for media_id in page.column("hashed_id").to_pylist():
                ids = {"media_id": media_id}
                known = {"media_id": media_id, "measured_on": client.today}
                yield from client.pages(on_track(client, path), table, paging, params, ids=ids, known=known)

    return read


def media_stats_by_date(client: Client, since: date | None) -> Pages:
    """Yield a media's counts by day, zero days included. Late sessions count on their own day, so the last
    days are read again.
    """
    read = of_each_media("stats/medias/{media_id}/by_date", tables.MEDIA_STATS_BY_DATE)
    yield from read(client, since, _days(client, since))


def account_stats_by_date(client: Client, since: date | None) -> Pages:
    """Yield the account's counts by day, deleted medias included. Not every v1 account gets them."""
    path, days = on_track(client, "stats/account/by_date"), _days(client, since)
    try:
        yield from client.pages(path, tables.ACCOUNT_STATS_BY_DATE, ONE, days)
    except RefusedError as error:
        if error.status != requests.codes.not_found:
            raise
        client.vendor.notices.append("the account's counts by day are not served here; those by media are")


def _days(client: Client, since: date | None) -> Parameters:
    return {"start_date": f"{since or client.first_day}", "end_date": f"{client.today}"}  # both inclusive
