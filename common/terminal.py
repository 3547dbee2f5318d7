"""How every command meets a terminal: a mistake is one line, Ctrl-C is one line, and unencodable letters and
closed pipes never abort a run.

Commands import it first: loading the rest takes a second or two, in which somebody may press Ctrl-C.

Ctrl-C ends a command at once. Python tells only its main thread of a signal, which may be deep in a library
that keeps the KeyboardInterrupt to itself, or has put a handler of its own in place of ours. A thread
therefore hears every press as well, and ends the process where it does not end by itself. Any instant is a
good one to end at: whatever was not committed is done again by the next run.
"""

import io
import json
import os
import re
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Final, NoReturn, TextIO, cast

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

DEBUG = "--debug"
DEBUG_HELP = "With --debug, errors show where they were raised."
FAILED = 1
NOT_STARTED = 2
GRACE_SECONDS = 0.5
"""How long a command that was interrupted may take to put its files in order."""

_rights_taken = os.umask(0o022)
os.umask(_rights_taken)  # there is no way to only ask


def share(file: Path) -> None:
    """Give a file that readers of other users may open the rights that the umask here leaves them."""
    file.chmod(0o666 & ~_rights_taken)


def make_shared_folder(folder: Path) -> None:
    """Make a folder, and missing ones above it, with the rights that the umask here leaves others."""
    for each in [parent for parent in (*reversed(folder.parents), folder) if not parent.exists()]:
        each.mkdir()
        each.chmod(0o777 & ~_rights_taken)


@dataclass
class _State:
    """What a Ctrl-C means right now: at first nothing has begun, and nothing needs to be put in order."""

    words: str = "stopped before anything was done"
    code: int = NOT_STARTED
    grace_seconds: float = 0.0
    is_left_to_command: bool = False
    was_interrupted: bool = False
    hushed: int | None = None  # the error stream as it was before everything was hushed
    is_ending: bool = False
    last_acts: list[Callable[[], object]] = field(default_factory=list)


_state = _State()
_one_at_a_time = threading.RLock()


def run(
    command: Callable[..., object],
    *mistakes: type[Exception],
    half_done: tuple[type[Exception], ...] = (),
    stopped: str,
) -> NoReturn:
    """Run a typer application to its end and leave with its exit code.

    `mistakes` are errors whose text says what to do: one line and code 2, or, with --debug anywhere among the
    arguments, a traceback before it; those of `half_done` end with code 1. Ctrl-C ends with the words
    `stopped` and code 1, whatever a library made of it on its way up. An application without mistakes reads
    --debug itself.
    """
    if sys.stdout is sys.__stdout__:  # a test may have put something else there
        sys.stdout, sys.stderr = _patient(sys.stdout), _patient(sys.stderr)
        if _logs_json():
            sys.stderr = cast(TextIO, JsonLines(sys.stderr))
    os.umask(0o077)  # personal data and money are nobody else's to read; what is shared says so
    is_debugging = DEBUG in sys.argv
    _state.words, _state.code, _state.grace_seconds = stopped, FAILED, GRACE_SECONDS
    _state.was_interrupted = False
    if mistakes:
        sys.argv = [sys.argv[0], *(argument for argument in sys.argv[1:] if argument != DEBUG)]
    signal.signal(signal.SIGINT, _interrupt)
    code: object = 0
    try:
        command(prog_name=_typed())
    except (*mistakes, *half_done) as error:
        if not was_interrupted():
            if is_debugging:
                traceback.print_exc()
            print(f"error: {error}", file=sys.stderr)  # noqa: T201
        code = FAILED if isinstance(error, half_done) else NOT_STARTED
    except KeyboardInterrupt:
        _end_at_once(stopped, FAILED)
    except SystemExit as ended:
        code = ended.code
    if was_interrupted():
        _end_at_once(stopped, FAILED)
    # The outcome is known. Who presses Ctrl-C while Python tidies up ends that, and changes nothing else.
    _state.words, _state.code, _state.grace_seconds = "", code if isinstance(code, int) else 0, 0.0
    sys.exit(code)  # type: ignore[arg-type]


