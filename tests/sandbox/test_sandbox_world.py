"""The population: reproducible, growing with time, and worth modeling."""

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from sandbox.world import World

AS_OF = date(2026, 11, 21)
LISTED = {
    "people": "person_id",
    "single_sends": "single_send_id",
    "viewing_sessions": "event_key",
    "visitors": "visitor_key",
    "klaviyo_profiles": "profile_id",
    "klaviyo_events": "event_id",
    "klaviyo_segment_members": "segment_id, profile_id",
    "klaviyo_list_members": "list_id, profile_id",
    "klaviyo_campaigns": "campaign_id",
    "email_activity": "message_id, kind, happened_at",
    "sendgrid_contacts": "contact_id",
    "klaviyo_catalog_items": "catalog_item_id",
    "klaviyo_catalog_variants": "catalog_variant_id",
    "klaviyo_catalog_categories": "catalog_category_id",
    "sendgrid_suppressions": "kind, person_id",
    "single_send_variations": "variation_id",
}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World(2000, 7, AS_OF)
    yield world
    world.close()


def fingerprint(world: World, table: str) -> object:
    return world.sql(f"select count(*), bit_xor(hash(t)) from {table} as t")


def test_the_same_arguments_give_the_same_rows(world: World) -> None:
    again = World(2000, 7, AS_OF)
    assert [fingerprint(world, table) for table in LISTED] == [fingerprint(again, table) for table in LISTED]


def test_another_seed_gives_other_people(world: World) -> None:
    other = World(2000, 8, AS_OF)
    assert fingerprint(world, "people") != fingerprint(other, "people")


@pytest.mark.parametrize("table", LISTED)
def test_keys_are_unique(world: World, table: str) -> None:
    ((rows, keys),) = world.sql(f"select count(*), count(distinct ({LISTED[table]})) from {table}")
    assert rows == keys > 0


@pytest.mark.parametrize(
    ("table", "key", "lasting"),
    [
        ("people", "person_id", "email, country, device, joined_at"),
        ("viewing_sessions", "event_key", "visitor_key, hashed_id, received_at, visible_at, percent_viewed"),
        ("visitors", "visitor_key", "person_id, email, created_at"),
        ("klaviyo_events", "event_id", "profile_id, metric_id, occurred_at, visible_at, event_properties"),
        ("klaviyo_profiles", "profile_id", "email, created, properties, predicted_clv, churn_probability"),
        ("klaviyo_segment_members", "segment_id, profile_id", "joined_group_at"),
        ("klaviyo_list_members", "list_id, profile_id", "joined_group_at"),
        ("klaviyo_campaigns", "campaign_id", "campaign_message_id, name, channel, planned_at"),
        ("email_activity", "message_id, kind, happened_at", "single_send_id, ab_phase, ab_variation"),
        ("automation_activity", "message_id, kind, happened_at", "automation_id, step_id"),
        ("sendgrid_suppressions", "kind, email", "listed_at, reason, status, group_id"),
        (
            "sendgrid_contacts",
            "contact_id",
            "person_id, email, role, industry, list_ids::varchar, created_at",
        ),
    ],
)
def test_a_later_date_only_adds_rows(table: str, key: str, lasting: str) -> None:
    earlier, later = World(300, 7, AS_OF), World(300, 7, AS_OF + timedelta(days=9))
    before = set(earlier.sql(f"select {key}, {lasting} from {table}"))
    after = set(later.sql(f"select {key}, {lasting} from {table}"))
    assert before < after


def test_mails_are_read_mostly_on_the_own_kind_of_device_and_say_so_mostly(world: World) -> None:
    def share(condition: str, among: str) -> float:
        ((found,),) = world.sql(f"""
            select avg(({condition})::integer) from (
                select metric_name, device, client, platform in ('iphone', 'ipad', 'android') as is_mobile,
                    event_properties ->> 'Client OS Family' as system,
                    coalesce(event_properties ->> 'machine_open', event_properties ->> 'Bot Click') as machine
                from klaviyo_events join people using (person_id)
            ) where {among}
        """)
        return float(found)

    mails = "metric_name in ('Opened Email', 'Clicked Email')"
    assert share("system is null and machine is null", f"not {mails}") == 1
    assert 0.85 < share("(system in ('iOS', 'Android')) = is_mobile", f"{mails} and system is not null") < 0.9
    assert share("device = 'Webmail' and client = 'Gmail'", f"{mails} and system is null") == 1
    assert share("client like 'Apple%'", "metric_name = 'Opened Email' and machine = 'true'") == 1
    assert 0.01 < share("machine is not null", "metric_name = 'Clicked Email'") < 0.06


