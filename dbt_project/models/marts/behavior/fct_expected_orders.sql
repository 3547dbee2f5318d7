-- The mean value lies between the buyer's own and everybody's: gamma-gamma's formula, whose parameters were fitted.
with expected as (

    select
        histories.*,
        expectations.expected_order_count,
        expectations.alive_probability,
        fits.p * (fits.gamma + histories.frequency * coalesce(histories.mean_repeat_value, 0))
        / nullif(fits.p * histories.frequency + fits.q - 1, 0) as expected_order_value
    from {{ ref('fct_purchase_histories') }} as histories
    join {{ ref('stg_operations__lifetime_expectations') }} as expectations
        on histories.purpose = expectations.purpose
        and histories.frequency = expectations.frequency
        and histories.recency_days = expectations.recency_days
        and histories.age_days = expectations.age_days
    join {{ ref('stg_operations__lifetime_fits') }} as fits
        on histories.purpose = fits.purpose
        and histories.fitted_to = fits.fitted_to

),

-- A buyer may have several profiles, which Klaviyo predicts each by itself.
klaviyo as (

    select
        coalesce(person_id, customer_id) as buyer_id,
        sum(predicted_clv) as predicted_clv,
        sum(predicted_order_count) as predicted_order_count
    from {{ ref('dim_customers') }}
    group by coalesce(person_id, customer_id)

)

select
    expected.purpose,
    expected.buyer_id,
    expected.person_id,
    expected.currency,
    expected.frequency,
    expected.horizon_days,
    {{ as_decimal('expected.alive_probability', 7, 6) }} as alive_probability,
    {{ as_decimal('expected.expected_order_count', 18, 6) }} as expected_order_count,
    {{ as_decimal('expected.expected_order_value', 18, 2) }} as expected_order_value,
    {{ as_decimal('expected.expected_order_count * expected.expected_order_value', 18, 2) }} as expected_net_revenue,
    cast(case when expected.purpose = 'forecast' then klaviyo.predicted_order_count end as decimal(18, 2)) as klaviyo_order_count,
    cast(case when expected.purpose = 'forecast' then klaviyo.predicted_clv end as decimal(18, 2)) as klaviyo_predicted_clv,
    expected.fitted_to
from expected
left join klaviyo on expected.buyer_id = klaviyo.buyer_id
