"""Raw tables as Spark sees them, and the refusals of a session, as far as they need no Spark."""

import socket
import sys

import pytest

from transform import spark
from transform.build import TransformError

COLUMNS = {
    "id": "varchar",
    "seen_at": "timestamptz",
    "count": "bigint",
    "other": "json",
    "_dlt_load_id": "varchar",
}


def file(
    name: str, *, columns: tuple[str, ...] = ("id", "_dlt_load_id"), newer: bool = False
) -> spark.LakeFile:
    return spark.LakeFile(f"/lake/raw_klaviyo/events/{name}.parquet", columns, newer)


def view(files: list[spark.LakeFile], *key: str) -> str:
    return spark.view(COLUMNS, spark.tables_of("raw_klaviyo.events", COLUMNS, files), key)


def test_files_with_the_same_columns_are_a_table_that_says_its_columns() -> None:
    files = [file("b"), file("a"), file("c", columns=("id", "count", "_dlt_load_id"))]
    two, one = spark.tables_of("raw_klaviyo.events", COLUMNS, files)
    options = "using parquet options (path '/lake/raw_klaviyo/events/{}', skipHiveMetadata 'true')"
    assert two.definition == (
        f"create table if not exists {two.name} (`id` string, `_dlt_load_id` string)"
        f" {options.format('{a.parquet,b.parquet}')}"
    )
    assert one.definition == (
        f"create table if not exists {one.name} (`id` string, `count` bigint, `_dlt_load_id` string)"
        f" {options.format('c.parquet')}"
    )
    assert view(files, "id").count("union all") == 1
    assert "row_number" not in view(files, "id")


def test_a_table_of_files_is_named_by_exactly_these_files_and_columns() -> None:
    def name(*files: spark.LakeFile) -> str:
        (table,) = spark.tables_of("raw_klaviyo.events", COLUMNS, files)
        return table.name

    assert name(file("a"), file("b")) == name(file("b"), file("a"))
    others = [name(file("a")), name(file("b")), name(file("a"), file("b")), name(file("a", columns=("id",)))]
    assert len({*others}) == len(others)
    assert {each.rpartition("__")[0] for each in others} == {"lake_files.raw_klaviyo__events"}


def test_many_files_are_several_tables_and_a_quote_ends_no_path() -> None:
    many = [file(f"{number:03}") for number in range(2 * spark.FILES_OF_TABLE + 1)]
    tables = spark.tables_of("raw_klaviyo.events", COLUMNS, many)
    assert [table.definition.count(".parquet") for table in tables] == [spark.FILES_OF_TABLE] * 2 + [1]
    assert len({table.name for table in tables}) == 3
    (quoted,) = spark.tables_of("raw_klaviyo.events", COLUMNS, [file("it's")])
    assert r"it\'s.parquet'" in quoted.definition


def test_a_column_that_a_file_lacks_is_null_in_its_declared_type() -> None:
    (table,) = spark.tables_of("raw_klaviyo.events", COLUMNS, [file("a")])
    assert view([file("a")], "id") == (
        "select `id`, cast(null as timestamp) as `seen_at`, cast(null as bigint) as `count`,"
        f" cast(null as string) as `other`, `_dlt_load_id` from {table.name}"
    )


def test_newer_versions_leave_one_row_per_key() -> None:
    sql = view([file("a"), file("b", newer=True)], "id", "count")
    assert "partition by `id`, `count` order by cast(`_dlt_load_id` as double) desc" in sql
    assert sql.endswith("where version_number = 1")
    assert "version_number" not in sql.split(" from ")[0]


def test_a_table_without_files_is_a_view_without_rows() -> None:
    assert view([], "id").endswith("from (select 1) where false")


def test_without_pyspark_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(TransformError, match=r"needs pyspark.*Install requirements-spark\.lock"):
        spark.session("sc://127.0.0.1:1")


def test_without_a_server_one_line_names_its_address_and_not_its_token() -> None:
    pytest.importorskip("pyspark")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with pytest.raises(
            TransformError, match=rf"no Spark Connect server answers at 127\.0\.0\.1:{port}"
        ) as told:
            spark.session(f"sc://127.0.0.1:{port}/;token=secret")
    assert "secret" not in str(told.value)
