"""Reads the tables of Klaviyo."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import pyarrow as pa
import requests

from common import seeds
from ingest.errors import RefusedError, SourceError
from ingest.http import Client, side_by_side
from ingest.model import SETTLED, Pages
from ingest.paging import Linked, Parameters, Whole
from ingest.typed import Table
from ingest.vendors.klaviyo import tables

WINDOW = timedelta(days=7)
WINDOWS_AT_ONCE = 8
"""Events are asked for in windows side by side: at a second or two a page, one after the other takes hours.
"""

Moment = TypeVar("Moment", datetime, date)
CHANNELS = ("email", "sms")
"""Whose campaigns are read; push messages are not, since no job speaks of them."""


def list_of(size: int | None) -> Linked:
    return Linked("$.links.next", "page[cursor]", ("page[size]", size) if size else None)


MESSAGE_ROLES = tuple(
    f"{done}_{what}" for what in ("email", "text") for done in ("received", "opened", "clicked")
)
"""What happens to a message; each of their metrics is grouped by message in one query."""
ORDER_ROLE = "placed_order"
"""What counts as an order; its metrics are grouped by their attribution."""
AGGREGATE_DAYS = 365
AGGREGATE_ROWS = 500
REPORT_DAYS = 30


def mapped_metrics(client: Client, _since: None = None) -> Iterator[pa.Table]:
    """Yield the metrics that the account uses for its orders, products, carts and refunds.

    Yields nothing if Klaviyo does not say, as in old revisions: metrics are then found by their names.
    """
    try:
        asked = {"include": "custom-metric,metric"}
        yield from client.pages("mapped-metrics", tables.MAPPED_METRICS, Whole(), asked)
    except RefusedError as error:
        if error.status != requests.codes.not_found and not error.lacks_scope:
            raise
        notice = f"no mapped metrics ({error.status}): orders and products are recognized by metric names"
        if notice not in client.vendor.notices:
            client.vendor.notices.append(notice)


def category_items(client: Client, _since: None) -> Pages:
    """Yield the products of each category: items do not name their category, so each one is requested."""
    path = "catalog-categories/{category}/relationships/items"
    for page in client.pages("catalog-categories", tables.CATALOG_CATEGORIES, list_of(100)):
        for category in page.column("id").to_pylist():
            ids, known = {"category": category}, {"category_id": category}
            yield from client.pages(path, tables.CATALOG_CATEGORY_ITEMS, list_of(100), ids=ids, known=known)


def profiles(client: Client, since: datetime | None) -> Pages:
    """Yield profiles in the order of their changes; one that changes during the read appears again."""
    asked = {"sort": "updated", "additional-fields[profile]": "subscriptions"}
    if since:
        asked["filter"] = f"greater-than(updated,{_utc(since)})"  # there is no greater-or-equal here
    for page in client.pages("profiles", tables.PROFILES, list_of(100), asked):
        yield page
        yield None


def group_counts(client: Client, _since: None, kind: str, table: Table) -> Pages:
    """Yield Klaviyo's own count of each segment or list, at one request per second."""
    asked = {f"fields[{kind}]": "profile_count", f"additional-fields[{kind}]": "profile_count"}
    known = {"measured_on": client.today}
    for group in _group_ids(client, kind):
        path, ids = f"{kind}s/{{{kind}}}", {kind: group}
        yield from client.pages(path, table, Whole(), asked, ids=ids, known=known)


def counted(kind: str, client: Client, group: str) -> int | None:
    """Return Klaviyo's own count of a segment or list: 0 if it no longer exists, None if not given."""
    asked = {f"fields[{kind}]": "profile_count", f"additional-fields[{kind}]": "profile_count"}
    try:
        (page,) = client.pages(f"{kind}s/{{group}}", tables.GROUP_COUNT, Whole(), asked, ids={"group": group})
    except RefusedError as error:
        return 0 if error.status == requests.codes.not_found else None
    except SourceError:
        return None
    counts = page.column("profile_count").to_pylist()
    return int(counts[0]) if counts and counts[0] is not None else None


def group_members(client: Client, _since: None, kind: str, table: Table) -> Pages:
    """Yield the current members of each segment or list, with or without consent.

    Leavers leave no trace, so the whole membership is read.
    """
    asked = {"fields[profile]": "joined_group_at"}
    for group in _group_ids(client, kind):
        path, ids, known = f"{kind}s/{{{kind}}}/profiles", {kind: group}, {f"{kind}_id": group}
        yield from client.pages(path, table, list_of(100), asked, ids=ids, known=known)


