{#- Where each fact comes from: by kind and job, the marts that measure it. `key` is the column, or the SQL, that tells the rows of
    a record's entity; without one all rows are behind it. `count` is what was counted there, `from` and `to` when. `facts` are
    fact to column; ends of an interval stand beside it as _low and _high. -#}
{%- set origins = [
    {'kind': 'personas', 'job': 'device-geography', 'mart': 'agg_device_segments', 'key': 'device_persona',
     'count': 'summed_daily_unique_open_count', 'from': 'measured_from', 'to': 'measured_to', 'facts': {
        'device_persona': 'device_persona', 'unique_opens': 'summed_daily_unique_open_count', 'unique_opens_all': 'total_count',
        'share_of_opens': 'share', 'share_low': 'share_low', 'share_high': 'share_high'}, 'intervals': ['share']},
    {'kind': 'personas', 'job': 'device-geography', 'mart': 'agg_engagement_shares', 'from': 'measured_from', 'to': 'measured_to',
     'facts': {'device_classes': 'label', 'devices': 'share', 'clients': 'share', 'countries': 'share'}},
    {'kind': 'personas', 'job': 'device-geography', 'mart': 'agg_engagement_rates', 'count': 'delivered_count', 'to': 'measured_to',
     'facts': {'open_rate': 'unique_open_share', 'click_rate': 'unique_click_share'},
     'intervals': ['unique_open_share', 'unique_click_share']},
    {'kind': 'personas', 'job': 'device-geography', 'facts': {'window_days': 'engagement_window_days'}},

    {'kind': 'analyses', 'job': 'device-geography', 'mart': 'agg_engagement_rates', 'count': 'delivered_count', 'to': 'measured_to',
     'facts': {'delivered': 'delivered_count', 'open_rate': 'unique_open_share', 'click_rate': 'unique_click_share'},
     'intervals': ['unique_open_share', 'unique_click_share']},
    {'kind': 'analyses', 'job': 'device-geography', 'mart': 'agg_device_segments', 'count': 'summed_daily_unique_open_count',
     'from': 'measured_from', 'to': 'measured_to', 'facts': {'unique_opens': 'total_count', 'personas': 'share'}},
    {'kind': 'analyses', 'job': 'device-geography', 'mart': 'agg_engagement_shares', 'from': 'measured_from', 'to': 'measured_to',
     'facts': {'devices': 'share', 'clients': 'share', 'countries': 'share', 'provinces': 'share', 'browsers': 'share',
        'mailbox_providers': 'share'}},
    {'kind': 'analyses', 'job': 'device-geography', 'facts': {'window_days': 'engagement_window_days'}},

    {'kind': 'focus-groups', 'job': 'ab-tests', 'mart': 'fct_ab_tests',
     'key': "concat('send_', substr(replace(single_send_id, '-', ''), 1, 12))", 'count': 'delivered_count', 'from': 'sent_at',
     'to': 'sent_at', 'facts': {
        'tested': 'tested', 'criterion': 'criterion', 'loser_words': 'words', 'winner_words': 'words',
        'loser_delivered_count': 'delivered_count', 'winner_delivered_count': 'delivered_count',
        'loser_share': 'criterion_share', 'winner_share': 'criterion_share', 'p_value': 'p_value'}},

    {'kind': 'personas', 'job': 'contact-groups', 'mart': 'agg_contact_groups', 'key': 'contact_group', 'count': 'contact_count',
     'to': 'last_updated_at', 'facts': {
        'role': 'role', 'industry': 'industry', 'contact_count': 'contact_count',
        'grouped_contact_count': 'grouped_contact_count', 'ungrouped_contact_count': 'total_contact_count',
        'share_of_contacts': 'contact_share', 'share_low': 'contact_share_low', 'share_high': 'contact_share_high',
        'share_of_role': 'share_of_role', 'share_of_industry': 'share_of_industry', 'viewer_share': 'viewer_share',
        'customer_share': 'customer_share'}, 'intervals': ['contact_share']},

    {'kind': 'personas', 'job': 'viewer-clusters', 'mart': 'agg_viewer_clusters', 'key': 'viewer_cluster', 'count': 'viewer_count',
     'to': 'last_viewed_at', 'facts': {
        'viewer_cluster': 'viewer_cluster', 'rule': 'rule_position', 'viewer_count': 'viewer_count',
        'share_of_viewers': 'viewer_share', 'mean_media_count': 'mean_media_count', 'mean_watched_share': 'mean_watched_share',
        'mean_session_count': 'mean_session_count', 'identified_share': 'identified_share', 'mobile_share': 'mobile_share'},
     'intervals': ['mean_watched_share']},
    {'kind': 'personas', 'job': 'viewer-clusters', 'mart': 'dim_viewers', 'key': 'viewer_cluster', 'from': 'first_viewed_at',
     'to': 'last_viewed_at', 'facts': {'countries': 'country'}},
    {'kind': 'personas', 'job': 'viewer-clusters', 'mart': 'agg_viewer_cluster_medias', 'key': 'viewer_cluster',
     'facts': {'medias': 'viewer_share'}},

    {'kind': 'analyses', 'job': 'viewer-clusters', 'mart': 'agg_viewer_clusters', 'count': 'viewer_count', 'to': 'last_viewed_at',
     'facts': {'viewer_count': 'viewer_count', 'session_count': 'session_count', 'identified_share': 'identified_viewer_count',
        'clusters': 'viewer_share', 'small_clusters': 'viewer_cluster'}},
    {'kind': 'analyses', 'job': 'viewer-clusters', 'mart': 'fct_media_performance', 'count': 'play_count',
     'facts': {'medias': 'play_count'}},

    {'kind': 'analyses', 'job': 'drop-offs', 'mart': 'fct_media_performance', 'key': 'media_id', 'count': 'play_count',
     'facts': {'media_name': 'media_name', 'duration_seconds': 'duration_seconds', 'play_count': 'play_count',
        'mean_watched_share': 'mean_watched_share'}},
    {'kind': 'analyses', 'job': 'drop-offs', 'mart': 'fct_media_drop_offs', 'key': 'media_id', 'count': 'lost_play_count',
     'to': 'measured_on', 'facts': {'drop_offs': 'lost_share'}},
    {'kind': 'analyses', 'job': 'drop-offs',
     'facts': {'drop_off_share_above': 'drop_off_share_above', 'drop_off_seconds': 'drop_off_seconds'}},

    {'kind': 'focus-groups', 'job': 'calls-to-action', 'mart': 'fct_media_action_rates',
     'key': "concat(media_id, '_', " ~ slug('action_type') ~ ")", 'count': 'impression_count', 'to': 'measured_on', 'facts': {
        'media_name': 'media_name', 'action_type': 'action_type', 'action_text': 'action_text', 'placement': 'placement',
        'shown_seconds': 'shown_seconds', 'impression_count': 'impression_count', 'action_share': 'action_share',
        'action_share_low': 'action_share_low', 'action_share_high': 'action_share_high',
        'median_action_share': 'median_action_share'}, 'intervals': ['action_share']},
    {'kind': 'focus-groups', 'job': 'calls-to-action', 'mart': 'fct_media_performance',
     'facts': {'duration_seconds': 'duration_seconds'}},

    {'kind': 'brand-voices', 'job': 'brand-voice', 'mart': 'dim_media_transcripts', 'count': 'word_count', 'facts': {
        'media_count': 'media_id', 'word_count': 'word_count', 'language': 'caption_language', 'medias': 'media_name'}},

    {'kind': 'generations', 'job': 'viewer-follow-ups', 'mart': 'fct_viewer_leads', 'key': 'cohort', 'from': 'last_viewed_at',
     'to': 'last_viewed_at', 'facts': {
        'media_name': 'cohort_media_name', 'stage': 'cohort_stage', 'watched': 'cohort_watched'}},
    {'kind': 'generations', 'job': 'viewer-follow-ups', 'facts': {'watched_share_above': 'qualified_share_above'}},

    {'kind': 'personas', 'job': 'clv-tiers', 'mart': 'agg_clv_tiers', 'key': 'clv_tier', 'count': 'customer_count',
     'to': 'measured_on', 'facts': {
        'clv_tier': 'clv_tier', 'tier_from_share': 'from_share', 'tier_to_share': 'to_share',
        'customer_count': 'customer_count', 'share_of_predicted_customers': 'predicted_customer_share',
        'share_of_predicted_value': 'predicted_value_share', 'currency': 'currency', 'mean_predicted_clv': 'mean_predicted_clv',
        'lowest_predicted_clv': 'low_predicted_clv', 'highest_predicted_clv': 'high_predicted_clv',
        'mean_historic_clv': 'mean_historic_clv', 'mean_average_order_value': 'mean_average_order_value',
        'mean_order_count': 'mean_order_count', 'mean_days_between_orders': 'mean_days_between_orders',
        'mean_churn_probability': 'mean_churn_probability', 'churn_shares': 'high_churn_share',
        'email_reachable_share': 'email_reachable_share', 'sms_reachable_share': 'sms_reachable_share'}},
    {'kind': 'personas', 'job': 'clv-tiers', 'mart': 'agg_clv_tiers', 'count': 'customer_count', 'to': 'measured_on',
     'facts': {'customers_without_prediction': 'customer_count'}},
    {'kind': 'personas', 'job': 'clv-tiers', 'mart': 'dim_customers', 'key': 'clv_tier', 'to': 'measured_on',
     'facts': {'countries': 'country'}},

    {'kind': 'generations', 'job': 'flow-rewrites', 'mart': 'fct_flow_messages', 'key': 'flow_message_id',
     'count': 'received_count', 'to': 'measured_on', 'facts': {
        'flow_name': 'flow_name', 'message_name': 'message_name', 'subject': 'subject', 'channel': 'channel',
        'trigger_type': 'trigger_type', 'is_open_laggard': 'is_open_laggard', 'is_click_laggard': 'is_click_laggard',
        'received_count': 'received_count', 'open_share': 'open_share', 'peer_open_share': 'peer_open_share',
        'click_share': 'click_share', 'peer_click_share': 'peer_click_share',
        'currency': 'currency', 'revenue_per_recipient': 'revenue_per_recipient',
        'peer_revenue_per_recipient': 'peer_revenue_per_recipient'}, 'intervals': ['open_share', 'click_share']},
    {'kind': 'generations', 'job': 'flow-rewrites', 'facts': {'window_days': 'flow_window_days'}},

    {'kind': 'analyses', 'job': 'segment-overlap', 'mart': 'dim_segments', 'count': 'member_count', 'to': 'measured_on',
     'facts': {'segment_count': 'segment_id', 'small_segment_count': 'is_small_group', 'segments': 'member_count'}},
    {'kind': 'analyses', 'job': 'segment-overlap', 'mart': 'dim_customers', 'to': 'measured_on',
     'facts': {'profile_count': 'customer_id'}},
    {'kind': 'analyses', 'job': 'segment-overlap', 'mart': 'agg_segment_overlaps', 'count': 'shared_count', 'facts': {
        'near_duplicates': 'jaccard_share', 'contained': 'is_contained', 'overlaps': 'shared_count'}},
    {'kind': 'analyses', 'job': 'segment-overlap',
     'facts': {'near_duplicate_from': 'near_duplicate_from', 'contained_from': 'contained_from'}},

    {'kind': 'focus-groups', 'job': 'product-affinity', 'mart': 'agg_product_pairs',
     'key': "concat(product_a_id, '_', product_b_id)", 'count': 'joint_customer_count', 'to': 'measured_on', 'facts': {
        'product_a': 'product_a_name', 'product_b': 'product_b_name', 'category_a': 'product_a_category',
        'category_b': 'product_b_category', 'currency': 'currency', 'pair_price': 'pair_price', 'joint_buyer_count': 'joint_customer_count',
        'buyer_count': 'customer_count', 'a_to_b_share': 'a_to_b_share', 'b_to_a_share': 'b_to_a_share', 'lift': 'lift'},
     'intervals': ['lift']},
    {'kind': 'focus-groups', 'job': 'product-affinity', 'facts': {'window_days': 'pair_window_days'}},

    {'kind': 'focus-groups', 'job': 'channel-pairs', 'mart': 'agg_channel_pairs', 'from': 'email_sent_at', 'to': 'sms_sent_at',
     'facts': {
        'pair_count': 'campaign_stem', 'email_click_count': 'click_outcome', 'sms_click_count': 'click_outcome',
        'tied_click_count': 'click_outcome', 'email_conversion_count': 'conversion_outcome',
        'sms_conversion_count': 'conversion_outcome', 'tied_conversion_count': 'conversion_outcome',
        'pairs': 'email_campaign_name'}},
    {'kind': 'focus-groups', 'job': 'channel-pairs', 'mart': 'dim_customers', 'to': 'measured_on', 'facts': {
        'email_reachable_share': 'may_be_mailed', 'sms_reachable_share': 'may_be_texted'}},
] -%}

with

{% for origin in origins if origin.mart -%}
behind_{{ loop.index }} as (

    select
        {{ origin.key or "''" }} as entity,
        count(*) as row_count,
        {% if origin.count -%}
        cast(sum({{ origin.count }}) as bigint) as counted,
        {% else -%}
        cast(null as bigint) as counted,
        {% endif -%}
        cast({{ 'min(' ~ origin.from ~ ')' if origin.from else 'null' }} as date) as measured_from,
        cast({{ 'max(' ~ origin.to ~ ')' if origin.to else 'null' }} as date) as measured_to
        {%- for column in origin.intervals or [] %},
        cast(min({{ column }}_low) as double) as {{ column }}_low,
        cast(max({{ column }}_high) as double) as {{ column }}_high
        {%- endfor %}
    from {{ ref(origin.mart) }}
    {%- if origin.key %}
    group by 1
    {%- endif %}

),

{% endfor -%}
wanted as (

    {% for kind in ['personas', 'brand-voices', 'analyses', 'focus-groups', 'generations'] -%}
    select
        '{{ kind }}' as kind,
        record_key,
        job,
        substr(record_key, length(job) + 2) as entity
    from {{ ref('sync_mavera__' ~ kind | replace('-', '_')) }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

)

{% set measured = origins | selectattr('mart', 'defined') | list -%}
{% for origin in measured -%}
{% for fact, column in origin.facts.items() -%}
select
    wanted.kind,
    wanted.record_key,
    '{{ fact }}' as fact_name,
    '{{ origin.mart }}' as model_name,
    '{{ column }}' as column_name,
    '{{ origin.count or "" }}' as counted_name,
    coalesce(behind.row_count, 0) as row_count,
    behind.counted,
    {{ 'behind.' ~ column ~ '_low' if column in (origin.intervals or []) else 'cast(null as double)' }} as interval_low,
    {{ 'behind.' ~ column ~ '_high' if column in (origin.intervals or []) else 'cast(null as double)' }} as interval_high,
    behind.measured_from,
    behind.measured_to
from wanted
left join behind_{{ measured.index(origin) + 1 }} as behind
    on {{ 'wanted.entity = behind.entity' if origin.key else 'behind.entity = ' ~ "''" }}
where wanted.kind = '{{ origin.kind }}' and wanted.job = '{{ origin.job }}'
union all
{% endfor -%}
{% endfor -%}
{% for origin in origins if not origin.mart -%}
{% set last = loop.last -%}
{% for fact, name in origin.facts.items() -%}
select
    kind,
    record_key,
    '{{ fact }}' as fact_name,
    'dbt_project.yml' as model_name,
    '{{ name }}' as column_name,
    '' as counted_name,
    cast(0 as bigint) as row_count,
    cast(null as bigint) as counted,
    cast(null as double) as interval_low,
    cast(null as double) as interval_high,
    cast(null as date) as measured_from,
    cast(null as date) as measured_to
from wanted
where kind = '{{ origin.kind }}' and job = '{{ origin.job }}'
{{ 'union all' if not (last and loop.last) }}
{% endfor -%}
{% endfor %}
