"""Mavera: workspaces, personas, focus groups, files, brand voices and the Mave chat, with a state file and
credits that run out.

Where the vendor's pages leave something open, strict reads them in the way that hurts a careless client:
unknown and missing fields are refused, a chat answer has the reference's fields only. Lenient reads them as
the vendor's examples need it: unknown fields are ignored, defaults fill gaps, answers carry `validation`. Of
focus groups no reference is known: strict says its price only with the results, lenient at once, and each
spells its states in its own way, as it does those of a brand voice. Of generations strict speaks as the
reference does, lenient as the guide: apps, their ids and the text of an answer go by other names there.
Every change is committed before its answer leaves: a cut connection loses the answer, not the work.
"""

import asyncio
import hashlib
import json
import math
import re
import secrets
import sqlite3
import string
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.mavera_answers import (
    APPS,
    App,
    Row,
    advice,
    imagined,
    number_from,
    priced,
    sources_for,
    study_results,
    written,
)
from sandbox.mavera_manners import shown
from sandbox.mavera_voices import voice_in
from sandbox.vendor import Limit, Standing

KEY: Final = "mvra_live_sandbox0000000000000000"
REVOKED_KEY: Final = "mvra_live_revoked0000000000000000"
EXPIRED_KEY: Final = "mvra_live_expired0000000000000000"

PERSONA_CREDITS: Final = 300
CHATS_AT_ONCE: Final = 10
STUDIES_AT_ONCE: Final = 5
STUDY_CREDITS: Final = (50, 200)  # fewest and most
VOICE_CREDITS: Final = 50
GENERATION_CREDITS: Final = (10, 30)  # fewest and most
WORDS_A_CREDIT: Final = 12  # of what a generation is given, above the fewest
RETRY_AFTER_SECONDS: Final = 30  # what the vendor's own sample waits when the header is missing

Handler = Callable[[Request], Awaitable[Response]]


class Plan(NamedTuple):
    """A price tier: requests in any 60 seconds, credits in a calendar month."""

    requests: int
    credits: int


PLANS: Final[Mapping[str, Plan]] = {
    "starter": Plan(60, 500),
    "basic": Plan(120, 2_000),
    "professional": Plan(240, 5_000),
    "enterprise": Plan(600, 50_000),  # negotiated, so any allocation is as true
}


class Workspace(NamedTuple):
    """`usage_limit` is the most credits it may use a month; None leaves only the plan's balance."""

    workspace_id: str
    name: str
    usage_limit: int | None


# The first is the default: personas, and calls that name no workspace, are charged to it.
WORKSPACES: Final = (
    Workspace("ws_sandbox", "Sandbox", None),
    Workspace("ws_sandbox_tight", "Sandbox on a tight budget", 40),
)

BASE_PERSONAS: Final[tuple[Row, ...]] = tuple(
    {
        "id": f"clbasepersona{position:012d}",
        "object": "persona",
        "name": name,
        "category": category,
        "description": description,
        "is_custom": False,
        "is_expert": category == "Expert",
        "created_at": 1_735_689_600,
    }
    for position, (category, name, description) in enumerate(
        [
            ("Generational", "Gen Z Explorer", "Discovers by short video, decides by peers, leaves quickly."),
            ("Generational", "Millennial Planner", "Compares at lunch, buys in the evening, on a phone."),
            (
                "Generational",
                "Gen X Pragmatist",
                "Reads the terms, wants one clear reason, keeps what works.",
            ),
            ("Generational", "Boomer Loyalist", "Trusts known names, prefers letters and a desktop."),
            ("Lifestyle", "Weekend Hiker", "Plans the season early and pays for gear that lasts."),
            ("Lifestyle", "Home Cook", "Collects recipes, watches to the end, buys the tool shown."),
            ("IndustrySpecific", "Retail Operator", "Weighs stock, margin and returns before taste."),
            ("IndustrySpecific", "SaaS Marketer", "Lives in funnels, doubts averages, asks for the cohort."),
            ("IndustrySpecific", "Clinic Manager", "Needs compliance first and a contract second."),
            ("Expert", "Lifecycle Strategist", "Twenty years of retention programmes, in any channel."),
            ("Expert", "Video Producer", "Judges by the second at which viewers leave."),
            ("Expert", "Pricing Analyst", "Reads willingness to pay out of behaviour."),
        ],
        start=1,
    )
)


def names(text: str) -> frozenset[str]:
    return frozenset(text.split())


ENUMS: Final = {"pipeline_type": ("north_star", "intermediate", "advanced"), "type": ("B2B", "B2C")}
WEIGHTS: Final = names("price timeToValue risk proof support")

# The reference's complete example of `intermediate`; nothing says which of these may be left out.
GUIDED_TEXTS: Final = names("buying_stage decision_role")
GUIDED_LISTS: Final = names(
    """
    role_segment primary_objectives goals pains triggers channels
    proof_types alternatives win_factors objections
    """
)
GUIDED: Final = GUIDED_TEXTS | GUIDED_LISTS | {"mcda_weights"}

# What an answer's `details` may hold, and an update may therefore change.
TEXTS: Final = GUIDED_TEXTS | names(
    """
    persona_type primary_use_case brand_voice_fit reading_level role_title seniority industry company_size
    budget_authority life_stage age_band income_band purchase_cadence locale_scope locale_value
    """
)
LISTS: Final = GUIDED_LISTS | names(
    """
    values proof_preferences key_differentiators regulatory_context tone_guardrails tech_stack
    procurement_constraints committee_mapping household_context lifestyle_affinities
    local_channels local_objections local_keywords
    """
)
DETAILS: Final = TEXTS | LISTS | {"mcda_weights", "is_localized"}
# What creation takes beside name and description; an update takes any field of a custom persona.
TAKEN_BY: Final = {"north_star": frozenset[str](), "intermediate": GUIDED, "advanced": DETAILS}
PERSONA_FIELDS: Final = DETAILS | {"pipeline_type", "type", "name", "description"}
CHAT_FIELDS: Final = names("message thread_id workspace_id stream")

STUDY_FIELDS: Final = names("name workspace_id persona_ids sample_size questions")
STUDY_PERSONAS: Final = (1, 10)
STUDY_QUESTIONS: Final = (1, 20)
STUDY_RESPONDENTS: Final = (10, 200)
STUDY_STATES: Final = {  # as strict and as lenient spells them
    "pending": ("PENDING", "pending"),
    "processing": ("PROCESSING", "processing"),
    "completed": ("COMPLETED", "complete"),
    "failed": ("FAILED", "error"),
}


