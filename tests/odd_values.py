"""Puts values that cannot be into every column of the raw tables, and builds the models on them.

    python -m tests.odd_values --share 1

Each case is one value in one column of one table: in a row of its own, a copy of one that is there, or in place
of what a row had. Many cases go into one build. Whatever vendors serve, a build must pass and publish, and what
it set aside must be counted. A build that fails is repeated with half of its cases until each case that fails
alone is found.
"""

import json
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import duckdb
import typer

import settings
import transform
from ingest.__main__ import SOURCES
from ingest.pipeline import Warehouse
from ingest.typed import Table

HERE = Path(__file__).parent
CASES_A_BUILD: Final = 600
TEXTS: Final = (
    "null",
    "''",
    "' '",
    "'NaN'",
    "'-1'",
    "'9999-12-31'",
    "'it''s \"quoted\" \\ 100 % {{ x }}'",
    "repeat('long ', 20000)",
)
WHOLE: Final = ("null", "0", "-1", "100000000000000000", "9223372036854775807", "-9223372036854775808")
NUMBERS: Final = (
    "null",
    "0",
    "-1",
    "1e17",
    "1e308",
    "-1e308",
    "5e-324",
    "'NaN'::double",
    "'inf'::double",
    "'-inf'::double",
)
MOMENTS: Final = ("null", "'0001-01-01'", "'1969-12-31'", "'9999-12-31'", "'infinity'", "'-infinity'")
JSON: Final = ("null", "{}", "[]", '""', '"text"', "17", "-1", "1e17", "1e308", "true", "[null]", "[[]]", "[{}]", "[1, \"a\"]", '{"a": null}', '{"data": [{}]}')  # fmt: skip
INSIDE: Final = (None, "", " ", "NaN", "Infinity", "text", -1, 10**17, 10**30, 1e308, 0.5, True, [], {}, [None], [[]], [{}], {"a": None})  # fmt: skip
VALUES: Final = {
    "text": TEXTS, "scalar": TEXTS, "bool": ("null",), "bigint": WHOLE, "double": NUMBERS,
    "timestamptz": MOMENTS, "date": MOMENTS,
}  # fmt: skip


class Case(NamedTuple):
    """One value, as SQL, in one column of one table; `in_place` of what the `number`th row holds, or in a copy."""

    table: Table
    column: str
    type: str
    value: str
    number: int
    in_place: bool

    def __str__(self) -> str:
        where = "in place of" if self.in_place else "in a copy of"
        return f"{self.table.full_name}.{self.column} = {self.value[:120]} ({where} row {self.number})"


def tables() -> list[Table]:
    """Every raw table that a vendor fills; what the ledger holds is our own."""
    ours = settings.Settings(_env_file=None)
    found = [resource.table for source in SOURCES for resource in source.resources(ours)]
    return [table for table in found if table.name != "ledger"]


def prepare(warehouse: Path) -> None:
    """Make the raw tables, with the rows of small_warehouse.sql and a row in each table that it leaves empty."""
    ours = settings.Settings(
        _env_file=None, warehouse_path=warehouse, runs_path=warehouse.with_name("runs.jsonl"),
        pipelines_path=warehouse.with_name("pipelines"),
    )  # fmt: skip
    file = Warehouse(ours)
    file.prepare([resource.table for source in SOURCES for resource in source.resources(ours)])
    file.close()
    transform.load_runs(ours)
    with duckdb.connect(str(warehouse)) as connection:
        for script in ("small_warehouse.sql", "small_rest.sql"):
            connection.execute((HERE / script).read_text(encoding="utf-8"))


def cases(connection: duckdb.DuckDBPyConnection) -> Iterator[Case]:
    """Every case for the rows that `connection` has."""
    number = 0
    for table in tables():
        columns = [(column.name, column.type) for column in table.columns if not column.known] + [
            ("other", "json")
        ]
        for column, kind in columns:
            values: Sequence[str] = VALUES.get(kind) or list(_documents(connection, table, column))
            for value in values:
                if value == "null" and column in table.key:
                    continue  # ingest loads no row without its key
                for in_place in (False, True):
                    number += 1
                    yield Case(table, column, kind, value, number, in_place)


def _documents(connection: duckdb.DuckDBPyConnection, table: Table, column: str) -> Iterator[str]:
    """JSON as SQL: of odd shapes, and what rows hold with one thing in it made odd."""
    yield from ("null" if text == "null" else _quoted(text) for text in JSON)
    stored = connection.execute(f'select distinct on (json_structure("{column}")) "{column}"::varchar from {table.full_name} where "{column}" is not null limit 8').fetchall()  # fmt: skip
    seen: set[tuple[Any, ...]] = set()
    for (text,) in stored:
        document = json.loads(text)
        for path in _paths(document):
            kinds = tuple("[]" if isinstance(step, int) else step for step in path)
            if kinds not in seen:
                seen.add(kinds)
                yield from (_quoted(json.dumps(_changed(document, path, value))) for value in INSIDE)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _paths(document: Any) -> Iterator[tuple[Any, ...]]:
    inside = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document[:2])
        if isinstance(document, list)
        else ()
    )
    for step, value in inside:
        yield (step,)
        yield from ((step, *rest) for rest in _paths(value))


def _changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    step, *rest = path
    changed = document.copy()
    changed[step] = _changed(document[step], tuple(rest), value) if rest else value
    return changed


