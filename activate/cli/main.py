"""What a person types: `python -m activate plan | apply | status | explain | settle | drift`."""

from typing import Annotated

import typer

from activate.cli import deciding, keeping, sending, showing
from activate.errors import ActivationError
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
app.command()(deciding.settle)
app.command(name="drift")(deciding.show_drift)
app.command(name="import")(deciding.import_)
ledger.command()(keeping.verify)
ledger.command()(keeping.export)
ledger.command()(keeping.restore)


def main() -> None:
    """Run the command; a user's mistake is one line and exit code 2, or a traceback with --debug."""
    terminal.run(
        app,
        *(ActivationError, environment.SettingsError, warehouse.WarehouseError),
        stopped="stopped; the ledger knows what was sent, make activate continues from there",
    )
