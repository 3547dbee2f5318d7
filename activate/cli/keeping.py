"""`ledger verify | export | restore`: looks after the ledger itself."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from activate.cli import arguments
from activate.cli.arguments import AsJson
from activate.errors import UsageError
from activate.ledger import opening
from common import settings as environment


def verify(as_json: AsJson = False) -> None:
    """Check with the chain of receipts that every row of the ledger is as it was written."""
    settings = environment.load()
    ledger = opening.connect(settings.ledger_url, settings.mavera_base_url)
    count = ledger.chain.verify()
    if as_json:
        typer.echo(json.dumps({"rows": count, "receipt": ledger.chain.mark().receipt}))
    else:
        typer.echo(f"{count:,} rows, each as it was written")


def export(
    file: Annotated[Path | None, typer.Argument(help="The file to write; the screen by default.")] = None,
) -> None:
    """Write every row as a line of JSON, and a final line: a backup that outlives this project."""
    settings = environment.load()
    lines = opening.connect(settings.ledger_url, settings.mavera_base_url).chain.export()
    if file is None:
        for line in lines:
            typer.echo(line)
        return
    if file.exists():
        raise UsageError(f"{file} exists already: name a new file")
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8") as target:
            count = sum(target.write(f"{line}\n") > 0 for line in lines) - 1
        draft.replace(file)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}. Name another file") from None
    finally:
        draft.unlink(missing_ok=True)
    typer.echo(f"{count:,} rows in {file}")


def restore(file: Annotated[Path, typer.Argument(help="A file written by `ledger export`.")]) -> None:
    """Restore exported rows into a new ledger, all or none: after a loss, or to change the database."""
    settings = environment.load()
    if not file.is_file():
        raise UsageError(f"there is no file {file}")
    with arguments.writing(settings, is_noted=False) as ledger, file.open(encoding="utf-8") as lines:
        count = ledger.chain.restore(lines)
    typer.echo(f"{count:,} rows restored, each as it was written")
