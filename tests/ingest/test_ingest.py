"""python -m ingest against the sandbox: raw equals the world, whatever happened during the run."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from ingest.__main__ import app
from sandbox import klaviyo, mavera, sendgrid, wistia
from sandbox.server import Sandbox, serving
from sandbox.world import World

TODAY = date(2026, 11, 21)
TOMORROW = date(2026, 11, 22)
HISTORY_DAYS = 160  # to before the first day of every world here
KEYS = {
    "SENDGRID_API_KEY": sendgrid.KEY,
    "WISTIA_API_TOKEN": wistia.KEY,
    "KLAVIYO_API_KEY": klaviyo.KEY,
    "MAVERA_API_KEY": mavera.KEY,
}


pytestmark = pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result")


@dataclass(frozen=True)
class Ran:
    """A finished `python -m ingest --json`."""

    code: int
    report: dict[str, Any]
    said: str

    def resource(self, name: str) -> dict[str, Any]:
        rows = self.report["resources"]
        (found,) = [row for row in rows if f"{row['vendor']} {row['resource']}" == name]
        return found  # type: ignore[no-any-return]


class Machine:
    """A folder with settings, in which ingest runs against different sandboxes."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.warehouse = folder / "warehouse.duckdb"
        self._monkeypatch = monkeypatch
        self.set(
            ENV_FILE=os.devnull,
            WAREHOUSE_PATH=str(self.warehouse),
            PIPELINES_PATH=str(folder / "pipelines"),
            LEDGER_URL=f"sqlite:///{folder / 'ledger.sqlite'}",
            RUNS_PATH=str(folder / "runs.jsonl"),
            FORGOTTEN_PATH=str(folder / "forgotten.json"),
            HISTORY_DAYS=str(HISTORY_DAYS),
            **KEYS,
        )

    def set(self, **values: str | None) -> None:
        for name, value in values.items():
            if value is None:
                self._monkeypatch.delenv(name, raising=False)
            else:
                self._monkeypatch.setenv(name, value)

    def meet(self, url: str, day: date) -> None:
        """Use the vendors at `url`, at six in the morning of `day`."""
        self.set(
            RUN_AT=f"{day}T06:00:00Z",
            SENDGRID_BASE_URL=f"{url}/sendgrid/v3",
            WISTIA_BASE_URL=f"{url}/wistia/v1",
            KLAVIYO_BASE_URL=f"{url}/klaviyo/api",
            MAVERA_BASE_URL=f"{url}/mavera/api/v1",
        )

    def ingest(self, *arguments: str) -> Ran:
        result = CliRunner().invoke(app, ["--json", *arguments])
        return Ran(result.exit_code, json.loads(result.stdout or "{}"), result.stderr)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(duckdb.connect(str(self.warehouse), read_only=True)) as connection:
            connection.execute("set timezone = 'UTC'")
            return connection.execute(query).fetchall()


@pytest.fixture(scope="module")
def worlds() -> Mapping[date, World]:
    return {day: World(200, 7, day, since=date(2026, 7, 1)) for day in (TODAY, TOMORROW)}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


@pytest.fixture
def sandbox(machine: Machine, worlds: Mapping[date, World]) -> Iterator[Sandbox]:
    """Today's world, served without limits; `machine` uses it."""
    sandbox = Sandbox(worlds[TODAY], limits="off")
    with serving(sandbox) as url:
        machine.meet(url, TODAY)
        yield sandbox


