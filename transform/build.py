"""Runs dbt: builds and tests the models, and reports each failure in one line."""

from common import terminal  # isort: split

import gc
import io
import json
import os
import re
import sys
import warnings
from collections import Counter
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from common import runs, spans, warehouse
from common import settings as environment
from common.progress import Progress, step
from privacy import outside
from transform import expectations, statements

PROJECT = statements.PROJECT
# The schemas that contain only models. `addressed` is the one with addresses.
MODEL_SCHEMAS = ("staging", "intermediate", "marts", "addressed", "activation")
# What publishing has hashed of int_known_people: among the models, because `forget` drops all that is there.
HASHED = "intermediate.hashed_people"
# Columns that identify a person: a mart with one of them must be marked `people`, which withholds it.
PERSONAL_KEYS = ("person_id", "viewer_id", "visitor_key", "customer_id", "profile_id", "contact_id", "email")
# dbt would write its whole manifest to target/ after each command; only `docs` reads it.
UNWRITTEN = "--no-write-json"
DUCKDB, SPARK = "duckdb", "spark"  # dbt's targets
NEXT = statements.NEXT
LONGEST_CHARACTERS = 300  # of dbt's message about one failure
RUN_COLUMNS = {
    **dict.fromkeys(("run_id", "event", "step", "scope", "happened_at", "outcome", "detail"), "VARCHAR"),
    **dict.fromkeys(("row_count", "request_count", "wait_count", "credits"), "BIGINT"),
    "parts": "JSON",
}
MODEL_COLUMNS = {
    **dict.fromkeys(("relation", "materialized", "description", "earlier_name"), "VARCHAR"),
    "columns": "MAP(VARCHAR, VARCHAR)",
    "types": "MAP(VARCHAR, VARCHAR)",
    "is_about_people": "BOOLEAN",
    "cohort_counts": ["VARCHAR"],
}


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
    """Counts of models and tests, a line for each that did not pass, and the relations that were dropped."""

    models: int
    passed: int
    warnings: list[str]
    failures: list[str]
    set_aside: tuple["SetAside", ...] = ()
    dropped: tuple[str, ...] = ()
    tested: tuple[statements.Tested, ...] = ()

    def summary(self) -> str:
        tests = self.passed + len(self.warnings) + len(self.failures)
        parts = [f"{self.passed} passed"]
        parts += [f"{len(self.warnings)} warned"] if self.warnings else []
        parts += [f"{len(self.failures)} failed"] if self.failures else []
        return f"{self.models} models, {tests} tests: {', '.join(parts)}"


def load_runs(path: Path, settings: environment.Settings) -> None:
    """Load the lines of every run so far into `raw_ops.runs`, unchanged."""
    with warehouse.connect(path) as connection:
        expectations.create(connection)
        connection.execute(
            "create or replace table raw_ops.runs as"
            f" select unnest(from_json(?, '[{json.dumps(RUN_COLUMNS)}]'), recursive := true)",
            [json.dumps([_told_well(line) for line in runs.lines(settings)])],
        )


def _told_well(line: dict[str, Any]) -> dict[str, Any]:
    """Return a line of the history in words that may be kept: an earlier version wrote any."""
    return {**line, "detail": outside.words(line["detail"])} if line.get("detail") else line


