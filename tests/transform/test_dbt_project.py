"""Rules for every model: names, grain, descriptions, contracts, layers, lineage and thresholds."""

import csv
import re
from collections.abc import Mapping
from typing import Any

import yaml

from tests.small import PROJECT
from transform import build as transform
from transform import docs, glossary, publish

# Words of a single engine: they belong in macros/engine.sql.
ENGINE = re.compile(
    r"\b(duckdb|spark|qualify|asof|exclude|pivot|timestamptz|varchar|hugeint|unnest|explode|list_\w+(?=\()|struct_pack"
    r"|named_struct|json_(?!text|build)\w+|get_json_object|collect_list|regexp_matches|rlike|strftime|epoch\w*"
    r"|array_agg)\b|::|//",
    re.IGNORECASE,
)

Node = Mapping[str, Any]


def layer(node: Node) -> str:
    return str(node["fqn"][1])


def test_every_model_begins_with_its_grain(models: list[Node]) -> None:
    assert [node["name"] for node in models if not node["description"].startswith("One row")] == []


def test_every_model_tests_its_grain_and_key(manifest: Mapping[str, Any], models: list[Node]) -> None:
    tested = {
        node["attached_node"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test" and node["test_metadata"]["name"] == "grain"
    }
    single_row = {"agg_engagement_rates"}
    # The rows of a job's own model get their key, and their test, in the model of its kind.
    others = [node for node in models if node["config"]["materialized"] != "ephemeral"]
    assert {node["name"] for node in others if node["unique_id"] not in tested} == single_row


def test_every_column_and_source_table_is_described(manifest: Mapping[str, Any], models: list[Node]) -> None:
    described = [*models, *manifest["sources"].values()]
    assert [node["name"] for node in described if not node["description"].strip()] == []
    columns = [(node["name"], column) for node in models for column in node["columns"].values()]
    assert [(model, column["name"]) for model, column in columns if not column["description"].strip()] == []


def test_every_seed_is_described_and_tests_its_key(manifest: Mapping[str, Any]) -> None:
    nodes = manifest["nodes"].values()
    seeds = [node for node in nodes if node["resource_type"] == "seed"]
    tested = {
        node["attached_node"]
        for node in nodes
        if node["resource_type"] == "test" and node["test_metadata"]["name"] == "grain"
    }
    assert {node["unique_id"] for node in seeds} <= tested
    for node in seeds:
        with (PROJECT / node["original_file_path"]).open(encoding="utf-8", newline="") as file:
            header = next(csv.reader(file))
        assert node["description"].startswith("One row"), node["name"]
        assert list(node["columns"]) == header, node["name"]
        assert all(column["description"].strip() for column in node["columns"].values()), node["name"]


def test_every_mart_says_what_it_answers_and_what_it_must_not_be_used_for(models: list[Node]) -> None:
    """`questions` and `not_for` in a mart's meta; those that only the report reads (`rpt_`) need neither."""
    for node in models:
        if layer(node) == "marts" and not node["name"].startswith("rpt_"):
            meta = node["config"]["meta"]
            assert meta.get("questions"), f'{node["name"]} lacks meta questions: ["Which …?"]'
            assert all(question.endswith("?") for question in meta["questions"]), node["name"]
            said = meta.get("not_for", "")
            assert len(said) > 10, f"{node['name']} lacks meta not_for"
            assert not said.endswith("."), (
                f"{node['name']}: not_for completes the sentence 'Do not use it for …'"
            )


def test_the_glossary_is_current_and_its_terms_are_shared_with_dbt(manifest: Mapping[str, Any]) -> None:
    assert glossary.PAGE.read_text(encoding="utf-8") == glossary.render(), "make docs renews it"
    blocks = {doc["name"] for doc in manifest["docs"].values() if doc["name"].startswith("term_")}
    assert len(blocks) == len({term for _, term, _ in glossary.terms()}) > 40
    models = (PROJECT / "models").rglob("*.yml")
    named = {name for path in models for name in re.findall(r"doc\('(term_\w+)'\)", path.read_text("utf-8"))}
    assert named
    assert named <= blocks


def test_the_dictionary_is_current(manifest: Mapping[str, Any]) -> None:
    assert docs.DICTIONARY.read_text(encoding="utf-8") == docs.render(manifest), "make docs renews it"


def test_every_mart_and_sync_model_keeps_a_contract(models: list[Node]) -> None:
    for node in models:
        if layer(node) in {"marts", "activation"} and node["config"]["materialized"] != "ephemeral":
            assert node["config"]["contract"]["enforced"], node["name"]
            assert all(column["data_type"] for column in node["columns"].values()), node["name"]


# A model's layer is the prefix of its name; models for Mavera are named after the job or the kind.
PREFIXES = {
    "staging": ("stg_",),
    "intermediate": ("int_",),
    "marts": ("dim_", "fct_", "agg_", "rpt_"),
    "activation": ("sync_mavera__", "fct_", "rpt_"),
}


def test_every_name_begins_with_its_layer(models: list[Node]) -> None:
    named = [node for node in models if node["config"]["materialized"] != "ephemeral"]
    assert [node["name"] for node in named if not node["name"].startswith(PREFIXES[layer(node)])] == []


def test_every_mart_with_a_row_per_person_is_marked(models: list[Node]) -> None:
    marts = [node for node in models if node["schema"] == "marts"]
    by_key = {node["name"] for node in marts if {*transform.PERSONAL_KEYS} & {*node["columns"]}}
    assert {node["name"] for node in marts if node["config"]["meta"].get("people")} == by_key
    assert len(by_key) >= 5


def test_every_group_of_people_that_is_withheld_exists_with_its_counts(models: list[Node]) -> None:
    cohorts = {node["name"]: node for node in models if "cohort" in node["config"]["meta"]}
    assert len(cohorts) >= 9
    for name, node in cohorts.items():
        assert node["schema"] == "marts"
        assert {*node["config"]["meta"]["cohort"]} <= {*node["columns"]}, name


def test_money_stands_beside_its_currency_and_shares_are_no_percentages(models: list[Node]) -> None:
    money = re.compile(r"(clv|price|revenue|order_value|value_amount|returned_amount)(_per_recipient)?$")
    for node in models:
        if layer(node) == "marts" and any(money.search(name) for name in node["columns"]):
            assert "currency" in node["columns"], node["name"]
    columns = {column for node in models for column in node["columns"]}
    assert {name for name in columns if re.search(r"_(usd|eur|dollars|euros)(_|$)", name)} == set()
    assert {name for name in columns if "percent" in name} == {"served_percent_viewed"}


def test_every_model_leads_to_a_mart_or_an_exposure(manifest: Mapping[str, Any], models: list[Node]) -> None:
    children = manifest["child_map"]

    def arrives(unique_id: str) -> bool:
        node = manifest["nodes"].get(unique_id)
        if unique_id.startswith("exposure.") or (node and layer(node) in {"marts", "activation"}):
            return True
        return any(
            arrives(child) for child in children[unique_id] if child.split(".")[0] in {"model", "exposure"}
        )

    assert [node["name"] for node in models if not arrives(node["unique_id"])] == []
    assert [source for source in manifest["sources"] if not arrives(source)] == []


def test_layers_read_only_the_layers_before_them(models: list[Node]) -> None:
    allowed = {
        "staging": {"source"},
        "intermediate": {"seed", "staging", "intermediate"},
        "marts": {"seed", "staging", "intermediate", "marts"},
        "jobs": {"marts"},
        "activation": {"marts", "jobs", "activation"},
    }
    layers = {node["unique_id"]: layer(node) for node in models}
    for node in models:
        read = {layers.get(parent, parent.split(".")[0]) for parent in node["depends_on"]["nodes"]}
        findings = {"jobs"} if node["name"] == "rpt_job_findings" else set()  # each job has its own
        assert read <= allowed[layer(node)] | findings, node["name"]
        if layer(node) == "staging" and node["name"] != "stg_operations__unread_values":
            assert len(node["depends_on"]["nodes"]) == 1, node["name"]


def test_every_job_ends_in_an_exposure_that_names_its_models(manifest: Mapping[str, Any]) -> None:
    applications = (one for one in manifest["exposures"].values() if one["type"] == "application")
    exposures = {exposure["name"]: exposure for exposure in applications}
    folders = {path.name for path in (PROJECT / "models" / "jobs").iterdir() if path.is_dir()}
    jobs = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]["jobs"]
    assert exposures.keys() == folders == {job.replace("-", "_") for job in jobs}
    for job, its in jobs.items():
        sent = {f"model.mavera_warehouse.{job}__{kind}".replace("-", "_") for kind in its["sends"]}
        assert sent <= set(exposures[job.replace("-", "_")]["depends_on"]["nodes"])
    for exposure in exposures.values():
        assert exposure["url"].startswith("https://app.mavera.io")
        assert exposure["owner"]["name"]


def test_no_model_speaks_to_one_engine(models: list[Node]) -> None:
    def sql(node: Node) -> str:
        return re.sub(r"--.*", "", node["raw_code"])

    assert {node["name"]: found[0] for node in models if (found := ENGINE.search(sql(node)))} == {}


def test_every_threshold_is_used_and_no_other_is(manifest: Mapping[str, Any]) -> None:
    written = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"].keys()
    code = " ".join(
        node.get("raw_code") or node.get("macro_sql") or ""
        for node in [*manifest["nodes"].values(), *manifest["macros"].values()]
        if node["package_name"] == "mavera_warehouse"
    )
    assert set(re.findall(r"var\('(\w+)'", code)) == written


def test_a_model_with_addresses_is_in_no_schema_that_is_published(models: list[Node]) -> None:
    addressed = [node for node in models if "email" in node["columns"]]
    assert "fct_viewer_follow_ups" in {node["name"] for node in addressed}
    assert not [node["name"] for node in addressed if node["schema"] in publish.PUBLISHED_SCHEMAS]


def test_every_schema_of_the_models_is_made_anew_when_somebody_is_forgotten(models: list[Node]) -> None:
    assert {node["schema"] for node in models} == set(transform.MODEL_SCHEMAS)
