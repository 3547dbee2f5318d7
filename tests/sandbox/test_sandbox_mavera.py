"""Mavera in the sandbox: access, prices, stored objects, and refusals."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.mavera import EXPIRED_KEY, KEY, REVOKED_KEY
from sandbox.mavera.account import PLANS
from sandbox.mavera.personas import made_by_hand
from sandbox.server import Sandbox, serving
from sandbox.world import World

PERSONA = {"pipeline_type": "north_star", "type": "B2C", "name": "Skimmers", "description": "120 viewers."}
QUESTION = "What should we change?\n- Skimmers: 120 viewers, 0.31 of a video\n- Bouncers: 48 viewers"


class Client(requests.Session):
    """Mavera's API with a valid key."""

    def __init__(self, root: str) -> None:
        super().__init__()
        self.root = root
        self.headers["Authorization"] = f"Bearer {KEY}"

    def request(self, method: str, path: str, *args: Any, **kwargs: Any) -> requests.Response:
        return super().request(method, f"{self.root}/mavera/api/v1{path}", *args, timeout=10, **kwargs)

    def everything(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """Return all rows of a listing with a cursor."""
        rows, cursor = [], None
        while cursor is not None or not rows:
            page = self.get(path, params=params | ({"cursor": cursor} if cursor else {})).json()
            rows += page["data"]
            cursor = page["next_cursor"]
            assert page["has_more"] == (cursor is not None)
            if cursor is None:
                break
        return rows


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World(200, 7, date(2026, 11, 21))
    yield world
    world.close()


@pytest.fixture
def sandbox(world: World) -> Sandbox:
    return Sandbox(world)


@pytest.fixture
def mavera(sandbox: Sandbox) -> Iterator[Client]:
    with serving(sandbox) as root, Client(root) as client:
        yield client


@pytest.fixture(scope="module")
def refusing(world: World) -> Iterator[Client]:
    """Mavera for tests that only get refusals, and may therefore share it."""
    with mavera_of(world) as client:
        yield client
        assert [row for row in client.everything("/personas") if row["is_custom"]] == []
        assert client.get("/mave/threads").json()["total"] == 0


@contextmanager
def mavera_of(world: World, **options: Any) -> Iterator[Client]:
    with serving(Sandbox(world, **options)) as root, Client(root) as client:
        yield client


def error_of(answer: requests.Response) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    assert error.keys() == {"message", "type", "code", "param"}
    return answer.status_code, error["code"], error["param"]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Authorization": None}, "missing_api_key"),
        ({"Authorization": "Basic abc"}, "missing_api_key"),
        ({"Authorization": "Bearer mvra_live_wrong"}, "invalid_api_key"),
        ({"Authorization": f"Bearer {REVOKED_KEY}"}, "revoked_api_key"),
        ({"Authorization": f"Bearer {EXPIRED_KEY}"}, "expired_api_key"),
    ],
)
def test_each_wrong_key_is_refused_with_its_own_code(
    refusing: Client, headers: Mapping[str, str | None], code: str
):
    assert error_of(refusing.get("/personas", headers=headers)) == (401, code, None)


def test_every_answer_tells_how_the_limit_stands_and_the_sixty_first_in_a_minute_is_told_to_wait(
    sandbox: Sandbox, mavera: Client
):
    sandbox.mavera.plan = PLANS["starter"]
    first, *_, last = [mavera.get("/workspaces") for _ in range(60)]
    assert (first.headers["X-RateLimit-Limit"], first.headers["X-RateLimit-Remaining"]) == ("60", "59")
    assert last.headers["X-RateLimit-Remaining"] == "0"

    refused = mavera.get("/workspaces")
    assert error_of(refused) == (429, "rate_limit_exceeded", None)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["X-RateLimit-Remaining"] == "0"


def test_a_persona_costs_300_credits_and_reads_back_as_it_was_answered(sandbox: Sandbox, mavera: Client):
    before = sandbox.mavera.summary()
    created = mavera.post("/personas", json=PERSONA)
    persona = created.json()
    assert created.status_code == 201
    assert PERSONA.items() <= persona.items()
    assert (persona["is_custom"], persona["credits_charged"]) == (True, 300)
    assert len(persona["id"]) == 25
    assert mavera.get(f"/personas/{persona['id']}").json() == persona

    after = sandbox.mavera.summary()
    assert after["balance"] == before["balance"] - 300
    assert (after["personas"], after["credits_spent"]) == (1, 300)


def test_personas_are_paged_by_cursor_the_base_ones_first_each_exactly_once(mavera: Client):
    created = [mavera.post("/personas", json=PERSONA).json()["id"] for _ in range(3)]
    rows = mavera.everything("/personas", limit=4)
    assert [row["id"] for row in rows if row["is_custom"]] == created  # the same name is another persona
    assert [row["is_custom"] for row in rows] == [False] * 12 + [True] * 3
    assert len({row["id"] for row in rows}) == 15
    assert mavera.everything("/personas") == rows


