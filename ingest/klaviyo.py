"""Klaviyo: profiles, predictions, segments and lists with members, flows, campaigns, metrics, events."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import pyarrow as pa
import requests

from common import seeds
from common.settings import Settings
from ingest.gone import GONE_AT
from ingest.http import Client, Linked, Parameters, RefusedError, SourceError, Vendor, Whole, side_by_side
from ingest.pipeline import SETTLED, Pages, Resource, Source
from ingest.typed import Column, Table, each, listed

SCHEMA = "raw_klaviyo"
MEDIA_TYPE = "application/vnd.api+json"
"""The only type that Klaviyo's description offers; gateways refuse another."""
NEWEST_REVISION = "2026-07-15"
"""The newest revision that these resources were written against."""
EVENTS_LATE = timedelta(days=7)
"""Events arrive days after they happened; four were seen, attribution takes five."""
PROFILES_LATE = timedelta(hours=1)
WINDOW = timedelta(days=7)
WINDOWS_AT_ONCE = 8
"""Events are asked for in windows side by side: at a second or two a page, one after the other takes hours.
"""

Moment = TypeVar("Moment", datetime, date)
attribute = partial(Column, at="attributes")
attributes = partial(each, at="attributes")
ENVELOPE = "type relationships links"
CHANNELS = ("email", "sms")
"""Whose campaigns are read; push messages are not, since no job speaks of them."""
CAMPAIGNS_LATE = timedelta(days=7)


def list_of(size: int | None) -> Linked:
    return Linked("$.links.next", "page[cursor]", ("page[size]", size) if size else None)


def included(kind: str, owner: str) -> str:
    """SQL that unfolds a list to what is included with its rows, which alone tell whose it is: as `owner`."""
    pointers = f"$.relationships.{kind}s.data"
    pointed = f"from_json(row -> '{pointers}', '[\"JSON\"]')"
    return f"""
        select case when one is null then 'null'::json
            else json_merge_patch(one, json_object('{owner}', {owner})) end as row
        from (
            select
                row ->> '$.id' as {owner},
                unnest(case
                    when (row ->> '$.id') is null then ['null'::json]
                    when json_type(row, '{pointers}') = 'ARRAY' then {pointed}
                end) as pointer
            from around
        )
        left join (select unnest(from_json($page::json -> 'included', '["JSON"]')) as one)
            on one ->> '$.type' = '{kind}' and one ->> '$.id' = pointer ->> '$.id'
    """


RESULTS = f"select unnest({listed('$.attributes.results')}) as row from around"
"""SQL that unfolds a report to its rows."""

