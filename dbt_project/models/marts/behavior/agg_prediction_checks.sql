{%- set measures = {'net_revenue': 'predicted_net_revenue', 'order_count': 'predicted_order_count', 'churn': 'churn_probability'} -%}

with predicted as (

    {% for measure, column in measures.items() -%}
    select
        predictor,
        '{{ measure }}' as measure,
        cast(date_trunc('month', measured_on) as date) as measured_month,
        max(horizon_days) as horizon_days,
        count(*) as prediction_count,
        count(*) filter (where is_due) = count(*) as is_due,
        max(due_on) as due_on
    from {{ ref('fct_prediction_outcomes') }}
    where {{ column }} is not null
    group by 1, 2, 3
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

checked as (

    select
        predictor,
        measure,
        measured_month,
        sum(person_count * mean_predicted) / nullif(sum(person_count), 0) as mean_predicted,
        sum(person_count * mean_actual) / nullif(sum(person_count), 0) as mean_actual,
        sum(person_count * mean_absolute_error) / nullif(sum(person_count), 0) as mean_absolute_error,
        count(*) as decile_count,
        count(*) filter (where is_covered) as covered_decile_count
    from {{ ref('agg_prediction_deciles') }}
    group by predictor, measure, measured_month

)

select
    predicted.predictor,
    predicted.measure,
    case when predicted.measure = 'net_revenue' then account.currency end as currency,
    predicted.horizon_days,
    predicted.prediction_count,
    checked.decile_count,
    checked.covered_decile_count,
    cast(checked.mean_predicted as double) as mean_predicted,
    cast(checked.mean_actual as double) as mean_actual,
    cast(checked.mean_predicted - checked.mean_actual as double) as bias,
    {{ share('checked.mean_predicted - checked.mean_actual', 'checked.mean_actual') }} as bias_share,
    cast(checked.mean_absolute_error as double) as mean_absolute_error,
    predicted.is_due,
    predicted.measured_month,
    predicted.due_on
from predicted
cross join {{ ref('int_account_currency') }} as account
left join checked
    on predicted.predictor = checked.predictor
    and predicted.measure = checked.measure
    and predicted.measured_month = checked.measured_month
