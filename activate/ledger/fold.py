"""The calls of a journal and what follows from them, kept up to date as rows are added."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from activate.ledger.rows import Call, Run, Texts, as_object, begun, ended
from activate.plan import Entry


class Fold:
    """What the rows up to `last` say. Adding a row costs the same after the first and the 100,000th.

    `texts` reads the facts and the payload of a begin row by its number: no row's texts are kept here.
    """

    def __init__(self, texts: Callable[[int], Texts]) -> None:
        self.calls: dict[str, Call] = {}  # in the order of their announcement
        self.last: tuple[int, str, str] = (0, "", "")
        self.originals: dict[str, int] = {}  # by record key, the number of the row
        self._texts = texts
        self._newest_run: Run | None = None
        self._plans: dict[str, list[str]] = {}
        self._of_record: dict[str, list[str]] = {}
        self._of_run: dict[str, list[str]] = {}
        self._on_object: dict[str, list[str]] = {}
        self._open: dict[tuple[str, str], dict[str, None]] = {}  # by state and kind
        self._written_off: dict[str, None] = {}
        self._spent: Counter[str] = Counter()  # by month and by run
        self._paid: dict[tuple[str, bool], tuple[int, list[int]]] = {}  # the latest call, and prices
        self._unsure_of_price: set[tuple[str, bool]] = set()
        self._entries: dict[str, dict[str, Entry]] = {}  # by kind
        self._accepted: dict[str, Call] = {}
        self._moved: dict[str, None] = {}  # the records whose entries have to be made again

    def add(self, row: Any) -> None:
        """Take one row in, the next after `last`."""
        self.last = (row.entry_id, row.call_id, row.event)
        if row.event == "begin":
            self._announce(begun(row, self._texts))
        elif row.event == "decision":
            self._announce(ended(begun(row, self._texts), row))
        elif row.event == "end":
            before = self.calls[row.call_id]
            self._count_out(before)
            self._set(ended(before, row))
        elif row.event == "original":
            self.originals[f"{row.kind}/{row.record_key}"] = row.entry_id
        elif row.event == "note":
            noted = as_object(row.noted)
            self._newest_run = Run(row.run_id, datetime.fromisoformat(row.written_at), noted["steps"])
            if plan := noted.get("plan"):
                self._plans.setdefault(plan, []).append(row.run_id)

    # What is asked

    def entries(self, kind: str | None = None) -> dict[str, Entry]:
        self._remake()
        chosen = self._entries if kind is None else (kind,)
        return {key: entry for name in chosen for key, entry in self._entries.get(name, {}).items()}

    def entry(self, key: str) -> Entry | None:
        self._remake()
        return self._entries.get(key.partition("/")[0], {}).get(key)

    def accepted(self) -> dict[str, Call]:
        self._remake()
        return dict(self._accepted)

    def of_record(self, key: str) -> list[Call]:
        return [self.calls[one] for one in self._of_record.get(key, ())]

    def last_run(self) -> Run | None:
        run = self._newest_run
        return run and replace(run, calls=tuple(self.calls[one] for one in self._of_run.get(run.run_id, ())))

    def on_object(self, remote_id: str) -> list[Call]:
        calls = (self.calls[one] for one in dict.fromkeys(self._on_object.get(remote_id, ())))
        return sorted((call for call in calls if call.remote_id == remote_id), key=_number)

    def open(self, state: str, kind: str | None = None) -> list[Call]:
        found = (ids for (of, name), ids in self._open.items() if of == state and kind in (None, name))
        return sorted((self.calls[one] for ids in found for one in ids), key=_number)

    def written_off(self) -> list[Call]:
        return sorted(map(self.calls.__getitem__, self._written_off), key=_number)

    def runs_of(self, plan_id: str) -> list[str]:
        return list(self._plans.get(plan_id, ()))

    def spent(self, month_or_run: str) -> int:
        return self._spent[month_or_run]

    def paid(self, *, edits: bool) -> dict[str, list[int]]:
        """Return the prices of each kind that matter, oldest first: new extremes, and the latest."""
        for group in self._unsure_of_price:
            self._paid.pop(group, None)
            for call in self.calls.values():
                if _price_group(call) == group:
                    self._learn(group, call)
        self._unsure_of_price.clear()
        return {kind: prices for (kind, is_edit), (_, prices) in self._paid.items() if is_edit == edits}

    # What a row changes

    def _announce(self, call: Call) -> None:
        self._of_record.setdefault(call.key, []).append(call.call_id)
        self._of_run.setdefault(call.run_id, []).append(call.call_id)
        self._set(call)

    def _set(self, call: Call) -> None:
        before = self.calls.get(call.call_id)
        self.calls[call.call_id] = call
        self._moved[call.key] = None
        if call.remote_id and (before is None or before.remote_id != call.remote_id):
            self._on_object.setdefault(call.remote_id, []).append(call.call_id)
        if call.state in {"unknown", "waiting"}:
            self._open.setdefault((call.state, call.kind), {})[call.call_id] = None
        if call.is_written_off:
            self._written_off[call.call_id] = None
        for name in (month_of(call.begun_at), call.run_id):
            self._spent[name] += call.counted
        group = _price_group(call)
        was = _price_group(before) if before else None
        if was and (group != was or (before and before.credits != call.credits)):
            self._unsure_of_price.add(was)
        elif group and not was:
            self._learn(group, call)

    def _count_out(self, call: Call) -> None:
        self._open.get((call.state, call.kind), {}).pop(call.call_id, None)
        self._written_off.pop(call.call_id, None)
        for name in (month_of(call.begun_at), call.run_id):
            self._spent[name] -= call.counted

    def _learn(self, group: tuple[str, bool], call: Call) -> None:
        latest, prices = self._paid.get(group, (0, []))
        *others, last = prices or [call.credits]
        if call.number > latest:
            kept = [*others, last] if prices and not _is_within(last, others) else others
            self._paid[group] = (call.number, [*kept, call.credits])
        elif not _is_within(call.credits, prices):
            self._paid[group] = (latest, [*others, call.credits, last])

    def _remake(self) -> None:
        for key in self._moved:
            entry, accepted = _folded(self.calls[one] for one in self._of_record[key])
            entries = self._entries.setdefault(key.partition("/")[0], {})
            if entry is None:
                entries.pop(key, None)
            else:
                entries[key] = entry
            if accepted is None:
                self._accepted.pop(key, None)
            else:
                self._accepted[key] = accepted
        self._moved.clear()


def month_of(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()[: len("2026-01")]


def _number(call: Call) -> int:
    return call.number


def _is_within(price: int, prices: Sequence[int]) -> bool:
    return bool(prices) and min(prices) <= price <= max(prices)


def _price_group(call: Call) -> tuple[str, bool] | None:
    """Return what a call's credits are a price of; None if Mavera did not report them."""
    is_price = call.state == "done" and call.credits_source == "answered"
    return (call.kind, call.is_edit) if is_price else None


