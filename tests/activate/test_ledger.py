"""The contents of the ledger, even after a process died, and the writers that it refuses."""

import json
import multiprocessing
import os
import signal
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from activate.errors import LedgerError
from activate.ledger import opening
from activate.ledger.fold import Fold
from activate.ledger.journal import Ledger
from activate.ledger.lock import lock, owner
from activate.plan import Price

MAVERA = "http://127.0.0.1:8790/mavera/api/v1"
KEY = "personas/clv-tiers:top"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'data' / 'ledger.sqlite'}"


@pytest.fixture
def ledger(url: str) -> Ledger:
    return opening.connect(url, MAVERA, write=True)


def begun(ledger: Ledger, run_id: str = "run", **changes: Any) -> str:
    call: dict[str, Any] = {
        "kind": "personas",
        "record_key": "clv-tiers:top",
        "job": "clv-tiers",
        "action": "create",
        "fingerprint": "f1",
        "facts": {"customer_count": 820},
        "payload": {"name": "Top"},
        "price": Price(300, 300),
    }
    return ledger.begin(run_id, **(call | changes))


def done(ledger: Ledger, call_id: str, credits_spent: int = 300, **changes: Any) -> None:
    ledger.end(call_id, "done", remote_id="per_1", credits_spent=credits_spent, **changes)


def updating(ledger: Ledger) -> str:
    return begun(ledger, action="update", fingerprint="f2", price=Price(0, 0), remote_id="per_1")


def test_a_call_without_an_end_reads_as_unknown(ledger: Ledger) -> None:
    call_id = begun(ledger)
    assert ledger.entries()[KEY].state == "unknown"
    assert [call.call_id for call in ledger.unknown()] == [call_id]


def test_what_is_written_is_there_for_the_next_process(ledger: Ledger, url: str) -> None:
    done(ledger, begun(ledger))
    entry = opening.connect(url, MAVERA).entries()[KEY]
    assert (entry.state, entry.remote_id, entry.fingerprint) == ("done", "per_1", "f1")
    assert entry.accepted.facts == {"customer_count": 820}


def test_a_new_fingerprint_counts_only_once_mavera_accepted_it(ledger: Ledger) -> None:
    done(ledger, begun(ledger))
    ledger.end(updating(ledger), "failed", error="400")
    assert ledger.entries()[KEY].fingerprint != "f2"
    done(ledger, updating(ledger), 0)
    assert ledger.entries()[KEY].fingerprint == "f2"


def test_what_was_sent_with_the_facts_is_no_fact_and_counts_once_mavera_accepted_it(ledger: Ledger) -> None:
    done(ledger, begun(ledger, person_count=820, wording="w1"))
    update = begun(ledger, action="update", person_count=840, wording="w2", price=Price(0, 0))
    ledger.end(update, "failed")
    entry = ledger.entries()[KEY]
    sent = entry.accepted
    assert (sent.person_count, sent.wording, sent.facts) == (820, "w1", {"customer_count": 820})


def test_a_row_of_an_older_version_tells_nothing_of_people_or_wording(ledger: Ledger, url: str) -> None:
    done(ledger, begun(ledger))
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute("""update journal set facts = '{"customer_count": 820}' where event = 'begin'""")
    entry = ledger.entries()[KEY]
    sent = entry.accepted
    assert (sent.person_count, sent.wording, sent.facts) == (None, "", {"customer_count": 820})


def test_an_unanswered_update_is_sent_again_and_not_looked_up(ledger: Ledger) -> None:
    done(ledger, begun(ledger))
    updating(ledger)
    entry = ledger.entries()[KEY]
    assert (entry.state, entry.remote_id, entry.fingerprint) == ("failed", "per_1", None)
    assert ledger.unknown() == []


def test_what_a_lost_edit_told_may_be_held_until_mavera_accepts_another(ledger: Ledger) -> None:
    done(ledger, begun(ledger, person_count=100))
    begun(ledger, action="update", person_count=120, remote_id="per_1")
    refused = begun(ledger, action="update", person_count=130, remote_id="per_1")
    ledger.end(refused, "failed", error="400")
    entry = ledger.entries()[KEY]
    lost = [(sent.facts, sent.person_count) for sent in entry.unconfirmed_edits]
    assert (entry.accepted.person_count, lost) == (100, [({"customer_count": 820}, 120)])
    done(ledger, begun(ledger, action="update", person_count=140, remote_id="per_1"), 0)
    assert (ledger.entries()[KEY].accepted.person_count, ledger.entries()[KEY].unconfirmed_edits) == (140, ())


