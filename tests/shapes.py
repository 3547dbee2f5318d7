"""The shapes of docs/json.md, and whether a command's output matches the shape of its section."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from common import settings

DOC = settings.ROOT / "docs" / "json.md"


class Section:
    """An example of the doc, and the paths in it that may be null or contain anything."""

    def __init__(self, text: str) -> None:
        example = re.search(r"```json\n(.*?)```\n(.*)", text, re.DOTALL)
        assert example, text
        self.example = json.loads(example[1])
        self.null, self.free = (
            set(re.findall(r"`([^`]+)`", found[1]))
            if (found := re.search(pattern, example[2], re.S))
            else set()
            for pattern in (r"Null: (.*?)\.(?:\s|$)", r"Any: (.*?)\.(?:\s|$)")
        )


def sections() -> Mapping[str, Section]:
    """Return the sections by their command: `activate plan`."""
    _, *parts = re.split(r"^## ", DOC.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.match(r"`python -m (?:operate\.)?(.*) --json`", part)[1]: Section(part) for part in parts}  # type: ignore[index]


def amiss(command: str, printed: Any) -> list[str]:
    """Return the differences between the output of `command` and its section."""
    section = sections()[command]
    return list(_amiss(section, section.example, printed, ""))


def _amiss(section: Section, example: Any, printed: Any, path: str) -> Iterator[str]:
    if path in section.free or (printed is None and path in section.null):
        return
    if isinstance(example, dict) and isinstance(printed, dict):
        for name in example.keys() ^ printed.keys():
            yield f"{path}.{name} is {'not printed' if name in example else 'not documented'}"
        for name in example.keys() & printed.keys():
            yield from _amiss(section, example[name], printed[name], f"{path}.{name}".lstrip("."))
    elif isinstance(example, list) and isinstance(printed, list):
        for one in printed:
            yield from _amiss(section, example[0], one, f"{path}[]")
    elif not (type(example) is type(printed) or (type(example) is float and type(printed) is int)):
        yield f"{path} is {json.dumps(printed)}, documented as {json.dumps(example)}"
