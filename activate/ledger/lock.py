"""One writer of a ledger at a time: a file lock on this machine, a lease across machines.

A lease is a row in the PostgreSQL ledger with its owner and a heartbeat. If the owner dies, its heartbeat
stops and the lease expires; the next owner notes the takeover in the journal. Every row is written under the
token of its lease, so a process that comes back after another took over announces and sends nothing.
"""

import fcntl
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from activate.errors import LedgerError

FILE_WAIT_SECONDS: Final = 30  # a reader such as ingest locks the file for milliseconds
BEAT_SECONDS: Final = 10
FREE_AFTER_SECONDS: Final = 60  # without a heartbeat; a slow network does not miss six

metadata = sa.MetaData()
leases = sa.Table(
    "lease",
    metadata,
    sa.Column("lease", sa.Text, primary_key=True),
    sa.Column("token", sa.Text, nullable=False),
    # Host and process, for people to read.
    sa.Column("owner", sa.Text, nullable=False),
    # By the server's clock: the clocks of two machines may differ.
    sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False),
)
LEASE: Final = "apply"


@dataclass(frozen=True)
class Hold:
    """The lock. `guard` raises LedgerError once it is lost; `taken_from` names the dead owner before it."""

    guard: Callable[[sa.Connection], None] = lambda _: None
    taken_from: str = ""


UNGUARDED: Final = Hold()


def is_sqlite(url: str) -> bool:
    return sa.make_url(url).get_backend_name() == "sqlite"


def file_of(url: str) -> Path | None:
    """Return the file of a SQLite ledger; None for one in memory or on a server."""
    database = sa.make_url(url).database
    return Path(database) if is_sqlite(url) and database else None


def open_engine(url: str) -> sa.Engine:
    """Return an engine whose committed rows survive a power cut."""
    if not is_sqlite(url):
        return sa.create_engine(url, connect_args={"connect_timeout": FILE_WAIT_SECONDS})
    engine = sa.create_engine(url, connect_args={"timeout": FILE_WAIT_SECONDS})
    sa.event.listen(engine, "connect", _make_durable)
    return engine


def _make_durable(connection: Any, _: Any) -> None:
    # FULL: committed rows survive a power cut. A rollback journal, unlike a write-ahead log, keeps everything
    # in one file at rest, so a plain copy is a backup.
    connection.execute("pragma synchronous = full")


@contextmanager
def lock(url: str) -> Iterator[Hold]:
    """Lock this ledger against other writers until the block ends or the process dies.

    Raises LedgerError with the owner if another process has the lock, or with the reason if it cannot write.
    """
    path = file_of(url)
    if path is None and is_sqlite(url):
        raise LedgerError("LEDGER_URL names no file: nothing would be remembered")
    if path is None:
        with _leased(open_engine(url)) as hold:
            yield hold
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        holder = _beside(path).open("a+")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise LedgerError(
            f"{path} cannot be written: {reason}. Change that, or set another LEDGER_URL in .env"
        ) from None
    with holder:
        try:
            fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder.seek(0)
            raise LedgerError(
                f"another apply is at work (process {holder.read().strip() or 'unknown'}). "
                "Wait for it to end, then run the same command again"
            ) from None
        holder.truncate(0)
        holder.write(str(os.getpid()))
        holder.flush()
        yield Hold()


def _beside(path: Path) -> Path:
    """Return the lock file of a ledger, the same for all names of the ledger's file."""
    path = path.resolve()
    return path.with_name(f"{path.name}.lock")


