"""Attribution by another package's rule, computed from raw and compared with ours order by order.

dbt_klaviyo, Fivetran's package, calls its rule native attribution: an event of no campaign or flow takes over
that of the event named in its attribution. Our models read the message or campaign in the attribution, and
never look at the other event. Klaviyo sends both, so both rules must agree.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from common.settings import Settings
from sandbox.server import Sandbox, serving
from sandbox.world import World
from tests import small
from tests.commands import Project
from transform.build import load_runs

PEOPLE = 200
TODAY = date(2026, 11, 21)

Things = dict[str, set[tuple[str, str]]]  # by event: campaigns and flows


@pytest.fixture(scope="module", params=["relations", "old-attribution", "rough"])
def shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, shared: Path
) -> Iterator[Project]:
    world = World(PEOPLE, 7, TODAY, anomalies=frozenset({request.param} - {"relations"}))
    with serving(Sandbox(world, limits="off")) as url:
        project = Project(tmp_path_factory.mktemp("shop"), url)
        project.well("ingest", "klaviyo")
        path = project.folder / "warehouse.duckdb"
        load_runs(
            path, Settings(_env_file=None, warehouse_path=path, runs_path=project.folder / "runs.jsonl")
        )
        small.send(shared, path, "int_events_attributed")
        yield project


def native(shop: Project) -> Things:
    """Apply the package's rule to raw rows, to each attribution of an event (the package reads one)."""
    campaigns = dict(
        shop.rows(
            "select id, id from raw_klaviyo.campaigns"
            " union all select id, campaign_id from raw_klaviyo.campaign_messages"
        )
    )
    touches: dict[str, tuple[str, str]] = {}
    named: dict[str, list[str]] = {}
    for event, flow, message, relations, old in shop.rows(
        "select id, event_properties ->> '$.$flow', event_properties ->> '$.$message', attributions,"
        " event_properties ->> '$.$attribution.$attributed_event_id' from raw_klaviyo.events"
    ):
        if message in campaigns:
            touches[event] = ("campaign", campaigns[message])
        elif flow:
            touches[event] = ("flow", flow)
        else:
            told = [one["attributed_event_id"] for one in json.loads(relations or "[]")]
            named[event] = told or [old] * bool(old)
    found: Things = defaultdict(set)
    for event, earning in named.items():
        for other in earning:
            found[event].add(touches[other])
    return dict(found)


def test_each_order_is_attributed_as_by_the_event_that_its_attribution_names(shop: Project) -> None:
    ours: Things = defaultdict(set)
    for event, flow, campaign in shop.rows(
        "select customer_event_id, flow_id, campaign_id from intermediate.int_events_attributed"
    ):
        ours[event].add(("campaign", campaign) if campaign else ("flow", flow))
    theirs = native(shop)
    assert ours == theirs
    orders = shop.rows(
        "select events.id from raw_klaviyo.events join raw_klaviyo.metrics on metric_id = metrics.id"
        " where name = 'Placed Order'"
    )
    assert theirs.keys() < {order for (order,) in orders}
    assert {thing for things in theirs.values() for thing, _ in things} == {"campaign", "flow"}
    assert len(theirs) > 10
