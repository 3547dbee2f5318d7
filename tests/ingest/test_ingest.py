"""python -m ingest against the sandbox: raw is the world, whatever happened on the way."""

import json
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import requests
from typer.testing import CliRunner

from common import settings
from common.settings import Settings
from ingest.__main__ import Lines, app
from ingest.model import Resource
from ingest.pipeline import run
from ingest.vendors.mavera.tables import LEDGER
from ingest.vendors.wistia import READ_STATS, WISTIA
from sandbox import klaviyo, mavera, sendgrid, wistia
from sandbox.faults import Fault
from sandbox.server import Sandbox, serving
from sandbox.world import World

TODAY = date(2026, 11, 21)
TOMORROW = date(2026, 11, 22)
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
    """A folder with settings, on which ingest runs against one sandbox or another."""

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
            HISTORY_DAYS="365",
            **KEYS,
        )

    def set(self, **values: str | None) -> None:
        for name, value in values.items():
            if value is None:
                self._monkeypatch.delenv(name, raising=False)
            else:
                self._monkeypatch.setenv(name, value)

    def meet(self, url: str, day: date) -> None:
        """From now on the vendors answer at `url`, and it is six in the morning of `day`."""
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
    """Today's world, served without limits; `machine` is set to meet it."""
    sandbox = Sandbox(worlds[TODAY], limits="off")
    with serving(sandbox) as url:
        machine.meet(url, TODAY)
        yield sandbox


# What raw must hold: columns of a raw table, and the same of the world. Every row once, by key and content.
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
        # The first run meets the last 30 days, later ones forget nothing.
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
# What is measured anew each day: the columns after the day.
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
    """The raw tables named after `part` that do not hold exactly what the vendors of `world` do."""
    first, end = TODAY - timedelta(days=365), world.as_of
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
    """How many packages dlt has loaded."""
    schemas = ("raw_sendgrid", "raw_wistia", "raw_klaviyo", "raw_mavera")
    return sum(machine.rows(f"select count(*) from {schema}._dlt_loads")[0][0] for schema in schemas)


# --- what comes in -----------------------------------------------------------------------------------


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


def test_counts_by_message_take_one_query_a_metric_and_read_again_what_may_be_late(
    machine: Machine, sandbox: Sandbox
) -> None:
    queries = [
        machine.ingest("klaviyo").resource("klaviyo metric_aggregates")["requests"],
        machine.ingest("klaviyo").resource("klaviyo metric_aggregates")["requests"],
    ]
    # The lists of metrics and of mapped ones, then each of nine (texts have both names), over the 366 days
    # of the history, the last of which is today.
    assert queries == [2 + 2 * 9, 2 + 9]
    asked = [entry for entry in sandbox.journal if entry.path == "/api/flow-values-reports"]
    assert len(asked) == 1


