"""Every column of a mart and of a sync model is pinned by a value, and so is the report's text on them."""

import csv
import difflib
import json
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests import expected
from tests.expected import Contract

CONTRACTS = expected.contracts()
NUMBERS = ("bigint", "int", "double", "decimal")

# Models over a seed that is empty until people fill it; unit tests pin them.
WITHOUT_ROWS = {"dim_own_personas", "sync_mavera__enriched_personas"}
# Columns that have no value in the small warehouse, nor in a unit test of their model.
WITHOUT_VALUES = {
    "sync_mavera__brand_voices.person_count": "a brand voice is about no people",
    "sync_mavera__brand_voices.doubt": "no number of a vendor bears witness for transcripts",
}
# Columns of one type that are equal in every row.
ALIKE = {f"sync_mavera__{kind}.job = template": "every job has the templates of its own name" for kind in (
    "analyses", "brand_voices", "focus_groups", "generations", "personas"
)}  # fmt: skip


@pytest.fixture(scope="module")
def texts(whole_warehouse: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Return every file by its name, with the text it must have for the models' rows."""
    # Publishing writes into the warehouse that it reads, which other tests have open.
    folder = tmp_path_factory.mktemp("own")
    own = folder / whole_warehouse.name
    for name in (whole_warehouse.name, "salt"):
        (folder / name).write_bytes(whole_warehouse.with_name(name).read_bytes())
    return {path.name: text for path, text in expected.files(own, folder)}


def rows(model: str) -> list[dict[str, Any]]:
    """Return the rows of a model's file; a cell without a value is empty."""
    path = expected.path_of(model)
    with path.open(encoding="utf-8", newline="") as file:
        return json.load(file) if path.suffix == ".json" else list(csv.DictReader(file))


def test_every_model_has_a_file_with_every_column_of_its_contract() -> None:
    kept = {path for path in expected.FOLDER.iterdir() if path != expected.REPORT}
    assert kept == {expected.path_of(model) for model in CONTRACTS}
    assert {model for model in CONTRACTS if not rows(model)} == WITHOUT_ROWS
    assert {
        model: list(contract.columns)
        for model, contract in CONTRACTS.items()
        if rows(model) and list(rows(model)[0]) != list(contract.columns)
    } == {}


def is_value(cell: Any) -> bool:
    return cell not in (None, "")


def test_every_column_has_a_value() -> None:
    empty = {
        f"{model}.{column}"
        for model, contract in CONTRACTS.items()
        for column in contract.columns
        if not any(is_value(row[column]) for row in rows(model))
        and all(row.get(column) is None for row in contract.expected)
    }
    assert empty == WITHOUT_VALUES.keys()


def test_no_column_can_be_mistaken_for_another() -> None:
    assert {pair for model, contract in CONTRACTS.items() for pair in alike(model, contract)} == ALIKE.keys()


def alike(model: str, contract: Contract) -> Iterator[str]:
    """Return each pair of columns of one type that no row of the file or of a unit test distinguishes."""
    kept = rows(model)
    for a, b in combinations(contract.columns, 2):
        same_type = family(contract.columns[a]) == family(contract.columns[b])
        valued = all(any(is_value(row[column]) for row in kept) for column in (a, b))
        told_apart = any(row[a] != row[b] for row in kept) or any(
            a in row and b in row and row[a] != row[b] for row in contract.expected
        )
        if same_type and valued and not told_apart:
            yield f"{model}.{a} = {b}"


def family(data_type: str) -> str:
    """Return the type within which a column may be mistaken: a number is a number."""
    plain = data_type.lower().split("(")[0]
    return "number" if plain in NUMBERS else plain


@pytest.mark.parametrize("model", sorted(CONTRACTS))
def test_a_model_holds_what_is_expected_of_it(model: str, texts: Mapping[str, str]) -> None:
    assert_same(expected.path_of(model), texts)


def test_the_report_says_what_is_expected_of_it(texts: Mapping[str, str]) -> None:
    assert_same(expected.REPORT, texts)


def assert_same(path: Path, texts: Mapping[str, str]) -> None:
    before, now = path.read_text(encoding="utf-8"), texts[path.name]
    changes = difflib.unified_diff(
        before.splitlines(), now.splitlines(), "expected", "built", lineterm="", n=0
    )
    assert before == now, "\n".join([
        *list(changes)[:40],
        "Where this is as it should be: python -m tests.expected",
    ])  # fmt: skip


def test_numbers_are_compared_to_nine_digits(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "some.duckdb")) as connection:
        connection.execute(
            "create table any_rows as select 0.1 + 0.2e0 as a, 1.5::decimal(18, 2) as b, null as c, '' as d"
        )
        assert expected.written("any_rows", connection) == "a,b,c,d\n0.3,1.50,,''\n"
