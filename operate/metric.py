"""Query a metric: `python -m operate.metric revenue --by month`, or `make metric M=revenue BY=month`.

MetricFlow writes the SQL from the definitions in `dbt_project/models/semantic`; it runs on the published copy
as any other question does. MetricFlow is in an environment of its own, requirements-metrics.lock.
"""

from common import terminal  # isort: split

import json
import logging
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from common import settings as environment
from common import warehouse
from operate import query
from transform import build, metrics

if TYPE_CHECKING:
    from metricflow.engine.metricflow_engine import MetricFlowEngine

TIMES: Final = ("day", "week", "month", "quarter", "year")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class MetricError(Exception):
    """The metric cannot be asked for; the text says what can."""


def manifests(warehouse_path: Path) -> tuple[Mapping[str, Any], str]:
    """Return what dbt parses of the project: its manifest, and the text of its semantic manifest.

    Raises TransformError if the project cannot be parsed.
    """
    build.dbt(Path(warehouse_path.name), "parse")  # by its name alone, dbt reads only what has changed
    target = build.PROJECT / "target"
    manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    return manifest, (target / "semantic_manifest.json").read_text(encoding="utf-8")


def engine(semantic_manifest: str) -> "MetricFlowEngine":
    """Return MetricFlow's engine over the definitions. Raises MetricError without MetricFlow."""
    try:
        from metricflow.engine.metricflow_engine import MetricFlowEngine
        from metricflow.protocols.sql_client import SqlEngine
        from metricflow.sql.render.duckdb_renderer import DuckDbSqlPlanRenderer
        from metricflow_semantics.model.dbt_manifest_parser import parse_manifest_from_dbt_generated_manifest
        from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup
    except ImportError:
        raise MetricError("MetricFlow is not installed here. Run make metric, which installs it") from None

    class Client:
        """What MetricFlow asks of a database when it only writes SQL."""

        sql_engine_type = SqlEngine.DUCKDB
        sql_plan_renderer = DuckDbSqlPlanRenderer()

    logging.getLogger().setLevel(logging.ERROR)
    found = json.loads(semantic_manifest)
    for model in (*found["semantic_models"], *found["project_configuration"]["time_spines"]):
        relation = model["node_relation"]
        relation["database"] = None  # the copy has another name than the warehouse
        relation["relation_name"] = f"{relation['schema_name']}.{relation['alias']}"
    lookup = SemanticManifestLookup(parse_manifest_from_dbt_generated_manifest(json.dumps(found)))
    return MetricFlowEngine(lookup, Client())


def sql(
    flow: "MetricFlowEngine", names: Sequence[str], by: Sequence[str] = (), where: str = "", limit: int = 0
) -> str:
    """Return the SQL of metrics, grouped by dimensions. A dimension may be named without its entity.

    Raises MetricError, one line, if a name is unknown or MetricFlow refuses the combination.
    """
    from metricflow.engine.metricflow_engine import MetricFlowQueryRequest

    known = {metric.name for metric in flow.list_metrics()}
    if unknown := sorted({*names} - known):
        raise MetricError(f"there is no metric {unknown[0]}: docs/metrics.md lists them")
    common = {each.granularity_free_dunder_name for each in flow.simple_dimensions_for_metrics([*names])}
    asked = [_dimension(name, common) for name in by]
    request = MetricFlowQueryRequest.create(
        metric_names=[*names],
        group_by_names=asked or None,
        order_by_names=asked or None,
        where_constraints=[_condition(where, common)] if where else None,
        limit=limit or None,
    )
    return str(flow.explain(request).sql_statement.sql)


def _condition(where: str, common: set[str]) -> str:
    """Return a condition in MetricFlow's spelling, unless it already is."""
    if "{{" in where:
        return where
    spelled = {each.split("__")[-1]: f"{{{{ Dimension('{each}') }}}}" for each in common}
    spelled["metric_time"] = "{{ TimeDimension('metric_time', 'day') }}"
    words = re.split(r"('(?:[^']|'')*')", where)  # texts between apostrophes stay
    for at in range(0, len(words), 2):
        words[at] = re.sub(r"[a-z_]+", lambda word: spelled.get(str(word[0]), str(word[0])), words[at])
    return "".join(words)


def _dimension(name: str, common: set[str]) -> str:
    """Return MetricFlow's name of a dimension or of a part of time."""
    if name in TIMES:
        return f"metric_time__{name}"
    fits = sorted(each for each in common if each == name or each.split("__")[-1] == name)
    if name == "metric_time" or name.startswith("metric_time__"):
        return name
    if not fits:
        offered = ", ".join(sorted({*TIMES} | {each.split("__")[-1] for each in common}))
        raise MetricError(f"it cannot be grouped by {name}, but by {offered}")
    return fits[0]


@app.command(epilog=terminal.DEBUG_HELP)
def main(
    names: Annotated[
        str | None,
        typer.Argument(metavar="[METRICS]", help="Names, separated by commas; lists them if left out."),
    ] = None,
    by: Annotated[
        str, typer.Option(help="Dimensions, separated by commas: day, week, month, or those of the metric.")
    ] = "",
    where: Annotated[
        str, typer.Option(help="A condition on dimensions and metric_time: docs/metrics.md.")
    ] = "",
    limit: Annotated[int, typer.Option(min=0, help="The most rows; 0 for all.")] = 0,
    csv_: Annotated[bool, typer.Option("--csv", help="Comma-separated values.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print an array of objects as JSON.")] = False,
) -> None:
    """Compute metrics from the published copy. docs/metrics.md says what each is."""
    if csv_ and json_:
        raise query.QueryError("--csv or --json, not both")
    settings = environment.load()
    path = settings.published_path
    warehouse.require_whole(path)
    manifest, semantic = manifests(settings.warehouse_path)
    if names is None:
        for metric in metrics.read(manifest):
            typer.echo(f"{metric.name:26}{metric.description}")
        return
    text = sql(engine(semantic), _split(names), _split(by), where, limit)
    answer = query.ask(path, text)
    plain = [name.split("__")[-1] for name in answer.names]  # month instead of metric_time__month
    rows = [tuple(v.date() if isinstance(v, datetime) else v for v in row) for row in answer.rows]
    query.show(answer._replace(names=plain, rows=rows), as_csv_=csv_, as_json_=json_)


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


if __name__ == "__main__":
    terminal.run(
        app,
        environment.SettingsError,
        warehouse.WarehouseError,
        query.QueryError,
        MetricError,
        build.TransformError,
        stopped="stopped: no answer",
    )
