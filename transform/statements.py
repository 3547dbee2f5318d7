"""Keep the statements that dbt sent to build the project, and send them again until something changes them.

dbt needs seconds to start, and its own work for a model or a test takes several times as long as the SQL.
The SQL depends on no row: it follows from the project's files, from dbt's version and settings, and from the
columns of raw tables. So dbt runs the first build, and later builds send the same statements in the same
order. If a statement or a test fails, dbt builds again and reports the reason.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC
from importlib import metadata
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb

from common import settings as environment
from common import spans, terminal, warehouse
from common.progress import Progress
from privacy import pseudonyms

PROJECT: Final = environment.ROOT / "dbt_project"
STORED: Final = PROJECT / "target" / "statements"
NEXT: Final = "_next"
"""The end of the schemas in which Spark builds models; they are read once all tests have passed."""
KEPT: Final = 4  # builds: other settings of dbt or other tables make other statements
PACKAGES: Final = ("dbt-core", "dbt-adapters", "dbt-duckdb", "duckdb")
RAW_COLUMNS: Final = """
    select table_schema, table_name, column_name, data_type from information_schema.columns
    where table_schema like 'raw%'
        -- which no model reads: dlt's own
        and not ends_with(table_schema, '_staging') and not starts_with(table_name, '_dlt')
        -- which only builds write
        and concat_ws('.', table_schema, table_name)
        not in ('raw_ops.models', 'raw_ops.lineage', 'raw_ops.builds', 'raw_ops.built_from', 'raw_ops.grown',
            'raw_ops.warned')
    order by all
"""
Tested = tuple[str, str, bool]
"""A test that ran and did not fail, the relation that it tests, and whether it warned."""
_COMMENT: Final = re.compile(r"\s*(/\*.*?\*/\s*|--[^\n]*\n\s*)*", re.DOTALL)
CREATES: Final = "create or replace table"
CHECKS: Final = "growth_check"
"""In the questions whether an incremental model may add rows: `macros/growing.sql`. A row means yes."""
GROWN: Final = """
    create schema if not exists raw_ops;
    create table if not exists raw_ops.grown (
        relation text primary key, mark text, whole_at timestamptz, load_ids text[]
    )
