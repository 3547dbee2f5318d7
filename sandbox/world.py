"""One seeded population, the same people at every vendor, as tables of a DuckDB database in memory.

Nothing is drawn: every value is a hash of (row, name of the trait, seed), so the same arguments give the same
rows on every machine, and a later `as_of` adds rows without moving one that was there. Traits that no vendor serves
(topic, hour, spending, viewing style, engagement) drive what people do, so that clusters, tiers and overlaps
differ as they do in life. The tables and their columns stand in world.sql.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

SQL = Path(__file__).with_name("world.sql")
ANOMALIES = frozenset({"late", "future", "same-second"})
# Everything a person does falls at a fixed instant within this many days of `since`, whatever `as_of` is.
HORIZON_DAYS = 400


def default_since(as_of: date) -> date:
    """Return the latest 1 January or 1 July at least 200 days before `as_of`: nearby dates share a past."""
    day = as_of - timedelta(days=200)
    return date(day.year, 7 if day.month >= 7 else 1, 1)


class World:
    """The population as of a UTC midnight: what is in the tables happened, and was visible, before it.

    `people` are the ones who will have joined by the horizon; at any `as_of` nearly all of them have. `position` is
    the 0-based place of a row in the vendor's default listing. Tables are sorted by it, so a page is a range that
    costs the same at any depth. Times are TIMESTAMPTZ.

    Raises ValueError for a population outside 200 to 1,000,000, and for anomalies it does not know.
    """

    def __init__(
        self,
        people: int,
        seed: int,
        as_of: date,
        since: date | None = None,
        anomalies: frozenset[str] = frozenset(),
    ) -> None:
        if not 200 <= people <= 1_000_000:
            raise ValueError("people must be between 200 and 1,000,000")
        if unknown := anomalies - ANOMALIES:
            raise ValueError(f"unknown anomalies: {', '.join(sorted(unknown))}")
        self.people, self.seed, self.as_of = people, seed, as_of
        self.since = since or default_since(as_of)
        self.anomalies = anomalies
        self._connection = duckdb.connect(config={"threads": 2})
        settings = {
            "people": people,
            "seed": seed,
            "as_of": f"timestamptz '{as_of} 00:00:00+00'",
            "since": f"timestamptz '{self.since} 00:00:00+00'",
            "horizon": HORIZON_DAYS,
            "late": "true" if "late" in anomalies else "false",
            "future": "true" if "future" in anomalies else "false",
            "same_second": "true" if "same-second" in anomalies else "false",
        }
        self._connection.execute("set timezone = 'UTC'")
        for name, value in settings.items():
            self._connection.execute(f"create macro {name}_() as {value}")
        self._connection.execute(SQL.read_text(encoding="utf-8"))

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Return a cursor of its own for a thread."""
        cursor = self._connection.cursor()
        cursor.execute("set timezone = 'UTC'")
        return cursor

    def sql(self, query: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        return self.cursor().execute(query, list(params)).fetchall()
