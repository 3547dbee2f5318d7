"""Customers: CLV tiers and churn, segment overlap, products bought together."""

from typing import Final

import altair as alt

from report import drawing as draw
from report.figures import Drawing, Feeds, Key, Row, Rows, Section
from report.words import folded, interval, listed, note, part_of, percent, several, told_apart

MOST_SEGMENTS = 10  # as many as fit in half of the page with numbers in the cells
MOST_PAIRS = 12
LETTERS = "ABCDEFGHIJ"
TIERS, BANDS = ["top", "middle", "rest"], ["low", "medium", "high"]
SECTION: Final = Section(
    "Customers",
    feeds=(
        "marts.rpt_customers",
        "marts.rpt_contained_segments order by jaccard_share desc, inner_segment_id, outer_segment_id",
    ),
    vendor="klaviyo",
)


@SECTION.figure(
    "clv-churn",
    "CLV tier and churn risk",
    "marts.agg_customers_by_tier",
    select="clv_tier, churn_band, customer_count, tier_share, tier_share_low, tier_share_high,"
    " currency, mean_predicted_clv, is_small_sample",
    tail="order by case clv_tier when 'top' then 1 when 'middle' then 2 when 'rest' then 3 else 4 end,"
    " case churn_band when 'low' then 1 when 'medium' then 2 when 'high' then 3 else 4 end",
    definition="Customers by predicted value and by the probability that they will not order again, both as"
    " Klaviyo predicts. A cell shows customers and their share of the tier; the larger the share, the"
    " stronger the color.",
    job="clv-tiers",
)
def clv_churn(rows: Rows, _: Feeds) -> Drawing:
    cells = [row for row in rows if row["clv_tier"] in TIERS and row["churn_band"] in BANDS]
    drawn = []
    for row in sorted(
        cells, key=lambda row: row["is_small_sample"]
    ):  # drawn last, so that no neighbor covers their outline
        color, ink = draw.shade(row["tier_share"])
        small = {"color": draw.CARD, "ink": draw.INK, "line": draw.REST}
        words = f"{row['customer_count']:,} · {percent(row['tier_share'])}"
        look = small if row["is_small_sample"] else {"color": color, "ink": ink, "line": draw.CARD}
        cell = f"{row['clv_tier']} tier, {row['churn_band']} risk"
        of_tier = f"{several(row['customer_count'], 'customer')}, {interval(row, 'tier_share')} of the tier"
        drawn.append(row | look | {"words": words, "tip": f"{cell}: {of_tier}"})
    base = draw.chart(drawn).encode(
        x=alt.X(
            "churn_band:O",
            sort=BANDS,
            scale=alt.Scale(domain=BANDS),
            axis=alt.Axis(title="risk of leaving", orient="top", labelAngle=0, labelColor=draw.INK),
        ),
        y=alt.Y(
            "clv_tier:O",
            sort=TIERS,
            scale=alt.Scale(domain=TIERS),
            axis=alt.Axis(title="predicted value", labelColor=draw.INK),
        ),
    )
    few = dict.fromkeys(row["clv_tier"] for row in cells if row["is_small_sample"])
    notes = [
        f"Not shown: {several(row['customer_count'], 'customer')} without a prediction."
        for row in rows
        if row["clv_tier"] == "no_prediction"
    ]
    chart = draw.fitted(draw.cells(base, 2, 13), 230) if cells else None
    return Drawing(
        _at_risk(cells),
        chart,
        notes=[*notes, *note("Too few customers to compare (drawn hollow): tier", few)],
    )


def _at_risk(cells: Rows) -> str:
    top = {row["churn_band"]: row for row in cells if row["clv_tier"] == "top"}
    if at_risk := top.get("high"):
        count = several(at_risk["customer_count"], "customer")
        return f"{count} in the top tier ({percent(at_risk['tier_share'])}) will probably not order again."
    if top:
        return "No customer in the top tier is at high risk of leaving."
    return "No predictions: Klaviyo needs 500 customers and 180 days of orders."


