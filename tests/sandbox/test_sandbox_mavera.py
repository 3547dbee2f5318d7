"""Mavera in the sandbox: who may ask, what it costs, what it keeps, and how it says no."""

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
from sandbox.mavera.personas import BASE_PERSONAS
from sandbox.server import Sandbox, serving
from sandbox.world import World

PERSONA = {"pipeline_type": "north_star", "type": "B2C", "name": "Skimmers", "description": "120 viewers."}
QUESTION = "What should we change?\n- Skimmers: 120 viewers, 0.31 of a video\n- Bouncers: 48 viewers"


class Client(requests.Session):
    """Mavera's API with a good key."""

    def __init__(self, root: str) -> None:
        super().__init__()
        self.root = root
        self.headers["Authorization"] = f"Bearer {KEY}"

    def request(self, method: str, path: str, *args: Any, **kwargs: Any) -> requests.Response:
        return super().request(method, f"{self.root}/mavera/api/v1{path}", *args, timeout=10, **kwargs)

    def everything(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """All rows of a listing with a cursor."""
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
    """Mavera for tests that only ever hear no, and so may share it."""
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
    assert updated["credits_charged"] == 300  # what it once cost
    assert sandbox.mavera.summary()["credits_spent"] == 300


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
        ("psychographic", {"device": "mobile"}),  # as the vendor's example sends it
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


# --- focus groups ------------------------------------------------------------------------------------

QUESTIONS: list[dict[str, Any]] = [
    {"type": "NPS", "question": "How likely are you to recommend it?"},
    {"type": "LIKERT", "question": "How clear is it?", "scale": {"min": 1, "max": 5}},
    {"type": "MULTIPLE_CHOICE", "question": "Where?", "options": ["Here", "There"]},
    {"type": "OPEN_ENDED", "question": "What is missing?"},
    {"type": "RATING", "question": "How good is it?", "scale": {"min": 1, "max": 10}},
    {"type": "YES_NO", "question": "Would you buy it?"},
    {"type": "RANKING", "question": "In which order?", "options": ["A", "B", "C"]},
    {"type": "SLIDER", "question": "How much?", "scale": {"min": 0, "max": 100}},
    {"type": "MATRIX", "question": "Each?", "scale": {"min": 1, "max": 5}, "rows": ["Price", "Look"]},
    {
        "type": "SEMANTIC_DIFFERENTIAL",
        "question": "Which?",
        "scale": {"min": -3, "max": 3},
        "labels": ["Cold", "Warm"],
    },
    {"type": "CONJOINT", "question": "Which set?", "options": ["A", "B"]},
    {"type": "MAX_DIFF", "question": "Most and least?", "options": ["A", "B", "C"]},
]
STUDY: dict[str, Any] = {
    "name": "A check",
    "workspace_id": "ws_sandbox",
    "persona_ids": ["clbasepersona000000000001", "clbasepersona000000000002"],
    "sample_size": 20,
    "questions": QUESTIONS,
}


def study(**changes: Any) -> dict[str, Any]:
    return {**STUDY, **changes}


def asked(**changes: Any) -> dict[str, Any]:
    return study(questions=[{**QUESTIONS[1], **changes}])


def test_a_focus_group_goes_through_three_states_and_then_has_its_results(sandbox: Sandbox, mavera: Client):
    sandbox.mavera.study_seconds = 3_600
    created = mavera.post("/focus-groups", json=STUDY)
    assert (created.status_code, created.json()["status"], created.json()["results"]) == (
        201,
        "PENDING",
        None,
    )
    path = f"/focus-groups/{created.json()['id']}"
    seen = []
    for seconds in (3_600, 0.0):
        sandbox.mavera.study_seconds = seconds
        seen.append(mavera.get(path).json())
    assert [one["status"] for one in seen] == ["PENDING", "COMPLETED"]
    (listed_study,) = mavera.everything("/focus-groups")
    assert listed_study.keys() == seen[1].keys() - {"questions", "results"}
    assert sandbox.mavera.summary()["credits_spent"] == seen[1]["usage"]["credits_used"] == 50 + 13 + 24


def test_a_focus_group_is_at_work_between_waiting_and_its_end(world: World):
    sandbox = Sandbox(world, limits="off")  # asked without a pause, hundreds of times
    sandbox.mavera.study_seconds = 0.3
    with serving(sandbox) as root, Client(root) as client:
        path = f"/focus-groups/{client.post('/focus-groups', json=STUDY).json()['id']}"
        seen = ["PENDING"]
        while seen[-1] != "COMPLETED":
            if (status := client.get(path).json()["status"]) != seen[-1]:
                seen.append(status)
    assert seen == ["PENDING", "PROCESSING", "COMPLETED"]


def test_every_respondent_answers_every_question_and_the_sums_are_theirs(sandbox: Sandbox, mavera: Client):
    sandbox.mavera.study_seconds = 0
    created = mavera.post("/focus-groups", json=STUDY).json()
    results = mavera.get(f"/focus-groups/{created['id']}").json()["results"]["questions"]
    assert [one["type"] for one in results] == [question["type"] for question in QUESTIONS]
    for one in results:
        assert [row["respondent"] for row in one["responses"]] == list(range(1, 21))
        assert {row["persona_name"] for row in one["responses"]} == {"Gen Z Explorer", "Millennial Planner"}
        assert all(row["reasoning"] for row in one["responses"])
    nps = results[0]
    answers = [row["answer"] for row in nps["responses"]]
    promoters, detractors = sum(one >= 9 for one in answers), sum(one <= 6 for one in answers)
    assert nps["aggregate"]["nps"] == round(100 * (promoters - detractors) / 20)
    assert nps["aggregate"]["mean"] == pytest.approx(sum(answers) / 20, abs=0.01)


def test_answers_differ_by_the_personas_traits_and_by_the_question(sandbox: Sandbox, mavera: Client):
    sandbox.mavera.study_seconds = 0
    likes = []
    for description in ("Customers from whom most is expected.", "Customers from whom least is expected."):
        persona = mavera.post("/personas", json={**PERSONA, "description": description}).json()["id"]
        body = study(
            persona_ids=[persona],
            sample_size=50,
            questions=[QUESTIONS[1], {**QUESTIONS[1], "question": "How fair?"}],
        )
        created = mavera.post("/focus-groups", json=body).json()["id"]
        again = mavera.post("/focus-groups", json=body).json()["id"]
        first, second = (
            mavera.get(f"/focus-groups/{one}").json()["results"]["questions"] for one in (created, again)
        )
        assert first == second
        likes.append([one["aggregate"]["mean"] for one in first])
    (most, most_fair), (least, least_fair) = likes
    assert most > least + 0.5
    assert most_fair > least_fair + 0.5
    assert most != most_fair


def test_a_focus_group_that_fails_is_charged_and_says_why(sandbox: Sandbox, mavera: Client):
    sandbox.mavera.study_seconds, sandbox.mavera.studies_to_fail = 0, 1
    paths = [f"/focus-groups/{mavera.post('/focus-groups', json=STUDY).json()['id']}" for _ in range(2)]
    failed, completed = (mavera.get(path).json() for path in paths)
    assert (failed["status"], failed["results"], bool(failed["error"])) == ("FAILED", None, True)
    assert completed["status"] == "COMPLETED"
    assert sandbox.mavera.summary()["credits_spent"] == 2 * failed["usage"]["credits_used"]


def test_a_sixth_focus_group_at_once_is_told_to_wait(sandbox: Sandbox, mavera: Client):
    sandbox.mavera.study_seconds = 60
    assert {mavera.post("/focus-groups", json=STUDY).status_code for _ in range(5)} == {201}
    refused = mavera.post("/focus-groups", json=STUDY)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
    sandbox.mavera.study_seconds = 0
    assert mavera.post("/focus-groups", json=STUDY).status_code == 201


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        *((study(**{field: None}), "invalid_field", field) for field in ("workspace_id", "sample_size")),
        *(
            ({name: value for name, value in STUDY.items() if name != field}, "missing_field", field)
            for field in STUDY
        ),
        (study(workspace_id="ws_other"), "invalid_field", "workspace_id"),
        (study(persona_ids=[]), "invalid_field", "persona_ids"),
        (study(persona_ids=["clnobody"]), "invalid_persona", "persona_ids"),
        (study(persona_ids=["clbasepersona000000000001"] * 2), "invalid_field", "persona_ids"),
        (study(sample_size=9), "invalid_field", "sample_size"),
        (study(sample_size=201), "invalid_field", "sample_size"),
        (study(questions=QUESTIONS[:1] * 21), "invalid_field", "questions"),
        (study(stimulus="x"), "invalid_field", "stimulus"),
        (asked(type="RIDDLE"), "invalid_field", "questions[0].type"),
        (asked(question=" "), "missing_field", "questions[0].question"),
        (asked(scale={"min": 1, "max": 6}), "invalid_field", "questions[0].scale"),
        (asked(type="SLIDER", scale={"min": 1, "max": 1}), "invalid_field", "questions[0].scale"),
        (asked(type="RANKING", options=["A"]), "invalid_field", "questions[0].options"),
        (asked(type="MAX_DIFF", options=["A", "B"]), "invalid_field", "questions[0].options"),
        (asked(type="MATRIX", rows=[]), "invalid_field", "questions[0].rows"),
        (asked(mood="x"), "invalid_field", "mood"),
    ],
)
def test_a_focus_group_that_cannot_be_asked_is_refused_by_name(
    refusing: Client, body: dict[str, Any], code: str, param: str
):
    assert error_of(refusing.post("/focus-groups", json=body)) == (400, code, param)