def test_an_unanswered_analysis_is_looked_up_also_when_it_was_asked_before(ledger: Ledger) -> None:
    analysis: dict[str, Any] = {"kind": "analyses", "price": Price(10, 75)}
    done(ledger, begun(ledger, **analysis), 22)
    begun(ledger, **analysis, action="update", fingerprint="f2")
    assert ledger.entries()["analyses/clv-tiers:top"].state == "unknown"


def test_what_is_taken_over_is_announced_as_a_call_is_and_costs_nothing(ledger: Ledger) -> None:
    record: dict[str, Any] = {"person_count": 820, "wording": "w1"}
    begun(ledger, **record)
    ledger.take_over(
        kind="personas",
        record_key="clv-tiers:top",
        job="clv-tiers",
        fingerprint="f1",
        facts={"customer_count": 820},
        payload={"name": "Top"},
        remote_id="per_1",
        thread_id=None,
        state="done",
        answer={"id": "per_1"},
        **record,
    )
    sent, taken, ended, _ = map(json.loads, ledger.chain.export())
    its_own = {"entry_id", "call_id", "written_at", "run_id", "action", "receipt"}
    differing = {name for name in sent.keys() - its_own if sent[name] != taken[name]}
    assert differing == {"credits_low", "credits_high"}
    assert (ended["call_id"], ended["credits"], ended["remote_id"]) == (taken["call_id"], 0, "per_1")


def test_the_last_end_of_a_call_counts(ledger: Ledger) -> None:
    call_id = begun(ledger)
    ledger.end(call_id, "unknown", error="no answer in 120 s")
    assert ledger.spent() == 300
    done(ledger, call_id, action="look up")
    assert ledger.entries()[KEY].state == "done"
    assert ledger.spent() == 300


def test_a_call_of_which_nothing_came_costs_nothing(ledger: Ledger) -> None:
    call_id = begun(ledger)
    ledger.end(call_id, "unknown")
    ledger.end(call_id, "failed", action="look up", credits_spent=0)
    assert ledger.spent() == 0
    assert ledger.entries()[KEY].remote_id is None


def test_what_was_forgotten_has_no_entry_but_keeps_its_cost(ledger: Ledger) -> None:
    done(ledger, begun(ledger))
    update = updating(ledger)
    done(ledger, update, 0)
    ledger.end(update, "failed", action="forget", credits_spent=0)
    assert ledger.entries() == {}
    assert ledger.spent() == 300


def test_unanswered_calls_count_at_their_highest_price(ledger: Ledger) -> None:
    done(ledger, begun(ledger, kind="analyses", price=Price(10, 75)), 22)
    begun(ledger, kind="analyses", record_key="b:c", price=Price(10, 75))
    assert ledger.spent() == 97


def test_the_budget_starts_anew_with_each_month_in_utc(ledger: Ledger) -> None:
    ledger.now = lambda: datetime(2026, 10, 31, 23, 59, tzinfo=UTC)
    done(ledger, begun(ledger))
    assert ledger.spent() == 300
    ledger.now = lambda: datetime(2026, 11, 1, 0, 0, tzinfo=UTC)
    assert ledger.spent() == 0


def test_a_run_has_the_credits_of_its_own_calls(ledger: Ledger) -> None:
    done(ledger, begun(ledger, run_id="one"))
    begun(ledger, run_id="two", record_key="b:c")
    assert (ledger.spent("one"), ledger.spent("two")) == (300, 300)


def test_the_last_run_tells_how_far_it_came(ledger: Ledger) -> None:
    run_id = ledger.start(4, Price(300, 1_200))
    done(ledger, begun(ledger, run_id))
    run = ledger.last_run()
    assert run
    assert (run.steps, len(run.calls)) == (4, 1)


def test_who_only_reads_makes_no_file(url: str, tmp_path: Path) -> None:
    reader = opening.connect(url, MAVERA)
    assert reader.chain.mark().entry_id == 0
    assert reader.entries() == {}
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_a_killed_process_left_without_tables_reads_as_empty(url: str) -> None:
    path = Path(url.removeprefix("sqlite:///"))
    path.parent.mkdir()
    path.touch()
    assert opening.connect(url, MAVERA).chain.mark().entry_id == 0


