"""Send the steps of a plan: the ledger announces each request before it is made, and closes it after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from activate import kinds
from activate.answers import Answer, credits_in
from activate.errors import KeyRefused, MaveraError, OutcomeUnknown, Refused, TryAgain, Withheld
from activate.flights import Flights, InOrder
from activate.kinds import KINDS
from activate.kinds.kind import remedy
from activate.ledger.journal import Ledger
from activate.ledger.rows import announced
from activate.mavera import ATTEMPTS
from activate.plan import PAID_FOR_WORDS, Plan, Step
from activate.planning import credits_left
from activate.reconcile import Reconciler
from activate.run import Result, Run, State


@dataclass(frozen=True)
class _Flight:
    """A request under way: its step with the complete payload, where its result belongs, and its call."""

    step: Step
    payload: Mapping[str, Any]
    place: int
    attempt: int = 1
    call_id: str = ""
    remote_id: str | None = None

    @property
    def kind(self) -> str:
        return self.step.record.kind

    @property
    def key(self) -> str:
        return self.step.record.key

    @property
    def done(self) -> State:
        return "created" if self.step.action == "create" else "updated"


class Sender:
    """Send the steps of a plan, with as many requests under way as the pace needs.

    While requests are under way, only two things happen beside them: further steps are priced, checked,
    announced and sent, and the outcome of each request that ends is recorded. What a step must read first is
    read ahead. Anything else (a search for a
    lost answer, a repetition, a poll, an edit of the account's own persona, a step that depends on one under
    way) waits until all have ended.
    """

    def __init__(self, run: Run, reconciler: Reconciler) -> None:
        self.run = run
        self._reconciler = reconciler
        self._refused: dict[str, str] = {}  # by kind, the first record whose shape Mavera refused
        self._proven: set[tuple[str, bool]] = set()  # kinds, and whether in place, that Mavera has accepted
        self._flights = Flights()
        self._under_way: dict[int, _Flight] = {}
        self._troubled: list[tuple[_Flight, MaveraError]] = []  # seen to when no request is under way
        self._results = InOrder(run.note)
        self._sent = self._ended = 0

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
        try:
            self._send_all(steps)
            self._land()
        except MaveraError:  # nothing more is sent: record how the others end
            while self._under_way:
                self._record_next()
            for flight, error in self._troubled:
                self._results.put(flight.place, _left(flight, error))
            raise
        finally:
            self._results.end()

    def _send_all(self, steps: Sequence[Step]) -> None:
        deferred: list[Step] = []
        for place, each in enumerate(steps):
            self._stop_if_told()
            for later in steps[place + 1 : place + self.run.mavera.turns.most_at_once]:
                KINDS[later.record.kind].look_ahead(later, self.run.mavera)
            if deferred and self._reconciler.is_time_to_look():
                self._land()
                self._reconciler.look_again()
                deferred = self._send_where_room(deferred)
            deferred += self._send_where_room([each])
        for each in deferred:  # nothing else is left to send: wait for room
            self._stop_if_told()
            self._send_step(each)

    def _send_where_room(self, steps: Sequence[Step]) -> list[Step]:
        """Send the steps that need not wait for running objects; return the others."""
        deferred = []
        for step in steps:
            if not self._may_join(step):
                self._land()
            if self._reconciler.has_room(step):
                self._send_step(step)
            else:
                deferred.append(step)
        return deferred

    def _send_step(self, planned: Step) -> None:
        if not self._may_join(planned):
            self._land()
        self._await_room()
        step = self._cleared(planned)
        payload = self._completed(step) if step else None
        if step is None or payload is None:
            return
        ended = self._ended
        self._await_room()
        if self._ended != ended and (step := self._cleared(planned)) is None:
            return
        self._begin(_Flight(step, payload, self._results.take()))
        self._land(0 if KINDS[step.record.kind].terms.only_edits else self.run.mavera.turns.most_at_once - 1)

    def _may_join(self, step: Step) -> bool:
        """Whether nothing that the requests under way may bring matters to a step.

        The first of a kind goes alone: it shows whether Mavera accepts its fields, and at what price.
        """
        kind, flights = KINDS[step.record.kind], self._under_way.values()
        flying = {flight.kind for flight in flights}
        is_first = (kind.name, step.edits) not in self._proven and kind.name in flying
        waits = kind.waits is not None and kind.waits.kind in flying
        refers = not {flight.key for flight in flights}.isdisjoint(step.record.references)
        return not (is_first or waits or refers or kind.terms.only_edits) and self._reconciler.has_room(step)

    def _cleared(self, planned: Step, place: int | None = None) -> Step | None:
        """Return a step at its present price; None, with its result noted, if it cannot be sent after all."""
        obstacle = self._obstacle(step := _priced_now(self.run.ledger, planned))
        if obstacle and self._under_way:  # those may cost less than their highest price
            self._land()
            obstacle = self._obstacle(step := _priced_now(self.run.ledger, planned))
        if obstacle:
            self._results.put(self._results.take() if place is None else place, obstacle)
            return None
        return step

    def _obstacle(self, step: Step) -> Result | None:
        """Return why a step cannot be sent after all; None if it can."""
        record, key, kind = step.record, step.record.key, KINDS[step.record.kind]
        if step.is_paid_for_words:
            return Result(key, "held", PAID_FOR_WORDS)
        left = credits_left(self.run.ledger, self.run.limits, self.run.run_id)
        short = step.price.high + self._risen_under_way() - left
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

    def _risen_under_way(self) -> int:
        """Return what the requests under way may cost beyond the price that they were announced with."""
        steps = [flight.step for flight in self._under_way.values()]
        return sum(_priced_now(self.run.ledger, step).price.high - step.price.high for step in steps)

    def _completed(self, step: Step) -> dict[str, Any] | None:
        """Return the payload with what only Mavera has; None, with the result noted, if that fails."""
        key = step.record.key
        try:
            kind = KINDS[step.record.kind]
            payload = kind.completed(step, self.run.ledger, self.run.mavera, self.run.say)
            self.run.mavera.check(payload)
        except Withheld as error:
            self._results.put(self._results.take(), Result(key, "held", str(error)))
        except MaveraError as error:  # before the paid request: the next run starts again
            self._note_refusal(self._results.take(), key, error)
        else:
            return payload
        return None

    def _begin(self, planned: _Flight) -> None:
        """Announce a request and make it, without waiting for its end.

        Each attempt is announced separately, because the time to settle counts from its announcement. So the
        wait for the pace comes first, and a process that has lost the lock by then sends nothing.
        """
        self.run.mavera.turns.take()
        step, record, ledger = planned.step, planned.step.record, self.run.ledger
        kind = KINDS[record.kind]
        try:
            remote_id, body, original = kind.aimed(step, planned.payload, ledger, self.run.mavera)
        except Withheld as error:
            self._results.put(planned.place, Result(record.key, "held", str(error)))
            return
        except MaveraError as error:
            self._note_refusal(planned.place, record.key, error)
            return
        if original is not None:
            ledger.keep_original(record, original)
        call_id = ledger.begin(
            self.run.run_id or "",
            action="remove" if record.removes else step.action,
            price=step.price,
            remote_id=remote_id,
            **announced(replace(record, payload=planned.payload)),
        )
        ledger.require_hold()
        self._sent += 1
        self._under_way[self._sent] = replace(planned, call_id=call_id, remote_id=remote_id)
        if remote_id is None:
            self._flights.begin(self._sent, partial(kind.create, self.run.mavera, body))
        else:
            self._flights.begin(self._sent, partial(kind.update, self.run.mavera, remote_id, body))

    # Ends

    def _await_room(self) -> None:
        """Wait until the pace allows the next request, and record meanwhile how others end."""
        self.run.mavera.turns.await_room(self._record_next)
        if self._troubled:
            self._land()

    def _stop_if_told(self) -> None:
        """Raise KeyboardInterrupt, once no request is under way, if a signal has arrived."""
        if self.run.interrupt.requested:
            self._land()
            self.run.stop_if_told()

    def _land(self, at_most: int = 0) -> None:
        """Record ends until at most so many requests are under way, and see to those that went wrong."""
        while len(self._under_way) > at_most or self._troubled:
            if self._under_way:
                self._record_next()
            else:
                self._see_to_troubled()

    def _record_next(self, seconds: float | None = None) -> bool:
        """Record how the next request ends, if one does within so many seconds."""
        landed = self._flights.next(seconds) if self._under_way else None
        if landed is None:
            return False
        flight, error = self._under_way.pop(landed.number), landed.error
        self._ended += 1
        if landed.answer:
            self._record(flight, landed.answer)
        elif isinstance(error, OutcomeUnknown):
            _keep(self.run.ledger, flight.call_id, error)
            self._troubled.append((flight, error))
        elif isinstance(error, MaveraError):
            self.run.ledger.end(flight.call_id, "failed", credits_spent=0, error=str(error))
            if isinstance(error, Refused) and flight.step.pays:
                self._refused.setdefault(flight.kind, flight.key)
            if isinstance(error, TryAgain) or _stops(error):
                self._troubled.append((flight, error))
            else:
                self._note_refusal(flight.place, flight.key, error, remedy(KINDS[flight.kind], error))
        elif error:
            raise error
        return True

    def _record(self, flight: _Flight, answer: Answer) -> None:
        step, result = flight.step, None
        if flight.remote_id is not None:
            answer = answer._replace(credits=_risen(self.run.ledger, flight.remote_id, answer.credits))
        spent = self.run.ledger.close(flight.call_id, answer, step.price.high, step.action)
        self._proven.add((flight.kind, step.edits))
        if answer.state == "done":
            said = f"{flight.done} {answer.shown_id}" + (
                ", but its answer has no text" if answer.is_wordless else ""
            )
            result = Result(flight.key, flight.done, said, spent)
        self._results.put(flight.place, result)

    def _see_to_troubled(self) -> None:
        """Search for lost answers, end the run if Mavera refuses it as a whole, and repeat the rest."""
        troubled, self._troubled = sorted(self._troubled, key=lambda each: each[0].place), []
        self._troubled = [
            (flight, error) for flight, error in troubled if not isinstance(error, OutcomeUnknown)
        ]
        for flight, error in troubled:
            if isinstance(error, OutcomeUnknown):
                search = self._reconciler.search_at_once
                self._results.put(flight.place, search(flight.step, flight.call_id, flight.done, str(error)))
        for place, (flight, error) in enumerate(self._troubled):
            if _is_final(flight, error):
                del self._troubled[place]
                self._note_refusal(flight.place, flight.key, error, remedy(KINDS[flight.kind], error))
        repeated, self._troubled = self._troubled, []
        if repeated:
            self.run.stop_if_told()
            self.run.mavera.turns.wait_out(
                *((error, flight.attempt) for flight, error in repeated if isinstance(error, TryAgain))
            )
        for flight, _ in repeated:
            if step := self._cleared(flight.step, flight.place):
                self._begin(replace(flight, step=step, attempt=flight.attempt + 1))

    def _note_refusal(self, place: int, key: str, error: MaveraError, remedy: str = "") -> None:
        """Record that a record failed; raise the error if every other record would meet it as well."""
        said = f"{error}: stopping" if _stops(error) else f"{error}. {remedy}" if remedy else str(error)
        self._results.put(place, Result(key, "failed", said))
        if _stops(error):
            raise error


def _stops(error: MaveraError) -> bool:
    """Whether every other record would meet an error as well."""
    return isinstance(error, KeyRefused) or not isinstance(error, Refused)


def _is_final(flight: _Flight, error: MaveraError) -> bool:
    """Whether an error ends the run: one that stops, or that came again at the last attempt."""
    return not isinstance(error, TryAgain) or flight.attempt == ATTEMPTS


def _priced_now(ledger: Ledger, step: Step) -> Step:
    """Raise the price of a step to what Mavera has charged in this run, if that is more than planned."""
    paid, paid_for_edits = ledger.paid(), ledger.paid(edits=True)
    terms = kinds.terms(paid, paid_for_edits)[step.record.kind]
    now = terms.create if step.action == "create" else terms.update
    return replace(step, price=now) if now.high > step.price.high else step


def _keep(ledger: Ledger, call_id: str, error: OutcomeUnknown) -> None:
    """Record that a call is unresolved, with Mavera's answer and the price in it, if any."""
    price = credits_in(error.body) if isinstance(error.body, Mapping) else None
    ledger.end(
        call_id,
        "unknown",
        credits_spent=price,
        credits_source=None if price is None else "answered",
        error=str(error),
        answer=error.body,
    )


def _risen(ledger: Ledger, persona_id: str, total: int | None) -> int | None:
    """Return the credits of an edit: the rise of the persona's total; None if it did not rise."""
    made = [call for call in ledger.on_object(persona_id) if call.state == "done"]
    sums = [credits_in(ledger.answer(call.call_id) or {}) for call in made]
    before = max((one for one in sums if one is not None), default=None)
    return total - before if total is not None and before is not None and total > before else None


def _left(flight: _Flight, error: MaveraError) -> Result:
    """Return the result of a step whose request is neither searched for nor repeated in this run."""
    is_lost = isinstance(error, OutcomeUnknown) and not flight.step.edits
    said = f"{error}; the next run looks it up" if is_lost else str(error)
    return Result(flight.key, "unknown" if is_lost else "failed", said)
