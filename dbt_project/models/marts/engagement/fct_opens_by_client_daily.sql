with summed as (

    select
        client,
        cast(sum(open_count) as bigint) as open_count,
        cast(sum(daily_unique_open_count) as bigint) as daily_unique_open_count,
        happened_on
    from {{ ref('stg_sendgrid__client_stats') }}
    group by client, happened_on

),

with_total as (

    select
        *,
        sum(daily_unique_open_count) over (partition by happened_on) as total_count
    from summed

)

select
    client,
    open_count,
    daily_unique_open_count,
    {{ share('daily_unique_open_count', 'total_count') }} as unique_open_share,
    {{ wilson_low('daily_unique_open_count', 'total_count') }} as unique_open_share_low,
    {{ wilson_high('daily_unique_open_count', 'total_count') }} as unique_open_share_high,
    {{ is_small('total_count') }} as is_small_sample,
    happened_on
from with_total
