"""The models of Klaviyo's data, over rows that can be counted by hand."""

import math
from datetime import date
from decimal import Decimal

import duckdb
import pytest

from tests.small import facts


def test_customers_fall_into_the_tiers_and_bands_counted_by_hand(small: duckdb.DuckDBPyConnection) -> None:
    tiers = small.execute(
        "select clv_tier, churn_band, customer_count from marts.agg_customers_by_tier order by all"
    ).fetchall()
    assert tiers == [
        ("middle", "high", 3),  # worth 31 to 33
        ("middle", "low", 13),  # worth 68 to 80
        ("middle", "medium", 34),
        ("no_prediction", None, 10),
        ("rest", "high", 30),
        ("top", "low", 20),
    ]
    top = facts(small, "personas", "clv-tiers:top")
    assert (top["customer_count"], top["tier_to_share"]) == (20, 0.2)
    assert top["share_of_predicted_value"] == 0.36  # 1810 of 5050
    assert (top["mean_predicted_clv"], top["everybody"]["mean_predicted_clv"]) == (91, 51)
    assert top["churn_shares"] == {"low": 1.0, "high": 0.0}
    # 1.4 is 90.5 - 50.5 of 28.9; the churn probability has the same rank, nobody a historic value.
    assert top["apart"] == [
        {"distance": 1.4, "fact": "mean_predicted_clv"},
        {"distance": 1.4, "fact": "mean_churn_probability"},
        {"distance": 0.8, "fact": "email_reachable_share"},
    ]
    assert (top["email_reachable_share"], top["sms_reachable_share"]) == (
        0.9,
        0.0,
    )  # Ada bounced, p99 has no address
    assert (top["mean_average_order_value"], top["mean_historic_clv"]) == (10, None)


def test_segment_pairs_are_told_apart_and_small_segments_only_counted(
    small: duckdb.DuckDBPyConnection,
) -> None:
    assert facts(small, "analyses", "segment-overlap:account") == {
        "segment_count": 4,
        "small_segment_count": 1,
        "profile_count": 45,
        "near_duplicate_from": 0.8,
        "contained_from": 0.95,
        "segments": [
            {"member_count": 45, "segment": "Buyers", "only_here_share": 0.07},  # 3 of 43
            {"member_count": 40, "segment": "Readers", "only_here_share": 0.0},
            {"member_count": 20, "segment": "Fans", "only_here_share": 0.0},
        ],
        "near_duplicates": [{"jaccard": 0.89, "segment_a": "Readers", "segment_b": "Buyers"}],  # 40 of 45
        "contained": [{"containment": 1.0, "inner": "Fans", "outer": "Readers"}],
        "overlaps": [],  # Buyers and Fans share 18
    }


