"""`make demo` harms nothing: no existing world, no other demo, no port of somebody else."""

import fcntl
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common import settings
from sandbox import demo
from sandbox.server import PortTaken


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with demos of one step, which records the finished worlds and their places."""

    def step(place: demo.Place) -> None:
        world = place.world
        assert world is not None
        (place.home / "done").write_text(str(world.people), encoding="utf-8")

    monkeypatch.setattr(demo, "BUILD", tmp_path)
    monkeypatch.setattr(demo, "FINISHED", demo.Place(tmp_path / "demo", tmp_path / "demo.env"))
    monkeypatch.setattr(demo, "NEXT", demo.Place(tmp_path / "demo.next", tmp_path / "demo.next.env"))
    monkeypatch.setattr(demo, "BEFORE", tmp_path / "demo.before")
    monkeypatch.setattr(demo, "_take_steps", step)
    monkeypatch.setattr(demo, "_summarise", lambda _: None)
    return tmp_path


def failing(_: demo.Place) -> None:
    raise demo.StepFailed("no room")


def standing(build: Path) -> str:
    return (build / "demo" / "done").read_text(encoding="utf-8")


def settings_of(build: Path) -> dict[str, str]:
    lines = (build / "demo.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def test_another_world_takes_the_place_of_the_one_before_only_once_it_stands(
    build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, step = free_port(), demo._take_steps
    demo.run(200, 7, port)
    with monkeypatch.context() as broken:
        broken.setattr(demo, "_take_steps", failing)
        for people, seed in ((201, 7), (200, 8)):
            with pytest.raises(demo.StepFailed):
                demo.run(people, seed, port)
            assert standing(build) == "200"
            assert settings_of(build)["WAREHOUSE_PATH"] == str(build / "demo" / "warehouse.duckdb")
    monkeypatch.setattr(demo, "_take_steps", step)
    demo.run(202, 7, port)
    assert standing(build) == "202"
    assert settings_of(build)["WAREHOUSE_PATH"] == str(build / "demo" / "warehouse.duckdb")
    assert sorted(path.name for path in build.iterdir()) == ["demo", "demo.env", "demo.lock"]


def test_a_world_that_was_begun_is_gone_on_with(build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    demo.run(200, 7, port)
    with monkeypatch.context() as broken:
        broken.setattr(demo, "_take_steps", failing)
        with pytest.raises(demo.StepFailed):
            demo.run(201, 7, port)
    (build / "demo.next" / "paid for").touch()
    demo.run(201, 7, port)
    assert standing(build) == "201"
    assert (build / "demo" / "paid for").exists()


def test_a_kill_between_the_two_renames_leaves_a_whole_demo(
    build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    demo.run(200, 7, port)
    with monkeypatch.context() as killed:
        killed.setattr(demo, "_write_environment", lambda *_: None)
        killed.setattr(Path, "rename", once(Path.rename))
        with pytest.raises(KeyboardInterrupt):
            demo.run(201, 7, port)
    assert not (build / "demo").exists()
    demo.run(201, 7, port)
    assert standing(build) == "201"


def once(function: Callable[..., Any]) -> Callable[..., Any]:
    calls: list[object] = []

    def called(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return function(*arguments)

    return called


def test_a_port_that_is_taken_stops_it_before_anything_is_touched(build: Path) -> None:
    demo.run(200, 7, free_port())
    before = sorted(path.stat().st_mtime_ns for path in build.rglob("*") if path.name != "demo.lock")
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PortTaken, match="is in use"):
        demo.run(201, 7, taken.getsockname()[1])
    assert sorted(path.stat().st_mtime_ns for path in build.rglob("*") if path.name != "demo.lock") == before


def test_a_second_demo_at_once_is_told_to_wait(build: Path) -> None:
    with (build / "demo.lock").open("w", encoding="ascii") as lock:
        lock.write("12345")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(demo.DemoError, match=r"another make demo is at work here \(process 12345\)"):
            demo.run(200, 7, free_port())
    assert not (build / "demo").exists()


def test_an_orphaned_sandbox_of_its_own_is_ended_and_no_other(
    build: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def serve(state: Path) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "sandbox", "serve", "--people", "200", "--port", str(port)]
        process = subprocess.Popen(
            [*command, "--state", str(state)], cwd=settings.ROOT, stderr=subprocess.PIPE, text=True,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stderr is not None
        assert "ready on" in process.stderr.readline()
        return process

    port = free_port()
    (build / "demo").mkdir()
    with serve(build / "mine.sqlite") as other:
        with pytest.raises(PortTaken):
            demo.run(200, 7, port)
        assert other.poll() is None
        other.terminate()
    with serve(build / "demo" / "mavera.sqlite") as orphan:
        demo.run(200, 7, port)
        assert orphan.wait(10) is not None
    assert f"ended a sandbox that an earlier demo left (process {orphan.pid})" in capsys.readouterr().err


def test_the_sandbox_of_a_demo_that_was_killed_ends_as_well(build: Path) -> None:
    code = f"""
import time
from pathlib import Path
from typing import Any
from sandbox import demo
build = Path({str(build)!r})
demo.BUILD, demo.FINISHED = build, demo.Place(build / "demo", build / "demo.env")
demo._take_steps = lambda _: (print("begun", flush=True), time.sleep(60))
demo.run(200, 7, {free_port()})
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=settings.ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while "begun" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGKILL)
    world = json.loads((build / "demo" / "world.json").read_text(encoding="utf-8"))
    assert until(lambda: unheard(world["port"])), "its sandbox is left"


def unheard(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def until(holds: Callable[[], bool], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not holds():
        time.sleep(0.1)
    return holds()
