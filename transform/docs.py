"""Writes the pages of the docs, dbt's own and one that opens it, and docs/dictionary.md.

The dictionary lists each table of the published copy, its grain, and each column's type and meaning. All of
it comes from the dbt project's YAML, and a test keeps it current.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any, Final

from common import settings as environment
from common import warehouse
from common.progress import step
from transform import engine, glossary, jobs_page, metrics
from transform.build import NEXT
from transform.publish import PUBLISHED_SCHEMAS

DOCS: Final = environment.ROOT / "build" / "docs.html"
DBT_PAGE: Final = environment.ROOT / "build" / "dbt.html"
DICTIONARY: Final = environment.ROOT / "docs" / "dictionary.md"
HEAD: Final = """# Dictionary

Every table and view of the published copy; `make docs` writes this page from the dbt project. Money is in
the row's `currency`; `_share` and `_rate` go from 0 to 1, `_count` counts, `_at` is a time in UTC,
`_on` a date.
"""


def write_docs(settings: environment.Settings) -> None:
    """Write both pages and the dictionary."""
    with (
        engine.opened(settings) as opened,
        step("docs", "models described", at_first="reading the project") as shown,
    ):
        target = opened.write_docs(shown)
    with warehouse.beside(DBT_PAGE, is_shared=True) as draft:
        shutil.copyfile(target / "static_index.html", draft)
    manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    with warehouse.beside(DOCS, is_shared=True) as draft:
        draft.write_text(jobs_page.render(manifest), encoding="utf-8")
    DICTIONARY.write_text(render(manifest), encoding="utf-8")
    glossary.PAGE.write_text(glossary.render(), encoding="utf-8")
    metrics.PAGE.write_text(metrics.render(manifest), encoding="utf-8")


def render(manifest: Mapping[str, Any]) -> str:
    """Return the whole page from dbt's manifest (`target/manifest.json`)."""
    models = [
        node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
        and _schema(node) in PUBLISHED_SCHEMAS
        and node["config"]["materialized"] != "ephemeral"
    ]
    models.sort(key=lambda node: (PUBLISHED_SCHEMAS.index(_schema(node)), _topic(node), node["name"]))
    parts = [HEAD]
    for topic, nodes in groupby(models, key=_topic):
        parts.append(f"## {topic.replace('_', ' ').capitalize()}\n")
        parts.extend(line for node in nodes for line in _table(node))
    return "\n".join(parts) + "\n"


def _schema(node: Mapping[str, Any]) -> str:
    """Return the schema in which readers find a model."""
    return str(node["schema"]).removesuffix(NEXT)


def _topic(node: Mapping[str, Any]) -> str:
    """Return the folder of a model, which names its topic."""
    return str(node["fqn"][2]) if len(node["fqn"]) > 3 else "what Mavera should hold"


def _table(node: Mapping[str, Any]) -> Iterator[str]:
    yield f"### `{_schema(node)}.{node['name']}`\n"
    yield f"{_line(node['description'])}\n"
    meta = node["config"]["meta"]
    if asked := meta.get("questions"):
        yield f"Typical questions: {' '.join(asked)} Do not use it for {_line(meta['not_for'])}.\n"
    yield "| column | type | meaning |\n|---|---|---|"
    for column in node["columns"].values():
        meaning = _line(column["description"]).replace("|", "\\|")
        yield f"| `{column['name']}` | {column['data_type']} | {meaning} |"
    yield ""


def _line(text: str) -> str:
    return " ".join(text.split())
