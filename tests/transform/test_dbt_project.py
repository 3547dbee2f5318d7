"""Rules for every model, and the models' results over rows that can be counted by hand."""

import csv
import hashlib
import hmac
import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from privacy import pseudonyms
from tests import activation
from tests.small import PROJECT, create_raw, dbt, parsed
from transform import build as transform
from transform import docs, publish

# Words of a single engine: they belong in macros/engine.sql.
ENGINE = re.compile(
    r"\b(duckdb|spark|qualify|asof|exclude|pivot|timestamptz|varchar|hugeint|unnest|explode|list_\w+(?=\()|struct_pack"
    r"|named_struct|json_(?!text|build)\w+|get_json_object|collect_list|regexp_matches|rlike|strftime|epoch\w*"
    r"|array_agg)\b|::|//",
    re.IGNORECASE,
)

Node = Mapping[str, Any]


# --- the project's files -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    return parsed(tmp_path_factory.mktemp("parsed"))


@pytest.fixture(scope="module")
def models(manifest: Mapping[str, Any]) -> list[Node]:
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]


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


def earlier_names(models: list[Node]) -> dict[str, str]:
    """Return the names of models in the previous version, by their current names."""
    return {
        node["name"]: node["config"]["meta"]["earlier_name"]
        for node in models
        if "earlier_name" in node["config"]["meta"]
    }


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


# --- results -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse in which ingest made its tables and found nothing, built with the unit tests."""
    warehouse = tmp_path_factory.mktemp("empty") / "warehouse.duckdb"
    create_raw(warehouse)
    dbt(warehouse, warehouse.parent / "target", "build")
    return warehouse


def test_an_empty_warehouse_builds_and_every_unit_test_passes(empty: Path) -> None:
    results = json.loads((empty.parent / "target" / "run_results.json").read_text(encoding="utf-8"))[
        "results"
    ]
    assert {result["status"] for result in results} == {"success", "pass", "no-op"}
    with duckdb.connect(str(empty), read_only=True) as connection:
        asked = connection.execute(
            "select count(*) from activation.sync_mavera__personas"
            " union all select count(*) from activation.sync_mavera__analyses"
        ).fetchall()
        sizes = connection.execute(
            "select sum(viewer_count), count(*) from marts.agg_viewer_clusters"
        ).fetchall()
    assert asked == [(0,), (0,)]
    assert sizes == [(0, 5)]


def test_a_row_of_the_future_makes_no_source_fresh(tmp_path: Path) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    create_raw(warehouse)
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("""
            insert into raw_klaviyo.events (id, datetime) values
                ('old', '2026-01-01 10:00:00+00'), ('odd', '9999-12-31 00:00:00+00');
            insert into raw_sendgrid.global_stats (date) values ('2026-01-01'), ('9999-12-31');
        """)
    tables = ["source:raw_klaviyo.events", "source:raw_sendgrid.global_stats"]
    dbt(warehouse, tmp_path / "target", "source", "freshness", "--select", *tables)
    found = json.loads((tmp_path / "target" / "sources.json").read_text(encoding="utf-8"))["results"]
    newest = {result["max_loaded_at"] for result in found}
    assert {text[:10] for text in newest} == {"2026-01-01"}
    assert {result["status"] for result in found} == {"warn"}


def test_the_columns_built_are_the_columns_described(empty: Path, models: list[Node]) -> None:
    with duckdb.connect(str(empty), read_only=True) as connection:
        built = connection.execute(
            "select table_name, list(column_name order by ordinal_position) from information_schema.columns"
            " where table_schema in ('staging', 'intermediate', 'marts', 'addressed', 'activation')"
            " group by 1"
        ).fetchall()
    kept = [node for node in models if node["config"]["materialized"] != "ephemeral"]
    described = {node["name"]: list(node["columns"]) for node in kept}
    earlier = {earlier: described[name] for name, earlier in earlier_names(models).items()}
    assert described | earlier == dict(built)


def test_a_query_of_an_earlier_version_finds_the_same_rows(
    small: duckdb.DuckDBPyConnection, models: list[Node]
) -> None:
    schemas = {node["name"]: node["schema"] for node in models}
    renamed = earlier_names(models)
    assert len(renamed) >= 35
    for name, earlier in renamed.items():
        before, after = f"{schemas[name]}.{earlier}", f"{schemas[name]}.{name}"
        (kind,) = small.execute(
            "select table_type from information_schema.tables where table_schema || '.' || table_name = ?",
            [before],
        ).fetchone() or ("missing",)
        assert kind == "VIEW", before
        assert small.execute(f"from {before}").fetchall() == small.execute(f"from {after}").fetchall()


