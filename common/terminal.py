"""The behavior of every command in a terminal: a mistake or Ctrl-C prints one line, and unencodable
characters and closed pipes never abort a run.

Commands import it first, because the other imports take a second or two, and Ctrl-C may come during them.

Ctrl-C ends a command at once. Python delivers signals to its main thread only. That thread may be in a
library that swallows KeyboardInterrupt or has replaced our handler. A second thread therefore receives every
press as well, and ends the process if it does not end by itself. A run may end at any moment: the next run
repeats everything that was not committed.
"""

import atexit
import gc
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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType, MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Final, NoReturn, TextIO, cast

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

DEBUG = "--debug"
DEBUG_HELP = "With --debug, errors show where they were raised."
FAILED = 1
NOT_STARTED = 2
GRACE_SECONDS = 0.5
"""How long an interrupted command may take to clean up its files."""

IMPORTED_OBJECTS: Final = 200_000

_GC_THRESHOLDS: Final = gc.get_threshold()
_rights_taken = os.umask(0o022)
os.umask(_rights_taken)  # the umask cannot be read without setting it


def share(file: Path) -> None:
    """Give a file that other users may read the rights that the umask allows."""
    file.chmod(0o666 & ~_rights_taken)


def make_shared_folder(folder: Path) -> None:
    """Create a folder and its missing parents with the rights that the umask allows."""
    for each in [parent for parent in (*reversed(folder.parents), folder) if not parent.exists()]:
        each.mkdir()
        each.chmod(0o777 & ~_rights_taken)


@dataclass
class _State:
    """The current effect of Ctrl-C; at first, nothing has begun and there is nothing to clean up."""

    words: str = "stopped before anything was done"
    code: int = NOT_STARTED
    grace_seconds: float = 0.0
    is_left_to_command: bool = False
    was_interrupted: bool = False
    hushed: int | None = None  # the error stream before it was silenced
    is_command: bool = False
    is_ending: bool = False
    last_acts: list[Callable[[], object]] = field(default_factory=list)


_state = _State()
_one_at_a_time = threading.RLock()


def run(
    command: Callable[..., object],
    *mistakes: type[Exception],
    half_done: tuple[type[Exception], ...] = (),
    stopped: str,
    codes: Mapping[int, int] = MappingProxyType({}),
) -> NoReturn:
    """Run a typer application to its end and leave with its exit code.

    `mistakes` are errors whose text says what to do: they print one line and end with code 2. With --debug
    anywhere in the arguments, a traceback comes first. `half_done` errors end with code 1. Ctrl-C prints
    `stopped` and ends with code 1, even if a library has turned it into another error. `codes` replaces exit
    codes. An application without mistakes reads --debug itself.
    """
    if sys.stdout is sys.__stdout__:  # a test may have replaced it
        sys.stdout, sys.stderr = _patient(sys.stdout), _patient(sys.stderr)
        if _logs_json():
            sys.stderr = cast(TextIO, JsonLines(sys.stderr))
    os.umask(0o077)  # only the owner may read personal data and money; shared files set their own rights
    is_debugging = DEBUG in sys.argv
    _state.words, _state.code, _state.grace_seconds = stopped, FAILED, GRACE_SECONDS
    _state.was_interrupted = False
    if mistakes:
        sys.argv = [sys.argv[0], *(argument for argument in sys.argv[1:] if argument != DEBUG)]
    signal.signal(signal.SIGINT, _interrupt)
    _collect_as_usual()
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
    except Exception:
        if not was_interrupted():  # a library may turn Ctrl-C into an error of its own
            raise
    if was_interrupted():
        _end_at_once(stopped, FAILED)
    _end(codes.get(code, code) if isinstance(code, int) else code)


def _end(code: object) -> NoReturn:
    """End with this exit code. Ctrl-C ends only the cleanup, because the outcome is known."""
    _state.words, _state.code, _state.grace_seconds = "", code if isinstance(code, int) else 0, 0.0
    gc.unfreeze()
    if _state.is_command and isinstance(code, int | None) and not _needs_cleanup():
        _end_without_cleanup(code or 0)
    sys.exit(code)  # type: ignore[arg-type]


def _needs_cleanup() -> bool:
    """Whether there is a thread at work, a profiler, or a database that dbt left open."""
    is_at_work = any(not each.daemon for each in threading.enumerate() if each is not threading.main_thread())
    return bool(is_at_work or sys.getprofile() or sys.gettrace() or "dbt.adapters" in sys.modules)


def _end_without_cleanup(code: int) -> NoReturn:
    """End as Python does, but without freeing every object, which takes up to a quarter of a second."""
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.close() if isinstance(sys.stderr, JsonLines) else sys.stderr.flush()
    except (OSError, ValueError):
        sys.exit(code)
    os._exit(code)


def _collect_as_usual() -> None:
    if _state.is_command:
        gc.freeze()  # imported objects live until the end
        gc.set_threshold(*_GC_THRESHOLDS)


