"""The prompt of `make shell`: statements, dot commands, and completion of tables and columns by Tab."""

import readline  # input() edits its line, remembers the ones before and completes words by it
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import typer

from common import warehouse
from operate import query

HELP: Final = """\
A statement may span several lines and ends with ; Tab completes tables and columns.
.tables          the tables, with their numbers of rows
.columns TABLE   its columns and their types
.vertical        one column per line, a block per row; again for tables
.quit            leaves, like Ctrl-D; Ctrl-C cancels the statement"""
TABLES: Final = """
    select schema_name || '.' || table_name as name, estimated_size as row_count
    from duckdb_tables() order by all
"""
COLUMNS: Final = """
    select column_name as name, lower(data_type) as type
    from duckdb_columns() where list_contains([table_name, schema_name || '.' || table_name], ?)
"""
NAMES: Final = """
    select schema_name || '.' || table_name as relation, column_name
    from duckdb_columns() where not internal order by all
"""
DOTTED: Final = (".columns", ".help", ".quit", ".tables", ".vertical")
WORDS: Final = (
    "select", "from", "where", "group by", "order by", "having", "join", "left join", "using", "limit", "and",
    "or", "not", "count(*)", "sum(", "avg(", "round(", "distinct", "case when", "desc",
)  # fmt: skip


def run(path: Path) -> None:
    """Read and run statements until the end of input."""
    count = len(query.ask(path, TABLES).rows)
    typer.echo(f"{count} tables of {path.name}, read-only. .help says how to ask, Ctrl-D leaves.")
    _complete(path)
    is_vertical = False
    for text in _typed():
        try:
            if text == ".vertical":
                is_vertical = not is_vertical
            elif text.startswith("."):
                _obey(path, text)
            else:
                query.show(query.ask(path, text), vertical=is_vertical)
        except (query.QueryError, warehouse.WarehouseError) as error:
            typer.echo(f"error: {error}", err=True)
        except KeyboardInterrupt:
            typer.echo("stopped", err=True)


def _typed() -> Iterator[str]:
    """Yield each dot command and each statement that ends with a semicolon."""
    lines: list[str] = []
    while True:
        try:
            line = input("      > " if lines else "query > ")
        except KeyboardInterrupt:
            typer.echo()
            lines = []
            continue
        except EOFError:
            typer.echo()
            return
        if not lines and line.strip() in {".quit", ".exit"}:
            return
        if not lines and line.strip().startswith("."):
            yield line.strip()
        elif lines or line.strip():
            lines.append(line)
        if lines and line.rstrip().endswith(";"):
            yield "\n".join(lines)
            lines = []


def _obey(path: Path, text: str) -> None:
    """Run a dot command that asks the copy."""
    command, _, name = text.partition(" ")
    if command == ".tables":
        query.show(query.ask(path, TABLES))
    elif command == ".columns" and name.strip():
        answer = query.ask(path, COLUMNS, [name.strip().lower()])
        if not answer.rows:
            raise query.QueryError(f"there is no table {name.strip()}: .tables lists them")
        query.show(answer)
    else:
        typer.echo(HELP)


# --- completion --------------------------------------------------------------------------------------


def _complete(path: Path) -> None:
    """Let Tab complete what the copy has."""
    columns: dict[str, list[str]] = {}
    for relation, column in query.ask(path, NAMES).rows:
        columns.setdefault(relation, []).append(column)
    found: list[str] = []

    def next_word(word: str, state: int) -> str | None:
        if not state:
            found[:] = completions(word, readline.get_line_buffer(), columns)
        return found[state] if state < len(found) else None

    readline.set_completer(next_word)
    readline.set_completer_delims(" \t\n,()=<>+-*/;'\"")
    is_libedit = "libedit" in (readline.__doc__ or "")  # on macOS
    readline.parse_and_bind("bind ^I rl_complete" if is_libedit else "tab: complete")


def completions(word: str, line: str, columns: Mapping[str, Sequence[str]]) -> list[str]:
    """Return what may be meant by the beginning `word` at the end of `line`: tables, columns, words.

    `columns` has the columns of each table, by schema.table.
    """
    if word.startswith("."):
        return [each for each in DOTTED if each.startswith(word)]
    tables = [*columns, *(relation.split(".")[1] for relation in columns)]
    before = line[: len(line) - len(word)].lower().split()
    if before and before[-1] in {"from", "join", ".columns"}:
        return _starting(word, tables)
    owner, dot, _ = word.rpartition(".")
    own = [
        name
        for relation, names in columns.items()
        if owner in (relation, relation.split(".")[1])
        for name in names
    ]
    if dot and (own or owner not in {relation.split(".")[0] for relation in columns}):
        # Columns of a table, or of an alias: any table's.
        names = own or [name for names in columns.values() for name in names]
        return _starting(word, [f"{owner}.{name}" for name in names])
    return _starting(word, [*(name for names in columns.values() for name in names), *tables, *WORDS])


def _starting(word: str, names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if name.lower().startswith(word.lower())})
