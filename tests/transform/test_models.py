"""The models as a whole: built over nothing and over a few rows, with their facts, people and addresses."""

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from privacy import pseudonyms
from tests import activation
from tests.small import PROJECT, create_raw, dbt

Node = Mapping[str, Any]


def earlier_names(models: list[Node]) -> dict[str, str]:
    """Return the names of models in the previous version, by their current names."""
    return {
        node["name"]: node["config"]["meta"]["earlier_name"]
        for node in models
        if "earlier_name" in node["config"]["meta"]
    }


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse in which ingest made its tables and found nothing, built without the unit tests."""
    warehouse = tmp_path_factory.mktemp("empty") / "warehouse.duckdb"
    create_raw(warehouse)
    dbt(warehouse, warehouse.parent / "target", "build", "--exclude-resource-type", "unit_test")
    return warehouse


def statuses(target: Path, of: str = "") -> set[str]:
    results = json.loads((target / "run_results.json").read_text(encoding="utf-8"))["results"]
    return {result["status"] for result in results if result["unique_id"].startswith(of)}


def test_an_empty_warehouse_builds(empty: Path) -> None:
    assert statuses(empty.parent / "target") == {"success", "pass", "no-op"}
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


def test_every_unit_test_passes(empty: Path) -> None:
    target = empty.parent / "tested"
    dbt(empty, target, "test", "--select", "test_type:unit")
    assert statuses(target, of="unit_test.") == {"pass"}


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


def test_each_job_declares_exactly_the_facts_that_its_models_give(small: duckdb.DuckDBPyConnection) -> None:
    differ, met = activation.misdeclared(small)
    assert differ == []
    assert len(met) >= 11


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
    assert without == thresholds | {f"{thing}_count" for thing in things}


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


def test_records_have_the_keys_and_the_people_of_their_jobs(small: duckdb.DuckDBPyConnection) -> None:
    records = small.execute(
        "select record_key, name, person_count from activation.sync_mavera__personas"
        " union all select record_key, name, person_count from activation.sync_mavera__analyses order by all"
    ).fetchall()
    assert records == [
        ("clv-tiers:middle", "Steady Regulars: the middle of the customer base", 50),
        ("clv-tiers:rest", "Occasional Buyers: small orders, loose ties", 30),
        ("clv-tiers:top", "Loyal Top Spenders", 20),
        ("contact-groups:sales/retail", "Salespeople in Retail", 30),
        ("device-geography:account", "E-mail readers by device and country", 60),
        ("device-geography:desktop_focused", "Desk Readers: open mail at a computer", 20),
        ("device-geography:mobile_first", "Mobile First: read on the phone, between other things", 40),
        ("segment-overlap:account", "Segment overlaps", 45),
        ("viewer-clusters:all", "Viewer clusters", 4),
        ("viewer-clusters:binge_watchers", "Binge Watchers: finish what they start", 1),
        ("viewer-clusters:bouncers", "Bouncers: one video, gone in moments", 1),
        ("viewer-clusters:casual_viewers", "Casual Viewers: a video or two, watched through", 1),
        ("viewer-clusters:engaged_explorers", "Engaged Explorers: compare before they choose", 1),
        ("viewer-clusters:skimmers", "Skimmers: sample a lot, finish little", 1),
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


def test_no_address_stands_in_what_is_published(small: duckdb.DuckDBPyConnection) -> None:
    tables = small.execute(
        "select table_schema, table_name from information_schema.tables"
        " where table_schema in ('marts', 'activation')"
    ).fetchall()
    assert tables
    for schema, table in tables:
        rows = small.execute(f"from {schema}.{table}").fetchall()
        assert "ada@example.com" not in str(rows).lower(), table
