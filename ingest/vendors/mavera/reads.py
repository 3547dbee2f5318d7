"""Reads the tables of Mavera."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

import pyarrow as pa

from common import assumptions
from ingest.errors import SourceError
from ingest.http import Client
from ingest.model import Pages
from ingest.paging import Page, Paging, Parameters, Whole, total_of
from ingest.parallel import side_by_side
from ingest.parser import value
from ingest.typed import Table
from ingest.vendors.mavera.tables import LEDGER

PAGE_ROWS = 100
AT_ONCE = 8
"""How many requests are under way for one table."""
LEDGER_ROWS = 10_000


@dataclass(frozen=True)
class EitherWay(Paging):
    """The two styles that Mavera's reference shows for the same list: by cursor, or by offset and total."""

    total: str = field(default="$.total", kw_only=True)

    def first(self) -> Parameters:
        return {"limit": PAGE_ROWS}

    def after(self, asked: Parameters, page: Page, count: int) -> Parameters | None:
        if cursor := value(page.text, "$.next_cursor"):
            return {**self.first(), assumptions.CURSOR: cursor}
        total = total_of(page.text, self.total)
        if total is not None and page.row_count and count < total:
            return {**self.first(), "offset": int(asked.get("offset", 0)) + page.row_count}
        return None


EITHER_WAY = EitherWay()


def each_whole(path: str, table: Table, paging: Paging) -> Callable[[Client, datetime | None], Pages]:
    """Yield rows of a list, each requested in full unless it is unchanged since the last run."""

    def read(client: Client, since: datetime | None) -> Pages:
        changed = (
            {"id": row["id"]}
            for page in client.pages(path, table, paging)
            for row in page.select(["id", "updated_at"]).to_pylist()
            if since is None or row["updated_at"] is None or row["updated_at"] >= since
        )
        each = partial(client.pages, f"{path}/{{id}}", table, Whole())
        yield from side_by_side((partial(each, ids=ids) for ids in changed), AT_ONCE)

    return read


def ledger(url: str) -> Iterator[pa.Table]:
    """Yield the journal, read-only; nothing if nothing was ever sent. The file is never created.

    Raises SourceError if the ledger is damaged or cannot be reached.
    """
    path, is_file = url.removeprefix("sqlite:///"), url.startswith("sqlite:")
    if is_file and not Path(path).exists():
        return
    import sqlalchemy as sa  # here because it is slow, and nothing may ever have been sent

    url = f"sqlite:///file:{path}?mode=rw&uri=true" if is_file else url
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    try:
        with engine.connect().execution_options(postgresql_readonly=True) as connection:
            if not sa.inspect(connection).has_table("journal"):
                return
            names = [column.name for column in LEDGER.columns]
            journal = sa.table("journal", *map(sa.column, names))
            rows = connection.execute(sa.select(journal).order_by(journal.c.entry_id)).mappings()
            for part in rows.partitions(LEDGER_ROWS):
                yield LEDGER.from_rows(dict(row) for row in part)
    except sa.exc.DBAPIError as error:
        said, *_ = [*str(error.orig).splitlines(), ""]  # the error itself would quote the query
        remedy = "Bring back its last backup" if is_file else "See that its server runs"
        raise SourceError(f"the ledger cannot be read ({said}). {remedy}") from error
