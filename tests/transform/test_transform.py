"""When a build is needed, and the contents of the published copy."""

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest

from common import settings, warehouse
from tests import models
from transform import build as transform
from transform import publish, stale


@pytest.fixture
def loaded(tmp_path: Path) -> Path:
    """A warehouse with one mart, a raw and a built table with an address, and one load."""
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("""
            create schema raw_ops; create schema raw_wistia; create schema marts; create schema addressed;
            create table raw_ops.loads (vendor text, resource text, rows_new bigint, rows_changed bigint);
            create table raw_ops.set_aside (vendor text);
            create table raw_ops.observations (kind text);
            insert into raw_ops.loads values ('wistia', 'visitors', 3, 0);
            create table raw_wistia.visitors as select 'ada@example.com' as email;
            create view raw_ops.people as select email from raw_wistia.visitors;
            create table addressed.fct_viewer_follow_ups as select 'ada@example.com' as email;
            create table marts.agg_viewer_clusters as select 'skimmers' as viewer_cluster, 3 as viewer_count;
        """)
    models.record(path)
    return path


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (
            "Runtime Error in model a Could not convert string 'Ada O'Neil ada@a.de' to BOOL",
            "Runtime Error in model a Could not convert string '...' to BOOL",
        ),
        (
            'Invalid Input Error: Malformed JSON at byte 4: unexpected character. Input: "{Ada Lovelace"',
            "Invalid Input Error: Malformed JSON at byte 4: unexpected character.",
        ),
        ("Got 3 results, configured to fail if != 0", "Got 3 results, configured to fail if != 0"),
        ("Compilation Error in model a 'b' is undefined", "Compilation Error in model a 'b' is undefined"),
    ],
)
def test_what_failed_is_said_without_the_value(said: str, kept: str) -> None:
    assert transform._without_values(said) == kept


def test_a_long_value_is_left_out_before_the_line_is_cut() -> None:
    message = f"Could not convert string 'Ada Lovelace{' of Leeds' * 50}' to BOOL"
    failed = SimpleNamespace(node=SimpleNamespace(name="stg"), message=message)
    assert transform._named(failed) == "stg: Could not convert string '...' to BOOL"


def came_in(path: Path, table: str, new: int, changed: int) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("insert into raw_ops.loads values (?, ?, ?, ?)", [*table.split("."), new, changed])


def built(path: Path) -> None:
    """Leave the traces of a good build."""
    _, seen = stale.stale_tables(path, "models")
    stale.record_build(path, "models", seen, transform.Build(1, 1, [], []))


def changed(path: Path) -> list[str] | None:
    """Return the tables of vendors, and the view of people, that the next build builds from."""
    tables, _ = stale.stale_tables(path, "models")
    return tables and [name for name in tables if name not in stale.CHANGED_BY_EVERY_RUN]


def test_a_warehouse_that_an_earlier_version_loaded_names_the_step_that_comes_first(loaded: Path) -> None:
    with duckdb.connect(str(loaded)) as connection:
        connection.execute("drop view raw_ops.people")
    with pytest.raises(transform.TransformError, match=r"by an earlier version\. Run make ingest first$"):
        stale.stale_tables(loaded, "models")


