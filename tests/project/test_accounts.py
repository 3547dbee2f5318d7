"""Several accounts on one machine: one ENV_FILE, one folder of files each."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from common import settings
from tests import models

OPERATING = settings.ROOT / "docs" / "operating.md"
UNITE = settings.ROOT / "examples" / "unite_accounts.sql"
# What an account writes. It names each file that another account's commands would also write.
LINES = re.findall(
    r"^((?:\w+_PATH|LEDGER_URL)=.*north.*)$", OPERATING.read_text(encoding="utf-8"), re.MULTILINE
)


def env_file(folder: Path, name: str) -> Path:
    """Write the settings that docs/operating.md shows for an account, below a folder."""
    file = folder / f"{name}.env"
    text = "\n".join(LINES).replace("north", name)
    for beginning in ("=data/", "=published/", "///data/"):
        text = text.replace(beginning, beginning.replace("data/", f"{folder}/data/").replace(
            "published/", f"{folder}/published/"
        ))  # fmt: skip
    file.write_text(text + "\n", encoding="utf-8")
    return file


def loaded(file: Path, monkeypatch: pytest.MonkeyPatch) -> settings.Settings:
    for name in [*os.environ]:
        if name.endswith("_PATH") or name == "LEDGER_URL":
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", os.environ.get("PATH", "/usr/bin:/bin"))
    return settings.Settings(_env_file=file)


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_two_accounts_share_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    north, south = (loaded(env_file(tmp_path, name), monkeypatch) for name in ("north", "south"))
    written = []
    for account, name in ((north, "north"), (south, "south")):
        paths = {
            field: str(getattr(account, field))
            for field in settings.Settings.model_fields
            if field.endswith("_path")
        }
        paths |= {"ledger": account.ledger_url, "salt": str(account.salt_path)}
        assert all(f"/{name}/" in path for path in paths.values()), paths
        written.append({*paths.values()})
    assert written[0].isdisjoint(written[1])


def test_publishing_and_asking_one_account_leaves_every_file_of_the_other(tmp_path: Path) -> None:
    for name, clicks in (("north", 30), ("south", 45)):
        file = env_file(tmp_path, name)
        path = tmp_path / "data" / name / "warehouse.duckdb"
        path.parent.mkdir(parents=True)
        with duckdb.connect(str(path)) as connection:
            connection.execute(f"""
                create schema marts; create schema activation;
                create table marts.fct_campaigns as select 'c1' as campaign_id, 'EUR' as currency,
                    300 as received_count, {clicks} as clicked_count, 9.50::decimal(18, 2) as revenue,
                    timestamptz '2026-11-02 10:00:00+00' as sent_at;
            """)
        models.record(path)
        before = {other: contents(tmp_path / other) for other in ("data", "published")}
        for module, *asked in (("transform", "publish"), ("operate.query", "from marts.fct_campaigns")):
            ran = subprocess.run(
                [sys.executable, "-m", module, *asked],
                env={"ENV_FILE": str(file), "PATH": "/usr/bin:/bin"},
                cwd=settings.ROOT, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert ran.returncode == 0, ran.stderr
        other = {"north": "south", "south": "north"}[name]
        for folder, was in before.items():
            now = contents(tmp_path / folder)
            assert {k: v for k, v in now.items() if k.startswith(other)} == {
                k: v for k, v in was.items() if k.startswith(other)
            }
            assert all(key.startswith(("north/", "south/")) for key in now)
    shutil.copy(UNITE, tmp_path)
    with duckdb.connect() as connection:
        text = UNITE.read_text(encoding="utf-8").replace("'published/", f"'{tmp_path}/published/")
        rows = connection.execute(text).fetchall()
    assert [(row[0], row[5]) for row in rows] == [("north", 0.1), ("south", 0.15)]
