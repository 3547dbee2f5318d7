"""Focus groups: their questions, their personas, and their results after a while."""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.mavera.account import Account, require_workspace
from sandbox.mavera.answers import study_results
from sandbox.mavera.personas import BASE_PERSONAS, base_persona
from sandbox.mavera.requests import (
    Refusal,
    Row,
    Served,
    body_of,
    invalid,
    iso,
    missing,
    names,
    new_id,
    page_by_cursor,
)

STUDIES_AT_ONCE: Final = 5
STUDY_CREDITS: Final = (50, 200)  # minimum and maximum
STUDY_FIELDS: Final = names("name workspace_id persona_ids sample_size questions")
STUDY_PERSONAS: Final = (1, 10)
STUDY_QUESTIONS: Final = (1, 20)
STUDY_RESPONDENTS: Final = (10, 200)
STUDY_STATES: Final = {  # in strict and in lenient spelling
    "pending": ("PENDING", "pending"),
    "processing": ("PROCESSING", "processing"),
    "completed": ("COMPLETED", "complete"),
    "failed": ("FAILED", "error"),
}


class QuestionType(NamedTuple):
    """Requirements of a question type: a scale with such ends, lists with at least this many entries."""

    scale: bool = False
    ends: tuple[tuple[int, int], ...] = ()
    lists: Mapping[str, int] = {}


QUESTION_TYPES: Final[Mapping[str, QuestionType]] = {
    "NPS": QuestionType(),
    "LIKERT": QuestionType(scale=True, ends=((1, 5), (1, 7))),
    "MULTIPLE_CHOICE": QuestionType(lists={"options": 2}),
    "OPEN_ENDED": QuestionType(),
    "RATING": QuestionType(scale=True),
    "YES_NO": QuestionType(),
    "RANKING": QuestionType(lists={"options": 2}),
    "SLIDER": QuestionType(scale=True),
    "MATRIX": QuestionType(scale=True, lists={"rows": 1}),
    "SEMANTIC_DIFFERENTIAL": QuestionType(scale=True, lists={"labels": 2}),
    "CONJOINT": QuestionType(lists={"options": 2}),
    "MAX_DIFF": QuestionType(lists={"options": 3}),
}
QUESTION_FIELDS: Final = names("order type question scale options rows labels allow_multiple")