ACCOUNTS = Table(
    SCHEMA,
    "accounts",
    ("id",),
    [
        Column("id", "text"),
        *attributes("text", "timezone preferred_currency locale industry"),
        attribute("test_account", "bool"),
    ],
    drops=f"{ENVELOPE} attributes",  # the rest says who to write to: nothing that a model needs
)
PROFILES = Table(
    SCHEMA,
    "profiles",
    ("id",),
    [
        Column("id", "text"),
        *attributes(
            "text", "email phone_number external_id first_name last_name organization locale title image"
        ),
        *attributes("timestamptz", "created updated last_event_date"),
        *attributes("json", "location properties subscriptions"),
    ],
    drops=ENVELOPE,
    newest="updated",
)
PREDICTIONS = Table(
    SCHEMA,
    "predictive_analytics",
    ("profile_id", "measured_on"),
    [
        Column("profile_id", "text", field="id"),
        Column("measured_on", "date", known=True),
        *each(
            "double",
            "historic_clv predicted_clv total_clv historic_number_of_orders predicted_number_of_orders "
            "average_days_between_orders average_order_value churn_probability",
            "attributes.predictive_analytics",
        ),
        Column("expected_date_of_next_order", "timestamptz", "attributes.predictive_analytics"),
        Column("ranked_channel_affinity", "json", "attributes.predictive_analytics"),
    ],
    drops=ENVELOPE,
)
SEGMENTS = Table(
    SCHEMA,
    "segments",
    ("id",),
    [
        Column("id", "text"),
        attribute("name", "text"),
        attribute("definition", "json"),
        *attributes("timestamptz", "created updated"),
        *attributes("bool", "is_active is_processing is_starred"),
        GONE_AT,
    ],
    drops=ENVELOPE,
)
LISTED = "external_id title"
CATALOG_ITEMS = Table(
    SCHEMA,
    "catalog_items",
    ("id",),
    [
        Column("id", "text"),
        *attributes("text", f"{LISTED} description url"),
        attribute("price", "double"),
        attribute("published", "bool"),
        *attributes("timestamptz", "created updated"),
        Column("variants", "json", "relationships.variants", "data"),
    ],
    drops=ENVELOPE,
)
CATALOG_VARIANTS = Table(
    SCHEMA,
    "catalog_variants",
    ("id",),
    [
        Column("id", "text"),
        *attributes("text", f"{LISTED} sku"),
        attribute("price", "double"),
        attribute("inventory_policy", "bigint"),
        attribute("inventory_quantity", "double"),
        attribute("published", "bool"),
        *attributes("timestamptz", "created updated"),
    ],
    drops=ENVELOPE,
)
CATALOG_CATEGORIES = Table(
    SCHEMA,
    "catalog_categories",
    ("id",),
    [Column("id", "text"), *attributes("text", "external_id name"), attribute("updated", "timestamptz")],
    drops=ENVELOPE,
)
CATALOG_CATEGORY_ITEMS = Table(
    SCHEMA,
    "catalog_category_items",
    ("category_id", "item_id"),
    [Column("category_id", "text", known=True), Column("item_id", "text", field="id")],
    drops="type",
)
SEGMENT_COUNTS = Table(
    SCHEMA,
    "segment_counts",
    ("segment_id", "measured_on"),
    [
        Column("segment_id", "text", field="id"),
        Column("measured_on", "date", known=True),
        attribute("profile_count", "bigint"),
    ],
    drops=ENVELOPE,
)
LIST_COUNTS = Table(
    SCHEMA,
    "list_counts",
    ("list_id", "measured_on"),
    [
        Column("list_id", "text", field="id"),
        Column("measured_on", "date", known=True),
        attribute("profile_count", "bigint"),
    ],
    drops=ENVELOPE,
)
GROUP_COUNT = Table(
    SCHEMA,
    "group_count",
    ("id",),
    [Column("id", "text"), attribute("profile_count", "bigint")],
    drops=ENVELOPE,
)
SEGMENT_MEMBERS = Table(
    SCHEMA,
    "segment_members",
    ("segment_id", "profile_id"),
    [
        Column("segment_id", "text", known=True),
        Column("profile_id", "text", field="id"),
        attribute("joined_group_at", "timestamptz"),
    ],
    drops=ENVELOPE,
)
METRICS = Table(
    SCHEMA,
    "metrics",
    ("id",),
    [
        Column("id", "text"),
        attribute("name", "text"),
        *attributes("timestamptz", "created updated"),
        attribute("integration", "json"),
        GONE_AT,
    ],
    drops=ENVELOPE,
    newest="updated",
)
MAPPED_METRICS = Table(
    SCHEMA,
    "mapped_metrics",
    ("id",),
    [
        Column("id", "text"),
        attribute("updated", "timestamptz"),
        Column("metric_id", "text", "relationships.metric.data", "id"),
        Column("custom_metric_id", "text", "relationships.custom-metric.data", "id"),
        Column("metric_groups", "json"),
    ],
    drops=ENVELOPE,
    # A metric of the account's own making is a sum of others, which are told with it.
    unfolds="""
        select json_merge_patch(row, json_object('metric_groups', (
            select any_value(one -> '$.attributes.definition.metric_groups')
            from (select unnest(from_json($page::json -> 'included', '["JSON"]')) as one)
            where one ->> '$.type' = 'custom-metric'
                and one ->> '$.id' = row ->> '$.relationships.custom-metric.data.id'
        ))) as row
        from around
    """,
)
EVENTS = Table(
    SCHEMA,
    "events",
    ("id",),
    [
        Column("id", "text"),
        attribute("timestamp", "bigint"),
        attribute("datetime", "timestamptz"),
        attribute("uuid", "text"),
        attribute("event_properties", "json"),
        Column("profile_id", "text", "relationships.profile.data", "id"),
        Column("metric_id", "text", "relationships.metric.data", "id"),
        Column("attributions", "json"),
    ],
    drops=ENVELOPE,
    # What an event is attributed to is included with it: none, one or several.
    unfolds="""
        with pointers as (
            select
                row ->> '$.id' as event_id,
                unnest(from_json(row -> '$.relationships.attributions.data', '["JSON"]')) ->> '$.id' as id
            from around
        ),
        told as (
            select event_id, to_json(list(json_merge_patch('{}', json_object(
                'id', id,
                'attributed_event_id', one ->> '$.relationships.attributed-event.data.id',
                'campaign_id', one ->> '$.relationships.campaign.data.id',
                'campaign_message_id', one ->> '$.relationships.campaign-message.data.id',
                'flow_id', one ->> '$.relationships.flow.data.id',
                'flow_message_id', one ->> '$.relationships.flow-message.data.id',
                'flow_message_variation_id', one ->> '$.relationships.flow-message-variation.data.id'
            )) order by id)) as attributions
            from pointers
            inner join (select unnest(from_json($page::json -> 'included', '["JSON"]')) as one)
                on one ->> '$.type' = 'attribution' and one ->> '$.id' = id
            group by event_id
        )
        select if(
            attributions is null, row, json_merge_patch(row, json_object('attributions', attributions))
        ) as row
        from around left join told on row ->> '$.id' = event_id
    """,
)
LISTS = Table(
    SCHEMA,
    "lists",
    ("id",),
    [
        Column("id", "text"),
        *attributes("text", "name opt_in_process"),
        *attributes("timestamptz", "created updated"),
        GONE_AT,
    ],
    drops=ENVELOPE,
)
LIST_MEMBERS = Table(
    SCHEMA,
    "list_members",
    ("list_id", "profile_id"),
    [
        Column("list_id", "text", known=True),
        Column("profile_id", "text", field="id"),
        attribute("joined_group_at", "timestamptz"),
    ],
    drops=ENVELOPE,
)
CAMPAIGNS = Table(
    SCHEMA,
    "campaigns",
    ("id",),
    [
        Column("id", "text"),
        Column("channel", "text", known=True),
        *attributes("text", "name status"),
        attribute("archived", "bool"),
        *attributes("json", "audiences send_options tracking_options send_strategy"),
        *attributes("timestamptz", "created_at scheduled_at updated_at send_time"),
        GONE_AT,
    ],
    drops=ENVELOPE,
    newest="updated_at",
)
CAMPAIGN_MESSAGES = Table(
    SCHEMA,
    "campaign_messages",
    ("id",),
    [
        *each("text", "id campaign_id"),
        *attributes("json", "definition send_times"),
        *attributes("timestamptz", "created_at updated_at"),
        GONE_AT,
    ],
    drops=ENVELOPE,
    unfolds=included("campaign-message", "campaign_id"),
    newest="updated_at",
)
CAMPAIGN_VALUES = Table(
    SCHEMA,
    "campaign_values",
    ("campaign_message_id", "send_channel", "measured_on", "conversion_metric_id"),
    [
        *each("text", "campaign_id campaign_message_id send_channel", "groupings"),
        Column("conversion_metric_id", "text", known=True),
        Column("measured_on", "date", known=True),
        *each(
            "double",  # counts, too
            "recipients delivered opens_unique clicks_unique bounced conversions conversion_uniques "
            "conversion_value",
            "statistics",
        ),
    ],
    unfolds=RESULTS,
)

