"""One registry of vendors: each declaration, and everything that must agree with it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.settings import ROOT, Settings
from ingest import vendors
from ingest.model import Source
from privacy.personal import looks_personal

OURS = Settings(_env_file=None)
MADE_BY_DERIVING = {"raw_wistia.caption_cues", "raw_klaviyo.flow_message_words"}
every_vendor = pytest.mark.parametrize("source", vendors.SOURCES, ids=lambda source: source.name)


@pytest.fixture(scope="module")
def described() -> dict[str, Mapping[str, Any]]:
    """Return every raw table of a vendor known to dbt, with its effective freshness."""
    found = {}
    for file in (ROOT / "dbt_project" / "models" / "staging").glob("*/_*.yml"):
        for source in yaml.safe_load(file.read_text(encoding="utf-8")).get("sources", []):
            for table in source["tables"] if source["name"] != "raw_ops" else ():
                found[f"{source['name']}.{table['name']}"] = source.get("config", {}) | table.get(
                    "config", {}
                )
    return found


def test_every_folder_is_a_vendor_of_the_registry() -> None:
    folders = {path.parent.name for path in (ROOT / "ingest" / "vendors").glob("*/__init__.py")}
    names = [source.name for source in vendors.SOURCES]
    assert sorted(names) == sorted(folders)


@every_vendor
def test_its_key_and_address_are_settings_and_every_address_is_a_vendors(source: Source) -> None:
    assert {source.key_name.lower(), f"{source.name}_base_url"} <= Settings.model_fields.keys()
    addresses = {name for name in Settings.model_fields if name.endswith("_base_url")}
    assert addresses == {f"{each.name}_base_url" for each in vendors.SOURCES}


@every_vendor
def test_its_key_is_known_to_the_firewall_by_value_and_by_form(source: Source) -> None:
    given = Settings.model_validate({source.key_name.lower(): source.key_like})
    assert source.key_like in given.vendor_keys()
    assert source.key_like in given.secrets()
    assert looks_personal(source.key_like)


@every_vendor
def test_every_scope_has_a_probe_and_every_probe_a_resource(source: Source) -> None:
    needed = {resource.scope for resource in source.resources(OURS)}
    assert all(any(scope in each for each in needed) for scope in source.probes)
    for left in needed:
        for scope in source.probes:
            left = left.replace(scope, "")
        assert left in {"", " and "}


@every_vendor
def test_its_tables_are_its_own_and_say_whose_people_are_in_them(source: Source) -> None:
    tables = [resource.table for resource in source.resources(OURS)]
    assert {table.schema for table in tables} == {f"raw_{source.name}"}
    traces = [table.people for table in tables if table.people]
    assert not traces or any(trace.is_owner or trace.other_keys for trace in traces)
    for table in tables:
        assert not (table.people and table.is_ours), table.full_name
        columns = table.people and [table.people.key, *table.people.other_keys, *table.people.kept]
        assert {*filter(None, columns or ())} <= table.sql_columns.keys(), table.full_name


def test_dbt_knows_every_raw_table_and_no_other(described: Mapping[str, Any]) -> None:
    tables = {table.full_name for table in vendors.tables_of(OURS)}
    assert described.keys() == tables | MADE_BY_DERIVING


def test_freshness_is_measured_by_a_column_of_the_table_or_switched_off(described: Mapping[str, Any]) -> None:
    for table in vendors.tables_of(OURS):
        config = described[table.full_name]
        if config.get("freshness"):
            words = set(re.findall(r"\w+", config["loaded_at_field"]))
            assert words & table.sql_columns.keys(), table.full_name


@every_vendor
def test_the_readme_and_the_example_say_what_its_key_must_be_allowed(source: Source) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| {source.title} \|.*$", readme, re.MULTILINE)
    assert all(scope.partition(":")[0].lower() in row.lower() for scope in source.probes)
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert re.search(rf"^# --- {source.title} -+\n(?:#.*\n)+{source.key_name}=$", example, re.MULTILINE)


@every_vendor
def test_its_own_page_lists_its_tables_with_their_scopes(source: Source) -> None:
    page = (ROOT / "ingest" / "vendors" / source.name / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \| .+ \| (.*?) ?\|$", page, re.MULTILINE)
    assert listed == [(each.table.name, each.scope) for each in source.resources(OURS)]
    assert source.key_name in page
    assert Path(ROOT / "ingest" / "vendors" / source.name / "reads.py").exists()
