"""Klaviyo's reports in the sandbox: aggregates and values of flows and campaigns."""

from typing import Any

import pytest
import requests

from sandbox.klaviyo import NARROW_KEY
from sandbox.server import Sandbox, serving
from sandbox.world import World
from tests.sandbox import test_sandbox_klaviyo as shared
from tests.sandbox.test_sandbox_klaviyo import Klaviyo, column

klaviyo = shared.klaviyo
world = shared.world

# --- reports ----------------------------------------------------------------------------------------------


RANGE = ["greater-or-equal(datetime,2026-09-15T00:00:00)", "less-than(datetime,2026-11-21T00:00:00Z)"]


@pytest.fixture(scope="module")
def metric_ids(world: World) -> dict[str, str]:
    return dict(world.sql("select name, metric_id from klaviyo_metrics"))


def aggregate(klaviyo: Klaviyo, asked: dict[str, Any]) -> dict[tuple[tuple[str, ...], str], dict[str, float]]:
    """Return measurements by dimensions and date, except those that are all zero, over all pages."""
    found = {}
    page: str | None = ""
    while page is not None:
        cursor = {"page_cursor": page} if page else {}
        answer = klaviyo.report("metric-aggregate", {**asked, **cursor}).json()
        told = answer["data"]["attributes"]
        for row in told["data"]:
            for place, moment in enumerate(told["dates"]):
                values = {name: series[place] for name, series in row["measurements"].items()}
                if any(values.values()):
                    found[tuple(row["dimensions"]), moment] = values
        link = answer["links"]["next"]
        page = link and requests.utils.unquote(link.partition("page_cursor=")[2])
    return found


@pytest.mark.parametrize("size", [4, 500])
def test_aggregates_are_the_sums_of_events(klaviyo, world, metric_ids, size):
    asked = {"metric_id": metric_ids["Opened Email"], "measurements": ["count", "unique"],
             "by": ["$flow", "$message"], "filter": RANGE, "page_size": size}  # fmt: skip
    assert aggregate(klaviyo, asked) == {
        ((flow, message), f"{day}T00:00:00+00:00"): {"count": count, "unique": unique}
        for flow, message, day, count, unique in world.sql(
            """
            select coalesce(event_properties ->> '$.$flow', ''),
                coalesce(event_properties ->> '$.$message', ''),
                occurred_at::date::varchar, count(*), count(distinct profile_id)
            from klaviyo_events where metric_name = 'Opened Email' and occurred_at >= '2026-09-15'
            group by all
            """
        )
    }


@pytest.mark.parametrize(
    ("interval", "first", "last"),
    [
        ("hour", "2026-10-31T00:00:00-07:00", "2026-11-02T23:00:00-08:00"),
        ("day", "2026-10-31T00:00:00-07:00", "2026-11-02T00:00:00-08:00"),
        ("week", "2026-10-26T00:00:00-07:00", "2026-11-02T00:00:00-08:00"),
        ("month", "2026-10-01T00:00:00-07:00", "2026-11-01T00:00:00-07:00"),
    ],
)
def test_intervals_begin_at_the_midnights_of_the_zone(klaviyo, world, metric_ids, interval, first, last):
    zone = "America/Los_Angeles"  # where the clocks go back on 1 November
    days = ["greater-or-equal(datetime,2026-10-31T00:00:00)", "less-than(datetime,2026-11-03T00:00:00)"]
    asked = {"metric_id": metric_ids["Placed Order"], "measurements": ["count", "sum_value"],
             "timezone": zone, "interval": interval, "filter": days}  # fmt: skip
    told = klaviyo.report("metric-aggregate", asked).json()["data"]["attributes"]
    assert (told["dates"][0], told["dates"][-1]) == (first, last)
    (row,) = told["data"]
    ((count, value),) = world.sql(
        """
        select count(*), sum(value) from klaviyo_events where metric_name = 'Placed Order'
        and occurred_at >= '2026-10-31 07:00+00' and occurred_at < '2026-11-03 08:00+00'
        """
    )
    assert row["dimensions"] == []
    assert sum(row["measurements"]["count"]) == count > 0
    assert sum(row["measurements"]["sum_value"]) == pytest.approx(value)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"filter": RANGE[:1]}, "filter"),
        ({"filter": RANGE[0]}, "filter"),
        ({"filter": [*RANGE, "equals(first_name,'Ada')"]}, "filter"),
        ({"filter": ["greater-or-equal(datetime,2025-01-01T00:00:00)", RANGE[1]]}, "filter"),
        ({"filter": None}, "filter"),
        ({"measurements": []}, "measurements"),
        ({"measurements": ["mean"]}, "measurements"),
        ({"by": ["flow"]}, "by"),
        ({"by": "$flow"}, "by"),
        ({"interval": "year"}, "interval"),
        ({"page_size": 501}, "page_size"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"sort": "$flow"}, "sort"),
        ({"page_cursor": "bm90IG91cnM="}, "page_cursor"),
        ({"metric_id": "open"}, "metric_id"),
        ({"group": ["$flow"]}, "group"),
    ],
)
def test_an_aggregate_that_the_vendor_would_refuse_is_refused(klaviyo, metric_ids, change, pointer):
    asked = {"metric_id": metric_ids["Opened Email"], "measurements": ["count"], "filter": RANGE, **change}
    if asked["filter"] is None:
        del asked["filter"]
    answer = klaviyo.report("metric-aggregate", asked)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (400, "invalid")
    assert error["source"] in ({"pointer": f"/data/attributes/{pointer}"}, {"parameter": pointer})


