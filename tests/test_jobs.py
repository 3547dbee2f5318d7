"""The jobs: the table of them that the README prints, and a new one made of SQL, YAML and words alone."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest
import yaml
from test_dbt_project import PROJECT, SMALL, create_raw, dbt

import settings
from activate.plan import KINDS

JOBS: Mapping[str, Any] = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"][
    "jobs"
]


class Row(NamedTuple):
    """A line of the README's table: the texts of its cells."""

    job: str
    vendor_data: str
    models: str
    mavera: str
    credits: str
    result: str


def named(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


@pytest.fixture(scope="module")
def table() -> dict[str, Row]:
    text = (settings.ROOT / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| `.*\|$", text.split("\n## Jobs\n")[1].split("\n## ")[0], re.MULTILINE)
    rows = [Row(*(cell.strip() for cell in line.strip("|").split("|"))) for line in lines]
    return {named(row.job).pop(): row for row in rows}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    folder = tmp_path_factory.mktemp("parsed")
    dbt(folder / "warehouse.duckdb", folder, "parse")
    read: Mapping[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return read


def models_of(job: str) -> list[str]:
    return [f"model.mavera_warehouse.{job}__{kind}".replace("-", "_") for kind in JOBS[job]["sends"]]


def above(manifest: Mapping[str, Any], unique_ids: list[str]) -> Iterator[str]:
    """Give the last part of the name of everything that these models come from."""
    for unique_id in unique_ids:
        yield unique_id.split(".")[-1]
        yield from above(manifest, manifest["parent_map"].get(unique_id, []))


def test_the_readme_names_every_job_in_the_order_of_the_switch(table: dict[str, Row]) -> None:
    assert list(table) == list(JOBS)


@pytest.mark.parametrize("job", JOBS)
def test_the_readme_says_where_a_job_gets_its_facts(
    job: str, table: dict[str, Row], manifest: Mapping[str, Any]
) -> None:
    lineage = set(above(manifest, models_of(job)))
    assert named(table[job].vendor_data)
    assert named(table[job].models)
    assert named(table[job].vendor_data) | named(table[job].models) <= lineage


@pytest.mark.parametrize("job", JOBS)
def test_the_readme_says_what_a_job_sends_and_at_what_price(job: str, table: dict[str, Row]) -> None:
    row = table[job]
    of_kind = {"personas": "persona", "analyses": "analys", "focus-groups": "focus group"}
    of_kind |= {"generations": "generation", "brand-voices": "brand voice"}
    assert {kind for kind, word in of_kind.items() if word in row.mavera} == set(JOBS[job]["sends"])
    assert all(str(KINDS[kind].create) in row.credits for kind in JOBS[job]["sends"])


@pytest.mark.parametrize("job", JOBS)
def test_the_readme_says_where_a_result_is_read(
    job: str, table: dict[str, Row], manifest: Mapping[str, Any]
) -> None:
    marts = {f"model.mavera_warehouse.{name}" for name in named(table[job].result)}
    assert len(marts) >= len(JOBS[job]["sends"])
    for mart in marts:
        assert manifest["nodes"][mart]["fqn"][1] == "marts"
        assert "ledger" in set(above(manifest, [mart]))


# --- a job of somebody's own -------------------------------------------------------------------------

OWN_SQL = """
select
    segment_id as entity,
    concat('Members: ', {{ label('segment_name') }}) as name,
    {{ json_build([
        ['segment', label('segment_name')],
        ['member_count', two_digits('member_count')],
    ]) }} as facts,
    member_count as person_count,
    {{ no_references() }} as reference_keys,
    measured_on
from {{ ref('dim_segments') }}
"""
OWN_YAML = """
version: 2
models:
  - name: segment_members__personas
    description: One row per segment.
"""
OWN_WORDS = "Somebody in the segment {{ facts.segment | said }}, one of {{ facts.member_count | count }}.\n"


def run(project: Path, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=project,
        env={
            "PATH": "/usr/bin:/bin",
            "DO_NOT_TRACK": "1",
            "MAVERA_API_KEY": "mvra_live_nobody_calls_with_this_one",
            "MAVERA_WORKSPACE_ID": "ws_mine",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_job_is_added_with_sql_yaml_and_words_and_another_is_switched_off(tmp_path: Path) -> None:
    project = tmp_path / "clone"
    for folder in ("activate", "dbt_project"):
        unneeded = shutil.ignore_patterns("target", "logs", "__pycache__")
        shutil.copytree(settings.ROOT / folder, project / folder, ignore=unneeded)
    for file in ("assumptions.py", "settings.py", "warehouse.py", "transform.py"):
        shutil.copy(settings.ROOT / file, project)
    jobs = project / "dbt_project" / "models" / "activation" / "jobs"
    (jobs / "segment_members__personas.sql").write_text(OWN_SQL, encoding="utf-8")
    (jobs / "segment_members.yml").write_text(OWN_YAML, encoding="utf-8")
    words = project / "activate" / "templates" / "segment_members"
    words.mkdir()
    (words / "persona.md.j2").write_text(OWN_WORDS, encoding="utf-8")
    config = project / "dbt_project" / "dbt_project.yml"
    text = config.read_text(encoding="utf-8")
    text = text.replace("\n  jobs:", "\n  jobs:\n    segment-members: {enabled: true, sends: [personas]}", 1)
    text = text.replace("    clv-tiers: {enabled: true,", "    clv-tiers: {enabled: false,")
    config.write_text(text, encoding="utf-8")
    warehouse = project / "data" / "warehouse.duckdb"
    warehouse.parent.mkdir()
    create_raw(warehouse)
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(SMALL)

    built = run(project, "transform")
    assert built.returncode == 0, built.stdout + built.stderr
    planned = run(project, "activate", "plan", "--json")
    assert planned.returncode == 0, planned.stdout + planned.stderr

    steps = {step["key"]: step for step in json.loads(planned.stdout)["steps"]}
    own = {key: step["people"] for key, step in steps.items() if key.startswith("personas/segment-members:")}
    assert sorted(own.values()) == [5, 20, 42, 43]
    assert not any(key.startswith("personas/clv-tiers:") for key in steps)
    shown = run(project, "activate", "explain", next(key for key, people in own.items() if people == 43))
    assert "segment Buyers, member_count 43\n" in shown.stdout
    assert "words     activate/templates/segment_members/persona.md.j2\n" in shown.stdout
