"""Loading on unusual days: late rows, clocks, faults, messages."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import duckdb
import pytest

from common import settings
from common.settings import Settings
from ingest.__main__ import Shown
from ingest.model import Resource
from ingest.pipeline import run
from ingest.vendors.wistia import READ_STATS, WISTIA
from sandbox import wistia
from sandbox.faults import Fault
from sandbox.server import Sandbox, serving
from sandbox.world import World
from tests.ingest import test_ingest as shared
from tests.ingest.test_ingest import HISTORY_DAYS, TODAY, TOMORROW, Machine, Ran, differences

machine = shared.machine
sandbox = shared.sandbox
worlds = shared.worlds

# --- late rows and clocks ----------------------------------------------------------------------------


def test_what_an_earlier_version_did_not_load_is_read_anew_by_itself(
    machine: Machine, sandbox: Sandbox, worlds: Mapping[date, World]
) -> None:
    """Until a run has succeeded: one that fails in between does not count."""
    machine.ingest("klaviyo")
    with duckdb.connect(str(machine.warehouse)) as connection:
        connection.execute("alter table raw_klaviyo.events drop column attributions")
    sandbox.faults.add(Fault("500", "klaviyo", path="/events"))
    machine.ingest("klaviyo")
    sandbox.faults.clear()
    assert machine.rows("select count(attributions) from raw_klaviyo.events") == [(0,)]
    machine.ingest("klaviyo")
    assert differences(machine, worlds[TODAY], "raw_klaviyo.events") == []
    again = machine.ingest("klaviyo").resource("klaviyo events")
    assert (again["deep_at"], again["rows_changed"]) == (None, 0)


def test_klaviyo_is_asked_for_the_one_type_of_its_specification(machine: Machine, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("strict-accept", "klaviyo"))
    assert machine.ingest("klaviyo").code == 0


def test_an_attribution_that_comes_later_than_its_order_is_picked_up(
    machine: Machine, sandbox: Sandbox, worlds: Mapping[date, World]
) -> None:
    sandbox.faults.add(Fault("late-attribution", "klaviyo", path="/events"))
    machine.ingest("klaviyo")
    sandbox.faults.clear()
    assert machine.rows("select count(attributions) from raw_klaviyo.events") == [(0,)]
    found = machine.ingest("klaviyo").resource("klaviyo events")
    recent = worlds[TODAY].sql(
        "select event_id from klaviyo_attributions join klaviyo_events using (event_id)"
        f" where occurred_at >= timestamptz '{TODAY} 00:00:00+00' - interval 7 days"
        f" and occurred_at < timestamptz '{TODAY} 00:00:00+00' order by 1"
    )
    query = "select id from raw_klaviyo.events where attributions is not null order by 1"
    assert machine.rows(query) == recent != []
    assert (found["rows_new"], found["rows_changed"]) == (0, len(recent))


def test_what_comes_later_than_the_overlap_is_found_within_a_week(machine: Machine) -> None:
    """Rows that a vendor had not shown yet are removed from raw, where no usual run looks for them."""
    vendors = ("sendgrid", "wistia", "klaviyo")
    hidden = {
        "raw_sendgrid.global_stats": "date",
        "raw_sendgrid.single_send_daily_stats": "date",
        "raw_wistia.events": "received_at",
        "raw_wistia.media_stats_by_date": "date",
        "raw_klaviyo.events": "datetime",
        "raw_klaviyo.profiles": "updated",
        "raw_klaviyo.metric_aggregates": "date",
        "raw_klaviyo.campaigns": "updated_at",
    }

    def ingest(day: date, *arguments: str) -> tuple[Ran, set[str]]:
        world = World(60, 7, day, since=date(2026, 7, 1))
        with serving(Sandbox(world, limits="off")) as url:
            machine.meet(url, day)
            ran = machine.ingest(*arguments)
        assert ran.report["errors"] == []
        return ran, {text.partition(":")[0] for text in differences(machine, world)}

    def read_deeply(ran: Ran) -> set[str]:
        return {f"raw_{row['vendor']}.{row['resource']}" for row in ran.report["resources"] if row["deep_at"]}

    ingest(TODAY, *vendors)
    with duckdb.connect(str(machine.warehouse)) as connection:
        for table, column in hidden.items():
            old = f"{column} between date '{TODAY}' - 100 and date '{TODAY}' - 30"
            assert connection.execute(f"delete from {table} where {old}").fetchall() > [(0,)]
    usual, missing = ingest(TOMORROW, *vendors)
    assert (missing, read_deeply(usual)) == (set(hidden), set())

    forced, missing = ingest(TOMORROW, "wistia", "--deep")
    assert missing == {table for table in hidden if "wistia" not in table}
    assert forced.resource("wistia events")["rows_late"] > 0
    assert re.search(r"wistia +events .* late .* s +deep re-read\n", forced.said)

    weekly, missing = ingest(TODAY + timedelta(days=7), *vendors)
    assert missing == set()
    assert read_deeply(weekly) >= {table for table in hidden if "wistia" not in table}
    assert "raw_wistia.events" not in read_deeply(weekly)  # it was six days ago
    assert "raw_sendgrid.device_stats" not in read_deeply(weekly)  # the vendor forgets old ones
    recorded = machine.rows("from raw_ops.loads select count(distinct deep_at) where resource = 'events'")
    assert recorded == [(3,)]


def test_an_interrupted_first_load_goes_on_and_is_not_begun_again(machine: Machine, sandbox: Sandbox) -> None:
    first = machine.ingest("wistia")
    with duckdb.connect(str(machine.warehouse)) as connection:
        connection.execute("delete from raw_ops.loads")  # a killed run leaves no line
    again = machine.ingest("wistia")
    asked = [ran.resource("wistia events")["requests"] for ran in (first, again)]
    assert asked[1] < asked[0]
    assert again.resource("wistia events")["deep_at"]


def test_a_clock_that_was_wrong_loses_nothing_and_moves_no_cursor_back(machine: Machine) -> None:
    """With a clock three days behind, vendors' rows of these days have future dates; then it is set right."""
    world = World(60, 7, TODAY, since=date(2026, 7, 1))

    def ingest_at(days: int) -> Ran:
        machine.set(RUN_AT=f"{TODAY + timedelta(days=days)}T06:00:00Z", HISTORY_DAYS=f"{HISTORY_DAYS + days}")
        ran = machine.ingest("sendgrid", "wistia", "klaviyo")
        assert ran.report["errors"] == []
        return ran

    with serving(Sandbox(world, limits="off")) as url:
        machine.meet(url, TODAY)
        assert ingest_at(-3).report["warnings"] == []
        assert ingest_at(0).report["warnings"] == []
        assert not differences(machine, world)

        (warning,) = ingest_at(-10).report["warnings"]
        assert re.fullmatch(
            r"the clock says 2026-11-11 06:00 UTC, but loads reach to 2026-11-2[01] \d\d:\d\d: set the "
            r"clock, or RUN_AT, right\. Nothing is lost, no cursor moved back",
            warning,
        )
        again = ingest_at(0)
    assert (again.report["totals"]["rows_new"], again.report["warnings"]) == (0, [])
    assert not differences(machine, world)