def test_an_aggregate_is_sorted_and_narrowed_as_asked(klaviyo, world, metric_ids):
    messages = column(world, "select flow_message_id from klaviyo_flow_messages where position in (0, 2)")
    listed = ", ".join(f"'{message}'" for message in messages)
    asked = {"metric_id": metric_ids["Received Email"], "measurements": ["count"], "by": ["$message"],
             "filter": [*RANGE, f"any($message,[{listed}])"], "sort": "-count"}  # fmt: skip
    rows = klaviyo.report("metric-aggregate", asked).json()["data"]["attributes"]["data"]
    assert {row["dimensions"][0] for row in rows} == set(messages)
    sums = [sum(row["measurements"]["count"]) for row in rows]
    assert sums == sorted(sums, reverse=True)


VALUES = [
    "recipients",
    "opens",
    "opens_unique",
    "clicks_unique",
    "conversions",
    "conversion_value",
    "open_rate",
]


def test_values_of_flows_follow_each_message_from_the_day_on_which_it_was_sent(klaviyo, world, metric_ids):
    asked = {"statistics": VALUES, "conversion_metric_id": metric_ids["Placed Order"],
             "timeframe": {"start": "2026-10-01T00:00:00Z", "end": "2026-11-01T00:00:00Z"}}  # fmt: skip
    results = klaviyo.report("flow-values-report", asked).json()["data"]["attributes"]["results"]
    events = world.sql(
        """
        select profile_id, metric_name, epoch(occurred_at), value::double,
            coalesce(event_properties ->> '$.$message', attribution.message_id)
        from klaviyo_events left join klaviyo_attributions as attribution using (event_id)
        where coalesce(event_properties ->> '$.$flow', attribution.flow_id) is not null
        order by occurred_at
        """
    )
    sent: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for profile, metric, at, value, message in events:
        of_both = sent.setdefault((profile, message), [])
        if metric.startswith("Received"):
            of_both.append({"at": at, "opens": 0, "clicks": 0, "orders": 0, "value": 0.0})
        elif of_both:
            what = {"Opened": "opens", "Clicked": "clicks", "Placed": "orders"}[metric.split()[0]]
            of_both[-1][what] += 1
            of_both[-1]["value"] += value or 0.0
    truth: dict[str, dict[str, float]] = {}
    for (_, message), several in sent.items():
        for one in several:
            if 1790812800 <= one["at"] < 1793491200:  # October
                sums = truth.setdefault(message, dict.fromkeys(VALUES, 0))
                sums["recipients"] += 1
                sums["opens"] += one["opens"]
                sums["opens_unique"] += one["opens"] > 0
                sums["clicks_unique"] += one["clicks"] > 0
                sums["conversions"] += one["orders"]
                sums["conversion_value"] += one["value"]
    for sums in truth.values():
        sums["open_rate"] = sums["opens_unique"] / sums["recipients"]
    told = {row["groupings"]["flow_message_id"]: row["statistics"] for row in results}
    assert told.keys() == truth.keys()
    for message, statistics in told.items():
        assert statistics == pytest.approx(truth[message], abs=1e-5)
    assert sum(sums["conversions"] for sums in truth.values()) > 0


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"statistics": ["opened"]}, "statistics"),
        ({"statistics": []}, "statistics"),
        ({"group_by": ["campaign_id"]}, "group_by"),
        ({"timeframe": {"key": "last_2_weeks"}}, "timeframe"),
        ({"timeframe": {"start": "2025-01-01T00:00:00Z", "end": "2026-11-01T00:00:00Z"}}, "timeframe"),
        ({"timeframe": {"start": "2023-01-01T00:00:00Z", "end": "2023-07-01T00:00:00Z"}}, "timeframe"),
        ({"conversion_metric_id": "Opened Email"}, "conversion_metric_id"),
        ({"filter": "any(flow_id,['x'])"}, "filter"),
    ],
)
def test_values_that_the_vendor_would_refuse_are_refused(klaviyo, metric_ids, change, pointer):
    asked = {"statistics": VALUES, "timeframe": {"key": "last_30_days"},
             "conversion_metric_id": metric_ids["Placed Order"], **change}  # fmt: skip
    metric = asked["conversion_metric_id"]
    answer = klaviyo.report(
        "flow-values-report", asked | {"conversion_metric_id": metric_ids.get(metric, metric)}
    )
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (400, "invalid")
    assert error["source"] in ({"pointer": f"/data/attributes/{pointer}"}, {"parameter": pointer})


