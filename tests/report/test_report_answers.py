"""Answers of others on the page: hostile, empty, long, and of one vendor only."""

import json
import re
import shutil
from pathlib import Path

import duckdb
import pytest
import yaml

from report import answers, markdown
from report import page as report
from tests.report.copies import NOW, drawn, read
from tests.small import PROJECT

HOSTILE = {
    "html": "<script>alert(1)</script> <img src=x onerror=alert(1)> <b onclick=x>bold</b>",
    "html block": '<div style="position:fixed">\n<iframe src="https://x.example"></iframe>\n</div>',
    "image": "![a picture](https://x.example/pixel.png) ![](http://x.example/y.png)",
    "script link": "[press](javascript:alert(1)) [this](data:text/html,x) [that](http://x.example)"
    " <javascript:alert(1)>",
    "quotes": '[q](https://x.example/"onmouseover="alert(1)) [title](https://x.example "a\\" onclick=\\"x")',
    "entities": "&lt;script&gt;alert(1)&lt;/script&gt; &#60;script&#62;",
    "bidi": "price \u202e00.1$\u202c and \u2066hidden\u2069 \u200b\u0007",
    "table": "| a | b |\n|---|---|\n" + "| <script>x</script> | ![i](https://x.example/i.png) |\n" * 50,
    "unclosed": "```\n<script>alert(1)</script>\n# still code",
    "nested": ">" * 500 + " deep " + "- " * 500,
    "reference": "[a][r]\n\n[r]: javascript:alert(1)",
    "empty": "",
    "blank": " \n\t\n ",
}
SOURCES = [
    {"title": "<b>s</b>", "url": "javascript:alert(1)"},
    {"title": "ok", "url": "https://a.example"},
    7,
]
PROFILE = {"<b>k</b>": ["<script>v</script>", {"x": [1]}], "empty": [], "null": None}


@pytest.mark.parametrize("name", HOSTILE)
def test_markdown_of_others_can_do_nothing(name: str) -> None:
    html = markdown.html(HOSTILE[name])
    tags = set(re.findall(r"<(\w+)", html))
    plain = {"p", "ul", "ol", "li", "a", "div", "table", "thead", "tbody", "tr", "th", "td", "em", "strong"}
    assert tags <= plain | {"pre", "code", "blockquote", "br", "hr", "h5", "h6"}, html
    for attributes in re.findall(r"<\w+ ([^>]*)>", html):
        assert re.fullmatch(
            r'href="https://[^"<>]*" rel="noopener noreferrer nofollow"|class="table" tabindex="0"'
            r'|class="language-\w+"|start="\d+"|style="text-align:\w+"',
            attributes,
        ), attributes


def test_markdown_is_formatted() -> None:
    html = markdown.html("# Do\n\n1. **Cut** it\n\n[why](https://a.example/x)\n\n|a|\n|-|\n|1|\n")
    assert "<h5>Do</h5>" in html
    assert "<li><strong>Cut</strong> it</li>" in html
    assert '<a href="https://a.example/x" rel="noopener noreferrer nofollow">why</a>' in html
    assert '<div class="table" tabindex="0"><table>' in html