def test_a_sale_by_mail_and_by_text_is_compared_by_clicks_and_conversions(
    small: duckdb.DuckDBPyConnection,
) -> None:
    campaigns = small.execute(
        "select campaign_id, campaign_stem, message_text, received_count, opened_count, clicked_count,"
        " converted_count, revenue::double, reported_received_count from marts.fct_campaigns order by 1"
    ).fetchall()
    assert campaigns == [
        ("c1", "sale", "All must go", 50, 20, 5, 1, 19.9, 50),
        ("c2", "sale", "It goes", 40, None, 12, 0, 0.0, None),
    ]
    pairs = small.execute(
        "select click_outcome, click_z_score, click_p_value, conversion_outcome, conversion_p_value,"
        " hours_apart from marts.agg_channel_pairs"
    ).fetchall()
    clicks = (12 / 40 - 5 / 50) / math.sqrt(17 / 90 * 73 / 90 * (1 / 40 + 1 / 50))
    orders = (0 / 40 - 1 / 50) / math.sqrt(1 / 90 * 89 / 90 * (1 / 40 + 1 / 50))
    click_chance, order_chance = (math.erfc(abs(z) / math.sqrt(2)) for z in (clicks, orders))
    assert click_chance < 0.05 < order_chance
    assert pairs == [
        (
            *("sms", pytest.approx(clicks), pytest.approx(click_chance, abs=1e-6)),
            *("tie", pytest.approx(order_chance, abs=1e-6), 24),
        )
    ]
    assert facts(small, "focus_groups", "channel-pairs:account") == {
        "pair_count": 1,
        "email_click_count": 0,
        "sms_click_count": 1,
        "tied_click_count": 0,
        "email_conversion_count": 0,
        "sms_conversion_count": 0,
        "tied_conversion_count": 1,
        "email_reachable_share": 0.53,  # 58 of 110
        "sms_reachable_share": 0.0,  # nobody consented to texts
        "pairs": [
            {
                "errors_apart": 2,
                "about": "sale",
                "click_outcome": "sms",
                "conversion_outcome": "tie",
                "email_clicked_share": 0.1,
                "sms_clicked_share": 0.3,
                "email_converted_share": 0.02,  # 1 of 50
                "sms_converted_share": 0.0,
            }
        ],
        "kinds": [{"errors_apart": 2, "kind": "sale", "about": "sale"}],
    }
    found = small.execute("select finding from marts.rpt_job_findings where job = 'channel-pairs'").fetchall()
    assert found == [("Text messages beat e-mail in 1 of 1 campaign pair; e-mail in none",)]
    lists = small.execute(
        "select list_name, member_count, email_reachable_count, sms_reachable_count from marts.dim_lists"
    ).fetchall()
    assert lists == [("Letter", 20, 10, 0)]


def test_a_day_of_actions_is_counted_by_metric_and_currency(small: duckdb.DuckDBPyConnection) -> None:
    days = small.execute(
        "select metric_id, metric_name, currency, event_count, daily_customer_count, value_amount::double"
        " from marts.fct_customer_events_daily where metric_id in ('PLACED', 'none')"
        " and happened_on < '2026-01-02' order by 1"
    ).fetchall()
    assert days == [("PLACED", "Placed Order", "USD", 2, 1, 29.9), ("none", None, "none", 1, 1, None)]


def test_a_message_lags_that_is_more_than_a_fifth_under_those_with_its_trigger(
    small: duckdb.DuckDBPyConnection,
) -> None:
    messages = small.execute(
        "select flow_message_id, received_count, recipient_count, opened_count, clicked_count, order_count,"
        " revenue_per_recipient, peer_count, peer_open_share, peer_click_share, is_open_laggard,"
        " is_click_laggard, reported_received_count from marts.fct_flow_messages order by 1"
    ).fetchall()
    assert messages == [
        ("M1", 500, 500, 200, 50, 0, 0.0, 4, 0.36, 0.1, False, False, None),
        ("M2", 500, 500, 200, 50, 0, 0.0, 4, 0.36, 0.1, False, False, None),
        ("M3", 500, 500, 160, 50, 0, 0.0, 4, 0.36, 0.1, False, False, None),
        ("M4", 500, 500, 100, 20, 1, 0.05, 4, 0.36, 0.1, True, True, 500),
        ("M5", 0, 0, 0, 0, 0, None, 4, 0.36, 0.1, False, False, None),
    ]
    days = small.execute("from marts.fct_flow_messages_daily").fetchall()
    assert days == [("M4", "FLOW", "USD", 500, 100, 100, 0, 0, 1, Decimal(25), date(2026, 1, 5))]
    asked = facts(small, "generations", "flow-rewrites:M4")
    assert (asked["open_share"], asked["peer_open_share"]) == (0.2, 0.36)
    assert (asked["click_share"], asked["peer_click_share"]) == (0.04, 0.1)
    assert (asked["flow_name"], asked["message_name"], asked["subject"]) == (
        "Basket",
        "Step 4",
        "Still there?",
    )
