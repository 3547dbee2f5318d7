with told as (

    select
        campaign_keys.campaign_id,
        events.customer_id,
        case
            when metrics.metric_role {{ in_roles('received') }} then 'received'
            when events.is_automatic then 'by a machine'
            when metrics.metric_role {{ in_roles('opened') }} then 'opened'
            when metrics.metric_role {{ in_roles('clicked') }} then 'clicked'
        end as deed,
        cast(null as decimal(18, 2)) as revenue,
        cast(null as decimal(18, 2)) as returned_amount,
        false as is_other_currency
    from {{ ref('stg_klaviyo__events') }} as events
    join {{ ref('int_campaign_keys') }} as campaign_keys on events.message_id = campaign_keys.message_id
    join {{ ref('int_metric_roles') }} as metrics on events.metric_id = metrics.metric_id

    union all

    select
        attributed.campaign_id,
        events.customer_id,
        'ordered' as deed,
        case when amounts.is_account_currency then amounts.value_amount end as revenue,
        case when amounts.is_account_currency then returned.returned_amount end as returned_amount,
        coalesce(not amounts.is_account_currency and amounts.value_amount is not null, false) as is_other_currency
    from {{ ref('stg_klaviyo__events') }} as events
    join {{ ref('int_events_attributed') }} as attributed on events.customer_event_id = attributed.customer_event_id
    join {{ ref('int_metric_roles') }} as metrics on events.metric_id = metrics.metric_id
    left join {{ ref('int_amounts_read') }} as amounts on events.customer_event_id = amounts.customer_event_id
    left join {{ ref('int_orders_returned') }} as returned on events.customer_event_id = returned.customer_event_id
    where metrics.metric_role = 'placed_order' and attributed.campaign_id is not null

)

select
    campaign_id,
    customer_id,
    count(*) filter (where deed = 'opened') as open_count,
    count(*) filter (where deed = 'clicked') as click_count,
    count(*) filter (where deed = 'ordered') as order_count,
    count(*) filter (where is_other_currency) as other_currency_order_count,
    cast(coalesce(sum(revenue), 0) as decimal(18, 2)) as revenue,
    cast(coalesce(sum(returned_amount), 0) as decimal(18, 2)) as returned_amount
from told
where customer_id is not null
group by campaign_id, customer_id
having count(*) filter (where deed = 'received') > 0
