"""The environment that every make target creates first, with and without uv, venv or a recent Python."""

import shutil
import subprocess
from pathlib import Path

import pytest

from common import settings

OLD = "#!/bin/sh\nexit 1\n"
# A Python that records its calls and makes, as venv would, a copy of itself.
GOOD = """#!/bin/sh
echo "python $*" >> "{log}"
case "$*" in
  *sys.executable*) echo /usr/bin/python3 ;;
  "-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
esac
"""
WITHOUT_VENV = '#!/bin/sh\ncase "$*" in *ensurepip*) exit 1 ;; esac\n'
UV = """#!/bin/sh
echo "uv $*" >> "{log}"
[ "$1" = venv ] && mkdir -p .venv/bin
exit 0
"""
SHIM = "#!/bin/sh\necho 'uv: no version is set' >&2\nexit 127\n"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    for name in ("Makefile", "requirements.lock"):
        shutil.copy(settings.ROOT / name, tmp_path / name)
    return tmp_path


def make(clone: Path, *, python: str, uv: str | None) -> tuple[int, str, str]:
    """Make the environment with stand-ins; return the exit code, the output, and the stand-ins' calls."""
    log = clone / "calls"
    arguments = []
    for variable, script in (("PYTHON", python), ("UV", uv)):
        path = clone / variable.lower()
        if script:
            path.write_text(script.replace("{log}", str(log)), encoding="utf-8")
            path.chmod(0o755)
        arguments.append(f"{variable}={path if script else ''}")
    command = ["make", "-C", str(clone), *arguments, ".venv/.ready"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    return ran.returncode, ran.stderr, log.read_text(encoding="utf-8") if log.exists() else ""


def test_uv_is_used_where_it_runs(clone: Path) -> None:
    code, _, calls = make(clone, python=GOOD, uv=UV)
    assert code == 0
    assert "uv pip sync --quiet --python .venv/bin/python --require-hashes requirements.lock" in calls
    assert "-m venv" not in calls


@pytest.mark.parametrize("uv", [None, SHIM], ids=["no uv", "a shim that only fails"])
def test_pip_installs_the_same_lock_where_uv_does_not_run(clone: Path, uv: str | None) -> None:
    code, _, calls = make(clone, python=GOOD, uv=uv)
    assert code == 0
    assert "--no-deps --require-hashes -r requirements.lock" in calls
    assert (clone / ".venv" / ".ready").exists()


def test_a_half_made_environment_is_removed_first(clone: Path) -> None:
    left_over = clone / ".venv" / "left-over"
    left_over.mkdir(parents=True)
    assert make(clone, python=GOOD, uv=None)[0] == 0
    assert not left_over.exists()


def test_an_old_python_is_named_with_the_way_on(clone: Path) -> None:
    code, said, _ = make(clone, python=OLD, uv=None)
    assert code == 2
    assert "error: Python 3.11 or newer is needed" in said
    assert "Try: make PYTHON=python3.11 .venv/.ready" in said


def test_a_missing_venv_module_is_named_with_the_way_on(clone: Path) -> None:
    code, said, _ = make(clone, python=WITHOUT_VENV, uv=None)
    assert code == 2
    assert (
        "has no venv module. Install it (Debian, Ubuntu: sudo apt install python3-venv) or install uv" in said
    )


@pytest.mark.parametrize(
    ("asked", "run"), [([], '-m operate.query "$Q"'), (["AS=csv"], '-m operate.query "$Q" --csv')]
)
def test_make_asks_a_question_as_it_is_told(asked: list[str], run: str) -> None:
    # `make test` runs this under a make of its own, which would print the directories it enters.
    command = ["make", "--no-print-directory", "--dry-run", "query", "Q=queries/at_risk.sql", *asked]
    printed = subprocess.run(command, cwd=settings.ROOT, capture_output=True, text=True, check=True).stdout
    assert printed.rstrip().endswith(run)


def test_make_asks_no_question_in_a_form_that_there_is_none_of() -> None:
    command = ["make", "--no-print-directory", "--dry-run", "query", "Q=select 1", "AS=xml"]
    ran = subprocess.run(command, cwd=settings.ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "AS is csv, json or vertical, and a table where it is left out, but it is xml" in ran.stderr