# The expected contents of raw: columns of a raw table, and the same of the world. Every row once, by key and
# content.
SAME = {
    "raw_sendgrid.single_sends": (
        "id, name, status, send_at, is_abtest, updated_at",
        "select single_send_id, name, status, send_at, is_abtest, updated_at from single_sends",
    ),
    "raw_sendgrid.global_stats": (
        "date, requests, delivered, opens, clicks, bounces",
        """
        select day::date, count(*) filter (kind = 'request'), count(*) filter (kind = 'delivered'),
            count(*) filter (kind = 'open'), count(*) filter (kind = 'click'),
            count(*) filter (kind = 'bounce')
        from range(timestamp '{first}', timestamp '{end}' + interval 1 day, interval 1 day) as days(day)
        left join email_activity on happened_at::date = day::date
        group by all
        """,
    ),
    "raw_sendgrid.contacts": (
        "contact_id, email, updated_at, other ->> '$.custom_role', other ->> '$.custom_industry'",
        "select contact_id, email, updated_at, role, industry from sendgrid_contacts",
    ),
    "raw_sendgrid.lists": (
        "id, name, contact_count",
        """
        select list_id, name, count(contact_id)
        from sendgrid_lists left join sendgrid_contacts on list_contains(list_ids, list_id)
        group by all
        """,
    ),
    "raw_sendgrid.segments": (
        "id, name, contacts_count",
        """
        select segment_id, name, count(contact_id)
        from sendgrid_segments left join sendgrid_contacts on list_contains(segment_ids, segment_id)
        group by all
        """,
    ),
    "raw_sendgrid.single_send_variation_stats": (
        "id, ab_variation, ab_phase, delivered, unique_opens",
        """
        select single_send_id, ab_variation, ab_phase, count(*) filter (kind = 'delivered'),
            count(distinct message_id) filter (kind = 'open')
        from email_activity where ab_phase is not null
        group by all
        """,
    ),
    "raw_sendgrid.single_send_link_stats": (
        "id, url, url_location, clicks",
        """
        select single_send_id,
            concat(
                'https://shop.example/', ['news', 'offers', 'films'][1 + link_position], '?utm_source=letter'
            ),
            link_position, count(*)
        from email_activity where kind = 'click' and single_send_id is not null
        group by all
        """,
    ),
    "raw_sendgrid.single_send_details": (
        "id, subject, updated_at, ab_test ->> '$.variations[1].subject'",
        """
        select single_send_id, coalesce(min(subject) filter (variation = 0), name), updated_at,
            min(subject) filter (variation = 1)
        from single_sends left join single_send_variations using (single_send_id)
        group by single_send_id, name, updated_at
        """,
    ),
    "raw_sendgrid.single_send_daily_stats": (
        "id, date, requests, delivered, opens, unique_opens, clicks, unique_clicks, unsubscribes",
        """
        select single_send_id, happened_at::date, count(*) filter (kind = 'request'),
            count(*) filter (kind = 'delivered'), count(*) filter (kind = 'open'),
            count(distinct message_id) filter (kind = 'open'), count(*) filter (kind = 'click'),
            count(distinct message_id) filter (kind = 'click'), count(*) filter (kind = 'unsubscribe')
        from email_activity inner join single_sends using (single_send_id)
        where happened_at::date <= send_at::date + 30
        group by all
        """,
    ),
    "raw_sendgrid.automation_stats": (
        "id, step_id, delivered, unique_opens, clicks, aggregation",
        """
        select automation_id, if(grouping(step_id) = 1, 'all', step_id), count(*) filter (kind = 'delivered'),
            count(distinct message_id) filter (kind = 'open'), count(*) filter (kind = 'click'), 'total'
        from automation_activity group by grouping sets ((automation_id), (automation_id, step_id))
        """,
    ),
    "raw_sendgrid.suppressions": (
        "list, email, created, status, other",
        """
        select concat(kind, 's'), email, listed_at, status, null from sendgrid_suppressions
        where kind not in ('invalid_email', 'group_unsubscribe')
        """,
    ),
    "raw_sendgrid.invalid_emails": (
        "email, created, other",
        # The first run gets the last 30 days, later ones forget nothing.
        """
        select email, listed_at, null from sendgrid_suppressions
        where kind = 'invalid_email' and listed_at >= date '{today}' - 30
        """,
    ),
    "raw_sendgrid.unsubscribe_groups": (
        "id, name, is_default, unsubscribes",
        """
        select group_id, name, is_default, count(person_id)
        from sendgrid_unsubscribe_groups left join sendgrid_suppressions using (group_id)
        group by all
        """,
    ),
    "raw_sendgrid.group_suppressions": (
        "group_id, email, created_at",
        "select group_id, email, listed_at from sendgrid_suppressions where group_id is not null",
    ),
    "raw_wistia.medias": (
        "hashed_id, id, name, type",
        "select hashed_id, media_id, name, type from medias where not is_deleted",
    ),
    "raw_wistia.visitors": (
        "visitor_key, last_active_at, load_count, play_count",
        "select visitor_key, last_active_at, load_count, play_count from visitors",
    ),
    "raw_wistia.events": (
        "event_key, received_at, visitor_key, media_id, percent_viewed",
        "select event_key, received_at, visitor_key, hashed_id, percent_viewed from viewing_sessions",
    ),
    "raw_wistia.media_stats_by_date": (
        "media_id, date, load_count, play_count",
        """
        select medias.hashed_id, day::date, coalesce(sum(load_count), 0)::bigint, count(event_key)
        from range(timestamp '{first}', timestamp '{end}' + interval 1 day, interval 1 day) as days(day)
        cross join medias
        left join viewing_sessions as viewed
            on viewed.hashed_id = medias.hashed_id and received_at::date = day::date
        where not is_deleted
        group by all
        """,
    ),
    "raw_wistia.account_stats_by_date": (
        "date, load_count, play_count",
        """
        select day::date, coalesce(sum(load_count), 0)::bigint, count(event_key)
        from range(timestamp '{first}', timestamp '{end}' + interval 1 day, interval 1 day) as days(day)
        left join viewing_sessions on received_at::date = day::date
        group by all
        """,
    ),
    "raw_wistia.captions": (
        "media_id, language, is_draft",
        """
        select hashed_id, unnest(if(media_no % 8 = 1, ['deu', 'eng'], ['eng'])), false
        from medias where not is_deleted and (media_no % 4 <> 3 or type = 'Audio')
        """,
    ),
    "raw_wistia.projects": (
        "id, hashed_id, name, media_count",
        """
        select project_id, project_hashed_id, project_name, count(*)
        from medias where not is_deleted group by all
        """,
    ),
    "raw_wistia.customizations": (
        "media_id, auto_play, plugin is not null",
        """
        select hashed_id, if(media_no % 4 <> 3, 'false', null), media_no % 4 <> 3
        from medias where not is_deleted
        """,
    ),
    "raw_klaviyo.accounts": (
        "preferred_currency, timezone, locale, test_account, other",
        "select account_currency(), 'UTC', 'en-US', true, null",
    ),
    "raw_klaviyo.profiles": (
        "id, email, created, updated, last_event_date",
        "select profile_id, email, created, updated, last_event_date from klaviyo_profiles",
    ),
    "raw_klaviyo.segments": ("id, name", "select segment_id, name from klaviyo_segments"),
    "raw_klaviyo.segment_members": (
        "segment_id, profile_id, joined_group_at",
        "select segment_id, profile_id, joined_group_at from klaviyo_segment_members",
    ),
    "raw_klaviyo.catalog_items": (
        "id, external_id, title, price, published, json_array_length(variants)::bigint",
        """
        select catalog_item_id, item.external_id, item.title, item.price, item.published, count(*)
        from klaviyo_catalog_items as item join klaviyo_catalog_variants using (catalog_item_id)
        group by all
        """,
    ),
    "raw_klaviyo.catalog_variants": (
        "id, external_id, sku, price, inventory_quantity, published",
        """
        select catalog_variant_id, external_id, sku, price, inventory_quantity, published
        from klaviyo_catalog_variants
        """,
    ),
    "raw_klaviyo.catalog_categories": (
        "id, name",
        "select catalog_category_id, name from klaviyo_catalog_categories",
    ),
    "raw_klaviyo.catalog_category_items": (
        "category_id, item_id",
        "select unnest(category_ids), catalog_item_id from klaviyo_catalog_items",
    ),
    "raw_klaviyo.metrics": ("id, name", "select metric_id, name from klaviyo_metrics"),
    "raw_klaviyo.mapped_metrics": (
        "id, metric_id",
        "select mapped_metric_id, metric_id from klaviyo_mapped_metrics",
    ),
    "raw_klaviyo.events": (
        """
        id, uuid, datetime, timestamp, profile_id, metric_id, event_properties ->> '$.$value',
        attributions ->> '$[0].attributed_event_id',
        coalesce(attributions ->> '$[0].flow_message_id', attributions ->> '$[0].campaign_message_id')
        """,
        """
        select event_id, uuid, occurred_at, epoch(occurred_at)::bigint, profile_id, metric_id,
            event_properties ->> '$.$value', attributed_event_id, attribution.message_id
        from klaviyo_events left join klaviyo_attributions as attribution using (event_id)
        where occurred_at < timestamptz '{end} 00:00:00+00'
        """,
    ),
    "raw_klaviyo.flows": (
        "id, name, status, archived, trigger_type, updated",
        "select flow_id, name, status, archived, trigger_type, updated from klaviyo_flows",
    ),
    "raw_klaviyo.flow_actions": (
        "id, flow_id, definition ->> '$.type', updated",
        "select flow_action_id, flow_id, action_type, updated from klaviyo_flow_actions",
    ),
    "raw_klaviyo.flow_messages": (
        "id, flow_action_id, channel, coalesce(definition ->> '$.subject_line', definition ->> '$.body')",
        "select flow_message_id, flow_action_id, channel, subject from klaviyo_flow_messages",
    ),
    "raw_klaviyo.flow_triggers": (
        "flow_id, metric_id",
        """
        select flow_id, metric_id from klaviyo_flows
        join klaviyo_metrics on trigger_metric_no = metric_no
        """,
    ),
    "raw_klaviyo.flow_message_templates": (
        "flow_message_id, template_id, name, editor_type, html, text, updated",
        "select flow_message_id, template_id, name, editor_type, html, text, updated from klaviyo_templates",
    ),
    "raw_klaviyo.metric_aggregates": (
        "metric_id, flow_id, message_id, date, event_count, unique_count, round(sum_value, 2)",
        """
        select metric_id,
            coalesce(event_properties ->> '$.$flow', attribution.flow_id, ''),
            coalesce(event_properties ->> '$.$message', attribution.message_id, ''),
            occurred_at::date, count(*), count(distinct profile_id),
            coalesce(round(sum(value), 2), 0)::double
        from klaviyo_events left join klaviyo_attributions as attribution using (event_id)
        where metric_name in ('Received Email', 'Opened Email', 'Clicked Email', 'Received SMS',
            'Received Text Message', 'Opened Text Message', 'Clicked SMS', 'Clicked Text Message',
            'Placed Order')
        group by all
        """,
    ),
    "raw_klaviyo.lists": (
        "id, name, opt_in_process, updated",
        "select list_id, name, opt_in_process, updated from klaviyo_lists",
    ),
    "raw_klaviyo.list_members": (
        "list_id, profile_id, joined_group_at",
        "select list_id, profile_id, joined_group_at from klaviyo_list_members",
    ),
    "raw_klaviyo.campaigns": (
        "id, channel, name, status, archived, created_at, scheduled_at, updated_at, send_time",
        """
        select campaign_id, channel, name, status, archived, created_at, scheduled_at, updated_at, send_time
        from klaviyo_campaigns
        """,
    ),
    "raw_klaviyo.campaign_messages": (
        "id, campaign_id, updated_at, definition ->> '$.channel', definition ->> '$.content.body'",
        """
        select campaign_message_id, campaign_id, updated_at, channel, if(channel = 'sms', subject, null)
        from klaviyo_campaigns
        """,
    ),
}
# Values measured again each day: the columns after the day.
MEASURED = {
    "raw_klaviyo.campaign_values": (
        "campaign_id, campaign_message_id, send_channel, recipients, clicks_unique, conversion_value",
        """
        select campaign_id, campaign_message_id, channel, recipients::double, clicks_unique::double,
            conversion_value::double
        from klaviyo_campaign_totals
        """,
    ),
    "raw_klaviyo.flow_values": (
        "flow_id, flow_message_id, send_channel, recipients::bigint",
        """
        select flow_id, flow_message_id, channel, count(*)
        from klaviyo_events join klaviyo_flow_messages
            on event_properties ->> '$.$message' = flow_message_id
        where metric_name in ('Received Email', 'Received SMS', 'Received Text Message')
            and occurred_at >= timestamptz '{end} 00:00:00+00' - interval 30 days
        group by all
        """,
    ),
    "raw_klaviyo.segment_counts": (
        "segment_id, profile_count",
        """
        select segment_id, count(profile_id)
        from klaviyo_segments left join klaviyo_segment_members using (segment_id)
        group by all
        """,
    ),
    "raw_klaviyo.predictive_analytics": (
        "profile_id, predicted_clv, churn_probability, expected_date_of_next_order",
        """
        select profile_id, predicted_clv, churn_probability, expected_date_of_next_order
        from klaviyo_profiles
        """,
    ),
    "raw_wistia.media_stats": (
        "media_id, play_count",
        """
        select hashed_id, count(event_key)
        from medias left join viewing_sessions using (hashed_id)
        where not is_deleted
        group by all
        """,
    ),
    "raw_wistia.media_engagement": (
        "media_id, (engagement_data ->> 0)::bigint",
        """
        select hashed_id, count(event_key) filter (percent_viewed > 0)
        from medias left join viewing_sessions using (hashed_id)
        where not is_deleted
        group by all
        """,
    ),
}


