{%- set z = var('confidence_z') -%}

-- Kaplan and Meier's estimate: a buyer without a second order counts until the last day with an event, and then for neither side.
with spans as (

    select
        buyers.second_ordered_on is not null as has_ordered_again,
        {{ dbt.datediff(
            'buyers.first_ordered_on', 'coalesce(buyers.second_ordered_on, observed.observed_until)', 'day'
        ) }} as day_count
    from {{ ref('dim_buyers') }} as buyers
    join {{ ref('int_observed_days') }} as observed on observed.vendor = 'klaviyo'

),

days as (

    select
        day_count,
        count(*) as ended_count,
        count(*) filter (where has_ordered_again) as second_order_count
    from spans
    group by day_count

),

at_risk as (

    select
        day_count,
        second_order_count,
        ended_count - second_order_count as censored_count,
        cast(sum(ended_count) over (order by day_count desc) as bigint) as waiting_count
    from days

),

-- On the day when everybody still waiting orders, nobody is left, and a logarithm has no value.
logs as (

    select
        *,
        case when second_order_count < waiting_count then ln(1 - cast(second_order_count as double) / nullif(waiting_count, 0)) end as stay,
        case
            when second_order_count < waiting_count
                then cast(second_order_count as double) / nullif(cast(waiting_count as double) * (waiting_count - second_order_count), 0)
        end as spread,
        case when second_order_count = waiting_count then 1 else 0 end as is_last
    from at_risk

),

summed as (

    select
        *,
        case when sum(is_last) over (order by day_count) > 0 then 0.0 else exp(sum(stay) over (order by day_count)) end as staying,
        sqrt(sum(spread) over (order by day_count)) as deviation
    from logs

),

estimated as (

    select
        *,
        cast(1 - staying as double) as share,
        case when staying > 0 and staying < 1 then exp({{ z }} * deviation / nullif(ln(staying), 0)) end as narrower,
        case when staying > 0 and staying < 1 then exp(-{{ z }} * deviation / nullif(ln(staying), 0)) end as wider
    from summed

)

select
    cast(day_count as bigint) as day_number,
    waiting_count,
    second_order_count,
    censored_count,
    share as ordered_again_share,
    1 - power(staying, narrower) as ordered_again_share_low,
    1 - power(staying, wider) as ordered_again_share_high,
    share >= 0.5 and coalesce(lag(share) over (order by day_count), 0) < 0.5 as is_median,
    {{ is_small('waiting_count') }} as is_small_sample
from estimated
