"""The files of `make new-job` and `make new-vendor`: they pass at once, and nothing is overwritten."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from common import settings
from operate import scaffold
from tests.small import take_parsed

STRUCTURE = (
    "test_jobs or begins or grain or described or contract or leads or layers or exposure or engine"
    " or threshold"
)


def cloned(folder: Path) -> Path:
    """Return a copy of the project without its environment and outputs."""
    unneeded = shutil.ignore_patterns(
        ".*", "build", "data", "published", "target", "logs", "__pycache__", "demos", "layouts"
    )
    shutil.copytree(settings.ROOT, folder / "clone", ignore=unneeded)
    shutil.copy(settings.ROOT / ".env.example", folder / "clone")
    take_parsed(folder / "clone" / "dbt_project")
    return folder / "clone"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    return cloned(tmp_path)


class Scaffolded(NamedTuple):
    """A clone with a new job of each kind and a new vendor, and the files that each command named."""

    clone: Path
    jobs: list[list[str]]
    vendor: list[str]


@pytest.fixture(scope="module")
def scaffolded(tmp_path_factory: pytest.TempPathFactory) -> Scaffolded:
    clone = cloned(tmp_path_factory.mktemp("scaffolded"))

    def written(*arguments: str) -> list[str]:
        ran = run(clone, "operate.scaffold", *arguments)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.splitlines()

    return Scaffolded(
        clone, [written("job", f"new-{kind}", kind) for kind in scaffold.SHOWN], written("vendor", "acme")
    )


def run(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=clone, capture_output=True, text=True, check=False
    )


def test_a_new_job_of_each_kind_and_a_new_vendor_pass_the_structural_tests_at_once(
    scaffolded: Scaffolded,
) -> None:
    of_jobs = ("test_jobs", "test_dbt_project", "test_models")
    of_vendors = ("project/test_vendors", "common/test_settings", "project/test_layout")
    files = (
        *(f"tests/transform/{name}.py" for name in of_jobs),
        *(f"tests/{name}.py" for name in of_vendors),
    )
    structure = f"test_vendors or test_settings or test_layout or {STRUCTURE}"
    passed = run(scaffolded.clone, "pytest", *files, "-k", structure)
    assert passed.returncode == 0, passed.stdout


def test_what_a_new_job_of_each_kind_leaves_to_do_is_marked(scaffolded: Scaffolded) -> None:
    for files in scaffolded.jobs:
        for line in files[:4]:
            assert "TODO" in (scaffolded.clone / line).read_text(encoding="utf-8"), line
    config = (scaffolded.clone / "dbt_project" / "dbt_project.yml").read_text(encoding="utf-8")
    assert config.count("{enabled: false, sends: [") == len(scaffold.SHOWN) == len(scaffolded.jobs)


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        (
            "Segment members",
            "personas",
            "NAME must be at most 40 lower-case letters and digits, in words joined",
        ),
        ("segment--members", "personas", "NAME must be "),
        ("../members", "personas", "NAME must be "),
        ("", "personas", "NAME must be "),
        ("x" * 41, "personas", "NAME must be "),
        (
            "segment-members",
            "persona",
            "KIND must be one of personas, brand-voices, analyses, focus-groups, ",
        ),
        ("segment-members", "", "KIND must be "),
        (
            "clv-tiers",
            "personas",
            "NAME=clv-tiers is taken: dbt_project/models/jobs/clv_tiers/_clv_tiers.yml has",
        ),
        ("report", "personas", "NAME=report is taken: dbt_project/models/"),
    ],
)
def test_a_name_that_cannot_be_or_is_taken_is_one_line_and_nothing_is_written(
    name: str, kind: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaffold, "write", lambda files: pytest.fail(f"writes {files.keys()}"))
    with pytest.raises(scaffold.ScaffoldError) as caught:
        scaffold.job(name, kind)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_there_is_not_written_over(clone: Path) -> None:
    folder = clone / "dbt_project" / "models" / "jobs" / "segment_members"
    folder.mkdir()
    (folder / "persona.md.j2").write_text("Mine.", encoding="utf-8")
    before = (clone / "docs" / "jobs.md").read_text(encoding="utf-8")
    refused = run(clone, "operate.scaffold", "job", "segment-members", "personas")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        "error: NAME=segment-members is taken: dbt_project/models/jobs/segment_members is there."
        " Choose another one\n"
    )
    assert [file.name for file in folder.iterdir()] == ["persona.md.j2"]
    assert (clone / "docs" / "jobs.md").read_text(encoding="utf-8") == before


def test_what_a_new_vendor_leaves_to_do_is_marked(scaffolded: Scaffolded) -> None:
    for line in scaffolded.vendor[:6]:
        is_plain = line.endswith((".sql", "reads.py"))
        assert is_plain or "TODO" in (scaffolded.clone / line).read_text(encoding="utf-8"), line


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Acme", "NAME must be at most 20 lower-case letters and digits, for example NAME=acme"),
        ("acme-shop", "NAME must be "),
        ("../acme", "NAME must be "),
        ("class", "NAME must be "),
        ("", "NAME must be "),
        ("a" * 21, "NAME must be "),
        ("klaviyo", "NAME=klaviyo is taken: ingest/vendors/klaviyo is there. Choose another one"),
        ("operations", "NAME=operations is taken: dbt_project/models/staging/operations is there."),
        ("notice", "NAME=notice is taken: NOTICE_URL is a setting. Choose another one"),
        ("ops", "NAME=ops is taken: raw_ops is a schema of our own. Choose another one"),
    ],
)
def test_a_vendors_name_that_cannot_be_or_is_taken_is_one_line_and_nothing_is_written(
    name: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaffold, "write", lambda files: pytest.fail(f"writes {files.keys()}"))
    with pytest.raises(scaffold.ScaffoldError) as caught:
        scaffold.vendor(name)
    assert str(caught.value).startswith(said)
