"""The plan of a run, from the wanted records, the ledger and the limits."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Final, NamedTuple

from activate import kinds
from activate.errors import NotStarted, Withheld
from activate.kinds import KINDS
from activate.kinds.kind import CLOCKS_APART, LONG_AGO, RemoteObject, borne, unclaimed
from activate.ledger.journal import Journal
from activate.mavera import Mavera
from activate.plan import Plan, Record, Step, diff
from common import assumptions

# The most threads that a run opens to see whether another ledger asked in them.
THREADS_TO_OPEN: Final = 100


class Approved(NamedTuple):
    """An approved plan: the records that its runs send, and their total credits."""

    plan_id: str
    keys: frozenset[str]
    credits: int


class Limits(NamedTuple):
    """The limits of a run. `month` and `run` are credits; if `run` is None, only the month's budget counts.

    A run pays for at most `most_creations` objects, and at most `most_share` of all records, unless its plan
    was approved or `creations` gives the number. Answers of a study count for `study_days`. Running objects
    are polled every `poll_seconds` for up to `poll_ceiling_seconds`, and then by the next run.
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
    """Return the steps of apply; with a budget of 0, the steps with a sufficient budget.

    With an approved plan, it sends the approved records and withholds later ones. `unclaimed` is the result
    of `find_unclaimed`.
    """
    planned = diff(
        kinds.amended(wanted, chosen, ledger),
        ledger.entries(),
        kinds.terms(ledger.paid(), ledger.paid(edits=True)),
        smallest_cohort=limits.smallest_cohort,
        credits_left=None if limits.month == 0 else credits_left(ledger, limits, run_id),
        lasting_since=ledger.now() - timedelta(days=limits.study_days),
        unclaimed=unclaimed,
        creations=limits.creations,
    )
    unwanted = tuple(key for key in planned.unwanted if key.split("/")[0] in chosen)
    steps = planned.steps
    if limits.approved:
        later = "not sent by the plan that was approved"
        keys = limits.approved.keys
        steps = tuple(
            step.withheld(later) if step.sends and step.record.key not in keys else step for step in steps
        )
    return replace(planned, steps=steps, unwanted=unwanted)


def brake(planned: Plan, limits: Limits) -> str:
    """Return why a run would not pay for this plan (too many objects at once), or an empty string."""
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
    """Return, by key of a record to send, why a remote object may already be it, or is not to be edited.

    Free calls only.

    Each kind to be paid for is listed once. Of the threads, only the newest THREADS_TO_OPEN that changed
    since the ledger's last row are opened. Raises NotStarted if an object unknown to the ledger carries our
    reference: the ledger lacks payments.
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
    edited = [step for step in plan_now.steps if step.sends and not step.pays]
    if removals := [step for step in edited if step.record.removes]:
        edited = removals  # what they free may be mapped anew: that is checked once it is free
    doubts = _uncertain(edited, ledger, mavera)
    for name, objects in found.items():
        of_kind = [record for record in paid if record.kind == name]
        doubts |= {
            key: _may_be_it(first) for key, (first, *_) in borne(KINDS[name], of_kind, objects).items()
        }
    return doubts


def _uncertain(edited: Sequence[Step], ledger: Journal, mavera: Mavera) -> dict[str, str]:
    """Return, by key, why an object must not be edited now."""
    doubts = {}
    for step in edited:
        try:
            KINDS[step.record.kind].aimed(step, step.record.payload, ledger, mavera)
        except Withheld as error:
            doubts[step.record.key] = str(error)
    return doubts


def _may_be_it(one: RemoteObject) -> str:
    shown = f'"{one.name}" ({one.shown_id})' if one.name else one.shown_id
    return (
        f"{shown} in Mavera may be it: python -m activate import adopts it for free, "
        f"python -m activate drift --let-be {one.shown_id} says that it is your own"
    )


def credits_left(ledger: Journal, limits: Limits, run_id: str | None = None) -> int:
    """Return the credits that may still be spent; unresolved calls count at their highest price."""
    left = limits.month - ledger.spent()
    if limits.run is not None:
        left = min(left, limits.run - (ledger.spent(run_id) if run_id else 0))
    if limits.approved:
        spent = sum(map(ledger.spent, ledger.runs_of(limits.approved.plan_id)))
        left = min(left, limits.approved.credits - spent)
    return max(left, 0)
