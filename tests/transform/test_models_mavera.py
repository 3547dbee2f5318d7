"""The models of what Mavera answered, over rows that can be counted by hand."""

from datetime import timedelta

import duckdb


def test_a_rewritten_message_stands_beside_what_it_was_before(small: duckdb.DuckDBPyConnection) -> None:
    rewrites = small.execute(
        "select flow_message_id, generation_id, before_received_count, before_open_share, before_click_share,"
        " before_revenue_per_recipient, after_received_count, click_outcome, is_edited,"
        " edited_at - written_at from marts.fct_flow_rewrites"
    ).fetchall()
    edited_later = timedelta(hours=1, minutes=59, seconds=51)
    assert rewrites == [("M4", "text of M4", 500, 0.2, 0.04, 0.05, 0, "too early", True, edited_later)]


def test_what_mavera_did_stands_beside_what_it_cost(small: duckdb.DuckDBPyConnection) -> None:
    personas = small.execute("select record_key, standing, credits from marts.dim_personas").fetchall()
    assert personas == [("clv-tiers:top", "live", 300)]
    answers = small.execute("select record_key, question, answer, credits from marts.fct_analyses").fetchall()
    assert answers == [("segment-overlap:account", "Which?", "Merge them.", 20)]
    credits_ = small.execute(
        "select job, call_count, unknown_count, credits, credits_at_risk from marts.fct_credits order by 1"
    ).fetchall()
    assert credits_ == [
        ("brand-voice", 1, 0, 50, 0),
        ("brand-voice", 1, 0, 50, 0),
        ("clv-tiers", 2, 1, 300, 300),
        ("flow-rewrites", 1, 0, 15, 0),
        ("product-affinity", 1, 0, 70, 0),
        ("segment-overlap", 1, 0, 20, 0),
        ("viewer-follow-ups", 2, 0, 23, 0),
    ]


def test_each_job_has_one_row_of_what_it_found_sent_and_got_back(small: duckdb.DuckDBPyConnection) -> None:
    results = small.execute(
        "select job, finding, standing_count, credits,"
        " persona_count, brand_voice_count, analysis_count, respondent_answer_count, text_count"
        " from marts.rpt_job_results where credits > 0 order by job_number"
    ).fetchall()
    assert results == [
        ("brand-voice", "1 video has a transcript of 3 words", 1, 100, 0, 1, 0, 0, 0),
        ("viewer-follow-ups", "No leads yet", 2, 23, 0, 0, 0, 0, 2),
        ("clv-tiers", "The top tier holds 36% of the predicted value", 1, 300, 1, 0, 0, 0, 0),
        ("flow-rewrites", "1 of 4 compared flow messages lags behind", 1, 15, 0, 0, 0, 0, 1),
        ("segment-overlap", "1 pair of segments is nearly the same; 3 within another", 1, 20, 0, 0, 1, 0, 0),
        ("product-affinity", "No two products have enough buyers to be judged", 1, 70, 0, 0, 0, 3, 0),
    ]


def test_every_job_says_what_it_found(small: duckdb.DuckDBPyConnection) -> None:
    silent = small.execute(
        "select job from marts.rpt_job_results left join marts.rpt_job_findings using (job)"
        " where rpt_job_findings.job is null"
    ).fetchall()
    assert silent == []


def test_a_brand_voice_stands_with_what_it_came_from_and_which_is_current(
    small: duckdb.DuckDBPyConnection,
) -> None:
    voices = small.execute(
        "select brand_voice_id, record_key, word_count, credits, voice_summary, adjectives, preferred_terms,"
        " is_ready, is_current from marts.dim_brand_voices order by 1"
    ).fetchall()
    assert voices == [
        ("bv1", "brand-voice:account", 7, 50, "Old.", None, None, True, False),
        ("bv2", "brand-voice:account", 10, 50, "Warm.", '["warm","brief"]', '["kettle"]', True, True),
        ("bv3", None, None, None, None, None, None, False, False),
    ]


def test_a_text_stands_beside_the_facts_that_caused_it(small: duckdb.DuckDBPyConnection) -> None:
    texts = small.execute("""
        select generation_id, record_key, app_id, generated_text, facts ->> 'media_name', credits, is_listed
        from marts.fct_generations where job = 'viewer-follow-ups' order by generation_id
    """).fetchall()
    assert texts == [
        ("gen1", "viewer-follow-ups:m1", "email_writer", "Dear viewer", "Media 1", 12, True),
        ("gen2", "viewer-follow-ups:m2", "email-writer", "as answered", "Media 2", 11, True),
    ]


def test_a_focus_group_becomes_its_answers_and_the_score_is_counted_again(
    small: duckdb.DuckDBPyConnection,
) -> None:
    answers = small.execute(
        "select record_key, persona_record_key, question_type, respondent_number, answer, answer_number"
        " from marts.fct_focus_group_answers order by question_number, respondent_number"
    ).fetchall()
    assert answers == [
        ("product-affinity:P1_P2", "clv-tiers:top", "NPS", 1, "10", 10.0),
        ("product-affinity:P1_P2", None, "NPS", 2, "7", 7.0),
        ("product-affinity:P1_P2", "clv-tiers:top", "OPEN_ENDED", 1, "It fits.", None),
    ]
    results = small.execute(
        "select focus_group_id, question_id, response_count, nps, reported_nps, is_nps_as_reported, job"
        " from marts.fct_question_results order by all"
    ).fetchall()
    assert results == [
        ("fg1", "q_1", 2, 50.0, 50.0, True, "product-affinity"),
        ("fg1", "q_2", 1, None, None, None, "product-affinity"),
        ("fg3", "q_1", 0, None, None, None, None),
    ]