def differences(machine: Machine, world: World, part: str = "raw_") -> list[str]:
    """Return the raw tables named after `part` that differ from the vendors of `world`."""
    first, end = TODAY - timedelta(days=HISTORY_DAYS), world.as_of
    found = []
    for tables, condition in ((SAME, ""), (MEASURED, f"where measured_on = '{end}'")):
        for table, (columns, query) in tables.items():
            if table.startswith(part):
                kept = machine.rows(f"select {columns} from {table} {condition} order by all")
                told = world.sql(f"{query.format(first=first, end=end, today=TODAY)} order by all")
                if kept != told:
                    found.append(f"{table}: {len(kept)} rows, {len(told)} in the world")
    return found


def packages(machine: Machine) -> int:
    """Return how many packages dlt has loaded."""
    schemas = ("raw_sendgrid", "raw_wistia", "raw_klaviyo", "raw_mavera")
    return sum(machine.rows(f"select count(*) from {schema}._dlt_loads")[0][0] for schema in schemas)


# --- loaded rows -------------------------------------------------------------------------------------


def test_raw_is_the_world_and_a_second_run_adds_nothing(
    machine: Machine, sandbox: Sandbox, worlds: Mapping[date, World]
) -> None:
    first = machine.ingest()
    assert (first.code, first.said.count("failed")) == (0, 0)
    assert not differences(machine, worlds[TODAY])
    loaded = packages(machine)

    second = machine.ingest()
    assert second.code == 0
    assert (second.report["totals"]["rows_new"], second.report["totals"]["rows_changed"]) == (0, 0)
    assert packages(machine) == loaded
    assert not differences(machine, worlds[TODAY])


