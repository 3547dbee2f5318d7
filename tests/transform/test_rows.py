"""Events, orders and messages as rows, over the small warehouse, where they can be counted by hand."""

from decimal import Decimal

import duckdb


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
