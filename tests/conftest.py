"""One environment and one date for every test, whatever the shell, make or a CI server has set."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2.sandbox
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as examples

from common import settings
from tests import pure

if TYPE_CHECKING:
    import duckdb

OURS = {name.upper() for name in settings.Settings.model_fields}
# make passes its options to every make below it. dbt and dlt read options from names with these prefixes. The
# others make Click, Rich and Typer count columns and colors or treat any stream as a terminal.
BEGINNINGS = ("MAKE", "DBT_", "DLT_", "RUNTIME__", "GITHUB_", "TYPER_", "_TYPER_")
OTHERS = {
    "PEOPLE",
    "PORT",
    "PLAN",
    "Q",
    "AS",
    "SEEDS",
    "NAME",
    "KIND",
    "M",
    "BY",
    "WHERE",
    "LIMIT",
    "AT",
    "TO",
}
OTHERS |= {"MFLAGS", "GNUMAKEFLAGS", "COLUMNS", "LINES"}
OTHERS |= {"NO_COLOR", "FORCE_COLOR", "PY_COLORS", "CLICOLOR", "CLICOLOR_FORCE"}

for name in list(os.environ):
    if name.upper() in OURS | OTHERS or name.startswith(BEGINNINGS):
        del os.environ[name]

os.umask(0o077)  # as in every command

# As in the Makefile, and without the clone's `.env`.
os.environ |= {"DO_NOT_TRACK": "1", "RUNTIME__DLTHUB_TELEMETRY": "false", "PYTHONUTF8": "1"}
os.environ["ENV_FILE"] = os.devnull
os.environ |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}  # the sandbox's address
# The clone's data are hidden as well: nothing can be below a file, so a test without paths of its own finds
# nothing there and cannot leave anything.
os.environ |= {name: f"{os.devnull}/{name.lower()}" for name in OURS if name.endswith("_PATH")}
os.environ["LAKE_URL"] = f"{os.devnull}/lake"
os.environ["LEDGER_URL"] = f"sqlite:///{os.devnull}/ledger.sqlite"

# The same examples every day, however long they take: new ones are searched by hand, not by CI.
examples.register_profile(
    "sure", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
examples.load_profile("sure")

LAST_SECONDS = 60  # of a day; longer than a test that counts requests


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Start no test just before midnight UTC: the budget's month and ages in days would change within it."""
    left = 86_400 - time.time() % 86_400
    if left < LAST_SECONDS:
        time.sleep(left)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the quick files at the end, so that the workers end together."""
    quick = set(pure.files()) if len({item.path for item in items}) > 1 else set()
    items.sort(key=lambda item: item.path in quick)


@pytest.fixture(scope="session", autouse=True)
def parsed_once() -> Iterator[None]:
    """Parse and compile each text of the jobs once, not once a plan. dbt has environments of its own."""
    kept: dict[object, object] = {}
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment

    def once(name: str) -> Callable[..., object]:
        usual = getattr(environment, name)

        def instead(*of: object, **options: object) -> object:
            key = (name, *of[1:], *options.items())
            return kept[key] if key in kept else kept.setdefault(key, usual(*of, **options))

        return instead

    with pytest.MonkeyPatch.context() as patch:
        for name in ("parse", "compile"):
            patch.setattr(environment, name, once(name))
        yield


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """The folder of what is made once for all workers; see tests/shared.py."""
    base = tmp_path_factory.getbasetemp()
    # Not by the environment: a test's own pytest inherits it. The parent of its folder is that of every run.
    return base.parent if hasattr(request.config, "workerinput") else base


@pytest.fixture(scope="session")
def small_warehouse(shared: Path) -> Path:
    """The models over rows that can be counted by hand, built and tested. Tests only read it."""
    from tests import small  # other tests do not wait for dbt and DuckDB

    return small.small(shared)


@pytest.fixture(scope="session")
def kept_statements(small_warehouse: Path) -> None:
    """Wait until dbt has built the small warehouse: every later `transform` sends the same statements."""


@pytest.fixture(scope="session")
def whole_warehouse(shared: Path) -> Path:
    """The same with additional rows, so that every column of a mart has a value."""
    from tests import small

    return small.whole(shared)


@pytest.fixture(scope="module")
def small(small_warehouse: Path) -> Iterator["duckdb.DuckDBPyConnection"]:
    """A connection to the small warehouse, to read."""
    import duckdb

    with duckdb.connect(str(small_warehouse), read_only=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def manifest(shared: Path) -> Mapping[str, Any]:
    """The project's manifest as dbt writes it."""
    from tests import small

    return small.manifest(shared)


@pytest.fixture(scope="session")
def models(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
