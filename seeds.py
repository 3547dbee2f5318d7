"""The fixed tables in `dbt_project/seeds/`: models read them as tables, Python reads the same files."""

import csv
from typing import Final

import settings

FOLDER: Final = settings.ROOT / "dbt_project" / "seeds"


def rows(name: str, *columns: str) -> list[tuple[str, ...]]:
    """Return these columns of every row of a seed, in its order.

    Raises SettingsError where the file has no such column or a row is short.
    """
    path = FOLDER / f"{name}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        found = [tuple(row.get(column) or "" for column in columns) for row in csv.DictReader(file)]
    for line, row in enumerate(found, start=2):
        if not all(row):
            raise settings.SettingsError(
                f"{path.relative_to(settings.ROOT)}, line {line}: every row needs {' and '.join(columns)}. "
                "Fill it in, then run the same command again"
            )
    return found
