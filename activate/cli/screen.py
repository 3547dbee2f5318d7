"""Plans, results and records as lines of text for people."""

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from activate.drift import Drift, Findings
from activate.kinds import KINDS
from activate.ledger.rows import Call
from activate.origins import Origin, Origins, RawTable
from activate.plan import Entry, Plan, Record, Step
from activate.planning import Limits, brake
from activate.records import shown, words_of
from activate.run import STATES, Outcome, Result

SIGNS: Final = {"create": "+", "update": "~", "hold": "!", "look up": "?", "wait": "?", "leave": "="}
NAMES: Final = {"hold": "held", "look up": "unknown", "wait": "waiting", "leave": "unchanged"}
RESULT_SIGNS: Final = {
    "created": "+",
    "updated": "~",
    "adopted": "?",
    "waiting": "?",
    "unknown": "?",
    "failed": "x",
    "held": "!",
}
DRIFT_SIGNS: Final = {"deleted": "x", "edited": "~", "unknown": "?", "twice": "!"}
ORDER: Final = ("create", "update"), ("hold",), ("look up", "wait"), ("leave",)  # of the steps in a plan
CHANGES_SHOWN: Final = 5
PAYLOAD_SHOWN: Final = 24
COLUMNS: Final = 80


def named(name: str, text: str) -> str:
    """Return a named line; a long text continues below its own start."""
    lines = textwrap.wrap(text, COLUMNS - 10, break_long_words=False, break_on_hyphens=False)
    return f"{name:<10}" + f"\n{'':<10}".join(lines)


def key_width(wanted: Iterable[Record]) -> int:
    """Return the width of the column of keys, so that the next column is aligned."""
    return max([36, *(len(record.key) + 2 for record in wanted)])


def record_lines(record: Record, behind: Origins) -> list[str]:
    """Describe a record: its facts, the origin of each, and the template of its words."""
    model = f"activation.sync_mavera__{record.kind.replace('-', '_')}"
    return [
        named("held", record.objection) if record.objection else _facts_line(record.facts, behind.facts),
        named("from", f"{model}, job {record.job}"),
        *(named("", line) for line in _origin_lines(behind.facts)),
        *(named("" if place else "raw", line) for place, line in enumerate(_raw_lines(behind.raw))),
        named("words", shown(words_of(record.kind, record.template))),
    ]


def unwanted_lines(last: Call, entry: Entry | None) -> list[str]:
    """Describe a record that no row asks for, from its last accepted call in the ledger."""
    at_large = {"unknown": "whether Mavera has it is not known", "waiting": "Mavera is at work on it"}
    settled = "kept in Mavera" if entry and entry.remote_id else "Mavera has nothing of it"
    how = at_large.get(entry.state, settled) if entry else settled
    return [
        named("unwanted", f"no row asks for it any more; {how}"),
        _facts_line(last.facts, ()) if last.facts else named("facts", "none is known"),
        named("from", f"the ledger, as they were sent; job {last.job}"),
    ]


def after_unwanted(key: str, entry: Entry | None) -> str:
    if entry and entry.state == "unknown":
        return "make activate looks it up"
    if entry and entry.state == "waiting":
        return "make activate asks how it ended"
    if entry and entry.remote_id:
        return (
            f"nothing: it costs no more, and a row that asks for it again goes on with it. Or delete "
            f"{entry.thread_id or entry.remote_id} in Mavera, then python -m activate drift --policy adopt "
            f"--only {key}"
        )
    return "nothing"


def _facts_line(facts: Mapping[str, Any], origins: Sequence[Origin]) -> str:
    ends = {origin.fact: (origin.low, origin.high) for origin in origins if origin.low is not None}
    texts = [
        f"{name} {value}" + ("" if name not in ends else " ({:.3g} to {:.3g})".format(*ends[name]))
        for name, value in facts.items()
        if not isinstance(value, dict | list)
    ]
    return named("facts", ", ".join(texts))


def _origin_lines(origins: Sequence[Origin]) -> Iterator[str]:
    """List each mart once, with its counts and period, and the facts that come from it."""
    groups: dict[tuple[str, int], list[Origin]] = {}
    for origin in origins:
        groups.setdefault((origin.model, origin.row_count), []).append(origin)
    for (model, row_count), group in groups.items():
        if model == "dbt_project.yml":
            yield f"{model}: {', '.join(f'{each.fact} ({each.column})' for each in group)}"
            continue
        one = group[0]
        rows = f"{row_count:,} rows" if one.counted is None else f"{one.counted_name} {one.counted:,}"
        yield f"marts.{model}, {rows}{_days(one)}: {', '.join(each.fact for each in group)}"


