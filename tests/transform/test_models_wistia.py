"""The models of Wistia's data, over rows that can be counted by hand."""

import json

import duckdb


def test_viewers_fall_into_the_clusters_counted_by_hand(small: duckdb.DuckDBPyConnection) -> None:
    viewers = small.execute(
        "select viewer_id, viewer_cluster, media_count, session_count, watched_share, country, is_identified"
        " from marts.dim_viewers order by 1"
    ).fetchall()
    assert viewers == [
        ("v1", "binge_watchers", 5, 6, 0.8, "CA", True),
        ("v2", "engaged_explorers", 3, 3, 0.5, "US", False),
        ("v3", "bouncers", 1, 1, 0.2, "US", False),
        ("v4", "skimmers", 2, 2, 0.4, "US", True),
        ("v5", "casual_viewers", 1, 1, 0.3, None, False),
    ]


def test_a_media_that_is_gone_keeps_its_views(small: duckdb.DuckDBPyConnection) -> None:
    medias = small.execute(
        "select media_id, media_name, viewer_count, session_count, play_count, is_deleted"
        " from marts.fct_media_performance where media_id in ('m1', 'm9') order by 1"
    ).fetchall()
    assert medias == [("m1", "Media 1", 4, 5, 6, False), ("m9", "Gone", 1, 1, None, True)]


def test_drop_offs_are_found_in_seconds_with_what_is_said_there(small: duckdb.DuckDBPyConnection) -> None:
    drop_offs = small.execute(
        "select media_id, drop_off_number, from_seconds, to_seconds, retention_before_share,"
        " retention_after_share, caption_excerpt, is_small_sample from marts.fct_media_drop_offs order by all"
    ).fetchall()
    assert drop_offs == [
        # from 0 (100 plays, 5 s later 40) to 2 (80, and 20 at 7 s)
        ("m1", 1, 0, 7, 1.0, 0.2, "Welcome. Our sponsors.", False),
        # 5 s are nearest to three cells of 2 s: those at 994, 996 and 998 s see the fall at 1,000 s
        ("m2", 1, 994, 1004, 1.0, 0.25, None, False),
    ]
    retention = small.execute(
        "select position_seconds, play_count, replay_count, retention_share from marts.fct_media_retention"
        " where media_id = 'm1' and cell_place in (2, 3) order by 1"
    ).fetchall()
    assert retention == [(2, 80, 5, 0.8), (3, 40, 5, 0.4)]


def test_days_of_medias_and_of_the_account_stand_side_by_side(small: duckdb.DuckDBPyConnection) -> None:
    days = small.execute(
        "select played_on::text, play_count, listed_play_count, nominal_watched_seconds"
        " from marts.fct_account_plays_daily order by 1"
    ).fetchall()
    assert days == [("2026-01-02", 5, 3, 3600), ("2026-01-03", 0, 0, 0)]
    of_media = small.execute(
        "select media_name, played_on::text, play_count from marts.fct_media_daily order by all"
    ).fetchall()
    assert of_media == [
        ("Media 1", "2026-01-01", 4), ("Media 1", "2026-01-02", 2), ("Media 2", "2026-01-02", 1)
    ]  # fmt: skip


def test_an_action_is_rated_where_it_stands(small: duckdb.DuckDBPyConnection) -> None:
    actions = small.execute(
        "select media_id, action_share, median_action_share, is_below_median, action_text, placement,"
        " shown_seconds, converted_session_count from marts.fct_media_action_rates order by 1"
    ).fetchall()
    assert actions == [
        ("m1", 0.02, 0.05, True, "Get the kit", "end", 6, 1),
        ("m2", 0.08, 0.05, False, None, None, None, 0),
    ]
    # Four people are too few for a question.
    asked = "select count(*) from activation.sync_mavera__focus_groups where job = 'calls-to-action'"
    assert small.execute(asked).fetchall() == [(0,)]


def test_a_viewer_of_two_medias_of_a_project_counts_once(small: duckdb.DuckDBPyConnection) -> None:
    projects = small.execute(
        "select project_name, media_count, reported_media_count, viewer_count, person_count, session_count"
        " from marts.fct_project_performance"
    ).fetchall()
    assert projects == [
        ("Cooking", 2, 2, 4, 3, 8)
    ]  # m1: v1 twice, v2, v4, v5; m2: v1, v2, v4; v1 and v4 are Ada


def test_an_identified_viewer_qualifies_per_media(small: duckdb.DuckDBPyConnection) -> None:
    # Ada saw 0.8 of five medias, which is not more than 0.80.
    assert small.execute("select count(*) from marts.fct_qualified_viewers").fetchall() == [(0,)]


def test_what_a_media_says_is_what_a_brand_voice_is_made_of(small: duckdb.DuckDBPyConnection) -> None:
    transcripts = small.execute(
        "select media_id, transcript, character_count, word_count, words_per_minute"
        " from marts.dim_media_transcripts"
    ).fetchall()
    assert transcripts == [("m1", "Welcome. Our sponsors.", 22, 3, 22.5)]
    ((key, people, facts, documents),) = small.execute(
        "select record_key, person_count, facts, documents from activation.sync_mavera__brand_voices"
    ).fetchall()
    assert (key, people) == ("brand-voice:account", None)
    assert json.loads(facts) == {"media_count": 1, "word_count": 3, "language": "eng", "medias": ["Media 1"]}
    assert json.loads(documents) == [{"name": "Media 1", "text": "Welcome. Our sponsors."}]
