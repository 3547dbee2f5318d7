"""The page that people open: what it says of rows counted by hand, and what a browser makes of it."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import Page as Tab

import report.__main__ as report
from common import settings, warehouse
from report.drawing import ALERT, CARD, MAIN, svg
from report.figures import FIGURES, Drawing, Figure
from tests import needs, shapes
from tests.transform.test_dbt_project import PROJECT, SMALL, create_raw
from transform import build as transform

CHROMIUM = needs.program("chromium", "chromium-browser", "google-chrome")
CONTAINED = ["--no-sandbox", "--disable-dev-shm-usage"]  # as root, and with a small /dev/shm
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def read(copy: Path, query: str) -> list[dict[str, Any]]:
    with warehouse.connect(copy, read_only=True) as connection:
        connection.execute("set variable credit_budget = 1000")
        return report.rows(connection, query)


def figure(name: str) -> Figure:
    return next(figure for figure in FIGURES if figure.name == name)


def drawn(copy: Path, name: str) -> Drawing:
    return figure(name).draw(read(copy, figure(name).query))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published copy of what the report reads, over rows that can be counted by hand."""
    path = tmp_path_factory.mktemp("small") / "warehouse.duckdb"
    create_raw(path)
    with duckdb.connect(str(path)) as connection:
        connection.execute(SMALL)
    results = transform.dbt(
        path,
        "build",
        "--select",
        "+exposure:report",
        "--resource-type",
        "model",
        "--resource-type",
        "seed",
        "--target-path",
        str(path.parent / "target"),
    )
    assert {result.status for result in results} == {"success"}
    copy = path.with_name("published.duckdb")
    transform.publish(path, copy, path.with_name("salt"), smallest_cohort=1)
    return copy


