"""Video: viewer clusters, drop-offs, calls to action, leads and the brand voice."""

import json
from typing import Final

import altair as alt

from report import drawing as draw
from report.figures import SEND, Drawing, Feeds, Key, Row, Rows, Section, grouped
from report.words import folded, interval, note, part_of, percent, plain, several, told_apart

MOST_ACTIONS = 12
MOST_COHORTS = 20
SECTION: Final = Section("Video", feeds=("marts.rpt_video",), vendor="wistia")


@SECTION.figure(
    "viewer-clusters",
    "Viewer clusters",
    "marts.agg_viewer_clusters",
    select="viewer_cluster, viewer_count, viewer_share, mean_watched_share, mean_watched_share_low,"
    " mean_watched_share_high, identified_share, identified_share_low, identified_share_high,"
    " mean_media_count, mobile_share, is_small_sample, rule_position",
    tail="where viewer_share is not null order by viewer_count desc, rule_position",
    definition="A viewer is a browser and belongs to the first rule that fits: how many videos it watched"
    " and how much of each. Lines are 95% intervals.",
    job="viewer-clusters",
    is_wide=True,
)
def viewer_clusters(rows: Rows, feeds: Feeds) -> Drawing:
    order = [plain(row["viewer_cluster"]) for row in rows]
    drawn = [
        draw.marked(row | {"label": label}, draw.OTHER, "circle", hollow=row["is_small_sample"])
        | {
            "bar": draw.REST if row["is_small_sample"] else draw.MAIN,
            "bar_fill": draw.CARD if row["is_small_sample"] else draw.MAIN,
            "tip": f"{label}: {several(row['viewer_count'], 'viewer')}, {interval(row, 'mean_watched_share')}"
            f" watched on average, {interval(row, 'identified_share')} with a known address",
        }
        for row, label in zip(rows, order, strict=True)
    ]
    base, height = draw.chart(drawn), draw.tall(rows, 34)
    count = base.encode(y=draw.names("label", order), x=draw.counts("viewer_count", "viewers", rows))
    bars = count.mark_bar(height=18, strokeWidth=1.5).encode(
        fill=draw.filled("bar_fill"), stroke=draw.outlined("bar")
    )
    silent = alt.Y("label:N", sort=order, axis=None)
    squares = draw.chart([row | {"shape": "square"} for row in drawn])
    watched = draw.with_intervals(base, silent, "mean_watched_share", "mean share watched")
    known = draw.with_intervals(squares, silent, "identified_share", "share with a known e-mail address")
    few = [plain(row["viewer_cluster"]) for row in rows if row["is_small_sample"]]
    return Drawing(
        _largest_and_keenest(rows, feeds["rpt_video"][0]),
        alt.hconcat(
            draw.bars_with_numbers(count, bars, "viewer_count").properties(width=300, height=height),
            watched.properties(width=205, height=height),
            known.properties(width=205, height=height),
            spacing=36,
        ),
        notes=note("Too few viewers to compare:", few),
    )


def _largest_and_keenest(rows: Rows, facts: Row) -> str:
    largest = next((row for row in rows if not row["is_small_sample"]), None)
    if not largest:
        return "No cluster has enough viewers to be compared."
    (keen,) = (row for row in rows if row["viewer_cluster"] == facts["keenest_cluster"])
    watches = f"watch the most, {percent(keen['mean_watched_share'])} of a video on average."
    also = f". {plain(keen['viewer_cluster']).capitalize()} ({percent(keen['viewer_share'])}) {watches}"
    name, share = plain(largest["viewer_cluster"]).capitalize(), percent(largest["viewer_share"])
    end = f" and {watches}" if keen is largest else also
    return f"{name} are the largest of {facts['cluster_count']} clusters with {share} of viewers{end}"


