"""The Parquet files of a lake: a folder, or a bucket of an object store."""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from common.warehouse import WarehouseError

GROUP_ROWS: Final = 100_000
"""Rows of a Parquet group: what a reader that needs a span of time can skip."""


IDENTITY: Final = "lake-id.txt"
"""The file that says whose lake this is: files without their list in PostgreSQL are nobody's."""


class LakeError(WarehouseError):
    """The lake or its state cannot be used as it is; the text names the setting and says what to do."""


class File(NamedTuple):
    """A file of a raw table: its path below the lake, the columns that it has, and its size.

    `holds_newer`: some of its rows replace rows of earlier files. `is_whole`: it is the whole table.
    """

    relation: str
    path: str
    columns: tuple[str, ...]
    row_count: int
    byte_count: int
    holds_newer: bool = False
    is_whole: bool = False


class Files:
    """Reads and writes the files below `LAKE_URL`."""

    def __init__(self, url: str) -> None:
        """Raises LakeError if the address is not one of a folder or an object store."""
        self.url = url
        scheme = urlsplit(url).scheme
        try:
            if scheme in ("", "file"):
                self._filesystem, self.root = fs.LocalFileSystem(), urlsplit(url).path
            else:
                self._filesystem, self.root = fs.FileSystem.from_uri(url)
        except (pa.ArrowInvalid, OSError, ValueError) as error:
            raise LakeError(f"LAKE_URL: {str(error).splitlines()[0]}") from None
        self.root = self.root.rstrip("/")
        self.is_local = isinstance(self._filesystem, fs.LocalFileSystem)

    def write(
        self, relation: str, name: str, rows: Iterable[pa.RecordBatch], schema: pa.Schema, **kind: bool
    ) -> File:
        """Write a file that is on disk when it returns. A reader finds it once it is in the manifest."""
        path = f"{relation.replace('.', '/')}/{name}.parquet"
        target, count = f"{self.root}/{path}", 0
        if self.is_local:
            Path(target).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (
            self._filesystem.open_output_stream(target) as stream,
            pq.ParquetWriter(stream, schema, compression="zstd") as writer,
        ):
            for batch in rows:
                writer.write_batch(batch, row_group_size=GROUP_ROWS)
                count += batch.num_rows
        if self.is_local:
            os.chmod(target, 0o600)  # noqa: PTH101
            _sync(Path(target))
        size = self._filesystem.get_file_info(target).size
        return File(relation, path, tuple(schema.names), count, size, **kind)

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files that no manifest names any more."""
        for path in paths:
            try:
                self._filesystem.delete_file(f"{self.root}/{path}")
            except FileNotFoundError:
                continue

    def every(self, below: str = "") -> list[str]:
        """Return the paths of all files of the lake, or of those `below` a folder of it."""
        start = f"{self.root}/{below}".rstrip("/")
        found = self._filesystem.get_file_info(fs.FileSelector(start, allow_not_found=True, recursive=True))
        return sorted(each.path.removeprefix(f"{self.root}/") for each in found if each.is_file)

    def raw(self) -> list[str]:
        """Return the paths of the files of raw tables, whether or not a table has them."""
        top = self._filesystem.get_file_info(fs.FileSelector(self.root, allow_not_found=True))
        folders = sorted(each.base_name for each in top if each.base_name.startswith("raw_"))
        return [path for folder in folders for path in self.every(folder) if path.endswith(".parquet")]

    def identity(self) -> str | None:
        """Return which lake this is, as its first writer noted; None if nobody did."""
        if self._filesystem.get_file_info(f"{self.root}/{IDENTITY}").type == fs.FileType.NotFound:
            return None
        with self._filesystem.open_input_stream(f"{self.root}/{IDENTITY}") as stream:
            return bytes(stream.read()).decode()

    def identify(self, identity: str) -> None:
        """Note which lake this is."""
        if self.is_local:
            Path(self.root).mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._filesystem.open_output_stream(f"{self.root}/{IDENTITY}") as stream:
            stream.write(identity.encode())

    def gives_back(self) -> bool:
        """Write a small file, read it and delete it; return whether it held what was written."""
        path = f"{self.root}/probe-{uuid4().hex}"
        try:
            with self._filesystem.open_output_stream(path) as stream:
                stream.write(b"probe")
            with self._filesystem.open_input_stream(path) as stream:
                return bytes(stream.read()) == b"probe"
        finally:
            with suppress(FileNotFoundError):
                self._filesystem.delete_file(path)

    def open_to(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Let DuckDB read the files; those of a folder it reads by itself."""
        if not self.is_local:
            from fsspec.implementations.arrow import ArrowFSWrapper  # type: ignore[import-untyped]

            class Reading(ArrowFSWrapper):  # type: ignore[misc]
                protocol = "lake"

                @classmethod
                def _strip_protocol(cls, path: str) -> str:
                    return path.removeprefix("lake://")

            connection.register_filesystem(Reading(self._filesystem))

    def named(self, path: str) -> str:
        """Return a file's name for DuckDB."""
        return f"{self.root}/{path}" if self.is_local else f"lake://{self.root}/{path}"

    def url_of(self, path: str) -> str:
        """Return a file's address for other programs, such as Spark."""
        if self.is_local:
            return f"file://{self.root}/{path}"
        scheme = urlsplit(self.url).scheme
        return f"{'s3a' if scheme == 's3' else scheme}://{self.root}/{path}"

    def read(self, paths: Sequence[str]) -> str:
        """Return SQL for the rows of files, which may have different columns, in DuckDB."""
        names = ", ".join("'" + self.named(path).replace("'", "''") + "'" for path in paths)
        return f"read_parquet([{names}], union_by_name = true, hive_partitioning = false)"


def _sync(path: Path) -> None:
    """Wait until a file and its name are on disk: the manifest is, once it names the file."""
    for each, flags in ((path, os.O_RDWR), (path.parent, os.O_RDONLY)):
        handle = os.open(each, flags)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def stored_schema(schema: pa.Schema) -> pa.Schema:
    """Return the types in Parquet: JSON is text there, and times are in UTC."""
    return pa.schema([(field.name, stored_type(field.type)) for field in schema])


def stored_type(kind: pa.DataType) -> pa.DataType:
    """Return the type in Parquet of a type of DuckDB's."""
    if pa.types.is_timestamp(kind) and kind.tz:
        return pa.timestamp("us", "UTC")
    if isinstance(kind, pa.BaseExtensionType):
        return kind.storage_type
    return kind


def stored(rows: pa.Table) -> pa.Table:
    """Return rows in the types that files have."""
    return rows.cast(stored_schema(rows.schema))