@pytest.fixture(scope="module")
def empty(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same copy before anything was loaded; a model that always has rows keeps them, without data."""
    copy = tmp_path_factory.mktemp("empty") / "published.duckdb"
    shutil.copyfile(small, copy)
    with duckdb.connect(str(copy)) as connection:
        for schema, table in connection.execute(
            "select schema_name, table_name from duckdb_tables() where table_name <> 'agg_viewer_clusters'"
        ).fetchall():
            connection.execute(f'delete from "{schema}"."{table}"')
        connection.execute("update marts.agg_viewer_clusters set viewer_count = 0")
    return copy


# Long names, signs that mean something to a browser, more of everything than is drawn, and long numbers.
CROWD = """
    set timezone = 'UTC';
    create macro named(many) as 'A <script>name</script> that is "long" & goes on, number ' || many;
    insert into marts.agg_contact_groups select old.* replace (
        contact_group || range as contact_group, named(range) as role, 1000 - range as contact_count,
        10 + range as size_position, range < 8 as is_selected)
        from marts.agg_contact_groups as old, range(40);
    update marts.agg_viewer_clusters set viewer_count = 1234567, is_small_sample = false;
    update marts.rpt_most_played_retention set media_name = named(media_position);
    insert into marts.fct_media_action_rates select old.* replace (
        media_id || range as media_id, named(range) as media_name, range % 7 > 0 as has_enough_impressions,
        0.04 as action_share_high) from marts.fct_media_action_rates as old, range(20);
    insert into marts.agg_segment_overlaps select old.* replace (
        'a' || a as segment_a_id, 'b' || b as segment_b_id, named(a) as segment_a_name,
        named(b) as segment_b_name)
        from (select * from marts.agg_segment_overlaps limit 1) as old,
        range(14) one(a), range(14) other(b);
    insert into marts.fct_flow_messages select old.* replace (
        flow_message_id || range as flow_message_id, named(range) as message_name,
        range % 3 > 0 as is_compared)
        from marts.fct_flow_messages as old, range(9);
    insert into marts.agg_channel_pairs select old.* replace (
        email_campaign_id || range as email_campaign_id, named(range) as campaign_stem)
        from marts.agg_channel_pairs as old, range(20);
    insert into marts.fct_ab_tests select old.* replace (
        single_send_id || range as single_send_id, named(range) as single_send_name)
        from marts.fct_ab_tests as old, range(12);
    insert into marts.fct_answer_bands select old.* replace (
        question_id || range as question_id, named(range) || '. ' || named(range) || '?' as question,
        30 as response_count, false as is_small_sample) from marts.fct_answer_bands as old, range(25);
    insert into marts.fct_engagement_daily by name select
        1200000 + range as daily_unique_open_count, 9000 as daily_unique_click_count,
        1200000.5 as mean_daily_unique_open_count, 9000.5 as mean_daily_unique_click_count,
        cast(date '2025-01-01' + interval (range) day as date) as happened_on from range(365);
    insert into marts.fct_opens_by_device_weekly select old.* replace (
        cast(week_from - interval (7 * range) day as date) as week_from)
        from marts.fct_opens_by_device_weekly as old, range(1, 12);
    insert into marts.agg_lead_cohorts by name select
        'cohort ' || range as cohort, named(range) as cohort_media_name, 'comparing' as cohort_stage,
        'nearly_whole' as cohort_watched, 99999 - range as recent_lead_count,
        99000 - range as mailable_lead_count, range % 2 = 0 as is_written from range(30);
    insert into marts.agg_product_pairs by name select
        'a' || range as product_a_id, 'b' || range as product_b_id, named(range) as product_a_name,
        named(range) as product_b_name, 5 + range as joint_customer_count, 3.0 as lift, 1.2 as lift_low,
        9.5 as lift_high, 44850 as judged_pair_count, true as is_affinity, true as is_offered from range(300);
    insert into marts.fct_source_freshness by name select
        'klaviyo' as vendor, 'resource_of_a_long_name_' || range as resource, 'sandbox' as world,
        'loaded' as last_outcome, 30.0 * range as hours_old, 48 as limit_hours, range > 1 as is_late,
        7 as late_row_count, timestamptz '2026-01-01 00:00:00+00' as newest_row_at,
        timestamptz '2026-01-01 06:00:00+00' as measured_at from range(9);
    insert into marts.fct_runs by name select
        'run ' || range as run_id, 'transform' as step, if(range = 1, 'failed', 'well') as outcome,
        'no column of that name' as detail, 12345.6 as duration_seconds, 9999999 as row_count,
        timestamptz '2026-01-01 06:00:00+00' - to_hours(range) as started_at from range(250);
    insert into activation.fct_record_states by name select
        'r' || range as record_id, 'brand-voices' as kind, 'r' || range as record_key, true as is_wanted,
        range < 30 as is_small_group,
        ['sent', 'waiting', 'not sent', 'unwanted', 'failed', 'unknown'][1 + range % 6] as standing,
        'j' as job from range(60);
"""


@pytest.fixture(scope="module")
def crowded(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same copy with more of everything than fits."""
    copy = tmp_path_factory.mktemp("crowded") / "published.duckdb"
    shutil.copyfile(small, copy)
    with duckdb.connect(str(copy)) as connection:
        connection.execute(CROWD)
    return copy


@pytest.fixture(scope="module")
def drawings(small: Path, empty: Path, crowded: Path) -> dict[str, report.Page]:
    """The page of each copy."""
    copies = {"small": small, "empty": empty, "crowded": crowded}
    return {name: report.draw(copy, 10_000, NOW) for name, copy in copies.items()}


# --- what it says ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("opens-by-day", "SendGrid has told of 2 days so far; a mean needs seven."),
        ("devices", "Phone leads with 45\u00a0% of opens in the week of 29 Dec."),
        (
            "ab-tests",
            "1 of 1 A/B test has a loser; of “Subjects” 60\u00a0% opened the one and 40\u00a0% the other.",
        ),
        (
            "contact-groups",
            "1 of 2 groups can become a persona; the largest is sales, retail with 30 contacts.",
        ),
        ("viewer-clusters", "No cluster has enough viewers to be compared."),
        ("drop-offs", "“Media 1” loses 80\u00a0% of its plays from second 0 to 7."),
        ("calls-to-action", "No call is surely under the median, of 2 with enough impressions."),
        ("brand-voice", "Warm."),
        ("clv-churn", "No customer of the top tier is at high risk of leaving."),
        ("segments", "Nearly the same people: “Readers” and “Buyers”."),
        ("flow-messages", "Lagging: “Step 4”."),
        (
            "channels",
            "By clicks, texts surely won 1 of 1 pair and e-mails 0.",
        ),
        ("answers", "1 question was answered on a scale."),
        ("credits", "50 credits were spent in February 2026, of 1,000 that it may cost."),
        (
            "reconciliation",
            (
                "9 numbers agree with the vendors' own, 1 does not:"
                " SendGrid says 5 and we count 0 clicked of all single sends."
            ),
        ),
        ("jobs", "6 jobs of 13 have something in Mavera."),
    ],
)  # fmt: skip
def test_a_sentence_says_what_its_rows_say(small: Path, name: str, sentence: str) -> None:
    assert drawn(small, name).sentence == sentence


