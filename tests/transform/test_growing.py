"""Models that grow by the rows of new loads give the tables that a full build gives."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest

from tests import loaded, models
from tests.bench_models import add_a_day
from tests.commands import Project
from transform import build as transform

OF_KLAVIYO = (
    "stg_klaviyo__events",
    "int_amounts_read",
    "int_flow_receipts",
    "fct_customer_events",
    "fct_customer_events_daily",
)
OF_WISTIA = (
    "stg_wistia__viewing_events",
    "int_sessions_summed_to_view",
    "int_viewers_clustered",
    "int_viewers_watched",
    "fct_viewing_sessions",
)
GROWING = (*OF_KLAVIYO, *OF_WISTIA)
EVENTS = "raw_klaviyo.events"
SESSIONS = "raw_wistia.events"
NEW = "json_object('email', 'new@example.com')"
FIRST_BUYER = f"select min(profile_id) from {EVENTS}"
FIRST_VIEWER = f"select min(visitor_key) from {SESSIONS}"
SOME = "hash(event_key) % 20 = 0"
LATER = "_dlt_load_id = 'x'"
# Not activation, whose JSON has the last digits of means, which depend on the order of rows.
SCHEMAS = ("staging", "intermediate", "marts")


@pytest.fixture
def path(tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A warehouse that was loaded and built."""
    project = loaded.copy(shared, tmp_path / "project", "http://127.0.0.1:1")
    for name, value in project.environment.items():
        monkeypatch.setenv(name, value)
    return project.folder / "warehouse.duckdb"


def run(path: Path, *statements: str) -> None:
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)


def build(path: Path, *arguments: str) -> set[str]:
    """Build the growing models and what they read; return the ones that were built whole."""
    before = whole_at(path)
    selected = ["--select", *(f"+{name}" for name in GROWING), "--resource-type", "model"]
    given = arguments[arguments.index("--vars") :][:2] if "--vars" in arguments else ()
    manifest = models.manifest(*given)
    done = transform.dbt(path, "run", transform.UNWRITTEN, *selected[:-2], *arguments, manifest=manifest)
    assert {result.status for result in done} == {"success"}
    after = whole_at(path)
    return {name.split(".")[1] for name in after if after[name] != before.get(name)}


def whole_at(path: Path) -> dict[str, object]:
    with duckdb.connect(str(path)) as connection:
        return dict(connection.execute("select relation, whole_at from raw_ops.grown").fetchall())


def contents(path: Path, names: Sequence[str] = ()) -> dict[str, tuple[int, int]]:
    """Return the number of rows of each table of models, and a sum that differs if any row does."""
    with duckdb.connect(str(path)) as connection:
        tables = connection.execute(
            "select concat(schema_name, '.', table_name),"
            " list(column_name) filter (where data_type = 'DOUBLE')"
            " from duckdb_tables() join duckdb_columns() using (database_name, schema_name, table_name)"
            " where schema_name in (select unnest($schemas))"
            " and (len($names) = 0 or table_name in (select unnest($names))) group by all",
            {"schemas": [*SCHEMAS], "names": list(names)},
        ).fetchall()
        found = {}
        for table, doubles in tables:
            # The last digits of a mean depend on the order of its rows.
            rounded = ", ".join(f'round("{column}", 9) as "{column}"' for column in doubles or ())
            row = f"select * {f'replace ({rounded})' if rounded else ''} from {table}"
            ((found[table]),) = connection.execute(
                f"select count(*), sum(hash(its)) from ({row}) as its"
            ).fetchall()
    assert len(found) >= len(names)
    return found


def built_whole(path: Path, *arguments: str) -> Path:
    """Return a copy of the warehouse in which the growing models were built whole."""
    copy = path.with_name("whole") / path.name
    shutil.rmtree(copy.parent, ignore_errors=True)
    copy.parent.mkdir()
    run(path, "checkpoint")  # dbt still has the file open
    shutil.copy(path, copy)
    shutil.copy(path.with_name("salt"), copy.with_name("salt"))
    assert build(copy, "--full-refresh", *arguments) >= {*GROWING}
    return copy


