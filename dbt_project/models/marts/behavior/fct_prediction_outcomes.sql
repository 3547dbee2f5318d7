with observed as (

    select observed_from, observed_until
    from {{ ref('int_observed_days') }}
    where vendor = 'klaviyo'

),

orders as (

    select buyer_id, customer_id, ordered_on, net_amount
    from {{ ref('fct_orders') }}
    where {{ order_counts() }}

),

-- The first measurement of each month: more would count the same customers again.
measured as (

    select
        *,
        row_number() over (
            partition by customer_id, cast(date_trunc('month', measured_on) as date) order by measured_on
        ) as place
    from {{ ref('stg_klaviyo__predictive_analytics') }}
    where predicted_clv is not null or predicted_order_count is not null or churn_probability is not null

),

klaviyo as (

    select
        measured.customer_id as subject_id,
        consents.person_id,
        measured.predicted_clv as predicted_net_revenue,
        measured.predicted_order_count,
        measured.churn_probability,
        {{ var('prediction_days') }} as horizon_days,
        measured.measured_on
    from measured
    left join {{ ref('int_customers_consented') }} as consents on measured.customer_id = consents.customer_id
    where measured.place = 1

),

klaviyo_orders as (

    select
        klaviyo.subject_id,
        klaviyo.measured_on,
        count(*) as order_count,
        sum(orders.net_amount) as net_revenue
    from klaviyo
    join orders
        on klaviyo.subject_id = orders.customer_id
        and orders.ordered_on > klaviyo.measured_on
        and orders.ordered_on <= {{ dbt.dateadd('day', 'klaviyo.horizon_days', 'klaviyo.measured_on') }}
    group by klaviyo.subject_id, klaviyo.measured_on

),

ours as (

    select
        buyer_id as subject_id,
        person_id,
        expected_net_revenue as predicted_net_revenue,
        expected_order_count as predicted_order_count,
        horizon_days,
        fitted_to as measured_on
    from {{ ref('fct_expected_orders') }}
    where purpose = 'check'

),

-- Ours expects days with orders.
our_orders as (

    select
        ours.subject_id,
        count(distinct orders.ordered_on) as order_count,
        sum(orders.net_amount) as net_revenue
    from ours
    join orders
        on ours.subject_id = orders.buyer_id
        and orders.ordered_on > ours.measured_on
        and orders.ordered_on <= {{ dbt.dateadd('day', 'ours.horizon_days', 'ours.measured_on') }}
    group by ours.subject_id

),

joined as (

    select
        'klaviyo' as predictor,
        klaviyo.subject_id,
        klaviyo.person_id,
        klaviyo.predicted_net_revenue,
        klaviyo.predicted_order_count,
        klaviyo.churn_probability,
        klaviyo.horizon_days,
        klaviyo.measured_on,
        coalesce(found.order_count, 0) as order_count,
        coalesce(found.net_revenue, 0) as net_revenue
    from klaviyo
    left join klaviyo_orders as found on klaviyo.subject_id = found.subject_id and klaviyo.measured_on = found.measured_on

    union all

    select
        'ours' as predictor,
        ours.subject_id,
        ours.person_id,
        ours.predicted_net_revenue,
        ours.predicted_order_count,
        null as churn_probability,
        ours.horizon_days,
        ours.measured_on,
        coalesce(found.order_count, 0) as order_count,
        coalesce(found.net_revenue, 0) as net_revenue
    from ours
    left join our_orders as found on ours.subject_id = found.subject_id

),

dated as (

    select
        joined.*,
        cast({{ dbt.dateadd('day', 'joined.horizon_days', 'joined.measured_on') }} as date) as due_on,
        observed.observed_from,
        observed.observed_until
    from joined
    cross join observed

)

select
    predictor,
    subject_id,
    person_id,
    account.currency,
    cast(horizon_days as bigint) as horizon_days,
    cast(predicted_net_revenue as decimal(18, 2)) as predicted_net_revenue,
    cast(case when due_on <= observed_until then net_revenue end as decimal(18, 2)) as actual_net_revenue,
    cast(predicted_order_count as decimal(18, 6)) as predicted_order_count,
    case when due_on <= observed_until then order_count end as actual_order_count,
    cast(churn_probability as decimal(7, 6)) as churn_probability,
    case when due_on <= observed_until then order_count = 0 end as has_churned,
    due_on <= observed_until as is_due,
    measured_on,
    due_on
from dated
cross join {{ ref('int_account_currency') }} as account
where measured_on >= observed_from
