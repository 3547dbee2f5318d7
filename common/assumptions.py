"""Assumptions where Mavera's reference leaves something open. If Mavera differs, change it here.

Each line has a mark: [I] inferred, stated nowhere; [U] stated in an unofficial overview only; [G] in a
vendor's guide; [E] seen in a vendor's example. Values that may need a quick change are settings as well:
MAVERA_STUDY_FIELDS, MAVERA_PERSONA_SHAPE, MAVERA_POLL_SECONDS and others. This text names every other module
with marks.

Some open points need no line, because both ways work: lists by cursor or by offset, times in seconds or in
ISO 8601, an error in a successful answer, 422 as 400, 502 and 504 as an unknown outcome, credits in any of
three fields or in none. Single personas are not deleted; they are read only before the account's own are
enriched, and a persona that cannot be read by its id is left alone. The answers of focus groups are read in
dbt_project/models/staging/mavera.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

# --- lists -----------------------------------------------------------------------------------------------

CURSOR: Final = "cursor"  # [I] the parameter; the reference has `next_cursor` for answers
# The pages that could be read do not name filters of GET /personas: all personas are read and filtered here.
CUSTOM: Final = "is_custom"  # [I] missing in a row, it counts as true, so that ours are found

# --- fields of objects ---------------------------------------------------------------------------------

# The names of each field of an object. The first is the reference's, the others are [I]; the setting
# MAVERA_FIELDS adds a name that is read before them.
OBJECT_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "id": ("id", "_id", "uuid"),
    "created_at": ("created_at", "createdAt", "created"),
    "updated_at": ("updated_at", "updatedAt", "updated"),
    "thread_id": ("thread_id", "threadId"),
    **{name: (name,) for name in ("name", "label", "title", "description", "results", "messages")},
    "usage_context": ("usage_context", "usageContext"),
    "status": ("status", "state"),
    "content": ("content", "text", "answer"),
    "data": ("data", "items"),  # the rows of a list
    "has_more": ("has_more", "hasMore"),
    "next_cursor": ("next_cursor", "nextCursor"),
    "total": ("total", "total_count", "totalCount"),
}
# [I] another name of an object's id, by the path of its kind.
KIND_IDS: Final[Mapping[str, tuple[str, ...]]] = {
    "/personas": ("persona_id",),
    "/focus-groups": ("focus_group_id",),
    "/brand-voices": ("brand_voice_id",),
    "/generations": ("generation_id",),
    "/mave/chat": ("message_id",),
    "/mave/threads": ("thread_id",),
}
# An answer with one of these was done and charged [I], even if nothing identifies its object.
PROOFS: Final = (
    *("id", "thread_id", "content", "output", "markdown"),
    *("usage", "credits_charged", "credits_used"),
)

# --- prices and timeouts -------------------------------------------------------------------------------

PERSONA_UPDATE_CREDITS: Final = 0  # [I] no price list has updates
LOOK_SECONDS: Final = 30  # [I] timeout of a read, without a byte
PERSONA_SECONDS: Final = 120  # [I] the finished persona is the answer to its creation
ANALYSIS_SECONDS: Final = 180  # [I] guides speak of 5 to 90
STUDY_SECONDS: Final = 60  # [I] to set one up
VOICE_SECONDS: Final = 60  # [I] to request a brand voice
UPLOAD_SECONDS: Final = 120  # [I] to upload a file
GENERATION_SECONDS: Final = 120  # [I] for an app to write, or to accept the request
POLL_SECONDS: Final = 5  # [I] between two polls of running objects
POLL_CEILING_SECONDS: Final = 300  # [I] then the next run polls again
SETTLE_SECONDS: Final = 300  # [I] an unanswered call may still be running for this long
WORK_DAYS: Final = 2  # [I] an object that runs longer waits for a person's decision

# --- analyses ------------------------------------------------------------------------------------------

MESSAGE_CHARACTERS: Final = 20_000  # [I] Mave's limit is not documented

# --- personas ------------------------------------------------------------------------------------------

PERSONA_DESCRIPTION_CHARACTERS: Final = 20_000  # [I] as of a message; no limit is documented
WEIGHTS: Final = (1, 5)  # [I] least and most of mcda_weights; 2 to 5 were seen
# The fields of each pipeline besides pipeline_type, type, name and description, which are always sent [I]: a
# description is stated for north_star only. Texts are free [I]: the only values seen are SOLUTION_AWARE for
# buying_stage and ECONOMIC_BUYER for decision_role.
GUIDED: Final[Mapping[str, str]] = {
    "role_segment": "list",
    "buying_stage": "text",
    "decision_role": "text",
    "primary_objectives": "list",
    "mcda_weights": "weights",
    **dict.fromkeys(("goals", "pains", "triggers", "channels"), "list"),
    **dict.fromkeys(("proof_types", "alternatives", "win_factors", "objections"), "list"),
}
GUIDED_NEEDED: Final = frozenset(GUIDED)  # [I] no source says which are optional: all are needed
# [I] `advanced` is assumed to take the fields in the reference's answers, all of them optional.
ADVANCED: Final[Mapping[str, str]] = {
    **GUIDED,
    **dict.fromkeys(("primary_use_case", "brand_voice_fit", "reading_level"), "text"),
    **dict.fromkeys(("values", "proof_preferences", "key_differentiators", "regulatory_context"), "list"),
    "tone_guardrails": "list",
    **dict.fromkeys(("role_title", "seniority", "industry", "company_size", "budget_authority"), "text"),
    **dict.fromkeys(("tech_stack", "procurement_constraints", "committee_mapping"), "list"),
    **dict.fromkeys(("life_stage", "age_band", "income_band", "purchase_cadence"), "text"),
    **dict.fromkeys(("household_context", "lifestyle_affinities"), "list"),
    "is_localized": "yes or no",
    **dict.fromkeys(("locale_scope", "locale_value"), "text"),
    **dict.fromkeys(("local_channels", "local_objections", "local_keywords"), "list"),
}
FIXED: Final = frozenset({"pipeline_type", "type"})  # [I] not sent in an update, as they say how it was made

# --- brand voices, and the files that they are made of --------------------------------------------------

VOICE_LABEL_CHARACTERS: Final = (2, 100)  # the fewest by the reference; the most [I]
VOICE_CONTEXT_CHARACTERS: Final = (10, 2_000)  # the fewest by the reference; the most [I]
VOICE_DOCUMENTS: Final = (1, 100)  # [I] sources are optional, but a voice without any would be empty
FILE_NAME_CHARACTERS: Final = 80  # [I]

# --- generations, and the apps that write them ----------------------------------------------------------

# The fields of a text; the first that is not empty counts. The reference has two, a guide the third [G].
# No state is documented: a generation without its text is still running [I].
TEXT_FIELDS: Final = ("output", "content", "markdown")
# The fields with an app's inputs: the reference has the first, a guide the others [G]. The form of an input
# is not documented: a list of names or of objects, and an object by name, are all read [I].
INPUT_FIELDS: Final = ("input_fields", "input_schema", "input_data")
INPUT_NAMES: Final = ("name", "key", "id")  # [I]
INPUT_CHARACTERS: Final = 20_000  # [I], as of a message
# Ids of apps that differ only by capitals, hyphens and underscores are one app [I], as pages differ.

# --- focus groups, whose reference page could not be read ----------------------------------------------

# Our names to Mavera's. All are [I] except workspace_id, which a new focus group requires [G].
STUDY_FIELDS: Final[Mapping[str, str]] = {
    **{name: name for name in ("name", "workspace_id", "persona_ids", "questions")},
    "respondents": "sample_size",  # per study by the credit guide [G]; one job's page reads as per persona
    # Inside a question:
    **{name: name for name in ("order", "type", "question", "scale", "options", "rows", "labels")},
    "allow_multiple": "allow_multiple",
}
STUDY_PERSONAS: Final = (1, 10)  # [U]
STUDY_QUESTIONS: Final = (1, 20)  # [U]
STUDY_RESPONDENTS: Final = (10, 200)  # [U], "200+"
STUDY_NAME_CHARACTERS: Final = 100  # [I], that of a persona
QUESTION_CHARACTERS: Final = 1_000  # [I]

# Spellings of states, also of brand voices [I], compared without case. In any other state, an object is done
# if it has results, or else still running.
COMPLETED: Final = frozenset({"completed", "complete", "ready"})
FAILED: Final = frozenset({"failed", "error", "cancelled"})  # [I]
AT_WORK: Final = frozenset(  # [I]
    {"pending", "queued", "created", "processing", "generating", "running", "in_progress", "in progress"}
)


class QuestionType(NamedTuple):
    """The required parts of a question: a scale, limited to `ends` if given, and lists."""

    scale: bool = False
    ends: tuple[tuple[int, int], ...] = ()
    lists: Mapping[str, int] = {}  # name to the fewest entries


# The twelve types [U]; their spelling and required parts [I].
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
QUESTION_OPTIONAL: Final[Mapping[str, frozenset[str]]] = {  # [I]
    "MULTIPLE_CHOICE": frozenset({"allow_multiple"})
}
