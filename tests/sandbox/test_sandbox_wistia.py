"""Wistia in the sandbox: every row once at any page size, totals that add up, the live API's oddities."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
import requests

from ingest.vendors.wistia import captions
from sandbox.server import Sandbox, serving
from sandbox.wistia import INACTIVE_KEY, KEY, NARROW_KEY
from sandbox.world import World
from tests.specs import check

AS_OF = date(2026, 11, 21)


class Client(requests.Session):
    """Wistia's API with a valid token; paths start with the track."""

    def __init__(self, root: str) -> None:
        super().__init__()
        self.root = root
        self.headers["Authorization"] = f"Bearer {KEY}"

    def request(self, method: str, path: str, *args: Any, **kwargs: Any) -> requests.Response:
        return super().request(method, f"{self.root}/wistia{path}", *args, timeout=10, **kwargs)

    def rows(self, path: str, **params: Any) -> Any:
        answer = self.get(path, params={"per_page": 100} | params)
        answer.raise_for_status()
        return answer.json()

    def everything(self, path: str, per_page: int = 100, **params: Any) -> list[dict[str, Any]]:
        """Return all rows of a listing, page by page until one is short."""
        rows: list[dict[str, Any]] = []
        for page in range(1, 1000):
            rows += (found := self.rows(path, per_page=per_page, page=page, **params))
            if len(found) < per_page:
                break
        return rows

    def fault(self, **fault: Any) -> None:
        fault = {"vendor": "wistia", "count": 1, **fault}
        requests.post(f"{self.root}/control/faults", json=fault, timeout=10).raise_for_status()


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World(300, 7, AS_OF)
    yield world
    world.close()


@pytest.fixture(scope="module")
def wistia(world: World) -> Iterator[Client]:
    with serving(Sandbox(world, limits="off")) as root, Client(root) as client:
        yield client


@pytest.fixture(scope="module")
def events(wistia: Client) -> list[dict[str, Any]]:
    return wistia.everything("/v1/stats/events.json")


@pytest.fixture(scope="module")
def visitors(wistia: Client) -> list[dict[str, Any]]:
    return wistia.everything("/v1/stats/visitors.json")


def test_every_viewing_session_is_served_once_the_newest_first(world: World, events: list[dict[str, Any]]):
    expected = world.sql("select event_key from viewing_sessions order by received_at desc, position")
    assert [row["event_key"] for row in events] == [key for (key,) in expected]
    assert len(events) > 100


def test_the_days_of_a_window_are_both_included(world: World, wistia: Client):
    first, last = AS_OF - timedelta(days=9), AS_OF - timedelta(days=7)
    rows = wistia.everything("/v1/stats/events.json", start_date=first, end_date=last)
    assert {row["received_at"][:10] for row in rows} == {str(first + timedelta(days=n)) for n in range(3)}
    by_day = [
        wistia.everything("/v1/stats/events.json", per_page=7, start_date=day, end_date=day)
        for day in (last, last - timedelta(days=1), first)
    ]
    assert [row for day in by_day for row in day] == rows
    assert wistia.rows("/v1/stats/events.json", start_date=last, end_date=first) == []


def test_events_can_be_asked_of_one_media_or_one_visitor(wistia: Client, events: list[dict[str, Any]]):
    media_id, visitor_key = events[0]["media_id"], events[1]["visitor_key"]
    of_media = wistia.everything("/v1/stats/events", per_page=9, media_id=media_id)
    assert of_media == [row for row in events if row["media_id"] == media_id]
    of_both = wistia.everything("/v1/stats/events", media_id=media_id, visitor_key=visitor_key)
    assert of_both == [row for row in of_media if row["visitor_key"] == visitor_key]
    assert wistia.rows("/v1/stats/events", visitor_key="nobody") == []


@pytest.mark.parametrize("text", ["2026-02-30", "yesterday", "20261101"])
def test_a_date_that_is_none_is_unprocessable(wistia: Client, text: str):
    answer = wistia.get("/v1/stats/events.json", params={"start_date": text})
    assert (answer.status_code, list(answer.json())) == (422, ["error"])


