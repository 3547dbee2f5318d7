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


def test_files_with_the_same_columns_are_read_together() -> None:
    sql = spark.view(
        COLUMNS, [file("b"), file("a"), file("c", columns=("id", "count", "_dlt_load_id"))], ("id",)
    )
    assert "from parquet.`/lake/raw_klaviyo/events/{a.parquet,b.parquet}`" in sql
    assert sql.count("union all") == 1
    assert "row_number" not in sql


def test_a_column_that_a_file_lacks_is_null_in_its_declared_type() -> None:
    sql = spark.view(COLUMNS, [file("a")], ("id",))
    assert sql == (
        "select cast(`id` as string) as `id`, cast(null as timestamp) as `seen_at`,"
        " cast(null as bigint) as `count`,"
        " cast(null as string) as `other`, cast(`_dlt_load_id` as string) as `_dlt_load_id`"
        " from parquet.`/lake/raw_klaviyo/events/a.parquet`"
    )


def test_newer_versions_leave_one_row_per_key() -> None:
    sql = spark.view(COLUMNS, [file("a"), file("b", newer=True)], ("id", "count"))
    assert "partition by `id`, `count` order by cast(`_dlt_load_id` as double) desc" in sql
    assert sql.endswith("where version_number = 1")
    assert "version_number" not in sql.split(" from ")[0]


def test_a_table_without_files_is_a_view_without_rows() -> None:
    assert spark.view(COLUMNS, [], ("id",)).endswith("from (select 1) where false")


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