def test_what_is_left_over_is_named_only_where_something_is(small: Path) -> None:
    channels = figure("channels")
    (pair,) = read(small, channels.query)
    tie = pair | {"email_campaign_id": "another", "click_outcome": "tie"}
    said = channels.draw([pair, tie]).sentence
    assert said == "By clicks, texts surely won 1 of 2 pairs and e-mails 0; the others are ties or undecided."
    assert (
        channels.draw([tie] * 5).sentence == "By clicks, neither texts nor e-mails surely won any of 5 pairs."
    )
    assert channels.draw([pair] * 12).notes == []
    assert channels.draw([pair] * 2000).notes == ["Drawn: 12 of 2,000 pairs, the latest."]


def test_groups_of_nearly_one_size_stand_by_their_size(crowded: Path) -> None:
    rows = read(crowded, figure("contact-groups").query)
    sizes = [row["contact_count"] for row in rows]
    assert sizes == sorted(sizes, reverse=True)
    assert [row["size_position"] for row in rows] != sorted(row["size_position"] for row in rows)


def test_leads_that_differ_in_their_last_word_are_told_apart() -> None:
    lead = {"cohort": "a", "cohort_media_name": "Music: questions answered", "cohort_stage": "discovering"}
    lead |= {"recent_lead_count": 1_234_567, "mailable_lead_count": 9, "is_written": True}
    watched = [lead | {"cohort_watched": how} for how in ("whole", "nearly_whole")]
    picture = svg(figure("leads").draw(watched).chart, "leads", "")
    assert re.findall(r"answered, seen (?:nearly )?whole", picture) == [
        "answered, seen whole",
        "answered, seen nearly whole",
    ]


def test_leads_of_whom_too_few_are_alike_have_no_group_and_no_text() -> None:
    alone = {"cohort": "none", "cohort_media_name": None, "cohort_stage": None, "cohort_watched": None}
    alone |= {"recent_lead_count": 19, "mailable_lead_count": 13, "is_written": False}
    group = alone | {
        "cohort": "a",
        "cohort_stage": "deciding",
        "recent_lead_count": 7,
        "mailable_lead_count": 5,
    }
    leads = figure("leads").draw
    assert leads([alone]).sentence == "19 recent leads, too few alike for a text."
    assert leads([alone, group]).sentence == (
        "The largest group has 7 recent leads, 5 of whom may be mailed; 1 group has no text."
    )


def test_a_test_that_nobody_can_decide_has_no_loser_and_a_line_per_variation(small: Path) -> None:
    tests = figure("ab-tests")
    rows = [row | {"outcome": "undecided"} for row in read(small, tests.query)]
    drawing = tests.draw(rows)
    assert drawing.sentence == "None of 1 A/B test could be decided."
    marks = re.findall(r'<path transform="translate\([\d.]+,([\d.]+)\)"', svg(drawing.chart, "ab-tests", ""))
    assert len(set(marks)) == len(rows) == 2