def put(connection: duckdb.DuckDBPyConnection, case: Case) -> None:
    """Write the case into its table."""
    table = case.table
    rows = connection.execute(
        f"select rowid from {table.full_name} where _dlt_load_id is null order by rowid"
    ).fetchall()
    if not rows:
        raise LookupError(f"{table.full_name} has no row to copy; add one to small_rest.sql")
    row = rows[case.number * 7919 % len(rows)][0]
    if case.in_place:
        connection.execute(f'update {table.full_name} set "{case.column}" = {case.value} where rowid = {row}')
        return
    new = {case.column: case.value, "_dlt_load_id": "'odd'"}
    kinds = {column.name: column.type for column in table.columns}
    others = [name for name in table.key if name != case.column]
    for name in others[-1:]:  # the last part of a key makes a row of its own, and the rest still joins
        new[name] = {
            "bigint": f"1000000 + {case.number}",
            "date": f"date '2025-12-31' - {case.number}::integer",
            "timestamptz": f"timestamptz '2025-12-31' - to_minutes({case.number})",
        }.get(kinds[name], f"concat({name}, '~{case.number}')")
    names = [*kinds, "other", "_dlt_load_id"]
    chosen = ", ".join(new.get(name, f'"{name}"') for name in names)
    listed = ", ".join(f'"{name}"' for name in names)
    connection.execute(
        f"insert into {table.full_name} ({listed}) select {chosen} from {table.full_name} where rowid = {row}"
    )


class Builder:
    """Builds copies of one raw warehouse with cases in it."""

    def __init__(self, raw: Path, folder: Path) -> None:
        self.raw, self.folder, self.builds = raw, folder, 0
        self.manifest = transform.dbt(raw, "parse", transform.UNWRITTEN)

    def build(self, chosen: Sequence[Case]) -> tuple[list[str], Path]:
        """What failed, and the warehouse as it was built and published."""
        self.builds += 1
        warehouse = self.folder / self.raw.name  # the manifest names the file
        shutil.copy(self.raw, warehouse)
        with duckdb.connect(str(warehouse)) as connection:
            for case in chosen:
                put(connection, case)
        done = transform._built(warehouse, self.manifest, [])
        if not done.failures:
            transform.publish(warehouse, self.folder / "published.duckdb", self.folder / "salt")
        return done.failures, warehouse


def worst(builder: Builder, chosen: Sequence[Case], say: Callable[[str], None]) -> list[tuple[Case, str]]:
    """The cases of `chosen` that fail alone, each with what failed; those that fail only together as one."""
    failures, warehouse = builder.build(chosen)
    if not failures:
        found = uncounted(warehouse, chosen)
        return [(case, "was set aside and not counted") for case in found]
    say(f"{len(chosen)} cases: {failures[0]}")
    if len(chosen) == 1:
        return [(chosen[0], failures[0])]
    half = len(chosen) // 2
    found_both = [one for part in (chosen[:half], chosen[half:]) for one in worst(builder, part, say)]
    return found_both or [(chosen[0], f"{len(chosen)} cases together: {failures[0]}")]


def uncounted(warehouse: Path, chosen: Sequence[Case]) -> list[Case]:
    """Cases whose value no column can mean, and of whose column nothing is counted."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        counted = set(connection.execute("select concat('raw_', vendor, '.', table_name), field from marts.fct_quarantined_rows where row_count > 0").fetchall())  # fmt: skip
    sql = {
        path.stem: path.read_text(encoding="utf-8")
        for path in (transform.PROJECT / "models" / "staging").rglob("*.sql")
    }
    impossible = {
        "bigint": WHOLE[3:],
        "double": (NUMBERS[3], *NUMBERS[7:]),
        "timestamptz": MOMENTS[1:],
        "date": MOMENTS[1:],
    }
    return [
        case
        for case in chosen
        if case.value in impossible.get(case.type, ())
        and (case.table.full_name, case.column) not in counted
        and any(
            f"'{case.table.schema}', '{case.table.name}'" in text and f"{case.column}" in text
            for text in sql.values()
        )
    ]


def main(
    share: Annotated[float, typer.Option(help="Of all cases, so many: 1 for all of them.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Which cases, and which rows they are put into.")] = 7,
    warehouse: Annotated[
        Path | None, typer.Option(help="Raw rows to start from, such as a demo's; else a few of our own.")
    ] = None,
    only: Annotated[str, typer.Option(help="Cases whose name holds this text.")] = "",
) -> None:
    """Build the models on odd values in every column, and name what a build cannot bear."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw" / "warehouse.duckdb"
        raw.parent.mkdir()
        shutil.copy(warehouse, raw) if warehouse else prepare(raw)
        with duckdb.connect(str(raw)) as connection:
            chosen = [case for case in cases(connection) if only in str(case)]
        random.Random(seed).shuffle(chosen)
        chosen = chosen[: max(1, round(len(chosen) * share))]
        builder = Builder(raw, Path(folder))
        found = []
        for start in range(0, len(chosen), CASES_A_BUILD):
            part = chosen[start : start + CASES_A_BUILD]
            typer.echo(f"cases {start + 1} to {start + len(part)} of {len(chosen)}")
            found += worst(builder, part, lambda line: typer.echo(f"  {line}"))
    for case, failure in found:
        typer.echo(f"{case}: {failure}")
    typer.echo(f"{len(chosen)} cases, {builder.builds} builds, {len(found)} failed")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    typer.run(main)
