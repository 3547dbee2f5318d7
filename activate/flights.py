"""Requests to Mavera that are under way at once, and their results in the order in which they were sent.

Each request has a thread of its own. The rest of a run has one thread: it announces, sends and records.
"""

import queue
import threading
from collections.abc import Callable
from typing import NamedTuple

from activate.answers import Answer
from activate.run import Result


class Landed(NamedTuple):
    """How the request with a number ended: with an answer, or with an error."""

    number: int
    answer: Answer | None
    error: Exception | None = None


def landed(number: int, request: Callable[[], Answer]) -> Landed:
    """Make a request and return how it ended."""
    try:
        return Landed(number, request())
    except Exception as error:  # the thread that announced the request handles it
        return Landed(number, None, error)


class Flights:
    """Make requests, each in a thread of its own, and hand their ends on as they come.

    A run that is told twice to stop leaves requests behind. Their threads do not keep the process alive.
    """

    def __init__(self) -> None:
        self._ended: queue.SimpleQueue[Landed] = queue.SimpleQueue()

    def begin(self, number: int, request: Callable[[], Answer]) -> None:
        threading.Thread(target=lambda: self._ended.put(landed(number, request)), daemon=True).start()

    def next(self, seconds: float | None = None) -> Landed | None:
        """Wait for the next end of a request, for at most so many seconds; None if none came."""
        try:
            return self._ended.get(timeout=seconds)
        except queue.Empty:
            return None


class InOrder:
    """Note results in the order in which their places were taken, whenever each becomes known."""

    def __init__(self, note: Callable[[Result], None]) -> None:
        self._note = note
        self._known: dict[int, Result | None] = {}
        self._first = self._taken = 0

    def take(self) -> int:
        """Return the next place."""
        self._taken += 1
        return self._taken - 1

    def put(self, place: int, result: Result | None) -> None:
        """Note the result of a place (None if it has none yet) once all places before it are known."""
        self._known[place] = result
        while self._first in self._known:
            known = self._known.pop(self._first)
            self._first += 1
            if known:
                self._note(known)

    def end(self) -> None:
        """Note the known results behind places that stay unknown."""
        for place in sorted(self._known):
            if known := self._known.pop(place):
                self._note(known)
        self._first = self._taken
