"""What several test files need is made once a run, by the first worker that needs it. The others wait."""

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path


def once(folder: Path, make: Callable[[Path], object]) -> Path:
    """Return `folder`, which `make` has filled, now or earlier in this run. Tests only read or copy it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = folder.with_name(f"{folder.name}.made")
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)  # left by a test that failed to make it
            folder.mkdir()
            make(folder)
            made.touch()
    return folder
