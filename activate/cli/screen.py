"""Records, calls and decisions as lines of text for people."""

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from activate.drift import Drift, Findings
from activate.kinds import KINDS, model_of
from activate.ledger.rows import Call
from activate.origins import Origin, Origins, RawTable
from activate.plan import Entry, Record, Step
from activate.records import shown, words_of
from activate.run import Outcome
from privacy import outside

DRIFT_SIGNS: Final = {"deleted": "x", "edited": "~", "unknown": "?", "twice": "!"}
PAYLOAD_SHOWN: Final = 24
COLUMNS: Final = 80
VALUE_CHARACTERS: Final = 100  # of a fact that moved, such as the words of a message


def named(name: str, text: str, indent: int = 10) -> str:
    """Return a named line; a long text continues below its own start."""
    lines = textwrap.wrap(text, COLUMNS - indent, break_long_words=False, break_on_hyphens=False)
    return f"{name:<{indent}}" + f"\n{'':<{indent}}".join(lines)


def record_lines(record: Record, behind: Origins) -> list[str]:
    """Describe a record: its facts, the origin of each, and the template of its words."""
    return [
        named("withheld", record.objection) if record.objection else _facts_line(record.facts, behind.facts),
        named("from", f"activation.{model_of(record.kind)}, job {record.job}"),
        *(named("", line) for line in _origin_lines(behind.facts)),
        *(named("" if place else "raw", line) for place, line in enumerate(_raw_lines(behind.raw))),
        named("words", shown(words_of(record.kind, record.template))),
    ]


def unwanted_lines(last: Call, entry: Entry | None) -> list[str]:
    """Describe a record that no row asks for, from its last accepted call in the ledger."""
    at_large = {"unknown": "whether Mavera has it is not known", "waiting": "Mavera is at work on it"}
    settled = "kept in Mavera" if entry and entry.remote_id else "Mavera has nothing of it"
    if KINDS[last.kind].terms.only_edits:
        settled = (
            "its paragraph is to be removed" if entry and entry.remote_id else "its paragraph was removed"
        )
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
    if entry and entry.remote_id and KINDS[key.partition("/")[0]].terms.only_edits:
        return "make activate removes its paragraph"
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
        lines.append(named(step, text, 14))
    return lines


def withheld_lines(steps: Iterable[Step]) -> Iterator[str]:
    """List the withheld records below each reason."""
    records: dict[str, list[Record]] = {}
    for step in steps:
        records.setdefault(step.reason, []).append(step.record)
    for reason, group in records.items():
        yield named("withheld", outside.printable(reason), 14)
        for record in group:
            title = "" if record.objection else outside.printable(record.name)
            yield f"{'':<16}{record.key}" + (f"\n{'':<18}{title}" if title else "")


def state_word(state: str) -> str:
    """Return a stored state in the words of people."""
    return "withheld" if state == "held" else state


def standing_line(kind: str, counts: Mapping[str, int], waiting_since: datetime | None, now: datetime) -> str:
    said = [f"{count} {state_word(state)}" for state, count in counts.items() if count]
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


def named_value(value: Any) -> str:
    return "nothing" if value is None else outside.cut(" ".join(str(value).split()), VALUE_CHARACTERS)


def when(moment: datetime) -> str:
    """Write a moment in UTC, like the budget's month."""
    return f"{moment.day} {moment:%b %H:%M} UTC"
