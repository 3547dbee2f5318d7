"""Reads the tables of Klaviyo."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import product
from typing import Any, Final

import pyarrow as pa
import requests

from common import seeds
from ingest.errors import RefusedError, SourceError
from ingest.http import Client
from ingest.model import SETTLED, Pages
from ingest.paging import Linked, Parameters, Whole
from ingest.parallel import SECOND, Spans, in_spans, side_by_side
from ingest.typed import Table
from ingest.vendors.klaviyo import tables

AT_ONCE: Final[Mapping[str, int]] = {"S": 4, "M": 12, "L": 32, "XL": 64}
"""How many requests of a class are under way at once: at a second or two for each, its allowance."""
PAGES_AHEAD: Final[Mapping[str, int]] = {"M": 75, "L": 350, "XL": 1_750}
"""Half of what each class allows in a minute: so much is read again by the run after one that was killed."""

GROUPS_AT_ONCE, GROUP_AT_ONCE = 16, 8
"""How many segments or lists are read at once, and how many requests are under way for the members of one."""
RECENT_DAYS = (64, 16, 4, 1)
"""Profiles are split so many days ago, for most of them changed lately, and events at the first two."""
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
GROUPED_BY: Final[Mapping[str, Sequence[str]]] = {
    **dict.fromkeys(MESSAGE_ROLES, ("$flow", "$message")),
    ORDER_ROLE: ("$attributed_flow", "$attributed_message"),
}
AGGREGATE_DAYS = 365
AGGREGATE_ROWS = 500
REPORT_DAYS = 30


def mapped_metrics(client: Client, _since: None = None) -> Iterator[pa.Table]:
    """Yield the metrics that the account uses for its orders, products, carts and refunds.

    Yields nothing if Klaviyo does not say, as in old revisions: metrics are then found by their names.
    """
    try:
        asked = {"include": "custom-metric,metric"}
        yield from client.shared("mapped_metrics", "mapped-metrics", tables.MAPPED_METRICS, Whole(), asked)
    except RefusedError as error:
        if error.status != requests.codes.not_found and not error.lacks_scope:
            raise
        notice = f"no mapped metrics ({error.status}): orders and products are recognized by metric names"
        if notice not in client.vendor.notices:
            client.vendor.notices.append(notice)


def _metrics(client: Client, table: Table = tables.METRICS) -> Iterator[pa.Table]:
    """Yield the metrics as `table`, with the flows that they start unless an old revision cannot tell."""
    try:
        asked = {"include": "flow-triggers"}
        yield from client.shared("metrics", "metrics", table, list_of(None), asked)
    except RefusedError as error:
        if error.status != requests.codes.bad_request:
            raise
        notice = "no triggers of flows: set KLAVIYO_REVISION to a newer one"
        if notice not in client.vendor.notices:
            client.vendor.notices.append(notice)
        yield from client.shared("metrics", "metrics", table, list_of(None))


def metrics(client: Client, _since: None) -> Pages:
    """Yield every metric."""
    yield from _metrics(client)


def category_items(client: Client, _since: None) -> Pages:
    """Yield the products of each category: items do not name their category, so each one is requested."""
    path, table = "catalog-categories/{category}/relationships/items", tables.CATALOG_CATEGORY_ITEMS

    def of(category: str) -> Iterator[pa.Table]:
        ids, known = {"category": category}, {"category_id": category}
        return client.pages(path, table, list_of(100), ids=ids, known=known)

    pages = categories(client, None)
    ids = (category for page in pages for category in page.column("id").to_pylist())
    yield from side_by_side((partial(of, category) for category in ids), AT_ONCE["L"])


def categories(client: Client, _since: None) -> Iterator[pa.Table]:
    """Yield the catalog's categories."""
    yield from client.shared(
        "catalog_categories", "catalog-categories", tables.CATALOG_CATEGORIES, list_of(100)
    )


def profiles(client: Client, since: datetime | None) -> Pages:
    """Yield profiles in the order of their changes, in spans side by side.

    A profile that changes during the read moves to the end, so the end is read once more after all spans.
    """
    asked = {"sort": "updated", "additional-fields[profile]": "subscriptions"}

    def read(start: datetime | None, end: datetime | None) -> Iterator[pa.Table]:
        # There is no greater-or-equal here. Of `since` itself the run before has read everything.
        after = start and (start if start == since else start - SECOND)
        within = _within("updated", after, end, "greater-than")
        return client.pages("profiles", tables.PROFILES, list_of(100), {**asked, **within})

    cuts = [client.started_at - timedelta(days=days) for days in RECENT_DAYS]
    spans = _spans(client, since, None, 100, "L", cuts)
    yield from in_spans(read, lambda page: page.column("updated"), spans, AT_ONCE["L"])
    if spans.is_split and (last := spans.last):
        yield from read(last, None)


