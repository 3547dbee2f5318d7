{%- set step = var('analysis_share_step') -%}
{%- set told = var('persona_share_step') -%}

-- One study about all campaigns on both channels, asked of the tiers of KL-1: which channel people prefer for which content.
{%- set about = "regexp_replace(substr(replace(campaign_stem, '-', ' '), 1, 80), ' [0-9]+$', '')" %}

with

-- The pairs whose channels differ most clearly, in whole standard errors, so that noise does not choose.
ranked_pairs as (

    select
        *,
        least(email_received_count, sms_received_count) as least_received_count,
        row_number() over (
            order by in_whole_errors desc, email_sent_at desc, email_campaign_id
        ) as pair_position,
        row_number() over (
            partition by campaign_kind order by in_whole_errors desc, email_sent_at desc, email_campaign_id
        ) as position_in_kind
    from (
        select
            *,
            coalesce(round(abs(click_z_score)), 0) as in_whole_errors,
            case
                {%- for kind in var('campaign_kinds') %}
                {%- for word in kind.words %}
                when concat_ws('', '-', campaign_stem, '-') like '%-{{ word }}-%' then '{{ kind.kind }}'
                {%- endfor %}
                {%- endfor %}
                else 'other'
            end as campaign_kind
        from {{ ref('agg_channel_pairs') }}
    ) as pairs
    where click_outcome <> 'undecided'
        and least(email_received_count, sms_received_count) >= {{ var('smallest_group') }}

),

-- The clearest campaign of each kind: three sales would ask the same question three times.
ranked_kinds as (

    select *, row_number() over (order by pair_position) as kind_position
    from ranked_pairs
    where position_in_kind = 1

),

kind_lists as (

    select
        {{ sorted_list("case when kind_position <= " ~ var('listed_channel_pairs') ~ " then " ~ record([
            ['errors_apart', whole('in_whole_errors')],
            ['kind', 'campaign_kind'],
            ['about', about],
        ]) ~ " end") }} as kinds,
        min(case when kind_position = 1 then {{ about }} end) as first_about,
        min(case when kind_position <= {{ var('listed_channel_pairs') }} then least_received_count end) as person_count
    from ranked_kinds

),

pair_lists as (

    select
        count(*) as pair_count,
        count(*) filter (where click_outcome = 'email') as email_click_count,
        count(*) filter (where click_outcome = 'sms') as sms_click_count,
        count(*) filter (where click_outcome = 'tie') as tied_click_count,
        count(*) filter (where conversion_outcome = 'email') as email_conversion_count,
        count(*) filter (where conversion_outcome = 'sms') as sms_conversion_count,
        count(*) filter (where conversion_outcome = 'tie') as tied_conversion_count,
        {{ sorted_list("case when pair_position <= " ~ var('listed_channel_pairs') ~ " then " ~ record([
            ['errors_apart', whole('in_whole_errors')],
            ['about', "substr(replace(campaign_stem, '-', ' '), 1, 80)"],
            ['click_outcome', 'click_outcome'],
            ['conversion_outcome', 'conversion_outcome'],
            ['email_clicked_share', in_steps('email_clicked_share', told)],
            ['sms_clicked_share', in_steps('sms_clicked_share', told)],
            ['email_converted_share', in_steps('email_converted_share', told)],
            ['sms_converted_share', in_steps('sms_converted_share', told)],
        ]) ~ " end") }} as pairs,
        min(case when pair_position <= {{ var('listed_channel_pairs') }} then least_received_count end) as person_count,
        cast(max(greatest(email_sent_at, sms_sent_at)) as date) as measured_on
    from ranked_pairs

),

reach as (

    select
        {{ mean('case when may_be_mailed then 1 else 0 end') }} as email_reachable_share,
        {{ mean('case when may_be_texted then 1 else 0 end') }} as sms_reachable_share
    from {{ ref('dim_customers') }}

),

tier_list as (

    select {{ sorted_list("concat_ws('', 'clv-tiers:', clv_tier)") }} as persona_keys
    from {{ ref('agg_clv_tiers') }}
    where clv_tier <> 'no_prediction' and customer_count > 0

)

select
    'account' as entity,
    concat_ws('', 'Wanted by text message: ', kind_lists.first_about) as name,
    {{ facts_with_steps([
        ['pair_count', 'pair_lists.pair_count'],
        ['email_click_count', 'pair_lists.email_click_count'],
        ['sms_click_count', 'pair_lists.sms_click_count'],
        ['tied_click_count', 'pair_lists.tied_click_count'],
        ['email_conversion_count', 'pair_lists.email_conversion_count'],
        ['sms_conversion_count', 'pair_lists.sms_conversion_count'],
        ['tied_conversion_count', 'pair_lists.tied_conversion_count'],
        measure('email_reachable_share', 'reach.email_reachable_share', step, told=told),
        measure('sms_reachable_share', 'reach.sms_reachable_share', step, told=told),
        ['pairs', 'pair_lists.pairs', {
            '[].errors_apart': 1,
            '[].email_clicked_share': step,
            '[].sms_clicked_share': step,
            '[].email_converted_share': step,
            '[].sms_converted_share': step,
        }],
        ['kinds', 'kind_lists.kinds', {'[].errors_apart': 1}],
    ]) }},
    least(pair_lists.person_count, kind_lists.person_count) as person_count,
    to_json(tier_list.persona_keys) as reference_keys,
    pair_lists.measured_on
from pair_lists
cross join kind_lists
cross join reach
cross join tier_list
where pair_lists.pair_count > 0
