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
    concat_ws('', 'Rewrite: ', {{ label('message_name') }}) as name,
    {{ facts_with_steps([
        ['flow_name', label('flow_name')],
        ['message_name', label('message_name')],
        ['subject', label('subject')],
        ['channel', 'channel'],
        ['trigger_type', 'trigger_type'],
        ['is_open_laggard', 'is_open_laggard'],
        ['is_click_laggard', 'is_click_laggard'],
        figure('received_count', 'received_count', 5),
        measure('open_share', 'open_share', step, ['open_share_low', 'open_share_high'], told=var('persona_share_step')),
        measure('peer_open_share', 'peer_open_share', step, told=var('persona_share_step')),
        measure('click_share', 'click_share', var('rewrite_click_share_step'), ['click_share_low', 'click_share_high'], told=0.001),
        measure('peer_click_share', 'peer_click_share', var('rewrite_click_share_step'), told=0.001),
        ['currency', known_currency('currency')],
        ['revenue_per_recipient', in_steps('revenue_per_recipient', 0.01), two_digits_step('revenue_per_recipient')],
        ['peer_revenue_per_recipient', in_steps('peer_revenue_per_recipient', 0.01), two_digits_step('peer_revenue_per_recipient')],
        ['window_days', var('flow_window_days')],
        ['trigger_role', 'trigger_role'],
        ['message_text', "nullif(substr(message_text, 1, " ~ var('message_text_characters') ~ "), '')"],
        ['message_parts', objects_in('message_parts', ['part']) if var('message_text_characters') else 'cast(null as ' ~ dbt.type_string() ~ ')'],
    ]) }},
    recipient_count as person_count,
    cast(null as bigint) as mailable_count,
    {{ no_references() }} as reference_keys,
    measured_on
from laggards
where laggard_position <= {{ var('rewritten_flow_messages') }}
