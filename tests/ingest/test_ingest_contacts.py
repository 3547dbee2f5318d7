"""SendGrid's contacts, which come as files of an export."""

import os
import re
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
import requests

from sandbox import sendgrid
from sandbox.server import Sandbox, serving
from sandbox.world import World
from tests.ingest import test_ingest as shared
from tests.ingest.test_ingest import TODAY, Machine
from tests.ingest.test_ingest_days import Changed

machine = shared.machine
sandbox = shared.sandbox
worlds = shared.worlds

# --- contacts ----------------------------------------------------------------------------------------


def begun_exports(sandbox: Sandbox) -> int:
    return sum(entry.method == "POST" and entry.status == 202 for entry in sandbox.journal)


def test_contacts_come_by_export_and_files_are_fetched_without_the_key(
    machine: Machine, sandbox: Sandbox, worlds: Mapping[date, World]
) -> None:
    assert machine.ingest("sendgrid").code == 0
    assert begun_exports(sandbox) == 1
    files = [entry for entry in sandbox.journal if entry.path.startswith("/storage/")]
    assert [entry.status for entry in files] == [200] * 3  # storage answers 400 to requests with a key
    assert not [entry for entry in sandbox.journal if entry.path == "/v3/marketing/contacts"]
    (count,) = worlds[TODAY].sql("select count(*) from sendgrid_contacts")
    assert machine.rows("select count(*) from raw_sendgrid.contacts") == [count]


def test_an_export_that_somebody_else_began_is_waited_for(machine: Machine, sandbox: Sandbox) -> None:
    requests.post(
        f"{os.environ['SENDGRID_BASE_URL']}/marketing/contacts/exports",
        headers={"Authorization": f"Bearer {sendgrid.KEY}"},
        timeout=5,
    ).raise_for_status()
    assert machine.ingest("sendgrid").code == 0
    assert begun_exports(sandbox) == 2
    assert not [entry for entry in sandbox.journal if entry.status == 429]


def test_a_contact_that_is_gone_is_gone_from_raw(machine: Machine, sandbox: Sandbox) -> None:
    """So is an address removed from a list; invalid ones stay, because the vendor forgets them by itself."""
    machine.ingest("sendgrid")
    (forgotten,) = machine.rows("select count(*) from raw_sendgrid.invalid_emails")
    few = World(100, 7, TODAY, since=date(2026, 7, 1))
    with serving(Sandbox(few, limits="off")) as url:
        machine.meet(url, TODAY)
        machine.ingest("sendgrid", "--believe", "suppressions")  # half of them are gone at once
    (count,) = few.sql("select count(*) from sendgrid_contacts")
    assert machine.rows("select count(*) from raw_sendgrid.contacts") == [count]
    (bounced,) = few.sql("select count(*) from sendgrid_suppressions where kind = 'bounce'")
    assert machine.rows("select count(*) from raw_sendgrid.suppressions where list = 'bounces'") == [bounced]
    assert machine.rows("select count(*) from raw_sendgrid.invalid_emails") >= [forgotten] > [(0,)]


def test_single_sends_are_asked_about_one_by_one_only_while_they_change(
    machine: Machine, sandbox: Sandbox, worlds: Mapping[date, World]
) -> None:
    first = machine.ingest("sendgrid")
    (sends,) = worlds[TODAY].sql("select count(*) from single_sends")
    assert first.resource("sendgrid single_send_details")["requests"] == sends[0]
    again = machine.ingest("sendgrid")
    assert again.resource("sendgrid single_send_details")["requests"] == 1  # the newest change
    # Of the sends of 37 days: a week is read again, each is followed for 30.
    assert again.resource("sendgrid single_send_daily_stats")["requests"] <= 6
    assert again.resource("sendgrid single_sends")["requests"] == 1  # for all tables that need the list


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        (b'"contact_count":', b'"contact_count":9', r"the list ended after \d+ of 9,\d+ rows"),
        (b'"status":"ready"', b'"status":"failure","message":"too large"', "contacts failed: too large"),
    ],
    ids=["short", "failed"],
)
def test_an_export_that_is_short_or_fails_keeps_what_was_there(
    machine: Machine, sandbox: Sandbox, before: bytes, after: bytes, complaint: str
) -> None:
    machine.ingest("sendgrid")
    loaded = machine.rows("from raw_sendgrid.contacts order by all")

    class ChangedExport(Changed):
        def __init__(self) -> None:
            super().__init__(sandbox, "", before, after)

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            is_job = "/contacts/exports/" in scope["path"]
            await (super().__call__ if is_job else self._sandbox)(scope, receive, send)

    changed: Any = ChangedExport()
    with serving(changed) as url:
        machine.meet(url, TODAY)
        ran = machine.ingest("sendgrid")
    (error,) = ran.report["errors"]
    assert re.search(complaint, error)
    assert machine.rows("from raw_sendgrid.contacts order by all") == loaded
