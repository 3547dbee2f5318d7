"""Runs `apply` through faults and kills, and compares Mavera and the ledger afterwards.

    python -m tests.faults --seeds 0:2000

Each seed is one case. Its number selects the place of a kill, a fault and a kind, so that as many seeds as
combinations cover each once. Everything else is drawn from it: other wanted records, further faults, a second
kill, facts that change, edits by hand, the budget, how many requests are under way at once. After the bad
runs come normal ones until nothing is left to do. Then Mavera's own store is compared with the wanted
records, its charges with the ledger, and one more run must make no request.
"""

import functools
import json
import os
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple
from unittest.mock import patch

import requests
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from activate import drift
from activate.kinds import PERSONAS
from activate.kinds.brand_voices import uploaded
from activate.plan import Record
from sandbox import mavera as sandbox
from tests import hazards as h

NONE: Final = "none"
LOSSES: Final = (
    *("500, work done", "cut, work done", "time-out, done", "work done late", "answer garbled"),
    *("answer without id", "answer empty"),
)
LOOKS: Final = frozenset({"while looking up", "before adopting", "after adopting"})
POLLED: Final = frozenset({"brand-voices", "focus-groups", "generations"})
# Every possible combination: Mavera's immediate answers are never polled.
CELLS: Final = tuple(
    (death, fault, kind)
    for kind in h.MADE
    for death in (NONE, *h.DEATHS)
    for fault in (NONE, *h.FAULTS, *h.LISTING_FAULTS)
    if death != "while polling" or kind in POLLED
)
ENOUGH: Final = 100_000  # credits
SAID_EVERY: Final = 100  # cases, without a progress bar
PLAIN_RUNS: Final = 30  # after this many something is stuck
DEAR: Final = 90  # credits of an analysis above the documented range, in DEAR_CASES of the cases
DEAR_CASES: Final = 0.25


class Case(NamedTuple):
    """The case of a seed, and its outcome."""

    seed: int
    death: str
    fault: str
    kind: str
    wrong: dict[str, h.Wrong]  # by kind
    wanted: Counter[str]
    charged: int
    runs: int
    met: Counter[str]
    complaints: list[str]


