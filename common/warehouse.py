"""Opens a warehouse file, puts a file in place of another, and says in one line what went wrong there."""

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from common import terminal

LITTLE_ROOM_BYTES = 16_000_000
"""With less, an error that nothing else explains comes from there."""
DAMAGED = re.compile(
    "not a valid DuckDB database|Could not read enough bytes|[Cc]orrupt|checksum|INTERNAL Error|"
    "Serialization Error|has been invalidated"
)
"""What DuckDB says of a file that was cut short or overwritten."""


REFUSALS = ("Permission denied", "Read-only file system", "Is a directory", "Not a directory", "File exists")
"""Why a system writes nothing there, in its own words."""


CONFINED = """
    set enable_external_access = false;
    set lock_configuration = true
"""


class WarehouseError(Exception):
    """The file cannot be used as it is; the text names it and says what to do."""


def connect(
    path: Path, *, read_only: bool = False, create: bool = False, is_copy: bool | None = None
) -> duckdb.DuckDBPyConnection:
    """Return a connection in UTC. Raises WarehouseError where the file is missing, locked or damaged.

    Only `create` makes a missing file: who merely looks must not leave an empty warehouse behind. What is
    opened to read is the published copy unless `is_copy` says otherwise; damaged, each has its own remedy.
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
    """Return a connection to the published copy that reaches nothing else: no other file and no network.

    Raises WarehouseError as `connect` does.
    """
    connection = connect(path, read_only=True)
    connection.execute(CONFINED)
    return connection


def require_whole(copy: Path) -> None:
    """Raise WarehouseError where a published copy does not open, or was cut short.

    DuckDB opens a file that lacks blocks, and notices only when somebody reads them.
    """
    with connect(copy, read_only=True) as connection:
        query = "select sum(block_size * total_blocks) from pragma_database_size()"
        ((counted,),) = connection.execute(query).fetchall()
    if copy.stat().st_size < int(counted or 0):
        raise WarehouseError(explain(copy, OSError("Could not read enough bytes"), is_copy=True))


def quoted(text: object) -> str:
    """Return a text, such as a path with an apostrophe, as an SQL literal."""
    return "'" + str(text).replace("'", "''") + "'"


@contextmanager
def beside(target: Path, *, is_shared: bool = False) -> Iterator[Path]:
    """Give a path to write to, and move the finished file into `target`'s place in one step.

    A shared file gets the rights that other programs would give a new file here, and so does its folder where
    it is made; any other is its owner's alone. Raises WarehouseError where the disk is full.
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
    """Remove what killed processes left of writing `target`, and return it: it may hold anybody's rows.

    Only who keeps all other writers of `target` away may call it.
    """
    left = [path for path in target.parent.glob(f".{target.name}.*") if path.is_file()]
    for draft in left:
        draft.unlink(missing_ok=True)
    return left


def open_to_others(paths: Iterable[Path]) -> list[Path]:
    """Return those of `paths` that users other than their owner may read or write."""
    return [path for path in paths if path.exists() and path.stat().st_mode & 0o077]


def keep_private(paths: Iterable[Path]) -> None:
    """Take the rights of other users from what an earlier version, or a copy, left open to them."""
    for path in open_to_others(paths):
        with suppress(PermissionError):  # another user's file: doctor names it
            path.chmod(path.stat().st_mode & ~0o077)


def rewrite(path: Path) -> None:
    """Write the file anew: a row that was deleted stays readable in a freed page of the old one."""
    with beside(path) as draft, duckdb.connect() as connection:
        connection.execute(f"attach {quoted(path)} as before (read_only)")
        connection.execute(f"attach {quoted(draft)} as after")
        connection.execute("copy from database before to after")
        connection.execute("detach after")


def is_full(error: BaseException) -> bool:
    """Whether an error, whichever library wrapped it, comes from a disk without room."""
    return "No space left on device" in str(error)


def _full(path: Path) -> str:
    free = shutil.disk_usage(path.parent).free / 1e6
    return (
        f"the disk that holds {path} is full ({free:,.0f} MB free). Make room, then run the same command "
        "again: what was written before stands"
    )


def explain(path: Path, error: Exception, *, is_copy: bool = False) -> str:
    """Say in one line why `path`, the warehouse or its published copy, did not open, and how to go on."""
    text = str(error)
    if is_full(error):
        return _full(path)
    if holder := re.search(r"PID (\d+)", text):
        return f"{path.name} is open in process {holder[1]}. Close it there; to read, use make shell"
    if DAMAGED.search(text) and is_copy:
        return f"{path} is damaged or no DuckDB file. Run make publish, which writes the copy again"
    if DAMAGED.search(text):
        return (
            f"{path} is damaged or no DuckDB file. Move it away and run make ingest transform: "
            "everything in it comes from the vendors and the ledger"
        )
    reasons = [reason.lower() for reason in REFUSALS if reason in text]
    if reasons or not path.parent.exists():
        reason = reasons[0] if reasons else "its folder cannot be made"
        return f"{path} cannot be written: {reason}. Change that, or set another path in .env"
    # A library that could not write a file may stumble over its absence later, and say only that.
    if shutil.disk_usage(path.parent).free < LITTLE_ROOM_BYTES:
        return _full(path)
    return f"{path}: {text.splitlines()[0]}"
