"""What `--json` prints: the same numbers for a machine."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from activate.plan import Plan, Price
from activate.screen import SIGNS

if TYPE_CHECKING:
    from activate.engine import Limits, Outcome
    from activate.plan import Entry


def standing(kind: str, entries: Mapping[str, "Entry"], planned: Plan) -> dict[str, int]:
    of_kind = [entry for key, entry in entries.items() if key.startswith(f"{kind}/")]
    return {
        "sent": sum(entry.remote_id is not None for entry in of_kind),
        "to send": sum(step.record.kind == kind for step in planned.of("create", "update")),
        "held": sum(step.record.kind == kind for step in planned.of("hold")),
        "waiting": sum(entry.state == "waiting" for entry in of_kind),
        "unknown": sum(entry.state == "unknown" for entry in of_kind),
        "failed": sum(entry.state == "failed" for entry in of_kind),
    }


def of_plan(planned: Plan, limits: "Limits", left: int) -> dict[str, Any]:
    price = planned.price
    return {
        "wanted": len(planned.steps),
        "counts": {action: planned.counts()[action] for action in SIGNS},
        "credits_low": price.low,
        "credits_high": price.high,
        "credits_left": left if limits.month else None,
        "credit_budget": limits.month,
        "credit_budget_per_run": limits.run,
        "steps": [
            {
                "key": step.record.key,
                "action": step.action,
                "people": step.record.person_count,
                "credits_low": step.price.low,
                "credits_high": step.price.high,
                "price": _source(step.price),
                "reason": step.reason,
                "changes": [change._asdict() for change in step.changes()] if step.action == "update" else [],
            }
            for step in planned.steps
        ],
        "unwanted": planned.unwanted,
    }


def _source(price: Price) -> str:
    if price.is_learned:
        return "learned"
    return "documented" if price.is_documented else "assumed"


def of_outcome(outcome: "Outcome", calls: int) -> dict[str, Any]:
    from activate.engine import STATES

    counts = outcome.counts()
    return {
        "wanted": len(outcome.results),
        "counts": {state: counts[state] for state in STATES},
        "credits": outcome.credits,
        "calls": calls,
        "stopped": outcome.stopped,
        "results": [result._asdict() for result in outcome.results.values()],
    }
