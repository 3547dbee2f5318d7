"""The raw tables of Klaviyo."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ingest.store.gone import GONE_AT
from ingest.typed import Column, Table, each, listed
from ingest.vendors.klaviyo import message_words
from ingest.vendors.klaviyo.properties import EVENT_PROPERTIES
from privacy.traces import Kept, Trace

SCHEMA = "raw_klaviyo"
attributes = partial(each, "attributes")
predictions = partial(each, "attributes.predictive_analytics")
BY_PROFILE = Trace(key="profile_id")


def objects(name: str, *columns: Column, key: str = "id", people: Trace | None = None, **more: Any) -> Table:
    """Return a table of JSON:API objects, whose envelope is left out."""
    columns = (*each(text="id"), *columns) if key == "id" else columns
    drops = f"type relationships links {more.pop('drops', '')}"
    return Table(SCHEMA, name, tuple(key.split()), [*columns], drops=drops, people=people, **more)


def counts(group: str) -> Table:
    """Return the table of Klaviyo's own counts of each segment or list, by day."""
    columns = [Column(f"{group}_id", "text", field="id"), *each(known=True, date="measured_on")]
    return objects(f"{group}_counts", *columns, *PROFILE_COUNT, key=f"{group}_id measured_on")


def members(group: str) -> Table:
    """Return the table of the profiles in each segment or list."""
    columns = [*each(known=True, text=f"{group}_id"), Column("profile_id", "text", field="id"), *JOINED]
    return objects(f"{group}_members", *columns, key=f"{group}_id profile_id", people=BY_PROFILE)


def values(kind: str, key: str, statistics: str) -> Table:
    """Return the table of a report on campaigns or flows; its counts are doubles as well."""
    columns = [
        *each("groupings", text=f"{kind}_id {kind}_message_id send_channel"),
        *each(known=True, text="conversion_metric_id", date="measured_on"),
        *each("statistics", double=statistics),
    ]
    key = f"{key} send_channel measured_on conversion_metric_id"
    results = f"select unnest({listed('$.attributes.results')}) as row from around"
    return Table(SCHEMA, f"{kind}_values", tuple(key.split()), columns, unfolds=results)


