"""Where models are built: by DuckDB in the warehouse's file, or by Spark over a lake.

Whichever it is, `raw_ops` and what was built can be read by DuckDB at the engine's `path`, so that publishing
and all that comes after it know no engine.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import unquote, urlsplit

from common import settings as environment
from common import warehouse
from common.progress import step
from privacy import pseudonyms
from transform import build
from transform.build import Build, TransformError
from transform.publish import PUBLISHED_SCHEMAS

if TYPE_CHECKING:
    from common.lake.lake import Lake


MODELS: Final = "models"
"""The folder of a lake in which Spark keeps the tables of models."""


SEEDS: Final = "seeds"


class Engine(Protocol):
    """What builds the models of some settings, for as long as it is open."""

    path: Path

    def build(self, tables: list[str] | None) -> Build:
        """Build and test what reads the raw `tables`, or everything; then check their freshness."""

    def show_models(self) -> None:
        """Let `path` have the models of the last build."""

    def drop_models(self) -> None:
        """Remove every model."""

    def keep(self) -> None:
        """Commit what was written to `raw_ops`."""

    def write_docs(self, shown: Any) -> Path:
        """Let dbt write its own page; return the folder with it and the manifest."""


class DuckdbEngine:
    """DuckDB, in the warehouse's file."""

    def __init__(self, settings: environment.Settings) -> None:
        """Raises WarehouseError if there is no warehouse, or if it cannot be opened."""
        self.path = settings.warehouse_path
        self._salt_path = settings.salt_path
        warehouse.connect(self.path).close()

    def build(self, tables: list[str] | None) -> Build:
        return build.build(self.path, pseudonyms.salt(self._salt_path, create=True), tables)

    def show_models(self) -> None:
        """Do nothing: they are there."""

    def drop_models(self) -> None:
        """Do nothing: they went with the raw rows, before the file was written anew."""

    def keep(self) -> None:
        """Do nothing: each statement counts at once."""

    def write_docs(self, shown: Any) -> Path:
        build.dbt(self.path, "docs", "generate", "--static", shown=shown)
        return build.PROJECT / "target"


