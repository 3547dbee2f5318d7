"""Personas: the pipeline of each and the fields that the pipeline accepts.

A job chooses them in the `persona.toml` of its templates. The texts in it may be templates themselves:

    pipeline = "intermediate"
    type = "B2B"  # if it differs from MAVERA_PERSONA_TYPE

    [fields]
    buying_stage = "SOLUTION_AWARE"
    goals = ["Decide within {{ facts.mean_days_between_orders }} days"]

With MAVERA_PERSONA_SHAPE=examples, the file may have the extra table of Mavera's examples:

    [psychographic]
    device = "{{ facts.device_persona }}"

Without that file, a persona has a name and a description only. The three pipelines and the two types are in
Mavera's reference; assumptions.py lists what is inferred about their fields.
"""

from collections.abc import Mapping
from typing import Any, Final

from activate.answers import Answer
from activate.kinds.kind import WORKSPACE, Draft, Kind, Remedies, RemoteObject
from activate.mavera import Mavera
from activate.plan import Price, Terms
from common import assumptions
from common.settings import Settings

NAME_CHARACTERS: Final = (2, 100)  # the reference's bounds
CHOICE: Final = "persona.toml"
SHAPE: Final = (
    "Set MAVERA_PERSONA_SHAPE to the other shape (reference or examples), or change the job's persona.toml"
)

DEFAULT: Final = "north_star"
TAKES: Final[Mapping[str, Mapping[str, str]]] = {
    DEFAULT: {},
    "intermediate": assumptions.GUIDED,
    "advanced": assumptions.ADVANCED,
}
TYPES: Final = ("B2B", "B2C")
WEIGHED: Final = ("price", "timeToValue", "risk", "proof", "support")  # the keys of the reference's example
EXAMPLE: Final = "psychographic"
CHOICES: Final = frozenset({"pipeline", "type", "fields", EXAMPLE})


def complaint(choice: Mapping[str, Any]) -> str:
    """Return why a persona cannot be created as its job chose, or an empty string."""
    if unknown := sorted(choice.keys() - CHOICES):
        return f"persona.toml has {unknown[0]}, it may have {', '.join(sorted(CHOICES))}"
    if not isinstance(choice.get("fields", {}), Mapping):
        return "fields must be a table, [fields]"
    texts = choice.get(EXAMPLE, {})
    if not (isinstance(texts, Mapping) and all(isinstance(text, str) for text in texts.values())):
        return "psychographic must be a table of texts, [psychographic]"
    pipeline, fields = str(choice.get("pipeline", DEFAULT)), _fields(choice)
    if pipeline not in TAKES:
        return f"{pipeline} is none of the pipelines {', '.join(TAKES)}"
    if choice.get("type", TYPES[0]) not in TYPES:
        return f"{choice['type']} is none of the types {', '.join(TYPES)}"
    takes = TAKES[pipeline]
    if unknown := sorted(fields.keys() - takes.keys()):
        return f"{pipeline} takes no {unknown[0]}"
    if pipeline == "intermediate" and (missing := sorted(assumptions.GUIDED_NEEDED - fields.keys())):
        return f"{pipeline} needs {', '.join(missing)}"
    return next((wrong for name, value in fields.items() if (wrong := _wrong(name, takes[name], value))), "")


def _fields(choice: Mapping[str, Any]) -> Mapping[str, Any]:
    fields = choice.get("fields")
    return fields if isinstance(fields, Mapping) else {}


def _wrong(name: str, form: str, value: Any) -> str:
    low, high = assumptions.WEIGHTS
    match form, value:
        case "text", str() if value.strip():
            return ""
        case "list", list() if all(isinstance(entry, str) for entry in value) and any(value):
            return ""
        case "yes or no", bool():
            return ""
        case "weights", {} if value.keys() == set(WEIGHED) and all(
            type(weight) is int and low <= weight <= high for weight in value.values()
        ):
            return ""
    must = {"text": "be a text", "list": "be a list of texts", "yes or no": "be true or false"}
    weigh = f"give each of {', '.join(WEIGHED)} a whole number from {low} to {high}"
    return f"{name} must {must.get(form, weigh)}"


class Personas(Kind):
    name = "personas"
    terms = Terms(
        create=Price(300, 300),
        update=Price(0, assumptions.PERSONA_UPDATE_CREDITS, is_documented=False),
        update_edits=True,
    )
    thing = "persona"
    path = "/personas"
    seconds = assumptions.PERSONA_SECONDS
    words_file = "persona.md.j2"
    choice_file = CHOICE
    name_field = "name"
    reference_field = "description"
    echo: tuple[str, ...] = ("name", "description")
    has_paragraphs = True
    covers_words = True
    has_own = True
    begins_early = True
    remedies: Remedies = (
        (("psychographic",), "Take [psychographic] out of the job's persona.toml"),
        WORKSPACE,
        (("",), SHAPE),
    )

    def chosen(self, choice: dict[str, Any], settings: Settings) -> dict[str, Any]:
        unsent = "type" if settings.mavera_persona_shape == "examples" else EXAMPLE
        return {name: value for name, value in choice.items() if name != unsent}

    def covered(self, draft: Draft, job: str) -> dict[str, Any]:
        """Cover the words: an update is free, so new wording reaches Mavera."""
        return {"name": draft.name, "description": draft.text}

    def payload(self, draft: Draft, settings: Settings) -> dict[str, Any]:
        words, choice = {"name": draft.name, "description": draft.marked_text}, draft.choice
        if settings.mavera_persona_shape == "examples":
            return {**words, **({EXAMPLE: choice[EXAMPLE]} if choice.get(EXAMPLE) else {})}
        fields = {
            name: [entry for entry in value if entry] if isinstance(value, list) else value
            for name, value in _fields(choice).items()
        }
        usual_type = settings.mavera_persona_type
        made_by = {"pipeline_type": choice.get("pipeline", DEFAULT), "type": choice.get("type", usual_type)}
        return {**made_by, **words, **fields}

    def complaint(self, draft: Draft, payload: Mapping[str, Any], settings: Settings) -> str:
        low, high = NAME_CHARACTERS
        if draft.choice.keys() - {EXAMPLE} and settings.mavera_persona_shape == "examples":
            return (
                f"MAVERA_PERSONA_SHAPE=examples sends no pipeline: take {CHOICE} away or set it to reference"
            )
        if wrong := complaint(draft.choice):
            return wrong
        if not low <= len(draft.name) <= high:
            return f"its name has {len(draft.name)} characters, Mavera takes {low} to {high}"
        return ""

    def update(self, mavera: Mavera, remote_id: str, payload: Mapping[str, Any]) -> Answer:
        edited = {name: value for name, value in payload.items() if name not in assumptions.FIXED}
        return self.answered(mavera.edit(self.path, remote_id, edited, self.seconds))

    def rows(self, mavera: Mavera) -> list[dict[str, Any]]:
        """Return every custom persona of the account."""
        return [row for row in super().rows(mavera) if row.get(assumptions.CUSTOM, True)]

    def answer_of(self, mavera: Mavera, remote: RemoteObject) -> Answer:
        return self.answered(remote.body)

    def fetched(self, mavera: Mavera, remote_id: str) -> RemoteObject | None:
        return next((one for one in self.listing(mavera).objects if one.remote_id == remote_id), None)
