"""Bad days on demand: what may go wrong with an answer, how often, and at which vendor."""

import gzip
import json
import random
import re
import threading
from dataclasses import asdict, dataclass
from typing import Any, Final

from sandbox.world import ANOMALIES

# The answer is replaced by the vendor's own refusal or failure; the work is not done. The second 429 does not
# say when to come back.
REFUSALS = {"429": 429, "429-untimed": 429, "500": 500, "502": 502, "503": 503}
# What happens to the connection or the bytes. After all but cut-before the work is done.
BREAKS = {"cut-before", "cut-after", "cut-body", "time-out", "broken-json", "broken-gzip", "slow-body"}
# What a listing does while it is paged through; the last two are what a row that is added or deleted before
# the page does to pages that are counted.
PAGES = {"empty-page": "empty", "repeated-page": "repeat", "added-row": "again", "deleted-row": "skip"}
# What an answer says that was not so: see `spoilt`.
LIES = {"changed-type", "late-attribution", "repeated-cursor", "short-total"}
# A gateway that takes the specification at its word: it refuses every other `Accept`, which the vendor takes.
STRICT = "strict-accept"
NAMES = sorted({*REFUSALS, *BREAKS, *PAGES, *LIES, STRICT})
VENDORS = ("sendgrid", "wistia", "klaviyo", "mavera")
# Where only some vendors can have a fault: those with paged lists, that tell a total or a cursor, or count.
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

    def reseed(self, seed: int) -> None:
        """Draw from another seed from now on."""
        with self._lock:
            self._random.seed(seed)

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


def spoilt(name: str, content: bytes, url: str, cursor: str | None) -> bytes:
    """Return what the fault `name` makes of an answer to `url`, which asked for the page at `cursor`.

    A changed type makes every date and time a word. A cursor is repeated by answers that were asked for by
    one. A short total promises a row more than the list has. What an order is attributed to comes later, as
    at Klaviyo up to three hours after the order.
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
