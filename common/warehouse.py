"""Open warehouse files, replace files, and explain failures in one line."""

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from common import terminal

LITTLE_ROOM_BYTES = 16_000_000
"""With less free space, an otherwise unexplained error is due to the disk."""
DAMAGED = re.compile(
    "not a valid DuckDB database|Could not read enough bytes|[Cc]orrupt|checksum|INTERNAL Error|"
    "Serialization Error|has been invalidated"
)
"""DuckDB's errors for a truncated or overwritten file."""


REFUSALS = ("Permission denied", "Read-only file system", "Is a directory", "Not a directory", "File exists")
"""The system's errors for a path that it cannot write."""


SCRATCH = ".lake."
"""The start of the name of a file in which one process sees a lake."""
CONFINED = """
    set enable_external_access = false;
    set lock_configuration = true
"""


class WarehouseError(Exception):
    """The file cannot be used as it is; the text names it and says what to do."""


def named(path: Path) -> str:
    """Return what messages call a warehouse: the scratch file of a lake is nothing that a person has seen."""
    return "the lake" if path.name.startswith(SCRATCH) else path.name


def connect(
    path: Path, *, read_only: bool = False, create: bool = False, is_copy: bool | None = None
) -> duckdb.DuckDBPyConnection:
    """Return a connection in UTC. Raises WarehouseError if the file is missing, locked or damaged.

    Only `create` makes a missing file, so that readers never leave an empty warehouse. A file opened to read
    is the published copy unless `is_copy` says otherwise; this decides the remedy for damage.
    """
    if not create and not path.exists():
        raise WarehouseError(f"{path.name} is not there yet. Run make ingest transform first")
    is_copy = read_only if is_copy is None else is_copy
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = duckdb.connect(str(path), read_only=read_only)
    except (duckdb.Error, OSError) as error:
        raise WarehouseError(explain(path, error, is_copy=is_copy)) from None
    connection.execute("set timezone = 'UTC'")
    return connection


def read_copy(path: Path) -> duckdb.DuckDBPyConnection:
    """Return a connection to the published copy without access to other files or the network.

    Raises WarehouseError as `connect` does.
    """
    connection = connect(path, read_only=True)
    connection.execute(CONFINED)
    return connection


def require_whole(copy: Path) -> None:
    """Raise WarehouseError if a published copy does not open or is truncated.

    DuckDB opens a file that lacks blocks, and notices only when they are read.
    """
    with connect(copy, read_only=True) as connection:
        query = "select sum(block_size * total_blocks) from pragma_database_size()"
        ((counted,),) = connection.execute(query).fetchall()
    if copy.stat().st_size < int(counted or 0):
        raise WarehouseError(explain(copy, OSError("Could not read enough bytes"), is_copy=True))


def relations(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Return the tables and views of the current database, as schema.name."""
    rows = connection.execute(
        "select concat(table_schema, '.', table_name) from information_schema.tables"
        " where table_catalog = current_database()"
    ).fetchall()
    return {name for (name,) in rows}


STORED = """
    select concat(schema_name, '.', table_name) as relation
    from duckdb_tables() where database_name = current_database() and not temporary
    union all
    select concat(schema_name, '.', view_name) from duckdb_views()
    where database_name = current_database() and contains(sql, '_parquet')
"""
"""The relations of the current database that have rows of their own: tables, and views over files."""


def quoted(text: object) -> str:
    """Return a text, such as a path with an apostrophe, as an SQL literal."""
    return "'" + str(text).replace("'", "''") + "'"


@contextmanager
def beside(target: Path, *, is_shared: bool = False) -> Iterator[Path]:
    """Yield a path to write to, and move the finished file to `target` in one step.

    A shared file, and its folder if new, gets the usual rights of new files here; any other file is readable
    by its owner only. Raises WarehouseError if the disk is full.
    """
    if is_shared:
        terminal.make_shared_folder(target.parent)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        yield draft
        with draft.open("rb+") as written:
            os.fsync(written.fileno())
        if is_shared:
            terminal.share(draft)
        draft.replace(target)
    except Exception as error:
        if not is_full(error):
            raise
        raise WarehouseError(explain(target, error)) from None
    finally:
        draft.unlink(missing_ok=True)


def remove_drafts(target: Path) -> list[Path]:
    """Remove and return the drafts of `target` that killed processes left: they may contain anybody's rows.

    The caller must have locked out all other writers of `target`.
    """
    left = [path for path in target.parent.glob(f".{target.name}.*") if path.is_file()]
    for draft in left:
        draft.unlink(missing_ok=True)
    return left


def open_to_others(paths: Iterable[Path]) -> list[Path]:
    """Return those of `paths` that users other than their owner may read or write."""
    return [path for path in paths if path.exists() and path.stat().st_mode & 0o077]


def keep_private(paths: Iterable[Path]) -> None:
    """Remove other users' rights from files that an earlier version, or a copy, left open to them."""
    for path in open_to_others(paths):
        with suppress(PermissionError):  # another user's file: doctor names it
            path.chmod(path.stat().st_mode & ~0o077)


def rewrite(path: Path) -> None:
    """Write the file again: deleted rows stay readable in freed pages of the old file."""
    with beside(path) as draft, duckdb.connect() as connection:
        connection.execute(f"attach {quoted(path)} as before (read_only)")
        connection.execute(f"attach {quoted(draft)} as after")
        connection.execute("copy from database before to after")
        connection.execute("detach after")


def is_full(error: BaseException) -> bool:
    """Whether an error, wrapped by any library, comes from a full disk."""
    return "No space left on device" in str(error)


def _full(path: Path) -> str:
    free = shutil.disk_usage(path.parent).free / 1e6
    return (
        f"the disk that holds {path} is full ({free:,.0f} MB free). Make room, then run the same command "
        "again: earlier work is kept"
    )


def explain(path: Path, error: Exception, *, is_copy: bool = False) -> str:
    """Return one line with the reason why the warehouse or copy at `path` did not open, and the remedy."""
    text = str(error)
    if is_full(error):
        return _full(path)
    if holder := re.search(r"PID (\d+)", text):
        return f"{path.name} is open in process {holder[1]}. Close it there; to read, use make shell"
    if DAMAGED.search(text) and is_copy:
        return f"{path} is damaged or no DuckDB file. Run make publish, which writes the copy again"
    if DAMAGED.search(text):
        return (
            f"{path} is damaged or no DuckDB file. Move it away and run make restore, which brings back the "
            "last backup; without one, make ingest transform loads what the vendors still have"
        )
    reasons = [reason.lower() for reason in REFUSALS if reason in text]
    if reasons or not path.parent.exists():
        reason = reasons[0] if reasons else "its folder cannot be created"
        return f"{path} cannot be written: {reason}. Change that, or set another path in .env"
    # A library that could not write a file may fail later and report only its absence.
    if shutil.disk_usage(path.parent).free < LITTLE_ROOM_BYTES:
        return _full(path)
    return f"{path}: {text.splitlines()[0]}"
