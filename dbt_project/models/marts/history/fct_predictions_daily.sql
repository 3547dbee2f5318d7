select
    predictions.customer_id,
    people.person_id,
    account.currency,
    predictions.predicted_clv,
    predictions.historic_clv,
    predictions.total_clv,
    predictions.average_order_value,
    predictions.historic_order_count,
    predictions.predicted_order_count,
    predictions.average_days_between_orders,
    predictions.churn_probability,
    predictions.measured_on,
    predictions.next_order_expected_at
from {{ ref('stg_klaviyo__predictive_analytics') }} as predictions
cross join {{ ref('int_account_currency') }} as account
left join {{ ref('int_customers_consented') }} as people on predictions.customer_id = people.customer_id
