"""Check that everything a run needs is there, and say what to do if not: `make doctor`.

It requests one small page per scope from each vendor, which costs no credits, and checks the project's files.
It writes nothing, and locks the warehouse for a few milliseconds at most.
"""

from common import terminal  # isort: split

import fcntl
import json
import os
import re
import shutil
import textwrap
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib import metadata
from pathlib import Path
from platform import python_version
from typing import Annotated, Final, Literal, NamedTuple
from urllib.parse import urlsplit

import duckdb
import pyarrow as pa
import requests
import typer

from activate.errors import LedgerError
from activate.ledger import lock, opening
from common import copies, warehouse
from common import settings as environment
from common.lake.files import Files, LakeError
from ingest import vendors
from ingest.errors import RefusedError
from ingest.model import Source
from operate import cluster
from privacy import outside, pseudonyms
from transform import docs, spark, stale, statements
from transform.build import TransformError

PACKAGES: Final = ("dlt", "dbt-core", "duckdb")
SPARK_PACKAGES: Final = ("pyspark", "dbt-spark")
PATIENCE_SECONDS: Final = 10.0
CLOCK_SECONDS: Final = 60  # with a larger error, new rows look old or are refused as future
COLUMNS: Final = 80
FOLDERS: Final = ("PIPELINES_PATH", "LAKE_URL")
LEAST_ROOM_BYTES: Final = 200_000_000  # enough for a first load, its models and their copy

State = Literal["ok", "skip", "warn", "fail"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Check(NamedTuple):
    """One line of the report: the state of one thing, and the remedy if it is not ok."""

    state: State
    name: str
    text: str


@dataclass(frozen=True)
class Heard:
    """The answers of one vendor: lines for the report, and how many seconds our clock is ahead of its."""

    checks: tuple[Check, ...]
    ahead: float | None = None


def examine(settings: environment.Settings) -> Iterator[Check]:
    """Yield every check in the order of a run: the program, the vendors, this machine, the files."""
    yield _versions(settings)
    if not any(source.key(settings) for source in vendors.SOURCES):
        copy = "Copy .env.example to .env, or try make demo, which needs none"
        yield Check("fail", "keys", f"no vendor key is set. {copy}")
    # A `with` block would make Ctrl-C wait for the slowest vendor.
    pool = ThreadPoolExecutor(len(vendors.SOURCES))
    heard = list(pool.map(lambda source: _ask(source, settings), vendors.SOURCES))
    for each in heard:
        yield from each.checks
    yield from _clock(settings, {s.name: h.ahead for s, h in zip(vendors.SOURCES, heard, strict=True)})
    yield from _disk(settings)
    yield from _writable(settings)
    yield _rights(settings)
    if settings.is_spark:
        yield from _spark(settings)
        yield from _lake(settings)
    yield from _warehouse(settings)
    yield from _data(settings)
    yield from _ledger(settings)


# --- the program -------------------------------------------------------------------------------------


def _versions(settings: environment.Settings) -> Check:
    packages = (*PACKAGES, *(SPARK_PACKAGES if settings.is_spark else ()))
    lock_name = "requirements-spark.lock" if settings.is_spark else "requirements.lock"
    folder = "build/spark" if settings.is_spark else ".venv"
    locked = (environment.ROOT / lock_name).read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)", locked, re.MULTILINE))
    installed = {each.name for each in metadata.distributions()} if settings.is_spark else set(packages)
    if lacking := [name for name in packages if name not in installed]:
        do = f"make doctor runs in {folder}, which has them"
        return Check("fail", "", f"{' and '.join(lacking)} not installed here: {do}")
    found = {name: metadata.version(name) for name in packages}
    text = ", ".join([f"python {python_version()}", *map(" ".join, found.items())])
    other = [f"{name} {pinned[name]}" for name in packages if pinned.get(name) != found[name]]
    if not other:
        return Check("ok", "", text)
    do = f"{lock_name} has {', '.join(other)}: rm -r {folder}, then make doctor"
    return Check("warn", "", f"{text}; {do}")


# --- the vendors -------------------------------------------------------------------------------------


