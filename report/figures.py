"""Figures of the report, and the sections that they belong to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Row = dict[str, Any]
Rows = list[Row]
Feeds = Mapping[str, Rows]
"""The rows of each feed of a section by its name; a feed with the numbers of sentences has one row."""

LOAD: Final = "make ingest transform"
SEND: Final = "make activate results"


@dataclass(frozen=True)
class Key:
    """An entry of a legend: a shape, its color and its meaning."""

    shape: str  # square, circle, diamond, hollow, line or dashed
    color: str
    words: str


@dataclass(frozen=True)
class Drawing:
    """The result of drawing a figure; figures without a chart show `items` as text."""

    sentence: str
    chart: Any = None
    keys: Sequence[Key] = ()
    notes: Sequence[str] = ()
    items: Sequence[tuple[str, str]] = ()
    listed: Sequence[Row] | None = None  # rows of the table, if not the first of all


Draw = Callable[[Rows, Feeds], Drawing]


@dataclass(frozen=True)
class Figure:
    """A figure: the query of its rows and the function that draws them."""

    name: str
    title: str
    model: str
    select: str
    tail: str
    definition: str
    fill: str  # the command that fills it
    job: str
    is_wide: bool
    unlisted: frozenset[str]  # columns for the chart only, not in the table
    draw: Draw = field(repr=False)

    @property
    def query(self) -> str:
        return f"select {self.select} from {self.model} {self.tail}"


@dataclass(frozen=True)
class Section:
    """A part of the page: its figures, and the feeds with the numbers of its sentences."""

    name: str
    feeds: tuple[str, ...] = ()  # a model each, with its order
    vendor: str = ""  # whose key its figures need
    figures: list[Figure] = field(default_factory=list)

    def queries(self) -> dict[str, str]:
        """Return the query of each feed by its name, without the schema."""
        return {feed.split()[0].split(".")[1]: f"select * from {feed}" for feed in self.feeds}

    def figure(  # noqa: PLR0913 - each is a part of the figure
        self,
        name: str,
        title: str,
        model: str,
        *,
        select: str,
        definition: str,
        tail: str = "",
        unlisted: str = "",
        fill: str = LOAD,
        job: str = "",
        is_wide: bool = False,
    ) -> Callable[[Draw], Draw]:
        """Add the decorated function to the section, in the order of its file."""

        def register(draw: Draw) -> Draw:
            hidden = frozenset(unlisted.split())
            self.figures.append(
                Figure(name, title, model, select, tail, definition, fill, job, is_wide, hidden, draw)
            )
            return draw

        return register


def grouped(rows: Rows, *columns: str) -> dict[tuple[Any, ...], Rows]:
    """Return the rows by their values in these columns, in order of first appearance."""
    groups: dict[tuple[Any, ...], Rows] = {}
    for row in rows:
        groups.setdefault(tuple(row[column] for column in columns), []).append(row)
    return groups
