"""People and objects that a vendor no longer lists, where raw tables are files of a lake."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.server import Sandbox, serving
from sandbox.world import World
from tests import postgres
from tests.ingest.lakes import LakeMachine
from tests.ingest.test_gone import (  # noqa: F401 - these also hold on a lake
    TODAY,
    Begin,
    test_events_older_than_what_is_asked_for_follow_a_merged_person,
    test_one_segment_without_members_is_not_believed_before_the_same_answer_an_hour_later,
    test_people_who_are_gone_go_with_all_that_is_theirs_and_a_merged_one_gives_it_on,
    test_things_that_are_gone_keep_their_rows_and_come_back,
    world,
)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres.running() as url:
        yield url


@pytest.fixture
def machine(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    world: World,  # noqa: F811
    server: str,
) -> Iterator[LakeMachine]:
    machine = LakeMachine(tmp_path, monkeypatch, server)
    with serving(Sandbox(world, limits="off")) as url:
        machine.meet(url, TODAY)
        yield machine


@pytest.fixture
def begin(machine: LakeMachine) -> Begin:
    def load(vendor: str) -> None:
        assert machine.ingest(vendor).code == 0

    return load
