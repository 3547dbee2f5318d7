"""What the published copy shows of people, and what it keeps back."""

import re
from pathlib import Path
from typing import Any

import duckdb
import pytest

from common import settings, warehouse
from operate import query
from transform import build as transform


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A warehouse with a mart per person, groups of both sizes, and a ledger."""
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("""
            create schema marts; create schema activation; create schema raw_mavera;
            create table marts.dim_people as select 'p1' as person_id, 3 as media_count;
            create table marts.dim_viewers as select 'v1' as viewer_id;
            create table marts.agg_contact_groups as from (values ('cto', 19), ('ceo', 20), ('dev', null))
                as t(contact_group, contact_count);
            create table marts.agg_reading_habits as
                from (values ('a', 100, 20), ('b', 100, 1), ('c', 19, 19))
                as t(segment_name, segment_person_count, person_count);
            create table marts.fct_campaigns as select 'c1' as campaign_id, 3 as recipient_count;
            create schema intermediate;
            create table intermediate.int_known_people as select 'Ada Lovelace' as known_by, 'name' as kind;
            create table raw_mavera.ledger as select 1 as entry_id, 'k' as record_key, '{}' as payload,
                '{"url": "https://files.example/transcript.txt"}' as answer, 'ada@example.com' as error;
        """)
    return path


def published(path: Path, **options: Any) -> Path:
    copy = path.with_name("published.duckdb")
    transform.publish(path, copy, path.with_name("salt"), **options)
    return copy


def rows(copy: Path, text: str) -> list[tuple[Any, ...]]:
    return query.ask(copy, text).rows


def test_a_row_per_person_is_published_only_where_a_setting_says_so(path: Path) -> None:
    asked = "select table_name from information_schema.tables where table_schema = 'marts' order by 1"
    assert rows(published(path), asked) == [
        ("agg_contact_groups",),
        ("agg_reading_habits",),
        ("fct_campaigns",),
    ]
    assert ("dim_people",) in rows(published(path, people=True), asked)
    assert rows(published(path), "select stands_for from activation.known_people")


def test_a_query_that_needs_it_says_which_setting_publishes_it(path: Path) -> None:
    copy = published(path)
    for text in ("select * from marts.dim_people", "SELECT 1 FROM marts.DIM_VIEWERS v"):
        with pytest.raises(query.QueryError, match=r"marts\.dim_\w+ is not published: .*PUBLISH_PEOPLE=true"):
            query.ask(copy, text)
    with pytest.raises(query.QueryError, match="does not exist"):
        query.ask(copy, "select * from marts.nothing_such")


def test_groups_below_the_smallest_cohort_are_kept_back_and_counted(path: Path) -> None:
    copy = published(path)
    assert rows(copy, "select contact_group from marts.agg_contact_groups") == [("ceo",)]
    assert rows(copy, "select segment_name from marts.agg_reading_habits") == [("a",)]
    assert rows(copy, "from marts.fct_campaigns") == [("c1", 3)]
    small = "select relation, row_count from lineage.withheld where reason = 'small groups' order by 1"
    assert rows(copy, small) == [("marts.agg_contact_groups", 2), ("marts.agg_reading_habits", 2)]
    assert len(rows(published(path, smallest_cohort=2), "from marts.agg_contact_groups")) == 2


def test_the_ledger_is_published_without_what_was_sent_and_answered(path: Path) -> None:
    assert rows(published(path), "from raw_mavera.ledger") == [(1, "k")]


def test_every_group_of_people_that_is_kept_back_exists_with_its_counts() -> None:
    described = "\n".join(
        file.read_text(encoding="utf-8") for file in (transform.PROJECT / "models" / "marts").rglob("*.yml")
    )
    for mart, counts in transform.COHORTS.items():
        model = re.search(rf"- name: {mart}\n(.*?)(?=\n  - name: \w+\n    desc|\Z)", described, re.DOTALL)
        assert model, mart
        for count in counts:
            assert f"name: {count}," in model[1], f"{mart}.{count}"


def test_what_a_killed_publish_left_is_removed(path: Path) -> None:
    left = [path.with_name(name) for name in (".published.duckdb.12345", ".published.duckdb.1.wal")]
    for draft in left:
        draft.write_bytes(b"ada@example.com")
    published(path)
    assert not any(draft.exists() for draft in left)
    assert warehouse.remove_drafts(path.with_name("published.duckdb")) == []


def test_a_ready_query_that_needs_people_is_marked() -> None:
    personal = ("dim_people", "dim_viewers", "dim_customers", "fct_qualified_viewers", "fct_viewer_leads")
    for file in (settings.ROOT / "queries").glob("*.sql"):
        text = file.read_text(encoding="utf-8")
        needs = any(re.search(rf"\bmarts\.{name}\b", text) for name in personal)
        assert needs == ("-- Needs PUBLISH_PEOPLE=true" in text), file.name


def test_the_name_of_the_version_before_is_a_view_in_the_copy(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("""
            create schema raw_ops;
            create table raw_ops.earlier_names as from (values
                ('marts.agg_contact_groups', 'marts.contact_groups'), ('marts.dim_people', 'marts.people')
            ) as t(relation, earlier);
            create view marts.contact_groups as from marts.agg_contact_groups;
            create view marts.people as from marts.dim_people;
        """)
    copy = published(path)
    assert rows(copy, "from marts.contact_groups") == [("ceo", 20)]  # no way around the smallest cohort
    views = "select table_name from information_schema.tables where table_type = 'VIEW'"
    assert rows(copy, views) == [("contact_groups",)]
    assert sorted(rows(published(path, people=True), views)) == [("contact_groups",), ("people",)]
