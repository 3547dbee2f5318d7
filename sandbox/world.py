"""The population that the four vendors see: the same people everywhere, made from a seed.

All tables stand in a DuckDB database in memory; `world.sql` makes them and says how.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb

ANOMALIES: Final = frozenset({"late-rows", "future-rows", "same-second"})
SETTLED_DAYS: Final = 120  # by then everybody of the first population has come


class World:
    """People and all that happened to them before `as_of`, a midnight in UTC.

    The same arguments give the same rows; a later `as_of` with the same `since` adds rows, moves counters and
    reveals rows that were late. `since` is when the record starts: if not given, the latest 1 January or 1 July
    that lies at least 120 days before `as_of`, so that neighbouring days share a past.

    `people` are there after those 120 days; from then on one in a thousand joins a day. `anomalies` make what is
    rare in a good week frequent: `late-rows` (a fifth instead of 3 % of viewings and Klaviyo events appear up to
    two and four days after they happened), `future-rows` (Klaviyo events dated up to a year ahead), `same-second`
    (1,500 Klaviyo events in one second).

    Tables and views, all times TIMESTAMPTZ. `position` counts from 0 in the order of the vendor's own listing and
    is the physical order too: select a page by a range of it, which costs the same at any depth.

    - people(person_id, email, first_name, last_name, phone?, country, region, region_code, city, timezone,
      latitude, longitude, device, client, browser, platform, provider, active_hour, topic, spending, engagement,
      channel, in_sendgrid, in_wistia, in_klaviyo, joined_at). `spending` and `engagement` are 0 to 1.
    - places(place_id, country, region, region_code, city, timezone, latitude, longitude).
    - single_sends(position, single_send_id, name, status, categories, send_at?, is_abtest, abtest? JSON text,
      created_at, updated_at, send_no), newest first.
    - email_activity(message_id, single_send_id?, ab_variation?, ab_phase?, person_id, kind, happened_at): what
      happened to each mail; no single send for transactional mail, no variation or phase outside A/B tests. kind:
      request, delivered, deferred, bounce, block, bounce_drop, invalid_email, spam_report_drop, unsubscribe_drop,
      open, click, spam_report, unsubscribe. A mail's later opens and clicks are rows of their own.
    - medias(position?, media_id, hashed_id, name, type, duration_seconds, project_id, project_hashed_id,
      project_name, topic, is_deleted, created_at, updated_at). The deleted one has no position, but has viewings.
    - viewing_sessions(position, event_key, visitor_key, hashed_id, media_name, received_at, visible_at,
      percent_viewed 0 to 1, email?, country, region, city, latitude, longitude, org, embed_url, conversion_type,
      conversion_data JSON text, browser, browser_version, platform, mobile, load_count), newest first.
    - visitors(position, visitor_key, person_id?, name?, email? ('' too), created_at, last_active_at, last_event_key
      ('' without a play), identifying_event_key?, load_count, play_count, browser, browser_version, platform,
      mobile), most recently active first. Counts are over the visible sessions, and one load where none played.
    - klaviyo_profiles(position, profile_id, person_id, email, phone_number?, external_id?, first_name, last_name,
      locale, created, updated, last_event_date?, city, region, country, timezone, latitude, longitude, properties
      JSON text, email_consent, sms_consent, historic_clv?, predicted_clv?, total_clv?, historic_number_of_orders?,
      predicted_number_of_orders?, average_days_between_orders?, average_order_value?, churn_probability?,
      expected_date_of_next_order?), by (updated, profile_id). Whoever never buys has no prediction at all.
    - klaviyo_segments(position, segment_id, name, created, updated, is_active, is_processing, is_starred).
    - klaviyo_segment_members(segment_id, position within the segment, profile_id, joined_group_at, person_id).
    - klaviyo_metrics(position, metric_id, name, integration_name, integration_category, created, updated).
    - klaviyo_events(position, event_id, uuid, profile_id, metric_id, metric_name, occurred_at in whole seconds,
      visible_at, event_properties JSON text, value_usd?, person_id), by (occurred_at, event_id).
    """

    def __init__(
        self,
        people: int,
        seed: int,
        as_of: date,
        since: date | None = None,
        anomalies: frozenset[str] = frozenset(),
    ) -> None:
        """Generate everything. Raises ValueError where the arguments make no world."""
        if unknown := anomalies - ANOMALIES:
            raise ValueError(
                f"no such anomaly: {', '.join(sorted(unknown))}; there are {', '.join(sorted(ANOMALIES))}"
            )
        if people < 1:
            raise ValueError("a world needs people")
        self.people, self.seed, self.as_of = people, seed, as_of
        self.since = since or _start_of_record(as_of)
        if self.since >= as_of:
            raise ValueError(f"the record starts on {self.since}, which is not before {as_of}")
        self.anomalies = anomalies
        self._database = duckdb.connect(config={"threads": 2})
        self._database.execute("set global TimeZone = 'UTC'")
        for name, value in self._givens().items():
            self._database.execute(f"create macro {name}() as {value}")
        self._database.execute(Path(__file__).with_name("world.sql").read_text(encoding="utf-8"))

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Return a connection of its own to the tables, for one thread."""
        return self._database.cursor()

    def sql(self, query: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query; safe to call from any thread."""
        with self.cursor() as cursor:
            return cursor.execute(query, list(params)).fetchall()

    def close(self) -> None:
        """Let the population go."""
        self._database.close()

    def _givens(self) -> dict[str, str]:
        """What world.sql is told, as SQL literals."""
        days = (self.as_of - self.since).days
        return {
            "population": str(self.people),
            "newcomers": str(max(0, days - SETTLED_DAYS) * self.people // 1000),
            "seed": str(self.seed),
            "since": f"{_midnight(self.since)}::bigint",
            "until": f"{_midnight(self.as_of)}::bigint",
            "late_share": "0.2" if "late-rows" in self.anomalies else "0.03",
            "future_share": "0.02" if "future-rows" in self.anomalies else "0",
            "crowd_size": "1500" if "same-second" in self.anomalies else "0",
        }


def _start_of_record(as_of: date) -> date:
    settled = as_of - timedelta(days=SETTLED_DAYS)
    return date(settled.year, 7 if settled.month >= 7 else 1, 1)


def _midnight(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())