@pytest.mark.parametrize(("param", "value"), [("limit", "0"), ("limit", "101"), ("cursor", "nonsense")])
def test_a_page_that_cannot_be_asked_for_is_refused_by_name(refusing: Client, param: str, value: str):
    assert error_of(refusing.get("/personas", params={param: value})) == (400, "invalid_field", param)


def test_an_update_changes_what_was_sent_and_costs_nothing(sandbox: Sandbox, mavera: Client):
    persona = mavera.post("/personas", json=PERSONA).json()
    sent = {"description": "130 viewers.", "goals": ["Less to read"], "type": "B2B"}
    updated = mavera.patch(f"/personas/{persona['id']}", json=sent).json()
    assert updated == {
        **persona,
        "description": "130 viewers.",
        "type": "B2B",
        "details": {**persona["details"], "goals": ["Less to read"], "persona_type": "B2B"},
    }
    assert updated["credits_charged"] == 300  # its original price
    assert sandbox.mavera.summary()["credits_spent"] == 300


def test_a_script_that_edits_what_a_list_shows_loses_the_rest_of_a_description(
    sandbox: Sandbox, mavera: Client
):
    text = "Maria runs the night shift of three clinics.\n\nShe reads before six, on her phone."
    persona = made_by_hand(sandbox.mavera, "Maria", text)
    sandbox.mavera.manners = {"short-listed-texts"}
    assert mavera.get(f"/personas/{persona}").json()["description"] == text
    (listed,) = (row for row in mavera.everything("/personas") if row["id"] == persona)
    assert listed["description"] == f"{text[:40]}…"
    mavera.patch(f"/personas/{persona}", json={"description": listed["description"] + " 820 customers."})
    assert "before six" not in mavera.get(f"/personas/{persona}").json()["description"]


def test_a_persona_may_be_readable_in_the_list_alone(sandbox: Sandbox, mavera: Client):
    persona = made_by_hand(sandbox.mavera, "Maria", "Runs the night shift.")
    sandbox.mavera.manners = {"personas-by-list-only"}
    assert mavera.get(f"/personas/{persona}").status_code == 404
    assert persona in {row["id"] for row in mavera.everything("/personas")}
    assert mavera.patch(f"/personas/{persona}", json={"name": "Maria N."}).json()["name"] == "Maria N."


def test_base_personas_can_be_read_not_changed(refusing: Client):
    base = refusing.get("/personas").json()["data"][0]
    assert refusing.get(f"/personas/{base['id']}").json() == base
    assert error_of(refusing.patch(f"/personas/{base['id']}", json={"name": "Mine"})) == (
        403,
        "forbidden",
        None,
    )


@pytest.mark.parametrize("field", ["name", "pipeline_type", "type", "description"])
def test_strict_names_the_field_that_is_missing_and_creates_nothing(refusing: Client, field: str):
    sent = {name: value for name, value in PERSONA.items() if name != field}
    assert error_of(refusing.post("/personas", json=sent)) == (400, "missing_field", field)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("psychographic", {"device": "mobile"}),  # as in the vendor's example
        ("pipeline_type", "basic"),
        ("type", "B2G"),
        ("name", "x"),
        ("name", "x" * 101),
        ("goals", "one goal"),
        ("mcda_weights", {"price": 6}),
        ("is_localized", "yes"),
    ],
)
def test_strict_refuses_a_field_or_value_it_does_not_know_and_names_it(
    refusing: Client, field: str, value: object
):
    assert error_of(refusing.post("/personas", json={**PERSONA, field: value})) == (
        400,
        "invalid_field",
        field,
    )


def test_lenient_ignores_unknown_fields_and_fills_in_missing_ones(world: World):
    with mavera_of(world, strict=False) as mavera:
        sent = {
            "name": "SG: mobile",
            "description": "Reads on the move.",
            "psychographic": {"device": "mobile"},
        }
        created = mavera.post("/personas", json=sent)
    assert created.status_code == 201
    assert created.json()["pipeline_type"] == "north_star"
    assert "psychographic" not in created.text


def test_the_guided_pipeline_takes_the_references_whole_example(mavera: Client):
    lists = ["role_segment", "primary_objectives", "goals", "pains", "triggers", "channels"]
    lists += ["proof_types", "alternatives", "win_factors", "objections"]
    sent = {
        "pipeline_type": "intermediate",
        "type": "B2B",
        "name": "Desk Reader",
        "buying_stage": "SOLUTION_AWARE",
        "decision_role": "ECONOMIC_BUYER",
        **{field: ["one", "two"] for field in lists},
        "mcda_weights": {"price": 3, "timeToValue": 5, "risk": 2, "proof": 4, "support": 3},
    }
    persona = mavera.post("/personas", json=sent).json()
    assert persona["details"]["mcda_weights"] == sent["mcda_weights"]
    assert {field: persona["details"][field] for field in lists} == {field: sent[field] for field in lists}
    refused = mavera.post("/personas", json={**sent, "seniority": "head"})
    assert error_of(refused) == (400, "invalid_field", "seniority")
    del sent["objections"]
    assert error_of(mavera.post("/personas", json=sent)) == (400, "missing_field", "objections")


