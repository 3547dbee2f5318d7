"""Klaviyo's official client and specification agree with the sandbox."""

import json
from datetime import date
from typing import Any

import pytest
from klaviyo_api import KlaviyoAPI

from sandbox.klaviyo.endpoints import ENDPOINTS, TIERS, Endpoint
from sandbox.klaviyo.reports import (
    CAMPAIGN_GROUPS,
    COUNTED,
    FLOW_GROUPS,
    GROUPINGS,
    REPORTS,
    SHARES,
    TIMEFRAMES,
)
from tests import specs
from tests.sandbox import test_sandbox_klaviyo as shared
from tests.sandbox import test_sandbox_klaviyo_reports as reports
from tests.sandbox.test_sandbox_klaviyo import DIFFERS, ITEM, REVISION, column
from tests.sandbox.test_sandbox_klaviyo_reports import RANGE, VALUES

metric_ids = reports.metric_ids
klaviyo = shared.klaviyo
segment_id = shared.segment_id
world = shared.world

# --- the official client and specification ----------------------------------------------------------------


def test_the_official_client_pages_through_everything(klaviyo, world, segment_id):
    api = KlaviyoAPI("pk_sandbox", test_host=klaviyo.root + "/klaviyo")

    def everything(call: Any, *args: Any, **params: Any) -> list[str]:
        page = call(*args, **params)
        ids = [row.id for row in page.data]
        while page.links.next:
            page = call(*args, **params, page_cursor=page.links.next)
            ids += [row.id for row in page.data]
        return ids

    assert everything(api.Profiles.get_profiles, page_size=50, sort="updated") == column(
        world, "select profile_id from klaviyo_profiles order by position"
    )
    assert everything(api.Events.get_events, page_size=1000, include=["metric", "profile"]) == column(
        world, "select event_id from klaviyo_events order by position"
    )
    assert everything(api.Segments.get_segments, page_size=3) == column(
        world, "select segment_id from klaviyo_segments order by position"
    )
    assert everything(api.Segments.get_profiles_for_segment, segment_id, page_size=20) == column(
        world,
        f"select profile_id from klaviyo_segment_members where segment_id = '{segment_id}' order by position",
    )
    catalog = api.Catalogs
    assert everything(catalog.get_catalog_variants, page_size=30) == column(
        world, "select catalog_variant_id from klaviyo_catalog_variants order by position"
    )
    category = ITEM.format("cooking")
    assert everything(catalog.get_item_ids_for_catalog_category, category, page_size=3) == column(
        world,
        "select catalog_item_id from klaviyo_catalog_items"
        f" where list_contains(category_ids, '{category}') order by position",
    )


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)
def test_every_answer_is_one_that_the_specification_describes(klaviyo, segment_id, world, endpoint):
    ids = {
        "catalog-items": ITEM.format("P102"),
        "catalog-categories": ITEM.format("gardening"),
        "profiles": column(world, "select profile_id from klaviyo_profiles where predicted_clv is not null")[
            0
        ],
        "segments": segment_id,
        "metrics": column(world, "select metric_id from klaviyo_metrics")[0],
        "mapped-metrics": "revenue",
        "events": column(world, "select event_id from klaviyo_events where position = 0")[0],
        "flows": column(world, "select flow_id from klaviyo_flows")[0],
        "flow-actions": column(world, "select flow_action_id from klaviyo_flow_actions")[0],
        "flow-messages": column(world, "select flow_message_id from klaviyo_templates")[0],
        "lists": column(world, "select list_id from klaviyo_lists")[0],
        "campaigns": column(world, "select campaign_id from klaviyo_campaigns")[0],
        "campaign-messages": column(world, "select campaign_message_id from klaviyo_campaigns")[1],
    }
    params = {
        **needed(endpoint),
        f"additional-fields[{endpoint.kind.name}]": ",".join(endpoint.additional),
        "include": endpoint.includes.replace(" ", ","),
    }
    answer = klaviyo.ask(
        endpoint.path.format(id=ids.get(endpoint.path.split("/")[0])),
        **{name: value for name, value in params.items() if value},
    )
    assert answer.ok
    # The kinds of message are not distinguished there: one for e-mail is also valid as one for WhatsApp.
    ambiguous = ["data/*/attributes/definition"] if endpoint.kind.name == "flow-message" else []
    specs.check("klaviyo", "GET", f"/api/{endpoint.path}", 200, answer.json(), [*DIFFERS, *ambiguous])


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.name)
def test_every_report_is_one_that_the_specification_describes(klaviyo, metric_ids, report):
    metric = metric_ids["Placed Order"]
    asked = {
        "metric-aggregate": {"metric_id": metric, "measurements": ["count"], "filter": RANGE},
        "flow-values-report": {"statistics": VALUES, "timeframe": {"key": "last_30_days"},
                               "conversion_metric_id": metric},
        "campaign-values-report": {"statistics": VALUES, "timeframe": {"key": "last_30_days"},
                                   "conversion_metric_id": metric},
    }  # fmt: skip
    answer = klaviyo.report(report.name, asked[report.name])
    assert answer.ok
    specs.check("klaviyo", "POST", f"/api/{report.path}", 200, answer.json(), DIFFERS)
    specs.check(
        "klaviyo", "POST", f"/api/{report.path}", "4XX", klaviyo.report(report.name, {}).json(), DIFFERS
    )


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.name)
def test_a_report_takes_what_the_specification_says_it_takes(report):
    document, operation = spec_of(report.path, "post")
    limits = operation["x-klaviyo-ratelimit"].values()
    assert [f"{count}/{ {1: 's', 60: 'm', 86_400: 'd'}[seconds] }" for count, seconds in report.limits] == [
        *limits
    ]
    assert set(operation["x-klaviyo-scopes"]) == set(report.scopes.split())
    params = {one["name"] for one in operation["parameters"] if one["in"] == "query"}
    assert report.takes == params
    schemas = document["components"]["schemas"]
    media = next(iter(operation["requestBody"]["content"].values()))["schema"]["$ref"]
    data = schemas[media.rpartition("/")[2]]["properties"]["data"]["$ref"]
    attributes = schemas[data.rpartition("/")[2]]["properties"]["attributes"]
    assert set(attributes["properties"]) == report.known
    assert set(attributes["required"]) == report.required


