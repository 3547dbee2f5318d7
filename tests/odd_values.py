"""Puts impossible values into every column of the raw tables, and builds the models on them.

    python -m tests.odd_values --share 1

Each case is one value in one column of one table: in a copy of a row, or in place of the row's value. Many
cases go into one build. Whatever vendors serve, a build must pass and publish, and count everything it sets
aside. A failed build is repeated with half of its cases until each case that fails alone is found.
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

from common import settings
from ingest.store.warehouse import Warehouse
from ingest.typed import Table
from ingest.vendors import tables_of
from transform import build as transform
from transform import publish, statements

HERE: Final = Path(__file__).parent
CASES_A_BUILD: Final = 600
TEXTS: Final = (
    *("null", "''", "' '", "'NaN'", "'-1'", "'9999-12-31'", "repeat('long ', 20000)"),
    "'it''s \"quoted\" \\ 100 % {{ x }}'",
)
TOO_LARGE: Final = ("100000000000000000", "9223372036854775807", "-9223372036854775808")
NOT_FINITE: Final = ("1e17", "1e308", "-1e308", "'NaN'::double", "'inf'::double", "'-inf'::double")
EDGES_OF_TIME: Final = ("'1970-01-01'", "'2099-12-31'")
NO_TIME: Final = ("'0001-01-01'", "'1969-12-30'", "'9999-12-31'", "'infinity'", "'-infinity'")
VALUES: Final[dict[str, Sequence[str]]] = {
    "text": TEXTS,
    "scalar": TEXTS,
    "bool": ("null",),
    "bigint": ("null", "0", "-1", "1000000000000", *TOO_LARGE),
    "double": ("null", "0", "-1", "5e-324", "1e12", *NOT_FINITE),
    "timestamptz": ("null", *NO_TIME, *EDGES_OF_TIME),
    "date": ("null", *NO_TIME, *EDGES_OF_TIME),
}
SOME: Final = {  # for tables that the scripts leave empty
    **dict.fromkeys(("text", "scalar"), "'some'"),
    **dict.fromkeys(("bigint", "double"), "1"),
    **dict.fromkeys(("timestamptz", "date"), "'2026-01-02'"),
    "bool": "true",
    **dict.fromkeys(("json", "any"), "'{}'"),
}
UNREADABLE: Final = {*TOO_LARGE, *NOT_FINITE, *NO_TIME}
DOCUMENTS: Final = (
    *("{}", "[]", '""', '"text"', "17", "-1", "1e17", "1e308", "true", "[null]", "[[]]", "[{}]"),
    *('[1, "a"]', '{"a": null}', '{"data": [{}]}'),
)
INSIDE: Final[Sequence[Any]] = (
    *(None, "", " ", "NaN", "Infinity", "text", -1, 10**17, 10**30, 1e308, 0.5, True),
    *({}, [], [None], [[]], [{}], {"a": None}),
)


class Case(NamedTuple):
    """One value, as SQL, in one column: `in_place` in the `number`th row, or in a copy of it."""

    table: Table
    column: str
    value: str
    number: int
    in_place: bool

    def __str__(self) -> str:
        where = "in place of" if self.in_place else "in a copy of"
        return f"{self.table.full_name}.{self.column} = {self.value[:120]} {where} row {self.number}"

    @property
    def is_unreadable(self) -> bool:
        """Return whether no column of this type can have the value; texts may be anything, ids any number."""
        is_id = self.column in (*self.table.key, "id") and self.value in TOO_LARGE
        return self.value in UNREADABLE and self.table.sql_columns[self.column] != "varchar" and not is_id

    def is_in(self, connection: duckdb.DuckDBPyConnection) -> bool:
        """Return whether the value is there: a later case may have replaced it."""
        found = connection.execute(
            f'select 1 from {self.table.full_name} where "{self.column}" = {self.value} limit 1'
        )
        return bool(found.fetchall())


def prepare(warehouse: Path) -> None:
    """Make the raw tables, each with at least one row."""
    ours = settings.Settings(
        _env_file=None,
        warehouse_path=warehouse,
        runs_path=warehouse.with_name("runs.jsonl"),
        pipelines_path=warehouse.with_name("pipelines"),
    )
    tables = tables_of(ours)
    file = Warehouse(ours)
    file.prepare(tables)
    file.close()
    transform.load_runs(ours.warehouse_path, ours)
    with duckdb.connect(str(warehouse)) as connection:
        for script in ("small_warehouse.sql", "small_rest.sql"):
            connection.execute((HERE / script).read_text(encoding="utf-8"))
        for table in tables:
            listed = ", ".join(f'"{column.name}"' for column in table.columns)
            values = ", ".join(SOME[column.type] for column in table.columns)
            connection.execute(
                f"insert into {table.full_name} ({listed}) select {values}"
                f" where not exists (select 1 from {table.full_name})"
            )


def cases(connection: duckdb.DuckDBPyConnection) -> list[Case]:
    """Yield every case for the rows of `connection`; the ledger is our own data, not a vendor's."""
    ours = settings.Settings(_env_file=None)
    found: list[Case] = []
    for table in tables_of(ours):
        if table.name == "ledger":
            continue
        columns = {column.name: column.type for column in table.columns if not column.known}
        for column, kind in (columns | {"other": "json"}).items():
            for value in VALUES.get(kind) or _documents(connection, table, column):
                if value == "null" and column in table.key:
                    continue  # ingest loads no row without its key
                for in_place in (False, True):
                    found.append(Case(table, column, value, len(found), in_place))
    return found


