"""What a long step is at: its active parts on a terminal, elsewhere one line for each part that ended.

Progress goes to stderr. With LOG=json, each line is an object that also counts what is done.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from math import ceil, log2
from threading import RLock
from typing import Final, NamedTuple, Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from common.terminal import JsonLines

BAR: Final = 12
"""The columns of a bar."""
FULLEST: Final = 0.95
"""A bar is never full: what is shown still waits, at least for being written."""
NAME: Final = 31
TOLD_SECONDS: Final = 10
"""How often a long step with many short parts is told to programs."""


class State(NamedTuple):
    """What a part is at: in words, and how much of a known total is done.

    Without words, the part is not shown. One that `is_queued` is only counted, by its words.
    """

    text: str
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    request_count: int = 0
    is_queued: bool = False


def clock(seconds: float) -> str:
    """Format seconds as a clock does, without leading zeros: 0:41, 1:02:03."""
    return f"{timedelta(seconds=ceil(seconds))}".removeprefix("0:").removeprefix("0")


class Progress:
    """A step of a command while it runs.

    It does `work`, such as "tables"; `total` counts them. Until a total is known, it says `at_first`. On a
    terminal, active parts have a row each, the slowest on top; those that ended are only counted.
    """

    def __init__(
        self, step: str, work: str, total: int = 0, *, at_first: str = "", console: Console | None = None
    ) -> None:
        self.step, self.work, self.total, self.done = step, work, total, 0
        self.at_first = at_first or work
        self._began = self._told = time.monotonic()
        self._parts: dict[str, tuple[float, Callable[[float], State]]] = {}
        self._turn = RLock()
        console = console or Console(stderr=True)
        self._live = Live(self, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)
        self.is_live = console.is_interactive

    def __enter__(self) -> Self:
        if self.is_live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_live:
            self._live.stop()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def begin(self, part: str, state: Callable[[float], State] | None = None) -> None:
        """Show a part; `state` is asked for each time, with the seconds since the part began."""
        with self._turn:
            self._parts[part] = time.monotonic(), state or (lambda seconds: State(clock(seconds)))

    def end(self, part: str, line: str = "", **facts: object) -> None:
        """Count a part as done, and say `line` of it unless it had a row on a terminal."""
        with self._turn:
            self._parts.pop(part, None)
            self.done += 1
        if line and not self.is_live:
            self.say(line, **facts)

    def say(self, line: str, **facts: object) -> None:
        """Print a line now, with the time; `facts` are for programs."""
        line = f"{datetime.now():%H:%M:%S} {line}"
        if isinstance(sys.stderr, JsonLines):
            counts = {"step": self.step, "work": self.work, "done": self.done, "total": self.total}
            sys.stderr.write_line(line, progress=counts | facts)
        elif self.is_live:
            self._live.console.print(line, highlight=False, markup=False, soft_wrap=True)
        else:
            print(line, file=sys.stderr)  # noqa: T201

    def tell(self) -> None:
        """Say how far the step is, to programs alone and not too often."""
        if isinstance(sys.stderr, JsonLines) and time.monotonic() - self._told >= TOLD_SECONDS:
            self._told = time.monotonic()
            self.say(f"{self.step}: {self._counted()}")

    def _counted(self) -> str:
        return f"{self.done:,} of {self.total:,} {self.work}" if self.total else self.at_first

    def _rows(self) -> Iterator[tuple[float, str, State]]:
        """Yield the active parts, each with the seconds that it will take: if unknown, as many as it took."""
        now = time.monotonic()
        with self._turn:
            parts = list(self._parts.items())
        for name, (began, asked) in parts:
            if (state := asked(now - began)).text:
                yield now - began if state.seconds_left is None else state.seconds_left, name, state

    def __rich_console__(self, console: Console, _options: ConsoleOptions) -> RenderResult:
        every = sorted(self._rows(), key=_slowness, reverse=True)
        rows = [row for row in every if not row[2].is_queued]
        shown = rows[: max(console.height - 3, 1)]
        columns = (Column(no_wrap=True, width=NAME), Column(width=BAR), Column(no_wrap=True))
        grid = Table(*columns, box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
        grid.add_row(
            self.step, bar(self.done, self.total), f"{self._counted()}  {clock(self.seconds)}".strip()
        )
        for _, name, state in shown:
            grid.add_row(Text(name), bar(state.done, state.total), Text(state.text))
        yield grid
        left = Counter({"more": len(rows) - len(shown)}) + Counter(
            state.text for _, _, state in every if state.is_queued
        )
        if left:
            yield f"and {', '.join(f'{count:,} {word}' for word, count in left.items())}"


def _slowness(row: tuple[float, str, State]) -> tuple[int, int]:
    """Return the rank of a part; those of about the same speed keep their order, so that rows do not jump."""
    seconds, _, state = row
    return int(log2(1 + seconds)), int(log2(1 + state.request_count))


@contextmanager
def step(command: str, work: str, total: int = 0, at_first: str = "") -> Iterator[Progress]:
    """Show a step of a command; elsewhere than on a terminal, say at its end how long it took."""
    with Progress(command, work, total, at_first=at_first) as progress:
        yield progress
    if not progress.is_live:
        done = f"{progress.done:,} {work}" if progress.done else work
        progress.say(
            f"{command:<9} {done:<47} {progress.seconds:>5.0f} s", seconds=round(progress.seconds, 1)
        )


def bar(done: int, total: int) -> ProgressBar | str:
    """Return a bar that is never full, or nothing if nobody knows the total."""
    return ProgressBar(total, min(done, FULLEST * total), BAR) if total else ""
