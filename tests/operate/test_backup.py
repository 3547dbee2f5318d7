"""One encrypted file has everything that cannot be recreated, and is restored completely or not at all."""

import gzip
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydantic import SecretStr

from activate.ledger import opening
from common import settings, warehouse
from operate import backup
from tests import small
from transform import build as transform
from transform import history

LAYOUT = Path(__file__).parents[1] / "layouts" / "0.1.0"
MAVERA = "http://127.0.0.1:8797/mavera/api/v1"  # the ledger's Mavera
PASSPHRASE = "correct horse battery staple"
LOADED = """
    insert into raw_ops.loads (run_id, vendor, resource, started_at, finished_at, requests, outcome)
    select $1, 'klaviyo', 'segment_members', $1::timestamptz, $1::timestamptz, 1, 'loaded'
"""


def place(folder: Path, passphrase: str | None = PASSPHRASE) -> settings.Settings:
    return settings.Settings(
        _env_file=None,
        warehouse_path=folder / "o'brien" / "warehouse.duckdb",
        published_path=folder / "published.duckdb",
        forgotten_path=folder / "o'brien" / "forgotten.json",
        runs_path=folder / "runs.jsonl",
        ledger_url=f"sqlite:///{folder / 'ledger.sqlite'}",
        mavera_base_url=MAVERA,
        backup_passphrase=SecretStr(passphrase) if passphrase else None,
    )


@pytest.fixture
def kept(tmp_path: Path) -> settings.Settings:
    """Return a machine in use: a ledger of six rows, a salt, tombstones, and raw data beside models."""
    kept = place(tmp_path / "at work")
    kept.warehouse_path.parent.mkdir(parents=True)
    (tmp_path / "at work" / "ledger.sqlite").write_bytes(
        gzip.decompress((LAYOUT / "ledger.sqlite.gz").read_bytes())
    )
    kept.salt_path.write_text("c0ffee\n", encoding="ascii")
    kept.forgotten_path.write_text('{"salt": "x", "tombstones": {}}', encoding="utf-8")
    with warehouse.connect(kept.warehouse_path, create=True) as connection:
        connection.execute("""
            create schema raw_sendgrid; create schema raw_ops; create schema marts;
            create table raw_sendgrid.device_stats (day date not null, opens bigint, note json);
            insert into raw_sendgrid.device_stats values
                ('2026-01-01', 7, '{"a": 1}'), ('2026-01-02', 8, null);
            create table raw_ops.builds (fingerprint varchar);
            insert into raw_ops.builds values ('built before');
            create table marts.dim_people as select 1 as person_id;
        """)
    return kept


def test_a_backup_brings_everything_back_on_a_new_machine(kept: settings.Settings, tmp_path: Path) -> None:
    file = tmp_path / "backups" / "newest"
    parts = backup.make(kept, file)
    assert parts == ["forgotten.json", "ledger.jsonl", "raw.duckdb", "salt"]
    new = place(tmp_path / "new")
    backup.restore(new, file)
    assert new.salt_path.read_text(encoding="ascii") == "c0ffee\n"
    assert new.forgotten_path.read_bytes() == kept.forgotten_path.read_bytes()
    ledgers = [list(opening.connect(each.ledger_url, MAVERA).chain.export()) for each in (kept, new)]
    assert ledgers[0] == ledgers[1]
    assert len(ledgers[0]) == 7
    with warehouse.connect(new.warehouse_path) as connection:
        rows = connection.execute("from raw_sendgrid.device_stats order by day").fetchall()
        assert [(day.isoformat(), opens, note) for day, opens, note in rows] == [
            ("2026-01-01", 7, '{"a": 1}'),
            ("2026-01-02", 8, None),
        ]
        with pytest.raises(duckdb.ConstraintException):
            connection.execute("insert into raw_sendgrid.device_stats values (null, 1, null)")
        assert connection.execute("from raw_ops.builds").fetchall() == []
    assert warehouse.open_to_others([file, new.salt_path, new.warehouse_path, new.forgotten_path]) == []


