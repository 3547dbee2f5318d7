"""The arguments that commands share, and the objects built from them and the settings."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from activate import records
from activate.errors import MaveraError, NotStarted, UsageError
from activate.kinds import KINDS
from activate.ledger import opening
from activate.ledger.journal import Ledger
from activate.ledger.lock import lock
from activate.mavera import Mavera
from activate.plan import Plan, Record
from activate.planning import Limits, find_unclaimed
from common import settings as environment

Kinds = Annotated[list[str] | None, typer.Argument(help=f"Which kinds: {', '.join(KINDS)}. All by default.")]
KindsOrFile = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KINDS]...|FILE", help="Which kinds, all by default; or a saved plan."),
]
Budget = Annotated[
    int | None,
    typer.Option(min=0, help="Most credits that one run may spend, instead of CREDIT_BUDGET_PER_RUN."),
]
Creations = Annotated[
    int | None,
    typer.Option(
        min=0, help="Objects that this run pays for, regardless of MAVERA_CREATIONS; the rest is withheld."
    ),
]
RecordKey = Annotated[
    str, typer.Argument(metavar="RECORD", help="As the plan shows it: personas/clv-tiers:top.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the same numbers as JSON.")]


def chosen_kinds(kinds: list[str] | None) -> list[str]:
    for kind in kinds or ():
        if kind not in KINDS:
            raise UsageError(f"there is no kind {kind}. Choose from {', '.join(KINDS)}")
    return [kind for kind in KINDS if not kinds or kind in kinds]


def saved_plan(kinds: list[str] | None) -> Path | None:
    """Return the plan file that was named instead of kinds; None if kinds were named."""
    if not kinds or len(kinds) > 1 or kinds[0] in KINDS:
        return None
    file = Path(kinds[0])
    return file if file.is_file() or file.suffix or file.parent != Path() else None


def unclaimed_in_mavera(
    settings: environment.Settings, planned: Plan, ledger: Ledger
) -> tuple[dict[str, str], str]:
    """Return the records that may be in Mavera already, and why the check failed; empty if no step pays."""
    if not any(step.pays or step.record.target for step in planned.steps if step.sends):
        return {}, ""
    if settings.mavera_api_key is None:
        return {}, "MAVERA_API_KEY is not set: Mavera was not checked for existing objects"
    try:
        return find_unclaimed(planned, ledger, mavera_of(settings)), ""
    except (MaveraError, NotStarted) as error:
        return {}, str(error)


def limits_of(settings: environment.Settings, run: int | None, creations: int | None = None) -> Limits:
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
def writing(settings: environment.Settings, *, is_noted: bool = True) -> Iterator[Ledger]:
    """Open the ledger to write, and lock it against other writers until the block ends.

    If the lock was taken over from a dead process, the first new row notes that, if `is_noted`.
    """
    with lock(settings.ledger_url) as hold:
        if hold.taken_from:
            typer.echo(f"taking over from {hold.taken_from}, which has died or was cut off", err=True)
        hold = hold if is_noted else replace(hold, taken_from="")
        yield opening.connect(settings.ledger_url, settings.mavera_base_url, write=True, hold=hold)


@contextmanager
def sealing(settings: environment.Settings, ledger: Ledger) -> Iterator[Ledger]:
    """Yield a ledger that can seal a plan: the first time, write it to create its secret."""
    if ledger.account.seal_of(""):
        yield ledger
    else:
        with writing(settings, is_noted=False) as written:
            yield written


def ledger_of(settings: environment.Settings) -> Ledger:
    """Open the ledger to read."""
    return opening.connect(settings.ledger_url, settings.mavera_base_url)


@contextmanager
def draft_of(file: Path) -> Iterator[Path]:
    """Yield a path to write to, which then replaces `file`. Raises UsageError if that fails."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        yield draft
        draft.replace(file)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}. Name another file") from None
    finally:
        draft.unlink(missing_ok=True)


def agrees(question: str) -> bool:
    """Ask a person; without a terminal, the answer is no."""
    try:
        return typer.confirm(question)
    except typer.Abort:
        typer.echo()
        return False


def mavera_of(settings: environment.Settings) -> Mavera:
    return Mavera(
        settings.mavera_base_url,
        key_of(settings),
        settings.mavera_plan,
        firewall=records.guard(settings),
        fields=settings.mavera_fields,
    )


def key_of(settings: environment.Settings) -> str:
    if settings.mavera_api_key is None:
        raise UsageError("MAVERA_API_KEY is not set. Put it into .env, or try make demo, which needs none")
    return settings.mavera_api_key.get_secret_value()


def wanted_record(settings: environment.Settings, key: str) -> Record | None:
    kind, _, record_key = key.partition("/")
    return next(iter(records.load(settings, chosen_kinds([kind]), record_key=record_key)), None)


def not_asked_for(key: str) -> UsageError:
    return UsageError(f"no row asks for {key}. python -m activate plan --all lists the records")
