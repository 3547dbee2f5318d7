"""Runs a plan: each call announced in the ledger before it is made, and closed after it.

What has no known end is looked up in Mavera before anything else is sent, so that nothing is paid for twice.
"""

import math
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

from activate import generations, objects, remedies, studies
from activate import mavera as api
from activate.ledger.journal import Ledger
from activate.ledger.lock import LedgerError
from activate.ledger.rows import WRITTEN_OFF, Call, CreditsSource
from activate.likeness import Reference
from activate.plan import KINDS, Plan, Price, Record, Step, diff, priced
from common import assumptions, terminal
from privacy import outside

# Our clock and Mavera's may differ. An object counts as made by a call when it is at most so much older.
CLOCKS_APART: Final = timedelta(days=1)
# How many threads a run opens at most to see whether another ledger has asked in them.
THREADS_TO_OPEN: Final = 100
LAST_CALL_SECONDS: Final = 30
LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)
INTERRUPTED: Final = "interrupted"

State = Literal[
    "created", "updated", "adopted", "unchanged", "waiting", "held", "unknown", "failed", "not sent"
]
STATES: Final[tuple[State, ...]] = (
    *("created", "updated", "adopted", "unchanged", "waiting"),
    *("held", "unknown", "failed", "not sent"),
)


class NotStarted(Exception):
    """Nothing was sent, and the text says what has to be done first."""


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


class Result(NamedTuple):
    """How one record ended, with the credits of this run."""

    key: str
    state: State
    text: str
    credits: int = 0


@dataclass
class Outcome:
    """What a run did. `results` has one row per wanted record; `stopped` says what ended it early.

    `undecided` are records that wait for a person: an object in Mavera may be theirs, or never ends; `stuck`
    are those that never end.
    """

    results: dict[str, Result] = field(default_factory=dict)
    stopped: str = ""
    is_out_of_credits: bool = False
    credits: int = 0
    undecided: set[str] = field(default_factory=set)
    stuck: set[str] = field(default_factory=set)

    def counts(self) -> Counter[str]:
        return Counter(result.state for result in self.results.values())

    @property
    def is_well(self) -> bool:
        counts = self.counts()
        return not (self.stopped or self.stuck or counts["unknown"] or counts["failed"] or counts["not sent"])


class _Found(NamedTuple):
    """What a look into Mavera told of an unanswered call: its answer, why none can be told, or neither."""

    answer: api.Answer | None = None
    doubt: str = ""


def plan(
    wanted: Sequence[Record],
    ledger: Ledger,
    kinds: Sequence[str],
    limits: Limits,
    run_id: str | None = None,
    unclaimed: Mapping[str, str] = MappingProxyType({}),
) -> Plan:
    """Return what apply would do; with a budget of 0, what it would do with one that suffices.

    Of an approved plan it sends what was approved, and holds what has come up since. `unclaimed` is what
    `look_for_unclaimed` found.
    """
    planned = diff(
        wanted,
        ledger.entries(),
        smallest_cohort=limits.smallest_cohort,
        credits_left=None if limits.month == 0 else credits_left(ledger, limits, run_id),
        lasting_since=ledger.now() - timedelta(days=limits.study_days),
        paid=ledger.paid(),
        paid_for_edits=ledger.paid(edits=True),
        unclaimed=unclaimed,
        creations=limits.creations,
    )
    unwanted = tuple(key for key in planned.unwanted if key.split("/")[0] in kinds)
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