def predictions(client: Client, _since: None) -> Pages:
    """Yield the predictions of every profile, in spans of the time at which it was created.

    Apart from the profiles: the vendor allows a fifth of the requests and fails under load.
    """
    named = "predictive_analytics"
    asked = {"sort": "created", "fields[profile]": f"created,{named}", "additional-fields[profile]": named}
    known = {"measured_on": client.today}

    def read(start: datetime | None, end: datetime | None) -> Iterator[pa.Table]:
        within = _within("created", start and start - SECOND, end, "greater-than")
        table = tables.PREDICTIONS_BY_AGE
        return client.pages("profiles", table, list_of(100), {**asked, **within}, known=known)

    spans = _spans(client, None, None, 100, "M")
    for page in in_spans(read, lambda page: page.column("created"), spans, AT_ONCE["M"]):
        if isinstance(page, pa.Table):  # no cursor moves before all are read
            yield page.drop_columns(["created"])


def _spans(
    client: Client,
    start: datetime | None,
    end: datetime | None,
    size: int,
    tier: str,
    cuts: Sequence[datetime] = (),
) -> Spans:
    rows = dict([list_of(size).size or ("", size)]).popitem()[1]
    newest, most = end or client.started_at, PAGES_AHEAD[tier]
    return Spans(start, end, newest=newest, page_rows=rows, pages_ahead=most, cuts=cuts)


def _within(field: str, start: datetime | None, end: datetime | None, after: str) -> dict[str, str]:
    """Return the filter for moments from `start` to before `end`; nothing without either."""
    bounds = [f"{after}({field},{_utc(start)})"] if start else []
    bounds += [f"less-than({field},{_utc(end)})"] if end else []
    return {"filter": ",".join(bounds)} if bounds else {}


def group_counts(client: Client, _since: None, kind: str, table: Table) -> Pages:
    """Yield Klaviyo's own count of each segment or list, at one request per second."""
    known = {"measured_on": client.today}

    def of(group: str) -> Iterator[pa.Table]:
        path, ids = f"{kind}s/{{{kind}}}", {kind: group}
        return client.pages(path, table, Whole(), _count_of(kind), ids=ids, known=known)

    yield from side_by_side((partial(of, group) for group in _group_ids(client, kind)), AT_ONCE["S"])


def _count_of(kind: str) -> Parameters:
    return {f"fields[{kind}]": "profile_count", f"additional-fields[{kind}]": "profile_count"}


def counted(kind: str, client: Client, group: str) -> int | None:
    """Return Klaviyo's own count of a segment or list: 0 if it no longer exists, None if not given."""
    path, ids = f"{kind}s/{{{kind}}}", {kind: group}
    try:
        (page,) = client.pages(path, tables.GROUP_COUNT, Whole(), _count_of(kind), ids=ids)
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
    asked = {"fields[profile]": "joined_group_at", "sort": "joined_group_at"}
    path = f"{kind}s/{{{kind}}}/profiles"

    def read(group: str, start: datetime | None, end: datetime | None) -> Iterator[pa.Table]:
        ids, known = {kind: group}, {f"{kind}_id": group}
        params = {**asked, **_within("joined_group_at", start, end, "greater-or-equal")}
        return client.pages(path, table, list_of(100), params, ids=ids, known=known)

    def of(group: str) -> Iterator[Any]:
        spans = _spans(client, None, None, 100, "L")
        moments = partial(pa.Table.column, i="joined_group_at")
        return in_spans(partial(read, group), moments, spans, GROUP_AT_ONCE)

    parts = (partial(of, group) for group in _group_ids(client, kind))
    yield from (page for page in side_by_side(parts, GROUPS_AT_ONCE) if isinstance(page, pa.Table))


def groups(client: Client, _since: None, kind: str) -> Iterator[pa.Table]:
    """Yield the segments or lists."""
    table = tables.SEGMENTS if kind == "segment" else tables.LISTS
    yield from client.shared(f"{kind}s", f"{kind}s", table, list_of(10))


def _group_ids(client: Client, kind: str) -> Iterator[str]:
    return (group for page in groups(client, None, kind) for group in page.column("id").to_pylist())


def campaigns(client: Client, since: datetime | None, table: Table = tables.CAMPAIGNS) -> Pages:
    """Yield campaigns of each channel, or their messages, which come with them.

    Klaviyo lists campaigns only by channel and omits the channel from the row. It may hide archived ones
    unless they are requested.
    """
    after = f",greater-or-equal(updated_at,{_utc(since)})" if since else ""

    def of(channel: str, archived: str) -> Iterator[pa.Table]:
        asked = {
            "include": "campaign-messages",
            "filter": f"equals(messages.channel,'{channel}'),equals(archived,{archived}){after}",
        }
        known = {"channel": channel}
        return client.shared("campaigns", "campaigns", table, list_of(100), asked, known=known)

    parts = product(CHANNELS, ("false", "true"))
    yield from side_by_side((partial(of, *part) for part in parts), AT_ONCE["M"])


def campaign_values(client: Client, _since: None) -> Pages:
    """Yield the results of the past year's campaigns, in one report."""
    yield from _report(client, "campaign", tables.CAMPAIGN_VALUES, {"key": "last_365_days"})