def _documents(connection: duckdb.DuckDBPyConnection, table: Table, column: str) -> Iterator[str]:
    """Yield JSON as SQL: of odd shapes, and the rows' own with one odd value."""
    yield "null"
    yield from map(_quoted, DOCUMENTS)
    stored = connection.execute(
        f'select distinct on (json_structure("{column}")) "{column}"::varchar from {table.full_name}'
        f' where "{column}" is not null limit 8'
    ).fetchall()
    seen: set[tuple[Any, ...]] = set()
    for document in (json.loads(text) for (text,) in stored):
        for path in _paths(document):
            place = tuple("[]" if isinstance(step, int) else step for step in path)
            if place not in seen:
                seen.add(place)
                yield from (_quoted(json.dumps(_changed(document, path, value))) for value in INSIDE)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _paths(document: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the paths to everything in a document; of a list, to the first two elements."""
    steps: Sequence[Any] = list(document) if isinstance(document, dict) else []
    if isinstance(document, list):
        steps = range(len(document[:2]))
    for step in steps:
        yield (step,)
        yield from ((step, *rest) for rest in _paths(document[step]))


def _changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    step, *rest = path
    changed = document.copy()
    changed[step] = _changed(document[step], tuple(rest), value) if rest else value
    return changed


def put(connection: duckdb.DuckDBPyConnection, case: Case) -> None:
    """Write the case into its table."""
    name, columns = case.table.full_name, case.table.sql_columns
    rows = connection.execute(
        f"select rowid from {name} where _dlt_load_id is distinct from 'odd' order by 1"
    ).fetchall()
    row = rows[case.number * 7919 % len(rows)][0]
    if case.in_place:
        connection.execute(f'update {name} set "{case.column}" = {case.value} where rowid = {row}')
        return
    new = {case.column: case.value, "_dlt_load_id": "'odd'"}
    for last in [part for part in case.table.key if part != case.column][-1:]:
        # Another value of the last part of the key makes a separate row, and the rest still joins.
        new[last] = {
            "bigint": f"1000000 + {case.number}",
            "date": f"date '2025-12-31' - {case.number % 9000}::integer",
            "timestamptz": f"timestamptz '2025-12-31' - to_minutes({case.number})",
        }.get(columns[last], f"concat({last}, '~{case.number}')")
    listed = ", ".join(f'"{column}"' for column in columns)
    values = ", ".join(new.get(column, f'"{column}"') for column in columns)
    connection.execute(f"insert into {name} ({listed}) select {values} from {name} where rowid = {row}")


class Builder:
    """Builds copies of one raw warehouse with cases in it, each in a separate folder below `folder`."""

    def __init__(self, raw: Path, folder: Path) -> None:
        self.raw, self.folder, self.builds = raw, folder, 0
        self.built = raw
        self.manifest: Any = None

    def failures(self, chosen: Sequence[Case]) -> list[str]:
        """Return the failures of a build with these cases; a build that passes is published."""
        self.lay_out(chosen)
        try:
            # A build changes its manifest.
            self.manifest = transform.dbt(Path(self.built.name), "parse", transform.UNWRITTEN)
            _, done = transform.built_by_dbt(self.built, None, self.manifest, statements.Listener())
        except transform.TransformError as error:
            return [str(error)]
        if not done.failures:
            folder = self.built.parent
            transform.record_models(self.built, *transform.describe(self.manifest))
            publish.publish(self.built, folder / "published.duckdb", folder / "salt")
        return done.failures

    def lay_out(self, chosen: Sequence[Case]) -> None:
        """Make a copy of the raw warehouse with these cases in it."""
        self.builds += 1
        self.built = self.folder / str(self.builds) / self.raw.name
        self.built.parent.mkdir()
        shutil.copy(self.raw, self.built)
        with duckdb.connect(str(self.built)) as connection:
            for case in chosen:
                put(connection, case)
            for table in {case.table for case in chosen}:  # ingest keeps one row per key
                connection.execute(
                    f"delete from {table.full_name} where rowid not in"
                    f" (select min(rowid) from {table.full_name} group by {', '.join(table.key)})"
                )

    def uncounted(self, chosen: Sequence[Case]) -> list[Case]:
        """Return cases whose values no column of their type can have, set aside but not counted."""
        with duckdb.connect(str(self.built)) as connection:  # dbt still has it open for writing
            counted = connection.execute(
                "select concat('raw_', vendor, '.', table_name), field from marts.fct_quarantined_rows"
                " where row_count > 0"
            ).fetchall()
            missed = [
                case
                for case in chosen
                if case.is_unreadable
                and (case.table.full_name, case.column) not in counted
                and case.is_in(connection)
            ]
        read = {
            (source.schema, source.name): self.manifest.nodes[child].raw_code
            for source in self.manifest.sources.values()
            for child in self.manifest.child_map[source.unique_id]
            if child.startswith("model.") and not child.endswith("unread_values")
        }
        return [case for case in missed if case.column in read.get((case.table.schema, case.table.name), "")]


def bad(builder: Builder, chosen: Sequence[Case], say: Callable[[str], None]) -> list[str]:
    """Return a line for each case of `chosen` that fails a build, and for each that is not counted."""
    failures = builder.failures(chosen)
    if not failures:
        return [f"{case}: set aside and not counted" for case in builder.uncounted(chosen)]
    say(f"{len(chosen)} cases: {failures[0]}")
    if len(chosen) == 1:
        return [f"{chosen[0]}: {failures[0]}"]
    half = len(chosen) // 2
    found = bad(builder, chosen[:half], say) + bad(builder, chosen[half:], say)
    return found or [f"{len(chosen)} cases together, the first {chosen[0]}: {failures[0]}"]


def play(
    folder: Path,
    say: Callable[[str], None],
    *,
    seed: int,
    share: float = 1.0,
    only: str = "",
    warehouse: Path | None = None,
) -> list[str]:
    """Build on a share of all cases, drawn by the seed, and return a line for each that fails."""
    raw = folder / "raw" / "warehouse.duckdb"
    raw.parent.mkdir()
    if warehouse:
        shutil.copy(warehouse, raw)
    else:
        prepare(raw)
    with duckdb.connect(str(raw)) as connection:
        chosen = [case for case in cases(connection) if only in str(case)]
    random.Random(seed).shuffle(chosen)
    chosen = chosen[: max(1, round(len(chosen) * share))]
    builder = Builder(raw, folder)
    found = []
    for start in range(0, len(chosen), CASES_A_BUILD):
        part = chosen[start : start + CASES_A_BUILD]
        say(f"cases {start + 1} to {start + len(part)} of {len(chosen)}")
        found += bad(builder, part, say)
    say(f"{len(chosen)} cases, {builder.builds} builds, {len(found)} bad")
    return found


def main(
    share: Annotated[float, typer.Option(help="How many of all cases, up to 1 for all of them.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Which of them come first.")] = 7,
    only: Annotated[str, typer.Option(help="Only cases whose line holds this text.")] = "",
    warehouse: Annotated[Path | None, typer.Option(help="Raw rows to start from, such as a demo's.")] = None,
) -> None:
    """Build the models on odd values in every column, and name each that fails a build."""
    with tempfile.TemporaryDirectory() as folder:
        found = play(Path(folder), typer.echo, seed=seed, share=share, only=only, warehouse=warehouse)
    for line in found:
        typer.echo(line)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    typer.run(main)
