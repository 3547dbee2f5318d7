"""The engine that models the lake: Spark, reached over Spark Connect.

Nobody who uses DuckDB has pyspark, so it is imported where a session is opened, and nowhere else.
"""

import atexit
import hashlib
import math
import socket
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import groupby
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from privacy import outside, pseudonyms
from transform.build import TransformError

CONNECT_PORT: Final = 15002
ANSWER_SECONDS: Final = 10
OUTAGE_SECONDS: Final = 20.0
"""For so long a server may be silent. pyspark itself would ask for ten minutes, and anew with each model."""
SAME_OUTAGE_SECONDS: Final = 60.0
LONGEST_CHARACTERS: Final = 200
NEEDED: Final = {
    # Otherwise days and hours are those of the server's machine.
    "spark.sql.session.timeZone": "UTC",
    # Otherwise an insert of one day deletes every other day.
    "spark.sql.sources.partitionOverwriteMode": "DYNAMIC",
}
FILES: Final = "lake_files"
"""The schema of tables that read files of raw tables. They say which columns the files have: otherwise Spark
would open one, in a job of its own, each time a statement names a raw table."""
FILES_OF_TABLE: Final = 200
"""A table names so many files at most: catalogs bound the length of a definition."""
TYPES: Final = {
    **dict.fromkeys(("varchar", "text", "json"), "string"),
    **dict.fromkeys(("bool", "boolean"), "boolean"),
    **dict.fromkeys(("timestamptz", "timestamp with time zone", "timestamp"), "timestamp"),
    **dict.fromkeys(("integer", "int"), "int"),
}
"""Types that DuckDB and Spark call by different names; the others have one."""


class LakeFile(NamedTuple):
    """A Parquet file of a raw table: its columns, and whether it may hold newer versions of earlier rows."""

    url: str
    columns: tuple[str, ...]
    holds_newer: bool = False


class FileTable(NamedTuple):
    """A table of Spark's catalog that reads some files of a raw table, with its columns and definition."""

    name: str
    columns: tuple[str, ...]
    holds_newer: bool
    definition: str


def session(remote: str) -> Any:
    """Return a session of Spark Connect at `sc://host:port`, which dbt then uses as well.

    Raises TransformError with one line if pyspark is missing, if nothing answers, or if the server lacks a
    setting without which models would be wrong.
    """
    try:
        sql: Any = import_module("pyspark.sql")
    except ModuleNotFoundError as error:
        raise TransformError(
            "WAREHOUSE=spark needs pyspark, which is not installed here. Install requirements-spark.lock:"
            " docs/scale.md"
        ) from error
    place = urlsplit(remote)
    where = f"{place.hostname}:{place.port or CONNECT_PORT}"  # without its parameters: one may be a token
    if not is_listening(remote):
        raise TransformError(
            f"no Spark Connect server answers at {where} (SPARK_REMOTE). Start it; make cluster starts one on"
            " this machine"
        )
    found = sql.SparkSession.builder.remote(remote).getOrCreate()
    found.client.set_retry_policies([_patience()])
    atexit.unregister(found.client._cleanup_ml_cache)  # which would ask a lost server at exit
    for name, value in NEEDED.items():
        if (now := found.conf.get(name)).upper() != value:
            found.stop()
            raise TransformError(
                f"the Spark server at {where} has {name}={now}. Start it with {name}={value}, as make cluster"
                " does"
            )
    return found


def is_listening(remote: str) -> bool:
    """Whether a server accepts connections at this address; pyspark itself would try for minutes."""
    place = urlsplit(remote)
    try:
        socket.create_connection((place.hostname, place.port or CONNECT_PORT), ANSWER_SECONDS).close()
    except OSError:
        return False
    return True


def _patience() -> Any:
    """Return pyspark's policy of asking again, which ends once a server has been silent for a while."""
    default: Any = import_module("pyspark.sql.connect.client.retries").DefaultPolicy

    class Patience(default):  # type: ignore[misc]
        """Asks again within one outage, however many requests it meets."""

        began = last = -math.inf

        def can_retry(self, error: BaseException) -> bool:
            now = time.monotonic()
            if now - self.last > SAME_OUTAGE_SECONDS:
                self.began = now
            self.last = now
            return now - self.began < OUTAGE_SECONDS and bool(super().can_retry(error))

    return Patience(max_backoff=2000)


@contextmanager
def answering(remote: str) -> Iterator[None]:
    """Raise TransformError with one line if Spark fails or is silent in the block."""
    errors: Any = import_module("pyspark.errors").PySparkException, import_module("grpc").RpcError
    try:
        yield
    except errors as error:
        said, *_ = str(error).strip().splitlines() or [type(error).__name__]
        raise TransformError(
            f"Spark failed, or no longer answers at {urlsplit(remote).hostname}:"
            f" {outside.words(said, LONGEST_CHARACTERS)}. The published copy is the one before"
        ) from error


