"""SendGrid in the sandbox: its paging, its refusals, and figures that add up to the events."""

import csv
import gzip
import io
import json
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import sendgrid as vendors_own_client  # type: ignore[import-untyped]

from sandbox.sendgrid import KEY
from sandbox.server import running
from sandbox.world import World
from tests import specs

AS_OF = date(2026, 11, 21)
WORLD = World(600, 7, AS_OF, since=date(2026, 1, 1))
EVER = {"start_date": "2026-01-01", "end_date": "2026-11-20"}
KIND_OF = {
    "requests": "request",
    "delivered": "delivered",
    "opens": "open",
    "clicks": "click",
    "bounces": "bounce",
    "bounce_drops": "bounce_drop",
    "invalid_emails": "invalid_email",
    "spam_reports": "spam_report",
    "spam_report_drops": "spam_report_drop",
    "unsubscribes": "unsubscribe",
}


# Rows without a variation have "all" where the specification has a UUID; a draft's send_at and the abtest of
# a single send without a test are null, which it does not allow.
LIVE_DIFFERS = ["results/*/ab_variation", "result/*/send_at", "result/*/abtest"]


@pytest.fixture(scope="module")
def root() -> Iterator[str]:
    with running(WORLD, limits="off") as url:
        yield f"{url}/sendgrid"


def get(root: str, path: str, **params: Any) -> requests.Response:
    return requests.get(
        f"{root}/v3{path}", params=params, headers={"Authorization": f"Bearer {KEY}"}, timeout=10
    )


def rows(root: str, path: str, field: str, **params: Any) -> list[Any]:
    """Return all rows of a listing, page by page, following `next` as a client does."""
    found: list[Any] = []
    while True:
        body = get(root, path, **params).json()
        found += body[field]
        if "next" not in body["_metadata"]:
            return found
        params |= {"page_token": parse_qs(urlsplit(body["_metadata"]["next"]).query)["page_token"][0]}


def an_ab_test() -> str:
    rows = WORLD.sql(
        "select single_send_id from single_sends where is_abtest and status = 'triggered' limit 1"
    )
    return str(rows[0][0])


def summed(buckets: list[Any], *names: str) -> dict[Any, int]:
    """Sum over all days, by (name, metric), or by metric alone if rows have no name."""
    total: Counter[Any] = Counter()
    for bucket in buckets:
        for row in bucket["stats"]:
            for metric, value in row["metrics"].items():
                total[(row["name"], metric) if "name" in row else metric] += value
    return {key: value for key, value in total.items() if value}


@pytest.mark.parametrize("size", [1, 7, 50])
def test_every_single_send_comes_once_whatever_the_page_size(root: str, size: int) -> None:
    ids = [row["id"] for row in rows(root, "/marketing/singlesends", "result", page_size=size)]
    wanted = WORLD.sql("select single_send_id from single_sends order by position")
    assert ids == [send_id for (send_id,) in wanted]


def test_next_is_an_absolute_address_on_the_host_that_was_asked(root: str) -> None:
    metadata = get(root, "/marketing/singlesends", page_size=5).json()["_metadata"]
    assert metadata["next"].startswith(f"{root}/v3/marketing/singlesends?")
    assert metadata["count"] == len(WORLD.sql("select 1 from single_sends"))
    assert "prev" not in metadata
    following = requests.get(metadata["next"], headers={"Authorization": f"Bearer {KEY}"}, timeout=10).json()
    assert following["_metadata"]["prev"]


