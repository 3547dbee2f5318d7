"""Variants of Mavera's answers: without ids, under other names, with cut texts or short lists.

A variant changes the answer, never the work or the charge. Several can be combined.
"""

import html
import json
from collections.abc import Collection, Mapping
from typing import Any, Final

Row = dict[str, Any]

# Each variant and its effect, as shown in the sandbox's help.
MANNERS: Final[Mapping[str, str]] = {
    "no-ids": "answers to paid requests leave the id out",
    "no-thread-ids": "answers of Mave leave the id of the thread out",
    "no-usage": "answers to paid requests tell no price",
    "empty-answers": "answers to paid requests are {}",
    "page-answers": "answers to paid requests are a proxy's HTML page, with 200",
    "mute-threads": "threads show no messages",
    "wordless": "answers of Mave have no text",
    "other-names": "id is uuid and created_at is createdOn, everywhere",
    "other-list-key": "lists stand under items instead of data",
    "envelope": "everything stands below another data",
    "short-lists": "lists end after 3 rows of the account's own and say that there are no more",
    "short-names": "names, labels and titles are cut after 12 characters",
    "cut-names": "names, labels and titles are cut after 12 characters, with an ellipsis",
    "short-texts": "descriptions and messages are cut after 40 characters",
    "short-listed-texts": "lists cut descriptions after 40 characters; single objects show all of it",
    "personas-by-list-only": "a persona cannot be read by its id: 404, as nothing documents it",
    "flat-texts": "texts are one line",
    "escaped-texts": "texts are escaped as in HTML",
    "other-states": "what is finished is ARCHIVED",
    "endless-states": "focus groups and brand voices stay UNDER_REVIEW, without results",
}
LIST_ROWS: Final = 3
NAME_CHARACTERS: Final = 12
TEXT_CHARACTERS: Final = 40
PAID: Final = ("/personas", "/mave/chat", "/focus-groups", "/brand-voices", "/generations")
NAMES: Final = frozenset({"name", "label", "title"})
TEXTS: Final = frozenset({"description", "usage_context", "content"})
USAGE: Final = ("usage", "credits_charged", "credits_used")
PAGE: Final = b"<!doctype html><title>Welcome</title><p>You are connected.</p>"


def shown(manners: Collection[str], method: str, path: str, content: bytes) -> bytes:
    """Return the body of a successful answer, changed by these variants."""
    is_paid = method == "POST" and path in PAID
    if is_paid and "page-answers" in manners:
        return PAGE
    if is_paid and "empty-answers" in manners:
        return b"{}"
    body: Row = json.loads(content)
    if is_paid:
        left_out = {"id"} if "no-ids" in manners else set()
        left_out |= {*USAGE} if "no-usage" in manners else set()
        left_out |= {"thread_id"} if "no-thread-ids" in manners else set()
        body = {field: value for field, value in body.items() if field not in left_out}
    if "wordless" in manners and path == "/mave/chat":
        body["content"] = ""
    if "short-lists" in manners and isinstance(body.get("data"), list):
        body = {"object": "list", "data": _first_rows(body["data"]), "has_more": False}
    if "short-listed-texts" in manners and isinstance(body.get("data"), list):
        body["data"] = [_shortened(row) for row in body["data"]]
    if path != "/generation-apps":  # an app's inputs have a different kind of name
        body = _changed(body, manners)
    if "other-list-key" in manners and isinstance(body.get("data"), list):
        body["items"] = body.pop("data")
    if "envelope" in manners:
        body = {"data": body}
    return json.dumps(body).encode()


def _first_rows(rows: list[Row]) -> list[Row]:
    """Keep only the first rows; personas that are not the account's own do not count."""
    kept, own = [], 0
    for row in rows:
        own += row.get("is_custom", True)
        if own <= LIST_ROWS:
            kept.append(row)
    return kept


def _shortened(row: Row) -> Row:
    """Cut the description of a listed object, as lists do that show a preview."""
    text = str(row.get("description") or "")
    return row | {"description": f"{text[:TEXT_CHARACTERS]}…"} if len(text) > TEXT_CHARACTERS else row


def _changed(value: Any, manners: Collection[str]) -> Any:
    if isinstance(value, list):
        return [_changed(inner, manners) for inner in value]
    if not isinstance(value, dict):
        return value
    body = {name: _changed(_field(name, inner, manners), manners) for name, inner in value.items()}
    if "mute-threads" in manners and body.get("object") == "mave_thread":
        body |= {"messages": []} if "messages" in body else {}
    if "status" in body:
        body |= _state(body, manners)
    if "other-names" in manners:
        renamed = {"id": "uuid", "created_at": "createdOn"}
        body = {renamed.get(name, name): inner for name, inner in body.items()}
    return body


def _field(name: str, value: Any, manners: Collection[str]) -> Any:
    if not isinstance(value, str) or name not in NAMES | TEXTS:
        return value
    if name in NAMES:
        cut = "…" if "cut-names" in manners else ""
        is_cut = cut or "short-names" in manners
        value = value[:NAME_CHARACTERS] + cut if is_cut and len(value) > NAME_CHARACTERS else value
    elif "short-texts" in manners:
        value = value[:TEXT_CHARACTERS]
    value = " ".join(value.split()) if "flat-texts" in manners else value
    return html.escape(value).replace("/", "&#x2F;") if "escaped-texts" in manners else value


def _state(body: Row, manners: Collection[str]) -> Row:
    if "endless-states" in manners:
        empty = [name for name in ("results", "voice_summary") if name in body]
        return {"status": "UNDER_REVIEW", **dict.fromkeys(empty)}
    if "other-states" in manners and str(body["status"]).casefold() in {"completed", "complete", "ready"}:
        return {"status": "ARCHIVED"}
    return {}
