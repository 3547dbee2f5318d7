"""Plans and their results as people read them: grouped by job, fitted to the terminal, or as Markdown."""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from activate.cli.screen import named_value, state_word, when
from activate.kinds import KINDS
from activate.ledger.rows import Call
from activate.plan import Action, Plan, Record, Step
from activate.planning import Limits, brake
from activate.run import STATES, Outcome, Result
from common import assumptions
from privacy import outside

WIDEST: Final = 120  # columns: beyond them, a price is too far from its record
SIGNS: Final = {"create": "+", "update": "~", "hold": "!", "look up": "?", "wait": "?", "leave": "="}
NAMES: Final = {"hold": "withheld", "look up": "unknown", "wait": "waiting", "leave": "unchanged"}
STYLES: Final = {"+": "green", "~": "yellow", "!": "red", "x": "bold red", "?": "magenta", "=": "dim"}
RESULT_SIGNS: Final = {"created": "+", "updated": "~", "failed": "x", "held": "!", "not sent": "!"}
ORDER: Final[tuple[Action, ...]] = ("create", "update", "hold", "look up", "wait", "leave")
CHANGES_SHOWN: Final = 5
ASSUMED_FREE: Final = (
    "Mavera's price list has no updates of personas: they count as free until an answer charges for one."
)


def width() -> int:
    """Return the columns of a line: those of the terminal, up to WIDEST, or else 80."""
    return min(Console().width, WIDEST)


def show(*parts: RenderableType, is_error: bool = False) -> None:
    """Print parts in the terminal's width, and in color where there is one."""
    console = Console(width=width(), highlight=False, markup=False, emoji=False, stderr=is_error)
    for part in parts:
        console.print(part, crop=False)


def unwrapped(line: str) -> RenderableType:
    """Return a line without breaks, so that a command in it can be copied."""
    return Group(Text(line, no_wrap=True, overflow="ignore"))


def of_plan(planned: Plan, findings: Mapping[str, str], everything: bool) -> Iterator[RenderableType]:
    """Yield the steps of each job below its name, its finding and the sum of its prices."""
    for job, steps in by_job(planned, everything).items():
        header = Table.grid(padding=(0, 1), expand=True)
        header.add_column(ratio=1, overflow="fold")
        header.add_column(no_wrap=True, justify="right")
        finding = outside.printable(findings.get(job, ""))
        title = Text.assemble((job, "bold"), (f"  {finding}" if finding else "", "dim"))
        header.add_row(title, Text(subtotal(steps), "bold"))
        yield header
        folded = []
        for step in steps:
            if step.is_reworded and not step.reason and not everything:
                folded.append(step)
            else:
                yield _of_step(step)
        if folded:
            count = f"{len(folded)} personas" if len(folded) > 1 else "1 persona"
            yield _row("~", f"{count}: new wording, the same facts", [], "update", str(folded[0].price))
        yield ""


def by_job(planned: Plan, everything: bool) -> dict[str, list[Step]]:
    """Group the steps by job, in the order of sending; without unchanged records, unless asked for."""
    jobs: dict[str, list[Step]] = {}
    for step in sorted(planned.steps, key=lambda step: ORDER.index(step.action)):
        if everything or step.action != "leave":
            jobs.setdefault(step.record.job, []).append(step)
    return jobs


def subtotal(steps: Sequence[Step]) -> str:
    if not any(step.sends for step in steps):
        return ""
    price = Plan(tuple(steps)).price
    return f"{price} credits" if price.high else str(price)


def title_of(record: Record) -> str:
    """Return a record's name; texts that must not leave are not shown either."""
    return record.key if record.objection else record.name or record.key


def _of_step(step: Step) -> Group:
    about = [(f"{step.record.key}{_about(step)}" if step.sends else step.record.key, "dim")]
    if step.reason:
        about.append((step.reason, ""))
    about += [(line, "") for line in notes(step)]
    name = NAMES.get(step.action, step.action)
    price = str(step.price) if step.sends else ""
    return _row(SIGNS[step.action], title_of(step.record), about, name, price)


