"""Generations (texts that an app writes): the request bodies, and the reasons why one cannot be requested.

assumptions.py fills the gaps in Mavera's reference; the app's inputs are in the job's `generation.toml`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from activate.answers import Answer, answered, state_of
from activate.kinds.kind import PAGE, WORKSPACE, Draft, Kind, Waits, marked, newest
from activate.ledger.journal import Journal
from activate.mavera import Mavera
from activate.plan import Price, Step, Terms
from common import assumptions
from common.settings import Settings

TITLE_CHARACTERS: Final = 100
BRAND_VOICES: Final = "brand-voices"  # every text uses the newest object of this kind
PERSONAS: Final = (0, 1)  # a persona_id may be left out

TEMPLATE_FIELDS: Final = {"app": str, "title": str, "input": dict}


class App(NamedTuple):
    """An app as Mavera lists it. `inputs`: whether each input is required; None if they cannot be read."""

    app_id: str
    inputs: Mapping[str, bool] | None


def app_in(body: Mapping[str, Any]) -> App:
    listed = next((body[field] for field in assumptions.INPUT_FIELDS if body.get(field)), None)
    if isinstance(listed, Mapping):
        listed = [
            {"name": name, **(about if isinstance(about, Mapping) else {})} for name, about in listed.items()
        ]
    if not isinstance(listed, list):
        return App(str(body["id"]), None)
    inputs = {}
    for one in listed:
        about = one if isinstance(one, Mapping) else {"name": one}
        name = next((about[field] for field in assumptions.INPUT_NAMES if about.get(field)), None)
        if not isinstance(name, str):
            return App(str(body["id"]), None)
        inputs[name] = about.get("required") is True
    return App(str(body["id"]), inputs)


def chosen(apps: Sequence[App], app_id: str) -> App | None:
    """Find an app by the id that a template names, with hyphens or underscores."""
    return next((app for app in apps if _plain(app.app_id) == _plain(app_id)), None)


def unfit(apps: Sequence[App], app_id: str, given: Mapping[str, Any]) -> str:
    """Return why no app accepts the `given` inputs, with the alternatives; or an empty string."""
    app = chosen(apps, app_id)
    if app is None:
        return f"Mavera has no app {app_id}. There are {', '.join(one.app_id for one in apps) or 'none'}"
    if app.inputs is None:
        return ""
    lacking = [name for name, is_required in app.inputs.items() if is_required and not given.get(name)]
    unknown = sorted(given.keys() - app.inputs.keys())
    if not (lacking or unknown):
        return ""
    wrong = f"needs {lacking[0]}" if lacking else f"takes no {unknown[0]}"
    return f"the app {app.app_id} {wrong}. Its inputs are {', '.join(app.inputs)}"


def text_in(body: Mapping[str, Any]) -> str:
    """Return the text of a generation; empty while its app is running."""
    texts = (body.get(field) for field in assumptions.TEXT_FIELDS)
    return next((text for text in texts if isinstance(text, str) and text.strip()), "")


def _plain(app_id: str) -> str:
    return app_id.casefold().replace("_", "-")


class Generations(Kind):
    name = "generations"
    terms = Terms(create=Price(10, 30), update=Price(10, 30), lasts=True)
    thing = "generation"
    path = "/generations"
    seconds = assumptions.GENERATION_SECONDS
    words_file = "generation.toml"
    name_field = reference_field = "title"
    echo = ("title",)
    waits = Waits(BRAND_VOICES, 0, "after the brand voice, which Mavera is at work on")
    remedies = (
        WORKSPACE,
        (("voice",), "Set MAVERA_BRAND_VOICE_ID"),
        (("",), "Change the job's generation.toml"),
    )

    def payload(self, draft: Draft, settings: Settings) -> dict[str, Any]:
        title = marked(str(draft.form.get("title")), draft.mark, TITLE_CHARACTERS)
        workspace, voice = settings.mavera_workspace_id, settings.mavera_brand_voice_id
        return {
            "app_id": draft.form.get("app"),
            "input_data": draft.form.get("input"),
            "title": title,
            **({"workspace_id": workspace} if workspace else {}),
            **({"brand_voice_id": voice} if voice else {}),
        }

    def complaint(self, draft: Draft, payload: Mapping[str, Any], settings: Settings) -> str:
        form = draft.form
        if unknown := sorted(form.keys() - TEMPLATE_FIELDS.keys()):
            return f"a generation takes no {unknown[0]}"
        for field, form_type in TEMPLATE_FIELDS.items():
            if not isinstance(form.get(field), form_type) or not form[field]:
                return f"a generation needs {field}"
        if len(payload["title"]) > TITLE_CHARACTERS:
            return f"its record key leaves no room for it in a title of {TITLE_CHARACTERS} characters"
        low, high = PERSONAS
        if not low <= draft.reference_count <= high:
            return f"it has {draft.reference_count} personas, Mavera takes {low} to {high}"
        length = sum(len(str(value)) for value in form["input"].values())
        most = assumptions.INPUT_CHARACTERS
        return f"its input has {length:,} characters, the most is {most:,}" if length > most else ""

    def references_field(self, settings: Settings) -> str:
        return "persona_id"

    def unfit(self, payload: Mapping[str, Any], mavera: Mavera) -> str:
        return unfit(apps(mavera), payload["app_id"], payload["input_data"])

    def completed(
        self, step: Step, ledger: Journal, mavera: Mavera, say: Callable[[str], None]
    ) -> dict[str, Any]:
        payload = super().completed(step, ledger, mavera, say)
        field = step.record.references_field
        if step.record.references:
            payload[field] = payload[field][0]
        if app := chosen(apps(mavera), payload["app_id"]):
            payload["app_id"] = app.app_id
        if voice := newest(ledger, BRAND_VOICES):
            payload.setdefault("brand_voice_id", voice)
        return payload

    def answered(self, body: Mapping[str, Any]) -> Answer:
        if text_in(body):
            return answered(self.thing, body)
        has_failed = state_of(body.get("status")) == "failed"
        return answered(self.thing, body, "failed" if has_failed else "waiting")


def apps(mavera: Mavera) -> list[App]:
    """Return the apps that write texts; they are requested once."""
    return [app_in(row) for row in mavera.rows_once("/generation-apps", PAGE)]
