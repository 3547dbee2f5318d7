with last_day as (

    select max(cast(received_at as date)) as measured_on from {{ ref('int_flow_receipts') }}

),

counted as (

    select
        receipts.flow_message_id,
        min(receipts.flow_id) as flow_id,
        count(*) as received_count,
        count(distinct receipts.customer_id) as recipient_count,
        count(*) filter (where receipts.is_opened) as opened_count,
        count(*) filter (where receipts.is_clicked) as clicked_count,
        cast(sum(receipts.order_count) as bigint) as order_count,
        cast(sum(receipts.other_currency_order_count) as bigint) as other_currency_order_count,
        cast(sum(receipts.revenue) as decimal(18, 2)) as revenue,
        cast(sum(receipts.returned_amount) as decimal(18, 2)) as returned_amount
    from {{ ref('int_flow_receipts') }} as receipts
    cross join last_day
    where {{ dbt.datediff('cast(receipts.received_at as date)', 'last_day.measured_on', 'day') }}
        between 0 and {{ var('flow_window_days') - 1 }}
    group by receipts.flow_message_id

),

reports as (

    select
        *,
        row_number() over (partition by flow_message_id order by measured_on desc) as recency
    from {{ ref('stg_klaviyo__flow_values') }}

),

-- The event that starts a flow; several metrics may have the same role.
triggers as (

    select started.flow_id, min(metrics.metric_role) as trigger_role
    from {{ ref('stg_klaviyo__flow_triggers') }} as started
    join {{ ref('int_metric_roles') }} as metrics on started.metric_id = metrics.metric_id
    group by started.flow_id

),

messages as (

    select
        coalesce(known.flow_message_id, counted.flow_message_id) as flow_message_id,
        coalesce(actions.flow_id, counted.flow_id) as flow_id,
        coalesce(known.message_name, known.subject, counted.flow_message_id) as message_name,
        known.subject,
        known.channel,
        coalesce(counted.received_count, 0) as received_count,
        coalesce(counted.recipient_count, 0) as recipient_count,
        -- Opens of an SMS cannot be observed.
        case when known.channel = 'email' then coalesce(counted.opened_count, 0) end as opened_count,
        coalesce(counted.clicked_count, 0) as clicked_count,
        coalesce(counted.order_count, 0) as order_count,
        coalesce(counted.other_currency_order_count, 0) as other_currency_order_count,
        coalesce(counted.revenue, 0) as revenue,
        coalesce(counted.returned_amount, 0) as returned_amount,
        known.updated_at,
        known.gone_at
    from {{ ref('stg_klaviyo__flow_messages') }} as known
    left join {{ ref('stg_klaviyo__flow_actions') }} as actions on known.flow_action_id = actions.flow_action_id
    full outer join counted on known.flow_message_id = counted.flow_message_id

),

rated as (

    select
        messages.*,
        flows.flow_name,
        flows.trigger_type,
        flows.flow_status,
        {{ share_with_interval('messages.opened_count', 'messages.received_count', 'open_share') }},
        {{ share_with_interval('messages.clicked_count', 'messages.received_count', 'click_share') }},
        {{ share('messages.revenue', 'messages.received_count') }} as revenue_per_recipient,
        coalesce(flows.flow_status = 'live' and not flows.is_archived and flows.gone_at is null, false)
            and messages.gone_at is null
            and messages.received_count >= {{ var('flow_received_from') }} as is_compared
    from messages
    left join {{ ref('stg_klaviyo__flows') }} as flows on messages.flow_id = flows.flow_id

),

peers as (

    select
        trigger_type,
        channel,
        count(*) as peer_count,
        median(open_share) as peer_open_share,
        median(click_share) as peer_click_share,
        median(revenue_per_recipient) as peer_revenue_per_recipient
    from rated
    where is_compared
    group by trigger_type, channel

),

-- How far below the median each rate is, with the median as given. An SMS has no opens, and is not among the messages with opens.
scored as (

    select
        rated.*,
        peers.peer_count,
        peers.peer_open_share,
        peers.peer_click_share,
        peers.peer_revenue_per_recipient,
        {%- for rate in ['open', 'click'] %}
        coalesce(rated.is_compared and peers.peer_count >= {{ var('flow_peers_from') }}, false)
            and rated.{{ rate }}_share is not null as is_{{ rate }}_judged,
        (peers.peer_{{ rate }}_share - rated.{{ rate }}_share)
            / nullif(sqrt(greatest(
                0, peers.peer_{{ rate }}_share * (1 - peers.peer_{{ rate }}_share) / nullif(rated.received_count, 0)
            )), 0)
            as {{ rate }}_z_score{{ ',' if not loop.last }}
        {%- endfor %}
    from rated
    left join peers on rated.trigger_type = peers.trigger_type and rated.channel = peers.channel

),

tested as (

    select
        *,
        {%- for rate in ['open', 'click'] %}
        {{ p_above(rate ~ '_z_score') }} as {{ rate }}_p_value{{ ',' if not loop.last }}
        {%- endfor %}
    from scored

),

adjusted as (

    {{ with_adjusted_p('tested', [['open_', 'is_open_judged'], ['click_', 'is_click_judged']]) }}

),

judged as (

    select
        *,
        {%- for rate in ['open', 'click'] %}
        coalesce(
            {{ rate }}_share < (1 - {{ var('flow_lag_share_above') }}) * peer_{{ rate }}_share
            and {{ rate }}_adjusted_p_value < {{ var('false_discovery_below') }},
            false
        ) as is_{{ rate }}_laggard{{ ',' if not loop.last }}
        {%- endfor %}
    from adjusted

)

select
    judged.flow_message_id,
    judged.flow_id,
    judged.flow_name,
    judged.message_name,
    judged.subject,
    judged.channel,
    judged.trigger_type,
    triggers.trigger_role,
    judged.flow_status,
    texts.message_text,
    texts.links,
    account.currency,
    judged.received_count,
    judged.recipient_count,
    judged.opened_count,
    judged.clicked_count,
    judged.order_count,
    judged.other_currency_order_count,
    judged.revenue,
    cast(judged.returned_amount as decimal(18, 2)) as returned_amount,
    cast(judged.revenue - judged.returned_amount as decimal(18, 2)) as net_revenue,
    judged.open_share,
    judged.open_share_low,
    judged.open_share_high,
    judged.click_share,
    judged.click_share_low,
    judged.click_share_high,
    judged.revenue_per_recipient,
    judged.peer_count,
    judged.peer_open_share,
    judged.peer_click_share,
    judged.peer_revenue_per_recipient,
    judged.open_adjusted_p_value,
    judged.click_adjusted_p_value,
    reports.recipient_count as reported_received_count,
    {{ share('reports.unique_open_count', 'reports.delivered_count') }} as reported_open_share,
    {{ share('reports.unique_click_count', 'reports.delivered_count') }} as reported_click_share,
    reports.order_value as reported_revenue,
    texts.message_parts,
    judged.is_compared,
    judged.is_open_laggard,
    judged.is_click_laggard,
    judged.is_open_laggard or judged.is_click_laggard as is_laggard,
    {{ is_small('judged.received_count') }} as is_small_sample,
    last_day.measured_on,
    judged.updated_at
from judged
cross join last_day
cross join {{ ref('int_account_currency') }} as account
left join triggers on judged.flow_id = triggers.flow_id
left join {{ ref('int_flow_message_texts') }} as texts on judged.flow_message_id = texts.flow_message_id
left join reports on judged.flow_message_id = reports.flow_message_id and reports.recency = 1
