"""The metrics of the semantic layer: one definition each, which agrees with its marts."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest

from common import settings
from tests import needs
from transform import metrics
from transform.metrics import Metric

METRICFLOW = settings.ROOT / "build" / "metrics" / "bin" / "python"

# The same numbers, counted in another way: by other marts, by rows, or from the rates of a mart's own rows.
AGREES = {
    "average_order_value": "select avg(gross_amount::double) from marts.fct_orders where is_account_currency",
    "action_rate": """
        select sum(action_share * impression_count) / sum(impression_count) from marts.fct_media_action_rates
    """,
    "campaign_click_rate": """
        select sum(clicked_share * received_count) / sum(received_count)
        from marts.fct_campaigns
    """,
    "campaign_conversion_rate": """
        select sum(converted_share * received_count) / sum(received_count) from marts.fct_campaigns
    """,
    "campaign_open_rate": """
        select sum(opened_share * received_count) / sum(received_count)
        from marts.fct_campaigns where channel = 'email'
    """,
    "churn_risk": """
        select count(*) filter (churn_band = 'high') / count(churn_band)::double from marts.dim_customers
    """,
    "click_rate": """
        select sum(amount) / sum(whole_count)
        from marts.agg_headline_days where measure = 'click_rate'
    """,
    "click_to_open_rate": """
        select sum(amount) filter (measure = 'click_rate') / sum(amount) filter (measure = 'open_rate')
        from marts.agg_headline_days
    """,
    "credits": "select sum(amount) from marts.agg_headline_days where measure = 'credits'",
    "customers": "select count(*) from marts.dim_customers",
    "delivered": "select sum(amount) from marts.agg_headline_days where measure = 'delivered'",
    "failed_request_share": """
        select count(*) filter (state = 'failed') / count(*)::double from intermediate.int_mavera_calls
    """,
    "identified_viewer_share": "select avg(is_identified::int) from marts.dim_viewers",
    "leads": "select count(*) from marts.fct_viewer_leads",
    "mailable_lead_share": "select avg(may_be_mailed::int) from marts.fct_viewer_leads where is_recent",
    "mavera_requests": "select count(*) from intermediate.int_mavera_calls",
    "mean_predicted_clv": "select avg(predicted_clv::double) from marts.dim_customers",
    "net_revenue": """
        select sum(net_revenue)
        from marts.fct_revenue_by_currency where thing = 'shop' and is_account_currency
    """,
    "new_customers": "select count(created_at) from marts.dim_customers",
    "new_viewers": "select count(first_viewed_at) from marts.dim_viewers",
    "open_rate": """
        select sum(amount) / sum(whole_count)
        from marts.agg_headline_days where measure = 'open_rate'
    """,
    "orders": "select count(*) from marts.fct_orders",
    "predicted_clv": "select sum(predicted_clv) from marts.dim_customers",
    "provider_delivery_rate": """
        select sum(delivered_share * processed_count) / sum(processed_count)
        from marts.fct_delivery_by_provider_daily
    """,
    "repeat_order_share": """
        select 1 - count(distinct buyer_id) / count(*)::double
        from marts.fct_orders where buyer_id is not null
    """,
    "revenue": "select sum(gross_amount) from marts.fct_orders where is_account_currency",
    "returned_share": """
        select sum(refunded_amount) / sum(gross_amount)::double
        from marts.fct_orders where is_account_currency
    """,
    "unsent_records": "select sum(record_count) from activation.rpt_records where standing = 'not sent'",
    "viewers": "select count(*) from marts.dim_viewers",
    "wanted_records": "select any_value(all_wanted_count) from activation.rpt_records",
    "watched_share": "select avg(watched_share) from marts.dim_viewers",
}


@pytest.fixture(scope="module")
def found(manifest: Mapping[str, Any]) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics.read(manifest)}


@pytest.fixture(scope="module")
def whole(whole_warehouse: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(whole_warehouse), read_only=True) as connection:
        yield connection


def value(connection: duckdb.DuckDBPyConnection, query: str) -> float | None:
    ((found,),) = connection.execute(query).fetchall()
    return None if found is None else float(found)


def test_the_page_of_metrics_is_current(manifest: Mapping[str, Any]) -> None:
    assert metrics.PAGE.read_text(encoding="utf-8") == metrics.render(manifest), "make docs renews it"


def test_each_measure_that_people_ask_for_is_defined_once(
    manifest: Mapping[str, Any], found: dict[str, Metric]
) -> None:
    assert len(found) >= 30
    assert all(metric.description.endswith(".") and metric.caveat.endswith(".") for metric in found.values())
    assert len({(metric.relation, metric.formula) for metric in found.values()}) == len(found)
    assert len({metric.label for metric in found.values()}) == len(found)
    contracted = {
        f"{node['schema']}.{node['name']}"
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["config"]["contract"]["enforced"]
    }
    assert {metric.relation for metric in found.values()} <= contracted
    # A rate is a sum over a sum, so that a total is no mean of rates.
    parts = [part for metric in found.values() for part in (metric.numerator, metric.denominator) if part]
    assert all(part.startswith("sum(") for part in parts)


def test_every_metric_has_a_value_and_agrees_with_what_other_marts_count(
    whole: duckdb.DuckDBPyConnection, found: dict[str, Metric]
) -> None:
    assert AGREES.keys() <= found.keys()
    values = {name: value(whole, metric.sql) for name, metric in found.items()}
    assert [name for name, each in values.items() if each is None] == ["flow_revenue"]  # several currencies
    for name, query in AGREES.items():
        assert values[name] == pytest.approx(value(whole, query), rel=1e-9), name


WRITTEN = """
import json, sys
from pathlib import Path
from operate import metric
flow = metric.engine(Path(sys.argv[1]).read_text(encoding="utf-8"))
asked = json.loads(sys.stdin.read())
answers = {name: metric.sql(flow, [name]) for name in asked}
answers["by month"] = metric.sql(flow, ["click_rate", "delivered"], ["month"], limit=5)
answers["by kind"] = metric.sql(flow, ["suppressed_addresses"], ["suppression_kind"])
for names, by in ((["nothing_such"], []), (["delivered"], ["mailbox_provider"])):
    try:
        metric.sql(flow, names, by)
    except metric.MetricError as error:
        answers["refused"] = answers.get("refused", "") + f"{error}; "
print(json.dumps(answers))
"""


def test_metricflow_computes_what_the_marts_hold(
    whole: duckdb.DuckDBPyConnection, found: dict[str, Metric], shared: Path
) -> None:
    if not METRICFLOW.exists():
        needs.absent("MetricFlow: make build/metrics/.ready installs it")
    semantic = shared / "parsed" / "semantic_manifest.json"
    ran = subprocess.run(
        [METRICFLOW, "-c", WRITTEN, semantic],
        input=json.dumps([*found]), cwd=settings.ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    answers = json.loads(ran.stdout)
    for name, metric in found.items():
        ours = value(whole, metric.sql)
        theirs = value(whole, answers[name])
        assert theirs == (ours if ours is None else pytest.approx(ours, rel=1e-12)), name
    months = whole.execute(answers["by month"])
    assert [column[0] for column in months.description] == ["metric_time__month", "click_rate", "delivered"]
    kinds = (
        "select suppression_kind, sum(address_count) from marts.fct_suppressions_daily group by 1 order by 1"
    )
    assert whole.execute(answers["by kind"]).fetchall() == whole.execute(kinds).fetchall()
    assert answers["refused"].startswith(
        "there is no metric nothing_such: docs/metrics.md lists them; it cannot"
    )
