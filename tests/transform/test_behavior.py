"""The marts of buyers' behavior, counted again from the world by plain rules."""

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sandbox.world import World
from tests import loaded

Rows = Callable[[str], list[tuple[Any, ...]]]
Orders = dict[str, list[tuple[date, Decimal]]]

CHAMPIONS, LOYAL, RECENT = {333, 332, 323}, {321, 322, 331, 232, 233}, {312, 313, 311, 222, 223}
ATTENTION, RISK = {213, 221, 123, 132, 133}, {231, 212, 122, 131, 211}


@pytest.fixture(scope="module")
def rows(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """Ask the warehouse of the world that is loaded once a run."""
    return loaded.copy(shared, tmp_path_factory.mktemp("own") / "copy", "http://127.0.0.1:1").rows


@pytest.fixture(scope="module")
def world() -> World:
    return loaded.world()


def orders_of(world: World) -> Orders:
    """Return what counts of each person's orders, in their order: what is left of it after refunds."""
    left: Orders = defaultdict(list)
    for email, day, value in world.sql("""
        with shop as (
            select *, coalesce(event_properties ->> '$.$event_id', event_properties ->> 'OrderId') as shop_id
            from klaviyo_events
        )
        select lower(email), occurred_at::date,
            (value - coalesce((
                select sum(value) from shop as refund where refund.shop_id = shop.shop_id
                    and refund.metric_name = 'Refunded Order' and refund.currency = shop.currency
            ), 0))::decimal(18, 2)
        from shop join klaviyo_profiles using (profile_id)
        where shop.metric_name = 'Placed Order' and currency = account_currency() and not exists (
            from shop as other where other.shop_id = shop.shop_id and other.metric_name = 'Cancelled Order'
        ) order by occurred_at, event_id
    """):
        if value > 0:
            left[email].append((day, value))
    return left


def last_day(world: World) -> date:
    return world.sql("select max(occurred_at)::date from klaviyo_events")[0][0]  # type: ignore[no-any-return]


def scores(values: list[Any], parts: int) -> list[int]:
    """Return the part of each value: 1 for the least, by how many of all are lower."""
    lower = {value: sum(other < value for other in values) for value in set(values)}
    return [1 + parts * lower[value] // len(values) for value in values]


def our_group(recency: int, frequency: int, monetary: int) -> str:
    if min(recency, frequency, monetary) >= 4:
        return "champions"
    if min(recency, frequency) >= 3:
        return "loyal"
    if recency >= 4:
        return "recent"
    if recency >= 2:
        return "needs_attention" if monetary >= 4 else "at_risk"
    return "inactive"


def klaviyo_group(score: int) -> str:
    groups = {
        "champions": CHAMPIONS,
        "loyal": LOYAL,
        "recent": RECENT,
        "needs_attention": ATTENTION,
        "at_risk": RISK,
    }
    return next((name for name, its in groups.items() if score in its), "inactive")


def test_buyers_and_their_groups_are_those_of_the_world(world: World, rows: Rows) -> None:
    left, until = orders_of(world), last_day(world)
    truth = sorted(
        (len(its), sum(value for _, value in its), its[0][0], its[-1][0], (until - its[-1][0]).days)
        for its in left.values()
    )
    assert truth == sorted(
        rows(
            "select order_count, net_revenue, first_ordered_on, last_ordered_on, days_since_order"
            " from marts.dim_buyers"
        )
    )
    measured = [[its[-1][0] for its in left.values()], [len(its) for its in left.values()]]
    spent = [sum(value for _, value in its) for its in left.values()]
    ours = zip(*(scores(values, 5) for values in (*measured, spent)), strict=True)
    ages = [(until - day).days for day in measured[0]]
    recency = [3 if age <= 180 else 2 if age <= 365 else 1 for age in ages]
    theirs = zip(recency, scores(measured[1], 3), scores(spent, 3), strict=True)
    groups = Counter(
        (our_group(*mine), klaviyo_group(100 * r + 10 * f + m))
        for mine, (r, f, m) in zip(ours, theirs, strict=True)
    )
    found = rows("select rfm_group, klaviyo_rfm_group, buyer_count from marts.agg_rfm_groups")
    assert {(mine, klaviyos): count for mine, klaviyos, count in found} == groups


def test_cohorts_are_those_of_the_world_and_end_with_its_last_day(world: World, rows: Rows) -> None:
    until, members, acts = (
        last_day(world),
        Counter[date](),
        defaultdict[tuple[date, int], list[Decimal]](list),
    )
    buyers: dict[tuple[date, int], set[str]] = defaultdict(set)
    for person, its in orders_of(world).items():
        cohort = its[0][0].replace(day=1)
        members[cohort] += 1
        for day, value in its:
            cell = cohort, (day.year - cohort.year) * 12 + day.month - cohort.month
            acts[cell].append(value)
            buyers[cell].add(person)
    truth = {
        (cohort, number): (
            members[cohort], len(buyers[cohort, number]), len(acts[cohort, number]),
            sum((sum(acts[cohort, month]) for month in range(number + 1)), Decimal(0)),
        )
        for cohort in members
        for number in range((until.year - cohort.year) * 12 + until.month - cohort.month + 1)
    }  # fmt: skip
    found = rows("""
        select cohort_month, month_number, member_count, buyer_count, order_count, cumulative_net_revenue
        from marts.agg_order_cohorts where cohort_kind = 'first_order'
    """)
    assert {(cohort, number): tuple(counts) for cohort, number, *counts in found} == truth
    ((late,),) = rows(
        "select count(*) from marts.agg_order_cohorts where is_complete"
        f" and cohort_month + to_months(month_number::int + 1) > date '{until}' + 1"
    )
    assert late == 0


def test_second_orders_are_estimated_as_kaplan_and_meier_did(world: World, rows: Rows) -> None:
    until, spans = last_day(world), []
    for its in orders_of(world).values():
        again = its[1][0] if len(its) > 1 else None
        spans.append((((again or until) - its[0][0]).days, again is not None))
    staying, truth = 1.0, {}
    for day in sorted({days for days, _ in spans}):
        waiting = sum(days >= day for days, _ in spans)
        staying *= 1 - spans.count((day, True)) / waiting
        truth[day] = 1 - staying
    found = dict(rows("select day_number, ordered_again_share from marts.agg_second_orders"))
    assert found == pytest.approx(truth)
    medians = [day for day, share in truth.items() if share >= 0.5][:1]
    assert rows("select day_number from marts.agg_second_orders where is_median") == [
        (day,) for day in medians
    ]


def stage(days: list[date], until: date, at_risk: int, lapsed: int) -> str:
    """Return the stage of somebody with acts on these days, in their order."""
    last = (until - days[-1]).days
    if last > at_risk:
        return "lapsed" if last > lapsed else "at_risk"
    returns = [later for before, later in pairwise(days) if (later - before).days > lapsed]
    if returns and (until - returns[-1]).days < 30:
        return "won_back"
    return "new" if (until - days[0]).days < 30 else "active"


def test_lives_on_channels_are_those_of_the_world(world: World, rows: Rows) -> None:
    until = last_day(world)
    shop = {person: sorted({day for day, _ in its}) for person, its in orders_of(world).items()}
    mails: dict[str, list[date]] = defaultdict(list)
    for email, day in world.sql("""
        select distinct lower(email), occurred_at::date
        from klaviyo_events join klaviyo_profiles using (profile_id)
        where metric_name in ('Opened Email', 'Clicked Email') and event_properties ->> 'machine_open' is null
            and event_properties ->> 'Bot Click' is null
        order by all
    """):
        mails[email].append(day)
    truth = Counter(("shop", stage(days, until, 90, 180)) for days in shop.values())
    truth += Counter(("email", stage(days, until, 60, 120)) for days in mails.values())
    found = rows(
        "select channel, lifecycle, person_count from marts.agg_lifecycle where channel in ('shop', 'email')"
    )
    assert {(channel, life): count for channel, life, count in found} == truth


def test_everybody_is_in_one_group_of_the_crossing(rows: Rows) -> None:
    ((crossed, mailable, buyers),) = rows(
        "select sum(person_count)::int, sum(mailable_count)::int, sum(buyer_count)::int"
        " from marts.agg_people_crossed"
    )
    assert [(crossed, mailable, buyers)] == rows(
        "select count(*), count(*) filter (where may_be_mailed),"
        " (select count(person_id) from marts.dim_buyers) from marts.dim_people"
    )


def test_no_prediction_is_judged_before_its_days_are_over(world: World, rows: Rows) -> None:
    ((predicted,),) = world.sql("select count(*) from klaviyo_profiles where predicted_clv is not null")
    until = last_day(world)
    found = rows(
        "select prediction_count, is_due, mean_actual, due_on > date '2027-11-01' from"
        " marts.agg_prediction_checks where predictor = 'klaviyo' and measure = 'net_revenue'"
    )
    assert found == [(predicted, False, None, True)]
    assert rows(
        f"select count(*) from marts.fct_prediction_outcomes where is_due and due_on > '{until}'"
    ) == [(0,)]
