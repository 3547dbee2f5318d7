with tiers as (

    select 'top' as clv_tier, 0.0 as from_share, {{ var('top_tier_to_share') }} as to_share
    union all
    select 'middle', {{ var('top_tier_to_share') }}, {{ var('middle_tier_to_share') }}
    union all
    select 'rest', {{ var('middle_tier_to_share') }}, 1.0
    union all
    select 'no_prediction', null, null

),

customers as (

    select * from {{ ref('dim_customers') }}

),

summed as (

    select
        clv_tier,
        count(*) as customer_count,
        sum(predicted_clv) as predicted_clv,
        {{ mean('predicted_clv') }} as mean_predicted_clv,
        -- As doubles, because engines round the percentiles of decimals differently; below, twice, so that 28.54499999 is 28.55.
        percentile_cont(0.05) within group (order by cast(predicted_clv as double)) as low_predicted_clv,
        percentile_cont(0.95) within group (order by cast(predicted_clv as double)) as high_predicted_clv,
        {{ mean('historic_clv') }} as mean_historic_clv,
        {{ mean('average_order_value') }} as mean_average_order_value,
        {{ mean('historic_order_count') }} as mean_order_count,
        {{ mean('average_days_between_orders') }} as mean_days_between_orders,
        {{ mean('churn_probability') }} as mean_churn_probability,
        count(churn_band) as banded_customer_count,
        count(*) filter (where churn_band = 'low') as low_churn_count,
        count(*) filter (where churn_band = 'medium') as medium_churn_count,
        count(*) filter (where churn_band = 'high') as high_churn_count,
        count(*) filter (where may_be_mailed) as email_reachable_count,
        count(*) filter (where may_be_texted) as sms_reachable_count,
        max(measured_on) as measured_on
    from customers
    group by clv_tier

),

predicted as (

    select
        sum(customer_count) as customer_count,
        sum(predicted_clv) as predicted_clv
    from summed
    where clv_tier <> 'no_prediction'

)

select
    tiers.clv_tier,
    account.currency,
    cast(tiers.from_share as double) as from_share,
    cast(tiers.to_share as double) as to_share,
    coalesce(summed.customer_count, 0) as customer_count,
    case
        when tiers.clv_tier <> 'no_prediction'
            then {{ share('coalesce(summed.customer_count, 0)', 'predicted.customer_count') }}
    end as predicted_customer_share,
    {{ share('summed.predicted_clv', 'predicted.predicted_clv') }} as predicted_value_share,
    cast(summed.predicted_clv as decimal(18, 2)) as predicted_clv,
    {{ as_decimal('summed.mean_predicted_clv', 18, 2) }} as mean_predicted_clv,
    cast({{ as_decimal('summed.low_predicted_clv', 18, 6) }} as decimal(18, 2)) as low_predicted_clv,
    cast({{ as_decimal('summed.high_predicted_clv', 18, 6) }} as decimal(18, 2)) as high_predicted_clv,
    {{ as_decimal('summed.mean_historic_clv', 18, 2) }} as mean_historic_clv,
    {{ as_decimal('summed.mean_average_order_value', 18, 2) }} as mean_average_order_value,
    cast(summed.mean_order_count as double) as mean_order_count,
    cast(summed.mean_days_between_orders as double) as mean_days_between_orders,
    cast(summed.mean_churn_probability as double) as mean_churn_probability,
    coalesce(summed.banded_customer_count, 0) as banded_customer_count,
    {{ share('summed.low_churn_count', 'summed.banded_customer_count') }} as low_churn_share,
    {{ share('summed.medium_churn_count', 'summed.banded_customer_count') }} as medium_churn_share,
    {{ share('summed.high_churn_count', 'summed.banded_customer_count') }} as high_churn_share,
    {{ share('summed.email_reachable_count', 'summed.customer_count') }} as email_reachable_share,
    {{ share('summed.sms_reachable_count', 'summed.customer_count') }} as sms_reachable_share,
    {{ is_small('summed.customer_count') }} as is_small_sample,
    summed.measured_on
from tiers
cross join predicted
cross join {{ ref('int_account_currency') }} as account
left join summed on tiers.clv_tier = summed.clv_tier