def prepare(session: Any, salt: bytes) -> None:
    """Add `person_id(address)` to a session: HMAC-SHA-256 as in RFC 2104, as on DuckDB.

    Its two keys are bound to variables of the session, so that neither SQL nor dbt's files show them.
    """
    for name, key in pseudonyms.person_key_blocks(salt).items():
        session.sql(f"declare or replace variable {name} binary")
        session.sql(f"set variable {name} = :key", args={"key": key})
    session.sql(f"""
        create or replace temporary function person_id(address string) returns string return left(
            sha2(concat(outer_key, unhex(sha2(concat(inner_key, encode(address, 'utf-8')), 256))), 256),
            {pseudonyms.PERSON_ID_CHARACTERS}
        )
    """)


def register(
    session: Any, relation: str, columns: Mapping[str, str], files: Iterable[LakeFile], key: Sequence[str]
) -> set[str]:
    """Write the permanent view `relation`, such as raw_klaviyo.events, over exactly these files.

    `columns` are the names with their declared types. A column that a file lacks is null there. If a file
    holds newer versions of earlier rows, the view has the latest row of each key; without files it has none.
    Returns the tables of files that the view reads.
    """
    tables = tables_of(relation, columns, tuple(files))
    for table in tables:
        session.sql(table.definition)
    session.sql(f"create schema if not exists {relation.partition('.')[0]}")
    session.sql(f"create or replace view {relation} as {view(columns, tables, key)}")
    return {table.name for table in tables}


def drop_unread(session: Any, read: Collection[str]) -> None:
    """Drop the tables of files that no view reads any more; their files are the lake's, and stay."""
    for row in session.sql(f"show tables in {FILES}").collect():
        if f"{FILES}.{row.tableName}" not in read:
            session.sql(f"drop table {FILES}.{row.tableName}")


def tables_of(relation: str, columns: Mapping[str, str], files: Sequence[LakeFile]) -> list[FileTable]:
    """Return a table for files of a raw table that are in one folder and have the same columns.

    Its name tells its files, which never change, so that one that is there already is right.
    """
    by_shape = sorted(files, key=lambda file: (_folder(file.url), file.columns, file.url))
    tables = []
    for (folder, names), group in groupby(by_shape, lambda file: (_folder(file.url), file.columns)):
        there, of_shape = {name: columns[name] for name in columns if name in names}, [*group]
        tables += [
            _table(relation, there, folder, of_shape[start : start + FILES_OF_TABLE])
            for start in range(0, len(of_shape), FILES_OF_TABLE)
        ]
    return tables


def _folder(url: str) -> str:
    return url.rpartition("/")[0]


def _table(relation: str, columns: Mapping[str, str], folder: str, files: Sequence[LakeFile]) -> FileTable:
    names = [file.url.rpartition("/")[2] for file in files]
    path = f"{folder}/{{{','.join(names)}}}" if len(names) > 1 else f"{folder}/{names[0]}"
    path = path.replace("\\", "\\\\").replace("'", "\\'")
    declared = ", ".join(f"`{name}` {_type(kind)}" for name, kind in columns.items())
    told = f"({declared}) using parquet options (path '{path}', skipHiveMetadata 'true')"
    name = f"{FILES}.{relation.replace('.', '__')}__{hashlib.sha256(told.encode()).hexdigest()[:16]}"
    holds_newer = any(file.holds_newer for file in files)
    return FileTable(name, tuple(columns), holds_newer, f"create table if not exists {name} {told}")


def view(columns: Mapping[str, str], tables: Sequence[FileTable], key: Sequence[str]) -> str:
    """Return the SQL of the view of a raw table."""
    selects = [_select(columns, table.columns, table.name) for table in tables]
    rows = " union all ".join(selects) or f"{_select(columns, (), '(select 1)')} where false"
    if not key or not any(table.holds_newer for table in tables):
        return rows
    named = ", ".join(f"`{name}`" for name in columns)
    keys = ", ".join(f"`{name}`" for name in key)
    return (
        f"select {named} from (select *, row_number() over (partition by {keys}"
        f" order by cast(`_dlt_load_id` as double) desc) as version_number from ({rows}))"
        " where version_number = 1"
    )


def _select(columns: Mapping[str, str], names: Sequence[str], relation: str) -> str:
    chosen = (
        f"`{name}`" if name in names else f"cast(null as {_type(kind)}) as `{name}`"
        for name, kind in columns.items()
    )
    return f"select {', '.join(chosen)} from {relation}"


def _type(kind: str) -> str:
    return TYPES.get(kind.lower(), kind)