class SparkEngine:
    """Spark, over the files of a lake. Models are built in schemas that nobody reads, named `…_next`."""

    def __init__(self, settings: environment.Settings, lake: "Lake") -> None:
        """Raises TransformError if Spark does not answer or lacks a setting."""
        from transform import spark

        self._described: Any = None
        self._lake, self._spark = lake, spark
        self.path = lake.path
        self._remote = settings.spark_remote
        self._session = meet_spark(settings)

    def build(self, tables: list[str] | None) -> Build:
        """Build on Spark; a server that is gone before the end is a failure like that of a model."""
        try:
            with self._spark.answering(self._remote):
                return self._build(tables)
        except TransformError:
            if self._spark.is_listening(self._remote):
                raise
            where = urlsplit(self._remote).hostname
            lost = f"Spark no longer answers at {where}. Start it, then run the same command again"
            return Build(0, 0, [], [lost])

    def _build(self, tables: list[str] | None) -> Build:
        # What is published is described as DuckDB has it: the copy is DuckDB's.
        self._described = build.parse(self.path)
        build.record_models(self.path, *build.describe(self._described))
        self._register()
        for _, there in self._schemas():
            self._create(there)
        manifest = build.parse(self.path, build.SPARK)
        _, done = build.built_by_dbt(self.path, tables, manifest, None, build.SPARK)
        if done.failures:
            return done
        dropped = [] if tables else self._drop_orphans()
        self.show_models()
        return done._replace(dropped=tuple(dropped))

    def _register(self) -> None:
        """Let Spark see raw tables as they are now, and `raw_ops` by copies of its tables."""
        self._lake.keep_operations()
        self._session.sql(f"create schema if not exists {self._spark.FILES}").collect()
        read = set[str]()
        for relation, columns in self._lake.columns.items():
            files = [
                self._spark.LakeFile(self._lake.files.url_of(file.path), file.columns, file.holds_newer)
                for file in self._lake.manifest.get(relation, [])
            ]
            keys = [each.name for each in columns if each.is_key]
            types = self._lake.types_in_files(relation)
            read |= self._spark.register(self._session, relation, types, files, keys)
        self._spark.drop_unread(self._session, read)
        for relation, (_, query) in self._lake.state.views().items():
            self._session.sql(f"create or replace view {relation} as {query}").collect()

    def _schemas(self) -> Iterator[tuple[str, str]]:
        """Yield the schemas that dbt fills: as readers know them, and as Spark does."""
        yield from ((schema, f"{schema}{build.NEXT}") for schema in build.MODEL_SCHEMAS)
        yield SEEDS, SEEDS

    def _create(self, there: str) -> None:
        place = self._lake.files.url_of(f"{MODELS}/{there}.db")
        self._session.sql(f"create schema if not exists {there} location '{place}'").collect()

    def _built(self) -> dict[str, str]:
        """Return what dbt has built: its name on Spark, by the name of its model or seed."""
        return {
            f"{schema}.{table.name}": f"{there}.{table.name}"
            for schema, there in self._schemas()
            if self._session.catalog.databaseExists(there)
            for table in self._session.catalog.listTables(there)
            if not table.isTemporary
        }

    def _models(self) -> dict[str, tuple[str, dict[str, str]]]:
        """Return materialization and types of the columns of each model of the last build, by its name."""
        with warehouse.connect(self.path) as connection:
            rows = connection.execute("select relation, materialized, types from raw_ops.models").fetchall()
        return {relation: (materialized, types) for relation, materialized, types in rows}

    def _drop_orphans(self) -> list[str]:
        """Drop relations of earlier builds that no model makes now; return their names."""
        models, seeds = self._models(), f"{SEEDS}."
        built = self._built().items()
        orphans = {name: at for name, at in built if name not in models and not name.startswith(seeds)}
        for there in orphans.values():
            kind = "view" if self._session.catalog.getTable(there).tableType == "VIEW" else "table"
            self._session.sql(f"drop {kind} {there}").collect()
        return sorted(orphans)

    def show_models(self) -> None:
        """Show the tables that Spark has built; views of published schemas are made by DuckDB over them."""
        models, built = self._models(), self._built()
        for relation, there in built.items():
            materialized, types = models.get(relation, ("seed", {}))
            if materialized != "view":
                files = self._session.table(there).inputFiles()
                self._lake.show_model(relation, types, [_path_in(self._lake, url) for url in files])
        views = [name.split(".") for name, (kind, _) in models.items() if kind == "view"]
        published = [name for schema, name in views if schema in PUBLISHED_SCHEMAS]
        with step("transform", "views of the copy") as shown:
            build.dbt(
                self.path,
                "run",
                build.UNWRITTEN,
                "--select",
                *published,
                manifest=self._described,
                shown=shown,
            )

    def drop_models(self) -> None:
        for _, there in self._schemas():
            self._session.sql(f"drop schema if exists {there} cascade").collect()

    def keep(self) -> None:
        self._lake.commit()

    def write_docs(self, shown: Any) -> Path:
        build.dbt(self.path, "docs", "generate", "--static", shown=shown, target=build.SPARK)
        return build.PROJECT / "target" / build.SPARK


def meet_spark(settings: environment.Settings) -> Any:
    """Return the session of Spark that dbt uses in this process.

    Raises TransformError if Spark does not answer or lacks a setting.
    """
    from transform import spark

    os.environ |= {"SPARK_REMOTE": settings.spark_remote}  # for pyspark, which dbt calls without an address
    session = spark.session(settings.spark_remote)
    with spark.answering(settings.spark_remote):
        spark.prepare(session, pseudonyms.salt(settings.salt_path, create=True))
    return session


def _path_in(lake: "Lake", url: str) -> str:
    path = unquote(urlsplit(url).path if lake.files.is_local else url.partition("://")[2])
    return path.removeprefix(f"{lake.files.root}/")


@contextmanager
def opened(settings: environment.Settings) -> Iterator[Engine]:
    """Yield the engine of these settings until the block ends.

    Raises WarehouseError or TransformError if it cannot be used.
    """
    if not settings.is_spark:
        yield DuckdbEngine(settings)
        return
    from common.lake.lake import opened as opened_lake
    from transform import spark

    with opened_lake(settings) as lake:
        engine = SparkEngine(settings, lake)
        with spark.answering(settings.spark_remote):
            yield engine