def test_a_later_date_brings_new_people_rows_that_were_late_and_changed_profiles() -> None:
    earlier, later = World(2000, 7, AS_OF), World(2000, 7, AS_OF + timedelta(days=3))
    noon = datetime(AS_OF.year, AS_OF.month, AS_OF.day, tzinfo=UTC)
    assert later.sql("select count(*) from people") > earlier.sql("select count(*) from people")
    for table, moment in [("viewing_sessions", "received_at"), ("klaviyo_events", "occurred_at")]:
        before = earlier.sql(f"select count(*) from {table}")
        assert later.sql(f"select count(*) from {table} where {moment} < ?", [noon]) > before
    old = dict(earlier.sql("select profile_id, updated from klaviyo_profiles"))
    new = dict(later.sql("select profile_id, updated from klaviyo_profiles"))
    moved = [profile for profile, updated in old.items() if new[profile] > updated]
    assert 0 < len(moved) < len(old) / 2
    assert all(new[profile] >= noon for profile in moved)


def test_nothing_is_from_the_future_and_late_rows_keep_within_their_bounds(world: World) -> None:
    noon = datetime(AS_OF.year, AS_OF.month, AS_OF.day, tzinfo=UTC)
    for table, moment, days in [("viewing_sessions", "received_at", 2), ("klaviyo_events", "occurred_at", 4)]:
        ((newest, lag, late),) = world.sql(
            f"select max(visible_at), max(visible_at - {moment}), avg((visible_at > {moment})::int) "
            f"from {table}"
        )
        assert newest < noon
        assert timedelta(days=days - 1) < lag < timedelta(days=days)
        assert 0.02 < late < 0.04


def test_all_five_viewer_clusters_occur_and_differ(world: World) -> None:
    sizes = _clusters(world)
    assert sizes.keys() == {
        "binge_watchers",
        "engaged_explorers",
        "bouncers",
        "skimmers",
        "casual_viewers",
    }
    assert min(sizes.values()) >= 50
    assert len(set(sizes.values())) == 5


def test_a_small_population_has_a_cluster_and_a_segment_too_small_to_speak_of() -> None:
    small = World(200, 7, AS_OF)
    assert 0 < min(_clusters(small).values()) < 20
    assert 0 < min(_segments(small).values()) < 20


def test_people_are_known_to_one_two_or_all_three_vendors(world: World) -> None:
    counts = dict(
        world.sql(
            "select in_sendgrid::int + in_wistia::int + in_klaviyo::int as vendors, count(*) "
            "from people group by all"
        )
    )
    assert counts.keys() == {1, 2, 3}
    for vendor in ("sendgrid", "wistia", "klaviyo"):
        ((share,),) = world.sql(f"select avg(in_{vendor}::int) from people")
        assert 0.65 < share < 0.75


def test_a_good_half_of_the_viewers_is_anonymous(world: World) -> None:
    ((known, blank, unknown),) = world.sql(
        "select count(nullif(email, '')), count(*) filter (email = ''), count(*) filter (email is null) "
        "from visitors"
    )
    assert blank > 0
    assert 0.5 < (blank + unknown) / (known + blank + unknown) < 0.75


def test_a_person_may_own_two_browsers_and_watch_a_media_twice(world: World) -> None:
    assert world.sql("select 1 from visitors group by person_id having count(person_id) = 2 limit 1")
    assert world.sql(
        "select 1 from viewing_sessions group by visitor_key, hashed_id having count(*) > 1 limit 1"
    )


def test_visitor_counters_are_the_sums_of_their_sessions(world: World) -> None:
    assert not world.sql(
        """
        select visitor_key from visitors
        left join (
            select visitor_key, count(*) as plays, sum(load_count) as loads
            from viewing_sessions group by all
        ) using (visitor_key)
        where play_count <> coalesce(plays, 0) or load_count <> coalesce(loads, 1)
        """
    )
    assert world.sql("select 1 from visitors where play_count = 0 limit 1")


