"""People and objects that a vendor no longer lists, and answers that are too empty to be believed."""

import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from ingest import belief
from sandbox.server import Sandbox, serving
from sandbox.world import World
from tests.ingest.test_ingest import Machine

TODAY = date(2026, 11, 21)
MORNING = datetime(2026, 11, 21, 6, tzinfo=UTC)


@pytest.fixture
def world() -> World:
    return World(60, 7, TODAY)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: World) -> Iterator[Machine]:
    """A machine connected to the world, which a test may change between two runs."""
    machine = Machine(tmp_path, monkeypatch)
    with serving(Sandbox(world, limits="off")) as url:
        machine.meet(url, TODAY)
        yield machine


Begin = Callable[[str], None]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder of a machine that has loaded the unchanged world of a vendor, loaded only once."""

    @cache
    def folder_of(vendor: str) -> Path:
        folder = tmp_path_factory.mktemp("loaded")
        with (
            pytest.MonkeyPatch.context() as patch,
            serving(Sandbox(World(60, 7, TODAY), limits="off")) as url,
        ):
            machine = Machine(folder, patch)
            machine.meet(url, TODAY)
            assert machine.ingest(vendor).code == 0
        return folder

    return folder_of


@pytest.fixture
def begin(machine: Machine, loaded: Callable[[str], Path]) -> Begin:
    """Let the machine have loaded a vendor."""
    return lambda vendor: shutil.copytree(loaded(vendor), machine.folder, dirs_exist_ok=True)


def change(world: World, *statements: str) -> None:
    with world.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def set_clock(machine: Machine, moment: datetime) -> None:
    machine.set(RUN_AT=f"{moment:%Y-%m-%dT%H:%M:%SZ}")


def count(machine: Machine, table: str, where: str = "true") -> int:
    ((found,),) = machine.rows(f"select count(*) from {table} where {where}")
    return int(found)


THINGS = {
    "klaviyo_segments": ("raw_klaviyo.segments", "id"),
    "klaviyo_lists": ("raw_klaviyo.lists", "id"),
    "klaviyo_campaigns": ("raw_klaviyo.campaigns", "id"),
    "klaviyo_flows": ("raw_klaviyo.flows", "id"),
    "klaviyo_metrics": ("raw_klaviyo.metrics", "id"),
    "sendgrid_lists": ("raw_sendgrid.lists", "id"),
    "sendgrid_segments": ("raw_sendgrid.segments", "id"),
    "sendgrid_unsubscribe_groups": ("raw_sendgrid.unsubscribe_groups", "id"),
    "single_sends": ("raw_sendgrid.single_sends", "id"),
    "medias": ("raw_wistia.medias", "hashed_id"),
}
FIRST = {name: f"delete from {name} where position = 0" for name in THINGS}


def test_things_that_are_gone_keep_their_rows_and_come_back(machine: Machine, world: World) -> None:
    assert machine.ingest("klaviyo", "sendgrid", "wistia").code == 0
    before = {name: count(machine, table) for name, (table, _) in THINGS.items()}
    with world.cursor() as cursor:
        for name in THINGS:
            cursor.execute(f"create table kept_{name} as from {name}")
    change(world, *FIRST.values())
    machine.ingest("klaviyo", "sendgrid", "wistia", "--deep")
    for name, (table, _) in THINGS.items():
        assert count(machine, table) == before[name], table
        assert count(machine, table, f"gone_at = timestamptz '{MORNING}'") == 1, table
    messages = count(machine, "raw_klaviyo.flow_messages", "gone_at is not null")
    sending = "gone_at is not null and definition ->> 'type' like 'send-%'"
    assert messages == count(machine, "raw_klaviyo.flow_actions", sending)
    assert messages > 0
    for name in THINGS:
        change(world, f"delete from {name}", f"insert into {name} from kept_{name}")
    machine.ingest("klaviyo", "sendgrid", "wistia", "--deep")
    for name, (table, _) in THINGS.items():
        assert (count(machine, table), count(machine, table, "gone_at is not null")) == (before[name], 0)


def test_people_who_are_gone_go_with_all_that_is_theirs_and_a_merged_one_gives_it_on(
    machine: Machine, world: World, begin: Begin
) -> None:
    begin("klaviyo")
    deleted, merged, heir = (
        person
        for (person,) in world.sql(
            "select person_id from klaviyo_profiles where person_id in (select person_id from klaviyo_deeds "
            "group by all having count(*) > 3) order by person_id limit 3"
        )
    )
    ids = dict(world.sql("select person_id, profile_id from klaviyo_profiles"))
    of_merged = count(machine, "raw_klaviyo.events", f"profile_id = '{ids[merged]}'")
    of_heir = count(machine, "raw_klaviyo.events", f"profile_id = '{ids[heir]}'")
    everything = count(machine, "raw_klaviyo.events")
    of_deleted = count(machine, "raw_klaviyo.events", f"profile_id = '{ids[deleted]}'")
    assert min(of_merged, of_heir, of_deleted) > 0
    gone = f"person_id in ({deleted}, {merged})"
    change(
        world,
        f"delete from klaviyo_profiles where {gone}",
        f"delete from klaviyo_segment_members where {gone}",
        f"delete from klaviyo_list_members where {gone}",
        f"delete from klaviyo_deeds where person_id = {deleted}",
        f"update klaviyo_deeds set person_id = {heir} where person_id = {merged}",
    )
    machine.ingest("klaviyo")  # only a complete read shows that somebody is gone
    assert count(machine, "raw_klaviyo.profiles", f"id in ('{ids[deleted]}', '{ids[merged]}')") == 2
    assert machine.ingest("klaviyo", "--deep").code == 0
    for table, key in (("profiles", "id"), ("predictive_analytics", "profile_id"), ("events", "profile_id"),
                       ("segment_members", "profile_id"), ("list_members", "profile_id")):  # fmt: skip
        assert count(machine, f"raw_klaviyo.{table}", f"{key} in ('{ids[deleted]}', '{ids[merged]}')") == 0
    assert count(machine, "raw_klaviyo.events", f"profile_id = '{ids[heir]}'") == of_heir + of_merged
    assert count(machine, "raw_klaviyo.events") == everything - of_deleted
    assert count(machine, "raw_ops.gone_people") == 0


def test_events_older_than_what_is_asked_for_follow_a_merged_person(
    machine: Machine, world: World, begin: Begin
) -> None:
    begin("klaviyo")
    (merged,), (heir,) = world.sql(
        "select person_id from klaviyo_deeds where occurred > 1795000000 - 86400 * 90 group by all "
        "having count(*) > 3 and person_id in (select person_id from klaviyo_profiles) order by 1 limit 2"
    )
    ids = dict(world.sql("select person_id, profile_id from klaviyo_profiles"))
    theirs = count(machine, "raw_klaviyo.events", f"profile_id in ('{ids[merged]}', '{ids[heir]}')")
    change(
        world,
        f"delete from klaviyo_profiles where person_id = {merged}",
        f"update klaviyo_deeds set person_id = {heir} where person_id = {merged}",
    )
    machine.set(HISTORY_DAYS="60")
    machine.ingest("klaviyo", "--deep")
    assert count(machine, "raw_klaviyo.events", f"profile_id = '{ids[heir]}'") == theirs


def test_a_rough_account_has_people_who_are_gone_and_raw_has_none_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(300, 7, TODAY, anomalies=frozenset({"rough"}))
    assert world.sql("select count(*) > 2, count(heir_id) > 0 from klaviyo_gone") == [(True, True)]
    listed = "select count(*) from {} where profile_id in (select profile_id from klaviyo_gone)"
    for table in ("klaviyo_events", "klaviyo_profiles", "klaviyo_segment_members"):
        assert world.sql(listed.format(table)) == [(0,)]


# --- An empty answer is no answer --------------------------------------------------------------------


def empty_a_segment(world: World) -> tuple[str, int]:
    """Remove all members of the largest segment; return its id and how many it had."""
    ((segment, members),) = world.sql(
        "select segment_id, count(*) from klaviyo_segment_members group by all order by 2 desc limit 1"
    )
    change(
        world,
        "create table all_members as from klaviyo_segment_members",
        f"delete from klaviyo_segment_members where segment_id = '{segment}'",
    )
    return segment, members


def without_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable the vendors' own counts."""
    monkeypatch.setattr("ingest.vendors.klaviyo.reads.counted", lambda *_: None)
    monkeypatch.setattr("ingest.vendors.sendgrid.reads.contact_count", lambda *_: None)


