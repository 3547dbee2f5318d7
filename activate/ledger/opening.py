"""Open the ledger: create its tables, migrate older layouts, and refuse the ledger of another Mavera."""

import secrets
import shutil
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from activate.errors import LedgerError
from activate.ledger.chain import FIRST_RECEIPT, receipt_of
from activate.ledger.identity import SEALED_BY
from activate.ledger.journal import Ledger
from activate.ledger.lock import UNGUARDED, Hold, file_of, is_sqlite, open_engine, unreachable
from activate.ledger.rows import SCHEMA_VERSION, identity, journal, metadata, receipts, versions

NOWHERE: Final = "sqlite://"  # an empty ledger in memory


def connect(url: str, destination: str, *, write: bool = False, hold: Hold = UNGUARDED) -> Ledger:
    """Open the ledger of `destination` (Mavera's base URL). Raises LedgerError if that would be unsafe.

    The first writer creates the tables and the SQLite file; until then, readers get an empty ledger. The
    first writer of an older layout backs the ledger up and migrates it. Every row is written under `hold`,
    the writer's lock.
    """
    path = file_of(url)
    if path and write:
        path.parent.mkdir(parents=True, exist_ok=True)
    elif path and not path.exists():
        return connect(NOWHERE, destination, write=True)
    try:
        engine = open_engine(url)
        if not write and not sa.inspect(engine).has_table(journal.name):
            return connect(NOWHERE, destination, write=True)
        _check(engine, destination, path, write)
    except sa.exc.DBAPIError as error:
        if not is_sqlite(url):
            raise unreachable(error) from None
        raise LedgerError(
            f"{path or 'the ledger'} cannot be used ({error.orig}). It remembers what was paid "
            "for: restore it from a backup, or move it away and run python -m activate settle --from-mavera"
        ) from None
    ledger = Ledger(engine, destination, guard=hold.guard)
    if hold.taken_from:
        ledger.note_takeover(hold.taken_from)
    return ledger


def _check(engine: sa.Engine, destination: str, path: Path | None, write: bool) -> None:
    with engine.begin() as connection:
        version = (
            connection.execute(sa.select(versions.c.version)).scalar()
            if sa.inspect(connection).has_table(versions.name)
            else None
        )
        if version is not None and version > SCHEMA_VERSION:
            raise LedgerError(
                f"the ledger was written by a newer version of this project (layout {version}, "
                f"this one knows {SCHEMA_VERSION}). Update the project"
            )
    if write:
        if version is not None and version < SCHEMA_VERSION:
            _back_up(engine, path, version)
        with engine.begin() as connection:
            metadata.create_all(connection)
            _migrate(connection, version)
            kept = engine.url.database or not is_sqlite(str(engine.url))  # not in memory
            if kept and not connection.execute(sa.select(identity.c.name)).first():
                connection.execute(sa.insert(identity).values(name=SEALED_BY, value=secrets.token_hex(32)))
    with engine.connect() as connection:
        other = connection.execute(
            sa.select(journal.c.destination).where(journal.c.destination != destination).limit(1)
        ).scalar()
    if other is not None:
        raise LedgerError(
            f"this ledger belongs to {other}, but MAVERA_BASE_URL is {destination}. "
            "Set LEDGER_URL to a separate file for each"
        )


def _back_up(engine: sa.Engine, path: Path | None, version: int) -> None:
    """Back up the ledger: into a file beside it or, on a server, a table beside the journal."""
    if path:
        shutil.copy2(path, path.with_name(f"{path.name}.layout-{version}"))
    else:
        with engine.begin() as connection:
            connection.execute(sa.text(f"create table journal_layout_{version} as table journal"))


def _migrate(connection: sa.Connection, version: int | None) -> None:
    if version is None:
        connection.execute(sa.insert(versions).values(version=SCHEMA_VERSION))
    elif version < SCHEMA_VERSION:
        # Layout 1 to 2: the rows get receipts.
        receipt = FIRST_RECEIPT
        rows = connection.execute(sa.select(journal).order_by(journal.c.entry_id)).mappings().all()
        for row in rows:
            receipt = receipt_of(dict(row), receipt)
            connection.execute(sa.insert(receipts).values(entry_id=row["entry_id"], receipt=receipt))
        connection.execute(sa.update(versions).values(version=SCHEMA_VERSION))