class Play:
    """One case, from its seed."""

    def __init__(self, seed: int, path: Path) -> None:
        self.seed = seed
        self.death, self.fault, self.kind = CELLS[seed % len(CELLS)]
        self.chance = random.Random(seed)
        work_seconds = self.chance.choice([0, 20, 80]) if self.death != "while polling" else 80
        is_strict = self.chance.random() < 0.5
        self.account = h.Account(path, is_strict=is_strict, work_seconds=work_seconds)
        self.lag = self.chance.uniform(1, 140) if self.fault == "list lags behind" else 0.0
        self.counts = {
            kind: self.chance.randint(2, 3) if kind == self.kind else self.chance.choice([0, 0, 1, 2])
            for kind in h.MADE
        }
        if self.counts["focus-groups"]:
            self.counts["personas"] = max(self.counts["personas"], 1)
        self.speaks = self.counts["personas"] > 0 and self.chance.random() < 0.3
        self.generations = {
            (kind, number): 1 for kind, count in self.counts.items() for number in range(count)
        }
        self.complaints: list[str] = []
        self.runs = self.spent = 0
        # From a separate generator, so that a seed means the same case in everything else.
        self.is_dear = random.Random(f"prices of {seed}").random() < DEAR_CASES
        self.at_once = random.Random(f"at once of {seed}").choice([1, 2, 3, 8])

    def wanted(self, fewer: int = 0) -> list[Record]:
        """Return the wanted records; `fewer` leaves out the last ones of the case's kind."""
        rows = []
        for (kind, number), generation in self.generations.items():
            if kind == self.kind and number >= self.counts[kind] - fewer:
                continue
            behind: list[str] = []
            if kind == "focus-groups" or (kind == "generations" and self.speaks):
                behind = [f"personas/{h.record('personas', 0).record_key}"]
            if behind and self.kind == "personas" and fewer >= self.counts["personas"]:
                continue
            rows.append(h.record(kind, number, generation, personas_behind=behind))
        return rows

    def play(self) -> Case:
        price = lambda _: ("complex", DEAR)  # noqa: E731
        with patch("sandbox.mavera.chat.priced", price) if self.is_dear else nullcontext():
            return self._play()

    def _play(self) -> Case:
        if self.chance.random() < 0.5:
            self.run(self.wanted(fewer=self.chance.randint(1, self.counts[self.kind])))
            self.move_facts()
        by_hand = self.make_by_hand() if self.chance.random() < 0.3 else {}
        budget = ENOUGH if self.chance.random() < 0.8 else self.chance.randint(50, 900)
        for hazards in self.bad_runs():
            self.run(self.wanted(), hazards, budget=budget)
            self.let_pass()
            if self.chance.random() < 0.3:
                self.move_facts()
        self.finish()
        self.check(by_hand)
        wanted = self.wanted()
        standing = self.account.standing()
        wrong = {kind: self.wrong(kind, wanted, standing) for kind in h.MADE if self.counts[kind]}
        return Case(
            *(self.seed, self.death, self.fault, self.kind, wrong),
            wanted=Counter(record.kind for record in wanted),
            charged=self.account.charged(),
            runs=self.runs,
            met=self.account.met(),
            complaints=self.complaints,
        )

    # Events

    def bad_runs(self) -> Iterator[h.Hazards]:
        """Yield the hazards of each bad run: those of the case, and by chance more."""
        losses = [*LOSSES, "cut, not done", "500, not done", "time-out, not done"]
        lost = self.chance.choice(LOSSES)
        hazards = self.hazards()
        if self.fault in h.FAULTS:
            first = self.chance.choice([1, 1, 2])
            hazards.faults[self.kind, first] = self.fault
            if self.fault in {"429", "503"} and self.chance.random() < 0.7:
                again = self.chance.randint(1, 4)  # the client tries five times
                hazards.faults |= {(self.kind, first + n): self.fault for n in range(1, again)}
                hazards.faults[self.kind, first + again] = self.chance.choice([lost, "work done late"])
        elif self.fault != NONE:
            hazards.faults[self.kind, 1] = lost
        if self.chance.random() < 0.3:
            hazards.faults[self.chance.choice(list(h.MADE)), 1] = self.chance.choice(losses)
        if self.chance.random() < 0.3:
            faults = self.chance.sample(range(1, 20), 5)
            hazards.faults |= {
                (h.LOOKS, n): self.chance.choice(["429", "503", "500, not done"]) for n in faults
            }
        if self.death in LOOKS:
            # There must be something to look up: the answer is lost, and the run is killed.
            hazards.faults.setdefault((self.kind, 1), self.chance.choice(LOSSES))
            if self.chance.random() < 0.5:
                hazards.death = ("before the answer", self.kind, 1)
                yield hazards
                hazards = self.hazards()
            hazards.death = (self.death, "", self.chance.randint(1, 2))
        elif self.death == "while polling":
            hazards.death = (self.death, "", self.chance.randint(1, 4))
        elif self.death != NONE:
            hazards.death = (self.death, self.kind, self.chance.choice([1, 1, 2]))
        yield hazards
        if self.chance.random() < 0.5:
            more = self.hazards()
            more.faults[self.chance.choice(list(h.MADE)), 1] = self.chance.choice(list(h.FAULTS))
            if self.chance.random() < 0.6:
                more.death = (self.chance.choice(h.DEATHS), "", self.chance.randint(1, 4))
            yield more

    def hazards(self) -> h.Hazards:
        listing = self.fault if self.fault in h.LISTING_FAULTS else ""
        late = self.chance.uniform(1, h.SETTLE_SECONDS - self.lag - 10)
        return h.Hazards(
            listing=listing, lag_seconds=self.lag, late_seconds=late, seed=self.chance.randrange(2**32)
        )

    def run(
        self, wanted: Sequence[Record], hazards: h.Hazards | None = None, budget: int = ENOUGH
    ) -> h.Ended:
        hazards = hazards or h.Hazards(
            listing="list lags behind" if self.lag else "", lag_seconds=self.lag, seed=self.runs
        )
        hazards.at_once = self.at_once
        before = self.spent
        ended = self.account.run(wanted, budget, hazards)
        self.runs += 1
        self.spent, charged = self.account.ledger().spent(), self.account.charged()
        excess = self.excess()
        if charged > self.spent + excess:
            self.complaints.append(
                f"run {self.runs}: Mavera charged {charged}, the ledger counts {self.spent}"
            )
        if self.spent > max(budget, before) + excess:
            self.complaints.append(f"run {self.runs}: {self.spent} credits, the budget was {budget}")
        if ended.refusal:
            self.complaints.append(f"run {self.runs}: refused, {ended.refusal}")
        if ended.outcome and sum(ended.outcome.counts().values()) != len(wanted):
            self.complaints.append(f"run {self.runs}: the counts do not add up to what is wanted")
        return ended

    def excess(self) -> int:
        """Return how far the cost of analyses may exceed the cost known when they were sent."""
        sent = [call for call in self.account.ledger().calls() if call.kind == "analyses"]
        return sum(max(DEAR - call.credits_high, 0) for call in sent) if self.is_dear else 0

    def let_pass(self) -> None:
        self.account.let_pass(self.chance.choice([0, 0, 5, 60, 200, 400]))

    def move_facts(self) -> None:
        for key in self.generations:
            self.generations[key] += self.chance.random() < 0.4

    def make_by_hand(self) -> dict[str, str]:
        """Let the account make personas of its own; return their contents."""
        body = {"pipeline_type": "north_star", "type": "B2C", "description": "Made in Mavera, by hand."}
        names = [f"{h.BY_HAND} {number}" for number in range(self.chance.randint(1, 6))]
        self.account.forked(
            lambda: [PERSONAS.create(self.account.client(), {**body, "name": n}) for n in names]
        )
        return self.of_the_account()

    def of_the_account(self) -> dict[str, str]:
        return dict(
            self.account.query(
                "select object_id, body from objects where body ->> 'name' like ? || '%'", h.BY_HAND
            )
        )

    def finish(self) -> None:
        """Run until nothing is left to do."""
        for _ in range(PLAIN_RUNS):
            self.let_pass()
            ended = self.run(self.wanted())
            left = self.account.plan(self.wanted(), ENOUGH).counts()
            if left["leave"] == left.total():
                break
        else:
            self.complaints.append(f"after {PLAIN_RUNS} plain runs: {dict(left)}, {ended}")
        self.account.let_pass(2 * h.SETTLE_SECONDS)

    def check(self, by_hand: dict[str, str]) -> None:
        """Compare Mavera with the ledger, after a person has decided on calls presumed lost."""
        charged = self.account.charged()
        if charged != self.account.counted():
            self.complaints.append(f"Mavera charged {charged}, the ledger counts {self.account.counted()}")
        for key in {call.key for call in self.account.ledger().written_off()}:
            drift.charged(key, 0, self.account.ledger(write=True))  # charges are already counted
        ledger = self.account.ledger()
        ledger.chain.verify()
        if ledger.spent() != charged or ledger.unknown():
            self.complaints.append(f"once all is decided, the ledger counts {ledger.spent()} of {charged}")
        before = self.account.standing()
        ended = self.run(self.wanted())
        if ended.calls or self.account.standing() != before:
            self.complaints.append(f"an unchanged second run made {ended.calls} calls")
        if self.of_the_account() != by_hand:
            self.complaints.append("something of the account's own was touched")

    def wrong(self, kind: str, wanted: Sequence[Record], standing: Sequence[h.Standing]) -> h.Wrong:
        found = h.compare(wanted, standing, kind)
        charged = sum(one.credits for one in standing if one.kind == kind)
        calls = [call for call in self.account.ledger().calls() if call.kind == kind]
        counted = sum(call.credits for call in calls if not call.is_written_off)
        return found._replace(credits=max(found.credits, abs(charged - counted)))