def test_three_days_with_late_and_changed_rows_give_what_a_full_build_gives(path: Path) -> None:
    role = "select metric_id from intermediate.int_metric_roles where metric_role"
    order = f"select id from {EVENTS} where attributions is not null order by id limit 1"
    refund = (
        f"insert into {EVENTS} select * replace ('r' || id as id, 'refund.1' as _dlt_load_id,"
        f" ({role} = 'refunded_order' limit 1) as metric_id) from {EVENTS} where id in ({order})"
    )
    # Attributions come after their orders, and one is to another message than before.
    attribution = (
        f"update {EVENTS} set _dlt_load_id = 'later.1', attributions = (select attributions from {EVENTS}"
        f" where attributions is not null order by id desc limit 1) where id in ({order})"
        f" or (attributions is null and metric_id in ({role} = 'placed_order') and hash(id) % 3 = 0)"
    )
    # A profile and a browser become another person's.
    person = (
        f"update raw_klaviyo.profiles set email = 'new@example.com' where id in ({FIRST_BUYER})",
        f"update raw_wistia.visitors set visitor_identity = {NEW} where visitor_key in ({FIRST_VIEWER})",
    )
    for statements in ([refund], [attribution], person):
        assert add_a_day(path, 0.05) > 0
        run(path, *statements)
        assert build(path) == set()
        assert contents(path, GROWING) == contents(built_whole(path), GROWING)


@pytest.mark.parametrize(
    "change",
    [
        f"delete from {EVENTS} where profile_id in ({FIRST_BUYER})",
        f"update {EVENTS} set profile_id = 'x' where profile_id in ({FIRST_BUYER})",
        f"update {EVENTS} set datetime = datetime - to_days(3), _dlt_load_id = 'x' where hash(id) % 50 = 0",
        f"update {EVENTS} set event_properties = '{{}}' where hash(id) % 50 = 0",
    ],
    ids=["people who are gone", "people who were merged", "moved events", "events changed in place"],
)
def test_rows_that_were_removed_or_changed_build_everything_whole(path: Path, change: str) -> None:
    add_a_day(path, 0.02)
    run(path, change)
    assert build(path) == {*OF_KLAVIYO}
    assert contents(path, GROWING) == contents(built_whole(path), GROWING)


@pytest.mark.parametrize(
    ("change", "is_whole"),
    [
        (f"delete from {SESSIONS} where visitor_key = ({FIRST_VIEWER})", True),
        (f"update {SESSIONS} set visitor_key = 'x' where {SOME}", True),
        (f"update {SESSIONS} set percent_viewed = 100 * percent_viewed, {LATER}", True),
        (f"update {SESSIONS} set percent_viewed = 0, media_id = 'm', {LATER} where {SOME}", False),
        (f"update {SESSIONS} set percent_viewed = null, {LATER} where visitor_key = ({FIRST_VIEWER})", False),
    ],
    ids=["gone viewers", "moved sessions", "another scale", "changed sessions", "unreadable sessions"],
)
def test_changed_sessions_give_what_a_full_build_gives(path: Path, change: str, is_whole: bool) -> None:
    add_a_day(path, 0.02)
    run(path, change)
    assert build(path) == ({*OF_WISTIA} if is_whole else set())
    assert contents(path, GROWING) == contents(built_whole(path), GROWING)


def test_a_changed_var_builds_whole_what_is_built_with_it(path: Path) -> None:
    changed = ["--vars", "{account_currency: EUR, currency_properties: [currency]}"]
    assert build(path, *changed) >= {*GROWING}
    assert contents(path, GROWING) == contents(built_whole(path, *changed), GROWING)


def test_a_model_that_failed_catches_up(path: Path) -> None:
    add_a_day(path, 0.02)
    transform.dbt(path, "run", transform.UNWRITTEN, "--select", GROWING[0], manifest=models.manifest())
    add_a_day(path, 0.02)
    assert build(path) == set()
    assert contents(path, GROWING) == contents(built_whole(path), GROWING)


def test_days_give_what_a_full_build_gives_with_dbt_and_without(path: Path) -> None:
    folder, whole = path.parent, path.parent.with_name("whole")
    project = Project(folder, "http://127.0.0.1:1")
    gone = f"delete from {EVENTS} where profile_id in ({FIRST_BUYER})"
    for change, is_whole in (("", False), ("", False), (gone, True)):  # dbt runs on the first day
        add_a_day(path, 0.05)
        run(path, *([change] if change else []))
        before = whole_at(path)
        shutil.rmtree(whole, ignore_errors=True)
        shutil.copytree(folder, whole)
        day = project.well("transform")
        everything = Project(whole, "http://127.0.0.1:1").well("transform", "--full")
        assert 0 < day["models"] < everything["models"]
        assert contents(path) == contents(whole / path.name)
        assert (before != whole_at(path)) == is_whole
