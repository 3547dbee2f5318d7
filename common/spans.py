"""Where the time of a run goes: the seconds of its parts, and on request a trace that a browser draws.

The seconds of a part are its own, without those of parts within it, added up over threads that run side by
side. The trace has the format of Chrome's trace events, which ui.perfetto.dev and chrome://tracing open.
"""

import functools
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, NamedTuple, ParamSpec, TypeVar

Part = Literal["vendor", "allowance", "parse", "compare", "load", "model", "test", "publish"]
"""What takes time: answers of a vendor, waiting for its allowance, reading its pages, comparing rows with
those that were there, loading them, models, their tests, and the published copy."""

P = ParamSpec("P")
T = TypeVar("T")

KEPT: Final = 200_000
"""Spans kept for a trace; later ones only count."""


class Span(NamedTuple):
    """One act: `began` and `seconds` by a clock that only runs forward."""

    part: Part
    what: str
    began: float
    seconds: float
    thread: int


class _Here(threading.local):
    within: tuple[float, ...] = ()  # for each open span, the seconds of those within it that ended


_here = _Here()
_turn = threading.Lock()
_seconds: Counter[Part] = Counter()
_kept: list[Span] = []
_is_traced = threading.Event()


def trace() -> None:
    """Keep every span from now on, for `write`; without this they are only counted."""
    _is_traced.set()


@contextmanager
def span(part: Part, what: str = "") -> Iterator[None]:
    """Count the time of the block as `part`; `what` names it in the trace."""
    began = time.perf_counter()
    _here.within = (*_here.within, 0.0)
    try:
        yield
    finally:
        seconds = time.perf_counter() - began
        *outer, inner = _here.within
        _here.within = (*outer[:-1], outer[-1] + seconds) if outer else ()
        _add(Span(part, what, began, seconds, threading.get_ident()), seconds - inner)


def ended(part: Part, what: str, seconds: float) -> None:
    """Count an act that has just ended and was measured by somebody else."""
    _add(Span(part, what, time.perf_counter() - seconds, seconds, threading.get_ident()), seconds)


def _add(span: Span, own_seconds: float) -> None:
    with _turn:
        _seconds[span.part] += own_seconds  # type: ignore[assignment]
        if _is_traced.is_set() and len(_kept) < KEPT:
            _kept.append(span)


def spent_on(part: Part) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Count the time of a function as `part`, under its name."""

    def counted(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def within(*args: P.args, **kwargs: P.kwargs) -> T:
            with span(part, function.__name__.strip("_")):
                return function(*args, **kwargs)

        return within

    return counted


def seconds() -> dict[str, float]:
    """Return the seconds of each part of this process so far, the most first."""
    with _turn:
        return {part: round(spent, 3) for part, spent in _seconds.most_common()}


def write(path: Path, step: str) -> None:
    """Add the spans of this process to the trace at `path`, one event per line."""
    with _turn:
        kept = list(_kept)
    numbers = {thread: number for number, thread in enumerate(dict.fromkeys(each.thread for each in kept))}
    here = os.getpid()
    events: list[dict[str, object]] = [
        {"ph": "M", "name": "process_name", "pid": here, "args": {"name": step}}
    ]
    for each in kept:
        when = {"ts": round(each.began * 1e6), "dur": round(each.seconds * 1e6)}
        name = {"name": each.what or each.part, "cat": each.part}
        events.append({"ph": "X", "pid": here, "tid": numbers[each.thread], **name, **when})
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    with path.open("a", encoding="utf-8") as file:
        # The format allows an array that nobody closes, so that every step can add to it.
        file.write("[\n" if is_new else "")
        file.writelines(f"{json.dumps(event)},\n" for event in events)
