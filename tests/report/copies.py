"""Published copies for the tests of the report, and what its figures make of them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common import warehouse
from report import page
from report.figures import Drawing, Feeds, Figure
from report.sections import FIGURES, SECTIONS

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def read(copy: Path, query: str) -> list[dict[str, Any]]:
    with warehouse.connect(copy, read_only=True) as connection:
        connection.execute("set variable credit_budget = 1000")
        return page.rows(connection, query)


def figure(name: str) -> Figure:
    return next(figure for figure in FIGURES if figure.name == name)


def feeds(copy: Path, name: str) -> Feeds:
    """The feeds of the section that a figure is in."""
    (section,) = (section for section in SECTIONS if figure(name) in section.figures)
    return {feed: read(copy, query) for feed, query in section.queries().items()}


def drawn(copy: Path, name: str) -> Drawing:
    return figure(name).draw(read(copy, figure(name).query), feeds(copy, name))


# Long names, signs that mean something to a browser, more of everything than is drawn, and long numbers.
CROWD = """
    set timezone = 'UTC';
    create macro named(many) as 'A <script>name</script> that is "long" & goes on, number ' || many;
    insert into marts.agg_contact_groups select old.* replace (
        contact_group || range as contact_group, named(range) as role, 1000 - range as contact_count,
        10 + range as size_position, range < 8 as is_selected)
        from marts.agg_contact_groups as old, range(40);
    update marts.agg_viewer_clusters set viewer_count = 1234567, is_small_sample = false;
    update marts.rpt_most_played_retention set media_name = named(media_position);
    insert into marts.fct_media_action_rates select old.* replace (
        media_id || range as media_id, named(range) as media_name, range % 7 > 0 as has_enough_impressions,
        0.04 as action_share_high) from marts.fct_media_action_rates as old, range(20);
    insert into marts.agg_segment_overlaps select old.* replace (
        'a' || a as segment_a_id, 'b' || b as segment_b_id, named(a) as segment_a_name,
        named(b) as segment_b_name)
        from (select * from marts.agg_segment_overlaps limit 1) as old,
        range(14) one(a), range(14) other(b);
    insert into marts.fct_flow_messages select old.* replace (
        flow_message_id || range as flow_message_id, named(range) as message_name,
        range % 3 > 0 as is_compared)
        from marts.fct_flow_messages as old, range(9);
    insert into marts.agg_channel_pairs select old.* replace (
        email_campaign_id || range as email_campaign_id, named(range) as campaign_stem)
        from marts.agg_channel_pairs as old, range(20);
    insert into marts.fct_ab_tests select old.* replace (
        single_send_id || range as single_send_id, named(range) as single_send_name)
        from marts.fct_ab_tests as old, range(12);
    insert into marts.fct_answer_bands select old.* replace (
        question_id || range as question_id, named(range) || '. ' || named(range) || '?' as question,
        30 as response_count, false as is_small_sample) from marts.fct_answer_bands as old, range(25);
    insert into marts.fct_engagement_daily by name select
        1200000 + range as daily_unique_open_count, 9000 as daily_unique_click_count,
        1200000.5 as mean_daily_unique_open_count, 9000.5 as mean_daily_unique_click_count,
        cast(date '2025-01-01' + interval (range) day as date) as happened_on from range(365);
    update marts.rpt_opens_by_device set is_first_week = false;
    insert into marts.rpt_opens_by_device select old.* replace (
        range = 7 as is_first_week, false as is_last_week,
        cast(week_from - interval (7 * range) day as date) as week_from)
        from marts.rpt_opens_by_device as old, range(1, 8);
    insert into marts.agg_lead_cohorts by name select
        'cohort ' || range as cohort, named(range) as cohort_media_name, 'comparing' as cohort_stage,
        'nearly_whole' as cohort_watched, 99999 - range as recent_lead_count,
        99000 - range as mailable_lead_count, range % 2 = 0 as is_written from range(30);
    insert into marts.agg_product_pairs by name select
        'a' || range as product_a_id, 'b' || range as product_b_id, named(range) as product_a_name,
        named(range) as product_b_name, 5 + range as joint_customer_count, 3.0 as lift, 1.2 as lift_low,
        9.5 as lift_high, 44850 as judged_pair_count, true as is_affinity, true as is_offered from range(300);
    insert into marts.fct_source_freshness by name select
        'klaviyo' as vendor, 'resource_of_a_long_name_' || range as resource, 'sandbox' as world,
        'loaded' as last_outcome, 30.0 * range as hours_old, 48 as limit_hours, range > 1 as is_late,
        7 as late_row_count, timestamptz '2026-01-01 00:00:00+00' as newest_row_at,
        timestamptz '2026-01-01 06:00:00+00' as measured_at from range(9);
    insert into marts.fct_runs by name select
        'run ' || range as run_id, 'transform' as step, if(range = 1, 'failed', 'well') as outcome,
        'no column of that name' as detail, 12345.6 as duration_seconds, 9999999 as row_count,
        timestamptz '2026-01-01 06:00:00+00' - to_hours(range) as started_at from range(250);
    insert into marts.rpt_runs by name select run_id, step, outcome, detail, duration_seconds, row_count,
        started_at from marts.fct_runs
        order by started_at desc limit 200;
    insert into marts.fct_experiments by name select
        'r' || range as record_id, ['opened', 'watched'][1 + range % 2] as measure, named(range) as title,
        'better' as outcome, 'edited in Klaviyo' as known_by, named(range) as note, named(range) as said,
        1000 as before_count, 0.2 as before_share, 0.1 as before_share_low, 0.3 as before_share_high,
        1000 as after_count, 0.4 as after_share, 0.3 as after_share_low, 0.5 as after_share_high,
        0.35 as aim_share, -5 as length_change_seconds, timestamptz '2026-01-02 00:00:00+00' as put_in_at
        from range(30);
    delete from marts.rpt_trends;
    insert into marts.rpt_trends by name select
        measure, if(measure = 'revenue', 'EUR', null) as currency, range as age,
        1234567.0 * (13 - range) as amount,
        1234567.0 as lowest_amount, 12345678.0 as highest_amount, 12 as period_count,
        false as is_rate, range % 5 = 0 as is_small_sample, range = 0 as is_latest,
        cast(date '2026-01-04' - interval (7 * range + 7) day as date) as period_from,
        cast(date '2026-01-04' - interval (7 * range) day as date) as period_to
        from unnest(['revenue', 'orders', 'new_customers', 'new_viewers', 'delivered']) as one(measure),
        range(12);
    insert into marts.rpt_trends by name select
        measure, range as age, 0.01 * range as amount, 0.0 as lowest_amount, 0.11 as highest_amount,
        12 as period_count, true as is_rate, range = 0 as is_small_sample, range = 0 as is_latest,
        cast(date '2026-01-04' - interval (7 * range + 28) day as date) as period_from,
        cast(date '2026-01-04' - interval (7 * range) day as date) as period_to
        from unnest(['open_rate', 'click_rate']) as one(measure), range(12);
    insert into marts.fct_segment_sizes_weekly by name select
        's' || segment as segment_id, named(segment) as segment_name, week as weeks_ago,
        1234567 as member_count, 12 as week_count, 1234000 as member_count_before, week = 0 as is_latest,
        cast(date '2026-01-04' - interval (7 * week) day as date) as measured_on,
        cast(date '2026-01-04' - interval (7 * week) day as date) as week_to
        from range(9) as one(segment), range(12) as other(week);
    insert into activation.fct_record_states by name select
        'r' || range as record_id, 'brand-voices' as kind, 'r' || range as record_key, true as is_wanted,
        range < 30 as is_small_group,
        ['sent', 'waiting', 'not sent', 'unwanted', 'failed', 'unknown'][1 + range % 6] as standing,
        'j' as job from range(60);
"""
