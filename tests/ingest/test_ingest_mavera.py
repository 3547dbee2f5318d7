"""Mavera's answers and the ledger are loaded like any other source."""

import os
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
import requests

from ingest.vendors.mavera.tables import LEDGER
from sandbox import mavera
from sandbox.server import Sandbox
from tests.ingest import test_ingest as shared
from tests.ingest.test_ingest import Machine

machine = shared.machine
sandbox = shared.sandbox
worlds = shared.worlds


def test_the_answers_of_mavera_and_the_ledger_come_in(machine: Machine, sandbox: Sandbox) -> None:
    with sqlite3.connect(machine.folder / "ledger.sqlite") as ledger:
        ledger.execute(f"create table journal ({', '.join(column.name for column in LEDGER.columns)})")
        ledger.execute("""insert into journal (entry_id, facts, credits) values (1, '{"a": 1}', 22)""")
    for message in ("Why do people open on phones?", "Who watches to the end?"):
        requests.post(
            f"{os.environ['MAVERA_BASE_URL']}/mave/chat",
            json={"message": message},
            headers={"Authorization": f"Bearer {mavera.KEY}"},
            timeout=5,
        ).raise_for_status()
    requests.post(
        f"{os.environ['MAVERA_BASE_URL']}/brand-voices",
        json={"label": "Ours", "usage_context": "E-mails to all.", "urls": ["https://example.com"]},
        headers={"Authorization": f"Bearer {mavera.KEY}"},
        timeout=5,
    ).raise_for_status()
    sandbox.mavera.voice_seconds = 0
    # Mavera's threads have the real time, whatever the world's date; a minute later, both are settled.
    machine.set(RUN_AT=(datetime.now(UTC) + timedelta(minutes=1)).isoformat())
    assert machine.ingest("mavera").code == 0
    assert machine.rows("from raw_mavera.ledger select entry_id, facts ->> 'a', credits") == [(1, "1", 22)]
    messages = "from raw_mavera.threads select message_count, json_array_length(messages)"
    assert machine.rows(messages) == [(2, 2), (2, 2)]
    assert machine.rows("from raw_mavera.personas select count(*) where not is_custom")[0][0] > 0
    voices = (
        "from raw_mavera.brand_voices select status, voice_summary is not null, sources ->> '$.urls[0].url'"
    )
    assert machine.rows(voices) == [("completed", True, "https://example.com")]

    again = machine.ingest("mavera")
    assert (again.report["totals"]["rows_new"], again.report["totals"]["rows_changed"]) == (0, 0)
    assert again.resource("mavera threads")["requests"] == 2  # the list, and the newest thread
    assert again.resource("mavera brand_voices")["requests"] == 2


@pytest.mark.parametrize("strict", [True, False], ids=["strict", "lenient"])
def test_texts_come_in_whole_and_once_in_either_style(
    machine: Machine, sandbox: Sandbox, strict: bool
) -> None:
    sandbox.mavera.strict = strict
    app_id = "email-writer" if strict else "email_writer"
    inputs = {"topic": "Repair", "target_audience": "Viewers"}
    for _ in range(3):
        requests.post(
            f"{os.environ['MAVERA_BASE_URL']}/generations",
            json={"app_id": app_id, "input_data": inputs},
            headers={"Authorization": f"Bearer {mavera.KEY}"},
            timeout=5,
        ).raise_for_status()
    machine.set(RUN_AT=(datetime.now(UTC) + timedelta(minutes=1)).isoformat())
    assert machine.ingest("mavera").code == 0
    text, app = ("output", "app ->> 'id'") if strict else ("markdown", "app ->> '$'")
    rows = machine.rows(
        f"from raw_mavera.generations select {text}[:8], {app}, input_data ->> 'topic', other"
    )
    assert rows == [("**Subjec", app_id, "Repair", None)] * 3
    again = machine.ingest("mavera")
    assert (again.report["totals"]["rows_new"], again.report["totals"]["rows_changed"]) == (0, 0)


def test_the_ledger_comes_in_without_a_key_and_is_never_created(machine: Machine, sandbox: Sandbox) -> None:
    machine.set(MAVERA_API_KEY=None)
    ran = machine.ingest("mavera")
    assert ran.code == 0
    assert [row["resource"] for row in ran.report["resources"]] == ["ledger"]
    assert not (machine.folder / "ledger.sqlite").exists()
