with memberships as (

    select customer_id, count(*) as segment_count
    from {{ ref('stg_klaviyo__segment_members') }}
    group by customer_id

)

select
    profiles.customer_id,
    consents.person_id,
    coalesce(tiered.clv_tier, 'no_prediction') as clv_tier,
    tiered.churn_band,
    profiles.country,
    profiles.region,
    profiles.locale,
    account.currency,
    tiered.predicted_clv,
    tiered.historic_clv,
    tiered.total_clv,
    tiered.average_order_value,
    tiered.historic_order_count,
    tiered.predicted_order_count,
    tiered.average_days_between_orders,
    tiered.churn_probability,
    coalesce(memberships.segment_count, 0) as segment_count,
    profiles.email is not null as is_identified,
    profiles.has_phone_number,
    profiles.can_receive_email,
    profiles.can_receive_sms,
    coalesce(people.may_be_mailed, false) as may_be_mailed,
    coalesce(consents.has_sms_consent, false) as may_be_texted,
    tiered.measured_on,
    profiles.created_at,
    profiles.updated_at,
    profiles.last_event_at,
    tiered.next_order_expected_at
from {{ ref('stg_klaviyo__profiles') }} as profiles
cross join {{ ref('int_account_currency') }} as account
left join {{ ref('int_customers_tiered') }} as tiered on profiles.customer_id = tiered.customer_id
left join {{ ref('int_customers_consented') }} as consents on profiles.customer_id = consents.customer_id
left join {{ ref('dim_people') }} as people on consents.person_id = people.person_id
left join memberships on profiles.customer_id = memberships.customer_id