def test_totals_of_single_sends_are_what_happened(root: str) -> None:
    served = {
        row["id"]: row["stats"] for row in rows(root, "/marketing/stats/singlesends", "results", page_size=4)
    }
    happened: dict[str, dict[str, int]] = {}
    for send_id, kind, count, mails in WORLD.sql(
        "select single_send_id, kind, count(*), count(distinct message_id) from email_activity "
        "where single_send_id is not null group by all"
    ):
        stats = happened.setdefault(send_id, {})
        stats[kind] = count
        stats[f"unique {kind}"] = mails
    triggered = {
        send_id
        for (send_id,) in WORLD.sql("select single_send_id from single_sends where status = 'triggered'")
    }
    assert served.keys() == triggered
    for send_id, stats in served.items():
        kinds = happened.get(send_id, {})
        assert {metric: stats[metric] for metric in KIND_OF} == {
            metric: kinds.get(kind, 0) for metric, kind in KIND_OF.items()
        }
        assert stats["unique_opens"] == kinds.get("unique open", 0)
        assert stats["unique_clicks"] == kinds.get("unique click", 0)


def test_days_of_a_single_send_sum_to_its_total_except_for_unique_figures(root: str) -> None:
    path = f"/marketing/stats/singlesends/{an_ab_test()}"
    (total,) = rows(root, path, "results", **EVER)
    days = rows(root, path, "results", aggregated_by="day", page_size=3, **EVER)
    for metric, value in total["stats"].items():
        over_days = sum(day["stats"][metric] for day in days)
        assert over_days > value if metric == "unique_opens" else over_days >= value
        assert over_days == value or metric.startswith("unique_")
    assert [day["aggregation"] for day in days] == sorted({day["aggregation"] for day in days})


def test_an_ab_test_is_split_by_variation_and_phase(root: str) -> None:
    path = f"/marketing/stats/singlesends/{an_ab_test()}"
    (total,) = rows(root, path, "results", **EVER)
    parts = rows(root, path, "results", group_by="ab_variation,ab_phase", **EVER)
    assert {part["ab_phase"] for part in parts} == {"test", "send"}
    assert len({part["ab_variation"] for part in parts}) == 2
    assert sum(part["stats"]["unique_opens"] for part in parts) == total["stats"]["unique_opens"]


def test_account_stats_have_every_day_and_are_what_happened(root: str) -> None:
    buckets = get(root, "/stats", **EVER).json()
    assert [bucket["date"] for bucket in buckets] == [
        (date(2026, 1, 1) + timedelta(days=n)).isoformat() for n in range(324)
    ]
    happened = dict(WORLD.sql("select kind, count(*) from email_activity group by all"))
    served = summed(buckets)
    assert {metric: served.get(metric, 0) for metric in KIND_OF} == {
        metric: happened.get(kind, 0) for metric, kind in KIND_OF.items()
    }
    drops = ("bounce_drops", "invalid_emails", "spam_report_drops", "unsubscribe_drops")
    assert served["processed"] == served["requests"] - sum(served.get(drop, 0) for drop in drops)
    assert served["processed"] == served["delivered"] + served["bounces"] + served.get("blocks", 0)


@pytest.mark.parametrize(
    ("path", "column", "kinds"),
    [
        ("/devices/stats", "device", {"opens": "open"}),
        ("/clients/stats", "client", {"opens": "open"}),
        ("/browsers/stats", "browser", {"clicks": "click"}),
        ("/geo/stats", "country", {"opens": "open", "clicks": "click"}),
        ("/mailbox_providers/stats", "provider", {"delivered": "delivered", "requests": "request"}),
    ],
)
def test_breakdowns_are_what_happened_to_the_people_of_each_name(
    root: str, path: str, column: str, kinds: dict[str, str]
) -> None:
    served = summed(get(root, path, **EVER).json())
    for metric, kind in kinds.items():
        happened = dict(
            WORLD.sql(
                f"select {column}, count(*) from email_activity join people using (person_id) "
                "where kind = ? group by all",
                [kind],
            )
        )
        assert {name: count for (name, counted), count in served.items() if counted == metric} == happened


