"""Compare two sets of facts: which values moved, how far, and whether that counts. Pure."""

import math
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeGuard

Facts = Mapping[str, Any]
SHARE: Final = "share"
NAMED: Final = frozenset({"name", "quote", "text"})  # declared types of texts that somebody gave
LABEL_CHARACTERS: Final = 60  # kept of the texts that name an item of a list


class Change(NamedTuple):
    """A fact that moved since Mavera accepted the record."""

    fact: str
    before: Any
    after: Any


class Difference(NamedTuple):
    """A fact that moved, how far, and its step (0 if any move counts).

    `is_measured`: people moved it, not a new name for a thing. `is_share`: every person has the same part.
    """

    change: Change
    distance: float = 0
    step: float = 0
    is_measured: bool = True
    is_share: bool = False

    @property
    def is_material(self) -> bool:
        # Rounded because 0.36 - 0.35 is slightly more than 0.01 in floating point.
        return not self.step or round(self.distance / self.step, 6) > 1

    def is_revealed_by(self, share_of_people: float) -> bool:
        """Whether this share of the people can have caused half of the move, or of the step.

        They can move a share by no more than their part. One person can move other numbers, such as money,
        by any amount.
        """
        bound = share_of_people if self.is_share else math.inf
        return self.is_measured and bound >= min(self.distance, self.step) / 2


def differences(
    before: Any,
    after: Any,
    steps: Facts = MappingProxyType({}),
    types: Mapping[str, str] = MappingProxyType({}),
    name: str = "",
    path: str = "",
) -> Iterator[Difference]:
    """Yield every value in which two sets of facts differ, named as `outer.inner` or `outer[US].inner`.

    `steps` gives by path, as in `outer[].inner`, how far a number may move before that counts. `types` gives
    its declared type (firewall.DECLARABLE). A key on one side only did not move: a version added or dropped
    it. List items are the same if their texts are. If an item is on one side only, its first number is
    compared with `steps["outer[]"]`, if given. Any move of a value without a step counts.
    """
    if isinstance(before, Mapping | None) and isinstance(after, Mapping | None):
        # A key on one side only was added or dropped by a version: no move was measured.
        one_sided = before is None or after is None
        before, after = before or {}, after or {}
        for key in {**after, **before} if one_sided else (key for key in after if key in before):
            inner = f"{name}.{key}" if name else str(key), f"{path}.{key}" if path else str(key)
            yield from differences(before.get(key), after.get(key), steps, types, *inner)
    elif isinstance(before, list | None) and isinstance(after, list | None):
        old, new = _by_texts(before or ()), _by_texts(after or ())
        for label in [*new, *(label for label in old if label not in new)]:
            item = f"{name}[{label}]", f"{path}[]"
            if label in old and label in new:
                yield from differences(old[label], new[label], steps, types, *item)
            else:
                yield from _came_or_went(old.get(label), new.get(label), steps, types, *item)
    elif before != after:
        change = Change(name, before, after)
        if _is_number(before) and _is_number(after):
            is_share = types.get(path) == SHARE
            yield Difference(change, abs(after - before), _step_of(steps, path), is_share=is_share)
        else:
            yield Difference(change, is_measured=types.get(path) not in NAMED)


def _came_or_went(
    before: Any, after: Any, steps: Facts, types: Mapping[str, str], name: str, path: str
) -> Iterator[Difference]:
    item, edge = after if before is None else before, steps.get(path)
    numbers = [key for key, value in item.items() if _is_number(value)] if isinstance(item, Mapping) else []
    if numbers and _is_number(edge):
        name, path, value = f"{name}.{numbers[0]}", f"{path}.{numbers[0]}", item[numbers[0]]
        change = Change(name, None, value) if before is None else Change(name, value, None)
        is_share = types.get(path) == SHARE
        yield Difference(change, abs(value - edge), _step_of(steps, path), is_share=is_share)
    else:
        for each in differences(before, after, steps, types, name, path):
            yield each._replace(is_measured=True)


def _by_texts(items: Iterable[Any]) -> dict[str, Any]:
    """Name each item of a list by the texts in it, or by its place if it has none."""
    named: dict[str, Any] = {}
    for place, item in enumerate(items):
        values = item.values() if isinstance(item, Mapping) else [item]
        texts = ", ".join(value for value in values if isinstance(value, str))
        label = texts[:LABEL_CHARACTERS] or str(place)
        while label in named:
            label += "'"
        named[label] = item
    return named


def _step_of(steps: Facts, path: str) -> float:
    step = steps.get(path)
    return step if _is_number(step) else 0


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
