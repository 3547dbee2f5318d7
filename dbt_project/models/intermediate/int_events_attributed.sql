with told as (

    select
        customer_event_id,
        {{ explode_rows('attributions') }} as attribution
    from {{ ref('stg_klaviyo__events') }}
    where attributions is not null

),

opened as (

    select
        customer_event_id,
        {{ json_text('attribution', 'attributed_event_id') }} as attributed_event_id,
        {{ json_text('attribution', 'flow_id') }} as flow_id,
        {{ json_text('attribution', 'flow_message_id') }} as flow_message_id,
        coalesce(
            {{ json_text('attribution', 'campaign_message_id') }}, {{ json_text('attribution', 'campaign_id') }}
        ) as campaign_key
    from told

),

found as (

    select
        opened.customer_event_id,
        opened.attributed_event_id,
        coalesce(opened.flow_id, messages.flow_id) as flow_id,
        coalesce(opened.flow_message_id, messages.flow_message_id) as flow_message_id,
        campaigns.campaign_id
    from opened
    left join {{ ref('int_campaign_keys') }} as campaigns on opened.campaign_key = campaigns.message_id
    -- An older event only names its message, which may belong to a flow.
    left join (
        select messages.flow_message_id, actions.flow_id
        from {{ ref('stg_klaviyo__flow_messages') }} as messages
        join {{ ref('stg_klaviyo__flow_actions') }} as actions on messages.flow_action_id = actions.flow_action_id
    ) as messages on opened.campaign_key = messages.flow_message_id and campaigns.campaign_id is null

)

select
    customer_event_id,
    min(attributed_event_id) as attributed_event_id,
    min(flow_id) as flow_id,
    flow_message_id,
    campaign_id
from found
where flow_message_id is not null or campaign_id is not null
group by customer_event_id, flow_message_id, campaign_id
