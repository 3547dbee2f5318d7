"""How Klaviyo refuses a request, and how it reads a filter: the same for lists and for reports."""

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from starlette.responses import Response

from sandbox.klaviyo.kinds import ACCOUNT_ID

HEADERS: Final = {"CID": ACCOUNT_ID, "Allow": "GET, HEAD"}
MEDIA_TYPE: Final = "application/vnd.api+json"

# Code and title. Those of 405, 410 and 500 are not documented and follow the style of the others.
ERRORS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("invalid", "Invalid input."),
    401: ("authentication_failed", "Incorrect authentication credentials."),
    403: ("permission_denied", "You do not have permission to perform this action."),
    404: ("not_found", "Not found."),
    405: ("method_not_allowed", "Method not allowed."),
    406: ("not_acceptable", "Not acceptable."),
    410: ("gone", "This revision is retired."),
    429: ("throttled", "Request was throttled."),
    500: ("error", "A server error occurred."),
}


class Refusal(Exception):
    """A request answered with an error in the form of JSON:API; `parameter` is the one at fault, or `/…` the
    place in the body."""

    def __init__(
        self, status: int, detail: str = "", parameter: str | None = None, code: str | None = None
    ) -> None:
        usual_code, title = ERRORS.get(status, ERRORS[500])
        super().__init__(detail or title)
        parameter = parameter or "/data/"
        error = {
            "id": str(uuid.uuid4()),
            "status": status,
            "code": code or usual_code,
            "title": title,
            "detail": detail or title,
            "source": {"pointer" if parameter.startswith("/") else "parameter": parameter},
            "links": {},
            "meta": {},
        }
        self.response = Response(orjson.dumps({"errors": [error]}), status, HEADERS, MEDIA_TYPE)


QUOTED: Final = r""" "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' """
OPERAND: Final = rf"(?:{QUOTED}|[^\s,()\[\]\"']+)"
CONDITION: Final = re.compile(
    rf"""
    \s* (?P<operator>[a-z-]+) \( \s* (?P<field>[$\w.]+(?:\ \w+)*) \s*
    (?: , \s* (?P<operand> {OPERAND} | \[ \s* {OPERAND} (?: \s*,\s* {OPERAND} )* \s* \] ) \s* )? \) \s*
    (?: , (?=.) | $ )
    """,
    re.VERBOSE,
)


def bad_filter(reason: str) -> Refusal:
    return Refusal(400, f"Invalid filter provided: {reason}.", "filter")


def conditions_of(text: str) -> Iterator[tuple[str, str, str | None]]:
    """Yield operator, field and operand of `op(field,operand),…`, also inside `and(…)`. Raises Refusal."""
    whole = re.fullmatch(r"\s*and\((.*)\)\s*", text)
    text, at = whole[1] if whole else text, 0
    while at < len(text):
        condition = CONDITION.match(text, at)
        if condition is None:
            raise bad_filter(f"not understood from character {at + 1} on")
        yield condition["operator"], condition["field"], condition["operand"]
        at = condition.end()


def value_of(operator: str, operand: str | None, form: str) -> Any:
    """Return an operand as a Python value; always a list for the operators of lists. Raises Refusal."""
    if (operand is None) != (form == "none"):
        raise bad_filter(f"'{operator}' takes {'no' if form == 'none' else 'a'} value")
    if operand is None:
        return None
    is_list, needs_list = operand.startswith("["), operator in ("any", "contains-any")
    if is_list != needs_list and not (is_list and operator == "equals"):
        raise bad_filter(f"'{operator}' takes {'a' if needs_list else 'no'} list")
    try:
        values = [READERS[form](item) for item in re.findall(OPERAND, operand, re.VERBOSE)]
    except (ValueError, OverflowError):
        raise bad_filter(f"a value is not a {form}, quoted if it is a string and only then") from None
    return values if needs_list or operator == "equals" else values[0]


def read_string(text: str) -> str:
    if text[0] not in "\"'":
        raise ValueError("not quoted")
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def read_datetime(text: str) -> datetime:
    """Read a time to the second, the vendor's precision of comparison."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).replace(microsecond=0)


READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "string": read_string,
    "datetime": read_datetime,
    "timestamp": lambda text: datetime.fromtimestamp(int(float(text)), UTC),
    "boolean": lambda text: bool(["false", "true"].index(text)),
}