def test_fields_belong_to_the_pipeline_that_takes_them(mavera: Client, world: World):
    fields = {"seniority": "head", "goals": ["Less to read"], "is_localized": True}
    free = mavera.post("/personas", json={**PERSONA, "pipeline_type": "advanced", **fields}).json()
    assert fields.items() <= free["details"].items()
    refused = mavera.post("/personas", json={**PERSONA, **fields})
    assert error_of(refused) == (400, "invalid_field", "goals")
    with mavera_of(world, strict=False) as lenient:
        taken = lenient.post("/personas", json={**PERSONA, **fields}).json()
    assert fields.items() <= taken["details"].items()


def test_an_answer_restates_each_figure_and_advises_on_it(mavera: Client):
    answer = mavera.post("/mave/chat", json={"message": QUESTION}).json()
    assert answer["role"] == "assistant"
    lines = answer["content"].splitlines()
    assert "- Skimmers: 120 viewers, 0.31 of a video" in lines
    assert "- Bouncers: 48 viewers" in lines
    assert [line.split(":")[0] for line in lines[lines.index("## What to do") + 1 :]] == [
        "- Skimmers",
        "- Bouncers",
    ]
    assert mavera.post("/mave/chat", json={"message": QUESTION}).json()["content"] == answer["content"]


@pytest.mark.parametrize(
    ("words", "complexity", "credits_used"),
    [
        (1, "SIMPLE", 10),
        (39, "SIMPLE", 14),
        (40, "MODERATE", 20),
        (150, "COMPLEX", 30),
        (2000, "STRATEGIC", 75),
    ],
)
def test_a_longer_question_costs_more_within_what_is_documented(
    mavera: Client, words: int, complexity: str, credits_used: int
):
    answer = mavera.post("/mave/chat", json={"message": "why " * words}).json()
    assert answer["usage"] == {"credits_used": credits_used}
    (thread,) = mavera.get("/mave/threads").json()["data"]
    assert (thread["complexity"], thread["credits_used"]) == (complexity, credits_used)


def test_an_answer_that_was_lost_can_be_found_in_its_thread(sandbox: Sandbox, mavera: Client):
    fault = {"name": "cut-after", "vendor": "mavera", "count": 1, "path": "/mave/chat"}
    requests.post(f"{mavera.root}/control/faults", json=fault, timeout=10).raise_for_status()
    with pytest.raises(requests.ConnectionError):
        mavera.post("/mave/chat", json={"message": QUESTION})

    (row,) = mavera.get("/mave/threads").json()["data"]
    thread = mavera.get(f"/mave/threads/{row['id']}").json()
    question, answer = thread["messages"]
    assert (question["role"], question["content"]) == ("user", QUESTION)
    assert (answer["role"], answer["content"][:3]) == ("assistant", "## ")
    assert sandbox.mavera.summary()["credits_spent"] == row["credits_used"]


def test_a_thread_goes_on_where_it_is_named(mavera: Client):
    first = mavera.post("/mave/chat", json={"message": QUESTION}).json()
    again = mavera.post("/mave/chat", json={"message": "And then?", "thread_id": first["thread_id"]}).json()
    assert again["thread_id"] == first["thread_id"]
    thread = mavera.get(f"/mave/threads/{first['thread_id']}").json()
    assert [message["id"] for message in thread["messages"]][1::2] == [first["id"], again["id"]]
    assert thread["credits_used"] == first["usage"]["credits_used"] + again["usage"]["credits_used"]
    assert thread["personas_used"]
    assert {source["url"] for source in first["sources"]} <= {source["url"] for source in thread["sources"]}


def test_threads_are_paged_by_offset_the_newest_first(mavera: Client):
    asked = [
        mavera.post("/mave/chat", json={"message": f"Question {n}"}).json()["thread_id"] for n in range(5)
    ]
    page = mavera.get("/mave/threads", params={"limit": 2, "offset": 1}).json()
    assert [row["id"] for row in page["data"]] == [asked[3], asked[2]]
    assert (page["total"], page["limit"], page["offset"], page["has_more"]) == (5, 2, 1, True)
    assert "messages" not in page["data"][0]
    assert not mavera.get("/mave/threads", params={"offset": 4}).json()["has_more"]