FLOWS = Table(
    SCHEMA,
    "flows",
    ("id",),
    [
        Column("id", "text"),
        *attributes("text", "name status trigger_type"),
        attribute("archived", "bool"),
        *attributes("timestamptz", "created updated"),
        GONE_AT,
    ],
    drops=ENVELOPE,
    newest="updated",
)
FLOW_ACTIONS = Table(
    SCHEMA,
    "flow_actions",
    ("id",),
    [
        *each("text", "id flow_id"),
        attribute("definition", "json"),
        *attributes("timestamptz", "created updated"),
        GONE_AT,
    ],
    drops=ENVELOPE,
    unfolds=included("flow-action", "flow_id"),
    newest="updated",
)
FLOW_MESSAGES = Table(
    SCHEMA,
    "flow_messages",
    ("id",),
    [
        Column("id", "text"),
        Column("flow_action_id", "text", known=True),
        attribute("channel", "text"),
        attribute("definition", "json"),
        *attributes("timestamptz", "created updated"),
        GONE_AT,
    ],
    drops=ENVELOPE,
    newest="updated",
)
METRIC_AGGREGATES = Table(
    SCHEMA,
    "metric_aggregates",
    ("metric_id", "grouped_by", "flow_id", "message_id", "date"),
    [
        *(Column(name, "text", known=True) for name in ("metric_id", "grouped_by")),
        *each("text", "flow_id message_id"),
        Column("date", "date"),
        Column("event_count", "bigint", field="count"),
        Column("unique_count", "bigint", field="unique"),
        Column("sum_value", "double"),
    ],
    # The answer has an array of days and, per message, arrays beside it. Days without an event are left out.
    # Events of no flow and no message have blanks, nulls or nothing in place of the two.
    unfolds=f"""
        select row from (
            select case when json_type(element) = 'OBJECT' then json_object(
                'flow_id', coalesce(element ->> '$.dimensions[0]', ''),
                'message_id', coalesce(element ->> '$.dimensions[1]', ''),
                'date', (unnest(
                    case when json_type(element) = 'OBJECT' then from_json(dates, '["JSON"]')
                    else ['null'::json] end
                ) ->> '$')[:10],
                'count', unnest(from_json(element -> '$.measurements.count', '["JSON"]')),
                'unique', unnest(from_json(element -> '$.measurements.unique', '["JSON"]')),
                'sum_value', unnest(from_json(element -> '$.measurements.sum_value', '["JSON"]'))
            ) else 'null'::json end as row
            from (
                select row -> '$.attributes.dates' as dates, unnest({listed("$.attributes.data")}) as element
                from around
            )
        )
        where json_type(row) <> 'OBJECT' or coalesce(
            try_cast(row ->> '$.count' as double) <> 0,
            (row ->> '$.count') is not null or try_cast(row ->> '$.unique' as double) <> 0,
            false
        )
    """,
)
FLOW_VALUES = Table(
    SCHEMA,
    "flow_values",
    ("flow_id", "flow_message_id", "send_channel", "measured_on", "conversion_metric_id"),
    [
        *each("text", "flow_id flow_message_id send_channel", "groupings"),
        Column("conversion_metric_id", "text", known=True),
        Column("measured_on", "date", known=True),
        *each(
            "double",  # counts, too
            "recipients delivered opens opens_unique clicks clicks_unique bounced unsubscribes conversions "
            "conversion_value revenue_per_recipient",
            "statistics",
        ),
    ],
    unfolds=RESULTS,
)
MESSAGE_ROLES = (
    "received_email",
    "opened_email",
    "clicked_email",
    "received_text",
    "opened_text",
    "clicked_text",
)
"""What happens to a message; each of their metrics is grouped by message in one query."""
ORDER_ROLE = "placed_order"
"""What counts as an order; its metrics are grouped by their attribution."""
AGGREGATES_LATE = timedelta(days=20)
"""Events have been seen to arrive on day 17."""
AGGREGATE_DAYS = 365
AGGREGATE_ROWS = 500
REPORT_DAYS = 30


