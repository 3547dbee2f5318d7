"""The facts that a job declares in its YAML: no other facts may leave."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import yaml

LOADER: Final[type] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Declared(NamedTuple):
    """The facts of one kind of a job's records: `types` has the declared type of each (firewall.DECLARABLE),
    `earlier` maps names in earlier versions to the current names.
    """

    types: Mapping[str, Any] = MappingProxyType({})
    earlier: Mapping[str, str] = MappingProxyType({})

    def by_path(self) -> dict[str, str]:
        """Return the type of each value in the facts by its path, as in `outer[].inner`."""
        return dict(_by_path(self.types))


def file_of(template: str) -> str:
    """Return the YAML file of a job, below the folder of jobs."""
    folder = template.replace("-", "_")
    return f"{folder}/_{folder}.yml"


@lru_cache(maxsize=64)
def read(text: str) -> Mapping[str, Declared]:
    """Return the declarations in a job's YAML, by kind.

    Raises yaml.YAMLError if it is not YAML, ValueError if a fact is declared without a type.
    """
    declared = {}
    for model in (yaml.load(text, LOADER) or {}).get("models") or ():  # noqa: S506 - LOADER is a safe loader
        facts = model.get("config", {}).get("meta", {}).get("facts") or {}
        for name, fact in facts.items():
            if not isinstance(fact, Mapping) or "type" not in fact:
                raise ValueError(f"{model['name']} declares {name} without a type")
        kind = model["name"].partition("__")[2].replace("_", "-")
        declared[kind] = Declared(
            {name: fact["type"] for name, fact in facts.items()},
            {before: name for name, fact in facts.items() for before in fact.get("earlier_names", ())},
        )
    return declared


def _by_path(declared: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(declared, Mapping):
        for name, inner in declared.items():
            yield from _by_path(inner, f"{path}.{name}" if path else name)
    elif isinstance(declared, list):
        yield from _by_path(declared[0], f"{path}[]")
    else:
        yield path, declared
