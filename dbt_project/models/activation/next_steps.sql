{# What is worth a look: an urgency, the figure of the report that shows it, and a sentence; a row only where there is any. -#}
with steps as (

    -- Data that is missing makes the rest untrue, so it comes first.
    select
        'late-data' as step,
        1 as urgency,
        'freshness' as figure,
        count(*) as affected_count,
        concat(
            {{ one_or_many('count(*)', 'source brings', 'sources bring') }}, ' nothing new, the latest row is ',
            {{ counted('max(hours_old)') }}, ' hours old: look at what ingest says of ', min(vendor)
        ) as sentence
    from {{ ref('source_freshness') }}
    where is_late

    union all

    select
        'failed-data', 1, 'freshness', count(*),
        concat(
            {{ one_or_many('count(*)', 'source was', 'sources were') }},
            ' not loaded by the last run, ', min(vendor), ' ', min(resource), ' among them: run make ingest again'
        )
    from {{ ref('source_freshness') }}
    where last_outcome = 'failed'

    union all

    select
        'quarantined-rows', 2, 'freshness', cast(sum(row_count) as bigint),
        concat({{ one_or_many('sum(row_count)', 'row is', 'rows are') }}, ' left out, most of all because of: ', max_by(reason, row_count))
    from {{ ref('fct_quarantined_rows') }}
    where row_count > 0

    union all

    select
        'unknown-records', 1, 'records', count(*),
        concat(
            {{ one_or_many('count(*)', 'record was', 'records were') }},
            ' sent to Mavera and never answered: the next make activate looks them up'
        )
    from {{ ref('records_standing') }}
    where standing = 'unknown'

    union all

    select
        'failed-records', 2, 'records', count(*),
        concat({{ one_or_many('count(*)', 'record', 'records') }}, ' failed in Mavera, ', min(record_id), ' first: make plan says why')
    from {{ ref('records_standing') }}
    where standing = 'failed'

    union all

    select
        'unsent-records', 3, 'records', count(*),
        concat(
            {{ one_or_many('count(*)', 'record is', 'records are') }},
            ' wanted and not in Mavera: make plan says what is held and what it would cost'
        )
    from {{ ref('records_standing') }}
    where standing = 'not sent'

    union all

    select
        'unwanted-records', 5, 'records', count(*),
        concat(
            {{ one_or_many('count(*)', 'record stands', 'records stand') }},
            ' in Mavera that no row asks for any more: delete there what you do not need'
        )
    from {{ ref('records_standing') }}
    where standing = 'unwanted'

    union all

    select
        'flow-laggards', 3, 'flow-messages', count(*),
        concat(
            {{ one_or_many('count(*)', 'message of a flow lags', 'messages of flows lag') }},
            ' behind the others, "', max_by(message_name, received_count), '" reaches most people: rewrite it'
        )
    from {{ ref('fct_flow_messages') }}
    where is_laggard

    union all

    select
        'top-tier-at-risk', 3, 'clv-churn', cast(sum(customer_count) as bigint),
        concat({{ one_or_many('sum(customer_count)', 'customer', 'customers') }}, ' of the top tier will probably leave: win them back')
    from {{ ref('customers_by_tier') }}
    where clv_tier = 'top' and churn_band = 'high'

    union all

    select
        'near-duplicates', 4, 'segments', count(*),
        concat(
            {{ one_or_many('count(*)', 'pair of segments holds', 'pairs of segments hold') }}, ' nearly the same people, "',
            max_by(segment_a_name, jaccard_share), '" and "', max_by(segment_b_name, jaccard_share), '" most of all: keep one'
        )
    from {{ ref('segment_overlaps') }}
    where is_near_duplicate

    union all

    select
        'drop-offs', 4, 'drop-offs', count(*),
        concat(
            'viewers leave ', {{ one_or_many('count(distinct media_id)', 'video', 'videos') }}, ' all at once, most of "',
            max_by(media_name, lost_share), '" at second ', {{ counted('max_by(from_seconds, lost_share)') }}, ': cut there'
        )
    from {{ ref('media_drop_offs') }}
    where not is_small_sample

    union all

    select
        'losing-variations', 4, 'ab-tests', count(distinct single_send_id),
        concat(
            {{ one_or_many('count(distinct single_send_id)', 'A/B test', 'A/B tests') }},
            ' sent the loser to everybody else, "', max_by(single_send_name, sent_at), '" last: let the winner go'
        )
    from {{ ref('fct_ab_tests') }}
    where outcome = 'loser' and is_sent_to_rest

    union all

    select
        'unsold-pairs', 5, 'product-pairs', count(*),
        concat(
            {{ one_or_many('count(*)', 'pair of products is', 'pairs of products are') }}, ' bought together more often than chance, "',
            max_by(product_a_name, lift), '" and "', max_by(product_b_name, lift), '" most of all: offer them together'
        )
    from {{ ref('product_pairs') }}
    where is_affinity and is_offered

)

select
    step,
    urgency,
    figure,
    affected_count,
    sentence
from steps
where affected_count > 0