def test_events_are_forgotten_after_two_years_and_still_counted():
    world = World(200, 7, AS_OF, since=date(2024, 7, 1))
    with serving(Sandbox(world, limits="off")) as root, Client(root) as wistia:
        served = wistia.everything("/v1/stats/events", start_date="2024-01-01", end_date="2024-12-31")
        ((oldest, played),) = world.sql("select arg_max(event_key, position), count(*) from viewing_sessions")
        assert min(row["received_at"] for row in served) >= "2024-11-21"
        assert wistia.get(f"/v1/stats/events/{oldest}").status_code == 404
        assert wistia.rows("/v1/stats/account.json")["play_count"] == played
    world.close()


def test_a_page_is_cut_to_a_hundred_rows_without_a_word(wistia: Client, events: list[dict[str, Any]]):
    assert wistia.rows("/v1/stats/events.json", per_page=5000) == events[:100]
    assert wistia.rows("/v1/stats/events.json", per_page=5000, page=2) == events[100:200]


@pytest.mark.parametrize("params", [{"page": "0"}, {"page": "next"}, {"per_page": "-1"}])
def test_a_page_that_is_no_number_is_a_bad_request(wistia: Client, params: dict[str, str]):
    assert wistia.get("/v1/stats/visitors.json", params=params).status_code == 400


def test_one_event_and_one_visitor_read_as_in_their_lists(
    wistia: Client, events: list[dict[str, Any]], visitors: list[dict[str, Any]]
):
    assert wistia.rows(f"/v1/stats/events/{events[5]['event_key']}.json") == events[5]
    assert wistia.rows(f"/v1/stats/visitors/{visitors[5]['visitor_key']}.json") == visitors[5]
    for path in ("/v1/stats/events/nothing", "/v1/stats/visitors/nobody.json", "/v1/nothing"):
        missing = wistia.get(path)
        assert (missing.status_code, missing.content) == (404, b"")


def test_visitors_are_the_browsers_of_the_world_the_last_active_first(
    world: World, visitors: list[dict[str, Any]], events: list[dict[str, Any]]
):
    assert [row["visitor_key"] for row in visitors] == [
        key for (key,) in world.sql("select visitor_key from visitors order by position")
    ]
    plays = Counter(row["visitor_key"] for row in events)
    assert {row["visitor_key"]: row["play_count"] for row in visitors if row["play_count"]} == plays
    active = [row["last_active_at"][:19] for row in visitors]
    assert active == sorted(active, reverse=True)


@pytest.mark.parametrize(
    ("params", "fits"),
    [
        ({"filter": "has_name"}, lambda row: row["visitor_identity"]["name"]),
        ({"filter": "has_email"}, lambda row: row["visitor_identity"]["email"]),
        ({"filter": "identified_by_email_gate"}, lambda row: row["identifying_event_key"]),
        ({"search": "ADA"}, lambda row: re.search("ada", str(row["visitor_identity"]), re.IGNORECASE)),
    ],
)
def test_visitors_can_be_filtered_and_searched(
    wistia: Client, visitors: list[dict[str, Any]], params: dict[str, str], fits: Any
):
    expected = [row for row in visitors if fits(row)]
    assert 0 < len(expected) < len(visitors)
    assert wistia.everything("/modern/stats/visitors", per_page=11, **params) == expected


def test_an_unknown_filter_is_a_bad_request(wistia: Client):
    assert wistia.get("/v1/stats/visitors.json", params={"filter": "has_phone"}).status_code == 400


def test_identities_are_null_empty_or_missing_as_they_are_live(visitors: list[dict[str, Any]]):
    identities = [row["visitor_identity"] for row in visitors]
    assert {None, ""} < {identity["email"] for identity in identities}
    assert {None, ""} < {identity["name"] for identity in identities}
    assert {"org" in identity for identity in identities} == {True, False}


