"""Models and tests what came in, then publishes: `python -m transform [build|publish|docs]`.

The work is dbt's. What stands here is when to call it (a build costs seconds even with nothing to do), how it
ended in words, and how readers get a copy that no writer can block.
"""

from common import terminal  # isort: split

import gc
import hmac
import io
import json
import os
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import duckdb
import pyarrow as pa
import typer

from common import runs, warehouse
from common import settings as environment
from privacy import outside, pseudonyms
from transform import dictionary

PROJECT = environment.ROOT / "dbt_project"
DOCS = environment.ROOT / "build" / "docs.html"
PUBLISHED_SCHEMAS = ("marts", "activation")
# A mart with one of these columns has a row per person: it is published only with PUBLISH_PEOPLE=true.
PERSONAL_KEYS = ("person_id", "viewer_id", "visitor_key", "customer_id", "profile_id", "contact_id", "email")
# Groups by people's attributes, with what counts their people. Smaller ones than SMALLEST_COHORT are not
# published; lineage.withheld says how many. Campaigns, messages, medias, tests and products are none.
COHORTS = {
    "agg_reading_habits": ("segment_person_count", "person_count"),
    "agg_reading_shares_compared": ("total_person_count", "person_count"),
    "agg_contact_groups": ("contact_count",),
    "agg_clv_tiers": ("customer_count",),
    "agg_customers_by_tier": ("customer_count",),
    "agg_viewer_clusters": ("person_count",),
    "agg_viewer_cluster_medias": ("viewer_count",),
    "agg_segment_overlaps": ("member_a_count", "member_b_count", "shared_count"),
    "agg_lead_cohorts": ("lead_count",),
}
# Of the ledger everything but what was sent and answered, word for word.
LEDGER_WORDS = ("payload", "answer", "error")
# A file in DuckDB 2.0's own format is refused by every 1.x client, and most tools still carry one of those.
PUBLISHED_FORMAT = "v1.2.0"
# dbt would write all it knows of the project to target/ after each command; nobody reads that but `docs`.
UNWRITTEN = "--no-write-json"
LONGEST_CHARACTERS = 300  # of what dbt says of one failure

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class TransformError(Exception):
    """The step could not start; the text says what to do."""


class SetAside(NamedTuple):
    """How many values or rows of one raw table are set aside, by field and reason."""

    table: str
    row_count: int
    reasons: dict[str, int]

    def __str__(self) -> str:
        said = ", ".join(f"{reason} {count:,}" for reason, count in self.reasons.items())
        return f"{self.table}: {self.row_count:,} ({said})"


class Build(NamedTuple):
    """What one build did: counts of models and tests, and a line for each thing that did not pass."""

    models: int
    passed: int
    warnings: list[str]
    failures: list[str]
    set_aside: tuple["SetAside", ...] = ()

    def summary(self) -> str:
        tests = self.passed + len(self.warnings) + len(self.failures)
        parts = [f"{self.passed} passed"]
        parts += [f"{len(self.warnings)} warned"] if self.warnings else []
        parts += [f"{len(self.failures)} failed"] if self.failures else []
        return f"{self.models} models, {tests} tests: {', '.join(parts)}"


# --- what there is to do -----------------------------------------------------------------------------


