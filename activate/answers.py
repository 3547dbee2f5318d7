"""Mavera's answers: objects with their id, state, credits and times."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

from activate.errors import OutcomeUnknown
from activate.reader import lacking
from common import assumptions
from privacy import outside

MOST_CREDITS: Final = 2**31 - 1  # that fit a row of the ledger
MESSAGE_CHARACTERS: Final = 200  # kept of Mavera's message about a refusal

State = Literal["done", "failed", "waiting"]


class Answer(NamedTuple):
    """Mavera's answer to a call. `credits` is None if Mavera reported none; `body` is the unchanged answer.

    A study or a brand voice is `waiting` until it has its results, a generation until it has its text; each
    may have `failed`. `is_wordless`: the requested text is missing.
    """

    remote_id: str
    thread_id: str | None
    credits: int | None
    body: Any
    state: State = "done"
    is_wordless: bool = False

    @property
    def shown_id(self) -> str:
        """The id under which a person finds it in Mavera."""
        return self.thread_id or self.remote_id


def answered(thing: str, body: Any, state: State = "done") -> Answer:
    """Return a created or listed object as the answer to its creation; `thing` names it in an error."""
    if not body.get("id"):
        raise OutcomeUnknown(f"Mavera answered without the id of the {thing}", body)
    return Answer(str(body["id"]), None, credits_in(body), body, state)


def state_of(status: object, results: object = None) -> State:
    """Return whether an object is done, failed, or still running.

    Results take precedence over the state's name, unless the name says that they are incomplete.
    """
    spelled = str(status).casefold()
    if spelled in assumptions.COMPLETED or (results and spelled not in assumptions.AT_WORK):
        return "done"
    return "failed" if spelled in assumptions.FAILED else "waiting"


def is_proof(body: Any) -> bool:
    """Whether an answer shows that its work was done and charged, even if nothing identifies it."""
    return isinstance(body, Mapping) and any(body.get(field) for field in assumptions.PROOFS)


def credits_in(body: Any) -> int | None:
    """Return the credits of an object, from the field that its kind uses; None if it has none."""
    usage = body.get("usage")
    used = whole_credits(usage.get("credits_used")) if isinstance(usage, dict) else None
    return whole_credits(body.get("credits_charged")) if used is None else used


def created_at(row: Mapping[str, Any]) -> datetime:
    return _moment(row, "created_at")


def touched_at(row: Mapping[str, Any]) -> datetime:
    return _moment(row, "updated_at" if row.get("updated_at") else "created_at")


def _moment(row: Mapping[str, Any], field: str) -> datetime:
    """Read a time; Mavera uses both Unix seconds and ISO 8601."""
    value = row.get(field)
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        return datetime.fromisoformat(str(value)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        where = f"{one_line(row.get('object')) or 'an object'} {one_line(row.get('id'))}"
        raise lacking(where, field, row) from None


def whole_credits(value: Any) -> int | None:
    """Return Mavera's credits, rounded up to a whole number; None if the value cannot be a price."""
    if isinstance(value, bool):
        return None
    try:
        amount = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return math.ceil(amount) if 0 <= amount <= MOST_CREDITS else None


def one_line(value: Any) -> str:
    """Return a text of Mavera's as one short line that may be shown and kept."""
    text = value.replace('"', "'") if isinstance(value, str) else ""
    return outside.words(text, MESSAGE_CHARACTERS) if text.strip() else ""