@pytest.fixture(scope="module")
def small(small_warehouse: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The models over rows that can be counted by hand."""
    with duckdb.connect(str(small_warehouse), read_only=True) as connection:
        yield connection


def test_each_job_declares_exactly_the_facts_that_its_models_give(small: duckdb.DuckDBPyConnection) -> None:
    differ, met = activation.misdeclared(small)
    assert differ == []
    assert len(met) >= 11


def facts(connection: duckdb.DuckDBPyConnection, model: str, record_key: str) -> dict[str, Any]:
    row = connection.execute(
        f"select facts from activation.sync_mavera__{model} where record_key = ?", [record_key]
    ).fetchone()
    assert row
    found: dict[str, Any] = json.loads(row[0])
    return found


def numbers(value: Any, path: str = "") -> Iterator[str]:
    """Yield the path of each number in nested facts."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from numbers(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for inner in value:
            yield from numbers(inner, f"{path}[]")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path


def test_every_number_that_drifts_has_a_step_in_which_it_moves(small: duckdb.DuckDBPyConnection) -> None:
    """Numbers without a step are thresholds, and counts of things that are few and stable."""
    without: set[str] = set()
    for model in ("personas", "analyses", "focus_groups", "brand_voices", "generations"):
        for facts, steps in small.execute(
            f"select facts, fact_steps from activation.sync_mavera__{model}"
        ).fetchall():
            moves = json.loads(steps)
            assert all(step is None or step > 0 for step in moves.values())
            without |= {path for path in numbers(json.loads(facts)) if path not in moves}
    things = {"media", "segment", "small_segment", "pair"}
    things |= {f"{who}_{what}" for who in ("email", "sms", "tied") for what in ("click", "conversion")}
    thresholds = {"near_duplicate_from", "contained_from", "tier_from_share", "tier_to_share", "window_days"}
    thresholds |= {f"rule.{name}" for name in ("media_count_from", "media_count_to")}
    thresholds |= {f"rule.{name}" for name in ("watched_share_from", "watched_share_below")}
    assert without == thresholds | {f"{thing}_count" for thing in things}


def test_viewers_fall_into_the_clusters_counted_by_hand(small: duckdb.DuckDBPyConnection) -> None:
    viewers = small.execute(
        "select viewer_id, viewer_cluster, media_count, session_count, watched_share, country, is_identified"
        " from marts.dim_viewers order by 1"
    ).fetchall()
    assert viewers == [
        ("v1", "binge_watchers", 5, 6, 0.8, "CA", True),
        ("v2", "engaged_explorers", 3, 3, 0.5, "US", False),
        ("v3", "bouncers", 1, 1, 0.2, "US", False),
        ("v4", "skimmers", 2, 2, 0.4, "US", True),
        ("v5", "casual_viewers", 1, 1, 0.3, None, False),
    ]


def test_one_address_is_one_person_across_vendors(small: duckdb.DuckDBPyConnection) -> None:
    people = small.execute(
        "select viewer_count, customer_count, contact_count, has_wistia, has_klaviyo, has_sendgrid, count(*)"
        " from marts.dim_people group by all order by all"
    ).fetchall()
    assert people == [
        (0, 0, 1, False, False, True, 49),
        (0, 1, 0, False, True, False, 58),
        (2, 1, 1, True, True, True, 1),
    ]
    same = small.execute(
        "select viewer_id, customer_id"
        " from marts.dim_viewers join marts.dim_customers using (person_id) order by 1"
    ).fetchall()
    assert same == [("v1", "p100"), ("v4", "p100")]


def test_a_person_id_is_nothing_without_the_salt(small: duckdb.DuckDBPyConnection) -> None:
    (folder,) = {
        Path(path).parent
        for (path,) in small.execute("select path from duckdb_databases() where path is not null").fetchall()
    }
    salt = pseudonyms.salt(folder / "salt")
    people = small.execute("select person_id, email from intermediate.int_people_matched").fetchall()
    assert {person for person, _ in people} == {pseudonyms.person_id(salt, email) for _, email in people}
    whole = {
        digest
        for _, email in people
        for name in ("md5", "sha1", "sha256")
        for digest in (
            hashlib.new(name, email.encode()).hexdigest(),
            hmac.digest(b"", email.encode(), name).hex(),
        )
    }
    assert {digest[:32] for digest in whole}.isdisjoint(person for person, _ in people)


def test_nothing_that_dbt_writes_holds_the_salt_or_the_key_of_it(small: duckdb.DuckDBPyConnection) -> None:
    ((path,),) = small.execute("select path from duckdb_databases() where path is not null").fetchall()
    salt = pseudonyms.salt(Path(path).with_name("salt"))
    keys = [salt, pseudonyms.person_key(salt)]
    forms = [form for key in keys for form in (key, key.hex().encode(), repr(key)[2:-1].encode())]
    written = [file for file in Path(path).parent.rglob("*") if file.is_file() and file.name != "salt"]
    assert {"manifest.json", "run_results.json", "dim_people.sql"} <= {file.name for file in written}
    assert [file for file in written if any(form in file.read_bytes() for form in forms)] == []


def test_contacts_are_grouped_by_role_and_industry_however_they_spell_them(
    small: duckdb.DuckDBPyConnection,
) -> None:
    groups = small.execute(
        "select contact_group, contact_count, grouped_contact_count, total_contact_count, is_small_group,"
        " is_selected from marts.agg_contact_groups order by size_position"
    ).fetchall()
    assert groups == [
        ("sales/retail", 30, 42, 50, False, True),
        ("marketing/retail", 12, 42, 50, True, False),
    ]
    assert facts(small, "personas", "contact-groups:sales/retail") == {
        "role": "sales",
        "industry": "retail",
        "contact_count": 30,
        "grouped_contact_count": 42,
        "ungrouped_contact_count": 8,
        "share_of_contacts": 0.71,  # 30 of 42
        "share_low": 0.56,
        "share_high": 0.83,
        "share_of_role": 1.0,
        "share_of_industry": 0.71,
        "viewer_share": 0.03,  # Ada
        "customer_share": 0.03,
    }
    fields = small.execute(
        "select contact_field_name, contact_count, value_count, is_role, is_industry"
        " from marts.dim_contact_fields order by contact_field_id"
    ).fetchall()
    assert fields == [
        ("custom_role", 50, 3, True, False),
        ("custom_industry", 42, 2, False, True),
        ("score", 0, 0, False, False),
    ]
    audiences = small.execute(
        "select audience_kind, audience_name, contact_count, is_valid from marts.dim_audiences order by 1"
    ).fetchall()
    assert audiences == [("list", "Everybody", 50, True), ("segment", "Sales", 30, False)]


def test_an_ab_test_is_judged_by_those_who_were_tested(small: duckdb.DuckDBPyConnection) -> None:
    variations = small.execute(
        "select variation_id, outcome, criterion_share, z_score, p_value, is_sent_to_rest"
        " from marts.fct_ab_tests order by 1"
    ).fetchall()
    difference = 0.2 / math.sqrt(0.5 * 0.5 * 2 / 100)  # 60 and 40 of 100, 100 of 200 together
    chance = math.erfc(difference / math.sqrt(2))
    assert variations == [
        ("a", "winner", 0.6, pytest.approx(difference), pytest.approx(chance, abs=1e-6), False),
        ("b", "loser", 0.4, pytest.approx(difference), pytest.approx(chance, abs=1e-6), True),
    ]


def test_a_test_with_a_loser_is_asked_about_with_the_words_of_both(small: duckdb.DuckDBPyConnection) -> None:
    assert facts(small, "focus_groups", "ab-tests:send_s3") == {
        "tested": "subject",
        "criterion": "open",
        "loser_words": "Our letter",
        "winner_words": "Five ideas",
        "loser_delivered_count": 100,
        "winner_delivered_count": 100,
        "loser_share": 0.4,
        "winner_share": 0.6,
        "p_value": 0.005,  # 0.0047
    }
    asked = small.execute(
        "select name, person_count, reference_keys from activation.sync_mavera__focus_groups"
        " where job = 'ab-tests'"
    ).fetchall()
    personas = '["device-geography:mobile_first","device-geography:desktop_focused"]'
    assert asked == [("Says too little: Subjects", 100, personas)]


def test_days_of_a_single_send_are_counted_from_the_day_it_was_sent(
    small: duckdb.DuckDBPyConnection,
) -> None:
    days = small.execute(
        "select single_send_name, days_since_sent, delivered_count, open_count, daily_unique_open_count"
        " from marts.fct_single_sends_daily order by happened_on"
    ).fetchall()
    assert days == [("January", 0, 80, 40, 30), ("January", 2, 0, 20, 15)]
    subjects = small.execute(
        "select single_send_name, subject from marts.fct_single_sends order by all"
    ).fetchall()
    assert subjects == [("Draft", None), ("January", "Happy new year"), ("Subjects", "Five ideas")]


def test_an_automation_stands_whole_and_by_step(small: duckdb.DuckDBPyConnection) -> None:
    rates = small.execute(
        "select step_id, is_whole, unique_open_share, unique_click_share from marts.fct_automations"
        " order by 1"
    ).fetchall()
    assert rates == [
        ("all", True, 0.375, 0.05),
        ("first", False, 0.5, 0.075),
        ("second", False, 0.25, 0.025),
    ]


def test_suppressed_addresses_are_counted_once_of_each_kind(small: duckdb.DuckDBPyConnection) -> None:
    days = small.execute(
        "select suppression_kind, address_count, contact_address_count, is_undeliverable, listed_on::text"
        " from marts.fct_suppressions_daily order by 1"
    ).fetchall()
    assert days == [
        ("block", 1, 0, False, "2026-01-01"),
        ("bounce", 1, 1, True, "2026-01-01"),
        ("group_unsubscribe", 1, 1, False, "2026-01-01"),
        ("invalid_email", 1, 1, True, "2026-01-01"),
        ("unsubscribe", 1, 1, True, "2026-01-01"),
    ]
    groups = small.execute(
        "select unsubscribe_group_name, address_count, reported_count, is_default"
        " from marts.dim_unsubscribe_groups order by 1"
    ).fetchall()
    assert groups == [("Letters", 1, 1, True), ("Offers", 0, 0, False)]
    undeliverable = small.execute(
        "select contact_count, viewer_count from marts.dim_people where is_undeliverable order by all"
    ).fetchall()
    assert undeliverable == [(1, 0), (1, 2)]  # c2 and Ada


def test_a_media_that_is_gone_keeps_its_views(small: duckdb.DuckDBPyConnection) -> None:
    medias = small.execute(
        "select media_id, media_name, viewer_count, session_count, play_count, is_deleted"
        " from marts.fct_media_performance where media_id in ('m1', 'm9') order by 1"
    ).fetchall()
    assert medias == [("m1", "Media 1", 4, 5, 6, False), ("m9", "Gone", 1, 1, None, True)]


def test_drop_offs_are_found_in_seconds_with_what_is_said_there(small: duckdb.DuckDBPyConnection) -> None:
    drop_offs = small.execute(
        "select media_id, drop_off_number, from_seconds, to_seconds, retention_before_share,"
        " retention_after_share, caption_excerpt, is_small_sample from marts.fct_media_drop_offs order by all"
    ).fetchall()
    assert drop_offs == [
        # from 0 (100 plays, 5 s later 40) to 2 (80, and 20 at 7 s)
        ("m1", 1, 0, 7, 1.0, 0.2, "Welcome. Our sponsors.", False),
        # 5 s are nearest to three cells of 2 s: those at 994, 996 and 998 s see the fall at 1,000 s
        ("m2", 1, 994, 1004, 1.0, 0.25, None, False),
    ]
    retention = small.execute(
        "select position_seconds, play_count, replay_count, retention_share from marts.fct_media_retention"
        " where media_id = 'm1' and cell_place in (2, 3) order by 1"
    ).fetchall()
    assert retention == [(2, 80, 5, 0.8), (3, 40, 5, 0.4)]


def test_days_of_medias_and_of_the_account_stand_side_by_side(small: duckdb.DuckDBPyConnection) -> None:
    days = small.execute(
        "select played_on::text, play_count, listed_play_count, nominal_watched_seconds"
        " from marts.fct_account_plays_daily order by 1"
    ).fetchall()
    assert days == [("2026-01-02", 5, 3, 3600), ("2026-01-03", 0, 0, 0)]
    of_media = small.execute(
        "select media_name, played_on::text, play_count from marts.fct_media_daily order by all"
    ).fetchall()
    assert of_media == [
        ("Media 1", "2026-01-01", 4), ("Media 1", "2026-01-02", 2), ("Media 2", "2026-01-02", 1)
    ]  # fmt: skip


def test_an_action_is_rated_where_it_stands(small: duckdb.DuckDBPyConnection) -> None:
    actions = small.execute(
        "select media_id, action_share, median_action_share, is_below_median, action_text, placement,"
        " shown_seconds, converted_session_count from marts.fct_media_action_rates order by 1"
    ).fetchall()
    assert actions == [
        ("m1", 0.02, 0.05, True, "Get the kit", "end", 6, 1),
        ("m2", 0.08, 0.05, False, None, None, None, 0),
    ]
    # Four people are too few for a question.
    asked = "select count(*) from activation.sync_mavera__focus_groups where job = 'calls-to-action'"
    assert small.execute(asked).fetchall() == [(0,)]


def test_a_viewer_of_two_medias_of_a_project_counts_once(small: duckdb.DuckDBPyConnection) -> None:
    projects = small.execute(
        "select project_name, media_count, reported_media_count, viewer_count, person_count, session_count"
        " from marts.fct_project_performance"
    ).fetchall()
    assert projects == [
        ("Cooking", 2, 2, 4, 3, 8)
    ]  # m1: v1 twice, v2, v4, v5; m2: v1, v2, v4; v1 and v4 are Ada


def test_an_identified_viewer_qualifies_per_media(small: duckdb.DuckDBPyConnection) -> None:
    # Ada saw 0.8 of five medias, which is not more than 0.80.
    assert small.execute("select count(*) from marts.fct_qualified_viewers").fetchall() == [(0,)]


def test_customers_fall_into_the_tiers_and_bands_counted_by_hand(small: duckdb.DuckDBPyConnection) -> None:
    tiers = small.execute(
        "select clv_tier, churn_band, customer_count from marts.agg_customers_by_tier order by all"
    ).fetchall()
    assert tiers == [
        ("middle", "high", 3),  # worth 31 to 33
        ("middle", "low", 13),  # worth 68 to 80
        ("middle", "medium", 34),
        ("no_prediction", None, 10),
        ("rest", "high", 30),
        ("top", "low", 20),
    ]
    top = facts(small, "personas", "clv-tiers:top")
    assert (top["customer_count"], top["share_of_predicted_customers"]) == (20, 0.2)
    assert top["share_of_predicted_value"] == 0.36  # 1810 of 5050
    assert (top["lowest_predicted_clv"], top["highest_predicted_clv"]) == (82, 99)
    assert top["churn_shares"] == {"low": 1.0, "medium": 0.0, "high": 0.0}
    assert (top["email_reachable_share"], top["sms_reachable_share"]) == (
        0.9,
        0.0,
    )  # Ada bounced, p99 has no address
    assert (top["mean_average_order_value"], top["mean_historic_clv"]) == (10, None)
    assert top["customers_without_prediction"] == 10


def test_segment_pairs_are_told_apart_and_small_segments_only_counted(
    small: duckdb.DuckDBPyConnection,
) -> None:
    assert facts(small, "analyses", "segment-overlap:account") == {
        "segment_count": 4,
        "small_segment_count": 1,
        "profile_count": 45,
        "near_duplicate_from": 0.8,
        "contained_from": 0.95,
        "segments": [
            {"member_count": 45, "segment": "Buyers", "only_here_share": 0.07},  # 3 of 43
            {"member_count": 40, "segment": "Readers", "only_here_share": 0.0},
            {"member_count": 20, "segment": "Fans", "only_here_share": 0.0},
        ],
        "near_duplicates": [{"jaccard": 0.89, "segment_a": "Readers", "segment_b": "Buyers"}],  # 40 of 45
        "contained": [{"containment": 1.0, "inner": "Fans", "outer": "Readers"}],
        "overlaps": [],  # Buyers and Fans share 18
    }


def test_device_personas_carry_measured_shares_of_the_account(small: duckdb.DuckDBPyConnection) -> None:
    segments = small.execute(
        "select device_persona, share, busiest_day_open_count, is_persona"
        " from marts.agg_device_segments order by 2"
    ).fetchall()
    assert segments == [
        ("hybrid", 0.1, 10, False),  # significantly more than 0.055 only
        ("desktop_focused", 0.3, 20, True),
        ("mobile_first", 0.6, 40, True),
    ]
    assert facts(small, "personas", "device-geography:mobile_first") == {
        "device_persona": "mobile_first",
        "device_classes": ["Phone", "Tablet"],
        "window_days": 90,
        "unique_opens": 60,
        "unique_opens_all": 100,
        "share_of_opens": 0.6,
        "share_low": 0.5,
        "share_high": 0.69,
        "devices": [{"share": 0.45, "device": "Phone"}, {"share": 0.15, "device": "Tablet"}],
        "clients": [],
        "countries": [{"share": 0.75, "country": "US"}, {"share": 0.25, "country": "CA"}],
        "open_rate": 0.5,  # 40 of 80 messages of the single send, not of all mail
        "click_rate": 0.05,
    }
    account = facts(small, "analyses", "device-geography:account")
    assert [row["is_persona"] for row in account["personas"]] == [True, True, False]
    assert account["provinces"] == [{"share": 1.0, "country": "US", "province": "CA"}]
    assert (account["delivered"], account["open_rate"]) == (80, 0.5)


def test_records_have_the_keys_and_the_people_of_their_jobs(small: duckdb.DuckDBPyConnection) -> None:
    records = small.execute(
        "select record_key, name, person_count from activation.sync_mavera__personas"
        " union all select record_key, name, person_count from activation.sync_mavera__analyses order by all"
    ).fetchall()
    assert records == [
        ("clv-tiers:middle", "Customers by predicted value: middle", 50),
        ("clv-tiers:rest", "Customers by predicted value: rest", 30),
        ("clv-tiers:top", "Customers by predicted value: top", 20),
        ("contact-groups:sales/retail", "Contacts: sales, retail", 30),
        ("device-geography:account", "E-mail readers by device and country", 60),
        ("device-geography:desktop_focused", "E-mail readers: desktop focused", 20),
        ("device-geography:mobile_first", "E-mail readers: mobile first", 40),
        ("segment-overlap:account", "Segment overlaps", 45),
        ("viewer-clusters:all", "Viewer clusters", 4),
        ("viewer-clusters:binge_watchers", "Video viewers: binge watchers", 1),
        ("viewer-clusters:bouncers", "Video viewers: bouncers", 1),
        ("viewer-clusters:casual_viewers", "Video viewers: casual viewers", 1),
        ("viewer-clusters:engaged_explorers", "Video viewers: engaged explorers", 1),
        ("viewer-clusters:skimmers", "Video viewers: skimmers", 1),
    ]


def test_a_sale_by_mail_and_by_text_is_compared_by_clicks_and_conversions(
    small: duckdb.DuckDBPyConnection,
) -> None:
    campaigns = small.execute(
        "select campaign_id, campaign_stem, message_text, received_count, opened_count, clicked_count,"
        " converted_count, revenue::double, reported_received_count from marts.fct_campaigns order by 1"
    ).fetchall()
    assert campaigns == [
        ("c1", "sale", "All must go", 50, 20, 5, 1, 19.9, 50),
        ("c2", "sale", "It goes", 40, None, 12, 0, 0.0, None),
    ]
    pairs = small.execute(
        "select click_outcome, click_z_score, click_p_value, conversion_outcome, conversion_p_value,"
        " hours_apart from marts.agg_channel_pairs"
    ).fetchall()
    clicks = (12 / 40 - 5 / 50) / math.sqrt(17 / 90 * 73 / 90 * (1 / 40 + 1 / 50))
    orders = (0 / 40 - 1 / 50) / math.sqrt(1 / 90 * 89 / 90 * (1 / 40 + 1 / 50))
    click_chance, order_chance = (math.erfc(abs(z) / math.sqrt(2)) for z in (clicks, orders))
    assert click_chance < 0.05 < order_chance
    assert pairs == [
        (
            *("sms", pytest.approx(clicks), pytest.approx(click_chance, abs=1e-6)),
            *("tie", pytest.approx(order_chance, abs=1e-6), 24),
        )
    ]
    assert facts(small, "focus_groups", "channel-pairs:account") == {
        "pair_count": 1,
        "email_click_count": 0,
        "sms_click_count": 1,
        "tied_click_count": 0,
        "email_conversion_count": 0,
        "sms_conversion_count": 0,
        "tied_conversion_count": 1,
        "email_reachable_share": 0.53,  # 58 of 110
        "sms_reachable_share": 0.0,  # nobody consented to texts
        "pairs": [
            {
                "errors_apart": 2,
                "about": "sale",
                "click_outcome": "sms",
                "conversion_outcome": "tie",
                "email_clicked_share": 0.1,
                "sms_clicked_share": 0.3,
                "email_converted_share": 0.02,  # 1 of 50
                "sms_converted_share": 0.0,
            }
        ],
        "kinds": [{"errors_apart": 2, "kind": "sale", "about": "sale"}],
    }
    found = small.execute("select finding from marts.rpt_job_findings where job = 'channel-pairs'").fetchall()
    assert found == [("Text messages beat e-mail in 1 of 1 campaign pair; e-mail in none",)]
    lists = small.execute(
        "select list_name, member_count, email_reachable_count, sms_reachable_count from marts.dim_lists"
    ).fetchall()
    assert lists == [("Letter", 20, 10, 0)]


def test_a_day_of_actions_is_counted_by_metric_and_currency(small: duckdb.DuckDBPyConnection) -> None:
    days = small.execute(
        "select metric_id, metric_name, currency, event_count, daily_customer_count, value_amount::double"
        " from marts.fct_customer_events_daily where metric_id in ('PLACED', 'none')"
        " and happened_on < '2026-01-02' order by 1"
    ).fetchall()
    assert days == [("PLACED", "Placed Order", "USD", 2, 1, 29.9), ("none", None, "none", 1, 1, None)]


def test_a_message_lags_that_is_more_than_a_fifth_under_those_with_its_trigger(
    small: duckdb.DuckDBPyConnection,
) -> None:
    messages = small.execute(
        "select flow_message_id, received_count, recipient_count, opened_count, clicked_count, order_count,"
        " revenue_per_recipient, peer_count, peer_open_share, peer_click_share, is_open_laggard,"
        " is_click_laggard, reported_received_count from marts.fct_flow_messages order by 1"
    ).fetchall()
    assert messages == [
        ("M1", 500, 500, 200, 50, 0, 0.0, 4, 0.36, 0.1, False, False, None),
        ("M2", 500, 500, 200, 50, 0, 0.0, 4, 0.36, 0.1, False, False, None),
        ("M3", 500, 500, 160, 50, 0, 0.0, 4, 0.36, 0.1, False, False, None),
        ("M4", 500, 500, 100, 20, 1, 0.05, 4, 0.36, 0.1, True, True, 500),
        ("M5", 0, 0, 0, 0, 0, None, 4, 0.36, 0.1, False, False, None),
    ]
    days = small.execute("from marts.fct_flow_messages_daily").fetchall()
    assert days == [("M4", "FLOW", "USD", 500, 100, 100, 0, 0, 1, Decimal(25), date(2026, 1, 5))]
    asked = facts(small, "generations", "flow-rewrites:M4")
    assert (asked["open_share"], asked["peer_open_share"]) == (0.2, 0.36)
    assert (asked["click_share"], asked["peer_click_share"]) == (0.04, 0.1)
    assert (asked["flow_name"], asked["message_name"], asked["subject"]) == (
        "Basket",
        "Step 4",
        "Still there?",
    )


def test_a_rewritten_message_stands_beside_what_it_was_before(small: duckdb.DuckDBPyConnection) -> None:
    rewrites = small.execute(
        "select flow_message_id, generation_id, before_received_count, before_open_share, before_click_share,"
        " before_revenue_per_recipient, after_received_count, click_outcome, is_edited,"
        " edited_at - written_at from marts.fct_flow_rewrites"
    ).fetchall()
    edited_later = timedelta(hours=1, minutes=59, seconds=51)
    assert rewrites == [("M4", "text of M4", 500, 0.2, 0.04, 0.05, 0, "too early", True, edited_later)]


def test_what_mavera_did_stands_beside_what_it_cost(small: duckdb.DuckDBPyConnection) -> None:
    personas = small.execute("select record_key, standing, credits from marts.dim_personas").fetchall()
    assert personas == [("clv-tiers:top", "live", 300)]
    answers = small.execute("select record_key, question, answer, credits from marts.fct_analyses").fetchall()
    assert answers == [("segment-overlap:account", "Which?", "Merge them.", 20)]
    credits_ = small.execute(
        "select job, call_count, unknown_count, credits, credits_at_risk from marts.fct_credits order by 1"
    ).fetchall()
    assert credits_ == [
        ("brand-voice", 1, 0, 50, 0),
        ("brand-voice", 1, 0, 50, 0),
        ("clv-tiers", 2, 1, 300, 300),
        ("flow-rewrites", 1, 0, 15, 0),
        ("product-affinity", 1, 0, 70, 0),
        ("segment-overlap", 1, 0, 20, 0),
        ("viewer-follow-ups", 2, 0, 23, 0),
    ]


def test_every_origin_of_a_fact_is_a_column_that_is_there(small: duckdb.DuckDBPyConnection) -> None:
    columns = small.execute(
        "select table_name, column_name from information_schema.columns where table_schema = 'marts'"
    ).fetchall()
    written = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]
    known = {*columns, *(("dbt_project.yml", name) for name in written)}
    named = small.execute(
        "select distinct model_name, column_name from activation.fct_record_facts"
    ).fetchall()
    assert named
    assert set(named) <= known


