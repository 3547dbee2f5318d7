"""The models of SendGrid's data, over rows that can be counted by hand."""

import math

import duckdb
import pytest

from tests.small import facts


def test_contacts_are_grouped_by_role_and_industry_however_they_spell_them(
    small: duckdb.DuckDBPyConnection,
) -> None:
    groups = small.execute(
        "select contact_group, contact_count, grouped_contact_count, total_contact_count, is_small_group,"
        " is_selected from marts.agg_contact_groups order by size_position"
    ).fetchall()
    assert groups == [
        ("sales/retail", 30, 42, 50, False, True),
        ("marketing/retail", 12, 42, 50, True, False),
    ]
    assert facts(small, "personas", "contact-groups:sales/retail") == {
        "role": "sales",
        "industry": "retail",
        "role_family": "sales",
        "industry_family": "retail",
        "contact_count": 30,
        "share_of_contacts": 0.71,  # 30 of 42
        "viewer_share": 0.03,  # Ada
        "customer_share": 0.03,
        "mean_media_count": None,  # of Ada alone
        "mean_order_count": None,
        "top_tier_share": None,
        "email_reachable_share": 0.0,
        "apart": [],
        "everybody": {
            "viewer_share": 0.02,
            "customer_share": 0.02,
            "mean_media_count": None,
            "mean_order_count": None,
            "top_tier_share": None,
            "email_reachable_share": 0.0,
        },
        "reading_devices": [],
        "reading_hours": [],
    }
    fields = small.execute(
        "select contact_field_name, contact_count, value_count, is_role, is_industry"
        " from marts.dim_contact_fields order by contact_field_id"
    ).fetchall()
    assert fields == [
        ("custom_role", 50, 3, True, False),
        ("custom_industry", 42, 2, False, True),
        ("score", 0, 0, False, False),
    ]
    audiences = small.execute(
        "select audience_kind, audience_name, contact_count, is_valid from marts.dim_audiences order by 1"
    ).fetchall()
    assert audiences == [("list", "Everybody", 50, True), ("segment", "Sales", 30, False)]


def test_an_ab_test_is_judged_by_those_who_were_tested(small: duckdb.DuckDBPyConnection) -> None:
    variations = small.execute(
        "select variation_id, outcome, criterion_share, z_score, p_value, is_sent_to_rest"
        " from marts.fct_ab_tests order by 1"
    ).fetchall()
    difference = 0.2 / math.sqrt(0.5 * 0.5 * 2 / 100)  # 60 and 40 of 100, 100 of 200 together
    chance = math.erfc(difference / math.sqrt(2))
    assert variations == [
        ("a", "winner", 0.6, pytest.approx(difference), pytest.approx(chance, abs=1e-6), False),
        ("b", "loser", 0.4, pytest.approx(difference), pytest.approx(chance, abs=1e-6), True),
    ]


def test_a_test_with_a_loser_is_asked_about_with_the_words_of_both(small: duckdb.DuckDBPyConnection) -> None:
    assert facts(small, "focus_groups", "ab-tests:send_s3") == {
        "tested": "subject",
        "criterion": "open",
        "loser_words": "Our letter",
        "winner_words": "Five ideas",
        "loser_delivered_count": 100,
        "winner_delivered_count": 100,
        "loser_share": 0.4,
        "winner_share": 0.6,
        "p_value": 0.005,  # 0.0047
    }
    asked = small.execute(
        "select name, person_count, reference_keys from activation.sync_mavera__focus_groups"
        " where job = 'ab-tests'"
    ).fetchall()
    personas = '["device-geography:mobile_first","device-geography:desktop_focused"]'
    assert asked == [("Says too little: Subjects", 100, personas)]


def test_days_of_a_single_send_are_counted_from_the_day_it_was_sent(
    small: duckdb.DuckDBPyConnection,
) -> None:
    days = small.execute(
        "select single_send_name, days_since_sent, delivered_count, open_count, daily_unique_open_count"
        " from marts.fct_single_sends_daily order by happened_on"
    ).fetchall()
    assert days == [("January", 0, 80, 40, 30), ("January", 2, 0, 20, 15)]
    subjects = small.execute(
        "select single_send_name, subject from marts.fct_single_sends order by all"
    ).fetchall()
    assert subjects == [("Draft", None), ("January", "Happy new year"), ("Subjects", "Five ideas")]


def test_an_automation_stands_whole_and_by_step(small: duckdb.DuckDBPyConnection) -> None:
    rates = small.execute(
        "select step_id, is_whole, unique_open_share, unique_click_share from marts.fct_automations"
        " order by 1"
    ).fetchall()
    assert rates == [
        ("all", True, 0.375, 0.05),
        ("first", False, 0.5, 0.075),
        ("second", False, 0.25, 0.025),
    ]


def test_suppressed_addresses_are_counted_once_of_each_kind(small: duckdb.DuckDBPyConnection) -> None:
    days = small.execute(
        "select suppression_kind, address_count, contact_address_count, is_undeliverable, listed_on::text"
        " from marts.fct_suppressions_daily order by 1"
    ).fetchall()
    assert days == [
        ("block", 1, 0, False, "2026-01-01"),
        ("bounce", 1, 1, True, "2026-01-01"),
        ("group_unsubscribe", 1, 1, False, "2026-01-01"),
        ("invalid_email", 1, 1, True, "2026-01-01"),
        ("unsubscribe", 1, 1, True, "2026-01-01"),
    ]
    groups = small.execute(
        "select unsubscribe_group_name, address_count, reported_count, is_default"
        " from marts.dim_unsubscribe_groups order by 1"
    ).fetchall()
    assert groups == [("Letters", 1, 1, True), ("Offers", 0, 0, False)]
    undeliverable = small.execute(
        "select contact_count, viewer_count from marts.dim_people where is_undeliverable order by all"
    ).fetchall()
    assert undeliverable == [(1, 0), (1, 2)]  # c2 and Ada


def test_device_personas_carry_measured_shares_of_the_account(small: duckdb.DuckDBPyConnection) -> None:
    segments = small.execute(
        "select device_persona, share, busiest_day_open_count, is_persona"
        " from marts.agg_device_segments order by 2"
    ).fetchall()
    assert segments == [
        ("hybrid", 0.1, 10, False),  # significantly more than 0.055 only
        ("desktop_focused", 0.3, 20, True),
        ("mobile_first", 0.6, 40, True),
    ]
    assert facts(small, "personas", "device-geography:mobile_first") == {
        "device_persona": "mobile_first",
        "window_days": 90,
        "unique_opens": 60,
        "share_of_opens": 0.6,
        "device_parts": [{"share": 0.75, "device": "Phone"}, {"share": 0.25, "device": "Tablet"}],
        "mail_programs": [],
        "apart": [],  # nobody's single opens are known
        "reading_hours": [],
        "reading_roles": [],
        "reading_segments": [],
        "reading_countries": [],
    }
    account = facts(small, "analyses", "device-geography:account")
    assert [row["is_persona"] for row in account["personas"]] == [True, True, False]
    assert account["provinces"] == [{"share": 1.0, "country": "US", "province": "CA"}]
    assert (account["delivered"], account["open_rate"]) == (80, 0.5)
