"""Numbers that vendors report as well: they agree, and with a bug put back they do not."""

import dataclasses
from pathlib import Path
from typing import Any

import duckdb
import pytest

from activate import records
from activate.kinds import terms
from activate.plan import Entry, Record, diff
from common import settings
from tests import models
from tests.small import SMALL, create_raw, send
from transform import publish

# Beside the small warehouse: history from before the report of flows, twenty more orders by message M4 and by
# campaign c1, and Klaviyo's numbers for all of it.
TOLD = """
    insert into raw_klaviyo.events (id, profile_id, metric_id, datetime, event_properties) values
        ('first', 'p1', 'RECEIVED', '2025-11-01 10:00:00+00', '{"$message": "another"}');
    insert into raw_klaviyo.events (id, profile_id, metric_id, datetime, event_properties, attributions)
        select concat('of M4 ', range), concat('f', range), 'PLACED', '2026-01-05 13:00:00+00',
            '{"$value": 10, "$value_currency": "USD"}',
            '[{"id": "a", "flow_id": "FLOW", "flow_message_id": "M4"}]'
        from range(1, 21)
        union all
        select concat('of c1 ', range), concat('p', range), 'PLACED', '2026-01-02 09:00:00+00',
            '{"$value": 10, "$value_currency": "USD"}',
            '[{"id": "b", "campaign_id": "c1", "campaign_message_id": "m1"}]'
        from range(2, 22);
    update raw_klaviyo.flow_values set conversions = 21, conversion_value = 225
        where flow_message_id = 'M4' and measured_on = '2026-01-06';
    update raw_klaviyo.campaign_values
        set opens_unique = 20, conversions = 21, conversion_uniques = 21, conversion_value = 219.9;
    insert into raw_klaviyo.campaign_values
        (campaign_id, campaign_message_id, send_channel, measured_on, delivered, opens_unique, clicks_unique,
            conversions, conversion_uniques, conversion_value) values
        ('c2', 'm2', 'sms', '2026-01-03', 40, 0, 12, 0, 0, 0);
"""
NO_ATTRIBUTION = """
    update raw_klaviyo.events set attributions = null,
        event_properties = json_merge_patch(event_properties, '{"$attribution": null}')
"""
# The last ten texts have an unknown metric name, as after a rename.
TEXTS_RENAMED = """
    insert into raw_klaviyo.metrics (id, name) values ('RENAMED', 'Received Renamed Message');
    update raw_klaviyo.events set metric_id = 'RENAMED'
        where metric_id = 'RECEIVED SMS' and profile_id[2:]::int > 80
"""

ASKED = ["focus-groups", "generations"]
MODELS = ["sync_mavera__focus_groups", "sync_mavera__generations", "int_known_people"]


class Built:
    """The models over the small warehouse, after a change to its rows."""

    def __init__(self, shared: Path, folder: Path, change: str) -> None:
        self.settings = settings.Settings(
            _env_file=None,
            warehouse_path=folder / "warehouse.duckdb",
            published_path=folder / "published.duckdb",
            ledger_url=f"sqlite:///{folder / 'ledger.sqlite'}",
            forgotten_path=folder / "forgotten.json",
        )
        create_raw(self.settings.warehouse_path)
        with duckdb.connect(str(self.settings.warehouse_path)) as connection:
            connection.execute(SMALL + TOLD + change)
        send(shared, self.settings.warehouse_path, *MODELS)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.settings.warehouse_path), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def outside(self) -> set[tuple[str, str]]:
        """Return Klaviyo's numbers that differ by more than their tolerance."""
        query = "select subject_id, measure from marts.fct_reconciliation where verdict = 'outside'"
        return set(self.rows(f"{query} and vendor = 'klaviyo'"))

    def wanted(self) -> list[Record]:
        ours = self.settings
        models.record_all(ours.warehouse_path)
        publish.publish(ours.warehouse_path, ours.published_path, ours.salt_path)
        return records.load(ours, ASKED)

    def withheld(self) -> dict[str, str]:
        """Return the reasons of doubtful records, by job, as if each could be sent and were worth it."""
        wanted = [dataclasses.replace(record, withheld="", objection="") for record in self.wanted()]
        referred = {key for record in wanted for key in record.references}
        ledger = {key: Entry("done", "f", key) for key in referred}
        steps = diff(wanted, ledger, terms(), smallest_cohort=1).steps
        return {step.record.job: step.reason for step in steps if "in doubt" in step.reason}


@pytest.fixture(scope="module", params=[NO_ATTRIBUTION, TEXTS_RENAMED], ids=["unearned", "renamed"])
def faulty(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, shared: Path
) -> tuple[str, Built]:
    return request.param, Built(shared, tmp_path_factory.mktemp("faulty"), request.param)


def test_what_both_count_agrees_and_holds_nothing(tmp_path: Path, shared: Path) -> None:
    built = Built(shared, tmp_path, "")
    assert built.outside() == set()
    compared = dict(
        built.rows(
            "select measure, ours from marts.fct_reconciliation"
            " where subject_id in ('M4', 'c1') and verdict = 'within'"
        )
    )
    assert compared.keys() == {"received", "opened", "clicked", "converted", "ordered", "revenue"}
    assert built.withheld() == {}


def test_a_fault_that_was_silent_differs_from_the_vendors_numbers_and_withholds_what_stands_on_them(
    faulty: tuple[str, Built],
) -> None:
    fault, built = faulty
    outside, withheld = built.outside(), built.withheld()
    if fault == NO_ATTRIBUTION:
        assert {("c1", "converted"), ("c1", "revenue"), ("M4", "ordered"), ("M4", "revenue")} <= outside
        assert not outside & {("c1", "received"), ("M4", "received")}
        assert withheld.keys() == {"channel-pairs", "flow-rewrites"}
        said = 'Klaviyo says USD 225.00 and we count USD 0.00 revenue of flow message "Step 4", 30 days'
        assert said in withheld["flow-rewrites"]
    else:
        assert ("c2", "received") in outside
        assert not {subject for subject, _ in outside} & {"c1", "M4"}
        assert withheld.keys() == {"channel-pairs"}
        assert "Klaviyo says 90 and we count 80 received of all campaigns" in withheld["channel-pairs"]
