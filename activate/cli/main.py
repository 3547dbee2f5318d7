"""What a person types: `python -m activate plan`, `apply`, `status` and the others."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from activate.cli import arguments, deciding, reading, sending, showing
from activate.cli.arguments import AsJson
from activate.errors import ActivationError, UsageError
from common import settings as environment
from common import terminal, warehouse

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
ledger = typer.Typer(no_args_is_help=True, help="Look after the ledger itself: verify, export, restore.")
app.add_typer(ledger, name="ledger")


@app.callback()
def activate(debug: Annotated[bool, typer.Option(help="Show where an error came from.")] = False) -> None:
    """Bring Mavera in line with the warehouse, and pay for each object once."""


app.command()(sending.plan)
app.command()(sending.apply)
app.command()(showing.status)
app.command()(showing.explain)
app.command()(reading.read)
app.command()(deciding.settle)
app.command(name="drift")(deciding.show_drift)
app.command(name="import")(deciding.import_)


@ledger.command()
def verify(as_json: AsJson = False) -> None:
    """Check with the chain of receipts that every row of the ledger is as it was written."""
    settings = environment.load()
    chain = arguments.ledger_of(settings).chain
    count = chain.verify()
    if as_json:
        typer.echo(json.dumps({"rows": count, "receipt": chain.mark().receipt}))
    else:
        typer.echo(f"{count:,} rows, each as it was written")


@ledger.command()
def export(
    file: Annotated[Path | None, typer.Argument(help="The file to write; the screen by default.")] = None,
) -> None:
    """Write every row as a line of JSON, and a final line: a backup that outlives this project."""
    settings = environment.load()
    lines = arguments.ledger_of(settings).chain.export()
    if file is None:
        for line in lines:
            typer.echo(line)
        return
    if file.exists():
        raise UsageError(f"{file} exists already: name a new file")
    with arguments.draft_of(file) as draft, draft.open("w", encoding="utf-8") as target:
        count = sum(target.write(f"{line}\n") > 0 for line in lines) - 1
    typer.echo(f"{count:,} rows in {file}")


@ledger.command()
def restore(file: Annotated[Path, typer.Argument(help="A file written by `ledger export`.")]) -> None:
    """Restore exported rows into a new ledger, all or none: after a loss, or to change the database."""
    settings = environment.load()
    if not file.is_file():
        raise UsageError(f"there is no file {file}")
    with arguments.writing(settings, is_noted=False) as restored, file.open(encoding="utf-8") as lines:
        count = restored.chain.restore(lines)
    typer.echo(f"{count:,} rows restored, each as it was written")


def main() -> None:
    """Run the command; a user's mistake is one line and exit code 2, or a traceback with --debug.

    With --detailed-exitcode, 2 means changes, so every mistake has exit code 1.
    """
    detailed = {terminal.NOT_STARTED: terminal.FAILED, sending.CHANGES: 2}
    terminal.run(
        app,
        *(ActivationError, environment.SettingsError, warehouse.WarehouseError),
        stopped="stopped; the ledger knows what was sent, make activate continues from there",
        codes=detailed if sending.DETAILED in sys.argv else {},
    )
