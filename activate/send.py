"""Send the steps of a plan: the ledger announces each request before it is made, and closes it after."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from activate import kinds
from activate.answers import Answer, credits_in
from activate.errors import KeyRefused, MaveraError, OutcomeUnknown, Refused, TryAgain, Withheld
from activate.kinds import KINDS
from activate.kinds.kind import Kind, remedy
from activate.ledger.rows import announced
from activate.mavera import ATTEMPTS
from activate.plan import PAID_FOR_WORDS, Plan, Step
from activate.planning import credits_left
from activate.reconcile import Reconciler
from activate.run import Result, Run, State


class Sender:
    """Send the steps of a plan, one record at a time."""

    def __init__(self, run: Run, reconciler: Reconciler) -> None:
        self.run = run
        self._reconciler = reconciler
        self._refused: dict[str, str] = {}  # by kind, the first record whose shape Mavera refused

    def send(self, planned: Plan, *, only_free: bool = False) -> None:
        """Send the creates and updates of a plan; with `only_free`, no step that pays."""
        steps = [step for step in planned.of("create", "update") if not (only_free and step.pays)]
        if not steps:
            return
        approved = self.run.limits.approved
        plan_id = approved.plan_id if approved else None
        # What Mavera works on for minutes begins early, and the rest is sent meanwhile.
        steps.sort(key=lambda step: not KINDS[step.record.kind].begins_early)
        self.run.run_id = self.run.ledger.start(len(steps), planned.price, plan_id)
        deferred: list[Step] = []
        for each in steps:
            self.run.stop_if_told()
            if deferred and self._reconciler.looked_again():
                deferred = self._send_where_room(deferred, self.run.run_id)
            deferred += self._send_where_room([each], self.run.run_id)
        for each in deferred:  # nothing else is left to send: wait for room
            self.run.stop_if_told()
            self._send_step(each, self.run.run_id)

    def _send_where_room(self, steps: Sequence[Step], run_id: str) -> list[Step]:
        """Send the steps that need not wait for running objects; return the others."""
        deferred = []
        for step in steps:
            if self._reconciler.has_room(step):
                self._send_step(step, run_id)
            else:
                deferred.append(step)
        return deferred

    def _send_step(self, planned: Step, run_id: str) -> None:
        step = self._priced_now(planned)
        if obstacle := self._obstacle(step):
            self.run.note(obstacle)
        else:
            self._send_one(step, run_id)

    def _obstacle(self, step: Step) -> Result | None:
        """Return why a step cannot be sent after all; None if it can."""
        record, key, kind = step.record, step.record.key, KINDS[step.record.kind]
        if step.is_paid_for_words:
            return Result(key, "held", PAID_FOR_WORDS)
        short = step.price.high - credits_left(self.run.ledger, self.run.limits, self.run.run_id)
        if short > 0:
            return Result(key, "held", f"exceeds the budget by {short:,} credits")
        if (first := self._refused.get(record.kind)) and step.pays:
            why = f"Mavera refused the fields of {first}: no more of this kind is sent in this run"
            return Result(key, "not sent", why)
        for other in record.references:
            entry = self.run.ledger.entry(other)
            if entry is None or entry.state != "done":
                return Result(key, "held", f"after {other}, which is not in Mavera")
        if kind.waits and not self._reconciler.await_ends(kind.waits.at_most, kind.waits.kind):
            return Result(key, "held", kind.waits.said)
        unfit = kind.unfit(record.payload, self.run.mavera)
        return Result(key, "failed", unfit) if unfit else None

    def _priced_now(self, step: Step) -> Step:
        """Raise the price of a step to what Mavera has charged in this run, if that is more than planned."""
        paid, paid_for_edits = self.run.ledger.paid(), self.run.ledger.paid(edits=True)
        terms = kinds.terms(paid, paid_for_edits)[step.record.kind]
        now = terms.create if step.action == "create" else terms.update
        return replace(step, price=now) if now.high > step.price.high else step

    def _send_one(self, step: Step, run_id: str) -> None:
        try:
            kind = KINDS[step.record.kind]
            payload = kind.completed(step, self.run.ledger, self.run.mavera, self.run.say)
            self.run.mavera.check(payload)
        except Withheld as error:
            self.run.note(Result(step.record.key, "held", str(error)))
            return
        except MaveraError as error:  # before the paid request: the next run starts again
            self._note_refusal(step.record.key, error)
            return
        for attempt in range(1, ATTEMPTS):
            refused = self._attempt(step, run_id, payload)
            if refused is None:
                return
            self.run.stop_if_told()
            self.run.mavera.wait_out(refused, attempt)
        if refused := self._attempt(step, run_id, payload):
            self._note_refusal(step.record.key, refused)

    def _attempt(self, step: Step, run_id: str, payload: Mapping[str, Any]) -> TryAgain | None:
        """Announce a call, make it, and record its end; return the failure if it may simply be repeated.

        Each attempt is announced separately, because the time to settle counts from its announcement. So the
        wait for the pace comes first, and a process that has lost the lock by then sends nothing.
        """
        self.run.mavera.await_turn()
        record, kind, ledger = step.record, KINDS[step.record.kind], self.run.ledger
        try:
            remote_id, body, original = kind.aimed(step, payload, ledger, self.run.mavera)
        except Withheld as error:
            self.run.note(Result(record.key, "held", str(error)))
            return None
        except MaveraError as error:
            self._note_refusal(record.key, error)
            return None
        if original is not None:
            ledger.keep_original(record, original)
        call_id = ledger.begin(
            run_id,
            action="remove" if record.removes else step.action,
            price=step.price,
            remote_id=remote_id,
            **announced(replace(record, payload=payload)),
        )
        done: State = "created" if step.action == "create" else "updated"
        ledger.require_hold()
        try:
            answer = self._call(kind, body, remote_id)
        except OutcomeUnknown as error:
            self._keep(call_id, error)
            if result := self._reconciler.search_at_once(step, call_id, done, str(error)):
                self.run.note(result)
        except MaveraError as error:
            ledger.end(call_id, "failed", credits_spent=0, error=str(error))
            if isinstance(error, TryAgain):
                return error
            if isinstance(error, Refused) and step.pays:
                self._refused.setdefault(record.kind, record.key)
            self._note_refusal(record.key, error, remedy(kind, error))
        else:
            spent = ledger.close(call_id, answer, step.price.high, step.action)
            if answer.state == "done":
                said = f"{done} {answer.shown_id}" + (
                    ", but its answer has no text" if answer.is_wordless else ""
                )
                self.run.note(Result(record.key, done, said, spent))
        return None

    def _call(self, kind: Kind, payload: Mapping[str, Any], remote_id: str | None) -> Answer:
        if remote_id is None:
            return kind.create(self.run.mavera, payload)
        answer = kind.update(self.run.mavera, remote_id, payload)
        return answer._replace(credits=self._risen(remote_id, answer.credits))

    def _keep(self, call_id: str, error: OutcomeUnknown) -> None:
        """Record that a call is unresolved, with Mavera's answer and the price in it, if any."""
        price = credits_in(error.body) if isinstance(error.body, Mapping) else None
        self.run.ledger.end(
            call_id,
            "unknown",
            credits_spent=price,
            credits_source=None if price is None else "answered",
            error=str(error),
            answer=error.body,
        )

    def _note_refusal(self, key: str, error: MaveraError, remedy: str = "") -> None:
        """Record that a record failed; raise the error if every other record would meet it as well."""
        stops = isinstance(error, KeyRefused) or not isinstance(error, Refused)
        said = f"{error}: stopping" if stops else f"{error}. {remedy}" if remedy else str(error)
        self.run.note(Result(key, "failed", said))
        if stops:
            raise error

    def _risen(self, persona_id: str, total: int | None) -> int | None:
        """Return the credits of an edit: the rise of the persona's total; None if it did not rise."""
        made = [call for call in self.run.ledger.on_object(persona_id) if call.state == "done"]
        sums = [credits_in(self.run.ledger.answer(call.call_id) or {}) for call in made]
        before = max((one for one in sums if one is not None), default=None)
        return total - before if total is not None and before is not None and total > before else None
