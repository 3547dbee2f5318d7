"""The opening page of the docs: each job's lineage as a picture, tables by question, and the glossary."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from common import settings as environment
from transform import glossary

WIDTHS: Final = {
    "endpoint": ("Endpoint", 228),
    "raw": ("Raw table", 148),
    "staging": ("Staging model", 186),
    "between": ("Between", 72),
    "mart": ("Mart", 180),
    "job": ("Job", 182),
    "mavera": ("Mavera object", 96),
}
"""The layers of a picture from left to right, each with its title and width in pixels."""
GAP, ROW = 30, 26  # pixels between layers, and from one box to the next
KINDS: Final = {
    "personas": "persona",
    "analyses": "analysis",
    "focus_groups": "focus group",
    "generations": "text",
    "brand_voices": "brand voice",
}
MODEL: Final = "model.mavera_warehouse."


class Box(NamedTuple):
    """A thing in a layer, with what it is called, its tooltip and its page."""

    style: str
    words: str
    title: str
    link: str
    x: float = 0
    y: float = 0
    width: float = 0


def render(manifest: Mapping[str, Any]) -> str:
    """Return the page from dbt's manifest (`target/manifest.json`)."""
    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    starts, end = _starts()
    return pages.get_template("jobs_page.html.j2").render(
        jobs=[_job(manifest, exposure) for exposure in _jobs(manifest)],
        questions=list(_questions(manifest)),
        glossary=list(_glossary()),
        layers=[{"style": style, "title": WIDTHS[style][0], "x": x} for style, x in starts.items()],
        width=end,
    )