def _ask(source: Source, settings: environment.Settings) -> Heard:
    """Try one vendor's key on a page of each scope, without reading the pages."""
    key = source.key(settings)
    if not key:
        return Heard((Check("skip", source.name, f"{source.key_name} is not set: nothing is read from it"),))
    checks: list[Check] = []
    ahead: float | None = None
    vendor = source.connect(settings, key)

    def get(path: str) -> requests.Response:
        nonlocal ahead
        answer = vendor.get(
            f"{vendor.base_url}/{path}", timeout=PATIENCE_SECONDS, allow_redirects=False, stream=True
        )
        if "Date" in answer.headers:
            ahead = (datetime.now(UTC) - parsedate_to_datetime(answer.headers["Date"])).total_seconds()
        if not answer.ok or answer.is_redirect:
            raise RefusedError(answer, urlsplit(answer.url).path)
        return answer

    try:
        good = 0
        for scope, path in source.probes.items():
            try:
                get(path.format(today=settings.now().date())).close()
                good += 1
            except RefusedError as error:
                checks.append(_refused(source, scope, error, settings))
                if not error.lacks_scope:
                    return Heard(tuple(checks), ahead)  # not about this scope: others would answer the same
        if good:
            scopes = f"{good} of {len(source.probes)} scopes"
            scope_states = source.tell(lambda path: get(path).json(), settings, scopes)
            checks += [Check(state, source.name, text) for state, text in scope_states]
        checks += [Check("warn", source.name, outside.words(notice)) for notice in vendor.notices]
    except RefusedError as error:
        checks.append(Check("warn", source.name, f"does not report the scopes of the key: {error}"))
    except requests.RequestException as error:
        reason = "no answer in time" if isinstance(error, requests.Timeout) else "the connection failed"
        what = f"{urlsplit(vendor.base_url).netloc} cannot be reached ({reason})"
        do = f"check network, proxy and {source.name.upper()}_BASE_URL"
        checks.append(Check("fail", source.name, f"{what}: {do}"))
    finally:
        vendor.close()
    return Heard(tuple(checks), ahead)


def _refused(source: Source, scope: str, error: RefusedError, settings: environment.Settings) -> Check:
    """Return the meaning and remedy of one refusal."""
    name = source.name
    if error.lacks_scope and scope:
        waiting = [r for r in source.resources(settings) if scope in r.scope]
        others = f" and {len(waiting) - 1} more" if len(waiting) > 1 else ""
        lacks = f"the key lacks {scope} ({error.status} on {error.path}): add it"
        state: State = "warn" if all(resource.optional for resource in waiting) else "fail"
        return Check(state, name, f"{lacks}; until then {waiting[0].table.name}{others} cannot be read")
    if error.status == requests.codes.unauthorized:
        return Check("fail", name, f"401: {source.key_name} is wrong or revoked; make a new one")
    if explained := source.explain(error, settings):
        return Check("fail", name, explained)
    if error.status == requests.codes.too_many:
        return Check("warn", name, f"429 on {error.path}: rate limit reached; try again in a minute")
    if error.status >= requests.codes.server_error:
        return Check("fail", name, f"{error}: the vendor has a problem; a run waits and tries again")
    if error.status == requests.codes.not_found or error.status < requests.codes.bad_request:
        return Check("fail", name, f"{error}: check {name.upper()}_BASE_URL")
    return Check("fail", name, str(error))


# --- this machine ------------------------------------------------------------------------------------


def _clock(settings: environment.Settings, ahead: Mapping[str, float | None]) -> Iterator[Check]:
    """Compare our clock with the `Date` of each vendor's answer."""
    measured = {name: seconds for name, seconds in ahead.items() if seconds is not None}
    if not measured:
        return
    name, seconds = min(measured.items(), key=lambda item: abs(item[1]))
    off = f"{abs(seconds):,.0f} s {'ahead of' if seconds > 0 else 'behind'} {name}'s"
    if abs(seconds) > CLOCK_SECONDS:
        yield Check("fail", "clock", f"{off}: set it. Cursors, receipts and the budget's month depend on it")
    else:
        yield Check("ok", "clock", "agrees with the vendors'" if abs(seconds) < 2 else off)
    if settings.run_at:
        at = f"{settings.run_at:%Y-%m-%d %H:%M}"
        yield Check("warn", "clock", f"RUN_AT is set: every run counts as of {at}")


