"""dbt's unit tests on Spark: those of what is sent to Mavera; with `make test-spark ALL=1`, all."""

import os
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from operate import cluster
from privacy import pseudonyms
from transform import build, spark

# Tables with lists, which no model reads, are the project's own notes.
RAW = """
    select
        table_schema || '.' || table_name as relation,
        map_from_entries(list((column_name, data_type))) as columns
    from (from information_schema.columns order by ordinal_position)
    where table_schema like 'raw_%' and table_name not like '\\_dlt%' escape '\\'
    group by all having not bool_or(data_type like '%]' or data_type like 'MAP%') order by all
"""
SENT = ("--select", "test_type:unit,path:models/activation", "test_type:unit,path:models/jobs")
ALL = ("--select", "test_type:unit")


@pytest.fixture(scope="module")
def models_on_spark(
    shared_cluster: cluster.Cluster, small_warehouse: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The tables of all models, without rows: a unit test reads only the columns of what it replaces."""
    before = os.environ.get("SPARK_REMOTE")
    os.environ["SPARK_REMOTE"] = shared_cluster.remote
    folder = tmp_path_factory.mktemp("unit")
    session = spark.session(shared_cluster.remote)
    spark.prepare(session, pseudonyms.salt(folder / "salt", create=True))
    with duckdb.connect(str(small_warehouse), read_only=True) as connection:
        for relation, columns in connection.execute(RAW).fetchall():
            spark.register(session, relation, columns, (), ())
    for command in (("seed",), ("run", "--empty")):
        built = build.dbt(folder / "none.duckdb", *command, target=build.SPARK)
        assert [result.node.name for result in built if result.status != "success"] == []
    yield folder / "none.duckdb"
    session.stop()
    if before is None:
        del os.environ["SPARK_REMOTE"]
    else:
        os.environ["SPARK_REMOTE"] = before


@pytest.mark.timeout(1200)
def test_unit_tests_pass_on_spark(models_on_spark: Path, request: pytest.FixtureRequest) -> None:
    selected = ALL if request.config.getoption("--all-models") else SENT
    ran = build.dbt(models_on_spark, "test", *selected, target=build.SPARK)
    assert len([result for result in ran if result.node.resource_type == "unit_test"]) > 10
    failed = {result.node.name: result.message for result in ran if result.status not in {"pass", "success"}}
    assert failed == {}
