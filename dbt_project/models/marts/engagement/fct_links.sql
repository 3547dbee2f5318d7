with clicked as (

    select
        'klaviyo' as vendor,
        message_kind,
        sent_message_id as message_id,
        link,
        count(*) filter (where not is_automatic) as click_count,
        count(*) filter (where is_automatic) as machine_click_count,
        count(distinct case when not is_automatic then customer_id end) as clicker_count,
        cast(null as bigint) as link_position
    from {{ ref('int_message_events') }}
    where metric_role {{ in_roles('clicked') }} and message_kind <> 'other' and link is not null
    group by message_kind, sent_message_id, link

    union all

    -- SendGrid tells neither people nor machines apart.
    select
        'sendgrid' as vendor,
        'single_send' as message_kind,
        single_send_id as message_id,
        link,
        cast(sum(click_count) as bigint) as click_count,
        cast(null as bigint) as machine_click_count,
        cast(null as bigint) as clicker_count,
        min(link_position) as link_position
    from {{ ref('stg_sendgrid__single_send_links') }}
    where link is not null
    group by single_send_id, link

),

messages as (

    select 'campaign' as message_kind, campaign_id as message_id, campaign_name as message_name from {{ ref('stg_klaviyo__campaigns') }}
    union all
    select 'flow_message' as message_kind, flow_message_id as message_id, message_name from {{ ref('stg_klaviyo__flow_messages') }}
    union all
    select 'single_send' as message_kind, single_send_id as message_id, single_send_name as message_name
    from {{ ref('stg_sendgrid__single_sends') }}

),

received as (

    select message_kind, sent_message_id as message_id, count(distinct customer_id) as recipient_count
    from {{ ref('int_message_events') }}
    where metric_role {{ in_roles('received') }} and message_kind <> 'other'
    group by message_kind, sent_message_id
    union all
    select 'single_send' as message_kind, single_send_id as message_id, delivered_count as recipient_count
    from {{ ref('fct_single_sends') }}

),

measured as (

    select
        clicked.*,
        messages.message_name,
        received.recipient_count,
        sum(clicked.click_count) over (partition by clicked.message_kind, clicked.message_id) as message_click_count
    from clicked
    left join messages on clicked.message_kind = messages.message_kind and clicked.message_id = messages.message_id
    left join received on clicked.message_kind = received.message_kind and clicked.message_id = received.message_id

)

select
    vendor,
    message_kind,
    message_id,
    link,
    message_name,
    recipient_count,
    click_count,
    clicker_count,
    machine_click_count,
    link_position,
    {{ share_with_interval('clicker_count', 'recipient_count', 'clicker_share') }},
    {{ share_with_interval('click_count', 'message_click_count', 'click_share') }},
    {{ is_small('recipient_count') }} as is_small_sample
from measured