FILE_FIELDS: Final = {
    "/files/upload-url": (names("file_name file_type file_size workspace_id"), names("checksum folder_id")),
    "/files": (names("name type url workspace_id file_size"), names("folder_id metadata")),
}
FILE_BYTES: Final = 10 * 2**20
VIDEO_BYTES: Final = 2 * 2**30
UPLOAD_SECONDS: Final = 3_600
STORAGE: Final = "/storage"  # another host at Mavera: it knows no keys, and refuses a request that brings one

VOICE_CONTENT: Final = names("voice_summary tone writing_style vocabulary example_phrases")
VOICE_FIELDS: Final = names("label usage_context workspace_id urls documents example_phrases vocabulary tone")
VOICE_SOURCES: Final = names("urls documents")
DOCUMENT_FIELDS: Final = names("name url file_type file_size")
VOICE_OBJECTS: Final = names("tone writing_style vocabulary")
VOICE_SHORTEST: Final = {"label": 2, "usage_context": 10}  # characters
VOICE_STATES: Final = {  # as the reference spells them, and as the guide does
    "pending": ("pending", "PENDING"),
    "processing": ("generating", "GENERATING"),
    "completed": ("completed", "READY"),
    "failed": ("failed", "FAILED"),
}


class QuestionType(NamedTuple):
    """What a question of a type must bring: a scale with such ends, lists with at least so many entries."""

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

GENERATION_FIELDS: Final = names("app_id input_data brand_voice_id persona_id workspace_id title stream")
TITLE_CHARACTERS: Final = 100


SCHEMA: Final = """
create table if not exists objects (
    position integer primary key autoincrement,
    kind text not null,
    object_id text not null unique,
    body text not null
);
create table if not exists uploads (
    key text primary key,
    signature text not null,
    file_type text not null,
    file_size integer not null,
    checksum text,
    expires_at text not null,
    content blob
);
create table if not exists charges (
    position integer primary key autoincrement,
    object_id text not null,
    workspace_id text not null,
    credits integer not null,
    charged_at text not null
);
"""

# Type, code and usual message. Documented are the types of 400, 401, 402 and 429, and every code but that of
# 405; the rest follows their style.
ERRORS: Final[Mapping[int, tuple[str, str, str]]] = {
    400: ("invalid_request_error", "invalid_field", "The request could not be read."),
    401: ("authentication_error", "invalid_api_key", "This API key is not valid."),
    402: ("insufficient_credits", "credits_exhausted", "The plan's credits are used up."),
    403: ("permission_error", "forbidden", "This is not allowed."),
    404: ("not_found_error", "resource_not_found", "There is no such resource."),
    405: ("invalid_request_error", "method_not_allowed", "The resource does not support this method."),
    429: ("rate_limit_error", "rate_limit_exceeded", "Too many requests."),
    500: ("api_error", "internal_error", "Something went wrong at Mavera."),
    502: ("api_error", "bad_gateway", "The service did not answer."),
    503: ("api_error", "service_unavailable", "The service is not available right now."),
}


