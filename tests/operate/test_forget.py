"""A forgotten person is removed from every file, and stays away."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from common import copies
from common.settings import Settings
from ingest.store import people
from ingest.store.raw import DatabaseTables
from ingest.vendors import tables_of
from privacy import pseudonyms
from privacy.addresses import Addresses
from privacy.forgotten import Forgotten
from privacy.traces import normal
from sandbox.server import Sandbox, serving
from tests import loaded, shapes
from tests.commands import Project
from tests.small import create_raw
from transform import build as transform


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Iterator[Project]:
    with serving(Sandbox(loaded.world(), limits="off")) as url:
        project = loaded.copy(shared, tmp_path_factory.mktemp("forget") / "project", url)
        project.well("activate", "apply")
        project.well("ingest", "mavera")
        yield project


@pytest.fixture(scope="module")
def somebody(project: Project) -> str:
    """Return the address of a person whom all three vendors know, who bought something and gets no mail."""
    ((address,),) = project.rows("""
        select any_value(profiles.email) from raw_klaviyo.profiles as profiles
        join raw_wistia.visitors on lower(profiles.email) = lower(visitor_identity ->> 'email')
        join raw_sendgrid.contacts on lower(profiles.email) = lower(contacts.email)
        join raw_sendgrid.suppressions on lower(profiles.email) = lower(suppressions.email)
        join raw_klaviyo.events on events.profile_id = profiles.id
    """)
    assert address
    return str(address)


TABLES = tables_of(Settings(_env_file=None))
KEYED = {table.full_name: table for table in TABLES}
TRACES = {table.full_name: trace for table, trace in people.about_people(TABLES)}


def counts(project: Project) -> dict[str, int]:
    return {table: project.rows(f"select count(*) from {table}")[0][0] for table in TRACES}


def holders(folder: Path, text: str) -> list[str]:
    """Return the files whose bytes contain a text, in any case."""
    wanted = text.lower().encode()
    return [file.name for file in folder.rglob("*") if file.is_file() and wanted in file.read_bytes().lower()]


def test_a_person_is_taken_out_everywhere_and_stays_out(project: Project, somebody: str) -> None:
    before = counts(project)
    assert holders(project.folder, somebody) == ["warehouse.duckdb"]
    earlier = project.folder / "kept" / "2026-11-01.people.duckdb"  # of a day on which the person was there
    shutil.copy(project.folder / "published.duckdb", earlier)
    certificate = project.well("forget", f" {somebody.upper()} ")
    assert shapes.amiss("forget", certificate) == []
    removed = certificate["rows_removed"]
    assert all(removed[table] > 0 for table, trace in TRACES.items() if trace.is_owner)
    assert removed["raw_klaviyo.events"] > 0
    assert removed["raw_ops.observations"] > 0
    assert removed["raw_sendgrid.suppressions"] > 0
    assert removed["raw_wistia.events"] > 0
    after = {table: count - removed[table] for table, count in before.items()}
    assert counts(project) == after
    assert not earlier.exists()
    (current,) = copies.kept(project.folder / "published.duckdb")
    assert current.path.samefile(project.folder / "published.duckdb")
    assert holders(project.folder, somebody) == []
    assert holders(transform.PROJECT / "target", somebody) == []

    project.well("ingest")
    assert counts(project) == after
    (project.folder / "warehouse.duckdb").unlink()
    project.well("ingest")
    assert counts(project) == after
    assert holders(project.folder, somebody) == []


def test_what_is_no_address_is_one_line(project: Project) -> None:
    ran = project.run("forget", "nobody")
    assert (ran.code, ran.err) == (1, "error: that is no e-mail address\n")


def test_a_trace_that_is_left_is_named(project: Project) -> None:
    with duckdb.connect(str(project.folder / "warehouse.duckdb")) as connection:
        connection.execute("create table raw_wistia.notes as select 'ask Ada@Example.com' as note")
    ran = project.run("forget", "ada@example.com")
    assert ran.code == 1
    assert "still named in warehouse.duckdb: raw_wistia.notes: docs/operating.md" in ran.err
    with duckdb.connect(str(project.folder / "warehouse.duckdb")) as connection:
        connection.execute("drop table raw_wistia.notes")
    assert "ada@example.com" not in ran.out + (project.folder / "forgotten.json").read_text(encoding="utf-8")


PERSONAL = {"email", "profile_id", "visitor_key", "contact_id", "visitor_identity", "recipient"}


def test_every_raw_table_that_says_who_somebody_is_has_its_trace(tmp_path: Path) -> None:
    create_raw(tmp_path / "warehouse.duckdb")
    ours = Settings(_env_file=None, warehouse_path=tmp_path / "warehouse.duckdb")
    tables = tables_of(ours)
    named = {table.full_name for table in tables if PERSONAL & {column.name for column in table.columns}}
    assert named | {"raw_klaviyo.profiles"} == set(TRACES)


ADA = "ada+news@example.com"
NAMING_ADA = (
    "https://shop.example/?e=ada%2Bnews%40example.com&x=1",
    "https://shop.example/?e=ADA%252Bnews%2540Example.com",
    "to ada+news@example.com.",
)
NAMING_OTHERS = (
    "https://shop.example/?e=xada%2Bnews%40example.com",
    "to ada+news@example.com.au",
    "100 % of https://shop.example/",
)


def test_a_row_that_names_the_address_in_a_link_or_a_note_goes_and_stays_away(tmp_path: Path) -> None:
    create_raw(tmp_path / "warehouse.duckdb")
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        links = [(f"e{place}", link) for place, link in enumerate((*NAMING_ADA, *NAMING_OTHERS))]
        connection.executemany("insert into raw_wistia.events (event_key, embed_url) values (?, ?)", links)
        noted = [("n1", f"Contact:\n{ADA}"), ("n2", "Contact:\nada@example.com")]
        connection.executemany(
            "insert into raw_klaviyo.events (id, event_properties) values (?, ?)",
            [(key, json.dumps({"note": note})) for key, note in noted],
        )
        connection.execute(
            "insert into raw_sendgrid.contacts (contact_id, email) values ('c1', ?)", [f"{ADA}\t"]
        )
        before = {table: connection.sql(f"from {table}").to_arrow_table() for table in TRACES}

        removed = people.remove(DatabaseTables(connection), TABLES, people.Person(ADA))
        assert {table: count for table, count in removed.items() if count} == {
            "raw_wistia.events": 3, "raw_klaviyo.events": 1, "raw_sendgrid.contacts": 1,
        }  # fmt: skip
        left = {table: connection.sql(f"from {table}").to_arrow_table() for table in TRACES}

        forgotten = Forgotten(tmp_path / "forgotten.json")
        forgotten.add([normal(ADA)], datetime(2026, 11, 21, tzinfo=UTC))
        for table, rows in before.items():
            assert forgotten.without(connection, TRACES[table], rows).equals(left[table]), table


def hashing(tmp_path: Path) -> Addresses:
    ours = Settings(_env_file=None, emails_in_warehouse="hashed", forgotten_path=tmp_path / "forgotten.json")
    pseudonyms.salt(ours.salt_path, create=True)
    return Addresses(True, ours.salt_path)


def kept(addresses: Addresses, table: str, column: str, value: str) -> str:
    rows = pa.table({column: pa.array([value], pa.string())})
    return str(addresses.kept(TRACES[table], rows).column(0)[0].as_py())


@pytest.mark.parametrize(
    "address",
    [
        "ada@example.com", "Ada+News@Example.com ", "o'brien@example.com", "ada/x@example.com",
        "a=b@example.com", "a&b@example.com", '"ada l"@example.com',
    ],
)  # fmt: skip
def test_an_address_has_one_hash_wherever_it_stands(tmp_path: Path, address: str) -> None:
    addresses = hashing(tmp_path)
    stands_for = addresses.of(address)
    assert kept(addresses, "raw_klaviyo.profiles", "email", address) == stands_for
    identity = json.dumps({"name": "Ada", "email": address, "share": 0.1})
    held = kept(addresses, "raw_wistia.visitors", "visitor_identity", identity)
    assert json.loads(held) == {"name": "Ada", "email": stands_for, "share": 0.1}


@pytest.mark.parametrize("before", ["\n", "\t", "\\", "\u00fc ", '"', "<"])
def test_json_in_which_addresses_are_hashed_is_still_the_same_json(tmp_path: Path, before: str) -> None:
    addresses = hashing(tmp_path)
    note = {"note": f"Ask{before}ada@example.com", "amount": 12.50, "at": "\\u0040"}
    held = kept(addresses, "raw_klaviyo.events", "event_properties", json.dumps(note))
    assert json.loads(held) == {**note, "note": f"Ask{before}{addresses.of('ada@example.com')}"}
    assert (
        kept(addresses, "raw_klaviyo.events", "event_properties", '{"a":1.50,"b":"x@"}')
        == '{"a":1.50,"b":"x@"}'
    )


@pytest.mark.parametrize(
    ("link", "address"),
    [
        ("https://shop.example/?e={}&x=1", "ada%2Bnews%40example.com"),
        ("https://shop.example/?e={}", "ada%252Bnews%2540example.com"),
        ("https://shop.example/?q=100%25&e={}%26x", "ada%2bnews%40example.com"),
        ("https://shop.example/?e={}", "ada+news@example.com"),
    ],
)
def test_an_address_in_a_link_is_hashed_however_it_is_encoded(
    tmp_path: Path, link: str, address: str
) -> None:
    addresses = hashing(tmp_path)
    held = kept(addresses, "raw_wistia.events", "embed_url", link.format(address))
    assert held == link.format(addresses.of(ADA))


def test_tombstones_hold_neither_address_nor_key(project: Project, somebody: str) -> None:
    held: dict[str, Any] = json.loads((project.folder / "forgotten.json").read_text(encoding="utf-8"))
    assert len(held["tombstones"]) >= 4
    assert all(len(tombstone) == 64 for tombstone in held["tombstones"])
    assert len(held["salt"]) == 32


def test_what_was_set_aside_of_a_persons_rows_goes_with_them(tmp_path: Path) -> None:
    create_raw(tmp_path / "warehouse.duckdb")
    named = ("raw_klaviyo.profiles", "raw_sendgrid.suppressions")
    salt, noted = b"salt", "create table raw_ops.set_aside (vendor text, resource text, row_key text)"
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute("create schema if not exists raw_ops; drop table if exists raw_ops.set_aside")
        connection.execute(noted)
        for email in (ADA, "bob@example.com"):
            connection.execute("insert into raw_klaviyo.profiles (id, email) values ($1, $1)", [email])
            connection.execute("insert into raw_sendgrid.suppressions (list, email) values ('b', ?)", [email])
        for table in named:
            vendor, resource = table.removeprefix("raw_").split(".")
            hashed = people.row_key(connection, KEYED[table], salt)
            connection.execute(
                f"insert into raw_ops.set_aside select '{vendor}', '{resource}', {hashed} from {table}"
            )
        people.remove_set_aside(connection, TABLES, people.Person(ADA), salt)
        people.remove(DatabaseTables(connection), TABLES, people.Person(ADA))
        for table in named:
            hashed = people.row_key(connection, KEYED[table], salt)
            held = connection.execute(f"select {hashed} from {table}").fetchall()
            resource = table.partition(".")[2]
            left = connection.execute(
                "select row_key from raw_ops.set_aside where resource = ?", [resource]
            ).fetchall()
            assert left == held != []
            assert "bob" not in str(left)