def test_each_job_has_one_row_of_what_it_found_sent_and_got_back(small: duckdb.DuckDBPyConnection) -> None:
    results = small.execute(
        "select job, finding, standing_count, credits,"
        " persona_count, brand_voice_count, analysis_count, respondent_answer_count, text_count"
        " from marts.rpt_job_results where credits > 0 order by job_number"
    ).fetchall()
    assert results == [
        ("brand-voice", "1 video has a transcript of 3 words", 1, 100, 0, 1, 0, 0, 0),
        ("viewer-follow-ups", "No leads yet", 2, 23, 0, 0, 0, 0, 2),
        ("clv-tiers", "The top tier holds 36% of the predicted value", 1, 300, 1, 0, 0, 0, 0),
        ("flow-rewrites", "1 of 4 compared flow messages lags behind", 1, 15, 0, 0, 0, 0, 1),
        ("segment-overlap", "1 pair of segments is nearly the same; 3 within another", 1, 20, 0, 0, 1, 0, 0),
        ("product-affinity", "No two products have enough buyers to be judged", 1, 70, 0, 0, 0, 3, 0),
    ]


def test_every_job_says_what_it_found(small: duckdb.DuckDBPyConnection) -> None:
    silent = small.execute(
        "select job from marts.rpt_job_results left join marts.rpt_job_findings using (job)"
        " where rpt_job_findings.job is null"
    ).fetchall()
    assert silent == []


