{%- set counts = [
    'request_count', 'delivered_count', 'open_count', 'unique_open_count', 'click_count', 'unique_click_count',
    'bounce_count', 'bounce_drop_count', 'invalid_email_count', 'spam_report_count', 'spam_report_drop_count',
    'unsubscribe_count',
] -%}

with parts as (

    select
        *,
        ab_phase = 'all' and ab_variation = 'all' as is_whole,
        max(case when ab_phase = 'all' and ab_variation = 'all' then 1 else 0 end) over (partition by single_send_id)
            as has_whole
    from {{ ref('stg_sendgrid__single_send_stats') }}
    where aggregation = 'total'

),

-- One row for the whole, or rows for its parts, which share no recipient and can therefore be added.
totals as (

    select
        single_send_id,
        {%- for count in counts %}
        cast(sum({{ count }}) as bigint) as {{ count }}{{ ',' if not loop.last }}
        {%- endfor %}
    from parts
    where is_whole or has_whole = 0
    group by single_send_id

)

select
    sends.single_send_id,
    sends.single_send_name,
    sends.status,
    details.subject,
    {%- for count in counts %}
    totals.{{ count }},
    {%- endfor %}
    {{ share_with_interval('totals.unique_open_count', 'totals.delivered_count', 'unique_open_share') }},
    {{ share_with_interval('totals.unique_click_count', 'totals.delivered_count', 'unique_click_share') }},
    sends.is_ab_test,
    {{ is_small('totals.delivered_count') }} as is_small_sample,
    sends.sent_at,
    sends.updated_at
from {{ ref('stg_sendgrid__single_sends') }} as sends
left join totals on sends.single_send_id = totals.single_send_id
left join {{ ref('stg_sendgrid__single_send_details') }} as details on sends.single_send_id = details.single_send_id
