"""The pace of requests: one rule for every vendor and for Mavera."""

import math
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import NamedTuple

LONGEST_WAIT_SECONDS = 90.0
SPARE_SECONDS = 0.1
"""How long after the start of a new window the next request leaves: requests take unequally long to arrive.
"""
LONGEST_WINDOW_SECONDS = 3_600.0
"""The longest window of a rate limit in a header; a longer one means a refusal instead of a pace."""


Windows = Sequence[tuple[int, float]]
"""Requests and the seconds in which so many are allowed."""


class Turn(NamedTuple):
    """How long to wait before a request may leave, and why."""

    seconds: float
    reason: str


class Pace:
    """Schedule the requests to each bucket, by the vendor's windows and the pauses it asks for.

    Windows are sliding: no stretch of a window's length has more requests than it allows, wherever the vendor
    starts counting. They may be a function of the bucket, and answers tell more of them. A turn is counted
    before it is slept out, so threads queue in order. No pause is longer than `longest` seconds. `is_exact`
    adds no slack, where the counts leave room already. A vendor's resets are compared with the clock `wall`.
    """

    def __init__(
        self,
        windows: Windows | Callable[[str], Windows] = (),
        *,
        longest: float = LONGEST_WAIT_SECONDS,
        is_exact: bool = False,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._given = windows
        self._longest = longest
        self._slack, self._spare_seconds = (0.0, 0.0) if is_exact else (0.02, SPARE_SECONDS)
        self._clock, self._wall = clock, wall
        self._sent: dict[str, dict[tuple[int, float], deque[float]]] = {}
        self._hold: dict[str, float] = {}
        self._lock = threading.Lock()

    def turn(self, bucket: str) -> Turn:
        """Count a request to `bucket`, and return how long it has to wait before it may leave."""
        with self._lock:
            now = self._clock()
            turn = self._turn(bucket, now)
            for sent in self._windows(bucket).values():
                sent.append(now + turn.seconds)
        return turn

    def room(self, bucket: str) -> Turn:
        """Return how long a request to `bucket` would have to wait, without counting one."""
        with self._lock:
            return self._turn(bucket, self._clock())

    def knows(self, bucket: str) -> bool:
        """Whether any window of a bucket is known."""
        with self._lock:
            return bool(self._windows(bucket))

    def _turn(self, bucket: str, now: float) -> Turn:
        at, reason = max(now, self._hold.get(bucket, 0.0)), "the vendor asked for it"
        for (count, seconds), sent in self._windows(bucket).items():
            length = seconds + max(seconds * self._slack, self._spare_seconds)
            free = sent[0] + length if len(sent) == count else 0.0
            if free > at:
                at, reason = free, f"{count} in {seconds:.0f} s reached"
        return Turn(at - now, reason)

    def hold(self, bucket: str, seconds: float) -> None:
        """Let nothing leave to `bucket` for so long."""
        with self._lock:
            until = self._clock() + min(seconds, self._longest)
            self._hold[bucket] = max(until, self._hold.get(bucket, 0.0))

    def learn(self, bucket: str, headers: Mapping[str, str]) -> None:
        """Read windows and their remaining requests from an answer, in either spelling of the vendors.

        `RateLimit-Limit: 10, 10;w=1, 150;w=60` names windows and its reset counts seconds;
        `X-RateLimit-Reset` is a Unix time.
        """
        windows = re.findall(r"\b(\d{1,9});w=(\d{1,9})\b", headers.get("RateLimit-Limit", ""))
        left = number(headers.get("RateLimit-Remaining"))
        # An allowance that our own request did not lessen is not being counted.
        if windows and left is not None and left < int(windows[0][0]):
            with self._lock:
                known = self._windows(bucket)
                for count, seconds in windows:
                    if int(count) and float(seconds) <= LONGEST_WINDOW_SECONDS:
                        known.setdefault((int(count), float(seconds)), deque(maxlen=int(count)))
        if headers.get("RateLimit-Remaining") == "0":
            self.hold(bucket, number(headers.get("RateLimit-Reset")) or 0.0)
        elif number(headers.get("X-RateLimit-Remaining")) == 0:
            self.hold(bucket, reset_in(headers, self._wall(), self._spare_seconds) or 0.0)

    def _windows(self, bucket: str) -> dict[tuple[int, float], deque[float]]:
        if bucket not in self._sent:
            given = self._given(bucket) if callable(self._given) else self._given
            self._sent[bucket] = {window: deque(maxlen=window[0]) for window in given}
        return self._sent[bucket]


def number(text: str | None) -> float | None:
    """Return a number of a header, 0 for one below; None if it is none."""
    try:
        number = float(text) if text else math.nan
    except ValueError:
        return None
    return max(number, 0.0) if math.isfinite(number) else None


def retry_after(header: str | None, now: float) -> float | None:
    """Return the seconds that Retry-After names, as a number or as a moment; None if it names neither."""
    seconds = number(header)
    if seconds is not None:
        return seconds
    try:
        named = parsedate_to_datetime(header or "")
    except ValueError:
        return None
    return max((named if named.tzinfo else named.replace(tzinfo=UTC)).timestamp() - now, 0.0)


def reset_in(
    headers: Mapping[str, str], now: float | None = None, spare_seconds: float = SPARE_SECONDS
) -> float | None:
    """Return the seconds until the vendor accepts requests again; None if it does not say."""
    now = time.time() if now is None else now
    after = retry_after(headers.get("Retry-After"), now)
    if after is not None:
        return after
    reset = number(headers.get("X-RateLimit-Reset"))
    return None if reset is None else max(reset - now, 0.0) + spare_seconds
