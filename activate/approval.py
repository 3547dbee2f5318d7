"""Approved plans: written to a file, and compared with the present before they are applied.

The file has record keys, hashes and prices, but no facts, texts or account keys.
"""

import hashlib
import hmac
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from activate.answers import created_at
from activate.errors import ApprovalError
from activate.kinds import KINDS
from activate.kinds.kind import Kind
from activate.ledger.chain import Mark
from activate.ledger.journal import Ledger
from activate.ledger.rows import Call
from activate.mavera import Mavera
from activate.plan import Action, Plan
from activate.records import MARKER
from activate.templates import canonical
from common.settings import Settings

LAYOUT: Final = 1
# The settings that a plan depends on: if they change, the plan would be another one.
SETTINGS: Final = ("smallest_cohort", "credit_budget", "credit_budget_per_run", "mavera_study_days")
LOOKED_AT: Final = frozenset({"look up", "wait"})
DONE: Final = {"create": "created", "update": "updated", "adopt": "adopted", "forget": "forgotten"}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ApprovedStep(_Part):
    """One wanted record as planned; prices in credits. `payload_sha256` is the hash of the planned body."""

    key: str
    action: Action
    fingerprint: str
    payload_sha256: str
    people: int | None
    credits_low: int
    credits_high: int
    reason: str

    @property
    def sends(self) -> bool:
        return self.action in {"create", "update"}


class Standing(_Part):
    """A remote object of ours; `text_sha256` is the hash of its words, empty if they were not read."""

    kind: str
    object_id: str
    key: str
    text_sha256: str


class Seen(_Part):
    """Mavera's lists at planning time; no thread was newer than `threads_until`, by Mavera's clock."""

    objects: tuple[Standing, ...]
    threads_until: datetime | None


class Approval(_Part):
    """The contents of the file. `budget` is the value of `--budget`; `sha256` is the hash of all the rest.

    `seal` is the hash sealed with the ledger's secret.
    """

    layout: Literal[1]
    planned_at: datetime
    published_at: datetime
    mavera: str
    kinds: tuple[str, ...]
    settings: Mapping[str, int | None]
    budget: int | None
    ledger: Mark
    seen: Seen | None
    credits_low: int
    credits_high: int
    steps: tuple[ApprovedStep, ...]
    sha256: str = ""
    seal: str = ""

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(step.key for step in self.steps if step.sends)

    def receipt(self) -> str:
        return _sha256(self.model_dump(mode="json", exclude={"sha256", "seal"}))


# --- the file ----------------------------------------------------------------------------------------


def of(
    planned: Plan,
    settings: Settings,
    kinds: Sequence[str],
    budget: int | None,
    mark: Mark,
    seen: Seen | None,
    ledger: Ledger,
) -> Approval:
    """Return a plan for approval, sealed by the ledger."""
    approval = Approval(
        layout=LAYOUT,
        planned_at=ledger.now(),
        published_at=datetime.fromtimestamp(settings.published_path.stat().st_mtime, UTC),
        mavera=settings.mavera_base_url,
        kinds=tuple(kinds),
        settings=_settings(settings),
        budget=budget,
        ledger=mark,
        seen=seen,
        credits_low=planned.price.low,
        credits_high=planned.price.high,
        steps=tuple(
            ApprovedStep(
                key=step.record.key,
                action=step.action,
                fingerprint=step.record.fingerprint,
                payload_sha256=_sha256(step.record.payload),
                people=step.record.person_count,
                credits_low=step.price.low,
                credits_high=step.price.high,
                reason=step.reason,
            )
            for step in planned.steps
        ),
    )
    receipt = approval.receipt()
    return approval.model_copy(update={"sha256": receipt, "seal": ledger.account.seal_of(receipt)})


