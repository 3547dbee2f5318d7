"""The plan of a run: what the ledger and the limits make of what is wanted."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Final, NamedTuple

from activate import kinds
from activate.errors import NotStarted
from activate.kinds import KINDS
from activate.kinds.kind import CLOCKS_APART, LONG_AGO, RemoteObject, unclaimed
from activate.ledger.journal import Journal
from activate.mavera import Mavera
from activate.plan import Plan, Record, Step, diff
from common import assumptions

# How many threads a run opens at most to see whether another ledger has asked in them.
THREADS_TO_OPEN: Final = 100


class Approved(NamedTuple):
    """A plan that somebody approved: which records its runs send, and for how many credits all together."""

    plan_id: str
    keys: frozenset[str]
    credits: int


class Limits(NamedTuple):
    """What binds a run. `month` and `run` are credits; `run` None leaves the month's as the only one.

    A run pays for at most `most_creations` objects, and at most `most_share` of all records, unless its plan
    was approved or `creations` says how many it is to make. Answers of a study count for `study_days`. What
    takes its time is looked at every `poll_seconds`, for as long as `poll_ceiling_seconds`, and then by the
    next run.
    """

    month: int
    run: int | None
    smallest_cohort: int
    settle_seconds: int
    study_days: int = 30
    poll_seconds: float = assumptions.POLL_SECONDS
    poll_ceiling_seconds: int = assumptions.POLL_CEILING_SECONDS
    approved: Approved | None = None
    most_creations: int | None = None
    most_share: float = 1.0
    creations: int | None = None


def plan(
    wanted: Sequence[Record],
    ledger: Journal,
    chosen: Sequence[str],
    limits: Limits,
    run_id: str | None = None,
    unclaimed: Mapping[str, str] = MappingProxyType({}),
) -> Plan:
    """Return what apply would do; with a budget of 0, what it would do with one that suffices.

    Of an approved plan it sends what was approved, and holds what has come up since. `unclaimed` is what
    `find_unclaimed` found.
    """
    planned = diff(
        wanted,
        ledger.entries(),
        kinds.terms(ledger.paid(), ledger.paid(edits=True)),
        smallest_cohort=limits.smallest_cohort,
        credits_left=None if limits.month == 0 else credits_left(ledger, limits, run_id),
        lasting_since=ledger.now() - timedelta(days=limits.study_days),
        unclaimed=unclaimed,
        creations=limits.creations,
    )
    unwanted = tuple(key for key in planned.unwanted if key.split("/")[0] in chosen)
    steps = tuple(_as_approved(step, limits.approved) for step in planned.steps)
    return replace(planned, steps=steps, unwanted=unwanted)


def _as_approved(step: Step, approved: Approved | None) -> Step:
    if approved is None or not step.sends or step.record.key in approved.keys:
        return step
    return Step("hold", step.record, reason="not sent by the plan that was approved", entry=step.entry)


def brake(planned: Plan, limits: Limits) -> str:
    """Say why a run would pay for nothing of this plan: for too many objects at once; or nothing."""
    if limits.approved or limits.creations is not None or limits.most_creations is None:
        return ""
    paid = sum(step.pays for step in planned.steps)
    by_share = math.floor(limits.most_share * len(planned.steps))
    most, setting = min((limits.most_creations, "MAVERA_CREATIONS"), (by_share, "MAVERA_CREATION_SHARE"))
    if paid <= most:
        return ""
    return (
        f"{paid:,} objects would be paid for at once, and {setting} allows {most:,} in a run: nothing is "
        f"paid for. Allow them with python -m activate apply --creations {paid}, or approve a plan"
    )


def find_unclaimed(plan_now: Plan, ledger: Journal, mavera: Mavera) -> dict[str, str]:
    """Return by record key why an object in Mavera may be a record that is to be created. Free calls only.

    Each kind that is to be paid for is listed once. Of threads those are opened that were touched since the
    ledger's last row, the newest THREADS_TO_OPEN of them. Raises NotStarted where one carries our reference:
    the ledger does not know what was paid for.
    """
    paid = [step.record for step in plan_now.steps if step.pays]
    calls = ledger.calls()
    since = calls[-1].begun_at - CLOCKS_APART if calls else LONG_AGO
    found = {
        name: unclaimed(kind.listing(mavera, calls, since, THREADS_TO_OPEN).objects, calls)
        for name, kind in KINDS.items()
        if any(record.kind == name for record in paid)
    }
    strangers = [one for objects in found.values() for one in objects if one.record_key]
    if strangers:
        age, remedy = (
            ("older than Mavera", "python -m activate drift lists them and takes your decision")
            if calls
            else ("new", "make it again: python -m activate settle --from-mavera")
        )
        more = f" and {len(strangers) - 1:,} more" if len(strangers) > 1 else ""
        raise NotStarted(
            f"Mavera holds {strangers[0].shown_id} ({strangers[0].key}){more} with our reference, which "
            f"the ledger does not know: it is {age}. Bring the newest ledger back; else {remedy}"
        )
    return {
        record.key: _may_be_it(one)
        for record in paid
        for one in reversed(found[record.kind])
        if one.of.bears(one, record)
    }


def _may_be_it(one: RemoteObject) -> str:
    shown = f'"{one.name}" ({one.shown_id})' if one.name else one.shown_id
    return (
        f"{shown} in Mavera may be it: python -m activate import adopts it for nothing, "
        f"python -m activate drift --let-be {one.shown_id} says that it is your own"
    )


def credits_left(ledger: Journal, limits: Limits, run_id: str | None = None) -> int:
    """Return what may still be spent; calls without a known end count at their highest price."""
    left = limits.month - ledger.spent()
    if limits.run is not None:
        left = min(left, limits.run - (ledger.spent(run_id) if run_id else 0))
    if limits.approved:
        spent = sum(map(ledger.spent, ledger.runs_of(limits.approved.plan_id)))
        left = min(left, limits.approved.credits - spent)
    return max(left, 0)
