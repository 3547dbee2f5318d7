"""Decides what to build. A build takes seconds even with nothing new, so only changed sources are built."""

import hmac
from pathlib import Path

from common import warehouse
from privacy import pseudonyms
from transform.build import PROJECT, Build, TransformError

CREATED_BY_INGEST = {"raw_ops.set_aside", "raw_ops.people"}
"""Relations that models read and earlier versions did not have."""

LAST_BUILD = "select fingerprint, loads_seen from raw_ops.builds order by built_at desc limit 1"
CHANGED_SINCE = "select vendor from raw_ops.loads where rowid >= ? and rows_new + rows_changed > 0"


def project_fingerprint(salt: bytes) -> str:
    """Hash everything that can change all models: the files of the dbt project, and the salt of person ids.

    dbt's own output does not count, nor do the texts of jobs, which only activate reads.
    """
    digest = hmac.new(pseudonyms.person_key(salt), digestmod="sha256")
    for path in sorted(PROJECT.rglob("*")):
        inside = path.relative_to(PROJECT)
        is_words = path.suffix in {".j2", ".toml"}
        if path.is_file() and not is_words and inside.parts[0] not in {"target", "logs"}:
            digest.update(str(inside).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def stale_sources(path: Path, fingerprint: str) -> tuple[list[str] | None, int]:
    """Return the raw schemas that changed since the last good build, and how many loads have been seen.

    None means everything: there was no good build yet, or the project itself has changed.
    """
    with warehouse.connect(path) as connection:
        known = warehouse.relations(connection)
        if "raw_ops.loads" not in known:
            raise TransformError(f"{path.name} holds no loads yet. Run make ingest first")
        if CREATED_BY_INGEST - known:
            raise TransformError(f"{path.name} was last loaded by an earlier version. Run make ingest first")
        loads = connection.execute("select count(*) from raw_ops.loads").fetchone()[0]  # type: ignore[index]
        if "raw_ops.builds" not in known:
            connection.execute(
                "create table raw_ops.builds (built_at timestamptz, fingerprint text, loads_seen bigint,"
                " models bigint, tests_passed bigint, warnings bigint)"
            )
        last = connection.execute(LAST_BUILD).fetchone()
        if last is None or last[0] != fingerprint:
            return None, loads
        changed = connection.execute(CHANGED_SINCE, [last[1]]).fetchall()
        return sorted({f"raw_{vendor}" for (vendor,) in changed}), loads


def record_build(path: Path, fingerprint: str, loads: int, build: Build) -> None:
    with warehouse.connect(path) as connection:
        connection.execute(
            "insert into raw_ops.builds values (now(), ?, ?, ?, ?, ?)",
            [fingerprint, loads, build.models, build.passed, len(build.warnings)],
        )