"""
SECONDS: Final = {"minute": 60, "hour": 3600, "day": 86400}
# Questions, and relations of another type that an earlier version left: once dropped, they are gone.
_UNKEPT: Final = ("select", "with", "begin", "commit", "rollback", "drop")


class NotAgain(Exception):
    """A statement failed, or this build needs one that was never sent."""


class Node(NamedTuple):
    """A seed, model, test or operation of dbt, or the freshness of a source.

    `parents` are unique ids, of sources `raw_wistia.medias`. `again` is what an incremental model sends to a
    table that exists, if each of `checks` finds a row. A source is late after `limit_seconds`.
    """

    unique_id: str
    kind: str
    name: str
    parents: list[str]
    statements: list[str]
    again: list[str]
    relation: str = ""
    materialized: str = ""
    is_error: bool = False
    warn_if: str = ""
    limit: str = ""
    limit_seconds: float = 0.0
    checks: Sequence[str] = ()


class Sent(NamedTuple):
    """How many models were built and tests passed, a line for each warning or late source, and the tests."""

    models: int
    passed: int
    warnings: list[str]
    tested: tuple[Tested, ...] = ()


class Statements(NamedTuple):
    """A whole build: its nodes, each after its parents, and the records that publishing needs."""

    key: str
    nodes: list[Node]
    models: list[dict[str, Any]]
    read: list[tuple[str, str]]

    def below(self, tables: list[str] | None) -> list[Node]:
        """Return the nodes of a build of raw `tables` (`raw_wistia.medias`); None means all.

        Views stay as they are, because they only change with the project; their tests run.
        """
        if tables is None:
            return self.nodes
        reached, chosen = set(tables), []
        for node in self.nodes:
            is_below = not reached.isdisjoint(node.parents)
            if is_below:
                reached.add(node.unique_id)
            if (is_below and node.materialized != "view") or node.kind in ("operation", "source"):
                chosen.append(node)
        return chosen

    def with_sent(self, nodes: Iterable[Node]) -> "Statements":
        """Return the same build with the statements of a later one, which may be partial."""
        later = {node.unique_id: node for node in nodes}

        def newest(node: Node) -> Node:
            sent = later.get(node.unique_id, node)
            return node._replace(
                statements=sent.statements or node.statements,
                again=sent.again or node.again,
                checks=max(sent.checks, node.checks, key=len),  # dbt asks no more after a no
            )

        return self._replace(nodes=[newest(node) for node in self.nodes])

    def send(self, path: Path, salt: bytes, tables: list[str] | None, shown: Progress) -> Sent:
        """Build and test on one connection. Raises NotAgain if dbt has to do it."""
        nodes = self.below(tables)
        shown.total = sum(node.kind in ("seed", "model", "test") and bool(node.statements) for node in nodes)
        sent = Sent(0, 0, [])
        with warehouse.connect(path) as connection:
            prepare(connection, salt)
            connection.execute(GROWN)
            for schema in sorted({node.relation.partition(".")[0] for node in nodes if node.relation}):
                connection.execute(f'create schema if not exists "{schema}"')
            found = warehouse.relations(connection) if tables is not None else set()
            for node in nodes:
                statements = node.statements
                if node.materialized == "incremental":
                    grows = node.relation in found and _may_grow(connection, node)
                    statements = node.again if grows else node.statements
                    if not statements:
                        raise NotAgain(node.name)
                if statements:
                    sent = _sent(connection, node, statements, sent, shown)
                if terminal.was_interrupted():
                    raise KeyboardInterrupt
        return sent


def _may_grow(connection: duckdb.DuckDBPyConnection, node: Node) -> bool:
    """Return whether an incremental model adds rows to its table; else it is built whole."""
    try:
        return all(connection.execute(check).fetchone() for check in node.checks)
    except duckdb.Error as error:
        raise NotAgain(node.name) from error


def _sent(
    connection: duckdb.DuckDBPyConnection, node: Node, statements: list[str], before: Sent, shown: Progress
) -> Sent:
    part = f"{node.kind} {node.name}"
    shown.begin(part)
    try:
        with spans.span("test" if node.kind in ("test", "source") else "model", part):
            connection.begin()
            for statement in statements:
                connection.execute(statement)
            answer = connection.fetchone() if node.kind in ("test", "source") else None
            connection.commit()
    except duckdb.Error as error:
        if terminal.was_interrupted():
            raise KeyboardInterrupt from error
        raise NotAgain(node.name) from error
    if node.kind in ("seed", "model", "test"):
        shown.end(part)
    shown.tell()
    models, passed, warnings, tested = before
    if answer and node.kind == "test":
        failures, warns, fails = answer
        if fails and node.is_error:
            raise NotAgain(node.name)
        tested = (*tested, (node.name, node.relation, bool(warns)))
        if warns:
            rows = f"{failures} result{'' if failures == 1 else 's'}"
            said = f"{node.name}: Got {rows}, configured to warn if {node.warn_if}"
            return Sent(models, passed, [*warnings, said], tested)
        return Sent(models, passed + 1, warnings, tested)
    if answer and node.kind == "source" and answer[0] is not None:
        newest, now = (each.replace(tzinfo=UTC) for each in answer)  # the connection is in UTC
        age = (now - newest).total_seconds()
        if age > node.limit_seconds:
            warnings = [*warnings, late(node.name, age, node.limit)]
    return Sent(models + (node.kind == "model"), passed, warnings, tested)


def limit(after: Any) -> str:
    """Return dbt's limit of a source's age in words."""
    return f"{after.count} {after.period}s"


def late(name: str, age_seconds: float, limit: str) -> str:
    """Return the line about a source whose newest row is too old."""
    return f"{name}: newest row is {age_seconds / 3600:,.0f} h old (limit {limit})"


def project_fingerprint(salt: bytes) -> str:
    """Hash everything that can change all models: the files of the dbt project, and the salt of person ids.

    dbt's own output does not count, nor do the texts of jobs, which only activate reads.
    """
    digest = hmac.new(pseudonyms.person_key(salt), digestmod="sha256")
    for path in files():
        digest.update(str(path.relative_to(PROJECT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def prepare(connection: Any, salt: bytes, fingerprint: str = "") -> None:
    """Give a connection what models need: `person_id(address)`, and the fingerprint of the project."""
    pseudonyms.define_person_id(connection, salt)
    connection.execute("set variable project = ?", [fingerprint or project_fingerprint(salt)])


def key(path: Path) -> str:
    """Return a hash of everything that decides dbt's SQL: files, version, settings, columns of raw tables.

    The texts of jobs do not count, which only activate reads.
    """
    digest = hashlib.sha256(f"{PROJECT}\0{path.stem}\0{environment.of_dbt()}".encode())
    for package in PACKAGES:
        digest.update(metadata.version(package).encode() + b"\0")
    for file in files():
        digest.update(str(file.relative_to(PROJECT)).encode() + b"\0" + file.read_bytes() + b"\0")
    with warehouse.connect(path) as connection:
        digest.update(json.dumps(connection.execute(RAW_COLUMNS).fetchall()).encode())
    return digest.hexdigest()


def files() -> list[Path]:
    """Return the files of the project that dbt reads, sorted: none of its output, no texts of jobs."""
    return [
        path
        for path in sorted(PROJECT.rglob("*"))
        if path.is_file()
        and path.suffix not in {".j2", ".toml"}
        and path.relative_to(PROJECT).parts[0] not in {"target", "logs"}
    ]


def stored(key: str) -> Statements | None:
    """Return the whole build with this key, if it was stored."""
    file = STORED / f"{key}.json"
    try:
        found = read(file)
    except (OSError, ValueError, KeyError, TypeError):  # none was stored, or not by this version: dbt builds
        return None
    with suppress(OSError):  # somebody else's
        file.touch()  # the builds that were not used for longest are removed
    return found


def read(file: Path) -> Statements:
    """Return the build that is stored in a file."""
    kept = json.loads(file.read_text(encoding="utf-8"))
    return Statements(file.stem, [Node(*node) for node in kept["nodes"]], kept["models"], kept["read"])


def store(statements: Statements) -> None:
    """Store a whole build, and remove those that were not used for longest."""
    with warehouse.beside(STORED / f"{statements.key}.json") as draft:
        draft.write_text(json.dumps(statements._asdict()), encoding="utf-8")
    newest = sorted(STORED.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in newest[KEPT:]:
        path.unlink(missing_ok=True)


class Listener:
    """Collects the statements that dbt sends, by unique id of node."""

    def __init__(self) -> None:
        self.sent: dict[str, list[str]] = {}
        self.checks: dict[str, list[str]] = {}

    def __call__(self, event: Any) -> None:
        """Keep the statement of one of dbt's events if it builds or tests something."""
        if event.info.name != "SQLQuery" or not event.data.node_info.unique_id:
            return
        statement = _COMMENT.sub("", event.data.sql, count=1)
        unique_id = event.data.node_info.unique_id
        is_answer = unique_id.startswith(("test.", "source."))
        first = statement.split(None, 1)[0].lower() if statement.strip() else ""
        if CHECKS in statement:
            self.checks.setdefault(unique_id, []).append(statement)
        elif is_answer and first in ("select", "with"):
            self.sent[unique_id] = [statement]  # the last: before it, dbt may ask for the relation
        elif first and not is_answer and first not in _UNKEPT:
            self.sent.setdefault(unique_id, []).append(statement)

    def nodes(self, manifest: Any, order: Iterable[str]) -> Iterator[Node]:
        """Yield a node with its statements for each of these unique ids."""
        for unique_id in order:
            node = manifest.nodes.get(unique_id) or manifest.sources.get(unique_id)
            statements = self.sent.get(unique_id, [])
            if unique_id.startswith("operation."):
                yield Node(unique_id, "operation", unique_id.rpartition(".")[2], [], statements, [])
            elif unique_id.startswith("source."):
                after = node.freshness.warn_after
                yield Node(
                    unique_id, "source", f"{node.source_name}.{node.name}", [], statements, [],
                    limit=limit(after), limit_seconds=after.count * SECONDS[after.period],
                )  # fmt: skip
            elif node and node.resource_type in ("seed", "model", "test"):
                is_incremental = node.config.materialized == "incremental"
                is_again = is_incremental and not any(CREATES in each for each in statements)
                yield Node(
                    unique_id, str(node.resource_type), node.name, list(_parents(node, manifest)),
                    [] if is_again else statements, statements if is_again else [],
                    relation=subject_of(node, manifest),
                    materialized=node.config.materialized,
                    is_error=node.resource_type == "test" and node.config.severity.upper() == "ERROR",
                    warn_if=node.config.warn_if if node.resource_type == "test" else "",
                    checks=self.checks.get(unique_id, ()),
                )  # fmt: skip


def subject_of(node: Any, manifest: Any) -> str:
    """Return the relation of a seed or model, or the one that a test tests, as readers know it."""
    tested = manifest.nodes.get(node.attached_node) if node.resource_type == "test" else node
    return f"{tested.schema.removesuffix(NEXT)}.{tested.name}" if tested else ""


def _parents(node: Any, manifest: Any) -> Iterator[str]:
    """Yield the parents of a node; an ephemeral parent is replaced by its own parents."""
    for parent in getattr(node.depends_on, "nodes", ()):  # seeds read nothing
        model = manifest.nodes.get(parent)
        if model and model.config.materialized == "ephemeral":
            yield from _parents(model, manifest)
        else:
            yield ".".join(parent.split(".")[2:]) if parent.startswith("source.") else parent