def _group_ids(client: Client, kind: str) -> list[str]:
    pages = client.pages(f"{kind}s", tables.SEGMENTS if kind == "segment" else tables.LISTS, list_of(10))
    return [group for page in pages for group in page.column("id").to_pylist()]


def campaigns(client: Client, since: datetime | None, table: Table = tables.CAMPAIGNS) -> Pages:
    """Yield campaigns of each channel, or their messages, which come with them.

    Klaviyo lists campaigns only by channel and omits the channel from the row. It may hide archived ones
    unless they are requested.
    """
    after = f",greater-or-equal(updated_at,{_utc(since)})" if since else ""
    for channel in CHANNELS:
        for archived in ("false", "true"):
            asked = {
                "include": "campaign-messages",
                "filter": f"equals(messages.channel,'{channel}'),equals(archived,{archived}){after}",
            }
            yield from client.pages("campaigns", table, list_of(100), asked, known={"channel": channel})


def campaign_values(client: Client, _since: None) -> Pages:
    """Yield the results of the past year's campaigns, in one report."""
    yield from _report(client, "campaign", tables.CAMPAIGN_VALUES, {"key": "last_365_days"})


def events(client: Client, since: datetime | None) -> Pages:
    """Yield every tracked action in the order of time, from `since` to just before the run began.

    The upper bound keeps an event with a date in the future out until that time has come.
    """
    end = client.started_at - SETTLED
    start = since or end - timedelta(days=client.history_days)
    starts = _steps(start, end, WINDOW)
    windows = (partial(_events_between, client, at, min(at + WINDOW, end)) for at in starts)
    for pages in side_by_side(windows, WINDOWS_AT_ONCE):
        yield from pages
        yield None


def _steps(start: Moment, end: Moment, step: timedelta) -> Iterator[Moment]:
    while start < end:
        yield start
        start += step


def _events_between(client: Client, start: datetime, end: datetime) -> Iterator[pa.Table]:
    """Half-open, so that windows touch without sharing a second. Profiles and metrics only as ids.

    An attribution may arrive up to three hours after its event; the next run's overlap reads it again.
    """
    asked = {
        "sort": "datetime",
        "filter": f"greater-or-equal(datetime,{_utc(start)}),less-than(datetime,{_utc(end)})",
        "include": "attributions,metric,profile",
        "fields[profile]": "id",
        "fields[metric]": "name",
    }
    yield from client.pages("events", tables.EVENTS, list_of(1000), asked)


def flow_actions(client: Client, _since: None = None) -> Iterator[pa.Table]:
    """Yield the steps of every flow, included with it: their own listing would be a request per flow."""
    yield from flows(client, None, tables.FLOW_ACTIONS, include="flow-actions")


def flows(client: Client, _since: None, table: Table = tables.FLOWS, **asked: str) -> Iterator[pa.Table]:
    """Yield the listing of flows as `table`; archived flows are requested in case the vendor hides them."""
    for archived in ("false", "true"):
        params = {**asked, "filter": f"equals(archived,{archived})"}
        yield from client.pages("flows", table, list_of(50), params)


def flow_triggers(client: Client, _since: None) -> Pages:
    """Yield the metrics that start flows; none in revisions that do not tell."""
    try:
        yield from client.pages("metrics", tables.FLOW_TRIGGERS, list_of(None), {"include": "flow-triggers"})
    except RefusedError as error:
        if error.status != requests.codes.bad_request:
            raise
        client.vendor.notices.append("no triggers of flows: set KLAVIYO_REVISION to a newer one")


def templates(client: Client, _since: None) -> Pages:
    """Yield the template of each e-mail of a flow, one request per message.

    The list of templates may lack it: the editor makes a copy for each message.
    """
    asked = {"fields[template]": "name,editor_type,html,text,created,updated"}
    for page in flow_messages(client, None):
        for message in page.select(["id", "channel"]).to_pylist() if page else ():
            if message["channel"] == "email":
                known = {"flow_message_id": message["id"]}
                path = "flow-messages/{message}/template"
                ids = {"message": message["id"]}
                table = tables.FLOW_MESSAGE_TEMPLATES
                yield from client.pages(path, table, Whole(), asked, ids=ids, known=known)


def flow_messages(client: Client, _since: None) -> Pages:
    """Yield the message of each sending step, one request per step."""
    path = "flow-actions/{action}/flow-messages"
    for page in flow_actions(client):
        for action in page.select(["id", "definition"]).to_pylist():
            if _kind(action["definition"]).startswith("send-"):
                ids, known = {"action": action["id"]}, {"flow_action_id": action["id"]}
                yield from client.pages(path, tables.FLOW_MESSAGES, list_of(50), ids=ids, known=known)


