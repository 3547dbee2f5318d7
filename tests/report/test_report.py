"""What the report is made of, and the command that writes it."""

import ast
import html
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import yaml

from common import settings
from report import first_screen, sections, sharing
from report import page as report
from report.sections import FIGURES, SECTIONS
from tests import shapes
from tests.report.copies import NOW
from tests.small import PROJECT


def test_every_job_has_a_figure_and_every_figure_one_model() -> None:
    jobs = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]["jobs"]
    assert jobs.keys() == {figure.job for figure in FIGURES if figure.job}
    for figure in FIGURES:
        assert re.findall(r"\b(?:from|join) (\S+)", figure.query) == [figure.model]
    for section in SECTIONS:
        for name, query in section.queries().items():
            assert re.findall(r"\b(?:from|join) \w+\.(\w+)", query) == [name]
    assert len({figure.name for figure in FIGURES}) == len(FIGURES)


# In SQL, and in Python, where places of marks are for `drawing`.
AGGREGATES = re.compile(
    r"\b(sum|count|avg|min|max|median|stddev\w*|quantile\w*)\(|\b(group by|having|over|qualify|join|with)\b"
)
COMPUTING = {
    "sum",
    "len",
    "max",
    "min",
    "abs",
    "round",
    "pow",
    "divmod",
    "count",
    "Counter",
    "mean",
    "median",
}


def test_the_report_asks_for_columns_and_computes_nothing_from_them() -> None:
    queries = [figure.query for figure in FIGURES]
    queries += [query for section in SECTIONS for query in section.queries().values()]
    assert [query for query in queries if AGGREGATES.search(query)] == []
    for path in [*Path(sections.__file__).parent.glob("*.py"), Path(first_screen.__file__)]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert [f"{path.name}: {ast.unparse(node)}" for node in ast.walk(tree) if computes(node)] == []


def computes(node: ast.AST) -> bool:
    """Whether code counts, adds up, calculates or compares numbers; `|` puts rows together."""
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name in COMPUTING
        case ast.BinOp(op=operator) | ast.AugAssign(op=operator):
            return not isinstance(operator, ast.BitOr)
        case ast.Compare(ops=operators):
            return any(isinstance(one, ast.Lt | ast.LtE | ast.Gt | ast.GtE) for one in operators)
    return False


def test_every_file_of_a_section_is_on_the_page() -> None:
    files = {path.stem for path in Path(sections.__file__).parent.glob("*.py")} - {"__init__"}
    assert len(SECTIONS) == len(files)
    assert all(getattr(sections, name).SECTION in SECTIONS for name in files)


def test_the_exposure_names_what_the_report_reads() -> None:
    source = Path(report.__file__).read_text(encoding="utf-8")
    reads = set(re.findall(r"(?:marts|activation)\.(\w+)", source))
    reads |= {figure.model.split(".")[1] for figure in FIGURES}
    reads |= {feed for section in SECTIONS for feed in section.queries()}
    written = yaml.safe_load((PROJECT / "models/marts/headlines/_headlines.yml").read_text(encoding="utf-8"))
    (exposure,) = written["exposures"]
    assert set(re.findall(r"\w+(?=')", " ".join(exposure["depends_on"]))) == reads


def test_every_next_step_leads_to_a_figure() -> None:
    steps = (PROJECT / "models/activation/rpt_next_steps.sql").read_text(encoding="utf-8")
    named = set(re.findall(r"'[\w-]+'(?: as step)?,\s+\d(?: as urgency)?,\s+'([\w-]+)'", steps))
    assert len(named) > 5
    assert named <= {figure.name for figure in FIGURES}


def test_a_page_of_everything_stays_small_and_names_are_no_markup(drawings: dict[str, report.Page]) -> None:
    page = drawings["crowded"]
    assert page.empty == 0
    assert len(page.text.encode()) < 1_000_000
    assert "<script" not in page.text
    assert max(table.count("<tr>") for table in page.text.split("<table>")) == report.MOST_ROWS + 1
    assert "200 of 300 rows." in page.text
    assert "sandbox data" in page.text
    assert "Nothing has been loaded for 102 hours" in page.text


def test_no_two_places_of_a_page_have_one_name_and_every_link_leads_to_one(
    drawings: dict[str, report.Page],
) -> None:
    for drawn in drawings.values():
        names = re.findall(r'\bid="([^"]+)"', drawn.text)
        assert len(names) == len(set(names))
        assert set(re.findall(r'href="#([^"]+)"', drawn.text)) <= set(names)


def test_an_empty_figure_keeps_its_place_and_says_how_to_fill_it(drawings: dict[str, report.Page]) -> None:
    page = drawings["empty"]
    assert page.empty == len(FIGURES)
    for figure in FIGURES:
        assert f"No rows in <code>{figure.model}</code> yet." in page.text
    assert "make demo, which needs no keys" in page.text


