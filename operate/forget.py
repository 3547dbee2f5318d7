"""Remove a person from everything this project keeps, and keep them out: `make forget`.

Order matters, because any step may be the last one before a crash. First come the tombstones, so that no load
brings the person back; then the raw rows; then a new warehouse file without freed pages; then new models and
a new published copy. Another run repeats every step.
"""

from common import terminal  # isort: split

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import duckdb
import sqlalchemy as sa
import typer

from common import copies, warehouse
from common import settings as environment
from ingest import vendors
from ingest.store import people
from ingest.store.raw import raw_tables
from ingest.store.tables import name_people
from ingest.typed import Table
from privacy import pseudonyms, traces
from privacy.addresses import Addresses
from privacy.forgotten import Forgotten, tombstones_of
from transform import build as transform
from transform import docs, engine, publish, warned

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class ForgetError(Exception):
    """A trace of the person is left, or nothing could be started; the text says what to do."""


def forget(settings: environment.Settings, address: str, now: datetime) -> dict[str, Any]:
    """Forget the person with this address; return the certificate.

    Raises ForgetError if a trace is left, WarehouseError if the warehouse cannot be opened.
    """
    if "@" not in address:
        raise ForgetError("that is no e-mail address")
    forgotten = Forgotten(settings.forgotten_path)
    tables = vendors.tables_of(settings)
    addresses = Addresses(settings.emails_in_warehouse == "hashed", settings.salt_path)
    kept_as = addresses.of(address)
    person, removed = _remove(settings, tables, forgotten, address, addresses, now)
    shutil.rmtree(settings.pipelines_path, ignore_errors=True)  # leftovers of the last load
    with engine.opened(settings) as opened:
        opened.drop_models()
        transform.load_runs(opened.path, settings)  # models read it, and there may be no models yet
        built = opened.build(None)
        if built.failures:
            raise ForgetError(
                f"the models could not be built anew ({built.failures[0]}). Then run this again"
            )
        copies.remove(settings.published_path)  # each may have the person's rows, or counts with them
        warned.keep(opened.path, built.tested, is_whole=True)
        publish.publish_by(settings, opened.path)
        opened.keep()
        ids = [*person.keys, pseudonyms.person_id(pseudonyms.salt(settings.salt_path), kept_as)]
        sought = _Sought(tables, [address, kept_as], ids, person.phones)
        left = [*_mentions(opened.path, sought)]
    _redraw(settings)
    warehouse.remove_drafts(settings.warehouse_path)  # a killed run of this may have left a whole copy
    left += [
        *_in_files(settings, sought),
        *_mentions(settings.published_path, sought),
        *_in_runs(settings.runs_path, address),
        *_in_ledger(settings.ledger_url, address, person.keys),
    ]
    if left:
        raise ForgetError(f"still named in {', '.join(left)}: docs/operating.md, Forget a person")
    return {
        "tombstone": forgotten.tombstone(traces.normal(address)),
        "forgotten_at": now.isoformat(),
        "rows_removed": removed,
        "models": built.models,
        "tombstones": len(forgotten),
        "tombstones_file": str(settings.forgotten_path),
    }


def _remove(
    settings: environment.Settings,
    tables: Sequence[Table],
    forgotten: Forgotten,
    address: str,
    addresses: Addresses,
    now: datetime,
) -> tuple[people.Person, dict[str, int]]:
    """Remove a person's raw rows, after tombstones for them; return the person, and the rows per table."""
    raw = raw_tables(settings, create=False)
    try:
        there = raw.columns().keys()
        if missing := sorted({table.full_name for table, _ in people.about_people(tables)} - there):
            raise ForgetError(f"{settings.warehouse_name} has no {missing[0]} yet. Run make ingest first")
        stored = warehouse.relations(raw.connection)
        if _mark(raw.connection, stored) != addresses.mark:
            raise ForgetError(
                "the warehouse keeps addresses in another form than EMAILS_IN_WAREHOUSE and "
                f"{settings.salt_path} give. Set them as they were when it was loaded"
            )
        person = people.find(raw.connection, tables, addresses.of(address))
        remembered = [each for phone in person.phones for each in tombstones_of(phone)]
        forgotten.add([traces.normal(address), *person.keys, *remembered], now)
        with raw.transaction():
            if "raw_ops.set_aside" in stored:
                salt = pseudonyms.salt(settings.salt_path)
                people.remove_set_aside(raw.connection, tables, person, salt)
            removed = people.remove(raw, tables, person)
            name_people(raw, tables)  # a warehouse of an earlier version lacks the names
            for schema in transform.MODEL_SCHEMAS:
                raw.connection.execute(f"drop schema if exists {schema} cascade")
        raw.rewrite()
    finally:
        raw.close()
    return person, removed


def _mark(connection: duckdb.DuckDBPyConnection, stored: set[str]) -> str:
    """Return the identifier of the salt that a warehouse was loaded with; "" if addresses are plain."""
    query = "select hashed_with from raw_ops.addresses"
    held = connection.execute(query).fetchone() if "raw_ops.addresses" in stored else None  # as before 0.2.0
    return held[0] if held else ""


def _redraw(settings: environment.Settings) -> None:
    """Draw the pages again that were drawn while the person was still in the copy."""
    from report.page import PAGE, SHARED_PAGE, draw  # loads the chart library

    for page, share in ((PAGE, False), (SHARED_PAGE, True)):
        if page.exists():
            draw(settings.published_path, settings.credit_budget, datetime.now(UTC), share=share).write(page)
    if docs.DOCS.exists():
        docs.write_docs(settings)