def test_a_lenient_mavera_says_the_price_at_once_and_spells_states_in_its_own_way(world: World):
    with mavera_of(world, strict=False) as client:
        created = client.post("/focus-groups", json=study(stimulus="ignored", questions=QUESTIONS[:1])).json()
    assert (created["status"], created["usage"]["credits_used"]) == ("pending", 65)


# --- generations -------------------------------------------------------------------------------------

GENERATION: dict[str, Any] = {
    "app_id": "email-writer",
    "input_data": {"topic": "Repair at home", "target_audience": "Viewers", "tone": "calm"},
}


def generation(**changes: Any) -> dict[str, Any]:
    return GENERATION | changes


def given(**inputs: Any) -> dict[str, Any]:
    return generation(input_data=GENERATION["input_data"] | inputs)


def test_a_text_is_written_from_its_inputs_and_paid_for_by_their_length(sandbox: Sandbox, mavera: Client):
    created = mavera.post("/generations", json=generation(title="A mail"))
    text = created.json()
    assert (created.status_code, text["title"], text["content_type"]) == (201, "A mail", "markdown")
    assert text["app"] == {"id": "email-writer", "name": "E-mail", "category": "Email"}
    assert "- topic: Repair at home\n- target audience: Viewers\n- tone: calm" in text["output"]
    assert text["content"] == text["output"]
    assert mavera.get(f"/generations/{text['id']}").json() == text
    long = mavera.post("/generations", json=given(key_points="word " * 100)).json()
    longest = mavera.post("/generations", json=given(key_points="word " * 1_000)).json()
    prices = [one["usage"]["credits_used"] for one in (text, long, longest)]
    assert prices == [10, 18, 30]
    assert sandbox.mavera.summary()["credits_spent"] == sum(prices)