def test_provinces_are_told_for_the_united_states_and_canada_only(root: str) -> None:
    served = get(root, "/geo/stats", country="CA", **EVER).json()
    happened = WORLD.sql(
        "select region_code, count(*) from email_activity join people using (person_id) "
        "where kind = 'open' and country = 'CA' group by all"
    )
    assert {name: count for (name, metric), count in summed(served).items() if metric == "opens"} == dict(
        happened
    )
    assert {row["type"] for bucket in served for row in bucket["stats"]} == {"province"}
    assert get(root, "/geo/stats", country="DE", **EVER).status_code == 400


def test_unique_opens_count_a_mail_once_in_each_bucket(root: str) -> None:
    for unit in ("day", "week", "month"):
        served = summed(get(root, "/stats", aggregated_by=unit, **EVER).json())
        ((mails,),) = WORLD.sql(
            f"select count(distinct (message_id, date_trunc('{unit}', happened_at))) "
            "from email_activity where kind = 'open'"
        )
        assert served["unique_opens"] == mails


def test_longer_buckets_are_labelled_with_their_first_day(root: str) -> None:
    asked = {"start_date": "2026-02-10", "end_date": "2026-04-02"}
    assert [b["date"] for b in get(root, "/stats", aggregated_by="month", **asked).json()] == [
        "2026-02-01",
        "2026-03-01",
        "2026-04-01",
    ]
    assert get(root, "/stats", aggregated_by="week", **asked).json()[0]["date"] == "2026-02-09"


def test_limit_and_offset_count_buckets(root: str) -> None:
    everything = get(root, "/devices/stats", **EVER).json()
    assert get(root, "/devices/stats", limit=10, offset=25, **EVER).json() == everything[25:35]
    assert get(root, "/devices/stats", offset=400, **EVER).json() == []


def test_names_narrow_browsers_and_providers(root: str) -> None:
    served = get(root, "/browsers/stats", browsers=["Chrome", "Edge"], **EVER).json()
    assert {row["name"] for bucket in served for row in bucket["stats"]} == {"Chrome", "Edge"}
    phones = get(root, "/clients/phone/stats", **EVER).json()
    assert "Apple iPhone" in {row["name"] for bucket in phones for row in bucket["stats"]}
    assert "Outlook" not in {row["name"] for bucket in phones for row in bucket["stats"]}


@pytest.mark.parametrize(
    ("path", "params", "status", "field"),
    [
        ("/marketing/stats/singlesends", {"page_size": 100}, 400, "page_size"),
        ("/marketing/stats/singlesends", {"page_size": 0}, 400, "page_size"),
        ("/marketing/stats/singlesends", {"page_token": "nonsense"}, 400, "page_token"),
        (
            "/marketing/stats/singlesends",
            {"singlesend_ids": ",".join("abcdefghijklmnopqrstuvwxyz")},
            400,
            "singlesend_ids",
        ),
        ("/stats", {}, 400, "start_date"),
        ("/stats", {"start_date": "yesterday"}, 400, "start_date"),
        ("/stats", {"start_date": "2026-02-01", "end_date": "2026-01-01"}, 400, "end_date"),
        ("/stats", {"start_date": "2026-02-01", "aggregated_by": "total"}, 400, "aggregated_by"),
        ("/stats", {"start_date": "2021-01-01", "aggregated_by": "week"}, 500, None),  # in a 53rd week
        ("/marketing/singlesends/00000000-0000-4000-8000-000000000000", {}, 404, None),
        ("/marketing/stats/automations", {"page_size": 51}, 400, "page_size"),
        ("/marketing/stats/automations/no-such", {"group_by": "ab_phase"}, 400, "group_by"),
        ("/marketing/stats/automations/no-such", {}, 404, None),
        ("/suppression/bounces", {"limit": 501}, 400, "limit"),
        ("/suppression/bounces", {"start_time": "yesterday"}, 400, "start_time"),
        ("/suppression/nothing", {}, 404, None),
        ("/no/such/thing", {}, 404, None),
    ],
)
def test_wrong_requests_are_refused_in_the_vendors_words(
    root: str, path: str, params: dict[str, Any], status: int, field: str | None
) -> None:
    answer = get(root, path, **params)
    assert answer.status_code == status
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert error["message"]


