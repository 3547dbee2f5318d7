"""Causes by which DuckDB and Spark give other values without an error, as they look in models and macros."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.small import PROJECT

ONE_ENGINE = {"spark.sql", "materializations.sql", "growing.sql"}
"""Macros that a single engine runs."""

# The SQL of a cause, with what to write instead.
CAUSES = {
    "avg( of a decimal is cut off on Spark, and of doubles depends on their order: mean()": r"\bavg\(",
    "a division by a decimal literal is cut off on Spark: cast(60 as double)": r"/ *\(?\d+\.\d",
    "a decimal literal divided is cut off on Spark: cast(1 as double)": r"\d\.\d+ */",
    "a sum without parentheses on some engines: ({{ dbt.datediff(…) }})": (
        r"(?:[-+*/] *\{\{ dbt\.datediff\([^}]*\}\}|\{\{ dbt\.datediff\([^}]*\}\} *[-+*/] )"
    ),
    "percentiles of decimals are rounded differently: order by cast(… as double)": (
        r"percentile_cont\([^)]*\) within group \(order by (?!cast\()"
    ),
    "concat() of a null is null on Spark: concat_ws('', …)": r"(?<![\w.])concat\(",
    "Spark has no filter of a window: count(case when … then 1 end) over": r"filter \(where .*\) over\b",
    "texts are joined in any order: order by": r"dbt\.listagg\((?!.*order by)",
}
# A fraction is rounded on DuckDB and truncated on Spark: whole() is for both.
TO_BIGINT = re.compile(r"\bcast\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*?) as bigint\)")
WHOLE = re.compile(
    r"(?:sum|count|max|row_number|dense_rank|length|floor|round|coalesce|datediff)\(|null$|\d+$|\{\{|case "
    r"|[\w.]*(?:_count|_number|_place|_days|count|age|place)$"
)
# A zero below is infinite on DuckDB and null on Spark, unless it cannot be zero.
DIVISION = re.compile(
    r"(?<![/*'`]) / (?!nullif\(|cast\(nullif\(|cast\(\d|[1-9]|greatest\(|sqrt\(count\(|\{\{"
    r"|\(1 \+|row_number\(|['\"(])(.{0,60})"
)
NEVER_ZERO = (
    "week_share",  # hours of a part of the day, of which a week has some
    "sum(count(*)) over",  # rows that are in a group
    "wholes.sample_count",
    "count(*) over",
    "sqrt(2.0)",
    "sqrt(sample_count)",  # of a mean, which is null without a sample
    "scale.whole",  # 1 or 100
)
# Columns that are never null, of which max_by() needs no filter.
NEVER_NULL = {"rpt_next_steps.sql"}


def statements() -> Iterator[tuple[str, str]]:
    """Yield each line of models and macros for both engines with its place, without comments."""
    for path in sorted([*PROJECT.glob("models/**/*.sql"), *PROJECT.glob("macros/*.sql")]):
        if path.name not in ONE_ENGINE:
            text = re.sub(
                r"\{#.*?#\}", lambda found: "\n" * found[0].count("\n"), path.read_text("utf-8"), flags=re.S
            )
            for number, line in enumerate(text.splitlines(), 1):
                yield f"{path.name}:{number}", re.sub(r"--.*", "", line)


def test_no_model_has_a_cause_of_other_values() -> None:
    own = re.compile(r"avg\(\{\{ value \}\}\)\{\{ over \}\}")  # what mean() is on DuckDB
    found = [
        f"{place}: {cause}"
        for place, line in statements()
        for cause, pattern in CAUSES.items()
        if re.search(pattern, own.sub("", line))
    ]
    assert found == []


def test_no_fraction_is_cast_to_bigint() -> None:
    found = [
        f"{place}: {number}"
        for place, line in statements()
        for number in TO_BIGINT.findall(line)
        if not WHOLE.match(number)
    ]
    assert found == []


def test_vendors_numbers_are_rounded_to_decimals_as_on_duckdb() -> None:
    """Spark rounds the digits that it prints: 1.005 would be 1.01, and on DuckDB it is 1.00."""
    staged = {path.name for path in PROJECT.glob("models/staging/**/*.sql")} | {"int_amounts_read.sql"}
    bare = re.compile(r"cast\((?!sum\(|null )[^()]* as decimal\(")
    lines = [(place, line) for place, line in statements() if place.partition(":")[0] in staged]
    assert [place for place, line in lines if bare.search(line)] == []


def test_nothing_is_divided_by_what_can_be_zero() -> None:
    found = [
        f"{place}: / {divisor[1]}"
        for place, line in statements()
        for divisor in DIVISION.finditer(line)
        if not divisor[1].startswith(NEVER_ZERO)
    ]
    assert found == []


def test_the_row_of_the_greatest_value_is_one_whose_column_is_known() -> None:
    """DuckDB looks for the next row where the column is null, and Spark gives the null."""
    bare = re.compile(r"\b(?:max|min)_by\((?:[^()]|\([^()]*\))*\)(?! filter \(where )")
    lines = [(place, line) for place, line in statements() if place.partition(":")[0] not in NEVER_NULL]
    assert [place for place, line in lines if bare.search(line)] == []


def test_a_rank_that_others_read_is_cast(models: list[Mapping[str, Any]]) -> None:
    """A rank is a bigint on DuckDB and an int on Spark."""
    rank = re.compile(
        r"\b(?:row_number|rank|dense_rank|ntile)\(\w*\)\s+over\s*\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)"
        r"(?:\s*[-+]\s*\d+)?(?:\s+end)?\s+as\s+(\w+)"
    )
    assert rank.findall("row_number() over (partition by a order by b desc) as window_position") == [
        "window_position"
    ]
    found = [
        f"{node['name']}: {name}"
        for node in models
        for name in rank.findall(node["raw_code"])
        if name in node["columns"]
    ]
    assert found == []


def test_json_inside_of_facts_stays_json(models: list[Mapping[str, Any]]) -> None:
    """On Spark, a column of JSON is a text: without objects_in() it would be a quoted text in the facts."""
    json = {
        column["name"]
        for node in models
        for column in node["columns"].values()
        if column["data_type"] == "json"
    }
    assert "message_parts" in json
    bare = re.compile(rf"\[ *'\w+', *'(?:\w+\.)?(?:{'|'.join(sorted(json))})'")
    jobs = [node for node in models if node["fqn"][1] == "jobs"]
    assert [node["name"] for node in jobs if bare.search(node["raw_code"])] == []


def test_every_cause_is_recognized() -> None:
    """Each of these lines was in a model."""
    written = (
        "avg(watched_share) as watched_share",
        "{{ week_hours }} / 168.0",
        "1.0 / nullif(whole, 0)",
        "{{ dbt.datediff('a', 'b', 'millisecond') }} / 1000",
        "percentile_cont(0.05) within group (order by predicted_clv)",
        "concat(a, b)",
        "count(*) filter (where not is_due) over (partition by measure)",
        "{{ dbt.listagg('name', \"', '\") }}",
    )
    for line, pattern in zip(written, CAUSES.values(), strict=True):
        assert re.search(pattern, line), line
    assert DIVISION.search("a / b")
    (fraction,) = TO_BIGINT.findall("cast(recipients as bigint) as recipient_count")
    assert not WHOLE.match(fraction)


def test_every_not_null_constraint_is_a_test_on_spark(manifest: Mapping[str, Any]) -> None:
    """DuckDB enforces the constraint itself, so the test is disabled there."""
    with_constraint, tested = set[str](), set[str]()
    for path in Path(PROJECT).glob("models/**/*.yml"):
        for model in yaml.safe_load(path.read_text("utf-8")).get("models") or []:
            constraints = [
                each for column in model.get("columns") or [] for each in column.get("constraints") or []
            ]
            with_constraint |= {model["name"]} if {"type": "not_null"} in constraints else set()
            tested |= {model["name"]} if "no_nulls" in (model.get("data_tests") or []) else set()
    assert with_constraint == tested
    assert len(tested) > 80
    names = {
        node["test_metadata"]["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test" and node.get("test_metadata")
    }
    assert "grain" in names
    assert "no_nulls" not in names