def dbt(
    path: Path,
    *arguments: str,
    manifest: Any = None,
    shown: Progress | None = None,
    listener: statements.Listener | None = None,
    target: str = DUCKDB,
) -> Any:
    """Run one dbt command in this process, without its own log lines, and return its result.

    `shown` follows its nodes, `listener` what it sends. Failed models and tests are part of the result.
    Raises TransformError if dbt could not start.
    """
    os.environ |= {"WAREHOUSE_PATH": str(path), "DO_NOT_TRACK": "1"}
    where = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    if target != DUCKDB:  # in a folder of its own: dbt parses everything anew for another target
        where += ["--target", target, "--target-path", str(PROJECT / "target" / target)]
    quiet = ["--quiet", "--log-level", "none", "--log-level-file", "none"]
    # dbt still prints to a stream that it captures on import; the exception has the same text.
    with redirect_stdout(io.StringIO()), warnings.catch_warnings():
        # dbt-spark asks each session for Hive, which is a matter of the server.
        warnings.filterwarnings("ignore", message="Failed to set spark.sql.catalogImplementation")
        from dbt.cli.main import dbtRunner  # four seconds of imports, saved by a run with nothing to do

        # dbt stores the arguments of this process, which may include the address of a person to be forgotten.
        called_with, sys.argv = sys.argv, sys.argv[:1]
        try:
            follow: list[Any] = [partial(_follow, shown)] if shown else []
            follow += [listener] if listener else []
            outcome = dbtRunner(manifest=manifest, callbacks=follow).invoke([*quiet, *arguments, *where])
        finally:
            sys.argv = called_with
    if terminal.was_interrupted():
        raise KeyboardInterrupt  # dbt turns it into a failure of its own
    if outcome.exception:
        raise TransformError(_why_not(str(outcome.exception)))
    return outcome.result


def _follow(shown: Progress, event: Any) -> None:
    """Show what one of dbt's events says about a node that runs: exposures and ephemeral models do not."""
    if event.info.name == "ConcurrencyLine":
        shown.total = event.data.node_count
    if event.info.name == "BuildingCatalog":
        shown.begin("columns of all tables")
    if event.info.name not in ("NodeStart", "NodeFinished"):
        return
    node = event.data.node_info
    if node.resource_type not in ("exposure", "operation") and node.materialized != "ephemeral":
        act = shown.begin if event.info.name == "NodeStart" else shown.end
        act(f"{node.resource_type} {node.node_name}")
        if event.info.name == "NodeFinished":
            part: spans.Part = "model" if node.resource_type in ("model", "seed") else "test"
            spans.ended(part, f"{node.resource_type} {node.node_name}", event.data.run_result.execution_time)
        shown.tell()


def _why_not(message: str) -> str:
    """Return one line that says why dbt did not start, with file and line of a mistake in YAML."""
    line = re.search(r"Syntax error near line (\d+)", message)
    if not line:
        return f"dbt could not start: {outside.words(_one_line(message), LONGEST_CHARACTERS)}"
    file = re.search(r"\S+\.ya?ml", message)
    # The parser gives the context and its place, then the problem and its place.
    said = [part.strip() for part in message.splitlines() if part.strip() and "<unicode string>" not in part]
    named = f"models/{file[0]}" if file else "dbt_project.yml"
    return f"dbt_project/{named}, line {line[1]}: {said[-1]}. Mend it, then run the same command again"


def build(path: Path, salt: bytes, tables: list[str] | None) -> Build:
    """Build and test everything that reads the raw `tables`, or everything; then check their freshness."""
    key = statements.key(path)
    known = statements.stored(key)
    done = _sent_again(path, salt, tables, known) or _built(path, tables, key, known)
    is_whole = not tables and not done.failures
    return done._replace(dropped=tuple(drop_orphans(path))) if is_whole else done


def _sent_again(
    path: Path, salt: bytes, tables: list[str] | None, known: statements.Statements | None
) -> Build | None:
    """Build without dbt; return None if dbt is needed."""
    if known is None:
        return None
    record_models(path, known.models, known.read)
    with step("transform", "models and tests") as shown:
        try:
            sent = known.send(path, salt, tables, shown)
        except statements.NotAgain:
            return None
    return Build(sent.models, sent.passed, sent.warnings, [], tested=tuple(sorted(sent.tested)))


def parse(path: Path, target: str = DUCKDB) -> Any:
    """Return the manifest of the project."""
    # Only the file's name: with another path dbt would read the whole project again, which takes ten seconds.
    with step("transform", "reading the project"):
        return dbt(Path(path.name), "parse", UNWRITTEN, target=target)


