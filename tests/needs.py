"""Optional requirements of some tests: a browser, a database server, a scheduler.

On a machine without it such a test is skipped. With CI=true nothing is skipped: the test fails.
"""

import os
import shutil
from pathlib import Path
from typing import Final, NoReturn

import pytest

IS_CI: Final = os.environ.get("CI") == "true"


def absent(what: str) -> NoReturn:
    """Skip the test because `what` is missing, or fail it in CI."""
    if IS_CI:
        pytest.fail(f"CI runs every test, and this one needs {what}")
    pytest.skip(f"needs {what}")


def program(*names: str) -> Path | None:
    """Return the first of these programs that is installed."""
    found = (shutil.which(name) for name in names)
    return next((Path(path) for path in found if path), None)
