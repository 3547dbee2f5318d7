"""The jobs: the declarations in each folder, and their table in docs/jobs.md."""

import csv
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest
import yaml

from activate import declarations
from activate.kinds import KINDS
from activate.records import JOBS as FOLDER
from activate.records import words_of
from common import settings
from privacy.firewall import DECLARABLE
from tests.small import PROJECT

VARS: Mapping[str, Any] = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]
JOBS: Mapping[str, Any] = VARS["jobs"]
SENT = [(job, kind) for job, its in JOBS.items() for kind in its["sends"]]
FACT = re.compile(r"^        (?:\[|\w+\()'(\w+)'", re.MULTILINE)  # in a model's facts_with_steps


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


def model_of(job: str, kind: str) -> str:
    return f"{job}__{kind}".replace("-", "_")


def declared(job: str, kind: str) -> Mapping[str, Any]:
    """Return the origins and facts in a job's YAML."""
    text = (FOLDER / declarations.file_of(job)).read_text(encoding="utf-8")
    (model,) = [one for one in yaml.safe_load(text)["models"] if one["name"] == model_of(job, kind)]
    meta: Mapping[str, Any] = model["config"]["meta"]
    return meta


@pytest.mark.parametrize(("job", "kind"), SENT)
def test_the_facts_of_a_jobs_sql_are_those_that_its_yaml_declares_and_its_words_lie_beside(
    job: str, kind: str
) -> None:
    sql = (FOLDER / job.replace("-", "_") / f"{model_of(job, kind)}.sql").read_text(encoding="utf-8")
    given = FACT.findall(sql.split("{{ facts_with_steps([\n")[1].split("\n    ]) }}")[0])
    assert given == list(declared(job, kind)["facts"])
    assert (FOLDER / words_of(kind, job)).is_file()


@pytest.mark.parametrize(("job", "kind"), SENT)
def test_a_fact_is_declared_with_its_type_and_the_column_that_it_comes_from(
    job: str, kind: str, manifest: Mapping[str, Any]
) -> None:
    meta = declared(job, kind)
    marts = {name: origin.get("mart", name) for name, origin in meta["origins"].items()}
    read = manifest["parent_map"][f"model.mavera_warehouse.{model_of(job, kind)}"]
    assert {f"model.mavera_warehouse.{mart}" for mart in marts.values()} <= set(read)
    assert set(declarations.Declared(_types(meta)).by_path().values()) <= DECLARABLE.keys()
    for name, fact in meta["facts"].items():
        origin, column = fact["from"].split(".")
        assert column in VARS if origin == "vars" else origin in marts, name
        assert not {*fact.get("earlier_names", ())} & meta["facts"].keys(), name
        assert fact.keys() <= {"type", "from", "interval", "earlier_names"}, name
    assert marts.keys() <= {fact["from"].split(".")[0] for fact in meta["facts"].values()}


def _types(meta: Mapping[str, Any]) -> dict[str, Any]:
    return {name: fact["type"] for name, fact in meta["facts"].items()}


@pytest.mark.parametrize("job", [job for job, kind in SENT if kind == "focus-groups"])
def test_a_study_declares_the_hypothesis_that_one_of_its_questions_decides(job: str) -> None:
    rule = declared(job, "focus-groups")["hypothesis"]
    assert rule.keys() == {
        "statement",
        "question",
        "confirmed_by",
        "above",
        "if_confirmed",
        "if_refuted",
    }
    study = tomllib.loads((FOLDER / words_of("focus-groups", job)).read_text(encoding="utf-8"))
    question = study["questions"][rule["question"] - 1]
    assert question["type"] == "MULTIPLE_CHOICE"
    assert 0 < len(rule["confirmed_by"]) < len(question["options"])
    assert {*rule["confirmed_by"]} <= {*question["options"]}
    assert 0 < rule["above"] < 1


@pytest.mark.parametrize("job", [job for job, kind in SENT if kind == "personas"])
def test_a_persona_says_each_of_its_facts(job: str) -> None:
    """Facts that groups are compared by are said where the list `apart` names them."""
    words = "".join(
        (FOLDER / path).read_text(encoding="utf-8")
        for path in (words_of("personas", job), "persona_words.j2")
    )
    unsaid = {fact for fact in declared(job, "personas")["facts"] if f"facts.{fact}" not in words}
    assert unsaid == set()


def test_the_families_of_contacts_have_texts_and_the_words_that_choose_them_are_whole() -> None:
    texts = tomllib.loads((FOLDER / "contact_groups" / "texts.toml").read_text(encoding="utf-8"))
    with (PROJECT / "seeds" / "contact_words.csv").open(encoding="utf-8", newline="") as file:
        words = list(csv.DictReader(file))
    for kind, of_kind in (("role", "roles"), ("industry", "industries")):
        families = {row["family"] for row in words if row["word_kind"] == kind}
        assert families == texts[of_kind].keys() - {"other"}
        shown = [row["shown_as"] for row in words if row["word_kind"] == kind and row["shown_as"]]
        assert len(shown) == len(set(shown))  # two groups of one name would be taken for one another
    assert [
        row["word"] for row in words if row["word"] != " ".join(re.findall(r"[^\W_]+", row["word"].lower()))
    ] == []
    for role, industries in texts["pairs"].items():
        assert role in texts["roles"]
        assert industries.keys() <= texts["industries"].keys()


@pytest.mark.parametrize("job", ["clv-tiers", "contact-groups", "device-geography", "viewer-clusters"])
def test_texts_that_people_edit_have_no_digits_and_a_section_for_any_group(job: str) -> None:
    text = (FOLDER / job.replace("-", "_") / "texts.toml").read_text(encoding="utf-8")
    texts = tomllib.loads(text)
    assert all(
        "other" in part for part in ([texts["roles"], texts["industries"]] if "roles" in texts else [texts])
    )
    assert [line for line in text.splitlines() if not line.startswith("#") and re.search(r"\d", line)] == []


def test_a_folder_holds_nothing_but_its_job() -> None:
    words = {(job, words_of(kind, job).split("/")[1]) for job, kind in SENT}
    for folder in FOLDER.iterdir():
        for file in folder.iterdir() if folder.is_dir() else ():
            its_own = file.name.removeprefix("_").startswith((f"{folder.name}.yml", f"{folder.name}__"))
            chosen = file.name in {"persona.toml", "names.toml", "texts.toml"}
            assert its_own or chosen or (folder.name.replace("_", "-"), file.name) in words, file


def models_of(job: str) -> list[str]:
    return [f"model.mavera_warehouse.{job}__{kind}".replace("-", "_") for kind in JOBS[job]["sends"]]


def above(manifest: Mapping[str, Any], unique_ids: list[str]) -> Iterator[str]:
    """Return the last part of the name of every upstream node of these models."""
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
