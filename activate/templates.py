"""The files of jobs: templates, compiled once, with the filters that write facts as words."""

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import jinja2
import jinja2.meta
import jinja2.sandbox

from activate import declarations

SIGNS: Final = {"USD": "$", "EUR": "€", "GBP": "£"}  # before an amount; other currencies follow it by code


OF_OBJECTS: Final = frozenset(dir(dict))


class Environment(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """Templates cannot change facts, nor reach beyond them."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return `facts.name` at once: jinja2 first fails to find it among the methods of a dict."""
        if type(obj) is dict and attribute in obj and attribute not in OF_OBJECTS:
            return obj[attribute]
        return super().getattr(obj, attribute)


class Jobs(jinja2.BaseLoader):
    """The files of the jobs below a folder, each read and compiled once."""

    def __init__(self, folder: Path) -> None:
        self._folder = jinja2.FileSystemLoader(folder)
        self.environment = Environment(
            loader=self,
            undefined=jinja2.StrictUndefined,
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.environment.filters |= {"count": _count, "percent": _percent, "money": _money}
        self.environment.filters |= {"data": _data, "said": _said, "quoted": _quoted}
        self.source = cache(self._source)
        self.toml = cache(self._toml)
        self.has = cache(self._has)
        self.sources = cache(self._sources)
        self.steps = cache(json.loads)
        self.template = cache(self.environment.get_template)
        self.declared = cache(lambda path: declarations.read(self.source(path)))
        self.compiled = cache(self.environment.from_string)
        self._types: dict[int, tuple[declarations.Declared, dict[str, str]]] = {}

    def get_source(
        self, _: jinja2.Environment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        return self.source(template), template, None

    def _sources(self, *paths: str) -> str:
        left, found = list(paths), []
        while left:
            try:
                source = self.source(left.pop(0))
            except jinja2.TemplateNotFound:
                continue
            found.append(source)
            left[:0] = self._included(source)
        return canonical(found)

    def types_of(self, declared: declarations.Declared) -> dict[str, str]:
        """Return the declared types by path, as `Declared.by_path`."""
        if id(declared) not in self._types:
            self._types[id(declared)] = declared, declared.by_path()
        return self._types[id(declared)][1]

    def _source(self, path: str) -> str:
        return self._folder.get_source(self.environment, path)[0]

    def _has(self, path: str) -> bool:
        try:
            self.source(path)
        except jinja2.TemplateNotFound:
            return False
        return True

    def _toml(self, path: str) -> tuple[dict[str, Any], bool]:
        """Return a file, and whether it depends on facts: then some of its texts are compiled templates."""
        read = each_text(tomllib.loads(self.source(path)), self._filled_or_compiled)
        return read, any(isinstance(text, jinja2.Template) for text in strings(read))

    def _filled_or_compiled(self, text: str) -> Any:
        template = self.compiled(text)
        return template if "{" in text else template.render()

    def _included(self, source: str) -> list[str]:
        return [path or "" for path in jinja2.meta.find_referenced_templates(self.environment.parse(source))]


def canonical(value: Any) -> str:
    """Write a value as JSON that does not depend on the order of keys."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def each_text(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, str | jinja2.Template):
        return change(value)
    if isinstance(value, dict):
        return {name: each_text(inner, change) for name, inner in value.items()}
    return [each_text(inner, change) for inner in value] if isinstance(value, list) else value


def _count(value: int | None) -> str:
    return "an unknown number of" if value is None else f"{value:,}"


def _percent(share: float | None, digits: int = 0) -> str:
    return "an unmeasured share" if share is None else f"{share * 100:.{digits}f}%"


def _money(amount: float | None, currency: str | None) -> str:
    """Write an amount with its currency, or say that the shop's currency is unknown."""
    if amount is None:
        return "an unknown amount"
    written = f"{amount:,.0f}" if amount == round(amount) else f"{amount:,.2f}"
    if not currency:
        return f"{written} in the shop's currency"
    return f"{SIGNS[currency]}{written}" if currency in SIGNS else f"{written} {currency}"


def _data(facts: Mapping[str, Any]) -> str:
    """Write facts as JSON, one per line. Unmeasured facts are left out: null would read as none."""
    measured = _measured(facts)
    lines = (
        f" {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in measured.items()
    )
    return "{\n" + ",\n".join(lines) + "\n}"


def _measured(value: Any) -> Any:
    """Return facts without those that are null, at any depth."""
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {name: _measured(inner) for name, inner in value.items() if inner is not None}
    return (
        [_measured(inner) for inner in value if inner is not None]
        if isinstance(value, list | tuple)
        else value
    )


def _said(value: str) -> str:
    """Quote a text that a vendor's user wrote, such as a segment's name."""
    return '"' + value.replace('"', "'") + '"'


def strings(value: Any) -> Iterator[Any]:
    if isinstance(value, str | jinja2.Template):
        yield value
    elif isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from strings(inner)


def _quoted(text: str) -> str:
    """Quote each line of a longer text that somebody wrote."""
    return "\n".join(f"> {line}" for line in text.splitlines())