def _kind(definition: str | None) -> str:
    """Return the type that a definition names; empty if it names none."""
    told = json.loads(definition or "{}")
    kind = told.get("type") if isinstance(told, dict) else None
    return kind if isinstance(kind, str) else ""


def metric_aggregates(client: Client, since: date | None) -> Pages:
    """Yield Klaviyo's own counts by day and message, from `since` to today: one query per metric and year."""
    metric_ids = _metric_ids(client)
    start, end = since or client.first_day, client.today + timedelta(days=1)
    for at in _steps(start, end, timedelta(days=AGGREGATE_DAYS)):
        for role in (*MESSAGE_ROLES, ORDER_ROLE):
            group = "$attributed_{}" if role == ORDER_ROLE else "${}"
            by = [group.format("flow"), group.format("message")]
            for metric_id in metric_ids.get(role, []):
                until = min(at + timedelta(days=AGGREGATE_DAYS), end)
                yield from _aggregated(client, metric_id, by, at, until)
        yield None


def _aggregated(client: Client, metric_id: str, by: list[str], start: date, end: date) -> Iterator[pa.Table]:
    """Yield one metric by day and by flow and message; the body asks for the next page."""

    def body(page: Parameters) -> Mapping[str, Any]:
        asked = {
            "metric_id": metric_id,
            "measurements": ["count", "unique", "sum_value"],
            "interval": "day",
            "by": by,
            "timezone": "UTC",
            "page_size": AGGREGATE_ROWS,
            "filter": [f"greater-or-equal(datetime,{start}T00:00:00)", f"less-than(datetime,{end}T00:00:00)"],
            **page,
        }
        return {"data": {"type": "metric-aggregate", "attributes": asked}}

    known = {"metric_id": metric_id, "grouped_by": by[1]}
    paging = Linked("$.links.next", "page_cursor")
    yield from client.pages("metric-aggregates", tables.METRIC_AGGREGATES, paging, known=known, body=body)


def flow_values(client: Client, _since: None) -> Pages:
    """Yield the results of flows over the last full days: a report, limited to 225 a day."""
    timeframe = {
        "start": f"{client.today - timedelta(days=REPORT_DAYS)}T00:00:00+00:00",
        "end": f"{client.today}T00:00:00+00:00",
    }
    yield from _report(client, "flow", tables.FLOW_VALUES, timeframe)


def _report(client: Client, kind: str, table: Table, timeframe: Mapping[str, str]) -> Pages:
    """Yield the values of a kind of message, with orders as conversions; one report per metric of orders."""
    for metric_id in _metric_ids(client).get(ORDER_ROLE, []):
        asked = {
            "statistics": [column.name for column in table.columns if column.at == "statistics"],
            "timeframe": timeframe,
            "conversion_metric_id": metric_id,
            "group_by": [column.name for column in table.columns if column.at == "groupings"],
        }
        body = {"data": {"type": f"{kind}-values-report", "attributes": asked}}
        paging = Linked("$.links.next", "page_cursor")
        known = {"measured_on": client.today, "conversion_metric_id": metric_id}
        yield from client.pages(f"{kind}-values-reports", table, paging, known=known, body=body)


def _metric_ids(client: Client) -> dict[str, list[str]]:
    """Return the ids of metrics by role: as mapped by the account, otherwise by name.

    Several names, and several integrations with one name, may have the same role.
    """
    roles = {name.lower(): role for role, name in seeds.rows("klaviyo_metric_names", "role", "metric_name")}
    found: dict[str, list[str]] = {}
    for page in client.pages("metrics", tables.METRICS, list_of(None)):
        for metric in page.select(["id", "name"]).to_pylist():
            if role := roles.get((metric["name"] or "").strip().lower()):
                found.setdefault(role, []).append(metric["id"])
    return found | _mapped_ids(client)


def _mapped_ids(client: Client) -> dict[str, list[str]]:
    """Return the ids of the metrics mapped to a role; for a custom metric, the ids of those it sums."""
    roles = {mapped: role for role, mapped in seeds.rows("klaviyo_metric_roles", "role", "mapped_metric")}
    found: dict[str, list[str]] = {}
    for page in mapped_metrics(client):
        for mapped in page.to_pylist():
            summed = [group["metric_id"] for group in json.loads(mapped["metric_groups"] or "[]")]
            ids = [mapped["metric_id"]] if mapped["metric_id"] else summed
            if ids and mapped["id"] in roles:
                found[roles[mapped["id"]]] = list(dict.fromkeys(ids))
    return found


def _utc(moment: datetime) -> str:
    """Return the form that is safe in a filter: no blank, no plus sign, whole seconds."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
