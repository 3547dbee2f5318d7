"""What Mavera answered, a card per job: finding, what was asked, what came back, what to do."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from privacy import outside
from report import drawing as draw
from report import markdown
from report.figures import Feeds, Row, Rows, grouped
from report.words import listed, percent, plain

# The titles of the cards; a job of one's own has its name.
TITLES: Final = {
    "device-geography": "How people read e-mail",
    "ab-tests": "Why a variation lost",
    "contact-groups": "Contacts by role and industry",
    "viewer-clusters": "Viewers by what they watch",
    "drop-offs": "What to cut from videos",
    "calls-to-action": "Calls to action that few follow",
    "brand-voice": "The brand's voice",
    "viewer-follow-ups": "Texts for leads",
    "clv-tiers": "Customers by predicted value",
    "flow-rewrites": "Flow messages, rewritten",
    "segment-overlap": "Simpler segments",
    "product-affinity": "Products to offer together",
    "channel-pairs": "Text message or e-mail",
}
VERDICTS: Final = {
    "confirmed": "Confirmed by the personas",
    "refuted": "Refuted by the personas",
    "open": "Not decided",
    "too few": "Too few answers",
}
LONGEST_ITEM: Final = 300


@dataclass(frozen=True)
class Question:
    """A question of a study with the answers of each persona, in words; `columns` name the personas."""

    row: Row
    by_persona: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """A record with its answer; what its kind does not have is empty."""

    row: Row
    question: str
    answer: str
    profile: Sequence[tuple[str, str]]
    sources: Sequence[tuple[str, str]]
    questions: Sequence[Question]
    decided: Row | None
    variations: Rows
    curve: str


@dataclass(frozen=True)
class Card:
    """The answers of a job. `figure` is the anchor of the figure with its numbers."""

    job: Row
    title: str
    figure: str
    answers: Sequence[Answer]
    left_out: Sequence[str]


def cards(feeds: Feeds, figures: Mapping[str, str]) -> list[Card]:
    """Return a card per job with answers; `figures` has the anchor of each job's figure."""
    jobs = {row["job"]: row for row in feeds["rpt_job_results"]}
    return [
        Card(
            jobs.get(job, {"job": job, "finding": None, "standing_count": 0, "credits": 0}),
            TITLES.get(job, plain(job).capitalize()),
            figures.get(job, ""),
            [_answer(row, feeds) for row in rows],
            [
                f"Shown: {last['place']:,} of {last['record_count']:,} {plain(last['kind'])}"
                for last in (same[-1] for same in grouped(rows, "kind").values())
                if last["place"] != last["record_count"]
            ],
        )
        for (job,), rows in grouped(feeds["rpt_answers"], "job").items()
    ]


def _answer(row: Row, feeds: Feeds) -> Answer:
    def mine(feed: str) -> Rows:
        return [other for other in feeds[feed] if other["record_id"] == row["record_id"]]

    questions = [
        Question(same[0], [(one["persona_name"], one["says"]) for one in same[1:]])
        for same in grouped(mine("rpt_answer_questions"), "question_id").values()
    ]
    curve = mine("rpt_answer_curves")
    return Answer(
        row,
        markdown.html(row["question_markdown"] or ""),
        markdown.html(row["answer_markdown"] or ""),
        list(_items(row["profile"])),
        list(_sources(row["sources"])),
        questions,
        next((one.row for one in questions if one.row["is_deciding"]), None),
        mine("rpt_answer_variations"),
        _drawn(row, curve) if curve else "",
    )


def _drawn(row: Row, cells: Rows) -> str:
    drops = [cell for cell in cells if cell["drop_off_number"] is not None]
    flagged = []
    for cell in cells:
        lost, still = percent(cell["lost_share"] or 0), percent(cell["retention_share"] or 0)
        tip = f"{still} still watching" if cell["drop_off_number"] is None else f"{lost} of plays lost"
        where = f"second {cell['position_seconds']:,.0f}"
        flagged.append(cell | {"words": f"−{lost}", "tip": f"{where}: {tip}"})
    label = f"{row['title']}: share of plays still watching, second by second"
    chart = draw.retention(flagged, ["share of plays still watching"], len(drops))
    return draw.svg(chart, f"curve-{row['record_key']}", label)


def _opened(text: str | None) -> Any:
    try:
        return json.loads(text or "null")
    except ValueError:
        return None


def _items(text: str | None) -> Iterator[tuple[str, str]]:
    """Yield the parts of a profile or voice, whatever they are, as name and words."""
    found = _opened(text)
    for name, given in found.items() if isinstance(found, dict) else ():
        value = _opened(given) if isinstance(given, str) and given.startswith("[") else given
        parts = value if isinstance(value, list) else [value]
        words = "; ".join(_words(part) for part in parts if part not in (None, "", [], {}))
        if words:
            yield plain(_words(name)).capitalize(), outside.cut(words, LONGEST_ITEM)


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return listed(f"{plain(str(name))}: {_words(inner)}" for name, inner in value.items())
    return outside.words(value, LONGEST_ITEM).rstrip(".")


def _sources(text: str | None) -> Iterator[tuple[str, str]]:
    found = _opened(text)
    for one in found if isinstance(found, list) else ():
        if isinstance(one, dict) and one.get("title"):
            url = str(one.get("url") or "")
            yield _words(one["title"]), url if url.startswith("https://") else ""
        elif isinstance(one, str):
            yield _words(one), ""
