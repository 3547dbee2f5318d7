"""The glossary, whose one source is the docs blocks of `dbt_project/models/glossary.md`."""

import re
from collections.abc import Iterator
from typing import Final

from common import settings as environment

SOURCE: Final = environment.ROOT / "dbt_project" / "models" / "glossary.md"
PAGE: Final = environment.ROOT / "docs" / "glossary.md"
HEAD: Final = """# Glossary

For everyone: one word for each thing. `make docs` writes this page from `dbt_project/models/glossary.md`.
"""


def terms() -> Iterator[tuple[str, str, str]]:
    """Yield the part of the page, the term and its meaning for each docs block."""
    for part in re.split(r"^## ", SOURCE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        title, blocks = part.split("\n", 1)
        for text in re.findall(r"\{% docs term_\w+ %\}\n(.*?)\n\{% enddocs %\}", blocks, re.DOTALL):
            term, meaning = " ".join(text.split()).split(": ", 1)
            yield title, term, meaning


def render() -> str:
    """Return docs/glossary.md."""
    lines, before = [HEAD], ""
    for title, term, meaning in terms():
        if title != before:
            lines += [*([""] if before else []), f"## {title}\n", "| Word | Meaning |", "|---|---|"]
            before = title
        lines.append(f"| {term} | {meaning} |")
    return "\n".join(lines) + "\n"