def test_a_wrong_or_missing_key_is_refused(root: str) -> None:
    for headers in ({}, {"Authorization": "Bearer SG.other"}, {"Authorization": KEY}):
        answer = requests.get(f"{root}/v3/scopes", headers=headers, timeout=10)
        assert answer.status_code == 401
        assert answer.json()["errors"][0]["message"] == "authorization required"


def test_every_answer_tells_how_the_limit_stands_and_429_when_it_is_used_up() -> None:
    with running(World(50, 7, AS_OF)) as url:
        statuses = []
        for _ in range(601):
            answer = get(f"{url}/sendgrid", "/scopes")
            statuses.append(answer.status_code)
            assert answer.headers["X-RateLimit-Limit"] == "600"
            assert int(answer.headers["X-RateLimit-Reset"]) % 60 == 0
            if answer.status_code == 429:
                break
        # the minute may end during the test, so at least 600 are admitted
        assert statuses.count(200) >= 600 or statuses[-1] == 429
        assert answer.status_code == 200 or answer.json() == {
            "errors": [{"field": None, "message": "too many requests"}]
        }


def test_an_empty_page_goes_on_and_a_repeated_one_brings_known_rows() -> None:
    with running(WORLD, limits="off") as url:
        first = get(f"{url}/sendgrid", "/marketing/singlesends", page_size=10).json()
        token = parse_qs(urlsplit(first["_metadata"]["next"]).query)["page_token"][0]

        def second(fault: str) -> Any:
            requests.post(f"{url}/control/faults", json={"name": fault, "count": 1}, timeout=10)
            return get(f"{url}/sendgrid", "/marketing/singlesends", page_size=10, page_token=token).json()

        empty, repeated = second("empty-page"), second("repeated-page")
        assert (empty["result"], repeated["result"]) == ([], first["result"])
        assert empty["_metadata"]["next"] == repeated["_metadata"]["next"]


# --- automations and suppressions --------------------------------------------------------------------


def test_steps_of_an_automation_sum_to_its_total(root: str) -> None:
    listed = rows(root, "/marketing/stats/automations", "results", page_size=2)
    mails = dict(
        WORLD.sql(
            "select automation_id, count(distinct message_id) from automation_activity"
            " where kind = 'open' group by 1"
        )
    )
    assert {row["id"]: row["stats"]["unique_opens"] for row in listed} == mails
    assert {row["step_id"] for row in listed} == {"all"}
    for row in listed:
        path = f"/marketing/stats/automations/{row['id']}"
        steps = rows(root, path, "results", group_by="step_id", **EVER)
        days = rows(root, path, "results", aggregated_by="day", **EVER)
        assert len({step["step_id"] for step in steps}) == 3
        for metric, total in row["stats"].items():
            assert sum(step["stats"][metric] for step in steps) == total
            assert sum(day["stats"][metric] for day in days) == total or metric.startswith("unique_")
        (narrowed,) = rows(root, path, "results", group_by="step_id", step_ids=steps[1]["step_id"], **EVER)
        assert narrowed == steps[1]


def test_automations_are_part_of_the_account_and_of_no_single_send() -> None:
    ((ours, in_account, in_sends),) = WORLD.sql("""
        select count(*), count(*) filter (all_mail.message_id is not null), count(single_send_id)
        from automation_activity left join (select distinct message_id, single_send_id from email_activity)
            as all_mail using (message_id)
    """)
    assert ours == in_account > in_sends == 0


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/suppression/bounces", "bounce"),
        ("/suppression/blocks", "block"),
        ("/suppression/spam_reports", "spam_report"),
        ("/suppression/unsubscribes", "unsubscribe"),
        ("/asm/suppressions", "group_unsubscribe"),
    ],
)
def test_every_suppressed_address_comes_once_by_offset_newest_first(root: str, path: str, kind: str) -> None:
    wanted = WORLD.sql(
        "select email, epoch(listed_at)::bigint from sendgrid_suppressions where kind = ? order by position",
        [kind],
    )
    served: list[Any] = []
    while page := get(root, path, limit=5, offset=len(served)).json():
        assert len(page) <= 5
        served += page
    assert [(row["email"], row.get("created", row.get("created_at"))) for row in served] == wanted
    assert len(wanted) == len(set(wanted)) > 0