def _folded(calls: Iterable[Call]) -> tuple[Entry | None, Call | None]:
    """Return the state of a record after its calls, and the last one that Mavera accepted."""
    entry: Entry | None = None
    accepted: Call | None = None
    for call in calls:
        if call.closed_by == "forget":
            entry = accepted = None
            continue
        if call.action != "let be":
            entry = _after(entry or Entry("failed"), call)
        if call.state == "done" and call.action != "remove":
            accepted = call
    return (replace(entry, accepted=accepted) if entry and accepted else entry), accepted


def _after(before: Entry, call: Call) -> Entry:
    entry = replace(
        before,
        state=call.state,
        call_id=call.call_id,
        called_at=call.begun_at,
        sent_fingerprint=call.fingerprint,
        error=call.error,
        broken_id=None,
    )
    if call.action == "restore":
        return replace(
            entry, state="drifted", fingerprint=None, remote_id=call.remote_id, thread_id=call.thread_id
        )
    if call.action == "remove" and call.state == "done":
        return replace(entry, fingerprint=None, remote_id=None, thread_id=None, unconfirmed_edits=())
    if call.action == "give up":
        return replace(entry, state="gone", remote_id=None, thread_id=None)
    if call.state == "done":
        return replace(
            entry,
            fingerprint=call.fingerprint,
            remote_id=call.remote_id,
            thread_id=call.thread_id,
            unconfirmed_edits=(),
        )
    if call.is_edit:
        # Mavera has the old words or the new ones. Repeating the edit settles that and duplicates nothing.
        lost = (call,) if call.state == "unknown" else ()
        return replace(
            entry,
            state="failed",
            fingerprint=None,
            remote_id=before.remote_id or call.remote_id,
            error=call.error or "no answer",
            unconfirmed_edits=(*before.unconfirmed_edits, *lost),
        )
    if call.state == "failed" and call.remote_id:
        return replace(entry, broken_id=call.remote_id)
    return entry
