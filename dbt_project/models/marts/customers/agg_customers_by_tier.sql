with summed as (

    select
        clv_tier,
        churn_band,
        count(*) as customer_count,
        sum(predicted_clv) as predicted_clv,
        {{ mean('predicted_clv') }} as mean_predicted_clv
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
    account.currency,
    customer_count,
    {{ share_with_interval('customer_count', 'tier_count', 'tier_share') }},
    cast(predicted_clv as decimal(18, 2)) as predicted_clv,
    {{ as_decimal('mean_predicted_clv', 18, 2) }} as mean_predicted_clv,
    {{ is_small('tier_count') }} as is_small_sample
from with_total
cross join {{ ref('int_account_currency') }} as account
