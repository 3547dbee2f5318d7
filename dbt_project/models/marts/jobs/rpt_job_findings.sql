{#- Each job's vendor, and what is said where its models have nothing to say. -#}
{%- set jobs = {
    'device-geography': ['sendgrid', 'no opens by device in the window'],
    'ab-tests': ['sendgrid', 'no A/B tests yet'],
    'contact-groups': ['sendgrid', 'no contact states a role and an industry'],
    'viewer-clusters': ['wistia', 'no viewers yet'],
    'drop-offs': ['wistia', 'no drop-offs in any video'],
    'calls-to-action': ['wistia', 'no calls to action in any video'],
    'brand-voice': ['wistia', 'no transcripts yet'],
    'viewer-follow-ups': ['wistia', 'no leads yet'],
    'clv-tiers': ['klaviyo', 'no predictions: Klaviyo needs 500 customers and 180 days of orders'],
    'segment-overlap': ['klaviyo', 'no two segments share a member'],
    'flow-rewrites': ['klaviyo', 'no message of a flow has enough recipients'],
    'product-affinity': ['klaviyo', 'no two products have enough buyers to be judged'],
    'channel-pairs': ['klaviyo', 'no campaign ran on both channels'],
} -%}

with found as (

    -- SG-1
    select
        'device-geography' as job,
        max(concat({{ percent('share') }}, ' of opens are ', replace(device_persona, '_', ' '))) as finding
    from {{ ref('agg_device_segments') }}
    where share = (select max(share) from {{ ref('agg_device_segments') }})

    union all

    -- SG-2
    select
        'ab-tests',
        case
            when count(*) = 0 then null
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
        case when count(*) > 0 then
            concat({{ one_or_many('count(*)', 'group', 'groups') }}, ' of contacts, ', {{ counted('count(*) filter (where is_selected)') }}, ' chosen')
        end
    from {{ ref('agg_contact_groups') }}

    union all

    -- WS-1
    select
        'viewer-clusters',
        case when sum(viewer_count) > 0 then
            concat({{ one_or_many('sum(viewer_count)', 'viewer', 'viewers') }}, ', ', {{ counted('max(case when viewer_cluster = \'binge_watchers\' then viewer_count end)') }}, ' of them bingeing')
        end
    from {{ ref('agg_viewer_clusters') }}

    union all

    -- WS-2
    select
        'drop-offs',
        case when count(*) > 0 then
            concat({{ one_or_many('count(*)', 'drop-off', 'drop-offs') }}, ' in ', {{ one_or_many('count(distinct media_id)', 'video', 'videos') }})
        end
    from {{ ref('fct_media_drop_offs') }}

    union all

    -- WS-3
    select
        'calls-to-action',
        case when count(*) > 0 then
            concat({{ counted('count(*) filter (where is_surely_below_median)') }}, ' of ', {{ counted('count(*)') }}, ' calls surely below median')
        end
    from {{ ref('fct_media_action_rates') }}
    where action_type in ('{{ var('asked_action_types') | join("', '") }}')

    union all

    -- WS-4
    select
        'brand-voice',
        case when count(*) > 0 then
            concat({{ one_or_many('count(*)', 'transcript', 'transcripts') }}, ', ', {{ one_or_many('coalesce(sum(word_count), 0)', 'word', 'words') }}, ' in all')
        end
    from {{ ref('dim_media_transcripts') }}

    union all

    -- WS-5
    select
        'viewer-follow-ups',
        case
            when count(*) = 0 then null
            {%- if 'unknown' not in var('mailed_consents') %}
            -- Consent stands in Klaviyo alone: without it, who may be mailed is unknown, and nobody is.
            when not (select max(is_people_read) from {{ ref('dim_vendors') }} where vendor = 'klaviyo') then
                concat({{ one_or_many('count(*)', 'lead', 'leads') }}, ', consent unknown without Klaviyo''s profiles')
            {%- endif %}
            else concat({{ one_or_many('count(*)', 'lead', 'leads') }}, ', ', {{ counted('count(*) filter (where may_be_mailed)') }}, ' may be mailed')
        end
    from {{ ref('fct_viewer_leads') }}

    union all

    -- KL-1
    select
        'clv-tiers',
        max(case when predicted_value_share is not null then concat('the top tier holds ', {{ percent('predicted_value_share') }}, ' of value') end)
    from {{ ref('agg_clv_tiers') }}
    where clv_tier = 'top'

    union all

    -- KL-3
    select
        'segment-overlap',
        case when count(*) > 0 then concat(
            {{ one_or_many('count(*) filter (where is_near_duplicate)', 'near duplicate', 'near duplicates') }}, ', ',
            {{ counted('count(*) filter (where is_contained and not is_near_duplicate)') }}, ' within another'
        )
        end
    from {{ ref('agg_segment_overlaps') }}

    union all

    -- KL-2
    select
        'flow-rewrites',
        case when count(*) filter (where is_compared) > 0 then concat(
            {{ counted('count(*) filter (where is_laggard)') }}, ' of ', {{ counted('count(*) filter (where is_compared)') }},
            ' messages of flows lag'
        )
        end
    from {{ ref('fct_flow_messages') }}

    union all

    -- KL-4
    select
        'product-affinity',
        case when max(judged_pair_count) > 0 then
            concat({{ counted('count(*) filter (where is_affinity)') }}, ' of ', {{ counted('max(judged_pair_count)') }}, ' pairs above chance')
        end
    from {{ ref('agg_product_pairs') }}

    union all

    -- KL-5
    select
        'channel-pairs',
        case when count(*) > 0 then concat(
            'texts win ', {{ counted('count(*) filter (where click_outcome = \'sms\')') }}, ' of ', {{ counted('count(*)') }},
            ' pairs, e-mails ', {{ counted('count(*) filter (where click_outcome = \'email\')') }}
        )
        end
    from {{ ref('agg_channel_pairs') }}

),

jobs as (

    {% for job, about in jobs.items() -%}
    select '{{ job }}' as job, '{{ about[0] }}' as vendor, '{{ about[1] }}' as nothing
    {{ 'union all' if not loop.last }}
    {% endfor %}

)

select
    jobs.job,
    case
        when not vendors.has_key then concat('no ', vendors.vendor_name, ' key')
        when not vendors.is_read then concat('nothing read from ', vendors.vendor_name, ' yet')
        else coalesce(found.finding, jobs.nothing)
    end as finding
from jobs
join {{ ref('dim_vendors') }} as vendors on jobs.vendor = vendors.vendor
left join found on jobs.job = found.job
