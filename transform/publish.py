"""Writes the read-only copy for readers: the marts and activation models that the last build recorded.

The copy is written next to the old one and replaces it when complete. Writers never block readers, and
readers always find a complete copy.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa
import typer

from common import copies, spans, warehouse
from common import settings as environment
from common.progress import step
from privacy import pseudonyms
from transform import warned
from transform.build import HASHED, TransformError

PUBLISHED_SCHEMAS = ("marts", "activation")
# All columns of the ledger except the text of requests and answers.
LEDGER_WORDS = ("payload", "answer", "error")
# Every 1.x client, which most tools still include, refuses a file in DuckDB 2.0's own format.
PUBLISHED_FORMAT = "v1.2.0"


class Model(NamedTuple):
    """A model as the build recorded it in `raw_ops.models`; descriptions are those of its columns."""

    relation: str
    is_view: bool
    description: str
    columns: dict[str, str]
    is_about_people: bool
    cohort_counts: list[str]
    earlier_name: str | None

    @property
    def schema(self) -> str:
        return self.relation.split(".")[0]

    @property
    def earlier(self) -> str:
        return f"{self.schema}.{self.earlier_name}"


@spans.spent_on("publish")
def publish(
    path: Path, target: Path, salt_path: Path, *, people: bool = False, smallest_cohort: int = 20
) -> int:
    """Copy marts, activation and the ledger's rows into `target`; return the number of tables.

    The copy has no raw data, addresses or names. It has its lineage: which model reads which, and the number
    of rows and time of load of each table. A model marked `people` has a row per person and is only copied
    with `people`. Groups of fewer than `smallest_cohort` people in a model marked `cohort` are never copied.
    `lineage.withheld` counts both. Hashes replace known people, by the salt at `salt_path`, so that
    activation can recognize a text that names one. Readers of the previous copy keep it until they close it.
    """
    with warehouse.connect(path) as connection, warehouse.beside(target, is_shared=True) as draft:
        warehouse.remove_drafts(target)  # the open warehouse keeps other publishers away
        models = _built_models(connection, path)
        kept = [model for model in models if people or not model.is_about_people]
        views = _views(connection, kept)
        _comment(connection, models)
        connection.execute(f"attach {warehouse.quoted(draft)} as copy (storage_version '{PUBLISHED_FORMAT}')")
        for schema in ("activation", "lineage", "marts"):
            connection.execute(f"create schema copy.{schema}")
        tables = [model for model in kept if model.relation not in views]
        with step("transform", "tables published", len(tables)) as shown:
            for model in tables:
                shown.begin(model.relation)
                connection.execute(_copied(model, smallest_cohort))
                shown.end(model.relation)
        has_ledger = _publish_ledger(connection)
        _publish_lineage(connection)
        _publish_known_people(connection, salt_path)
        warned.publish(connection)
        # A view is used inside the copy: its text must not name a database.
        with _inside_copy(connection):
            for text in views.values():
                connection.execute(text)
            for model in kept:
                if model.earlier_name:
                    connection.execute(f"create view {model.earlier} as from {model.relation}")
            _comment(connection, kept)
        _publish_withheld(connection, models, kept)
        connection.execute("detach copy")
    return len(kept) + has_ledger


def publish_by(settings: environment.Settings, path: Path) -> int:
    """Publish what was built at `path` according to the settings, and keep the copy as today's.

    Return the number of tables.

    A lake may hold more people than a file should, so it first says how many rows are about people.
    """
    if settings.is_spark and settings.publish_people:
        typer.echo(_people_counted(path), err=True)
    count = publish(
        path,
        settings.published_path,
        settings.salt_path,
        people=settings.publish_people,
        smallest_cohort=settings.smallest_cohort,
    )
    kept = settings.published_copies_kept
    copies.keep(settings.published_path, settings.now(), kept, people=settings.publish_people)
    return count


def _people_counted(path: Path) -> str:
    """Return a line with the number of marts and rows about people."""
    with warehouse.connect(path) as connection:
        models = [model for model in _built_models(connection, path) if model.is_about_people]
        counts = [
            connection.execute(f"select count(*) from {model.relation}").fetchall()[0][0] for model in models
        ]
    return f"people {len(counts)} marts with {sum(counts):,} rows go into the copy: PUBLISH_PEOPLE is true"


def _built_models(connection: duckdb.DuckDBPyConnection, path: Path) -> list[Model]:
    """Return the models of the published schemas that the last build recorded and built."""
    stored = warehouse.relations(connection)
    query = (
        "select relation, materialized = 'view', description, columns, is_about_people, cohort_counts,"
        " earlier_name from raw_ops.models order by relation"
    )
    rows = connection.execute(query).fetchall() if "raw_ops.models" in stored else []
    models = [Model(*row) for row in rows if row[0] in stored and row[0].split(".")[0] in PUBLISHED_SCHEMAS]
    if not any(model.schema == "marts" for model in models):
        raise TransformError(f"{warehouse.named(path)} holds no marts. Run python -m transform --full first")
    return models


def _comment(connection: duckdb.DuckDBPyConnection, models: Sequence[Model]) -> None:
    """Write the descriptions of models and columns into the current database, visible in every client."""
    rows = connection.execute(
        "select table_schema || '.' || table_name, column_name from information_schema.columns"
        " where table_catalog = current_database()"
    ).fetchall()
    stored = {*rows}  # a failed build may have left an earlier table of the model
    views = connection.execute(
        "select concat(schema_name, '.', view_name) from duckdb_views()"
        " where database_name = current_database()"
    ).fetchall()
    said = []
    for model in models:
        kind = "view" if (model.relation,) in views else "table"
        said.append(f"comment on {kind} {model.relation} is {warehouse.quoted(model.description)}")
        said += [
            f'comment on column {model.relation}."{column}" is {warehouse.quoted(description)}'
            for column, description in model.columns.items()
            if (model.relation, column) in stored
        ]
        if model.earlier_name and any(relation == model.earlier for relation, _ in rows):
            said.append(f"comment on view {model.earlier} is 'Earlier name of {model.relation}'")
    connection.execute("begin; " + "; ".join([*said, "commit"]))


@contextmanager
def _inside_copy(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Make the copy the default database for names without one."""
    name = _database(connection)
    connection.execute("use copy")
    yield
    connection.execute(f'use "{name}"')


