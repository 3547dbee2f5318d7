"""What Mavera's reference leaves open and this project takes to be so. Where Mavera differs, change it here.

Each line carries its mark: [I] inferred, stated nowhere; [U] stated in an unofficial overview only; [G] in a
vendor's guide; [E] seen in a vendor's example. What may have to change at once is a setting as well:
MAVERA_STUDY_FIELDS, MAVERA_PERSONA_SHAPE, MAVERA_POLL_SECONDS and their like. A module with marks of its own
is named here.

What needs no line is read both ways, or not used: lists by cursor or by offset, times in seconds or in ISO
8601, an error in an answer that counts as success, 422 as 400, 502 and 504 as an outcome that nobody knows,
credits in any of three fields or in none; one persona is neither read nor deleted. What focus groups answer
is read in dbt_project/models/staging/mavera.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

# --- lists -----------------------------------------------------------------------------------------------

CURSOR: Final = "cursor"  # [I] the parameter; that an answer names it `next_cursor` is in the reference
# Filters of GET /personas have no names in what could be read: all personas are read, and sorted out here.
CUSTOM: Final = "is_custom"  # [I] missing in a row, it counts as true: what is ours must be found

# --- fields of objects ---------------------------------------------------------------------------------

# Where each field of an object stands. The first name is the reference's, the others are [I]; the setting
# MAVERA_FIELDS adds a name that is read before them.
OBJECT_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "id": ("id", "_id", "uuid"),
    "created_at": ("created_at", "createdAt", "created"),
    "updated_at": ("updated_at", "updatedAt", "updated"),
    "thread_id": ("thread_id", "threadId"),
    "name": ("name",),
    "label": ("label",),
    "title": ("title",),
    "description": ("description",),
    "usage_context": ("usage_context", "usageContext"),
    "status": ("status", "state"),
    "results": ("results",),
    "content": ("content", "text", "answer"),
    "messages": ("messages",),
    "data": ("data", "items"),  # the rows of a list
    "has_more": ("has_more", "hasMore"),
    "next_cursor": ("next_cursor", "nextCursor"),
    "total": ("total", "total_count", "totalCount"),
}
# [I] by the path of its kind, another name that an object's id may have.
KIND_IDS: Final[Mapping[str, tuple[str, ...]]] = {
    "/personas": ("persona_id",),
    "/focus-groups": ("focus_group_id",),
    "/brand-voices": ("brand_voice_id",),
    "/generations": ("generation_id",),
    "/mave/chat": ("message_id",),
    "/mave/threads": ("thread_id",),
}
# An answer with one of these has done its work and charged for it [I], even where nothing identifies it.
PROOFS: Final = (
    *("id", "thread_id", "content", "output", "markdown"),
    *("usage", "credits_charged", "credits_used"),
)

# --- prices and patience -------------------------------------------------------------------------------

PERSONA_UPDATE_CREDITS: Final = 0  # [I] an update is in no list of prices
LOOK_SECONDS: Final = 30  # [I] without a byte, then a call that only reads is given up
PERSONA_SECONDS: Final = 120  # [I] the finished persona is the answer to its creation
ANALYSIS_SECONDS: Final = 180  # [I] guides speak of 5 to 90
STUDY_SECONDS: Final = 60  # [I] that setting one up takes
VOICE_SECONDS: Final = 60  # [I] that asking for a brand voice takes
UPLOAD_SECONDS: Final = 120  # [I] that the bytes of a file take
GENERATION_SECONDS: Final = 120  # [I] that an app takes to write, or to say that it will
POLL_SECONDS: Final = 5  # [I] between two looks at what is at work
POLL_CEILING_SECONDS: Final = 300  # [I] then the next run asks again
SETTLE_SECONDS: Final = 300  # [I] an unanswered call may still be at work for so long
WORK_DAYS: Final = 2  # [I] what has been at work for longer waits for a person

# --- analyses ------------------------------------------------------------------------------------------

MESSAGE_CHARACTERS: Final = 20_000  # [I] the limit of Mave is not documented

# --- personas ------------------------------------------------------------------------------------------

WEIGHTS: Final = (1, 5)  # [I] least and most of mcda_weights; 2 to 5 were seen
# What each pipeline takes beside pipeline_type, type, name and description, which all are sent [I]: only for
# north_star is a description stated. The texts are free [I]: of buying_stage only SOLUTION_AWARE was seen, of
# decision_role only ECONOMIC_BUYER, of the others nothing.
GUIDED: Final[Mapping[str, str]] = {
    "role_segment": "list",
    "buying_stage": "text",
    "decision_role": "text",
    "primary_objectives": "list",
    "mcda_weights": "weights",
    **dict.fromkeys(("goals", "pains", "triggers", "channels"), "list"),
    **dict.fromkeys(("proof_types", "alternatives", "win_factors", "objections"), "list"),
}
GUIDED_NEEDED: Final = frozenset(GUIDED)  # [I] nothing says which of them may be left out: all are needed
# [I] the fields that answers of the reference show are taken to be those that `advanced` takes, none needed.
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
FIXED: Final = frozenset({"pipeline_type", "type"})  # [I] not sent in an update: they say how it was made

# --- brand voices, and the files that they are made of --------------------------------------------------

VOICE_LABEL_CHARACTERS: Final = (
    2,
    100,
)  # the fewest by the reference; the most [I]
VOICE_CONTEXT_CHARACTERS: Final = (10, 2_000)  # the fewest by the reference; the most [I]
VOICE_DOCUMENTS: Final = (1, 100)  # [I] no source is asked for; a voice made of none would be nobody's
FILE_NAME_CHARACTERS: Final = 80  # [I]

# --- generations, and the apps that write them ----------------------------------------------------------

# Where a text stands, the first that is not empty: the reference has the first two, a guide the third [G].
# No state is documented: a generation without its text is still at work [I].
TEXT_FIELDS: Final = ("output", "content", "markdown")
# Where an app lists its inputs: the reference has the first, a guide the others [G]. What one input looks
# like is documented nowhere: a list of names or of objects, or an object by name, are read [I].
INPUT_FIELDS: Final = ("input_fields", "input_schema", "input_data")
INPUT_NAMES: Final = ("name", "key", "id")  # [I]
INPUT_CHARACTERS: Final = 20_000  # [I], as of a message
# Ids of apps that differ by capitals, hyphens and underscores alone are one app [I]: pages differ.

# --- focus groups, of which no page of the reference could be read -------------------------------------

# Our names to Mavera's. All [I] but workspace_id, which creating a focus group requires [G].
STUDY_FIELDS: Final[Mapping[str, str]] = {
    "name": "name",
    "workspace_id": "workspace_id",
    "persona_ids": "persona_ids",
    "respondents": "sample_size",  # for the whole study by the credit guide [G]; one job reads as per persona
    "questions": "questions",
    # Inside a question:
    "order": "order",
    "type": "type",
    "question": "question",
    "scale": "scale",
    "options": "options",
    "rows": "rows",
    "labels": "labels",
    "allow_multiple": "allow_multiple",
}
STUDY_PERSONAS: Final = (1, 10)  # [U]
STUDY_QUESTIONS: Final = (1, 20)  # [U]
STUDY_RESPONDENTS: Final = (10, 200)  # [U], "200+"
STUDY_NAME_CHARACTERS: Final = 100  # [I], that of a persona
QUESTION_CHARACTERS: Final = 1_000  # [I]

# Spellings of states, also of brand voices [I], compared without case. Any other state has ended once there
# are results; without them it is still at work.
COMPLETED: Final = frozenset({"completed", "complete", "ready"})
FAILED: Final = frozenset({"failed", "error", "cancelled"})  # [I]
AT_WORK: Final = frozenset(  # [I]
    {"pending", "queued", "created", "processing", "generating", "running", "in_progress", "in progress"}
)


class QuestionType(NamedTuple):
    """What a question must bring: a scale, with one of `ends` where not any will do, and its lists."""

    scale: bool = False
    ends: tuple[tuple[int, int], ...] = ()
    lists: Mapping[str, int] = {}  # name to the fewest entries


# The twelve types [U]; their spelling and what each needs [I].
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