# --- bad days ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("anomaly", ["late-rows", "future-rows", "same-second"])
def test_odd_rows_are_read_once_and_do_not_move_the_cursor_too_far(machine: Machine, anomaly: str) -> None:
    for day in (TODAY, TOMORROW):
        world = World(200, 7, day, since=date(2026, 7, 1), anomalies=frozenset({anomaly}))
        with serving(Sandbox(world, limits="off")) as url:
            machine.meet(url, day)
            assert machine.ingest("klaviyo", "wistia").code == 0
        assert not differences(machine, world, "raw_klaviyo") + differences(machine, world, "raw_wistia")


def test_a_resource_that_fails_leaves_the_others_and_the_next_run_completes_it(
    machine: Machine, sandbox: Sandbox, worlds: Mapping[date, World]
) -> None:
    sandbox.faults.add(Fault("500", vendor="klaviyo", path="/api/events"))
    ran = machine.ingest()
    assert ran.code == 1
    (error,) = ran.report["errors"]
    assert error == (
        "klaviyo events: 500 on /klaviyo/api/events, 8 times. Not loaded; the next run reads it again"
    )
    assert f"error: {error}" in ran.said
    missing = differences(machine, worlds[TODAY])
    assert [text.partition(":")[0] for text in missing] == ["raw_klaviyo.events"]
    assert machine.rows("from raw_ops.loads select vendor, resource, rows_new where outcome = 'failed'") == [
        ("klaviyo", "events", 0)
    ]
    sandbox.faults.clear()
    assert machine.ingest().code == 0
    assert not differences(machine, worlds[TODAY])


