"""What the report says of rows that can be counted by hand."""

import re
from pathlib import Path

import pytest

from report import first_screen
from report.drawing import ALERT, CARD, MAIN, svg
from report.figures import Feeds, Row
from tests.report.copies import NOW, drawn, feeds, figure, read


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("opens-by-day", "SendGrid has reported 2 days so far; the mean needs seven."),
        ("devices", "Phone leads with 45% of opens in the week of Dec 29."),
        (
            "ab-tests",
            "1 of 1 A/B test has a loser. In “Subjects”, 60% opened the winner and 40% the loser.",
        ),
        (
            "contact-groups",
            "1 of 2 groups can become a persona; the largest is sales, retail with 30 contacts.",
        ),
        ("viewer-clusters", "No cluster has enough viewers to be compared."),
        ("drop-offs", "“Media 1” loses 80% of its plays from second 0 to 7."),
        (
            "calls-to-action",
            "None of 2 calls to action with enough impressions is significantly below the median.",
        ),
        ("brand-voice", "Warm."),
        ("clv-churn", "No customer in the top tier is at high risk of leaving."),
        ("segments", "Nearly the same people: “Readers” and “Buyers”."),
        ("flow-messages", "Lagging: “Step 4”."),
        (
            "channels",
            "By clicks, text messages won 1 of 1 pair and e-mails 0.",
        ),
        ("answers", "1 question was answered on a scale."),
        ("credits", "50 of 1,000 budgeted credits were spent in February 2026."),
        (
            "reconciliation",
            (
                "9 numbers agree with the vendors' own, 1 does not:"
                " SendGrid says 5 and we count 0 clicked of all single sends."
            ),
        ),
        ("jobs", "6 of 13 jobs have records in Mavera."),
    ],
)  # fmt: skip
def test_a_sentence_says_what_its_rows_say(small: Path, name: str, sentence: str) -> None:
    assert drawn(small, name).sentence == sentence


LEADS: Feeds = {"rpt_video": [{"unwritten_cohort_count": 1}]}


def told(**feeds: Row) -> Feeds:
    """Feeds of one row each."""
    return {name: [row] for name, row in feeds.items()}


def test_what_is_left_over_is_named_only_where_something_is(small: Path) -> None:
    channels = figure("channels")
    (pair,) = read(small, channels.query)

    def said(pairs: int, texts: int) -> str:
        counts = {"channel_pair_count": pairs, "text_win_count": texts, "email_win_count": 0}
        return channels.draw(
            [pair], told(rpt_campaigns=counts | {"undecided_pair_count": pairs - texts})
        ).sentence

    assert (
        said(2, 1)
        == "By clicks, text messages won 1 of 2 pairs and e-mails 0; the others are ties or undecided."
    )
    assert said(5, 0) == "By clicks, neither text messages nor e-mails won any of 5 pairs."
    assert channels.draw([pair] * 12, feeds(small, "channels")).notes == []
    many = channels.draw([pair] * 2000, feeds(small, "channels"))
    assert many.notes == ["Shown: 12 of 2,000 pairs, the latest."]


def test_groups_of_nearly_one_size_stand_by_their_size(crowded: Path) -> None:
    rows = read(crowded, figure("contact-groups").query)
    sizes = [row["contact_count"] for row in rows]
    assert sizes == sorted(sizes, reverse=True)
    assert [row["size_position"] for row in rows] != sorted(row["size_position"] for row in rows)


