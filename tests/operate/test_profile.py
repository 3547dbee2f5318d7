"""`make profile` says where the time of the last runs went."""

import json
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from common import runs, settings, spans
from operate import profile


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> settings.Settings:
    monkeypatch.setattr(spans, "_seconds", Counter())
    monkeypatch.setattr(spans, "_kept", [])
    monkeypatch.setattr(profile, "TRACE", tmp_path / "build" / "trace.json")
    monkeypatch.setattr(settings, "ROOT", tmp_path)
    monkeypatch.setenv("RUNS_PATH", str(tmp_path / "runs.jsonl"))
    ours = settings.Settings(_env_file=None, runs_path=tmp_path / "runs.jsonl", trace=profile.TRACE)
    with runs.recorded(ours, "transform"):
        spans.ended("model", "model of this test", 1500.0)
    return ours


def test_the_parts_of_a_run_are_kept_and_shown(history: settings.Settings) -> None:
    (step,) = profile.parts(history)
    assert step["step"] == "transform"
    assert step["parts"]["model"] >= 1500
    shown = CliRunner().invoke(profile.app, env={"COLUMNS": "80"})
    assert shown.exit_code == 0, shown.output
    assert "building models" in shown.stdout
    assert "building models: model of this test" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80


def test_the_same_as_json(history: settings.Settings) -> None:
    assert history.trace
    found = json.loads(CliRunner().invoke(profile.app, ["--json"]).stdout)
    assert found["slowest"][0] == {
        "what": "building models: model of this test",
        "times": 1,
        "seconds": 1500.0,
    }


def test_a_run_of_an_earlier_version_has_no_parts(tmp_path: Path) -> None:
    ours = settings.Settings(_env_file=None, runs_path=tmp_path / "runs.jsonl")
    line = {"run_id": "1", "step": "ingest", "happened_at": "2026-11-01T06:00:00+00:00"}
    begin = {**line, "event": "begin", "process": ["here", 1]}
    lines = [begin, {**line, "event": "end", "told": {}}]
    ours.runs_path.write_text("".join(f"{json.dumps(each)}\n" for each in lines), encoding="utf-8")
    assert list(profile.parts(ours)) == []