@SECTION.figure(
    "drop-offs",
    "Where viewers leave",
    "marts.rpt_most_played_retention",
    select="media_name, position_seconds, retention_share, starting_play_count, drop_off_number,"
    " drop_off_to_seconds, lost_share, is_small_sample, media_id, media_position",
    tail="order by media_position, cell_place",
    definition="Share of plays still watching, for the most played videos with a drop-off. A drop-off loses"
    " more than ten points within five seconds and lasts as long as viewers keep leaving that fast.",
    job="drop-offs",
    is_wide=True,
)
def drop_offs(rows: Rows, feeds: Feeds) -> Drawing:
    (facts,) = feeds["rpt_video"]
    if facts["steepest_media_name"] is not None:
        sentence = (
            f"“{facts['steepest_media_name']}” loses {percent(facts['steepest_lost_share'])} of its plays"
            f" from second {facts['steepest_from_seconds']:,.0f} to {facts['steepest_to_seconds']:,.0f}."
        )
    else:
        count = several(facts["reported_media_count"], "most played video")
        sentence = f"None of the {count} loses more than ten points within five seconds."
    panels = []
    for (media,), mine in grouped(rows, "media_id").items():
        title = folded(mine[0]["media_name"] or media, 34, 2).split("\n")
        flagged = [row | {"words": f"−{percent(row['lost_share'] or 0)}", "tip": _lost(row)} for row in mine]
        panels.append(draw.retention(flagged, title, facts["most_drop_off_count"]))
    few = dict.fromkeys(row["media_name"] for row in rows if row["is_small_sample"])
    keys = [
        Key("line", draw.MAIN, "still watching"),
        Key("dashed", draw.ALERT, "start of a drop-off, with what it loses until the shade ends"),
    ]
    return Drawing(
        sentence,
        alt.hconcat(*panels, spacing=24),
        keys,
        note("Too few plays to compare:", few),
        listed=[row for row in rows if row["drop_off_number"] is not None],
    )


def _lost(row: Row) -> str:
    if row["drop_off_number"] is None:
        return f"second {row['position_seconds']:,.0f}: {percent(row['retention_share'])} still watching"
    end = f"second {row['position_seconds']:,.0f} to {row['drop_off_to_seconds']:,.0f}"
    return f"{end}: {percent(row['lost_share'])} of plays lost"


@SECTION.figure(
    "calls-to-action",
    "Calls to action",
    "marts.fct_media_action_rates",
    select="media_name, action_type, action_text, placement, action_share, action_share_low,"
    " action_share_high, median_action_share, impression_count, action_count, has_enough_impressions,"
    " is_surely_below_median, media_id",
    tail="where action_share is not null"
    " order by has_enough_impressions desc, action_share_high - median_action_share, media_id, action_type",
    definition="Share of impressions that viewers acted on, with the 95% interval. The tick is the median"
    " of the same type over videos with enough impressions.",
    job="calls-to-action",
)
def calls_to_action(rows: Rows, feeds: Feeds) -> Drawing:
    (facts,) = feeds["rpt_video"]
    low, compared = facts["low_action_count"], facts["compared_action_count"]
    sentence = "No call to action was shown often enough to be compared"
    if compared:
        of_all = f"{several(compared, 'call', 'calls')} to action with enough impressions"
        verdict = f"{'is' if low in (0, 1) else 'are'} significantly below the median"
        sentence = f"{f'{low:,}' if low else 'None'} of {of_all} {verdict}"
    lowest = next((row for row in rows if row["is_surely_below_median"]), None)
    follow = f"; in “{lowest['media_name']}”, {percent(lowest['action_share'])} act on it" if lowest else ""
    shown = rows[:MOST_ACTIONS]
    labels = told_apart(
        [f"{folded(row['media_name'] or row['media_id'], 28, 1)}\n{row['action_type']}" for row in shown]
    )
    base = draw.chart(
        [
            draw.marked(
                row | {"label": label, "tip": _acted(row)},
                *draw.look(row["is_surely_below_median"]),
                hollow=not row["has_enough_impressions"],
            )
            for row, label in zip(shown, labels, strict=True)
        ]
    )
    y = draw.names("label", labels)
    ticks = base.mark_tick(color=draw.INK, thickness=2, height=20).encode(
        x=draw.shares("median_action_share", "share of impressions acted on"), y=y
    )
    chart = alt.layer(ticks, draw.with_intervals(base, y, "action_share", "share of impressions acted on"))
    keys = [
        Key("circle", draw.MAIN, "in line with the others"),
        Key("diamond", draw.ALERT, "significantly below the median"),
        Key("hollow", draw.REST, "too few impressions"),
    ]
    few = [row["media_name"] or row["media_id"] for row in rows if not row["has_enough_impressions"]]
    which = ", the farthest below their median first" if compared else ""
    notes = [
        *note("Too few impressions to compare:", few),
        *part_of(shown, rows, "call to action", which, many="calls to action"),
    ]
    return Drawing(f"{sentence}{follow}.", draw.fitted(chart, draw.height(labels, 30)), keys, notes)