def test_leads_that_differ_in_their_last_word_are_told_apart() -> None:
    lead = {"cohort": "a", "cohort_media_name": "Music: questions answered", "cohort_stage": "discovering"}
    lead |= {"recent_lead_count": 1_234_567, "mailable_lead_count": 9, "is_written": True}
    watched = [lead | {"cohort_watched": how} for how in ("whole", "nearly_whole")]
    picture = svg(figure("leads").draw(watched, LEADS).chart, "leads", "")
    assert re.findall(r"answered, watched (?:nearly )?in full", picture) == [
        "answered, watched in full",
        "answered, watched nearly in full",
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
    assert leads([alone], LEADS).sentence == "19 recent leads, too few alike for a text."
    assert leads([alone, group], LEADS).sentence == (
        "The largest group has 7 recent leads, 5 of whom may be mailed; 1 group has no text yet."
    )


def test_a_test_that_nobody_can_decide_has_no_loser_and_a_line_per_variation(small: Path) -> None:
    tests = figure("ab-tests")
    rows = [row | {"outcome": "undecided"} for row in read(small, tests.query)]
    drawing = tests.draw(
        rows, told(rpt_email={"ab_test_count": 1, "decided_ab_test_count": 0, "lost_ab_test_count": 0})
    )
    assert drawing.sentence == "None of 1 A/B test could be decided."
    marks = re.findall(r'<path transform="translate\([\d.]+,([\d.]+)\)"', svg(drawing.chart, "ab-tests", ""))
    assert len(set(marks)) == len(rows) == 2


def test_each_drop_off_has_its_loss_at_the_top_of_its_own_line(small: Path) -> None:
    drops = figure("drop-offs")
    rows = read(small, drops.query)
    first = next(row for row in rows if row["drop_off_number"])
    rows += [first | {"position_seconds": first["position_seconds"] + 1, "lost_share": 0.11}]
    facts = feeds(small, "drop-offs")["rpt_video"][0] | {"most_drop_off_count": 2}
    panels = drops.draw(rows, told(rpt_video=facts)).chart.hconcat
    (panel,) = [one for one in panels if len(one.layer) > 5]
    ends = [
        (layer.mark.type, layer.encoding.y["value"], layer.data.values[0]["words"])
        for layer in panel.layer
        if layer.mark.type in ("rule", "text")
    ]
    words = ["−80%", "−11%"]
    assert ends == [
        (kind, top, word) for top, word in zip((-38, -21), words, strict=True) for kind in ("rule", "text")
    ]


def test_a_median_is_named_only_where_there_is_one(small: Path) -> None:
    calls = figure("calls-to-action")
    call = read(small, calls.query)[0]
    facts = {"compared_action_count": 24, "low_action_count": 0}
    compared = calls.draw([call] * 24, told(rpt_video=facts))
    assert compared.notes[-1] == "Shown: 12 of 24 calls to action, the farthest below their median first."
    unseen = call | {"has_enough_impressions": False, "median_action_share": None}
    unjudged = calls.draw([unseen] * 24, told(rpt_video=facts | {"compared_action_count": 0}))
    assert unjudged.notes[-1] == "Shown: 12 of 24 calls to action."


def test_a_segment_within_another_is_named_on_the_page(small: Path) -> None:
    segments = figure("segments")
    pair = read(small, segments.query)[0] | {"segment_a_name": "All", "segment_b_name": "Some"}
    pair |= {"is_near_duplicate": False, "is_contained": True, "a_in_b_share": 0.2, "b_in_a_share": 1.0}
    within = told(rpt_contained_segments={"inner_segment_name": "Some", "outer_segment_name": "All"})
    twins = pair | {"is_near_duplicate": True, "segment_a_id": "a", "segment_b_id": "b"}
    assert (
        segments.draw([twins, pair], within).chart.data.values[-1]["line"] == ALERT
    )  # nothing covers its frame
    assert segments.draw([pair], within).notes == ["Contained in another segment: “Some” in “All”."]


def test_hollow_cells_are_drawn_over_their_neighbours(small: Path) -> None:
    tiers = figure("clv-churn")
    row = read(small, tiers.query)[0] | {"clv_tier": "top", "churn_band": "low", "is_small_sample": True}
    others = [row | {"clv_tier": "middle", "is_small_sample": False}, row | {"clv_tier": "rest"}]
    chart = tiers.draw([row, *others], {}).chart
    assert [cell["clv_tier"] for cell in chart.data.values] == ["middle", "top", "rest"]


def test_records_of_groups_that_are_too_small_are_named_as_such(small: Path) -> None:
    records = figure("records")
    counts = {"kind": "personas", "standing": "not sent", "record_count": 2, "standing_count": 2}
    counts |= {"all_wanted_count": 2, "all_small_group_count": 1}
    notes = records.draw(read(small, records.query), told(rpt_records=counts)).notes
    assert notes == ["About too few people to be sent: 1 record."]


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
        "Too few viewers to compare: binge watchers, engaged explorers, bouncers and 2 more."
    ]
    assert "Too few customers to compare (drawn hollow): tier top." in drawn(small, "clv-churn").notes


def test_the_first_screen_says_how_things_changed_and_what_to_do(small: Path) -> None:
    found = {
        tile["name"]: tile for tile in first_screen.tiles(read(small, "from marts.rpt_headlines"), [], 1000)
    }
    assert found["Delivered"] == {
        "name": "Delivered",
        "value": "100",
        "trend": "",
        "window": "7 days to Jan 1",
        "change": "0 the week before",
        "sign": "",
    }
    assert found["Open rate"]["value"] == "50.0%"  # 40 of 80
    assert found["Open rate"]["change"] == "nothing to compare with in the 28 days before"
    assert found["Mavera credits"]["change"] == "of 1,000; 478 the month before"
    steps = read(small, "select step, to_do from activation.rpt_next_steps order by urgency, step")
    assert steps[0] == {"step": "unknown-records", "to_do": "Run make activate, which looks them up"}
    assert {"step": "near-duplicates", "to_do": "Keep one of “Readers” and “Buyers”"} in steps


