"""Focus groups: the request bodies, and the reasons why one cannot be created.

The reference page of focus groups could not be read: assumptions.py lists what is assumed instead, and
MAVERA_STUDY_FIELDS replaces names of fields.
"""

from collections.abc import Mapping
from typing import Any, Final

from activate.kinds.kind import WORKSPACE, Draft, Kind, Waits, marked
from activate.plan import Price, Terms
from common import assumptions
from common.settings import Settings

AT_ONCE: Final = 5  # [G] running focus groups per key

# Words of a refusal that is about the name of one of our fields.
STUDY_WORDS: Final = (
    "sample_size",
    "respondent",
    "question",
    "name",
    "unknown",
    "unrecognized",
    "not a field",
)
BESIDE_TYPE: Final = frozenset({"type", "question"})


def payload(
    study: Mapping[str, Any], name: str, workspace_id: str | None, names: Mapping[str, str]
) -> dict[str, Any]:
    """Return the body that creates a study, without its personas; `names` replaces our field names.

    A question without words is left out: its template found no fact to ask about.
    """
    questions = [
        {field(names, ours): value for ours, value in {"order": order, **question}.items()}
        for order, question in enumerate(asked(study), start=1)
    ]
    return {
        field(names, "name"): name,
        field(names, "workspace_id"): workspace_id,
        field(names, "respondents"): study.get("respondents"),
        field(names, "questions"): questions,
    }


def asked(study: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [question for question in study.get("questions", ()) if question.get("question") != ""]


def field(names: Mapping[str, str], ours: str) -> str:
    """Return Mavera's name for one of our fields; `complaint` reports fields without a name."""
    return names.get(ours) or assumptions.STUDY_FIELDS.get(ours, ours)


def complaint(study: Mapping[str, Any], persona_count: int, workspace_id: str | None) -> str:
    """Return why a study cannot be created, or an empty string."""
    if not workspace_id:
        return "a focus group needs MAVERA_WORKSPACE_ID: set it in .env"
    questions = asked(study)
    for what, count, (low, high) in (
        ("personas", persona_count, assumptions.STUDY_PERSONAS),
        ("questions", len(questions), assumptions.STUDY_QUESTIONS),
        ("respondents", study.get("respondents"), assumptions.STUDY_RESPONDENTS),
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
    kind = assumptions.QUESTION_TYPES.get(name)
    if kind is None:
        return f"{name} is none of the types {', '.join(assumptions.QUESTION_TYPES)}"
    text = question.get("question")
    if not isinstance(text, str) or not 0 < len(text.strip()) <= assumptions.QUESTION_CHARACTERS:
        return f"its text must have 1 to {assumptions.QUESTION_CHARACTERS:,} characters"
    needed = {*(["scale"] if kind.scale else []), *kind.lists}
    if unknown := sorted(
        question.keys() - BESIDE_TYPE - needed - assumptions.QUESTION_OPTIONAL.get(name, frozenset())
    ):
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


class FocusGroups(Kind):
    name = "focus-groups"
    terms = Terms(create=Price(50, 200), update=Price(50, 200), lasts=True)
    thing = "focus group"
    path = "/focus-groups"
    seconds = assumptions.STUDY_SECONDS
    results_field = "results"
    words_file = "study.toml"
    name_field = reference_field = "name"
    echo = ("name",)
    aside = "asks {count} personas"
    waits = Waits("focus-groups", AT_ONCE - 1, f"{AT_ONCE} are at work, the most at once")
    remedies = (
        WORKSPACE,
        (("persona",), "See with python -m activate drift whether its personas are in Mavera"),
        (STUDY_WORDS, "Say in MAVERA_STUDY_FIELDS what Mavera calls the field"),
        (("",), "Change the job's study.toml, or MAVERA_STUDY_FIELDS"),
    )

    def payload(self, draft: Draft, settings: Settings) -> dict[str, Any]:
        name = marked(draft.name, draft.mark, assumptions.STUDY_NAME_CHARACTERS)
        return payload(draft.form, name, settings.mavera_workspace_id, settings.mavera_study_fields)

    def complaint(self, draft: Draft, payload: Mapping[str, Any], settings: Settings) -> str:
        return complaint(draft.form, draft.reference_count, settings.mavera_workspace_id)

    def references_field(self, settings: Settings) -> str:
        return field(settings.mavera_study_fields, "persona_ids")
