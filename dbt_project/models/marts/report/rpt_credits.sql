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
    cast(coalesce(next_called_on, {{ dbt.dateadd('day', 1, 'called_on') }}) as date) as drawn_to,
    month_from,
    cast({{ dbt.dateadd('month', 1, 'month_from') }} as date) as month_to
from days
where month_from = last_month