def read(file: Path, settings: Settings) -> Approval:
    """Return the plan in `file`. Raises ApprovalError if it is invalid, edited or for another Mavera."""
    again = f"Plan again: {command('plan', file)}"
    try:
        approval = Approval.model_validate_json(file.read_bytes())
    except OSError as error:
        raise ApprovalError(f"{file} cannot be read: {error.strerror}. {again}") from None
    except ValidationError as error:
        field = ".".join(map(str, error.errors(include_url=False)[0]["loc"])) or "its form"
        raise ApprovalError(
            f"{file} is not a plan of this version ({field}): nothing was sent. {again}"
        ) from None
    if approval.sha256 != approval.receipt():
        raise ApprovalError(f"{file} is not as it was written: nothing was sent. {again}")
    if approval.mavera != settings.mavera_base_url:
        raise ApprovalError(
            f"{file} is a plan for {approval.mavera}, but MAVERA_BASE_URL is {settings.mavera_base_url}: "
            f"nothing was sent. {again}"
        )
    return approval


def command(target: str, file: Path) -> str:
    return f"make {target} PLAN={file}"


def _settings(settings: Settings) -> dict[str, int | None]:
    return {name: getattr(settings, name) for name in SETTINGS}


def _sha256(value: Any) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()


# --- remote objects ----------------------------------------------------------------------------------


def look(mavera: Mavera, kinds: Collection[str], ledger: Ledger) -> Seen:
    """List our remote objects: those in the ledger, and those that carry a reference. Free."""
    known = _known(ledger)
    kinds_known = {key.partition("/")[0] for key in known.values()}
    chosen = [
        kind
        for name, kind in KINDS.items()
        if name in kinds and (name in kinds_known or not kind.terms.only_edits)
    ]
    rows = [(kind, row) for kind in chosen for row in kind.rows(mavera)]
    hidden = [created_at(row) for kind, row in rows if not kind.is_listed_whole]
    found = [_standing(kind, row, known) for kind, row in rows]
    return Seen(
        objects=tuple(standing for standing in found if standing.key), threads_until=max(hidden, default=None)
    )


def _standing(kind: Kind, row: Mapping[str, Any], known: Mapping[str, str]) -> Standing:
    """Return the listed state of an object; for a thread, that is only the number of its messages."""
    fields = kind.echo if kind.is_listed_whole else ("message_count",)
    words = [str(row.get(field) or "") for field in fields]
    reference = MARKER.search(words[-1])
    key = known.get(row["id"], "")
    if key.partition("/")[0] != kind.name:  # a persona of the account's own is in the list of personas, too
        key = f"{kind.name}/{reference[1]}" if reference else ""
    return Standing(kind=kind.name, object_id=row["id"], key=key, text_sha256=_sha256(words))


# --- changes since the plan --------------------------------------------------------------------------


def require_unmoved(
    approval: Approval, file: Path, settings: Settings, wanted: Plan, ledger: Ledger, mavera: Mavera
) -> None:
    """Raise ApprovalError, with one line per change, if anything has changed since the plan.

    It raises a single line if this ledger did not seal the file. `wanted` is the current plan, for any
    budget. Earlier runs of this plan do not count as changes: the next one continues where they ended.
    """
    again = f"Plan again: {command('plan', file)}"
    runs = set(ledger.runs_of(approval.sha256))
    own = [call for call in ledger.calls() if call.run_id in runs]
    moved = [*_moved_settings(approval, settings)]
    if ledger.chain.holds(approval.ledger):
        seal = ledger.account.seal_of(approval.sha256)
        if not hmac.compare_digest(approval.seal.encode(), seal.encode()):
            raise ApprovalError(
                f"{file} was changed after plan --save wrote it, or belongs to another ledger: nothing was "
                f"sent. {again}"
            )
        moved += _moved_calls(ledger.calls_since(approval.ledger), runs)
        named = {line.split()[0] for line in moved}
        moved += (line for line in _moved_records(approval, wanted, own) if line.split()[0] not in named)
        moved += _moved_objects(approval, ledger, mavera, own)
    else:
        moved.append("the ledger is a different one, or older than the plan: it lacks the plan's last row")
    if moved:
        planned_at = f"{approval.planned_at.day} {approval.planned_at:%b %H:%M}"
        since = f"{file} was planned {planned_at}. Nothing was sent, because since then:"
        raise ApprovalError("\n".join([since, *(f"  {line}" for line in moved), again]))


