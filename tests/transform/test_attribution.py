"""Attribution by other rules, computed from raw and compared with ours order by order.

dbt_klaviyo, Fivetran's package, calls its rule native attribution: an event of no campaign or flow takes over
that of the event named in its attribution. Our models read the message or campaign in the attribution, and
never look at the other event. Klaviyo sends both, so both rules must agree.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
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
        small.send(shared, path, "int_events_attributed", "fct_attribution_differences")
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


HOURS = {
    "Opened Email": 120,
    "Clicked Email": 120,
    "Clicked SMS": 120,
    "Clicked Text Message": 120,
    "Opened SMS": 24,
    "Opened Text Message": 24,
    "Received SMS": 12,
    "Received Text Message": 12,
}


def last_touches(shop: Project) -> dict[str, str | None]:
    """Look through all touches of each order's buyer; return the message or campaign that earned it."""
    campaigns = dict(
        shop.rows(
            "select id, id from raw_klaviyo.campaigns"
            " union all select id, campaign_id from raw_klaviyo.campaign_messages"
        )
    )
    buyers = dict(
        shop.rows("select id, coalesce(nullif(lower(trim(email)), ''), id) from raw_klaviyo.profiles")
    )
    events = shop.rows(
        "select events.id, profile_id, metrics.name, datetime, event_properties ->> '$.$message',"
        " coalesce(event_properties ->> 'machine_open', event_properties ->> 'Bot Click') = 'true'"
        " from raw_klaviyo.events join raw_klaviyo.metrics on metric_id = metrics.id"
    )
    touches = defaultdict(list)
    for _, profile, name, moment, message, is_machine in events:
        if message and name in HOURS and not is_machine:
            touches[buyers.get(profile, profile)].append((moment, name, campaigns.get(message, message)))
    earned: dict[str, str | None] = {}
    for order, profile, name, ordered, *_ in events:
        if name == "Placed Order":
            near = [
                (-(ordered - moment), message)
                for moment, role, message in touches[buyers.get(profile, profile)]
                if timedelta() <= ordered - moment <= timedelta(hours=HOURS[role])
            ]
            latest = max((age for age, _ in near), default=None)
            earned[order] = min((message for age, message in near if age == latest), default=None)
    return earned


def test_each_order_is_earned_by_the_last_touch_of_its_buyer(shop: Project) -> None:
    ours = dict(shop.rows("select order_id, last_touch_message_id from marts.fct_attribution_differences"))
    found = last_touches(shop)
    # Of several metrics of one name, the account maps one to orders.
    assert ours == {order: found[order] for order in ours}
    assert len({*ours.values()}) > 5


def test_klaviyos_rule_gives_klaviyos_answer_but_for_machines_and_late_touches(shop: Project) -> None:
    found = dict(shop.rows("select difference, count(*) from marts.fct_attribution_differences group by 1"))
    assert found["same"] > 10
    explained = sum(found.get(reason, 0) for reason in ("same", "neither", "machine_touch", "earlier_touch"))
    assert explained >= 0.97 * sum(found.values())
