"""The records of a build about its models, for warehouses that a test makes itself."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from transform import build, statements


@cache
def manifest(*arguments: str) -> Any:
    """Return the manifest of the project's own models, parsed with further arguments."""
    return build.dbt(Path("warehouse.duckdb"), "parse", build.UNWRITTEN, *arguments)


def record_all(path: Path) -> None:
    """Record the project's models, as `python -m transform` does before a build."""
    kept = statements.stored(statements.key(path))
    models, read = (kept.models, kept.read) if kept else build.describe(manifest())
    build.record_models(path, models, read)


def record(path: Path, **marks: dict[str, Any]) -> None:
    """Record the tables and views in marts and activation, each with its `marks`."""
    with duckdb.connect(str(path)) as connection:
        found = connection.execute(
            "select table_schema || '.' || table_name, table_name, table_type, list(column_name)"
            " from information_schema.tables join information_schema.columns using (table_schema, table_name)"
            " where table_schema in ('marts', 'activation') group by all order by all"
        ).fetchall()
        models = [
            {
                "relation": relation,
                "materialized": "view" if kind == "VIEW" else "table",
                "description": f"One row per thing of {name}.",
                "columns": {column: f"What {column} is." for column in columns},
                "is_about_people": False,
                "cohort_counts": [],
                **marks.get(name, {}),
            }
            for relation, name, kind, columns in found
        ]
        connection.execute("create schema if not exists raw_ops")
        connection.execute(
            "create or replace table raw_ops.models as"
            f" select unnest(from_json(?, '[{json.dumps(build.MODEL_COLUMNS)}]'), max_depth := 2)",
            [json.dumps(models)],
        )