def _moved_settings(approval: Approval, settings: Settings) -> Iterator[str]:
    for name, now in _settings(settings).items():
        before = approval.settings.get(name)
        # A plan made without a budget shows how large the budget must be.
        if before != now and not (name == "credit_budget" and before == 0):
            yield f"{name.upper()} was {_amount(before)} and is {_amount(now)}"


def _moved_calls(calls: Iterable[Call], runs: Collection[str]) -> Iterator[str]:
    for call in calls:
        if call.run_id not in runs:
            by_hand = call.closed_by in {"adopt", "forget"}
            action = call.closed_by if by_hand else call.action
            ended = "" if by_hand or call.state == "done" else f" ({call.state})"
            who = "hand" if by_hand else "another run"
            yield f"{call.key} was {DONE.get(action, action)} by {who}{ended}"


def _moved_records(approval: Approval, wanted: Plan, own: Sequence[Call]) -> Iterator[str]:
    steps = {step.record.key: step for step in wanted.steps}
    begun = {call.key for call in own}
    for before in approval.steps:
        step = steps.pop(before.key, None)
        if step is None:
            yield f"{before.key} is no longer wanted"
        elif not (before.sends or step.sends) and before.action == step.action:
            continue  # neither plan sends it
        elif before.fingerprint != step.record.fingerprint:
            yield f"{before.key} has other facts or words"
        elif before.payload_sha256 != _sha256(step.record.payload):
            yield f"{before.key} would be sent with other settings, or words"
        elif before.key in begun or begun.intersection(step.record.references):
            continue
        elif (before.sends or before.action == "leave") and before.action != step.action:
            yield f"{before.key} was to {before.action}, is now to {step.action}: {step.reason}".rstrip(": ")
        elif before.sends and not own and step.price.high > before.credits_high:
            yield f"{before.key} costs up to {step.price.high:,} credits, was {before.credits_high:,}"
    for key in steps:
        yield f"{key} is wanted now"


def _moved_objects(approval: Approval, ledger: Ledger, mavera: Mavera, own: Sequence[Call]) -> Iterator[str]:
    now = look(mavera, approval.kinds, ledger)
    done = {call.key for call in own}
    # Unanswered requests may have created objects at any time; the reference identifies them.
    expected = done | {step.key for step in approval.steps if step.action in LOOKED_AT}
    seen = approval.seen or _expected_by(ledger, approval.kinds)
    before = {standing.object_id: standing for standing in seen.objects}
    after = {standing.object_id: standing for standing in now.objects}
    for object_id, standing in before.items():
        if standing.key in done:
            continue
        if object_id not in after:
            yield f"{standing.key} is gone from Mavera, or its reference was removed ({object_id})"
        elif standing.text_sha256 and standing.text_sha256 != after[object_id].text_sha256:
            yield f"{standing.key} was edited in Mavera ({object_id})"
    for object_id, standing in after.items():
        if object_id not in before and standing.key not in expected:
            yield f"{standing.key} is in Mavera but not in this ledger ({object_id})"
    since = seen.threads_until or approval.planned_at
    for kind in map(KINDS.__getitem__, approval.kinds):
        for words, object_id in kind.opened_since(mavera, since, frozenset(before)):
            found = MARKER.search(words)
            if found and f"{kind.name}/{found[1]}" not in expected:
                yield f"{kind.name}/{found[1]} is in Mavera but not in this ledger ({object_id})"


def _expected_by(ledger: Ledger, kinds: Collection[str]) -> Seen:
    """Return the expected remote objects from the ledger, for a plan that was made without a key."""
    standing = (
        Standing(kind=key.split("/")[0], object_id=object_id, key=key, text_sha256="")
        for object_id, key in _known(ledger).items()
        if key.split("/")[0] in kinds
    )
    return Seen(objects=tuple(standing), threads_until=None)


def _known(ledger: Ledger) -> dict[str, str]:
    """Return the key of each object in the ledger, by the id under which Mavera lists it."""
    entries = ledger.entries().items()
    return {entry.thread_id or entry.remote_id: key for key, entry in entries if entry.remote_id}


def _amount(value: int | None) -> str:
    return "empty" if value is None else f"{value:,}"
