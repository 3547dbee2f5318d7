"""The warehouse as a load writes it: one connection, one thread that writes, no other memory.

Cursor and schema are read from the warehouse before any vendor is asked.
"""

import uuid
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from common.settings import Settings
from ingest import belief
from ingest.errors import NotStartedError
from ingest.model import Batch, Job
from ingest.store import allowed, aside, gone
from ingest.store.aside import with_aside
from ingest.store.changes import changes
from ingest.store.packages import make_writable
from ingest.store.raw import raw_tables
from ingest.store.tables import prepare
from ingest.typed import Table
from privacy import outside, pseudonyms
from privacy.addresses import Addresses
from privacy.forgotten import Forgotten

BOUNDS = """
    set memory_limit = '160MB'; set threads = 1; set enable_external_file_cache = false;
    set preserve_insertion_order = false
"""
"""What DuckDB may use: without a limit it keeps all blocks that it wrote. What does not fit goes to disk."""


class Warehouse:
    """The DuckDB file, open and therefore locked for the whole run; written by one thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._run_id = uuid.uuid4().hex
        self._forgotten = _forgotten(settings.forgotten_path)
        make_writable(settings.pipelines_path)
        self.raw = raw_tables(settings)
        self._connection.execute(BOUNDS)
        self._addresses = _addresses(settings)
        self._tables: Sequence[Table] = ()
        self._fresh: set[str] = set()
        self._allowances = allowed.Allowances(())

    @property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        return self.raw.connection

    def close(self) -> None:
        self.raw.close()

    def prepare(self, tables: Sequence[Table]) -> None:
        """Create whatever is missing of `tables`, the only ones that the run may write."""
        self._tables, self._allowances = tables, allowed.Allowances(tables)
        prepare(self.raw, tables)
        self._fresh = {
            table.full_name
            for table in tables
            if not self._connection.execute(f"select 1 from {table.full_name} limit 1").fetchall()
        }
        self.derive()

    def derive(self) -> None:
        """Update tables that are derived from others, such as cues of captions."""
        for table in self._tables:
            if table.derive:
                table.derive(self._connection)
        self.raw.commit()

    def claim(self, vendors: Sequence[str]) -> None:
        """Store which world each vendor's rows are from.

        Raises NotStartedError if the file already contains rows of the other: invented and real people never
        mix.
        """
        origins = dict(self._connection.execute("select vendor, world from raw_ops.origins").fetchall())
        for vendor in vendors:
            world = self._settings.world_of(vendor)
            for holder, held in origins.items():
                if held != world:
                    raise NotStartedError(
                        f"{self._settings.warehouse_name} holds {held} rows of {holder}, but "
                        f"{vendor.upper()}_BASE_URL is {world}. Set another WAREHOUSE_PATH"
                    )
        for vendor in vendors:
            base_url = getattr(self._settings, f"{vendor}_base_url")
            self._connection.execute(
                "insert or ignore into raw_ops.origins values (?, ?, ?)",
                [vendor, self._settings.world_of(vendor), base_url],
            )

    def deep_reads(self) -> dict[str, datetime | None]:
        """Return when the complete history of each job was last read, by the job's name."""
        found = self._connection.execute(
            """
            select vendor || ' ' || resource, max(deep_at) from raw_ops.loads
            where outcome = 'loaded' group by all
            """
        ).fetchall()
        return dict(found)

    def reads(self) -> dict[str, datetime]:
        """Return when each job last asked its vendor and was well, by the job's name."""
        found = self._connection.execute(
            """
            select vendor || ' ' || resource, max(started_at) from raw_ops.loads
            where outcome = 'loaded' and requests > 0 group by all
            """
        ).fetchall()
        return dict(found)

    def keep_to_addresses(self) -> None:
        """Store how e-mail addresses are kept, at the first load; enforce it from then on.

        Raises NotStartedError if the setting or the salt has changed: hashes and addresses do not join.
        """
        name = self._settings.warehouse_name
        held = self._connection.execute("select hashed_with from raw_ops.addresses").fetchone()
        if held is None and self._connection.execute("select 1 from raw_ops.loads").fetchone():
            held = ("",)  # stored before there was a choice
        if held is None:
            pseudonyms.salt(self._settings.salt_path, create=True)  # person ids also need it
        ours = _addresses(self._settings)
        if held and bool(held[0]) != (self._settings.emails_in_warehouse == "hashed"):
            kept = "hashed" if held[0] else "plain"
            raise NotStartedError(
                f"{name} holds e-mail addresses {kept}. Set EMAILS_IN_WAREHOUSE={kept}, or move that file "
                "away and load anew"
            )
        if held and held[0] != ours.mark:
            raise NotStartedError(
                f"{name} holds hashes by another salt than {self._settings.salt_path}. Bring that file back, "
                f"or move {name} away and load anew"
            )
        if held is None or not self._connection.execute("select 1 from raw_ops.addresses").fetchone():
            self._connection.execute("insert into raw_ops.addresses values (?)", [ours.mark])
        self._addresses = ours

    def count(self, table: Table) -> int:
        """Return how many rows a table has."""
        ((rows,),) = self._connection.execute(f"select count(*) from {table.full_name}").fetchall()
        return int(rows)

    def look_back(self, job: Job) -> None:
        """Give a job the facts that its answer is compared with: rows per list, and earlier doubts."""
        table, parent = job.resource.table, job.resource.parent
        by = f'"{parent}"' if parent else "''"
        there = "where gone_at is null" if job.resource.gone == "things" else ""
        query = f"select {by}, count(*) from {table.full_name} {there} group by all"
        job.before = dict(self._connection.execute(query).fetchall())
        job.remembered = belief.remembered(self._connection, job.full_name)

    def settle(self, job: Job) -> None:
        """End a complete read: mark objects and remove people that it lacked, unless it is not believed."""
        if not job.is_guarded or job.error is not None:
            return
        if job.doubts or job.remembered:
            belief.remember(self._connection, job.full_name, job.doubts)
        if job.resource.gone and job.before and not job.doubts:
            table, now = job.resource.table, job.client.started_at
            if job.resource.gone == "things":
                job.outcome.rows_changed += gone.things(self.raw, table, now)
            else:
                job.outcome.rows_changed += gone.people(self.raw, table, self._tables, now)

    def follow(self, jobs: Sequence[Job]) -> None:
        """Move rows of people who are gone to their new owners at the vendor, or remove them."""
        for job in jobs:
            if job.resource.owner and job.is_deep and job.error is None:
                changed = gone.follow(self.raw, job.resource.table, job.resource.owner)
                job.outcome.rows_changed += changed
                self._connection.execute(
                    "update raw_ops.loads set rows_changed = rows_changed + $1 "
                    "where (run_id, vendor, resource) = ($2, $3, $4)",
                    [changed, self._run_id, *job.full_name],
                )

    def strip(self, now: datetime) -> None:
        """Apply the current rules to rows loaded under other rules, then rewrite the file.

        Values that a setting allows now were dropped before: the tables that it widens are read again.
        """
        connection, mark = self._connection, f"{self._allowances.mark} {self._addresses.mark}".strip()
        held = connection.execute("select mark from raw_ops.allowances").fetchone()
        if held and held[0] == mark:
            return
        if connection.execute("select 1 from raw_ops.loads limit 1").fetchone():
            self._allowances.strip(self.raw, self._tables, now)
            self._hash()
            self.raw.rewrite()
            connection = self._connection
            connection.execute(BOUNDS)
        for table in self._tables if held else ():
            if table.people and table.people.widened_by:
                connection.execute(
                    "update raw_ops.loads set deep_at = null where (vendor, resource) = (?, ?)",
                    [table.vendor, table.name],
                )
        connection.execute("delete from raw_ops.allowances")
        connection.execute("insert into raw_ops.allowances values (?, ?)", [mark, now])

    def _hash(self) -> None:
        """Hash values that an earlier version stored plainly although addresses are hashed: phone numbers."""
        for table in self._tables if self._addresses.is_hashed else ():
            if table.is_ours:
                continue
            rows: Any = self._connection.execute(f"from {table.full_name}").to_arrow_table()
            kept = self._addresses.kept(table.people, rows)
            texts = [
                field.name
                for place, field in enumerate(rows.schema)
                if field.name not in table.key and not rows.column(place).equals(kept.column(place))
            ]
            if texts:
                allowed.put(self.raw, table, texts, kept)

    def write(self, batches: Sequence[Batch]) -> None:
        """Load the changes from `batches` of one source in one package, and move their cursors."""
        for batch in batches:  # before their rows, so that a killed run never loads uncounted values
            aside.note(self._connection, self._run_id, self._settings.salt_path, batch)
        compared = [(batch, changes(self._connection, batch.job, self._believed(batch))) for batch in batches]
        now = batches[0].job.client.started_at
        self.raw.load(batches, [found for _, found in compared], self._fresh)
        for batch, found in compared:
            batch.job.outcome.count(found)
            allowed.record(self._connection, batch.job.resource.table.full_name, found.dropped, now)
        self.raw.commit()

    def _believed(self, batch: Batch) -> pa.Table:
        """Return the rows of a batch, with the existing rows in place of answers that are not believed."""
        job, table, parent = batch.job, batch.job.resource.table, batch.job.resource.parent
        rows = batch.rows
        if job.is_whole and ((job.resource.gone and job.before) or (job.resource.owner and job.is_deep)):
            gone.see(self._connection, table, rows, job.resource.owner)
        if not job.resource.replaced or not job.doubts:
            return rows
        doubted = [doubt.parent for doubt in job.doubts]
        names = ", ".join(f'"{name}"' for name in table.arrow_schema.names)
        query = f"select {names} from {table.full_name}"
        if not parent:
            return with_aside(self._connection.sql(query).to_arrow_table().cast(table.arrow_schema))
        held = self._connection.execute(f'{query} where "{parent}" in (select unnest($1))', [doubted])
        kept: Any = held.to_arrow_table()
        is_doubted = pc.is_in(rows.column(parent), pa.array(doubted, pa.string()))
        kept = with_aside(kept.cast(table.arrow_schema))
        return pa.concat_tables([rows.filter(pc.invert(is_doubted)), kept], promote_options="default")

    def kept(self, table: Table, rows: pa.Table) -> pa.Table:
        """Return rows in their stored form, without rows of forgotten people. Any thread may call it.

        Hashes are compared as well: only the hash of a forgotten person's phone number may be known.
        """
        rows = self._allowances.kept(table.full_name, self._unforgotten(table, rows))
        if not self._addresses.is_hashed or table.is_ours:
            return rows
        return self._unforgotten(table, self._addresses.kept(table.people, rows))

    def _unforgotten(self, table: Table, rows: pa.Table) -> pa.Table:
        if not len(self._forgotten):
            return rows
        with self._connection.cursor() as connection:
            return self._forgotten.without(connection, table.people, rows)

    def record(self, jobs: Sequence[Job]) -> None:
        """Append the outcomes of resources to `raw_ops.loads`, in one transaction."""
        with self.raw.transaction():
            for job in jobs:
                outcome = job.outcome
                outcome.finished_at = datetime.now(UTC)
                outcome.requests, outcome.waits = job.client.tally.requests, job.client.tally.waits
                if job.error is not None:
                    outcome.outcome = "skipped" if job.is_skipped else "failed"
                    outcome.detail = outside.words(job.error)
                row = {"run_id": self._run_id, **asdict(outcome)}
                del row["latest_days"], row["set_aside"]
                self._connection.execute(
                    f"insert into raw_ops.loads ({', '.join(row)}) values (${', $'.join(row)})", row
                )


def widen(connection: duckdb.DuckDBPyConnection) -> bool:
    """Let DuckDB use as much memory as it wants; return whether it was bounded."""
    ((limit,),) = connection.execute("select current_setting('memory_limit')").fetchall()
    connection.execute("reset memory_limit")
    return bool(limit != connection.execute("select current_setting('memory_limit')").fetchall()[0][0])


def _addresses(settings: Settings) -> Addresses:
    return Addresses(settings.emails_in_warehouse == "hashed", settings.salt_path)


def _forgotten(path: Path) -> Forgotten:
    """Return the forgotten people. Raises NotStartedError if they cannot be read."""
    try:
        return Forgotten(path)
    except ValueError:
        raise NotStartedError(
            f"{path} is damaged. It lists forgotten people, so nothing is loaded without it. "
            "Bring back its last backup"
        ) from None