def test_one_segment_without_members_is_not_believed_before_the_same_answer_an_hour_later(
    machine: Machine, world: World, monkeypatch: pytest.MonkeyPatch, begin: Begin
) -> None:
    begin("klaviyo")
    without_counts(monkeypatch)
    everybody = count(machine, "raw_klaviyo.segment_members")
    segment, members = empty_a_segment(world)
    for minutes in (1, 59):
        set_clock(machine, MORNING + timedelta(minutes=minutes))
        ran = machine.ingest("klaviyo")
        assert ran.code == 0
        assert count(machine, "raw_klaviyo.segment_members") == everybody
        (doubt,) = ran.report["doubts"]
        assert (doubt["resource"], doubt["parent"], doubt["rows_before"], doubt["rows_now"]) == (
            "segment_members", segment, members, 0,
        )  # fmt: skip
        said = re.findall(r"warn  klaviyo segment_members: 0 rows in .*", ran.said)
        assert len(said) == 1
        assert 'python -m ingest --believe "klaviyo segment_members"' in said[0]
    set_clock(machine, MORNING + timedelta(minutes=62))
    ran = machine.ingest("klaviyo")
    assert (ran.code, ran.report["doubts"]) == (0, [])
    assert count(machine, "raw_klaviyo.segment_members") == everybody - members
    assert count(machine, "raw_ops.doubts") == 0