@pytest.mark.parametrize(
    ("file", "before", "after", "said"),
    [
        (
            "dbt_project.yml",
            "clv-tiers: {enabled: true,",
            "clv-tiers: {enabled: true",
            r"dbt_project/dbt_project\.yml, line \d+: did not find expected ',' or '}'\. Mend it",
        ),
        (
            "models/jobs/clv_tiers/_clv_tiers.yml",
            'label: "KL-1: CLV tiers"',
            'label: "KL-1: CLV tiers',
            r"dbt_project/models/jobs/clv_tiers/_clv_tiers\.yml, line \d+: .*\. Mend it",
        ),
    ],
    ids=["vars", "a job"],
)
def test_a_slip_in_a_yaml_file_is_one_line(
    file: str, before: str, after: str, said: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    project = tmp_path / "dbt_project"
    shutil.copytree(transform.PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    text = (project / file).read_text(encoding="utf-8")
    assert before in text
    (project / file).write_text(text.replace(before, after), encoding="utf-8")
    monkeypatch.setattr(transform, "PROJECT", project)
    with pytest.raises(transform.TransformError, match=said) as caught:
        transform.dbt(tmp_path / "warehouse.duckdb", "parse")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().out == ""


def test_the_first_build_takes_everything(loaded: Path) -> None:
    assert stale.stale_tables(loaded, "models") == (None, (1, {"raw_wistia.visitors": 1}))


def test_nothing_is_built_when_nothing_came_in(loaded: Path) -> None:
    built(loaded)
    came_in(loaded, "wistia.visitors", 0, 0)
    assert changed(loaded) == []


@pytest.mark.parametrize(("new", "altered"), [(1, 0), (0, 1)])
def test_only_what_reads_a_changed_table_is_built(loaded: Path, new: int, altered: int) -> None:
    built(loaded)
    came_in(loaded, "klaviyo.events", new, altered)
    assert changed(loaded) == ["raw_klaviyo.events"]


def test_rows_that_are_gone_are_a_change_and_so_are_people_who_are_named_elsewhere(loaded: Path) -> None:
    built(loaded)
    with duckdb.connect(str(loaded)) as connection:
        connection.execute("delete from raw_wistia.visitors")
    assert changed(loaded) == ["raw_ops.people", "raw_wistia.visitors"]


def test_what_is_cut_from_captions_changes_with_them(loaded: Path) -> None:
    built(loaded)
    came_in(loaded, "wistia.captions", 0, 1)
    assert changed(loaded) == ["raw_wistia.caption_cues", "raw_wistia.captions"]


def test_rows_that_were_stripped_in_place_build_everything_again(loaded: Path) -> None:
    built(loaded)
    with duckdb.connect(str(loaded)) as connection:
        connection.execute("create table raw_ops.allowances as select 'new' as mark, now() as stripped_at")
    assert changed(loaded) is None


def test_a_build_that_failed_is_made_again(loaded: Path) -> None:
    built(loaded)
    came_in(loaded, "wistia.medias", 2, 0)
    stale.stale_tables(loaded, "models")  # this build fails: nothing is recorded
    came_in(loaded, "klaviyo.events", 2, 0)
    assert changed(loaded) == ["raw_klaviyo.events", "raw_wistia.medias"]


def test_what_no_model_makes_any_more_is_dropped_and_named(loaded: Path) -> None:
    models.record(loaded, agg_viewer_clusters={"earlier_name": "viewer_clusters"})
    with duckdb.connect(str(loaded)) as connection:
        connection.execute("""
            create view marts.viewer_clusters as from marts.agg_viewer_clusters;
            create table marts.renamed as select 1 as x; create view marts.was_view as select 1 as x;
        """)
    assert transform.drop_orphans(loaded) == [
        "addressed.fct_viewer_follow_ups", "marts.renamed", "marts.was_view"
    ]  # fmt: skip
    with duckdb.connect(str(loaded)) as connection:
        left = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables"
            " where table_schema not in ('raw_ops') order by 1"
        ).fetchall()
    assert left == [("marts.agg_viewer_clusters",), ("marts.viewer_clusters",), ("raw_wistia.visitors",)]


def test_a_mart_of_people_that_is_not_marked_stops_the_build(loaded: Path) -> None:
    column = SimpleNamespace(name="person_id", description="", data_type="varchar")
    config = SimpleNamespace(materialized="table", meta={})
    node = SimpleNamespace(
        schema="marts", name="dim_fans", resource_type="model", description="", config=config,
        depends_on=SimpleNamespace(nodes=[]), columns={"person_id": column},
    )  # fmt: skip
    manifest = SimpleNamespace(nodes={"model.dim_fans": node}, sources={})
    with pytest.raises(transform.TransformError, match=r"marts\.dim_fans has a row per person \(person_id\)"):
        transform.record_models(loaded, *transform.describe(manifest))


def test_a_changed_model_builds_everything_again(loaded: Path) -> None:
    built(loaded)
    assert stale.stale_tables(loaded, "other models")[0] is None


def test_the_published_copy_tells_its_lineage_and_when_raw_rows_were_loaded(
    loaded: Path, tmp_path: Path
) -> None:
    with duckdb.connect(str(loaded)) as connection:
        connection.execute("""
            create table raw_ops.lineage as select * from (values
                ('marts.agg_viewer_clusters', 'staging.stg_wistia__visitors'),
                ('staging.stg_wistia__visitors', 'raw_wistia.visitors')
            ) as reads(relation, parent);
            create or replace table raw_ops.loads as select * from (values
                ('wistia', 'visitors', timestamptz '2026-11-20 06:00:00+00', 'loaded'),
                ('wistia', 'visitors', timestamptz '2026-11-21 06:00:00+00', 'failed')
            ) as loads(vendor, resource, finished_at, outcome)
        """)
    publish.publish(loaded, tmp_path / "published.duckdb", tmp_path / "salt")
    with duckdb.connect(str(tmp_path / "published.duckdb"), read_only=True) as connection:
        tables = connection.execute(
            "select relation, row_count, strftime(loaded_at at time zone 'UTC', '%d %H:%M')"
            " from lineage.tables order by 1"
        ).fetchall()
        reads = connection.execute("select count(*) from lineage.reads").fetchone()
    assert tables == [("marts.agg_viewer_clusters", 1, None), ("raw_wistia.visitors", 1, "20 06:00")]
    assert reads == (2,)


def test_the_published_copy_holds_marts_and_no_raw_rows(loaded: Path, tmp_path: Path) -> None:
    copy = tmp_path / "published.duckdb"
    publish.publish(loaded, copy, loaded.with_name("salt"))
    with duckdb.connect(str(copy), read_only=True) as connection:
        tables = connection.execute(
            "select table_schema, table_name from information_schema.tables"
        ).fetchall()
    always = {("activation", "known_people"), ("activation", "warned"), ("lineage", "withheld")}
    assert set(tables) - always == {("marts", "agg_viewer_clusters")}
    assert b"ada@example.com" not in copy.read_bytes()


def test_a_reader_of_the_old_copy_does_not_stop_the_new_one(loaded: Path, tmp_path: Path) -> None:
    copy = tmp_path / "published.duckdb"
    publish.publish(loaded, copy, loaded.with_name("salt"))
    with duckdb.connect(str(copy), read_only=True) as reader:
        with duckdb.connect(str(loaded)) as writer:
            writer.execute("update marts.agg_viewer_clusters set viewer_count = 4")
        publish.publish(loaded, copy, loaded.with_name("salt"))
        assert reader.execute("select viewer_count from marts.agg_viewer_clusters").fetchone() == (3,)
    with duckdb.connect(str(copy), read_only=True) as reader:
        assert reader.execute("select viewer_count from marts.agg_viewer_clusters").fetchone() == (4,)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["published.duckdb", "warehouse.duckdb"]


def test_a_locked_warehouse_names_the_process_that_holds_it(loaded: Path) -> None:
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(loaded)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        with pytest.raises(warehouse.WarehouseError, match=f"is open in process {holder.pid}"):
            warehouse.connect(loaded)
        holder.communicate()


def test_a_damaged_warehouse_says_that_it_can_be_rebuilt(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(warehouse.WarehouseError, match="make restore, which brings back the last backup"):
        warehouse.connect(path)


@pytest.mark.parametrize("command", [[], ["publish"], ["docs"]])
def test_transform_before_ingest_says_what_to_run(tmp_path: Path, command: list[str]) -> None:
    environment = {
        "WAREHOUSE_PATH": str(tmp_path / "w.duckdb"),
        "RUNS_PATH": str(tmp_path / "runs.jsonl"),
        "ENV_FILE": "/dev/null",
        "PATH": "/usr/bin",
    }
    run = subprocess.run(
        [sys.executable, "-m", "transform", *command],
        cwd=settings.ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 2
    assert run.stderr == "error: w.duckdb is not there yet. Run make ingest transform first\n"
