with days as (

    select
        *,
        max(month_from) over () as last_month,
        max(called_on) over () as last_day
    from {{ ref('fct_credits_to_date') }}

)

select
    kind,
    credits,
    month_credits,
    month_total_credits,
    called_on = last_day as is_last_day,
    called_on,
    next_called_on,
    month_from
from days
where month_from = last_month
