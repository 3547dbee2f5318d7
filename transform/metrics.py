"""The metrics of `dbt_project/models/semantic`: what each is, as SQL over its mart, and docs/metrics.md.

dbt keeps the definitions and MetricFlow queries them (`operate/metric.py`). The page is written from the same
YAML, so that a formula is said once; a test keeps it current.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from common import settings as environment
from transform.build import NEXT

PAGE: Final = environment.ROOT / "docs" / "metrics.md"
HEAD: Final = """# Metrics

One definition for each measure that people ask for; `make docs` writes this page from
`dbt_project/models/semantic`. A rate is a sum divided by a sum, so a total over days or groups is never a
mean of rates. Shares and rates go from 0 to 1; money is in the account's currency.

```sh
make metric M=click_rate BY=month
make metric M=delivered,spam_rate BY=week WHERE="metric_time >= '2026-10-01'"
```

`BY` takes `day`, `week`, `month`, `quarter`, `year`, and the dimensions listed with a metric; commas separate
several names. `WHERE` is a condition on those dimensions and on `metric_time`, the day. Metrics are computed
from the published copy; `AS=csv` and `AS=json` print them for a program. MetricFlow is installed on first
use, into an environment of its own (`requirements-metrics.lock`). Without it, run the formula over its mart
with `make query`.
"""
AREAS: Final = {
    "email": "E-mail",
    "shop": "Shop and customers",
    "video": "Video",
    "mavera": "Mavera",
    "quality": "Data quality",
}


class Metric(NamedTuple):
    """A metric over one mart: a sum, or a sum divided by another."""

    name: str
    label: str
    description: str
    caveat: str
    area: str
    relation: str
    grain: str
    time: str
    dimensions: tuple[str, ...]
    numerator: str
    denominator: str | None

    @property
    def formula(self) -> str:
        return f"{self.numerator} / {self.denominator}" if self.denominator else self.numerator

    @property
    def sql(self) -> str:
        """The statement that computes the metric over its whole mart."""
        value = self.numerator
        if self.denominator:
            value = f"cast({self.numerator} as double) / nullif({self.denominator}, 0)"
        return f"select {value} as {self.name} from {self.relation}"


def read(manifest: Mapping[str, Any]) -> list[Metric]:
    """Return the metrics of dbt's manifest in the order of the page, without sums that only ratios read."""
    named = {node["name"]: node for node in manifest["metrics"].values()}
    found = [
        _metric(node, named, manifest)
        for node in named.values()
        if not node["config"].get("meta", {}).get("part")
    ]
    return sorted(found, key=lambda metric: ([*AREAS].index(metric.area), metric.relation, metric.name))


def _metric(
    node: Mapping[str, Any], named: Mapping[str, Mapping[str, Any]], manifest: Mapping[str, Any]
) -> Metric:
    parts = node["type_params"]
    numerator, denominator = node, None
    if node["type"] == "ratio":
        numerator = named[parts["numerator"]["name"]]
        denominator = named[parts["denominator"]["name"]]
    model, over = _sum(numerator, manifest)
    under = _sum(denominator, manifest)[1] if denominator else None
    mart = manifest["nodes"][model["depends_on"]["nodes"][0]]
    return Metric(
        name=node["name"],
        label=node["label"],
        description=node["description"],
        caveat=node["config"]["meta"]["caveat"],
        area=node["path"].rpartition("_")[2].removesuffix(".yml"),
        relation=f"{mart['schema'].removesuffix(NEXT)}.{mart['name']}",
        grain=" ".join(mart["description"].split()).split(".")[0],
        time=model["defaults"]["agg_time_dimension"],
        dimensions=tuple(each["name"] for each in model["dimensions"] if each["type"] == "categorical"),
        numerator=over,
        denominator=under,
    )


def _sum(metric: Mapping[str, Any], manifest: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Return the semantic model that a simple metric reads, and its SQL."""
    name = metric["type_params"]["measure"]["name"]
    for model in manifest["semantic_models"].values():
        for measure in model["measures"]:
            if measure["name"] == name:
                return model, f"{measure['agg']}({measure['expr'] or name})"
    raise LookupError(name)


def render(manifest: Mapping[str, Any]) -> str:
    """Return docs/metrics.md."""
    return "\n".join([HEAD, *_lines(read(manifest))])


def _lines(metrics: list[Metric]) -> Iterator[str]:
    for area, title in AREAS.items():
        yield f"## {title}\n"
        for metric in metrics:
            if metric.area == area:
                by = ", ".join(f"`{name}`" for name in metric.dimensions) or "time only"
                yield f"### `{metric.name}`: {metric.label}\n"
                yield f"{metric.description} {metric.caveat}\n"
                yield f"- Formula: `{metric.formula}`"
                yield f"- Grain: `{metric.relation}`. {metric.grain}."
                yield f"- Time: `{metric.time}`. By: {by}.\n"