class _Sought(NamedTuple):
    """What must not be found: a person's addresses, keys and phone numbers."""

    tables: Sequence[Table]
    addresses: Sequence[str]
    ids: Sequence[str]
    phones: Sequence[str]


def _mentions(path: Path, sought: _Sought) -> Iterator[str]:
    """Yield the tables of a DuckDB file that still name the person."""
    with warehouse.connect(path) as connection:  # dbt still has it open for writing
        every = connection.execute(
            "select table_schema, table_name from information_schema.tables where table_type = 'BASE TABLE'"
        ).fetchall()
        for schema, table in every:
            if _names(connection, f'"{schema}"."{table}"', f"{schema}.{table}", sought):
                yield f"{warehouse.named(path)}: {schema}.{table}"


def _in_files(settings: environment.Settings, sought: _Sought) -> Iterator[str]:
    """Yield the folders of a lake with a file that still names the person, whether or not a table has it."""
    if not settings.is_spark:
        return
    from common.lake.lake import opened  # which loads the driver of the state's server

    with opened(settings, write=False) as lake:
        folders: dict[str, list[str]] = {}
        for path in lake.files.every():
            if path.endswith(".parquet"):
                folders.setdefault(path.rpartition("/")[0], []).append(path)
        for folder, paths in folders.items():
            name = folder.replace("/", ".")
            if _names(lake.connection, lake.files.read(paths), name, sought):
                yield f"{settings.lake_url}/{folder}"


def _names(connection: duckdb.DuckDBPyConnection, relation: str, name: str, sought: _Sought) -> bool:
    """Whether rows contain an address, a phone number, a hash or an id of the person."""
    known = {table.full_name: trace for table, trace in people.about_people(sought.tables)}
    texts = [traces.normal(address) for address in sought.addresses]
    # Models of 0.1.0 had hashes without a key.
    wanted = [*(hashlib.md5(text.encode()).hexdigest() for text in texts), *sought.ids]  # noqa: S324
    contained = "lambda text: contains(lower(entry::varchar), lower(text))"
    conditions: list[tuple[str, dict[str, Any]]] = [
        (f"list_bool_or(list_transform($wanted, {contained}))", {"wanted": wanted})
    ]
    conditions += [(traces.mentions("entry"), {"address": text}) for text in texts]
    conditions += [
        (named, {"phone": traces.written(phone)})
        for phone in sought.phones
        if (named := traces.names_phone("entry", known.get(name), "$phone"))
    ]
    query = f"select 1 from {relation} as entry where {{}} limit 1"
    return any(
        connection.execute(query.format(condition), values).fetchone() for condition, values in conditions
    )


def _in_runs(path: Path, address: str) -> Iterator[str]:
    """Yield the history of runs if it mentions the person. Errors are kept there without values."""
    if path.exists() and traces.normal(address) in path.read_text(encoding="utf-8").lower():
        yield path.name


def _in_ledger(url: str, address: str, keys: Sequence[str]) -> Iterator[str]:
    """Yield the rows of the ledger that mention the person. None should: only aggregates are sent."""
    location = sa.make_url(url)
    if location.get_backend_name() == "sqlite" and not Path(location.database or "").exists():
        return
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        if not sa.inspect(connection).has_table("journal"):
            return
        rows = connection.execute(
            sa.text("select entry_id, record_key, facts, payload, answer, error from journal")
        )
        for row in rows:
            text = " ".join(str(each) for each in row[1:]).lower()
            if any(value.lower() in text for value in (traces.normal(address), *keys)):
                yield f"the ledger, row {row.entry_id}"


@app.command(epilog=terminal.DEBUG_HELP)
def main(
    address: Annotated[
        str | None, typer.Argument(metavar="[EMAIL]", help="Prompted for if left out.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the certificate as JSON.")] = False,
) -> None:
    """Remove a person from raw data, models and published copy, keep them out, and certify it."""
    settings = environment.load()
    certificate = forget(settings, address or typer.prompt("E-mail address"), datetime.now(UTC))
    if as_json:
        typer.echo(json.dumps(certificate))
        return
    removed = {table: count for table, count in certificate["rows_removed"].items() if count}
    typer.echo(f"forgotten  {certificate['tombstone'][:12]}, {certificate['forgotten_at'][:19]} UTC")
    for table, count in removed.items():
        typer.echo(f"removed    {count:,} rows of {table}")
    if not removed:
        typer.echo("removed    nothing: no row had this address")
    typer.echo(f"rebuilt    {certificate['models']} models, the published copy, the warehouse's file")
    typer.echo("removed    the published copies of earlier days, which cannot be had again")
    typer.echo("checked    no table and no row of the ledger names the address or a key of the person")
    typer.echo(
        f"kept out   {certificate['tombstones']} tombstones in {certificate['tombstones_file']}: back it up"
    )
    *others, last = [source.title for source in vendors.SOURCES if source.has_people(settings)]
    typer.echo(f"not ours   {', '.join(others)} and {last} keep their own: delete the person there as well")


if __name__ == "__main__":
    terminal.run(
        app,
        environment.SettingsError,
        warehouse.WarehouseError,
        transform.TransformError,
        half_done=(ForgetError,),
        stopped="stopped; run it again: it repeats every step",
    )