def _database(connection: duckdb.DuckDBPyConnection) -> str:
    ((name,),) = connection.execute("select current_database()").fetchall()
    return str(name)


def _views(connection: duckdb.DuckDBPyConnection, kept: Sequence[Model]) -> dict[str, str]:
    """Return the statement for each model that is a view in the copy as well, in the order to run them.

    Such a view hides no groups and reads only tables of the copy. Other views are copied as rows.
    """
    here = rf'"?\b{re.escape(_database(connection))}"?\.(?="?({"|".join(PUBLISHED_SCHEMAS)})\b)'
    left = {model.relation: model.cohort_counts for model in kept if model.is_view}
    known = {model.relation for model in kept} - left.keys()
    views: dict[str, str] = {}
    for _ in range(len(left)):
        for name in left.keys() - views.keys():
            read = connection.execute(
                "select parent from raw_ops.lineage where relation = ?", [name]
            ).fetchall()
            if not left[name] and {parent for (parent,) in read} <= known | views.keys():
                written = "select sql from duckdb_views() where schema_name || '.' || view_name = ?"
                ((text,),) = connection.execute(written, [name]).fetchall()
                views[name] = re.sub(here, "", text)
    return views


def _copied(model: Model, smallest_cohort: int) -> str:
    """Return the statement that copies the rows of a model, without groups that are too small."""
    large = [f"coalesce({count}, 0) >= {smallest_cohort:d}" for count in model.cohort_counts]
    return (
        f"create table copy.{model.relation} as from {model.relation} where {' and '.join(large) or 'true'}"
    )


def _publish_ledger(connection: duckdb.DuckDBPyConnection) -> bool:
    """Copy the ledger's rows without requests and answers; return whether there are any."""
    if "raw_mavera.ledger" not in warehouse.relations(connection):
        return False
    connection.execute("create schema copy.raw_mavera")
    connection.execute(
        "create table copy.raw_mavera.ledger as"
        f" select columns(lambda name: name not in {LEDGER_WORDS}) from raw_mavera.ledger"
    )
    return True