def owner(url: str) -> str:
    """Return the process that has the lock of this ledger, or an empty string; takes no lock, writes nothing.

    Raises LedgerError if the server does not answer.
    """
    path = file_of(url)
    if is_sqlite(url):
        beside = path and _beside(path)
        if beside is None or not beside.exists():
            return ""
        with beside.open() as holder:
            try:
                fcntl.flock(holder, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return f"process {holder.read().strip() or 'unknown'}"
        return ""
    silent = sa.func.extract("epoch", sa.func.clock_timestamp() - leases.c.beat_at)
    holding = sa.select(leases.c.owner).where(leases.c.lease == LEASE, silent < FREE_AFTER_SECONDS)
    with _asking(url) as connection:
        has_leases = sa.inspect(connection).has_table(leases.name)
        return (connection.execute(holding).scalar() or "") if has_leases else ""


def is_writable(url: str) -> bool:
    """Whether this process could write rows to this ledger; writes nothing.

    Raises LedgerError if the server does not answer.
    """
    path = file_of(url)
    if path:
        folder = next(each for each in path.parents if each.exists())
        is_place = folder.is_dir() and not path.is_dir() and os.access(folder, os.W_OK)
        return is_place and (not path.exists() or os.access(path, os.W_OK))
    if is_sqlite(url):
        return False
    may = """
        select not pg_is_in_recovery() and current_setting('transaction_read_only') = 'off' and case
            when to_regclass('journal') is null then has_schema_privilege(current_schema(), 'create')
            else has_table_privilege('journal', 'insert')
        end
    """
    with _asking(url) as connection:
        return bool(connection.execute(sa.text(may)).scalar())


@contextmanager
def _asking(url: str) -> Iterator[sa.Connection]:
    """Connect to a server's ledger to read. Raises LedgerError if the server does not answer."""
    try:
        with open_engine(url).connect() as connection:
            yield connection
    except sa.exc.DBAPIError as error:
        raise unreachable(error) from None


def unreachable(error: sa.exc.DBAPIError) -> LedgerError:
    """Return the error for a failure of a ledger's database server."""
    said = str(error.orig).partition("\n")[0]
    return LedgerError(
        f"the ledger cannot be reached ({said}): see that its server runs and that LEDGER_URL leads to it"
    )


# --- a lease on a server -----------------------------------------------------------------------------


@contextmanager
def _leased(engine: sa.Engine) -> Iterator[Hold]:
    token, owner = uuid.uuid4().hex, f"process {os.getpid()} on {socket.gethostname()}"
    try:
        metadata.create_all(engine)
        taken_from = _take(engine, token, owner)
    except sa.exc.DBAPIError as error:
        raise unreachable(error) from None
    done = threading.Event()
    beating = threading.Thread(target=_beat, args=(engine, token, done), daemon=True)
    beating.start()
    try:
        yield Hold(lambda connection: _require(connection, token), taken_from)
    finally:
        done.set()
        beating.join()
        _give_back(engine, token)


def _take(engine: sa.Engine, token: str, owner: str) -> str:
    """Take the lease; return the dead owner before us, or an empty string."""
    now = sa.func.clock_timestamp()
    with engine.begin() as connection:
        # A second process waits here for the first to commit, then sees its row.
        connection.execute(sa.text("lock table lease in exclusive mode"))
        silent = sa.func.extract("epoch", now - leases.c.beat_at)
        held = connection.execute(
            sa.select(leases.c.owner, silent.label("silent")).where(leases.c.lease == LEASE)
        ).first()
        if held and held.silent < FREE_AFTER_SECONDS:
            raise LedgerError(
                f"another apply is at work ({held.owner}, heard of {held.silent:.0f} s ago). Wait for it to "
                f"end; if it died, its lease frees itself {FREE_AFTER_SECONDS} s after its last sign of life"
            )
        connection.execute(sa.delete(leases).where(leases.c.lease == LEASE))
        connection.execute(
            sa.insert(leases).values(lease=LEASE, token=token, owner=owner, taken_at=now, beat_at=now)
        )
    return str(held.owner) if held else ""


def _beat(engine: sa.Engine, token: str, done: threading.Event) -> None:
    beat = sa.update(leases).where(leases.c.token == token).values(beat_at=sa.func.clock_timestamp())
    while not done.wait(BEAT_SECONDS):
        try:
            with engine.begin() as connection:
                connection.execute(beat)
        except sa.exc.DBAPIError:
            continue  # the server is unreachable: the next write fails, and the lease may expire


def _require(connection: sa.Connection, token: str) -> None:
    """Raise LedgerError unless the lease is still ours; it stays ours until this transaction ends."""
    ours = sa.select(leases.c.token).where(leases.c.token == token).with_for_update(read=True)
    if connection.execute(ours).first() is None:
        raise LedgerError(
            "the lease on the ledger ran out and another process took it over: nothing more is sent. "
            "Run the same command again once that one has ended"
        )


def _give_back(engine: sa.Engine, token: str) -> None:
    try:
        with engine.begin() as connection:
            connection.execute(sa.delete(leases).where(leases.c.token == token))
    except sa.exc.DBAPIError:
        pass  # the lease expires
