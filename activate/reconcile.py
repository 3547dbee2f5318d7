"""Settle unresolved calls, and wait for objects that Mavera is still working on.

Before sending anything, a run looks up every unresolved call, so that nothing is paid for twice.
"""

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from activate.answers import Answer, credits_in, is_proof
from activate.errors import KeyRefused, Refused
from activate.kinds import KINDS
from activate.kinds.kind import Found
from activate.ledger.rows import WRITTEN_OFF, Call
from activate.plan import Step
from activate.run import Result, Run, State
from common import assumptions
from privacy import outside

# Between two polls of running objects while other steps are sent, in times of the usual wait.
LOOKS_APART: Final = 12


class Reconciler:
    """Settle the unresolved calls of a run, and poll the objects that Mavera is working on."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._states: dict[str, str] = {}  # by id, the last state of running objects
        self._next_look = run.ledger.now()

    # Without an answer

    def settle_unknown(self) -> None:
        for call in self.run.ledger.unknown():
            self.run.stop_if_told()
            if call.kind in self.run.kinds:
                self._settle(call)

    def _settle(self, call: Call) -> None:
        young = self._too_young(call)  # before the search: an object may appear during it
        found = self._resolved(call)
        if found.answer:
            self.run.ledger.close(call.call_id, found.answer, call.credits_high, "look up")
            if found.answer.state == "failed":
                self.run.note(self._ended(call, found.answer, 0))
            else:
                said = f"found in Mavera as {found.answer.shown_id}, adopted"
                self.run.note(Result(call.key, "adopted", said))
        elif doubt := found.doubt or young:
            self.run.note(Result(call.key, "unknown", doubt))
        else:
            self._write_off(call)
            self.run.say(
                f"{call.key}: not found in Mavera, written off as lost. Up to {call.credits_high:,} "
                f"credits count against the budget until you decide: "
                f"python -m activate settle {call.key} --charged N"
            )

    def _too_young(self, call: Call) -> str:
        """Say how long Mavera may still be working on a call; empty once that time is over."""
        age = (self.run.ledger.now() - call.begun_at).total_seconds()
        wait = self.run.limits.settle_seconds - age
        return f"sent {age:,.0f} s ago, no answer yet; written off in {wait:,.0f} s" if wait > 0 else ""

    def _write_off(self, call: Call) -> None:
        """Write a call off as lost. It counts as charged until a person decides."""
        spent = call.credits_high
        self.run.ledger.end(call.call_id, "failed", action="look up", credits_spent=spent, error=WRITTEN_OFF)

    def _resolved(self, call: Call) -> Found:
        """Find the outcome of a call; an answered call never counts as lost.

        An answer that identifies its object takes precedence over a search.
        """
        said = self.run.ledger.answer(call.call_id) if call.is_answered else None
        found = KINDS[call.kind].find_lost(call, self.run.ledger, self.run.mavera)
        if found.answer:
            spent = credits_in(said) if isinstance(said, Mapping) else None
            return found if spent is None else Found(found.answer._replace(credits=spent))
        if answer := KINDS[call.kind].identified(said):
            return Found(answer)
        if call.is_answered:
            what = "without an id" if is_proof(said) else "with nothing that could be used"
            doubt = found.doubt or "nothing in Mavera carries our reference"
            decide = f"python -m activate settle {call.key} --adopt ID, or --forget where there is nothing"
            return Found(doubt=f"Mavera answered {what}, and may have charged; {doubt}. Decide: {decide}")
        return found

    def search_at_once(self, step: Step, call_id: str, done: State, error: str) -> Result | None:
        """Search for the object of a call whose answer was just lost; None while it is running."""
        key = step.record.key
        if step.edits:
            return Result(key, "failed", f"{error}; the next run sends it again")
        call = self.run.ledger.call(call_id)
        young = self._too_young(call)  # before the search, as above
        found = self._resolved(call)
        has_no_id = call.is_answered and is_proof(self.run.ledger.answer(call_id))
        if found.answer:
            spent = self.run.ledger.close(call_id, found.answer, step.price.high, "look up")
            if found.answer.state == "waiting":
                return None
            if found.answer.state == "failed":
                return self._ended(call, found.answer, spent)
            how = "it came without an id" if has_no_id else "its answer was lost"
            return Result(key, done, f"{done} {found.answer.shown_id}, {how}", spent)
        if found.doubt or young:
            return Result(key, "unknown", f"{error}; {found.doubt or 'the next run looks it up'}")
        self._write_off(call)
        return Result(key, "failed", f"{error}; not found, written off as lost")

    # Running objects

    def _running(self, kind: str | None = None) -> list[Call]:
        return [call for call in self.run.ledger.waiting(kind) if call.kind in self.run.kinds]

    def _is_overdue(self, call: Call) -> bool:
        return self.run.ledger.now() - call.begun_at >= timedelta(days=assumptions.WORK_DAYS)

    def has_room(self, step: Step) -> bool:
        """Whether a step need not wait for running objects."""
        waits = KINDS[step.record.kind].waits
        return not waits or len(self._running(waits.kind)) <= waits.at_most

    def is_time_to_look(self) -> bool:
        """Whether running objects are to be polled again; seldom, as polls take from the same rate."""
        return self.run.ledger.now() >= self._next_look

    def look_again(self) -> None:
        self._next_look = self.run.ledger.now() + LOOKS_APART * timedelta(
            seconds=self.run.limits.poll_seconds
        )
        self._look_after_running()

    def await_ends(self, at_most: int, kind: str | None = None) -> bool:
        """Poll running objects until `at_most` of `kind` (or of all) are left; False after the time limit.

        An object that has been running for days is polled once per run and not waited for.
        """
        looks = max(1, math.ceil(self.run.limits.poll_ceiling_seconds / self.run.limits.poll_seconds))
        looked = 0
        while running := self._running(kind):
            awaited = running if not looked else [call for call in running if not self._is_overdue(call)]
            if len(awaited) <= at_most:
                break
            if looked == looks:
                return False
            self.run.stop_if_told()
            self.run.mavera.pause(self.run.limits.poll_seconds)
            self._look_after_running()
            looked += 1
        return True

    def _look_after_running(self) -> None:
        for call in self._running():
            remote_id = str(call.remote_id)
            try:
                answer = KINDS[call.kind].current(self.run.mavera, remote_id)
            except KeyRefused:
                raise
            except Refused as error:
                spent = call.credits if call.credits_source == "answered" else None
                answer = Answer(remote_id, None, spent, {"error": str(error)}, "failed")
            if answer.state == "waiting":
                self._states[remote_id] = str(answer.body.get("status") or "")
                continue
            spent = self.run.ledger.close(call.call_id, answer, call.credits_high, "poll")
            self.run.note(self._ended(call, answer, spent))

    def _ended(self, call: Call, answer: Answer, spent: int) -> Result:
        """Return the result of an object that has ended; earlier runs' credits do not count in this run."""
        spent = spent if call.run_id == self.run.run_id else 0
        if answer.state == "failed":
            return Result(call.key, "failed", f"Mavera charged for {answer.shown_id} and gave it up", spent)
        done: State = "created" if call.action == "create" else "updated"
        return Result(call.key, done, f"{done} {answer.shown_id}", spent)

    def leave_running(self) -> None:
        for call in self._running():
            spent = call.credits if call.run_id == self.run.run_id else 0
            said = f"{call.remote_id} is at work, the next run asks again"
            if self._is_overdue(call):
                days = (self.run.ledger.now() - call.begun_at).days
                state = outside.words(self._states.get(str(call.remote_id)) or "at work")
                said = (
                    f"{call.remote_id} has been {state} for {days} days. Check it in Mavera; "
                    f"python -m activate settle {call.key} --forget sends it again, at its price"
                )
                self.run.outcome.undecided.add(call.key)
                self.run.outcome.stuck.add(call.key)
            self.run.note(Result(call.key, "waiting", said, spent))