def test_events_vary_in_spelling_as_they_do_live(events: list[dict[str, Any]]):
    assert {len(row["received_at"]) for row in events} == {
        len("2026-01-01T00:00:00Z"),
        len("2026-01-01T00:00:00.000Z"),
    }
    assert {type(row["lat"]) for row in events} == {float, str, type(None)}
    assert {type(row["conversion_type"]) for row in events} == {str, int}
    assert {None, ""} < {row["email"] for row in events}
    assert {"thumbnail" in row for row in events} == {True, False}
    assert {"user_agent_details" in row for row in events} == {True, False}
    assert all(0 <= row["percent_viewed"] <= 1 for row in events)


def test_medias_come_by_page_and_by_cursor(world: World, wistia: Client):
    medias = wistia.everything("/v1/medias.json", per_page=9)
    assert [row["hashed_id"] for row in medias] == [
        hashed_id
        for (hashed_id,) in world.sql("select hashed_id from medias where not is_deleted order by position")
    ]
    assert {row["type"] for row in medias} == {"Video", "Audio"}

    params = {"sort_by": "created", "cursor[enabled]": 1, "per_page": 10}
    by_cursor: list[dict[str, Any]] = []
    while page := wistia.rows("/modern/medias", **params):
        by_cursor += page
        params["cursor[after]"] = page[-1]["cursor"]
    assert [row["hashed_id"] for row in by_cursor] == [
        row["hashed_id"] for row in sorted(medias, key=lambda row: row["created"])
    ]
    assert "cursor" not in medias[0]


def test_a_media_is_in_a_project_or_a_folder_after_the_track(wistia: Client):
    old, new = wistia.rows("/v1/medias.json")[0], wistia.rows("/modern/medias")[0]
    assert old["project"]["id"] == new["folder"]["id"]
    assert "folder" not in old
    assert "project" not in new
    assert wistia.rows(f"/v1/medias/{old['hashed_id']}.json") == old


def test_projects_and_folders_are_those_of_the_medias(wistia: Client):
    medias = wistia.everything("/v1/medias.json")
    projects = wistia.everything("/v1/projects.json", per_page=4)
    folders = wistia.everything("/modern/folders", sort_by="mediaCount")
    assert Counter(media["project"]["id"] for media in medias) == {
        project["id"]: project["mediaCount"] for project in projects
    }
    assert {project["hashedId"] for project in projects} == {folder["hashed_id"] for folder in folders}
    hashed_id = folders[0]["hashed_id"]
    assert wistia.rows(f"/modern/folders/{hashed_id}") == folders[0]
    inside = [row["id"] for row in wistia.rows("/modern/medias", folder_id=hashed_id)]
    assert inside == [row["id"] for row in wistia.rows("/v1/medias", project_id=folders[0]["id"])]
    assert len(inside) == folders[0]["media_count"]
    for path in ("/v1/folders", "/modern/projects", "/modern/folders.json", "/v1/projects/nothing"):
        assert wistia.get(path).status_code == 404


def test_the_modern_track_answers_as_the_release_asked_for(wistia: Client):
    def actions(release: str | None) -> requests.Response:
        headers = {"X-Wistia-API-Version": release}
        return wistia.get(f"/modern/stats/medias/{media_id}", headers=headers)

    medias = wistia.everything("/v1/medias.json")
    media_id = next(
        row["hashed_id"] for row in medias if wistia.rows(f"/v1/stats/medias/{row['hashed_id']}")["actions"]
    )
    newest = actions(None).json()["actions"][0]
    assert newest.keys() - actions("2026-04").json()["actions"][0].keys() == {"url", "text"}
    assert actions("2027-01").json() == actions("2026-05").json() == actions(None).json()
    assert {actions(release).status_code for release in ("2025-12", "newest", "2026-13")} == {400}


def test_customizations_say_where_a_media_asks_for_something(wistia: Client):
    places = Counter()
    for media in wistia.rows("/v1/medias.json"):
        answer = wistia.rows(f"/v1/medias/{media['hashed_id']}/customizations.json")
        if answer:
            time = answer["plugin"]["postRoll-v1"].get("time")
            places["in it" if time and 0 < float(time.replace("end", "0")) < media["duration"] else time] += 1
        places["none"] += not answer
    assert places.keys() == {"in it", "end", None, "none"}


