"""`status` and `explain`: show sent records, from the ledger and the published copy alone."""

import json
from typing import Annotated

import typer

from activate import origins, planning, records
from activate.cli import arguments, screen, shapes
from activate.cli.arguments import AsJson, RecordKey
from activate.errors import UsageError
from activate.kinds import KINDS
from activate.ledger.journal import Journal
from activate.ledger.rows import BY_HAND
from common import runs
from common import settings as environment


def status(as_json: AsJson = False) -> None:
    """Show the objects in Mavera and their cost, from the ledger and the published copy alone."""
    settings, chosen = environment.load(), list(KINDS)
    ledger = arguments.ledger_of(settings)
    limits = arguments.limits_of(settings, None)
    missing, witnesses = origins.missing_metrics(settings), origins.witnesses(settings)
    planned = planning.plan(records.load(settings, chosen), ledger, chosen, limits)
    entries, last = ledger.entries(), ledger.last_run()
    left = planning.credits_left(ledger, limits._replace(run=None))
    standing = {kind: shapes.standing(kind, entries, planned) for kind in chosen}
    since = shapes.waiting_since(ledger.waiting())
    if as_json:
        paid = ledger.spent(last.run_id) if last else 0
        numbers = shapes.of_status(last, paid, left, limits, standing, planned, since)
        steps = shapes.of_steps(runs.latest(settings))
        more = {"steps": steps, "missing_metrics": missing, "reconciliation": witnesses._asdict()}
        typer.echo(json.dumps({**numbers, **more}))
        return
    for line in screen.run_lines(runs.latest(settings)):
        typer.echo(line)
    budget = f"{left:,} left of {limits.month:,}"
    if last:
        failed = sum(call.state == "failed" for call in last.calls)
        spent = f"{ledger.spent(last.run_id):,} credits"
        ended = f", {failed} failed" if failed else ""
        typer.echo(f"last sent     {screen.when(last.began_at)}, {spent}{ended}; {budget}")
    else:
        typer.echo(f"last sent     nothing yet; {budget}")
    for kind, counts in standing.items():
        if any(counts.values()) or not KINDS[kind].terms.only_edits:
            typer.echo(screen.standing_line(kind, counts, since.get(kind), ledger.now()))
    for line in screen.withheld_lines(planned.of("hold")):
        typer.echo(line)
    for key in planned.unwanted:
        typer.echo(f"unwanted      {key}: no row asks for it any more; kept")
    for line in missing:
        typer.echo(f"missing       {line}")
    if line := witnesses.line():
        typer.echo(f"vendors       {line}")


def explain(
    key: RecordKey,
    payload: Annotated[bool, typer.Option("--payload", help="Show the whole text that was sent.")] = False,
    answer: Annotated[bool, typer.Option("--answer", help="Show Mavera's whole answer.")] = False,
    original: Annotated[
        bool,
        typer.Option("--original", help="Show only your own persona's text from before anything was added."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Trace one record: its facts, the marts and rows behind them, its words, its requests and their cost."""
    settings = environment.load()
    ledger = arguments.ledger_of(settings)
    if original:
        _show_original(key, ledger)
        return
    record = arguments.wanted_record(settings, key)
    own, entry = ledger.calls(key), ledger.entry(key)
    if record is None and not own:
        raise arguments.not_asked_for(key)
    answers = {call.call_id: ledger.answer(call.call_id) for call in own}
    made = {call.remote_id for call in own if call.remote_id}
    users = ledger.users_of(made) - {key}
    if record:
        behind = origins.of(settings, record)
        about, lines = shapes.of_record(record, behind), screen.record_lines(record, behind)
    else:
        last = ledger.accepted().get(key, own[-1])
        about, lines = shapes.of_unwanted(last), screen.unwanted_lines(last, entry)
    if as_json:
        typer.echo(json.dumps({**about, **shapes.of_calls(own, answers, sorted(users))}))
        return
    for line in lines:
        typer.echo(line)
    for call in own:
        if call.run_id == BY_HAND and call.action != "adopt":
            typer.echo(screen.named("decided", f"{screen.when(call.begun_at)}  {call.action}: {call.error}"))
            continue
        typer.echo(screen.sent_line(call, whole=payload))
        typer.echo(screen.named("answered", screen.ended(call)))
        if answer:
            typer.echo(json.dumps(answers[call.call_id], indent=2, ensure_ascii=False))
    if not own:
        typer.echo(screen.named("sent", "not yet"))
    if users:
        typer.echo(screen.named("used by", ", ".join(sorted(users))))
    if not record:
        typer.echo(screen.named("to do", screen.after_unwanted(key, entry)))


def _show_original(key: str, ledger: Journal) -> None:
    kept = ledger.original(key)
    if kept is None:
        raise UsageError(f"the ledger keeps no text for {key}: nothing was added to a persona of your own")
    typer.echo(kept["description"])
