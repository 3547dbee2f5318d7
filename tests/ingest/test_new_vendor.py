"""A vendor declared during the tests: one declaration, and every part knows it."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import duckdb
import pytest
from pydantic import SecretStr

from common.pace import Pace
from common.settings import BaseUrl, Settings
from ingest import pipeline, vendors
from ingest.__main__ import Shown
from ingest.http import Client, Vendor
from ingest.model import Pages, Resource, Source
from ingest.paging import Offset
from ingest.store import people
from ingest.store.raw import DatabaseTables
from ingest.typed import Table, each
from operate import doctor
from privacy import pseudonyms
from privacy.firewall import Firewall
from privacy.forgotten import Forgotten
from privacy.traces import Trace

ZORA, MAX = "zora@example.com", "max@example.com"
MEMBERS = [
    {"id": "member-0000001", "email": ZORA, "full_name": "Zora Quillfeather"},
    {"id": "member-0000002", "email": MAX, "full_name": "Max Ottersby"},
]
TABLE = Table(
    "raw_acme",
    "members",
    ("id",),
    each(text="id email full_name"),
    people=Trace(addresses=("email",), names=(("full_name",),), key="id", is_owner=True),
)
pytestmark = pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result")


class Ours(Settings):
    """The settings plus the two of the vendor."""

    acme_api_key: SecretStr | None = SecretStr("acme-key-0001")
    acme_base_url: BaseUrl = "http://127.0.0.1:1"


def members(client: Client, _since: None) -> Pages:
    yield from client.pages("members", TABLE, Offset(100))


def connect(settings: Settings, key: str) -> Vendor:
    assert isinstance(settings, Ours)
    return Vendor(settings.acme_base_url, f"Bearer {key}", pace=Pace(), is_near=True)


ACME = Source(
    name="acme",
    title="Acme",
    key_name="ACME_API_KEY",
    key_like="acme-key",
    connect=connect,
    resources=lambda _settings: [Resource(TABLE, members, "members.read")],
    probes={"members.read": "members?limit=1"},
)


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ours]:
    """Settings for Acme, which is in the registry and answers requests with its key."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            start = int(parse_qs(url.query).get("offset", ["0"])[0])
            is_ours = self.headers["Authorization"] == "Bearer acme-key-0001"
            body = json.dumps(MEMBERS[start:] if is_ours else {"error": "no such key"}).encode()
            self.send_response(200 if is_ours else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    monkeypatch.setattr(vendors, "SOURCES", (*vendors.SOURCES, ACME))
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Ours(
            _env_file=None,
            acme_base_url=f"http://127.0.0.1:{server.server_port}",
            warehouse_path=tmp_path / "warehouse.duckdb",
            published_path=tmp_path / "published.duckdb",
            pipelines_path=tmp_path / "pipelines",
            forgotten_path=tmp_path / "forgotten.json",
            runs_path=tmp_path / "runs.jsonl",
            ledger_url=f"sqlite:///{tmp_path}/ledger.sqlite",
        )
        server.shutdown()


def load(ours: Ours) -> pipeline.Summary:
    return pipeline.run(ours, vendors.SOURCES, ["acme"], Shown())


def test_its_people_are_withheld(ours: Ours) -> None:
    assert load(ours).errors == []
    with duckdb.connect(str(ours.warehouse_path), read_only=True) as connection:
        known = connection.execute(
            "select kind, known_by from raw_ops.people where vendor = 'acme'"
        ).fetchall()
    assert sorted(known) == [
        ("key", "member-0000001"), ("key", "member-0000002"),
        ("name", "Max Ottersby"), ("name", "Zora Quillfeather"),
    ]  # fmt: skip
    salt = pseudonyms.salt(ours.salt_path)
    texts = set[str]().union(*(pseudonyms.known_by(text, kind) for kind, text in known))
    wall = Firewall(sorted(pseudonyms.of_text(salt, text) for text in texts), salt, ours.vendor_keys())
    assert wall.looks_personal("Write as Zora Quillfeather would") == "the name of a person"
    assert wall.looks_personal("as member-0000002 said") == "an id of a person or a browser"
    assert wall.looks_personal("with acme-key-0001") == "a key"
    assert wall.looks_personal("Write as a member would") == ""


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("acme-key-0001", ("ok", "1 of 1 scopes; write permissions are not reported")),
        ("acme-key-0002", ("fail", "401: ACME_API_KEY is wrong or revoked; make a new one")),
    ],
)
def test_its_key_is_probed(ours: Ours, key: str, said: tuple[str, str]) -> None:
    given = ours.model_copy(update={"acme_api_key": SecretStr(key)})
    assert [(check.state, check.text) for check in doctor.examine(given) if check.name == "acme"] == [said]


def test_its_people_are_forgotten_and_stay_out(ours: Ours) -> None:
    load(ours)
    tables = vendors.tables_of(ours)
    with duckdb.connect(str(ours.warehouse_path)) as connection:
        zora = people.find(connection, tables, ZORA)
        assert zora.keys == ["member-0000001"]
        Forgotten(ours.forgotten_path).add([ZORA, *zora.keys], datetime(2026, 11, 21, tzinfo=UTC))
        removed = people.remove(DatabaseTables(connection), tables, zora)
    assert {table: count for table, count in removed.items() if count} == {"raw_acme.members": 1}
    load(ours)
    with duckdb.connect(str(ours.warehouse_path), read_only=True) as connection:
        assert connection.execute("select email from raw_acme.members").fetchall() == [(MAX,)]
        assert connection.execute(
            "select count(*) from raw_ops.people where known_by like 'Zora%'"
        ).fetchone() == (0,)


def test_its_addresses_are_hashed_where_addresses_are(ours: Ours) -> None:
    hashed = ours.model_copy(update={"emails_in_warehouse": "hashed"})
    load(hashed)
    with duckdb.connect(str(ours.warehouse_path), read_only=True) as connection:
        held = connection.execute("select email from raw_acme.members order by id").fetchall()
    salt = pseudonyms.salt(ours.salt_path)
    assert held == [(pseudonyms.of_address(salt, address),) for address in (ZORA, MAX)]
