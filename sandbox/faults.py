"""Faults on demand: what can go wrong with an answer, how often, and at which vendor."""

import gzip
import json
import random
import re
import threading
from dataclasses import asdict, dataclass
from typing import Any, Final

from sandbox.world import ANOMALIES

# The vendor's own refusal or failure replaces the answer; the work is not done. The second 429 does not say
# when to retry.
REFUSALS = {"429": 429, "429-untimed": 429, "500": 500, "502": 502, "503": 503}
# Failures of the connection or the bytes. After all of them except cut-before, the work is done.
BREAKS = {"cut-before", "cut-after", "cut-body", "time-out", "broken-json", "broken-gzip", "slow-body"}
# Changes to a list during paging; the last two are the effects on counted pages of a row that is added or
# deleted before the page.
PAGES = {"empty-page": "empty", "repeated-page": "repeat", "added-row": "again", "deleted-row": "skip"}
# False contents of an answer: see `spoilt`.
LIES = {"changed-type", "late-attribution", "repeated-cursor", "short-total"}
# A strict gateway: it refuses every other `Accept`, which the vendor allows.
STRICT = "strict-accept"
NAMES = sorted({*REFUSALS, *BREAKS, *PAGES, *LIES, STRICT})
VENDORS = ("sendgrid", "wistia", "klaviyo", "mavera")
# Faults of some vendors only: those with paged lists, with a total or a cursor, or with counts.
SOME: Final[dict[str, tuple[str, ...]]] = {
    "empty-page": ("sendgrid", "wistia", "klaviyo"),
    "repeated-page": ("sendgrid", "wistia", "klaviyo"),
    "added-row": ("sendgrid", "wistia"),
    "deleted-row": ("sendgrid", "wistia"),
    "late-attribution": ("klaviyo",),
    "short-total": ("sendgrid", "mavera"),
    STRICT: ("klaviyo",),
    "repeated-cursor": ("sendgrid", "klaviyo", "mavera"),
}
ATTRIBUTIONS: Final = re.compile(rb'("attributions":\{"data":)\[[^\]]*\]')
TOTAL: Final = re.compile(rb'("_metadata":\{[^{}]*"count":|"total":)(\d+)')
MOMENT: Final = re.compile(rb'"\d{4}-\d\d-\d\d[^"]{0,25}"')
NEXT: Final = re.compile(rb'"next":"[^"]*"')
NEXT_CURSOR: Final = re.compile(rb'"next_cursor":"[^"]*"')


@dataclass
class Fault:
    """One thing that goes wrong.

    `vendor` is a vendor's name or `all`, `rate` the share of its requests affected, `count` how many more
    (None: no end). `path` is a part that the request's path must contain, `method` its method (any if unset);
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
        """Parse NAME[:VENDOR[:RATE[:COUNT]]] from a flag. Raises ValueError."""
        name, vendor, rate, count = [*text.split(":"), "", "", ""][:4]
        return cls(name, vendor or "all", float(rate or 1), int(count) if count else None)


class Faults:
    """The active faults; a seed decides which requests they affect, so a bad day can be repeated."""

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

    def reseed(self, seed: int) -> None:
        """Restart the draws from another seed."""
        with self._lock:
            self._random.seed(seed)

    def draw(self, vendor: str, method: str, path: str) -> str | None:
        """Return the name of the fault for this request, or None."""
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


def spoilt(name: str, content: bytes, url: str, cursor: str | None) -> bytes:
    """Return an answer to `url`, which asked for the page at `cursor`, as changed by the fault `name`.

    A changed type turns every date and time into a word. Answers to requests with a cursor repeat it. A short
    total promises a row more than the list has. The attribution of an order arrives later, up to three hours
    after the order as at Klaviyo.
    """
    match name:
        case "broken-json":
            return content[: len(content) // 2]
        case "broken-gzip":
            packed = gzip.compress(content)
            return packed[: len(packed) // 2]
        case "changed-type":
            return MOMENT.sub(b'"soon"', content)
        case "late-attribution":
            return ATTRIBUTIONS.sub(rb"\1[]", content)
        case "short-total":
            return TOTAL.sub(lambda found: found[1] + b"%d" % (int(found[2]) + 1), content)
        case "repeated-cursor" if cursor:
            content = NEXT.sub(lambda _: b'"next":' + json.dumps(url).encode(), content)
            return NEXT_CURSOR.sub(lambda _: b'"next_cursor":' + json.dumps(cursor).encode(), content)
    return content