def _disk(settings: environment.Settings) -> Iterator[Check]:
    """Check every folder that a run writes to; some may be on separate disks.

    Publishing writes a copy of the published tables, forgetting a copy of the whole warehouse.
    """
    size = settings.warehouse_path.stat().st_size if settings.warehouse_path.is_file() else 0
    rooms = {path: shutil.disk_usage(path).free for path in map(_standing, _written(settings).values())}
    for folder, free in rooms.items():
        if free < LEAST_ROOM_BYTES:
            yield Check("fail", "disk", f"{_bytes(free)} free in {folder}: make room, a run needs more")
    folder = _standing(settings.warehouse_path)
    free, text = rooms[folder], f"{_bytes(rooms[folder])} free"
    if LEAST_ROOM_BYTES <= free < size:
        less = f"less than the warehouse's {_bytes(size)}"
        yield Check("warn", "disk", f"{text} in {folder}, {less}: make room")
    elif free >= LEAST_ROOM_BYTES:
        kept = copies.kept(settings.published_path)
        earlier = (
            f"; {_bytes(copies.bytes_used(settings.published_path))} in {len(kept)} kept copies"
            if kept
            else ""
        )
        yield Check("ok", "disk", text + earlier)


def _written(settings: environment.Settings) -> dict[str, Path]:
    """Return every file and folder that a run writes, by the setting with its path."""
    written = {
        "WAREHOUSE_PATH": settings.warehouse_path,
        "PUBLISHED_PATH": settings.published_path,
        "PIPELINES_PATH": settings.pipelines_path,
        "FORGOTTEN_PATH": settings.forgotten_path,
        "RUNS_PATH": settings.runs_path,
        "the folder of reports and docs": docs.DOCS,
    }
    if settings.is_spark and settings.lake_path:
        written["LAKE_URL"] = settings.lake_path
    if ledger := lock.file_of(settings.ledger_url):
        written["LEDGER_URL"] = Path(ledger)
    return written


def _writable(settings: environment.Settings) -> Iterator[Check]:
    """Report each path that a run could not write. The warehouse and the ledger have their own lines."""
    for name, path in _written(settings).items():
        if name == "LEDGER_URL" or (name == "WAREHOUSE_PATH" and path.is_file()):
            continue
        folder = _standing(path / "any" if name in FOLDERS else path)
        if not folder.is_dir():
            reason = f"{folder} is no folder"
        elif path.is_dir() != (name in FOLDERS) and path.exists():
            reason = "it is a folder" if path.is_dir() else "it is no folder"
        elif not os.access(folder, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.W_OK)):
            reason = "permission denied"
        else:
            continue
        do = f"Change that, or set another {name}" if name.isupper() else "Change that"
        yield Check("fail", "paths", f"{path} cannot be written: {reason}. {do}")


# --- Spark -------------------------------------------------------------------------------------------


def _spark(settings: environment.Settings) -> Iterator[Check]:
    """Check what runs Spark on this machine, and that its server has what models need."""
    if cluster.is_on_this_machine(settings.spark_remote) and (problem := cluster.java_problem()):
        yield Check("fail", "spark", problem)
    try:
        session = spark.session(settings.spark_remote)
    except TransformError as error:
        yield Check("fail", "spark", str(error))
        return
    version = session.version
    session.stop()
    where = urlsplit(settings.spark_remote).netloc
    yield Check("ok", "spark", f"version {version} answers at {where} and has the settings that models need")


