"""What a person types: `python -m activate plan | apply | status | explain | settle | drift`."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from activate import ledger as journal
from activate import records, screen, shapes
from activate.lock import LedgerError, lock
from activate.plan import KINDS, TwoRows
from common import runs, terminal, warehouse
from common import settings as environment

if TYPE_CHECKING:
    from activate.engine import Limits
    from activate.mavera import Mavera
    from activate.plan import Plan, Record

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
keeping = typer.Typer(no_args_is_help=True, help="Look after the ledger itself: verify, export, restore.")
app.add_typer(keeping, name="ledger")

Kinds = Annotated[list[str] | None, typer.Argument(help=f"Which kinds: {', '.join(KINDS)}. All by default.")]
KindsOrFile = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KINDS]...|FILE", help="Which kinds, all by default; or a plan that was saved."),
]
Budget = Annotated[
    int | None,
    typer.Option(min=0, help="Most credits that one run may spend, in place of CREDIT_BUDGET_PER_RUN."),
]
Creations = Annotated[
    int | None,
    typer.Option(
        min=0, help="Objects that this run pays for, whatever MAVERA_CREATIONS says; the rest is withheld."
    ),
]
RecordKey = Annotated[
    str, typer.Argument(metavar="RECORD", help="As the plan shows it: personas/clv-tiers:top.")
]
AsJson = Annotated[bool, typer.Option("--json", help="The same numbers for a machine.")]


class UsageError(Exception):
    """The command cannot mean what was typed; the text says what it can."""


@app.callback()
def activate(
    debug: Annotated[bool, typer.Option(help="Show where an error came from.")] = False,
) -> None:
    """Bring Mavera in line with the warehouse, and pay for each object once."""


@app.command()
def plan(
    kinds: Kinds = None,
    everything: Annotated[bool, typer.Option("--all", help="List unchanged records as well.")] = False,
    save: Annotated[Path | None, typer.Option(metavar="FILE", help="Keep the plan, for apply FILE.")] = None,
    budget: Budget = None,
    creations: Creations = None,
    as_json: AsJson = False,
) -> None:
    """Show what apply would send, and its lowest and highest credits. Sends nothing.

    With MAVERA_API_KEY it asks Mavera what is there already before it plans to pay for anything, for free.
    """
    from activate import approval, engine

    settings, chosen = environment.load(), _chosen(kinds)
    ledger = journal.connect(settings.ledger_url, settings.mavera_base_url)
    mark, limits = ledger.mark() if save else None, _limits(settings, budget, creations)
    wanted = records.load(settings, chosen)
    planned = engine.plan(wanted, ledger, chosen, limits)
    unclaimed, unseen = _unclaimed(settings, planned, ledger)
    if unclaimed:
        planned = engine.plan(wanted, ledger, chosen, limits, unclaimed=unclaimed)
    left = engine.credits_left(ledger, limits._replace(run=None))
    if save and mark:
        seen = approval.look(_mavera(settings), chosen, ledger) if settings.mavera_api_key else None
        with _sealing(settings, ledger) as sealing:
            approval.write(approval.of(planned, settings, chosen, budget, mark, seen, sealing), save)
    if as_json:
        typer.echo(json.dumps(shapes.of_plan(planned, limits, left, unseen)))
        return
    width = screen.key_width(step.record for step in planned.steps)
    for step in screen.in_order(planned.steps):
        if step.action != "leave" or everything:
            typer.echo("\n".join(screen.step_lines(step, width)))
    how = approval.command("activate", save) if save else "make activate"
    typer.echo("\n".join(screen.plan_ends(planned, limits, left, everything, how, unseen)))


@app.command()
def apply(
    kinds: KindsOrFile = None,
    budget: Budget = None,
    creations: Creations = None,
    as_json: AsJson = False,
) -> None:
    """Send the plan, one record at a time, within CREDIT_BUDGET for the calendar month.

    Of a FILE that plan --save wrote, send exactly what it says, or nothing where something has moved since.
    """
    from activate import account, approval, engine

    settings = environment.load()
    file = _file(kinds)
    with runs.recorded(settings, "activate", kinds or ()) as record:
        approved = approval.read(file, settings) if file else None
        for name, given in (("budget", budget), ("creations", creations)):
            if approved and given is not None:
                again = f"plan --save {file} --{name} N"
                raise UsageError(f"{file} was planned with its {name}. For another one: {again}")
        chosen = list(approved.kinds) if approved else _chosen(kinds)
        mavera = _mavera(settings)
        wanted = records.load(settings, chosen)
        width = screen.key_width(wanted)
        limits = _limits(settings, approved.budget if approved else budget, creations)
        with _writing(settings) as ledger:
            account.require(ledger, mavera, _key(settings))
            if file and approved:
                now = engine.plan(wanted, ledger, chosen, limits._replace(month=0, run=None))
                approval.require_unmoved(approved, file, settings, now, ledger, mavera)
                of_plan = engine.Approved(approved.sha256, approved.keys, approved.credits_high)
                limits = limits._replace(approved=of_plan)
            with terminal.left_to_command():  # it ends the call that it is in
                outcome = engine.apply(
                    wanted,
                    ledger,
                    mavera,
                    chosen,
                    limits,
                    tell=lambda result: typer.echo(screen.result_line(result, width), err=as_json),
                    say=lambda line: typer.echo(line, err=True),
                )
            record.spent, record.budget = ledger.spent(), settings.credit_budget
        verdict = screen.verdict(outcome)
        record.detail, record.request_count, record.credits = verdict, mavera.calls, outcome.credits
        told = {"held", "unknown"}
        record.held = {
            r.key: r.text for r in outcome.results.values() if r.state in told or r.key in outcome.undecided
        }
        if not outcome.is_well:
            record.fail([outcome.stopped or verdict])
    if as_json:
        typer.echo(json.dumps(shapes.of_outcome(outcome, mavera.calls)))
    else:
        typer.echo(verdict)
        typer.echo(screen.next_step(outcome))
    raise typer.Exit(0 if outcome.is_well else 1)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show what stands in Mavera and what it cost, from the ledger and the published copy alone."""
    from activate import engine, origins

    settings, chosen = environment.load(), list(KINDS)
    ledger = journal.connect(settings.ledger_url, settings.mavera_base_url)
    limits = _limits(settings, None)
    missing, witnesses = origins.missing_metrics(settings), origins.witnesses(settings)
    planned = engine.plan(records.load(settings, chosen), ledger, chosen, limits)
    entries, last = ledger.entries(), ledger.last_run()
    left = engine.credits_left(ledger, limits._replace(run=None))
    standing = {kind: shapes.standing(kind, entries, planned) for kind in chosen}
    since = shapes.waiting_since(ledger.waiting())
    if as_json:
        paid = ledger.spent(last.run_id) if last else 0
        numbers = shapes.of_status(last, paid, left, limits, standing, planned.unwanted, since)
        steps = shapes.of_steps(runs.latest(settings))
        told = {"steps": steps, "missing_metrics": missing, "reconciliation": witnesses._asdict()}
        typer.echo(json.dumps({**numbers, **told}))
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
        typer.echo(screen.standing_line(kind, counts, since.get(kind), ledger.now()))
    for key in planned.unwanted:
        typer.echo(f"unwanted      {key}: no row asks for it any more; kept")
    for line in missing:
        typer.echo(f"missing       {line}")
    if line := witnesses.line():
        typer.echo(f"vendors       {line}")


