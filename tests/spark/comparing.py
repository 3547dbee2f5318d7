"""Compares the tables of two engines: DuckDB's in a file, Spark's in the files of its warehouse folder."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb

NEXT: Final = "_next"
"""The suffix of the schemas that Spark builds into."""
DIGITS: Final = 9
"""Sums of doubles depend on the order of their rows, which neither engine promises."""
NOTHING: Final = 1e-12
"""A double this small is a difference of equal numbers."""
SHOWN: Final = 5


class Difference(NamedTuple):
    """Rows of a relation that only one of the engines has, and columns or files that one lacks."""

    relation: str
    only_duckdb: Sequence[tuple[Any, ...]] = ()
    only_spark: Sequence[tuple[Any, ...]] = ()
    columns: Sequence[str] = ()
    problem: str = ""

    def __str__(self) -> str:
        lines = [f"{self.relation}: {self.problem or 'rows differ'}"]
        for engine, rows in (("DuckDB", self.only_duckdb), ("Spark", self.only_spark)):
            lines += [f"  only {engine}, {len(rows)} rows"] if rows else []
            lines += [f"    {dict(zip(self.columns, row, strict=True))}" for row in rows[:SHOWN]]
        return "\n".join(lines)


def differences(
    duckdb_path: Path,
    spark_folder: Path,
    relations: Iterable[str],
    leave_out: Mapping[str, Collection[str] | None] | None = None,
) -> list[Difference]:
    """Return how relations such as marts.fct_campaigns differ: `except all` both ways.

    Doubles are equal in nine significant digits, everything else to the last bit. `spark_folder` has Spark's
    schemas: the folder `models` of a lake, or `spark.sql.warehouse.dir`. `leave_out` has the columns of
    relations that are not compared; None means all of them.
    """
    leave_out = leave_out or {}
    with duckdb.connect(str(duckdb_path), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        return [
            found
            for relation in relations
            if (without := leave_out.get(relation, ())) is not None
            and (found := _difference(connection, spark_folder, relation, without)) is not None
        ]


def relations(duckdb_path: Path, schemas: Sequence[str] = ("marts", "activation")) -> list[str]:
    """Return the relations of DuckDB's schemas, without views under the names of earlier versions."""
    with duckdb.connect(str(duckdb_path), read_only=True) as connection:
        found = connection.execute(
            "select relation from raw_ops.models where split_part(relation, '.', 1) in (select unnest(?))"
            " and materialized <> 'ephemeral' order by 1",
            [list(schemas)],
        ).fetchall()
    return [name for (name,) in found]


def files_of(spark_folder: Path, relation: str) -> str:
    """Return the pattern of the files that hold a relation of Spark's, such as marts.fct_campaigns.

    Its schema is a folder of that name, as in a lake, or where Spark itself creates it.
    """
    schema, _, table = relation.partition(".")
    folder = spark_folder / schema
    folder = folder if folder.exists() else spark_folder / f"{schema}{NEXT}.db"
    return str(folder / table / "**" / "*.parquet")


def _difference(
    connection: duckdb.DuckDBPyConnection, spark_folder: Path, relation: str, without: Collection[str]
) -> Difference | None:
    described = connection.execute(f"describe {relation}").fetchall()
    types = {name: kind for name, kind, *_ in described}
    pattern = files_of(spark_folder, relation)
    try:
        there = {name for name, *_ in connection.execute(f"describe from '{pattern}'").fetchall()}
    except duckdb.IOException:
        return Difference(relation, problem=f"Spark has no files {pattern}")
    if there != types.keys():
        return Difference(relation, problem=f"one engine alone has {sorted(there ^ types.keys())}")
    doubles = [name for name, kind in types.items() if kind in ("DOUBLE", "FLOAT")]
    types = {name: kind for name, kind in types.items() if name not in without}
    doubles = [name for name in doubles if name in types]
    columns = [*(name for name in types if name not in doubles), *doubles]
    ours, theirs = (
        f"select {', '.join(_comparable(name, types[name], engine) for name in columns)} from {rows}"
        for engine, rows in (("duckdb", relation), ("spark", f"'{pattern}'"))
    )
    left, right = (
        connection.execute(f"({one}) except all ({other})").fetchall()
        for one, other in ((ours, theirs), (theirs, ours))
    )
    left, right = _unmatched(left, right, len(columns) - len(doubles))
    return Difference(relation, left, right, columns) if left or right else None


def _comparable(name: str, kind: str, engine: str) -> str:
    if kind in ("DOUBLE", "FLOAT"):
        return f'cast(printf(\'%.{DIGITS - 1}e\', "{name}") as double) as "{name}"'
    kind = "VARCHAR" if kind == "JSON" else kind
    return f'cast("{name}" as {kind}) as "{name}"'


def _unmatched(
    left: list[tuple[Any, ...]], right: list[tuple[Any, ...]], exact: int
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Return the rows without a partner whose first `exact` values are equal, and whose doubles nearly are.

    Two doubles that differ in the 16th digit may be rounded to different ones of nine digits.
    """
    waiting: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for row in right:
        waiting.setdefault(row[:exact], []).append(row)
    alone = []
    for row in left:
        partners = waiting.get(row[:exact], [])
        partner = next((at for at, other in enumerate(partners) if _near(row[exact:], other[exact:])), None)
        if partner is None:
            alone.append(row)
        else:
            del partners[partner]
    return alone, list(_flat(waiting.values()))


def _near(these: Sequence[float | None], those: Sequence[float | None]) -> bool:
    return all(
        this == that
        or (
            this is not None
            and that is not None
            and math.isclose(this, that, rel_tol=2 * 10.0**-DIGITS, abs_tol=NOTHING)
        )
        for this, that in zip(these, those, strict=True)
    )


def _flat(lists: Iterable[list[tuple[Any, ...]]]) -> Iterator[tuple[Any, ...]]:
    for each in lists:
        yield from each
