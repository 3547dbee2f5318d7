"""Reads the tables of Wistia."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial

import pyarrow as pa
import requests

from ingest.errors import RefusedError, SourceError
from ingest.http import Client
from ingest.model import Pages
from ingest.paging import Numbered, Paging, Parameters, Whole
from ingest.parallel import in_order, side_by_side
from ingest.typed import Table
from ingest.vendors.wistia import tables

PAGE = Numbered(100)  # a larger page is silently cut to 100
ONE = Whole()
SOME = Whole(empty_ends=False)  # a media without captions is usual
LATE = timedelta(days=3)
DAY = timedelta(days=1)
CLOSED_DAYS = 14
"""The length of a window where nobody knows how many sessions it has."""
WINDOW_PAGES = 50
"""How many pages a window should have: few are read again by the run after one that was killed."""
WINDOWS_AT_ONCE = 3
AT_ONCE = 16
"""Requests take a second or two: so many at once reach the allowance."""
PLAYS_A_ROW = 1.1
"""Plays for each session, so that pages are estimated rather too low: 936 for 898 were seen."""


def is_modern(base_url: str) -> bool:
    return base_url.endswith("/modern")


def on_track(client: Client, path: str) -> str:
    """Return a path for the configured track: paths of v1 end in `.json`."""
    return path if is_modern(client.vendor.base_url) else f"{path}.json"


def medias(client: Client, _since: None = None) -> Iterator[pa.Table]:
    """Yield every media: there is no filter for changes."""
    yield from client.shared("medias", on_track(client, "medias"), tables.MEDIAS, PAGE)


def projects(client: Client, _since: None, table: Table) -> Pages:
    """Yield every project, which the modern track calls a folder."""
    name = "folders" if is_modern(client.vendor.base_url) else "projects"
    yield from client.pages(on_track(client, name), table, PAGE)


def visitors(client: Client, _since: None) -> Pages:
    """Yield every browser that loaded a player. The list moves during the read: the next run repairs it."""
    paging = replace(PAGE, at_once=AT_ONCE, expected=client.rows_before // PAGE.size)
    yield from client.pages(on_track(client, "stats/visitors"), tables.VISITORS, paging)


def events(client: Client, since: datetime | None) -> Pages:
    """Yield one row per viewing session, oldest window first, because a window starts with its newest row.

    A session in progress still grows and some arrive days late, so the last days are read again.
    """
    first = since.date() if since else client.first_day
    plays = {} if since else _plays(client)
    windows = list(_windows(first, client.today, plays))
    parts = [
        (partial(_events_of, client, *days, plays), datetime.combine(days[1] + DAY, time(), UTC))
        for days in windows
    ]
    yield from in_order(parts, WINDOWS_AT_ONCE)


def _events_of(client: Client, first: date, last: date, plays: Mapping[date, int]) -> Iterator[pa.Table]:
    days = {"start_date": f"{first}", "end_date": f"{last}"}  # both inclusive
    count = sum(plays.get(first + n * DAY, 0) for n in range((last - first).days + 1))
    paging = replace(PAGE, at_once=AT_ONCE, expected=int(count / PLAYS_A_ROW / PAGE.size))
    yield from client.pages(on_track(client, "stats/events"), tables.EVENTS, paging, days)


def _plays(client: Client) -> dict[date, int]:
    """Return the account's plays by day, as a measure of its sessions; empty where they are not served."""
    try:
        pages = list(_account_days(client, None))
    except SourceError:  # of no consequence: windows are then as long as usual
        return {}
    counts = (page.select(["date", "play_count"]).to_pylist() for page in pages)
    return {row["date"]: row["play_count"] or 0 for rows in counts for row in rows if row["date"]}


def _windows(first: date, today: date, plays: Mapping[date, int]) -> Iterator[tuple[date, date]]:
    """Yield the first and last days of windows that hold about WINDOW_PAGES, or CLOSED_DAYS if unknown.

    The days of the overlap are a window of their own. New sessions move its rows from page to page while it
    is read, and the next run reads all of it again.
    """
    start, count = first, 0
    for day in (first + n * DAY for n in range((today - first).days + 1)):
        count += plays.get(day, 0)
        is_full = count >= WINDOW_PAGES * PAGE.size or (not plays and (day - start).days + 1 >= CLOSED_DAYS)
        is_before = day == today - LATE - DAY and day > first  # a single day more belongs to them
        if day == today or is_before or (day < today - LATE and is_full):
            yield start, day
            start, count = day + DAY, 0


def of_each_media(path: str, table: Table, paging: Paging = ONE) -> Callable[..., Pages]:
    """Return how the answers of `path` are read for every media in the catalogue, side by side."""

    def read(client: Client, _since: object, params: Parameters | None = None) -> Pages:
        def of(media_id: str) -> Iterator[pa.Table]:
            known = {"media_id": media_id, "measured_on": client.today}
            ids = {"media_id": media_id}
            return client.pages(on_track(client, path), table, paging, params, ids=ids, known=known)

        ids = (media_id for page in medias(client) for media_id in page.column("hashed_id").to_pylist())
        yield from side_by_side((partial(of, media_id) for media_id in ids), AT_ONCE)

    return read


def media_stats_by_date(client: Client, since: date | None) -> Pages:
    """Yield a media's counts by day, zero days included. Late sessions count on their own day, so the last
    days are read again.
    """
    read = of_each_media("stats/medias/{media_id}/by_date", tables.MEDIA_STATS_BY_DATE)
    yield from read(client, since, _days(client, since))


def account_stats_by_date(client: Client, since: date | None) -> Pages:
    """Yield the account's counts by day, deleted medias included. Not every v1 account gets them."""
    try:
        yield from _account_days(client, since)
    except RefusedError as error:
        if error.status != requests.codes.not_found:
            raise
        client.vendor.notices.append("the account's counts by day are not served here; those by media are")


def _account_days(client: Client, since: date | None) -> Iterator[pa.Table]:
    path, table = on_track(client, "stats/account/by_date"), tables.ACCOUNT_STATS_BY_DATE
    yield from client.shared("account_stats_by_date", path, table, ONE, _days(client, since))


def _days(client: Client, since: date | None) -> Parameters:
    return {"start_date": f"{since or client.first_day}", "end_date": f"{client.today}"}  # both inclusive