@pytest.mark.parametrize("key", ["today", "yesterday", "this_week", "last_week", "this_month", "last_month",
                                 "this_year", "last_year", "last_7_days", "last_365_days", "last_3_months",
                                 "last_12_months"])  # fmt: skip
def test_every_named_timeframe_is_known(klaviyo, metric_ids, key):
    asked = {"statistics": ["recipients"], "timeframe": {"key": key},
             "conversion_metric_id": metric_ids["Placed Order"]}  # fmt: skip
    assert klaviyo.report("flow-values-report", asked).ok


def test_values_of_campaigns_count_the_people_of_each_message(klaviyo, world, metric_ids):
    asked = {"statistics": [*VALUES, "bounced", "click_rate"], "timeframe": {"key": "last_365_days"},
             "conversion_metric_id": metric_ids["Placed Order"]}  # fmt: skip
    results = klaviyo.report("campaign-values-report", asked).json()["data"]["attributes"]["results"]
    people: dict[str, dict[str, list[tuple[str, float]]]] = {}
    for message, metric, profile, value in world.sql(
        """
        select klaviyo_campaigns.campaign_message_id,
            replace(replace(metric_name, ' Text Message', ' SMS'), 'Opened SMS', 'Opened Email'),
            profile_id, coalesce(value, 0)::double
        from klaviyo_events left join klaviyo_attributions as attribution using (event_id)
        join klaviyo_campaigns on klaviyo_campaigns.campaign_message_id
            = coalesce(event_properties ->> '$.$message', attribution.message_id)
        """
    ):
        people.setdefault(message, {}).setdefault(metric, []).append((profile, value))
    told = {row["groupings"]["campaign_message_id"]: row for row in results}
    assert told.keys() >= people.keys()
    for message, deeds in people.items():
        of = {name: {profile for profile, _ in rows} for name, rows in deeds.items()}
        clicked = of.get("Clicked Email", set()) | of.get("Clicked SMS", set())
        received = of.get("Received Email", set()) | of.get("Received SMS", set())
        assert told[message]["statistics"] == pytest.approx(
            {
                "recipients": len(received | of.get("Bounced Email", set())),
                "opens": len(deeds.get("Opened Email", [])),
                "opens_unique": len(of.get("Opened Email", [])),
                "clicks_unique": len(clicked),
                "conversions": len(deeds.get("Placed Order", [])),
                "conversion_value": sum(value for _, value in deeds.get("Placed Order", [])),
                "open_rate": len(of.get("Opened Email", [])) / (len(received) or 1),
                "bounced": len(of.get("Bounced Email", set()) - received),
                "click_rate": len(clicked) / (len(received) or 1),
            },
            abs=1e-5,
        )
    by_channel = klaviyo.report(
        "campaign-values-report",
        asked | {"group_by": ["send_channel"], "filter": "equals(send_channel,'sms')"},
    ).json()["data"]["attributes"]["results"]
    assert [row["groupings"] for row in by_channel] == [{"send_channel": "sms"}]
    assert 0 < by_channel[0]["statistics"]["open_rate"] < 0.5  # few phones report that a text was opened


