"""The container: its files, and its steps as far as they can run on a machine without a daemon."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from common import settings

ROOT = settings.ROOT
INSTRUCTIONS = {"FROM", "RUN", "WORKDIR", "COPY", "USER", "ENV", "VOLUME", "HEALTHCHECK", "CMD"}


def steps() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile with their arguments, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1].strip()) for line in lines]


def compose() -> Any:
    return yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


def test_the_container_runs_without_root_and_is_healthy_where_doctor_says_so() -> None:
    found = steps()
    assert {name for name, _ in found} == INSTRUCTIONS
    given = dict(found)
    assert given["USER"].isdigit()
    assert given["USER"] != "0"
    assert [name for name, _ in found].index("USER") < [name for name, _ in found].index("CMD")
    assert '"-m", "operate.doctor"]' in given["HEALTHCHECK"]
    assert given["CMD"] == '["make", "scheduled"]'
    assert ":" in given["FROM"]
    assert not given["FROM"].endswith(":latest")


def test_no_secret_and_no_data_gets_into_an_image() -> None:
    ignored = set((ROOT / ".dockerignore").read_text(encoding="utf-8").split())
    assert {".env", ".git", "data", "published", "backup", "build", ".venv"} <= ignored
    secrets = {name for name in settings.names() if name.endswith(("_KEY", "_TOKEN", "_URL", "_PASSPHRASE"))}
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert not [name for name in secrets if name in text]


def test_compose_keeps_the_ledger_on_a_server_and_its_password_in_a_file() -> None:
    described = compose()
    ledger, warehouse = described["services"]["ledger"], described["services"]["warehouse"]
    assert ledger["image"].startswith("postgres:")
    assert ledger["environment"]["POSTGRES_PASSWORD_FILE"] == "/run/secrets/ledger_password"
    assert ledger["volumes"] == ["ledger:/var/lib/postgresql/data"]
    assert {name for name in warehouse["environment"] if name not in settings.names()} == set()
    assert "LEDGER_URL_FILE" in warehouse["environment"]
    assert warehouse["depends_on"]["ledger"]["condition"] == "service_healthy"
    assert warehouse["healthcheck"]["test"][-1] == "operate.doctor"
    mounted = {volume.split(":")[0] for service in (ledger, warehouse) for volume in service["volumes"]}
    assert mounted == described["volumes"].keys()
    used = {name for service in (ledger, warehouse) for name in service["secrets"]}
    assert used == described["secrets"].keys()
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    assert {each["file"].split("/")[0] + "/" for each in described["secrets"].values()} <= set(ignored)


def test_the_steps_of_the_dockerfile_run(tmp_path: Path) -> None:
    """The folders, their owner and the mark, with stand-ins for steps that need a network or root."""
    calls = tmp_path / "calls"
    for name in ("apt-get", "useradd", "chown", "python3", "rm"):
        stand_in = tmp_path / "bin" / name
        stand_in.parent.mkdir(exist_ok=True)
        stand_in.write_text(f'#!/bin/sh\necho "{name} $*" >> {calls}\n', encoding="utf-8")
        stand_in.chmod(0o755)
    app = tmp_path / "app"
    (app / ".venv" / "bin").mkdir(parents=True)
    (app / ".venv" / "bin" / "python").symlink_to(tmp_path / "bin" / "python3")
    for name, argument in steps():
        if name == "COPY":
            source = argument.split()[0]
            assert (ROOT / source).exists(), source
        elif name == "RUN":
            path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
            subprocess.run(["sh", "-e", "-c", argument], cwd=app, env={"PATH": path}, check=True)
    said = calls.read_text(encoding="utf-8")
    assert "--no-deps --require-hashes -r requirements.lock" in said
    (owned,) = [line for line in said.splitlines() if line.startswith("chown")]
    for folder in ("data", "published", "build", "dbt_project/target"):
        assert (app / folder).is_dir()
        assert folder.split("/")[0] in shlex.split(owned)
    assert (app / ".venv" / ".ready").exists()


@pytest.mark.parametrize("name", ["data", "published"])
def test_what_must_survive_a_container_is_on_a_volume(name: str) -> None:
    assert f'"/app/{name}"' in dict(steps())["VOLUME"]
    assert f"{name}:/app/{name}" in compose()["services"]["warehouse"]["volumes"]