def project_fingerprint(salt: bytes) -> str:
    """Hash all that can change every model: the files of the dbt project, and by the salt of person ids.

    What dbt writes there does not count, nor the words of jobs, which only activate reads.
    """
    digest = hmac.new(pseudonyms.person_key(salt), digestmod="sha256")
    for path in sorted(PROJECT.rglob("*")):
        inside = path.relative_to(PROJECT)
        is_words = path.suffix in {".j2", ".toml"}
        if path.is_file() and not is_words and inside.parts[0] not in {"target", "logs"}:
            digest.update(str(inside).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def stale_sources(path: Path, fingerprint: str) -> tuple[list[str] | None, int]:
    """Return the raw schemas that changed since the last good build, and how many loads have been seen.

    None stands for everything: there was no good build yet, or the project itself has changed.
    """
    with warehouse.connect(path) as connection:
        known = {row[0] for row in connection.execute(
            "select table_name from information_schema.tables where table_schema = 'raw_ops'"
        ).fetchall()}  # fmt: skip
        if "loads" not in known:
            raise TransformError(f"{path.name} holds no loads yet. Run make ingest first")
        loads = connection.execute("select count(*) from raw_ops.loads").fetchone()[0]  # type: ignore[index]
        if "builds" not in known:
            connection.execute(
                "create table raw_ops.builds (built_at timestamptz, fingerprint text, loads_seen bigint,"
                " models bigint, tests_passed bigint, warnings bigint)"
            )
        last = connection.execute(
            "select fingerprint, loads_seen from raw_ops.builds order by built_at desc limit 1"
        ).fetchone()
        if last is None or last[0] != fingerprint:
            return None, loads
        changed = connection.execute(
            "select distinct 'raw_' || vendor from raw_ops.loads"
            " where rowid >= ? and rows_new + rows_changed > 0 order by 1",
            [last[1]],
        ).fetchall()
        return [row[0] for row in changed], loads


def record_build(path: Path, fingerprint: str, loads: int, build: Build) -> None:
    with warehouse.connect(path) as connection:
        connection.execute(
            "insert into raw_ops.builds values (now(), ?, ?, ?, ?, ?)",
            [fingerprint, loads, build.models, build.passed, len(build.warnings)],
        )


RUN_COLUMNS = {
    **dict.fromkeys(("run_id", "event", "step", "scope", "happened_at", "outcome", "detail"), "VARCHAR"),
    **dict.fromkeys(("row_count", "request_count", "wait_count", "credits"), "BIGINT"),
}


def load_runs(settings: environment.Settings) -> None:
    """Load the lines of every run so far into `raw_ops.runs`, as they stand."""
    with warehouse.connect(settings.warehouse_path) as connection:
        connection.execute(
            "create or replace table raw_ops.runs as"
            f" select unnest(from_json(?, '[{json.dumps(RUN_COLUMNS)}]'), recursive := true)",
            [json.dumps([_told_well(line) for line in runs.lines(settings)])],
        )


def _told_well(line: dict[str, Any]) -> dict[str, Any]:
    """Return a line of the history with its words as they may be kept: an earlier version wrote any."""
    return {**line, "detail": outside.words(line["detail"])} if line.get("detail") else line


# --- dbt ---------------------------------------------------------------------------------------------


def dbt(path: Path, *arguments: str, manifest: Any = None) -> Any:
    """Run one dbt command in this process, without its own log lines, and return its result.

    Raises TransformError where dbt could not start; models and tests that fail are part of the result.
    """
    os.environ |= {"WAREHOUSE_PATH": str(path), "DO_NOT_TRACK": "1"}
    where = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    quiet = ["--quiet", "--log-level", "none", "--log-level-file", "none"]
    # What it prints all the same, through a stream that it takes as it is imported, is in the exception, too.
    with redirect_stdout(io.StringIO()):
        from dbt.cli.main import dbtRunner  # four seconds of imports that a run with nothing to do saves

        # It writes down what this process was called with, which may be an address that is to be forgotten.
        called_with, sys.argv = sys.argv, sys.argv[:1]
        try:
            outcome = dbtRunner(manifest=manifest).invoke([*quiet, *arguments, *where])
        finally:
            sys.argv = called_with
    if terminal.was_interrupted():
        raise KeyboardInterrupt  # of which dbt makes a failure of its own
    if outcome.exception:
        raise TransformError(_why_not(str(outcome.exception)))
    return outcome.result


def _why_not(message: str) -> str:
    """Say in one line why dbt did not start; a slip in a YAML file is named by file and line."""
    line = re.search(r"Syntax error near line (\d+)", message)
    if not line:
        return f"dbt could not start: {outside.words(_one_line(message), LONGEST_CHARACTERS)}"
    file = re.search(r"\S+\.ya?ml", message)
    # The parser says what it was at and where, and then what it missed and where.
    said = [part.strip() for part in message.splitlines() if part.strip() and "<unicode string>" not in part]
    named = f"models/{file[0]}" if file else "dbt_project.yml"
    return f"dbt_project/{named}, line {line[1]}: {said[-1]}. Mend it, then run the same command again"


def build(path: Path, sources: list[str] | None) -> Build:
    """Build and test everything below `sources`, or everything; then ask how fresh the sources are."""
    selection = ["--select", *(f"source:{s}+" for s in [*sources, "raw_ops"])] if sources else []
    manifest = dbt(path, "parse", UNWRITTEN)
    gc.freeze()  # the manifest stays to the end: collections that walk through it are a tenth of a build
    try:
        record_lineage(path, manifest)
        return _built(path, manifest, selection)
    finally:
        gc.unfreeze()  # or DuckDB says at the end that all of it has leaked


def _built(path: Path, manifest: Any, selection: list[str]) -> Build:
    left_out = ["--exclude-resource-type", "unit_test"]
    results = dbt(path, "build", UNWRITTEN, *left_out, *selection, manifest=manifest)
    kinds = Counter(r.node.resource_type for r in results if r.status in {"success", "pass"})
    failures = [_named(r) for r in results if r.status in {"error", "fail"}]
    if full := next((line for line in map(OSError, failures) if warehouse.is_full(line)), None):
        failures = [warehouse.explain(path, full)]  # every model said the same
    warnings = [_named(r) for r in results if r.status == "warn"]
    fresh = dbt(path, "source", "freshness", UNWRITTEN, manifest=manifest)
    warnings += [
        f"{r.node.source_name}.{r.node.name}: newest row is {r.age / 3600:,.0f} h old"
        f" (limit {r.node.freshness.warn_after.count} {r.node.freshness.warn_after.period}s)"
        for r in fresh
        # An empty table, as of a vendor without a key, reads as loaded in the year 1.
        if r.status in {"warn", "error"} and r.max_loaded_at.year > 1
    ]
    return Build(kinds["model"], kinds["test"], warnings, failures)


def set_aside(path: Path) -> tuple[SetAside, ...]:
    """Return what ingest and staging set aside, by table, most first."""
    with warehouse.connect(path) as connection:
        rows = connection.execute(
            "select concat(vendor, '.', table_name), reason, row_count from marts.fct_quarantined_rows"
            " where row_count > 0 order by row_count desc, 1, 2"
        ).fetchall()
    tables: dict[str, dict[str, int]] = {}
    for table, reason, count in rows:
        tables.setdefault(table, {})[reason] = count
    return tuple(SetAside(table, sum(reasons.values()), reasons) for table, reasons in tables.items())


def missing_metrics(path: Path) -> list[str]:
    """Return a line for each metric of Klaviyo that the account needs and has under no known name."""
    with warehouse.connect(path) as connection:
        found = connection.execute(
            "select missing_message from marts.dim_metric_roles where is_missing order by metric_role"
        ).fetchall()
    return [line for (line,) in found]


def record_lineage(path: Path, manifest: Any) -> None:
    """Write what publish needs of the manifest: which model reads which, and the earlier names of models."""
    nodes = {**manifest.nodes, **manifest.sources}
    names = {key: f"{node.schema}.{getattr(node, 'identifier', node.name)}" for key, node in nodes.items()}
    read = [
        (names[node.unique_id], names[parent])
        for node in manifest.nodes.values()
        if node.resource_type == "model"
        for parent in node.depends_on.nodes
        if parent in names
    ]
    earlier = [
        (names[key], f"{node.schema}.{node.meta['earlier_name']}")
        for key, node in manifest.nodes.items()
        if node.resource_type == "model" and "earlier_name" in node.meta
    ]
    with warehouse.connect(path) as connection:
        connection.execute(
            "create or replace table raw_ops.lineage as select unnest(?) as relation, unnest(?) as parent",
            [list(each) for each in zip(*read, strict=True)],
        )
        connection.execute(
            "create or replace table raw_ops.earlier_names"
            " as select unnest(?::varchar[]) as relation, unnest(?::varchar[]) as earlier",
            [list(each) for each in zip(*earlier, strict=True)] if earlier else [[], []],
        )


def _named(result: Any) -> str:
    said = outside.words(_without_values(_one_line(result.message)), LONGEST_CHARACTERS)
    return f"{result.node.name}: {said}"


def _one_line(message: str | None) -> str:
    """Keep what dbt says of the failure itself, without the chain of macros that led there."""
    return " ".join((message or "no message").split(" > in macro")[0].split())


def _without_values(line: str) -> str:
    """Leave out what DuckDB quotes: a value that it could not read may be somebody's name or address."""
    if line.startswith("Compilation Error"):  # of the project's own files
        return line
    return re.sub(r"'.*'", "'...'", re.sub(r"\bInput: .*", "", line)).strip()


# --- what readers get --------------------------------------------------------------------------------


def publish(
    path: Path, target: Path, salt_path: Path, *, people: bool = False, smallest_cohort: int = 20
) -> int:
    """Copy marts, activation and the ledger's rows into `target`; return the number of tables.

    No raw data, no address and no name is in the copy, but its lineage: which model reads which, and of each
    table how many rows it has and when it was loaded. A mart with a row per person is there only with
    `people`, and a group of fewer than `smallest_cohort` people never. Hashes stand for those whom the
    warehouse knows, by the salt at `salt_path`, so that activation can tell when a text names one.
    Readers of the copy before keep it until they close it.
    """
    with warehouse.connect(path) as connection, warehouse.beside(target, is_shared=True) as draft:
        warehouse.remove_drafts(target)  # the open warehouse keeps other publishers away
        tables = connection.execute(
            "select table_schema, table_name, list(column_name) from information_schema.columns"
            " semi join (from information_schema.tables where table_type = 'BASE TABLE')"
            " using (table_schema, table_name)"
            " where table_schema in (select unnest(?))"
            " or (table_schema, table_name) = ('raw_mavera', 'ledger') group by all order by all",
            [list(PUBLISHED_SCHEMAS)],
        ).fetchall()
        if not any(schema == "marts" for schema, *_ in tables):
            raise TransformError(f"{path.name} holds no marts. Run python -m transform --full first")
        kept = [(*name, columns) for *name, columns in tables if people or not _is_personal(name[0], columns)]
        connection.execute(f"attach {warehouse.quoted(draft)} as copy (storage_version '{PUBLISHED_FORMAT}')")
        for schema in sorted({"activation", "lineage", *(schema for schema, *_ in kept)}):
            connection.execute(f'create schema copy."{schema}"')
        for schema, table, columns in kept:
            connection.execute(
                f'create table copy."{schema}"."{table}" as {_shown(schema, table, columns, smallest_cohort)}'
            )
        _publish_withheld(connection, tables, kept)
        _publish_lineage(connection)
        _publish_known_people(connection, salt_path)
        _publish_earlier_names(connection, kept)
        _publish_feeds(connection)
        connection.execute("detach copy")
    return len(kept)


def publish_by(settings: environment.Settings) -> int:
    """Publish as the settings say; return the number of tables."""
    return publish(
        settings.warehouse_path,
        settings.published_path,
        settings.salt_path,
        people=settings.publish_people,
        smallest_cohort=settings.smallest_cohort,
    )


def _is_personal(schema: str, columns: Sequence[str]) -> bool:
    return schema == "marts" and not {*PERSONAL_KEYS}.isdisjoint(columns)


def _shown(schema: str, table: str, columns: Sequence[str], smallest_cohort: int) -> str:
    """Return the query of what the copy has of a table."""
    left_out = [name for name in LEDGER_WORDS if schema == "raw_mavera" and name in columns]
    excluded = f" exclude ({', '.join(left_out)})" if left_out else ""
    counts = [name for name in COHORTS.get(table, ()) if schema == "marts" and name in columns]
    large = " and ".join(f"coalesce({name}, 0) >= {smallest_cohort:d}" for name in counts) or "true"
    return f'select *{excluded} from "{schema}"."{table}" where {large}'


def _publish_earlier_names(connection: duckdb.DuckDBPyConnection, kept: Any) -> None:
    """Write a view under each name that a published table had in the version before."""
    stored = connection.execute(
        "select 1 from duckdb_tables() where (schema_name, table_name) = ('raw_ops', 'earlier_names')"
    ).fetchone()
    earlier = connection.execute("from raw_ops.earlier_names").fetchall() if stored else []
    names = {f"{schema}.{table}" for schema, table, _ in kept}
    (warehouse_name,) = connection.execute("select current_database()").fetchone()  # type: ignore[misc]
    connection.execute("use copy")  # a view keeps the database that is named in its text
    for relation, view in earlier:
        if relation in names:
            connection.execute(f"create view {view} as from {relation}")
    connection.execute(f'use "{warehouse_name}"')


def _publish_feeds(connection: duckdb.DuckDBPyConnection) -> None:
    """Write the report's feeds that are views as views, so that they count only what the copy has."""
    views = connection.execute(
        "select sql from duckdb_views() where database_name = current_database()"
        " and schema_name in ('marts', 'activation') and starts_with(view_name, 'rpt_')"
    ).fetchall()
    (warehouse_name,) = connection.execute("select current_database()").fetchone()  # type: ignore[misc]
    connection.execute("use copy")
    for (text,) in views:
        connection.execute(text)
    connection.execute(f'use "{warehouse_name}"')


def _publish_withheld(connection: duckdb.DuckDBPyConnection, tables: Any, kept: Any) -> None:
    """Write into the copy which marts are not in it, and how many groups were too small."""
    names = {(schema, table) for schema, table, _ in kept}
    connection.execute("create table copy.lineage.withheld (relation text, row_count bigint, reason text)")
    for schema, table, _ in tables:
        name = f'"{schema}"."{table}"'
        if (schema, table) not in names:
            connection.execute(
                f"insert into copy.lineage.withheld select ?, count(*), 'people' from {name}",
                [f"{schema}.{table}"],
            )
        elif schema == "marts" and table in COHORTS:
            connection.execute(
                "insert into copy.lineage.withheld"
                " select ?, before.row_count - after.row_count, 'small groups'"
                f" from (select count(*) as row_count from {name}) as before,"
                f" (select count(*) as row_count from copy.{name}) as after",
                [f"{schema}.{table}"],
            )


def _publish_lineage(connection: duckdb.DuckDBPyConnection) -> None:
    """Write `lineage.reads` and `lineage.tables` into the copy, once a build has told who reads whom."""
    stored = connection.execute(
        "select table_schema || '.' || table_name from information_schema.tables"
        " where table_type = 'BASE TABLE'"
    ).fetchall()
    tables = {name for (name,) in stored}
    if "raw_ops.lineage" not in tables:
        return
    named = "select relation from raw_ops.lineage union select parent from raw_ops.lineage order by 1"
    counts = " union all ".join(
        f"select '{name}' as relation, count(*) as row_count from {name}"
        for (name,) in connection.execute(named).fetchall()
        if name in tables
    )
    connection.execute("create table copy.lineage.reads as from raw_ops.lineage")
    connection.execute(
        "create table copy.lineage.tables as select relation, row_count, max(finished_at) as loaded_at"
        f" from ({counts}) left join raw_ops.loads"
        # Cues are cut from captions as these are loaded.
        " on replace(relation, 'caption_cues', 'captions') = concat('raw_', vendor, '.', resource)"
        " and outcome = 'loaded' group by all"
    )


def _publish_known_people(connection: duckdb.DuckDBPyConnection, salt_path: Path) -> None:
    """Write what stands for names and keys of people, with one more by which the salt can be recognised."""
    known = connection.execute(
        "select 1 from information_schema.tables"
        " where (table_schema, table_name) = ('intermediate', 'int_known_people')"
    ).fetchone()
    asked = "select known_by, kind from intermediate.int_known_people"
    people = connection.execute(asked).fetchall() if known else []
    hashes = []
    if people:
        salt = pseudonyms.salt(salt_path, create=True)
        texts = {pseudonyms.SALTED}.union(*(pseudonyms.known_by(text, kind) for text, kind in people))
        hashes = sorted(pseudonyms.of_text(salt, text) for text in texts)
    table = pa.table({"stands_for": pa.array(hashes, pa.int64())})
    connection.register("known_people", table)
    connection.execute("create or replace table copy.activation.known_people as from known_people")
    connection.unregister("known_people")


# --- commands ----------------------------------------------------------------------------------------


@app.callback(invoke_without_command=True, epilog=terminal.DEBUG_HELP)
def main(
    context: typer.Context,
    full: Annotated[bool, typer.Option(help="Build everything, whether or not something came in.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The same numbers for a machine.")] = False,
) -> None:
    """Model and test what came in, then publish. With nothing new it says so and is done."""
    if context.invoked_subcommand:
        return
    settings = environment.load()
    with runs.recorded(settings, "transform") as record:
        _build_and_publish(settings, record, full, as_json)


@app.command("publish")
def publish_command() -> None:
    """Write the read-only copy again, from the models as they stand."""
    settings = environment.load()
    tables = publish_by(settings)
    typer.echo(f"{tables} tables in {settings.published_path}")


@app.command()
def docs() -> None:
    """Write lineage and descriptions of every model as one page, and the dictionary of the published copy."""
    write_docs(environment.load())
    typer.echo(f"{DOCS.relative_to(environment.ROOT)}: open it in a browser")


def write_docs(settings: environment.Settings) -> None:
    """Write the page of docs and the dictionary."""
    # Its error is clearer than dbt's.
    warehouse.connect(settings.warehouse_path, read_only=True, is_copy=False).close()
    dbt(settings.warehouse_path, "docs", "generate", "--static")
    with warehouse.beside(DOCS, is_shared=True) as draft:
        shutil.copyfile(PROJECT / "target" / "static_index.html", draft)
    manifest = json.loads((PROJECT / "target" / "manifest.json").read_text(encoding="utf-8"))
    dictionary.PATH.write_text(dictionary.render(manifest), encoding="utf-8")


def _take_over_copy(settings: environment.Settings) -> None:
    """Move a copy that an earlier version kept beside the warehouse to where other users can reach it."""
    before, now = environment.ROOT / "data" / "published.duckdb", settings.published_path
    if before.exists() and now == environment.ROOT / "published" / "published.duckdb" and not now.exists():
        terminal.make_shared_folder(now.parent)
        terminal.share(before)
        before.rename(now)


def _build_and_publish(settings: environment.Settings, record: runs.Run, full: bool, as_json: bool) -> None:
    started = time.monotonic()
    _take_over_copy(settings)
    warehouse.connect(settings.warehouse_path).close()  # makes no salt for a warehouse that is not there
    fingerprint = project_fingerprint(pseudonyms.salt(settings.salt_path, create=True))
    sources, loads = stale_sources(settings.warehouse_path, fingerprint)
    if sources == [] and not full:
        record.detail = "nothing new came in: models and published copy stand"
        if not _can_be_read(settings.published_path):
            publish_by(settings)
            record.detail = "nothing new came in: models stand, and were published again"
        _say(_numbers(Build(0, 0, [], []), time.monotonic() - started), record.detail, as_json)
        return
    try:
        load_runs(settings)
        done = build(settings.warehouse_path, None if full else sources)
    except duckdb.Error as error:
        if not warehouse.is_full(error):
            raise
        done = Build(0, 0, [], [warehouse.explain(settings.warehouse_path, error)])
    if not done.failures:
        done = done._replace(set_aside=set_aside(settings.warehouse_path))
        done.warnings.extend(missing_metrics(settings.warehouse_path))
    record.detail = done.summary()
    record.fail(done.failures)
    seconds = time.monotonic() - started
    for kind, lines in (("aside", done.set_aside), ("warn", done.warnings), ("fail", done.failures)):
        for line in lines:
            typer.echo(f"{kind:<6}{line}", err=as_json)
    if done.failures:
        stands = (
            "The published copy is the one before"
            if _can_be_read(settings.published_path)
            else "Nothing published"
        )
        _say(_numbers(done, seconds), f"{done.summary()}. {stands}: docs/operating.md, Transform", as_json)
        raise typer.Exit(1)
    publish_by(settings)
    record_build(settings.warehouse_path, fingerprint, loads, done)
    _say(_numbers(done, seconds), done.summary(), as_json)


def _can_be_read(path: Path) -> bool:
    try:
        warehouse.require_whole(path)
    except warehouse.WarehouseError:
        return False
    return True


def _numbers(done: Build, seconds: float) -> dict[str, Any]:
    return {
        "models": done.models,
        "tests": done.passed + len(done.warnings) + len(done.failures),
        "warnings": done.warnings,
        "failures": done.failures,
        "set_aside": [one._asdict() for one in done.set_aside],
        "seconds": round(seconds, 1),
    }


def _say(numbers: dict[str, Any], sentence: str, as_json: bool) -> None:
    typer.echo(json.dumps(numbers) if as_json else sentence)
