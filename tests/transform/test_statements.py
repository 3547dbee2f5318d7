"""The statements that dbt sent are sent again and make the same tables; dbt handles everything else."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from tests import small
from transform import build as transform
from transform import statements

SALT = bytes.fromhex(small.SALT)
AGE = re.compile(r"(?<=newest row is )[\d,]+(?= h old)")
OF_MODELS = (
    "select table_schema, table_name from information_schema.tables where table_schema in (select unnest(?))"
)


class Built:
    """A warehouse that dbt built, a copy with only the raw rows, and the statements that dbt sent."""

    def __init__(self, shared: Path, folder: Path) -> None:
        self.first = small.small(shared)
        self.by_dbt = small.result(shared)
        shutil.copytree(self.first.with_name(small.STATEMENTS), statements.STORED)
        (self.stored,) = statements.STORED.glob("*.json")
        self.again = folder / "again" / small.NAME
        self.again.parent.mkdir()
        small.load(self.again, [small.SMALL])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Iterator[Built]:
    folder = tmp_path_factory.mktemp("statements")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statements, "STORED", folder / "stored")
        yield Built(shared, folder)


@pytest.fixture
def without_dbt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transform, "dbt", lambda *_, **__: pytest.fail("dbt ran"))


def tables(path: Path) -> dict[str, str]:
    """Return a digest of the rows of each relation of the models, whatever their order."""
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        found = connection.execute(OF_MODELS, [list(transform.MODEL_SCHEMAS)]).fetchall()
        rows = {f"{schema}.{name}": connection.execute(f'select * from "{schema}"."{name}"').fetchall()
                for schema, name in found}  # fmt: skip
    return {
        name: hashlib.sha256("\n".join(sorted(map(repr, each))).encode()).hexdigest()
        for name, each in rows.items()
    }


@pytest.mark.usefixtures("without_dbt")
def test_what_dbt_sent_makes_the_same_tables_and_runs_the_same_tests(built: Built) -> None:
    again = transform.build(built.again, SALT, None)
    assert_equal(again, built.by_dbt)
    assert again.models > 200
    assert again.passed > 350
    assert tables(built.again) == tables(built.first)
    assert_equal(transform.build(built.again, SALT, None), built.by_dbt)
    assert tables(built.again) == tables(built.first)


def assert_equal(later: transform.Build, first: transform.Build) -> None:
    """Assert that two builds are equal, except that rows may be up to an hour older in the later one."""
    texts = [AGE.sub("", "\n".join(build.warnings)) for build in (later, first)]
    ages = [map(hours, AGE.findall("\n".join(build.warnings))) for build in (later, first)]
    assert later._replace(warnings=[]) == first._replace(warnings=[])
    assert texts[0] == texts[1]
    assert all(before <= now <= before + 1 for now, before in zip(*ages, strict=True))


def hours(text: str) -> int:
    return int(text.replace(",", ""))


@pytest.mark.usefixtures("without_dbt")
def test_a_build_of_one_table_sends_what_reads_it(built: Built, manifest: Mapping[str, Any]) -> None:
    known = read(built)
    children = manifest["child_map"]
    views = {key for key, node in manifest["nodes"].items() if node["config"]["materialized"] == "view"}
    for source in ("raw_wistia.medias", "raw_klaviyo.events"):
        name = f"source.mavera_warehouse.{source}"
        below, waiting = set(), [name]
        while waiting:
            fresh = [child for each in waiting for child in children[each] if child not in below]
            below.update(fresh)
            waiting = fresh
        sent = {node.unique_id for node in known.below([source]) if node.kind in ("model", "test", "seed")}
        kept = {node.unique_id for node in known.nodes}
        assert sent == below & kept - views
        assert 50 < len(sent) < len(known.nodes)


@pytest.mark.parametrize("failing", ["a test", "a model"])
def test_what_fails_is_left_to_dbt_which_says_why(built: Built, tmp_path: Path, failing: str) -> None:
    path = Path(shutil.copytree(built.first.parent, tmp_path / "copy")) / small.NAME
    with duckdb.connect(str(path)) as connection:
        if failing == "a test":
            connection.execute("insert into raw_klaviyo.metrics select * from raw_klaviyo.metrics limit 1")
        else:
            connection.execute("drop table raw_klaviyo.metrics")
    done = small.by_dbt(path, statements.STORED)
    assert done.failures
    assert any("metrics" in line for line in done.failures), done.failures
    assert built.stored.exists()


def test_what_dbt_reads_decides_whether_it_is_sent_again(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(shutil.copytree(built.first.parent, tmp_path / "copy")) / small.NAME
    key = statements.key(path)
    assert statements.stored(key) is not None
    with duckdb.connect(str(path)) as connection:
        connection.execute("insert into raw_klaviyo.metrics (id) values ('new')")
        connection.execute("create schema raw_klaviyo_staging")  # as dlt does with a table's first rows
        connection.execute("create table raw_klaviyo_staging.metrics as from raw_klaviyo.metrics")
        connection.execute("create table raw_klaviyo._dlt_loads (load_id text)")
    assert statements.key(path) == key
    with monkeypatch.context() as patch:
        patch.setenv("DBT_RESOURCE_TYPES", "model seed")
        assert statements.stored(statements.key(path)) is None
    with monkeypatch.context() as patch:
        patch.setattr(statements.metadata, "version", lambda package: f"{package} 99")
        assert statements.stored(statements.key(path)) is None
    with duckdb.connect(str(path)) as connection:
        connection.execute("alter table raw_klaviyo.metrics add column more text")
    assert statements.stored(statements.key(path)) is None
    project = shutil.copytree(
        statements.PROJECT, tmp_path / "dbt_project", ignore=shutil.ignore_patterns("target", "logs")
    )
    monkeypatch.setattr(statements, "PROJECT", Path(project))
    before = statements.key(built.first)
    (Path(project) / "seeds" / "put_in.csv").write_text("changed", encoding="utf-8")
    assert statements.key(built.first) != before
    seen = statements.key(built.first)
    (Path(project) / "models" / "words.toml").write_text("changed = 1", encoding="utf-8")
    assert statements.key(built.first) == seen


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("left", ["", "{", '{"key": 1}'], ids=["empty", "cut off", "of another version"])
def test_what_was_not_stored_whole_is_not_sent(
    tmp_path: Path, left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "STORED", tmp_path)
    (tmp_path / "k.json").write_text(left, encoding="utf-8")
    assert statements.stored("k") is None


def test_an_incremental_model_is_sent_as_dbt_sent_it_to_a_table_that_exists() -> None:
    sent = ["create or replace table marts.days as select 1 as day"]
    whole = statements.Node(
        "model.p.days", "model", "days", ["raw_wistia.medias"], sent, [],
        relation="marts.days", materialized="incremental",
    )  # fmt: skip
    known = statements.Statements("k", [whole], [], [])
    again = known.with_sent([whole._replace(statements=[], again=["insert into marts.days values (2)"])])
    assert again.nodes[0].statements == whole.statements
    assert again.nodes[0].again == ["insert into marts.days values (2)"]


def test_only_what_makes_or_tests_something_is_kept_of_what_dbt_sends() -> None:
    listener = statements.Listener()
    sent = {
        "model.p.days": [
            "BEGIN", "/* c */ select 1", "drop view d", "/* c */\ncreate or replace table d", "COMMIT",
        ],
        "test.p.days": ["/* c */ select type from here", "BEGIN", "/* c */ select count(*) as failures"],
        "": ["create schema marts"],
    }  # fmt: skip
    for unique_id, each in sent.items():
        for sql in each:
            data = SimpleNamespace(sql=sql, node_info=SimpleNamespace(unique_id=unique_id))
            listener(SimpleNamespace(info=SimpleNamespace(name="SQLQuery"), data=data))
    assert listener.sent == {
        "model.p.days": ["create or replace table d"],
        "test.p.days": ["select count(*) as failures"],
    }


@pytest.mark.usefixtures("without_dbt")
def test_old_builds_are_not_kept(built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = read(built)
    monkeypatch.setattr(statements, "STORED", tmp_path / "stored")
    for number in range(statements.KEPT + 2):
        statements.store(known._replace(key=f"{number}"))
    assert len(list((tmp_path / "stored").iterdir())) == statements.KEPT
    assert statements.stored(f"{statements.KEPT + 1}") is not None


def read(built: Built) -> statements.Statements:
    found = statements.stored(built.stored.stem)
    assert found is not None
    assert json.loads(built.stored.read_text(encoding="utf-8"))["key"] == built.stored.stem
    return found
