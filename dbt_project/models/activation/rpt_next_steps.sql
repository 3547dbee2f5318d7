{# What needs attention: the action, and the reason in numbers. Steps without a reason have no row. -#}
with steps as (

    -- Missing data makes everything else wrong, so it comes first.
    {% call next_step('late-data', 1, 'freshness', ref('fct_source_freshness'), "is_late") %}
        concat('Find out why ', min(vendor), ' delivers no new data') as to_do,
        concat(
            {{ one_or_many('count(*)', 'source is', 'sources are') }}, ' late; the oldest has had no new row for ',
            {{ counted('max(hours_old)') }}, ' hours'
        ) as because
    {%- endcall %}

    union all

    {% call next_step('failed-data', 1, 'freshness', ref('fct_source_freshness'), "last_outcome = 'failed'") %}
        'Run make ingest again',
        concat({{ one_or_many('count(*)', 'source was', 'sources were') }}, ' not loaded by the last run, including ', min(vendor), ' ', min(resource))
    {%- endcall %}

    union all

    {% call next_step('missing-metrics', 1, 'freshness', ref('dim_metric_roles'), "is_missing") %}
        'Name the account''s metrics in dbt_project/seeds/klaviyo_metric_names.csv',
        concat('Klaviyo has no metric with a known name for ', {{ dbt.listagg('said', "', '", 'order by said') }}, ', so nothing is counted there')
    {%- endcall %}

    union all

    {% call next_step('failed-runs', 1, 'runs', ref('fct_runs'), "is_latest and outcome <> 'well'") %}
        concat('Find out why the last run of ', max_by(step, started_at), ' did not succeed'),
        coalesce(max_by(detail, started_at), 'it left no message')
    {%- endcall %}

    union all

    {% call next_step('quarantined-rows', 2, 'freshness', ref('fct_quarantined_rows'), "row_count > 0", count='sum(row_count)') %}
        concat('Ask ', max_by(vendor, row_count), ' about its ', max_by(things, row_count)),
        concat({{ one_or_many('sum(row_count)', 'row is', 'rows are') }}, ' left out: ', max_by(reason, row_count))
    {%- endcall %}

    union all

    {% call next_step('unknown-records', 1, 'records', ref('fct_record_states'), "standing = 'unknown'") %}
        'Run make activate, which looks them up',
        concat({{ one_or_many('count(*)', 'record was', 'records were') }}, ' sent to Mavera and never answered')
    {%- endcall %}

    union all

    {% call next_step('failed-records', 2, 'records', ref('fct_record_states'), "standing = 'failed'") %}
        'Run make plan to see what failed',
        concat({{ one_or_many('count(*)', 'record', 'records') }}, ' failed in Mavera, including ', min(record_id))
    {%- endcall %}

    union all

    -- A group that is still too small needs no decision.
    {% call next_step('unsent-records', 3, 'records', ref('fct_record_states'), "standing = 'not sent' and not is_small_group") %}
        'Run make plan and decide what to send',
        concat({{ one_or_many('count(*)', 'record is', 'records are') }}, ' wanted and not in Mavera yet: withheld or not activated')
    {%- endcall %}

    union all

    {% call next_step('unwanted-records', 6, 'records', ref('fct_record_states'), "standing = 'unwanted'") %}
        'Delete unwanted records in Mavera',
        concat({{ one_or_many('count(*)', 'record is', 'records are') }}, ' no longer wanted by any job')
    {%- endcall %}

    union all

    {% call next_step('top-tier-at-risk', 3, 'clv-churn', ref('agg_customers_by_tier'), "clv_tier = 'top' and churn_band = 'high'", count='sum(customer_count)') %}
        'Win back the best customers',
        concat({{ one_or_many('sum(customer_count)', 'customer', 'customers') }}, ' in the top tier will probably not order again')
    {%- endcall %}

    union all

    {% call next_step('flow-laggards', 4, 'flow-messages', ref('fct_flow_messages'), "is_laggard") %}
        concat('Rewrite “', max_by(message_name, received_count), '”'),
        concat({{ one_or_many('count(*)', 'flow message lags', 'flow messages lag') }}, ' behind the others; this one reaches the most people')
    {%- endcall %}

    union all

    {% call next_step('drop-offs', 4, 'drop-offs', ref('fct_media_drop_offs'), "not is_small_sample") %}
        concat('Cut “', max_by(media_name, lost_share), '” at second ', {{ counted('max_by(from_seconds, lost_share)') }}),
        concat(
            {{ percent('max(lost_share)') }}, ' of its plays end between then and second ', {{ counted('max_by(to_seconds, lost_share)') }}, '; ',
            {{ one_or_many('count(distinct media_id)', 'video has', 'videos have') }}, ' a drop-off'
        )
    {%- endcall %}

    union all

    {% call next_step('losing-variations', 5, 'ab-tests', ref('fct_ab_tests'), "outcome = 'loser' and is_sent_to_rest", count='count(distinct single_send_id)') %}
        'Send the winners of A/B tests',
        concat(
            'in ', {{ one_or_many('count(distinct single_send_id)', 'test', 'tests') }}, ' the loser went to everybody else, most recently in “',
            max_by(single_send_name, sent_at), '”'
        )
    {%- endcall %}

    union all

    {% call next_step('near-duplicates', 5, 'segments', ref('agg_segment_overlaps'), "is_near_duplicate") %}
        concat('Keep one of “', max_by(segment_a_name, jaccard_share), '” and “', max_by(segment_b_name, jaccard_share), '”'),
        concat({{ one_or_many('count(*)', 'pair of segments contains', 'pairs of segments contain') }}, ' nearly the same people')
    {%- endcall %}

    union all

    {% call next_step('unsold-pairs', 5, 'products', ref('agg_product_pairs'), "is_affinity and is_offered") %}
        concat('Offer “', max_by(product_a_name, lift), '” with “', max_by(product_b_name, lift), '”'),
        concat({{ one_or_many('count(*)', 'pair of offered products is', 'pairs of offered products are') }},
            ' bought together significantly more often than chance predicts')
    {%- endcall %}

)

select
    step,
    urgency,
    figure,
    affected_count,
    to_do,
    because
from steps
where affected_count > 0