def test_suppressions_are_narrowed_by_time_with_both_ends(root: str) -> None:
    listed = [row["created"] for row in get(root, "/suppression/bounces").json()]
    between = get(root, "/suppression/bounces", start_time=listed[3], end_time=listed[1]).json()
    assert [row["created"] for row in between] == listed[1:4]


def test_invalid_addresses_are_forgotten_after_thirty_days(root: str) -> None:
    served = {row["email"] for row in get(root, "/suppression/invalid_emails").json()}
    known = dict(WORLD.sql("select email, listed_at from sendgrid_suppressions where kind = 'invalid_email'"))
    assert served == {email for email, at in known.items() if at.date() >= AS_OF - timedelta(days=30)}
    assert 0 < len(served) < len(known)


def test_unsubscribe_groups_count_who_left_them(root: str) -> None:
    groups = get(root, "/asm/groups").json()
    left = Counter(row["group_id"] for row in get(root, "/asm/suppressions").json())
    assert {group["id"]: group["unsubscribes"] for group in groups} == left
    assert get(root, "/asm/groups", id=groups[1]["id"]).json() == [groups[1]]


def test_only_an_ab_test_tells_variations_and_they_are_those_of_its_stats(root: str) -> None:
    told = get(root, f"/marketing/singlesends/{an_ab_test()}").json()
    stats = rows(
        root, f"/marketing/stats/singlesends/{an_ab_test()}", "results", group_by="ab_variation", **EVER
    )
    assert {one["id"] for one in told["ab_test"]["variations"]} == {row["ab_variation"] for row in stats}
    assert told["email_config"]["subject"] == told["ab_test"]["variations"][0]["subject"]
    ((plain,),) = WORLD.sql("select single_send_id from single_sends where not is_abtest limit 1")
    assert get(root, f"/marketing/singlesends/{plain}").json()["ab_test"] is None


# --- contacts ----------------------------------------------------------------------------------------


def post(root: str, path: str, **body: Any) -> requests.Response:
    return requests.post(
        f"{root}/v3{path}", json=body, headers={"Authorization": f"Bearer {KEY}"}, timeout=10
    )


def finished(root: str, **body: Any) -> dict[str, Any]:
    """Begin an export once none is pending, and poll until it is ready."""
    while (begun := post(root, EXPORTS, **body)).status_code == 429:
        pass
    assert begun.status_code == 202
    while True:
        job: dict[str, Any] = get(root, f"{EXPORTS}/{begun.json()['id']}").json()
        if job["status"] != "pending":
            return job
        assert "urls" not in job


EXPORTS = "/marketing/contacts/exports"


def rows_of(content: bytes) -> list[dict[str, str]]:
    plain = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    return list(csv.DictReader(io.StringIO(plain.decode())))


def test_an_export_has_every_contact_once_in_files_packed_and_plain(root: str) -> None:
    job = finished(root)
    files = [requests.get(link, timeout=10).content for link in job["urls"]]
    assert {content.startswith(b"\x1f\x8b") for content in files} == {True, False}
    contacts = [row for content in files for row in rows_of(content)]
    told = {(row["CONTACT_ID"], row["EMAIL"], row["CUSTOM_ROLE"], row["CUSTOM_INDUSTRY"]) for row in contacts}
    assert told == set(
        WORLD.sql(
            "select contact_id, email, coalesce(role, ''), coalesce(industry, '') from sendgrid_contacts"
        )
    )
    counted = get(root, "/marketing/contacts/count").json()["contact_count"]
    assert len(contacts) == len(told) == job["contact_count"] == counted


