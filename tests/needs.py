"""Optional requirements of some tests: a browser, a database server, a scheduler.

On a machine without it such a test is skipped. With CI=true nothing is skipped: the test fails.
Those of Spark run by themselves, and fail with REQUIRE_SPARK=1.
"""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NoReturn

import pytest

IS_CI: Final = os.environ.get("CI") == "true"
IS_SPARK_REQUIRED: Final = os.environ.get("REQUIRE_SPARK") == "1"


def absent(what: str, is_required: bool = IS_CI) -> NoReturn:
    """Skip the test because `what` is missing, or fail it in CI."""
    if is_required:
        pytest.fail(f"CI runs every test, and this one needs {what}")
    pytest.skip(f"needs {what}")


def spark() -> None:
    """Skip the test without Java or pyspark, or fail it if REQUIRE_SPARK=1."""
    from operate import cluster

    if not find_spec("pyspark"):
        absent("build/spark: make test-spark", IS_SPARK_REQUIRED)
    if cluster.java_problem():
        absent(cluster.JAVA_NEEDED, IS_SPARK_REQUIRED)


def program(*names: str) -> Path | None:
    """Return the first of these programs that is installed."""
    found = (shutil.which(name) for name in names)
    return next((Path(path) for path in found if path), None)
