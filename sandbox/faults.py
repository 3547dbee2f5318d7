"""Bad days on demand: what may go wrong with an answer, how often, and at which vendor."""

import random
import threading
from dataclasses import asdict, dataclass
from typing import Any

from sandbox.world import ANOMALIES

# The answer is replaced by the vendor's own refusal or failure; the work is not done.
REFUSALS = {"429": 429, "500": 500, "503": 503}
# What happens to the connection or the bytes. After cut-after and time-out the work is done.
BREAKS = {"cut-before", "cut-after", "time-out", "broken-json", "slow-body"}
# What a listing does while it is paged through.
PAGES = {"empty-page": "empty", "repeated-page": "repeat"}
NAMES = sorted({*REFUSALS, *BREAKS, *PAGES})
VENDORS = ("sendgrid", "wistia", "klaviyo", "mavera")


@dataclass
class Fault:
    """One thing that goes wrong.

    `vendor` is a vendor's name or `all`, `rate` the share of its requests that meet it, `count` how many more
    may (None: no end), `path` a part that the request's path must have, `method` its method where not any;
    `spare` such requests pass first.
    """

    name: str
    vendor: str = "all"
    rate: float = 1.0
    count: int | None = None
    path: str = ""
    method: str = ""
    spare: int = 0

    def __post_init__(self) -> None:
        if self.name in ANOMALIES:
            raise ValueError(f"{self.name} is in the population's rows: set it when the sandbox starts")
        if self.name not in NAMES:
            raise ValueError(
                f"unknown fault {self.name}; there are {', '.join([*NAMES, *sorted(ANOMALIES)])}"
            )
        if self.vendor not in ("all", *VENDORS):
            raise ValueError(f"unknown vendor {self.vendor}; there are all, {', '.join(VENDORS)}")
        if not 0 < self.rate <= 1:
            raise ValueError("rate must be above 0 and at most 1")

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """Read NAME[:VENDOR[:RATE[:COUNT]]], as a flag gives it. Raises ValueError."""
        name, vendor, rate, count = [*text.split(":"), "", "", ""][:4]
        return cls(name, vendor or "all", float(rate or 1), int(count) if count else None)


class Faults:
    """The faults that are switched on; who meets one is drawn from a seed, so a bad day can be had again."""

    def __init__(self, seed: int, faults: list[Fault] | None = None) -> None:
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._faults = list(faults or [])

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def draw(self, vendor: str, method: str, path: str) -> str | None:
        """Return the name of the fault that this request meets, or None."""
        with self._lock:
            for fault in self._faults:
                applies = fault.vendor in ("all", vendor) and fault.method in ("", method)
                applies = applies and fault.path in path and fault.count != 0
                if applies and fault.spare:
                    fault.spare -= 1
                elif applies and self._random.random() < fault.rate:
                    if fault.count is not None:
                        fault.count -= 1
                    return fault.name
        return None

    def as_rows(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(fault) for fault in self._faults]
