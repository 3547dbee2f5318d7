with summed as (

    select
        clv_tier,
        churn_band,
        count(*) as customer_count,
        sum(predicted_clv_usd) as predicted_clv_usd,
        avg(predicted_clv_usd) as mean_predicted_clv_usd
    from {{ ref('dim_customers') }}
    group by clv_tier, churn_band

),

with_total as (

    select
        *,
        sum(customer_count) over (partition by clv_tier) as tier_count
    from summed

)

select
    clv_tier,
    churn_band,
    customer_count,
    {{ share('customer_count', 'tier_count') }} as tier_share,
    {{ wilson_low('customer_count', 'tier_count') }} as tier_share_low,
    {{ wilson_high('customer_count', 'tier_count') }} as tier_share_high,
    cast(predicted_clv_usd as decimal(18, 2)) as predicted_clv_usd,
    cast(mean_predicted_clv_usd as decimal(18, 2)) as mean_predicted_clv_usd,
    {{ is_small('tier_count') }} as is_small_sample
from with_total
