"""No output or file contains keys; with hashed addresses, none contains an address either."""

import json
import re
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from common.settings import ROOT
from sandbox import klaviyo, mavera, sendgrid, wistia
from sandbox.faults import Fault
from sandbox.server import Sandbox, serving
from sandbox.world import World
from tests.commands import Project, Ran
from transform import build as transform

WORLD = World(200, 7, date(2026, 11, 21))
((FORGOTTEN,),) = WORLD.sql("""
    select any_value(p.email) from klaviyo_profiles as p
    join sendgrid_contacts as c on lower(p.email) = lower(c.email)
    join visitors as v on lower(p.email) = lower(v.email)
""")
KEYS = (sendgrid.KEY, wistia.KEY, klaviyo.KEY, mavera.KEY)
HOOK = "services/T0/B0/hook0secret"  # anyone who knows a webhook's address can write to it
WRONG = {
    "SENDGRID_API_KEY": "SG.wrong0sendgrid",
    "WISTIA_API_TOKEN": "wrong0wistia",
    "KLAVIYO_API_KEY": "pk_wrong0klaviyo",
    "MAVERA_API_KEY": "mvra_live_wrong0mavera",
}


class Heard:
    """A project with hashed addresses, and all output of its commands."""

    def __init__(self, project: Project, sandbox: Sandbox) -> None:
        self.project, self.sandbox = project, sandbox
        self.began = time.time()
        self.said: list[Ran] = []
        self.certificate: dict[str, Any] = {}

    def run(self, *command: str, code: int = 0, keys: dict[str, str] | None = None) -> Ran:
        extra = {**self.project.extra, **(keys or {})}
        ran = Project(self.project.folder, self.project.url, extra=extra).run(*command)
        self.said.append(ran)
        assert ran.code == code, ran.out + ran.err
        return ran


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Heard]:
    """Load, model and send a world with hashed addresses and one forgotten person."""
    sandbox = Sandbox(WORLD, limits="off")
    with serving(sandbox) as url:
        # A setting of dbt's own, so that dbt itself runs and writes its files.
        hashed = {
            "EMAILS_IN_WAREHOUSE": "hashed",
            "NOTICE_URL": f"http://127.0.0.1:9/{HOOK}",
            "DBT_HEARD": "1",
        }
        heard = Heard(Project(tmp_path_factory.mktemp("project"), url, extra=hashed), sandbox)
        heard.run("ingest", "--debug")
        heard.certificate = json.loads(heard.run("forget", f" {FORGOTTEN.upper()} ", "--json").out)
        heard.run("activate", "apply")
        heard.run("ingest", "mavera")
        yield heard


def written(heard: Heard) -> list[Path]:
    """Return every file of the project's folder, and new files of dbt and the docs in the clone.

    Older files are not leaks: `make demo` leaves the sandbox's keys in build/demo.env.
    """
    ours = [file for file in heard.project.folder.rglob("*") if file.is_file()]
    places = [ROOT / "build", transform.PROJECT / "target", transform.PROJECT / "logs", ROOT / "logs"]
    left = [file for place in places for file in place.rglob("*") if file.is_file()]
    return ours + [file for file in left if file.stat().st_mtime > heard.began]


def holding(file: Path, texts: list[str]) -> list[str]:
    content = file.read_bytes().lower()
    return [text for text in texts if text.lower().encode() in content]


def in_tables(path: Path, texts: list[str]) -> list[str]:
    """Return the tables of a DuckDB file, whose pages may be compressed, that contain one of these texts."""
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = connection.execute(
            "select concat('\"', table_schema, '\".\"', table_name, '\"') from information_schema.tables"
            " where table_type = 'BASE TABLE'"
        ).fetchall()
        pattern = "|".join(map(re.escape, texts))
        return [
            table
            for (table,) in tables
            if connection.execute(
                f"select 1 from {table} as entry where regexp_matches(lower(entry::varchar), ?) limit 1",
                [pattern.lower()],
            ).fetchone()
        ]