def _lake(settings: environment.Settings) -> Iterator[Check]:
    """Write, read and delete a small file in the lake, if it is there or in an object store."""
    lake = settings.lake_url.partition("?")[0]
    if settings.lake_path and any(check.text.startswith(lake) for check in _writable(settings)):
        return
    if settings.lake_path and not settings.lake_path.exists():
        yield Check("ok", "lake", f"none yet in {lake}: make ingest makes it")
        return
    heard: list[Check] = []
    # A library waits for minutes where nothing answers. A thread that is a daemon does not keep us.
    asking = threading.Thread(target=lambda: heard.append(_tried(settings, lake)), daemon=True)
    asking.start()
    asking.join(PATIENCE_SECONDS)
    no_answer = f"{lake} does not answer within {PATIENCE_SECONDS:.0f} s: check network, proxy and LAKE_URL"
    yield heard[0] if heard else Check("fail", "lake", no_answer)


def _tried(settings: environment.Settings, lake: str) -> Check:
    try:
        is_right = Files(settings.lake_url).gives_back()
    except (OSError, pa.ArrowException, LakeError) as error:
        reason = outside.words(str(error).splitlines()[0][:200])
        return Check("fail", "lake", f"{lake} cannot be used: {reason}. Change that, or set another LAKE_URL")
    if not is_right:
        return Check("fail", "lake", f"{lake} gives other bytes than were written: set another LAKE_URL")
    return Check("ok", "lake", f"{lake} can be written and read")


# --- the files ---------------------------------------------------------------------------------------


def _warehouse(settings: environment.Settings) -> Iterator[Check]:
    path = settings.warehouse_path
    copy = "nothing published yet: make transform"
    if settings.published_path.exists():
        try:
            warehouse.require_whole(settings.published_path)
            copy = f"published copy {_age(settings.published_path)} old"
        except warehouse.WarehouseError as error:
            copy = "no published copy that can be read"
            yield Check("fail", "published", str(error))
    if settings.is_spark:
        yield Check("ok", "warehouse", f"the lake; {copy}")
        return
    if not path.exists():
        if not any(check.text.startswith(str(path)) for check in _writable(settings)):
            yield Check("ok", "warehouse", f"none yet: make ingest makes it; {copy}")
        return
    try:
        _require_unlocked(path)
        fingerprint = statements.project_fingerprint(pseudonyms.salt(settings.salt_path))
        with warehouse.connect(path, read_only=True, is_copy=False) as connection:
            since = _not_published(connection, fingerprint)
    except warehouse.WarehouseError as error:
        yield Check("fail", "warehouse", f"{error}; {copy}")
        return
    if os.access(path, os.W_OK):
        yield Check("ok", "warehouse", f"writable, unlocked; {copy}")
    else:
        yield Check("fail", "warehouse", f"{path} cannot be written: permission denied; {copy}")
    if since:
        yield Check("warn", "published", f"{since} since it was built: make transform")


SHOWN: Final = 3
UNUSUAL: Final = """
    select concat(
        vendor, ' ', table_name, ': ', format('{:,}', new_row_count), ' new rows in the week of ', week_from,
        ', usually ', format('{:,.0f}', low_row_count), ' to ', format('{:,.0f}', high_row_count)
    )
    from marts.fct_volumes_weekly
    where is_outside and week_from = (select max(week_from) from marts.fct_volumes_weekly where is_complete)
    union all
    select concat(relation, '.', column_name, ': ', change, ' since ', changed_on)
    from marts.fct_schema_changes
    where change <> 'new column' and changed_on > current_date - 30
    order by all
"""
"""Loads that brought unusually many or few rows, and columns that are gone or have another type."""


def _data(settings: environment.Settings) -> Iterator[Check]:
    """Name what is unusual about the data in the published copy."""
    try:
        with warehouse.read_copy(settings.published_path) as connection:
            found = [text for (text,) in connection.execute(UNUSUAL).fetchall()]
    except (warehouse.WarehouseError, duckdb.CatalogException):  # none yet, or of an earlier version
        return
    if found:
        more = f", and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        where = "marts.fct_volumes_weekly and fct_schema_changes have all"
        yield Check("warn", "data", f"{'; '.join(found[:SHOWN])}{more}: {where}")


