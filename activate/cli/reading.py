"""`read`: show what Mavera answered, formatted, from the published copy."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Annotated, Any, ClassVar, Final

import typer
from markdown_it import MarkdownIt
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.markdown import Heading, Markdown, MarkdownElement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from activate import origins
from activate.cli import plans, screen
from activate.cli.arguments import AsJson
from activate.errors import UsageError
from activate.kinds import KINDS, model_of
from common import settings as environment
from privacy import outside

Row = dict[str, Any]
SIDE_BY_SIDE: Final = 100  # columns from which two texts stand beside each other
QUOTES: Final = 3  # shown of the answers to an open question, per persona
ANSWERS: Final = """
    select answers.*, texts.input_data, findings.finding
    from marts.fct_answers as answers
    left join marts.fct_generations as texts on answers.answer_id = texts.generation_id
    left join marts.rpt_job_findings as findings on answers.job = findings.job
    order by answers.answered_at desc, answers.record_id
"""
VERDICTS: Final = """
    select * from marts.fct_study_verdicts where focus_group_id = ?
    order by question_number, asked = 'all' desc, persona_name
"""
QUOTED: Final = """
    select question_number, persona_name, answer from marts.fct_focus_group_answers
    where focus_group_id = ? and question_type = 'OPEN_ENDED' and trim(answer) <> ''
    qualify row_number() over (partition by question_id, persona_id order by respondent_number) <= ?
    order by question_number, persona_name, respondent_number
"""


def read(
    key: Annotated[
        str | None, typer.Argument(metavar="[RECORD]", help="As the plan shows it; without it, list all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print what Mavera answered to a record, formatted; without RECORD, list what can be read."""
    settings = environment.load()
    answers = _answers(settings)
    if key is None:
        listed = [_about(row) for row in answers]
        shown = _listed(answers)
    else:
        named = [row for row in answers if key in {row["record_id"], row["record_key"]}]
        if len(named) != 1:
            what = "several answers have the key" if named else "there is no answer to"
            raise UsageError(f"{what} {key}. python -m activate read lists what can be read")
        row = named[0]
        questions = origins.rows(settings, VERDICTS, row["answer_id"])
        quotes = origins.rows(settings, QUOTED, row["answer_id"], QUOTES)
        listed = [{**_about(row), "answer": _safe({**row, "questions": questions, "quotes": quotes})}]
        shown = _shown(row, questions, quotes)
    if as_json:
        typer.echo(json.dumps({"answers": listed}))
    else:
        plans.show(*shown)


def _answers(settings: environment.Settings) -> list[Row]:
    """Return the latest answer to each record, by kind and newest first."""
    answers = origins.rows(settings, ANSWERS)
    names = {
        f"{kind}/{row['record_key']}": row["name"]
        for kind in KINDS
        for row in origins.rows(settings, f"select record_key, name from activation.{model_of(kind)}")
    }
    for row in answers:
        row["title"] = names.get(row["record_id"]) or row["title"] or row["record_id"]
    return sorted(answers, key=lambda row: list(KINDS).index(row["kind"]))


def _about(row: Row) -> dict[str, Any]:
    at = row["answered_at"]
    return {
        "key": row["record_id"],
        "title": _text(row["title"]),
        "job": row["job"],
        "credits": row["credits"],
        "answered_at": at.isoformat() if at else None,
        "answer": None,
    }


