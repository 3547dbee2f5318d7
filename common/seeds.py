"""The seeds in `dbt_project/seeds/`: models read them as tables, Python reads the same files."""

import csv
from typing import Final

from common import settings

FOLDER: Final = settings.ROOT / "dbt_project" / "seeds"


def rows(name: str, *columns: str) -> list[tuple[str, ...]]:
    """Return these columns of every row of a seed, in the file's order.

    Raises SettingsError if the file has no such column or a row is too short.
    """
    path = FOLDER / f"{name}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        read = [[row.get(column) for column in columns] for row in csv.DictReader(file)]
    for line, row in enumerate(read, start=2):
        if None in row:
            raise settings.SettingsError(
                f"{path.relative_to(settings.ROOT)}, line {line}: every row needs {' and '.join(columns)}. "
                "Fill it in, then run the same command again"
            )
    return [tuple(cell or "" for cell in row) for row in read]
