"""The Mave chat and its threads."""

import asyncio
import math
from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.mavera.account import WORKSPACES, Account, require_workspace
from sandbox.mavera.answers import advice, number_from, priced, sources_for
from sandbox.mavera.personas import BASE_PERSONAS
from sandbox.mavera.requests import (
    Refusal,
    Row,
    Served,
    body_of,
    invalid,
    iso,
    missing,
    names,
    new_id,
    page_by_offset,
)

CHATS_AT_ONCE: Final = 10
CHAT_FIELDS: Final = names("message thread_id workspace_id stream")


class Chat:
    """Endpoints of the chat: questions, and the threads that contain them and their answers."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._chats = 0
        self.routes: Sequence[Served] = [
            Served("POST", "/mave/chat", self._chat),
            Served("GET", "/mave/threads", self._list),
            Served("GET", "/mave/threads/{id}", self._get),
            Served("DELETE", "/mave/threads/{id}", self._delete),
        ]

    async def _chat(self, request: Request) -> Response:
        if self._chats == CHATS_AT_ONCE:
            retry_after = {"Retry-After": str(max(1, math.ceil(self._account.chat_seconds)))}
            raise Refusal(429, message=f"At most {CHATS_AT_ONCE} chats at once.", headers=retry_after)
        self._chats += 1
        try:
            fields = self._fields(await body_of(request))
            await asyncio.sleep(self._account.chat_seconds)
            return JSONResponse(self._answer(fields["message"], fields["workspace_id"], fields["thread_id"]))
        finally:
            self._chats -= 1

    def _fields(self, sent: Row) -> Row:
        """Return the message, its workspace and thread (None: a new one); raises Refusal for a bad field."""
        defaults = {"workspace_id": WORKSPACES[0].workspace_id, "thread_id": None, "stream": False}
        fields = defaults | self._account.known(sent, CHAT_FIELDS)
        if "message" not in fields:
            raise missing("message")
        if not isinstance(fields["message"], str) or not fields["message"].strip():
            raise invalid("message", "must be a text")
        if fields["stream"] is not False:
            raise invalid("stream", "must be false: the sandbox answers in one piece")
        if fields["thread_id"] is not None:
            fields["workspace_id"] = self._account.load("thread", fields["thread_id"])["workspace_id"]
        require_workspace(fields["workspace_id"])
        return fields

    def _answer(self, message: str, workspace_id: str, thread_id: str | None) -> Row:
        now = iso(self._account.now())
        complexity, credits_used = priced(message)
        if thread_id is None:
            thread = new_thread(message, workspace_id, now)
        else:
            thread = self._account.load("thread", thread_id)
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
        with self._account.charged(thread["id"], credits_used, workspace_id):
            self._account.save("thread", thread)
        answer |= {
            "object": "mave_message",
            "thread_id": thread["id"],
            "sources": [{field: source[field] for field in ("title", "url", "domain")} for source in sources],
            "personas_used": [{"id": persona["id"], "name": persona["name"]} for persona in personas],
            "usage": {"credits_used": credits_used},
        }
        if not self._account.strict:
            validation = {"confidence_score": 0.9, "hallucination_risk": "low", "unsupported_claims": []}
            answer["validation"] = validation
        return answer

    async def _list(self, request: Request) -> Response:
        workspace_id = request.query_params.get("workspace_id")
        long = ("messages", "sources", "personas_used")
        threads = self._account.listed("thread", newest_first=True, by="updated_at")
        rows = [
            {field: value for field, value in thread.items() if field not in long}
            for thread in threads
            if workspace_id in {None, thread["workspace_id"]}
        ]
        return JSONResponse(page_by_offset(request, rows))

    async def _get(self, request: Request) -> Response:
        return JSONResponse(self._account.load("thread", request.path_params["id"]))

    async def _delete(self, request: Request) -> Response:
        thread = self._account.load("thread", request.path_params["id"])
        with self._account.state:
            self._account.state.execute("delete from objects where object_id = ?", (thread["id"],))
        return JSONResponse({"id": thread["id"], "object": "mave_thread", "deleted": True})


def new_thread(message: str, workspace_id: str, now: str) -> Row:
    return {
        "id": new_id("mave_thread"),
        "object": "mave_thread",
        "title": message.strip().splitlines()[0][:80],
        "current_phase": "TRIAGE",  # the only phase in the reference
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


def personas_for(message: str) -> list[Row]:
    """Return the two base personas that Mave consults on a message."""
    first = number_from(message) % len(BASE_PERSONAS)
    fields = ("id", "name", "category")
    return [{field: BASE_PERSONAS[at][field] for field in fields} for at in (first, first - 1)]