class Studies:
    """Endpoints of focus groups."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.routes: Sequence[Served] = [
            Served("GET", "/focus-groups", self._list),
            Served("POST", "/focus-groups", self._create),
            Served("GET", "/focus-groups/{id}", self._get),
        ]

    async def _list(self, request: Request) -> Response:
        long = ("questions", "results")
        studies = [
            {field: value for field, value in self._shown(study).items() if field not in long}
            for study in self._account.listed("focus group")
        ]
        return JSONResponse(page_by_cursor(request, studies))

    async def _get(self, request: Request) -> Response:
        return JSONResponse(self._shown(self._account.load("focus group", request.path_params["id"])))

    async def _create(self, request: Request) -> Response:
        fields = self._fields(await body_of(request))
        running = sum(
            self._account.stage(json.loads(body), self._account.study_seconds) in {"pending", "processing"}
            for (body,) in self._account.query("select body from objects where kind = 'focus group'")
        )
        if running >= STUDIES_AT_ONCE:
            retry_after = {"Retry-After": str(max(1, math.ceil(self._account.study_seconds)))}
            message = f"At most {STUDIES_AT_ONCE} focus groups at once."
            raise Refusal(429, message=message, headers=retry_after)
        personas = [base_persona(one) or self._account.load("persona", one) for one in fields["persona_ids"]]
        price = study_price(fields["sample_size"], len(fields["questions"]))
        questions = [
            {"id": f"q_{number}", "order": number} | question
            for number, question in enumerate(fields["questions"], start=1)
        ]
        study: Row = {
            "id": new_id("fg"),
            "object": "focus_group",
            **fields,
            "questions": questions,
            "results": study_results(personas, questions, fields["sample_size"]),
            "credits": price,
            "fails": self._account.studies_to_fail > 0,
            "created_at": iso(self._account.now()),
        }
        with self._account.charged(study["id"], price, fields["workspace_id"]):
            self._account.save("focus group", study)
        self._account.studies_to_fail = max(0, self._account.studies_to_fail - 1)
        return JSONResponse(self._shown(study, "pending"), 201)

    def _shown(self, study: Row, stage: str = "") -> Row:
        """Return a focus group as served at `stage`: results once completed, a reason once failed."""
        stage = stage or self._account.stage(study, self._account.study_seconds)
        is_over = stage in {"completed", "failed"}
        ended = datetime.fromisoformat(study["created_at"]) + timedelta(seconds=self._account.study_seconds)
        shown = {field: value for field, value in study.items() if field not in {"credits", "fails"}}
        return shown | {
            "status": STUDY_STATES[stage][0 if self._account.strict else 1],
            "results": study["results"] if stage == "completed" else None,
            "error": "The panel could not be assembled." if stage == "failed" else None,
            "usage": {"credits_used": study["credits"]} if is_over or not self._account.strict else None,
            "updated_at": iso(ended) if is_over else study["created_at"],
        }

    def _fields(self, sent: Row) -> Row:
        """Return the fields of a new focus group; raises Refusal for the first one missing or wrong."""
        fields: Row = {} if self._account.strict else {"name": "Focus group", "sample_size": 25}
        fields |= self._account.known(sent, STUDY_FIELDS)
        for field in ("name", "workspace_id", "persona_ids", "sample_size", "questions"):
            if field not in fields:
                raise missing(field)
        if not isinstance(fields["name"], str) or not 2 <= len(fields["name"]) <= 100:
            raise invalid("name", "must have 2 to 100 characters")
        require_workspace(fields["workspace_id"])
        for field, (low, high) in (("persona_ids", STUDY_PERSONAS), ("questions", STUDY_QUESTIONS)):
            if not isinstance(fields[field], list) or not low <= len(fields[field]) <= high:
                raise invalid(field, f"must be a list of {low} to {high}")
        known = {persona["id"] for persona in BASE_PERSONAS} | {
            object_id
            for (object_id,) in self._account.query("select object_id from objects where kind = 'persona'")
        }
        if len(set(map(str, fields["persona_ids"]))) < len(fields["persona_ids"]):
            raise invalid("persona_ids", "names a persona twice")
        if not known.issuperset(fields["persona_ids"]):
            raise Refusal(400, "invalid_persona", "There is no such persona.", "persona_ids")
        low, high = STUDY_RESPONDENTS
        if type(fields["sample_size"]) is not int or not low <= fields["sample_size"] <= high:
            raise invalid("sample_size", f"must be a whole number from {low} to {high}")
        fields["questions"] = [
            self._question(question, f"questions[{position}]")
            for position, question in enumerate(fields["questions"])
        ]
        return fields

    def _question(self, sent: Any, where: str) -> Row:
        if not isinstance(sent, dict):
            raise invalid(where, "must be an object")
        question = self._account.known(sent, QUESTION_FIELDS)
        kind = QUESTION_TYPES.get(question.get("type", ""))
        if kind is None:
            raise invalid(f"{where}.type", f"must be one of {', '.join(QUESTION_TYPES)}")
        if not isinstance(question.get("question"), str) or not question["question"].strip():
            raise missing(f"{where}.question")
        if kind.scale:
            scale = question.get("scale")
            if not (
                isinstance(scale, dict) and scale.keys() == {"min", "max"} and scale["min"] < scale["max"]
            ):
                raise invalid(f"{where}.scale", "must have a min below its max")
            if kind.ends and (scale["min"], scale["max"]) not in kind.ends:
                raise invalid(f"{where}.scale", "must be 1 to 5 or 1 to 7")
        for field, fewest in kind.lists.items():
            if not isinstance(question.get(field), list) or len(question[field]) < fewest:
                raise invalid(f"{where}.{field}", f"must be a list of at least {fewest}")
        return question


def study_price(respondents: int, questions: int) -> int:
    """Return the price of a focus group, approximately as in the vendor's guide."""
    lowest, highest = STUDY_CREDITS
    return min(highest, lowest + math.ceil(1.25 * (respondents - STUDY_RESPONDENTS[0])) + 2 * questions)
