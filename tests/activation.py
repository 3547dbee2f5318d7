"""A small published copy with rows shaped like the activation models', for the tests of `activate`."""

import copy
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from activate import declarations, kinds
from activate.kinds import KINDS
from activate.kinds.analyses import asked_in, opened
from activate.mavera import Mavera
from activate.records import JOBS, MARKER
from privacy.firewall import undeclared
from sandbox import mavera
from sandbox.mavera.account import WORKSPACES
from sandbox.world import World

Row = dict[str, Any]

TOP: Row = {
    "record_key": "clv-tiers:top",
    "name": "Loyal Top Spenders",
    "person_count": 820,
    "facts": {
        "clv_tier": "top",
        "tier_from_share": 0.0,
        "tier_to_share": 0.2,
        "customer_count": 820,
        "share_of_predicted_value": 0.58,
        "currency": "USD",
        "mean_predicted_clv": 412,
        "mean_historic_clv": 620,
        "mean_average_order_value": 71,
        "mean_order_count": 6.1,
        "mean_days_between_orders": None,
        "mean_churn_probability": 0.31,
        "churn_shares": {"low": 0.61, "high": 0.09},
        "overdue_share": 0.2,
        "viewer_share": None,
        "email_reachable_share": 0.8,
        "sms_reachable_share": 0.25,
        "next_order_month": "2026-12-01",
        "top_categories": [{"share": 0.4, "category": "Tea"}],
        "apart": [
            {"distance": 1.6, "fact": "mean_predicted_clv"},
            {"distance": 0.8, "fact": "mean_churn_probability"},
            {"distance": 0.5, "fact": "mean_order_count"},
        ],
        "everybody": {
            "mean_predicted_clv": 140,
            "mean_historic_clv": 290,
            "mean_average_order_value": 64,
            "mean_order_count": 2.5,
            "mean_days_between_orders": None,
            "mean_churn_probability": 0.45,
            "overdue_share": 0.3,
            "viewer_share": None,
            "email_reachable_share": 0.7,
            "sms_reachable_share": 0.24,
        },
        "leaning_categories": [],
        "reading_devices": [
            {"distance": 0.2, "device": "mobile", "share": 0.61, "average": 0.5, "people": 330}
        ],
        "reading_hours": [],
        "leaning_countries": [],
    },
}
SKIMMERS: Row = {
    "record_key": "viewer-clusters:skimmers",
    "name": "Skimmers: sample a lot, finish little",
    "person_count": 389,
    "facts": {
        "viewer_cluster": "skimmers",
        "viewer_count": 390,
        "share_of_viewers": 0.3,
        "mean_media_count": 3.1,
        "mean_watched_share": 0.36,
        "mean_session_count": 4.2,
        "identified_share": 0.41,
        "mobile_share": None,
        "medias": [{"share": 0.62, "media_name": "Product tour"}],
        "apart": [{"distance": 0.6, "fact": "mean_watched_share"}],
        "everybody": {
            "mean_media_count": 3.0,
            "mean_watched_share": 0.52,
            "mean_session_count": 4.1,
            "identified_share": 0.4,
            "mobile_share": None,
        },
        "reading_devices": [],
        "reading_hours": [
            {"distance": 0.4, "day_part": "evening", "share": 0.5, "average": 0.3, "people": 140}
        ],
        "leaning_medias": [],
        "leaning_pages": [],
        "leaning_countries": [],
    },
}
MOBILE: Row = {
    "record_key": "device-geography:mobile_first",
    "name": "Mobile First: read on the phone, between other things",
    "person_count": 1_200,
    "facts": {
        "device_persona": "mobile_first",
        "window_days": 90,
        "unique_opens": 12000,
        "share_of_opens": 0.46,
        "device_parts": [{"share": 0.89, "device": "Phone"}, {"share": 0.11, "device": "Tablet"}],
        "mail_programs": [{"share": 0.35, "mail_program": "Apple iPhone"}],
        "apart": [{"distance": 0.7, "fact": "reading_roles"}],
        "reading_hours": [],
        "reading_roles": [{"distance": 0.7, "role": "sales", "share": 0.9, "average": 0.54, "people": 210}],
        "reading_segments": [],
        "reading_countries": [],
    },
}
CLUSTERS: Row = {
    "record_key": "viewer-clusters:all",
    "name": "Viewer clusters",
    "person_count": 1_800,
    "facts": {
        "viewer_count": 1_800,
        "session_count": 9_500,
        "identified_share": 0.35,
        "clusters": [
            {
                "share": 0.3,
                "viewer_cluster": "skimmers",
                "viewer_count": 550,
                "mean_media_count": 3.0,
                "mean_watched_share": 0.25,
                "mean_session_count": 4.0,
                "identified_share": 0.35,
            }
        ],
        "small_clusters": ["bouncers"],
        "medias": [{"share": 0.4, "media_name": "Product tour", "mean_watched_share": 0.55}],
        "leanings": [],
    },
}
DEVICES: Row = {
    "record_key": "device-geography:account",
    "name": "E-mail readers by device and country",
    "person_count": 2_500,
    "facts": {
        "window_days": 90,
        "delivered": 55_000,
        "unique_opens": 25_000,
        "open_rate": 0.31,
        "click_rate": 0.03,
        "personas": [{"share": 0.45, "device_persona": "mobile_first", "is_persona": True}],
        "devices": [{"share": 0.4, "device": "Phone"}],
        "clients": [{"share": 0.35, "client": "Gmail"}],
        "countries": [{"share": 0.5, "country": "US"}],
        "provinces": [{"share": 0.2, "country": "US", "province": "CA"}],
        "browsers": [{"share": 0.55, "browser": "Chrome"}],
        "mailbox_providers": [{"share": 0.45, "mailbox_provider": "Gmail"}],
    },
}
OVERLAPS: Row = {
    "record_key": "segment-overlap:account",
    "name": "Segment overlaps",
    "person_count": 1_400,
    "facts": {
        "segment_count": 8,
        "small_segment_count": 1,
        "profile_count": 1_400,
        "near_duplicate_from": 0.8,
        "contained_from": 0.95,
        "segments": [{"member_count": 750, "segment": "Newsletter", "only_here_share": 0.1}],
        "near_duplicates": [{"jaccard": 0.85, "segment_a": "VIP", "segment_b": "Best customers"}],
        "contained": [{"containment": 1.0, "inner": "Repeat buyers", "outer": "All buyers"}],
        "overlaps": [],
    },
}
SALES: Row = {
    "record_key": "contact-groups:sales/health-care",
    "name": "Salespeople in Health Care",
    "person_count": 123,
    "facts": {
        "role": "sales",
        "industry": "health care",
        "role_family": "sales",
        "industry_family": "health",
        "contact_count": 120,
        "share_of_contacts": 0.1,
        "viewer_share": 0.25,
        "customer_share": 0.71,
        "mean_media_count": 2.9,
        "mean_order_count": None,
        "top_tier_share": None,
        "email_reachable_share": 0.36,
        "apart": [{"distance": 0.7, "fact": "reading_devices"}, {"distance": 0.3, "fact": "viewer_share"}],
        "everybody": {
            "viewer_share": 0.42,
            "customer_share": 0.65,
            "mean_media_count": 3.0,
            "mean_order_count": None,
            "top_tier_share": None,
            "email_reachable_share": 0.37,
        },
        "reading_devices": [
            {"distance": 0.7, "device": "mobile", "share": 0.9, "average": 0.54, "people": 210}
        ],
        "reading_hours": [],
    },
}
PAIR: Row = {
    "record_key": "product-affinity:P100_P101",
    "name": "Sells as a set: Kettle, Teapot",
    "person_count": 76,
    "reference_keys": ["clv-tiers:top", "viewer-clusters:skimmers"],
    "facts": {
        "product_a": "Kettle",
        "product_b": "Teapot",
        "category_a": "Kitchen",
        "category_b": None,
        "currency": "USD",
        "pair_price": 64,
        "joint_buyer_count": 76,
        "buyer_count": 890,
        "a_to_b_share": 0.45,
        "b_to_a_share": 0.44,
        "lift": 2.4,
        "window_days": 90,
        "separate_price": 64.5,
        "bundle_price": 55.0,
    },
}
LOST: Row = {
    "record_key": "ab-tests:send_57d5eaa72eb5",
    "name": "Says too little: June letter",
    "person_count": 120,
    "reference_keys": ["device-geography:mobile_first"],
    "facts": {
        "tested": "subject",
        "criterion": "open",
        "loser_words": "Our letter no. 15",
        "winner_words": "Five ideas for June",
        "loser_delivered_count": 120,
        "winner_delivered_count": 130,
        "loser_share": 0.15,
        "winner_share": 0.31,
        "p_value": 0.01,
    },
}
CHANNELS: Row = {
    "record_key": "channel-pairs:account",
    "name": "Wanted by text message: 24 hour sale",
    "person_count": 57,
    "reference_keys": ["clv-tiers:top"],
    "facts": {
        "pair_count": 2,
        "email_click_count": 0,
        "sms_click_count": 1,
        "tied_click_count": 1,
        "email_conversion_count": 0,
        "sms_conversion_count": 0,
        "tied_conversion_count": 2,
        "email_reachable_share": 0.62,
        "sms_reachable_share": 0.28,
        "pairs": [],
        "kinds": [{"errors_apart": 4, "kind": "sale", "about": "24 hour sale"}],
    },
}
VOICE: Row = {
    "record_key": "brand-voice:account",
    "name": "How our videos speak",
    "person_count": None,
    "facts": {
        "media_count": 2,
        "word_count": 20,
        "language": "eng",
        "medias": ["Product tour", "First steps"],
    },
    "documents": [
        {"name": "Product tour", "text": "Watch the kettle. You need less water than you think."},
        {"name": "First steps", "text": "Fill the kettle to the line, and listen to it boil."},
    ],
}
FOLLOW_UP: Row = {
    "record_key": "viewer-follow-ups:m1/comparing",
    "name": "Follow-up: Product tour",
    "person_count": 31,
    "facts": {
        "media_name": "Product tour",
        "stage": "comparing",
        "watched": None,
        "watched_share_above": 0.8,
    },
}
REWRITE: Row = {
    "record_key": "flow-rewrites:M4",
    "name": "Rewrite: Second reminder",
    "person_count": 430,
    "facts": {
        "flow_name": "Browse reminder",
        "message_name": "Second reminder",
        "subject": "RE: your activity",
        "channel": "email",
        "trigger_type": "Metric",
        "is_open_laggard": True,
        "is_click_laggard": False,
        "received_count": 700,
        "open_share": 0.16,
        "peer_open_share": 0.35,
        "click_share": 0.06,
        "peer_click_share": 0.07,
        "currency": "USD",
        "revenue_per_recipient": 0.61,
        "peer_revenue_per_recipient": 3.32,
        "window_days": 30,
        "trigger_role": "viewed_product",
        "message_text": "Hi {{ first_name }},\n[To the shop](link-01)",
        "message_parts": [{"part": "{{ first_name }}"}, {"part": "link-01"}],
    },
}
PERSONAS = (TOP, SKIMMERS, MOBILE)
ANALYSES = (CLUSTERS, DEVICES, OVERLAPS)