def _publish_withheld(
    connection: duckdb.DuckDBPyConnection, models: Sequence[Model], kept: Sequence[Model]
) -> None:
    """Write into the copy which marts are missing from it, and how many groups were too small."""
    connection.execute("create table copy.lineage.withheld (relation text, row_count bigint, reason text)")
    for model in models:
        if model not in kept:
            connection.execute(
                f"insert into copy.lineage.withheld select ?, count(*), 'people' from {model.relation}",
                [model.relation],
            )
        elif model.cohort_counts:
            connection.execute(
                "insert into copy.lineage.withheld"
                " select ?, before.row_count - after.row_count, 'small groups'"
                f" from (select count(*) as row_count from {model.relation}) as before,"
                f" (select count(*) as row_count from copy.{model.relation}) as after",
                [model.relation],
            )


def _publish_lineage(connection: duckdb.DuckDBPyConnection) -> None:
    """Write `lineage.reads` and `lineage.tables` into the copy."""
    if "raw_ops.lineage" not in warehouse.relations(connection):
        return
    named = (
        "select relation from (select relation from raw_ops.lineage union select parent from raw_ops.lineage)"
        f" where relation in ({warehouse.STORED}) order by 1"
    )
    counts = " union all ".join(
        f"select '{name}' as relation, count(*) as row_count from {name}"
        for (name,) in connection.execute(named).fetchall()
    )
    connection.execute("create table copy.lineage.reads as from raw_ops.lineage")
    connection.execute(
        "create table copy.lineage.tables as select relation, row_count, max(finished_at) as loaded_at"
        f" from ({counts}) left join raw_ops.loads"
        # Cues are cut when captions are loaded, words are taken when templates are.
        " on replace(replace(relation, 'caption_cues', 'captions'), 'message_words', 'message_templates')"
        " = concat('raw_', vendor, '.', resource)"
        " and outcome = 'loaded' group by all"
    )


def _publish_known_people(connection: duckdb.DuckDBPyConnection, salt_path: Path) -> None:
    """Write hashes of people's names and keys, with one more that identifies the salt."""
    connection.execute("create or replace table copy.activation.known_people (stands_for bigint)")
    if "intermediate.int_known_people" not in warehouse.relations(connection):
        return
    if connection.execute("select 1 from intermediate.int_known_people limit 1").fetchone():
        salt = pseudonyms.salt(salt_path, create=True)
        _hash_new_people(connection, salt)
        connection.execute(
            f"insert into copy.activation.known_people select distinct stands_for from ("
            f" select unnest(hashes) as stands_for from {HASHED} union all select ?) order by stands_for",
            [pseudonyms.of_text(salt, pseudonyms.SALTED)],
        )


def _hash_new_people(connection: duckdb.DuckDBPyConnection, salt: bytes) -> None:
    """Bring the hashes in the warehouse in line with its people: only new names and keys are hashed."""
    mark = pseudonyms.of_text(salt, pseudonyms.SALTED)
    connection.execute(
        f"create table if not exists {HASHED} (salted bigint, kind text, known_by text, hashes bigint[]);"
        f"delete from {HASHED} where salted <> {mark:d} or (kind, known_by) not in"
        " (select (kind, known_by) from intermediate.int_known_people)"
    )
    new = connection.execute(
        f"select kind, known_by from intermediate.int_known_people anti join {HASHED} using (kind, known_by)"
    ).fetchall()
    hashes = [
        [pseudonyms.of_text(salt, each) for each in pseudonyms.known_by(text, kind)] for kind, text in new
    ]
    kinds, texts = zip(*new, strict=True) if new else ((), ())
    columns = {"kind": pa.array(kinds, pa.string()), "known_by": pa.array(texts, pa.string())}
    columns["hashes"] = pa.array(hashes, pa.list_(pa.int64()))
    connection.register("hashed", pa.table(columns))
    connection.execute(f"insert into {HASHED} select {mark:d}, kind, known_by, hashes from hashed")
    connection.unregister("hashed")
