"""Somebody who asks to be forgotten is gone from every file, and stays away."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
import shapes
from commands import Project
from test_dbt_project import create_raw

from ingest import people
from ingest.__main__ import SOURCES
from sandbox.server import Sandbox, serving
from sandbox.world import World
from settings import Settings

TODAY = date(2026, 11, 21)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with serving(Sandbox(World(200, 7, TODAY), limits="off")) as url:
        project = Project(tmp_path_factory.mktemp("project"), url)
        project.well("ingest")
        project.well("transform")
        project.well("activate", "apply")
        project.well("ingest", "mavera")
        yield project


@pytest.fixture(scope="module")
def somebody(project: Project) -> str:
    """The address of a person whom all three vendors know, who bought something and gets no mail any more."""
    ((address,),) = project.rows("""
        select any_value(profiles.email) from raw_klaviyo.profiles as profiles
        join raw_wistia.visitors on lower(profiles.email) = lower(visitor_identity ->> 'email')
        join raw_sendgrid.contacts on lower(profiles.email) = lower(contacts.email)
        join raw_sendgrid.suppressions on lower(profiles.email) = lower(suppressions.email)
        join raw_klaviyo.events on events.profile_id = profiles.id
    """)
    assert address
    return str(address)


def counts(project: Project) -> dict[str, int]:
    return {table: project.rows(f"select count(*) from {table}")[0][0] for table in people.TRACES}


def holders(folder: Path, text: str) -> list[str]:
    """Name the files whose bytes hold a text, in any case."""
    wanted = text.lower().encode()
    return [file.name for file in folder.rglob("*") if file.is_file() and wanted in file.read_bytes().lower()]


def test_a_person_is_taken_out_everywhere_and_stays_out(project: Project, somebody: str) -> None:
    before = counts(project)
    assert holders(project.folder, somebody) == ["warehouse.duckdb"]
    certificate = project.well("forget", f" {somebody.upper()} ")
    assert shapes.amiss("forget", certificate) == []
    removed = certificate["rows_removed"]
    assert all(removed[table] > 0 for table in people.TRACES if people.TRACES[table].names)
    assert removed["raw_klaviyo.events"] > 0
    assert removed["raw_sendgrid.suppressions"] > 0
    assert removed["raw_wistia.events"] > 0
    after = {table: count - removed[table] for table, count in before.items()}
    assert counts(project) == after
    assert holders(project.folder, somebody) == []

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
    tables = [resource.table for source in SOURCES for resource in source.resources(ours)]
    named = {table.full_name for table in tables if PERSONAL & {column.name for column in table.columns}}
    assert named | {"raw_klaviyo.profiles"} == set(people.TRACES)


def test_tombstones_hold_neither_address_nor_key(project: Project, somebody: str) -> None:
    held: dict[str, Any] = json.loads((project.folder / "forgotten.json").read_text(encoding="utf-8"))
    assert len(held["tombstones"]) >= 4
    assert all(len(tombstone) == 64 for tombstone in held["tombstones"])
    assert len(held["salt"]) == 32