def test_media_and_account_totals_are_the_sums_of_their_events(wistia: Client, events: list[dict[str, Any]]):
    medias = {row["hashed_id"]: row for row in wistia.rows("/v1/medias.json")}
    for hashed_id, media in medias.items():
        views = [row for row in events if row["media_id"] == hashed_id]
        stats = wistia.rows(f"/v1/stats/medias/{hashed_id}.json")
        old = {"X-Wistia-API-Version": "2026-04"}
        assert stats == wistia.get(f"/modern/stats/medias/{media['id']}", headers=old).json()
        assert stats["play_count"] == len(views)
        players = len({row["visitor_key"] for row in views})
        assert players <= stats["visitors"] <= stats["load_count"]
        assert stats["play_rate"] == (players / stats["visitors"] if players else 0), (
            "of visitors, not of loads"
        )
        watched = sum(row["percent_viewed"] for row in views)
        assert stats["hours_watched"] == pytest.approx(watched * media["duration"] / 3600)
        assert stats["engagement"] == pytest.approx(watched / max(1, len(views)))
        acts = sum(row["conversion_type"] not in ("", 0) for row in views)
        assert sum(action["action_count"] for action in stats["actions"]) == acts
    account = wistia.rows("/v1/stats/account.json")
    assert account["play_count"] == len(events)


def test_a_curve_is_what_the_sessions_of_a_media_covered(wistia: Client, events: list[dict[str, Any]]):
    for media in wistia.rows("/v1/medias.json"):
        views = [row for row in events if row["media_id"] == media["hashed_id"]]
        curve = wistia.rows(f"/v1/stats/medias/{media['hashed_id']}/engagement.json")
        count = len(curve["engagement_data"])
        assert count == min(1000, math.ceil(media["duration"]))
        assert curve["engagement_data"] == [
            sum(row["percent_viewed"] * count > cell for row in views) for cell in range(count)
        ]
        longest: dict[str, float] = defaultdict(float)
        for row in views:
            longest[row["visitor_key"]] = max(longest[row["visitor_key"]], row["percent_viewed"])
        assert [plays - again for plays, again in zip(*list(curve.values())[1:], strict=True)] == [
            sum(share * count > cell for share in longest.values()) for cell in range(count)
        ]
        assert curve["engagement"] == wistia.rows(f"/v1/stats/medias/{media['id']}.json")["engagement"]


def test_days_add_up_to_the_events_and_zero_days_are_there(wistia: Client, events: list[dict[str, Any]]):
    asked = {"start_date": f"{AS_OF - timedelta(days=400)}", "end_date": f"{AS_OF}"}
    days = wistia.rows("/v1/stats/account/by_date.json", **asked)
    played = Counter(row["received_at"][:10] for row in events)
    assert [row["date"] for row in days] == [f"{AS_OF - timedelta(days=400 - n)}" for n in range(401)]
    assert {row["date"]: row["play_count"] for row in days if row["play_count"]} == played
    media_id = events[0]["media_id"]
    of_media = wistia.rows(f"/v1/stats/medias/{media_id}/by_date.json", **asked)
    played = Counter(row["received_at"][:10] for row in events if row["media_id"] == media_id)
    assert {row["date"]: row["play_count"] for row in of_media if row["play_count"]} == played
    means = {round(row["hours_watched"] / row["play_count"], 9) for row in of_media if row["play_count"]}
    assert len(means) == 1  # live hours were not a measurement either
    usual = wistia.rows(f"/v1/stats/medias/{media_id}/by_date")
    assert [row["date"] for row in usual] == [f"{AS_OF - timedelta(days=1)}", f"{AS_OF}"]


def test_captions_are_subtitles_of_the_whole_media_in_none_to_two_languages(wistia: Client):
    tracks = {
        media["hashed_id"]: (media, wistia.rows(f"/v1/medias/{media['hashed_id']}/captions.json"))
        for media in wistia.rows("/v1/medias.json")
    }
    assert {len(of_media) for _, of_media in tracks.values()} == {0, 1, 2}
    for media, of_media in tracks.values():
        for track in of_media:
            cues = track["text"].split("\r\n\r\n")
            assert len(cues) == math.ceil(media["duration"] / 5)
            assert cues[1].splitlines()[:2] == ["2", "00:00:05,000 --> 00:00:10,000"]