def test_groups_that_are_too_small_to_be_published_are_counted(small: Path, tmp_path: Path) -> None:
    copy = tmp_path / "published.duckdb"
    shutil.copyfile(small, copy)
    with duckdb.connect(str(copy)) as connection:
        connection.execute("""
            delete from marts.agg_contact_groups where contact_count < 20;
            delete from marts.agg_viewer_clusters;
            update lineage.withheld set row_count = 1 where relation = 'marts.agg_contact_groups';
            update lineage.withheld set row_count = 5 where relation = 'marts.agg_viewer_clusters';
        """)
    text = report.draw(copy, 10_000, NOW).text
    assert "Not shown: 1 group with fewer people than SMALLEST_COHORT." in text
    assert "Every group has fewer people than SMALLEST_COHORT." in text
    assert "No rows in <code>marts.agg_viewer_clusters</code> yet." not in text


# --- for a wider circle, and for a mail ---------------------------------------------------------------

# What the edition for a wider circle leaves out.
LEFT_OUT = re.compile(
    r"revenue|credit|\$|price|_clv\b|record_key|media_id|segment_id|Operations|Brand voice|dbt\.html",
    re.I,
)


def test_a_wider_circle_sees_no_money_no_ids_no_operations_and_no_small_groups(crowded: Path) -> None:
    full, page = (report.draw(crowded, 10_000, NOW, share=share) for share in (False, True))
    assert len(set(LEFT_OUT.findall(full.text))) > 6
    body = html.unescape(page.text.split("</head>")[1])
    said = body.replace(sharing.NOTE, "")
    assert body != said  # the page says what it leaves out
    assert set(LEFT_OUT.findall(said)) == set()
    assert page.figures == len(sharing.FIGURES) < full.figures
    assert {figure.name for figure in FIGURES} >= sharing.FIGURES
    for text in page.summaries.values():
        said = " ".join(html.unescape(text).split()).replace(sharing.NOTE, "")
        assert set(LEFT_OUT.findall(said)) == set()


def test_a_row_about_too_few_people_is_not_shared() -> None:
    rows = [
        {"name": "a", "is_small_group": True},
        {"name": "b", "is_small_sample": True},
        {"name": "c", "media_id": 1},
    ]
    assert sharing.shared(rows) == [{"name": "c"}]


def test_a_summary_is_read_in_a_mail(drawings: dict[str, report.Page]) -> None:
    for page in drawings.values():
        text, markup = page.summaries["summary.txt"], page.summaries["summary.html"]
        assert max(map(len, text.splitlines())) <= 72
        assert not re.search(r"<(style|script|link|img|svg|div|a)\b|url\(|https?:", markup)
        assert markup.count("<table") == markup.count("</table>") > 2
    small = drawings["small"].summaries
    assert "WHAT TO DO" in small["summary.txt"]
    assert "Audience summary" in small["summary.html"]
    assert "Nothing is loaded yet." in drawings["empty"].summaries["summary.txt"]


# --- the command -------------------------------------------------------------------------------------


def run(copy: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {"PUBLISHED_PATH": str(copy), "ENV_FILE": "/dev/null", "PATH": "/usr/bin"}
    return subprocess.run(
        [sys.executable, "-m", "report", *arguments],
        cwd=settings.ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_command_writes_one_page_with_its_summaries_and_nothing_else(small: Path, tmp_path: Path) -> None:
    ran = run(small, "--to", str(tmp_path / "report.html"))
    assert ran.returncode == 0, ran.stderr
    said = r"\S+/report\.html: 25 figures, 4 of them empty, \d+ kB in [\d.]+ s; open it in a browser\n"
    assert re.fullmatch(said, ran.stdout)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "summary.html", "summary.txt"]
    told = json.loads(run(small, "--to", str(tmp_path / "report.html"), "--json").stdout)
    assert shapes.amiss("report", told) == []
    assert (told["path"], told["figures"], told["empty"]) == (str(tmp_path / "report.html"), 25, 4)


def test_without_a_published_copy_it_says_what_to_run(tmp_path: Path) -> None:
    ran = run(tmp_path / "published.duckdb")
    assert ran.returncode == 2
    assert ran.stderr == "error: published.duckdb is not there yet. Run make ingest transform first\n"


def test_a_copy_of_another_version_is_one_line(tmp_path: Path) -> None:
    duckdb.connect(str(tmp_path / "published.duckdb")).close()
    ran = run(tmp_path / "published.duckdb", "--to", str(tmp_path / "report.html"))
    assert ran.returncode == 2
    assert re.fullmatch(
        r"error: the published copy was written by another version .*Run make transform.*\n", ran.stderr
    )