@contextmanager
def in_memory() -> Iterator[Path]:
    """Return a directory in memory, if there is one."""
    memory = Path("/dev/shm")  # noqa: S108
    path = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None))
    try:
        yield path
    finally:
        shutil.rmtree(path)


@functools.cache
def warm_up() -> None:
    """Compile what all runs need, once."""
    behind = [f"personas/{h.record('personas', 0).record_key}"]
    with in_memory() as path:
        account = h.Account(path)
        for generation in (1, 2):
            account.warm_up(
                [
                    h.record(k, n, generation, personas_behind=behind if k == "focus-groups" else [])
                    for k in h.MADE
                    for n in (0, 1)
                ]
            )


def play(seed: int) -> Case:
    """Return the outcome of the case of `seed`."""
    warm_up()
    with in_memory() as path:
        return Play(seed, path).play()


# --- a script that has no ledger ------------------------------------------------------------------------

TRIES: Final = 3


def script(account: h.Account, wanted: Sequence[Record], notes: Path | None, hazards: h.Hazards) -> None:
    """Create the wanted records as simple scripts do: retry failures, note created objects in a file.

    Without `notes` it remembers nothing. It is a comparison for the matrix.
    """
    made = (
        dict(line.split(" ", 1) for line in notes.read_text().splitlines())
        if notes and notes.exists()
        else {}
    )
    client = account.client()
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {sandbox.KEY}"
    paths = {kind: path for path, kind in h.PAID.items()}
    for record in wanted:
        if record.key in made:
            continue
        payload = dict(record.payload)
        if record.documents:
            one = record.documents[0]
            payload["documents"] = [uploaded(client, one.name, one.text, h.WORKSPACE)]
        if record.references:
            ids = [made[key] for key in record.references if key in made]
            if not ids:
                continue
            payload[record.references_field] = ids[0] if record.kind == "generations" else ids
        hazards.pass_by("before the begin row", record.kind)
        for _ in range(TRIES):
            try:
                response = session.post(h.BASE_URL + paths[record.kind], json=payload, timeout=(10, 60))
                answer = response.json()
            except requests.RequestException:
                continue
            if response.status_code < 429:
                break
            account.clock.sleep(30)
        else:
            continue
        if not response.ok:
            continue
        hazards.pass_by("before the end row", record.kind)
        if not isinstance(answer, dict) or "id" not in answer:
            continue  # a script that knows no other name notes nothing, and creates it again in its next run
        made[record.key] = str(answer["id"])
        if notes:
            with notes.open("a", encoding="utf-8") as lines:
                lines.write(f"{record.key} {answer['id']}\n")
        hazards.pass_by("after the end row", record.kind)