def accounts(client: Client, _since: None) -> Pages:
    """The account that the key belongs to: its currency and time zone, not whom to write to."""
    asked = {"fields[account]": ",".join(column.name for column in ACCOUNTS.columns if column.at)}
    yield from client.pages("accounts", ACCOUNTS, Whole(), asked)


def metrics(client: Client, _since: None) -> Pages:
    yield from client.pages("metrics", METRICS, list_of(None))


def mapped_metrics(client: Client, _since: None = None) -> Iterator[pa.Table]:
    """Which of its metrics the account takes for its orders, products, carts and refunds.

    Yields nothing where Klaviyo does not say, as in old revisions: metrics are then known by their names.
    """
    try:
        yield from client.pages(
            "mapped-metrics", MAPPED_METRICS, Whole(), {"include": "custom-metric,metric"}
        )
    except RefusedError as error:
        if error.status != requests.codes.not_found and not error.lacks_scope:
            raise
        notice = f"no mapped metrics ({error.status}): orders and products are recognized by metric names"
        if notice not in client.vendor.notices:
            client.vendor.notices.append(notice)


def segments(client: Client, _since: None = None) -> Iterator[pa.Table]:
    yield from client.pages("segments", SEGMENTS, list_of(10))


def catalog_items(client: Client, _since: None) -> Pages:
    """Every product that the shop lists, with the ids of its variants: a relation is told when included."""
    asked = {"include": "variants", "fields[catalog-variant]": "external_id"}
    yield from client.pages("catalog-items", CATALOG_ITEMS, list_of(100), asked)


