"""What the published copy shows about people, and what it withholds."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest

from common import settings, warehouse
from operate import query
from privacy import pseudonyms
from tests import models
from transform import build as transform
from transform import publish, statements, warned

MARKS: dict[str, dict[str, Any]] = {
    "dim_people": {"is_about_people": True},
    "dim_viewers": {"is_about_people": True},
    "agg_contact_groups": {"cohort_counts": ["contact_count"]},
    "agg_reading_habits": {"cohort_counts": ["segment_person_count", "person_count"]},
}


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
    models.record(path, **MARKS)
    return path


def published(path: Path, **options: Any) -> Path:
    copy = path.with_name("published.duckdb")
    publish.publish(path, copy, path.with_name("salt"), **options)
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


def test_known_people_are_hashed_once_and_follow_those_in_the_warehouse(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [("Ada Lovelace", "name"), ("McDonald Ayşe", "name"), ("李 娜", "name"), ("E Park", "name")]
    people += [(f"Name{chr(97 + n % 26)} Family{'x' * (n % 7)}", "name") for n in range(300)]
    people += [(f"01HBCB8AEB{n:016}", "key") for n in range(300)]
    known_by, hashed = pseudonyms.known_by, []
    monkeypatch.setattr(
        pseudonyms, "known_by", lambda text, kind: hashed.append(text) or known_by(text, kind)
    )

    def published_for(*known: tuple[str, str]) -> int:
        """Publish for these people, check their hashes, and return how many were hashed."""
        with duckdb.connect(str(path)) as connection:
            connection.execute("delete from intermediate.int_known_people")
            connection.executemany("insert into intermediate.int_known_people values (?, ?)", known)
        hashed.clear()
        found = [value for (value,) in rows(published(path), "from activation.known_people")]
        salt = pseudonyms.salt(path.with_name("salt"))
        texts = {pseudonyms.SALTED}.union(*(known_by(*person) for person in known))
        assert found == sorted(pseudonyms.of_text(salt, text) for text in texts)
        return len(hashed)

    known = [*dict.fromkeys(people)]
    assert published_for(*known) == len(known)
    assert published_for(*known) == 0
    assert published_for(*known[2:]) == 0  # two are gone
    assert published_for(*known[1:]) == 1
    path.with_name("salt").unlink()
    assert published_for(*known) == len(known)


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


def test_what_a_killed_publish_left_is_removed(path: Path) -> None:
    left = [path.with_name(name) for name in (".published.duckdb.12345", ".published.duckdb.1.wal")]
    for draft in left:
        draft.write_bytes(b"ada@example.com")
    published(path)
    assert not any(draft.exists() for draft in left)
    assert warehouse.remove_drafts(path.with_name("published.duckdb")) == []


def test_a_ready_query_that_needs_people_is_marked(models: list[Mapping[str, Any]]) -> None:
    personal = [node["name"] for node in models if node["config"]["meta"].get("people")]
    assert {"dim_people", "fct_orders", "fct_viewer_leads"} <= {*personal}
    for file in (settings.ROOT / "queries").glob("*.sql"):
        text = file.read_text(encoding="utf-8")
        needs = any(re.search(rf"\bmarts\.{name}\b", text) for name in personal)
        assert needs == ("-- Needs PUBLISH_PEOPLE=true" in text), file.name


def test_the_name_of_the_version_before_is_a_view_in_the_copy(path: Path) -> None:
    earlier = {"agg_contact_groups": "contact_groups", "dim_people": "people"}
    models.record(path, **{name: {**MARKS[name], "earlier_name": old} for name, old in earlier.items()})
    copy = published(path)
    assert rows(copy, "from marts.contact_groups") == [("ceo", 20)]  # no way around the smallest cohort
    views = "select table_name from information_schema.tables where table_type = 'VIEW'"
    assert rows(copy, views) == [("contact_groups",)]
    assert sorted(rows(published(path, people=True), views)) == [("contact_groups",), ("people",)]


def test_only_what_the_manifest_names_is_published_and_a_view_stays_a_view(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("create view marts.rpt_large as from warehouse.marts.fct_campaigns")
        connection.execute("create view marts.agg_larger as from warehouse.marts.rpt_large")
        connection.execute("create schema staging; create table staging.stg_sends as select 7 as send_count")
        connection.execute("create view marts.rpt_sends as from staging.stg_sends")
    models.record(path, **MARKS)
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table marts.left_over as select 1 as x")
        connection.execute("""
            create table raw_ops.lineage as from (values
                ('marts.rpt_large', 'marts.fct_campaigns'), ('marts.agg_larger', 'marts.rpt_large'),
                ('marts.rpt_sends', 'staging.stg_sends')
            ) as t(relation, parent);
            create table raw_ops.loads (vendor text, resource text, outcome text, finished_at timestamptz);
        """)
    copy = published(path)
    asked = (
        "select table_name, table_type from information_schema.tables where table_schema = 'marts' order by 1"
    )
    assert rows(copy, asked) == [
        ("agg_contact_groups", "BASE TABLE"),
        ("agg_larger", "VIEW"),
        ("agg_reading_habits", "BASE TABLE"),
        ("fct_campaigns", "BASE TABLE"),
        ("rpt_large", "VIEW"),
        ("rpt_sends", "BASE TABLE"),
    ]
    assert rows(copy, "from marts.agg_larger") == [("c1", 3)]
    assert rows(copy, "from marts.rpt_sends") == [(7,)]


def test_every_client_shows_the_descriptions(path: Path) -> None:
    copy = published(path)
    asked = "select comment from duckdb_tables() where table_name = 'fct_campaigns'"
    columns = (
        "select column_name, comment from duckdb_columns() where table_name = 'fct_campaigns' order by 1"
    )
    for file in (path, copy):
        assert rows(file, asked) == [("One row per thing of fct_campaigns.",)]
        assert rows(file, columns) == [
            ("campaign_id", "What campaign_id is."),
            ("recipient_count", "What recipient_count is."),
        ]


def test_a_copy_of_an_unrecorded_warehouse_says_what_to_run(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("drop table raw_ops.models")
    with pytest.raises(transform.TransformError, match="Run python -m transform --full first"):
        published(path)


class Breaking:
    """A connection that breaks at one of its statements."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, at: int) -> None:
        self.connection, self.left = connection, at

    def __enter__(self) -> "Breaking":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)

    def execute(self, *arguments: Any) -> Any:
        if not self.left:
            raise duckdb.IOException("the disk is gone")
        self.left -= 1
        return self.connection.execute(*arguments)