def test_many_leave_where_a_media_is_tedious(world: World) -> None:
    tedious = world.sql("""
        select
            count(*) filter (percent_viewed >= tedious_share) as came,
            count(*) filter (percent_viewed between tedious_share and tedious_share + 2.1 / duration_seconds)
        from viewing_sessions join medias using (hashed_id)
        where tedious_share is not null
        group by hashed_id
    """)
    assert len(tedious) == 4
    assert all(0.2 < left / came < 0.6 for came, left in tedious)


def test_a_withdrawn_media_is_in_the_viewings_only(world: World) -> None:
    ((listed,),) = world.sql("select count(position) from medias")
    ((viewed,),) = world.sql(
        "select count(*) from viewing_sessions join medias using (hashed_id) where is_deleted"
    )
    assert listed == 24
    assert viewed > 0


def test_a_quarter_has_no_prediction_and_the_rest_spreads_over_tiers_and_churn_bands(world: World) -> None:
    ((share,),) = world.sql("select avg((predicted_clv is null)::int) from klaviyo_profiles")
    assert 0.2 < share < 0.3
    assert not world.sql(
        "select 1 from klaviyo_profiles where predicted_clv is null and coalesce(historic_clv, total_clv, "
        "historic_number_of_orders, predicted_number_of_orders, average_order_value, churn_probability) "
        "is not null"
    )
    bands = dict(
        world.sql(
            "select case when churn_probability < 0.33 then 'low' when churn_probability < 0.66 then "
            "'medium' else 'high' end, count(*) from klaviyo_profiles where predicted_clv is not null "
            "group by all"
        )
    )
    assert min(bands.values()) > 50
    ((typical, high),) = world.sql(
        "select median(predicted_clv), quantile_cont(predicted_clv, 0.95) from klaviyo_profiles"
    )
    assert high > 3 * typical


def test_historic_value_is_the_sum_of_placed_orders_and_an_order_the_sum_of_its_lines(world: World) -> None:
    assert not world.sql(
        """
        select profile_id from klaviyo_profiles
        left join (
            select profile_id, sum(value) as spent, count(*) as orders
            from klaviyo_events where metric_name = 'Placed Order' group by all
        ) using (profile_id)
        where abs(historic_clv - coalesce(spent, 0)) > 0.005
            or historic_number_of_orders <> coalesce(orders, 0)
        """
    )
    assert not world.sql(
        """
        select profile_id, occurred_at from klaviyo_events group by all
        having abs(sum(value) filter (metric_name = 'Placed Order')
            - sum(value) filter (metric_name = 'Ordered Product')) > 0.005
        """
    )


def test_some_messages_of_flows_lag_behind_those_with_the_same_trigger(world: World) -> None:
    rates = {
        name: (opened / received, clicked / received)
        for name, received, opened, clicked in world.sql(
            """
            select messages.name, count(*) filter (metric_name like 'Received%') as received,
                count(*) filter (metric_name = 'Opened Email' and nth = 1),
                count(*) filter (metric_name like 'Clicked%')
            from (
                select *, event_properties ->> '$.$message' as flow_message_id,
                    row_number() over (
                        partition by flow_message_id, profile_id, metric_id order by occurred_at
                    ) as nth
                from klaviyo_events
            )
            join klaviyo_flow_messages as messages using (flow_message_id)
            join klaviyo_flows as flows using (flow_id)
            where trigger_type = 'Metric' and messages.channel = 'email'
            group by all having received > 1000
            """
        )
    }
    assert len(rates) == 5
    opens, clicks = ({name: pair[n] for name, pair in rates.items()} for n in (0, 1))
    assert min(opens, key=opens.__getitem__) == "Browse reminder, second"
    assert {name for name, rate in clicks.items() if rate < 0.6 * sorted(clicks.values())[2]} == {
        "Browse reminder, second",
        "Asking for a review",
    }


