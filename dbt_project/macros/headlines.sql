{# A query: each measure of agg_headline_days over the last `days` full days (a rate over `rate_days`; credits over a calendar
   month), next to as many days before them, with the p value of the difference where it can be tested. #}
{% macro headlines(days, rate_days) -%}
with windows as (

    select
        *,
        case
            when measure = 'credits' then {{ dbt.datediff('happened_on', 'last_day', 'month') }}
            when measure in ('open_rate', 'click_rate') then {{ window_of('happened_on', 'last_day', rate_days) }}
            else {{ window_of('happened_on', 'last_day', days) }}
        end as window_number
    from {{ ref('agg_headline_days') }}

),

summed as (

    select
        measure,
        cast(case
            when measure in ('open_rate', 'click_rate') then {{ rate_days }}
            when measure <> 'credits' then {{ days }}
        end as bigint) as window_days,
        cast(coalesce(sum(case when window_number = 0 then amount end), 0) as double) as amount,
        cast(coalesce(sum(case when window_number = 1 then amount end), 0) as double) as amount_before,
        cast(coalesce(sum(case when window_number = 0 then returned_amount end), 0) as double) as returned_amount,
        cast(sum(case when window_number = 0 then whole_count end) as bigint) as whole_count,
        cast(sum(case when window_number = 1 then whole_count end) as bigint) as whole_count_before,
        cast(case
            when measure = 'credits' then max(last_day)
            else {{ dbt.dateadd('day', -1, 'max(last_day)') }}
        end as date) as measured_to
    from windows
    group by measure

),

rated as (

    select
        *,
        measure in ('open_rate', 'click_rate') as is_rate
    from summed

),

compared as (

    select
        *,
        measure in ('open_rate', 'click_rate', 'new_viewers', 'new_customers', 'orders') as is_tested,
        case
            when is_rate
                then {{ two_proportion_z('amount', 'whole_count', 'amount_before', 'whole_count_before') }}
            -- Counts of independent events have a variance equal to the count.
            when measure in ('new_viewers', 'new_customers', 'orders')
                then (amount - amount_before) / nullif(sqrt(greatest(0, amount + amount_before)), 0)
        end as z_score
    from rated

),

tested as (

    select *, {{ two_sided_p('z_score') }} as p_value from compared

),

judged as (

    {{ with_adjusted_p('tested', [['', 'is_tested']]) }}

)

select
    judged.measure,
    case sign(case when is_tested then z_score else amount - amount_before end) when 1 then 'more' when -1 then 'less' end as direction,
    case when judged.measure = 'revenue' then account.currency end as currency,
    window_days,
    case when is_rate then {{ share('amount', 'whole_count') }} else amount end as amount,
    case when is_rate then {{ share('amount_before', 'whole_count_before') }} else amount_before end as amount_before,
    -- Minus the part canceled or refunded so far. Returns of the latest orders are incomplete, so they have no comparison.
    case when judged.measure = 'revenue' then amount - returned_amount end as net_amount,
    whole_count,
    whole_count_before,
    -- An incomplete month is not compared with a complete one.
    case when not is_rate and measure <> 'credits' then {{ share('amount', 'amount_before') }} - 1 end as change_share,
    is_rate,
    is_rate and ({{ is_small('whole_count') }} or {{ is_small('whole_count_before') }}) as is_small_sample,
    adjusted_p_value < {{ var('false_discovery_below') }} as is_surely_different,
    measured_to
from judged
cross join {{ ref('int_account_currency') }} as account
{%- endmacro %}
