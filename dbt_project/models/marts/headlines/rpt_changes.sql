with headlines as (

    {{ headlines(var('headline_rate_days'), var('headline_rate_days')) }}

)

select
    measure,
    direction,
    currency,
    window_days,
    amount,
    amount_before,
    change_share,
    is_rate,
    is_small_sample,
    is_surely_different,
    measured_to
from headlines
where measure <> 'credits'