def _about(step: Step) -> str:
    """Return how many people and personas a record is about."""
    record, aside = step.record, KINDS[step.record.kind].aside
    parts = [
        f"{record.person_count:,} people" if record.person_count is not None else "",
        f"{record.mailable_count:,} may be mailed" if record.mailable_count is not None else "",
        aside.format(count=len(record.references)),
    ]
    said = ", ".join(filter(None, parts))
    return f"  {said}" if said else ""


def notes(step: Step) -> Iterator[str]:
    """Yield what else is to be known before a step is approved: a learned price, and the facts that moved."""
    if step.sends and step.price.is_learned:
        documented = KINDS[step.record.kind].terms
        price = documented.create if step.action == "create" else documented.update
        told = f"documented: {price}" if price.is_documented else "none is documented"
        yield f"price learned from Mavera's answers; {told}"
    if step.action != "update" or not step.entry:
        return
    if step.is_reworded and not step.reason:
        yield "new wording, the same facts"
        return
    changes = step.changes()
    for change in changes[:CHANGES_SHOWN]:
        yield f"{change.fact}  {named_value(change.before)} -> {named_value(change.after)}"
    if len(changes) > CHANGES_SHOWN:
        yield f"and {len(changes) - CHANGES_SHOWN} more"


def _row(sign: str, title: str, about: Iterable[tuple[str, str]], name: str, price: str) -> Group:
    """Return a line with a sign, a title and a price in columns, above lines about it."""
    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(width=1)
    row.add_column(ratio=1, overflow="fold")
    row.add_column(width=9)
    row.add_column(width=9, justify="right")
    row.add_row(Text(sign, STYLES[sign]), Text(outside.printable(title)), Text(name, STYLES[sign]), price)
    below = (Padding(Text(outside.printable(text), style), (0, 0, 0, 2)) for text, style in about)
    return Group(row, *below)


def ends(planned: Plan, limits: Limits, left: int, everything: bool, how: str, unseen: str) -> list[str]:
    """Return the sum of a plan, its price and budget, and the next command."""
    counts = planned.counts()
    lines = []
    if counts["leave"] and not everything:
        lines.append(f"= {counts['leave']} unchanged (--all lists them)")
    lines += [f"  {key}: no row asks for it any more; kept in Mavera" for key in planned.unwanted]
    lines.append(f"{len(planned.steps)} wanted = {counted(planned) or 'nothing'}")
    if not planned.has_work:
        return [*lines, "Nothing to send."]
    cost = f"{planned.price} credits" if planned.price.high else "Free"
    first = ""
    if limits.month:
        one_run = "" if limits.run is None else f", {limits.run:,} at most in one run"
        budget = f"{left:,} left of {limits.month:,}{one_run}"
    elif planned.price.high:
        free = sum(step.sends and not step.price.high for step in planned.steps)
        budget = f"CREDIT_BUDGET is 0: nothing is {'paid for' if free else 'sent'}"
        first = "set CREDIT_BUDGET in .env, then "
    else:
        budget = "CREDIT_BUDGET is 0, which is enough"
    lines.append(f"{cost}; {budget}")
    if any(
        step.sends and not step.price.is_documented and not step.price.is_learned for step in planned.steps
    ):
        lines.append(ASSUMED_FREE)
    lines += filter(None, [unseen])
    return [*lines, brake(planned, limits) or f"To send it: {first}{how}"]


def counted(planned: Plan) -> str:
    counts = planned.counts()
    shown: tuple[Action, ...] = ("create", "update", "leave", "wait", "hold", "look up")
    return " + ".join(f"{counts[action]} {NAMES.get(action, action)}" for action in shown if counts[action])


# --- as Markdown -------------------------------------------------------------------------------------


