"""Everything is paid for once, even if the command is killed several times.

tests/faults.py covers every place where it can die, and every other fault.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from activate.ledger import opening
from common import settings
from sandbox.server import Sandbox, serving
from tests import activation

KILLS = 6
PERSONAS = 40  # more than the killed runs can send
LATENCY_MS = 15
SIDE_BY_SIDE_MS = 300  # so that several requests are under way when the run is killed
PATIENCE_SECONDS = 60

COMMAND = [sys.executable, "-m", "activate", "apply"]


def numbered(row: activation.Row, number: int) -> activation.Row:
    return activation.but(row, record_key=f"{row['record_key']}_{number}", name=f"{row['name']} {number}")


def kill_during(environment: dict[str, str], sandbox: Sandbox, chance: random.Random) -> bool:
    """Start an apply and kill it at a random moment; return whether it was still running."""
    seen, requests = len(sandbox.journal), chance.randint(1, 5)
    process = subprocess.Popen(
        COMMAND, cwd=settings.ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(sandbox.journal) < seen + requests and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    time.sleep(chance.uniform(0, 2 * LATENCY_MS / 1000))
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def charged(ledger: opening.Ledger) -> int:
    """What the ledger counts, without calls that died on their way: those count until a person decides."""
    return ledger.spent() - sum(call.credits or 0 for call in ledger.written_off())


@pytest.mark.parametrize(("seed", "latency_ms"), [(0, LATENCY_MS), (1, LATENCY_MS), (2, SIDE_BY_SIDE_MS)])
def test_a_run_killed_again_and_again_pays_for_each_record_once(
    seed: int, latency_ms: int, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    personas = tuple(numbered(activation.SKIMMERS, number) for number in range(PERSONAS))
    analyses = tuple(numbered(activation.CLUSTERS, number) for number in range(6))
    asked = [personas[0]["record_key"], personas[1]["record_key"]]
    studies = tuple(
        activation.but(numbered(activation.PAIR, number), reference_keys=asked) for number in range(6)
    )
    voices = tuple(numbered(activation.VOICE, number) for number in range(3))
    texts = tuple(numbered(activation.FOLLOW_UP, number) for number in range(6))
    activation.publish(tmp_path / "published.duckdb", personas, analyses, studies, voices, texts)
    sandbox = Sandbox(activation.world(), limits="off", latency_ms=latency_ms)
    sandbox.mavera.study_seconds = sandbox.mavera.voice_seconds = 0.1
    with serving(sandbox) as url:
        environment = {**os.environ, **activation.environment(tmp_path, url)}
        environment |= {"CREDIT_BUDGET": "20000", "MAVERA_CREATIONS": "100", "MAVERA_SETTLE_SECONDS": "0"}
        killed = sum(kill_during(environment, sandbox, chance) for _ in range(KILLS))
        last = subprocess.run(COMMAND, cwd=settings.ROOT, env=environment, capture_output=True, text=True)
        assert last.returncode == 0, last.stdout + last.stderr
        wanted = [row["record_key"] for row in (*personas, *analyses, *studies, *voices, *texts)]
        assert killed == KILLS
        assert activation.references(url) == Counter(wanted)
        ledger = opening.connect(environment["LEDGER_URL"], environment["MAVERA_BASE_URL"])
        assert charged(ledger) == sandbox.mavera.summary()["credits_spent"]
        assert {entry.state for entry in ledger.entries().values()} == {"done"}


def test_what_is_killed_while_mavera_works_on_it_is_paid_once(tmp_path: Path) -> None:
    chance = random.Random(0)
    rows = (activation.TOP, activation.SKIMMERS)
    studies = tuple(numbered(activation.PAIR, number) for number in range(7))
    voices = tuple(numbered(activation.VOICE, number) for number in range(2))
    activation.publish(tmp_path / "published.duckdb", rows, (), studies, voices)
    sandbox = Sandbox(activation.world(), limits="off", latency_ms=LATENCY_MS)
    sandbox.mavera.study_seconds = sandbox.mavera.voice_seconds = 0.5
    with serving(sandbox) as url:
        environment = {**os.environ, **activation.environment(tmp_path, url)}
        environment |= {"CREDIT_BUDGET": "20000", "MAVERA_CREATIONS": "100", "MAVERA_SETTLE_SECONDS": "0"}
        assert kill_during(environment, sandbox, chance)
        for _ in range(KILLS):  # a run may end before its kill; later kills then have nothing to interrupt
            kill_during(environment, sandbox, chance)
        last = subprocess.run(COMMAND, cwd=settings.ROOT, env=environment, capture_output=True, text=True)
        assert last.returncode == 0, last.stdout + last.stderr
        assert activation.references(url) == Counter(row["record_key"] for row in (*rows, *studies, *voices))
        ledger = opening.connect(environment["LEDGER_URL"], environment["MAVERA_BASE_URL"])
        assert charged(ledger) == sandbox.mavera.summary()["credits_spent"]
        assert {entry.state for entry in ledger.entries().values()} == {"done"}