def catalog_variants(client: Client, _since: None) -> Pages:
    yield from client.pages("catalog-variants", CATALOG_VARIANTS, list_of(100))


def catalog_categories(client: Client, _since: None = None) -> Iterator[pa.Table]:
    yield from client.pages("catalog-categories", CATALOG_CATEGORIES, list_of(100))


def catalog_category_items(client: Client, _since: None) -> Pages:
    """Which products stand in which category; an item itself does not tell, so each category is asked."""
    path = "catalog-categories/{category}/relationships/items"
    for page in catalog_categories(client):
        for category in page.column("id").to_pylist():
            ids, known = {"category": category}, {"category_id": category}
            yield from client.pages(path, CATALOG_CATEGORY_ITEMS, list_of(100), ids=ids, known=known)


def profiles(client: Client, since: datetime | None) -> Pages:
    """Profiles in the order of their changes; one that changes while it is read comes again at the end."""
    asked = {"sort": "updated", "additional-fields[profile]": "subscriptions"}
    if since:
        asked["filter"] = f"greater-than(updated,{_utc(since)})"  # there is no greater-or-equal here
    for page in client.pages("profiles", PROFILES, list_of(100), asked):
        yield page
        yield None


def predictive_analytics(client: Client, _since: None) -> Pages:
    """What Klaviyo expects of every profile, nulls where it expects nothing.

    Apart from `profiles`, because the vendor allows a fifteenth of the requests and fails under load.
    """
    asked = {
        "fields[profile]": "predictive_analytics",
        "additional-fields[profile]": "predictive_analytics",
    }
    known = {"measured_on": client.today}
    yield from client.pages("profiles", PREDICTIONS, list_of(100), asked, known=known)


def segment_counts(client: Client, _since: None) -> Pages:
    """Klaviyo's own count of each segment, one request a second each."""
    asked = {"fields[segment]": "profile_count", "additional-fields[segment]": "profile_count"}
    known = {"measured_on": client.today}
    for segment in _segment_ids(client):
        yield from client.pages(
            "segments/{segment}", SEGMENT_COUNTS, Whole(), asked, ids={"segment": segment}, known=known
        )


def _counted(kind: str, client: Client, group: str) -> int | None:
    """Klaviyo's own count of a segment or list: 0 of one that is gone, None where it gives none."""
    asked = {f"fields[{kind}]": "profile_count", f"additional-fields[{kind}]": "profile_count"}
    try:
        (page,) = client.pages(f"{kind}s/{{group}}", GROUP_COUNT, Whole(), asked, ids={"group": group})
    except RefusedError as error:
        return 0 if error.status == requests.codes.not_found else None
    except SourceError:
        return None
    counts = page.column("profile_count").to_pylist()
    return int(counts[0]) if counts and counts[0] is not None else None


