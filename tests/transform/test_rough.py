"""An account like live ones, from the vendors to the report, counted again from the world.

The tests of `test_end_to_end` run on another world: meaningless values, other currencies, people who are
gone, contradicting consents. By hand, ROUGH_PEOPLE=2000 makes that world larger.
"""

import os
from collections.abc import Iterator

import pytest

from sandbox.server import Sandbox, serving
from sandbox.world import World
from tests.commands import Project
from tests.project import test_end_to_end as asked
from tests.project.test_end_to_end import TODAY, Walked

PEOPLE = int(os.environ.get("ROUGH_PEOPLE", "300"))


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory, kept_statements: None) -> Iterator[Walked]:
    world = World(PEOPLE, 7, TODAY, anomalies=frozenset({"rough"}))
    sandbox = Sandbox(world, limits="off")
    with serving(sandbox) as url:
        project = Project(tmp_path_factory.mktemp("project"), url)
        said = {command: project.well(command) for command in ("ingest", "transform")}
        yield Walked(project, world, sandbox, said)


test_what_loading_and_modelling_say = asked.test_what_loading_and_modelling_say_to_a_machine_is_as_documented
test_every_fact_has_its_origin = asked.test_every_fact_that_leaves_has_its_origin_down_to_the_raw_rows
test_cluster_sizes = asked.test_cluster_sizes_are_those_of_the_world
test_retention_and_drop_offs = asked.test_retention_and_drop_offs_are_those_of_the_world
test_qualified_viewers = asked.test_qualified_viewers_are_those_of_the_world
test_leads = asked.test_leads_are_told_of_by_what_is_true_of_twenty_of_the_world
test_tier_sizes = asked.test_tier_sizes_are_those_of_the_world
test_segment_overlaps = asked.test_segment_overlaps_are_those_of_the_world
test_every_day_of_mail = asked.test_every_day_of_mail_is_that_of_the_world
test_shares_of_the_account = asked.test_shares_of_the_account_are_those_of_the_world
test_single_sends = asked.test_single_sends_carry_the_totals_of_the_world
test_days_of_single_sends = asked.test_days_of_single_sends_are_those_of_the_world
test_people_are_matched = asked.test_people_are_matched_across_all_three_vendors
test_reading_habits = asked.test_reading_habits_are_those_of_the_world
test_personas_differ_and_read_well = asked.test_personas_of_a_job_differ_read_well_and_invent_nothing
test_personas_name_what_differs = asked.test_personas_name_only_facts_that_differ_by_more_than_their_interval
test_groups_compared = asked.test_what_groups_are_compared_by_is_counted_again_from_the_world
test_ab_outcomes = asked.test_ab_outcomes_are_those_of_the_world
test_automations = asked.test_automations_are_those_of_the_world
test_suppressions = asked.test_suppressions_are_those_of_the_world
test_messages_of_flows = asked.test_messages_of_flows_are_those_of_the_world
test_days_of_flows = asked.test_days_of_flows_and_klaviyos_report_agree_with_its_events
test_contact_groups = asked.test_contact_groups_are_those_of_the_world
test_products = asked.test_products_are_those_of_the_world
test_product_pairs = asked.test_product_pairs_are_those_of_the_world
test_campaigns = asked.test_campaigns_and_their_pairs_are_those_of_the_world
test_lists = asked.test_lists_are_reachable_as_the_world_consents
test_hours = asked.test_hours_of_reading_are_those_of_the_world
test_deliveries = asked.test_deliveries_by_provider_and_class_of_bounce_are_those_of_the_world
test_links = asked.test_links_variations_and_machines_are_those_of_the_world
test_categories = asked.test_categories_of_single_sends_are_those_of_the_world


def test_orders_of_the_shop_are_told_by_currency(walked: Walked) -> None:
    truth = walked.world.sql("""
        select currency, count(*), sum(value)::decimal(18, 2)
        from klaviyo_events where metric_no = 6 and value is not null group by 1
    """)
    found = walked.mart(
        "select currency, order_count, revenue from marts.fct_revenue_by_currency where thing = 'shop'"
    )
    assert sorted(found) == sorted(truth)
    assert len(truth) == 4


def test_mailable_people_are_those_who_opted_in_and_were_not_refused(walked: Walked) -> None:
    truth = walked.world.sql(f"""
        select profile_id from klaviyo_profiles
        where {asked.MAY_BE_MAILED} and email not in ({asked.REFUSED})
    """)
    found = walked.mart("select customer_id from marts.dim_customers where may_be_mailed")
    assert sorted(found) == sorted(truth)
    assert len(truth) > PEOPLE / 10


def test_what_was_set_aside_is_counted_and_said(walked: Walked) -> None:
    ((impossible,),) = walked.world.sql("select count(*) from viewing_sessions where percent_viewed is null")
    counted = walked.mart(
        "select vendor, table_name, field, sum(row_count)::int from marts.fct_quarantined_rows"
        " where row_count > 0 group by all"
    )
    by_field = {tuple(names): count for *names, count in counted}
    assert by_field["wistia", "events", "percent_viewed"] == impossible > 0
    assert by_field["klaviyo", "events", "$value"] > 0
    said = {line["table"]: line["row_count"] for line in walked.said["transform"]["set_aside"]}
    assert said.keys() == {f"{vendor}.{table}" for vendor, table, _ in by_field}


def test_it_is_planned_sent_and_reported(walked: Walked) -> None:
    project, mavera = walked.project, walked.sandbox.mavera
    planned = project.well("activate", "plan")
    first = project.well("activate", "apply")
    assert first["counts"]["created"] == planned["counts"]["create"] > 0
    assert mavera.summary()["credits_spent"] == first["credits"]
    project.well("ingest", "mavera")
    project.well("transform")
    again = project.well("activate", "apply")
    assert (again["calls"], again["credits"]) == (0, 0)
    page = project.folder / "report.html"
    drawn = project.run("report", "--to", str(page))
    assert drawn.code == 0, drawn.err
    assert "set aside" in page.read_text(encoding="utf-8")
