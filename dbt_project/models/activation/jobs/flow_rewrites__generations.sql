{%- set step = var('analysis_share_step') -%}

-- A text per message of a live flow that lags behind its peers, the most received first.
with laggards as (

    select
        *,
        row_number() over (
            order by {{ two_digits('received_count', 5) }} desc, flow_message_id
        ) as laggard_position
    from {{ ref('fct_flow_messages') }}
    where is_laggard
        and recipient_count >= {{ var('smallest_group') }}

)

select
    flow_message_id as entity,
    concat('Rewrite: ', {{ label('message_name') }}) as name,
    {{ json_build([
        ['flow_name', label('flow_name')],
        ['message_name', label('message_name')],
        ['subject', label('subject')],
        ['channel', 'channel'],
        ['trigger_type', 'trigger_type'],
        ['is_open_laggard', 'is_open_laggard'],
        ['is_click_laggard', 'is_click_laggard'],
        ['received_count', two_digits('received_count', 5)],
        ['open_share', in_steps('open_share', step)],
        ['peer_open_share', in_steps('peer_open_share', step)],
        ['click_share', in_steps('click_share', var('rewrite_click_share_step'))],
        ['peer_click_share', in_steps('peer_click_share', var('rewrite_click_share_step'))],
        ['revenue_per_recipient_usd', two_digits('revenue_per_recipient_usd')],
        ['peer_revenue_per_recipient_usd', two_digits('peer_revenue_per_recipient_usd')],
        ['window_days', var('flow_window_days')],
    ]) }} as facts,
    recipient_count as person_count,
    {{ no_references() }} as reference_keys,
    measured_on
from laggards
where laggard_position <= {{ var('rewritten_flow_messages') }}