@app.command()
def explain(
    key: RecordKey,
    payload: Annotated[bool, typer.Option("--payload", help="The whole text as it was sent.")] = False,
    answer: Annotated[bool, typer.Option("--answer", help="Mavera's whole answer.")] = False,
    as_json: AsJson = False,
) -> None:
    """Follow one record back: its facts, the marts and rows behind them, its words, what was sent, paid."""
    from activate import origins

    settings = environment.load()
    record = _wanted(settings, key)
    ledger = journal.connect(settings.ledger_url, settings.mavera_base_url)
    calls, entry = ledger.calls(), ledger.entries().get(key)
    own = [call for call in calls if call.key == key]
    if record is None and not own:
        raise _not_asked_for(key)
    answers = {call.call_id: ledger.answer(call.call_id) for call in own}
    made = {call.remote_id for call in own if call.remote_id}
    # Ids stand in texts as JSON has them: one that is part of another cannot be meant.
    users = {c.key for c in calls if c.key != key and any(f'"{i}"' in c.payload_text for i in made)}
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
        if call.run_id == journal.BY_HAND and call.action != "adopt":
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


@app.command()
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
        typer.Option(min=0, metavar="CREDITS", help="What Mavera charged for a call that was taken as lost."),
    ] = None,
    accept_key: Annotated[
        bool,
        typer.Option("--accept-key", help="MAVERA_API_KEY is of the account that the ledger belongs to."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Decide what the ledger cannot know. Without a decision, list the calls whose end is unknown."""
    from activate import account, drift

    settings = environment.load()
    if not (adopt or forget or from_mavera or accept_key or charged is not None):
        ledger = journal.connect(settings.ledger_url, settings.mavera_base_url)
        unknown, lost = ledger.unknown(), ledger.written_off()
        shown = screen.unknown_lines(unknown, lost)
        typer.echo(json.dumps(shapes.of_unknown(unknown, lost)) if as_json else "\n".join(shown))
        return
    if as_json:
        raise UsageError("--json lists what is unknown; a decision is told in words alone")
    with _writing(settings) as ledger:
        if accept_key:
            if not ledger.accepts(_key(settings)):
                ledger.accept(_key(settings))
            typer.echo("MAVERA_API_KEY is accepted as one of this ledger's account")
        elif from_mavera:
            wanted = records.load(settings, list(KINDS))
            mavera = _mavera(settings)
            account.require(ledger, mavera, _key(settings))
            for adopted, remote_id in drift.adopt_all(wanted, ledger, mavera):
                typer.echo(f"? {adopted:<36}adopted {remote_id}")
            left = drift.unadopted(wanted, ledger, mavera)
            for record, remote_id in left:
                typer.echo(f"! {record.key:<36}{remote_id} has its name, without our reference")
            if left:
                typer.echo(
                    "Nothing is created while these are undecided: python -m activate import adopts them for "
                    "nothing, python -m activate drift --let-be ID says that one is your own"
                )
                raise typer.Exit(1)
        elif key is None:
            raise UsageError("say which record: python -m activate settle personas/clv-tiers:top --forget")
        elif charged is not None:
            count = drift.charged(key, charged, ledger)
            calls = "1 call" if count == 1 else f"{count} calls"
            typer.echo(f"? {key:<36}{calls} decided: {charged:,} credits count")
        elif forget:
            asked = _mavera(settings) if settings.mavera_api_key else None
            drift.forget(key, ledger, _wanted(settings, key) if asked else None, asked)
            typer.echo(f"? {key:<36}forgotten: make plan shows what it costs to create it")
        elif adopt:
            remote_id = drift.adopt(_record(settings, key), ledger, _mavera(settings), adopt)
            typer.echo(f"? {key:<36}adopted {remote_id}")
    typer.echo("To see what is left to do: make plan")


@app.command(name="drift")
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
        typer.Option(
            metavar="ID", help="Not of this ledger: show it no more and let runs go on; repeatable."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare Mavera with the ledger: what was deleted, edited, is unknown or stands twice. Costs nothing."""
    from activate import account, drift

    settings, chosen = environment.load(), _chosen(kinds)
    way = policy or settings.mavera_drift
    mavera = _mavera(settings)
    writes = way != "leave" or bool(let_be)
    with _writing(settings) if writes else _reading(settings) as ledger:
        if writes:
            account.require(ledger, mavera, _key(settings))
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


@app.command(name="import")
def import_(
    kinds: Kinds = None,
    yes: Annotated[bool, typer.Option("--yes", help="Take over every clear match without asking.")] = False,
) -> None:
    """Take over what an earlier script made in Mavera, by its name, once you have seen the match."""
    from activate import account, drift

    settings, chosen = environment.load(), _chosen(kinds)
    mavera = _mavera(settings)
    with _writing(settings) as ledger:
        account.require(ledger, mavera, _key(settings))
        matches = drift.matches(records.load(settings, chosen), ledger, mavera, chosen)
        for match in matches:
            start = f"{'?' if match.is_clear else '!'} {match.record.key:<36}"
            for held in match.held:
                age = (ledger.now() - held.made_at).days
                typer.echo(f'{start}"{held.name}" {held.shown_id}, {age} days old: {match.how}')
            if not match.is_clear:
                typer.echo("      ambiguous: left alone. python -m activate settle RECORD --adopt ID decides")
        clear = [match for match in matches if match.is_clear]
        if not clear:
            typer.echo("Nothing to take over: no record that is new has the name of one object there.")
        elif yes or _agrees(f"Take over {len(clear)}?"):
            for match in clear:
                typer.echo(f"? {match.record.key:<36}adopted {drift.take(match, ledger, mavera)}")
            typer.echo("To see what follows: make plan")
        else:
            typer.echo("Nothing was taken over. With --yes it is.")


@keeping.command()
def verify(as_json: AsJson = False) -> None:
    """Check that every row of the ledger is as it was written, by the receipts that chain them."""
    settings = environment.load()
    ledger = journal.connect(settings.ledger_url, settings.mavera_base_url)
    count = ledger.verify()
    if as_json:
        typer.echo(json.dumps({"rows": count, "receipt": ledger.mark().receipt}))
    else:
        typer.echo(f"{count:,} rows, each as it was written")


@keeping.command()
def export(
    file: Annotated[Path | None, typer.Argument(help="Where to; the screen by default.")] = None,
) -> None:
    """Write every row as a line of JSON, and one that ends them: a backup that outlives this project."""
    settings = environment.load()
    lines = journal.connect(settings.ledger_url, settings.mavera_base_url).export()
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


@keeping.command()
def restore(file: Annotated[Path, typer.Argument(help="What `ledger export` wrote.")]) -> None:
    """Fill a new ledger with exported rows, all or none: after a loss, or to move it to another database."""
    settings = environment.load()
    if not file.is_file():
        raise UsageError(f"there is no file {file}")
    with _writing(settings, is_noted=False) as ledger, file.open(encoding="utf-8") as lines:
        count = ledger.restore(lines)
    typer.echo(f"{count:,} rows restored, each as it was written")


def main() -> None:
    """Run the command; a user's mistake is one line and exit code 2, or a traceback with --debug."""
    from activate.approval import ApprovalError
    from activate.engine import NotStarted
    from activate.mavera import MaveraError

    ours = (environment.SettingsError, warehouse.WarehouseError, records.RecordsError, LedgerError)
    terminal.run(
        app,
        *(*ours, TwoRows, NotStarted, ApprovalError, UsageError, MaveraError),
        stopped="stopped; the ledger knows what was sent, make activate goes on from there",
    )


# --- from settings and arguments ---------------------------------------------------------------------


def _chosen(kinds: list[str] | None) -> list[str]:
    for kind in kinds or ():
        if kind not in KINDS:
            raise UsageError(f"there is no kind {kind}. Choose from {', '.join(KINDS)}")
    return [kind for kind in KINDS if not kinds or kind in kinds]


def _file(kinds: list[str] | None) -> Path | None:
    """Return the file that was named in place of kinds."""
    if not kinds or len(kinds) > 1 or kinds[0] in KINDS:
        return None
    file = Path(kinds[0])
    return file if file.is_file() or file.suffix or file.parent != Path() else None


def _unclaimed(
    settings: environment.Settings, planned: "Plan", ledger: journal.Ledger
) -> tuple[dict[str, str], str]:
    """Return which records may be in Mavera already, and why nobody could look; both empty if none pays."""
    from activate import engine
    from activate.mavera import MaveraError

    if not any(step.pays for step in planned.steps):
        return {}, ""
    if settings.mavera_api_key is None:
        return {}, "MAVERA_API_KEY is not set: nobody looked whether some of these are in Mavera already"
    try:
        return engine.look_for_unclaimed(planned, ledger, _mavera(settings)), ""
    except (MaveraError, engine.NotStarted) as error:
        return {}, str(error)


def _limits(settings: environment.Settings, run: int | None, creations: int | None = None) -> "Limits":
    from activate.engine import Limits

    return Limits(
        settings.credit_budget,
        settings.credit_budget_per_run if run is None else run,
        settings.smallest_cohort,
        settings.mavera_settle_seconds,
        settings.mavera_study_days,
        settings.mavera_poll_seconds,
        settings.mavera_poll_ceiling_seconds,
        most_creations=settings.mavera_creations,
        most_share=settings.mavera_creation_share,
        creations=creations,
    )


@contextmanager
def _writing(settings: environment.Settings, *, is_noted: bool = True) -> Iterator[journal.Ledger]:
    """Open the ledger to write, with every other writer kept away until the block ends.

    Where it was taken over from one who died, its first new row notes that, unless not even that may be new.
    """
    with lock(settings.ledger_url) as hold:
        if hold.taken_from:
            typer.echo(f"taking over from {hold.taken_from}, which has died or was cut off", err=True)
        hold = hold if is_noted else replace(hold, taken_from="")
        yield journal.connect(settings.ledger_url, settings.mavera_base_url, write=True, hold=hold)


@contextmanager
def _sealing(settings: environment.Settings, ledger: journal.Ledger) -> Iterator[journal.Ledger]:
    """Give a ledger that can seal a plan: the first time it is written, for its secret alone."""
    if ledger.seal_of(""):
        yield ledger
    else:
        with _writing(settings, is_noted=False) as written:
            yield written


@contextmanager
def _reading(settings: environment.Settings) -> Iterator[journal.Ledger]:
    yield journal.connect(settings.ledger_url, settings.mavera_base_url)


def _agrees(question: str) -> bool:
    """Ask a person; where there is none to answer, the answer is no."""
    try:
        return typer.confirm(question)
    except typer.Abort:
        typer.echo()
        return False


def _mavera(settings: environment.Settings) -> "Mavera":
    from activate.mavera import Mavera

    return Mavera(
        settings.mavera_base_url,
        _key(settings),
        settings.mavera_plan,
        firewall=records.guard(settings),
        fields=settings.mavera_fields,
    )


def _key(settings: environment.Settings) -> str:
    if settings.mavera_api_key is None:
        raise UsageError("MAVERA_API_KEY is not set. Put it into .env, or try make demo, which needs none")
    return settings.mavera_api_key.get_secret_value()


def _record(settings: environment.Settings, key: str) -> "Record":
    if record := _wanted(settings, key):
        return record
    raise _not_asked_for(key)


def _wanted(settings: environment.Settings, key: str) -> "Record | None":
    kind = key.partition("/")[0]
    return next((one for one in records.load(settings, _chosen([kind])) if one.key == key), None)


def _not_asked_for(key: str) -> UsageError:
    return UsageError(f"no row asks for {key}. python -m activate plan --all lists the records")
