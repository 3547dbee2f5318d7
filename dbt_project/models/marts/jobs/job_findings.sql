-- SG-1
select
    'device-geography' as job,
    max(concat({{ percent('share') }}, ' of opens are ', replace(device_persona, '_', ' '))) as finding
from {{ ref('device_segments') }}
where share = (select max(share) from {{ ref('device_segments') }})

union all

-- SG-2
select
    'ab-tests',
    case
        when count(*) = count(*) filter (where outcome = 'undecided')
            then concat('none of ', {{ one_or_many('count(distinct single_send_id)', 'A/B test', 'A/B tests') }}, ' could be decided')
        else concat(
            {{ counted("count(distinct case when outcome = 'loser' then single_send_id end)") }}, ' of ',
            {{ one_or_many('count(distinct single_send_id)', 'A/B test has', 'A/B tests have') }}, ' a loser'
        )
    end
from {{ ref('fct_ab_tests') }}

union all

-- SG-3
select
    'contact-groups',
    concat({{ counted('count(*)') }}, ' groups of contacts, ', {{ counted('count(*) filter (where is_selected)') }}, ' chosen')
from {{ ref('contact_groups') }}

union all

-- WS-1
select
    'viewer-clusters',
    concat({{ counted('sum(viewer_count)') }}, ' viewers, ', {{ counted('max(case when viewer_cluster = \'binge_watchers\' then viewer_count end)') }}, ' of them bingeing')
from {{ ref('viewer_clusters') }}

union all

-- WS-2
select
    'drop-offs',
    concat({{ one_or_many('count(*)', 'drop-off', 'drop-offs') }}, ' in ', {{ one_or_many('count(distinct media_id)', 'video', 'videos') }})
from {{ ref('media_drop_offs') }}

union all

-- WS-3
select
    'calls-to-action',
    concat({{ counted('count(*) filter (where is_surely_below_median)') }}, ' of ', {{ counted('count(*)') }}, ' calls surely below median')
from {{ ref('media_action_rates') }}
where action_type in ('{{ var('asked_action_types') | join("', '") }}')

union all

-- WS-4
select
    'brand-voice',
    concat({{ one_or_many('count(*)', 'transcript', 'transcripts') }}, ', ', {{ counted('coalesce(sum(word_count), 0)') }}, ' words in all')
from {{ ref('media_transcripts') }}

union all

-- WS-5
select
    'viewer-follow-ups',
    concat({{ counted('count(*)') }}, ' leads, ', {{ counted('count(*) filter (where may_be_mailed)') }}, ' may be mailed')
from {{ ref('viewer_leads') }}

union all

-- KL-1
select
    'clv-tiers',
    max(concat('the top tier holds ', {{ percent('predicted_value_share') }}, ' of value'))
from {{ ref('clv_tiers') }}
where clv_tier = 'top'

union all

-- KL-3
select
    'segment-overlap',
    concat(
        {{ one_or_many('count(*) filter (where is_near_duplicate)', 'near duplicate', 'near duplicates') }}, ', ',
        {{ counted('count(*) filter (where is_contained and not is_near_duplicate)') }}, ' within another'
    )
from {{ ref('segment_overlaps') }}

union all

-- KL-2
select
    'flow-rewrites',
    concat(
        {{ counted('count(*) filter (where is_laggard)') }}, ' of ', {{ counted('count(*) filter (where is_compared)') }},
        ' messages of flows lag'
    )
from {{ ref('fct_flow_messages') }}

union all

-- KL-4
select
    'product-affinity',
    concat({{ counted('count(*) filter (where is_affinity)') }}, ' of ', {{ counted('coalesce(max(judged_pair_count), 0)') }}, ' pairs above chance')
from {{ ref('product_pairs') }}

union all

-- KL-5
select
    'channel-pairs',
    concat(
        'texts win ', {{ counted('count(*) filter (where click_outcome = \'sms\')') }}, ' of ', {{ counted('count(*)') }},
        ' pairs, e-mails ', {{ counted('count(*) filter (where click_outcome = \'email\')') }}
    )
from {{ ref('channel_pairs') }}
