"""What a focus group is made of, and everything about it that Mavera's reference does not say.

No reference page of focus groups could be read. Marks: [G] stated in a vendor's guide, [U] in an unofficial
overview only, [I] inferred from the style of the rest. A correction is a change here, or, for the names of
fields, MAVERA_STUDY_FIELDS.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

# Our names to Mavera's. All [I] but workspace_id, which creating a focus group requires [G].
FIELDS: Final[Mapping[str, str]] = {
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

PERSONAS: Final = (1, 10)  # [U]
QUESTIONS: Final = (1, 20)  # [U]
RESPONDENTS: Final = (10, 200)  # [U], "200+"
NAME_CHARACTERS: Final = 100  # [I], that of a persona
QUESTION_CHARACTERS: Final = 1_000  # [I]

AT_ONCE: Final = 5  # [G] running focus groups per key

# Spellings of states [I], compared without case; every other one means that Mavera is still at work.
COMPLETED: Final = frozenset({"completed", "complete", "ready"})
FAILED: Final = frozenset({"failed", "error", "cancelled"})


class QuestionType(NamedTuple):
    """What a question must bring: a scale, with one of `ends` where not any will do, and its lists."""

    scale: bool = False
    ends: tuple[tuple[int, int], ...] = ()
    lists: Mapping[str, int] = {}  # name to the fewest entries


# The twelve types [U]; their spelling and what each needs [I].
TYPES: Final[Mapping[str, QuestionType]] = {
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
BESIDE_TYPE: Final = frozenset({"type", "question"})
OPTIONAL: Final[Mapping[str, frozenset[str]]] = {"MULTIPLE_CHOICE": frozenset({"allow_multiple"})}


def state_of(status: object) -> Literal["done", "failed", "waiting"]:
    """Say whether a focus group has its results, came to nothing, or is still at work."""
    spelled = str(status).casefold()
    return "done" if spelled in COMPLETED else "failed" if spelled in FAILED else "waiting"


def payload(
    study: Mapping[str, Any], name: str, workspace_id: str | None, names: Mapping[str, str]
) -> dict[str, Any]:
    """Return the body that creates a study, without its personas; `names` replaces some of FIELDS."""
    questions = [
        {field(names, ours): value for ours, value in {"order": order, **question}.items()}
        for order, question in enumerate(study.get("questions", ()), start=1)
    ]
    return {
        field(names, "name"): name,
        field(names, "workspace_id"): workspace_id,
        field(names, "respondents"): study.get("respondents"),
        field(names, "questions"): questions,
    }


def field(names: Mapping[str, str], ours: str) -> str:
    """Return what Mavera calls a field of ours; `complaint` names those that it has no name for."""
    return names.get(ours) or FIELDS.get(ours, ours)


def complaint(study: Mapping[str, Any], persona_count: int, workspace_id: str | None) -> str:
    """Say what keeps a study from being asked, or nothing."""
    if not workspace_id:
        return "a focus group needs MAVERA_WORKSPACE_ID: set it in .env"
    questions: Sequence[Mapping[str, Any]] = study.get("questions", ())
    for what, count, (low, high) in (
        ("personas", persona_count, PERSONAS),
        ("questions", len(questions), QUESTIONS),
        ("respondents", study.get("respondents"), RESPONDENTS),
    ):
        if not (isinstance(count, int) and low <= count <= high):
            return f"it has {count} {what}, Mavera takes {low} to {high}"
    complaints = (
        f"question {number}: {wrong}"
        for number, question in enumerate(questions, start=1)
        if (wrong := _wrong(question))
    )
    return next(complaints, "")


def _wrong(question: Mapping[str, Any]) -> str:
    name = str(question.get("type"))
    kind = TYPES.get(name)
    if kind is None:
        return f"{name} is none of the types {', '.join(TYPES)}"
    text = question.get("question")
    if not isinstance(text, str) or not 0 < len(text.strip()) <= QUESTION_CHARACTERS:
        return f"its text must have 1 to {QUESTION_CHARACTERS:,} characters"
    needed = {*(["scale"] if kind.scale else []), *kind.lists}
    if unknown := sorted(question.keys() - BESIDE_TYPE - needed - OPTIONAL.get(name, frozenset())):
        return f"{name} takes no {unknown[0]}"
    if kind.scale:
        scale = question.get("scale")
        ends = (scale.get("min"), scale.get("max")) if isinstance(scale, Mapping) else (None, None)
        if kind.ends and ends not in kind.ends:
            return f"{name} needs a scale of {' or '.join(f'{low} to {high}' for low, high in kind.ends)}"
        if not (isinstance(ends[0], int) and isinstance(ends[1], int) and ends[0] < ends[1]):
            return f"{name} needs a scale with a min below its max"
    for field, fewest in kind.lists.items():
        entries = question.get(field)
        if not isinstance(entries, list) or len(entries) < fewest:
            return f"{name} needs at least {fewest} {field}"
    return ""