def test_with_hashed_addresses_none_is_in_any_file(heard: Heard) -> None:
    addresses = [email.lower() for (email,) in WORLD.sql("select distinct email from people")]
    domains = [f"@{domain}" for domain in sorted({address.split("@")[1] for address in addresses})]
    assert len(addresses) > 200
    for name in ("warehouse.duckdb", "published.duckdb"):
        assert in_tables(heard.project.folder / name, domains) == []
    files = [file for file in heard.project.folder.rglob("*") if file.is_file()]
    assert {file.name for file in files if holding(file, addresses + domains)} == set()
    assert len({file.name for file in files} & {"salt", "ledger.sqlite", "warehouse.duckdb"}) == 3


def test_hashed_addresses_join_as_many_people_as_plain_ones(heard: Heard) -> None:
    known = [
        {
            email.strip().lower()
            for (email,) in WORLD.sql(f"select email from {table}")
            if email and email.strip()
        }
        for table in ("visitors", "klaviyo_profiles", "sendgrid_contacts")
    ]
    everybody = set.union(*known) - {FORGOTTEN.lower()}
    expected = sorted(tuple(person in of_vendor for of_vendor in known) for person in everybody)
    found = heard.project.rows(
        "select has_wistia, has_klaviyo, has_sendgrid from marts.dim_people order by all"
    )
    assert found == expected


def test_a_warehouse_keeps_to_how_its_addresses_are_kept(heard: Heard) -> None:
    plain = heard.run("ingest", "wistia", code=2, keys={"EMAILS_IN_WAREHOUSE": "plain"})
    said = (
        "holds e-mail addresses hashed. Set EMAILS_IN_WAREHOUSE=hashed, or move that file away and load anew"
    )
    assert f"error: warehouse.duckdb {said}" in plain.err
    salt = heard.project.folder / "salt"
    before = salt.read_text(encoding="ascii")
    salt.write_text("00" * 32, encoding="ascii")
    try:
        other = heard.run("ingest", "wistia", code=2)
        assert "holds hashes by another salt than " in other.err
        unsent = heard.run("activate", "plan", code=2)
        assert "is not the salt that published.duckdb was written with" in unsent.err
        assert "keeps addresses in another form" in heard.run("forget", "ada@example.com", code=1).err
    finally:
        salt.write_text(before, encoding="ascii")


def test_the_salt_is_in_its_own_file_alone(heard: Heard) -> None:
    salt = (heard.project.folder / "salt").read_text(encoding="ascii").strip()
    files = [file for file in written(heard) if file.name != "salt" or file.parent != heard.project.folder]
    assert any("target" in file.parts for file in files)
    assert [file for file in files if holding(file, [salt])] == []
    for name in ("warehouse.duckdb", "published.duckdb"):
        assert in_tables(heard.project.folder / name, [salt]) == []
    assert not [ran for ran in heard.said if salt in ran.out + ran.err]


def test_nothing_that_is_said_or_written_holds_a_key(heard: Heard) -> None:
    heard.run("ingest", "--debug", code=1, keys=WRONG)
    heard.run("activate", "apply", keys={**WRONG, "CREDIT_BUDGET": "0"})  # nothing has changed: no call
    heard.run(
        "activate", "apply", code=1, keys={**WRONG, "LEDGER_URL": f"sqlite:///{heard.project.folder}/new"}
    )
    heard.sandbox.faults.add(Fault("500"))
    heard.run("ingest", "--debug", code=1)
    heard.sandbox.faults.clear()
    keys = [*KEYS, *WRONG.values(), HOOK]
    for ran in heard.said:
        assert not [key for key in keys if key in ran.out + ran.err]
    held = {str(file): found for file in written(heard) if (found := holding(file, keys))}
    assert held == {}
    for name in ("warehouse.duckdb", "published.duckdb"):
        assert in_tables(heard.project.folder / name, keys) == []


def test_somebody_is_forgotten_by_the_address_though_only_its_hash_is_kept(heard: Heard) -> None:
    removed = {table for table, count in heard.certificate["rows_removed"].items() if count}
    assert removed >= {"raw_klaviyo.profiles", "raw_sendgrid.contacts", "raw_wistia.visitors"}
    profiles = heard.project.rows("select count(*) from raw_klaviyo.profiles")
    heard.run("ingest", "klaviyo")
    assert heard.project.rows("select count(*) from raw_klaviyo.profiles") == profiles