def test_the_vendors_own_count_is_believed_at_once(machine: Machine, world: World, begin: Begin) -> None:
    begin("klaviyo")
    segment, _ = empty_a_segment(world)  # the sandbox counts the rows it lists
    assert machine.ingest("klaviyo").report["doubts"] == []
    assert count(machine, "raw_klaviyo.segment_members", f"segment_id = '{segment}'") == 0


def test_a_count_that_says_otherwise_stands_until_somebody_believes_the_answer(
    machine: Machine, world: World, monkeypatch: pytest.MonkeyPatch, begin: Begin
) -> None:
    begin("sendgrid")
    monkeypatch.setattr("ingest.vendors.sendgrid.reads.contact_count", lambda *_: 60)
    contacts = count(machine, "raw_sendgrid.contacts")
    change(world, "delete from sendgrid_contacts")
    for hours, code in ((1, 0), (12, 0), (30, 1)):  # a day is long enough for a warning
        set_clock(machine, MORNING + timedelta(hours=hours))
        ran = machine.ingest("sendgrid")
        (doubt,) = [each for each in ran.report["doubts"] if each["resource"] == "contacts"]
        assert (ran.code, doubt["counted"]) == (code, 60)
        assert count(machine, "raw_sendgrid.contacts") == contacts
    machine.ingest("sendgrid", "--believe", "contacts")
    assert count(machine, "raw_sendgrid.contacts") == 0


@pytest.mark.parametrize(
    ("vendor", "listed", "table"),
    [
        ("sendgrid", "sendgrid_suppressions", "raw_sendgrid.suppressions"),
        ("klaviyo", "klaviyo_catalog_items", "raw_klaviyo.catalog_items"),
        ("klaviyo", "klaviyo_campaigns", "raw_klaviyo.campaigns"),
        ("klaviyo", "klaviyo_profiles", "raw_klaviyo.profiles"),
        ("klaviyo", "klaviyo_segments", "raw_klaviyo.segments"),
        ("wistia", "medias", "raw_wistia.medias"),
    ],
)
def test_no_empty_list_removes_or_marks_anything(
    machine: Machine,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    begin: Begin,
    vendor: str,
    listed: str,
    table: str,
) -> None:
    begin(vendor)
    without_counts(monkeypatch)
    before = machine.rows(f"select * exclude (_dlt_load_id) from {table} order by all")
    assert len(before) > 5
    change(world, f"delete from {listed}")
    set_clock(machine, MORNING + timedelta(minutes=10))
    ran = machine.ingest(vendor, "--deep")
    assert table.partition(".")[2] in {doubt["resource"] for doubt in ran.report["doubts"]}
    assert machine.rows(f"select * exclude (_dlt_load_id) from {table} order by all") == before


def test_a_resource_to_believe_is_named_right_or_the_nearest_is_said(machine: Machine) -> None:
    ran = machine.ingest("--believe", "segment_member")
    assert ran.code == 2
    assert "--believe: nothing is loaded as segment_member. Did you mean segment_members?" in ran.said
    known = ["klaviyo lists", "sendgrid lists", "wistia medias"]
    assert belief.chosen(["klaviyo.lists", "medias"], known) == {"klaviyo lists", "wistia medias"}
    with pytest.raises(ValueError, match="lists is one of klaviyo lists and sendgrid lists"):
        belief.chosen(["lists"], known)


@pytest.mark.parametrize(
    ("before", "now", "is_doubtful"),
    [(300, 0, True), (300, 149, True), (300, 150, False), (2, 0, False), (3, 0, True), (0, 0, False)],
)
def test_a_list_may_lose_half_and_a_small_one_two(before: int, now: int, is_doubtful: bool) -> None:
    assert belief.is_doubtful(before, now, 0.5) == is_doubtful
