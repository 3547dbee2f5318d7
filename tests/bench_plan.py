"""What a plan and a step of apply cost: `python -m tests.bench_plan [RECORDS]` prints figures as JSON.

Seconds are of the CPU. The yardstick of a plan is its rows read, each rendered and hashed once by the same
templates. Each plan is made in a process of its own, so that its memory can be measured.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import sqlalchemy as sa

from activate import records
from activate.kinds import KINDS
from activate.ledger import opening
from activate.ledger.chain import FIRST_RECEIPT, receipt_of
from activate.ledger.journal import Ledger
from activate.ledger.rows import OF_RECORD, announced, as_json, begin_row, journal, receipts
from activate.plan import Price, Record
from activate.planning import Limits, credits_left, plan
from activate.templates import Jobs, canonical
from common.settings import Settings
from tests import activation
from tests.measuring import Measure

MAVERA = "https://app.mavera.io/api/v1"
LIMITS = Limits(10**9, None, 20, 300)
MODELS = ("personas", "analyses")
STEPS_TIMED = 100


def grow(published: Path, count: int) -> None:
    """Publish `count` records: rows of the tests, many times, each with a key, name and number of its own."""
    activation.publish(published, activation.PERSONAS, activation.ANALYSES)
    with duckdb.connect(str(published)) as connection:
        for model in MODELS:
            table = f"activation.sync_mavera__{model}"
            times = f"{count // len(MODELS)} // (select count(*) from {table})"
            connection.execute(f"""
                insert into {table}
                select rows.* replace (
                    record_key || '-' || many.number as record_key,
                    name || ' ' || many.number as name,
                    person_count + many.number % 50 as person_count,
                    regexp_replace(facts::varchar, '0\\.3\\d*', '0.3' || (many.number % 9 + 1))::json as facts
                )
                from {table} as rows, range(1, {times}) as many (number)
            """)


def fill(ledger: Ledger, wanted: Sequence[Record]) -> None:
    """Write a ledger in which each record was created."""
    always = {"written_at": datetime.now(UTC).isoformat(), "destination": MAVERA}
    receipt, number = FIRST_RECEIPT, 0
    empty: dict[str, Any] = {column.name: None for column in journal.columns}
    with ledger._engine.begin() as connection:
        for some in batched(wanted, 1_000):
            rows, chain = [], []
            for record in some:
                begin = begin_row("run", "create", Price(10, 300), announced(record))
                end = {name: begin[name] for name in ("call_id", "run_id", "action", *OF_RECORD)} | {
                    "event": "end",
                    "state": "done",
                    "remote_id": f"id_{number}",
                    "credits": 10,
                    "credits_source": "answered",
                    "answer": as_json({"id": f"id_{number}", "description": "answered " * 100}),
                }
                for row in (always | begin, always | end):
                    number, receipt = number + 1, receipt_of(row, receipt)
                    rows.append(empty | row | {"entry_id": number})
                    chain.append({"entry_id": number, "receipt": receipt})
            connection.execute(sa.insert(journal), rows)
            connection.execute(sa.insert(receipts), chain)


def batched(wanted: Sequence[Record], size: int) -> Iterator[Sequence[Record]]:
    return (wanted[place : place + size] for place in range(0, len(wanted), size))


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def planned(published: Path, url: str) -> dict[str, Any]:
    """Plan once, in this process."""
    settings, began = Settings(_env_file=None, published_path=published), cpu()
    wanted = records.load(settings, list(KINDS))
    made = plan(wanted, opening.connect(url, MAVERA), list(KINDS), LIMITS)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"records": len(made.steps), "seconds": cpu() - began, "mb": peak, "steps": made.counts()}


def rendered(published: Path) -> dict[str, Any]:
    """Read, render and hash each row once: the yardstick."""
    began, jobs, count = cpu(), Jobs(records.JOBS), 0
    with duckdb.connect(str(published), read_only=True) as connection:
        for model in MODELS:
            rows = connection.execute(
                f"select record_key, template, name, facts, person_count from activation.sync_mavera__{model}"
            )
            while some := rows.fetchmany(1_000):
                for key, template, name, facts, people in some:
                    words = jobs.environment.get_template(records.words_of(model, template))
                    texts_file = records.words_of(model, template).rpartition("/")[0] + "/texts.toml"
                    texts = jobs.toml(texts_file)[0] if (records.JOBS / texts_file).exists() else {}
                    of_row = {
                        "record_key": key,
                        "entity": key.partition(":")[2],
                        "name": name,
                        "texts": texts,
                    }
                    text = words.render(facts=json.loads(facts), person_count=people, **of_row)
                    hash(canonical({"name": name, "text": text}))
                    count += 1
    return {"records": count, "seconds": cpu() - began}


def cost_of_steps(folder: Path, later: int) -> dict[str, float]:
    """Return the milliseconds of what a step asks and writes: at first, and after `later` requests."""
    url = f"sqlite:///{folder / 'steps.sqlite'}"
    ledger, took = opening.connect(url, MAVERA, write=True), []
    run_id = ledger.start(later, Price(0, 0))
    for number in range(later + STEPS_TIMED):
        began = time.process_time()
        credits_left(ledger, LIMITS, run_id)
        (ledger.paid(), ledger.paid(edits=True), ledger.entry("personas/tier:0"), ledger.waiting())
        record: Any = {
            "kind": "personas",
            "record_key": f"tier:{number}",
            "job": "tier",
            "fingerprint": "f" * 64,
        }
        call = ledger.begin(run_id, action="create", price=Price(0, 300), facts={}, payload={}, **record)
        ledger.require_hold()
        ledger.end(call, "done", remote_id=f"id_{number}", credits_spent=300, credits_source="answered")
        took.append(time.process_time() - began)
    first, last = took[:STEPS_TIMED], took[-STEPS_TIMED:]
    return {"first_ms": sum(first) / STEPS_TIMED * 1e3, f"at_{later}_ms": sum(last) / STEPS_TIMED * 1e3}


def measured(count: int, folder: Path, later: int = 2_000) -> dict[str, Any]:
    """Return the figures of plans of `count` records, new and unchanged, and of steps."""
    published, url = folder / "published.duckdb", f"sqlite:///{folder / 'ledger.sqlite'}"
    grow(published, count)
    settings = Settings(_env_file=None, published_path=published)
    figures = {"yardstick": alone("rendered", published), "new": alone("planned", published, "sqlite://")}
    fill(opening.connect(url, MAVERA, write=True), records.load(settings, list(KINDS)))
    figures["unchanged"] = alone("planned", published, url)
    return figures | {"step": cost_of_steps(folder, later)}


def measures(count: int = 10_000) -> Iterator[Measure]:
    """Yield what plans of `count` records cost beside rows that are read, rendered and hashed once."""
    with tempfile.TemporaryDirectory() as folder:
        figures = measured(count, Path(folder))
    least = figures["yardstick"]["seconds"]
    new, unchanged, step = figures["new"], figures["unchanged"], figures["step"]
    first, later = step.values()
    yield Measure(f"plan, {count:,} new", "CPU s", new["seconds"], "each read and rendered once", least)
    yield Measure(f"plan, {count:,} unchanged", "CPU s", unchanged["seconds"], "new", new["seconds"])
    yield Measure(f"plan, {count:,}: peak", "MB", max(new["mb"], unchanged["mb"]), "goal", 500)
    yield Measure("apply, a step after 2,000", "ms", later, "the first steps", first)


def alone(what: str, published: Path, *arguments: str) -> dict[str, Any]:
    """Return what one of the functions above returns in a process of its own."""
    told = subprocess.run(
        [sys.executable, "-m", "tests.bench_plan", what, str(published), *arguments],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    figures: dict[str, Any] = json.loads(told.splitlines()[-1])
    return figures


def main(arguments: list[str]) -> None:
    match arguments:
        case ["planned", published, url]:
            sys.stdout.write(json.dumps(planned(Path(published), url)))
        case ["rendered", published]:
            sys.stdout.write(json.dumps(rendered(Path(published))))
        case _:
            with tempfile.TemporaryDirectory() as folder:
                count = int(arguments[0]) if arguments else 10_000
                sys.stdout.write(json.dumps(measured(count, Path(folder)), indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