def _jobs(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = [one for one in manifest["exposures"].values() if one["type"] == "application"]
    vendors = {"SG": 0, "WS": 1, "KL": 2}
    return sorted(found, key=lambda one: (vendors.get(one["label"][:2], 3), one["label"]))


def _job(manifest: Mapping[str, Any], exposure: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job's picture: its boxes, each in its layer, and the lines between them."""
    own = f"{MODEL}{exposure['name']}__"
    models = sorted(key for key in exposure["depends_on"]["nodes"] if key.startswith(own))
    above = _above(manifest, models)
    staging = sorted(key for key in above if _layer(manifest, key) == "staging")
    marts = sorted({
        key for model in models for key in _parents(manifest, model) if _layer(manifest, key) == "marts"
    })  # fmt: skip
    between = sorted(key for key in above - {*staging, *marts} if _layer(manifest, key))
    read = [(key, source) for key in staging for source in _sources(manifest, key)]
    staged = list(dict.fromkeys(key for key, _ in read))
    names = ", ".join(key.removeprefix(MODEL) for key in between)
    many = "models" if between[1:] else "model"
    kinds = [KINDS[key.removeprefix(own)] for key in models]
    placed, height = _placed({
        "endpoint": [_endpoint(manifest["sources"][source]) for _, source in read],
        "raw": [_raw(manifest["sources"][source]) for _, source in read],
        "staging": [_model(manifest, key, "staging", 28) for key in staged],
        "between": [Box("between", f"{len(between)} {many}", names, "")] if between else [],
        "mart": [_model(manifest, key, "mart", 28) for key in marts],
        "job": [_model(manifest, key, "job", 28) for key in models],
        "mavera": [Box("mavera", kind, f"{kind}: {exposure['url']}", exposure["url"]) for kind in kinds],
    })  # fmt: skip
    ends = f"{len(read)} endpoints, through {len(marts)} marts, to: {', '.join(kinds)}"
    return {
        "name": exposure["name"],
        "label": exposure["label"],
        "description": exposure["description"],
        "said": f"{exposure['label']}: from {ends}",
        "boxes": [box for layer in placed.values() for box in layer],
        "edges": _edges(placed, [staged.index(key) for key, _ in read]),
        "height": height,
    }


def _endpoint(source: Mapping[str, Any]) -> Box:
    found = re.search(r"(GET|POST) [^\s,]+", source["description"])
    words = found[0].rstrip(".") if found else source["description"].split(".", 1)[0]
    return Box("endpoint", _short(words, 36), source["description"], "")


def _raw(source: Mapping[str, Any]) -> Box:
    table = f"{source['schema']}.{source['name']}"
    return Box("raw", _short(source["name"], 24), table, _link(source["unique_id"]))


def _sources(manifest: Mapping[str, Any], key: str) -> list[str]:
    return sorted(source for source in _parents(manifest, key) if source.startswith("source"))


def _placed(boxes: Mapping[str, Sequence[Box]]) -> tuple[dict[str, list[Box]], int]:
    """Place the boxes of each layer below one another, in the middle of the picture."""
    starts, _ = _starts()
    rows = max(len(layer) for layer in boxes.values())
    return {
        style: [
            box._replace(
                x=starts[style], y=24 + ROW * (number + (rows - len(layer)) / 2), width=WIDTHS[style][1]
            )
            for number, box in enumerate(layer)
        ]
        for style, layer in boxes.items()
    }, 30 + ROW * rows


def _edges(placed: Mapping[str, Sequence[Box]], staged: Sequence[int]) -> list[dict[str, float]]:
    """Return the lines: one to one up to staging and from the job on, all to all around the marts."""
    pairs = [
        *zip(placed["endpoint"], placed["raw"], strict=True),
        *zip(placed["job"], placed["mavera"], strict=True),
    ]
    pairs += [(raw, placed["staging"][number]) for raw, number in zip(placed["raw"], staged, strict=True)]
    layers = [placed[style] for style in ("staging", "between", "mart", "job") if placed[style]]
    pairs += [(box, other) for left, right in pairwise(layers) for box in left for other in right]
    return [
        {"x1": box.x + box.width, "y1": box.y + 10, "x2": other.x, "y2": other.y + 10} for box, other in pairs
    ]


def _starts() -> tuple[dict[str, float], float]:
    """Return where each layer begins, and where the last one ends."""
    starts: dict[str, float] = {}
    at = 0
    for style, (_, width) in WIDTHS.items():
        starts[style] = at
        at += width + GAP
    return starts, at - GAP


def _above(manifest: Mapping[str, Any], keys: Sequence[str]) -> set[str]:
    """Return everything that these nodes are made from."""
    found: set[str] = set()
    waiting = list(keys)
    while waiting:
        parents = set(_parents(manifest, waiting.pop())) - found
        found |= parents
        waiting.extend(parents)
    return found


def _parents(manifest: Mapping[str, Any], key: str) -> list[str]:
    return list(manifest["parent_map"].get(key, []))


def _layer(manifest: Mapping[str, Any], key: str) -> str:
    node = manifest["nodes"].get(key)
    return str(node["fqn"][1]) if node and node["resource_type"] == "model" else ""


def _model(manifest: Mapping[str, Any], key: str, style: str, most: int) -> Box:
    node = manifest["nodes"][key]
    return Box(
        style,
        _short(node["name"], most),
        f"{node['name']}: {' '.join(node['description'].split())}",
        _link(key),
    )


def _link(key: str) -> str:
    """Return the place of a node on dbt's own page."""
    return f"dbt.html#!/{key.split('.', 1)[0]}/{key}"


def _short(words: str, most: int) -> str:
    return words if len(words) <= most else f"{words[: most - 1]}…"


def _questions(manifest: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Return the first line of each query, a question, with the tables that answer it."""
    for path in sorted((environment.ROOT / "queries").glob("*.sql")):
        text = path.read_text(encoding="utf-8")
        names = dict.fromkeys(re.findall(r"\b(?:marts|activation)\.(\w+)", text))
        tables = [
            {"name": name, "link": _link(f"{MODEL}{name}")}
            for name in names
            if f"{MODEL}{name}" in manifest["nodes"]
        ]
        yield {
            "words": text.split("\n", 1)[0].removeprefix("-- "),
            "tables": tables,
            "file": f"queries/{path.name}",
        }


def _glossary() -> Iterator[list[str]]:
    """Return the terms and their meanings, without code marks."""
    for _, term, meaning in glossary.terms():
        yield [term.replace("`", ""), meaning.replace("`", "")]