def test_reports_know_every_value_that_the_specification_lists():
    schemas = spec_of("flow-values-reports", "post")[0]["components"]["schemas"]
    values, aggregates = (
        schemas[f"{name}ResourceObject"]["properties"]["attributes"]["properties"]
        for name in ("FlowValuesRequestDTO", "MetricAggregateQuery")
    )
    assert {*COUNTED, *SHARES} == set(values["statistics"]["items"]["enum"])
    assert set(FLOW_GROUPS) == set(values["group_by"]["items"]["enum"])
    of_campaigns = schemas["CampaignValuesRequestDTOResourceObject"]["properties"]["attributes"]["properties"]
    assert {*COUNTED, *SHARES} == set(of_campaigns["statistics"]["items"]["enum"])
    assert set(CAMPAIGN_GROUPS) == set(of_campaigns["group_by"]["items"]["enum"])
    assert set(TIMEFRAMES) == set(schemas["Timeframe"]["properties"]["key"]["enum"])
    assert set(GROUPINGS) == set(aggregates["by"]["items"]["enum"])


def test_a_refusal_is_one_that_the_specification_describes(klaviyo):
    for answer in (klaviyo.ask("profiles/none"), klaviyo.ask("profiles/none", include="everything")):
        specs.check("klaviyo", "GET", "/api/profiles/{id}", "4XX", answer.json())


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)
def test_an_endpoint_takes_what_the_specification_says_it_takes(endpoint):
    operation = described(endpoint)
    burst, steady = TIERS[endpoint.tier]
    assert operation["x-klaviyo-ratelimit"] == {"burst": f"{burst}/s", "steady": f"{steady}/m"}
    assert set(operation["x-klaviyo-scopes"]) == set(endpoint.scopes.split())

    params = {one["name"]: one["schema"] for one in operation["parameters"] if one["in"] == "query"}
    assert endpoint.takes(date.fromisoformat(REVISION)) == params.keys()
    if "page[size]" in params:
        size = params["page[size]"]
        assert (size["default"], size["maximum"]) == endpoint.paging[:2]
    if "sort" in params:
        assert set(params["sort"]["enum"]) == {
            f"{sign}{sort}" for sort in endpoint.sorts for sign in ("", "-")
        }
    operators = {
        name: {one for group in taken["operators"].values() for one in group}
        for name, taken in operation.get("x-klaviyo-filters", {}).items()
    }
    assert {name: set(known.operators.split()) for name, known in endpoint.filters.items()} == operators


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)
def test_every_value_that_the_specification_lists_is_taken(klaviyo, segment_id, world, endpoint):
    listed = {one["name"]: one["schema"]["items"]["enum"] for one in described(endpoint)["parameters"]
              if "items" in one["schema"]}  # fmt: skip
    path = endpoint.path.format(id=segment_id)
    for name, values in listed.items():
        answer = klaviyo.ask(path, **needed(endpoint), **{name: ",".join(values)})
        assert answer.status_code != 400, (name, answer.text)
        refused = klaviyo.refusal(path, **needed(endpoint), **{name: ",".join([*values, "other"])})
        assert refused == (400, "invalid", name)


def needed(endpoint: Endpoint) -> dict[str, str]:
    """Return the filter without which an endpoint lists nothing."""
    required = [name for name, known in endpoint.filters.items() if known.is_required]
    return {"filter": ",".join(f"equals({name},'email')" for name in required)} if required else {}


def described(endpoint: Endpoint) -> dict[str, Any]:
    """Return the official description of an endpoint."""
    return spec_of(endpoint.path, "get")[1]


def spec_of(path: str, method: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the official description, and its part on one operation."""
    files = sorted((specs.SPECS / "klaviyo").glob("*.openapi.json"))
    if not files:
        pytest.skip(specs.NO_SPECS)
    document: dict[str, Any] = json.loads(files[0].read_bytes())
    return document, document["paths"][f"/api/{path}"][method]