def test_campaigns_are_listed_by_channel_and_archived_ones_only_on_request(klaviyo, world):
    truth = (
        "select campaign_id from klaviyo_campaigns where channel = '{}' and archived = {} order by position"
    )
    for channel in ("email", "sms"):
        of_channel = f"equals(messages.channel,'{channel}')"
        assert klaviyo.ids("campaigns", filter=of_channel) == column(world, truth.format(channel, "false"))
        archived = klaviyo.ids("campaigns", filter=f"{of_channel},equals(archived,true)")
        assert archived == column(world, truth.format(channel, "true"))
        assert archived
    assert klaviyo.ids("campaigns", filter="equals(messages.channel,'mobile_push')") == []
    page = klaviyo.ask(
        "campaigns", filter="equals(messages.channel,'sms')", include="campaign-messages"
    ).json()
    named = [one["id"] for row in page["data"] for one in row["relationships"]["campaign-messages"]["data"]]
    assert sorted(named) == sorted(one["id"] for one in page["included"])
    assert {one["attributes"]["definition"]["channel"] for one in page["included"]} == {"sms"}


@pytest.mark.parametrize(
    "filter_",
    [
        "",
        "equals(archived,true)",
        "equals(messages.channel,'fax')",
        "any(messages.channel,['sms'])",
        "equals(messages.channel,'sms'),equals(status,'Posted')",
        "equals(messages.channel,'sms'),starts-with(name,'Text')",
    ],
)
def test_campaigns_without_their_channel_or_with_what_there_is_not_are_refused(klaviyo, filter_):
    assert klaviyo.refusal("campaigns", filter=filter_) == (400, "invalid", "filter")


def test_lists_serve_every_member_once_and_count_them(klaviyo, world):
    for list_id, members in world.sql(
        """
        select list_id,
            coalesce(list(profile_id order by members.position) filter (profile_id is not null), [])
        from klaviyo_lists left join klaviyo_list_members as members using (list_id) group by list_id
        """
    ):
        assert klaviyo.ids(f"lists/{list_id}/profiles", page_size=30) == members
        answer = klaviyo.ask(f"lists/{list_id}", additional_fields_list="profile_count")
        assert answer.json()["data"]["attributes"]["profile_count"] == len(members)


def test_reports_are_two_a_minute_and_225_a_day(world, metric_ids):
    asked = {"statistics": ["recipients"], "timeframe": {"key": "today"},
             "conversion_metric_id": metric_ids["Placed Order"]}  # fmt: skip
    with serving(Sandbox(world)) as root, Klaviyo(root) as klaviyo:
        answers = [klaviyo.report("flow-values-report", asked) for _ in range(4)]
        others = klaviyo.report("metric-aggregate", {})
    assert answers[0].headers["RateLimit-Limit"] == "1, 1;w=1, 2;w=60, 225;w=86400"
    assert 429 in {answer.status_code for answer in answers}
    assert others.status_code == 400


def test_a_report_takes_no_other_method_body_or_key(klaviyo):
    url = f"{klaviyo.root}/klaviyo/api/flow-values-reports"
    assert klaviyo.get(url, timeout=10).status_code == 405
    for body in ({}, {"data": {"type": "campaign-values-report", "attributes": {}}}, []):
        assert klaviyo.post(url, json=body, timeout=10).status_code == 400
    narrow = {"Authorization": f"Klaviyo-API-Key {NARROW_KEY}"}
    assert klaviyo.post(url, json={}, headers=narrow, timeout=10).status_code == 403
    assert klaviyo.report("flow-values-report", {}, page=1).json()["errors"][0]["source"] == {
        "parameter": "page"
    }