def test_each_drop_off_has_its_loss_at_the_top_of_its_own_line(small: Path) -> None:
    drops = figure("drop-offs")
    rows = read(small, drops.query)
    first = next(row for row in rows if row["drop_off_number"])
    rows += [first | {"position_seconds": first["position_seconds"] + 1, "lost_share": 0.11}]
    (panel,) = [one for one in drops.draw(rows).chart.hconcat if len(one.layer) > 5]
    ends = [
        (layer.mark.type, layer.encoding.y["value"], layer.data.values[0]["words"])
        for layer in panel.layer
        if layer.mark.type in ("rule", "text")
    ]
    words = ["−80\u00a0%", "−11\u00a0%"]
    assert ends == [
        (kind, top, word) for top, word in zip((-38, -21), words, strict=True) for kind in ("rule", "text")
    ]


def test_a_median_is_named_only_where_there_is_one(small: Path) -> None:
    calls = figure("calls-to-action")
    call = read(small, calls.query)[0]
    assert (
        calls.draw([call] * 24).notes[-1] == "Drawn: 12 of 24 calls, the furthest under their median first."
    )
    unseen = call | {"has_enough_impressions": False, "median_action_share": None}
    assert calls.draw([unseen] * 24).notes[-1] == "Drawn: 12 of 24 calls."


def test_a_segment_within_another_is_named_on_the_page(small: Path) -> None:
    segments = figure("segments")
    pair = read(small, segments.query)[0] | {"segment_a_name": "All", "segment_b_name": "Some"}
    pair |= {"is_near_duplicate": False, "is_contained": True, "a_in_b_share": 0.2, "b_in_a_share": 1.0}
    twins = pair | {"is_near_duplicate": True, "segment_a_id": "a", "segment_b_id": "b"}
    assert segments.draw([twins, pair]).chart.data.values[-1]["line"] == ALERT  # nothing covers its frame
    assert segments.draw([pair]).notes == ["One within another: “Some” in “All”."]


def test_hollow_cells_are_drawn_over_their_neighbours(small: Path) -> None:
    tiers = figure("clv-churn")
    row = read(small, tiers.query)[0] | {"clv_tier": "top", "churn_band": "low", "is_small_sample": True}
    others = [row | {"clv_tier": "middle", "is_small_sample": False}, row | {"clv_tier": "rest"}]
    chart = tiers.draw([row, *others]).chart
    assert [cell["clv_tier"] for cell in chart.data.values] == ["middle", "top", "rest"]


def test_records_of_groups_that_are_too_small_are_named_as_such(small: Path) -> None:
    records = figure("records")
    row = read(small, records.query)[0] | {"standing": "not sent"}
    notes = records.draw([row | {"is_small_group": few} for few in (True, False)]).notes
    assert notes == ["Of too few people to be sent yet: 1 record."]


def test_an_axis_of_ratios_has_a_number_near_every_mark(crowded: Path) -> None:
    picture = svg(drawn(crowded, "products").chart, "products", "")
    assert re.findall(r">([\d.]+)</text>", picture) == ["1", "2", "3", "4", "8"]


def test_few_data_are_hollow_named_and_never_judged(small: Path) -> None:
    clusters = drawn(small, "viewer-clusters")
    picture = svg(clusters.chart, "viewer-clusters", clusters.sentence)
    assert f'fill="{CARD}"' in picture
    assert MAIN not in picture
    assert ALERT not in picture
    assert list(clusters.notes) == [
        "Few viewers, not judged: binge watchers, engaged explorers, bouncers and 2 more."
    ]
    assert "Few customers, drawn hollow: tier top." in drawn(small, "clv-churn").notes


def test_the_first_screen_says_how_things_changed_and_what_to_do(small: Path) -> None:
    found = {tile["name"]: tile for tile in report.tiles(read(small, "from marts.rpt_headlines"), 1000)}
    assert found["Delivered"] == {
        "name": "Delivered",
        "value": "100",
        "window": "7 days to 1 Jan",
        "change": "0 the week before",
        "sign": "",
    }
    assert found["Open rate"]["value"] == "50.0\u00a0%"  # 40 of 80
    assert found["Open rate"]["change"] == "nothing to compare with in the 28 days before"
    assert found["Mavera credits"]["change"] == "of 1,000; the month before 478"
    steps = read(small, "select step, to_do from activation.rpt_next_steps order by urgency, step")
    assert steps[0] == {"step": "unknown-records", "to_do": "Run make activate, which looks them up"}
    assert {"step": "near-duplicates", "to_do": "Keep one of “Readers” and “Buyers”"} in steps


