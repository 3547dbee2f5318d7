"""`read`: show what Mavera answered, formatted, from the published copy."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Annotated, Any, ClassVar, Final, NamedTuple

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
from activate.kinds import KINDS
from activate.kinds.kind import Part
from activate.likeness import without_reference
from common import settings as environment
from privacy import outside

Row = Mapping[str, Any]
SIDE_BY_SIDE: Final = 100  # columns from which two texts stand beside each other
QUOTES: Final = 3  # shown of the answers to an open question, per persona

VERDICTS: Final = """
    select * from marts.fct_study_verdicts where focus_group_id = ?
    order by question_number, asked = 'all' desc, persona_name
"""
RESULTS: Final = "select * from marts.fct_question_results where focus_group_id = ? order by question_number"
QUOTED: Final = """
    select question_number, persona_name, answer from marts.fct_focus_group_answers
    where focus_group_id = ? and question_type = 'OPEN_ENDED' and trim(answer) <> ''
    qualify row_number() over (partition by question_id, persona_id order by respondent_number) <= ?
    order by question_number, persona_name, respondent_number
"""


class Answer(NamedTuple):
    """What Mavera answered to a record: a row of its mart, and of a study the rows of its questions."""

    key: str
    title: str
    row: Row
    questions: Sequence[Row] = ()
    quotes: Sequence[Row] = ()

    @property
    def kind(self) -> str:
        return self.key.partition("/")[0]


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
        listed = [_about(answer) for answer in answers.values()]
        shown = _listed(answers)
    else:
        named = [answer for name, answer in answers.items() if key in {name, name.partition("/")[2]}]
        if len(named) != 1:
            what = "several answers have the key" if named else "there is no answer to"
            raise UsageError(f"{what} {key}. python -m activate read lists what can be read")
        answer = _with_questions(settings, named[0])
        whole = {**answer.row, "questions": answer.questions, "quotes": answer.quotes}
        listed = [{**_about(answer), "answer": _safe(whole)}]
        shown = _shown(answer)
    if as_json:
        typer.echo(json.dumps({"answers": listed}))
    else:
        plans.show(*shown)


def _answers(settings: environment.Settings) -> dict[str, Answer]:
    """Return the latest answer to each record by its key, newest first."""
    found = []
    for kind in KINDS.values():
        model = f"activation.sync_mavera__{kind.name.replace('-', '_')}"
        names = {
            row["record_key"]: row["name"]
            for row in origins.rows(settings, f"select record_key, name from {model}")
        }
        for row in origins.rows(settings, kind.answers):
            title = names.get(row["record_key"]) or without_reference(str(row["title"] or ""))
            key = f"{kind.name}/{row['record_key']}"
            found.append(Answer(key, outside.words(title) if title.strip() else key, row))
    newest_first = sorted(found, key=lambda answer: str(answer.row["answered_at"]), reverse=True)
    in_order = sorted(newest_first, key=lambda answer: list(KINDS).index(answer.kind))
    return {answer.key: answer for answer in in_order}


def _with_questions(settings: environment.Settings, answer: Answer) -> Answer:
    study = answer.row.get("focus_group_id")
    if study is None:
        return answer
    questions = origins.rows(settings, VERDICTS, study) or origins.rows(settings, RESULTS, study)
    return answer._replace(questions=questions, quotes=origins.rows(settings, QUOTED, study, QUOTES))


def _about(answer: Answer) -> dict[str, Any]:
    at, row = answer.row["answered_at"], answer.row
    return {
        "key": answer.key,
        "title": answer.title,
        "job": row["job"],
        "credits": row.get("credits"),
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


def _listed(answers: Mapping[str, Answer]) -> Iterator[RenderableType]:
    if not answers:
        yield "Nothing to read yet. make activate asks Mavera, make results brings the answers."
    for kind, group in groupby(answers.values(), key=lambda answer: answer.kind):
        yield Text(kind.replace("-", " ").capitalize(), "bold")
        is_wide = plans.width() >= SIDE_BY_SIDE
        table = Table.grid(expand=True)
        for _ in range(2 if is_wide else 1):
            table.add_column(ratio=1, overflow="fold")
        for answer in group:
            lines = Text(answer.title), Text(answer.key, "dim")
            table.add_row(*(lines if is_wide else [Group(*lines)]))
        yield from (Padding(table, (0, 0, 0, 2)), "")
    if answers:
        yield f"To read one: python -m activate read {next(iter(answers))}"


def _shown(answer: Answer) -> Iterator[RenderableType]:
    row = answer.row
    at, cost = row["answered_at"], row.get("credits")
    yield Text(answer.title, "bold")
    about = [answer.key, screen.when(at) if at else "", f"{cost:,} credits" if cost is not None else ""]
    yield Text("  ".join(filter(None, about)), "dim")
    parts = [
        _part(part, row.get(part.column))
        for part in KINDS[answer.kind].answer_parts
        if part.format != "fields" or row.get(part.column)
    ]
    if len(parts) == 2 and plans.width() >= SIDE_BY_SIDE:
        beside = Table.grid(padding=(0, 3, 0, 0), expand=True)
        beside.add_column(ratio=1)
        beside.add_column(ratio=1)
        beside.add_row(*parts)
        parts = [beside]
    yield from parts
    yield from _study(answer)


def _part(part: Part, value: Any) -> RenderableType:
    shown: RenderableType
    if part.format == "markdown":
        shown = _markdown(value)
    elif part.format == "fields":
        shown = _fields(_parsed(value))
    else:
        text = without_reference(_text(value))
        shown = Text(text.split("\n\n")[0] if part.format == "task" else text)
    return Group(*_heading(part.heading), shown)


def _study(answer: Answer) -> Iterator[RenderableType]:
    for number, group in groupby(answer.questions, key=lambda row: row["question_number"]):
        rows = list(group)
        yield from _heading(f"{number}. {_text(rows[0]['question'])}")
        if hypothesis := next((row["hypothesis"] for row in rows if row.get("hypothesis")), None):
            verdict = next((row["verdict"] for row in rows if row["asked"] == "all"), None)
            yield Text.assemble("Hypothesis: ", _text(hypothesis), " ", (str(verdict or "open"), "bold"))
        yield _verdicts(rows) if "asked" in rows[0] else _fields(_parsed(rows[0]["reported"]))
        for quote in answer.quotes:
            if quote["question_number"] == number:
                yield Text(f'- {_text(quote["persona_name"])}: "{_text(quote["answer"])}"')
    if answer.questions:
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


def _heading(text: str) -> Iterator[RenderableType]:
    yield ""
    yield Text(text, "bold underline")


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
