"""Runs a plan: each call announced in the ledger before it is made, and closed after it.

What has no known end is looked up in Mavera before anything else is sent, so that nothing is paid for twice.
"""

import math
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple

import assumptions
from activate import generations, objects, studies
from activate import mavera as api
from activate.ledger import Call, CreditsSource, Ledger
from activate.lock import LedgerError
from activate.plan import KINDS, Plan, Price, Record, Step, diff, priced
from activate.records import marker

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

    Answers of a study count for `study_days`. What takes its time is looked at every `poll_seconds`, for as
    long as `poll_ceiling_seconds`, and then by the next run.
    """

    month: int
    run: int | None
    smallest_cohort: int
    settle_seconds: int
    study_days: int = 30
    poll_seconds: float = assumptions.POLL_SECONDS
    poll_ceiling_seconds: int = assumptions.POLL_CEILING_SECONDS
    approved: Approved | None = None


class Result(NamedTuple):
    """How one record ended, with the credits of this run."""

    key: str
    state: State
    text: str
    credits: int = 0


@dataclass
class Outcome:
    """What a run did. `results` has one row per wanted record; `stopped` says what ended it early."""

    results: dict[str, Result] = field(default_factory=dict)
    stopped: str = ""
    is_out_of_credits: bool = False
    credits: int = 0

    def counts(self) -> Counter[str]:
        return Counter(result.state for result in self.results.values())

    @property
    def is_well(self) -> bool:
        counts = self.counts()
        return not (self.stopped or counts["unknown"] or counts["failed"] or counts["not sent"])


class _Found(NamedTuple):
    """What a look into Mavera told of an unanswered call: its answer, why none can be told, or neither."""

    answer: api.Answer | None = None
    doubt: str = ""


def plan(
    wanted: Sequence[Record], ledger: Ledger, kinds: Sequence[str], limits: Limits, run_id: str | None = None
) -> Plan:
    """Return what apply would do; with a budget of 0, what it would do with one that suffices.

    Of an approved plan it sends what was approved, and holds what has come up since.
    """
    planned = diff(
        wanted,
        ledger.entries(),
        smallest_cohort=limits.smallest_cohort,
        credits_left=None if limits.month == 0 else credits_left(ledger, limits, run_id),
        lasting_since=ledger.now() - timedelta(days=limits.study_days),
        paid=ledger.paid(),
        paid_for_edits=ledger.paid(edits=True),
    )
    unwanted = tuple(key for key in planned.unwanted if key.split("/")[0] in kinds)
    steps = tuple(_as_approved(step, limits.approved) for step in planned.steps)
    return replace(planned, steps=steps, unwanted=unwanted)


def _as_approved(step: Step, approved: Approved | None) -> Step:
    if approved is None or not step.sends or step.record.key in approved.keys:
        return step
    return Step("hold", step.record, reason="not sent by the plan that was approved", entry=step.entry)


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

    def apply(self) -> Outcome:
        self._say_where_it_resumes()
        with self.interrupt:
            try:
                self._settle_unknown()
                self.planned = plan_now = self._plan()
                if plan_now.of("create", "update"):
                    self._require_a_budget(plan_now.price)
                    self._refuse_a_doubtful_ledger(plan_now)
                    self._send(plan_now)
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
        return plan(self.wanted, self.ledger, self.kinds, self.limits, self.run_id)

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
        """Raise NotStarted where this ledger may not know what was paid for: altered, lost or restored.

        Each kind that is to be paid for is listed once. Of threads those are opened that were touched since
        the ledger's last row, the newest THREADS_TO_OPEN of them.
        """
        paid = {step.record.kind for step in plan_now.steps if step.pays}
        kinds = [kind for kind in KINDS if kind in paid]
        if not kinds:
            return
        try:
            self.ledger.verify()
        except LedgerError as error:
            raise NotStarted(str(error)) from None
        strangers = [one for kind in kinds for one in self._strangers(kind)]
        if strangers:
            age, remedy = (
                ("older than Mavera", "python -m activate drift lists them and takes your decision")
                if self.ledger.calls()
                else ("new", "make it again: python -m activate settle --from-mavera")
            )
            more = f" and {len(strangers) - 1:,} more" if len(strangers) > 1 else ""
            raise NotStarted(
                f"Mavera holds {strangers[0].shown_id} ({strangers[0].key}){more} with our reference, which "
                f"the ledger does not know: it is {age}. Bring the newest ledger back; else {remedy}"
            )

    def _strangers(self, kind: str) -> Iterator[objects.Held]:
        calls = self.ledger.calls()
        if kind != "analyses":
            return objects.unknown(objects.listed(self.mavera, kind), calls)
        since = calls[-1].begun_at - CLOCKS_APART if calls else LONG_AGO
        threads = objects.to_open(self.mavera.thread_rows(), calls, since, THREADS_TO_OPEN)
        asked = (one for thread_id in threads.ids for one in objects.asked(self.mavera.thread(thread_id)))
        return objects.unknown(asked, calls)

    def _settle_unknown(self) -> None:
        for call in self.ledger.unknown():
            if self.interrupt.requested:
                raise KeyboardInterrupt
            if call.kind in self.kinds:
                self._settle(call)

    def _settle(self, call: Call) -> None:
        """Find out what became of a call that an earlier run left without an answer."""
        young = self._too_young(call)  # before the look: what it does not see may come while it lasts
        found = self._look(call)
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
            self.say(f"{call.key}: not found in Mavera, so nothing came of the call before")

    def _too_young(self, call: Call) -> str:
        """Say how long Mavera may still be at work on a call, or nothing once that time is over."""
        age = (self.ledger.now() - call.begun_at).total_seconds()
        wait = self.limits.settle_seconds - age
        return f"sent {age:,.0f} s ago, no answer yet; taken as lost in {wait:,.0f} s" if wait > 0 else ""

    def _write_off(self, call: Call) -> None:
        self.ledger.end(call.call_id, "failed", action="look up", credits_spent=0, error="nothing came of it")

    def _look(self, call: Call) -> _Found:
        """Search Mavera for what a call may have made; objects that the ledger already knows are others."""
        closed = [other for other in self.ledger.calls() if other.state != "unknown"]
        known = {other.remote_id for other in closed}
        since = call.begun_at - CLOCKS_APART
        ours = marker(call.record_key, call.fingerprint)
        if call.kind == "analyses":
            return self._look_for_question(call, ours, known)
        if call.kind != "personas":
            return self._look_for_object(call.kind, ours, known)
        return self._look_for_persona(ours, str(call.payload["name"]), since, known)

    def _look_for_persona(self, ours: str, name: str, since: datetime, known: Set[str | None]) -> _Found:
        new = [one for one in objects.listed(self.mavera, "personas") if one.remote_id not in known]
        for one in new:
            if ours in one.words:
                return _Found(objects.answer(self.mavera, one))
        for one in new:
            if one.name == name and one.made_at >= since and not one.record_key:
                doubt = (
                    f"{one.remote_id} has this name but not our reference: python -m activate settle decides"
                )
                return _Found(doubt=doubt)
        return _Found()

    def _look_for_question(self, call: Call, ours: str, known: Set[str | None]) -> _Found:
        """Search the thread that it was asked in, or, where it was to begin one, the newer threads."""
        threads: Iterable[Mapping[str, Any]]
        if continued := call.payload.get("thread_id"):
            thread = self._thread(continued)
            if thread is None:
                return _Found(doubt=f"{continued} is gone from Mavera: python -m activate settle decides")
            threads = [thread]
        else:
            threads = self.mavera.threads(call.begun_at - CLOCKS_APART)
        for thread in threads:
            for words, answer in api.asked_in(thread):
                if ours not in words or (answer and answer.remote_id in known):
                    continue
                if answer is None:
                    return _Found(doubt=f"Mave has not answered yet in {thread['id']}")
                return _Found(answer._replace(credits=self._credits_of(answer, thread)))
        return _Found()

    def _credits_of(self, answer: api.Answer, thread: Mapping[str, Any]) -> int | None:
        """What a thread cost beyond the answers that the ledger knows in it; None where it does not tell."""
        total = api.whole_credits(thread.get("credits_used"))
        paid = sum(call.credits for call in self.ledger.calls() if call.thread_id == answer.thread_id)
        return None if total is None else max(total - paid, 0)

    def _look_for_object(self, kind: str, ours: str, known: Set[str | None]) -> _Found:
        for one in objects.listed(self.mavera, kind):
            if one.remote_id not in known and ours in one.words:
                return _Found(objects.answer(self.mavera, one))
        return _Found()

    # What Mavera takes its time for

    def _running(self, kind: str = "") -> list[Call]:
        return [call for call in self.ledger.waiting() if call.kind in self.kinds and kind in ("", call.kind)]

    def _await_ends(self, at_most: int, kind: str = "") -> bool:
        """Look after what runs until `at_most` are left of `kind`, or of all; False where it took long."""
        looks = max(1, math.ceil(self.limits.poll_ceiling_seconds / self.limits.poll_seconds))
        while len(self._running(kind)) > at_most:
            if looks == 0:
                return False
            if self.interrupt.requested:
                raise KeyboardInterrupt
            self.mavera.pause(self.limits.poll_seconds)
            self._look_after_running()
            looks -= 1
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
            self._note(Result(call.key, "waiting", said, spent))

    # Sending

    def _send(self, plan_now: Plan) -> None:
        steps = plan_now.of("create", "update")
        plan_id = self.limits.approved.plan_id if self.limits.approved else None
        self.run_id = self.ledger.start(len(steps), plan_now.price, plan_id)
        for planned in steps:
            if self.interrupt.requested:
                raise KeyboardInterrupt
            step = self._priced_now(planned)
            short = step.price.high - credits_left(self.ledger, self.limits, self.run_id)
            if short > 0:
                self._note(Result(step.record.key, "held", f"passes the budget by {short:,} credits"))
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
            self.ledger.end(call_id, "unknown", error=str(error))
            result = self._look_at_once(step, call_id, done, str(error))
            if result:
                self._note(result)
        except api.MaveraError as error:
            self.ledger.end(call_id, "failed", credits_spent=0, error=str(error))
            if isinstance(error, api.TryAgain):
                return error
            self._note_refusal(record.key, error)
        else:
            spent = self._close(call_id, answer, step.price.high, step.action)
            if answer.state == "done":
                self._note(Result(record.key, done, f"{done} {answer.shown_id}", spent))
        return None

    def _note_refusal(self, key: str, error: api.MaveraError) -> None:
        """Note that nothing came of a record; raises what every other record would meet as well."""
        stops = isinstance(error, api.KeyRefused) or not isinstance(error, api.Refused)
        self._note(Result(key, "failed", f"{error}: stopping" if stops else str(error)))
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
        found = self._look(call)
        if found.answer:
            spent = self._close(call_id, found.answer, step.price.high, "look up")
            if found.answer.state == "waiting":
                return None
            if found.answer.state == "failed":
                return self._ended(call, found.answer, spent)
            return Result(key, done, f"{done} {found.answer.shown_id}, its answer was lost", spent)
        if found.doubt or young:
            return Result(key, "unknown", f"{error}; {found.doubt or 'the next run looks it up'}")
        self._write_off(call)
        return Result(key, "failed", f"{error}; nothing came of it")

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


class _Interrupt:
    """Lets SIGINT or SIGTERM end a run after the call in flight; a second one, or 30 s, gives that up too."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.requested = False
        self._say = say
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
            self._before[number] = signal.signal(number, self._hear)

    def __exit__(self, *_: object) -> None:
        signal.alarm(0)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _hear(self, _number: int, _frame: object) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        signal.alarm(LAST_CALL_SECONDS)
        self._say(f"stopping after the call in flight, in {LAST_CALL_SECONDS} s at most")