def segment_members(client: Client, _since: None) -> Pages:
    """Who is in each segment now; leavers leave no trace, so the whole membership is read."""
    asked = {"fields[profile]": "joined_group_at"}
    path = "segments/{segment}/profiles"
    for segment in _segment_ids(client):
        ids, known = {"segment": segment}, {"segment_id": segment}
        yield from client.pages(path, SEGMENT_MEMBERS, list_of(100), asked, ids=ids, known=known)


def _segment_ids(client: Client) -> list[str]:
    return [segment for page in segments(client) for segment in page.column("id").to_pylist()]


def lists(client: Client, _since: None = None) -> Iterator[pa.Table]:
    yield from client.pages("lists", LISTS, list_of(10))


def list_counts(client: Client, _since: None) -> Pages:
    """Klaviyo's own count of each list, one request a second each."""
    asked = {"fields[list]": "profile_count", "additional-fields[list]": "profile_count"}
    known = {"measured_on": client.today}
    for list_id in _list_ids(client):
        yield from client.pages(
            "lists/{list}", LIST_COUNTS, Whole(), asked, ids={"list": list_id}, known=known
        )


def _list_ids(client: Client) -> list[str]:
    return [list_id for page in lists(client) for list_id in page.column("id").to_pylist()]


def list_members(client: Client, _since: None) -> Pages:
    """Who is on each list now, whether or not they may still be written to."""
    asked = {"fields[profile]": "joined_group_at"}
    for list_id in _list_ids(client):
        ids, known = {"list": list_id}, {"list_id": list_id}
        yield from client.pages(
            "lists/{list}/profiles", LIST_MEMBERS, list_of(100), asked, ids=ids, known=known
        )


def campaigns(client: Client, since: datetime | None, table: Table = CAMPAIGNS) -> Pages:
    """Campaigns of each channel, or their messages, which come with them.

    Klaviyo lists no campaign without its channel, does not say it in the row, and may hide what is archived
    from who does not ask for it.
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
    """What became of the campaigns of the past year, in one report."""
    yield from _report(client, "campaign", CAMPAIGN_VALUES, {"key": "last_365_days"})


def events(client: Client, since: datetime | None, history_days: int) -> Pages:
    """Every tracked action in the order in which it happened, from `since` to just before the run began.

    The upper bound keeps an event that claims to be from the future out until its time has come.
    """
    end = client.started_at - SETTLED
    start = since or end - timedelta(days=history_days)
    windows = (
        partial(_events_between, client, at, min(at + WINDOW, end)) for at in _steps(start, end, WINDOW)
    )
    for pages in side_by_side(windows, WINDOWS_AT_ONCE):
        yield from pages
        yield None


def _steps(start: Moment, end: Moment, step: timedelta) -> Iterator[Moment]:
    while start < end:
        yield start
        start += step


def _events_between(client: Client, start: datetime, end: datetime) -> Iterator[pa.Table]:
    """Half-open, so that the windows touch without sharing a second. Profiles and metrics only as ids.

    An attribution may come up to three hours after its event, which the next run's overlap reads again.
    """
    asked = {
        "sort": "datetime",
        "filter": f"greater-or-equal(datetime,{_utc(start)}),less-than(datetime,{_utc(end)})",
        "include": "attributions,metric,profile",
        "fields[profile]": "id",
        "fields[metric]": "name",
    }
    yield from client.pages("events", EVENTS, list_of(1000), asked)


def flows(client: Client, _since: None = None) -> Iterator[pa.Table]:
    yield from _flows(client, FLOWS)


def flow_actions(client: Client, _since: None = None) -> Iterator[pa.Table]:
    """The steps of every flow, included with it: its own listing would be a request per flow."""
    yield from _flows(client, FLOW_ACTIONS, {"include": "flow-actions"})


def _flows(client: Client, table: Table, asked: Mapping[str, str] | None = None) -> Iterator[pa.Table]:
    """The listing of flows, read as `table`; archived ones are asked for, lest the vendor hides them."""
    for archived in ("false", "true"):
        params = {**(asked or {}), "filter": f"equals(archived,{archived})"}
        yield from client.pages("flows", table, list_of(50), params)


def flow_messages(client: Client, _since: None) -> Pages:
    """What each sending step sends, a request per step."""
    path = "flow-actions/{action}/flow-messages"
    for page in flow_actions(client):
        for action in page.select(["id", "definition"]).to_pylist():
            if _kind(action["definition"]).startswith("send-"):
                ids, known = {"action": action["id"]}, {"flow_action_id": action["id"]}
                yield from client.pages(path, FLOW_MESSAGES, list_of(50), ids=ids, known=known)


def _kind(definition: str | None) -> str:
    """The type that a definition names; empty where it names none."""
    told = json.loads(definition or "{}")
    kind = told.get("type") if isinstance(told, dict) else None
    return kind if isinstance(kind, str) else ""


def metric_aggregates(client: Client, since: date | None, history_days: int) -> Pages:
    """Klaviyo's own counts by day and message, from `since` to today: one query a metric and year."""
    metric_ids = _metric_ids(client)
    start, end = since or client.today - timedelta(days=history_days), client.today + timedelta(days=1)
    for at in _steps(start, end, timedelta(days=AGGREGATE_DAYS)):
        for role in (*MESSAGE_ROLES, ORDER_ROLE):
            group = "$attributed_{}" if role == ORDER_ROLE else "${}"
            by = [group.format("flow"), group.format("message")]
            for metric_id in metric_ids.get(role, []):
                yield from _aggregated(
                    client, metric_id, by, at, min(at + timedelta(days=AGGREGATE_DAYS), end)
                )
        yield None