@cache
def world() -> World:
    """The population, made once: making it is slow, and Mavera does not show it."""
    return World(60, 7, date(2026, 11, 21))


def but(row: Row, **changes: Any) -> Row:
    """Return a copy of `row` with other columns; names that are not columns are facts."""
    changed = copy.deepcopy(row)
    for name, value in changes.items():
        (changed if name in row else changed["facts"])[name] = value
    return changed


def never_given(values: Sequence[Any], declared: Any, field: str) -> Iterator[str]:
    """Return the declared facts missing from all of these; lists that are always empty prove nothing."""
    if isinstance(declared, list):
        inside = [inner for value in values for inner in value or ()]
        yield from never_given(inside, declared[0], f"{field}[]") if inside else ()
    elif isinstance(declared, dict):
        for name, inner in declared.items():
            given = [value[name] for value in values if value and name in value]
            yield from never_given(given, inner, f"{field}.{name}") if given else [f"{field}.{name}"]


def misdeclared(connection: duckdb.DuckDBPyConnection) -> tuple[list[str], set[tuple[str, str]]]:
    """Return the differences between facts and their declarations, with the kinds and jobs checked."""
    differ, met = [], set()
    for kind in KINDS:
        rows = connection.execute(
            f"select job, list(facts) from activation.sync_mavera__{kind.replace('-', '_')} group by job"
        ).fetchall()
        for job, texts in rows:
            text = (JOBS / declarations.file_of(job)).read_text(encoding="utf-8")
            declared = declarations.read(text)[kind].types
            given = [json.loads(text) for text in texts]
            field = f"{kind}/{job}"
            differ += [wrong for facts in given if (wrong := undeclared(facts, declared, field))]
            differ += [f"{name} is never given" for name in never_given(given, declared, field)]
            met.add((kind, job))
    return differ, met