def _days(origin: Origin) -> str:
    first, last = (f"{day.day} {day:%b %Y}" if day else "" for day in (origin.first_day, origin.last_day))
    if first == last:
        return f", {first}" if first else ""
    return f", {first} to {last}" if first else f", to {last}"


def _raw_lines(tables: Sequence[RawTable]) -> Iterator[str]:
    """List the raw tables, grouped by the minute of loading."""
    groups: dict[str, list[RawTable]] = {}
    for table in tables:
        loaded = f"loaded {when(table.loaded_at)}" if table.loaded_at else "not loaded"
        groups.setdefault(loaded, []).append(table)
    for loaded, group in groups.items():
        yield f"{', '.join(f'{table.name} {table.row_count:,} rows' for table in group)} ({loaded})"


def sent_line(call: Call, *, whole: bool) -> str:
    text = json.dumps(call.payload, ensure_ascii=False)
    shown = text if whole else f"{text[:PAYLOAD_SHOWN]}…  --payload"
    return f"sent      {when(call.begun_at)}  {way(call)} {shown}"


def in_order(steps: Sequence[Step]) -> list[Step]:
    return [step for actions in ORDER for step in steps if step.action in actions]


def step_lines(step: Step, width: int) -> list[str]:
    record = step.record
    start = f"{SIGNS[step.action]} {record.key:<{width}}{NAMES.get(step.action, step.action) + ' ':<9}"
    if not step.sends:
        return [f"{start}{step.reason}".rstrip()]
    people = "" if record.person_count is None else f"{record.person_count:,} people"
    if record.mailable_count is not None:
        people += f", {record.mailable_count:,} may be mailed"
    if aside := KINDS[record.kind].aside:
        people += f", {aside.format(count=len(record.references))}"
    lines = [f"{start}{step.price!s:<11}{people}".rstrip()]
    if step.reason:
        lines.append(f"      {step.reason}")
    if step.price.is_learned:
        lines.append(f"      price learned from Mavera's answers; {_documented(step)}")
    if step.action == "update":
        changes = step.changes()
        lines += [
            f"      {c.fact}  {value_of(c.before)} -> {value_of(c.after)}" for c in changes[:CHANGES_SHOWN]
        ]
        if len(changes) > CHANGES_SHOWN:
            lines.append(f"      and {len(changes) - CHANGES_SHOWN} more")
        if not changes and not step.reason:
            lines.append("      the same facts in other words")
    return lines


def _documented(step: Step) -> str:
    documented = KINDS[step.record.kind].terms
    price = documented.create if step.action == "create" else documented.update
    return f"documented: {price}" if price.is_documented else "none is documented"


def plan_ends(planned: Plan, limits: Limits, left: int, everything: bool, how: str, unseen: str) -> list[str]:
    counts = planned.counts()
    lines = []
    if counts["leave"] and not everything:
        lines.append(f"= {counts['leave']} unchanged (--all lists them)")
    lines += [f"  {key}: no row asks for it any more; kept in Mavera" for key in planned.unwanted]
    shown = ("create", "update", "leave", "wait", "hold", "look up")
    parts = [f"{counts[action]} {NAMES.get(action, action)}" for action in shown if counts[action]]
    lines.append(f"{len(planned.steps)} wanted = {' + '.join(parts) or 'nothing'}")
    if not planned.of("create", "update", "look up", "wait"):
        return [*lines, "Nothing to send."]
    open_price = "" if planned.price.is_documented else " (? counts as 0 until learned)"
    if limits.month:
        one_run = "" if limits.run is None else f", {limits.run:,} at most in one run"
        budget, first = f"{left:,} left of {limits.month:,}{one_run}", ""
    else:
        budget, first = "CREDIT_BUDGET is 0: nothing is sent", "set CREDIT_BUDGET in .env, then "
    lines += [f"{planned.price} credits{open_price}; {budget}", *filter(None, [unseen])]
    return [*lines, brake(planned, limits) or f"To send it: {first}{how}"]


def result_line(result: Result, width: int) -> str:
    return f"{RESULT_SIGNS[result.state]} {result.key:<{width}}{result.text:<36} {result.credits:>5,}"


def verdict(outcome: Outcome) -> str:
    counts = outcome.counts()
    parts = [f"{counts[state]} {state}" for state in STATES if counts[state]]
    return f"{', '.join(parts) or 'nothing wanted'}: {outcome.credits:,} credits"


def next_step(outcome: Outcome) -> str:
    counts = outcome.counts()
    if outcome.is_out_of_credits:
        return "When credits are back, make activate sends the rest."
    if outcome.stopped:
        return f"Stopped: {outcome.stopped}. make activate continues from here."
    if outcome.undecided:
        first = min(outcome.undecided)
        return f"Waiting for your decision: {first}: {outcome.results[first].text}"
    if counts["unknown"]:
        return "make activate looks again. To decide yourself, run python -m activate settle."
    if counts["waiting"]:
        return "Mavera is at work: make activate asks again and pays nothing for that."
    if counts["failed"]:
        return "make activate tries again; python -m activate explain RECORD shows what was sent."
    if counts["created"] or counts["updated"] or counts["adopted"]:
        return "To have the answers as tables: make results"
    return "Nothing to send."


