"""The edition of the report for a wider circle: whatever is not named here stays out of it."""

import re
from typing import Any, Final

from report.figures import Rows

FIGURES: Final = frozenset({
    *("trends", "segment-sizes", "opens-by-day", "devices", "ab-tests", "contact-groups"),
    *("viewer-clusters", "drop-offs", "calls-to-action", "leads"),
    *("clv-churn", "segments", "products", "flow-messages", "channels"),
})  # fmt: skip
MONEY: Final = frozenset({"revenue", "credits"})
"""Measures of the first screen and of the trends that are left out."""
PRIVATE: Final = re.compile(r"_id$|record_key|revenue|clv|price|currency|credits|text|words|subject")
"""Columns that the tables leave out: ids, money, and words from messages."""
NOTE: Final = (
    "For a wider circle. Left out: money, credits, Mavera's texts and answers, operations, ids, and groups"
    " with too few people to conclude from."
)


def shared(rows: Rows) -> Rows:
    """Return the rows that a wider circle may see, without the columns that it may not."""
    return [
        {name: value for name, value in row.items() if not PRIVATE.search(name)}
        for row in rows
        if may_be_shared(row)
    ]


def may_be_shared(row: dict[str, Any]) -> bool:
    """Say whether a row is about enough people, and not about money."""
    is_few = row.get("is_small_group") or row.get("is_small_sample")
    return not is_few and row.get("measure") not in MONEY
