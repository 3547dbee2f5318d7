"""Run dbt on the loaded rows, publish the read-only copy, and write the docs."""

from common import terminal  # isort: split

import json
import os
import time
from pathlib import Path
from typing import Annotated, Any

import duckdb
import typer

from common import runs, warehouse
from common import settings as environment
from privacy import pseudonyms
from transform import build, docs, engine, expectations, history, publish, stale, statements, warned
from transform.build import Build, TransformError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True, epilog=terminal.DEBUG_HELP)
def main(
    context: typer.Context,
    full: Annotated[bool, typer.Option(help="Build everything, whether or not something came in.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the same numbers as JSON.")] = False,
) -> None:
    """Model and test the loaded rows, then publish. If nothing is new, say so and stop."""
    if context.invoked_subcommand:
        return
    settings = environment.load()
    with runs.recorded(settings, "transform") as record:
        _take_over_copy(settings)
        with engine.opened(settings) as opened:
            _build_and_publish(opened, settings, record, full, as_json)


@app.command("publish")
def publish_command() -> None:
    """Write the read-only copy again, from the existing models."""
    settings = environment.load()
    with engine.opened(settings) as opened:
        opened.show_models()
        tables = publish.publish_by(settings, opened.path)
    typer.echo(f"{tables} tables in {settings.published_path}")


@app.command("docs")
def docs_command() -> None:
    """Write lineage and descriptions of every model as one page, and the dictionary of the published copy."""
    docs.write_docs(environment.load())
    typer.echo(f"{docs.DOCS.relative_to(environment.ROOT)}: open it in a browser")


@app.command("dbt", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def dbt_command(context: typer.Context) -> None:
    """Run dbt itself on the warehouse of the settings, for example `dbt ls --select fct_campaigns+`."""
    settings = environment.load()
    os.environ |= {"WAREHOUSE_PATH": str(settings.warehouse_path), "DO_NOT_TRACK": "1"}
    os.environ |= {"ENV_FILE": environment.named_file()}
    if settings.is_spark:
        engine.meet_spark(settings)
        target = str(build.PROJECT / "target" / build.SPARK)
        os.environ |= {"DBT_TARGET": build.SPARK, "DBT_TARGET_PATH": target}
    os.chdir(build.PROJECT)  # where dbt finds the project and its profile
    from dbt.cli.main import cli

    cli(context.args, prog_name="dbt")


def _take_over_copy(settings: environment.Settings) -> None:
    """Move a copy that an earlier version kept beside the warehouse to where other users can reach it."""
    before, now = environment.ROOT / "data" / "published.duckdb", settings.published_path
    if before.exists() and now == environment.ROOT / "published" / "published.duckdb" and not now.exists():
        terminal.make_shared_folder(now.parent)
        terminal.share(before)
        before.rename(now)


def _build_and_publish(
    opened: engine.Engine, settings: environment.Settings, record: runs.Run, full: bool, as_json: bool
) -> None:
    started, path = time.monotonic(), opened.path
    salt = pseudonyms.salt(settings.salt_path, create=True)
    fingerprint = statements.project_fingerprint(salt)
    tables, seen = stale.stale_tables(path, fingerprint)
    if tables == [] and not full:
        record.detail = "nothing new came in: models and published copy stand"
        if not _can_be_read(settings.published_path):
            opened.show_models()
            publish.publish_by(settings, path)
            record.detail = "nothing new came in: models stand, and were published again"
        _say(_numbers(Build(0, 0, [], []), time.monotonic() - started), record.detail, as_json)
        return
    try:
        build.load_runs(path, settings)
        history.keep_columns(path)
        done, unfitted = _built(opened, None if full else tables)
    except duckdb.Error as error:
        if not warehouse.is_full(error):
            raise
        done, unfitted = Build(0, 0, [], [warehouse.explain(settings.warehouse_path, error)]), []
    if not done.failures:
        done = done._replace(set_aside=build.set_aside(path))
        done.warnings.extend(build.missing_metrics(path))
    record.detail = done.summary()
    record.fail(done.failures)
    seconds = time.monotonic() - started
    dropped = [f"{name}: no model makes it any more" for name in done.dropped]
    said = {
        "aside": done.set_aside,
        "drop": dropped,
        "warn": done.warnings,
        "unfit": unfitted,
        "fail": done.failures,
    }
    for kind, lines in said.items():
        for line in lines:
            typer.echo(f"{kind:<6}{line}", err=as_json)
    if done.failures:
        stands = (
            "The published copy is the one before"
            if _can_be_read(settings.published_path)
            else "Nothing published"
        )
        _say(_numbers(done, seconds), f"{done.summary()}. {stands}: docs/operating.md, Transform", as_json)
        raise typer.Exit(1)
    history.keep(path)
    warned.keep(path, done.tested, is_whole=full or tables is None)
    publish.publish_by(settings, path)
    stale.record_build(path, fingerprint, seen, done)
    opened.keep()
    _say(_numbers(done, seconds), done.summary(), as_json)


def _built(opened: engine.Engine, tables: list[str] | None) -> tuple[Build, list[str]]:
    """Build; then fit what is expected of buyers, and build what reads that, if the histories have changed.

    The second return value has a line for each fit that is missing.
    """
    done = opened.build(tables)
    if done.failures:
        return done, []
    is_changed, unfitted = expectations.renew(opened.path)
    if is_changed:
        again = opened.build([expectations.FITS, expectations.EXPECTATIONS])
        warnings = [*done.warnings, *(line for line in again.warnings if line not in done.warnings)]
        tested = {each[0]: each for each in (*done.tested, *again.tested)}.values()  # the later answer counts
        done = done._replace(warnings=warnings, failures=again.failures, tested=tuple(tested))
    return done, unfitted


def _can_be_read(path: Path) -> bool:
    try:
        warehouse.require_whole(path)
    except warehouse.WarehouseError:
        return False
    return True


def _numbers(done: Build, seconds: float) -> dict[str, Any]:
    return {
        "models": done.models,
        "tests": done.passed + len(done.warnings) + len(done.failures),
        "warnings": done.warnings,
        "failures": done.failures,
        "set_aside": [one._asdict() for one in done.set_aside],
        "seconds": round(seconds, 1),
    }


def _say(numbers: dict[str, Any], sentence: str, as_json: bool) -> None:
    typer.echo(json.dumps(numbers) if as_json else sentence)


if __name__ == "__main__":
    terminal.run(
        app,
        environment.SettingsError,
        warehouse.WarehouseError,
        TransformError,
        stopped="stopped; the published copy is the one before, make transform builds what is missing",
    )
