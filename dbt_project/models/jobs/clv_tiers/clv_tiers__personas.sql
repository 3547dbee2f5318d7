{%- set step = var('persona_share_step') -%}

-- A persona per tier with customers; customers without a prediction are a number in each, not a tier.
with

tiers as (

    select * from {{ ref('agg_clv_tiers') }} where clv_tier <> 'no_prediction' and customer_count > 0

),

unpredicted as (

    select customer_count from {{ ref('agg_clv_tiers') }} where clv_tier = 'no_prediction'

),

customer_countries as (

    select
        clv_tier,
        country,
        {{ share('count(*)', 'sum(count(*)) over (partition by clv_tier)') }} as share
    from {{ ref('dim_customers') }}
    where country is not null
    group by clv_tier, country

),

customer_country_lists as (

    select
        tiers.clv_tier,
        {{ sorted_list(
            "case when countries.share >= " ~ var('listed_from_share') ~ " then "
            ~ record([['share', in_steps('countries.share', step)], ['country', label('countries.country')]]) ~ " end"
        ) }} as countries
    from tiers
    left join customer_countries as countries on tiers.clv_tier = countries.clv_tier
    group by tiers.clv_tier

)

select
    tiers.clv_tier as entity,
    {{ titled('Customers by predicted value', 'tiers.clv_tier') }} as name,
    {{ facts_with_steps([
        ['clv_tier', 'tiers.clv_tier'],
        ['tier_from_share', 'tiers.from_share'],
        ['tier_to_share', 'tiers.to_share'],
        figure('customer_count', 'tiers.customer_count'),
        measure('share_of_predicted_customers', 'tiers.predicted_customer_share', step),
        measure('share_of_predicted_value', 'tiers.predicted_value_share', step),
        ['currency', known_currency('tiers.currency')],
        figure('mean_predicted_clv', 'tiers.mean_predicted_clv'),
        figure('lowest_predicted_clv', 'tiers.low_predicted_clv'),
        figure('highest_predicted_clv', 'tiers.high_predicted_clv'),
        figure('mean_historic_clv', 'tiers.mean_historic_clv'),
        figure('mean_average_order_value', 'tiers.mean_average_order_value'),
        measure('mean_order_count', 'tiers.mean_order_count', 0.1),
        figure('mean_days_between_orders', 'tiers.mean_days_between_orders'),
        measure('mean_churn_probability', 'tiers.mean_churn_probability', step),
        ['churn_shares', record([
            ['low', in_steps('tiers.low_churn_share', step)],
            ['medium', in_steps('tiers.medium_churn_share', step)],
            ['high', in_steps('tiers.high_churn_share', step)],
        ]), {'.low': step, '.medium': step, '.high': step}],
        ['countries', 'customer_country_lists.countries', {'[]': var('listed_from_share'), '[].share': step}],
        measure('email_reachable_share', 'tiers.email_reachable_share', step),
        measure('sms_reachable_share', 'tiers.sms_reachable_share', step),
        figure('customers_without_prediction', 'unpredicted.customer_count'),
    ]) }},
    tiers.customer_count as person_count,
    {{ no_references() }} as reference_keys,
    tiers.measured_on
from tiers
join customer_country_lists on tiers.clv_tier = customer_country_lists.clv_tier
cross join unpredicted
