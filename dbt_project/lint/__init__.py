"""What sqlfluff's jinja templater lacks of dbt, so that models render without dbt, a warehouse or minutes.

Vars are those of dbt_project.yml. Macros are not expanded: a model is linted by itself. Most macros stand for
one value, `name(1)`; those that stand for columns, queries or lists say so below.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

_ROOT = Path(__file__).parents[1]
_PROJECT = yaml.load((_ROOT / "dbt_project.yml").read_bytes(), yaml.CSafeLoader)
_MACRO = re.compile(r"{%-? *macro (?!default__|spark__)(\w+)")


def var(name: str, default: Any = None) -> Any:
    return _PROJECT["vars"].get(name, default)


def _value(name: str) -> Callable[..., str]:
    return lambda *_, **__: f"{name}(1)"


def _all_of(rows: object, *_: object, **__: object) -> str:
    return f"select * from {rows}"


def _named(columns: int) -> Callable[..., str]:
    return lambda *given: ", ".join(f"x(1) as {given[-1]}{end}" for end in ("_low", "_high", "")[:columns])


def _fact(name: str, *_: object, **__: object) -> list[str]:
    return [name, "fact(1)", "step(1)"]


class _Dbt:
    def __getattr__(self, name: str) -> Callable[..., str]:
        return (lambda: name.removeprefix("type_")) if name.startswith("type_") else _value(name)


dbt = _Dbt()
globals().update(
    {
        name: _value(name)
        for path in (_ROOT / "macros").glob("*.sql")
        for name in _MACRO.findall(path.read_text())
    }
)
globals().update(
    # Settings.
    growing=lambda *_, **__: "",
    local_md5=_value("md5"),
    # Columns.
    facts_with_steps=lambda *_: "facts(1) as facts, steps(1) as fact_steps",
    share_with_interval=_named(3),
    interval=_named(2),
    # Queries.
    select_replacing=_all_of,
    one_each=_all_of,
    with_adjusted_p=_all_of,
    readable=_all_of,
    headlines=lambda *_: "select * from x",
    people_read=lambda: "select 1 as are_viewers_read",
    shares_by_day=_all_of,
    groups_compared=lambda *_, **__: "select 1 as entity",
    numbers_compared=lambda *_, **__: "select * from told",
    wanted_records=lambda *_, **__: "select 1 as record_key",
    next_step=lambda *_, caller, **__: f"select 'step' as step, {caller()} from x",
    # Conditions without their left side.
    in_roles=lambda _: "in ('role')",
    # Lists.
    figure=_fact,
    measure=_fact,
    unreadable=lambda *_: [["reason", "rule(1)"]],
    readings=lambda: {"raw_vendor.things": {"count": "a b", "name": "name id"}},
)
