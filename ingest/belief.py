"""Decides whether to believe an answer that is much emptier than the rows already in the warehouse.

Nothing that removes or replaces rows trusts an empty answer alone, because a vendor's error would then remove
everybody. It needs a second witness: the vendor's own count, the same answer again at least an hour later, or
a person who passes `--believe`. Until then the existing rows are kept, and the run says so.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Final

import duckdb

FEWEST: Final = 3
"""Fewer rows than this may go unwitnessed: that is what a small list does in a day."""
AGAIN: Final = timedelta(hours=1)
"""How much later the same answer counts as a second one."""
PERSISTS: Final = timedelta(days=1)
"""A doubt that is older fails the run: nothing but a person will settle it."""
NEAR: Final = 0.1
"""Part of a count by which another may differ and still be the same: lists move while they are counted."""


@dataclass(frozen=True)
class Doubt:
    """An answer that is not believed, for the list `parent` within the resource; "" means all of it."""

    vendor: str
    resource: str
    parent: str
    rows_before: int
    rows_now: int
    counted: int | None
    first_seen_at: datetime

    @property
    def name(self) -> str:
        return f"{self.vendor} {self.resource}"


Sizes = Mapping[str, int]
"""Rows by parent; the key "" where a resource has none."""


def is_near(count: int, other: int) -> bool:
    return abs(count - other) <= max(2, NEAR * max(count, other))


def is_doubtful(before: int, now: int, share: float, fewest: int = FEWEST) -> bool:
    """Return whether so many rows are gone that one answer is not enough."""
    lost = before - now
    return lost >= fewest and lost > share * before


def doubts(
    name: tuple[str, str],
    before: Sizes,
    now: Sizes,
    share: float,
    at: datetime,
    remembered: Mapping[str, Doubt],
    count: Callable[[str], int | None],
) -> list[Doubt]:
    """Return the doubtful parts of an answer; `count` asks the vendor for its own count of a parent."""
    found = []
    # If all lists together are too empty, a short empty list is as doubtful as the others.
    fewest = 1 if is_doubtful(sum(before.values()), sum(now.values()), share) else FEWEST
    for parent, rows_before in before.items():
        rows_now = now.get(parent, 0)
        if not is_doubtful(rows_before, rows_now, share, fewest):
            continue
        counted = count(parent)
        if counted is not None and (counted <= rows_now or is_near(counted, rows_now)):
            continue
        first = remembered.get(parent)
        is_same = first is not None and is_near(first.rows_now, rows_now)
        if counted is None and first and is_same and at - first.first_seen_at >= AGAIN:
            continue
        since = first.first_seen_at if first and is_same else at
        found.append(Doubt(*name, parent, rows_before, rows_now, counted, since))
    return found


def lines(found: Iterable[Doubt]) -> list[str]:
    """Return one line for each resource with an answer that is not believed."""
    by_name: dict[str, list[Doubt]] = {}
    for doubt in found:
        by_name.setdefault(doubt.name, []).append(doubt)
    return [_line(name, of_name) for name, of_name in by_name.items()]


def _line(name: str, of_name: Sequence[Doubt]) -> str:
    before, now = sum(each.rows_before for each in of_name), sum(each.rows_now for each in of_name)
    parents = [each.parent for each in of_name if each.parent]
    where = f" in {parents[0]}" if len(parents) == 1 else f" in {len(parents)} lists" if parents else ""
    counts = [each.counted for each in of_name if each.counted is not None]
    witness = f"its own count is {sum(counts):,}" if counts else "no second witness"
    wait = "" if counts else " The same answer an hour later is believed."
    return (
        f"{name}: {now:,} rows{where}, {before:,} before; {witness}. Not believed, the old rows stay.{wait} "
        f'If it is right: python -m ingest --believe "{name}"'
    )


def chosen(asked: Sequence[str], known: Sequence[str]) -> frozenset[str]:
    """Return the full names, such as `klaviyo lists`, of the resources that `believe` names.

    Raises ValueError, with the nearest name, for an unknown or ambiguous name.
    """
    found = set()
    for text in asked:
        wanted = text.replace(".", " ").replace("raw_", "").strip()
        full = [name for name in known if wanted in (name, name.partition(" ")[2])]
        if len(full) > 1:
            raise ValueError(f"{text} is one of {' and '.join(full)}. Write its vendor before it")
        if not full:
            names = [*known, *(name.partition(" ")[2] for name in known)]
            near = get_close_matches(wanted, names, 1)
            hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(known)}"
            raise ValueError(f"nothing is loaded as {text}. {hint}")
        found.add(full[0])
    return frozenset(found)


def remembered(connection: duckdb.DuckDBPyConnection, name: tuple[str, str]) -> dict[str, Doubt]:
    """Return the doubts of a resource's last load, by parent."""
    query = "from raw_ops.doubts where (vendor, resource) = ($1, $2)"
    return {row[2]: Doubt(*row) for row in connection.execute(query, list(name)).fetchall()}


def remember(connection: duckdb.DuckDBPyConnection, name: tuple[str, str], found: Sequence[Doubt]) -> None:
    """Store the doubts of this load in place of those of the load before."""
    connection.begin()
    connection.execute("delete from raw_ops.doubts where (vendor, resource) = ($1, $2)", list(name))
    for each in found:
        connection.execute(
            "insert into raw_ops.doubts values (?, ?, ?, ?, ?, ?, ?)",
            [*name, each.parent, each.rows_before, each.rows_now, each.counted, each.first_seen_at],
        )
    connection.commit()
