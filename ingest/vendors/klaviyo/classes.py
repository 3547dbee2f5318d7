"""Klaviyo's classes of requests, and how many of each it allows an account."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from ingest.paging import Parameters

Windows = Sequence[tuple[int, float]]
TIERS: Final[Mapping[str, Windows]] = {
    "XS": ((1, 1.0), (15, 60.0)),
    "S": ((3, 1.0), (60, 60.0)),
    "M": ((10, 1.0), (150, 60.0)),
    "L": ((75, 1.0), (700, 60.0)),  # 750 by the description of the API, 700 by its guide
    "XL": ((350, 1.0), (3_500, 60.0)),
    "report": ((1, 1.0), (2, 60.0)),
}
"""Requests and seconds, in a burst and steadily, for each endpoint by itself."""
COSTLY: Final = ("profile_count", "predictive_analytics")
"""Fields that an endpoint gives at a lower tier."""
ENDPOINTS: Final[Mapping[str, str]] = {
    "accounts": "XS",
    "segments/{} profile_count": "XS",
    "lists/{} profile_count": "XS",
    **dict.fromkeys(("metric-aggregates", "mapped-metrics", "flows"), "S"),
    **dict.fromkeys(("flow-actions/{}/flow-messages", "flow-messages/{}/template"), "S"),
    **dict.fromkeys(("metrics", "campaigns", "profiles predictive_analytics"), "M"),
    **dict.fromkeys(("profiles", "segments", "lists", "segments/{}/profiles", "lists/{}/profiles"), "L"),
    **dict.fromkeys(("events", "catalog-items", "catalog-variants", "catalog-categories"), "XL"),
    "catalog-categories/{}/relationships/items": "XL",
    **dict.fromkeys(("campaign-values-reports", "flow-values-reports"), "report"),
}


def class_of(path: str, params: Parameters) -> str:
    """Return the name of a request's class: its endpoint, and a field that makes it costly."""
    asked = {value for name, value in params.items() if name.startswith("additional-fields")}
    return " ".join([re.sub(r"\{\w+\}", "{}", path), *(field for field in COSTLY if field in asked)])


def windows_of(name: str) -> Windows:
    """Return the windows of a class; none for one that is not known, whose answers tell them."""
    tier = ENDPOINTS.get(name)
    return TIERS[tier] if tier else ()
