"""The receipts that chain the ledger's rows: each covers a row and the previous receipt.

They reveal rows that were changed, removed or inserted later.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from activate.errors import LedgerError
from activate.ledger.rows import as_json, journal, receipts

FIRST_RECEIPT: Final = ""


class Mark(NamedTuple):
    """A row of the journal by its number and receipt; 0 and an empty receipt before the first row."""

    entry_id: int
    receipt: str


class Chain:
    """Verify, export and restore the whole journal of `destination`."""

    def __init__(self, engine: sa.Engine, destination: str, guard: Callable[[sa.Connection], None]) -> None:
        self._engine = engine
        self._destination = destination
        self._guard = guard

    def mark(self) -> Mark:
        """Return the last row of the journal. Raises LedgerError if its rows have no receipts yet."""
        self._require_receipts()
        newest = sa.select(receipts).order_by(receipts.c.entry_id.desc()).limit(1)
        with self._engine.connect() as connection:
            row = connection.execute(newest).first()
        return Mark(row.entry_id, row.receipt) if row else Mark(0, FIRST_RECEIPT)

    def holds(self, mark: Mark) -> bool:
        """Whether this journal contains the row at `mark`."""
        if mark.entry_id == 0:
            return True
        own = sa.select(receipts.c.receipt).where(receipts.c.entry_id == mark.entry_id)
        with self._engine.connect() as connection:
            return connection.execute(own).scalar() == mark.receipt

    def verify(self) -> int:
        """Return the number of rows. Raises LedgerError at the first row that is not as it was written."""
        self._require_receipts()
        receipt, count = FIRST_RECEIPT, 0
        joined = sa.select(journal, receipts.c.receipt).outerjoin(
            receipts, journal.c.entry_id == receipts.c.entry_id
        )
        with self._engine.connect() as connection:
            for row in connection.execute(joined.order_by(journal.c.entry_id)).mappings():
                receipt = receipt_of(dict(row), receipt)
                if row["receipt"] != receipt:
                    raise LedgerError(
                        f"row {row['entry_id']} of the ledger, written {row['written_at']}, or the one "
                        "before it, is not as it was written. Restore the ledger from a backup"
                    )
                count += 1
            last = connection.execute(sa.select(sa.func.count()).select_from(receipts)).scalar_one()
        if last != count:
            raise LedgerError(f"the ledger has {last} receipts and {count} rows: rows were removed")
        return count

    def _require_receipts(self) -> None:
        if not sa.inspect(self._engine).has_table(receipts.name):
            raise LedgerError(
                "the ledger is of layout 1, whose rows have no receipts. make activate brings it up to this "
                "version, and keeps a copy of it as it is; the same command works then"
            )

    def export(self) -> Iterator[str]:
        """Yield every row as a line of JSON with its receipt, oldest first: any tool can read it.

        A final line has the number of rows and the last receipt, so that a truncated export is noticed.
        """
        self._require_receipts()
        joined = sa.select(journal, receipts.c.receipt).join(
            receipts, journal.c.entry_id == receipts.c.entry_id
        )
        count, receipt = 0, FIRST_RECEIPT
        with self._engine.connect() as connection:
            for row in connection.execute(joined.order_by(journal.c.entry_id)).mappings():
                count, receipt = count + 1, row["receipt"]
                yield as_json(dict(row))
        yield _end_of_export(count, receipt)

    def restore(self, lines: Iterable[str]) -> int:
        """Write exported lines into this ledger, which must be empty; return the number of rows.

        Restores all rows or none. Raises LedgerError if a line was changed or belongs to another destination,
        or if the final line of the export is missing.
        """
        count, written, is_whole = 0, FIRST_RECEIPT, False
        with self._engine.begin() as connection:
            self._guard(connection)
            if connection.execute(sa.select(journal.c.entry_id).limit(1)).first():
                raise LedgerError("this ledger has rows already: set LEDGER_URL to a new one")
            for line in lines:
                is_whole = line.strip() == _end_of_export(count, written)
                if is_whole:
                    continue
                count += 1
                try:
                    row = json.loads(line)
                    receipt = row.pop("receipt")
                    del row["entry_id"]
                    if row["destination"] != self._destination:
                        raise LedgerError(
                            f"line {count} was sent to {row['destination']}, "
                            f"but MAVERA_BASE_URL is {self._destination}"
                        )
                    written = append(connection, row)
                except (ValueError, KeyError, TypeError, AttributeError, sa.exc.SQLAlchemyError):
                    raise LedgerError(f"line {count} is not a row of an exported ledger") from None
                if written != receipt:
                    raise LedgerError(f"line {count}, or the one before it, is not as it was exported")
            if not is_whole:
                raise LedgerError(
                    f"the file ends after {count:,} rows without the line that ends an export: it was cut "
                    "off, or an older version wrote it. Only where you know that it is whole, add this line "
                    f"to it: {_end_of_export(count, written)}"
                )
        return count


def receipt_of(row: Mapping[str, Any], before: str) -> str:
    """Return the receipt of a journal row: a hash of its values and the previous row's receipt."""
    values = {column.name: row.get(column.name) for column in journal.columns if not column.primary_key}
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()


def _end_of_export(count: int, receipt: str) -> str:
    return as_json({"rows": count, "receipt": receipt})


def append(connection: sa.Connection, row: Mapping[str, Any]) -> str:
    """Write one row with its receipt; return the receipt."""
    newest = sa.select(receipts.c.receipt).order_by(receipts.c.entry_id.desc()).limit(1)
    before = connection.execute(newest).scalar() or FIRST_RECEIPT
    receipt = receipt_of(row, before)
    key = connection.execute(sa.insert(journal).values(dict(row))).inserted_primary_key
    connection.execute(sa.insert(receipts).values(entry_id=key[0] if key else None, receipt=receipt))
    return receipt
