"""Brand voices in the sandbox: files uploaded without the key, voices counted from them, states, refusals."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
import requests

from sandbox.mavera import KEY, files
from sandbox.server import Sandbox, serving
from sandbox.world import World
from tests.sandbox.test_sandbox_mavera import Client, error_of, mavera_of

TEXT = "You need less than you think. Watch the kettle; the kettle boils. Do you like kettle descaling?"
PLACE: dict[str, Any] = {
    "file_name": "tour 1.txt",
    "file_type": "text/plain",
    "file_size": len(TEXT),
    "workspace_id": "ws_sandbox",
}
VOICE: dict[str, Any] = {"label": "Our videos", "usage_context": "E-mails to customers."}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World(200, 7, date(2026, 11, 21))
    yield world
    world.close()


@pytest.fixture
def sandbox(world: World) -> Sandbox:
    sandbox = Sandbox(world, limits="off")
    sandbox.mavera.voice_seconds = 0
    return sandbox


@pytest.fixture
def mavera(sandbox: Sandbox) -> Iterator[Client]:
    with serving(sandbox) as root, Client(root) as client:
        yield client


def placed(mavera: Client, **changes: Any) -> dict[str, Any]:
    return mavera.post("/files/upload-url", json={**PLACE, **changes}).json()  # type: ignore[no-any-return]


def put(place: dict[str, Any], content: str = TEXT, **headers: str) -> int:
    answer = requests.put(
        place["upload_url"], data=content.encode(), headers=place["headers"] | headers, timeout=10
    )
    return answer.status_code


def uploaded(mavera: Client, content: str = TEXT) -> dict[str, Any]:
    """Return a document of a brand voice, after its three steps."""
    place = placed(mavera, file_size=len(content.encode()))
    assert put(place, content) == 200
    document = {"name": "Tour", "url": place["public_url"], "file_size": len(content.encode())}
    record = {**document, "type": "text/plain", "workspace_id": "ws_sandbox"}
    assert mavera.post("/files", json=record).status_code == 201
    return {**document, "file_type": "text/plain"}


def test_a_file_is_put_without_the_key_and_read_by_anybody(mavera: Client) -> None:
    place = placed(mavera)
    assert (place["method"], place["expires_in"]) == ("PUT", 3_600)
    assert requests.get(place["public_url"], timeout=10).status_code == 404
    assert put(place, Authorization=f"Bearer {KEY}") == 400
    assert put(place) == put(place) == 200  # repeating does no harm
    assert requests.get(place["public_url"], timeout=10).text == TEXT


def test_what_is_put_must_be_what_was_announced(
    mavera: Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = placed(mavera)
    assert put(place, "another") == 400
    assert put(placed(mavera, checksum="0" * 64)) == 400
    assert put(place, **{"Content-Type": "text/html"}) == 403
    assert put(place | {"upload_url": place["public_url"]}) == 403
    monkeypatch.setattr(files, "UPLOAD_SECONDS", -1)
    assert put(placed(mavera)) == 403


@pytest.mark.parametrize(
    ("path", "body", "code", "param"),
    [
        *(
            ("/files/upload-url", {k: v for k, v in PLACE.items() if k != field}, "missing_field", field)
            for field in PLACE
        ),
        ("/files/upload-url", {**PLACE, "file_size": 10 * 2**20 + 1}, "invalid_field", "file_size"),
        ("/files/upload-url", {**PLACE, "file_size": 0}, "invalid_field", "file_size"),
        ("/files/upload-url", {**PLACE, "file_name": "a/b"}, "invalid_field", "file_name"),
        ("/files/upload-url", {**PLACE, "workspace_id": "ws_other"}, "invalid_field", "workspace_id"),
        ("/files/upload-url", {**PLACE, "checksum": "abc"}, "invalid_field", "checksum"),
        ("/files/upload-url", {**PLACE, "public": True}, "invalid_field", "public"),
        (
            "/files",
            {"name": "a", "type": "text/plain", "url": "x", "workspace_id": "ws_sandbox", "file_size": 1},
            "invalid_field",
            "url",
        ),
        ("/brand-voices", {"label": "Our videos"}, "missing_field", "usage_context"),
        ("/brand-voices", {**VOICE, "label": "O"}, "invalid_field", "label"),
        ("/brand-voices", {**VOICE, "usage_context": "E-mails."}, "invalid_field", "usage_context"),
        ("/brand-voices", VOICE, "missing_field", "documents"),
        ("/brand-voices", {**VOICE, "text": "Raw."}, "invalid_field", "text"),
        ("/brand-voices", {**VOICE, "documents": ["x"]}, "invalid_field", "documents[0]"),
        ("/brand-voices", {**VOICE, "documents": [{"name": "x"}]}, "missing_field", "documents[0].file_size"),
        ("/brand-voices", {**VOICE, "urls": ["example.com"]}, "invalid_field", "urls[0]"),
    ],
)
def test_what_cannot_be_made_is_refused_by_name(
    mavera: Client, sandbox: Sandbox, path: str, body: dict[str, Any], code: str, param: str
) -> None:
    assert error_of(mavera.post(path, json=body)) == (400, code, param)
    assert sandbox.mavera.summary()["credits_spent"] == 0


def test_a_large_video_may_be_put_and_a_large_text_may_not(mavera: Client) -> None:
    assert "upload_url" in placed(mavera, file_size=2 * 2**30, file_type="video/mp4")
    assert placed(mavera, file_size=2 * 2**30)["error"]["param"] == "file_size"


def test_a_document_must_be_a_registered_file_of_its_size(mavera: Client) -> None:
    document = uploaded(mavera)
    elsewhere = placed(mavera)
    put(elsewhere)
    for wrong, field in (({"url": elsewhere["public_url"]}, "url"), ({"file_size": 1}, "file_size")):
        refused = mavera.post("/brand-voices", json={**VOICE, "documents": [{**document, **wrong}]})
        assert error_of(refused) == (400, "invalid_field", f"documents[0].{field}")


def test_a_voice_goes_through_its_states_and_is_counted_from_its_documents(
    mavera: Client, sandbox: Sandbox
) -> None:
    sandbox.mavera.voice_seconds = 3_600
    created = mavera.post("/brand-voices", json={**VOICE, "documents": [uploaded(mavera)]})
    path = f"/brand-voices/{created.json()['id']}"
    assert (created.status_code, created.json()["status"]) == (201, "pending")
    assert created.json()["voice_summary"] is None
    assert "usage" not in created.json()  # nor does it show its price
    sandbox.mavera.voice_seconds = 0
    voice = mavera.get(path).json()
    assert voice["status"] == "completed"
    assert voice["vocabulary"]["preferred_terms"][0] == "kettle"
    assert voice["tone"]["adjectives"] == ["brief", "personal", "curious"]
    assert voice["voice_summary"].endswith("from 17 words in 1 texts.")
    assert voice["sources"]["documents"][0]["name"] == "Tour"
    assert mavera.get("/brand-voices").json()["data"] == [voice]
    assert sandbox.mavera.summary()["credits_spent"] == 50


def test_a_voice_is_generating_between_waiting_and_its_end(mavera: Client, sandbox: Sandbox) -> None:
    document = uploaded(mavera)
    sandbox.mavera.voice_seconds = 0.3
    path = (
        f"/brand-voices/{mavera.post('/brand-voices', json={**VOICE, 'documents': [document]}).json()['id']}"
    )
    seen = ["pending"]
    while seen[-1] != "completed":
        if (status := mavera.get(path).json()["status"]) != seen[-1]:
            seen.append(status)
    assert seen == ["pending", "generating", "completed"]


@pytest.mark.parametrize(
    "url", ["https://example.com/a", {"url": "https://example.com/a"}], ids=["string", "object"]
)
def test_urls_may_be_strings_or_objects(mavera: Client, url: object) -> None:
    created = mavera.post("/brand-voices", json={**VOICE, "urls": [url]}).json()
    assert created["sources"]["urls"][0]["url"] == "https://example.com/a"


def test_a_voice_that_fails_is_charged_and_says_why(mavera: Client, sandbox: Sandbox) -> None:
    sandbox.mavera.voices_to_fail = 1
    made = mavera.post("/brand-voices", json={**VOICE, "urls": ["https://example.com"]}).json()
    voice = mavera.get(f"/brand-voices/{made['id']}").json()
    assert (voice["status"], voice["voice_summary"], bool(voice["error"])) == ("failed", None, True)
    assert sandbox.mavera.summary()["credits_spent"] == 50


def test_an_update_changes_words_not_sources_and_costs_nothing(mavera: Client, sandbox: Sandbox) -> None:
    made = mavera.post("/brand-voices", json={**VOICE, "documents": [uploaded(mavera)]}).json()
    path = f"/brand-voices/{made['id']}"
    changed = mavera.patch(path, json={"label": "Films", "vocabulary": {"preferred_terms": ["tea"]}}).json()
    assert (changed["label"], changed["vocabulary"]) == ("Films", {"preferred_terms": ["tea"]})
    assert changed["updated_at"] >= changed["created_at"]
    assert error_of(mavera.patch(path, json={"documents": []})) == (400, "invalid_field", "documents")
    assert error_of(mavera.patch(path, json={"tone": "warm"})) == (400, "invalid_field", "tone")
    assert sandbox.mavera.summary()["credits_spent"] == 50


def test_voices_are_listed_without_pages_by_two_filters(mavera: Client) -> None:
    for _ in range(2):
        mavera.post("/brand-voices", json={**VOICE, "urls": ["https://example.com"]})
    assert mavera.get("/brand-voices").json().keys() == {"object", "data"}
    assert len(mavera.get("/brand-voices", params={"status": "completed"}).json()["data"]) == 2
    assert mavera.get("/brand-voices", params={"workspace_id": "ws_other"}).json()["data"] == []
    assert error_of(mavera.get("/brand-voices", params={"limit": 1})) == (400, "invalid_field", "limit")


def test_a_lenient_mavera_spells_states_as_the_guide_does(world: World) -> None:
    sandbox = Sandbox(world, limits="off", strict=False)
    sandbox.mavera.voice_seconds = 3_600
    with serving(sandbox) as root, Client(root) as client:
        made = client.post("/brand-voices", json={**VOICE, "text": "ignored"}).json()
        sandbox.mavera.voice_seconds = 0
        voice = client.get(f"/brand-voices/{made['id']}").json()
    assert (made["status"], voice["status"]) == ("PENDING", "READY")


def test_uploads_do_not_count_against_the_limit(world: World) -> None:
    with mavera_of(world) as client:
        before = client.get("/brand-voices").headers["X-RateLimit-Remaining"]
        put(place := placed(client))
        requests.get(place["public_url"], timeout=10)
        after = client.get("/brand-voices").headers["X-RateLimit-Remaining"]
    assert int(before) - int(after) == 2