def run_lines(latest: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Show for each step when it last ended, its outcome, and its own summary."""
    lines = []
    for step, line in latest.items():
        ended = f"{when(datetime.fromisoformat(line['happened_at']))}, {line['outcome']}"
        text = f"{ended}: {line['detail']}" if line["detail"] else ended
        lines += textwrap.wrap(text, COLUMNS, initial_indent=f"{step:<14}", subsequent_indent=" " * 14)
    return lines


def standing_line(kind: str, counts: Mapping[str, int], waiting_since: datetime | None, now: datetime) -> str:
    said = [f"{count} {state}" for state, count in counts.items() if count]
    if waiting_since:
        minutes = (now - waiting_since).total_seconds() // 60
        said = [f"{each} ({minutes:,.0f} min)" if each.endswith("waiting") else each for each in said]
    return f"{kind.replace('-', ' '):<13} {', '.join(said) or 'none'}"


def unknown_lines(calls: Sequence[Call], lost: Sequence[Call]) -> list[str]:
    lines = []
    if lost:
        lines = [
            *(
                f"! {call.key:<36}sent {when(call.begun_at)}, written off: {call.credits:,} credits count"
                for call in lost
            ),
            "They count against the budget until you say what Mavera charged, as its dashboard shows it:",
            f"python -m activate settle {lost[0].key} --charged CREDITS",
        ]
    if not calls:
        return lines or ["Nothing to settle: every call has a known end."]
    return [
        *lines,
        *(
            f"? {call.key:<36}sent {when(call.begun_at)}, up to {call.credits_high} credits: {ended(call)}"
            for call in calls
        ),
        "make activate looks them up. Where it cannot tell, look into Mavera yourself, then run",
        f"python -m activate settle {calls[0].key} --adopt ID, or with --forget where there is nothing",
    ]


def drift_lines(findings: Findings, done: Sequence[tuple[Drift, str]], policy: str) -> list[str]:
    """List each drift with its decision, and the next command."""
    lines = []
    for found, said in done:
        text = f"{found.shown_id} {found.text}" + (f": {said}" if said else "")
        lines.append(f"{DRIFT_SIGNS[found.state]} {found.key:<36}{found.state:<9}{text}")
    if findings.own:
        lines.append(f"= {findings.own} personas of the account's own, left alone")
    if findings.unread:
        lines.append(f"  {findings.unread} older threads were not opened")
    counts = findings.counts()
    parts = [f"{counts[state]} {state}" for state in DRIFT_SIGNS if counts[state]]
    lines.append(f"{findings.objects} objects in the ledger: {', '.join(parts) or 'all as they were left'}")
    return [*lines, _after_drift(counts, policy, [said for _, said in done])]


def _after_drift(counts: Mapping[str, int], policy: str, said: Sequence[str]) -> str:
    if any(said):
        return "To see what follows, and its price: make plan"
    if not any(counts.values()):
        return "Nothing to decide. To see what is left to send: make plan"
    drift = "python -m activate drift"
    if policy != "leave" or not (counts["deleted"] or counts["edited"] or counts["unknown"]):
        return f"Left as they are. Delete one of two in Mavera, or keep both: {drift} --let-be ID"
    return (
        f"Left as they are. To put back what was sent: {drift} --policy restore\n"
        f"To accept the drift: {drift} --policy adopt. For one alone add --only RECORD|ID"
    )


def way(call: Call) -> str:
    """Return the method and path of a call, as in Mavera's reference."""
    if call.action == "adopt":
        return "taken over"
    kind = KINDS[call.kind]
    if kind.terms.update_edits and call.action != "create":
        return f"PATCH {kind.path}/{call.remote_id}"
    return f"POST {kind.path}"


def ended(call: Call) -> str:
    if call.state == "done":
        estimate = "" if call.credits_source == "answered" else " (the documented price)"
        return f"{call.thread_id or call.remote_id}, {call.credits:,} credits{estimate}"
    if call.state == "waiting":
        return f"{call.remote_id} is at work, up to {call.credits:,} credits"
    return f"{call.state}: {call.error or 'no answer'}"


def value_of(value: Any) -> str:
    return "nothing" if value is None else str(value)


def when(moment: datetime) -> str:
    """Write a moment in UTC, like the budget's month."""
    return f"{moment.day} {moment:%b %H:%M} UTC"