def compare_script(seed: int, *, remembers: bool) -> tuple[h.Wrong, int]:
    """Return how wrong the script's Mavera is after the case's first bad run and two normal ones."""
    with in_memory() as path:
        case = Play(seed, path)
        case.account = h.Account(path, is_strict=True)
        hazards = next(case.bad_runs())
        wanted, notes = case.wanted(), path / "notes" if remembers else None
        for dangers in (hazards, h.CALM, h.CALM):
            case.account.forked(lambda d=dangers: script(case.account, wanted, notes, d), dangers)
            case.account.let_pass(400)
        return h.compare(wanted, case.account.standing()), len(wanted)


# --- output ---------------------------------------------------------------------------------------------


def sum_of(wrongs: Iterable[h.Wrong]) -> h.Wrong:
    return sum(wrongs, start=h.Wrong())


def is_wrong(case: Case) -> bool:
    return bool(case.complaints) or any(any(wrong) for wrong in case.wrong.values())


def as_rows(cases: Sequence[Case]) -> list[dict[str, Any]]:
    """Return the matrix: one row per place of a kill, fault and kind that occurred."""
    cells: dict[tuple[str, str, str], list[Case]] = {}
    for case in cases:
        for kind in case.wrong:
            cells.setdefault((case.death, case.fault, kind), []).append(case)
    rows = []
    for (death, fault, kind), met in cells.items():
        wrong = sum_of(case.wrong[kind] for case in met)
        wanted = sum(case.wanted[kind] for case in met)
        row = {"death": death, "fault": fault, "kind": kind, "cases": len(met), "wanted": wanted}
        rows.append(row | {f"{name}_wrong": value for name, value in wrong._asdict().items()})
    return rows