def test_both_tracks_of_wistia_bring_the_same_rows(
    machine: Machine, sandbox: Sandbox, worlds: Mapping[date, World]
) -> None:
    base_url = os.environ["WISTIA_BASE_URL"]
    for url, column in ((base_url.replace("/v1", "/modern"), "folder"), (base_url, "project")):
        machine.set(WISTIA_BASE_URL=url)
        assert machine.ingest("wistia").code == 0
        assert not differences(machine, worlds[TODAY], "raw_wistia")
        assert machine.rows(f"select count({column}) from raw_wistia.medias") == [(24,)]


def test_a_later_day_brings_what_is_new_changed_and_late(
    machine: Machine, sandbox: Sandbox, worlds: Mapping[date, World]
) -> None:
    machine.ingest()
    with serving(Sandbox(worlds[TOMORROW], limits="off")) as url:
        machine.meet(url, TOMORROW)
        ran = machine.ingest()
    assert not differences(machine, worlds[TOMORROW])
    before, after = (
        worlds[day].sql("from klaviyo_events select count(*)")[0][0] for day in (TODAY, TOMORROW)
    )
    late = worlds[TOMORROW].sql(
        "from klaviyo_events select count(*) where visible_at >= ? and occurred_at < ?", [TODAY, TODAY]
    )
    events = ran.resource("klaviyo events")
    assert (events["rows_new"], events["rows_changed"]) == (after - before, 0)
    assert events["rows_late"] >= late[0][0] > 0
    assert ran.resource("klaviyo profiles")["rows_changed"] > 0