def look_for_unclaimed(plan_now: Plan, ledger: Ledger, mavera: api.Mavera) -> dict[str, str]:
    """Return by record key why an object in Mavera may be a record that is to be created. Free calls only.

    Each kind that is to be paid for is listed once. Of threads those are opened that were touched since the
    ledger's last row, the newest THREADS_TO_OPEN of them. Raises NotStarted where one carries our reference:
    the ledger does not know what was paid for.
    """
    paid = [step.record for step in plan_now.steps if step.pays]
    unclaimed = {
        kind: list(objects.unclaimed(_all_of(kind, ledger, mavera), ledger.calls()))
        for kind in KINDS
        if any(record.kind == kind for record in paid)
    }
    strangers = [one for held in unclaimed.values() for one in held if one.record_key]
    if strangers:
        age, remedy = (
            ("older than Mavera", "python -m activate drift lists them and takes your decision")
            if ledger.calls()
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
        for one in reversed(unclaimed[record.kind])
        if one.bears_name_of(record)
    }


def _all_of(kind: str, ledger: Ledger, mavera: api.Mavera) -> Iterator[objects.Held]:
    if kind != "analyses":
        return objects.listed(mavera, kind)
    calls = ledger.calls()
    since = calls[-1].begun_at - CLOCKS_APART if calls else LONG_AGO
    threads = objects.to_open(mavera.thread_rows(), calls, since, THREADS_TO_OPEN)
    return (one for thread_id in threads.ids for one in objects.asked(mavera.thread(thread_id)))


def _may_be_it(one: objects.Held) -> str:
    shown = f'"{one.name}" ({one.shown_id})' if one.name else one.shown_id
    return (
        f"{shown} in Mavera may be it: python -m activate import adopts it for nothing, "
        f"python -m activate drift --let-be {one.shown_id} says that it is your own"
    )


def credits_left(ledger: Ledger, limits: Limits, run_id: str | None = None) -> int:
    """Return what may still be spent; calls without a known end count at their highest price."""
    left = limits.month - ledger.spent()
    if limits.run is not None:
        left = min(left, limits.run - (ledger.spent(run_id) if run_id else 0))
    if limits.approved:
        spent = sum(map(ledger.spent, ledger.runs_of(limits.approved.plan_id)))
        left = min(left, limits.approved.credits - spent)
    return max(left, 0)