def test_a_change_of_a_rate_is_told_only_where_it_is_sure() -> None:
    rate = {"measure": "open_rate", "window_days": 28, "amount": 0.6, "amount_before": 0.4, "is_rate": True}
    rate["direction"] = "more"
    rate |= {
        "is_small_sample": False,
        "is_surely_different": True,
        "measured_to": NOW.date(),
        "currency": None,
    }
    (sure,) = first_screen.tiles([rate], [], 0)
    assert (sure["sign"], sure["change"]) == ("▲", "significantly more; 40.0% in the 28 days before")
    (chance,) = first_screen.tiles([rate | {"is_surely_different": False}], [], 0)
    assert (chance["sign"], chance["change"]) == ("", "no significant change; 40.0% in the 28 days before")


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
    (tile,) = first_screen.tiles([revenue], [], 0)
    assert (tile["sign"], tile["change"]) == ("", "$2,653 the week before")
    (tile,) = first_screen.tiles([revenue | {"net_amount": 3205}], [], 0)
    assert tile["change"] == "$3,205 after cancellations and refunds; $2,653 the week before"
    revenue |= {"currency": "EUR", "other_currency_revenue": "90.00 GBP, 1200.00 JPY"}
    (tile,) = first_screen.tiles([revenue], [], 0)
    assert (tile["value"], tile["change"]) == (
        "3,421\u00a0EUR",
        "2,653\u00a0EUR the week before; plus 90.00 GBP, 1200.00 JPY",
    )
    (tile,) = first_screen.tiles([revenue | {"currency": "unknown", "other_currency_revenue": None}], [], 0)
    assert tile["value"] == "3,421"


def test_what_changed_in_four_weeks_is_said_with_the_significant_first() -> None:
    rate = {"measure": "open_rate", "window_days": 28, "amount": 0.36, "amount_before": 0.37, "is_rate": True}
    rate |= {"is_small_sample": False, "is_surely_different": False, "currency": None}
    rate |= {"measured_to": NOW.date(), "direction": "less", "change_share": None}
    orders = rate | {"measure": "orders", "amount": 90, "amount_before": 40, "is_rate": False}
    orders |= {"is_surely_different": True, "direction": "more"}
    revenue = orders | {"measure": "revenue", "amount": 900, "amount_before": 1000, "currency": "USD"}
    revenue |= {"is_surely_different": None, "direction": "less", "change_share": -0.1}
    said = [
        (one["name"], one["sign"], one["value"], one["change"])
        for one in first_screen.changes([rate, orders, revenue])
    ]
    assert said == [
        ("Orders", "▲", "90", "significantly more; 40 before"),
        ("Open rate", "", "36.0%", "no significant change; 37.0% before"),
        ("Revenue", "", "$900", "$1,000 before"),
    ]


def test_a_tile_has_a_line_once_two_weeks_are_known() -> None:
    headline = {"measure": "orders", "window_days": 7, "amount": 9, "amount_before": 4, "is_rate": False}
    headline |= {"is_small_sample": False, "is_surely_different": False, "currency": None}
    headline |= {"measured_to": NOW.date(), "direction": "more"}
    week = {"measure": "orders", "currency": None, "is_rate": False, "amount": 4}
    week |= {"period_from": NOW.date().replace(day=1), "period_to": NOW.date().replace(day=2)}
    now = week | {"amount": 9, "period_to": NOW.date()}
    (tile,) = first_screen.tiles([headline], [week], 0)
    assert tile["trend"] == ""
    (tile,) = first_screen.tiles([headline], [week, now], 0)
    assert 'aria-label="Orders: 4 to Jan 2, 9 now"' in tile["trend"]
    assert "<title>Jan 1 to Jan 5: 9</title>" in tile["trend"]


def test_sizes_of_segments_have_no_line_before_their_second_week() -> None:
    now = {"segment_id": "s", "segment_name": "Readers", "member_count": 50, "member_count_before": None}
    now |= {"week_to": NOW.date(), "week_count": 1}
    sizes = figure("segment-sizes")
    assert sizes.draw([now], {}).chart is None
    assert sizes.draw([now], {}).sentence == (
        "Counts of one week are known so far; lines begin with the second week."
    )
    now |= {"week_count": 2, "member_count_before": 40}
    before = now | {"week_to": NOW.date().replace(day=1), "member_count": 40}
    drawing = sizes.draw([now, before], {})
    assert drawing.sentence == "In four weeks: “Readers” from 40 to 50."
    assert "week to Jan 1: 40 members" in svg(drawing.chart, "segment-sizes", "")


def test_the_last_run_of_a_step_stands_beside_the_one_before() -> None:
    run = {"step": "ingest", "outcome": "well", "detail": None, "row_count": 12, "credits": None}
    before = run | {"outcome": "failed", "detail": "refused", "started_at": NOW.replace(day=4)}
    facts: Row = {"run_count": 2, "well_run_count": 1}
    drawing = figure("runs").draw([run | {"started_at": NOW}, before], told(rpt_data=facts))
    assert drawing.sentence == "1 of the latest 2 runs succeeded; last problem: ingest, failed, Jan 4."
    assert drawing.items == [
        ("ingest, Jan 5, 12:00", "12 new rows; previous run: 12 new rows, failed: refused")
    ]