def _typed() -> str | None:
    """Return the command as in the docs, for its help; None if it is not a module."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return f"python -m {spec.name.removesuffix('.__main__')}" if spec else None


def was_interrupted() -> bool:
    """Whether Ctrl-C was pressed, for callers of libraries that turn it into another error."""
    return _state.was_interrupted


@contextmanager
def left_to_command() -> Iterator[None]:
    """Let a command handle Ctrl-C itself within the block, such as a prompt or requests under way."""
    before, _state.is_left_to_command = _state.is_left_to_command, True
    # The watcher must not receive a press of this block after its end. Only the main thread may stop it.
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
    """Call `act` if Ctrl-C ends the process before the block has ended."""
    _state.last_acts.append(act)
    try:
        yield
    finally:
        _state.last_acts.remove(act)


class _Pipe(io.FileIO):
    """A stream that ignores closed pipes: they change neither the work nor its exit code."""

    def write(self, data: "Buffer", /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes


def _patient(stream: TextIO) -> TextIO:
    """Return a stream that tolerates closed pipes, and prints the codes of unencodable characters."""
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Pipe(stream.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=True,
    )


def _logs_json() -> bool:
    from common import settings  # every command has already loaded it

    try:
        return settings.load().log == "json"
    except settings.SettingsError:  # the command itself reports it
        return False


class JsonLines(io.TextIOBase):
    """A stream that turns each line into a JSON object with its time, level, text and further facts."""

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
            self.write_line(line)

    def write_line(self, line: str, **facts: object) -> None:
        self._stream.write(self.of(line, **facts))

    def of(self, line: str, **facts: object) -> str:
        """Return the object of one line."""
        said = line.strip()
        level = self.LEVELS.get(re.split(r"[:\s]", said, maxsplit=1)[0].lower(), "info")
        entry = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": level,
            "text": said,
            **facts,
        }
        return json.dumps(entry, ensure_ascii=False) + "\n"


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Handle Ctrl-C in the main thread."""
    if _state.is_ending:
        return
    if not _state.is_left_to_command:
        _state.was_interrupted = True
        if not _state.grace_seconds:
            _end_at_once(_state.words, _state.code)
        _hush()
    raise KeyboardInterrupt


def _watch(presses: int) -> None:
    """Receive every press, whatever the main thread does; after the first, wait for another or a moment."""
    while True:
        (number,) = os.read(presses, 1)
        if number != signal.SIGINT or _state.is_left_to_command:
            continue
        _state.was_interrupted = True
        _hush()
        select.select([presses], [], [], _state.grace_seconds)
        _end_at_once(_state.words, _state.code, forced=True)


def _hush() -> None:
    """Silence libraries about an interrupt; our own last line is still printed."""
    with _one_at_a_time:
        if _state.hushed is None:
            _state.hushed = os.dup(2)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)


def _end_at_once(words: str, code: int, *, forced: bool = False) -> NoReturn:
    """Print the reason and end at once, without waiting for a library's threads, which have nothing to save.
    After an interrupt within an import, Python would lose the exit code.
    """
    with _one_at_a_time:
        is_second, _state.is_ending = _state.is_ending, True
    if is_second:
        while True:  # the other thread ends the process
            time.sleep(1)
    _hush()
    try:
        for act in _state.last_acts if forced else ():
            act()
        if os.isatty(_state.hushed or 2):
            os.write(_state.hushed or 2, b"\r\x1b[K\x1b[?25h")  # progress hides the cursor, on its last row
        if words:
            line = sys.stderr.of(words) if isinstance(sys.stderr, JsonLines) else f"{words}\n"
            os.write(_state.hushed or 2, line.encode())
        if shared := sys.modules.get("multiprocessing.util"):
            shared._run_finalizers(0)  # otherwise warnings about leaked semaphores would follow
    finally:
        os._exit(code)


def _say_no_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Replace Python's traceback for a Ctrl-C that comes before a command runs."""
    if issubclass(kind, KeyboardInterrupt):
        _end_at_once(_state.words, _state.code)
    else:
        sys.__excepthook__(kind, error, trace)


def _is_command() -> bool:
    """Whether this process is one of the project's commands and not another program that imports from it.

    Code for `python -c` is a command if it imports this module itself. A worker of pytest-xdist is such a
    process too, but reads its code from a pipe: it must not be ended in the middle of a test.
    """
    if sys.argv[0] == "-c":
        return any("import terminal" in argument for argument in sys.orig_argv)
    root, program = Path(__file__).resolve().parents[1], Path(sys.argv[0])
    return program.parent.resolve() in {root, *root.glob("[a-z]*/")}


def _listen() -> None:
    """Handle Ctrl-C from the first import on."""
    if threading.current_thread() is not threading.main_thread() or not _is_command():
        return
    _state.is_command = True
    gc.set_threshold(IMPORTED_OBJECTS)  # until run(): collections during the imports find nothing
    hearing, telling = os.pipe()
    os.set_blocking(telling, False)
    signal.set_wakeup_fd(telling, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(hearing,), daemon=True, name="Ctrl-C").start()
    signal.signal(signal.SIGINT, _interrupt)
    sys.excepthook = _say_no_traceback


_listen()