def test_a_deleted_thread_is_gone_and_its_price_is_not_given_back(sandbox: Sandbox, mavera: Client):
    thread_id = mavera.post("/mave/chat", json={"message": "Hello"}).json()["thread_id"]
    assert mavera.delete(f"/mave/threads/{thread_id}").ok
    assert error_of(mavera.get(f"/mave/threads/{thread_id}")) == (404, "resource_not_found", None)
    assert sandbox.mavera.summary()["credits_spent"] == 10


@pytest.mark.parametrize(
    ("sent", "refusal"),
    [
        ({}, (400, "missing_field", "message")),
        ({"message": " "}, (400, "invalid_field", "message")),
        ({"message": "Hello", "stream": True}, (400, "invalid_field", "stream")),
        ({"message": "Hello", "personas": []}, (400, "invalid_field", "personas")),
        ({"message": "Hello", "workspace_id": "ws_other"}, (400, "invalid_field", "workspace_id")),
        ({"message": "Hello", "thread_id": "mave_thread_other"}, (404, "resource_not_found", None)),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(
    refusing: Client, sent: object, refusal: tuple[int, str, str | None]
):
    assert error_of(refusing.post("/mave/chat", json=sent)) == refusal


def test_only_lenient_answers_carry_the_guides_validation(world: World, mavera: Client):
    assert "validation" not in mavera.post("/mave/chat", json={"message": "Hello"}).json()
    with mavera_of(world, strict=False) as lenient:
        validation = lenient.post("/mave/chat", json={"message": "Hello"}).json()["validation"]
    assert 0 <= validation["confidence_score"] <= 1


def test_the_eleventh_chat_at_once_is_told_to_wait(sandbox: Sandbox, mavera: Client):
    sandbox.mavera.chat_seconds = 0.5
    with ThreadPoolExecutor(11) as pool:
        answers = list(pool.map(lambda _: mavera.post("/mave/chat", json={"message": "Hello"}), range(11)))
    assert sorted(answer.status_code for answer in answers) == [200] * 10 + [429]
    (refused,) = (answer for answer in answers if not answer.ok)
    assert int(refused.headers["Retry-After"]) >= 1
    assert mavera.get("/mave/threads").json()["total"] == 10


def test_a_spent_plan_refuses_before_it_works(world: World):
    with mavera_of(world, balance=310) as mavera:
        assert mavera.post("/personas", json=PERSONA).ok
        assert error_of(mavera.post("/personas", json=PERSONA)) == (402, "credits_exhausted", None)
        assert mavera.post("/mave/chat", json={"message": "Hello"}).ok  # the last ten
        assert error_of(mavera.post("/mave/chat", json={"message": "Hello"})) == (
            402,
            "credits_exhausted",
            None,
        )
        assert [row["name"] for row in mavera.everything("/personas") if row["is_custom"]] == ["Skimmers"]


def test_a_workspace_has_a_limit_of_its_own(mavera: Client):
    tight = next(row for row in mavera.everything("/workspaces") if row["usage_limit"])
    question = {"message": "Hello", "workspace_id": tight["id"]}
    assert [mavera.post("/mave/chat", json=question).status_code for _ in range(4)] == [200] * 4
    assert error_of(mavera.post("/mave/chat", json=question)) == (402, "budget_exceeded", None)
    assert mavera.post("/mave/chat", json={"message": "Hello"}).ok
    assert mavera.get(f"/workspaces/{tight['id']}").json()["thread_count"] == 4


def test_what_was_paid_for_survives_a_restart(world: World, tmp_path: Path):
    state = tmp_path / "new" / "mavera.sqlite"
    with mavera_of(world, state=state) as mavera:
        persona = mavera.post("/personas", json=PERSONA).json()
        thread_id = mavera.post("/mave/chat", json={"message": QUESTION}).json()["thread_id"]
        thread = mavera.get(f"/mave/threads/{thread_id}").json()
    with mavera_of(world, state=state, balance=400) as mavera:
        assert mavera.get(f"/personas/{persona['id']}").json() == persona
        assert mavera.get(f"/mave/threads/{thread_id}").json() == thread
        assert error_of(mavera.post("/personas", json=PERSONA)) == (402, "credits_exhausted", None)


@pytest.mark.parametrize(
    ("method", "path", "refusal"),
    [
        ("GET", "/personas/clnobody", (404, "resource_not_found", None)),
        ("GET", "/nothing", (404, "resource_not_found", None)),
        ("DELETE", "/personas/clnobody", (405, "method_not_allowed", None)),
        ("POST", "/personas", (400, "invalid_field", None)),
    ],
)
def test_every_failure_has_the_vendors_envelope(
    refusing: Client, method: str, path: str, refusal: tuple[int, str, str | None]
):
    assert error_of(refusing.request(method, path, data="{not json")) == refusal
