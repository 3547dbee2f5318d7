{%- set measures = {
    'net_revenue': ['predicted_net_revenue', 'actual_net_revenue'],
    'order_count': ['predicted_order_count', 'actual_order_count'],
    'churn': ['churn_probability', 'case when has_churned then 1 when not has_churned then 0 end'],
} -%}
{%- set z = var('confidence_z') -%}

with pairs as (

    {% for measure, (predicted, actual) in measures.items() -%}
    select
        predictor,
        '{{ measure }}' as measure,
        cast(date_trunc('month', measured_on) as date) as measured_month,
        horizon_days,
        cast({{ predicted }} as decimal(24, 6)) as predicted,
        cast({{ actual }} as decimal(24, 6)) as actual,
        is_due
    from {{ ref('fct_prediction_outcomes') }}
    where {{ predicted }} is not null
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

ranked as (

    select
        *,
        count(*) over (partition by predictor, measure, measured_month) as whole_count,
        count(case when not is_due then 1 end) over (partition by predictor, measure, measured_month) as waiting_count,
        rank() over (partition by predictor, measure, measured_month order by predicted) - 1 as lower_count
    from pairs

),

summed as (

    select
        predictor,
        measure,
        measured_month,
        horizon_days,
        {{ part_of_all('lower_count', 'whole_count', 10) }} as decile,
        count(*) as person_count,
        {{ mean('predicted') }} as mean_predicted,
        {{ mean('actual') }} as mean_actual,
        {{ mean(as_decimal('cast(actual as double) * cast(actual as double)', 38, 4)) }} as mean_square,
        {{ mean('abs(predicted - actual)') }} as mean_absolute_error
    from ranked
    where waiting_count = 0
    group by 1, 2, 3, 4, 5

),

-- The interval of the mean of what happened; below two people there is none.
bounded as (

    select
        *,
        case when person_count > 1 then
            {{ z }} * sqrt(greatest(0, cast(mean_square as double) - cast(mean_actual as double) * cast(mean_actual as double))
                / nullif(person_count - 1, 0))
        end as margin
    from summed

)

select
    predictor,
    measure,
    case when measure = 'net_revenue' then account.currency end as currency,
    decile,
    horizon_days,
    person_count,
    cast(mean_predicted as double) as mean_predicted,
    cast(mean_actual as double) as mean_actual,
    cast(mean_actual - margin as double) as mean_actual_low,
    cast(mean_actual + margin as double) as mean_actual_high,
    cast(mean_predicted - mean_actual as double) as bias,
    cast(mean_absolute_error as double) as mean_absolute_error,
    mean_predicted between mean_actual - margin and mean_actual + margin as is_covered,
    {{ is_small('person_count') }} as is_small_sample,
    measured_month
from bounded
cross join {{ ref('int_account_currency') }} as account
