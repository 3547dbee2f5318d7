"""Answers on a terminal, and what Tab completes in the prompt."""

from pathlib import Path

import duckdb
import pytest

from operate import prompt, query

COLUMNS = {
    "marts.fct_orders": ["order_id", "buyer_id", "ordered_on"],
    "marts.dim_dates": ["date_on", "week_from"],
    "activation.rpt_records": ["kind"],
}
FEW = query.Answer(["name", "count"], [False, True], [("An e-mail about shoes", 12), ("Another", 3)])


def test_a_table_fits_its_width_by_cutting_texts_and_never_numbers() -> None:
    assert query.as_table(FEW, 80) == query.as_table(FEW)
    assert query.as_table(FEW, 22).splitlines() == [
        "name             count",
        "---------------  -----",
        "An e-mail abo..     12",
        "Another              3",
        "(2 rows)",
    ]


def test_a_table_that_cannot_fit_is_a_block_per_row_with_all_of_its_text() -> None:
    names = [f"column_{number}" for number in range(8)]
    wide = query.Answer(
        [*names, "text"], [True] * 8 + [False], [(*range(8), "one two three " * 5), (*range(8), None)]
    )
    lines = query.as_table(wide, 60).splitlines()
    assert lines[0] == "-- row 1 of 2 --"
    assert lines[1] == "column_0  0"
    assert lines[9:11] == [
        "text      " + "one two three one two three one two three one two",
        " " * 10 + "three one two three",
    ]
    assert lines[-1] == "(2 rows)"
    assert all(len(line) <= 60 for line in lines)
    assert query.as_table(wide).count("\n") == 4  # a file or a pipe has no width


def test_any_answer_fits_80_columns() -> None:
    for columns in range(1, 40):
        names = [f"a_long_name_of_a_column_{number}" for number in range(columns)]
        answer = query.Answer(
            names, [number % 2 == 0 for number in range(columns)], [("word " * 40,) * columns]
        )
        assert max(map(len, query.as_table(answer, 80).splitlines())) <= 80 or columns == 1


def test_a_limit_is_the_most_rows_that_are_fetched(tmp_path: Path) -> None:
    copy = tmp_path / "published.duckdb"
    duckdb.connect(str(copy)).close()
    assert query.ask(copy, "from range(1000)", limit=3).rows == [(0,), (1,), (2,)]
    assert len(query.ask(copy, "from range(1000)").rows) == 1000


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("select * from marts.f", ["marts.fct_orders"]),
        ("select * from f", ["fct_orders"]),
        ("select order", ["order by", "order_id", "ordered_on"]),
        ("select fct_orders.o", ["fct_orders.order_id", "fct_orders.ordered_on"]),
        ("select marts.dim_dates.w", ["marts.dim_dates.week_from"]),
        ("select orders.bu", ["orders.buyer_id"]),  # an alias: a column of any table
        ("join activation.", ["activation.rpt_records"]),
        (".col", [".columns"]),
        (".columns dim", ["dim_dates"]),
        ("select nothing_such", []),
    ],
)
def test_tab_completes_tables_columns_and_commands(line: str, found: list[str]) -> None:
    assert prompt.completions(line.split(" ")[-1], line, COLUMNS) == found