def apply(
    wanted: Sequence[Record],
    ledger: Ledger,
    mavera: api.Mavera,
    kinds: Sequence[str],
    limits: Limits,
    *,
    tell: Callable[[Result], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Look up what is unknown, then send what the plan says. Raises NotStarted where nothing may be sent.

    `tell` gets each result as it comes, `say` what is worth knowing meanwhile. Run it under `ledger.lock`.
    A second run on the same facts makes no call at all.
    """
    return _Run(wanted, ledger, mavera, kinds, limits, tell, say).apply()


class _Run:
    def __init__(
        self,
        wanted: Sequence[Record],
        ledger: Ledger,
        mavera: api.Mavera,
        kinds: Sequence[str],
        limits: Limits,
        tell: Callable[[Result], None],
        say: Callable[[str], None],
    ) -> None:
        self.wanted = wanted
        self.ledger = ledger
        self.mavera = mavera
        self.kinds = kinds
        self.limits = limits
        self.tell = tell
        self.say = say
        self.run_id: str | None = None
        self.planned: Plan | None = None
        self.outcome = Outcome()
        self.interrupt = _Interrupt(say)
        self.unclaimed: dict[str, str] = {}
        self.refused: dict[str, str] = {}  # by kind, the first record whose shape Mavera refused
        self.states: dict[str, str] = {}  # by id, the state in which Mavera shows what it is at work on

    def apply(self) -> Outcome:
        self._say_where_it_resumes()
        with self.interrupt:
            try:
                self._settle_unknown()
                self.planned = plan_now = self._plan()
                if plan_now.of("create", "update"):
                    self._require_a_budget(plan_now.price)
                    self._refuse_a_doubtful_ledger(plan_now)
                    self.planned = plan_now = self._plan()
                    self.outcome.stopped = brake(plan_now, self.limits)
                    self._send(plan_now, only_free=bool(self.outcome.stopped))
                self._await_ends(at_most=0)
            except (api.MaveraError, LedgerError) as error:
                self.outcome.stopped = str(error)
                self.outcome.is_out_of_credits = isinstance(error, api.OutOfCredits)
            except KeyboardInterrupt:
                self.outcome.stopped = INTERRUPTED
        self._leave_running()
        self._complete()
        return self.outcome

    def _plan(self) -> Plan:
        return plan(self.wanted, self.ledger, self.kinds, self.limits, self.run_id, self.unclaimed)

    def _complete(self) -> None:
        """Give every wanted record its one result, so that the counts add up to what is wanted.

        What the plan held for its highest price stays held, although what was sent may have cost less.
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
            results[key] = self.outcome.results.get(key, Result(key, state, step.reason))
            if step.action == "hold" and key in self.unclaimed and step.reason == self.unclaimed[key]:
                self.outcome.undecided.add(key)
        self.outcome.results = results

    def _note(self, result: Result) -> None:
        self.outcome.credits += result.credits
        self.outcome.results[result.key] = result
        self.tell(result)

    # Before anything is sent

    def _say_where_it_resumes(self) -> None:
        last = self.ledger.last_run()
        ended = {call.key for call in last.calls if call.state != "unknown"} if last else set()
        if last and len(ended) < last.steps:
            self.say(f"resuming: the last run stopped after {len(ended)} of {last.steps}")

    def _require_a_budget(self, price: Price) -> None:
        if self.limits.month == 0:
            raise NotStarted(f"CREDIT_BUDGET is 0, nothing was sent. This plan costs {price}: set it in .env")

    def _refuse_a_doubtful_ledger(self, plan_now: Plan) -> None:
        """Raise NotStarted where this ledger may not know what was paid for: altered, lost or restored."""
        if not any(step.pays for step in plan_now.steps):
            return
        try:
            self.ledger.chain.verify()
        except LedgerError as error:
            raise NotStarted(str(error)) from None
        self.unclaimed = look_for_unclaimed(plan_now, self.ledger, self.mavera)

    def _settle_unknown(self) -> None:
        for call in self.ledger.unknown():
            if self.interrupt.requested:
                raise KeyboardInterrupt
            if call.kind in self.kinds:
                self._settle(call)

    def _settle(self, call: Call) -> None:
        """Find out what became of a call that an earlier run left without an answer."""
        young = self._too_young(call)  # before the look: what it does not see may come while it lasts
        found = self._resolved(call)
        if found.answer:
            self._close(call.call_id, found.answer, call.credits_high, "look up")
            if found.answer.state == "failed":
                self._note(self._ended(call, found.answer, 0))
            else:
                said = f"found in Mavera as {found.answer.shown_id}, adopted"
                self._note(Result(call.key, "adopted", said))
        elif doubt := found.doubt or young:
            self._note(Result(call.key, "unknown", doubt))
        else:
            self._write_off(call)
            self.say(
                f"{call.key}: not found in Mavera, taken as lost. Up to {call.credits_high:,} credits count "
                f"against the budget until you decide: python -m activate settle {call.key} --charged N"
            )

    def _too_young(self, call: Call) -> str:
        """Say how long Mavera may still be at work on a call, or nothing once that time is over."""
        age = (self.ledger.now() - call.begun_at).total_seconds()
        wait = self.limits.settle_seconds - age
        return f"sent {age:,.0f} s ago, no answer yet; taken as lost in {wait:,.0f} s" if wait > 0 else ""

    def _write_off(self, call: Call) -> None:
        """Take a call as lost. It may have been charged all the same, and counts as such until decided."""
        spent = call.credits_high
        self.ledger.end(call.call_id, "failed", action="look up", credits_spent=spent, error=WRITTEN_OFF)

    def _resolved(self, call: Call) -> _Found:
        """Find out what came of a call; one that was answered is never taken for lost.

        What Mavera answered says most, where that identifies what it made.
        """
        said = self.ledger.answer(call.call_id) if call.is_answered else None
        found = self._look(call)
        if found.answer:
            told = api.credits_in(said) if isinstance(said, Mapping) else None
            return found if told is None else _Found(found.answer._replace(credits=told))
        if answer := api.identified(call.kind, said):
            return _Found(answer)
        if call.is_answered:
            what = "without an id" if api.is_proof(said) else "with nothing that could be used"
            doubt = found.doubt or "nothing in Mavera carries our reference"
            decide = f"python -m activate settle {call.key} --adopt ID, or --forget where there is nothing"
            return _Found(doubt=f"Mavera answered {what}, and may have charged; {doubt}. Decide: {decide}")
        return found

    def _look(self, call: Call) -> _Found:
        """Search Mavera for what a call may have made; objects that the ledger already knows are others."""
        calls = self.ledger.calls()
        known = objects.Known(calls)
        if call.kind == "analyses":
            return self._look_for_question(call, known)
        listed = list(objects.listed(self.mavera, call.kind))
        new = [one for one in listed if one not in known]
        for one in new:
            if one.reference == _reference(call):
                return _Found(objects.answer(self.mavera, one))
        for one in new:
            if one.may_come_from(call) and one.made_at >= call.begun_at - CLOCKS_APART:
                return _Found(doubt=_may_come_from(one.shown_id, call))
        return self._is_whole(call.kind, {one.remote_id for one in listed})

    def _is_whole(self, kind: str, listed: Set[str]) -> _Found:
        """Doubt a list that lacks what the ledger knows to stand: what it does not show may exist."""
        for key, call in self.ledger.accepted().items():
            entry = self.ledger.entries()[key]
            shown_id = entry.thread_id if kind == "analyses" else entry.remote_id
            if call.kind == kind and shown_id and shown_id not in listed:
                return _Found(
                    doubt=f"the list of {kind} lacks {shown_id} ({key}), so it may lack this as well. Where "
                    "that was deleted, python -m activate drift decides"
                )
        return _Found()

    def _look_for_question(self, call: Call, known: objects.Known) -> _Found:
        """Search the thread that it was asked in, or, where it was to begin one, the newer threads."""
        if continued := call.payload.get("thread_id"):
            thread = self._thread(continued)
            if thread is None:
                return _Found(doubt=f"{continued} is gone from Mavera: python -m activate settle decides")
            return self._look_in(thread, call, known) or self._is_whole_thread(thread)
        rows = self.mavera.thread_rows()
        doubts = []
        for row in rows:
            if str(row["id"]) in known.ids or api.touched_at(row) < call.begun_at - CLOCKS_APART:
                continue
            found = self._look_in(self.mavera.thread(str(row["id"])), call, known)
            if found and found.answer:
                return found
            doubts += [found] if found else []
        return doubts[0] if doubts else self._is_whole("analyses", {str(row["id"]) for row in rows})

    def _look_in(self, thread: Mapping[str, Any], call: Call, known: objects.Known) -> _Found | None:
        """Search one thread for a question; None where nothing in it can have come from that call."""
        asked = [
            objects.Held("analyses", a.remote_id if a else "", w, thread, a) for w, a in api.asked_in(thread)
        ]
        for one in asked:
            if one.reference == _reference(call) and not (one.answer and one in known):
                if one.answer is None:
                    return _Found(doubt=f"Mave has not answered yet in {thread['id']}")
                return _Found(one.answer._replace(credits=self._credits_of(one.answer, thread)))
        if not asked and str(thread["id"]) not in known.ids:
            return _Found(doubt=f"{_may_come_from(str(thread['id']), call)}; it shows no messages")
        for one in asked:
            if not (one.answer and one in known) and one.may_come_from(call):
                return _Found(doubt=_may_come_from(str(thread["id"]), call))
        return None

    def _is_whole_thread(self, thread: Mapping[str, Any]) -> _Found:
        """Doubt a thread that shows fewer questions than the ledger knows to have been answered in it."""
        answered = sum(
            call.state == "done" and call.thread_id == thread["id"] and call.action != "let be"
            for call in self.ledger.calls()
        )
        if len(list(api.asked_in(thread))) < answered:
            return _Found(doubt=f"{thread['id']} does not show all that was asked in it")
        return _Found()

    def _credits_of(self, answer: api.Answer, thread: Mapping[str, Any]) -> int | None:
        """What a thread cost beyond the answers that the ledger knows in it; None where it does not tell."""
        total = api.whole_credits(thread.get("credits_used"))
        paid = sum(
            call.credits
            for call in self.ledger.calls()
            if call.thread_id == answer.thread_id and call.state == "done"
        )
        return None if total is None else max(total - paid, 0)

    # What Mavera takes its time for

    def _running(self, kind: str = "") -> list[Call]:
        return [call for call in self.ledger.waiting() if call.kind in self.kinds and kind in ("", call.kind)]

    def _is_overdue(self, call: Call) -> bool:
        return self.ledger.now() - call.begun_at >= timedelta(days=assumptions.WORK_DAYS)

    def _await_ends(self, at_most: int, kind: str = "") -> bool:
        """Look after what runs until `at_most` are left of `kind`, or of all; False where it took long.

        What has been at work for days is looked at once, and waited for no longer.
        """
        looks = max(1, math.ceil(self.limits.poll_ceiling_seconds / self.limits.poll_seconds))
        looked = 0
        while running := self._running(kind):
            awaited = running if not looked else [call for call in running if not self._is_overdue(call)]
            if len(awaited) <= at_most:
                break
            if looked == looks:
                return False
            if self.interrupt.requested:
                raise KeyboardInterrupt
            self.mavera.pause(self.limits.poll_seconds)
            self._look_after_running()
            looked += 1
        return True

    def _look_after_running(self) -> None:
        for call in self._running():
            remote_id = str(call.remote_id)
            try:
                answer = objects.standing(self.mavera, call.kind, remote_id)
            except api.KeyRefused:
                raise
            except api.Refused as error:
                told = call.credits if call.credits_source == "answered" else None
                answer = api.Answer(remote_id, None, told, {"error": str(error)}, "failed")
            if answer.state == "waiting":
                self.states[remote_id] = str(answer.body.get("status") or "")
                continue
            spent = self._close(call.call_id, answer, call.credits_high, "poll")
            self._note(self._ended(call, answer, spent))

    def _ended(self, call: Call, answer: api.Answer, spent: int) -> Result:
        """Say how what took its time ended; what an earlier run paid for costs this one nothing."""
        spent = spent if call.run_id == self.run_id else 0
        if answer.state == "failed":
            return Result(call.key, "failed", f"Mavera charged for {answer.shown_id} and gave it up", spent)
        done: State = "created" if call.action == "create" else "updated"
        return Result(call.key, done, f"{done} {answer.shown_id}", spent)

    def _leave_running(self) -> None:
        for call in self._running():
            spent = call.credits if call.run_id == self.run_id else 0
            said = f"{call.remote_id} is at work, the next run asks again"
            if self._is_overdue(call):
                days = (self.ledger.now() - call.begun_at).days
                state = outside.words(self.states.get(str(call.remote_id)) or "at work")
                said = (
                    f"{call.remote_id} has been {state} for {days} days. Look at it in Mavera; "
                    f"python -m activate settle {call.key} --forget asks again, at its price"
                )
                self.outcome.undecided.add(call.key)
                self.outcome.stuck.add(call.key)
            self._note(Result(call.key, "waiting", said, spent))

    # Sending

    def _send(self, plan_now: Plan, *, only_free: bool = False) -> None:
        steps = [step for step in plan_now.of("create", "update") if not (only_free and step.pays)]
        if not steps:
            return
        plan_id = self.limits.approved.plan_id if self.limits.approved else None
        self.run_id = self.ledger.start(len(steps), plan_now.price, plan_id)
        for planned in steps:
            if self.interrupt.requested:
                raise KeyboardInterrupt
            step = self._priced_now(planned)
            short = step.price.high - credits_left(self.ledger, self.limits, self.run_id)
            if short > 0:
                self._note(Result(step.record.key, "held", f"passes the budget by {short:,} credits"))
            elif (first := self.refused.get(step.record.kind)) and step.pays:
                why = f"Mavera refused the fields of {first}: no more of this kind is sent in this run"
                self._note(Result(step.record.key, "not sent", why))
            elif absent := self._absent(step.record):
                self._note(Result(step.record.key, "held", f"after {absent}, which did not get into Mavera"))
            elif busy := self._busy(step.record):
                self._note(Result(step.record.key, "held", busy))
            elif unfit := self._unfit(step.record):
                self._note(Result(step.record.key, "failed", unfit))
            else:
                self._send_one(step, self.run_id)

    def _priced_now(self, step: Step) -> Step:
        """Count with what Mavera has charged in this very run, where that is more than was planned with."""
        kind = step.record.kind
        learned = priced(kind, self.ledger.paid().get(kind, ()), self.ledger.paid(edits=True).get(kind, ()))
        now = learned.create if step.action == "create" else learned.update
        return replace(step, price=now) if now.high > step.price.high else step

    def _absent(self, record: Record) -> str:
        """Name a record that this one refers to and that Mavera does not hold as it was to be."""
        entries = self.ledger.entries() if record.references else {}
        missing = (key for key in record.references if key not in entries or entries[key].state != "done")
        return next(missing, "")

    def _busy(self, record: Record) -> str:
        """Say what Mavera is at work on that has to end first, once it was waited for in vain."""
        if record.kind == "focus-groups" and not self._await_ends(studies.AT_ONCE - 1, record.kind):
            return f"{studies.AT_ONCE} are at work, the most at once"
        if record.kind == "generations" and not self._await_ends(0, "brand-voices"):
            return "after the brand voice, which Mavera is at work on"
        return ""

    @cached_property
    def _apps(self) -> list[generations.App]:
        return self.mavera.apps()

    def _unfit(self, record: Record) -> str:
        """Say why no app of Mavera's can write a text, before it is paid for."""
        if record.kind != "generations":
            return ""
        return generations.unfit(self._apps, record.payload["app_id"], record.payload["input_data"])

    def _payload(self, step: Step) -> Mapping[str, Any]:
        """Return what is sent: with the thread it goes on in, the ids of what it makes use of, its files."""
        record, payload = step.record, dict(step.record.payload)
        if thread_id := self._conversation(step):
            payload["thread_id"] = thread_id
        if record.references:
            entries = self.ledger.entries()
            ids = [entries[key].remote_id for key in record.references]
            payload[record.references_field] = ids[0] if record.kind == "generations" else ids
        if record.kind == "generations":
            app, voice = generations.chosen(self._apps, payload["app_id"]), self._newest("brand-voices")
            payload |= {"app_id": app.app_id} if app else {}
            payload |= {"brand_voice_id": voice} if voice and "brand_voice_id" not in payload else {}
        if record.documents:
            workspace_id = str(payload["workspace_id"])
            payload["documents"] = [
                self.mavera.upload(document.name, document.text, workspace_id)
                for document in record.documents
            ]
        return payload

    def _newest(self, kind: str) -> str | None:
        """Return the id in Mavera of what was asked for last of a kind, if anything stands."""
        standing = [
            (entry.called_at or LONG_AGO, entry.remote_id)
            for key, entry in self.ledger.entries().items()
            if key.startswith(f"{kind}/") and entry.remote_id
        ]
        return max(standing)[1] if standing else None

    def _conversation(self, step: Step) -> str | None:
        """Return the thread of an analysis that is asked anew, so that Mave knows what it said before."""
        thread_id = step.entry.thread_id if step.entry and step.record.kind == "analyses" else None
        if thread_id and self._thread(thread_id) is None:
            self.say(f"{step.record.key}: {thread_id} is gone from Mavera, a new thread begins")
            return None
        return thread_id

    def _thread(self, thread_id: str) -> Mapping[str, Any] | None:
        """Return a thread with its messages; None where Mavera has it no longer."""
        try:
            return self.mavera.thread(thread_id)
        except api.KeyRefused:
            raise
        except api.Refused:
            return None

    def _send_one(self, step: Step, run_id: str) -> None:
        try:
            payload = self._payload(step)
            self.mavera.check(payload)
        except api.Withheld as error:
            self._note(Result(step.record.key, "held", str(error)))
            return
        except api.MaveraError as error:  # before anything was asked for: the next run begins anew
            self._note_refusal(step.record.key, error)
            return
        for attempt in range(1, api.ATTEMPTS):
            refused = self._attempt(step, run_id, payload)
            if refused is None:
                return
            if self.interrupt.requested:
                raise KeyboardInterrupt
            self.mavera.wait_out(refused, attempt)
        if refused := self._attempt(step, run_id, payload):
            self._note_refusal(step.record.key, refused)

    def _attempt(self, step: Step, run_id: str, payload: Mapping[str, Any]) -> api.TryAgain | None:
        """Announce a call, make it, and note how it ended; return why it may simply be made again.

        Each attempt is announced by itself: how long Mavera may still be at work on one counts from there. So
        the pace is waited for before, and who is cut off meanwhile, or has been since, sends nothing.
        """
        self.mavera.await_turn()
        record = step.record
        edits = step.action == "update" and KINDS[record.kind].update_edits
        remote_id = step.entry.remote_id if step.entry and edits else None
        call_id = self.ledger.begin(
            run_id,
            kind=record.kind,
            record_key=record.record_key,
            job=record.job,
            action=step.action,
            fingerprint=record.fingerprint,
            facts=record.facts,
            payload=payload,
            price=step.price,
            remote_id=remote_id,
            person_count=record.person_count,
            wording=record.wording,
        )
        done: State = "created" if step.action == "create" else "updated"
        self.ledger.require_hold()
        try:
            answer = self._call(record.kind, payload, remote_id)
        except api.OutcomeUnknown as error:
            self._keep(call_id, error)
            result = self._look_at_once(step, call_id, done, str(error))
            if result:
                self._note(result)
        except api.MaveraError as error:
            self.ledger.end(call_id, "failed", credits_spent=0, error=str(error))
            if isinstance(error, api.TryAgain):
                return error
            if isinstance(error, api.Refused) and step.pays:
                self.refused.setdefault(record.kind, record.key)
            self._note_refusal(record.key, error, remedies.of(record.kind, error))
        else:
            spent = self._close(call_id, answer, step.price.high, step.action)
            if answer.state == "done":
                self._note(Result(record.key, done, _said(done, record.kind, answer), spent))
        return None

    def _keep(self, call_id: str, error: api.OutcomeUnknown) -> None:
        """Note that the end of a call is unknown, with all that Mavera said of it, and the price it told."""
        told = api.credits_in(error.body) if isinstance(error.body, Mapping) else None
        self.ledger.end(
            call_id,
            "unknown",
            credits_spent=told,
            credits_source=None if told is None else "answered",
            error=str(error),
            answer=error.body,
        )

    def _note_refusal(self, key: str, error: api.MaveraError, remedy: str = "") -> None:
        """Note that nothing came of a record; raises what every other record would meet as well."""
        stops = isinstance(error, api.KeyRefused) or not isinstance(error, api.Refused)
        said = f"{error}: stopping" if stops else f"{error}. {remedy}" if remedy else str(error)
        self._note(Result(key, "failed", said))
        if stops:
            raise error

    def _call(self, kind: str, payload: Mapping[str, Any], remote_id: str | None) -> api.Answer:
        if kind == "analyses":
            return self.mavera.ask(payload)
        if kind == "focus-groups":
            return self.mavera.create_study(payload)
        if kind == "brand-voices":
            return self.mavera.create_voice(payload)
        if kind == "generations":
            return self.mavera.generate(payload)
        if remote_id is None:
            return self.mavera.create_persona(payload)
        edited = {name: value for name, value in payload.items() if name not in assumptions.FIXED}
        answer = self.mavera.update_persona(remote_id, edited)
        return answer._replace(credits=self._risen(remote_id, answer.credits))

    def _risen(self, persona_id: str, total: int | None) -> int | None:
        """Return what an edit cost: what Mavera's sum for the persona rose by; None where it did not rise."""
        made = [call for call in self.ledger.calls() if call.remote_id == persona_id and call.state == "done"]
        told = [api.credits_in(self.ledger.answer(call.call_id) or {}) for call in made]
        before = max((sum_told for sum_told in told if sum_told is not None), default=None)
        return total - before if total is not None and before is not None and total > before else None

    def _look_at_once(self, step: Step, call_id: str, done: State, error: str) -> Result | None:
        """Search for what a call may have made whose answer was lost just now; None while it is at work."""
        key = step.record.key
        if step.action == "update" and KINDS[step.record.kind].update_edits:
            return Result(key, "failed", f"{error}; the next run sends it again")
        (call,) = (call for call in self.ledger.unknown() if call.call_id == call_id)
        young = self._too_young(call)
        found = self._resolved(call)
        has_no_id = call.is_answered and api.is_proof(self.ledger.answer(call_id))
        if found.answer:
            spent = self._close(call_id, found.answer, step.price.high, "look up")
            if found.answer.state == "waiting":
                return None
            if found.answer.state == "failed":
                return self._ended(call, found.answer, spent)
            how = "it came without an id" if has_no_id else "its answer was lost"
            return Result(key, done, f"{done} {found.answer.shown_id}, {how}", spent)
        if found.doubt or young:
            return Result(key, "unknown", f"{error}; {found.doubt or 'the next run looks it up'}")
        self._write_off(call)
        return Result(key, "failed", f"{error}; not found, taken as lost")

    def _close(self, call_id: str, answer: api.Answer, highest: int, action: str) -> int:
        """Write what Mavera answered; return its credits, at the highest price where it did not say."""
        source: CreditsSource = "documented" if answer.credits is None else "answered"
        spent = highest if answer.credits is None else answer.credits
        self.ledger.end(
            call_id,
            answer.state,
            action=action,
            remote_id=answer.remote_id,
            thread_id=answer.thread_id,
            credits_spent=spent,
            credits_source=source,
            answer=answer.body,
        )
        return spent


def _reference(call: Call) -> Reference:
    return Reference(call.record_key, call.fingerprint[:12])


def _may_come_from(shown_id: str, call: Call) -> str:
    return (
        f"{shown_id} is newer and may be it: python -m activate settle {call.key} --adopt {shown_id}, or "
        f"drift --let-be {shown_id} where it is your own"
    )


def _said(done: State, kind: str, answer: api.Answer) -> str:
    wordless = api.text_of(kind, answer.body) == ""
    return f"{done} {answer.shown_id}" + (", but its answer has no text" if wordless else "")


class _Interrupt:
    """Lets SIGINT or SIGTERM end a run after the call in flight; a second one, or 30 s, gives that up too."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.requested = False
        self._say = say
        self._before: dict[int, Any] = {}
        self._watched = terminal.left_to_command()

    def __enter__(self) -> None:
        self._watched.__enter__()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
            self._before[number] = signal.signal(number, self._hear)

    def __exit__(self, *_: object) -> None:
        signal.alarm(0)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._watched.__exit__(None, None, None)

    def _hear(self, _number: int, _frame: object) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        signal.alarm(LAST_CALL_SECONDS)
        self._say(f"stopping after the call in flight, in {LAST_CALL_SECONDS} s at most")