@SECTION.figure(
    "segments",
    "Segment overlap",
    "marts.agg_segment_overlaps",
    select="segment_a_name, segment_b_name, jaccard_share, shared_count, member_a_count,"
    " member_b_count, a_in_b_share, b_in_a_share, is_near_duplicate, is_contained, segment_a_id,"
    " segment_b_id",
    tail="order by jaccard_share desc nulls last, segment_a_id, segment_b_id",
    definition="Jaccard index: people in both segments divided by people in either. From 0.8 on, two"
    " segments are nearly the same.",
    job="segment-overlap",
)
def segments(rows: Rows, feeds: Feeds) -> Drawing:
    # The pairs that share most come first, and so do their segments.
    sides = [(row[f"segment_{side}_id"], row[f"segment_{side}_name"]) for row in rows for side in ("a", "b")]
    found = list(dict.fromkeys(segment for segment, _ in sides))
    titles = dict(reversed(sides))
    shown = found[:MOST_SEGMENTS]
    letters = dict(zip(shown, LETTERS, strict=False))
    labels = {segment: f"{letters[segment]}  {folded(titles[segment] or '-', 22, 1)}" for segment in shown}
    drawn = []
    for row in sorted(rows, key=lambda row: bool(row["is_near_duplicate"])):  # near duplicates last, as above
        pair = sorted((row["segment_a_id"], row["segment_b_id"]), key=found.index)
        if all(segment in letters for segment in pair) and row["jaccard_share"] is not None:
            color, ink = draw.shade(row["jaccard_share"])
            drawn.append({
                "across": letters[pair[0]], "down": labels[pair[1]], "words": f"{row['jaccard_share']:.2f}",
                "color": color, "ink": ink,
                "line": draw.ALERT if row["is_near_duplicate"] else draw.CARD,
                "tip": f"“{row['segment_a_name']}” and “{row['segment_b_name']}”:"
                f" {row['shared_count']:,} people in both, of {row['member_a_count']:,}"
                f" and {row['member_b_count']:,}",
            })  # fmt: skip
    base = draw.chart(drawn).encode(
        x=alt.X(
            "across:O",
            scale=alt.Scale(domain=list(letters.values())[:-1]),
            axis=alt.Axis(title=None, orient="top", labelAngle=0, labelColor=draw.INK),
        ),
        y=alt.Y(
            "down:O",
            scale=alt.Scale(domain=list(labels.values())),
            axis=alt.Axis(title=None, labelColor=draw.INK),
        ),
    )
    within = (
        f"“{row['inner_segment_name']}” in “{row['outer_segment_name']}”"
        for row in feeds["rpt_contained_segments"]
    )
    twins = [row for row in rows if row["is_near_duplicate"]]
    return Drawing(
        _nearly_the_same(rows[0], twins),
        draw.fitted(draw.cells(base, 3, 11), draw.tall(shown, 30, 40)),
        [Key("hollow-square", draw.ALERT, "nearly the same")] if twins else [],
        [
            *part_of(shown, found, "segment", ", those that overlap most"),
            *note("Contained in another segment:", within),
        ],
    )


def _nearly_the_same(first: Row, twins: Rows) -> str:
    if twins:
        pairs = (f"“{row['segment_a_name']}” and “{row['segment_b_name']}”" for row in twins)
        return f"Nearly the same people: {listed(pairs)}."
    both = f"“{first['segment_a_name']}” and “{first['segment_b_name']}”"
    return f"No two segments are nearly the same; {both} overlap most ({first['jaccard_share'] or 0:.2f})."


@SECTION.figure(
    "products",
    "Bought together",
    "marts.agg_product_pairs",
    select="product_a_name, product_b_name, lift, lift_low, lift_high, joint_customer_count,"
    " chance_customer_count, a_to_b_share, b_to_a_share, adjusted_p_value, currency, pair_price, is_affinity,"
    " is_offered, is_small_sample, judged_pair_count, product_a_id, product_b_id",
    tail="where lift_low > 0 order by is_affinity desc, lift desc, product_a_id, product_b_id",
    unlisted="is_small_sample",
    definition="Lift: customers who bought both within 90 days, divided by as many as chance predicts given"
    " that frequent buyers buy more of everything. 1 is chance; the line is the 95% interval of one pair."
    " Of the pairs significantly above chance, at most one in twenty is expected to be chance.",
    job="product-affinity",
)
def products(rows: Rows, feeds: Feeds) -> Drawing:
    sure = [row for row in rows if row["is_affinity"]]
    shown = (sure or rows)[:MOST_PAIRS]
    pairs = [f"{row['product_a_name']} + {row['product_b_name']}" for row in shown]
    labels = told_apart([
        folded(f"{pair} (n={row['joint_customer_count']:,})", 34, 2)
        for row, pair in zip(shown, pairs, strict=True)
    ])  # fmt: skip
    drawn = [
        draw.marked(
            row
            | {
                "label": label,
                "tip": f"{pair}: {row['joint_customer_count']:,} bought both, {row['lift']:.1f}"
                f" times chance ({row['lift_low']:.1f} to {row['lift_high']:.1f})",
            },
            draw.MAIN if row["is_affinity"] else draw.WAIT,
            "circle",
            hollow=row["is_small_sample"],
        )
        for row, label, pair in zip(shown, labels, pairs, strict=True)
    ]
    base = draw.chart(drawn).encode(y=draw.names("label", labels))
    keys = [Key("dashed", draw.INK, "chance"), Key("hollow", draw.REST, "fewer than 30 joint buyers")]
    few = [pair for row, pair in zip(shown, pairs, strict=True) if row["is_small_sample"]]
    return Drawing(
        _strongest(rows[0], feeds["rpt_customers"][0]),
        draw.fitted(draw.ratios(base, shown), draw.height(labels, 24)),
        keys,
        [
            *note("Too few joint buyers to be sure (drawn hollow):", few),
            *part_of(
                shown, sure or rows, "pair", " significantly above chance, the strongest" if sure else ""
            ),
        ],
    )


def _strongest(best: Row, facts: Row) -> str:
    if not best["is_affinity"]:
        return "No pair is bought together significantly more often than chance predicts."
    sure = several(facts["affinity_count"], "pair is", "pairs are")
    return (
        f"Strongest pair: {best['product_a_name']} with {best['product_b_name']}, bought together"
        f" {best['lift']:.1f} times as often as chance predicts. {sure} significantly above chance,"
        f" of {best['judged_pair_count']:,} compared."
    )
