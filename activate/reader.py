"""Read Mavera's answers under any names of fields and any wrapping of lists.

Every object gets the reference's names beside its own, so that other modules need only one name.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from activate.errors import NotUnderstood
from common import assumptions
from privacy import outside

Body = dict[str, Any]

# An envelope has only these keys and its contents.
WRAPPERS: Final = frozenset({"object", "success", "ok", "message", "meta", "error", "status", "code"})
FIELDS_NAMED: Final = 12  # at most, in an error
SETTING: Final = "MAVERA_FIELDS"


class Reader:
    """Find each field of an answer; `names` are those that the account's owner has set."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._places = {
            field: (*((names[field],) if field in names else ()), *usual)
            for field, usual in assumptions.OBJECT_FIELDS.items()
        }

    def opened(self, body: Any) -> Any:
        """Return the contents of an envelope such as {"data": {…}}, with the usage beside it."""
        while isinstance(body, dict) and isinstance(body.get("data"), dict):
            beside = {name: value for name, value in body.items() if name != "data"}
            if beside.keys() - WRAPPERS - {*assumptions.PROOFS}:
                return body
            body = {**{name: beside[name] for name in assumptions.PROOFS if name in beside}, **body["data"]}
        return body

    def whole(self, body: Mapping[str, Any], path: str = "") -> Body:
        """Return an object with every known field also under the reference's name."""
        known = {field: self._value(body, field, path) for field in self._places if field != "data"}
        return {**body, **{field: value for field, value in known.items() if value is not None}}

    def rows(self, page: Mapping[str, Any], path: str) -> list[Body] | None:
        """Return the rows of a page of a list; None if it has no list.

        Raises NotUnderstood if it has several lists or a row without an id.
        """
        lists = {name: value for name, value in page.items() if isinstance(value, list)}
        named = [name for name in self._places["data"] if name in lists]
        if not named and len(lists) > 1:
            raise lacking(f"GET {path}", "data", page, "which of its lists has the rows")
        if not lists:
            return None
        rows = lists[named[0]] if named else next(iter(lists.values()))
        return [self.row(row, path) for row in rows]

    def row(self, row: Any, path: str) -> Body:
        """Return an object of a list with its messages. Raises NotUnderstood if it has no id."""
        if not isinstance(row, Mapping):
            raise lacking(f"GET {path}", "data", {}, "rows that are objects")
        whole = self.whole(row, path)
        if not whole.get("id"):
            raise lacking(f"GET {path}", "id", row)
        if isinstance(whole.get("messages"), list):
            whole["messages"] = [self.whole(one) for one in whole["messages"] if isinstance(one, Mapping)]
        return whole

    def _value(self, body: Mapping[str, Any], field: str, path: str) -> Any:
        places: Sequence[str] = self._places[field]
        if field == "id":
            kind = next((kind for kind in assumptions.KIND_IDS if path.startswith(kind)), "")
            places = (*places, *assumptions.KIND_IDS.get(kind, ()))
        return next((body[place] for place in places if body.get(place) is not None), None)


def lacking(where: str, field: str, body: Mapping[str, Any], what: str = "") -> NotUnderstood:
    """Return the error for a missing field; it names the existing fields, never a value."""
    names = outside.words(", ".join(sorted(map(str, body))[:FIELDS_NAMED]))
    there = f" (its fields: {names})" if body else ""
    what = what or f"the field {field} of an object"
    return NotUnderstood(
        f"{where}: {what} cannot be found{there}. "
        f'Say in .env what Mavera calls it: {SETTING}={{"{field}": "its name there"}}'
    )