def _built(path: Path, tables: list[str] | None, key: str, known: statements.Statements | None) -> Build:
    manifest = parse(path)
    models, read = describe(manifest)
    record_models(path, models, read)
    gc.freeze()  # the manifest stays to the end: collections that scan it are a tenth of a build
    listener = statements.Listener()
    try:
        results, done = built_by_dbt(path, tables, manifest, listener)
    finally:
        gc.unfreeze()  # otherwise DuckDB reports at the end that all of it has leaked
    nodes = list(listener.nodes(manifest, [result.node.unique_id for result in results]))
    whole = statements.Statements(key, nodes, models, read) if tables is None and not done.failures else None
    if whole and not known:
        known, nodes = whole, _adding_rows(path, manifest, results)
    if known:
        statements.store(known.with_sent(nodes))
    return done


def _adding_rows(path: Path, manifest: Any, results: list[Any]) -> list[statements.Node]:
    """Return incremental models with the statements that add rows, which a whole build does not send.

    They add nothing now, but otherwise dbt would have to run again when the first rows come.
    """
    listener = statements.Listener()
    with step("transform", "how models grow") as shown:
        dbt(
            path, "run", UNWRITTEN, "--select", "config.materialized:incremental",
            manifest=manifest, shown=shown, listener=listener,
        )  # fmt: skip
    return list(listener.nodes(manifest, [result.node.unique_id for result in results]))


def _selection(tables: list[str]) -> list[str]:
    """Return dbt's arguments for what reads `tables`: models and all tests that see them.

    Views stay as they are, because they only change with the project; their tests run.
    """
    below = [f"source:{name}+" for name in tables]
    return ["--select", *below, "--exclude", "config.materialized:view", "--indirect-selection", "empty"]


def built_by_dbt(
    path: Path,
    tables: list[str] | None,
    manifest: Any,
    listener: statements.Listener | None,
    target: str = DUCKDB,
) -> tuple[list[Any], Build]:
    """Build and test everything that reads the raw `tables`, or everything; return dbt's results as well."""
    left_out = ["--exclude-resource-type", "unit_test"]
    selection = _selection(tables) if tables else ["--full-refresh"]
    with step("transform", "models and tests") as shown:
        results = dbt(
            path, "build", UNWRITTEN, *left_out, *selection,
            manifest=manifest, shown=shown, listener=listener, target=target,
        )  # fmt: skip
    kinds = Counter(r.node.resource_type for r in results if r.status in {"success", "pass"})
    failures = [_named(r) for r in results if r.status in {"error", "fail"}]
    if full := next((line for line in map(OSError, failures) if warehouse.is_full(line)), None):
        failures = [warehouse.explain(path, full)]  # every model failed for the same reason
    warnings = [_named(r) for r in results if r.status == "warn"]
    with step("transform", "freshness checks") as shown:
        fresh = dbt(
            path, "source", "freshness", UNWRITTEN,
            manifest=manifest, shown=shown, listener=listener, target=target,
        )  # fmt: skip
    warnings += [
        statements.late(
            f"{r.node.source_name}.{r.node.name}", r.age, statements.limit(r.node.freshness.warn_after)
        )
        for r in fresh
        # An empty table, as of a vendor without a key, is reported as loaded in the year 1.
        if r.status in {"warn", "error"} and r.max_loaded_at.year > 1
    ]
    tested = sorted(
        (r.node.name, statements.subject_of(r.node, manifest), r.status == "warn")
        for r in results
        if r.node.resource_type == "test" and r.status in {"pass", "warn"}
    )
    return [*results, *fresh], Build(kinds["model"], kinds["test"], warnings, failures, tested=tuple(tested))