def test_a_change_of_a_rate_is_told_only_where_it_is_sure() -> None:
    rate = {"measure": "open_rate", "window_days": 28, "amount": 0.6, "amount_before": 0.4, "is_rate": True}
    rate |= {
        "is_small_sample": False,
        "is_surely_different": True,
        "measured_to": NOW.date(),
        "currency": None,
    }
    (sure,) = report.tiles([rate], 0)
    assert (sure["sign"], sure["change"]) == ("▲", "surely more; 40.0\u00a0% in the 28 days before")
    (chance,) = report.tiles([rate | {"is_surely_different": False}], 0)
    assert (chance["sign"], chance["change"]) == ("", "no sure change; 40.0\u00a0% in the 28 days before")


def test_money_is_told_without_a_verdict() -> None:
    revenue = {
        "measure": "revenue",
        "window_days": 7,
        "amount": 3421,
        "amount_before": 2653,
        "is_rate": False,
    }
    revenue |= {"is_surely_different": None, "change_share": 0.29, "measured_to": NOW.date()}
    revenue |= {"currency": "USD", "other_currency_revenue": None, "net_amount": 3421}
    (tile,) = report.tiles([revenue], 0)
    assert (tile["sign"], tile["change"]) == ("", "$2,653 the week before")
    (tile,) = report.tiles([revenue | {"net_amount": 3205}], 0)
    assert tile["change"] == "$3,205 after cancellations and refunds; $2,653 the week before"
    revenue |= {"currency": "EUR", "other_currency_revenue": "90.00 GBP, 1200.00 JPY"}
    (tile,) = report.tiles([revenue], 0)
    assert (tile["value"], tile["change"]) == (
        "3,421\u00a0EUR",
        "2,653\u00a0EUR the week before; besides 90.00 GBP, 1200.00 JPY",
    )
    (tile,) = report.tiles([revenue | {"currency": "unknown", "other_currency_revenue": None}], 0)
    assert tile["value"] == "3,421"


def test_the_last_run_of_a_step_stands_beside_the_one_before() -> None:
    run = {"step": "ingest", "outcome": "well", "detail": None, "row_count": 12, "credits": None}
    before = run | {"outcome": "failed", "detail": "refused", "started_at": NOW.replace(day=4)}
    assert report.since_last_run([run | {"started_at": NOW}, before]) == [
        {
            "step": "ingest",
            "when": "5 Jan, 12:00",
            "brought": "12 new rows",
            "before": "the run before: 12 new rows, failed: refused",
        }
    ]


# --- what it is made of ------------------------------------------------------------------------------


def test_every_job_has_a_figure_and_every_figure_one_model() -> None:
    jobs = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]["jobs"]
    assert jobs.keys() == {figure.job for figure in FIGURES if figure.job}
    for figure in FIGURES:
        assert re.findall(r"\b(?:from|join) (\S+)", figure.query) == [figure.model]
    assert len({figure.name for figure in FIGURES}) == len(FIGURES)


def test_the_exposure_names_what_the_report_reads() -> None:
    source = Path(report.__file__).read_text(encoding="utf-8")
    reads = set(re.findall(r"(?:marts|activation)\.(\w+)", source))
    reads |= {figure.model.split(".")[1] for figure in FIGURES}
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
    assert "Left out here: 1 group of fewer people than SMALLEST_COHORT." in text
    assert "No group has as many people as SMALLEST_COHORT." in text
    assert "No rows in <code>marts.agg_viewer_clusters</code> yet." not in text


# --- the command -------------------------------------------------------------------------------------