def test_an_order_is_earned_by_the_last_touch_that_klaviyos_rule_counts(world: World) -> None:
    """Five days after an e-mail's open or click and a text's click, a day after a text's open, twelve hours
    after its delivery; receiving an e-mail is never attributed.
    """
    hours = {"Opened Email": 120, "Clicked Email": 120, "Clicked Text Message": 120, "Clicked SMS": 120,
             "Opened Text Message": 24, "Received Text Message": 12, "Received SMS": 12}  # fmt: skip
    touches: dict[str, list[tuple[datetime, datetime, str, int]]] = {}
    orders = []
    for event, profile, metric, occurred, known, message in world.sql(
        """
        select event_id, profile_id, metric_name, occurred_at, visible_at, event_properties ->> '$.$message'
        from klaviyo_events
        """
    ):
        if metric == "Placed Order":
            orders.append((event, profile, occurred))
        elif message and metric in hours:
            touches.setdefault(profile, []).append((occurred, known, event, hours[metric]))
    truth = {}
    for order, profile, ordered in orders:
        earning = [
            (occurred, event)
            for occurred, known, event, lasts in touches.get(profile, [])
            if known <= ordered <= occurred + timedelta(hours=lasts)
        ]
        if earning:
            truth[order] = max(earning)
    told = dict(world.sql("select event_id, attributed_event_id from klaviyo_attributions"))
    assert told.keys() == truth.keys()
    moments = dict(world.sql("select event_id, occurred_at from klaviyo_events"))
    assert all(moments[touch] == truth[order][0] for order, touch in told.items())
    assert 0.05 < len(truth) / len(orders) < 0.2


def test_an_old_account_names_what_earned_an_order_among_its_properties() -> None:
    old, new = World(300, 7, AS_OF, anomalies=frozenset({"old-attribution"})), World(300, 7, AS_OF)
    query = """
        select event_id, event_properties ->> '$.$attribution.$message',
            event_properties ->> '$.$attribution.$flow' from klaviyo_events
        where metric_name = 'Placed Order' and event_properties ->> '$.$attribution.$message' is not null
        order by 1
    """
    truth = "select event_id, message_id, flow_id from klaviyo_attributions order by 1"
    assert old.sql(query) == new.sql(truth) != []
    assert new.sql(query) == []


def test_texts_were_renamed_and_history_has_both_names(world: World) -> None:
    names = dict(world.sql("select metric_name, min(occurred_at) from klaviyo_events group by 1"))
    last = dict(world.sql("select metric_name, max(occurred_at) from klaviyo_events group by 1"))
    for deed in ("Received", "Clicked"):
        assert last[f"{deed} SMS"] < names[f"{deed} Text Message"]


def test_a_refund_or_cancellation_names_its_order_and_is_no_more_than_it(world: World) -> None:
    returned = world.sql(
        """
        select returned.metric_name, returned.value, ordered.value, returned.occurred_at > ordered.occurred_at
        from klaviyo_events as returned join klaviyo_events as ordered
            on ordered.metric_name = 'Placed Order'
            and ordered.event_properties ->> '$."$event_id"' = returned.event_properties ->> '$."$event_id"'
        where returned.metric_name in ('Refunded Order', 'Cancelled Order')
        """
    )
    assert {name for name, *_ in returned} == {"Refunded Order", "Cancelled Order"}
    assert all(value <= ordered and is_later for _, value, ordered, is_later in returned)
    assert any(value < ordered for _, value, ordered, _ in returned)


def test_campaigns_reach_only_who_agreed_and_only_they_answer(world: World) -> None:
    told = world.sql(
        """
        select channel, metric_name, campaign_id, person_id, occurred_at, visible_at, planned_at,
            email_consent = 'SUBSCRIBED', sms_consent = 'SUBSCRIBED'
        from klaviyo_events
        join klaviyo_campaigns on event_properties ->> '$.$message' = campaign_message_id
        join klaviyo_profiles using (person_id)
        """
    )
    assert all(may_sms if channel == "sms" else may_email for channel, *_, may_email, may_sms in told)
    received = {
        (campaign, person) for _, metric, campaign, person, *_ in told if metric.startswith("Received")
    }
    answered = [row for row in told if row[1].startswith(("Opened", "Clicked"))]
    assert {(campaign, person) for _, _, campaign, person, *_ in answered} <= received
    assert all(planned <= occurred for *_, occurred, _, planned, _, _ in told)
    assert {channel for channel, *_ in answered} == {"email", "sms"}


