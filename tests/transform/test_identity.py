"""A person is one, whatever the order of rows, and however many profiles the person has."""

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest

from tests import small

MARTS = (
    "dim_people",
    "fct_orders",
    "fct_order_items",
    "fct_customer_events",
    "fct_person_messages",
    "fct_viewing_sessions",
    "fct_order_touches",
    "fct_order_attribution",
    "fct_attribution_differences",
    "agg_attribution",
)
# Columns that tell which profile it was, and how many there are.
OF_PROFILES = {"customer_id", "customer_count"}


def built(shared: Path, folder: Path, changes: Sequence[str]) -> dict[str, list[str]]:
    """Build the marts over the small rows after these changes of raw tables; return their rows as text."""
    folder.mkdir()
    path = folder / small.NAME
    small.load(path, [small.SMALL, *(small.read(script) for script in small.BESIDE)])
    with duckdb.connect(str(path)) as connection:
        for change in changes:
            connection.execute(change)
    small.send(shared, path, *MARTS)
    found = {}
    with duckdb.connect(str(path), read_only=True) as connection:
        for mart in MARTS:
            columns = [
                name
                for (name,) in connection.execute(
                    "select column_name from information_schema.columns where table_name = ?", [mart]
                ).fetchall()
                if name not in OF_PROFILES
            ]
            rows = connection.execute(f"select {', '.join(columns)} from marts.{mart}").fetchall()
            assert rows, mart
            found[mart] = sorted(str(row) for row in rows)
    return found


def shuffled(seed: int) -> Sequence[str]:
    """Statements that write the rows about people in another order."""
    tables = ("raw_klaviyo.events", "raw_klaviyo.profiles", "raw_wistia.events", "raw_sendgrid.contacts")
    return [
        statement
        for table in tables
        for statement in (
            f"create or replace temp table rows_of as from {table}",
            f"delete from {table}",
            f"insert into {table} select * from rows_of order by hash(rows_of::varchar || '{seed}')",
        )
    ]


@pytest.fixture(scope="module")
def before(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    return built(shared, tmp_path_factory.mktemp("identity") / "before", [])


@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_of_rows_changes_nothing(
    shared: Path, tmp_path: Path, before: dict[str, list[str]], seed: int
) -> None:
    assert built(shared, tmp_path / "after", shuffled(seed)) == before


def test_a_second_profile_of_the_same_address_is_the_same_person(
    shared: Path, tmp_path: Path, before: dict[str, list[str]]
) -> None:
    split = (
        """
        insert into raw_klaviyo.profiles select * replace ('second ' || id as id, upper(email) as email)
        from raw_klaviyo.profiles where email like '%@%'
        """,
        """
        update raw_klaviyo.events set profile_id = 'second ' || profile_id
        where hash(id) % 2 = 0 and 'second ' || profile_id in (select id from raw_klaviyo.profiles)
        """,
    )
    assert built(shared, tmp_path / "after", split) == before


def test_a_merged_profile_is_as_good_as_one_of_the_same_address(shared: Path, tmp_path: Path) -> None:
    merged = (
        "update raw_klaviyo.events set profile_id = 'p54' where profile_id = 'p53'",
        "delete from raw_klaviyo.profiles where id = 'p53'",
    )
    same_address = ("update raw_klaviyo.profiles set email = 'P54@example.com' where id = 'p53'",)
    after = built(shared, tmp_path / "merged", merged)
    assert after == built(shared, tmp_path / "same address", same_address)
    assert any("k11" in row and "k12" not in row for row in after["fct_orders"])
