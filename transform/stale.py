"""Decides what to build. A build takes seconds even with nothing new, so only what reads changed tables is
built."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import duckdb

from common import warehouse
from transform.build import Build, TransformError

CREATED_BY_INGEST = {"raw_ops.set_aside", "raw_ops.people", "raw_ops.observations"}
"""Relations that models read and earlier versions did not have."""

LAST_BUILD = "select fingerprint, loads_seen from raw_ops.builds order by built_at desc limit 1"
CHANGED_SINCE = (
    "select distinct concat('raw_', vendor, '.', resource) from raw_ops.loads"
    " where rowid >= ? and rows_new + rows_changed > 0"
)
# Other rows of a load: cues are cut when captions are loaded, words are taken when templates are.
DERIVED = {
    "raw_wistia.captions": "raw_wistia.caption_cues",
    "raw_klaviyo.flow_message_templates": "raw_klaviyo.flow_message_words",
}
CHANGED_BY_EVERY_RUN = ("raw_ops.loads", "raw_ops.runs", "raw_ops.set_aside")


class Seen(NamedTuple):
    """What a build finds in the warehouse: the number of loads, and the rows of each raw table."""

    loads: int
    row_counts: Mapping[str, int]


def stale_tables(path: Path, fingerprint: str) -> tuple[list[str] | None, Seen]:
    """Return the raw tables that changed since the last good build, and what the warehouse holds now.

    A table has changed if a load brought or changed rows, or if its number of rows differs: people who are
    gone at a vendor are removed from several tables. None means everything: there was no good build yet, the
    project itself has changed, or the rules of what may be kept were applied to existing rows.
    """
    with warehouse.connect(path) as connection:
        known = warehouse.relations(connection)
        if "raw_ops.loads" not in known:
            raise TransformError(f"{warehouse.named(path)} holds no loads yet. Run make ingest first")
        if CREATED_BY_INGEST - known:
            raise TransformError(
                f"{warehouse.named(path)} was last loaded by an earlier version. Run make ingest first"
            )
        seen = _seen(connection)
        connection.execute(
            "create table if not exists raw_ops.builds (built_at timestamptz, fingerprint text,"
            " loads_seen bigint, models bigint, tests_passed bigint, warnings bigint);"
            "create table if not exists raw_ops.built_from (relation text, row_count bigint)"
        )
        last = connection.execute(LAST_BUILD).fetchone()
        before = dict(connection.execute("from raw_ops.built_from").fetchall())
        if last is None or last[0] != fingerprint or _is_stripped(connection, known):
            return None, seen
        changed = {name for (name,) in connection.execute(CHANGED_SINCE, [last[1]]).fetchall()}
        changed |= {name for name, count in seen.row_counts.items() if before.get(name) != count}
        changed |= {DERIVED[name] for name in changed & DERIVED.keys()}
        if not changed:
            return [], seen
        return sorted({*changed, *_named_people(connection, changed), *CHANGED_BY_EVERY_RUN}), seen


def _seen(connection: duckdb.DuckDBPyConnection) -> Seen:
    names = connection.execute(
        f"select relation from ({warehouse.STORED}) where starts_with(relation, 'raw_')"
        " and (not starts_with(relation, 'raw_ops.') or relation = 'raw_ops.origins')"
    ).fetchall()
    counts = [f"select '{name}', count(*) from {name}" for (name,) in names]
    rows = connection.execute(" union all ".join(counts)).fetchall() if counts else []
    loads = connection.execute("select count(*) from raw_ops.loads").fetchone()
    return Seen(loads[0] if loads else 0, dict(rows))


def _is_stripped(connection: duckdb.DuckDBPyConnection, known: set[str]) -> bool:
    """Whether existing rows were changed in place since the last build."""
    if "raw_ops.allowances" not in known:
        return False
    query = (
        "select 1 from raw_ops.allowances where stripped_at > (select max(built_at) from raw_ops.builds)"
        " limit 1"
    )
    return connection.execute(query).fetchone() is not None


def _named_people(connection: duckdb.DuckDBPyConnection, changed: set[str]) -> set[str]:
    """Return the view of all people if it reads one of these tables."""
    text = connection.execute(
        "select sql from duckdb_views() where schema_name = 'raw_ops' and view_name = 'people'"
    ).fetchone()
    return {"raw_ops.people"} if text and any(name in text[0] for name in changed) else set()


def record_build(path: Path, fingerprint: str, seen: Seen, build: Build) -> None:
    """Record a good build, and what it was built from."""
    with warehouse.connect(path) as connection:
        connection.begin()
        connection.execute(
            "insert into raw_ops.builds values (now(), ?, ?, ?, ?, ?)",
            [fingerprint, seen.loads, build.models, build.passed, len(build.warnings)],
        )
        connection.execute("delete from raw_ops.built_from")
        connection.execute(
            "insert into raw_ops.built_from select unnest(?), unnest(?)",
            [list(seen.row_counts), list(seen.row_counts.values())],
        )
        connection.commit()
