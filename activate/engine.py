"""Run a plan: look up unresolved calls, send, wait for running objects."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from activate.errors import LedgerError, MaveraError, NotStarted, OutOfCredits
from activate.ledger.journal import Ledger
from activate.mavera import Mavera
from activate.plan import Plan, Record
from activate.planning import Limits, brake, find_unclaimed, plan
from activate.reconcile import Reconciler
from activate.run import Outcome, Result, Run, State
from activate.send import Sender

INTERRUPTED: Final = "interrupted"


def apply(
    wanted: Sequence[Record],
    ledger: Ledger,
    mavera: Mavera,
    kinds: Sequence[str],
    limits: Limits,
    *,
    tell: Callable[[Result], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Look up unresolved calls, then send the plan. Raises NotStarted if nothing may be sent.

    `tell` receives each result at once, `say` receives notices. Call it under `ledger.lock`. A second run on
    the same facts makes no call at all.
    """
    return _Apply(Run(wanted, ledger, mavera, kinds, limits, tell, say)).apply()


class _Apply:
    """The steps of a run, in order."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.reconciler = Reconciler(run)
        self.sender = Sender(run, self.reconciler)
        self.planned: Plan | None = None
        self.unclaimed: dict[str, str] = {}

    def apply(self) -> Outcome:
        self._say_where_it_resumes()
        with self.run.interrupt:
            try:
                self.reconciler.settle_unknown()
                self.planned = plan_now = self._plan()
                if plan_now.of("create", "update"):
                    short = self._short_of_a_budget(plan_now)
                    self._refuse_a_doubtful_ledger(plan_now)
                    self.planned = plan_now = self._plan()
                    self.run.outcome.stopped = short or brake(plan_now, self.run.limits)
                    self.sender.send(plan_now, only_free=bool(self.run.outcome.stopped))
                self.reconciler.await_ends(at_most=0)
            except (MaveraError, LedgerError) as error:
                self.run.outcome.stopped = str(error)
                self.run.outcome.is_out_of_credits = isinstance(error, OutOfCredits)
            except KeyboardInterrupt:
                self.run.outcome.stopped = INTERRUPTED
        self.reconciler.leave_running()
        self._complete()
        return self.run.outcome

    def _plan(self) -> Plan:
        return plan(
            self.run.wanted, self.run.ledger, self.run.kinds, self.run.limits, self.run.run_id, self.unclaimed
        )

    def _complete(self) -> None:
        """Give every wanted record exactly one result, so that the counts add up.

        A step withheld for its highest price stays withheld, even if the others cost less than planned.
        """
        rest: Mapping[str, State] = {
            "leave": "unchanged",
            "wait": "waiting",
            "hold": "held",
            "look up": "unknown",
        }
        results = {}
        held = {step.record.key: step for step in self.planned.of("hold")} if self.planned else {}
        for now in self._plan().steps:
            key = now.record.key
            step = held.get(key, now) if now.sends else now
            state = rest.get(step.action, "not sent")
            results[key] = self.run.outcome.results.get(key, Result(key, state, step.reason))
            if step.action == "hold" and key in self.unclaimed and step.reason == self.unclaimed[key]:
                self.run.outcome.undecided.add(key)
        # What was removed is wanted no more.
        removed = (
            [step.record.key for step in self.planned.steps if step.record.removes] if self.planned else []
        )
        told = self.run.outcome.results
        self.run.outcome.results = {key: told[key] for key in removed if key in told} | results

    def _say_where_it_resumes(self) -> None:
        last = self.run.ledger.last_run()
        ended = {call.key for call in last.calls if call.state != "unknown"} if last else set()
        if last and len(ended) < last.steps:
            self.run.say(f"resuming: the last run stopped after {len(ended)} of {last.steps}")

    def _short_of_a_budget(self, plan_now: Plan) -> str:
        """Return why only what is free is sent; empty if a budget is set, or nothing costs anything.

        Raises NotStarted if nothing is free.
        """
        if self.run.limits.month or not plan_now.price.high:
            return ""
        if all(step.price.high for step in plan_now.steps if step.sends):
            raise NotStarted(
                f"CREDIT_BUDGET is 0, nothing was sent. This plan costs {plan_now.price}: set it in .env"
            )
        return (
            f"CREDIT_BUDGET is 0, only free steps were sent. The rest costs {plan_now.price}: set it in .env"
        )

    def _refuse_a_doubtful_ledger(self, plan_now: Plan) -> None:
        """Raise NotStarted if this ledger may lack payments: if it was altered, lost or restored."""
        if not any(step.pays or step.record.target for step in plan_now.steps if step.sends):
            return
        try:
            self.run.ledger.chain.verify()
        except LedgerError as error:
            raise NotStarted(str(error)) from None
        self.unclaimed = find_unclaimed(plan_now, self.run.ledger, self.run.mavera)