def test_rows_are_only_ever_added(ledger: Ledger, url: str) -> None:
    call_id = begun(ledger)
    ledger.end(call_id, "unknown")
    done(ledger, call_id)
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        rows = connection.execute(
            "select event, state, destination from journal order by entry_id"
        ).fetchall()
    assert rows == [("begin", None, MAVERA), ("end", "unknown", MAVERA), ("end", "done", MAVERA)]


def test_a_ledger_of_another_mavera_is_refused(ledger: Ledger, url: str) -> None:
    begun(ledger)
    with pytest.raises(LedgerError, match=r"Set LEDGER_URL to a separate file for each"):
        opening.connect(url, "https://app.mavera.io/api/v1")


def test_a_ledger_of_a_newer_layout_is_refused(ledger: Ledger, url: str) -> None:
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute("update schema_version set version = 3")
    with pytest.raises(LedgerError, match=r"newer version of this project \(layout 3, this one knows 2\)"):
        opening.connect(url, MAVERA)


def test_a_damaged_ledger_is_one_line_that_warns_of_its_worth(url: str) -> None:
    path = Path(url.removeprefix("sqlite:///"))
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(LedgerError, match=r"It remembers what was paid for: restore it from a backup"):
        opening.connect(url, MAVERA)


def test_a_ledger_that_cannot_be_written_stops_the_run(ledger: Ledger, url: str) -> None:
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute(
            "create trigger full before insert on journal begin select raise(abort, 'full'); end"
        )
    with pytest.raises(LedgerError, match=r"cannot be written \(full\): nothing more is sent"):
        begun(ledger)


def test_a_second_apply_is_told_who_is_at_work(url: str) -> None:
    with (
        lock(url),
        pytest.raises(LedgerError, match=rf"another apply is at work \(process {os.getpid()}\)"),
        lock(url),
    ):
        pass


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "ledger.sqlite"
    said = f"^{path} cannot be written: .*\\. Change that, or set another LEDGER_URL in .env$"
    with pytest.raises(LedgerError, match=said), lock(f"sqlite:///{path}"):
        pass


def test_a_second_apply_is_told_by_whatever_name_it_knows_the_ledger(ledger: Ledger, url: str) -> None:
    path = Path(url.removeprefix("sqlite:///"))
    link = path.parent.parent / "link.sqlite"
    link.symlink_to(path)
    with lock(url):
        assert owner(f"sqlite:///{link}") == f"process {os.getpid()}"
        with pytest.raises(LedgerError, match="another apply is at work"), lock(f"sqlite:///{link}"):
            pass
    assert not ledger.calls()


def test_the_lock_is_free_after_its_block(url: str) -> None:
    for _ in range(2):
        with lock(url):
            pass


def test_the_lock_of_a_killed_process_frees_itself(url: str) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=hold, args=(url, ready))
    holder.start()
    assert ready.wait(30)
    with pytest.raises(LedgerError, match=str(holder.pid)), lock(url):
        pass
    os.kill(holder.pid or 0, signal.SIGKILL)
    holder.join()
    with lock(url):
        pass


def hold(url: str, ready: Any) -> None:
    with lock(url):
        ready.set()
        signal.pause()


def test_a_ledger_in_memory_is_no_ledger() -> None:
    with (
        pytest.raises(LedgerError, match="LEDGER_URL names no file: nothing would be remembered"),
        lock("sqlite://"),
    ):
        pass


def test_what_mavera_said_that_things_cost_is_remembered_by_kind(ledger: Ledger) -> None:
    done(ledger, begun(ledger), 350, credits_source="answered")
    done(ledger, updating(ledger), 0, credits_source="answered")  # no price is learned from an edit
    done(ledger, begun(ledger, record_key="a:b"), 300, credits_source="documented")
    analysis: dict[str, Any] = {"kind": "analyses", "record_key": "a:c", "price": Price(10, 75)}
    done(ledger, begun(ledger, **analysis), 22, credits_source="answered")
    done(ledger, begun(ledger, **analysis, action="update"), 18, credits_source="answered")
    assert ledger.paid() == {"personas": [350], "analyses": [22, 18]}


