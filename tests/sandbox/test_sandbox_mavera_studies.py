"""Focus groups and generations of the Mavera in the sandbox."""

from typing import Any

import pytest

from sandbox.mavera.personas import BASE_PERSONAS
from sandbox.server import Sandbox, serving
from sandbox.world import World
from tests.sandbox import test_sandbox_mavera as shared
from tests.sandbox.test_sandbox_mavera import PERSONA, Client, error_of, mavera_of

mavera = shared.mavera
refusing = shared.refusing
sandbox = shared.sandbox
world = shared.world

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
    sandbox = Sandbox(world, limits="off")  # hundreds of requests without a pause
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
    assert text["output"].startswith(
        "**Subject:** Repair at home: worth a minute\n\n**Preview:** One next step, calm."
    )
    assert "This text is for: Viewers" in text["output"]
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
    assert "**Subject:** x:" in texts[0]["markdown"]
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