def test_a_campaign_that_changes_says_when() -> None:
    query = "select campaign_id, status, updated_at from klaviyo_campaigns"
    earlier, later = (World(50, 7, AS_OF + timedelta(days=days)) for days in (0, 7))
    before = {campaign: status for campaign, status, _ in earlier.sql(query)}
    changed = [row for row in later.sql(query) if before.get(row[0]) != row[1]]
    assert {status for _, status, _ in changed} == {"Draft", "Scheduled", "Sent"}
    assert all(AS_OF <= updated.date() < AS_OF + timedelta(days=7) for *_, updated in changed)


def test_some_campaigns_ran_on_both_channels_within_two_days_and_one_kind_did_not(world: World) -> None:
    pairs = world.sql(
        """
        select mail.subject, epoch(text.planned_at - mail.planned_at) / 3600
        from klaviyo_campaigns as mail join klaviyo_campaigns as text
            on mail.subject = text.subject and mail.channel = 'email' and text.channel = 'sms'
        where mail.status = 'Sent'
        """
    )
    close = [subject for subject, hours in pairs if hours <= 48]
    assert len(close) >= 4
    assert {subject.rpartition(" ")[0] for subject, hours in pairs if hours > 48} == {"Last chance"}


def test_segments_hold_a_near_duplicate_pair_a_contained_one_and_a_tiny_one(world: World) -> None:
    sizes = _segments(world)
    pairs = {
        frozenset((one, other)): shared
        for one, other, shared in world.sql(
            """
            with member as (
                select name, profile_id from klaviyo_segment_members join klaviyo_segments using (segment_id)
            )
            select a.name, b.name, count(*) from member a join member b
            on a.profile_id = b.profile_id and a.name < b.name group by all
            """
        )
    }
    assert len(sizes) == 8
    twins = frozenset(("Engaged in 90 days", "Active readers"))
    one, other = twins
    assert 0.8 <= pairs[twins] / (sizes[one] + sizes[other] - pairs[twins]) < 1
    assert (
        pairs[frozenset(("Customers", "Repeat customers"))] == sizes["Repeat customers"] < sizes["Customers"]
    )
    assert 0 < sizes["Founding members"] < 20


def test_device_and_country_shares_differ_between_groups(world: World) -> None:
    share = dict(
        world.sql(
            "select country, avg((device = 'Phone')::int) from people group by all having count(*) > 60"
        )
    )
    assert share["IN"] > share["DE"] + 0.15
    opens = dict(
        world.sql(
            "select device, count(*) from email_activity join people using (person_id) "
            "where kind = 'open' group by all"
        )
    )
    assert opens.keys() == {"Desktop", "Webmail", "Phone", "Tablet", "Other"}


def test_every_mail_has_one_request_and_one_outcome_before_anything_else(world: World) -> None:
    assert not world.sql(
        """
        select message_id from email_activity group by all
        having count(*) filter (kind = 'request') <> 1
            or count(*) filter (kind in ('delivered', 'bounce', 'block', 'bounce_drop', 'invalid_email',
                                         'spam_report_drop', 'unsubscribe_drop')) > 1
            or min(happened_at) filter (kind = 'open') <= min(happened_at) filter (kind = 'delivered')
            or count(*) filter (kind = 'open') = 0 and count(*) filter (kind in ('click', 'unsubscribe')) > 0
        """
    )


def test_most_contacts_state_a_role_and_an_industry_in_spellings_of_their_own(world: World) -> None:
    ((role, industry, roles, plain_roles),) = world.sql(
        "select count(role) / count(*), count(industry) / count(*), count(distinct role), "
        "count(distinct lower(role)) from sendgrid_contacts"
    )
    assert 0.85 < min(role, industry) < max(role, industry) < 0.95
    assert roles > plain_roles == 5
    assert world.sql("select count(*) from sendgrid_contacts") == world.sql(
        "select count(*) from people where in_sendgrid"
    )


def test_every_second_ab_test_has_a_variation_that_hardly_anybody_opens(world: World) -> None:
    rates: dict[int, list[float]] = {}
    for send, rate in world.sql(
        "select send_no, count(distinct message_id) filter (kind = 'open') "
        "/ count(*) filter (kind = 'delivered') "
        "from email_activity where ab_phase = 'test' group by send_no, ab_variation"
    ):
        rates.setdefault(send, []).append(rate)
    gaps = {send: max(pair) - min(pair) for send, pair in rates.items()}
    assert min(gap for send, gap in gaps.items() if send % 10 == 4) > 0.15
    assert max(gap for send, gap in gaps.items() if send % 10 == 9) < 0.15


