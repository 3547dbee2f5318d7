"""Raw tables as files of a lake: the same rows and counts as in a warehouse, whatever happens on the way."""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import patch

import pyarrow as pa
import pytest

from common.lake import lake as lakes
from common.lake.files import File, LakeError
from common.lake.lake import Lake
from common.lake.shown import LOAD_ID, file_load
from common.lake.state import Column, State
from sandbox.server import Sandbox
from sandbox.world import World
from tests import postgres
from tests.ingest import lakes as machines
from tests.ingest.test_ingest import (  # noqa: F401 - these also hold on a lake
    TODAY,
    differences,
    sandbox,
    test_a_later_day_brings_what_is_new_changed_and_late,
    test_every_table_is_there_before_its_source_was_ever_loaded,
    test_predictions_and_counts_are_measured_once_a_day,
    worlds,
)

EVENTS = "raw_shop.events"
COLUMNS = [
    Column("id", "VARCHAR", is_key=True),
    Column("owner", "VARCHAR"),
    Column("sold_at", "TIMESTAMP WITH TIME ZONE"),
    Column("details", "JSON"),
    Column(LOAD_ID, "VARCHAR"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres.running() as url:
        yield url


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str) -> machines.LakeMachine:
    return machines.LakeMachine(tmp_path, monkeypatch, server)


@pytest.fixture
def lake(machine: machines.LakeMachine) -> Iterator[Lake]:
    """A lake with an empty table of a shop's events."""
    with machine.opened(write=True) as lake:
        lake.declare(EVENTS, COLUMNS)
        yield lake


def rows(lake: Lake, **owners: str) -> pa.Table:
    """Return rows of the shop: owners by the id of the event."""
    count = len(owners)
    return pa.table(
        {
            "id": [*owners],
            "owner": [*owners.values()],
            "sold_at": pa.array([0] * count, pa.timestamp("us", "UTC")),
            "details": ['{"a": 1}'] * count,
            LOAD_ID: [lake.load_id()] * count,
        }
    )


def add(lake: Lake, *, newer: bool = False, **owners: str) -> None:
    lake.append(EVENTS, rows(lake, **owners), holds_newer=newer)
    lake.commit()


def owners(lake: Lake, relation: str = EVENTS) -> dict[str, str]:
    return dict(lake.connection.execute(f"select id, owner from {relation}").fetchall())


def in_files(machine: machines.LakeMachine) -> list[tuple[str, str]]:
    """Return id and owner of every row in every file."""
    found = [pa.parquet.read_table(machine.lake_folder / path).to_pylist() for path in machine.files()]
    return sorted((row["id"], row["owner"]) for rows in found for row in rows)


# --- loads --------------------------------------------------------------------------------------------


def test_raw_is_the_world_and_a_second_run_writes_no_file(
    machine: machines.LakeMachine,
    sandbox: Sandbox,  # noqa: F811
    worlds: Mapping[date, World],  # noqa: F811
) -> None:
    first = machine.ingest()
    assert (first.code, first.said.count("failed")) == (0, 0), first.said
    assert not differences(machine, worlds[TODAY])
    files = machine.files()
    assert files
    second = machine.ingest()
    assert second.code == 0
    assert (second.report["totals"]["rows_new"], second.report["totals"]["rows_changed"]) == (0, 0)
    assert machine.files() == files
    assert not [*machine.folder.glob(".lake.*")], "a scratch file was left"


class Killed(BaseException):
    """The end of a process."""


def test_a_run_killed_between_files_and_their_record_leaves_no_row_behind(
    machine: machines.LakeMachine,
    sandbox: Sandbox,  # noqa: F811
    worlds: Mapping[date, World],  # noqa: F811
) -> None:
    """Killed at each of its first commits in turn, with packages of few rows."""
    commit, done, left = State.commit, 0, set()

    def killed_at(last: int) -> Any:
        def counted(self: State, *arguments: Any) -> None:
            nonlocal done
            done += 1
            if done > last:
                raise Killed
            commit(self, *arguments)

        return counted

    for last in (1, 4, 6, 7):
        done = 0
        with (
            patch.object(State, "commit", killed_at(last)),
            patch("ingest.pipeline.BATCH_ROWS", 500),
            pytest.raises(Killed),
        ):
            machine.ingest("wistia", "klaviyo")
        assert done > last
        with machine.opened() as lake:
            in_manifest = {file.path for file in lake.every}
            counted = "select count(*), count(distinct event_key) from raw_wistia.events"
            ((count, distinct),) = lake.connection.execute(counted).fetchall()
        assert in_manifest <= {*machine.files()}, "a file of the manifest is not there"
        assert count == distinct
        left |= {*machine.files()} - in_manifest
    assert left, "a run was to leave a file that no table has"
    assert machine.ingest().code == 0
    assert not differences(machine, worlds[TODAY])
    with machine.opened() as lake:
        assert {*machine.files()} == {file.path for file in lake.every}


def test_the_state_without_its_server_is_one_line(machine: machines.LakeMachine) -> None:
    machine.set(LEDGER_URL="postgresql://nobody@127.0.0.1:1/none")
    ran = machine.ingest("wistia")
    assert ran.code == 2
    assert ran.said.startswith("error: the lake's state cannot be reached (")
    assert ran.said.count("\n") == 1


def test_one_run_at_a_time_writes_and_readers_do_not_wait(machine: machines.LakeMachine, lake: Lake) -> None:
    add(lake, a="ada")
    with pytest.raises(LakeError, match=r"the lake is in use by process [0-9]+ on "):
        State(str(settings_url(machine)), write=True)
    reader = State(str(settings_url(machine)), write=False)
    assert [file.row_count for file in reader.files()] == [1]
    reader.close()


def settings_url(machine: machines.LakeMachine) -> str:
    from common import settings

    return settings.load().ledger_url


def test_the_lake_of_another_ledger_is_refused_and_keeps_its_files(
    machine: machines.LakeMachine, server: str
) -> None:
    for _ in range(2):
        with machine.opened(write=True) as lake:
            lake.declare(EVENTS, COLUMNS)
            add(lake, newer=True, a="ada")
    before = machine.files()
    machine.set(LEDGER_URL=machines.database(server))
    with (
        pytest.raises(LakeError, match="was filled with another database as its ledger"),
        machine.opened(write=True),
    ):
        pass
    assert machine.files() == before


# --- changes ------------------------------------------------------------------------------------------


def test_nothing_counts_before_it_is_committed(machine: machines.LakeMachine, lake: Lake) -> None:
    add(lake, a="ada")
    lake.append(EVENTS, rows(lake, b="bea"), holds_newer=False)
    assert owners(lake) == {"a": "ada"}
    assert len(machine.files()) == 2
    lake.drop_pending()
    lake.commit()
    assert (owners(lake), len(machine.files())) == ({"a": "ada"}, 1)


def test_of_a_changed_row_the_newest_version_shows(lake: Lake) -> None:
    add(lake, a="ada", b="bea")
    add(lake, newer=True, a="ann")
    add(lake, newer=True, a="amy", c="cid")
    assert owners(lake) == {"a": "amy", "b": "bea", "c": "cid"}
    assert lake.connection.execute(f"select count(*) from {EVENTS}").fetchall() == [(3,)]


def test_a_replaced_table_has_its_last_rows_alone_and_no_file_more(
    machine: machines.LakeMachine, lake: Lake
) -> None:
    for names in ({"a": "ada"}, {"b": "bea", "c": "cid"}):
        lake.replace(EVENTS, rows(lake, **names))
        lake.commit()
    assert owners(lake) == {"b": "bea", "c": "cid"}
    assert len(machine.files()) == 1
    lake.replace(EVENTS, rows(lake))
    lake.commit()
    assert (owners(lake), machine.files()) == ({}, [])


def test_an_update_adds_versions_and_may_read_another_table(lake: Lake) -> None:
    add(lake, a="ada", b="bea")
    lake.connection.execute("create temp table moved as select 'ada' as old, 'eve' as new")
    count = lake.update(EVENTS, {"owner": "moved.new"}, "held.owner = moved.old", source="moved")
    assert count == 1
    assert owners(lake) == {"a": "eve", "b": "bea"}, "what follows in a run sees it at once"
    lake.commit()
    assert owners(lake) == {"a": "eve", "b": "bea"}


def test_a_removed_row_is_in_no_file_in_no_version(machine: machines.LakeMachine, lake: Lake) -> None:
    add(lake, a="ada", b="bea")
    add(lake, newer=True, a="ann")
    add(lake, c="cid", d="ada")
    assert lake.delete(EVENTS, "owner = $owner", {"owner": "ann"}) == 1
    lake.commit()
    assert in_files(machine) == [("b", "bea"), ("c", "cid"), ("d", "ada")]
    assert owners(lake) == {"b": "bea", "c": "cid", "d": "ada"}


def test_an_earlier_version_goes_although_its_row_stays(machine: machines.LakeMachine, lake: Lake) -> None:
    add(lake, a="ada")
    add(lake, newer=True, a="ann")
    assert lake.delete(EVENTS, "owner = 'ada'") == 0
    lake.commit()
    assert in_files(machine) == [("a", "ann")]
    assert owners(lake) == {"a": "ann"}


def test_a_file_of_an_earlier_version_lacks_a_column(lake: Lake) -> None:
    add(lake, a="ada")
    lake.declare(EVENTS, [*COLUMNS, Column("price", "DOUBLE")])
    more = rows(lake, b="bea").append_column("price", pa.array([2.5]))
    lake.append(EVENTS, more, holds_newer=False)
    lake.commit()
    found = lake.connection.execute(f"select id, price from {EVENTS} order by id").fetchall()
    assert found == [("a", None), ("b", 2.5)]


@pytest.mark.parametrize("newer", [False, True])
def test_small_files_are_joined_and_rows_stay(
    machine: machines.LakeMachine, lake: Lake, *, newer: bool
) -> None:
    add(lake, a="first")
    for number in range(lakes.MANY):
        add(lake, newer=newer, **({"a": str(number)} if newer else {f"n{number}": "ada"}))
    before = owners(lake)
    assert len(machine.files()) == lakes.MANY + 1
    lake.tidy()
    assert owners(lake) == before
    ((file,),) = lake.manifest.values()
    assert (file.row_count, file.holds_newer) == (len(before), False)
    assert len(machine.files()) == 1


def test_joining_some_files_keeps_the_order_of_versions(lake: Lake) -> None:
    """A large file stays as it is, and small ones, which hold newer versions of its rows, become one."""
    add(lake, **{f"n{number}": "first" for number in range(lakes.MANY * 10)})
    (large,) = lake.manifest[EVENTS]
    lake.manifest[EVENTS] = [large._replace(byte_count=lakes.SMALL_BYTES)]
    for number in range(lakes.MANY):
        add(lake, newer=True, n0=str(number))
    lake.tidy()
    assert owners(lake)["n0"] == str(lakes.MANY - 1)
    assert [file.holds_newer for file in lake.manifest[EVENTS]] == [False, True]


def test_a_table_of_newer_versions_is_written_anew(machine: machines.LakeMachine, lake: Lake) -> None:
    add(lake, a="ada", b="bea")
    add(lake, newer=True, a="ann")
    lake.tidy()
    assert (len(machine.files()), owners(lake)) == (1, {"a": "ann", "b": "bea"})


def test_load_ids_grow_though_the_clock_goes_back(lake: Lake) -> None:
    with patch("common.lake.shown.time.time", side_effect=[1_800_000_000.0, 5.0, 5.0]):
        ids = [float(lake.load_id()) for _ in range(3)]
    assert ids == sorted(set(ids))


# --- what a run remembers -----------------------------------------------------------------------------


def test_tables_of_operations_come_back_with_types_keys_and_order(
    machine: machines.LakeMachine, lake: Lake
) -> None:
    lake.connection.execute(
        """
        create table raw_ops.things (
            name text primary key, seen_at timestamptz, counts bigint[], words map(text, text), is_on boolean
        );
        insert into raw_ops.things values
            ('b', timestamptz '2026-11-01 00:00:00+00', [1, 2], map {'x': 'y'}, true),
            ('a', null, null, null, false)
        """
    )
    lake.commit()
    lake.connection.execute(
        "insert into raw_ops.things (name) values ('b') on conflict do update set counts = [3]"
    )
    lake.commit()
    lake.connection.execute("alter table raw_ops.things add column note text")
    lake.connection.execute("insert into raw_ops.things values ('c', null, null, null, null, 'new')")
    lake.commit()
    expected = lake.connection.execute("from raw_ops.things").fetchall()
    assert len(expected) == 3
    lake.state.close()
    lake.state = State(settings_url(machine), write=False)
    lake.connection.execute("drop schema raw_ops cascade; drop schema raw_shop cascade")
    lake._pull()
    assert lake.connection.execute("from raw_ops.things").fetchall() == expected
    lake.connection.execute("insert or ignore into raw_ops.things (name) values ('a')")
    assert lake.connection.execute("select count(*) from raw_ops.things").fetchall() == [(3,)]


def test_a_commit_that_fails_changes_neither_files_nor_operations(
    machine: machines.LakeMachine, lake: Lake
) -> None:
    add(lake, a="ada")
    lake.connection.execute("create table raw_ops.things as select 1::bigint as n")
    lake.append(EVENTS, rows(lake, b="bea"), holds_newer=False)

    def fail(*_: Any, **__: Any) -> NoReturn:
        raise Killed

    with patch.object(State, "_put", fail), pytest.raises(Killed):
        lake.commit()
    reader = State(settings_url(machine), write=False)
    assert [file.row_count for file in reader.files()] == [1]
    assert "raw_ops.things" not in reader.columns()
    reader.close()


def test_a_file_is_named_by_relation_and_load(lake: Lake) -> None:
    add(lake, a="ada")
    ((file,),) = lake.manifest.values()
    assert isinstance(file, File)
    assert file.path.startswith("raw_shop/events/")
    assert file_load(file) > 0
