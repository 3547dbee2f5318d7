"""Texts that the apps of Mavera write."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.mavera.account import WORKSPACES, Account, require_workspace
from sandbox.mavera.answers import APPS, App, written
from sandbox.mavera.personas import base_persona
from sandbox.mavera.requests import (
    Row,
    Served,
    body_of,
    invalid,
    iso,
    missing,
    names,
    new_id,
    page_by_cursor,
    page_by_offset,
)

GENERATION_CREDITS: Final = (10, 30)  # minimum and maximum
WORDS_A_CREDIT: Final = 12  # words of input above the minimum, per credit
GENERATION_FIELDS: Final = names("app_id input_data brand_voice_id persona_id workspace_id title stream")
TITLE_CHARACTERS: Final = 100


class Generations:
    """Endpoints of generations and of the apps that write them."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.routes: Sequence[Served] = [
            Served("GET", "/generation-apps", self._list_apps),
            Served("GET", "/generations", self._list),
            Served("POST", "/generations", self._create),
            Served("GET", "/generations/{id}", self._get),
            Served("PATCH", "/generations/{id}", self._rename),
        ]

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
        return app_id if self._account.strict else app_id.replace("-", "_")

    def _inputs_of(self, app: App) -> Row:
        """Return the inputs of an app: a list in the reference's terms, an object in the guide's."""
        inputs = {name: {"type": "text", "required": name in app.required} for name in app.inputs}
        if self._account.strict:
            return {"input_fields": [{"name": name} | about for name, about in inputs.items()]}
        return {"input_schema": inputs}

    async def _list(self, request: Request) -> Response:
        """Return the newest first: without texts in the reference's paging, with texts in the guide's."""
        workspace_id = request.query_params.get("workspace_id")
        rows = [
            self._shown(generation)
            for generation in self._account.listed("generation", newest_first=True)
            if workspace_id in {None, generation["workspace_id"]}
        ]
        if not self._account.strict:
            return JSONResponse(page_by_offset(request, rows))
        long = ("input_data", "output", "content")
        short = [{field: value for field, value in row.items() if field not in long} for row in rows]
        return JSONResponse(page_by_cursor(request, short))

    async def _get(self, request: Request) -> Response:
        return JSONResponse(self._shown(self._account.load("generation", request.path_params["id"])))

    async def _create(self, request: Request) -> Response:
        fields = self._fields(await body_of(request))
        app_id = fields.pop("app_id").replace("_", "-")
        persona_id, voice_id = fields.pop("persona_id"), fields.pop("brand_voice_id")
        persona = (
            base_persona(persona_id) or self._account.load("persona", persona_id) if persona_id else None
        )
        voice = self._account.load("brand voice", voice_id) if voice_id else None
        text = written(APPS[app_id], fields["input_data"], persona, voice)
        low, high = GENERATION_CREDITS
        words = sum(len(str(value).split()) for value in fields["input_data"].values())
        now = iso(self._account.now())
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
        with self._account.charged(generation["id"], generation["credits"], fields["workspace_id"]):
            self._account.save("generation", generation)
        return JSONResponse(self._shown(generation), 201)

    async def _rename(self, request: Request) -> Response:
        fields = self._account.known(await body_of(request), frozenset({"title"}))
        generation = self._account.load("generation", request.path_params["id"]) | titled(fields)
        with self._account.state:
            self._account.save("generation", generation)
        return JSONResponse(self._shown(generation))

    def _shown(self, generation: Row) -> Row:
        """Return a generation as it is served: while its app is working, its text is empty."""
        app_id = generation["app"]
        app = APPS[app_id]
        seconds = self._account.generation_seconds if app.takes_time else 0
        ready = datetime.fromisoformat(generation["created_at"]) + timedelta(seconds=seconds)
        text = generation["text"] if self._account.now() >= ready else ""
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
        if not self._account.strict:
            return shown | {"app": self._app_id(app_id), "content_type": "MARKDOWN", "markdown": text}
        named = {"id": app_id, "name": app.name, "category": app.category}
        return shown | {"app": named, "content_type": "markdown", "output": text, "content": text}

    def _fields(self, sent: Row) -> Row:
        """Return the app and its inputs; raises Refusal for the first field that is missing or wrong."""
        fields: Row = {
            "workspace_id": WORKSPACES[0].workspace_id,
            "persona_id": None,
            "brand_voice_id": None,
            "title": "Untitled",
            "stream": False,
        }
        fields |= self._account.known(sent, GENERATION_FIELDS)
        for field in ("app_id", "input_data"):
            if field not in fields:
                raise missing(field)
        app = {self._app_id(app_id): app for app_id, app in APPS.items()}.get(str(fields["app_id"]))
        if app is None:
            raise invalid("app_id", "is none of the generation apps")
        if not isinstance(fields["input_data"], dict):
            raise invalid("input_data", "must be an object")
        for field in app.required:
            if self._account.strict and not fields["input_data"].get(field):
                raise missing(f"input_data.{field}")
        fields["input_data"] = self._account.known(fields["input_data"], frozenset(app.inputs))
        require_workspace(fields["workspace_id"])
        if fields.pop("stream") is not False:
            raise invalid("stream", "must be false: the sandbox answers in one piece")
        return fields | titled(fields)


def titled(fields: Row) -> Row:
    """Return the title among `fields`; raises Refusal for one that a generation cannot have."""
    title = fields.get("title")
    if not isinstance(title, str) or not 1 <= len(title) <= TITLE_CHARACTERS:
        raise invalid("title", f"must have 1 to {TITLE_CHARACTERS} characters")
    return {"title": title}