def test_anomalies_make_rare_rows_frequent() -> None:
    odd = World(500, 7, AS_OF, anomalies=frozenset({"late-rows", "future-rows", "same-second"}))
    ((late,),) = odd.sql("select avg((visible_at > received_at)::int) from viewing_sessions")
    assert late > 0.15
    ((crowd,),) = odd.sql(
        "select count(*) as rows from klaviyo_events group by occurred_at order by rows desc limit 1"
    )
    assert crowd >= 1500
    ((ahead,),) = odd.sql("select count(*) from klaviyo_events where occurred_at >= ?", [AS_OF])
    assert ahead > 0
    with pytest.raises(ValueError, match="no such anomaly: typo"):
        World(500, 7, AS_OF, anomalies=frozenset({"typo"}))


def test_neighbouring_days_share_the_start_of_their_record() -> None:
    starts = {day: World(200, 7, date(2026, 10, day)).since for day in (27, 28, 29, 30)}
    assert starts == {27: date(2026, 1, 1), 28: date(2026, 1, 1), 29: date(2026, 7, 1), 30: date(2026, 7, 1)}


def test_two_thousand_people_are_made_in_about_a_second() -> None:
    started = time.process_time()
    World(2000, 7, AS_OF)
    assert time.process_time() - started < 3  # CPU seconds; measured: 0.4


def _segments(world: World) -> dict[str, int]:
    return dict(
        world.sql(
            "select name, count(*) from klaviyo_segment_members join klaviyo_segments using (segment_id) "
            "group by all"
        )
    )


def _clusters(world: World) -> dict[str, int]:
    return dict(
        world.sql(
            """
            with watched as (
                select visitor_key, hashed_id, max(percent_viewed) as share from viewing_sessions group by all
            ),
            viewer as (select count(*) as medias, avg(share) as share from watched group by visitor_key)
            select
                case
                    when medias >= 5 and share >= 0.75 then 'binge_watchers'
                    when medias >= 3 and share >= 0.50 then 'engaged_explorers'
                    when medias = 1 and share < 0.30 then 'bouncers'
                    when medias >= 2 and share < 0.50 then 'skimmers'
                    else 'casual_viewers'
                end as cluster,
                count(*)
            from viewer group by all
            """
        )
    )


def test_an_account_has_one_currency_and_its_amounts_stand_in_it() -> None:
    in_euros, in_yen = (World(60, 7, AS_OF, currency=currency) for currency in ("EUR", "JPY"))
    spent = "select currency, sum(value) from klaviyo_events where value is not null group by 1"
    ((euros, paid),) = in_euros.sql(spent)
    assert (euros, in_yen.sql(spent)) == ("EUR", [("JPY", pytest.approx(100 * paid))])
    for amount in ("price) from klaviyo_catalog_items", "predicted_clv) from klaviyo_profiles"):
        assert in_yen.sql(f"select sum({amount}") == [
            (pytest.approx(100 * in_euros.sql(f"select sum({amount}")[0][0]),)
        ]
    for bad in ("eur", "", "€"):
        with pytest.raises(ValueError, match="ISO 4217"):
            World(60, 7, AS_OF, currency=bad)


def test_a_rough_account_has_several_currencies_and_spells_amounts_in_many_ways() -> None:
    rough = World(500, 7, AS_OF, anomalies=frozenset({"rough"}), currency="EUR")
    orders = rough.sql(
        "select currency, value, event_properties ->> '$.$value', event_properties ->> '$.$value_currency',"
        " event_properties ->> 'currency_code' from klaviyo_events where metric_name = 'Placed Order'"
    )
    assert {currency for currency, *_ in orders} == {"EUR", "USD", "GBP", "JPY", None}
    in_euros = [order for order in orders if order[0] == "EUR"]
    assert len(in_euros) > 0.8 * len(orders)
    assert any(named is code is None for *_, named, code in in_euros), "many events name no currency"
    assert {"eur"} < {code for *_, code in orders}
    told = {text for _, value, text, *_ in orders if value is not None}
    assert all(any(sign in text for text in told) for sign in "€+, ")
    unread = {text for _, value, text, *_ in orders if value is None}
    assert unread <= {"NaN", "n/a", "1e400", "12.34.56", "1,23,4"}
