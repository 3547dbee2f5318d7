"""`plan` and `apply`: show what would be sent, and send it."""

import json
from pathlib import Path
from typing import Annotated, Final

import typer

from activate import account, approval, engine, origins, planning, records
from activate.cli import arguments, plans, screen, shapes
from activate.cli.arguments import AsJson, Budget, Creations, Kinds, KindsOrFile
from activate.errors import UsageError
from common import runs, terminal
from common import settings as environment

DETAILED: Final = "--detailed-exitcode"
CHANGES: Final = 3  # becomes 2 where main() has told errors apart


def plan(  # noqa: PLR0913 - the options of a command
    kinds: Kinds = None,
    everything: Annotated[bool, typer.Option("--all", help="List unchanged records as well.")] = False,
    save: Annotated[Path | None, typer.Option(metavar="FILE", help="Save the plan, for apply FILE.")] = None,
    record_key: Annotated[
        str | None,
        typer.Option("--show", metavar="RECORD", help="Show the whole text of this record that would leave."),
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the plan as Markdown, for a pull request.")
    ] = False,
    detailed_exitcode: Annotated[
        bool,
        typer.Option(DETAILED, help="Exit with 0 if there is nothing to do, 1 after an error, 2 otherwise."),
    ] = False,
    budget: Budget = None,
    creations: Creations = None,
    as_json: AsJson = False,
) -> None:
    """Show what apply would send, and its lowest and highest credits. Sends nothing.

    With MAVERA_API_KEY, it checks Mavera for existing objects before it plans to pay for any. That is free.
    """
    settings, chosen = environment.load(), arguments.chosen_kinds(kinds)
    ledger = arguments.ledger_of(settings)
    mark, limits = ledger.chain.mark() if save else None, arguments.limits_of(settings, budget, creations)
    wanted = records.load(settings, chosen)
    planned = planning.plan(wanted, ledger, chosen, limits)
    unclaimed, unseen = arguments.unclaimed_in_mavera(settings, planned, ledger)
    if unclaimed:
        planned = planning.plan(wanted, ledger, chosen, limits, unclaimed=unclaimed)
    left = planning.credits_left(ledger, limits._replace(run=None))
    if save and mark:
        seen = (
            approval.look(arguments.mavera_of(settings), chosen, ledger) if settings.mavera_api_key else None
        )
        with arguments.sealing(settings, ledger) as sealer, arguments.draft_of(save) as draft:
            approved = approval.of(planned, settings, chosen, budget, mark, seen, sealer)
            draft.write_text(approved.model_dump_json(indent=1) + "\n", encoding="utf-8")
    how = approval.command("activate", save) if save else "make activate"
    ends = plans.ends(planned, limits, left, everything, how, unseen)
    named = [step for step in planned.steps if step.record.key == record_key]
    if record_key and not named:
        raise arguments.not_asked_for(record_key)
    last = ledger.accepted().get(record_key or "")
    if as_json:
        words = shapes.of_words(named[0], last) if named else None
        typer.echo(json.dumps(shapes.of_plan(planned, limits, left, unseen, words)))
    elif named:
        plans.show(*plans.words_of(named[0], last))
    elif markdown:
        typer.echo(plans.as_markdown(planned, ends))
    else:
        steps = plans.of_plan(planned, origins.findings(settings), everything)
        plans.show(*steps, *ends[:-1], plans.unwrapped(ends[-1]))
    if detailed_exitcode and planned.has_work:
        raise typer.Exit(CHANGES)


def apply(
    kinds: KindsOrFile = None, budget: Budget = None, creations: Creations = None, as_json: AsJson = False
) -> None:
    """Send the plan within CREDIT_BUDGET for the calendar month.

    With a FILE from plan --save, send exactly that plan, or nothing if something has changed since.
    """
    settings = environment.load()
    file = arguments.saved_plan(kinds)
    with runs.recorded(settings, "activate", kinds or ()) as record:
        approved = approval.read(file, settings) if file else None
        for name, given in (("budget", budget), ("creations", creations)):
            if approved and given is not None:
                again = f"plan --save {file} --{name} N"
                raise UsageError(f"{file} was planned with its {name}. For another one: {again}")
        chosen = list(approved.kinds) if approved else arguments.chosen_kinds(kinds)
        mavera = arguments.mavera_of(settings)
        wanted = records.load(settings, chosen)
        by_key = {record.key: record for record in wanted}
        limits = arguments.limits_of(settings, approved.budget if approved else budget, creations)
        with arguments.writing(settings) as ledger:
            account.require(ledger, mavera, arguments.key_of(settings))
            if file and approved:
                now = planning.plan(wanted, ledger, chosen, limits._replace(month=0, run=None))
                approval.require_unmoved(approved, file, settings, now, ledger, mavera)
                of_plan = planning.Approved(approved.sha256, approved.keys, approved.credits_high)
                limits = limits._replace(approved=of_plan)
            with terminal.left_to_command():  # apply finishes the requests under way
                outcome = engine.apply(
                    wanted,
                    ledger,
                    mavera,
                    chosen,
                    limits,
                    tell=lambda result: plans.show(
                        plans.of_result(result, by_key.get(result.key)), is_error=as_json
                    ),
                    say=lambda line: typer.echo(line, err=True),
                )
            record.spent, record.budget = ledger.spent(), settings.credit_budget
        verdict = plans.verdict(outcome)
        record.detail, record.request_count, record.credits = verdict, mavera.calls, outcome.credits
        undone = {"held", "unknown"}
        record.held = {
            r.key: r.text for r in outcome.results.values() if r.state in undone or r.key in outcome.undecided
        }
        if not outcome.is_well:
            record.fail([outcome.stopped or verdict])
    if as_json:
        typer.echo(json.dumps(shapes.of_outcome(outcome, mavera.calls)))
    else:
        typer.echo(verdict)
        typer.echo(screen.next_step(outcome))
    raise typer.Exit(0 if outcome.is_well else 1)