def included(kind: str, owner: str) -> str:
    """Return SQL that unfolds a list to objects included with its rows; only the row gives the `owner`."""
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
        left join (select unnest(json_extract($page, '$.included[*]')) as one)
            on one ->> '$.type' = '{kind}' and one ->> '$.id' = pointer ->> '$.id'
    """


NAME = attributes(text="name")
DATES = attributes(timestamptz="created updated")
PRODUCT = attributes(text="external_id title", double="price", bool="published")
PROFILE_COUNT = attributes(bigint="profile_count")
JOINED = attributes(timestamptz="joined_group_at")

ACCOUNTS = objects(
    "accounts",
    *attributes(text="timezone preferred_currency locale industry", bool="test_account"),
    drops="attributes",  # the rest is contact data that no model needs
)
PROFILES = objects(
    "profiles",
    *attributes(text="email phone_number external_id first_name last_name organization locale title image"),
    *attributes(timestamptz="created updated last_event_date", json="location properties subscriptions"),
    newest="updated",
    people=Trace(
        addresses=("email",),
        phones=("phone_number",),
        names=(("first_name", "last_name"),),
        key="id",
        other_keys=("external_id",),
        is_owner=True,
        # Neither streets nor positions: no model needs more than the city.
        kept={"location": Kept(("city", "region", "country", "timezone"), known=True)},
    ),
)
PREDICTIONS = objects(
    "predictive_analytics",
    Column("profile_id", "text", field="id"),
    *each(known=True, date="measured_on"),
    *predictions(double="historic_clv predicted_clv total_clv average_order_value churn_probability"),
    *predictions(double="historic_number_of_orders predicted_number_of_orders average_days_between_orders"),
    *predictions(timestamptz="expected_date_of_next_order", json="ranked_channel_affinity"),
    key="profile_id measured_on",
    people=BY_PROFILE,
)
PREDICTIONS_BY_AGE = replace(
    PREDICTIONS, columns=[*PREDICTIONS.columns, Column("created", "timestamptz", "attributes")]
)
"""The same, with the time by which the list is read in spans; it is not stored."""
SEGMENTS = objects(
    "segments",
    *attributes(text="name", json="definition", bool="is_active is_processing is_starred"),
    *DATES,
    GONE_AT,
)
CATALOG_ITEMS = objects(
    "catalog_items",
    *PRODUCT,
    *attributes(text="description url"),
    *DATES,
    Column("variants", "json", "relationships.variants", "data"),
)
CATALOG_VARIANTS = objects(
    "catalog_variants",
    *PRODUCT,
    *attributes(text="sku", bigint="inventory_policy", double="inventory_quantity"),
    *DATES,
)
CATALOG_CATEGORIES = objects(
    "catalog_categories", *attributes(text="external_id name", timestamptz="updated")
)
CATALOG_CATEGORY_ITEMS = objects(
    "catalog_category_items",
    *each(known=True, text="category_id"),
    Column("item_id", "text", field="id"),
    key="category_id item_id",
)
SEGMENT_COUNTS, LIST_COUNTS = counts("segment"), counts("list")
GROUP_COUNT = objects("group_count", *PROFILE_COUNT)
SEGMENT_MEMBERS, LIST_MEMBERS = members("segment"), members("list")
METRICS = objects("metrics", *NAME, *DATES, *attributes(json="integration"), GONE_AT, newest="updated")
MAPPED_METRICS = objects(
    "mapped_metrics",
    *attributes(timestamptz="updated"),
    Column("metric_id", "text", "relationships.metric.data", "id"),
    Column("custom_metric_id", "text", "relationships.custom-metric.data", "id"),
    *each(json="metric_groups"),
    # A custom metric of the account is a sum of others, which come with it.
    unfolds="""
        select json_merge_patch(row, json_object('metric_groups', (
            select any_value(one -> '$.attributes.definition.metric_groups')
            from (select unnest(json_extract($page, '$.included[*]')) as one)
            where one ->> '$.type' = 'custom-metric'
                and one ->> '$.id' = row ->> '$.relationships.custom-metric.data.id'
        ))) as row
        from around
    """,
)
EVENTS = objects(
    "events",
    *attributes(bigint="timestamp", timestamptz="datetime", text="uuid", json="event_properties"),
    Column("profile_id", "text", "relationships.profile.data", "id"),
    Column("metric_id", "text", "relationships.metric.data", "id"),
    Column("attributions", "json", apart=True),
    # The attributions of an event are included with it: none, one or several.
    unfolds="""
        with pointers as (
            select
                row ->> '$.id' as event_id,
                unnest(json_extract_string(row, '$.relationships.attributions.data[*].id')) as id
            from around
        ),
        told as (
            select event_id, to_json(list(json_merge_patch('{}', json_object(
                'id', id,
                'attributed_event_id', part[2],
                'campaign_id', part[3],
                'campaign_message_id', part[4],
                'flow_id', part[5],
                'flow_message_id', part[6],
                'flow_message_variation_id', part[7]
            )) order by id)) as attributions
            from pointers
            inner join (
                select json_extract_string(one, [
                    '$.id',
                    '$.relationships.attributed-event.data.id',
                    '$.relationships.campaign.data.id',
                    '$.relationships.campaign-message.data.id',
                    '$.relationships.flow.data.id',
                    '$.relationships.flow-message.data.id',
                    '$.relationships.flow-message-variation.data.id',
                    '$.type'
                ]) as part
                from (select unnest(json_extract($page, '$.included[*]')) as one)
            ) on part[8] = 'attribution' and part[1] = id
            group by event_id
        )
        select row, attributions from around left join told on row ->> '$.id' = event_id
    """,
)


def events(named: Sequence[str] = ()) -> Table:
    """Return the table of events with the additional properties from the setting."""
    kept = {"event_properties": replace(EVENT_PROPERTIES, named=tuple(dict.fromkeys(named)))}
    people = replace(BY_PROFILE, kept=kept, widened_by="KLAVIYO_EVENT_PROPERTIES", given_on=True)
    return replace(EVENTS, people=people)


LISTS = objects("lists", *NAME, *attributes(text="opt_in_process"), *DATES, GONE_AT)
CAMPAIGNS = objects(
    "campaigns",
    *each(known=True, text="channel"),
    *attributes(text="name status", bool="archived"),
    *attributes(json="audiences send_options tracking_options send_strategy"),
    *attributes(timestamptz="created_at scheduled_at updated_at send_time"),
    GONE_AT,
    newest="updated_at",
)
CAMPAIGN_MESSAGES = objects(
    "campaign_messages",
    *each(text="campaign_id"),
    *attributes(json="definition send_times", timestamptz="created_at updated_at"),
    GONE_AT,
    unfolds=included("campaign-message", "campaign_id"),
    newest="updated_at",
)
CAMPAIGN_VALUES = values(
    "campaign",
    "campaign_message_id",
    "recipients delivered opens_unique clicks_unique bounced conversions conversion_uniques conversion_value",
)
FLOWS = objects(
    "flows",
    *attributes(text="name status trigger_type", bool="archived"),
    *DATES,
    GONE_AT,
    newest="updated",
)
FLOW_ACTIONS = objects(
    "flow_actions",
    *each(text="flow_id"),
    *attributes(json="definition"),
    *DATES,
    GONE_AT,
    unfolds=included("flow-action", "flow_id"),
    newest="updated",
)
FLOW_MESSAGES = objects(
    "flow_messages",
    *each(known=True, text="flow_action_id"),
    *attributes(text="channel", json="definition"),
    *DATES,
    GONE_AT,
    newest="updated",
)
FLOW_MESSAGE_TEMPLATES = objects(
    "flow_message_templates",
    *each(known=True, text="flow_message_id"),
    Column("template_id", "text", field="id"),
    *attributes(text="name editor_type html text"),
    *DATES,
    key="flow_message_id",
    derive=message_words.take,
)
FLOW_TRIGGERS = Table(
    SCHEMA,
    "flow_triggers",
    ("flow_id", "metric_id"),
    each(text="flow_id metric_id"),
    # Klaviyo lists the flows that a metric starts with the metric.
    unfolds="""
        select json_object('flow_id', pointer ->> '$.id', 'metric_id', metric_id) as row
        from (
            select
                row ->> '$.id' as metric_id,
                unnest(case when json_type(row, '$.relationships.flow-triggers.data') = 'ARRAY'
                    then from_json(row -> '$.relationships.flow-triggers.data', '["JSON"]') end) as pointer
            from around
        )
    """,
)
METRIC_AGGREGATES = Table(
    SCHEMA,
    "metric_aggregates",
    ("metric_id", "grouped_by", "flow_id", "message_id", "date"),
    [
        *each(known=True, text="metric_id grouped_by"),
        *each(text="flow_id message_id", date="date"),
        Column("event_count", "bigint", field="count"),
        Column("unique_count", "bigint", field="unique"),
        *each(double="sum_value"),
    ],
    # The answer has an array of days and, per message, parallel arrays. Days without an event are omitted.
    # Events of no flow and no message have blanks, nulls or nothing in place of the two.
    unfolds=f"""
        with messages as (
            select
                element,
                json_type(element) = 'OBJECT' as is_object,
                coalesce(element ->> '$.dimensions[0]', '') as flow_id,
                coalesce(element ->> '$.dimensions[1]', '') as message_id,
                json_extract_string(dates, '$[*]') as dates,
                json_extract(element, '$.measurements.count[*]') as counts,
                json_extract(element, '$.measurements.unique[*]') as uniques,
                json_extract(element, '$.measurements.sum_value[*]') as sums
            from (
                select row -> '$.attributes.dates' as dates, unnest({listed("$.attributes.data")}) as element
                from around
            )
        ),
        days as (
            select
                flow_id, message_id, unnest(dates) as date,
                unnest(counts) as count, unnest(uniques) as uniq, unnest(sums) as sum_value
            from messages where is_object
        )
        select json_object(
            'flow_id', flow_id, 'message_id', message_id, 'date', date[:10],
            'count', count, 'unique', uniq, 'sum_value', sum_value
        ) as row
        from (select * from days where count::varchar is distinct from '0')  -- most days, at a glance
        where coalesce(
            try_cast(count ->> '$' as double) <> 0,
            (count ->> '$') is not null or try_cast(uniq ->> '$' as double) <> 0,
            false
        )
        union all
        select 'null'::json from messages where is_object is distinct from true
    """,
)
FLOW_VALUES = values(
    "flow",
    "flow_id flow_message_id",
    "recipients delivered opens opens_unique clicks clicks_unique bounced unsubscribes conversions "
    "conversion_value revenue_per_recipient",
)