def _rights(settings: environment.Settings) -> Check:
    """Check that other users cannot read files with personal data or money."""
    named = ", ".join(str(path) for path in warehouse.open_to_others(settings.private_paths))
    if named:
        return Check("warn", "files", f"other users of this machine can read {named}: chmod go-rwx")
    return Check("ok", "files", "personal data and the ledger are readable by their owner alone")


def _require_unlocked(path: Path) -> None:
    """Raise WarehouseError, which names the process, if another program has the file open.

    The lock is tried and released at once: opening the file to write would apply a leftover log.
    """
    if not os.access(path, os.W_OK):
        return
    with path.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            warehouse.connect(path).close()


def _not_published(connection: duckdb.DuckDBPyConnection, fingerprint: str) -> str:
    """Return what has changed since the last successful build, or an empty string."""
    if not {"raw_ops.loads", "raw_ops.builds"} <= warehouse.relations(connection):
        return ""
    last = connection.execute(stale.LAST_BUILD).fetchone()
    if last is None:
        return ""
    count = len(connection.execute(stale.CHANGED_SINCE, [last[1]]).fetchall())
    changes = ["the models have changed"] if last[0] != fingerprint else []
    changes += [f"{count} tables have new rows"] if count else []
    return " and ".join(changes)


def _ledger(settings: environment.Settings) -> Iterator[Check]:
    url = settings.ledger_url
    try:
        ledger = opening.connect(url, settings.mavera_base_url)
        count, unknown, owner = ledger.chain.verify(), len(ledger.unknown()), lock.owner(url)
        is_writable = lock.is_writable(url)
    except LedgerError as error:
        yield Check("fail", "ledger", str(error))
        return
    if not is_writable:
        where = lock.file_of(url) or "the ledger's database"
        yield Check("fail", "ledger", f"{where} cannot be written: permission denied. Nothing could be sent")
    elif not count:
        yield Check("ok", "ledger", "none yet: the first make activate makes it")
    elif unknown:
        what = f"{count:,} entries, {unknown:,} unknown"
        yield Check("warn", "ledger", f"{what}: make activate looks them up in Mavera")
    else:
        yield Check("ok", "ledger", f"{count:,} entries, 0 unknown")
    if owner:
        yield Check("warn", "ledger", f"an apply is at work ({owner}): another one has to wait for it")


# --- words -------------------------------------------------------------------------------------------


def _standing(path: Path) -> Path:
    """Return the nearest existing folder above."""
    return next(each for each in path.parents if each.exists())


def _bytes(count: float) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"


def _age(path: Path) -> str:
    minutes = (datetime.now(UTC).timestamp() - path.stat().st_mtime) / 60
    if minutes < 120:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.0f} h" if minutes < 48 * 60 else f"{minutes / 60 / 24:.0f} days"


def _lines(check: Check) -> str:
    """Write a check within 80 columns; longer texts continue below their own start."""
    start = f"{check.state:<6}{check.name:<11}" if check.name else f"{check.state:<6}"
    return textwrap.fill(
        check.text,
        COLUMNS,
        initial_indent=start,
        subsequent_indent=" " * 17,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _verdict(failed: int, warned: int) -> str:
    if not failed and not warned:
        return "all well. To load what is new: make ingest"
    return f"{failed} failed, {warned} warning{'' if warned == 1 else 's'}"


@app.command(epilog=terminal.DEBUG_HELP)
def main(
    as_json: Annotated[bool, typer.Option("--json", help="Print the same as JSON.")] = False,
) -> None:
    """Check keys, scopes, versions, clock, disk, locks, warehouse and ledger. Costs and writes nothing."""
    checks = []
    for check in examine(environment.load()):
        checks.append(check)
        if not as_json:
            typer.echo(_lines(check))
    failed = sum(check.state == "fail" for check in checks)
    warned = sum(check.state == "warn" for check in checks)
    if as_json:
        listed = [check._asdict() for check in checks]
        typer.echo(json.dumps({"failed": failed, "warnings": warned, "checks": listed}))
    else:
        typer.echo(_verdict(failed, warned))
    raise typer.Exit(1 if failed else 0)


if __name__ == "__main__":
    terminal.run(app, environment.SettingsError, stopped="stopped; nothing was changed")