def changed(copy: Path, folder: Path, sql: str) -> Path:
    """A copy in which the answers are rows of their own: the feeds are views over it."""
    path = folder / "published.duckdb"
    shutil.copyfile(copy, path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(sql)
    return path


def test_a_hostile_answer_is_shown_and_harms_nothing(small: Path, tmp_path: Path) -> None:
    words = "\n\n".join(HOSTILE.values()).replace("'", "''")
    copy = changed(
        small,
        tmp_path,
        f"""update marts.fct_answers set title = '<b>t</b>', asked = '<i>a</i>', to_do = '<u>d</u>',
            question = '{words}', answer = case when kind <> 'focus-groups' then '{words}' end,
            recommendation = '{words[:200]}', sources = '{json.dumps(SOURCES)}',
            profile = '{json.dumps(PROFILE)}'""",
    )
    text = report.draw(copy, 1000, NOW).text
    assert not re.search(r"<(script|img|iframe|b onclick)|javascript:alert\(1\)\"", text)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert not set("\u202e\u202c\u2066\u2069\u200b\u0007") & set(text)
    assert '<a href="https://a.example" rel="noopener noreferrer nofollow">ok</a>' in text
    assert "&lt;b&gt;s&lt;/b&gt;" in text


def test_an_answer_without_anything_says_so(small: Path, tmp_path: Path) -> None:
    copy = changed(
        small,
        tmp_path,
        """update marts.fct_answers set title = null, asked = null, to_do = null, question = null,
            answer = null, recommendation = null, sources = 'no json', profile = '[]',
            credits = null, answered_at = null""",
    )
    assert 'id="answers-clv-tiers"' in report.draw(copy, 1000, NOW).text


def test_a_long_answer_is_cut_and_the_rest_is_counted(small: Path, tmp_path: Path) -> None:
    copy = changed(
        small,
        tmp_path,
        "update marts.fct_answers set answer = repeat('word ', 40000) where kind = 'analyses'",
    )
    text = report.draw(copy, 1000, NOW).text
    (record, words) = re.search(
        r"([\d,]+) more words: <code>python -m activate read (\S+)</code>", text
    ).group(2, 1)
    assert record == "analyses/segment-overlap:account"
    assert 39_300 < int(words.replace(",", "")) < 40_000
    assert len(text.encode()) < 1_000_000


def test_more_answers_than_fit_are_counted_and_the_page_stays_small(small: Path, tmp_path: Path) -> None:
    copy = changed(
        small,
        tmp_path,
        """insert into marts.fct_answers select old.* replace (
            record_id || range as record_id, record_key || range as record_key,
            repeat('A long answer, "with" <signs> & words. ', 1000) as answer,
            repeat('Asked. ', 2000) as question)
            from marts.fct_answers as old, range(40) where kind <> 'focus-groups'""",
    )
    text = report.draw(copy, 1000, NOW).text
    assert re.search(r"Shown: 10 of \d+ personas", text)
    assert len(text.encode()) < 1_000_000


def test_what_came_back_follows_from_the_finding_to_what_to_do(small: Path) -> None:
    text = report.draw(small, 1000, NOW).text
    card = text[text.index('id="answers-segment-overlap"') : text.index('id="answers-product-affinity"')]
    places = [card.index(words) for words in ("nearly the same", "We asked", "Merge them", "What to do")]
    assert places == sorted(places)
    assert '<a class="more" href="#segments">The numbers</a>' in card


def test_with_no_answers_the_section_says_how_to_get_some(small: Path, tmp_path: Path) -> None:
    copy = changed(small, tmp_path, "delete from marts.fct_answers")
    text = report.draw(copy, 1000, NOW).text
    assert "Nothing has come back from Mavera yet." in text
    assert "answers-clv-tiers" not in text


def test_only_the_jobs_of_one_vendor_are_shown(small: Path, tmp_path: Path) -> None:
    copy = changed(small, tmp_path, "delete from marts.fct_answers where job <> 'brand-voice'")
    assert re.findall(r'id="answers-([\w-]+)"', report.draw(copy, 1000, NOW).text) == ["brand-voice"]


def test_each_verdict_and_job_has_words() -> None:
    models = yaml.safe_load((PROJECT / "models/marts/mavera/_mavera.yml").read_text(encoding="utf-8"))[
        "models"
    ]
    (verdicts,) = (model for model in models if model["name"] == "fct_study_verdicts")
    (column,) = (column for column in verdicts["columns"] if column["name"] == "verdict")
    assert set(column["data_tests"][0]["accepted_values"]["arguments"]["values"]) == answers.VERDICTS.keys()
    jobs = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]["jobs"]
    assert jobs.keys() == answers.TITLES.keys()


def test_what_was_put_in_place_is_compared_in_words(small: Path, tmp_path: Path) -> None:
    copy = changed(
        small,
        tmp_path,
        """delete from marts.fct_experiments;
        insert into marts.fct_experiments by name
        select 'generations/flow-rewrites:m' as record_id, 'clicked' as measure, 'Step 1' as title,
            'better' as outcome, 'edited in Klaviyo' as known_by, 200 as before_count, 0.05 as before_share,
            0.03 as before_share_low,
            0.09 as before_share_high, 210 as after_count, 0.12 as after_share, 0.08 as after_share_low,
            0.17 as after_share_high, 0.1 as aim_share, timestamptz '2026-01-02 00:00:00+00' as put_in_at
        union all by name
        select 'analyses/segment-overlap:account' as record_id, 'none' as measure,
            'not measured' as outcome, 'noted by a person' as known_by, 'Merged two' as note,
            timestamptz '2026-01-03 00:00:00+00' as put_in_at""",
    )
    drawing = drawn(copy, "experiments")
    assert drawing.sentence == (
        "Of 1 comparison with enough people, 1 came out significantly better, 0 worse, 0 without a"
        " difference."
    )
    assert (
        "Step 1",
        "Clicked: 5.0%, then 12% (200 before, 210 after): better. Put in on Jan 2, edited in Klaviyo.",
    ) in [(name, words.strip()) for name, words in drawing.items]
    assert any("Noted: Merged two." in words and "Nothing is measured" in words for _, words in drawing.items)
    assert read(copy, "select compared_count from marts.rpt_experiments") == [{"compared_count": 1}]