def _safe(value: Any) -> Any:
    """Return a value as JSON can write it, with every text from outside as it may be shown."""
    if isinstance(value, Mapping):
        return {name: inner if name.endswith("_id") else _safe(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_safe(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return outside.paragraphs(value)


# --- on the screen -----------------------------------------------------------------------------------


def _listed(answers: Sequence[Row]) -> Iterator[RenderableType]:
    if not answers:
        yield "Nothing to read yet. make activate asks Mavera, make results brings the answers."
        return
    is_wide = plans.width() >= SIDE_BY_SIDE
    for kind, group in groupby(answers, key=lambda row: row["kind"]):
        yield Text(kind.replace("-", " ").capitalize(), "bold")
        table = Table.grid(expand=True)
        for _ in range(2 if is_wide else 1):
            table.add_column(ratio=1, overflow="fold")
        for row in group:
            lines = Text(_text(row["title"])), Text(row["record_id"], "dim")
            table.add_row(*(lines if is_wide else [Group(*lines)]))
        yield from (Padding(table, (0, 0, 0, 2)), "")
    yield f"To read one: python -m activate read {answers[0]['record_id']}"


def _shown(row: Row, questions: Sequence[Row], quotes: Sequence[Row]) -> Iterator[RenderableType]:
    at, cost = row["answered_at"], row["credits"]
    yield Text(_text(row["title"]), "bold")
    about = [row["record_id"], screen.when(at) if at else "", f"{cost:,} credits" if cost is not None else ""]
    yield Text("  ".join(filter(None, about)), "dim")
    yield from _part("What we found", Text(_text(row["finding"])), row["finding"])
    asked = Group(*_part("What we asked", Text(_text(row["asked"] or row["question"])), True))
    if row["input_data"]:
        asked = Group(*_part("What we asked", _fields(_parsed(row["input_data"])), True))
    back = [*_part("Mavera's profile", _fields(_parsed(row["profile"])), row["profile"])]
    if row["answer"] is not None:
        back = [*_part("What came back", _markdown(row["answer"]), True), *back]
    if row["input_data"] and plans.width() >= SIDE_BY_SIDE:
        beside = Table.grid(padding=(0, 3, 0, 0), expand=True)
        beside.add_column(ratio=1)
        beside.add_column(ratio=1)
        beside.add_row(asked, Group(*back))
        yield beside
    else:
        yield asked
        yield from _part("Do first", _markdown(row["recommendation"]), row["recommendation"])
        yield from back
    yield from _study(questions, quotes)
    yield from _part("Sources", _sources(row["sources"]), row["sources"])
    yield from _part("What to do", Text(_text(row["to_do"])), row["to_do"])


def _part(heading: str, shown: RenderableType, is_there: Any) -> Iterator[RenderableType]:
    if is_there:
        yield from ("", Text(heading, "bold underline"), shown)


def _sources(value: Any) -> RenderableType:
    sources = _parsed(value)
    if not isinstance(sources, list):
        return Text(_plain(sources))
    named = [source for source in sources if isinstance(source, Mapping)]
    return Text("\n".join(f"- {_text(one.get('title'))}  {_text(one.get('url'))}" for one in named))


def _study(questions: Sequence[Row], quotes: Sequence[Row]) -> Iterator[RenderableType]:
    for number, group in groupby(questions, key=lambda row: row["question_number"]):
        rows = list(group)
        yield from ("", Text(f"{number}. {_text(rows[0]['question'])}", "bold underline"))
        if hypothesis := next((row["hypothesis"] for row in rows if row["hypothesis"]), None):
            verdict = next((row["verdict"] for row in rows if row["asked"] == "all"), None)
            yield Text.assemble("Hypothesis: ", _text(hypothesis), " ", (str(verdict or "open"), "bold"))
        yield _verdicts(rows)
        for quote in quotes:
            if quote["question_number"] == number:
                yield Text(f'- {_text(quote["persona_name"])}: "{_text(quote["answer"])}"')
    if questions:
        yield from ("", Text("Synthetic respondents: Mavera's personas answered, not customers.", "dim"))


def _verdicts(rows: Sequence[Row]) -> Table:
    """Show what each persona answered, and all together."""
    table = Table(box=None, padding=(0, 2, 0, 0), expand=True)
    table.add_column("Asked", ratio=3, overflow="fold")
    table.add_column("Most frequent", ratio=3, overflow="fold")
    table.add_column("Share", justify="right", no_wrap=True)
    table.add_column("Verdict", ratio=2, overflow="fold")
    for row in rows:
        is_all = row["asked"] == "all"
        asked = "All together" if is_all else _text(row["persona_name"] or row["asked"])
        share = "" if row["top_share"] is None else f"{row['top_share']:.0%} of {row['answer_count']:,}"
        says = row["verdict"] or row["outcome"] or ""
        table.add_row(
            Text(asked), Text(_text(row["top_answer"])), share, says, style="bold" if is_all else ""
        )
    return table


def _text(value: Any) -> str:
    """Return a text from outside as it may be shown."""
    return outside.paragraphs("" if value is None else value)


def _parsed(value: Any) -> Any:
    """Return what a column of JSON holds; the text itself if it is no JSON."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _markdown(value: Any) -> RenderableType:
    """Format Markdown from outside. HTML in it is text, and a link shows its address."""
    text = _text(value)
    if not text.strip():
        return Text("Mavera's answer has no text.")
    formatted = _Markdown(text, hyperlinks=False)
    parser = MarkdownIt("commonmark", {"html": False}).enable("strikethrough").enable("table")
    formatted.parsed = parser.parse(text)
    return formatted


class _Heading(Heading):
    """A heading that is not centered."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.text.justify = "left"
        yield self.text


class _Markdown(Markdown):
    elements: ClassVar[dict[str, type[MarkdownElement]]] = {**Markdown.elements, "heading_open": _Heading}


def _fields(value: Any) -> RenderableType:
    """Show the fields of an object below each other, and lists in them as lines."""
    if not isinstance(value, Mapping):
        return Text(_plain(value))
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(width=20, overflow="fold", style="bold")
    table.add_column(ratio=1, overflow="fold")
    for name, inner in value.items():
        if inner not in (None, "", [], {}):
            table.add_row(Text(_text(name).replace("_", " ")), _fields(inner))
    return table


def _plain(value: Any) -> str:
    value = _parsed(value) if str(value).startswith(("[", "{")) else value
    if isinstance(value, list):
        return "\n".join(f"- {_plain(inner)}" for inner in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{_text(name).replace('_', ' ')}: {_plain(inner)}" for name, inner in value.items())
    return _text(value)