def _acted(row: Row) -> str:
    words = f"“{row['action_text']}”: " if row["action_text"] else ""
    return f"{words}{interval(row, 'action_share')} of {several(row['impression_count'], 'impression')}"


@SECTION.figure(
    "leads",
    "Leads to follow up",
    "marts.agg_lead_cohorts",
    select="cohort, cohort_media_name, cohort_stage, cohort_watched, recent_lead_count, mailable_lead_count,"
    " lead_count, cohort_person_count, is_written, last_viewed_at",
    tail="order by recent_lead_count desc, cohort",
    definition="People with a known address who recently watched nearly all of a video, in groups with"
    " enough in common for one text. Texts are for people who may be mailed: they have given their consent,"
    " and no list suppresses mail to them. Addresses stay on this machine.",
    job="viewer-follow-ups",
)
def leads(rows: Rows, feeds: Feeds) -> Drawing:
    shown = rows[:MOST_COHORTS]
    labels = told_apart([_cohort(row) for row in shown])
    drawn = [
        row
        | {
            "label": label,
            "color": draw.MAIN if row["is_written"] else draw.REST if row["cohort"] == "none" else draw.WAIT,
            "tip": several(row["recent_lead_count"], "recent lead"),
        }
        for row, label in zip(shown, labels, strict=True)
    ]
    base = draw.chart(drawn).encode(
        y=draw.names("label", labels), x=draw.counts("recent_lead_count", "recent leads", shown)
    )
    bars = base.mark_bar(height=14).encode(color=draw.color("color"))
    chart = draw.bars_with_numbers(base, bars, "recent_lead_count")
    keys = [
        Key("square", draw.MAIN, "has a text"),
        Key("square", draw.WAIT, "has no text yet"),
        Key("square", draw.REST, "too few alike for one"),
    ]
    return Drawing(
        _largest_cohort(rows, feeds["rpt_video"][0]),
        draw.fitted(chart, draw.height(labels, 24)),
        keys,
        part_of(shown, rows, "group", ", the largest"),
    )


def _cohort(row: Row) -> str:
    watched = {"whole": "watched in full", "nearly_whole": "watched nearly in full"}.get(
        row["cohort_watched"]
    )
    parts = [row["cohort_stage"], row["cohort_media_name"], watched]
    return folded(", ".join(part for part in parts if part) or "too few alike", 34, 2)


def _largest_cohort(rows: Rows, facts: Row) -> str:
    largest = next((row for row in rows if row["cohort"] != "none"), None)
    if not largest:
        return f"{several(rows[0]['recent_lead_count'], 'recent lead')}, too few alike for a text."
    sentence = f"The largest group has {several(largest['recent_lead_count'], 'recent lead')}"
    if largest["mailable_lead_count"] is None:
        return f"{sentence}. Nobody is mailed, because no consent was read from Klaviyo."
    waiting = "every group that may be mailed has its text"
    if facts["unwritten_cohort_count"]:
        waiting = f"{several(facts['unwritten_cohort_count'], 'group has', 'groups have')} no text yet"
    return f"{sentence}, {largest['mailable_lead_count']:,} of whom may be mailed; {waiting}."


@SECTION.figure(
    "brand-voice",
    "Brand voice of the videos",
    "marts.dim_brand_voices",
    select="voice_label, status, voice_summary, adjectives, dos, donts, preferred_terms,"
    " avoided_terms, media_count, asked_at",
    tail="where is_current or record_key is not null order by is_current desc, asked_at desc limit 1",
    definition="What Mavera derived from the transcripts: guidance for a writer.",
    fill=f"MAVERA_TRANSCRIPTS_MAY_LEAVE=true, then {SEND}",
    job="brand-voice",
)
def brand_voice(rows: Rows, _: Feeds) -> Drawing:
    voice = rows[0]

    def words(column: str) -> str:
        found = json.loads(voice[column] or "[]")
        return "; ".join(str(one).rstrip(".") for one in found) if isinstance(found, list) else str(found)

    parts = [
        ("Sounds", "adjectives"),
        ("Do", "dos"),
        ("Don't", "donts"),
        ("Words to use", "preferred_terms"),
        ("Words to avoid", "avoided_terms"),
    ]
    items = [(name, words(column)) for name, column in parts if words(column)]
    sentence = (
        voice["voice_summary"] or f"Mavera is still working on it (status: {voice['status'] or 'none'})."
    )
    made = f"Made from {several(voice['media_count'] or 0, 'transcript')} of the most played videos."
    return Drawing(sentence, items=items, notes=[made])
