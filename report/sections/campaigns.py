"""Campaigns: flow messages compared with their peers, text messages with e-mails."""

from typing import Any, Final

import altair as alt

from report import drawing as draw
from report.figures import Drawing, Feeds, Key, Row, Rows, Section, grouped
from report.words import day, folded, interval, listed, note, part_of, percent, plain, several, told_apart

MOST_MESSAGES = 12  # of a trigger
MOST_PAIRS = 12
SECTION: Final = Section("Campaigns", feeds=("marts.rpt_campaigns",), vendor="klaviyo")

CHANNELS: Final = {"email": "e-mail", "sms": "text message"}
TRIGGERS: Final = {
    "Metric": "after an action",
    "Added to List": "on joining a list",
    "Date Based": "on a date",
    "Price Drop": "when a price drops",
    "Low Inventory": "when stock runs low",
}


@SECTION.figure(
    "flow-messages",
    "Flow messages compared with their peers",
    "marts.fct_flow_messages",
    select="flow_name, message_name, channel, trigger_type, received_count, open_share,"
    " open_share_low, open_share_high, peer_open_share, click_share, click_share_low,"
    " click_share_high, peer_click_share, currency, revenue, net_revenue, is_compared,"
    " is_open_laggard, is_click_laggard, is_laggard, flow_message_id",
    tail="where received_count > 0 order by trigger_type, channel, received_count desc, flow_message_id",
    definition="Share of the messages received in the last 30 days that people, not machines, opened or"
    " clicked, with the 95% interval. The tick is the median of live messages with the same trigger and"
    " channel. A message lags if it is more than a fifth, and significantly, below that median.",
    job="flow-rewrites",
    is_wide=True,
)
def flow_messages(rows: Rows, feeds: Feeds) -> Drawing:
    shown = [row for group in grouped(rows, "trigger_type").values() for row in group[:MOST_MESSAGES]]
    labels = told_apart([
        f"{folded(row['message_name'] or row['flow_message_id'], 38, 1)}\n"
        f"{TRIGGERS.get(row['trigger_type'], 'no trigger')}, {CHANNELS.get(row['channel'], row['channel'])},"
        f" n={row['received_count']:,}"
        for row in shown
    ])  # fmt: skip
    y, silent = draw.names("label", labels), alt.Y("label:N", sort=labels, axis=None)

    def panel(measure: str, title: str, axis: alt.Y) -> Any:
        base = draw.chart(
            [
                draw.marked(
                    row | {"label": label, "tip": _beside_peers(row, measure)},
                    *draw.look(row[f"is_{measure}_laggard"]),
                    hollow=not row["is_compared"],
                )
                for row, label in zip(shown, labels, strict=True)
            ]
        )
        tick = base.mark_tick(color=draw.INK, thickness=2, height=22).encode(
            x=draw.shares(f"peer_{measure}_share", title), y=axis
        )
        return alt.layer(tick, draw.with_intervals(base, axis, f"{measure}_share", title)).properties(
            width=310, height=draw.tall(shown, 36)
        )

    chart = alt.hconcat(
        panel("open", "share of received messages opened", y),
        panel("click", "share of received messages clicked", silent),
        spacing=36,
    )
    keys = [
        Key("circle", draw.MAIN, "in line"),
        Key("diamond", draw.ALERT, "lags"),
        Key("hollow", draw.REST, "too few recipients to compare"),
        Key("tick", draw.INK, "median of peers"),
    ]
    few = [row["message_name"] or row["flow_message_id"] for row in rows if not row["is_compared"]]
    notes = [*note("Too few recipients to compare:", few), *part_of(shown, rows, "message")]
    return Drawing(_lagging(rows, feeds["rpt_campaigns"][0]), chart, keys, notes)


def _beside_peers(row: Row, measure: str) -> str:
    peers = row[f"peer_{measure}_share"]
    beside = "" if peers is None else f"; median of its peers: {percent(peers)}"
    return f"{row['message_name'] or row['flow_message_id']}: {interval(row, f'{measure}_share')}{beside}"


def _lagging(rows: Rows, facts: Row) -> str:
    lagging = [f"“{row['message_name'] or row['flow_message_id']}”" for row in rows if row["is_laggard"]]
    if lagging:
        return f"Lagging: {listed(lagging)}."
    if not facts["compared_message_count"]:
        return "No message has enough recipients to be compared."
    compared = several(facts["compared_message_count"], "message")
    return f"None of {compared} with enough recipients lags behind its peers."


@SECTION.figure(
    "channels",
    "Text messages compared with e-mails",
    "marts.agg_channel_pairs",
    select="campaign_stem, email_clicked_share, email_clicked_share_low, email_clicked_share_high,"
    " email_received_count, sms_clicked_share, sms_clicked_share_low, sms_clicked_share_high,"
    " sms_received_count, click_outcome, conversion_outcome, click_p_value, is_small_sample,"
    " email_sent_at, email_campaign_id",
    tail="order by email_sent_at desc, email_campaign_id",
    definition="Share of recipients who clicked, with the 95% interval, for an e-mail and a text message on"
    " the same subject within 48 hours. Opens of text messages cannot be measured. Text messages go only to"
    " people who agreed to receive them, so the two audiences differ.",
    job="channel-pairs",
    is_wide=True,
)
def channels(rows: Rows, feeds: Feeds) -> Drawing:
    verdicts = {"sms": "text message wins", "email": "e-mail wins", "tie": "tie", "undecided": "undecided"}
    shown = rows[:MOST_PAIRS]
    labels = told_apart([
        f"{folded(plain(row['campaign_stem'] or '-'), 38, 1)}\n"
        f"{day(row['email_sent_at'])}, {verdicts[row['click_outcome']]}"
        for row in shown
    ])  # fmt: skip
    measures = ("clicked_share", "clicked_share_low", "clicked_share_high")
    drawn = []
    for row, label in zip(shown, labels, strict=True):
        for channel, color, shape in (("email", draw.MAIN, "circle"), ("sms", draw.OTHER, "square")):
            part = {name: row[f"{channel}_{name}"] for name in measures}
            part |= {"label": label, "channel": channel}
            received = several(row[f"{channel}_received_count"], "recipient")
            part["tip"] = f"{CHANNELS[channel]}: {interval(part, 'clicked_share')} of {received}"
            drawn.append(draw.marked(part, color, shape, hollow=row["is_small_sample"]) | {"color": color})
    chart = draw.with_intervals(
        draw.chart(drawn).encode(yOffset=alt.YOffset("channel:N", sort=["email", "sms"])),
        draw.names("label", labels),
        "clicked_share",
        "share of recipients who clicked",
    )
    few = [plain(row["campaign_stem"] or "-") for row in rows if row["is_small_sample"]]
    return Drawing(
        _won_pairs(feeds["rpt_campaigns"][0]),
        draw.fitted(chart, draw.height(labels, 42), draw.WIDE),
        [Key("circle", draw.MAIN, "e-mail"), Key("square", draw.OTHER, "text message")],
        [
            *note("Too few recipients to compare (drawn hollow):", few),
            *part_of(shown, rows, "pair", ", the latest"),
        ],
    )


def _won_pairs(facts: Row) -> str:
    pairs, texts, mails = (
        facts[name] for name in ("channel_pair_count", "text_win_count", "email_win_count")
    )
    if not texts and not mails:
        return f"By clicks, neither text messages nor e-mails won any of {several(pairs, 'pair')}."
    others = "; the others are ties or undecided" if facts["undecided_pair_count"] else ""
    return (
        f"By clicks, text messages won {texts:,} of {several(pairs, 'pair')} and e-mails {mails:,}{others}."
    )
