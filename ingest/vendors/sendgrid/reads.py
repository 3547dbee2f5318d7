"""Reads the tables of SendGrid."""

import json
import time
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import pyarrow as pa

from ingest.errors import RefusedError, SourceError
from ingest.http import CONFIRM, Client
from ingest.model import Pages
from ingest.paging import Linked, Offset, Parameters, Whole, check_total
from ingest.parallel import Part, side_by_side
from ingest.typed import Aside, Form, Table
from ingest.vendors.sendgrid import tables

FIRST_DAY = "2016-01-01"
"""Before any automation; without a first day the vendor takes one of its own."""
DAYS_A_REQUEST = 365
MOST_BUCKETS = 500
"""Days that one answer of an account-level stat holds at most; a full one may have been cut."""

COUNTED = "$._metadata.count"
LIST = Linked("$._metadata.next", "page_token", ("page_size", 100), total=COUNTED)
STATS = Linked("$._metadata.next", "page_token", ("page_size", 50), total=COUNTED)  # 51 is refused
BY_OFFSET = Offset(500)
READ_FOR = timedelta(days=30)
"""How long after it was sent a single send is followed by day; what is opened later is in its totals only."""
LISTS_PAGED = Linked("$._metadata.next", "page_token", ("page_size", 1000), total=COUNTED)
LISTED = ("bounces", "blocks", "spam_reports", "unsubscribes")
POLLS = 40
"""How often a job is asked whether it is done: for half an hour. 100,000 contacts take five to ten minutes.
"""
FILE_MEGABYTES, FILES_AT_ONCE = 100, 3
"""Files are read into memory, so many at a time."""
AT_ONCE = 8
"""How many requests are under way for one table."""
BY_DAY = {"aggregated_by": "day"}


def single_sends(client: Client, _since: object) -> Iterator[pa.Table]:
    """Yield every single send: there is no filter for changes."""
    yield from client.shared("single_sends", "marketing/singlesends", tables.SINGLE_SENDS, LIST)


def single_send_details(client: Client, since: datetime | None) -> Pages:
    """Yield the fields that the listing omits, a request for each single send that changed."""

    def of(send_id: str) -> Iterator[pa.Table]:
        path, ids = "marketing/singlesends/{id}", {"id": send_id}
        return client.pages(path, tables.SINGLE_SEND_DETAILS, Whole(), ids=ids)

    changed = (
        send["id"]
        for send in _sends(client)
        if since is None or send["updated_at"] is None or send["updated_at"] >= since
    )
    yield from side_by_side((partial(of, send_id) for send_id in changed), AT_ONCE)


def single_send_daily_stats(client: Client, since: date | None) -> Pages:
    """Yield each single send by day from `since` on, a request for each sent in the READ_FOR before it."""
    first = since or client.first_day

    def sent() -> Iterator[Part]:
        for send in _sends(client):
            if send["status"] != "triggered":
                continue
            sent_at = send["send_at"] or send["updated_at"]
            sent_on = sent_at.date() if sent_at else first  # an unreadable date may be any day
            last = min(sent_on + READ_FOR, client.today) if sent_at else client.today
            if first <= last and sent_on <= last:
                days = {"start_date": f"{max(first, sent_on)}", "end_date": f"{last}"}
                yield partial(_stats_of, client, send["id"], tables.DAILY_STATS, {**BY_DAY, **days})

    yield from side_by_side(sent(), AT_ONCE)


def _stats_of(client: Client, send_id: str, table: Table, asked: Parameters) -> Iterator[pa.Table]:
    yield from client.pages("marketing/stats/singlesends/{id}", table, STATS, asked, ids={"id": send_id})


def _sends(client: Client) -> Iterator[dict[str, Any]]:
    """Yield the single sends of the listing. Raises ChangedTypeError if a page of it has no dates."""
    for page in single_sends(client, None):
        Form(tables.SINGLE_SENDS).take(page, "created_at")
        yield from page.to_pylist()


def single_send_variation_stats(client: Client, _since: None) -> Pages:
    """Yield totals of each A/B test by variation and phase, a request each: the listing has only the sum."""
    by_part = {"aggregated_by": "total", "group_by": "ab_variation,ab_phase"}

    def tests() -> Iterator[Part]:
        for send in _sends(client):
            if send["is_abtest"] and send["status"] == "triggered":
                # Without dates the vendor uses its own.
                first = f"{send['created_at']:%Y-%m-%d}" if send["created_at"] else FIRST_DAY
                asked = {**by_part, "start_date": first, "end_date": f"{client.today}"}
                yield partial(_stats_of, client, send["id"], tables.VARIATION_STATS, asked)

    yield from side_by_side(tests(), AT_ONCE)


