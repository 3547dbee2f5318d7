"""How much of Mavera's pace `apply` uses: `python -m tests.bench_apply [LATENCY_MS ...]` prints JSON.

Mavera is the sandbox in a process of its own, which answers late. Each run sends fewer requests than a
minute allows, so that their rate is that of a Mavera without limits. Above the pace, the pace binds.
With `steady`, one run of Enterprise sends what two minutes allow, under its pace.
"""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from activate import engine, records
from activate.kinds import KINDS
from activate.ledger import opening
from activate.mavera import HEADROOM, REQUESTS_A_MINUTE, Mavera
from activate.planning import Limits
from common.settings import Settings
from sandbox import mavera as sandbox
from tests import activation
from tests.activate.test_activate_kills import numbered
from tests.measuring import TODAY, Measure, vendors

REQUESTS: Final = 120
LISTED: Final = 8  # requests of a run that send nothing
STEADY_MINUTES: Final = 2


def paced(tier: str) -> float:
    """Return the requests a second that the pace of a plan allows."""
    return HEADROOM * REQUESTS_A_MINUTE[tier] / 60


def applied(url: str, tier: str, count: int, folder: Path) -> dict[str, Any]:
    """Create `count` personas; return the requests a second, and the CPU seconds of one."""
    published, base_url = folder / "published.duckdb", f"{url}/mavera/api/v1"
    activation.publish(published, tuple(numbered(activation.SKIMMERS, number) for number in range(count)))
    settings = Settings(_env_file=None, published_path=published)
    wanted = records.load(settings, list(KINDS))
    client = Mavera(base_url, sandbox.KEY, tier, firewall=records.guard(settings))
    ledger = opening.connect(f"sqlite:///{folder / 'ledger.sqlite'}", base_url, write=True)
    began, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    outcome = engine.apply(wanted, ledger, client, list(KINDS), Limits(10**9, None, 20, 300))
    seconds, now = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    assert outcome.counts() == {"created": count}, outcome
    cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return {
        "tier": tier,
        "requests_a_second": client.calls / seconds,
        "paced": paced(tier),
        "cpu": cpu / count,
    }


def rates(latency_ms: int, *, is_steady: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the rate of each plan; with `is_steady`, of Enterprise alone, over two minutes of its pace."""
    for tier in ["enterprise"] if is_steady else REQUESTS_A_MINUTE:
        allowed = int(60 * paced(tier))
        count = STEADY_MINUTES * allowed if is_steady else min(REQUESTS, allowed - LISTED)
        with (
            tempfile.TemporaryDirectory() as folder,
            vendors(200, TODAY, latency_ms=latency_ms, state=Path(folder) / "state.sqlite") as url,
        ):
            yield {"latency_ms": latency_ms} | applied(url, tier, count, Path(folder))


def measures(latency_ms: int = 100) -> Iterator[Measure]:
    """Yield the requests a second of each plan beside its pace: at least 0.95 of it."""
    for rate in rates(latency_ms):
        step = f"apply, {rate['tier']}, {latency_ms} ms late"
        yield Measure(step, "requests/s", rate["requests_a_second"], "paced", rate["paced"])


def main(arguments: list[str]) -> None:
    is_steady = "steady" in arguments
    for latency_ms in [int(one) for one in arguments if one.isdigit()] or [100]:
        for rate in rates(latency_ms, is_steady=is_steady):
            sys.stdout.write(json.dumps(rate) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
