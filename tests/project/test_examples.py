"""The schedules of examples/: each is parsed or run by its own tool if that is installed."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import jinja2
import pytest
import yaml

from common import settings
from operate import query
from tests import needs

EXAMPLES = settings.ROOT / "examples"
THE_WAY = ["scheduled"]
# Both need other versions of the project's dependencies, so `.ci/run` gives them a separate environment.
SCHEDULERS = settings.ROOT / "build" / "schedulers" / "bin" / "python"
with_schedulers = pytest.mark.usefixtures("schedulers")


@pytest.fixture(scope="module")
def schedulers() -> None:
    if not SCHEDULERS.exists():
        needs.absent("Airflow and Dagster: .ci/run installs them in build/schedulers")


def text_of(name: str) -> str:
    return (EXAMPLES / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["crontab", "mavera-warehouse.service", "github_actions.yml"])
def test_a_schedule_takes_the_whole_way_in_order(name: str) -> None:
    (targets,) = re.findall(r"\bmake (?:--silent )?([a-z ]+)$", text_of(name), re.MULTILINE)
    assert targets.split() == THE_WAY


def test_the_notebooks_ask_what_the_copy_has(whole_warehouse: Path) -> None:
    """Their statements run here; docs/for-analysts.md says when the notebooks themselves were run."""
    cells = json.loads(text_of("notebook.ipynb"))["cells"]
    notebook = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    compile(notebook, "notebook.ipynb", "exec")
    assert all(not cell.get("outputs") for cell in cells)
    for text, count in ((notebook, 4), (text_of("notebook_marimo.py"), 2)):
        asked = re.findall(r'copy\.sql\(\s*"""(.*?)"""|copy\.sql\(\s*"([^"]+)"', text, re.DOTALL)
        assert len(asked) == count
        for statements in asked:
            assert query.ask(whole_warehouse, "".join(statements)).rows


@pytest.mark.parametrize("name", ["airflow_dag.py", "dagster_job.py", "notebook_marimo.py"])
def test_what_is_written_in_python_is_python(name: str) -> None:
    compile(text_of(name), name, "exec")


ADAPTERS = {
    "databricks": "databricks",
    "snowflake": "snowflake",
    "bigquery": "bigquery",
    "motherduck": "duckdb",
}


def test_profiles_of_other_engines_are_read_and_say_that_they_are_untested() -> None:
    profiles = yaml.safe_load(text_of("profiles.yml"))
    project = yaml.safe_load((settings.ROOT / "dbt_project" / "dbt_project.yml").read_text(encoding="utf-8"))
    outputs = profiles[project["profile"]]["outputs"]
    assert {name: output["type"] for name, output in outputs.items()} == ADAPTERS
    assert "UNTESTED" in text_of("profiles.yml").splitlines()[0]
    texts = [text for output in outputs.values() for text in output.values() if isinstance(text, str)]
    rendered = [jinja2.Template(text).render(env_var=lambda name, *_: f"<{name}>") for text in texts]
    from_environment = {name for text in rendered for name in re.findall("<(.*?)>", text)}
    assert {"DATABRICKS_TOKEN", "MOTHERDUCK_TOKEN", "SNOWFLAKE_PRIVATE_KEY_PATH"} <= from_environment


def test_every_target_of_the_way_exists() -> None:
    makefile = (settings.ROOT / "Makefile").read_text(encoding="utf-8")
    assert set(THE_WAY) <= set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))


# --- make scheduled ----------------------------------------------------------------------------------


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone whose Python records its arguments, and exits with the module's code in the file `codes`."""
    shutil.copy(settings.ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements.lock").touch()
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(
        '#!/bin/sh\nshift; echo "$*" >> asked\ncode=$(sed -n "s/^$1 //p" codes)\n'
        "[ \"$code\" != waits ] || { trap 'exit 1' TERM; touch waits; while :; do sleep 0.1; done; }\n"
        'exit "${code:-0}"\n',
        encoding="utf-8",
    )
    python.chmod(0o755)
    (tmp_path / ".venv" / ".ready").touch()
    (tmp_path / "codes").touch()
    return tmp_path


HEARTBEAT = ["common.runs"]
INGEST, SENT, RESULTS = ["ingest", "transform"], ["activate apply"], ["ingest mavera", "transform"]


@pytest.mark.parametrize(
    ("codes", "asked", "is_well"),
    [
        ("", [*INGEST, *SENT, *RESULTS, *HEARTBEAT], True),
        ("common.runs 1", [*INGEST, *SENT, *RESULTS, *HEARTBEAT], False),
        ("ingest 1", INGEST, False),
        ("ingest 2", ["ingest"], False),
        ("transform 1", INGEST, False),
        ("activate 1", [*INGEST, *SENT, *RESULTS], False),
        ("activate 2", [*INGEST, *SENT], False),
    ],
    ids=[
        "all well",
        "the heartbeat did not arrive",
        "a vendor failed",
        "nothing loaded",
        "a model failed",
        "a record failed",
        "nothing sent",
    ],
)
def test_a_schedule_goes_as_far_as_is_safe_and_keeps_the_failure(
    clone: Path, codes: str, asked: list[str], is_well: bool
) -> None:
    (clone / "codes").write_text(codes, encoding="utf-8")
    ran = subprocess.run(
        ["make", "--silent", "scheduled"], cwd=clone, capture_output=True, text=True, check=False
    )
    assert (clone / "asked").read_text(encoding="utf-8").splitlines() == asked
    assert (ran.returncode == 0) == is_well
    assert ("nothing was sent" in ran.stderr) == (codes == "ingest 1")


def test_a_schedule_that_is_stopped_ends_with_the_command_that_it_is_in(clone: Path) -> None:
    (clone / "codes").write_text("activate waits", encoding="utf-8")
    with subprocess.Popen(
        ["make", "--silent", "scheduled"], cwd=clone, stderr=subprocess.DEVNULL, start_new_session=True
    ) as made:
        while not (clone / "waits").exists():
            assert made.poll() is None
            time.sleep(0.05)
        os.killpg(made.pid, signal.SIGTERM)
    assert made.returncode != 0
    assert (clone / "asked").read_text(encoding="utf-8").splitlines() == [*INGEST, *SENT]


# --- cron --------------------------------------------------------------------------------------------


def cron_jobs() -> list[list[str]]:
    """Yield the five fields and the command of each line of the crontab."""
    lines = [line for line in text_of("crontab").splitlines() if line and not line.startswith("#")]
    return [line.split(maxsplit=5) for line in lines if not re.match(r"[A-Z]+=", line)]


def run_of_cron(number: int, project: Path) -> int:
    """Run one line of the crontab as cron does; return its exit code."""
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
        """Back up with an export that writes this and exits so; return the remaining copies."""
        python.write_text(f'#!/bin/sh\n[ ! -e "$5" ] && echo {text} > "$5"\nexit {code}\n', encoding="utf-8")
        python.chmod(0o755)
        assert run_of_cron(1, tmp_path) == code
        copies = sorted((tmp_path / "backup").glob("ledger-?.jsonl"))
        return [copy.read_text(encoding="utf-8").strip() for copy in copies]

    assert exports("first", 0) == ["first"]
    assert exports("half", 1) == ["first"]
    assert exports("second", 0) == ["second"]


# --- systemd, GitHub, Airflow, Dagster ---------------------------------------------------------------


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


PINNED = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40}")
WORKFLOWS = [EXAMPLES / "github_actions.yml", *(settings.ROOT / ".github" / "workflows").glob("*.yml")]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_pins_its_actions_by_commit_and_may_do_little(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(workflow["permissions"].values()) == {"read"}
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            assert "uses" not in step or PINNED.fullmatch(step["uses"])
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


def test_github_keeps_people_in_no_cache_and_in_no_artifact_that_is_not_encrypted() -> None:
    (job,) = yaml.safe_load(text_of("github_actions.yml"))["jobs"].values()
    used = [step["uses"].split("@")[0] for step in job["steps"] if "uses" in step]
    assert used == ["actions/checkout", "actions/setup-python", "actions/upload-artifact"]
    kept = job["steps"][-1]["with"]["path"]
    assert job["steps"][-2]["run"] == f"make backup BACKUP={kept}"


def test_github_loads_nothing_where_the_backup_with_forgotten_people_is_missing(tmp_path: Path) -> None:
    (job,) = yaml.safe_load(text_of("github_actions.yml"))["jobs"].values()
    names = [step.get("name", step.get("run")) for step in job["steps"]]
    place = names.index("Restore the newest backup")
    assert place < names.index("make scheduled")
    step = job["steps"][place]
    assert step["if"] == "${{ !inputs.first }}"
    stand_ins = {"gh": 'echo "$RUN"; echo "gh $*" >> calls', "make": 'echo "make $*" >> calls'}
    for name, script in stand_ins.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)

    def run(newest: str) -> tuple[subprocess.CompletedProcess[str], str]:
        (tmp_path / "calls").write_text("", encoding="utf-8")
        given = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "RUN": newest}
        command = ["bash", "-e", "-c", step["run"]]
        ran = subprocess.run(command, cwd=tmp_path, env=given, capture_output=True, text=True, check=False)
        return ran, (tmp_path / "calls").read_text(encoding="utf-8")

    without, calls = run("")
    assert without.returncode == 2
    assert without.stderr.startswith("error: no earlier run has left a backup")
    assert "make" not in calls
    found, calls = run("4711")
    assert found.returncode == 0
    assert "gh run download 4711 --name backup" in calls
    assert calls.endswith("make restore BACKUP=backup/mavera-warehouse.backup\n")


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
        "import runpy; module = runpy.run_path('job.py'); "
        "assert module['mavera_warehouse'].execute_in_process().success"
    )
    job = text_of("dagster_job.py").replace("/srv/mavera-warehouse", str(tmp_path))
    (tmp_path / "job.py").write_text(job, encoding="utf-8")
    environment = {"PATH": os.environ["PATH"]}
    subprocess.run([SCHEDULERS, "-c", code], cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert (tmp_path / "done").read_text(encoding="utf-8").split() == THE_WAY
