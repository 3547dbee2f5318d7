"""Checks an answer against the vendor's own OpenAPI description, if its files are beside the checkout."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from openapi_schema_validator import (
    OAS30Validator,
    OAS31Validator,
    oas30_format_checker,
    oas31_format_checker,
)
from referencing import Registry
from referencing.jsonschema import DRAFT202012

SPECS = Path(__file__).resolve().parents[2] / "shared" / "specs"
NO_SPECS = f"the vendors' OpenAPI files are not in {SPECS.relative_to(SPECS.parents[1])} beside the checkout"


def check(
    vendor: str, method: str, path_template: str, status: int, body: Any, differs: Sequence[str] = ()
) -> None:
    """Assert that `body` matches the specification for this operation and status.

    `path_template` is written as there: `/v3/marketing/stats/singlesends/{id}`. `differs` names the places
    where live answers are known to differ, with `*` for any index: `results/*/ab_variation`. Skips the test
    if the files are absent. Raises LookupError for an operation that no file describes.
    """
    document = _described(vendor, path_template)
    answer = _resolved(document, document["paths"][path_template][method.lower()]["responses"][str(status)])
    schema = next(media["schema"] for kind, media in answer["content"].items() if "json" in kind)
    unexpected = [
        f"{place or 'the body'}: {error.message[:300]}"
        for error in _validator(vendor, document, schema).iter_errors(body)
        if (place := "/".join("*" if isinstance(part, int) else str(part) for part in error.absolute_path))
        not in differs
    ]
    assert not unexpected, (
        f"{method} {path_template} answers {status} against its specification:\n" + "\n".join(unexpected[:10])
    )


def _described(vendor: str, path_template: str) -> dict[str, Any]:
    if not SPECS.is_dir():
        pytest.skip(NO_SPECS)
    for document in _documents(vendor):
        if path_template in document["paths"]:
            return document
    raise LookupError(f"no specification of {vendor} has the path {path_template}")


@cache
def _documents(vendor: str) -> list[dict[str, Any]]:
    # The safe loader in C: it reads the largest file in a third of a second, the one in Python in ten.
    texts = sorted((SPECS / vendor).glob("*openapi.json")) + sorted((SPECS / vendor).glob("*.yaml"))
    return [
        json.loads(path.read_bytes())
        if path.suffix == ".json"
        else yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
        for path in texts
    ]


def _validator(vendor: str, document: dict[str, Any], schema: dict[str, Any]) -> Any:
    root = f"urn:{vendor}"
    registry = Registry[Any]().with_resource(root, DRAFT202012.create_resource(document))
    kind, formats = (
        (OAS30Validator, oas30_format_checker)
        if document["openapi"].startswith("3.0")
        else (OAS31Validator, oas31_format_checker)
    )
    return kind(_absolute(schema, root), registry=registry, format_checker=formats)


def _absolute(schema: Any, root: str) -> Any:
    """Make the references of a schema, taken out of its document, point back into it."""
    if isinstance(schema, dict):
        return {
            key: f"{root}{value}" if key == "$ref" and value.startswith("#") else _absolute(value, root)
            for key, value in schema.items()
        }
    return [_absolute(part, root) for part in schema] if isinstance(schema, list) else schema


def _resolved(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        target: Any = document
        for step in part["$ref"].removeprefix("#/").split("/"):
            target = target[step.replace("~1", "/").replace("~0", "~")]
        part = target
    return part
