with evidence as (

    select
        concat_ws('', 'flow-rewrites:', flow_message_id) as record_key,
        concat_ws('',
            case when open_share is null then '' else concat_ws('', 'Opened by ', {{ rate_in_words('open_share') }}, ' of ', {{ counted('received_count') }},
                case when peer_open_share is null then '. ' else concat_ws('', '; the median of comparable messages is ', {{ percent('peer_open_share') }}, '. ') end)
            end,
            'Clicked by ', {{ rate_in_words('click_share', fine=true) }},
            case when peer_click_share is null then '.' else concat_ws('', '; the median is ', {{ percent_fine('peer_click_share') }}, '.') end
        ) as evidence
    from {{ ref('fct_flow_messages') }}
    where click_share is not null

    union all

    select
        concat_ws('', 'drop-offs:', media_id) as record_key,
        {{ text_in_order(
            "concat_ws('', 'From second ', " ~ counted('from_seconds') ~ ", ' to ', " ~ counted('to_seconds') ~ ", ', the plays still running fall from '," ~ percent('retention_before_share') ~ ", ' to ', " ~ percent('retention_after_share') ~ ", '.')",
            'drop_off_number'
        ) }} as evidence
    from {{ ref('fct_media_drop_offs') }}
    group by media_id

    union all

    select
        concat_ws('', 'calls-to-action:', media_id, '_', {{ slug('action_type') }}) as record_key,
        concat_ws('',
            'Clicked in ', {{ rate_in_words('action_share', fine=true) }}, ' of ', {{ counted('impression_count') }},
            ' impressions; the median of all compared is ', {{ percent_fine('median_action_share') }}, '.'
        ) as evidence
    from {{ ref('fct_media_action_rates') }}
    where median_action_share is not null and action_share_low is not null

    union all

    select
        concat_ws('', 'product-affinity:', product_a_id, '_', product_b_id) as record_key,
        concat_ws('',
            {{ one_or_many('joint_customer_count', 'customer', 'customers') }}, ' bought both, ',
            cast(cast(round(lift, 1) as decimal(9, 1)) as {{ dbt.type_string() }}), ' times as many as chance predicts.'
        ) as evidence
    from {{ ref('agg_product_pairs') }}

    union all

    select
        concat_ws('', 'viewer-follow-ups:', cohort) as record_key,
        concat_ws('',
            {{ one_or_many('recent_lead_count', 'recent lead', 'recent leads') }},
            case when mailable_lead_count is null then '' else concat_ws('', ', ', {{ counted('mailable_lead_count') }}, ' of whom may be mailed') end, '.'
        ) as evidence
    from {{ ref('agg_lead_cohorts') }}

),

rewrites as (

    select
        record_key,
        lost_parts,
        row_number() over (partition by record_key order by written_at desc, generation_call_id desc) as newest_first
    from {{ ref('fct_flow_rewrites') }}

),

placed as (

    select
        answers.*,
        jobs.job_number,
        case answers.kind when 'analyses' then 1 when 'focus-groups' then 2 when 'generations' then 3 when 'brand-voices' then 4 else 5 end as kind_place,
        cast(row_number() over (partition by answers.job, answers.kind order by answers.record_key) as bigint) as place,
        count(*) over (partition by answers.job, answers.kind) as record_count
    from {{ ref('fct_answers') }} as answers
    left join {{ ref('rpt_job_results') }} as jobs on answers.job = jobs.job

)

select
    placed.record_id,
    placed.kind,
    placed.record_key,
    placed.job,
    placed.title,
    evidence.evidence,
    placed.asked,
    {{ beginning('placed.question') }} as question_markdown,
    {{ beginning('placed.answer') }} as answer_markdown,
    messages.subject as original_subject,
    {{ beginning('messages.message_text') }} as original_markdown,
    rewrites.lost_parts,
    placed.recommendation,
    placed.to_do,
    placed.profile,
    placed.sources,
    cast(placed.job_number as bigint) as job_number,
    cast(placed.kind_place as bigint) as kind_place,
    placed.place,
    placed.record_count,
    placed.credits,
    coalesce({{ blank_count('placed.answer') }} - ({{ blank_count(beginning('placed.answer')) }}), 0) as left_out_word_count,
    placed.answered_at
from placed
left join evidence on placed.record_key = evidence.record_key
left join rewrites on placed.record_key = rewrites.record_key and rewrites.newest_first = 1
left join {{ ref('fct_flow_messages') }} as messages on placed.record_key = concat_ws('', 'flow-rewrites:', messages.flow_message_id)
where placed.place <= {{ var('reported_answers') }}