class Refusal(Exception):
    """A request answered with an error in Mavera's envelope; what is not given is usual for its status."""

    def __init__(
        self,
        status: int,
        code: str | None = None,
        message: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        kind, usual_code, usual_message = ERRORS[status]
        message = message or usual_message
        super().__init__(message)
        error = {"message": message, "type": kind, "code": code or usual_code, "param": param}
        self.response = JSONResponse({"error": error}, status, headers=headers)


def missing(field: str) -> Refusal:
    return Refusal(400, "missing_field", f"{field} is required.", field)


def invalid(field: str, reason: str) -> Refusal:
    return Refusal(400, "invalid_field", f"{field} {reason}.", field)


class Mavera:
    """The Mavera API below /api/v1.

    `state` is a SQLite file (created when absent; None keeps all in memory), `balance` the credits of a
    calendar month in UTC (None: the plan's). `plan` may be changed at any time, and so may `chat_seconds`:
    how long Mave thinks before its work is done and charged; `study_seconds`, `voice_seconds` and
    `generation_seconds`: how long a focus group, a brand voice and an app that takes its time need;
    `studies_to_fail` and `voices_to_fail`: how many of the next ones come to nothing, charged all the
    same; `list_lag_seconds`: how long a new object is in no list; `shuffle`: what puts the rows of a list in
    another order. `now` is its clock. `manners` are other ways of answering (sandbox/mavera_manners.py), and
    `refused_fields` fields of a persona that it refuses although the reference has them.
    """

    name = "mavera"

    def __init__(self, state: Path | None = None, strict: bool = True, balance: int | None = None) -> None:
        self.strict = strict
        # What the reference lists, and what it does not list; either may turn out otherwise.
        self.persona_credits, self.persona_edit_credits = PERSONA_CREDITS, 0
        self.plan = PLANS["professional"]
        self.balance = self.plan.credits if balance is None else balance
        self.chat_seconds = 0.0
        self.study_seconds = 1.0
        self.studies_to_fail = 0
        self.voice_seconds = 1.0
        self.voices_to_fail = 0
        self.generation_seconds = 1.0
        self.list_lag_seconds = 0.0
        self.shuffle: Callable[[list[Row]], None] | None = None
        self.manners: set[str] = set()
        self.refused_fields: set[str] = set()
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        self._chats = 0
        if state:
            state.parent.mkdir(parents=True, exist_ok=True)
        # One connection serves all: handlers share an event loop and never pause inside a transaction. The
        # loop may run in another thread than the one that builds this object.
        self._state = sqlite3.connect(state or ":memory:", check_same_thread=False)
        self._state.executescript(f"pragma synchronous = full; {SCHEMA}")
        self.routes: Sequence[Route] = [
            self._route("GET", "/workspaces", self._list_workspaces),
            self._route("GET", "/workspaces/{id}", self._get_workspace),
            self._route("GET", "/personas", self._list_personas),
            self._route("POST", "/personas", self._create_persona),
            self._route("GET", "/personas/{id}", self._get_persona),
            self._route("PATCH", "/personas/{id}", self._update_persona),
            self._route("GET", "/focus-groups", self._list_studies),
            self._route("POST", "/focus-groups", self._create_study),
            self._route("GET", "/focus-groups/{id}", self._get_study),
            self._route("POST", "/files/upload-url", self._create_upload),
            self._route("PUT", f"{STORAGE}/{{key:path}}", self._put_upload, below=""),
            self._route("GET", f"{STORAGE}/{{key:path}}", self._get_upload, below=""),
            self._route("POST", "/files", self._create_file),
            self._route("GET", "/brand-voices", self._list_voices),
            self._route("POST", "/brand-voices", self._create_voice),
            self._route("GET", "/brand-voices/{id}", self._get_voice),
            self._route("PATCH", "/brand-voices/{id}", self._update_voice),
            self._route("GET", "/generation-apps", self._list_apps),
            self._route("GET", "/generations", self._list_generations),
            self._route("POST", "/generations", self._create_generation),
            self._route("GET", "/generations/{id}", self._get_generation),
            self._route("PATCH", "/generations/{id}", self._rename_generation),
            self._route("POST", "/mave/chat", self._chat),
            self._route("GET", "/mave/threads", self._list_threads),
            self._route("GET", "/mave/threads/{id}", self._get_thread),
            self._route("DELETE", "/mave/threads/{id}", self._delete_thread),
        ]

    def _route(self, method: str, path: str, handler: Handler, below: str = "/api/v1") -> Route:
        async def answer(request: Request) -> Response:
            try:
                response = await handler(request)
            except Refusal as refusal:
                return refusal.response
            if self.manners and isinstance(response, JSONResponse):
                path = request.url.path.partition(below)[2] if below else request.url.path
                content = shown(self.manners, method, path, bytes(response.body))
                kind = "text/html" if content.startswith(b"<") else "application/json"
                return Response(content, response.status_code, media_type=kind)
            return response

        return Route(f"{below}{path}", answer, methods=[method])

    def authorize(self, request: Request) -> Response | None:
        if is_storage(request):
            # The signature in the link is the permission; storage refuses a request that brings two.
            return refused_by_storage(400) if "authorization" in request.headers else None
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            return Refusal(401, "missing_api_key", "Send the header Authorization: Bearer <key>.").response
        if key == REVOKED_KEY:
            return Refusal(401, "revoked_api_key", "This API key was revoked.").response
        if key == EXPIRED_KEY:
            return Refusal(401, "expired_api_key", "This API key has expired.").response
        return None if key == KEY else Refusal(401).response

    def limits(self, request: Request) -> Sequence[Limit]:
        return [] if is_storage(request) else [Limit("key", self.plan.requests, 60, sliding=True)]

    def limit_headers(self, standing: Sequence[Standing]) -> dict[str, str]:
        headers = {}
        for limit, remaining, reset in standing:
            headers["X-RateLimit-Limit"] = str(limit.count)
            headers["X-RateLimit-Remaining"] = str(remaining)
            headers["X-RateLimit-Reset"] = str(math.ceil(reset))
        return headers

    def error(self, status: int, request: Request, standing: Sequence[Standing] = ()) -> Response:  # noqa: ARG002
        headers = self.limit_headers(standing)
        if status == 429:
            now = self.now().timestamp()
            seconds = [max(1, math.ceil(reset - now)) for _, _, reset in standing]
            headers["Retry-After"] = str(max(seconds, default=RETRY_AFTER_SECONDS))
        return Refusal(status, headers=headers).response

    def summary(self) -> Row:
        """The number of objects of each kind, all credits spent, and what is left of the month's balance."""
        ((personas, threads, studies, voices, generations, spent),) = self._query(
            """
            select
                (select count(*) from objects where kind = 'persona'),
                (select count(*) from objects where kind = 'thread'),
                (select count(*) from objects where kind = 'focus group'),
                (select count(*) from objects where kind = 'brand voice'),
                (select count(*) from objects where kind = 'generation'),
                (select coalesce(sum(credits), 0) from charges)
            """
        )
        balance = self.balance - self._spent_this_month()
        counts = {"personas": personas, "threads": threads, "focus_groups": studies, "brand_voices": voices}
        return counts | {"generations": generations, "credits_spent": spent, "balance": balance}

    async def _list_workspaces(self, request: Request) -> Response:
        return JSONResponse(page_by_cursor(request, [self._workspace(*row) for row in WORKSPACES]))

    async def _get_workspace(self, request: Request) -> Response:
        for workspace in WORKSPACES:
            if workspace.workspace_id == request.path_params["id"]:
                return JSONResponse(self._workspace(*workspace))
        raise Refusal(404)

    def _workspace(self, workspace_id: str, name: str, usage_limit: int | None) -> Row:
        return {
            "id": workspace_id,
            "object": "workspace",
            "name": name,
            "image": None,
            "type": "enterprise",
            "role": "owner",
            "is_owner": True,
            "member_count": 1,
            "project_count": 0,
            "thread_count": self._count_threads(workspace_id),
            "budget_alert": None,
            "usage_limit": usage_limit,
            "billing_email": None,
            "created_at": "2025-01-01T00:00:00.000Z",
            "updated_at": "2025-01-01T00:00:00.000Z",
        }

    async def _list_personas(self, request: Request) -> Response:
        customs = [listed(persona) for persona in self._listed("persona")]
        return JSONResponse(page_by_cursor(request, [*BASE_PERSONAS, *customs]))

    async def _get_persona(self, request: Request) -> Response:
        persona_id = request.path_params["id"]
        return JSONResponse(base_persona(persona_id) or self._load("persona", persona_id))

    async def _create_persona(self, request: Request) -> Response:
        sent = await body_of(request)
        self._require_persona_fields(sent)
        defaults = {"pipeline_type": "north_star", "type": "B2C", "description": "As Mavera imagines it."}
        fields = defaults | self._persona_fields(sent)
        now = self.now()
        persona: Row = {
            "id": new_cuid(now),
            "object": "custom_persona",
            "name": fields["name"],
            "category": "Custom",
            "description": fields["description"],
            "pipeline_type": fields["pipeline_type"],
            "type": fields["type"],
            "is_custom": True,
            "is_expert": False,
            "created_at": int(now.timestamp()),
            "credits_charged": self.persona_credits,
            "details": imagined(fields["name"]) | details_of(fields),
        }
        with self._charged(persona["id"], self.persona_credits, WORKSPACES[0].workspace_id):
            self._save("persona", persona)
        return JSONResponse(persona, 201)

    async def _update_persona(self, request: Request) -> Response:
        persona_id = request.path_params["id"]
        if base_persona(persona_id):
            raise Refusal(403, message="Base personas are read-only.")
        fields = self._persona_fields(await body_of(request))
        persona = self._load("persona", persona_id)
        persona |= {field: value for field, value in fields.items() if field not in DETAILS}
        persona["details"] |= details_of(fields)
        persona["credits_charged"] += self.persona_edit_credits
        credits_used = self.persona_edit_credits
        charged = self._charged(persona_id, credits_used, WORKSPACES[0].workspace_id)
        with charged if credits_used else self._state:
            self._save("persona", persona)
        return JSONResponse(persona)

    def _require_persona_fields(self, fields: Row) -> None:
        """Raise Refusal for the first field that is missing; lenient needs the name alone."""
        required = ["name"]
        if self.strict:
            guided = fields.get("pipeline_type") == "intermediate"
            required += ["pipeline_type", "type", *(sorted(GUIDED) if guided else ["description"])]
        for field in required:
            if field not in fields:
                raise missing(field)
        pipeline = str(fields.get("pipeline_type"))
        for field in sorted(DETAILS.intersection(fields) - TAKEN_BY.get(pipeline, DETAILS)):
            if self.strict:
                raise invalid(field, f"is not a field of {pipeline}")

    def _persona_fields(self, fields: Row) -> Row:
        """Those of `fields` that a persona has; raises Refusal for a value that one of them cannot take."""
        for field in sorted(self.refused_fields.intersection(fields)):
            raise Refusal(400, "invalid_field", f"Unrecognized key: {field}")
        known = self._known(fields, PERSONA_FIELDS | ({"psychographic"} if not self.strict else set()))
        for field, value in known.items():
            if field in LISTS:
                if not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
                    raise invalid(field, "must be a list of strings")
            elif field == "psychographic":
                if not isinstance(value, dict):
                    raise invalid(field, "must be an object")
            elif field == "mcda_weights":
                if not (isinstance(value, dict) and value.keys() <= WEIGHTS and are_weights(value)):
                    raise invalid(field, f"must give whole numbers, 1 to 5, to {', '.join(sorted(WEIGHTS))}")
            elif field == "is_localized":
                if not isinstance(value, bool):
                    raise invalid(field, "must be true or false")
            elif not isinstance(value, str):
                raise invalid(field, "must be a string")
            elif field == "name" and not 2 <= len(value) <= 100:
                raise invalid(field, "must have 2 to 100 characters")
            elif field in ENUMS and value not in ENUMS[field]:
                raise invalid(field, f"must be one of {', '.join(ENUMS[field])}")
        return known

    def _known(self, fields: Row, known: frozenset[str]) -> Row:
        """`fields` without those the endpoint does not know; strict raises Refusal for the first of them."""
        for field in fields:
            if self.strict and field not in known:
                raise invalid(field, "is not a field of this request")
        return {field: value for field, value in fields.items() if field in known}

    async def _list_studies(self, request: Request) -> Response:
        long = ("questions", "results")
        studies = [
            {field: value for field, value in self._study_now(study).items() if field not in long}
            for study in self._listed("focus group")
        ]
        return JSONResponse(page_by_cursor(request, studies))

    async def _get_study(self, request: Request) -> Response:
        return JSONResponse(self._study_now(self._load("focus group", request.path_params["id"])))

    async def _create_study(self, request: Request) -> Response:
        fields = self._study_fields(await body_of(request))
        running = sum(
            self._stage(json.loads(body), self.study_seconds) in {"pending", "processing"}
            for (body,) in self._query("select body from objects where kind = 'focus group'")
        )
        if running >= STUDIES_AT_ONCE:
            retry_after = {"Retry-After": str(max(1, math.ceil(self.study_seconds)))}
            message = f"At most {STUDIES_AT_ONCE} focus groups at once."
            raise Refusal(429, message=message, headers=retry_after)
        personas = [base_persona(one) or self._load("persona", one) for one in fields["persona_ids"]]
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
            "fails": self.studies_to_fail > 0,
            "created_at": iso(self.now()),
        }
        with self._charged(study["id"], price, fields["workspace_id"]):
            self._save("focus group", study)
        self.studies_to_fail = max(0, self.studies_to_fail - 1)
        return JSONResponse(self._study_now(study, "pending"), 201)

    def _stage(self, work: Row, seconds: float) -> str:
        """How far work that takes `seconds` is: it waits for a third of its time, then is at work."""
        age = (self.now() - datetime.fromisoformat(work["created_at"])).total_seconds()
        if age < seconds:
            return "pending" if age < seconds / 3 else "processing"
        return "failed" if work["fails"] else "completed"

    def _study_now(self, study: Row, stage: str = "") -> Row:
        """A focus group as it is shown at `stage`: results once it is completed, a reason once it failed."""
        stage = stage or self._stage(study, self.study_seconds)
        is_over = stage in {"completed", "failed"}
        ended = datetime.fromisoformat(study["created_at"]) + timedelta(seconds=self.study_seconds)
        shown = {field: value for field, value in study.items() if field not in {"credits", "fails"}}
        return shown | {
            "status": STUDY_STATES[stage][0 if self.strict else 1],
            "results": study["results"] if stage == "completed" else None,
            "error": "The panel could not be assembled." if stage == "failed" else None,
            "usage": {"credits_used": study["credits"]} if is_over or not self.strict else None,
            "updated_at": iso(ended) if is_over else study["created_at"],
        }

    def _study_fields(self, sent: Row) -> Row:
        """What a focus group is to be; raises Refusal for the first field that is missing or wrong."""
        fields: Row = {} if self.strict else {"name": "Focus group", "sample_size": 25}
        fields |= self._known(sent, STUDY_FIELDS)
        for field in ("name", "workspace_id", "persona_ids", "sample_size", "questions"):
            if field not in fields:
                raise missing(field)
        if not isinstance(fields["name"], str) or not 2 <= len(fields["name"]) <= 100:
            raise invalid("name", "must have 2 to 100 characters")
        if fields["workspace_id"] not in {workspace.workspace_id for workspace in WORKSPACES}:
            raise invalid("workspace_id", "is not a workspace of this account")
        for field, (low, high) in (("persona_ids", STUDY_PERSONAS), ("questions", STUDY_QUESTIONS)):
            if not isinstance(fields[field], list) or not low <= len(fields[field]) <= high:
                raise invalid(field, f"must be a list of {low} to {high}")
        known = {persona["id"] for persona in BASE_PERSONAS} | {
            object_id for (object_id,) in self._query("select object_id from objects where kind = 'persona'")
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
        question = self._known(sent, QUESTION_FIELDS)
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

    async def _create_upload(self, request: Request) -> Response:
        """Say where a file may be put, and where anybody can read it from then on."""
        fields = self._file_fields("/files/upload-url", await body_of(request))
        check_size("file_size", fields["file_size"], fields["file_type"])
        if "/" in fields["file_name"]:
            raise invalid("file_name", "must not hold a slash")
        if not re.fullmatch(r"[0-9a-f]{64}", fields.get("checksum") or "0" * 64):
            raise invalid("checksum", "must be a SHA-256 in hexadecimal digits")
        key = f"{fields['workspace_id']}/{secrets.token_hex(12)}/{fields['file_name']}"
        signature, expires = secrets.token_hex(16), self.now() + timedelta(seconds=UPLOAD_SECONDS)
        described = (fields["file_type"], fields["file_size"], fields.get("checksum"))
        with self._state:
            self._state.execute(
                "insert into uploads values (?, ?, ?, ?, ?, ?, null)",
                (key, signature, *described, iso(expires)),
            )
        public_url = f"{str(request.base_url).rstrip('/')}{STORAGE}/{quote(key)}"
        return JSONResponse(
            {
                "upload_url": f"{public_url}?signature={signature}",
                "public_url": public_url,
                "key": key,
                "expires_in": UPLOAD_SECONDS,
                "method": "PUT",
                "headers": {"Content-Type": fields["file_type"]},
                "next_step": "PUT the bytes to upload_url, then POST /files with url = public_url.",
            }
        )

    async def _put_upload(self, request: Request) -> Response:
        key, content = request.path_params["key"], await request.body()
        signature = request.query_params.get("signature", "")
        found = self._query(
            "select file_type, file_size, checksum, expires_at from uploads where key = ? and signature = ?",
            *(key, signature),
        )
        if not found or found[0][3] < iso(self.now()):
            return refused_by_storage(403)
        file_type, file_size, checksum, _ = found[0]
        if request.headers.get("content-type") != file_type:
            return refused_by_storage(403)  # the type is signed as well
        if len(content) != file_size or checksum not in {None, hashlib.sha256(content).hexdigest()}:
            return refused_by_storage(400)
        with self._state:
            self._state.execute("update uploads set content = ? where key = ?", (content, key))
        return Response(status_code=200)

    async def _get_upload(self, request: Request) -> Response:
        """The file, to anybody who asks: public means that."""
        content = self._uploaded(request.path_params["key"])
        return refused_by_storage(404) if content is None else Response(content)

    async def _create_file(self, request: Request) -> Response:
        fields = self._file_fields("/files", await body_of(request))
        content = self._uploaded(key_of(fields["url"]))
        if content is None:
            raise invalid("url", "is not the public_url of a file that was uploaded")
        if len(content) != fields["file_size"]:
            raise invalid("file_size", "is not that of the file that was uploaded")
        now = iso(self.now())
        record: Row = {"id": new_id("file"), "object": "file", "folder_id": None, "metadata": {}, **fields}
        record |= {"created_at": now, "updated_at": now}
        with self._state:
            self._save("file", record)
        return JSONResponse(record, 201)

    def _file_fields(self, path: str, sent: Row) -> Row:
        required, optional = FILE_FIELDS[path]
        fields = self._known(sent, required | optional)
        for field in sorted(required):
            if field not in fields:
                raise missing(field)
            if field != "file_size" and not (isinstance(fields[field], str) and fields[field].strip()):
                raise invalid(field, "must be a text")
        if type(fields["file_size"]) is not int or fields["file_size"] < 1:
            raise invalid("file_size", "must be a number of bytes")
        if fields["workspace_id"] not in {workspace.workspace_id for workspace in WORKSPACES}:
            raise invalid("workspace_id", "is not a workspace of this account")
        return fields

    def _uploaded(self, key: str) -> bytes | None:
        rows = self._query("select content from uploads where key = ?", key)
        return rows[0][0] if rows else None

    async def _list_voices(self, request: Request) -> Response:
        """All of them at once: no paging is documented, and strict knows the two filters alone."""
        filters = request.query_params
        for name in filters:
            if self.strict and name not in {"workspace_id", "status"}:
                raise invalid(name, "is not a parameter of this request")
        voices = [self._voice_now(voice) for voice in self._listed("brand voice")]
        wanted = [
            voice
            for voice in voices
            if voice["workspace_id"] == filters.get("workspace_id", voice["workspace_id"])
            and voice["status"] == filters.get("status", voice["status"])
        ]
        return JSONResponse({"object": "list", "data": wanted})

    async def _get_voice(self, request: Request) -> Response:
        return JSONResponse(self._voice_now(self._load("brand voice", request.path_params["id"])))

    async def _create_voice(self, request: Request) -> Response:
        defaults: Row = {"workspace_id": WORKSPACES[0].workspace_id, "urls": [], "documents": []}
        fields = defaults | self._voice_fields(self._known(await body_of(request), VOICE_FIELDS))
        for field in VOICE_SHORTEST:
            if field not in fields:
                raise missing(field)
        if self.strict and not (fields["urls"] or fields["documents"]):
            raise missing("documents")
        if fields["workspace_id"] not in {workspace.workspace_id for workspace in WORKSPACES}:
            raise invalid("workspace_id", "is not a workspace of this account")
        texts = [self._document_text(one, at) for at, one in enumerate(fields["documents"])]
        urls = [url if isinstance(url, str) else url["url"] for url in fields["urls"]]
        now = iso(self.now())
        voice: Row = {
            "id": new_id("bv"),
            "object": "brand_voice",
            **voice_in(texts),
            **{field: value for field, value in fields.items() if field not in VOICE_SOURCES},
            "sources": {
                "urls": [{"id": new_id("url"), "url": url, "name": url, "description": None} for url in urls],
                "documents": [{"id": new_id("doc"), **document} for document in fields["documents"]],
            },
            "fails": self.voices_to_fail > 0,
            "created_at": now,
            "edited_at": now,
        }
        with self._charged(voice["id"], VOICE_CREDITS, fields["workspace_id"]):
            self._save("brand voice", voice)
        self.voices_to_fail = max(0, self.voices_to_fail - 1)
        return JSONResponse(self._voice_now(voice, "pending"), 201)

    async def _update_voice(self, request: Request) -> Response:
        """Change what it is called and what was generated; where it comes from stays."""
        sent = self._known(await body_of(request), VOICE_CONTENT | VOICE_SHORTEST.keys())
        voice = self._load("brand voice", request.path_params["id"])
        voice |= self._voice_fields(sent) | {"edited_at": iso(self.now())}
        with self._state:
            self._save("brand voice", voice)
        return JSONResponse(self._voice_now(voice))

    def _voice_fields(self, fields: Row) -> Row:
        """`fields`; raises Refusal for a value that one of them cannot take."""
        for field, value in fields.items():
            if field in VOICE_SHORTEST:
                if not isinstance(value, str) or len(value.strip()) < VOICE_SHORTEST[field]:
                    raise invalid(field, f"must have at least {VOICE_SHORTEST[field]} characters")
            elif field in {"urls", "documents", "example_phrases"}:
                if not isinstance(value, list):
                    raise invalid(field, "must be a list")
            elif field in VOICE_OBJECTS:
                if not isinstance(value, dict):
                    raise invalid(field, "must be an object")
            elif not isinstance(value, str):
                raise invalid(field, "must be a string")
        for position, url in enumerate(fields.get("urls", ())):
            # The schema says objects, the same page's example shows strings.
            address = url.get("url") if isinstance(url, dict) else url
            if not isinstance(address, str) or urlsplit(address).scheme not in {"http", "https"}:
                raise invalid(f"urls[{position}]", "must be a URL, or an object with one")
        return fields

    def _document_text(self, document: Any, position: int) -> str:
        """What an uploaded file says; raises Refusal where a document names none."""
        where = f"documents[{position}]"
        if not isinstance(document, dict):
            raise invalid(where, "must be an object")
        for field in sorted(DOCUMENT_FIELDS):
            if field not in document:
                raise missing(f"{where}.{field}")
        self._known(document, DOCUMENT_FIELDS)
        content = self._uploaded(key_of(str(document["url"])))
        registered = {url for (url,) in self._query("select body ->> 'url' from objects where kind = 'file'")}
        if content is None or document["url"] not in registered:
            raise invalid(f"{where}.url", "is not that of a file of this account")
        if len(content) != document["file_size"]:
            raise invalid(f"{where}.file_size", "is not that of the file")
        return content.decode("utf-8", "replace")

    def _voice_now(self, voice: Row, stage: str = "") -> Row:
        """A brand voice as it is shown at `stage`: what is generated only once it is completed."""
        stage = stage or self._stage(voice, self.voice_seconds)
        ended = datetime.fromisoformat(voice["created_at"]) + timedelta(seconds=self.voice_seconds)
        is_over = stage in {"completed", "failed"}
        shown = {field: value for field, value in voice.items() if field not in {"fails", "edited_at"}}
        if stage != "completed":
            shown |= dict.fromkeys(VOICE_CONTENT)
        return shown | {
            "status": VOICE_STATES[stage][0 if self.strict else 1],
            "error": "The sources could not be read." if stage == "failed" else None,
            "updated_at": max(voice["edited_at"], iso(ended)) if is_over else voice["edited_at"],
        }

    async def _list_apps(self, request: Request) -> Response:  # noqa: ARG002
        apps = [
            {
                "id": self._app_id(app_id),
                "name": app.name,
                "description": f"Writes a text of the kind: {app.name}.",
                "category": app.category,
                **self._inputs_of(app),
            }
            for app_id, app in APPS.items()
        ]
        return JSONResponse({"object": "list", "data": apps})

    def _app_id(self, app_id: str) -> str:
        return app_id if self.strict else app_id.replace("-", "_")

    def _inputs_of(self, app: App) -> Row:
        """What an app wants to know: a list in the reference's words, an object in the guide's."""
        inputs = {name: {"type": "text", "required": name in app.required} for name in app.inputs}
        if self.strict:
            return {"input_fields": [{"name": name} | about for name, about in inputs.items()]}
        return {"input_schema": inputs}

    async def _list_generations(self, request: Request) -> Response:
        """The newest first: in the reference's paging without their texts, in the guide's with them."""
        workspace_id = request.query_params.get("workspace_id")
        rows = [
            self._generation_now(generation)
            for generation in self._listed("generation", newest_first=True)
            if workspace_id in {None, generation["workspace_id"]}
        ]
        if not self.strict:
            return JSONResponse(page_by_offset(request, rows))
        long = ("input_data", "output", "content")
        short = [{field: value for field, value in row.items() if field not in long} for row in rows]
        return JSONResponse(page_by_cursor(request, short))

    async def _get_generation(self, request: Request) -> Response:
        return JSONResponse(self._generation_now(self._load("generation", request.path_params["id"])))

    async def _create_generation(self, request: Request) -> Response:
        fields = self._generation_fields(await body_of(request))
        app_id = fields.pop("app_id").replace("_", "-")
        persona_id, voice_id = fields.pop("persona_id"), fields.pop("brand_voice_id")
        persona = base_persona(persona_id) or self._load("persona", persona_id) if persona_id else None
        voice = self._load("brand voice", voice_id) if voice_id else None
        text = written(APPS[app_id], fields["input_data"], persona, voice)
        low, high = GENERATION_CREDITS
        words = sum(len(str(value).split()) for value in fields["input_data"].values())
        now = iso(self.now())
        generation: Row = {
            "id": new_id("gen"),
            "object": "generation",
            **fields,
            "app": app_id,
            "brand_voice": {"id": voice["id"], "label": voice["label"]} if voice else None,
            "text": text,
            "credits": min(high, low + words // WORDS_A_CREDIT),
            "created_at": now,
        }
        with self._charged(generation["id"], generation["credits"], fields["workspace_id"]):
            self._save("generation", generation)
        return JSONResponse(self._generation_now(generation), 201)

    async def _rename_generation(self, request: Request) -> Response:
        fields = self._known(await body_of(request), frozenset({"title"}))
        generation = self._load("generation", request.path_params["id"]) | titled(fields)
        with self._state:
            self._save("generation", generation)
        return JSONResponse(self._generation_now(generation))

    def _generation_now(self, generation: Row) -> Row:
        """A generation as it is shown: as long as its app is at work, its text is empty."""
        app_id = generation["app"]
        app = APPS[app_id]
        seconds = self.generation_seconds if app.takes_time else 0
        ready = datetime.fromisoformat(generation["created_at"]) + timedelta(seconds=seconds)
        text = generation["text"] if self.now() >= ready else ""
        tokens = len(generation["text"].split())
        shown = {field: value for field, value in generation.items() if field not in {"text", "credits"}}
        shown |= {
            "usage": {
                "prompt_tokens": tokens,
                "completion_tokens": tokens,
                "total_tokens": 2 * tokens,
                "credits_used": generation["credits"],
            },
            "updated_at": iso(ready) if text else generation["created_at"],
        }
        if not self.strict:
            return shown | {"app": self._app_id(app_id), "content_type": "MARKDOWN", "markdown": text}
        named = {"id": app_id, "name": app.name, "category": app.category}
        return shown | {"app": named, "content_type": "markdown", "output": text, "content": text}

    def _generation_fields(self, sent: Row) -> Row:
        """What is to be written, by what app; raises Refusal for the first field that is missing or wrong."""
        fields: Row = {
            "workspace_id": WORKSPACES[0].workspace_id,
            "persona_id": None,
            "brand_voice_id": None,
            "title": "Untitled",
            "stream": False,
        }
        fields |= self._known(sent, GENERATION_FIELDS)
        for field in ("app_id", "input_data"):
            if field not in fields:
                raise missing(field)
        app = {self._app_id(app_id): app for app_id, app in APPS.items()}.get(str(fields["app_id"]))
        if app is None:
            raise invalid("app_id", "is none of the generation apps")
        if not isinstance(fields["input_data"], dict):
            raise invalid("input_data", "must be an object")
        for field in app.required:
            if self.strict and not fields["input_data"].get(field):
                raise missing(f"input_data.{field}")
        fields["input_data"] = self._known(fields["input_data"], frozenset(app.inputs))
        if fields["workspace_id"] not in {workspace.workspace_id for workspace in WORKSPACES}:
            raise invalid("workspace_id", "is not a workspace of this account")
        if fields.pop("stream") is not False:
            raise invalid("stream", "must be false: the sandbox answers in one piece")
        return fields | titled(fields)

    async def _chat(self, request: Request) -> Response:
        if self._chats == CHATS_AT_ONCE:
            retry_after = {"Retry-After": str(max(1, math.ceil(self.chat_seconds)))}
            raise Refusal(429, message=f"At most {CHATS_AT_ONCE} chats at once.", headers=retry_after)
        self._chats += 1
        try:
            fields = self._chat_fields(await body_of(request))
            await asyncio.sleep(self.chat_seconds)
            return JSONResponse(self._answer(fields["message"], fields["workspace_id"], fields["thread_id"]))
        finally:
            self._chats -= 1

    def _chat_fields(self, sent: Row) -> Row:
        """What to answer, where, and in which thread (None: a new one); raises Refusal for a wrong field."""
        defaults = {"workspace_id": WORKSPACES[0].workspace_id, "thread_id": None, "stream": False}
        fields = defaults | self._known(sent, CHAT_FIELDS)
        if "message" not in fields:
            raise missing("message")
        if not isinstance(fields["message"], str) or not fields["message"].strip():
            raise invalid("message", "must be a text")
        if fields["stream"] is not False:
            raise invalid("stream", "must be false: the sandbox answers in one piece")
        if fields["thread_id"] is not None:
            fields["workspace_id"] = self._load("thread", fields["thread_id"])["workspace_id"]
        if fields["workspace_id"] not in {workspace.workspace_id for workspace in WORKSPACES}:
            raise invalid("workspace_id", "is not a workspace of this account")
        return fields

    def _answer(self, message: str, workspace_id: str, thread_id: str | None) -> Row:
        now = iso(self.now())
        complexity, credits_used = priced(message)
        if thread_id is None:
            thread = new_thread(message, workspace_id, now)
        else:
            thread = self._load("thread", thread_id)
        answer: Row = {
            "id": new_id("msg"),
            "role": "assistant",
            "content": advice(message),
            "created_at": now,
        }
        question = {"id": new_id("msg"), "role": "user", "content": message, "created_at": now}
        sources, personas = sources_for(message), personas_for(message)
        thread["messages"] += [question | {"persona": None}, answer | {"persona": None}]
        thread["sources"] += [source for source in sources if source not in thread["sources"]]
        thread["personas_used"] += [one for one in personas if one not in thread["personas_used"]]
        thread |= {
            "complexity": complexity,
            "credits_used": thread["credits_used"] + credits_used,
            "message_count": len(thread["messages"]),
            "updated_at": now,
        }
        with self._charged(thread["id"], credits_used, workspace_id):
            self._save("thread", thread)
        answer |= {
            "object": "mave_message",
            "thread_id": thread["id"],
            "sources": [{field: source[field] for field in ("title", "url", "domain")} for source in sources],
            "personas_used": [{"id": persona["id"], "name": persona["name"]} for persona in personas],
            "usage": {"credits_used": credits_used},
        }
        if not self.strict:
            validation = {"confidence_score": 0.9, "hallucination_risk": "low", "unsupported_claims": []}
            answer["validation"] = validation
        return answer

    async def _list_threads(self, request: Request) -> Response:
        workspace_id = request.query_params.get("workspace_id")
        long = ("messages", "sources", "personas_used")
        threads = self._listed("thread", newest_first=True, by="updated_at")
        rows = [
            {field: value for field, value in thread.items() if field not in long}
            for thread in threads
            if workspace_id in {None, thread["workspace_id"]}
        ]
        return JSONResponse(page_by_offset(request, rows))

    async def _get_thread(self, request: Request) -> Response:
        return JSONResponse(self._load("thread", request.path_params["id"]))

    async def _delete_thread(self, request: Request) -> Response:
        thread = self._load("thread", request.path_params["id"])
        with self._state:
            self._state.execute("delete from objects where object_id = ?", (thread["id"],))
        return JSONResponse({"id": thread["id"], "object": "mave_thread", "deleted": True})

    def _count_threads(self, workspace_id: str | None) -> int:
        ((count,),) = self._query(
            """
            select count(*) from objects
            where kind = 'thread' and coalesce(body ->> 'workspace_id' = ?, true)
            """,
            workspace_id,
        )
        return int(count)

    # What a person does in Mavera's own pages: no endpoint for it is documented

    def delete_by_hand(self, object_id: str) -> None:
        with self._state:
            self._state.execute("delete from objects where object_id = ?", (object_id,))

    def edit_by_hand(self, object_id: str, **fields: str) -> None:
        """Set fields of an object; raises KeyError where there is none."""
        found = self._query("select kind, body from objects where object_id = ?", object_id)
        if not found:
            raise KeyError(object_id)
        ((kind, body),) = found
        with self._state:
            self._save(kind, json.loads(body) | fields)

    def _load(self, kind: str, object_id: object) -> Row:
        rows = self._query("select body from objects where kind = ? and object_id = ?", kind, str(object_id))
        if not rows:
            raise Refusal(404, message=f"There is no such {kind}.")
        loaded: Row = json.loads(rows[0][0])
        return loaded

    def _listed(self, kind: str, *, newest_first: bool = False, by: str = "") -> list[Row]:
        """The objects of a kind that lists show by now, in the order of their making or of the time `by`."""
        shown_until = self.now() - timedelta(seconds=self.list_lag_seconds)
        bodies = self._query("select body from objects where kind = ? order by position", kind)
        rows = [row for (body,) in bodies if made_at(row := json.loads(body)) <= shown_until]
        if newest_first:
            rows.reverse()
        if by:
            rows.sort(key=lambda row: str(row[by]), reverse=True)
        if self.shuffle:
            self.shuffle(rows)
        return rows

    def _save(self, kind: str, body: Row) -> None:
        self._state.execute(
            """
            insert into objects (kind, object_id, body) values (?, ?, ?)
            on conflict (object_id) do update set body = excluded.body
            """,
            (kind, body["id"], json.dumps(body)),
        )

    @contextmanager
    def _charged(self, object_id: str, credits_used: int, workspace_id: str) -> Iterator[None]:
        """Commit the block's work and its price together; raises Refusal (402) first when it is too dear."""
        if self._spent_this_month() + credits_used > self.balance:
            raise Refusal(402)
        limit = next(workspace.usage_limit for workspace in WORKSPACES if workspace[0] == workspace_id)
        if limit is not None and self._spent_this_month(workspace_id) + credits_used > limit:
            raise Refusal(402, "budget_exceeded", "The workspace's usage limit is reached.")
        with self._state:
            yield
            self._state.execute(
                "insert into charges (object_id, workspace_id, credits, charged_at) values (?, ?, ?, ?)",
                (object_id, workspace_id, credits_used, iso(self.now())),
            )

    def _spent_this_month(self, workspace_id: str | None = None) -> int:
        month = f"{self.now():%Y-%m}"
        ((spent,),) = self._query(
            """
            select coalesce(sum(credits), 0) from charges
            where charged_at like ? || '%' and coalesce(workspace_id = ?, true)
            """,
            *(month, workspace_id),
        )
        return int(spent)

    def _query(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return self._state.execute(query, values).fetchall()


def is_storage(request: Request) -> bool:
    return request.url.path.startswith(f"{request.scope.get('root_path', '')}{STORAGE}/")


def refused_by_storage(status: int) -> Response:
    """A refusal in the words of the host that keeps files, which are not Mavera's."""
    codes = {400: "InvalidArgument", 403: "AccessDenied", 404: "NoSuchKey"}
    return Response(f"<Error><Code>{codes[status]}</Code></Error>", status, media_type="application/xml")


def key_of(url: str) -> str:
    """The key of the uploaded file that a public URL leads to."""
    return unquote(urlsplit(url).path.partition(f"{STORAGE}/")[2])


def check_size(field: str, size: int, file_type: str) -> None:
    most = VIDEO_BYTES if file_type.startswith("video/") else FILE_BYTES
    if size > most:
        raise invalid(field, f"must be at most {most:,} bytes")


async def body_of(request: Request) -> Row:
    """The request's JSON object; raises Refusal for anything else."""
    try:
        body = await request.json()
    except ValueError:
        raise Refusal(400, message="The body is not JSON.") from None
    if not isinstance(body, dict):
        raise Refusal(400, message="The body is not a JSON object.")
    return body


def whole_number(request: Request, name: str, default: int, lowest: int, highest: int | None = None) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdecimal() or int(text) < lowest or (highest is not None and int(text) > highest):
        raise invalid(name, f"must be a whole number from {lowest}" + (f" to {highest}" if highest else ""))
    return int(text)


def page_by_cursor(request: Request, rows: Sequence[Row]) -> Row:
    """A page of `rows`; its cursor names the last row it holds, so rows that come later shift nothing."""
    limit = whole_number(request, "limit", default=50, lowest=1, highest=100)
    start = 0
    if cursor := request.query_params.get("cursor"):
        cursors = [cursor_after(row) for row in rows]
        if cursor not in cursors:
            raise invalid("cursor", "is not one that Mavera gave")
        start = cursors.index(cursor) + 1
    page = rows[start : start + limit]
    has_more = start + limit < len(rows)
    next_cursor = cursor_after(page[-1]) if has_more else None
    return {"object": "list", "data": page, "has_more": has_more, "next_cursor": next_cursor}


def page_by_offset(request: Request, rows: Sequence[Row]) -> Row:
    """A page of `rows` in the other of the two documented styles."""
    limit = whole_number(request, "limit", default=20, lowest=1, highest=100)
    offset = whole_number(request, "offset", default=0, lowest=0)
    page, total = rows[offset : offset + limit], len(rows)
    standing = {"total": total, "limit": limit, "offset": offset, "has_more": offset + len(page) < total}
    return {"object": "list", "data": page, **standing}


def cursor_after(row: Row) -> str:
    return urlsafe_b64encode(row["id"].encode()).decode()


def iso(moment: datetime) -> str:
    """UTC in ISO 8601, to the millisecond; such texts sort as their times do."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def made_at(body: Row) -> datetime:
    """When an object was made: personas have it in Unix seconds."""
    made = body["created_at"]
    return datetime.fromtimestamp(made, UTC) if isinstance(made, int) else datetime.fromisoformat(made)


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


def new_cuid(now: datetime) -> str:
    """25 characters, `cl` and the time in base 36 first: the form of the vendor's persona ids."""
    digits = string.digits + string.ascii_lowercase
    milliseconds, clock = int(now.timestamp() * 1000), ""
    while milliseconds:
        milliseconds, digit = divmod(milliseconds, len(digits))
        clock = digits[digit] + clock
    return f"cl{clock}" + "".join(secrets.choice(digits) for _ in range(23 - len(clock)))


def base_persona(persona_id: str) -> Row | None:
    return next((persona for persona in BASE_PERSONAS if persona["id"] == persona_id), None)


def listed(persona: Row) -> Row:
    """A custom persona as the list shows it: without pipeline, price and details."""
    return {field: persona[field] for field in BASE_PERSONAS[0]} | {"object": "persona"}


def details_of(fields: Row) -> Row:
    details = {field: value for field, value in fields.items() if field in DETAILS}
    if "pipeline_type" in fields:
        details["pipeline_type"] = fields["pipeline_type"]
    if "type" in fields:
        details["persona_type"] = fields["type"]
    return details


def are_weights(weights: Row) -> bool:
    return all(type(weight) is int and 1 <= weight <= 5 for weight in weights.values())


def new_thread(message: str, workspace_id: str, now: str) -> Row:
    return {
        "id": new_id("mave_thread"),
        "object": "mave_thread",
        "title": message.strip().splitlines()[0][:80],
        "current_phase": "TRIAGE",  # the only phase that the reference shows
        "complexity": "SIMPLE",
        "credits_used": 0,
        "workspace_id": workspace_id,
        "message_count": 0,
        "created_at": now,
        "updated_at": now,
        "messages": [],
        "sources": [],
        "personas_used": [],
    }


def titled(fields: Row) -> Row:
    """The title among `fields`; raises Refusal for one that a generation cannot have."""
    title = fields.get("title")
    if not isinstance(title, str) or not 1 <= len(title) <= TITLE_CHARACTERS:
        raise invalid("title", f"must have 1 to {TITLE_CHARACTERS} characters")
    return {"title": title}


def study_price(respondents: int, questions: int) -> int:
    """What a focus group costs, about as the vendor's guide estimates it."""
    lowest, highest = STUDY_CREDITS
    return min(highest, lowest + math.ceil(1.25 * (respondents - STUDY_RESPONDENTS[0])) + 2 * questions)


def personas_for(message: str) -> list[Row]:
    """The two base personas that Mave consults on a message."""
    first = number_from(message) % len(BASE_PERSONAS)
    fields = ("id", "name", "category")
    return [{field: BASE_PERSONAS[at][field] for field in fields} for at in (first, first - 1)]
