"""The raw tables of Klaviyo."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from ingest.store.gone import GONE_AT
from ingest.typed import Column, Table, each, listed
from ingest.vendors.klaviyo.properties import EVENT_PROPERTIES
from privacy.traces import Kept, Trace

SCHEMA = "raw_klaviyo"
attribute = partial(Column, at="attributes")
attributes = partial(each, at="attributes")
BY_PROFILE = Trace(key="profile_id")
ENVELOPE = "type relationships links"


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
    drops=f"{ENVELOPE} attributes",  # the rest is contact data that no model needs
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
    people=BY_PROFILE,
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
    people=BY_PROFILE,
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
    # A custom metric of the account is a sum of others, which come with it.
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
    # The attributions of an event are included with it: none, one or several.
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
    people=replace(
        BY_PROFILE,
        kept={"event_properties": EVENT_PROPERTIES},
        widened_by="KLAVIYO_EVENT_PROPERTIES",
        given_on=True,
    ),
)


def events(named: Sequence[str]) -> Table:
    """Return the table of events with the additional properties from the setting."""
    people = BY_PROFILE if EVENTS.people is None else EVENTS.people
    kept = {"event_properties": replace(EVENT_PROPERTIES, named=tuple(dict.fromkeys(named)))}
    return replace(EVENTS, people=replace(people, kept=kept))


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
    people=BY_PROFILE,
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
            "double",  # counts as well
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
    # The answer has an array of days and, per message, parallel arrays. Days without an event are omitted.
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
            "double",  # counts as well
            "recipients delivered opens opens_unique clicks clicks_unique bounced unsubscribes conversions "
            "conversion_value revenue_per_recipient",
            "statistics",
        ),
    ],
    unfolds=RESULTS,
)
