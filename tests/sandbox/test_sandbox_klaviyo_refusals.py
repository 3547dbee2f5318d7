"""Klaviyo's refusals in the sandbox: requests, revisions and rate limits."""

import pytest

from sandbox.faults import Fault
from sandbox.klaviyo import KEY, NARROW_KEY
from sandbox.server import Sandbox, serving
from tests.sandbox import test_sandbox_klaviyo as shared
from tests.sandbox.test_sandbox_klaviyo import Klaviyo

klaviyo = shared.klaviyo
segment_id = shared.segment_id
world = shared.world

# --- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "parameter", "value"),
    [
        ("profiles", "pages", "1"),
        ("profiles", "page[number]", "2"),
        ("profiles", "page[size]", "101"),
        ("profiles", "page[size]", "0"),
        ("profiles", "page[size]", "many"),
        ("profiles", "sort", "first_name"),
        ("profiles", "include", "segments"),
        ("profiles", "fields[profile]", "e-mail"),
        ("profiles", "fields[metric]", "name"),
        ("profiles", "additional-fields[profile]", "everything"),
        ("segments", "page[size]", "11"),
        ("segments", "additional-fields[segment]", "profile_count"),
        ("segments", "fields[segment]", "profile_count"),
        ("metrics", "page[size]", "10"),
        ("metrics", "sort", "name"),
        ("events", "page[size]", "1001"),
        ("events", "fields[profile]", "subscriptions"),
        ("accounts", "page[cursor]", "x"),
        ("flows", "page[size]", "51"),
        ("flows", "fields[flow-action]", "status"),
    ],
)
def test_what_an_endpoint_does_not_take_is_refused_by_name(klaviyo, path, parameter, value):
    assert klaviyo.refusal(path, **{parameter: value}) == (400, "invalid", parameter)


@pytest.mark.parametrize(
    ("authorization", "status", "code"),
    [
        (None, 401, "not_authenticated"),
        (f"Bearer {KEY}", 401, "not_authenticated"),
        ("Klaviyo-API-Key pk_other", 401, "authentication_failed"),
        (f"Klaviyo-API-Key {NARROW_KEY}", 403, "permission_denied"),
    ],
)
def test_a_key_opens_only_what_it_may(klaviyo, authorization, status, code):
    assert klaviyo.refusal("profiles", {"Authorization": authorization})[:2] == (status, code)


@pytest.mark.parametrize("accepted", [None, "*/*", "application/json", "application/vnd.api+json"])
def test_any_type_that_a_client_accepts_is_answered_but_by_a_strict_gateway(world, klaviyo, accepted):
    assert klaviyo.ask("metrics", {"Accept": accepted}).ok
    sandbox = Sandbox(world, limits="off", faults=[Fault("strict-accept", "klaviyo")])
    with serving(sandbox) as root, Klaviyo(root) as strict:
        if accepted == "application/vnd.api+json":
            assert strict.ask("metrics", {"Accept": accepted}).ok
        else:
            assert strict.refusal("metrics", {"Accept": accepted})[:2] == (406, "not_acceptable")


def test_a_narrow_key_opens_what_it_may(klaviyo):
    assert klaviyo.ask("metrics", {"Authorization": f"Klaviyo-API-Key {NARROW_KEY}"}).ok


@pytest.mark.parametrize(
    "path",
    [
        "profiles/none",
        "segments/none",
        "segments/none/profiles",
        "profile",
        "events/1",
        "catalog-items/none",
        "catalog-categories/none/relationships/items",
    ],
)
def test_what_is_not_there_is_not_found(klaviyo, path):
    assert klaviyo.refusal(path)[:2] == (404, "not_found")


def test_nothing_can_be_written(klaviyo):
    answer = klaviyo.post(f"{klaviyo.root}/klaviyo/api/profiles", json={}, timeout=10)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert answer.json()["errors"][0]["code"] == "method_not_allowed"


