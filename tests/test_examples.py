"""The schedules of examples/: each is read or run by its own tool where that is installed."""

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

import pseudonyms
import settings
from ingest.people import Forgotten

EXAMPLES = settings.ROOT / "examples"
THE_WAY = ["ingest", "transform", "activate", "results"]
# Both need other versions of what the project needs, so `.ci/run` gives them an environment of their own.
SCHEDULERS = settings.ROOT / "build" / "schedulers" / "bin" / "python"
with_schedulers = pytest.mark.skipif(
    not SCHEDULERS.exists(),
    reason="Airflow and Dagster are not installed: .ci/run does it, in build/schedulers",
)


def text_of(name: str) -> str:
    return (EXAMPLES / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["crontab", "mavera-warehouse.service", "github_actions.yml"])
def test_a_schedule_takes_the_whole_way_in_order(name: str) -> None:
    (targets,) = re.findall(r"\bmake (?:--silent )?([a-z ]+)$", text_of(name), re.MULTILINE)
    assert targets.split() == THE_WAY


@pytest.mark.parametrize("name", ["airflow_dag.py", "dagster_job.py"])
def test_what_is_written_in_python_is_python(name: str) -> None:
    compile(text_of(name), name, "exec")


def test_every_target_of_the_way_exists() -> None:
    makefile = (settings.ROOT / "Makefile").read_text(encoding="utf-8")
    assert set(THE_WAY) <= set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))


def cron_jobs() -> list[list[str]]:
    """Give the five fields and the command of each line of the crontab."""
    lines = [line for line in text_of("crontab").splitlines() if line and not line.startswith("#")]
    return [line.split(maxsplit=5) for line in lines if not re.match(r"[A-Z]+=", line)]


def run_of_cron(number: int, project: Path) -> int:
    """Run one line of the crontab as cron does; return its code."""
    command = cron_jobs()[number][-1].replace("\\%", "%")
    environment = {"PROJECT": str(project), "PATH": os.environ["PATH"]}
    return subprocess.run(["sh", "-c", command], cwd="/", env=environment, check=False).returncode


def test_cron_has_five_fields_before_each_command() -> None:
    assert len(cron_jobs()) == 2
    for *fields, command in cron_jobs():
        assert all(re.fullmatch(r"[\d*,/-]+", field) for field in fields)
        assert command.startswith('cd "$PROJECT" && ')
        assert not re.search(r"(?<!\\)%", command), "cron ends a command at a bare %"


@pytest.mark.skipif(not shutil.which("flock"), reason="flock is not installed here")
def test_cron_runs_in_a_clone_that_has_no_data_yet(tmp_path: Path) -> None:
    targets = " ".join(THE_WAY)
    (tmp_path / "Makefile").write_text(f"{targets}:\n\t@echo $@ >> done\n", encoding="utf-8")
    assert run_of_cron(0, tmp_path) == 0
    assert (tmp_path / "done").read_text(encoding="utf-8").split() == THE_WAY


def test_cron_keeps_the_old_copy_of_the_ledger_until_there_is_a_new_one(tmp_path: Path) -> None:
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)

    def exports(text: str, code: int) -> list[str]:
        """Back up with an export that writes this and ends so; return the copies that stand."""
        python.write_text(f'#!/bin/sh\n[ ! -e "$5" ] && echo {text} > "$5"\nexit {code}\n', encoding="utf-8")
        python.chmod(0o755)
        assert run_of_cron(1, tmp_path) == code
        copies = sorted((tmp_path / "backup").glob("ledger-?.jsonl"))
        return [copy.read_text(encoding="utf-8").strip() for copy in copies]

    assert exports("first", 0) == ["first"]
    assert exports("half", 1) == ["first"]
    assert exports("second", 0) == ["second"]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed here")
