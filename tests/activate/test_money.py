"""Money of accounts in other currencies than dollars, or in several, from the sandbox to the payloads."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from activate import records
from activate.kinds import KINDS
from common import settings
from sandbox.server import Sandbox, serving
from sandbox.world import World
from tests.commands import Project

TODAY = date(2026, 11, 21)
ROUGH = frozenset({"rough"})


@dataclass(frozen=True)
class Shop:
    project: Project
    world: World

    def published(self, query: str) -> list[tuple[Any, ...]]:
        return self.project.rows(query, "published.duckdb")


@pytest.fixture(scope="module", params=[("EUR", frozenset()), ("EUR", ROUGH)], ids=["euros", "mixed"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    currency, anomalies = request.param
    world = World(300, 7, TODAY, anomalies=anomalies, currency=currency)
    with serving(Sandbox(world, limits="off")) as url:
        project = Project(tmp_path_factory.mktemp("shop"), url)
        project.well("ingest", "klaviyo")
        project.well("transform")
        yield Shop(project, world)


def sums(rows: list[tuple[Any, ...]]) -> dict[tuple[Any, ...], tuple[int, Decimal]]:
    return {tuple(key): (count, round(Decimal(value), 2)) for *key, count, value in rows}


def test_sums_by_currency_are_those_of_the_world(shop: Shop) -> None:
    told = "select {}, count(*), sum(value)::decimal(18, 2) from klaviyo_events where value is not null"
    by_metric = sums(shop.world.sql(f"{told.format('metric_name, currency')} group by 1, 2"))
    assert by_metric == sums(
        shop.published(
            "select metric_name, currency, sum(event_count)::int, sum(value_amount)"
            " from marts.fct_customer_events_daily where currency <> 'none' group by 1, 2"
        )
    )
    orders = f"{told.format('currency')} and metric_no = 6 group by 1"
    assert sums(shop.world.sql(orders)) == sums(
        shop.published(
            "select currency, order_count, revenue from marts.fct_revenue_by_currency where thing = 'shop'"
        )
    )
    products = told.format("event_properties ->> 'ProductID', currency")
    of_products = sums(shop.world.sql(f"{products} and metric_name = 'Ordered Product' group by 1, 2"))
    assert of_products == sums(
        shop.published(
            "select thing_id, currency, order_count, revenue from marts.fct_revenue_by_currency"
            " where thing = 'product'"
        )
    )
    assert sums(
        shop.published(
            "select product_id, currency, purchase_count - other_currency_purchase_count, revenue"
            " from marts.dim_products where revenue > 0"
        )
    ).keys() == {key for key in of_products if key[1] == "EUR"}


def test_what_is_returned_is_what_the_world_took_back(shop: Shop) -> None:
    returned = dict(
        shop.world.sql(
            """
            with returns as (
                select event_properties ->> '$.$event_id' as order_no, currency,
                    sum(value) filter (metric_name = 'Refunded Order') as refunded,
                    count(*) filter (metric_name like 'Cancel%') > 0 as is_cancelled
                from klaviyo_events where metric_name similar to '(Refunded|Cancell?ed) Order' group by all
            )
            select currency, sum(if(is_cancelled, value, least(value, coalesce(refunded, 0))))::decimal(18, 2)
            from klaviyo_events join returns using (currency)
            where metric_no = 6 and order_no = event_properties ->> '$.$event_id'
            group by 1 having sum(value) > 0
            """
        )
    )
    found = shop.published(
        "select currency, returned_amount, revenue - net_revenue from marts.fct_revenue_by_currency"
        " where thing = 'shop' and returned_amount > 0"
    )
    assert {currency: amount for currency, amount, _ in found} == returned
    assert all(amount == difference for _, amount, difference in found)
    assert "EUR" in returned


def test_amounts_that_nobody_could_read_are_counted(shop: Shop) -> None:
    ((unread, named),) = shop.world.sql(
        "select count(*) filter (value is null), count(*) from klaviyo_events"
        " where event_properties ->> '$.$value' is not null"
    )
    ((counted,),) = shop.published(
        "select coalesce(sum(row_count), 0)::int from marts.fct_quarantined_rows where field = '$value'"
    )
    assert counted == unread
    assert (unread > 0) == bool(shop.world.anomalies)
    assert unread < 0.02 * named


def test_what_campaigns_and_flows_brought_is_told_by_currency(shop: Shop) -> None:
    for thing, mart, key in [
        ("campaign", "fct_campaigns", "campaign_id"),
        ("flow_message", "fct_flow_messages_daily", "flow_message_id"),
    ]:
        rows = shop.published(
            f"select mart.currency, sum(by_currency.revenue) from marts.{mart} as mart"
            f" join marts.fct_revenue_by_currency as by_currency on thing = '{thing}' and thing_id = {key}"
            " and is_account_currency group by 1"
        )
        assert {currency for currency, _ in rows} <= {"EUR"}
    net = shop.published("""
        select mart.revenue, mart.returned_amount, mart.net_revenue,
            by_currency.revenue, by_currency.returned_amount, by_currency.net_revenue
        from marts.fct_campaigns as mart
        join marts.fct_revenue_by_currency as by_currency
            on thing = 'campaign' and thing_id = campaign_id and is_account_currency
    """)
    assert any(returned > 0 for _, returned, *_ in net)
    if not shop.world.anomalies:  # an account with anomalies has orders of people without a known e-mail
        assert [row for row in net if row[:3] != row[3:]] == []
    ((gross, left),) = shop.published(
        "select amount, net_amount from marts.rpt_headlines where measure = 'revenue'"
    )
    assert 0 < left <= gross
    ((ours, theirs),) = shop.published("select sum(revenue), sum(reported_revenue) from marts.fct_campaigns")
    assert ours > 0
    assert ours == theirs if not shop.world.anomalies else ours <= theirs


def test_every_text_and_figure_says_the_accounts_currency(shop: Shop) -> None:
    ((currency, source),) = shop.published("select currency, currency_source from marts.dim_account")
    assert (currency, source) == ("EUR", "account")
    (revenue,) = shop.published(
        "select currency, other_currency_order_count, other_currency_revenue from marts.rpt_headlines"
        " where measure = 'revenue'"
    )
    assert revenue[0] == "EUR"
    assert bool(revenue[1]) == bool(revenue[2])
    facts = [
        json.loads(text)
        for kind in ("personas", "focus_groups", "generations")
        for (text,) in shop.published(
            f"select facts from activation.sync_mavera__{kind}"
            " where job in ('clv-tiers', 'product-affinity', 'flow-rewrites')"
        )
    ]
    assert facts
    assert {each["currency"] for each in facts} == {"EUR"}
    ours = settings.Settings(
        _env_file=None,
        published_path=shop.project.folder / "published.duckdb",
        forgotten_path=shop.project.folder / "forgotten.json",
    )
    told = [
        json.dumps(each.payload, ensure_ascii=False)
        for each in records.load(ours, list(KINDS))
        if "currency" in each.facts
    ]
    assert len(told) == len(facts)
    assert any(re.search(r"€|\bEUR\b", text) for text in told)
    assert [text for text in told if re.search(r"\$\d|\bUSD\b", text)] == []
    assert not [text for text in told if re.search(r"USD|dollar|_usd|\$", text)]
    drawn = shop.project.run("report", "--json", "--to", str(shop.project.folder / "report.html"))
    assert drawn.code == 0, drawn.err
    page = (shop.project.folder / "report.html").read_text(encoding="utf-8")
    assert "EUR" in page
    assert not re.search(r"USD|dollar|_usd", re.sub(r"plus [^<]*", "", page))