def test_every_table_is_there_before_its_source_was_ever_loaded(machine: Machine, sandbox: Sandbox) -> None:
    machine.set(KLAVIYO_API_KEY=None)
    ran = machine.ingest("wistia", "klaviyo")
    assert ran.code == 0
    assert ran.report["verdict"].startswith("1 of 2 sources loaded")
    assert ran.report["skipped"] == {"klaviyo": "KLAVIYO_API_KEY is not set"}
    assert machine.rows("select count(*) from raw_klaviyo.events") == [(0,)]
    assert machine.rows("select vendor, world from raw_ops.origins") == [("wistia", "sandbox")]


def test_predictions_and_counts_are_measured_once_a_day(machine: Machine, sandbox: Sandbox) -> None:
    machine.ingest("klaviyo")
    ran = machine.ingest("klaviyo")
    assert ran.resource("klaviyo predictive_analytics")["requests"] == 0
    assert ran.resource("klaviyo segment_counts")["requests"] == 0
    assert ran.resource("klaviyo flow_values")["requests"] == 0
    assert ran.resource("klaviyo campaign_values")["requests"] == 0


def test_members_are_read_as_often_as_the_setting_says(machine: Machine, sandbox: Sandbox) -> None:
    def asked(*arguments: str) -> list[int]:
        ran = machine.ingest("klaviyo", *arguments)
        assert ran.code == 0
        return [ran.resource(f"klaviyo {kind}_members")["requests"] for kind in ("segment", "list")]

    first = asked()
    assert all(first)
    before = machine.rows("select count(*) from raw_klaviyo.segment_members")
    assert asked() == first  # by default in every run
    machine.set(KLAVIYO_MEMBERS_EVERY_HOURS="24")
    assert asked() == [0, 0]
    assert machine.rows("select count(*) from raw_klaviyo.segment_members") == before
    assert asked("--deep") == first


