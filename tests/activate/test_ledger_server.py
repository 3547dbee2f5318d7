"""The ledger on a real PostgreSQL server: the same journal, and one writer across machines."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from activate.cli import main as cli
from activate.errors import LedgerError
from activate.ledger import lock as locks
from activate.ledger import opening
from activate.ledger.lock import lock
from common import settings
from tests import postgres
from tests.activate.test_ledger import KEY, MAVERA, begun, done


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Yield the address of a server with its own data folder and port."""
    with postgres.running() as url:
        yield url


@pytest.fixture
def url(server: str, request: pytest.FixtureRequest) -> str:
    """The address of an empty database."""
    name = f"ledger_{abs(hash(request.node.nodeid))}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name}")  # type: ignore[call-overload]
    return settings.Settings(_env_file=None, ledger_url=f"{server.rpartition('/')[0]}/{name}").ledger_url


def test_a_call_is_announced_ended_and_read_again(url: str) -> None:
    assert opening.connect(url, MAVERA).chain.mark().entry_id == 0
    with lock(url) as hold:
        ledger = opening.connect(url, MAVERA, write=True, hold=hold)
        done(ledger, begun(ledger))
        begun(ledger, kind="analyses", record_key="a:b")
    read = opening.connect(url, MAVERA)
    assert read.entries()[KEY].remote_id == "per_1"
    assert (read.spent(), read.chain.verify(), len(read.unknown())) == (600, 3, 1)


def test_a_ledger_moves_from_a_file_to_a_server(url: str, tmp_path: Path) -> None:
    ledger = opening.connect(f"sqlite:///{tmp_path / 'ledger.sqlite'}", MAVERA, write=True)
    done(ledger, begun(ledger))
    moved = opening.connect(url, MAVERA, write=True)
    assert moved.chain.restore(ledger.chain.export()) == moved.chain.verify() == 2
    assert moved.entries() == ledger.entries()


def test_a_ledger_of_the_first_layout_is_kept_beside_the_new_one(url: str) -> None:
    ledger = opening.connect(url, MAVERA, write=True)
    done(ledger, begun(ledger))
    with sa.create_engine(url).begin() as connection:
        connection.execute(sa.text("drop table receipts"))
        connection.execute(sa.text("update schema_version set version = 1"))
    assert opening.connect(url, MAVERA, write=True).chain.verify() == 2
    with sa.create_engine(url).connect() as connection:
        assert connection.execute(sa.text("select count(*) from journal_layout_1")).scalar() == 2


def test_a_second_writer_is_told_who_is_at_work(url: str) -> None:
    with (
        lock(url),
        pytest.raises(
            LedgerError, match=rf"process {os.getpid()} on {socket.gethostname()}, heard of \d+ s ago"
        ),
        lock(url),
    ):
        pass
    with lock(url) as hold:
        assert hold.taken_from == ""


def test_the_lease_of_a_killed_process_frees_itself_and_its_takeover_is_noted(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    holding = (
        "import time; from activate.ledger.lock import lock\n"
        f"with lock({url!r}): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holding], cwd=settings.ROOT, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        holder.kill()
    with pytest.raises(LedgerError, match=f"process {holder.pid} "), lock(url):
        pass
    monkeypatch.setattr(locks, "FREE_AFTER_SECONDS", 0)
    with lock(url) as hold:
        assert hold.taken_from.startswith(f"process {holder.pid} on ")
        opening.connect(url, MAVERA, write=True, hold=hold)
    line, _ = opening.connect(url, MAVERA).chain.export()
    assert '"event": "takeover"' in line
    assert f"from process {holder.pid} on" in line


def test_a_ledger_is_restored_also_where_a_lease_was_left_behind(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = opening.connect(f"sqlite:///{tmp_path / 'ledger.sqlite'}", MAVERA, write=True)
    done(ledger, begun(ledger))
    file = tmp_path / "ledger.jsonl"
    file.write_text("".join(f"{line}\n" for line in ledger.chain.export()), encoding="utf-8")
    with lock(url), sa.create_engine(url).begin() as connection:
        connection.execute(sa.text("create table left_behind as table lease"))
    with sa.create_engine(url).begin() as connection:
        connection.execute(sa.text("insert into lease table left_behind"))
        connection.execute(sa.text("update lease set beat_at = beat_at - interval '1 hour'"))
    for name, value in {"ENV_FILE": "/dev/null", "LEDGER_URL": url, "MAVERA_BASE_URL": MAVERA}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["activate", "ledger", "restore", str(file)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (0, "2 rows restored, each as it was written\n")
    assert "taking over from process" in said.err
    assert opening.connect(url, MAVERA).chain.verify() == 2


def test_a_heartbeat_keeps_the_lease(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.05)
    with lock(url), psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("update lease set beat_at = beat_at - interval '1 hour'")
        deadline = time.monotonic() + postgres.PATIENCE_SECONDS
        while connection.execute("select beat_at < taken_at from lease").fetchone() == (True,):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with pytest.raises(LedgerError, match="another apply is at work"), lock(url):
            pass


def test_who_lost_the_lease_can_announce_nothing_more(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with lock(url) as lost:
        cut_off = opening.connect(url, MAVERA, write=True, hold=lost)
        begun(cut_off)
        monkeypatch.setattr(locks, "FREE_AFTER_SECONDS", 0)
        with lock(url) as taken:
            other = opening.connect(url, MAVERA, write=True, hold=taken)
            with pytest.raises(LedgerError, match="another process took it over: nothing more is sent"):
                begun(cut_off)
            done(other, begun(other))
    assert [call.state for call in other.calls()] == ["unknown", "done"]


def test_a_server_that_is_away_is_one_line() -> None:
    away = "postgresql+psycopg://ledger:hidden@127.0.0.1:1/postgres"
    with pytest.raises(LedgerError, match="the ledger cannot be reached") as caught, lock(away):
        pass
    assert "hidden" not in str(caught.value)
    with pytest.raises(
        LedgerError, match=r"\): see that its server runs and that LEDGER_URL leads"
    ) as caught:
        opening.connect(away, MAVERA)
    assert "hidden" not in str(caught.value)
    assert "backup" not in str(caught.value)


def test_who_is_at_work_and_who_may_write_is_told_without_a_row(url: str) -> None:
    assert (locks.owner(url), locks.is_writable(url)) == ("", True)
    with lock(url):
        assert locks.owner(url) == f"process {os.getpid()} on {socket.gethostname()}"
    assert locks.owner(url) == ""
    opening.connect(url, MAVERA, write=True)
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("create role looker login")
        connection.execute("grant select on all tables in schema public to looker")
    try:
        assert not locks.is_writable(url.replace("ledger@", "looker@"))
    finally:
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("drop owned by looker; drop role looker")
