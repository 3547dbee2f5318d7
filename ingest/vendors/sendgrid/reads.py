"""Reads the tables of SendGrid."""

import json
import time
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa

from ingest.errors import RefusedError, SourceError
from ingest.http import CONFIRM, Client
from ingest.model import Pages
from ingest.paging import Linked, Offset, Parameters, Whole, check_total
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
FILE_MEGABYTES = 100
"""Files are read one at a time into memory."""


def single_sends(client: Client, _since: object) -> Iterator[pa.Table]:
    """Yield every single send: there is no filter for changes."""
    yield from client.pages("marketing/singlesends", tables.SINGLE_SENDS, LIST)


def single_send_details(client: Client, since: datetime | None) -> Pages:
    """Yield the fields that the listing omits, a request for each single send that changed."""
    for send in _sends(client):
        if since is None or send["updated_at"] is None or send["updated_at"] >= since:
            path, ids = "marketing/singlesends/{id}", {"id": send["id"]}
            yield from client.pages(path, tables.SINGLE_SEND_DETAILS, Whole(), ids=ids)


def single_send_daily_stats(client: Client, since: date | None) -> Pages:
    """Yield each single send by day from `since` on, a request for each sent in the READ_FOR before it."""
    first = since or client.first_day
    for send in _sends(client):
        if send["status"] != "triggered":
            continue
        sent = send["send_at"] or send["updated_at"]
        sent_on = sent.date() if sent else first  # an unreadable date may be any day
        last = min(sent_on + READ_FOR, client.today) if sent else client.today
        if first <= last and sent_on <= last:
            days = {"start_date": f"{max(first, sent_on)}", "end_date": f"{last}"}
            path, asked = "marketing/stats/singlesends/{id}", {"aggregated_by": "day", **days}
            yield from client.pages(path, tables.DAILY_STATS, STATS, asked, ids={"id": send["id"]})


def _sends(client: Client) -> Iterator[dict[str, Any]]:
    """Yield the single sends of the listing. Raises ChangedTypeError if a page of it has no dates."""
    for page in single_sends(client, None):
        Form(tables.SINGLE_SENDS).take(page, "created_at")
        yield from page.to_pylist()


def single_send_variation_stats(client: Client, _since: None) -> Pages:
    """Yield totals of each A/B test by variation and phase, a request each: the listing has only the sum."""
    by_part = {"aggregated_by": "total", "group_by": "ab_variation,ab_phase"}
    for send in _sends(client):
        if send["is_abtest"] and send["status"] == "triggered":
            # Without dates the vendor uses its own.
            first = f"{send['created_at']:%Y-%m-%d}" if send["created_at"] else FIRST_DAY
            days = {"start_date": first, "end_date": f"{client.today}"}
            path, ids = "marketing/stats/singlesends/{id}", {"id": send["id"]}
            yield from client.pages(path, tables.VARIATION_STATS, STATS, {**by_part, **days}, ids=ids)


def automation_stats(client: Client, _since: None) -> Pages:
    """Yield each automation's totals since it began, and those of its steps, one request per automation."""
    path = "marketing/stats/automations"
    for page in client.pages(path, tables.AUTOMATION_STATS, STATS):
        yield page
        for automation_id in page.column("id").unique().to_pylist():
            days = {"start_date": FIRST_DAY, "end_date": f"{client.today}"}
            by_step, ids = {"aggregated_by": "total", "group_by": "step_id"}, {"id": automation_id}
            yield from client.pages(
                f"{path}/{{id}}", tables.AUTOMATION_STATS, STATS, {**by_step, **days}, ids=ids
            )


def suppressions(client: Client, _since: None, *, table: Table, lists: Sequence[str]) -> Pages:
    """Yield each list completely: removed people leave no trace. Newest first, so that people added meanwhile
    repeat a row and none is missed. There is no end time: a slow clock would exclude new people. An empty
    list is requested again, because a vendor's error would remove everybody.
    """
    for name in lists:
        yield from client.pages(f"suppression/{name}", table, BY_OFFSET, known={"list": name})


def daily(client: Client, since: date | None, *, path: str, table: Table, countries: Sequence[str]) -> Pages:
    """Yield a stat by day from `since` to today, at most a year a request; empty old days delete nothing."""
    start = since or client.first_day
    while start <= client.today:
        end = min(start + timedelta(days=DAYS_A_REQUEST - 1), client.today)
        asked = {"start_date": f"{start}", "end_date": f"{end}", "aggregated_by": "day"}
        paged: Parameters = {} if table is tables.CLIENT_STATS else {"limit": MOST_BUCKETS, "offset": 0}
        for country in countries:
            narrowed = {"country": country} if country else {}
            params: Parameters = {**asked, **paged, **narrowed}
            paging = Whole(most=MOST_BUCKETS, of="date")
            yield from client.pages(path, table, paging, params, known={"country_filter": country})
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
        found = [page for link in links for page in client.file(link, tables.CONTACTS)]
        count = sum(page.num_rows + Aside.of(page).row_count for page in found)
        if count >= promised:
            break
    check_total(count, promised)
    yield from found


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
