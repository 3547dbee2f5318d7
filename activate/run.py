"""One run of `apply`: its shared state, the result of each record, and its interruption."""

import signal
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, get_args

from activate.ledger.journal import Ledger
from activate.mavera import Mavera
from activate.plan import Record
from activate.planning import Limits

LAST_CALL_SECONDS: Final = 30

State = Literal[
    "created", "updated", "adopted", "unchanged", "waiting", "held", "unknown", "failed", "not sent"
]
STATES: Final[tuple[State, ...]] = get_args(State)


class Result(NamedTuple):
    """The result of one record, with its credits in this run."""

    key: str
    state: State
    text: str
    credits: int = 0


@dataclass
class Outcome:
    """The outcome of a run. `results` has one entry per wanted record; `stopped` says why it ended early.

    `undecided` records wait for a person's decision: a remote object may be theirs, or it never ends. `stuck`
    records are those whose object never ends.
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


class Interrupt:
    """Let SIGINT or SIGTERM end a run after the requests under way; a second signal, or 30 s, leaves them."""

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
        self._say(f"stopping after the requests under way, in {LAST_CALL_SECONDS} s at most")


@dataclass
class Run:
    """The shared state of one run: the ledger, Mavera, the limits, and the outcome so far."""

    wanted: Sequence[Record]
    ledger: Ledger
    mavera: Mavera
    kinds: Sequence[str]
    limits: Limits
    tell: Callable[[Result], None]
    say: Callable[[str], None]
    run_id: str | None = None
    outcome: Outcome = field(default_factory=Outcome)

    def __post_init__(self) -> None:
        self.interrupt = Interrupt(self.say)

    def note(self, result: Result) -> None:
        self.outcome.credits += result.credits
        self.outcome.results[result.key] = result
        self.tell(result)

    def stop_if_told(self) -> None:
        """Raise KeyboardInterrupt between two requests if a signal has arrived."""
        if self.interrupt.requested:
            raise KeyboardInterrupt
