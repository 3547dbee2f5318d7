"""`settle`, `drift` and `import`: a person's decisions about remote objects."""

import json
from contextlib import nullcontext
from typing import Annotated

import typer

from activate import account, drift, records
from activate.cli import arguments, screen, shapes
from activate.cli.arguments import AsJson, Kinds
from activate.errors import UsageError
from activate.kinds import KINDS
from activate.ledger.journal import Ledger
from common import settings as environment


def settle(
    key: Annotated[str | None, typer.Argument(metavar="[RECORD]", help="As the plan shows it.")] = None,
    adopt: Annotated[
        str | None, typer.Option(metavar="ID", help="This object in Mavera is the record.")
    ] = None,
    forget: Annotated[
        bool, typer.Option("--forget", help="Mavera has nothing of it: it may be sent again.")
    ] = False,
    from_mavera: Annotated[
        bool, typer.Option("--from-mavera", help="Take over all objects in Mavera that carry our reference.")
    ] = False,
    charged: Annotated[
        int | None,
        typer.Option(min=0, metavar="CREDITS", help="What Mavera charged for a call written off as lost."),
    ] = None,
    accept_key: Annotated[
        bool,
        typer.Option("--accept-key", help="MAVERA_API_KEY is of the account that the ledger belongs to."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Decide about unresolved calls. Without a decision, list them."""
    settings = environment.load()
    if not (adopt or forget or from_mavera or accept_key or charged is not None):
        ledger = arguments.ledger_of(settings)
        unknown, lost = ledger.unknown(), ledger.written_off()
        shown = screen.unknown_lines(unknown, lost)
        typer.echo(json.dumps(shapes.of_unknown(unknown, lost)) if as_json else "\n".join(shown))
        return
    if as_json:
        raise UsageError("--json lists unresolved calls only. Decide without --json")
    with arguments.writing(settings) as ledger:
        if accept_key:
            if not ledger.account.accepts(arguments.key_of(settings)):
                ledger.account.accept(arguments.key_of(settings))
            typer.echo("MAVERA_API_KEY is accepted as one of this ledger's account")
        elif from_mavera:
            _adopt_all(settings, ledger)
        elif key is None:
            raise UsageError("say which record: python -m activate settle personas/clv-tiers:top --forget")
        elif charged is not None:
            count = drift.charged(key, charged, ledger)
            calls = "1 call" if count == 1 else f"{count} calls"
            typer.echo(f"? {key:<36}{calls} decided: {charged:,} credits count")
        elif forget:
            asked = arguments.mavera_of(settings) if settings.mavera_api_key else None
            drift.forget(key, ledger, arguments.wanted_record(settings, key) if asked else None, asked)
            typer.echo(f"? {key:<36}forgotten: make plan shows what it costs to create it")
        elif adopt:
            record = arguments.wanted_record(settings, key)
            if record is None:
                raise arguments.not_asked_for(key)
            remote_id = drift.adopt(record, ledger, arguments.mavera_of(settings), adopt)
            typer.echo(f"? {key:<36}adopted {remote_id}")
    typer.echo("To see what is left to do: make plan")


def _adopt_all(settings: environment.Settings, ledger: Ledger) -> None:
    """Adopt all objects with our reference; exit with 1 if objects with one of our names are left."""
    wanted, mavera = records.load(settings, list(KINDS)), arguments.mavera_of(settings)
    account.require(ledger, mavera, arguments.key_of(settings))
    for adopted, remote_id in drift.adopt_all(wanted, ledger, mavera):
        typer.echo(f"? {adopted:<36}adopted {remote_id}")
    left = drift.unadopted(wanted, ledger, mavera)
    for record, remote_id in left:
        typer.echo(f"! {record.key:<36}{remote_id} has its name, without our reference")
    if left:
        typer.echo(
            "Nothing is created while these are undecided: python -m activate import adopts them for "
            "free, python -m activate drift --let-be ID says that one is your own"
        )
        raise typer.Exit(1)


def show_drift(
    kinds: Kinds = None,
    policy: Annotated[
        environment.DriftPolicy | None, typer.Option(help="What to do about it; MAVERA_DRIFT by default.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="RECORD|ID", help="Decide about this one alone; repeatable.")
    ] = None,
    let_be: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Not of this ledger: ignore it from now on; repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare Mavera with the ledger: list deleted, edited, unknown and duplicate objects. Costs nothing."""
    settings, chosen = environment.load(), arguments.chosen_kinds(kinds)
    way = policy or settings.mavera_drift
    mavera = arguments.mavera_of(settings)
    writes = way != "leave" or bool(let_be)
    with arguments.writing(settings) if writes else nullcontext(arguments.ledger_of(settings)) as ledger:
        if writes:
            account.require(ledger, mavera, arguments.key_of(settings))
        findings = drift.find(ledger, mavera, chosen, settings.mavera_settle_seconds)
        if let_be:
            done = [(found, "let be") for found in drift.let_be(let_be, findings, ledger)]
        else:
            chosen_ones = [
                found for found in findings.drifts if not only or {found.key, found.shown_id} & {*only}
            ]
            wanted = records.load(settings, chosen) if way != "leave" else []
            done = list(drift.settle(chosen_ones, way, wanted, ledger, mavera))
    if as_json:
        typer.echo(json.dumps(shapes.of_drift(findings, done, way)))
        return
    typer.echo("\n".join(screen.drift_lines(findings, done, way)))


def import_(
    kinds: Kinds = None,
    yes: Annotated[bool, typer.Option("--yes", help="Take over every clear match without asking.")] = False,
) -> None:
    """Adopt objects that an earlier script made in Mavera, matched by name, after you confirm."""
    settings, chosen = environment.load(), arguments.chosen_kinds(kinds)
    mavera = arguments.mavera_of(settings)
    with arguments.writing(settings) as ledger:
        account.require(ledger, mavera, arguments.key_of(settings))
        matches = drift.matches(records.load(settings, chosen), ledger, mavera, chosen)
        for match in matches:
            start = f"{'?' if match.is_clear else '!'} {match.record.key:<36}"
            for remote in match.objects:
                age = (ledger.now() - remote.made_at).days
                typer.echo(f'{start}"{remote.name}" {remote.shown_id}, {age} days old: {match.how}')
            if not match.is_clear:
                typer.echo("      ambiguous: left alone. python -m activate settle RECORD --adopt ID decides")
        clear = [match for match in matches if match.is_clear]
        if not clear:
            typer.echo("Nothing to take over: no new record has the name of exactly one object in Mavera.")
        elif yes or arguments.agrees(f"Take over {len(clear)}?"):
            for match in clear:
                typer.echo(f"? {match.record.key:<36}adopted {drift.take(match, ledger, mavera)}")
            typer.echo("To see what follows: make plan")
        else:
            typer.echo("Nothing was taken over. Add --yes to take over without asking.")