def single_send_link_stats(client: Client, since: datetime | None) -> Pages:
    """Yield the clicks on each link, a request for each single send that was sent from `since` on."""

    def sent() -> Iterator[Part]:
        for send in _sends(client):
            sent_at = send["send_at"] or send["updated_at"]
            if send["status"] == "triggered" and (since is None or sent_at is None or sent_at >= since):
                path, ids = "marketing/stats/singlesends/{id}/links", {"id": send["id"]}
                known = {"id": send["id"], "sent_at": sent_at}
                yield partial(client.pages, path, tables.LINK_STATS, STATS, ids=ids, known=known)

    yield from side_by_side(sent(), AT_ONCE)


def automation_stats(client: Client, _since: None) -> Pages:
    """Yield each automation's totals since it began, and those of its steps, one request per automation."""
    path, table = "marketing/stats/automations", tables.AUTOMATION_STATS
    days = {"start_date": FIRST_DAY, "end_date": f"{client.today}"}

    def of(automation: str) -> Iterator[pa.Table]:
        asked, ids = {"aggregated_by": "total", "group_by": "step_id", **days}, {"id": automation}
        return client.pages(f"{path}/{{id}}", table, STATS, asked, ids=ids)

    for page in client.pages(path, table, STATS):
        yield page
        automations = page.column("id").unique().to_pylist()
        yield from side_by_side((partial(of, automation) for automation in automations), AT_ONCE)


def suppressions(client: Client, _since: None, *, table: Table, lists: Sequence[str]) -> Pages:
    """Yield each list completely: removed people leave no trace. Newest first, so that people added meanwhile
    repeat a row and none is missed. There is no end time: a slow clock would exclude new people. An empty
    list is requested again, because a vendor's error would remove everybody.
    """

    def of(name: str) -> Iterator[pa.Table]:
        return client.pages(f"suppression/{name}", table, BY_OFFSET, known={"list": name})

    yield from side_by_side((partial(of, name) for name in lists), AT_ONCE)


def daily(client: Client, since: date | None, *, path: str, table: Table, countries: Sequence[str]) -> Pages:
    """Yield a stat by day from `since` to today, at most a year a request; empty old days delete nothing."""
    start = since or client.first_day
    while start <= client.today:
        end = min(start + timedelta(days=DAYS_A_REQUEST - 1), client.today)
        asked = {"start_date": f"{start}", "end_date": f"{end}", "aggregated_by": "day"}
        paged: Parameters = {} if table is tables.CLIENT_STATS else {"limit": MOST_BUCKETS, "offset": 0}
        parts = []
        for country in countries:
            params: Parameters = {**asked, **paged, **({"country": country} if country else {})}
            paging, known = Whole(most=MOST_BUCKETS, of="date"), {"country_filter": country}
            parts.append(partial(client.pages, path, table, paging, params, known=known))
        yield from side_by_side(parts, AT_ONCE)
        yield None
        start = end + timedelta(days=1)


def contacts(client: Client, _since: None) -> Pages:
    """Yield all contacts, through an export: the listing stops at the 50 newest.

    Raises SourceError if the files repeatedly have fewer contacts than the vendor counted, or if the vendor
    gives no count.
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
        files = (partial(_file, client, link) for link in links)
        found = list(side_by_side(files, FILES_AT_ONCE))
        count = sum(page.num_rows + Aside.of(page).row_count for page in found)
        if count >= promised:
            break
    check_total(count, promised)
    yield from found


def _file(client: Client, link: str) -> Iterator[pa.Table]:
    yield from client.file(link, tables.CONTACTS)


def _counted(client: Client) -> int | None:
    """Return SendGrid's own count of all contacts."""
    counted = _only(client.pages("marketing/contacts/count", tables.COUNT, Whole())).get("contact_count")
    return None if counted is None else int(counted)


def contact_count(client: Client, _parent: str) -> int | None:
    """Return the same count as a witness, None if it is not given."""
    try:
        return _counted(client)
    except (RefusedError, SourceError):
        return None


def _exported(client: Client) -> dict[str, Any]:
    """Run an export of all contacts to its end. One runs at a time: an earlier one goes first."""
    path, once = "marketing/contacts/exports", Whole(empty_ends=False)
    for times in range(POLLS):
        jobs = [job for page in client.pages(path, tables.EXPORTS, once) for job in page.to_pylist()]
        if not any(job["status"] == "pending" for job in jobs):
            break
        client.wait(times, "another export of contacts")
    asked = {"file_type": "csv", "max_file_size": FILE_MEGABYTES, "notifications": {"email": False}}
    begun = _only(client.pages(path, tables.EXPORTS, once, body=asked))
    if not begun:
        raise SourceError("the export of contacts began without an id")
    for times in range(POLLS):
        job = _only(client.pages(f"{path}/{{id}}", tables.EXPORTS, once, ids={"id": begun["id"]}))
        match job.get("status"):
            case "ready":
                return job
            case "failure":
                raise SourceError(f"the export of contacts failed: {job['message']}")
        client.wait(times, "the export of contacts")
    raise SourceError("the export of contacts was pending for too long")


def _only(pages: Iterator[pa.Table]) -> dict[str, Any]:
    """Return the first row of an answer; empty if it could not be read."""
    return next((row for page in pages for row in page.to_pylist()), {})