def test_publishing_that_breaks_at_any_step_leaves_the_old_copy(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = published(path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("update marts.fct_campaigns set recipient_count = 4")
    connect = warehouse.connect
    for step in range(500):
        monkeypatch.setattr(warehouse, "connect", lambda path, at=step: Breaking(connect(path), at))
        try:
            published(path)
        except duckdb.IOException:
            monkeypatch.undo()
            assert rows(copy, "from marts.fct_campaigns") == [("c1", 3)], step
            assert [file.name for file in path.parent.glob(".published*")] == [], step
        else:
            break
    monkeypatch.undo()
    assert step > 20
    assert rows(copy, "from marts.fct_campaigns") == [("c1", 4)]


KILLED = """
import os, sys
from collections.abc import Mapping
from pathlib import Path
from common import warehouse
from tests.transform.test_publish import Breaking, published

class Killed(Breaking):
    def execute(self, *arguments):
        if not self.left:
            os.kill(os.getpid(), 9)
        return super().execute(*arguments)

connect = warehouse.connect
warehouse.connect = lambda path: Killed(connect(path), int(sys.argv[2]))
published(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("step", [0, 6, 12, 18])
def test_a_publish_that_is_killed_leaves_the_old_copy(path: Path, step: int) -> None:
    copy = published(path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("update marts.fct_campaigns set recipient_count = 4")
    command = [sys.executable, "-c", KILLED, str(path), str(step)]
    ran = subprocess.run(command, cwd=settings.ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == -9, ran.stderr
    assert rows(copy, "from marts.fct_campaigns") == [("c1", 3)]
    assert rows(published(path), "from marts.fct_campaigns") == [("c1", 4)]


def test_a_test_that_warns_withholds_the_records_that_depend_on_its_model_and_no_others(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("""
            create table raw_ops.loads (vendor text, resource text, outcome text, finished_at timestamptz);
            create table raw_ops.lineage as from (values
                ('marts.agg_clv_tiers', 'marts.dim_people'),
                ('activation.clv_tiers__personas', 'marts.agg_clv_tiers'),
                ('activation.clv_tiers__finding', 'marts.agg_clv_tiers'),
                ('activation.drop_offs__analyses', 'marts.fct_media_drop_offs'),
                ('activation.sync_mavera__personas', 'activation.clv_tiers__personas')
            ) as reads(relation, parent)
        """)

    def withheld(*tested: statements.Tested, is_whole: bool = False) -> list[tuple[Any, ...]]:
        warned.keep(path, tested, is_whole=is_whole)
        return rows(published(path), "from activation.warned")

    unique, known = ((name, "marts.dim_people", True) for name in ("unique", "known"))
    assert withheld(known, ("other", "marts.fct_media_drop_offs", False)) == [
        ("clv-tiers", "personas", "dim_people fails a test that warns (known)")
    ]
    assert withheld(unique) == [  # a partial build: the other test has not run
        ("clv-tiers", "personas", "dim_people fails a test that warns (known), and 1 more")
    ]
    assert withheld(("known", "marts.dim_people", False)) == [
        ("clv-tiers", "personas", "dim_people fails a test that warns (unique)")
    ]
    assert withheld(is_whole=True) == []