def _typed() -> str | None:
    """Return the command as the docs have people type it, for its help; None where it is no module's."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return f"python -m {spec.name.removesuffix('.__main__')}" if spec else None


def was_interrupted() -> bool:
    """Whether somebody pressed Ctrl-C, for who calls a library that makes another error of it."""
    return _state.was_interrupted


@contextmanager
def left_to_command() -> Iterator[None]:
    """Let a command deal with Ctrl-C itself within the block: a prompt, or one that ends a call first."""
    before, _state.is_left_to_command = _state.is_left_to_command, True
    # The watcher must not hear a press of this block after its end. Only the main thread may stop it.
    is_main = threading.current_thread() is threading.main_thread()
    heard = signal.set_wakeup_fd(-1) if is_main else -1
    try:
        yield
    finally:
        if heard >= 0:
            signal.set_wakeup_fd(heard, warn_on_full_buffer=False)
        _state.is_left_to_command = before


@contextmanager
def last_act(act: Callable[[], object]) -> Iterator[None]:
    """Have `act` called where Ctrl-C ends the process before the block has ended by itself."""
    _state.last_acts.append(act)
    try:
        yield
    finally:
        _state.last_acts.remove(act)


class _Pipe(io.FileIO):
    """A stream that goes on when nobody reads it any more: that changes nothing of what is done, and of how
    it ended.
    """

    def write(self, data: "Buffer", /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes


def _patient(stream: TextIO) -> TextIO:
    """The same stream for whoever stops reading, and for a locale without a letter: its code is printed."""
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Pipe(stream.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=True,
    )


def _logs_json() -> bool:
    from common import settings  # every command has loaded it by now

    try:
        return settings.load().log == "json"
    except settings.SettingsError:  # which the command itself will say
        return False


class JsonLines(io.TextIOBase):
    """A stream that turns each line into a JSON object: when it was written, its level, its text."""

    LEVELS: Final = {"error": "error", "fail": "error", "warn": "warning"}

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begun = ""

    def write(self, text: str, /) -> int:
        *whole, self._begun = (self._begun + text).split("\n")
        for line in whole:
            self._say(line)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        if self._begun:
            self._say(self._begun)
            self._begun = ""
        super().close()

    def fileno(self) -> int:
        return self._stream.fileno()

    def _say(self, line: str) -> None:
        if line.strip():
            self._stream.write(self.of(line))

    def of(self, line: str) -> str:
        """Return the object of one line."""
        said = line.strip()
        level = self.LEVELS.get(re.split(r"[:\s]", said, maxsplit=1)[0].lower(), "info")
        entry = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "level": level, "text": said}
        return json.dumps(entry, ensure_ascii=False) + "\n"


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Hear a press in the main thread."""
    if _state.is_ending:
        return
    if not _state.is_left_to_command:
        _state.was_interrupted = True
        if not _state.grace_seconds:
            _end_at_once(_state.words, _state.code)
        _hush()
    raise KeyboardInterrupt


def _watch(presses: int) -> None:
    """Hear every press, whatever the main thread is at; after the first, wait for a second or a moment."""
    while True:
        (number,) = os.read(presses, 1)
        if number != signal.SIGINT or _state.is_left_to_command:
            continue
        _state.was_interrupted = True
        _hush()
        select.select([presses], [], [], _state.grace_seconds)
        _end_at_once(_state.words, _state.code, forced=True)


def _hush() -> None:
    """Keep what libraries say of an interrupt from the terminal; the last words still get there."""
    with _one_at_a_time:
        if _state.hushed is None:
            _state.hushed = os.dup(2)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)


def _end_at_once(words: str, code: int, *, forced: bool = False) -> NoReturn:
    """Say why and end. Threads of a library have nothing to save and would be waited for, and Python forgets
    the code of who leaves after an interrupt within an import.
    """
    with _one_at_a_time:
        is_second, _state.is_ending = _state.is_ending, True
    if is_second:
        while True:  # the other thread is at it
            time.sleep(1)
    _hush()
    try:
        for act in _state.last_acts if forced else ():
            act()
        if os.isatty(_state.hushed or 2):
            os.write(_state.hushed or 2, b"\x1b[?25h")  # progress bars hide the cursor
        if words:
            line = sys.stderr.of(words) if isinstance(sys.stderr, JsonLines) else f"{words}\n"
            os.write(_state.hushed or 2, line.encode())
        if shared := sys.modules.get("multiprocessing.util"):
            shared._run_finalizers(0)  # semaphores that were left would be complained of after the last line
    finally:
        os._exit(code)


def _say_no_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Stand in for Python's own last words, for a Ctrl-C that comes before a command runs."""
    if issubclass(kind, KeyboardInterrupt):
        _end_at_once(_state.words, _state.code)
    else:
        sys.__excepthook__(kind, error, trace)


def _is_command() -> bool:
    """Whether this process is one of the project's commands, and no other program that imports from it.

    Code given to `python -c` is a command if it imports this module itself. A worker of pytest-xdist is such
    a process as well, and reads its code from a pipe: it would be ended in the middle of a test.
    """
    if sys.argv[0] == "-c":
        return any("import terminal" in argument for argument in sys.orig_argv)
    root, program = Path(__file__).resolve().parents[1], Path(sys.argv[0])
    return program.parent.resolve() in {root, *root.glob("[a-z]*/")}


def _listen() -> None:
    """Hear Ctrl-C from the first import on."""
    if threading.current_thread() is not threading.main_thread() or not _is_command():
        return
    hearing, telling = os.pipe()
    os.set_blocking(telling, False)
    signal.set_wakeup_fd(telling, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(hearing,), daemon=True, name="Ctrl-C").start()
    signal.signal(signal.SIGINT, _interrupt)
    sys.excepthook = _say_no_traceback


_listen()
