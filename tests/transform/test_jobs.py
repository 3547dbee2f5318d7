"""The jobs: the table of them in docs/jobs.md."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest
import yaml

from activate.kinds import KINDS
from common import settings
from tests.transform.test_dbt_project import PROJECT, dbt

JOBS: Mapping[str, Any] = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"][
    "jobs"
]


class Row(NamedTuple):
    """A line of the page's table: the texts of its cells."""

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
    text = (settings.ROOT / "docs" / "jobs.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| `.*\|$", text.split("\n## All jobs\n")[1].split("\n## ")[0], re.MULTILINE)
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


def test_the_page_names_every_job_in_the_order_of_the_switch(table: dict[str, Row]) -> None:
    assert list(table) == list(JOBS)


@pytest.mark.parametrize("job", JOBS)
def test_the_page_says_where_a_job_gets_its_facts(
    job: str, table: dict[str, Row], manifest: Mapping[str, Any]
) -> None:
    lineage = set(above(manifest, models_of(job)))
    assert named(table[job].vendor_data)
    assert named(table[job].models)
    assert named(table[job].vendor_data) | named(table[job].models) <= lineage


@pytest.mark.parametrize("job", JOBS)
def test_the_page_says_what_a_job_sends_and_at_what_price(job: str, table: dict[str, Row]) -> None:
    row = table[job]
    of_kind = {"personas": "persona", "analyses": "analys", "focus-groups": "focus group"}
    of_kind |= {"generations": "generation", "brand-voices": "brand voice"}
    assert {kind for kind, word in of_kind.items() if word in row.mavera} == set(JOBS[job]["sends"])
    assert all(str(KINDS[kind].terms.create) in row.credits for kind in JOBS[job]["sends"])


@pytest.mark.parametrize("job", JOBS)
def test_the_page_says_where_a_result_is_read(
    job: str, table: dict[str, Row], manifest: Mapping[str, Any]
) -> None:
    marts = {f"model.mavera_warehouse.{name}" for name in named(table[job].result)}
    assert len(marts) >= len(JOBS[job]["sends"])
    for mart in marts:
        assert manifest["nodes"][mart]["fqn"][1] == "marts"
        assert "ledger" in set(above(manifest, [mart]))