def show(
    console: Console, cases: Sequence[Case], scripts: Mapping[str, Sequence[tuple[h.Wrong, int]]]
) -> None:
    """Print the matrix: the errors in each combination, then the totals of kinds and of scripts."""
    deaths, faults = (NONE, *h.DEATHS), (NONE, *h.FAULTS, *h.LISTING_FAULTS)
    console.print("What is wrong in each combination: objects too many, credits, rows lost, rows doubled.\n")
    grid = Table(box=None, pad_edge=False)
    grid.add_column("fault")
    for number in range(len(deaths)):
        grid.add_column(str(number), justify="right")
    for fault in faults:
        cells = []
        for death in deaths:
            met = [case for case in cases if (case.death, case.fault) == (death, fault)]
            wrong = sum(sum(sum_of(case.wrong.values())) + len(case.complaints) for case in met)
            cells.append(str(wrong) if met else ".")
        grid.add_row(fault, *cells)
    console.print(grid)
    console.print("killed: " + ", ".join(f"{number} {death}" for number, death in enumerate(deaths)))
    console.print()
    sums = Table(box=None, pad_edge=False)
    for name in ("", "cases", "records", "too many", "credits", "lost", "doubled"):
        sums.add_column(name, justify="right" if name else "left")
    for kind in h.MADE:
        met = [case for case in cases if kind in case.wrong]
        wrong = sum_of(case.wrong[kind] for case in met)
        sums.add_row(kind, *(f"{n:,}" for n in (len(met), sum(case.wanted[kind] for case in met), *wrong)))
    for name, played in scripts.items():
        wrong, records = sum_of(wrong for wrong, _ in played), sum(count for _, count in played)
        sums.add_row(name, *(f"{number:,}" for number in (len(played), records, *wrong)))
    console.print(sums)
    console.print()
    met = sum((case.met for case in cases), start=Counter[str]())
    died = sum(met[death] for death in h.DEATHS)
    runs = sum(case.runs for case in cases)
    console.print(
        f"{len(cases):,} cases, {runs:,} runs, {died:,} deaths, {met.total() - died:,} faults met; "
        f"{sum(case.charged for case in cases):,} credits charged, each of them in the ledger"
        if not any(map(is_wrong, cases))
        else f"{sum(map(is_wrong, cases)):,} of {len(cases):,} cases went wrong"
    )


def main(
    seeds: Annotated[
        str, typer.Option(help="FROM:TO, without the last; :STEP takes every so many.")
    ] = f"0:{len(CELLS)}",
    as_json: Annotated[bool, typer.Option("--json", help="The whole matrix for a machine.")] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Cases at once.")] = os.cpu_count() or 1,
    scripts: Annotated[
        int,
        typer.Option(min=0, help="Every so many of the seeds also for a script without a ledger; 0: none."),
    ] = 10,
) -> None:
    """Play the cases of the seeds; exit 1 if anything is lost, duplicated or missing from the ledger."""
    chosen = range(*map(int, seeds.split(":")))
    began = time.monotonic()
    console = Console(width=100, highlight=False)
    waiting = Console(stderr=True)
    with ProcessPoolExecutor(jobs) as pool, Progress(console=waiting, transient=True) as progress:
        task = progress.add_task("cases", total=len(chosen))
        cases = []
        for case in pool.map(play, chosen, chunksize=4):
            cases.append(case)
            progress.advance(task)
            if not waiting.is_terminal and len(cases) % SAID_EVERY == 0:
                waiting.print(f"{len(cases):,} of {len(chosen):,} cases")
            if is_wrong(case):
                waiting.print(
                    f"seed {case.seed}: killed {case.death}, {case.fault}, {case.kind}: "
                    f"{'; '.join(case.complaints) or dict(case.wrong)}. "
                    f"Again: python -m tests.faults --seeds {case.seed}:{case.seed + 1}"
                )
        compared = {
            name: list(pool.map(functools.partial(compare_script, remembers=remembers), chosen[::scripts]))
            for name, remembers in (("a script with notes", True), ("a script without", False))
            if scripts
        }
    wrong = [case.seed for case in cases if is_wrong(case)]
    if as_json:
        told = {
            "seeds": seeds,
            "cases": len(cases),
            "runs": sum(case.runs for case in cases),
            "wrong_seeds": wrong,
            "matrix": as_rows(cases),
            "scripts": {
                name: {"cases": len(played), "records": sum(count for _, count in played)}
                | sum_of(found for found, _ in played)._asdict()
                for name, played in compared.items()
            },
        }
        console.out(json.dumps(told), highlight=False)
    else:
        show(console, cases, compared)
        console.print(f"seeds {seeds}, {time.monotonic() - began:,.0f} s")
    raise typer.Exit(1 if wrong else 0)


if __name__ == "__main__":
    typer.run(main)