def test_a_model_with_addresses_is_in_no_schema_that_is_published(models: list[Node]) -> None:
    addressed = [node for node in models if "email" in node["columns"]]
    assert "fct_viewer_follow_ups" in {node["name"] for node in addressed}
    assert not [node["name"] for node in addressed if node["schema"] in publish.PUBLISHED_SCHEMAS]


def test_every_schema_of_the_models_is_made_anew_when_somebody_is_forgotten(models: list[Node]) -> None:
    assert {node["schema"] for node in models} == set(transform.MODEL_SCHEMAS)


def test_no_address_stands_in_what_is_published(small: duckdb.DuckDBPyConnection) -> None:
    tables = small.execute(
        "select table_schema, table_name from information_schema.tables"
        " where table_schema in ('marts', 'activation')"
    ).fetchall()
    assert tables
    for schema, table in tables:
        rows = small.execute(f"from {schema}.{table}").fetchall()
        assert "ada@example.com" not in str(rows).lower(), table


def test_what_a_media_says_is_what_a_brand_voice_is_made_of(small: duckdb.DuckDBPyConnection) -> None:
    transcripts = small.execute(
        "select media_id, transcript, character_count, word_count, words_per_minute"
        " from marts.dim_media_transcripts"
    ).fetchall()
    assert transcripts == [("m1", "Welcome. Our sponsors.", 22, 3, 22.5)]
    ((key, people, facts, documents),) = small.execute(
        "select record_key, person_count, facts, documents from activation.sync_mavera__brand_voices"
    ).fetchall()
    assert (key, people) == ("brand-voice:account", None)
    assert json.loads(facts) == {"media_count": 1, "word_count": 3, "language": "eng", "medias": ["Media 1"]}
    assert json.loads(documents) == [{"name": "Media 1", "text": "Welcome. Our sponsors."}]