def _aggregated(client: Client, metric_id: str, by: list[str], start: date, end: date) -> Iterator[pa.Table]:
    """One metric by day and by flow and message, the next page being asked for in the body."""

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
    yield from client.pages("metric-aggregates", METRIC_AGGREGATES, paging, known=known, body=body)


def flow_values(client: Client, _since: None) -> Pages:
    """What became of what flows sent in the last full days: a report, of which 225 a day are given."""
    timeframe = {
        "start": f"{client.today - timedelta(days=REPORT_DAYS)}T00:00:00+00:00",
        "end": f"{client.today}T00:00:00+00:00",
    }
    yield from _report(client, "flow", FLOW_VALUES, timeframe)


def _report(client: Client, kind: str, table: Table, timeframe: Mapping[str, str]) -> Pages:
    """The values of a kind of message, orders being the conversions; a report for each metric of orders."""
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
    """The ids of metrics by their role: as the account maps them, else by name.

    Several names, and several integrations with one name, may have the same role.
    """
    roles = {name.lower(): role for role, name in seeds.rows("klaviyo_metric_names", "role", "metric_name")}
    found: dict[str, list[str]] = {}
    for page in client.pages("metrics", METRICS, list_of(None)):
        for metric in page.select(["id", "name"]).to_pylist():
            if role := roles.get((metric["name"] or "").strip().lower()):
                found.setdefault(role, []).append(metric["id"])
    return found | _mapped_ids(client)