def set_aside(path: Path) -> tuple[SetAside, ...]:
    """Return what ingest and staging set aside, by table, most frequent first."""
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
    """Return a line for each Klaviyo metric that the account needs but lacks under every known name."""
    with warehouse.connect(path) as connection:
        found = connection.execute(
            "select missing_message from marts.dim_metric_roles where is_missing order by metric_role"
        ).fetchall()
    return [line for (line,) in found]


def describe(manifest: Any) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """Return what publish needs of the manifest: models, and which relation reads which.

    Raises TransformError if people would be published.
    """
    nodes = {**manifest.nodes, **manifest.sources}
    names = {
        key: f"{node.schema.removesuffix(NEXT)}.{getattr(node, 'identifier', node.name)}"
        for key, node in nodes.items()
    }
    models = {key: node for key, node in manifest.nodes.items() if node.resource_type == "model"}
    read = [
        (names[key], names[parent])
        for key, node in models.items()
        for parent in node.depends_on.nodes
        if parent in names
    ]
    described = [
        {
            "relation": names[key],
            "materialized": node.config.materialized,
            "description": " ".join(node.description.split()),
            "columns": {
                column.name: " ".join(column.description.split()) for column in node.columns.values()
            },
            "types": {column.name: column.data_type for column in node.columns.values() if column.data_type},
            "is_about_people": node.config.meta.get("people", False),
            "cohort_counts": node.config.meta.get("cohort", []),
            "earlier_name": node.config.meta.get("earlier_name"),
        }
        for key, node in models.items()
    ]
    for model in described:
        known_by = sorted({*PERSONAL_KEYS}.intersection(model["columns"]))
        if known_by and model["relation"].startswith("marts.") and not model["is_about_people"]:
            raise TransformError(
                f"{model['relation']} has a row per person ({known_by[0]}) and would be published. Add"
                " `config: {meta: {people: true}}` to the model's YAML, then run the same command again"
            )
    return described, read


def record_models(path: Path, models: list[dict[str, Any]], read: list[tuple[str, str]]) -> None:
    """Store what publish needs in `raw_ops`."""
    with warehouse.connect(path) as connection:
        connection.execute(
            "create or replace table raw_ops.lineage as select unnest(?) as relation, unnest(?) as parent",
            [list(each) for each in zip(*read, strict=True)],
        )
        connection.execute(
            "create or replace table raw_ops.models as"
            f" select unnest(from_json(?, '[{json.dumps(MODEL_COLUMNS)}]'), max_depth := 2)",
            [json.dumps(models)],
        )


def drop_orphans(path: Path) -> list[str]:
    """Drop relations of earlier builds that no model makes now; return their names."""
    with warehouse.connect(path) as connection:
        orphans = connection.execute(
            "select table_schema || '.' || table_name, table_type from information_schema.tables"
            " where table_schema in (select unnest(?)) and table_schema || '.' || table_name not in ("
            "  select relation from raw_ops.models union all"
            "  select split_part(relation, '.', 1) || '.' || earlier_name from raw_ops.models"
            "  where earlier_name is not null union all select ?"
            " ) order by 1",
            [list(MODEL_SCHEMAS), HASHED],
        ).fetchall()
        for name, kind in orphans:
            schema, table = name.split(".", 1)
            connection.execute(f'drop {"view" if kind == "VIEW" else "table"} "{schema}"."{table}"')
    return [name for name, _ in orphans]


def _named(result: Any) -> str:
    said = outside.words(_without_values(_one_line(result.message)), LONGEST_CHARACTERS)
    return f"{result.node.name}: {said}"


def _one_line(message: str | None) -> str:
    """Return dbt's message about the failure itself, without the chain of macros."""
    return " ".join((message or "no message").split(" > in macro")[0].split())


def _without_values(line: str) -> str:
    """Remove values that DuckDB quotes: an unreadable value may be somebody's name or address."""
    if line.startswith("Compilation Error"):  # from the project's own files
        return line
    return re.sub(r"'.*'", "'...'", re.sub(r"\bInput: .*", "", line)).strip()
