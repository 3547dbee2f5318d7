"""Each part of a run counts its own seconds, and a browser can draw the trace."""

import json
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from common import spans


@pytest.fixture(autouse=True)
def nothing_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "_seconds", Counter())
    monkeypatch.setattr(spans, "_kept", [])
    spans.trace()


def test_a_part_within_another_counts_once() -> None:
    with spans.span("load"):
        time.sleep(0.02)
        with spans.span("compare"):
            time.sleep(0.05)
    seconds = spans.seconds()
    assert list(seconds) == ["compare", "load"]
    assert 0.05 <= seconds["compare"] < 0.5
    assert 0.02 <= seconds["load"] < seconds["compare"]


def test_threads_that_run_side_by_side_are_added_up() -> None:
    @spans.spent_on("vendor")
    def asked() -> None:
        time.sleep(0.05)

    threads = [threading.Thread(target=asked) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert spans.seconds()["vendor"] >= 0.2


def test_a_part_that_fails_counts_too() -> None:
    with pytest.raises(ZeroDivisionError), spans.span("parse", "page"):
        _ = 1 / 0
    assert list(spans.seconds()) == ["parse"]


def test_every_step_adds_to_one_trace(tmp_path: Path) -> None:
    trace = tmp_path / "build" / "trace.json"
    with spans.span("model", "model days"):
        pass
    spans.ended("test", "test days", 2.0)
    for step in ("ingest", "transform"):
        spans.write(trace, step)
    text = trace.read_text(encoding="utf-8")
    events = json.loads(text.rstrip(",\n") + "]")
    assert [event["args"]["name"] for event in events if event["ph"] == "M"] == ["ingest", "transform"]
    (first, second) = [event for event in events if event["ph"] == "X"][:2]
    assert (first["name"], first["cat"], second["name"], second["dur"]) == (
        "model days", "model", "test days", 2_000_000,
    )  # fmt: skip


def test_a_trace_has_an_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(spans, "KEPT", 3)
    for number in range(5):
        spans.ended("vendor", f"{number}", 1.0)
    assert spans.seconds() == {"vendor": 5.0}
    spans.write(tmp_path / "trace.json", "ingest")
    assert len((tmp_path / "trace.json").read_text(encoding="utf-8").splitlines()) == 1 + 1 + 3