def _mapped_ids(client: Client) -> dict[str, list[str]]:
    """The ids of the metrics that the account maps to a role; of one that it made itself, those it sums."""
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
    """The form that is safe in a filter: no blank, no plus sign, whole seconds."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def resources(settings: Settings) -> list[Resource]:
    return [
        Resource(ACCOUNTS, accounts, "accounts:read", replaced=True, optional=True),
        Resource(METRICS, metrics, "metrics:read", gone="things"),
        Resource(
            MAPPED_METRICS,
            lambda client, _since: mapped_metrics(client),
            "metrics:read",
            replaced=True,
            optional=True,
        ),
        Resource(CATALOG_ITEMS, catalog_items, "catalogs:read", replaced=True),
        Resource(CATALOG_VARIANTS, catalog_variants, "catalogs:read", replaced=True),
        Resource(CATALOG_CATEGORIES, catalog_categories, "catalogs:read", replaced=True),
        Resource(
            CATALOG_CATEGORY_ITEMS,
            catalog_category_items,
            "catalogs:read",
            replaced=True,
            parent="category_id",
        ),
        Resource(SEGMENTS, segments, "segments:read", gone="things"),
        Resource(PROFILES, profiles, "profiles:read", cursor="updated", overlap=PROFILES_LATE, gone="people"),
        Resource(
            EVENTS,
            lambda client, since: events(client, since, settings.history_days),
            "events:read",
            cursor="datetime",
            overlap=EVENTS_LATE,
            owner="profile_id",
        ),
        Resource(FLOWS, flows, "flows:read", gone="things"),
        Resource(FLOW_ACTIONS, flow_actions, "flows:read", gone="things"),
        Resource(FLOW_MESSAGES, flow_messages, "flows:read", gone="things"),
        Resource(
            METRIC_AGGREGATES,
            lambda client, since: metric_aggregates(client, since, settings.history_days),
            "metrics:read",
            cursor="date",
            overlap=AGGREGATES_LATE,
        ),
        Resource(FLOW_VALUES, flow_values, "flows:read and metrics:read", cursor="measured_on", daily=True),
        Resource(
            SEGMENT_MEMBERS,
            segment_members,
            "segments:read and profiles:read",
            replaced=True,
            parent="segment_id",
            count=partial(_counted, "segment"),
        ),
        Resource(LISTS, lists, "lists:read", gone="things"),
        Resource(
            LIST_MEMBERS,
            list_members,
            "lists:read and profiles:read",
            replaced=True,
            parent="list_id",
            count=partial(_counted, "list"),
        ),
        Resource(
            CAMPAIGNS,
            campaigns,
            "campaigns:read",
            cursor="updated_at",
            overlap=CAMPAIGNS_LATE,
            gone="things",
        ),
        Resource(
            CAMPAIGN_MESSAGES,
            partial(campaigns, table=CAMPAIGN_MESSAGES),
            "campaigns:read",
            cursor="updated_at",
            overlap=CAMPAIGNS_LATE,
            gone="things",
        ),
        Resource(
            CAMPAIGN_VALUES,
            campaign_values,
            "campaigns:read and metrics:read",
            cursor="measured_on",
            daily=True,
        ),
        Resource(SEGMENT_COUNTS, segment_counts, "segments:read", cursor="measured_on", daily=True),
        Resource(LIST_COUNTS, list_counts, "lists:read", cursor="measured_on", daily=True, optional=True),
        Resource(PREDICTIONS, predictive_analytics, "profiles:read", cursor="measured_on", daily=True),
    ]


def connect(settings: Settings, key: str) -> Vendor:
    revision = settings.klaviyo_revision
    vendor = Vendor(
        settings.klaviyo_base_url,
        f"Klaviyo-API-Key {key}",
        headers={
            "Accept": MEDIA_TYPE,
            "Content-Type": MEDIA_TYPE,
            "revision": revision,
            "X-Klaviyo-Revision-Fall-Forward-Opt-Out": "1",
        },
        is_near=settings.world_of("klaviyo") == "sandbox",
    )

    def compare(answer: requests.Response, **_: object) -> None:
        answered = answer.headers.get("X-Klaviyo-API-Revision", revision)
        notice = f"revision {answered} answered, {revision} was asked for; set KLAVIYO_REVISION"
        if answered != revision and notice not in vendor.notices:
            vendor.notices.append(notice)

    vendor.hooks["response"].append(compare)
    return vendor


def explain(error: RefusedError, settings: Settings) -> str | None:
    """A retired revision: every call with it is 410, because falling forward is opted out of."""
    if error.status != requests.codes.gone:
        return None
    revision = settings.klaviyo_revision
    return f"klaviyo retired revision {revision}. Set KLAVIYO_REVISION={NEWEST_REVISION}, then make doctor"


KLAVIYO = Source(
    "klaviyo",
    "KLAVIYO_API_KEY",
    connect,
    resources,
    explain,
    # Without a page size: older revisions do not know it.
    probes={
        "accounts:read": "accounts",
        "profiles:read": "profiles",
        "segments:read": "segments",
        "lists:read": "lists",
        "flows:read": "flows",
        "campaigns:read": "campaigns?filter=equals(messages.channel,'email')",
        "metrics:read": "metrics",
        "events:read": "events",
        "catalogs:read": "catalog-items",
    },
)
