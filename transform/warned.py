"""Tests that warn: which records depend on what they test, so that plans withhold these and no others."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import duckdb

from common import warehouse
from transform.statements import Tested

WARNED: Final = """
    create table if not exists raw_ops.warned (test text, relation text)
"""
DEPENDING: Final = r"""
    with recursive below as (
        select relation as tested, test, relation from raw_ops.warned
        union
        select below.tested, below.test, lineage.relation
        from below inner join raw_ops.lineage on lineage.parent = below.relation
    )
    select
        replace(split_part(split_part(relation, '.', 2), '__', 1), '_', '-') as job,
        replace(split_part(relation, '__', 2), '_', '-') as kind,
        concat(
            split_part(min_by(tested, test), '.', 2), ' fails a test that warns (', min(test), ')',
            if(count(distinct test) > 1, concat(', and ', count(distinct test) - 1, ' more'), '')
        ) as reason
    from below
    where starts_with(relation, 'activation.') and contains(relation, '__')
        and not starts_with(relation, 'activation.sync_') and not ends_with(relation, '__finding')
    group by relation order by 1, 2
"""
"""The job and kind of each model whose rows depend on a relation with a warning, and why."""


def keep(path: Path, tested: Sequence[Tested], *, is_whole: bool) -> None:
    """Store which tests of a build warned; those that a partial build did not run stay as they were."""
    with warehouse.connect(path) as connection:
        connection.begin()
        connection.execute(WARNED)
        ran = [test for test, _, _ in tested]
        connection.execute(
            "delete from raw_ops.warned where $1 or test in (select unnest($2))", [is_whole, ran]
        )
        for test, relation, has_warned in tested:
            if has_warned:
                connection.execute("insert into raw_ops.warned values (?, ?)", [test, relation])
        connection.commit()


def publish(connection: duckdb.DuckDBPyConnection) -> None:
    """Write `activation.warned` into the copy: the job, kind and reason of records to be withheld."""
    connection.execute("create table copy.activation.warned (job text, kind text, reason text)")
    if {"raw_ops.warned", "raw_ops.lineage"} <= warehouse.relations(connection):
        connection.execute(f"insert into copy.activation.warned {DEPENDING}")