def test_a_text_speaks_for_its_persona(mavera: Client):
    text = mavera.post("/generations", json=generation(persona_id=BASE_PERSONAS[0]["id"])).json()
    assert text["output"].endswith("Written for Gen Z Explorer.")


def test_an_app_that_takes_its_time_answers_without_text_first(sandbox: Sandbox, mavera: Client):
    sandbox.mavera.generation_seconds = 3_600
    inputs = {"topic": "Repair", "key_points": "Glue"}
    created = mavera.post("/generations", json={"app_id": "long-form-article", "input_data": inputs}).json()
    assert (created["output"], created["content"]) == ("", "")
    sandbox.mavera.generation_seconds = 0
    assert "- key points: Glue" in mavera.get(f"/generations/{created['id']}").json()["output"]


def test_generations_are_paged_by_cursor_the_newest_first_without_their_texts(mavera: Client):
    titles = [str(number) for number in range(3)]
    for title in titles:
        mavera.post("/generations", json=generation(title=title))
    rows = mavera.everything("/generations", limit=2)
    assert [row["title"] for row in rows] == titles[::-1]
    assert not {"output", "content", "input_data"} & rows[0].keys()


def test_a_title_alone_can_be_changed(mavera: Client):
    text = mavera.post("/generations", json=GENERATION).json()
    path = f"/generations/{text['id']}"
    assert mavera.patch(path, json={"title": "Renamed"}).json() == text | {"title": "Renamed"}
    assert error_of(mavera.patch(path, json={"output": "x"})) == (400, "invalid_field", "output")
    assert error_of(mavera.patch(path, json={"title": 101 * "x"})) == (400, "invalid_field", "title")
    assert mavera.get(path).json()["title"] == "Renamed"


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"input_data": {}}, "missing_field", "app_id"),
        ({"app_id": "email-writer"}, "missing_field", "input_data"),
        (generation(app_id="fax"), "invalid_field", "app_id"),
        (generation(app_id="email_writer"), "invalid_field", "app_id"),
        (generation(input_data="x"), "invalid_field", "input_data"),
        (given(topic=""), "missing_field", "input_data.topic"),
        (given(mood="x"), "invalid_field", "mood"),
        (generation(workspace_id="ws_other"), "invalid_field", "workspace_id"),
        (generation(title=101 * "x"), "invalid_field", "title"),
        (generation(stream=True), "invalid_field", "stream"),
        (generation(mood="x"), "invalid_field", "mood"),
    ],
)
def test_a_text_that_cannot_be_written_is_refused_by_name(
    refusing: Client, body: dict[str, Any], code: str, param: str
):
    assert error_of(refusing.post("/generations", json=body)) == (400, code, param)