def as_markdown(planned: Plan, last_lines: Sequence[str]) -> str:
    """Return a plan for a pull request: a table for each job."""
    lines = ["## Plan for Mavera", ""]
    for job, steps in by_job(planned, everything=False).items():
        lines += [f"### {job}" + (f": {subtotal(steps)}" if subtotal(steps) else ""), ""]
        lines += ["| | Record | | Credits |", "|---|---|---|---:|"]
        for step in steps:
            about = [_code(step.record.key) + (_about(step) if step.sends else "")]
            about += [_code(note) for note in (step.reason, *notes(step)) if note]
            what = "<br>".join([_code(title_of(step.record)), *about])
            name = NAMES.get(step.action, step.action)
            lines.append(f"| {SIGNS[step.action]} | {what} | {name} | {step.price if step.sends else ''} |")
        lines.append("")
    return "\n".join([*lines, *(f"- {_code(line.strip())}" for line in last_lines)])


def _code(text: str) -> str:
    """Return a text as code: nothing in it is a link, a mention, HTML or the end of a cell."""
    return f"`{outside.printable(text).replace('`', chr(39)).replace('|', chr(92) + '|')}`"


# --- the words of one record -------------------------------------------------------------------------


def body_of(step: Step) -> dict[str, Any]:
    """Return the body that would be sent, as far as it is known before the run."""
    fixed = assumptions.FIXED if step.edits else ()
    return {name: value for name, value in step.record.payload.items() if name not in fixed}


def words_of(step: Step, last: Call | None) -> Iterator[RenderableType]:
    """Yield the whole text that would be sent; for an update, first how it differs from the last one sent."""
    record, name = step.record, NAMES.get(step.action, step.action)
    price = f", {f'{step.price} credits' if step.price.high else 'free'}" if step.sends else ""
    yield _row(SIGNS[step.action], title_of(record), [(record.key, "dim")], "", "")
    yield Text(f"{name}{price}{f': {step.reason}' if step.reason else ''}\n")
    if record.objection:
        yield Text("Its words must not leave, so they are not shown.")
        return
    body = body_of(step)
    if step.action == "update" and last:
        before = {name: last.payload[name] for name in body if name in last.payload}
        old, new = (f"sent {when(last.begun_at)}", "to be sent")
        for line in difflib.unified_diff(_sentences(before), _sentences(body), old, new, n=1, lineterm=""):
            yield Text(line, {"+": "green", "-": "red", "@": "cyan"}.get(line[0], ""))
        yield ""
    yield from map(_whole, written(body))
    if record.references:
        yield Text(f"{record.references_field}: the ids of {', '.join(record.references)}")
    for document in record.documents:
        yield Text.assemble("\n", (f"Document: {outside.printable(document.name)}", "bold"), "\n")
        yield _whole(outside.printable(document.text))


def _whole(line: str) -> RenderableType:
    """Return a line that is wrapped on a terminal only: a program gets it as it would be sent."""
    return Text(line) if Console().is_terminal else unwrapped(line)


def written(body: Mapping[str, Any]) -> list[str]:
    """Write a body as lines: texts as they are, everything else as JSON."""
    lines = []
    for name, value in body.items():
        text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
        first, *rest = text.split("\n")
        lines += [f"{name}: {first}", *rest] if not rest else [f"{name}:", first, *rest, ""]
    return [outside.printable(line) for line in lines]


def _sentences(body: Mapping[str, Any]) -> list[str]:
    """Write a body with a line for each sentence, so that a difference shows the sentence that changed."""
    return [sentence for line in written(body) for sentence in re.split(r"(?<=[.!?]) +", line)]


# --- results -----------------------------------------------------------------------------------------


def of_result(result: Result, record: Record | None) -> Group:
    text = result.text.removeprefix(result.state).lstrip()
    is_id = " " not in text
    about = [(f"{result.key}  {text if is_id else ''}".rstrip(), "dim")]
    about += [] if is_id else [(text, "")]
    sign = RESULT_SIGNS.get(result.state, "?")
    title = title_of(record) if record else result.key
    return _row(sign, title, about, state_word(result.state), f"{result.credits:,}")


def verdict(outcome: Outcome) -> str:
    counts = outcome.counts()
    parts = [f"{counts[state]} {state_word(state)}" for state in STATES if counts[state]]
    return f"{', '.join(parts) or 'nothing wanted'}: {outcome.credits:,} credits"