def test_more_messages_than_a_page_holds_are_asked_for_in_the_body(
    machine: Machine, sandbox: Sandbox, worlds: Mapping[date, World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.vendors.klaviyo.reads.AGGREGATE_ROWS", 5)
    ran = machine.ingest("klaviyo")
    assert ran.resource("klaviyo metric_aggregates")["requests"] > 13
    assert not differences(machine, worlds[TODAY], "raw_klaviyo.metric_aggregates")


def test_an_account_without_flows_is_told_nothing_of_them(machine: Machine) -> None:
    world = World(50, 7, TODAY, since=date(2026, 11, 1))  # before any flow went live
    with serving(Sandbox(world, limits="off")) as url:
        machine.meet(url, TODAY)
        ran = machine.ingest("klaviyo")
    assert ran.code == 0
    assert ran.resource("klaviyo flow_values")["rows_read"] == 0
    assert not differences(machine, world, "raw_klaviyo.flow")


def test_the_answers_of_mavera_and_the_ledger_come_in(machine: Machine, sandbox: Sandbox) -> None:
    with sqlite3.connect(machine.folder / "ledger.sqlite") as ledger:
        ledger.execute(f"create table journal ({', '.join(column.name for column in LEDGER.columns)})")
        ledger.execute("""insert into journal (entry_id, facts, credits) values (1, '{"a": 1}', 22)""")
    for message in ("Why do people open on phones?", "Who watches to the end?"):
        requests.post(
            f"{os.environ['MAVERA_BASE_URL']}/mave/chat",
            json={"message": message},
            headers={"Authorization": f"Bearer {mavera.KEY}"},
            timeout=5,
        ).raise_for_status()
    requests.post(
        f"{os.environ['MAVERA_BASE_URL']}/brand-voices",
        json={"label": "Ours", "usage_context": "E-mails to all.", "urls": ["https://example.com"]},
        headers={"Authorization": f"Bearer {mavera.KEY}"},
        timeout=5,
    ).raise_for_status()
    sandbox.mavera.voice_seconds = 0
    # Mavera's threads carry the real time, whatever day the world is in; a minute on, both are settled.
    machine.set(RUN_AT=(datetime.now(UTC) + timedelta(minutes=1)).isoformat())
    assert machine.ingest("mavera").code == 0
    assert machine.rows("from raw_mavera.ledger select entry_id, facts ->> 'a', credits") == [(1, "1", 22)]
    messages = "from raw_mavera.threads select message_count, json_array_length(messages)"
    assert machine.rows(messages) == [(2, 2), (2, 2)]
    assert machine.rows("from raw_mavera.personas select count(*) where not is_custom")[0][0] > 0
    voices = (
        "from raw_mavera.brand_voices select status, voice_summary is not null, sources ->> '$.urls[0].url'"
    )
    assert machine.rows(voices) == [("completed", True, "https://example.com")]

    again = machine.ingest("mavera")
    assert (again.report["totals"]["rows_new"], again.report["totals"]["rows_changed"]) == (0, 0)
    assert again.resource("mavera threads")["requests"] == 2  # the list, and the newest thread
    assert again.resource("mavera brand_voices")["requests"] == 2


@pytest.mark.parametrize("strict", [True, False], ids=["strict", "lenient"])
def test_texts_come_in_whole_and_once_in_either_style(
    machine: Machine, sandbox: Sandbox, strict: bool
) -> None:
    sandbox.mavera.strict = strict
    app_id = "email-writer" if strict else "email_writer"
    inputs = {"topic": "Repair", "target_audience": "Viewers"}
    for _ in range(3):
        requests.post(
            f"{os.environ['MAVERA_BASE_URL']}/generations",
            json={"app_id": app_id, "input_data": inputs},
            headers={"Authorization": f"Bearer {mavera.KEY}"},
            timeout=5,
        ).raise_for_status()
    machine.set(RUN_AT=(datetime.now(UTC) + timedelta(minutes=1)).isoformat())
    assert machine.ingest("mavera").code == 0
    text, app = ("output", "app ->> 'id'") if strict else ("markdown", "app ->> '$'")
    rows = machine.rows(
        f"from raw_mavera.generations select {text}[:8], {app}, input_data ->> 'topic', other"
    )
    assert rows == [("# Repair", app_id, "Repair", None)] * 3
    again = machine.ingest("mavera")
    assert (again.report["totals"]["rows_new"], again.report["totals"]["rows_changed"]) == (0, 0)


def test_the_ledger_comes_in_without_a_key_and_is_never_created(machine: Machine, sandbox: Sandbox) -> None:
    machine.set(MAVERA_API_KEY=None)
    ran = machine.ingest("mavera")
    assert ran.code == 0
    assert [row["resource"] for row in ran.report["resources"]] == ["ledger"]
    assert not (machine.folder / "ledger.sqlite").exists()


# --- late rows and clocks ----------------------------------------------------------------------------


def test_what_an_earlier_version_did_not_load_is_read_anew_by_itself(
    machine: Machine, sandbox: Sandbox, worlds: Mapping[date, World]
) -> None:
    """Until that has ended well: a run that fails in between does not count."""
    machine.ingest("klaviyo")
    with duckdb.connect(str(machine.warehouse)) as connection:
        connection.execute("alter table raw_klaviyo.events drop column attributions")
    sandbox.faults.add(Fault("500", "klaviyo", path="/events"))
    machine.ingest("klaviyo")
    sandbox.faults.clear()
    assert machine.rows("select count(attributions) from raw_klaviyo.events") == [(0,)]
    machine.ingest("klaviyo")
    assert differences(machine, worlds[TODAY], "raw_klaviyo.events") == []
    again = machine.ingest("klaviyo").resource("klaviyo events")
    assert (again["deep_at"], again["rows_changed"]) == (None, 0)


def test_klaviyo_is_asked_for_the_one_type_of_its_specification(machine: Machine, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("strict-accept", "klaviyo"))
    assert machine.ingest("klaviyo").code == 0


def test_an_attribution_that_comes_later_than_its_order_is_picked_up(
    machine: Machine, sandbox: Sandbox, worlds: Mapping[date, World]
) -> None:
    sandbox.faults.add(Fault("late-attribution", "klaviyo", path="/events"))
    machine.ingest("klaviyo")
    sandbox.faults.clear()
    assert machine.rows("select count(attributions) from raw_klaviyo.events") == [(0,)]
    found = machine.ingest("klaviyo").resource("klaviyo events")
    recent = worlds[TODAY].sql(
        "select event_id from klaviyo_attributions join klaviyo_events using (event_id)"
        f" where occurred_at >= timestamptz '{TODAY} 00:00:00+00' - interval 7 days"
        f" and occurred_at < timestamptz '{TODAY} 00:00:00+00' order by 1"
    )
    query = "select id from raw_klaviyo.events where attributions is not null order by 1"
    assert machine.rows(query) == recent != []
    assert (found["rows_new"], found["rows_changed"]) == (0, len(recent))


def test_what_comes_later_than_the_overlap_is_found_within_a_week(machine: Machine) -> None:
    """Rows that a vendor had not shown yet are taken out of raw, where no usual run looks for them."""
    vendors = ("sendgrid", "wistia", "klaviyo")
    hidden = {
        "raw_sendgrid.global_stats": "date",
        "raw_sendgrid.single_send_daily_stats": "date",
        "raw_wistia.events": "received_at",
        "raw_wistia.media_stats_by_date": "date",
        "raw_klaviyo.events": "datetime",
        "raw_klaviyo.profiles": "updated",
        "raw_klaviyo.metric_aggregates": "date",
        "raw_klaviyo.campaigns": "updated_at",
    }

    def ingest(day: date, *arguments: str) -> tuple[Ran, set[str]]:
        world = World(60, 7, day, since=date(2026, 7, 1))
        with serving(Sandbox(world, limits="off")) as url:
            machine.meet(url, day)
            ran = machine.ingest(*arguments)
        assert ran.report["errors"] == []
        return ran, {text.partition(":")[0] for text in differences(machine, world)}

    def read_deeply(ran: Ran) -> set[str]:
        return {f"raw_{row['vendor']}.{row['resource']}" for row in ran.report["resources"] if row["deep_at"]}

    ingest(TODAY, *vendors)
    with duckdb.connect(str(machine.warehouse)) as connection:
        for table, column in hidden.items():
            old = f"{column} between date '{TODAY}' - 100 and date '{TODAY}' - 30"
            assert connection.execute(f"delete from {table} where {old}").fetchall() > [(0,)]
    usual, missing = ingest(TOMORROW, *vendors)
    assert (missing, read_deeply(usual)) == (set(hidden), set())

    forced, missing = ingest(TOMORROW, "wistia", "--deep")
    assert missing == {table for table in hidden if "wistia" not in table}
    assert forced.resource("wistia events")["rows_late"] > 0
    assert re.search(r"wistia +events .* late .* s +deep re-read\n", forced.said)

    weekly, missing = ingest(TODAY + timedelta(days=7), *vendors)
    assert missing == set()
    assert read_deeply(weekly) >= {table for table in hidden if "wistia" not in table}
    assert "raw_wistia.events" not in read_deeply(weekly)  # that was six days ago
    assert "raw_sendgrid.device_stats" not in read_deeply(weekly)  # the vendor forgets old ones
    recorded = machine.rows("from raw_ops.loads select count(distinct deep_at) where resource = 'events'")
    assert recorded == [(3,)]


def test_an_interrupted_first_load_goes_on_and_is_not_begun_again(machine: Machine, sandbox: Sandbox) -> None:
    first = machine.ingest("wistia")
    with duckdb.connect(str(machine.warehouse)) as connection:
        connection.execute("delete from raw_ops.loads")  # a run that is killed leaves no line
    again = machine.ingest("wistia")
    asked = [ran.resource("wistia events")["requests"] for ran in (first, again)]
    assert asked[1] < asked[0]
    assert again.resource("wistia events")["deep_at"]


def test_a_clock_that_was_wrong_loses_nothing_and_moves_no_cursor_back(machine: Machine) -> None:
    """Three days behind, what vendors have of these days is from the future; then the clock is set back."""
    world = World(60, 7, TODAY, since=date(2026, 7, 1))

    def ingest_at(days: int) -> Ran:
        machine.set(RUN_AT=f"{TODAY + timedelta(days=days)}T06:00:00Z", HISTORY_DAYS=f"{365 + days}")
        ran = machine.ingest("sendgrid", "wistia", "klaviyo")
        assert ran.report["errors"] == []
        return ran

    with serving(Sandbox(world, limits="off")) as url:
        machine.meet(url, TODAY)
        assert ingest_at(-3).report["warnings"] == []
        assert ingest_at(0).report["warnings"] == []
        assert not differences(machine, world)

        (warning,) = ingest_at(-10).report["warnings"]
        assert re.fullmatch(
            r"the clock says 2026-11-11 06:00 UTC, but loads reach to 2026-11-2[01] \d\d:\d\d: set the "
            r"clock, or RUN_AT, right\. Nothing is lost, no cursor moved back",
            warning,
        )
        again = ingest_at(0)
    assert (again.report["totals"]["rows_new"], again.report["warnings"]) == (0, [])
    assert not differences(machine, world)


# --- bad days ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("anomaly", ["late-rows", "future-rows", "same-second"])
def test_odd_rows_are_read_once_and_do_not_move_the_cursor_too_far(machine: Machine, anomaly: str) -> None:
    for day in (TODAY, TOMORROW):
        world = World(200, 7, day, since=date(2026, 7, 1), anomalies=frozenset({anomaly}))
        with serving(Sandbox(world, limits="off")) as url:
            machine.meet(url, day)
            assert machine.ingest("klaviyo", "wistia").code == 0
        assert not differences(machine, world, "raw_klaviyo") + differences(machine, world, "raw_wistia")


def test_a_resource_that_fails_leaves_the_others_and_the_next_run_completes_it(
    machine: Machine, sandbox: Sandbox, worlds: Mapping[date, World]
) -> None:
    sandbox.faults.add(Fault("500", vendor="klaviyo", path="/api/events"))
    ran = machine.ingest()
    assert ran.code == 1
    (error,) = ran.report["errors"]
    assert error == (
        "klaviyo events: 500 on /klaviyo/api/events, 8 times. Not loaded; the next run reads it again"
    )
    assert f"error: {error}" in ran.said
    missing = differences(machine, worlds[TODAY])
    assert [text.partition(":")[0] for text in missing] == ["raw_klaviyo.events"]
    assert machine.rows("from raw_ops.loads select vendor, resource, rows_new where outcome = 'failed'") == [
        ("klaviyo", "events", 0)
    ]
    sandbox.faults.clear()
    assert machine.ingest().code == 0
    assert not differences(machine, worlds[TODAY])


class Changed:
    """A sandbox in which answers of some paths are not what they were: `before` is `after`, at most so many
    `times` an answer, or all have another `status`.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        path: str,
        before: bytes = b"",
        after: bytes = b"",
        times: int = -1,
        status: int = 0,
    ) -> None:
        self._sandbox, self._path, self._change, self._status = sandbox, path, (before, after, times), status

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def changed(message: Any) -> None:
            if message["type"] == "http.response.body" and self._change[0]:
                message = message | {"body": message["body"].replace(*self._change)}
            elif message["type"] == "http.response.start":
                headers = [header for header in message["headers"] if header[0] != b"content-length"]
                message = message | {"headers": headers, "status": self._status or message["status"]}
            await send(message)

        await self._sandbox(scope, receive, changed if self._path in scope["path"] else send)


def test_an_account_without_counts_by_day_is_told_and_is_no_failure(
    machine: Machine, worlds: Mapping[date, World]
) -> None:
    sandbox = Sandbox(worlds[TODAY], limits="off")

    async def without(scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"].replace("/stats/account/by_date", "/stats/nothing")
        await sandbox(scope | {"path": path, "raw_path": path.encode()}, receive, send)

    served: Any = without
    with serving(served) as url:
        machine.meet(url, TODAY)
        ran = machine.ingest("wistia")
    assert (ran.code, ran.report["errors"]) == (0, [])
    assert ran.report["warnings"] == [
        "wistia: the account's counts by day are not served here; those by media are"
    ]
    assert ran.resource("wistia media_stats_by_date")["rows_new"] > 0


def aside(ran: Ran, name: str) -> list[tuple[str, str, int]]:
    return [(each["field"], each["reason"], each["count"]) for each in ran.resource(name)["set_aside"]]


def test_a_changed_type_keeps_nothing_and_says_where(machine: Machine, worlds: Mapping[date, World]) -> None:
    before, after = b'"percent_viewed":0', b'"percent_viewed":"n/a","was":0'
    changed: Any = Changed(Sandbox(worlds[TODAY], limits="off"), "events.json", before, after)
    with serving(changed) as url:
        machine.meet(url, TODAY)
        ran = machine.ingest("wistia")
    assert ran.code == 1
    (error,) = ran.report["errors"]
    assert re.fullmatch(
        r'raw_wistia\.events\.percent_viewed was double, now text \("n/a", event \S+\)\. '
        r"Load not kept: docs/operating\.md, Types",
        error,
    )
    assert machine.rows("select count(*) from raw_wistia.events") == [(0,)]


def test_a_value_that_cannot_be_read_is_null_counted_once_and_no_more_once_it_can(
    machine: Machine, worlds: Mapping[date, World]
) -> None:
    sandbox = Sandbox(worlds[TODAY], limits="off")
    before, after = b'"percent_viewed":0', b'"percent_viewed":NaN,"was":0'
    odd: Any = Changed(sandbox, "events.json", before, after, times=1)
    kept = "select count(*), count(distinct row_key) from raw_ops.set_aside where resource = 'events'"
    with serving(odd) as url:
        machine.meet(url, TODAY)
        ran = machine.ingest("wistia")
        assert (ran.code, ran.report["errors"]) == (0, [])
        ((_, _, count),) = found = aside(ran, "wistia events")
        assert found == [("percent_viewed", "not finite", count)]
        assert f"aside wistia events: {count} set aside (percent_viewed not finite {count})" in ran.said
        assert machine.ingest("wistia", "--deep").code == 0
    assert machine.rows(kept) == [(count, count)]
    assert machine.rows("select count(*) from raw_wistia.events where percent_viewed is null") == [(count,)]
    keys = [key for (key,) in machine.rows("select event_key from raw_wistia.events")]
    assert not {key for (key,) in machine.rows("select row_key from raw_ops.set_aside")} & set(keys)
    with serving(sandbox) as url:
        machine.meet(url, TODAY)
        assert machine.ingest("wistia", "--deep").code == 0
    assert machine.rows(kept) == [(0, 0)]
    assert not differences(machine, worlds[TODAY], "raw_wistia")


@pytest.mark.parametrize(
    ("path", "resource", "kind"),
    [
        ("/marketing/stats/automations/", "sendgrid automation_stats", "id"),
        ("/marketing/stats/singlesends/", "sendgrid single_send_variation_stats", "id"),
        ("/flow-messages", "klaviyo flow_messages", "action"),
        ("/relationships/items", "klaviyo catalog_category_items", "category"),
    ],
)
def test_something_listed_that_is_gone_is_counted_and_the_others_are_loaded(
    machine: Machine, worlds: Mapping[date, World], path: str, resource: str, kind: str
) -> None:
    gone: Any = Changed(Sandbox(worlds[TODAY], limits="off"), path, status=404)
    with serving(gone) as url:
        machine.meet(url, TODAY)
        ran = machine.ingest(resource.partition(" ")[0])
    assert (ran.code, ran.report["errors"]) == (0, [])
    ((field, reason, count),) = aside(ran, resource)
    assert (field, reason) == (kind, "gone")
    assert count > 0


def test_rows_that_are_none_are_counted_and_the_others_loaded(
    machine: Machine, worlds: Mapping[date, World]
) -> None:
    before, after = (
        b'{"data":[',
        b'{"data":[null,7,{"id":null,"attributes":{"updated":"2026-07-01T00:00:00Z"}},',
    )
    odd: Any = Changed(Sandbox(worlds[TODAY], limits="off"), "/api/profiles", before, after)
    with serving(odd) as url:
        machine.meet(url, TODAY)
        ran = machine.ingest("klaviyo")
    assert (ran.code, ran.report["errors"]) == (0, [])
    assert aside(ran, "klaviyo profiles") == [("id", "not a row", 2), ("id", "no key", 1)]
    assert not differences(machine, worlds[TODAY], "raw_klaviyo")


def test_words_of_a_vendor_that_no_database_takes_end_no_other_load(
    machine: Machine, worlds: Mapping[date, World]
) -> None:
    words = rb'{"errors": [{"detail": "half \ud83d \u001b[31m\u0000 a word"}]}'
    sandbox = Sandbox(worlds[TODAY], limits="off")

    async def said(scope: Any, receive: Any, send: Any) -> None:
        async def instead(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = message | {"status": 400, "headers": [(b"content-type", b"application/json")]}
            await send(message if message["type"] == "http.response.start" else message | {"body": words})

        await sandbox(scope, receive, instead if "/api/catalog-variants" in scope["path"] else send)

    served: Any = said
    with serving(served) as url:
        machine.meet(url, TODAY)
        ran = machine.ingest("klaviyo", "wistia")
    assert ran.code == 1
    told = "klaviyo catalog_variants: 400 on /klaviyo/api/catalog-variants: half a word."
    assert told in " ".join(ran.report["errors"])
    assert not differences(machine, worlds[TODAY], "raw_wistia")


# --- contacts ----------------------------------------------------------------------------------------


def begun_exports(sandbox: Sandbox) -> int:
    return sum(entry.method == "POST" and entry.status == 202 for entry in sandbox.journal)


def test_contacts_come_by_export_and_files_are_fetched_without_the_key(
    machine: Machine, sandbox: Sandbox, worlds: Mapping[date, World]
) -> None:
    assert machine.ingest("sendgrid").code == 0
    assert begun_exports(sandbox) == 1
    files = [entry for entry in sandbox.journal if entry.path.startswith("/storage/")]
    assert [entry.status for entry in files] == [200] * 3  # storage answers 400 to whoever brings a key
    assert not [entry for entry in sandbox.journal if entry.path == "/v3/marketing/contacts"]
    (count,) = worlds[TODAY].sql("select count(*) from sendgrid_contacts")
    assert machine.rows("select count(*) from raw_sendgrid.contacts") == [count]


def test_an_export_that_somebody_else_began_is_waited_for(machine: Machine, sandbox: Sandbox) -> None:
    requests.post(
        f"{os.environ['SENDGRID_BASE_URL']}/marketing/contacts/exports",
        headers={"Authorization": f"Bearer {sendgrid.KEY}"},
        timeout=5,
    ).raise_for_status()
    assert machine.ingest("sendgrid").code == 0
    assert begun_exports(sandbox) == 2
    assert not [entry for entry in sandbox.journal if entry.status == 429]


def test_a_contact_that_is_gone_is_gone_from_raw(machine: Machine, sandbox: Sandbox) -> None:
    """So is an address that was taken off a list; invalid ones stay: the vendor forgets them by itself."""
    machine.ingest("sendgrid")
    (forgotten,) = machine.rows("select count(*) from raw_sendgrid.invalid_emails")
    few = World(100, 7, TODAY, since=date(2026, 7, 1))
    with serving(Sandbox(few, limits="off")) as url:
        machine.meet(url, TODAY)
        machine.ingest("sendgrid", "--believe", "suppressions")  # half of them are gone at once
    (count,) = few.sql("select count(*) from sendgrid_contacts")
    assert machine.rows("select count(*) from raw_sendgrid.contacts") == [count]
    (bounced,) = few.sql("select count(*) from sendgrid_suppressions where kind = 'bounce'")
    assert machine.rows("select count(*) from raw_sendgrid.suppressions where list = 'bounces'") == [bounced]
    assert machine.rows("select count(*) from raw_sendgrid.invalid_emails") >= [forgotten] > [(0,)]


def test_single_sends_are_asked_about_one_by_one_only_while_they_change(
    machine: Machine, sandbox: Sandbox, worlds: Mapping[date, World]
) -> None:
    first = machine.ingest("sendgrid")
    (sends,) = worlds[TODAY].sql("select count(*) from single_sends")
    assert first.resource("sendgrid single_send_details")["requests"] == 1 + sends[0]
    again = machine.ingest("sendgrid")
    assert again.resource("sendgrid single_send_details")["requests"] == 2  # the list, and the newest change
    # Of the sends of 37 days: a week is read again, each is followed for 30.
    assert again.resource("sendgrid single_send_daily_stats")["requests"] <= 1 + 6


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        (b'"contact_count":', b'"contact_count":9', r"the list ended after \d+ of 9,\d+ rows"),
        (b'"status":"ready"', b'"status":"failure","message":"too large"', "contacts failed: too large"),
    ],
    ids=["short", "failed"],
)
def test_an_export_that_is_short_or_fails_keeps_what_was_there(
    machine: Machine, sandbox: Sandbox, before: bytes, after: bytes, complaint: str
) -> None:
    machine.ingest("sendgrid")
    loaded = machine.rows("from raw_sendgrid.contacts order by all")

    class ChangedExport(Changed):
        def __init__(self) -> None:
            super().__init__(sandbox, "", before, after)

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            is_job = "/contacts/exports/" in scope["path"]
            await (super().__call__ if is_job else self._sandbox)(scope, receive, send)

    changed: Any = ChangedExport()
    with serving(changed) as url:
        machine.meet(url, TODAY)
        ran = machine.ingest("sendgrid")
    (error,) = ran.report["errors"]
    assert re.search(complaint, error)
    assert machine.rows("from raw_sendgrid.contacts order by all") == loaded


# --- what it says when it cannot ---------------------------------------------------------------------


def test_a_wrong_key_is_said_once_and_leaves_the_other_sources(machine: Machine, sandbox: Sandbox) -> None:
    machine.set(KLAVIYO_API_KEY="pk_wrong")
    ran = machine.ingest("klaviyo", "wistia")
    assert ran.code == 1
    (error,) = ran.report["errors"]
    assert error == (
        "klaviyo refused KLAVIYO_API_KEY (401): nothing loaded from it, the other sources were. "
        "Run make doctor"
    )
    assert "pk_wrong" not in ran.said
    assert machine.rows("select count(*) > 0 from raw_wistia.events") == [(True,)]


def test_a_missing_scope_is_named_with_what_stays_behind(machine: Machine, sandbox: Sandbox) -> None:
    machine.set(WISTIA_API_TOKEN=wistia.NARROW_KEY)
    ran = machine.ingest("wistia", "sendgrid")
    assert ran.code == 1
    assert (
        "wistia: the key lacks Read detailed stats (401 on /wistia/v1/stats/events.json). "
        "Add it; events stays as it is"
    ) in ran.report["errors"]
    assert machine.rows("select count(*) > 0 from raw_wistia.medias") == [(True,)]


def test_an_optional_scope_that_a_key_lacks_is_named_and_fails_nothing(
    machine: Machine, sandbox: Sandbox
) -> None:
    machine.set(WISTIA_API_TOKEN=wistia.NARROW_KEY)

    def resources(chosen: Settings) -> list[Resource]:
        return [replace(each, optional=each.scope == READ_STATS) for each in WISTIA.resources(chosen)]

    source = replace(WISTIA, resources=resources)
    summary = run(settings.load(), [source], ["wistia"], Lines())
    assert not summary.errors
    (notice,) = summary.notices
    assert notice.startswith("wistia: the key lacks Read detailed stats: visitors, events, media_stats")
    assert machine.rows("select distinct outcome from raw_ops.loads order by all") == [
        ("loaded",),
        ("skipped",),
    ]
    assert machine.rows("select count(*) > 0 from raw_wistia.medias") == [(True,)]


def test_real_and_invented_rows_never_share_a_file(machine: Machine, sandbox: Sandbox) -> None:
    machine.ingest("wistia")
    machine.set(KLAVIYO_BASE_URL="https://a.klaviyo.com/api")
    ran = machine.ingest("klaviyo")
    assert ran.code == 2
    assert "warehouse.duckdb holds sandbox rows of wistia, but KLAVIYO_BASE_URL is live" in ran.said


def test_an_unknown_source_is_a_question_of_spelling(machine: Machine) -> None:
    ran = machine.ingest("wista")
    assert ran.code == 2
    assert "no such source: wista" in ran.said