def test_counts_by_message_take_one_query_a_metric_and_read_again_what_may_be_late(
    machine: Machine, sandbox: Sandbox
) -> None:
    machine.set(HISTORY_DAYS="365")
    queries = [
        machine.ingest("klaviyo").resource("klaviyo metric_aggregates")["requests"],
        machine.ingest("klaviyo").resource("klaviyo metric_aggregates")["requests"],
    ]
    # Each of nine metrics (texts have both names), over the 366 days of the history, the last of which is
    # today. The lists of metrics are read once for all tables.
    assert queries == [2 * 9, 9]
    asked = [entry for entry in sandbox.journal if entry.path == "/api/flow-values-reports"]
    assert len(asked) == 1


def test_more_messages_than_a_page_holds_are_asked_for_in_the_body(
    machine: Machine, sandbox: Sandbox, worlds: Mapping[date, World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.vendors.klaviyo.reads.AGGREGATE_ROWS", 5)
    ran = machine.ingest("klaviyo")
    assert ran.resource("klaviyo metric_aggregates")["requests"] > 11
    assert not differences(machine, worlds[TODAY], "raw_klaviyo.metric_aggregates")


def test_an_account_without_flows_is_told_nothing_of_them(machine: Machine) -> None:
    world = World(50, 7, TODAY, since=date(2026, 11, 1))  # before any flow went live
    with serving(Sandbox(world, limits="off")) as url:
        machine.meet(url, TODAY)
        ran = machine.ingest("klaviyo")
    assert ran.code == 0
    assert ran.resource("klaviyo flow_values")["rows_read"] == 0
    assert not differences(machine, world, "raw_klaviyo.flow")
