"""The output of `--json`; docs/json.md documents each shape."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from activate.cli.plans import SIGNS, body_of
from activate.cli.screen import DRIFT_SIGNS, way
from activate.drift import Drift, Findings
from activate.ledger.rows import Call, Run
from activate.origins import Origin, Origins
from activate.plan import Entry, Plan, Price, Record, Step
from activate.planning import Limits, brake
from activate.records import shown, words_of
from activate.run import STATES, Outcome


def standing(kind: str, entries: Mapping[str, Entry], planned: Plan) -> dict[str, int]:
    of_kind = [entry for key, entry in entries.items() if key.startswith(f"{kind}/")]
    return {
        "sent": sum(entry.remote_id is not None for entry in of_kind),
        "to send": sum(step.record.kind == kind for step in planned.of("create", "update")),
        "held": sum(step.record.kind == kind for step in planned.of("hold")),
        "waiting": sum(entry.state == "waiting" for entry in of_kind),
        "unknown": sum(entry.state == "unknown" for entry in of_kind),
        "failed": sum(entry.state == "failed" for entry in of_kind),
    }


def waiting_since(calls: Iterable[Call]) -> dict[str, datetime]:
    """Return, by kind, the time of the oldest of these calls."""
    since: dict[str, datetime] = {}
    for call in calls:
        since.setdefault(call.kind, call.begun_at)
    return since


def of_plan(
    planned: Plan, limits: Limits, left: int, unseen: str, words: Mapping[str, Any] | None
) -> dict[str, Any]:
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
                "name": "" if step.record.objection else step.record.name,
                "job": step.record.job,
                "action": step.action,
                "people": step.record.person_count,
                "mailable": step.record.mailable_count,
                "credits_low": step.price.low,
                "credits_high": step.price.high,
                "price": _source(step.price),
                "reason": step.reason,
                "reworded": step.is_reworded,
                "changes": [change._asdict() for change in step.changes()] if step.action == "update" else [],
            }
            for step in planned.steps
        ],
        "unwanted": planned.unwanted,
        "brake": brake(planned, limits),
        "not_looked": unseen,
        "shown": words,
    }


def of_words(step: Step, last: Call | None) -> dict[str, Any]:
    """Return the words that would leave and those that were sent last; none if they must not leave."""
    is_shown = not step.record.objection
    return {
        "key": step.record.key,
        "body": body_of(step) if is_shown else None,
        "documents": [document._asdict() for document in step.record.documents if is_shown],
        "sent": last.payload if last else None,
    }


def of_status(
    last: Run | None,
    spent: int,
    left: int,
    limits: Limits,
    standing: Mapping[str, Mapping[str, int]],
    planned: Plan,
    waiting: Mapping[str, datetime],
) -> dict[str, Any]:
    run = last and {
        "began_at": last.began_at.isoformat(),
        "credits": spent,
        "failed": sum(call.state == "failed" for call in last.calls),
    }
    return {
        "last_run": run,
        "credits_left": left,
        "credit_budget": limits.month,
        "credit_budget_per_run": limits.run,
        "kinds": standing,
        "waiting_since": _iso(min(waiting.values(), default=None)),
        "unwanted": planned.unwanted,
        "withheld": [{"key": step.record.key, "reason": step.reason} for step in planned.of("hold")],
    }


def of_steps(latest: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"step": step, "ended_at": line["happened_at"], "outcome": line["outcome"], "detail": line["detail"]}
        for step, line in latest.items()
    ]


def of_record(record: Record, behind: Origins) -> dict[str, Any]:
    origins = {origin.fact: origin for origin in behind.facts}
    return {
        "key": record.key,
        "wanted": True,
        "job": record.job,
        # Texts that must not leave are not shown either.
        "name": "" if record.objection else record.name,
        "people": record.person_count,
        "held": record.objection,
        "facts": [
            _fact(name, None if record.objection else value, origins.get(name))
            for name, value in record.facts.items()
        ],
        "raw": [
            {"table": table.name, "rows": table.row_count, "loaded_at": _iso(table.loaded_at)}
            for table in behind.raw
        ],
        "words": shown(words_of(record.kind, record.template)),
    }


def of_unwanted(last: Call) -> dict[str, Any]:
    """Return a record that no row asks for, from its last accepted call in the ledger."""
    return {
        "key": last.key,
        "wanted": False,
        "job": last.job,
        "name": "",
        "people": last.person_count,
        "held": "",
        "facts": [_fact(name, value, None) for name, value in last.facts.items()],
        "raw": [],
        "words": "",
    }


def of_calls(calls: Sequence[Call], answers: Mapping[str, Any], users: Sequence[str]) -> dict[str, Any]:
    return {
        "calls": [
            {
                "sent_at": call.begun_at.isoformat(),
                "way": way(call),
                "payload": call.payload,
                "state": call.state,
                "id": call.thread_id or call.remote_id,
                "credits": call.credits,
                "credits_source": call.credits_source,
                "error": call.error,
                "answer": answers[call.call_id],
            }
            for call in calls
        ],
        "used_by": users,
    }


def _fact(name: str, value: Any, origin: Origin | None) -> dict[str, Any]:
    behind = origin and {
        "model": origin.model,
        "column": origin.column,
        "rows": origin.row_count,
        "counted": origin.counted_name,
        "count": origin.counted,
        "interval": None if origin.low is None else [origin.low, origin.high],
        "from": _iso(origin.first_day),
        "to": _iso(origin.last_day),
    }
    return {"fact": name, "value": value, "origin": behind}


def _iso(moment: date | None) -> str | None:
    return None if moment is None else moment.isoformat()


def of_unknown(calls: Sequence[Call], lost: Sequence[Call]) -> dict[str, Any]:
    return {
        "written_off": [
            {"key": call.key, "sent_at": call.begun_at.isoformat(), "credits": call.credits} for call in lost
        ],
        "unknown": [
            {
                "key": call.key,
                "action": call.action,
                "sent_at": call.begun_at.isoformat(),
                "credits_high": call.credits_high,
                "error": call.error,
            }
            for call in calls
        ],
    }


def of_drift(findings: Findings, done: Iterable[tuple[Drift, str]], policy: str) -> dict[str, Any]:
    counts = findings.counts()
    return {
        "policy": policy,
        "objects": findings.objects,
        "own_personas": findings.own,
        "threads_not_opened": findings.unread,
        "counts": {state: counts[state] for state in DRIFT_SIGNS},
        "drifts": [
            {"key": found.key, "state": found.state, "id": found.shown_id, "text": found.text, "done": said}
            for found, said in done
        ],
    }


def _source(price: Price) -> str:
    if price.is_learned:
        return "learned"
    return "documented" if price.is_documented else "assumed"


def of_outcome(outcome: Outcome, calls: int) -> dict[str, Any]:
    counts = outcome.counts()
    return {
        "wanted": len(outcome.results),
        "counts": {state: counts[state] for state in STATES},
        "credits": outcome.credits,
        "calls": calls,
        "stopped": outcome.stopped,
        "results": [result._asdict() for result in outcome.results.values()],
    }
