with summed as (

    select
        rfm_group,
        klaviyo_rfm_group,
        currency,
        count(*) as buyer_count,
        sum(order_count) as order_count,
        sum(net_revenue) as net_revenue,
        {{ mean('days_since_order') }} as mean_days_since_order
    from {{ ref('dim_buyers') }}
    group by rfm_group, klaviyo_rfm_group, currency

),

with_total as (

    select
        *,
        sum(buyer_count) over () as all_buyer_count,
        sum(net_revenue) over () as all_net_revenue
    from summed

)

select
    rfm_group,
    klaviyo_rfm_group,
    currency,
    buyer_count,
    {{ share_with_interval('buyer_count', 'all_buyer_count', 'buyer_share') }},
    cast(order_count as bigint) as order_count,
    cast(net_revenue as decimal(18, 2)) as net_revenue,
    {{ share('net_revenue', 'all_net_revenue') }} as net_revenue_share,
    {{ as_decimal('cast(net_revenue as double) / nullif(buyer_count, 0)', 18, 2) }} as net_revenue_per_buyer,
    cast(mean_days_since_order as double) as mean_days_since_order,
    rfm_group = klaviyo_rfm_group as is_same_group
from with_total