def test_the_history_that_no_vendor_has_comes_back(
    tmp_path: Path, shared: Path, small_warehouse: Path
) -> None:
    old, new = place(tmp_path / "old"), place(tmp_path / "new")
    old.warehouse_path.parent.mkdir(parents=True)
    for name in (old.warehouse_path.name, "salt"):
        shutil.copyfile(small_warehouse.with_name(name), old.warehouse_path.with_name(name))
    with warehouse.connect(old.warehouse_path) as connection:
        connection.execute(LOADED, ["2026-01-10"])
    assert history.keep(old.warehouse_path) == 0  # the models do not know the load yet
    daily = "from marts.fct_segment_membership_daily order by all"

    def rows(path: Path) -> list[tuple[Any, ...]]:
        small.send(shared, path, "fct_segment_membership_daily")
        with warehouse.connect(path) as connection:
            return connection.execute(daily).fetchall()

    rows(old.warehouse_path)
    assert history.keep(old.warehouse_path) > 0
    with warehouse.connect(old.warehouse_path) as connection:
        connection.execute("delete from raw_klaviyo.segment_members where profile_id = 'p3'")
        connection.execute(LOADED, ["2026-01-11"])
    before = rows(old.warehouse_path)
    history.keep(old.warehouse_path)
    assert {row[4] for row in before} == {None, 1}  # those who left: p3 was in all segments
    backup.make(old, tmp_path / "backup")
    old.warehouse_path.unlink()
    backup.restore(new, tmp_path / "backup")
    transform.load_runs(new.warehouse_path, new)
    assert rows(new.warehouse_path) == before


def test_a_backup_shows_nothing_without_its_passphrase(kept: settings.Settings, tmp_path: Path) -> None:
    file = tmp_path / "newest"
    backup.make(kept, file)
    assert not any(word in file.read_bytes() for word in (b"c0ffee", b"tombstones", b"device_stats", b"gzip"))
    with pytest.raises(backup.BackupError, match="BACKUP_PASSPHRASE does not open newest"):
        backup.restore(place(tmp_path / "new", "another horse battery staple"), file)
    for with_none in (
        lambda: backup.make(place(tmp_path / "at work", None), file),
        lambda: backup.restore(place(tmp_path / "new", None), file),
    ):
        with pytest.raises(backup.BackupError, match="BACKUP_PASSPHRASE is not set"):
            with_none()
    assert not place(tmp_path / "new").salt_path.exists()


def test_a_backup_that_was_changed_cut_off_or_reordered_restores_nothing(
    kept: settings.Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "BLOCK_BYTES", 500)
    file = tmp_path / "newest"
    backup.make(kept, file)
    whole, start = file.read_bytes(), len(backup.MAGIC) + backup.SALT_BYTES
    length = 4 + int.from_bytes(whole[start : start + 4])  # of each block except the last
    first, second = whole[start : start + length], whole[start + length : start + 2 * length]
    broken = {
        "changed": whole[:-20] + bytes([whole[-20] ^ 1]) + whole[-19:],
        "cut off": whole[: start + 3 * length],
        "reordered": whole[:start] + first + second + second + whole[start + 3 * length :],
        "longer": whole + b"x",
    }
    for name, content in broken.items():
        file.write_bytes(content)
        with pytest.raises(backup.BackupError, match="newest is damaged or cut off"):
            backup.restore(place(tmp_path / name), file)
        assert not place(tmp_path / name).salt_path.exists()
    file.write_bytes(b"something else")
    with pytest.raises(backup.BackupError, match="no backup of this project"):
        backup.restore(place(tmp_path / "new"), file)


def test_nothing_that_is_there_is_replaced(kept: settings.Settings, tmp_path: Path) -> None:
    file = tmp_path / "newest"
    backup.make(kept, file)
    with pytest.raises(backup.BackupError, match=r"warehouse\.duckdb already exists and is never replaced"):
        backup.restore(kept, file)
    other = place(tmp_path / "new")
    other.forgotten_path.parent.mkdir(parents=True)
    other.forgotten_path.write_text('{"salt": "y", "tombstones": {"newer": "x"}}', encoding="utf-8")
    with pytest.raises(backup.BackupError, match=r"forgotten\.json already exists"):
        backup.restore(other, file)
    assert not other.warehouse_path.exists()


def test_a_ledger_on_a_server_is_left_as_it_is(kept: settings.Settings, tmp_path: Path) -> None:
    file = tmp_path / "newest"
    backup.make(kept, file)
    for path in (kept.warehouse_path, kept.salt_path, kept.forgotten_path):
        path.unlink()
    assert "the ledger has rows already and was left as it is" in backup.restore(kept, file)
    assert kept.warehouse_path.exists()


def test_with_nothing_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    with pytest.raises(backup.BackupError, match="nothing to back up yet"):
        backup.make(place(tmp_path / "empty"), tmp_path / "newest")
    with pytest.raises(backup.BackupError, match="there is no file"):
        backup.restore(place(tmp_path / "empty"), tmp_path / "none")
