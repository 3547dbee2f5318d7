"""Writes through dlt: a pipeline per source, whose state and schema are stored in the warehouse alone."""

import os
import shutil
import zlib
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import dlt
import duckdb
import pyarrow as pa
from dlt.common.versioned_state import decompress_state
from dlt.extract import DltResource
from dlt.pipeline.exceptions import PipelineStepFailed
from dlt.pipeline.state_sync import PIPELINE_STATE_ENGINE_VERSION

from common import spans, warehouse
from common.settings import Settings
from ingest.errors import NotStartedError
from ingest.model import Batch, Changes, Cursor, Job, Resource

_STATE = """
    select state from {schema}._dlt_pipeline_state as states
    inner join {schema}._dlt_loads as loads on loads.load_id = states._dlt_load_id
    where states.pipeline_name = ? and loads.status = 0 order by loads.load_id desc limit 1
"""
"""The query with which dlt restores a pipeline's state."""
LOG_BYTES = 32_000_000
"""What DuckDB's log may hold: all of it is in memory, too."""


class Packages:
    """The dlt pipelines of a run. Files left by an interrupted run are removed unread."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
        self._connection = connection
        self._path = settings.warehouse_path
        self._folder = settings.pipelines_path
        self._pipelines: dict[str, dlt.Pipeline] = {}
        self._stored: dict[str, Any] = {}

    def last(self, job: Job) -> Cursor | None:
        """Return the cursor value up to which the rows of `job` are in the warehouse."""
        return cursor_in(self._state(job.source.name), job.source.name, job.resource)

    def _state(self, name: str) -> Any:
        """Return the load state of a source. It is read without dlt's pipeline: making one takes longer than
        comparing the tables of a run that brings nothing.

        Raises WarehouseError if it cannot be read.
        """
        if name in self._pipelines:
            return self._pipelines[name].state
        if name not in self._stored:
            shutil.rmtree(self._folder / name, ignore_errors=True)
            try:
                state = stored_state(self._connection, name)
            except (ValueError, zlib.error) as error:
                raise self._damaged(name) from error
            version = state.get("_state_engine_version", PIPELINE_STATE_ENGINE_VERSION)
            is_current = version == PIPELINE_STATE_ENGINE_VERSION
            self._stored[name] = state if is_current else self._pipeline(name).state
        return self._stored[name]

    def _damaged(self, name: str) -> warehouse.WarehouseError:
        return warehouse.WarehouseError(
            f"{self._path} is damaged: what it knows of {name} cannot be read. "
            "Move it away and run make ingest transform: everything in it comes from the vendors and "
            "the ledger"
        )

    @spans.spent_on("load")
    def load(self, batches: Sequence[Batch], found: Sequence[Changes], fresh: Container[str]) -> None:
        """Write the rows of batches of one source in one package, and move their cursors.

        New rows of a `fresh` table, which had none when the run began, are appended.
        """
        resources = [
            _package(
                batch.job.resource,
                new.rows,
                batch.until,
                appends=batch.job.resource.table.full_name in fresh and not new.changed,
            )
            for batch, new in zip(batches, found, strict=True)
            if new.rows is not None or batch.until != self.last(batch.job)
        ]
        if resources:
            pipeline = self._pipeline(batches[0].job.source.name)
            pipeline.activate()
            pipeline.extract(resources)
            pipeline.normalize()
            pipeline.load()
            self._settle()

    def _settle(self) -> None:
        """Move DuckDB's log into the file before it takes much memory.

        DuckDB does so by itself at 16 MB, but dlt raises that to 1 GB.
        """
        log = self._path.with_name(f"{self._path.name}.wal")
        if log.exists() and log.stat().st_size > LOG_BYTES:
            self._connection.execute("checkpoint")

    def _pipeline(self, name: str) -> dlt.Pipeline:
        """Return the dlt pipeline of a source, with cursor and schema as stored in the warehouse.

        Its folder is removed before dlt reads it, because files of an earlier run may be half written. Raises
        WarehouseError if the stored state cannot be read.
        """
        if name not in self._pipelines:
            shutil.rmtree(self._folder / name, ignore_errors=True)
            pipeline = dlt.pipeline(
                name,
                destination=dlt.destinations.duckdb(self._connection, replace_strategy="insert-from-staging"),
                dataset_name=f"raw_{name}",
                pipelines_dir=str(self._folder),
            )
            self._pipelines[name] = pipeline = pipeline.drop()
            try:
                pipeline.sync_destination()
            except PipelineStepFailed as error:
                if warehouse.is_full(error):
                    raise
                raise self._damaged(name) from error
        return self._pipelines[name]

    def forget(self, name: str) -> None:
        """Remove a source's cursor and schema from memory: a package of it was not loaded."""
        self._pipelines.pop(name, None)
        self._stored.pop(name, None)


def stored_state(connection: duckdb.DuckDBPyConnection, name: str) -> Any:
    """Return the load state of a source as dlt stored it; nothing if it was never loaded.

    Raises ValueError or zlib.error if it cannot be read.
    """
    try:
        found = connection.execute(_STATE.format(schema=f"raw_{name}"), [name]).fetchall()
    except duckdb.CatalogException:
        return {}
    return decompress_state(found[0][0]) if found else {}


def cursor_in(state: Any, source: str, resource: Resource) -> Cursor | None:
    """Return the cursor value of a resource in the load state of its source."""
    for step in ("sources", source, "resources", resource.table.name, "incremental"):
        state = state.get(step, {})
    last: Cursor | None = state.get(resource.cursor, {}).get("last_value")
    return last


def make_writable(folder: Path) -> None:
    """Make dlt's working folder. Raises NotStartedError if it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reason = "" if os.access(folder, os.W_OK) else "read-only"
    except OSError as error:
        reason = str(error.strerror).lower()
    if reason:
        raise NotStartedError(
            f"{folder} cannot be written: {reason}. Change that, or set another PIPELINES_PATH in .env"
        )


def _package(
    resource: Resource, rows: pa.Table | None, until: Cursor | None, *, appends: bool
) -> DltResource:
    """Return the dlt resource that loads `rows` and moves the cursor to `until`.

    The vendor has already selected the rows and they were compared, so the incremental only remembers:
    advancing it switches its own filter off.
    """
    table = resource.table
    described: dict[str, Any] = {
        "name": table.name,
        "primary_key": table.key,
        "write_disposition": "replace" if resource.replaced else "append" if appends else "merge",
        "columns": table.dlt_columns,
        "schema_contract": {"tables": "evolve", "columns": "evolve", "data_type": "freeze"},
    }
    left = [] if rows is None else [rows]  # dlt's objects outlive their package: they must not hold its rows
    if not resource.cursor:
        return cast(DltResource, dlt.resource(_taken, **described)(left))

    @dlt.resource(**described)
    def read_up_to(
        cursor: dlt.sources.incremental[Any] = dlt.sources.incremental(resource.cursor),  # noqa: B008
    ) -> Iterator[pa.Table]:
        cursor.advance(until)
        yield from _taken(left)

    return cast(DltResource, read_up_to())


def _taken(rows: list[pa.Table]) -> Iterator[pa.Table]:
    """Yield tables, and keep none of them."""
    while rows:
        yield rows.pop()
