"""With only some vendors' keys, no text, figure or finding shows a number that was not measured."""

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest

from activate import records
from activate.kinds import KINDS
from common import settings
from sandbox.server import Sandbox, serving
from sandbox.world import World
from tests.commands import Project

KEYS = {"sendgrid": "SENDGRID_API_KEY", "wistia": "WISTIA_API_TOKEN", "klaviyo": "KLAVIYO_API_KEY"}
NAMES = {"sendgrid": "SendGrid", "wistia": "Wistia", "klaviyo": "Klaviyo"}
JOBS = {
    "sendgrid": {"device-geography", "ab-tests", "contact-groups"},
    "wistia": {"viewer-clusters", "drop-offs", "calls-to-action", "brand-voice", "viewer-follow-ups"},
    "klaviyo": {"clv-tiers", "flow-rewrites", "segment-overlap", "product-affinity", "channel-pairs"},
}
# Signs of a sentence without data: a slot without its number, a part of nothing.
HOLLOW = re.compile(
    r"\bof 0\b|(?<=\w)  +(?=\w)|(?<=[a-z]) %|\(\)|\bNone\b(?! of)|\b[Nn]a[Nn]\b|\b[Nn](?:ull|ULL)\b|: \."
)
NOBODY = re.compile(r"(?<![\d.])0\s?%")  # only allowed if measured
# Words that require another vendor's data.
MEASURES = {
    "sendgrid": r"unique opens|of all opens|mail program|unsubscribe group",
    "wistia": r"watched a video|have watched|Played most|of the audience|left an e-mail address",
    "klaviyo": r"The shop knows|accept e-mail|accept text|Forecast for|Bought most|predicted value",
}


@dataclass
class Part:
    """The texts of a project with some of the keys."""

    vendors: set[str]
    texts: dict[str, str]  # texts sent, by record key
    facts: dict[str, dict[str, Any]]
    findings: dict[str, str]
    page: str


@pytest.fixture(
    scope="module",
    params=[("sendgrid",), ("wistia",), ("klaviyo",), ("sendgrid", "wistia")],
    ids="+".join,
)
def part(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, kept_statements: None
) -> Iterator[Part]:
    folder = tmp_path_factory.mktemp("project")
    with serving(Sandbox(World(300, 7, date(2026, 11, 21)), limits="off")) as url:
        without = {key: "" for vendor, key in KEYS.items() if vendor not in request.param}
        project = Project(folder, url, extra=without)
        for command in (["ingest"], ["transform"], ["activate", "plan"]):
            project.well(*command)
        ran = project.run("report", "--to", str(folder / "report.html"))
        assert ran.code == 0, ran.err
        chosen = settings.Settings(
            _env_file=None,
            published_path=folder / "published.duckdb",
            forgotten_path=folder / "forgotten.json",
            mavera_workspace_id="ws_1",
        )
        wanted = records.load(chosen, KINDS)
        yield Part(
            set(request.param),
            {record.key: json.dumps(record.payload, ensure_ascii=False) for record in wanted},
            {record.key: dict(record.facts) for record in wanted},
            dict(project.rows("select job, finding from marts.rpt_job_findings", "published.duckdb")),
            html.unescape((folder / "report.html").read_text(encoding="utf-8")),
        )


def numbers(value: Any) -> list[float]:
    """Return every number among facts."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [number for one in inner for number in numbers(one)]


def test_no_text_speaks_of_what_was_not_measured(part: Part) -> None:
    assert part.texts or part.vendors == {"klaviyo"}
    for key, text in part.texts.items():
        if not key.startswith(("analyses", "focus-groups")):  # these carry their facts as data
            assert HOLLOW.findall(text) == [], (key, text)
            assert 0 in numbers(part.facts[key]) or not NOBODY.findall(text), (key, text)
        for vendor in KEYS.keys() - part.vendors:
            assert re.findall(MEASURES[vendor], text) == [], (key, text)


def test_what_no_vendor_measured_is_null(part: Part) -> None:
    groups = [facts for key, facts in part.facts.items() if key.startswith("personas/contact-groups:")]
    assert bool(groups) == ("sendgrid" in part.vendors)
    for facts in groups:
        assert (facts["viewer_share"] is None) == ("wistia" not in part.vendors)
        assert facts["customer_share"] is None
    if "wistia" not in part.vendors:
        assert [key for key, facts in part.facts.items() if facts.get("viewer_share") is not None] == []


def test_each_job_finds_something_or_says_which_key_is_missing(part: Part) -> None:
    for vendor, jobs in JOBS.items():
        for job in jobs:
            finding = part.findings[job]
            assert (finding == f"No {NAMES[vendor]} key") == (vendor not in part.vendors), job
            assert HOLLOW.findall(finding) == [], finding
    if "wistia" in part.vendors:
        assert "consent unknown" in part.findings["viewer-follow-ups"]


def test_the_report_says_which_key_a_figure_lacks_and_draws_none(part: Part) -> None:
    for vendor, name in NAMES.items():
        said = f"Not measured: no {name} key." in part.page
        assert said == (vendor not in part.vendors), vendor
    says = re.findall(r'<p class="says">(.*?)</p>', part.page)
    for sentence in says:
        assert not re.search(r"\bof 0\b|(?<=[a-z]) %|(?<=\w)  +(?=\w)|\bNone\b(?! of)", sentence), sentence
