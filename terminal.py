"""How every command meets a terminal: a mistake is one line, Ctrl-C is one line, and neither a letter that a
stream does not know nor a reader that has gone stops anything.

Commands import it first: loading the rest takes a second or two, in which somebody may press Ctrl-C.
"""

import io
import json
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable
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
_INTERRUPTED = 128 + signal.SIGINT  # what typer makes of a KeyboardInterrupt

_interrupts: list[int] = []
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
    if mistakes:
        sys.argv = [sys.argv[0], *(argument for argument in sys.argv[1:] if argument != DEBUG)]
    _interrupts.clear()
    signal.signal(signal.SIGINT, _interrupt)
    try:
        command(prog_name=_typed())
    except (*mistakes, *half_done) as error:
        if is_debugging:
            traceback.print_exc()
        if was_interrupted():
            _end_at_once(stopped, FAILED)
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(FAILED if isinstance(error, half_done) else NOT_STARTED)
    except KeyboardInterrupt:
        _end_at_once(stopped, FAILED)
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:
            _end_at_once(stopped, FAILED)
        raise
    sys.exit(0)


def _typed() -> str | None:
    """Return the command as the docs have people type it, for its help; None where it is no module's."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return f"python -m {spec.name.removesuffix('.__main__')}" if spec else None


def was_interrupted() -> bool:
    """Whether somebody pressed Ctrl-C, for who calls a library that makes another error of it."""
    return bool(_interrupts)


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
    import settings  # every command has loaded it by now

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
        said = line.strip()
        if not said:
            return
        level = self.LEVELS.get(re.split(r"[:\s]", said, maxsplit=1)[0].lower(), "info")
        entry = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "level": level, "text": said}
        self._stream.write(json.dumps(entry, ensure_ascii=False) + "\n")


def _interrupt(number: int, _: FrameType | None) -> NoReturn:
    _interrupts.append(number)
    raise KeyboardInterrupt


def _end_at_once(words: str, code: int) -> NoReturn:
    """Say why and end. Threads of a library have nothing to save and would be waited for, and Python forgets
    the code of who leaves after an interrupt within an import.
    """
    print(words, file=sys.stderr, flush=True)  # noqa: T201
    sys.stdout.flush()
    if shared := sys.modules.get("multiprocessing.util"):
        shared._run_finalizers(0)  # semaphores that were left would be complained of after the last line
    os._exit(code)


def _say_no_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Stand in for Python's own last words, for a Ctrl-C that comes before a command runs."""
    if issubclass(kind, KeyboardInterrupt):
        _end_at_once("stopped before anything was done", NOT_STARTED)
    else:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _say_no_traceback