def test_an_export_as_json_is_an_object_a_line_without_what_is_unset(root: str) -> None:
    (content, *_) = (
        requests.get(link, timeout=10).content for link in finished(root, file_type="json")["urls"]
    )
    contacts = [json.loads(line) for line in gzip.decompress(content).splitlines()]
    assert all("contact_id" in contact and None not in contact.values() for contact in contacts)
    assert 0 < sum("custom_role" in contact for contact in contacts) < len(contacts)


def test_an_export_of_a_list_and_a_segment_has_whoever_is_in_either(root: str) -> None:
    lists = {row["name"]: row for row in get(root, "/marketing/lists").json()["result"]}
    segments = {row["name"]: row for row in get(root, "/marketing/segments/2.0").json()["results"]}
    fair, founders = lists["Trade fair"], segments["Founders in retail"]
    assert finished(root, list_ids=[fair["id"]])["contact_count"] == fair["contact_count"]
    either = finished(root, list_ids=[fair["id"]], segment_ids=[founders["id"]])["contact_count"]
    assert max(fair["contact_count"], founders["contacts_count"]) < either
    newest = get(root, EXPORTS).json()["result"][0]
    assert newest["lists"] == [{"ID": fair["id"], "Name": "Trade fair"}]


def test_one_export_runs_at_a_time(root: str) -> None:
    finished(root)
    assert post(root, EXPORTS).status_code == 202
    refused = post(root, EXPORTS)
    assert refused.status_code == 429
    assert "X-RateLimit-Reset" not in refused.headers


def test_a_file_needs_its_own_signature_and_refuses_the_key(root: str) -> None:
    (link, other, *_) = finished(root)["urls"]
    with_key = requests.get(link, headers={"Authorization": f"Bearer {KEY}"}, timeout=10)
    assert (with_key.status_code, "InvalidArgument" in with_key.text) == (400, True)
    exchanged = f"{link.partition('?')[0]}?{other.partition('?')[2]}"
    assert requests.get(exchanged, timeout=10).status_code == 403


def test_lists_come_in_pages_and_segments_all_at_once(root: str) -> None:
    names = [row["name"] for row in rows(root, "/marketing/lists", "result", page_size=1)]
    assert names == ["Newsletter", "Webinar guests", "Trade fair"]
    assert len(get(root, "/marketing/segments/2.0", page_size=1).json()["results"]) == 2


def test_an_export_job_is_what_the_specification_promises(root: str) -> None:
    job = finished(root)
    specs.check("sendgrid", "GET", "/v3/marketing/contacts/exports/{id}", 200, job)
    begun = post(root, EXPORTS)
    specs.check("sendgrid", "POST", "/v3/marketing/contacts/exports", 202, begun.json())
    pending = get(root, f"{EXPORTS}/{begun.json()['id']}").json()
    specs.check("sendgrid", "GET", "/v3/marketing/contacts/exports/{id}", 200, pending)


def test_a_segment_is_what_the_specification_promises_of_it(root: str) -> None:
    # The specification has one bare segment in place of the listing, and no null parent.
    for segment in get(root, "/marketing/segments/2.0").json()["results"]:
        specs.check("sendgrid", "GET", "/v3/marketing/segments/2.0", 200, segment, ["parent_list_ids"])