def test_each_row_is_read_once_however_often_the_ledger_is_asked(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        done(ledger, begun(ledger, record_key=f"a:{number}"))
    assert len(ledger.entries()) == 30
    read: list[int] = []
    add = Fold.add
    monkeypatch.setattr(Fold, "add", lambda fold, row: (read.append(row.entry_id), add(fold, row)))
    done(ledger, begun(ledger))
    for _ in range(3):
        assert (ledger.spent(), len(ledger.calls()), ledger.unknown()) == (31 * 300, 31, [])
        assert len(ledger.entries()) == 31
    assert read == [61, 62]


def test_a_reader_sees_what_another_process_adds_and_notices_another_journal(
    ledger: Ledger, url: str
) -> None:
    reader = opening.connect(url, MAVERA)
    done(ledger, begun(ledger))
    assert reader.entries().keys() == {KEY}
    done(ledger, begun(ledger, record_key="a:b"))
    assert len(reader.entries()) == 2
    tampered(url, "delete from journal where entry_id > 2")
    assert reader.entries().keys() == {KEY}


# --- receipts, layouts, exports ----------------------------------------------------------------------


def tampered(url: str, statement: str) -> None:
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute(statement)


def test_every_row_is_as_it_was_written(ledger: Ledger) -> None:
    done(ledger, begun(ledger))
    ledger.start(2, Price(10, 75))
    assert ledger.chain.verify() == 3


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("update journal set credits = 0 where event = 'end'", "row 2 of the ledger"),
        ("delete from journal where entry_id = 1", "row 2 of the ledger"),
        ("delete from journal where entry_id = 2", "2 receipts and 1 rows"),
        ("delete from receipts where entry_id = 2", "row 2 of the ledger"),
    ],
)
def test_a_row_that_was_changed_or_taken_out_shows(
    ledger: Ledger, url: str, statement: str, error: str
) -> None:
    done(ledger, begun(ledger))
    tampered(url, statement)
    with pytest.raises(LedgerError, match=error):
        ledger.chain.verify()


def test_a_ledger_of_the_first_layout_is_read_as_it_is_and_kept_before_it_is_changed(
    ledger: Ledger, url: str
) -> None:
    done(ledger, begun(ledger))
    tampered(url, "drop table receipts")
    tampered(url, "update schema_version set version = 1")
    path = Path(url.removeprefix("sqlite:///"))
    before = path.read_bytes()
    assert opening.connect(url, MAVERA).spent() == 300
    old = opening.connect(url, MAVERA)
    for needs_receipts in (old.chain.mark, old.chain.verify, lambda: list(old.chain.export())):
        with pytest.raises(LedgerError, match=r"layout 1, whose rows have no receipts\. make activate"):
            needs_receipts()
    assert path.read_bytes() == before
    assert opening.connect(url, MAVERA, write=True).chain.verify() == 2
    assert path.with_name(f"{path.name}.layout-1").read_bytes() == before
    assert opening.connect(url, MAVERA).chain.verify() == 2


def test_an_exported_ledger_is_restored_row_by_row(ledger: Ledger, url: str) -> None:
    done(ledger, begun(ledger))
    lines = list(ledger.chain.export())
    again = opening.connect(f"{url}-again", MAVERA, write=True)
    assert again.chain.restore(lines) == again.chain.verify() == 2
    assert again.entries() == ledger.entries()
    with pytest.raises(LedgerError, match="has rows already"):
        again.chain.restore(lines)


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (
            lambda line: line.replace("per_1", "per_2"),
            "line 2, or the one before it, is not as it was exported",
        ),
        (lambda line: line[:-9], "line 2 is not a row of an exported ledger"),
        (lambda line: line.replace(MAVERA, "https://app.mavera.io/api/v1"), "line 2 was sent to https://app"),
    ],
    ids=["changed", "cut off", "another Mavera"],
)
def test_a_line_that_is_not_as_it_was_exported_restores_nothing(
    ledger: Ledger, url: str, spoil: Any, error: str
) -> None:
    done(ledger, begun(ledger))
    first, second, end = ledger.chain.export()
    again = opening.connect(f"{url}-again", MAVERA, write=True)
    with pytest.raises(LedgerError, match=error):
        again.chain.restore([first, spoil(second), end])
    assert again.chain.mark().entry_id == 0


def test_an_export_that_was_cut_off_restores_nothing_unless_a_person_ends_it(
    ledger: Ledger, url: str
) -> None:
    done(ledger, begun(ledger))
    first, second, end = ledger.chain.export()
    again = opening.connect(f"{url}-again", MAVERA, write=True)
    for cut in ([], [first], [first, second], [first, second, end, first]):
        with pytest.raises(LedgerError):
            again.chain.restore(cut)
        assert again.chain.mark().entry_id == 0
    with pytest.raises(LedgerError, match="ends after 1 rows without the line that ends an export") as told:
        again.chain.restore([first])
    by_hand = str(told.value).partition("add this line to it: ")[2]
    assert again.chain.restore([first, by_hand]) == again.chain.verify() == 1
