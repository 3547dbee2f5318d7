"""Write the published copy as Parquet, a file per table: `make export TO=build/export`.

They hold what the copy holds: rows about people only with PUBLISH_PEOPLE, no group below SMALLEST_COHORT.
"""

from common import terminal  # isort: split

import os
import re
import shutil
from pathlib import Path
from typing import Annotated, Final

import typer

from common import settings as environment
from common import warehouse

SCHEMAS: Final = ("marts", "activation")
# Hashes by which activation recognizes names in a text: no reader needs them.
LEFT_OUT: Final = ("activation.known_people",)
OURS: Final = re.compile(r"(marts|activation)\.\w+\.parquet")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class ExportError(Exception):
    """Nothing was exported; the text says why."""


def export(copy: Path, folder: Path) -> dict[str, int]:
    """Write each table and view of the copy into the folder; return their numbers of rows by name.

    The folder is replaced as a whole. Raises ExportError if it holds anything else than an earlier export.
    """
    warehouse.require_whole(copy)
    others = sorted(path.name for path in folder.glob("*") if not OURS.fullmatch(path.name))
    if others:
        raise ExportError(f"{folder} holds {others[0]}, which is no table of an export. Name another folder")
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    draft.mkdir(parents=True)
    try:
        with warehouse.connect(copy, read_only=True) as connection:
            names = sorted(
                name
                for name in warehouse.relations(connection)
                if name.split(".")[0] in SCHEMAS and name not in LEFT_OUT
            )
            counts = {}
            for name in names:
                target = warehouse.quoted(draft / f"{name}.parquet")
                written = f"copy (from {name}) to {target} (format parquet, compression zstd)"
                ((counts[name],),) = connection.execute(written).fetchall()
        shutil.rmtree(folder, ignore_errors=True)
        draft.replace(folder)
    except Exception as error:
        if not warehouse.is_full(error):
            raise
        raise ExportError(warehouse.explain(folder, error)) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return counts


@app.command(epilog=terminal.DEBUG_HELP)
def main(
    folder: Annotated[Path, typer.Argument(help="The folder to write; an earlier export is replaced.")],
) -> None:
    """Write each table of the published copy as a Parquet file."""
    counts = export(environment.load().published_path, folder)
    size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    typer.echo(f"{len(counts)} tables, {sum(counts.values()):,} rows, {size:,.1f} MB in {folder}")


if __name__ == "__main__":
    terminal.run(
        app,
        environment.SettingsError,
        warehouse.WarehouseError,
        ExportError,
        stopped="stopped: nothing exported",
    )