def events(client: Client, since: datetime | None) -> Pages:
    """Yield every tracked action in the order of time, from `since` to just before the run began.

    The upper bound keeps an event with a date in the future out until that time has come.
    """
    end = client.started_at - SETTLED
    start = since or end - timedelta(days=client.history_days)
    if start < end:
        cuts = [end - timedelta(days=days) for days in RECENT_DAYS[:2]]
        spans = _spans(client, start, end, 1000, "XL", cuts)
        read = partial(_events_between, client)
        yield from in_spans(read, lambda page: page.column("datetime"), spans, AT_ONCE["XL"])


def _events_between(client: Client, start: datetime | None, end: datetime | None) -> Iterator[pa.Table]:
    """Half-open, so that windows touch without sharing a second. Profiles and metrics only as ids.

    An attribution may arrive up to three hours after its event; the next run's overlap reads it again.
    """
    asked = {
        "sort": "datetime",
        **_within("datetime", start, end, "greater-or-equal"),
        "include": "attributions,metric,profile",
        "fields[profile]": "id",
        "fields[metric]": "name",
    }
    yield from client.pages("events", tables.EVENTS, list_of(1000), asked)


def flow_actions(client: Client, _since: None = None) -> Iterator[pa.Table]:
    """Yield the steps of every flow, included with it: their own listing would be a request per flow."""
    yield from flows(client, None, tables.FLOW_ACTIONS)


def flows(client: Client, _since: None, table: Table = tables.FLOWS) -> Iterator[pa.Table]:
    """Yield the listing of flows as `table`; archived flows are requested in case the vendor hides them."""

    def of(archived: str) -> Iterator[pa.Table]:
        asked = {"include": "flow-actions", "filter": f"equals(archived,{archived})"}
        return client.shared("flows", "flows", table, list_of(50), asked)

    yield from side_by_side((partial(of, archived) for archived in ("false", "true")), AT_ONCE["S"])


def flow_triggers(client: Client, _since: None) -> Pages:
    """Yield the metrics that start flows; none in revisions that do not tell."""
    yield from _metrics(client, tables.FLOW_TRIGGERS)


def templates(client: Client, _since: None) -> Pages:
    """Yield the template of each e-mail of a flow, one request per message.

    The list of templates may lack it: the editor makes a copy for each message.
    """
    asked = {"fields[template]": "name,editor_type,html,text,created,updated"}

    def of(message: str) -> Iterator[pa.Table]:
        path, table = "flow-messages/{message}/template", tables.FLOW_MESSAGE_TEMPLATES
        known, ids = {"flow_message_id": message}, {"message": message}
        return client.pages(path, table, Whole(), asked, ids=ids, known=known)

    messages = (
        message["id"]
        for page in flow_messages(client, None)
        for message in page.select(["id", "channel"]).to_pylist()
        if message["channel"] == "email"
    )
    yield from side_by_side((partial(of, message) for message in messages), AT_ONCE["S"])


def flow_messages(client: Client, _since: None) -> Iterator[pa.Table]:
    """Yield the message of each sending step, one request per step."""

    def of(action: str) -> Iterator[pa.Table]:
        path, table = "flow-actions/{action}/flow-messages", tables.FLOW_MESSAGES
        ids, known = {"action": action}, {"flow_action_id": action}
        return client.shared("flow_messages", path, table, list_of(50), ids=ids, known=known)

    actions = (
        action["id"]
        for page in flow_actions(client)
        for action in page.select(["id", "definition"]).to_pylist()
        if _kind(action["definition"]).startswith("send-")
    )
    yield from side_by_side((partial(of, action) for action in actions), AT_ONCE["S"])


def _kind(definition: str | None) -> str:
    """Return the type that a definition names; empty if it names none."""
    told = json.loads(definition or "{}")
    kind = told.get("type") if isinstance(told, dict) else None
    return kind if isinstance(kind, str) else ""


def metric_aggregates(client: Client, since: date | None) -> Pages:
    """Yield Klaviyo's own counts by day and message, from `since` to today: one query per metric and year."""
    metric_ids = _metric_ids(client)
    start, end = since or client.first_day, client.today + timedelta(days=1)
    while start < end:
        until = min(start + timedelta(days=AGGREGATE_DAYS), end)
        parts = [
            partial(_aggregated, client, metric_id, by, start, until)
            for role, by in GROUPED_BY.items()
            for metric_id in metric_ids.get(role, [])
        ]
        yield from side_by_side(parts, AT_ONCE["S"])
        yield None
        start = until


def _aggregated(
    client: Client, metric_id: str, by: Sequence[str], start: date, end: date
) -> Iterator[pa.Table]:
    """Yield one metric by day and by flow and message; the body asks for the next page."""

    def body(page: Parameters) -> Mapping[str, Any]:
        asked = {
            "metric_id": metric_id,
            "measurements": ["count", "unique", "sum_value"],
            "interval": "day",
            "by": list(by),
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
    for page in _metrics(client):
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
