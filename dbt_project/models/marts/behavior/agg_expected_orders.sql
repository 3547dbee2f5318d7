with compared as (

    select
        *,
        count(*) over () as buyer_count,
        rank() over (order by expected_net_revenue) - 1 as ours_lower_count,
        rank() over (order by klaviyo_predicted_clv) - 1 as klaviyo_lower_count
    from {{ ref('fct_expected_orders') }}
    where purpose = 'forecast' and expected_net_revenue is not null and klaviyo_predicted_clv is not null

),

placed as (

    select
        *,
        {{ part_of_all('ours_lower_count', 'buyer_count', 10) }} as ours_decile,
        {{ part_of_all('klaviyo_lower_count', 'buyer_count', 10) }} as klaviyo_decile
    from compared

)

select
    klaviyo_decile,
    currency,
    max(horizon_days) as horizon_days,
    count(*) as buyer_count,
    cast(sum(klaviyo_predicted_clv) as decimal(18, 2)) as klaviyo_predicted_clv,
    cast(sum(expected_net_revenue) as decimal(18, 2)) as expected_net_revenue,
    cast({{ mean('klaviyo_order_count') }} as double) as mean_klaviyo_order_count,
    cast({{ mean('expected_order_count') }} as double) as mean_expected_order_count,
    cast({{ mean('alive_probability') }} as double) as mean_alive_probability,
    {{ share('count(*) filter (where ours_decile = klaviyo_decile)', 'count(*)') }} as same_decile_share,
    {{ share('count(*) filter (where ours_decile between klaviyo_decile - 1 and klaviyo_decile + 1)', 'count(*)') }} as near_decile_share,
    {{ is_small('count(*)') }} as is_small_sample
from placed
group by klaviyo_decile, currency