def test_a_deleted_media_is_known_to_its_events_only(wistia: Client, events: list[dict[str, Any]]):
    listed = {row["hashed_id"] for row in wistia.rows("/v1/medias.json")}
    (deleted,) = {row["media_id"] for row in events} - listed
    assert wistia.get(f"/v1/medias/{deleted}.json").status_code == 404
    for path in (
        f"stats/medias/{deleted}",
        f"stats/medias/{deleted}/engagement",
        f"medias/{deleted}/captions",
        f"medias/{deleted}/customizations",
    ):
        assert wistia.get(f"/v1/{path}.json").status_code == 404


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "unauthorized_credentials"),
        ("Bearer wrong", "unauthorized_credentials"),
        ("Basic YXBpOndpc3RpYS1zYW5kYm94", "unauthorized_credentials"),
        (f"Bearer {INACTIVE_KEY}", "account_inactive"),
        (f"Bearer {NARROW_KEY}", "unauthorized_scope"),
    ],
)
def test_each_wrong_token_is_refused_with_its_own_code(wistia: Client, header: str | None, code: str):
    answer = wistia.get("/v1/stats/visitors.json", headers={"Authorization": header})
    assert (answer.status_code, answer.json()["code"]) == (401, code)


def test_a_token_in_the_address_is_refused_and_a_narrow_one_still_reads_medias(wistia: Client):
    answer = wistia.get("/v1/medias.json", params={"access_token": KEY})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized_params")
    assert wistia.get("/v1/medias.json", headers={"Authorization": f"Bearer {NARROW_KEY}"}).ok
    assert wistia.rows("/modern/token")["scopes"]


def test_throttling_is_plain_text_with_seconds_to_wait(world: World):
    with serving(Sandbox(world)) as root, Client(root) as wistia:
        # The minute may end in between, once: then its second half fills the next one.
        answers = [wistia.get("/v1/account.json") for _ in range(1201)]
    codes = [answer.status_code for answer in answers]
    assert codes[:600].count(429) == 0
    refused = answers[codes.index(429)]
    assert (refused.status_code, refused.headers["Content-Type"][:10]) == (429, "text/plain")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60


def test_an_empty_page_in_the_middle_does_not_end_the_listing(wistia: Client, events: list[dict[str, Any]]):
    wistia.fault(name="empty-page", path="/stats/events")
    assert wistia.rows("/v1/stats/events.json", page=2) == []
    assert wistia.rows("/v1/stats/events.json", page=2) == events[100:200]


def test_a_repeated_page_brings_the_one_before(wistia: Client, events: list[dict[str, Any]]):
    wistia.fault(name="repeated-page", path="/stats/events")
    assert wistia.rows("/v1/stats/events.json", page=2) == events[:100]


# Live answers outside the specification: null names, coordinates as text or null.
UNNAMED = ["*/visitor_identity/name"]
UNPLACED = ["*/lat", "*/lon"]
SWITCHED = ["plugin/postRoll-v1", "plugin/captions-v1"]  # their key `on`, which YAML 1.1 reads as true


def test_visitors_are_as_specified_but_for_null_names_and_the_key_that_identified_them(
    wistia: Client, visitors: list[dict[str, Any]]
):
    specified = [{key: row[key] for key in row if key != "identifying_event_key"} for row in visitors]
    check("wistia", "GET", "/stats/visitors", 200, specified, differs=UNNAMED)
    check(
        "wistia", "GET", "/stats/visitors/{visitorKey}", 200, specified[0], differs=["visitor_identity/name"]
    )


def test_events_are_as_specified_but_for_coordinates(wistia: Client, events: list[dict[str, Any]]):
    check("wistia", "GET", "/stats/events", 200, events, differs=UNPLACED)
    check("wistia", "GET", "/stats/events/{eventKey}", 200, events[0], differs=["lat", "lon"])


