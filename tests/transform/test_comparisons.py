"""docs/comparisons.md: its marts and columns exist, and dbt_klaviyo's definitions give the same numbers."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest

from common import settings

PAGE = settings.ROOT / "docs" / "comparisons.md"

# Every event with the campaign or flow of its message, as klaviyo__events has it: an order is of the campaign
# or flow of the event that it is attributed to.
EVENTS = """
    with served as (
        select
            events.customer_event_id, events.customer_id, lower(metrics.metric_name) as type,
            coalesce(messages.campaign_id, campaigns.campaign_id) as campaign_id,
            events.flow_id, events.variation_id,
            attributions ->> '$[0].attributed_event_id' as attributed_event_id
        from staging.stg_klaviyo__events as events
        join staging.stg_klaviyo__metrics as metrics using (metric_id)
        left join staging.stg_klaviyo__campaign_messages as messages
            on events.message_id = messages.campaign_message_id
        left join staging.stg_klaviyo__campaigns as campaigns on events.message_id = campaigns.campaign_id
    ),
    events as (
        select
            served.*, coalesce(served.campaign_id, touch.campaign_id) as last_touch_campaign_id,
            coalesce(served.flow_id, touch.flow_id) as last_touch_flow_id
        from served left join served as touch on served.attributed_event_id = touch.customer_event_id
    )
"""
COUNTED = {
    "received": ["received email", "received sms"],
    "opened": ["opened email"],
    "clicked": ["clicked email", "clicked sms"],
    "spam_report": ["marked email as spam"],
    "unsubscribed": ["unsubscribed from email marketing"],
}


@pytest.fixture(scope="module")
def whole(whole_warehouse: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(whole_warehouse), read_only=True) as connection:
        yield connection


def test_every_mart_and_column_of_the_page_exists(models: list[Mapping[str, Any]]) -> None:
    columns = {model["name"]: set(model["columns"]) for model in models}
    named = re.findall(r"`((?:agg|dim|fct)_\w+)(?:\.(\w+))?`", PAGE.read_text(encoding="utf-8"))
    assert len(named) > 60
    assert [(mart, column) for mart, column in named if column and column not in columns.get(mart, ())] == []
    assert {mart for mart, _ in named} <= columns.keys()


def test_campaigns_and_flows_are_counted_as_dbt_klaviyo_counts_them(whole: duckdb.DuckDBPyConnection) -> None:
    """Its klaviyo__campaigns and klaviyo__flows: events and people by campaign or flow and variation."""
    sums = ", ".join(
        f"count(*) filter (where type in {tuple(types)!r}), "
        f"count(distinct customer_id) filter (where type in {tuple(types)!r})"
        for types in ([*names, "of no metric"] for names in COUNTED.values())
    )
    theirs = whole.execute(f"""
        {EVENTS}
        select coalesce(last_touch_campaign_id, last_touch_flow_id), coalesce(variation_id, 'none'), {sums}
        from events
        where coalesce(last_touch_campaign_id, last_touch_flow_id) is not null and type <> 'placed order'
        group by all
    """).fetchall()
    ours = whole.execute(f"""
        select subject_id, variation_id,
            {", ".join(f"{deed}_count, {deed}_customer_count" for deed in COUNTED)}
        from marts.agg_campaigns_and_flows where received_count > 0
    """).fetchall()
    assert sorted(ours) == sorted(theirs)
    assert len(ours) > 5


def test_orders_differ_from_dbt_klaviyos_by_those_that_name_no_event(
    whole: duckdb.DuckDBPyConnection,
) -> None:
    """It attributes an order by the event that the order names; we also by the campaign or message named."""
    theirs = whole.execute(f"""
        {EVENTS}
        select coalesce(last_touch_campaign_id, last_touch_flow_id), count(*) from events
        where type = 'placed order' and coalesce(last_touch_campaign_id, last_touch_flow_id) is not null
        group by 1
    """).fetchall()
    ours = whole.execute("""
        select subject_id, sum(order_count)::bigint from marts.agg_campaigns_and_flows
        where order_count > 0 group by 1
    """).fetchall()
    without = whole.execute("""
        select coalesce(attributed_campaign_id, attributed_flow_id), count(*) from marts.fct_orders
        where coalesce(attributed_campaign_id, attributed_flow_id) is not null and attributed_event_id is null
        group by 1
    """).fetchall()
    added = {subject: dict(theirs).get(subject, 0) + dict(without).get(subject, 0) for subject in dict(ours)}
    assert dict(ours) == added
    assert dict(without)