@pytest.mark.parametrize(
    ("path", "template", "params"),
    [
        ("/marketing/singlesends", "/v3/marketing/singlesends", {"page_size": 50}),
        ("/marketing/stats/singlesends", "/v3/marketing/stats/singlesends", {"page_size": 50}),
        (
            "/marketing/stats/singlesends/{id}",
            "/v3/marketing/stats/singlesends/{id}",
            {"aggregated_by": "day"},
        ),
        (
            "/marketing/stats/singlesends/{id}",
            "/v3/marketing/stats/singlesends/{id}",
            {"group_by": "ab_phase"},
        ),
        (
            "/marketing/stats/singlesends/{id}/links",
            "/v3/marketing/stats/singlesends/{id}/links",
            {"group_by": "ab_variation"},
        ),
        ("/marketing/singlesends/{id}", "/v3/marketing/singlesends/{id}", {}),
        ("/marketing/stats/automations", "/v3/marketing/stats/automations", {}),
        ("/suppression/bounces", "/v3/suppression/bounces", {}),
        ("/suppression/blocks", "/v3/suppression/blocks", {}),
        ("/suppression/spam_reports", "/v3/suppression/spam_reports", {}),
        ("/suppression/invalid_emails", "/v3/suppression/invalid_emails", {}),
        ("/suppression/unsubscribes", "/v3/suppression/unsubscribes", {}),
        ("/asm/groups", "/v3/asm/groups", {}),
        ("/asm/suppressions", "/v3/asm/suppressions", {}),
        ("/stats", "/v3/stats", EVER),
        ("/devices/stats", "/v3/devices/stats", EVER),
        ("/clients/stats", "/v3/clients/stats", EVER),
        ("/clients/webmail/stats", "/v3/clients/{client_type}/stats", EVER),
        ("/browsers/stats", "/v3/browsers/stats", EVER),
        ("/geo/stats", "/v3/geo/stats", EVER),
        ("/geo/stats", "/v3/geo/stats", EVER | {"country": "US"}),
        ("/mailbox_providers/stats", "/v3/mailbox_providers/stats", EVER),
        ("/scopes", "/v3/scopes", {}),
        ("/tracking_settings/open", "/v3/tracking_settings/open", {}),
        ("/tracking_settings/click", "/v3/tracking_settings/click", {}),
        ("/marketing/lists", "/v3/marketing/lists", {}),
        ("/marketing/field_definitions", "/v3/marketing/field_definitions", {}),
        ("/marketing/contacts/count", "/v3/marketing/contacts/count", {}),
        (EXPORTS, "/v3/marketing/contacts/exports", {}),
    ],
)
def test_answers_are_what_the_specification_promises(
    root: str, path: str, template: str, params: dict[str, Any]
) -> None:
    answer = get(root, path.replace("{id}", an_ab_test()), **params)
    specs.check("sendgrid", "GET", template, answer.status_code, answer.json(), LIVE_DIFFERS)


def test_an_automation_by_step_is_what_the_specification_promises(root: str) -> None:
    id_ = get(root, "/marketing/stats/automations").json()["results"][0]["id"]
    answer = get(root, f"/marketing/stats/automations/{id_}", group_by="step_id").json()
    specs.check("sendgrid", "GET", "/v3/marketing/stats/automations/{id}", 200, answer)


def test_an_answer_that_breaks_the_specification_is_found_and_its_place_named(root: str) -> None:
    body = get(root, "/stats", **EVER).json()
    body[3]["stats"][0]["metrics"]["opens"] = "many"
    with pytest.raises(AssertionError, match=r"\*/stats/\*/metrics/opens: 'many' is not of type"):
        specs.check("sendgrid", "GET", "/v3/stats", 200, body)


def test_the_vendors_own_client_pages_through_it(root: str) -> None:
    client = vendors_own_client.SendGridAPIClient(api_key=KEY, host=root).client
    ids, params = [], {"page_size": 20}
    while True:
        body = client.marketing.singlesends.get(query_params=params).to_dict
        ids += [row["id"] for row in body["result"]]
        if "next" not in body["_metadata"]:
            break
        params["page_token"] = parse_qs(urlsplit(body["_metadata"]["next"]).query)["page_token"][0]
    assert len(ids) == len(set(ids)) == len(WORLD.sql("select 1 from single_sends"))
    days = client.stats.get(query_params=EVER).to_dict
    assert len(days) == 324
    assert client.devices.stats.get(query_params=EVER).status_code == 200
