"""What vendors cannot give again is kept once, and gives the same tables whenever they are built."""

import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingest.store import people
from tests import small
from transform import history

HISTORY = ("fct_segment_membership_daily", "fct_tier_changes", "fct_cluster_changes")
LOADS = """
    insert into raw_ops.loads (run_id, vendor, resource, started_at, finished_at, requests, outcome)
    select '{0}', vendor, resource, '{0} 06:00:00+00', '{0} 06:01:00+00', 1, 'loaded'
    from (values ('klaviyo', 'segment_members'), ('klaviyo', 'list_members'), ('klaviyo', 'profiles'),
        ('klaviyo', 'predictive_analytics'), ('wistia', 'events')) as read(vendor, resource)
"""


class Machine:
    """A warehouse of rows that can be counted by hand, read and built day by day."""

    def __init__(self, shared: Path, path: Path) -> None:
        self.shared, self.path = shared, path

    def day(self, day: str, *statements: str) -> int:
        """Read the vendors, after these changes, build, and keep what changed; return how much that was."""
        self.run(*statements, LOADS.format(day))
        self.build()
        return history.keep(self.path)

    def build(self) -> None:
        small.send(self.shared, self.path, *HISTORY)

    def run(self, *statements: str) -> None:
        with duckdb.connect(str(self.path)) as connection:
            for statement in statements:
                connection.execute(statement)

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path), read_only=True) as connection:
            return connection.execute(text).fetchall()

    def segment(self, columns: str, segment: str = "a") -> list[tuple[Any, ...]]:
        """Return columns of a segment's days."""
        return self.rows(
            f"select {columns} from marts.fct_segment_membership_daily where segment_id = '{segment}'"
            " order by happened_on"
        )

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        return {name: self.rows(f"from marts.{name} order by all") for name in HISTORY}


@pytest.fixture
def machine(tmp_path: Path, shared: Path, small_warehouse: Path) -> Machine:
    for name in (small_warehouse.name, "salt"):
        shutil.copyfile(small_warehouse.with_name(name), tmp_path / name)
    return Machine(shared, tmp_path / small_warehouse.name)


def test_the_history_grows_by_what_changed_and_a_build_without_changes_adds_nothing(machine: Machine) -> None:
    first = machine.day("2026-01-10")
    assert first == machine.rows("select count(*) from intermediate.int_observed_now")[0][0]
    assert machine.day("2026-01-11") == 0
    moved = machine.day(
        "2026-01-12",
        "delete from raw_klaviyo.segment_members where segment_id = 'a' and profile_id in ('p1', 'p2')",
        "insert into raw_klaviyo.segment_members (segment_id, profile_id) values ('a', 'p90')",
    )
    assert moved == 3
    assert history.keep(machine.path) == 0  # twice in a row
    assert machine.segment("happened_on::text, member_count, joined_count, left_count, stayed_count") == [
        ("2026-01-10", 42, None, None, None),
        ("2026-01-11", 42, 0, 0, 42),
        ("2026-01-12", 41, 1, 2, 40),
    ]


def test_the_newest_state_is_there_at_once_and_building_again_changes_nothing(machine: Machine) -> None:
    machine.day("2026-01-10")
    machine.run(
        "delete from raw_klaviyo.segment_members where profile_id = 'p5'",
        "update raw_klaviyo.predictive_analytics set predicted_clv = 99.5 where profile_id = 'p1'",
        LOADS.format("2026-01-11"),
    )
    machine.build()
    before = machine.tables()
    assert history.keep(machine.path) > 0
    machine.build()
    assert machine.tables() == before
    assert ("p1", "rest", "top") in machine.rows(
        "select customer_id, tier_before, tier_after from marts.fct_tier_changes"
    )


def test_a_vendor_that_was_not_read_has_lost_nobody(machine: Machine) -> None:
    machine.day("2026-01-10")
    machine.run("delete from raw_klaviyo.segment_members")  # which no load says
    machine.run("delete from raw_ops.loads where resource = 'segment_members'")
    machine.build()
    assert machine.rows("select kind from intermediate.int_observations_changed") == []


def test_a_member_who_left_and_came_back_between_two_reads_did_both(machine: Machine) -> None:
    joined = (
        "update raw_klaviyo.segment_members set joined_group_at = '{} 09:00:00+00' where profile_id = 'p3'"
    )
    machine.day("2026-01-10", joined.format("2026-01-02"))
    assert machine.day("2026-01-12", joined.format("2026-01-11")) == 4  # of four segments
    assert machine.segment("happened_on::text, member_count, joined_count, left_count, is_complete") == [
        ("2026-01-02", 1, 1, None, False),
        ("2026-01-10", 42, None, None, True),
        ("2026-01-12", 42, 1, 1, True),
    ]


def test_an_engaged_viewer_is_lost_with_the_membership_or_the_habit(machine: Machine) -> None:
    """The browser new1 is that of p60."""
    watched = """
        insert into raw_wistia.visitors (visitor_key) values ('new1');
        insert into raw_wistia.events (event_key, visitor_key, media_id, percent_viewed, email, received_at)
        select 'new1 ' || range, 'new1', 'x' || range, 1, 'p60@example.com', '2026-01-01 10:00:00+00'
        from range(9)
    """
    member = "insert into raw_klaviyo.segment_members (segment_id, profile_id) values ('{}', 'p60')"
    machine.day("2026-01-10", watched, member.format("a"), member.format("b"))
    machine.day(
        "2026-01-11", "delete from raw_klaviyo.segment_members where (segment_id, profile_id) = ('a', 'p60')"
    )
    machine.day("2026-01-12", "delete from raw_wistia.events where visitor_key = 'new1' and media_id <> 'x0'")
    engaged = "engaged_member_count, engaged_left_count, engaged_ended_count"
    assert machine.segment(engaged, "a") == [(1, None, None), (0, 1, 0), (0, 0, 0)]
    assert machine.segment(engaged, "b") == [(1, None, None), (1, 0, 0), (0, 0, 1)]


def test_who_is_removed_has_no_history(machine: Machine) -> None:
    machine.day("2026-01-10")
    about = "select count(*) from raw_ops.observations where subject_id = 'p3'"
    assert machine.rows(about)[0][0] > 0
    with duckdb.connect(str(machine.path)) as connection:
        assert people.remove_observations(connection, ["p3", "p4"]) > 0
    assert machine.rows(about) == [(0,)]
    machine.day("2026-01-11", "delete from raw_klaviyo.segment_members where profile_id in ('p3', 'p4')")
    assert machine.segment("member_count, left_count") == [(40, None), (40, 0)]
