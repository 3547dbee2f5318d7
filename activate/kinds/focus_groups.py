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
STUDY_WORDS: Final = ("sample_size", "respondent", "question", "name", "unknown", "unrecognized")
BESIDE_TYPE: Final = frozenset({"type", "question"})


def asked(study: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the questions with words: where one has none, its template found no fact to ask about."""
    return [question for question in study.get("questions", ()) if question.get("question") != ""]


def field(names: Mapping[str, str], ours: str) -> str:
    """Return Mavera's name for one of our fields; `complaint` reports fields without a name."""
    return names.get(ours) or assumptions.STUDY_FIELDS.get(ours, ours)


def _named(body: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    return {field(settings.mavera_study_fields, ours): value for ours, value in body.items()}


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
    begins_early = True
    aside = "asks {count} personas"
    waits = Waits("focus-groups", AT_ONCE - 1, f"{AT_ONCE} are at work, the most at once")
    remedies = (
        WORKSPACE,
        (("persona",), "See with python -m activate drift whether its personas are in Mavera"),
        ((*STUDY_WORDS, "not a field"), "Say in MAVERA_STUDY_FIELDS what Mavera calls the field"),
        (("",), "Change the job's study.toml, or MAVERA_STUDY_FIELDS"),
    )

    def payload(self, draft: Draft, settings: Settings) -> dict[str, Any]:
        name = marked(draft.name, draft.mark, assumptions.STUDY_NAME_CHARACTERS)
        questions = enumerate(asked(draft.form), start=1)
        body = {
            "name": name,
            "workspace_id": settings.mavera_workspace_id,
            "respondents": draft.form.get("respondents"),
            "questions": [_named({"order": order, **question}, settings) for order, question in questions],
        }
        return _named(body, settings)

    def complaint(self, draft: Draft, payload: Mapping[str, Any], settings: Settings) -> str:
        if not settings.mavera_workspace_id:
            return "a focus group needs MAVERA_WORKSPACE_ID: set it in .env"
        questions = asked(draft.form)
        for what, count, (low, high) in (
            ("personas", draft.reference_count, assumptions.STUDY_PERSONAS),
            ("questions", len(questions), assumptions.STUDY_QUESTIONS),
            ("respondents", draft.form.get("respondents"), assumptions.STUDY_RESPONDENTS),
        ):
            if not (isinstance(count, int) and low <= count <= high):
                return f"it has {count} {what}, Mavera takes {low} to {high}"
        wrong = ((number, _wrong(question)) for number, question in enumerate(questions, start=1))
        return next((f"question {number}: {text}" for number, text in wrong if text), "")

    def references_field(self, settings: Settings) -> str:
        return field(settings.mavera_study_fields, "persona_ids")