def run(copy: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {"PUBLISHED_PATH": str(copy), "ENV_FILE": "/dev/null", "PATH": "/usr/bin"}
    return subprocess.run(
        [sys.executable, "-m", "report", *arguments],
        cwd=settings.ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_command_writes_one_page_and_nothing_else(small: Path, tmp_path: Path) -> None:
    ran = run(small, "--to", str(tmp_path / "report.html"))
    assert ran.returncode == 0, ran.stderr
    said = r"\S+/report\.html: 22 figures, 4 of them empty, \d+ kB in [\d.]+ s; open it in a browser\n"
    assert re.fullmatch(said, ran.stdout)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    told = json.loads(run(small, "--to", str(tmp_path / "report.html"), "--json").stdout)
    assert shapes.amiss("report", told) == []
    assert (told["path"], told["figures"], told["empty"]) == (str(tmp_path / "report.html"), 22, 4)


def test_without_a_published_copy_it_says_what_to_run(tmp_path: Path) -> None:
    ran = run(tmp_path / "published.duckdb")
    assert ran.returncode == 2
    assert ran.stderr == "error: published.duckdb is not there yet. Run make ingest transform first\n"


def test_a_copy_of_another_version_is_one_line(tmp_path: Path) -> None:
    duckdb.connect(str(tmp_path / "published.duckdb")).close()
    ran = run(tmp_path / "published.duckdb", "--to", str(tmp_path / "report.html"))
    assert ran.returncode == 2
    assert re.fullmatch(
        r"error: the published copy is of another version .*Run make transform.*\n", ran.stderr
    )


# --- in a browser ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        needs.absent("Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=str(CHROMIUM), args=CONTAINED)


@pytest.fixture(scope="module")
def pages(drawings: dict[str, report.Page], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where each page is, for a browser."""
    folder = tmp_path_factory.mktemp("pages")
    for name, page in drawings.items():
        (folder / f"{name}.html").write_text(page.text, encoding="utf-8")
    return {name: (folder / f"{name}.html").as_uri() for name in drawings}


@pytest.fixture
def tab(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Tab]:
    """A tab of a look: light, dark or narrow."""
    look = getattr(request, "param", "light")
    width, scheme = 390 if look == "narrow" else 1280, "dark" if look == "dark" else "light"
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("tab", ["light", "dark", "narrow"], indirect=True)
@pytest.mark.parametrize("page", ["small", "empty", "crowded"])
def test_the_page_asks_for_nothing_complains_of_nothing_and_fits(
    tab: Tab, pages: dict[str, str], page: str
) -> None:
    heard: list[str] = []
    tab.on("console", lambda message: heard.append(message.text))
    tab.on("pageerror", lambda error: heard.append(str(error)))
    tab.on("request", lambda request: heard.append(request.url))
    tab.goto(pages[page])
    assert heard == [pages[page]]
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    unlabelled = "svg:not([aria-hidden='true']):not([role='img'][aria-label])"
    assert tab.locator(unlabelled).count() == 0
    assert (tab.locator("svg[role='img']").count() > 10) == (page != "empty")
    assert tab.evaluate("document.querySelectorAll('script, img, link, iframe').length") == 0


# Each text with its colour and with what is behind it: of a text in a chart, the mark under its middle.
CONTRAST = """() => {
    const number = text => text.match(/[\\d.]+/g).map(Number);
    const over = (top, alpha, below) =>
        top.slice(0, 3).map((part, at) => part * alpha + below[at] * (1 - alpha));
    const light = colour => {
        const linear = part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        const [r, g, b] = colour.map(part => linear(part / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = element => {
        for (let at = element; at; at = at.parentElement) {
            const colour = number(getComputedStyle(at).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour.slice(0, 3);
        }
    };
    const worst = [];
    const note = (element, front, back) => {
        const [high, low] = [light(front), light(back)].sort((one, other) => other - one);
        const ratio = (high + 0.05) / (low + 0.05);
        if (ratio < 4.5) worst.push(`${ratio.toFixed(2)} ${element.textContent.trim().slice(0, 40)}`);
    };
    for (const element of document.querySelectorAll('body *')) {
        const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
        if (!own || element.closest('svg') || !element.checkVisibility()) continue;
        note(element, number(getComputedStyle(element).color), behind(element));
    }
    for (const picture of document.querySelectorAll("svg[role='img']")) {
        const card = behind(picture);
        const marks = [...picture.querySelectorAll('path, rect')]
            .map(mark => [mark, mark.getBoundingClientRect(), getComputedStyle(mark)])
            .filter(([, , style]) => style.fill.startsWith('rgb'));
        for (const text of picture.querySelectorAll('text')) {
            if (!text.textContent.trim()) continue;
            const box = text.getBoundingClientRect();
            const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
            let back = card;
            for (const [mark, area, style] of marks) {
                const before = mark.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_FOLLOWING;
                if (before && area.left < x && x < area.right && area.top < y && y < area.bottom)
                    back = over(number(style.fill), style.opacity * style.fillOpacity, back);
            }
            note(text, number(getComputedStyle(text).fill), back);
        }
    }
    return worst;
}"""


@pytest.mark.parametrize("tab", ["light", "dark"], indirect=True)
@pytest.mark.parametrize("page", ["small", "empty", "crowded"])
def test_every_text_stands_out_from_what_is_behind_it(tab: Tab, pages: dict[str, str], page: str) -> None:
    tab.goto(pages[page])
    tab.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert tab.evaluate(CONTRAST) == []


# Texts of a chart that stand on one another, or outside it.
COLLISIONS = """() => {
    const found = [];
    for (const picture of document.querySelectorAll("svg[role='img']")) {
        const frame = picture.getBoundingClientRect();
        const texts = [...picture.querySelectorAll('text')].filter(text => text.textContent.trim())
            .map(text => [text.textContent, text.getBoundingClientRect()]);
        const name = picture.closest('figure').id;
        texts.forEach(([words, box], at) => {
            if (box.left < frame.left - 2 || box.right > frame.right + 2 || box.bottom > frame.bottom + 2)
                found.push(`${name}: ${words} is cut`);
            for (const [others, other] of texts.slice(at + 1)) {
                const across = Math.min(box.right, other.right) - Math.max(box.left, other.left);
                const down = Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top);
                if (across > 1 && down > 3) found.push(`${name}: ${words} is on ${others}`);
            }
        });
    }
    return found;
}"""


@pytest.mark.parametrize("page", ["small", "crowded"])
def test_no_label_is_cut_or_covers_another(tab: Tab, pages: dict[str, str], page: str) -> None:
    tab.goto(pages[page])
    assert tab.evaluate(COLLISIONS) == []


@pytest.mark.parametrize("tab", ["narrow"], indirect=True)
def test_a_phone_shows_questions_with_their_bars(tab: Tab, pages: dict[str, str]) -> None:
    tab.goto(pages["crowded"])
    middle = tab.locator("#answers svg[role='img'] line").first.bounding_box()
    assert middle
    assert 0 < middle["x"] < 250  # the bars go on to either side of it


def test_panels_with_numbers_of_any_length_begin_at_one_line(tab: Tab, pages: dict[str, str]) -> None:
    tab.goto(pages["crowded"])
    panels = tab.locator("#opens-by-day svg[role='img'] text")
    opened, clicked = (panels.get_by_text(title, exact=True) for title in ("Opened", "Clicked"))
    (at, also) = (box["x"] for box in (opened.bounding_box(), clicked.bounding_box()) if box)
    assert at == pytest.approx(also, abs=1)


def test_the_keyboard_reaches_everything_in_the_order_of_the_page(tab: Tab, pages: dict[str, str]) -> None:
    tab.goto(pages["crowded"])
    stops = "[...document.querySelectorAll('a, summary, [tabindex]')].filter(one => one.checkVisibility())"
    count = tab.evaluate(f"{stops}.length")
    assert count > 30
    reached = []
    for _ in range(count):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate(f"{stops}.indexOf(document.activeElement)"))
    assert reached == list(range(count))
    tab.locator("summary").first.focus()
    tab.keyboard.press("Enter")
    assert tab.locator("details[open] table").first.is_visible()


def test_paper_has_the_figures_and_not_their_tables(tab: Tab, pages: dict[str, str]) -> None:
    tab.goto(pages["crowded"])
    tab.emulate_media(media="print", color_scheme="dark")
    assert tab.locator("details:visible").count() == 0
    assert tab.locator("figure:visible").count() == len(FIGURES)
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert tab.evaluate("getComputedStyle(document.querySelector('.card')).breakInside") == "avoid"