def test_systemd_takes_service_and_timer(tmp_path: Path) -> None:
    for name in ("mavera-warehouse.service", "mavera-warehouse.timer"):
        unit = (
            text_of(name).replace("/srv/mavera-warehouse", str(tmp_path)).replace("User=mavera", "User=root")
        )
        (tmp_path / name).write_text(
            unit.replace("/usr/bin/make", shutil.which("make") or ""), encoding="utf-8"
        )
    ran = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "mavera-warehouse.timer")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    complaints = [line for line in ran.stderr.splitlines() if "mavera-warehouse" in line]
    assert complaints == []


def test_github_gets_settings_that_exist_and_keeps_no_ledger_in_a_cache() -> None:
    workflow = yaml.safe_load(text_of("github_actions.yml"))
    (job,) = workflow["jobs"].values()
    assert {name.lower() for name in job["env"]} <= set(settings.Settings.model_fields)
    assert "secrets.LEDGER_URL" in job["env"]["LEDGER_URL"]
    assert workflow["concurrency"]["cancel-in-progress"] is False


def test_github_loads_nothing_without_those_who_asked_to_be_forgotten(tmp_path: Path) -> None:
    (job,) = yaml.safe_load(text_of("github_actions.yml"))["jobs"].values()
    order = [step.get("uses", step.get("name", step.get("run"))) for step in job["steps"]]
    brought = order[order.index("actions/cache/restore@v4") + 1]
    assert brought == "Bring back who asked to be forgotten", "the secrets win over what the cache has"
    step = job["steps"][order.index(brought)]
    assert step["env"] == {name: f"${{{{ secrets.{name} }}}}" for name in ("FORGOTTEN", "SALT")}

    def run(**secrets: str) -> subprocess.CompletedProcess[str]:
        given = {"PATH": os.environ["PATH"], "FORGOTTEN": "", "SALT": "", **secrets}
        command = ["bash", "-e", "-c", step["run"]]
        return subprocess.run(command, cwd=tmp_path, env=given, capture_output=True, text=True, check=False)

    without = run()
    assert (without.returncode, without.stdout) == (2, "")
    assert without.stderr.startswith("error: the secret FORGOTTEN is not set")
    assert not (tmp_path / "data").exists()
    assert run(FORGOTTEN="{}").returncode == 0
    assert len(Forgotten(tmp_path / "data" / "forgotten.json")) == 0
    assert not (tmp_path / "data" / "salt").exists()
    kept = tmp_path / "kept.json"
    Forgotten(kept).add(["ada@example.com"], datetime(2026, 11, 21, tzinfo=UTC))
    assert run(FORGOTTEN=kept.read_text(encoding="utf-8"), SALT="c0ffee\n").returncode == 0
    assert len(Forgotten(tmp_path / "data" / "forgotten.json")) == 1
    assert pseudonyms.salt(tmp_path / "data" / "salt").hex() == "c0ffee"


@with_schedulers
def test_airflow_reads_the_dag(tmp_path: Path) -> None:
    code = "import runpy; print(*runpy.run_path('airflow_dag.py')['dag'].topological_sort(), sep='\\n')"
    ran = subprocess.run(
        [SCHEDULERS, "-c", code],
        cwd=EXAMPLES,
        env={"AIRFLOW_HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.findall(r"BashOperator\): (\w+)", ran.stdout) == THE_WAY


@with_schedulers
def test_dagster_runs_the_job(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(
        "".join(f"{target}:\n\t@echo {target} >> done\n" for target in THE_WAY), encoding="utf-8"
    )
    code = (
        "import runpy; module = runpy.run_path('dagster_job.py', {'__name__': 'job'}); "
        f"module['step'].__globals__['PROJECT'] = {str(tmp_path)!r}; "
        "assert module['mavera_warehouse'].execute_in_process().success"
    )
    environment = {"PATH": os.environ["PATH"]}
    subprocess.run([SCHEDULERS, "-c", code], cwd=EXAMPLES, env=environment, capture_output=True, check=True)
    assert (tmp_path / "done").read_text(encoding="utf-8").split() == THE_WAY
