"""Events, orders and messages as rows, over the small warehouse, where they can be counted by hand."""

from decimal import Decimal
from pathlib import Path

import duckdb
import pytest


def test_every_order_is_a_row_whose_sums_are_those_of_the_other_marts(
    small: duckdb.DuckDBPyConnection,
) -> None:
    orders = small.execute(
        "select order_id, buyer_id, order_number, attributed_channel, attributed_campaign_id,"
        " attributed_flow_message_id, gross_amount, net_amount from marts.fct_orders order by 1"
    ).fetchall()
    assert orders == [
        ("k1", "p1", 2, "email", "c1", None, Decimal("19.90"), Decimal("19.90")),
        ("k2", "p1", 1, None, None, None, Decimal(10), Decimal(10)),
        ("k4", "f1", 1, "email", None, "M4", Decimal(25), Decimal(25)),
    ]
    shop = small.execute(
        "select order_count, revenue, net_revenue from marts.fct_revenue_by_currency where thing = 'shop'"
    ).fetchall()
    assert shop == [(3, sum(order[6] for order in orders), sum(order[7] for order in orders))]


@pytest.fixture(scope="module")
def rows(whole_warehouse: Path) -> duckdb.DuckDBPyConnection:
    """A connection to the small warehouse with additional rows, to read."""
    return duckdb.connect(str(whole_warehouse), read_only=True)


def test_every_action_is_a_row_and_those_of_a_day_are_the_sums_of_that_day(
    rows: duckdb.DuckDBPyConnection,
) -> None:
    amount = "coalesce(cast(sum(value_amount) as double), 0)"
    events = rows.execute(
        f"select coalesce(metric_id, 'none'), {amount}, count(*), cast(happened_at as date)"
        " from marts.fct_customer_events group by all order by all"
    ).fetchall()
    days = rows.execute(
        f"select metric_id, {amount}, cast(sum(event_count) as bigint), happened_on"
        " from marts.fct_customer_events_daily group by all order by all"
    ).fetchall()
    assert events == days


def test_a_link_has_no_query_and_nothing_that_may_be_a_token(rows: duckdb.DuckDBPyConnection) -> None:
    clicked = rows.execute(
        "select customer_event_id, link from marts.fct_customer_events"
        " where customer_event_id in ('again', 'in euros', 'bought P1 1', 'bought P1 2') order by all"
    ).fetchall()
    assert clicked == [
        ("again", "https://shop.example/spring/"),
        ("bought P1 1", "https://shop.example/leave/"),
        ("bought P1 2", None),
        ("in euros", "https://www.the-shop-with-a-long-name-averyveryverylongname.example/a/b"),
    ]


@pytest.mark.parametrize("where", ["campaign_id is not null", "flow_id is not null"])
def test_the_messages_of_people_add_up_to_those_of_campaigns_and_flows(
    rows: duckdb.DuckDBPyConnection, where: str
) -> None:
    campaigns = where.startswith("campaign")
    ours = rows.execute(
        f"""
        select
            message_id, count(*) filter (where received_count > 0), count(*) filter (where click_count > 0),
            sum(order_count), sum(revenue)
        from marts.fct_person_messages where {where} group by 1 order by 1
        """
    ).fetchall()
    theirs = rows.execute(
        """
        select campaign_id, received_count, clicked_count, order_count, revenue from marts.fct_campaigns
        where received_count > 0 order by 1
        """
        if campaigns
        else """
        select flow_message_id, recipient_count, clicked_count, order_count, revenue
        from marts.fct_flow_messages where received_count > 0 order by 1
        """
    ).fetchall()
    assert len(ours) >= 4
    assert [row[:3] for row in ours] == [row[:3] for row in theirs]


def test_a_machine_and_those_who_leave_are_counted_apart(rows: duckdb.DuckDBPyConnection) -> None:
    assert rows.execute(
        "select open_count, click_count, machine_open_count, machine_click_count"
        " from marts.fct_person_messages where message_id = 'gone'"
    ).fetchall() == [(0, 0, 1, 1)]
    assert rows.execute(
        "select buyer_id, received_count, failed_count, is_unsubscribed, is_reported_as_spam"
        " from marts.fct_person_messages"
        " where is_unsubscribed or is_reported_as_spam or failed_count > 0 order by 1"
    ).fetchall() == [
        ("f3", 1, 0, False, True),
        ("f4", 1, 0, True, False),
        ("p1", 0, 2, False, False),
        ("p2", 0, 1, False, False),
        ("p3", 0, 1, False, False),
        ("p4", 0, 2, False, False),
    ]


def test_an_order_has_the_products_that_are_tracked_or_else_those_that_it_lists(
    rows: duckdb.DuckDBPyConnection,
) -> None:
    items = rows.execute(
        "select order_item_id, order_id, product_name, quantity, amount, is_listed_only"
        " from marts.fct_order_items where order_id is not null order by 1"
    ).fetchall()
    assert items == [
        ("in euros", "k16", "P1", Decimal(2), Decimal(8), False),
        ("k11:Mug", "k11", "Mug", Decimal(2), None, True),
        ("k11:P9", "k11", "Bowl", Decimal(2), Decimal(11), True),
    ]


def test_a_day_is_in_the_week_of_its_thursday(rows: duckdb.DuckDBPyConnection) -> None:
    days = rows.execute(
        "select cast(day_on as varchar), quarter, iso_week, day_name, day_of_week from marts.dim_dates"
        " where day_on in ('2021-01-03', '2024-12-30', '2027-01-01') order by 1"
    ).fetchall()
    assert days == [
        ("2021-01-03", "2021-Q1", "2020-W53", "Sunday", 7),
        ("2024-12-30", "2024-Q4", "2025-W01", "Monday", 1),
        ("2027-01-01", "2027-Q1", "2026-W53", "Friday", 5),
    ]
