"""The population that the four vendors see: the same people everywhere, made from a seed.

All tables are in an in-memory DuckDB database; `world.sql` creates them and explains how.
"""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb

ANOMALIES: Final = frozenset({"late-rows", "future-rows", "same-second", "old-attribution", "rough"})
SETTLED_DAYS: Final = 120  # by then all of the first population have joined


class World:
    """People and all their events before `as_of`, a midnight in UTC.

    The same arguments give the same rows. A later `as_of` with the same `since` adds rows, moves counters and
    reveals rows that were late; nothing vanishes. `since` is where the record starts: by default the
    latest 1 January or 1 July at least 120 days before `as_of`, so that neighboring days share a past.

    `currency` is the account's: of its prices, predictions and orders; a rough account has orders in others.

    `people` have joined after those 120 days; then one in a thousand joins per day. `anomalies` make rare
    events frequent:

    - late-rows: a fifth of all rows arrive late, not 3%: viewings by up to two days, opens and clicks by
      three, Klaviyo events by four.
    - future-rows: two in a hundred profiles have an event dated up to a year ahead.
    - same-second: one second has 1,500 Klaviyo events, more than the largest page.
    - old-attribution: orders name their attribution in `$attribution` of their properties, as revisions up to
      2024-07 did and stored events still do, and no relation of the event does.
    - rough: an account like live ones, with odd values, missing fields, other currencies, deleted and
      merged profiles, each about as often as seen at live accounts. `world.sql` asks `rough()`.

    Tables and views; all times are TIMESTAMPTZ, `?` may be null. `position` counts from 0 in the order of the
    vendor's listing and on disk: select a page by a range of it, at the same cost at any depth.

    - people(person_id, email, first_name, last_name, phone?, country, region, region_code, city, timezone,
      latitude, longitude, device, client, browser, platform, provider, active_hour, topic, spending,
      engagement, channel, in_sendgrid, in_wistia, in_klaviyo, joined_at). spending, engagement: 0 to 1.
    - places(place_id, country, region, region_code, city, timezone, latitude, longitude).
    - single_sends(position, single_send_id, name, status, categories, send_at?, is_abtest, abtest? as JSON
      text, created_at, updated_at), newest first.
    - email_activity(message_id, single_send_id?, ab_variation?, ab_phase?, person_id, kind, happened_at,
      link_position? from 0, of clicks): all events of each mail, repeated opens and clicks too. Transactional
      mail has no single send; only A/B tests have variation and phase. kind: request, deferred, delivered,
      bounce, block, bounce_drop, invalid_email, spam_report_drop, unsubscribe_drop, open, click, spam_report,
      unsubscribe.
    - single_send_variations(single_send_id, variation_id, subject, plain_content, variation from 0), of A/B
      tests only.
    - automation_activity(automation_id, step_id, message_id, person_id, kind, happened_at): the part of
      email_activity without a single send that automations sent.
    - sendgrid_unsubscribe_groups(position, group_id, name, description, is_default).
    - sendgrid_suppressions(kind, position within it, person_id, email, reason?, status? or '', group_id?,
      listed_at), newest first. kind: bounce, block, spam_report, invalid_email, unsubscribe,
      group_unsubscribe.
    - sendgrid_lists(position, list_id, name).
    - sendgrid_segments(position, segment_id, name, parent_list_ids?, created_at, updated_at).
    - sendgrid_contacts(position, contact_id, person_id, email, first_name, last_name, city, region, country,
      role?, industry?, signup_source, list_ids, segment_ids, created_at, updated_at), newest first. role and
      industry are spelled in several ways.
    - medias(position?, media_id, hashed_id, name, type, duration_seconds, project_id, project_hashed_id,
      project_name, topic, is_deleted, tedious_share?, created_at, updated_at). The deleted one is not listed
      but was viewed. Where a media has a tedious_share, many stop watching there.
    - viewing_sessions(position, event_key, visitor_key, hashed_id, media_name, received_at, visible_at,
      percent_viewed from 0 to 1, email?, country, region, city, latitude, longitude, org, embed_url,
      conversion_type, conversion_data as JSON text, browser, browser_version, platform, mobile, load_count),
      newest first.
    - visitors(position, visitor_key, person_id?, name?, email? or '', created_at, last_active_at,
      last_event_key or '', identifying_event_key?, load_count, play_count, browser, browser_version,
      platform, mobile), most recently active first; counts of visible sessions; some only loaded a video.
    - klaviyo_profiles(position, profile_id, person_id, email, phone_number?, external_id?, first_name,
      last_name, locale, created, updated, last_event_date?, city, region, country, timezone, latitude,
      longitude, properties as JSON text, email_consent, is_suppressed, suppression_reason?, left_list_id?,
      can_receive_email, sms_consent, can_receive_sms, historic_clv?, predicted_clv?,
      total_clv?, historic_number_of_orders?, predicted_number_of_orders?, average_days_between_orders?,
      average_order_value?, churn_probability?, expected_date_of_next_order?), by (updated, profile_id).
      People who are not suppressed can receive e-mail, opted in or not, under Klaviyo's implicit consent.
      A quarter never buys and has no prediction. Changes by an event move `updated` when it is visible.
    - klaviyo_catalog_items(position, catalog_item_id, external_id: the product's id in events, title,
      description?, price?, url, published, created, updated, category_ids, cents, thing_no), oldest first.
      Of the 40 things sold, one is not in it and two are not published; one more was never sold.
    - klaviyo_catalog_variants(position, catalog_variant_id, catalog_item_id, external_id, title, sku,
      inventory_policy, inventory_quantity, price, url, published, created, updated, thing_no).
    - klaviyo_catalog_categories(position, catalog_category_id, external_id, name, created, updated,
      item_ids); one is empty.
    - klaviyo_segments(position, segment_id, name, created, updated, is_active, is_processing, is_starred).
    - klaviyo_segment_members(segment_id, position in the segment, profile_id, joined_group_at, person_id).
    - klaviyo_flows(position, flow_id, name, status, archived, trigger_type, created, updated,
      trigger_metric_no?).
    - klaviyo_templates(position, template_id, flow_message_id, name, editor_type, html, text?, created,
      updated), of the e-mails of flows.
    - klaviyo_flow_actions(position, flow_action_id, flow_id, action_type, status, definition as JSON text,
      created, updated), in the order of each flow.
    - klaviyo_flow_messages(position, flow_message_id, flow_id, flow_action_id, channel, name, subject,
      created, updated). Those with a negative lure or pull are opened or clicked by fewer. Sends, opens and
      clicks are events with $flow and $message.
    - klaviyo_attributions(position, attribution_id, event_id, attributed_event_id, flow_id?,
      flow_message_id?, campaign_id?, campaign_message_id?, message_id: either of the two, channel): the
      attribution of an order, by Klaviyo's documented rule. One per order, in a rough account sometimes two.
    - klaviyo_mapped_metrics(position, mapped_metric_id, metric_id, updated): the account's own metrics for
      its shop's events.
    - klaviyo_metrics(position, metric_id, name, integration_name, integration_category, created, updated).
    - klaviyo_events(position, event_id, uuid, profile_id, metric_id, metric_name, occurred_at in whole
      seconds, visible_at, event_properties as JSON text, value?, currency?, person_id), by (occurred_at,
      event_id). An event may name its currency or not, in one of several fields; its value may be text.
      Opened and clicked e-mails give the client, mostly its operating system, and whether it was a machine.
    - klaviyo_campaigns(position, campaign_id, campaign_message_id, name, channel: email or sms, subject,
      status, archived, created_at, scheduled_at?, updated_at, planned_at, send_time?), each with one message.
    - klaviyo_campaign_totals: the same for sent campaigns, with recipients, delivered, opens,
      opens_unique, clicks, clicks_unique, bounced, conversions, conversion_uniques, conversion_value: the
      sum of the orders' values without conversion of currencies, as in Klaviyo.
    - klaviyo_gone(person_id, profile_id, gone, gone_at, heir_id?): in a rough account, people whose profile
      was deleted, with their events, or merged into that of heir_id, who has their events. No other table
      of Klaviyo's has them.
    - klaviyo_lists(position, list_id, name, opt_in_process, created, updated).
    - klaviyo_list_members(list_id, position in the list, profile_id, joined_group_at, person_id).
    """

    def __init__(
        self,
        people: int,
        seed: int,
        as_of: date,
        since: date | None = None,
        anomalies: frozenset[str] = frozenset(),
        currency: str = "USD",
    ) -> None:
        """Generate everything. Raises ValueError if the arguments make no world."""
        if unknown := anomalies - ANOMALIES:
            raise ValueError(
                f"no such anomaly: {', '.join(sorted(unknown))}; there are {', '.join(sorted(ANOMALIES))}"
            )
        if not re.fullmatch("[A-Z]{3}", currency):
            raise ValueError(f"{currency!r} is no currency: give an ISO 4217 code, for example EUR")
        if people < 1:
            raise ValueError("a world needs people")
        self.people, self.seed, self.as_of = people, seed, as_of
        self.since = since or _start_of_record(as_of)
        if self.since >= as_of:
            raise ValueError(f"the record starts on {self.since}, which is not before {as_of}")
        self.anomalies = anomalies
        self.currency = currency
        self._database = duckdb.connect(config={"threads": 2})
        self._database.execute("set global TimeZone = 'UTC'")
        for name, value in self._givens().items():
            self._database.execute(f"create macro {name}() as {value}")
        self._database.execute(Path(__file__).with_name("world.sql").read_text(encoding="utf-8"))

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Return a separate connection to the tables, for one thread."""
        return self._database.cursor()

    def sql(self, query: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query; safe to call from any thread."""
        with self.cursor() as cursor:
            return cursor.execute(query, list(params)).fetchall()

    def close(self) -> None:
        """Free the population."""
        self._database.close()

    def _givens(self) -> dict[str, str]:
        """Return the arguments of world.sql, as SQL literals."""
        days = (self.as_of - self.since).days
        return {
            "population": str(self.people),
            "newcomers": str(max(0, days - SETTLED_DAYS) * self.people // 1000),
            "seed": str(self.seed),
            "since": f"{_midnight(self.since)}::bigint",
            "until": f"{_midnight(self.as_of)}::bigint",
            "late_share": "0.2" if "late-rows" in self.anomalies else "0.03",
            "future_share": "0.02" if "future-rows" in self.anomalies else "0",
            "account_currency": f"'{self.currency}'",
            "old_attribution": "true" if "old-attribution" in self.anomalies else "false",
            "rough": "true" if "rough" in self.anomalies else "false",
            "crowd_size": "1500" if "same-second" in self.anomalies else "0",
        }


def _start_of_record(as_of: date) -> date:
    settled = as_of - timedelta(days=SETTLED_DAYS)
    return date(settled.year, 7 if settled.month >= 7 else 1, 1)


def _midnight(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())