def publish(
    path: Path,
    personas: tuple[Row, ...] = PERSONAS,
    analyses: tuple[Row, ...] = (),
    studies: tuple[Row, ...] = (),
    voices: tuple[Row, ...] = (),
    generations: tuple[Row, ...] = (),
    enriched_personas: tuple[Row, ...] = (),
) -> None:
    """Write the activation models into the published copy at `path`, replacing its contents."""
    models = {
        "personas": personas,
        "enriched_personas": enriched_personas,
        "analyses": analyses,
        "focus_groups": studies,
        "brand_voices": voices,
        "generations": generations,
    }
    key = json.dumps(models)
    if _last.get(path) == (key, _changed(path)):
        return
    is_new = not path.exists()
    if is_new and key in _copies:
        path.write_bytes(_copies[key])
    else:
        _write(path, models)
    if is_new:
        _copies[key] = path.read_bytes()
    _last[path] = (key, _changed(path))


# To write a copy takes longer than the test of it: copies by their contents, and the last one at each path.
_copies: dict[str, bytes] = {}
_last: dict[Path, tuple[str, int]] = {}


def _changed(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def _write(path: Path, models: Mapping[str, tuple[Row, ...]]) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema if not exists activation")
        connection.execute("create or replace table activation.known_people (stands_for bigint)")
        for model, rows in models.items():
            connection.execute(f"""
                create or replace table activation.sync_mavera__{model} (
                    record_key varchar, job varchar, template varchar, name varchar, facts json,
                    fact_steps json, person_count bigint, reference_keys json, measured_on date,
                    documents json, persona varchar
                )
            """)
            for row in rows:
                job = row["record_key"].split(":")[0]
                columns = [
                    row["record_key"],
                    job,
                    row.get("template", job),
                    row["name"],
                    json.dumps(row["facts"]),
                    json.dumps(row.get("fact_steps", {})),
                    row["person_count"],
                    json.dumps(row.get("reference_keys", [])),
                    json.dumps(row.get("documents", [])),
                    row.get("persona"),
                ]
                connection.execute(
                    f"insert into activation.sync_mavera__{model}"
                    " values (?, ?, ?, ?, ?, ?, ?, ?, '2026-11-21', ?, ?)",
                    columns,
                )
        connection.execute(
            "alter table activation.sync_mavera__enriched_personas add withheld_reason varchar"
        )
        for row in models["enriched_personas"]:
            reason = [row.get("withheld_reason", ""), row["record_key"]]
            model = "activation.sync_mavera__enriched_personas"
            connection.execute(f"update {model} set withheld_reason = ? where record_key = ?", reason)


def publish_origins(path: Path) -> None:
    """Write the origins of some facts of SKIMMERS and TOP into the published copy at `path`."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("""
            create or replace table activation.fct_record_facts as
            select
                'personas' as kind, record_key, fact_name, model_name, column_name, counted_name,
                row_count::bigint as row_count, counted::bigint as counted,
                interval_low::double as interval_low, interval_high::double as interval_high,
                measured_from::date as measured_from, measured_to::date as measured_to
            from (values
                ('viewer-clusters:skimmers', 'viewer_count', 'agg_viewer_clusters', 'viewer_count',
                    'viewer_count', 1, 390, null, null, null, '2026-11-20'),
                ('viewer-clusters:skimmers', 'mean_watched_share', 'agg_viewer_clusters',
                    'mean_watched_share', 'viewer_count', 1, 390, 0.341, 0.379, null, '2026-11-20'),
                ('viewer-clusters:skimmers', 'medias', 'dim_viewers', 'country', '',
                    390, null, null, null, '2026-07-01', '2026-11-20'),
                ('clv-tiers:top', 'tier_to_share', 'dbt_project.yml', 'top_tier_to_share', '',
                    0, null, null, null, null, null)
            ) as facts(record_key, fact_name, model_name, column_name, counted_name, row_count, counted,
                interval_low, interval_high, measured_from, measured_to);
            create schema if not exists lineage;
            create or replace table lineage.reads as select * from (values
                ('activation.viewer_clusters__personas', 'marts.agg_viewer_clusters'),
                ('marts.agg_viewer_clusters', 'staging.stg_wistia__visitors'),
                ('staging.stg_wistia__visitors', 'raw_wistia.visitors'),
                ('activation.clv_tiers__personas', 'raw_klaviyo.profiles')
            ) as reads(relation, parent);
            create or replace table lineage.tables as select * from (values
                ('marts.agg_viewer_clusters', 5, null),
                ('raw_wistia.visitors', 2852, timestamptz '2026-11-20 06:01:00+00'),
                ('raw_klaviyo.profiles', 1429, null)
            ) as tables(relation, row_count, loaded_at)
        """)


def environment(path: Path, url: str) -> dict[str, str]:
    """Return the settings of a run with files below `path`, whose Mavera is the sandbox at `url`."""
    return {
        "ENV_FILE": "/dev/null",
        "PUBLISHED_PATH": str(path / "published.duckdb"),
        "LEDGER_URL": f"sqlite:///{path / 'ledger.sqlite'}",
        "RUNS_PATH": str(path / "runs.jsonl"),
        "MAVERA_BASE_URL": f"{url}/mavera/api/v1",
        "MAVERA_API_KEY": mavera.KEY,
        "MAVERA_PLAN": "enterprise",
        "MAVERA_WORKSPACE_ID": WORKSPACES[0].workspace_id,
        "MAVERA_TRANSCRIPTS_MAY_LEAVE": "true",
        "MAVERA_POLL_SECONDS": "0.05",
        "CREDIT_BUDGET": "2000",
    }


def references(url: str) -> Counter[str]:
    """Return how often each record's reference exists in the Mavera of the sandbox at `url`.

    Every question of a thread counts: asking twice costs twice, within one thread or in two.
    """
    account = Mavera(f"{url}/mavera/api/v1", mavera.KEY, "enterprise")
    texts = [
        words
        for thread in kinds.ANALYSES.rows(account)
        for words, _ in asked_in(opened(account, thread["id"]))
    ]
    fields = {
        kinds.PERSONAS: "description",
        kinds.FOCUS_GROUPS: "name",
        kinds.BRAND_VOICES: "usage_context",
        kinds.GENERATIONS: "title",
    }
    texts += [row[field] for kind, field in fields.items() for row in kind.rows(account)]
    return Counter(found[1] for text in texts if (found := MARKER.search(text)))
