"""The opening page of the docs, from a manifest of one job."""

import re
from typing import Any

from transform import jobs_page

MODEL, SOURCE = "model.mavera_warehouse.", "source.mavera_warehouse.raw_klaviyo."


def model(name: str, layer: str) -> dict[str, Any]:
    fqn = ["mavera_warehouse", layer, name]
    return {"name": name, "fqn": fqn, "resource_type": "model", "description": f"One row per {name}."}


MANIFEST: dict[str, Any] = {
    "exposures": {
        "exposure.tiers": {
            "name": "tiers", "type": "application", "label": "KL-1: CLV <tiers>",
            "url": "https://app.mavera.io/personas",
            "description": "A persona per tier.",
            "depends_on": {"nodes": [f"{MODEL}tiers__personas", f"{MODEL}dim_a"]},
        },
        "exposure.report": {"name": "report", "type": "dashboard"},
    },
    "nodes": {
        f"{MODEL}{name}": model(name, layer)
        for name, layer in {
            "stg_p": "staging", "stg_q": "staging", "int_a": "intermediate",
            "dim_a": "marts", "agg_b": "marts", "tiers__personas": "jobs",
        }.items()
    },
    "sources": {
        f"{SOURCE}{name}": {
            "name": name, "schema": "raw_klaviyo", "unique_id": f"{SOURCE}{name}",
            "description": f"GET /api/{name}. One row per thing.",
        }
        for name in ("p", "q")
    },
    "parent_map": {
        f"{MODEL}tiers__personas": [f"{MODEL}agg_b"],
        f"{MODEL}agg_b": [f"{MODEL}dim_a"],
        f"{MODEL}dim_a": [f"{MODEL}int_a"],
        f"{MODEL}int_a": [f"{MODEL}stg_p", f"{MODEL}stg_q"],
        f"{MODEL}stg_p": [f"{SOURCE}p"],
        f"{MODEL}stg_q": [f"{SOURCE}q"],
    },
}  # fmt: skip


def test_a_job_is_drawn_from_endpoint_to_mavera_object_with_the_models_between_as_one_box() -> None:
    page = jobs_page.render(MANIFEST)
    boxes = re.findall(r'<rect class="(\w+)" x="(\d+)" y="[\d.]+".*?<text[^>]*>([^<]*)</text>', page)
    assert [(style, words) for style, _, words in boxes] == [
        ("endpoint", "GET /api/p"), ("endpoint", "GET /api/q"), ("raw", "p"), ("raw", "q"),
        ("staging", "stg_p"), ("staging", "stg_q"), ("between", "2 models"), ("mart", "agg_b"),
        ("job", "tiers__personas"), ("mavera", "persona"),
    ]  # fmt: skip
    places = [int(x) for _, x, _ in boxes]
    assert places == sorted(places)
    assert page.count("<path ") == 9
    assert "dim_a, int_a</title>" in page


def test_the_page_keeps_the_spaces_of_names_asks_for_nothing_and_links_to_the_page_of_dbt() -> None:
    page = jobs_page.render(MANIFEST)
    assert "<h3>KL-1: CLV &lt;tiers&gt;</h3>" in page
    assert not re.search(r"<(script|img|link|iframe)\b|url\(", page)
    assert f'href="dbt.html#!/model/{MODEL}agg_b"' in page
    assert f'href="dbt.html#!/source/{SOURCE}p"' in page
    assert "Which top-tier customers may stop buying?" in page
    assert "<td>ledger</td>" in page
