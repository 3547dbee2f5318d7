"""Published copies of earlier days: the last one of each day, beside the current copy.

A file is a hard link of the copy as it was published, so that keeping it costs no time, and no room until the
copy is replaced. Its name says the day (UTC) and whether it has rows about people:
`kept/2026-11-01.people.duckdb`.
"""

import os
import re
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, NamedTuple

from common.warehouse import WarehouseError, beside

FOLDER: Final = "kept"
NAME: Final = re.compile(r"(?P<day>\d{4}-\d{2}-\d{2})(?P<people>\.people)?\.duckdb")


class Kept(NamedTuple):
    """A copy that is kept, the last one that was published on its day."""

    day: date
    has_people: bool
    path: Path


def kept(published: Path) -> list[Kept]:
    """Return the copies that are kept, the oldest first."""
    found = [(NAME.fullmatch(path.name), path) for path in _folder(published).glob("*.duckdb")]
    copies = [
        Kept(date.fromisoformat(name["day"]), bool(name["people"]), path) for name, path in found if name
    ]
    return sorted(copies)


def keep(published: Path, now: datetime, count: int, *, people: bool) -> None:
    """Keep the copy as that of today, and remove those before the last `count` days with a copy.

    Without `people`, copies with rows about people are removed as well.
    """
    today = now.astimezone(UTC).date()
    for copy in kept(published):
        if copy.day == today or (copy.has_people and not people):
            copy.path.unlink(missing_ok=True)
    if count:
        target = _folder(published) / f"{today}{'.people' if people else ''}.duckdb"
        with beside(target, is_shared=True) as draft:
            try:
                os.link(published, draft)
            except OSError:  # a file system without links, or another one
                shutil.copyfile(published, draft)
    copies = kept(published)
    for copy in copies[: max(0, len(copies) - count)]:
        copy.path.unlink(missing_ok=True)


def remove(published: Path) -> int:
    """Remove every copy that is kept, with drafts of them; return the number of copies."""
    copies = kept(published)
    for path in (*(copy.path for copy in copies), *_folder(published).glob(".*.duckdb.*")):
        path.unlink(missing_ok=True)
    return len(copies)


def current_at(published: Path, asked: str) -> Path:
    """Return the copy that was current at the end of a day, such as 2026-11-01.

    Raises WarehouseError if that is no day, or if no copy as old is kept.
    """
    try:
        day = date.fromisoformat(asked)
    except ValueError:
        raise WarehouseError(f"{asked} is no day: write it as in AT=2026-11-01") from None
    copies = kept(published)
    until = [copy for copy in copies if copy.day <= day]
    if not until:
        oldest = f"the oldest is of {copies[0].day}" if copies else "none is kept yet"
        raise WarehouseError(f"no published copy of {day} or before is kept: {oldest}")
    return until[-1].path


def bytes_used(published: Path) -> int:
    """Return the room that kept copies take beside the current one."""
    current = published.stat().st_ino if published.exists() else 0
    sizes = [copy.path.stat() for copy in kept(published)]
    return sum(each.st_size for each in sizes if each.st_ino != current)


def _folder(published: Path) -> Path:
    return published.with_name(FOLDER)