def test_a_failing_gateway_answers_in_html_and_a_failing_server_in_json(world):
    faults = [Fault("503", "klaviyo", count=1), Fault("500", "klaviyo", count=1)]
    with serving(Sandbox(world, faults=faults)) as root, Klaviyo(root) as klaviyo:
        gateway, server = klaviyo.ask("metrics"), klaviyo.ask("metrics")
    assert (gateway.status_code, gateway.headers["Content-Type"][:9]) == (503, "text/html")
    assert (server.status_code, server.json()["errors"][0]["code"]) == (500, "error")


# --- revisions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("revision", "opt_out", "status", "answered"),
    [
        ("2026-07-15", "1", 200, "2026-07-15"),
        ("2026-10-15", None, 200, "2026-10-15"),
        ("2026-07-15.pre", None, 200, "2026-07-15"),
        ("2026-08-01", None, 200, "2026-07-15"),  # between two: the one before
        ("2026-11-21", None, 200, "2026-10-15"),
        ("2025-01-15", "1", 200, "2025-01-15"),
        ("2024-10-15", None, 200, "2025-01-15"),  # retired: the oldest active one answers
        ("2023-02-22", None, 200, "2025-01-15"),
        ("2024-10-15", "1", 410, None),
        ("2026-11-22", None, 400, None),
        ("v3", None, 400, None),
        (None, None, 400, None),
    ],
)
def test_a_revision_is_answered_as_its_age_demands(klaviyo, revision, opt_out, status, answered):
    headers = {"revision": revision, "X-Klaviyo-Revision-Fall-Forward-Opt-Out": opt_out}
    answer = klaviyo.ask("metrics", headers)
    assert (answer.status_code, answer.headers.get("X-Klaviyo-API-Revision")) == (status, answered)
    assert answer.headers["CID"] == "SANDBX"


@pytest.mark.parametrize(
    ("path", "revision", "is_taken"),
    [
        ("events", "2025-10-15", False),
        ("events", "2026-01-15", True),
        ("segments", "2026-01-15", False),
        ("segments", "2026-04-15", True),
        ("catalog-items", "2026-01-15", False),
        ("catalog-items", "2026-04-15", True),
        ("profiles", "2025-01-15", True),
    ],
)
def test_page_size_came_with_a_revision(klaviyo, path, revision, is_taken):
    answer = klaviyo.ask(path, {"revision": revision}, page_size=2)
    assert answer.ok == is_taken
    assert klaviyo.ask(path, {"revision": revision}).ok


# --- limits -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "params", "limit"),
    [
        ("accounts", {}, "1, 1;w=1, 15;w=60"),
        ("metrics", {}, "10, 10;w=1, 150;w=60"),
        ("profiles", {}, "75, 75;w=1, 750;w=60"),
        ("profiles", {"additional-fields[profile]": "subscriptions"}, "75, 75;w=1, 750;w=60"),
        ("profiles", {"additional-fields[profile]": "predictive_analytics"}, "10, 10;w=1, 150;w=60"),
        ("segments/{segment}", {}, "75, 75;w=1, 750;w=60"),
        ("segments/{segment}/", {"additional-fields[segment]": "profile_count"}, "1, 1;w=1, 15;w=60"),
        ("events", {}, "350, 350;w=1, 3500;w=60"),
        ("flows", {}, "3, 3;w=1, 60;w=60"),
    ],
)
def test_every_answer_tells_the_limit_that_it_counts_against(klaviyo, segment_id, path, params, limit):
    headers = klaviyo.ask(path.format(segment=segment_id), **params).headers
    assert headers["RateLimit-Limit"] == limit
    assert headers["RateLimit-Remaining"] == limit.partition(",")[0]
    assert headers["RateLimit-Reset"].isdecimal()


def test_too_many_requests_are_told_how_long_to_wait(world):
    with serving(Sandbox(world)) as root, Klaviyo(root) as klaviyo:
        answers = [klaviyo.ask("accounts") for _ in range(3)]  # one a second: two of three fall into one
        others = klaviyo.ask("metrics")
    throttled = next(answer for answer in answers if answer.status_code == 429)
    assert throttled.headers["Retry-After"] == "1"
    assert "RateLimit-Limit" not in throttled.headers
    (error,) = throttled.json()["errors"]
    assert error["code"] == "throttled"
    assert error["detail"].endswith("Expected available in 1 second.")
    assert others.ok