def test_a_brand_voice_stands_with_what_it_came_from_and_which_is_current(
    small: duckdb.DuckDBPyConnection,
) -> None:
    voices = small.execute(
        "select brand_voice_id, record_key, word_count, credits, voice_summary, adjectives, preferred_terms,"
        " is_ready, is_current from marts.dim_brand_voices order by 1"
    ).fetchall()
    assert voices == [
        ("bv1", "brand-voice:account", 7, 50, "Old.", None, None, True, False),
        ("bv2", "brand-voice:account", 10, 50, "Warm.", '["warm","brief"]', '["kettle"]', True, True),
        ("bv3", None, None, None, None, None, None, False, False),
    ]


def test_a_text_stands_beside_the_facts_that_caused_it(small: duckdb.DuckDBPyConnection) -> None:
    texts = small.execute("""
        select generation_id, record_key, app_id, generated_text, facts ->> 'media_name', credits, is_listed
        from marts.fct_generations where job = 'viewer-follow-ups' order by generation_id
    """).fetchall()
    assert texts == [
        ("gen1", "viewer-follow-ups:m1", "email_writer", "Dear viewer", "Media 1", 12, True),
        ("gen2", "viewer-follow-ups:m2", "email-writer", "as answered", "Media 2", 11, True),
    ]


def test_a_focus_group_becomes_its_answers_and_the_score_is_counted_again(
    small: duckdb.DuckDBPyConnection,
) -> None:
    answers = small.execute(
        "select record_key, persona_record_key, question_type, respondent_number, answer, answer_number"
        " from marts.fct_focus_group_answers order by question_number, respondent_number"
    ).fetchall()
    assert answers == [
        ("product-affinity:P1_P2", "clv-tiers:top", "NPS", 1, "10", 10.0),
        ("product-affinity:P1_P2", None, "NPS", 2, "7", 7.0),
        ("product-affinity:P1_P2", "clv-tiers:top", "OPEN_ENDED", 1, "It fits.", None),
    ]
    results = small.execute(
        "select focus_group_id, question_id, response_count, nps, reported_nps, is_nps_as_reported, job"
        " from marts.fct_question_results order by all"
    ).fetchall()
    assert results == [
        ("fg1", "q_1", 2, 50.0, 50.0, True, "product-affinity"),
        ("fg1", "q_2", 1, None, None, None, "product-affinity"),
        ("fg3", "q_1", 0, None, None, None, None),
    ]