class Changed:
    """A sandbox that changes answers of some paths: `before` becomes `after`, at most `times` per answer, or
    all answers get another `status`.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        path: str,
        before: bytes = b"",
        after: bytes = b"",
        times: int = -1,
        status: int = 0,
    ) -> None:
        self._sandbox, self._path, self._change, self._status = sandbox, path, (before, after, times), status

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def changed(message: Any) -> None:
            if message["type"] == "http.response.body" and self._change[0]:
                message = message | {"body": message["body"].replace(*self._change)}
            elif message["type"] == "http.response.start":
                headers = [header for header in message["headers"] if header[0] != b"content-length"]
                message = message | {"headers": headers, "status": self._status or message["status"]}
            await send(message)

        await self._sandbox(scope, receive, changed if self._path in scope["path"] else send)


def test_an_account_without_counts_by_day_is_told_and_is_no_failure(
    machine: Machine, worlds: Mapping[date, World]
) -> None:
    sandbox = Sandbox(worlds[TODAY], limits="off")

    async def without(scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"].replace("/stats/account/by_date", "/stats/nothing")
        await sandbox(scope | {"path": path, "raw_path": path.encode()}, receive, send)

    served: Any = without
    with serving(served) as url:
        machine.meet(url, TODAY)
        ran = machine.ingest("wistia")
    assert (ran.code, ran.report["errors"]) == (0, [])
    assert ran.report["warnings"] == [
        "wistia: the account's counts by day are not served here; those by media are"
    ]
    assert ran.resource("wistia media_stats_by_date")["rows_new"] > 0


def aside(ran: Ran, name: str) -> list[tuple[str, str, int]]:
    return [(each["field"], each["reason"], each["count"]) for each in ran.resource(name)["set_aside"]]


def test_a_changed_type_keeps_nothing_and_says_where(machine: Machine, worlds: Mapping[date, World]) -> None:
    before, after = b'"percent_viewed":0', b'"percent_viewed":"n/a","was":0'
    changed: Any = Changed(Sandbox(worlds[TODAY], limits="off"), "events.json", before, after)
    with serving(changed) as url:
        machine.meet(url, TODAY)
        ran = machine.ingest("wistia")
    assert ran.code == 1
    (error,) = ran.report["errors"]
    assert re.fullmatch(
        r'raw_wistia\.events\.percent_viewed was double, now text \("n/a", event \S+\)\. '
        r"Load not kept: docs/operating\.md, Types",
        error,
    )
    assert machine.rows("select count(*) from raw_wistia.events") == [(0,)]


def test_a_value_that_cannot_be_read_is_null_counted_once_and_no_more_once_it_can(
    machine: Machine, worlds: Mapping[date, World]
) -> None:
    sandbox = Sandbox(worlds[TODAY], limits="off")
    before, after = b'"percent_viewed":0', b'"percent_viewed":NaN,"was":0'
    odd: Any = Changed(sandbox, "events.json", before, after, times=1)
    kept = "select count(*), count(distinct row_key) from raw_ops.set_aside where resource = 'events'"
    with serving(odd) as url:
        machine.meet(url, TODAY)
        ran = machine.ingest("wistia")
        assert (ran.code, ran.report["errors"]) == (0, [])
        ((_, _, count),) = found = aside(ran, "wistia events")
        assert found == [("percent_viewed", "not finite", count)]
        assert f"aside wistia events: {count} set aside (percent_viewed not finite {count})" in ran.said
        assert machine.ingest("wistia", "--deep").code == 0
    assert machine.rows(kept) == [(count, count)]
    assert machine.rows("select count(*) from raw_wistia.events where percent_viewed is null") == [(count,)]
    keys = [key for (key,) in machine.rows("select event_key from raw_wistia.events")]
    assert not {key for (key,) in machine.rows("select row_key from raw_ops.set_aside")} & set(keys)
    with serving(sandbox) as url:
        machine.meet(url, TODAY)
        assert machine.ingest("wistia", "--deep").code == 0
    assert machine.rows(kept) == [(0, 0)]
    assert not differences(machine, worlds[TODAY], "raw_wistia")


@pytest.mark.parametrize(
    ("path", "resource", "kind"),
    [
        ("/marketing/stats/automations/", "sendgrid automation_stats", "id"),
        ("/marketing/stats/singlesends/", "sendgrid single_send_variation_stats", "id"),
        ("/flow-messages", "klaviyo flow_messages", "action"),
        ("/template", "klaviyo flow_message_templates", "message"),
        ("/relationships/items", "klaviyo catalog_category_items", "category"),
    ],
)
def test_something_listed_that_is_gone_is_counted_and_the_others_are_loaded(
    machine: Machine, worlds: Mapping[date, World], path: str, resource: str, kind: str
) -> None:
    gone: Any = Changed(Sandbox(worlds[TODAY], limits="off"), path, status=404)
    with serving(gone) as url:
        machine.meet(url, TODAY)
        ran = machine.ingest(resource.partition(" ")[0])
    assert (ran.code, ran.report["errors"]) == (0, [])
    ((field, reason, count),) = aside(ran, resource)
    assert (field, reason) == (kind, "gone")
    assert count > 0


def test_rows_that_are_none_are_counted_and_the_others_loaded(
    machine: Machine, worlds: Mapping[date, World]
) -> None:
    before, after = (
        b'{"data":[',
        b'{"data":[null,7,{"id":null,"attributes":{"updated":"2026-07-01T00:00:00Z"}},',
    )
    odd: Any = Changed(Sandbox(worlds[TODAY], limits="off"), "/api/profiles", before, after)
    with serving(odd) as url:
        machine.meet(url, TODAY)
        ran = machine.ingest("klaviyo")
    assert (ran.code, ran.report["errors"]) == (0, [])
    assert aside(ran, "klaviyo profiles") == [("id", "not a row", 2), ("id", "no key", 1)]
    assert not differences(machine, worlds[TODAY], "raw_klaviyo")


def test_words_of_a_vendor_that_no_database_takes_end_no_other_load(
    machine: Machine, worlds: Mapping[date, World]
) -> None:
    words = rb'{"errors": [{"detail": "half \ud83d \u001b[31m\u0000 a word"}]}'
    sandbox = Sandbox(worlds[TODAY], limits="off")

    async def said(scope: Any, receive: Any, send: Any) -> None:
        async def instead(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = message | {"status": 400, "headers": [(b"content-type", b"application/json")]}
            await send(message if message["type"] == "http.response.start" else message | {"body": words})

        await sandbox(scope, receive, instead if "/api/catalog-variants" in scope["path"] else send)

    served: Any = said
    with serving(served) as url:
        machine.meet(url, TODAY)
        ran = machine.ingest("klaviyo", "wistia")
    assert ran.code == 1
    told = "klaviyo catalog_variants: 400 on /klaviyo/api/catalog-variants: half a word."
    assert told in " ".join(ran.report["errors"])
    assert not differences(machine, worlds[TODAY], "raw_wistia")


# --- messages of failures ----------------------------------------------------------------------------


def test_a_wrong_key_is_said_once_and_leaves_the_other_sources(machine: Machine, sandbox: Sandbox) -> None:
    machine.set(KLAVIYO_API_KEY="pk_wrong")
    ran = machine.ingest("klaviyo", "wistia")
    assert ran.code == 1
    (error,) = ran.report["errors"]
    assert error == (
        "klaviyo refused KLAVIYO_API_KEY (401): nothing loaded from it, the other sources were. "
        "Run make doctor"
    )
    assert "pk_wrong" not in ran.said
    assert machine.rows("select count(*) > 0 from raw_wistia.events") == [(True,)]


def test_a_missing_scope_is_named_with_what_stays_behind(machine: Machine, sandbox: Sandbox) -> None:
    machine.set(WISTIA_API_TOKEN=wistia.NARROW_KEY)
    ran = machine.ingest("wistia", "sendgrid")
    assert ran.code == 1
    assert (
        "wistia: the key lacks Read detailed stats (401 on /wistia/v1/stats/events.json). "
        "Add it; events stays as it is"
    ) in ran.report["errors"]
    assert machine.rows("select count(*) > 0 from raw_wistia.medias") == [(True,)]


def test_an_optional_scope_that_a_key_lacks_is_named_and_fails_nothing(
    machine: Machine, sandbox: Sandbox
) -> None:
    machine.set(WISTIA_API_TOKEN=wistia.NARROW_KEY)

    def resources(chosen: Settings) -> list[Resource]:
        return [replace(each, optional=each.scope == READ_STATS) for each in WISTIA.resources(chosen)]

    source = replace(WISTIA, resources=resources)
    summary = run(settings.load(), [source], ["wistia"], Shown())
    assert not summary.errors
    (notice,) = summary.notices
    assert notice.startswith("wistia: the key lacks Read detailed stats: visitors, events, media_stats")
    assert machine.rows("select distinct outcome from raw_ops.loads order by all") == [
        ("loaded",),
        ("skipped",),
    ]
    assert machine.rows("select count(*) > 0 from raw_wistia.medias") == [(True,)]


def test_real_and_invented_rows_never_share_a_file(machine: Machine, sandbox: Sandbox) -> None:
    machine.ingest("wistia")
    machine.set(KLAVIYO_BASE_URL="https://a.klaviyo.com/api")
    ran = machine.ingest("klaviyo")
    assert ran.code == 2
    assert "warehouse.duckdb holds sandbox rows of wistia, but KLAVIYO_BASE_URL is live" in ran.said


def test_an_unknown_source_is_a_question_of_spelling(machine: Machine) -> None:
    ran = machine.ingest("wista")
    assert ran.code == 2
    assert "no such source: wista" in ran.said
