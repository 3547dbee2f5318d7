"""Personas: existing base personas, and custom ones that cost credits."""

from collections.abc import Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.mavera.account import WORKSPACES, Account
from sandbox.mavera.answers import imagined
from sandbox.mavera.requests import (
    Refusal,
    Row,
    Served,
    body_of,
    invalid,
    missing,
    names,
    new_cuid,
    page_by_cursor,
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


ENUMS: Final = {"pipeline_type": ("north_star", "intermediate", "advanced"), "type": ("B2B", "B2C")}
WEIGHTS: Final = names("price timeToValue risk proof support")
# The reference's complete example of `intermediate`; it does not say which of these are optional.
GUIDED_TEXTS: Final = names("buying_stage decision_role")
GUIDED_LISTS: Final = names(
    """
    role_segment primary_objectives goals pains triggers channels
    proof_types alternatives win_factors objections
    """
)
GUIDED: Final = GUIDED_TEXTS | GUIDED_LISTS | {"mcda_weights"}
# Fields that an answer's `details` may have, and an update may therefore change.
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
# Fields that creation accepts beside name and description; an update accepts any field of a custom persona.
TAKEN_BY: Final = {"north_star": frozenset[str](), "intermediate": GUIDED, "advanced": DETAILS}
PERSONA_FIELDS: Final = DETAILS | {"pipeline_type", "type", "name", "description"}


class Personas:
    """Endpoints of personas: the base ones, and the custom ones of the account."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.routes: Sequence[Served] = [
            Served("GET", "/personas", self._list),
            Served("POST", "/personas", self._create),
            Served("GET", "/personas/{id}", self._get),
            Served("PATCH", "/personas/{id}", self._update),
        ]

    async def _list(self, request: Request) -> Response:
        customs = [listed(persona) for persona in self._account.listed("persona")]
        return JSONResponse(page_by_cursor(request, [*BASE_PERSONAS, *customs]))

    async def _get(self, request: Request) -> Response:
        persona_id = request.path_params["id"]
        if "personas-by-list-only" in self._account.manners:
            raise Refusal(404, message="There is no such persona.")
        return JSONResponse(base_persona(persona_id) or self._account.load("persona", persona_id))

    async def _create(self, request: Request) -> Response:
        sent = await body_of(request)
        self._require_fields(sent)
        persona = made(self._account, self._fields(sent))
        with self._account.charged(persona["id"], self._account.persona_credits, WORKSPACES[0].workspace_id):
            self._account.save("persona", persona)
        return JSONResponse(persona, 201)

    async def _update(self, request: Request) -> Response:
        persona_id = request.path_params["id"]
        if base_persona(persona_id):
            raise Refusal(403, message="Base personas are read-only.")
        fields = self._fields(await body_of(request))
        persona = self._account.load("persona", persona_id)
        persona |= {field: value for field, value in fields.items() if field not in DETAILS}
        persona["details"] |= details_of(fields)
        persona["credits_charged"] += self._account.persona_edit_credits
        credits_used = self._account.persona_edit_credits
        charged = self._account.charged(persona_id, credits_used, WORKSPACES[0].workspace_id)
        with charged if credits_used else self._account.state:
            self._account.save("persona", persona)
        return JSONResponse(persona)

    def _require_fields(self, fields: Row) -> None:
        """Raise Refusal for the first missing field; lenient needs only the name."""
        required = ["name"]
        if self._account.strict:
            guided = fields.get("pipeline_type") == "intermediate"
            required += ["pipeline_type", "type", *(sorted(GUIDED) if guided else ["description"])]
        for field in required:
            if field not in fields:
                raise missing(field)
        pipeline = str(fields.get("pipeline_type"))
        for field in sorted(DETAILS.intersection(fields) - TAKEN_BY.get(pipeline, DETAILS)):
            if self._account.strict:
                raise invalid(field, f"is not a field of {pipeline}")

    def _fields(self, fields: Row) -> Row:
        """Return the `fields` that a persona has; raises Refusal for an invalid value."""
        for field in sorted(self._account.refused_fields.intersection(fields)):
            raise Refusal(400, "invalid_field", f"Unrecognized key: {field}")
        known = self._account.known(
            fields, PERSONA_FIELDS | ({"psychographic"} if not self._account.strict else set())
        )
        for field, value in known.items():
            if reason := wrong_with(field, value):
                raise invalid(field, reason)
        return known


def made(account: Account, given: Row) -> Row:
    """Return a new custom persona with these fields; it is not saved yet."""
    defaults = {"pipeline_type": "north_star", "type": "B2C", "description": "As Mavera imagines it."}
    fields, now = defaults | given, account.now()
    return {
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
        "credits_charged": account.persona_credits,
        "details": imagined(fields["name"]) | details_of(fields),
    }


def made_by_hand(account: Account, name: str, description: str) -> str:
    """Let a person make a persona on Mavera's own pages, free here; return its id."""
    persona = made(account, {"name": name, "description": description})
    with account.state:
        account.save("persona", persona)
    return str(persona["id"])


def base_persona(persona_id: str) -> Row | None:
    return next((persona for persona in BASE_PERSONAS if persona["id"] == persona_id), None)


def listed(persona: Row) -> Row:
    """Return a custom persona as in the list: without pipeline, price and details."""
    return {field: persona[field] for field in BASE_PERSONAS[0]} | {"object": "persona"}


def details_of(fields: Row) -> Row:
    details = {field: value for field, value in fields.items() if field in DETAILS}
    if "pipeline_type" in fields:
        details["pipeline_type"] = fields["pipeline_type"]
    if "type" in fields:
        details["persona_type"] = fields["type"]
    return details


def wrong_with(field: str, value: Any) -> str | None:
    """Return why a field of a persona cannot have this value; None if it can."""
    if field in LISTS:
        is_right = isinstance(value, list) and all(isinstance(item, str) for item in value)
        return None if is_right else "must be a list of strings"
    if field == "psychographic":
        return None if isinstance(value, dict) else "must be an object"
    if field == "mcda_weights":
        is_right = isinstance(value, dict) and value.keys() <= WEIGHTS and are_weights(value)
        return None if is_right else f"must give whole numbers, 1 to 5, to {', '.join(sorted(WEIGHTS))}"
    if field == "is_localized":
        return None if isinstance(value, bool) else "must be true or false"
    return wrong_with_text(field, value)


def wrong_with_text(field: str, value: Any) -> str | None:
    if not isinstance(value, str):
        return "must be a string"
    if field == "name" and not 2 <= len(value) <= 100:
        return "must have 2 to 100 characters"
    if field in ENUMS and value not in ENUMS[field]:
        return f"must be one of {', '.join(ENUMS[field])}"
    return None


def are_weights(weights: Row) -> bool:
    return all(type(weight) is int and 1 <= weight <= 5 for weight in weights.values())
