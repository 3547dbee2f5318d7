{# What needs attention: what to do, and the reason in numbers. Steps without a reason have no row. -#}
with steps as (

    -- Data that is missing makes the rest untrue, so it comes first.
    select
        'late-data' as step,
        1 as urgency,
        'freshness' as figure,
        count(*) as affected_count,
        concat('Find out why ', min(vendor), ' delivers no new data') as to_do,
        concat(
            {{ one_or_many('count(*)', 'source is', 'sources are') }}, ' late; the oldest has had no new row for ',
            {{ counted('max(hours_old)') }}, ' hours'
        ) as because
    from {{ ref('fct_source_freshness') }}
    where is_late

    union all

    select
        'failed-data', 1, 'freshness', count(*),
        'Run make ingest again',
        concat({{ one_or_many('count(*)', 'source was', 'sources were') }}, ' not loaded by the last run, including ', min(vendor), ' ', min(resource))
    from {{ ref('fct_source_freshness') }}
    where last_outcome = 'failed'

    union all

    select
        'missing-metrics', 1, 'freshness', count(*),
        'Name the account''s metrics in dbt_project/seeds/klaviyo_metric_names.csv',
        concat('Klaviyo has no metric with a known name for ', {{ dbt.listagg('said', "', '", 'order by said') }}, ', so nothing is counted there')
    from {{ ref('dim_metric_roles') }}
    where is_missing

    union all

    select
        'failed-runs', 1, 'runs', count(*),
        concat('Find out why the last run of ', max_by(step, started_at), ' did not succeed'),
        coalesce(max_by(detail, started_at), 'it left no message')
    from {{ ref('fct_runs') }}
    where is_latest and outcome <> 'well'

    union all

    select
        'quarantined-rows', 2, 'freshness', cast(sum(row_count) as bigint),
        concat('Ask ', max_by(vendor, row_count), ' about its ', max_by(things, row_count)),
        concat({{ one_or_many('sum(row_count)', 'row is', 'rows are') }}, ' left out: ', max_by(reason, row_count))
    from {{ ref('fct_quarantined_rows') }}
    where row_count > 0

    union all

    select
        'unknown-records', 1, 'records', count(*),
        'Run make activate, which looks them up',
        concat({{ one_or_many('count(*)', 'record was', 'records were') }}, ' sent to Mavera and never answered')
    from {{ ref('fct_record_states') }}
    where standing = 'unknown'

    union all

    select
        'failed-records', 2, 'records', count(*),
        'Run make plan to see what failed',
        concat({{ one_or_many('count(*)', 'record', 'records') }}, ' failed in Mavera, including ', min(record_id))
    from {{ ref('fct_record_states') }}
    where standing = 'failed'

    union all

    select
        'unsent-records', 3, 'records', count(*),
        'Run make plan and decide what to send',
        concat({{ one_or_many('count(*)', 'record is', 'records are') }}, ' wanted and not in Mavera yet: withheld or not activated')
    from {{ ref('fct_record_states') }}
    -- A group that is too small yet needs nobody to decide.
    where standing = 'not sent' and not is_small_group

    union all

    select
        'unwanted-records', 6, 'records', count(*),
        'Delete unwanted records in Mavera',
        concat({{ one_or_many('count(*)', 'record is', 'records are') }}, ' no longer wanted by any job')
    from {{ ref('fct_record_states') }}
    where standing = 'unwanted'

    union all

    select
        'top-tier-at-risk', 3, 'clv-churn', cast(sum(customer_count) as bigint),
        'Win back the best customers',
        concat({{ one_or_many('sum(customer_count)', 'customer', 'customers') }}, ' in the top tier will probably not order again')
    from {{ ref('agg_customers_by_tier') }}
    where clv_tier = 'top' and churn_band = 'high'

    union all

    select
        'flow-laggards', 4, 'flow-messages', count(*),
        concat('Rewrite “', max_by(message_name, received_count), '”'),
        concat({{ one_or_many('count(*)', 'flow message lags', 'flow messages lag') }}, ' behind the others; this one reaches the most people')
    from {{ ref('fct_flow_messages') }}
    where is_laggard

    union all

    select
        'drop-offs', 4, 'drop-offs', count(*),
        concat('Cut “', max_by(media_name, lost_share), '” at second ', {{ counted('max_by(from_seconds, lost_share)') }}),
        concat(
            {{ percent('max(lost_share)') }}, ' of its plays end between then and second ', {{ counted('max_by(to_seconds, lost_share)') }}, '; ',
            {{ one_or_many('count(distinct media_id)', 'video has', 'videos have') }}, ' a drop-off'
        )
    from {{ ref('fct_media_drop_offs') }}
    where not is_small_sample

    union all

    select
        'losing-variations', 5, 'ab-tests', count(distinct single_send_id),
        'Send the winners of A/B tests',
        concat(
            'in ', {{ one_or_many('count(distinct single_send_id)', 'test', 'tests') }}, ' the loser went to everybody else, most recently in “',
            max_by(single_send_name, sent_at), '”'
        )
    from {{ ref('fct_ab_tests') }}
    where outcome = 'loser' and is_sent_to_rest

    union all

    select
        'near-duplicates', 5, 'segments', count(*),
        concat('Keep one of “', max_by(segment_a_name, jaccard_share), '” and “', max_by(segment_b_name, jaccard_share), '”'),
        concat({{ one_or_many('count(*)', 'pair of segments contains', 'pairs of segments contain') }}, ' nearly the same people')
    from {{ ref('agg_segment_overlaps') }}
    where is_near_duplicate

    union all

    select
        'unsold-pairs', 5, 'products', count(*),
        concat('Offer “', max_by(product_a_name, lift), '” with “', max_by(product_b_name, lift), '”'),
        concat({{ one_or_many('count(*)', 'pair of offered products is', 'pairs of offered products are') }},
            ' bought together significantly more often than chance predicts')
    from {{ ref('agg_product_pairs') }}
    where is_affinity and is_offered

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
