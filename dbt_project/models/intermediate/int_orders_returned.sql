-- A shop names the order that it cancels or refunds. Refunds may be partial, and a cancelled order may be refunded as well: at most
-- the order's own amount is subtracted.
with valued as (

    select
        events.customer_event_id,
        events.shop_id,
        metrics.metric_role,
        amounts.currency,
        amounts.value_amount
    from {{ ref('stg_klaviyo__events') }} as events
    join {{ ref('int_metric_roles') }} as metrics on events.metric_id = metrics.metric_id
    left join {{ ref('int_amounts_read') }} as amounts on events.customer_event_id = amounts.customer_event_id
    where metrics.metric_role in ('placed_order', 'refunded_order', 'cancelled_order') and events.shop_id is not null

),

returns as (

    select
        shop_id,
        currency,
        sum(case when metric_role = 'refunded_order' then value_amount end) as refunded_amount,
        count(*) filter (where metric_role = 'cancelled_order') > 0 as is_cancelled
    from valued
    where metric_role <> 'placed_order'
    group by shop_id, currency

)

select
    orders.customer_event_id,
    cast(max(case
        when returns.is_cancelled then orders.value_amount
        else least(orders.value_amount, coalesce(returns.refunded_amount, 0))
    end) as decimal(18, 2)) as returned_amount,
    count(*) filter (where returns.is_cancelled) > 0 as is_cancelled
from valued as orders
join returns on orders.shop_id = returns.shop_id and orders.currency = returns.currency
where orders.metric_role = 'placed_order' and orders.value_amount is not null
group by orders.customer_event_id