def test_medias_totals_and_account_are_as_specified(wistia: Client):
    medias = wistia.rows("/modern/medias", **{"cursor[enabled]": 1})
    check("wistia", "GET", "/medias", 200, medias)
    check(
        "wistia",
        "GET",
        "/medias/{mediaHashedId}",
        200,
        wistia.rows(f"/modern/medias/{medias[0]['hashed_id']}"),
    )
    for media in medias:
        check(
            "wistia",
            "GET",
            "/stats/medias/{mediaId}",
            200,
            wistia.rows(f"/modern/stats/medias/{media['id']}"),
        )
    for part in ("by_date", "engagement"):
        for media in medias:
            answer = wistia.rows(f"/modern/stats/medias/{media['hashed_id']}/{part}")
            check("wistia", "GET", f"/stats/medias/{{mediaId}}/{part}", 200, answer)
    for media in medias:
        answer = wistia.rows(f"/modern/medias/{media['hashed_id']}/captions")
        check("wistia", "GET", "/medias/{mediaHashedId}/captions", 200, answer)
        answer = wistia.rows(f"/modern/medias/{media['hashed_id']}/customizations")
        check("wistia", "GET", "/medias/{mediaId}/customizations", 200, answer, differs=SWITCHED)
    folders = wistia.rows("/modern/folders", **{"cursor[enabled]": 1})
    check("wistia", "GET", "/folders", 200, folders)
    folder = wistia.rows(f"/modern/folders/{folders[0]['hashed_id']}")
    check("wistia", "GET", "/folders/{id}", 200, folder)
    for path in ("/stats/account", "/stats/account/by_date", "/account", "/token"):
        check("wistia", "GET", path, 200, wistia.rows(f"/modern{path}"))


def test_refusals_are_as_specified(wistia: Client):
    nobody = {"Authorization": "Bearer wrong"}
    check("wistia", "GET", "/stats/events", 401, wistia.get("/modern/stats/events", headers=nobody).json())
    never = {"start_date": "never"}
    check("wistia", "GET", "/stats/events", 422, wistia.get("/modern/stats/events", params=never).json())
    unsorted = {"sort_by": "luck"}
    check("wistia", "GET", "/medias", 400, wistia.get("/modern/medias", params=unsorted).json())
    wistia.fault(name="500", path="/stats/account")
    check("wistia", "GET", "/stats/account", 500, wistia.get("/modern/stats/account").json())


def test_a_rough_account_serves_odd_values_at_live_rates_and_a_plain_one_none():
    served: dict[bool, Any] = {}
    for anomalies in (frozenset[str](), frozenset({"rough"})):
        world = World(300, 7, AS_OF, anomalies=anomalies)
        with serving(Sandbox(world, limits="off")) as root, Client(root) as client:
            events = client.everything("/v1/stats/events.json")
            medias = client.rows("/v1/medias.json")
            cues = [
                [cue.text for cue in captions.cues(each["text"])]
                for media in medias
                for each in client.rows(f"/v1/medias/{media['hashed_id']}/captions.json")
            ]
        world.close()
        shares = [row["percent_viewed"] for row in events]
        served[bool(anomalies)] = cues
        platforms = {(row.get("user_agent_details") or {}).get("platform") for row in events} - {None}
        assert platforms == {"iOS (iPhone)", "iOS (iPad)", "Android", "Windows", "Mac", "Linux"}
        above = sum(isinstance(share, float) and 1 < share < 1.5 for share in shares) / len(shares)
        browsers = {(row.get("user_agent_details") or {}).get("browser") for row in events}
        is_rough = bool(anomalies)
        assert (0.05 < above < 0.08) == is_rough
        assert any(share == "NaN" or not 0 <= share <= 1.5 for share in shares) == is_rough
        assert ("Unknown Browser" in browsers) == is_rough
        assert any(not media["duration"] for media in medias) == is_rough
        assert any(not media["name"] for media in medias) == is_rough
        assert any(media["project"] is None for media in medias) == is_rough
    assert served[True] == served[False], "spelled in other ways, and said the same"