@pytest.mark.parametrize("field", ["persona_id", "brand_voice_id"])
def test_a_text_for_nobody_that_exists_is_refused(refusing: Client, field: str):
    assert refusing.post("/generations", json=generation(**{field: "x"})).status_code == 404


def test_a_text_that_passes_the_balance_is_not_written(sandbox: Sandbox, mavera: Client):
    sandbox.mavera.balance = 9
    assert error_of(mavera.post("/generations", json=GENERATION)) == (402, "credits_exhausted", None)
    assert sandbox.mavera.summary()["generations"] == 0


def test_a_lenient_mavera_names_apps_and_texts_in_the_guides_way_and_pages_by_offset(world: World):
    with mavera_of(world, strict=False) as client:
        apps = client.get("/generation-apps").json()["data"]
        body = generation(app_id="email_writer", mood="ignored", input_data={"topic": "x", "mood": "y"})
        texts = [client.post("/generations", json=body).json() for _ in range(3)]
        page = client.get("/generations", params={"limit": 2, "offset": 2}).json()
    assert apps[1]["id"] == "email_writer"
    assert apps[1]["input_schema"]["topic"] == {"type": "text", "required": True}
    assert (texts[0]["app"], texts[0]["content_type"]) == ("email_writer", "MARKDOWN")
    assert "- topic: x" in texts[0]["markdown"]
    assert not {"output", "content"} & texts[0].keys()
    assert (page["data"], page["total"], page["has_more"]) == ([texts[0]], 3, False)


def test_a_strict_mavera_lists_the_inputs_of_each_app(mavera: Client):
    apps = {app["id"]: app for app in mavera.get("/generation-apps").json()["data"]}
    assert len(apps) == 4
    assert apps["email-writer"]["input_fields"][:3] == [
        {"name": "topic", "type": "text", "required": True},
        {"name": "target_audience", "type": "text", "required": True},
        {"name": "tone", "type": "text", "required": False},
    ]
