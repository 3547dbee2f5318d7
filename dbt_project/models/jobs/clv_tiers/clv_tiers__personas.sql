{%- set step = var('persona_share_step') -%}
{#- Everybody's averages by the steps of the facts; none is two digits. -#}
{%- set compared = {
    'mean_predicted_clv': none,
    'mean_historic_clv': none,
    'mean_average_order_value': none,
    'mean_order_count': 0.1,
    'mean_days_between_orders': none,
    'mean_churn_probability': step,
    'overdue_share': step,
    'viewer_share': step,
    'email_reachable_share': step,
    'sms_reachable_share': step,
} -%}

-- A persona per tier with customers. Customers without a prediction are in none.
with

tiers as (

    select * from {{ ref('agg_clv_tiers') }} where clv_tier <> 'no_prediction' and customer_count > 0

),

compared as (

    {{ groups_compared('clv-tiers', 'tiers', 'clv_tier', compared, {
        'leaning_categories': 'category', 'reading_devices': 'device', 'reading_hours': 'day_part', 'leaning_countries': 'country',
    }) }}

),

own as (

    select
        entity,
        max(case when fact_name = 'overdue_share' then value end) as overdue_share,
        max(case when fact_name = 'viewer_share' then value end) as viewer_share
    from {{ ref('agg_groups_compared') }}
    where job = 'clv-tiers'
    group by entity

),

ranked_categories as (

    select
        *,
        row_number() over (partition by entity order by value desc, label) as category_position
    from {{ ref('agg_groups_compared') }}
    where job = 'clv-tiers' and fact_name = 'leaning_categories' and value >= {{ var('listed_from_share') }}

),

category_lists as (

    select
        tiers.clv_tier,
        {{ sorted_list(
            "case when categories.category_position <= " ~ var('listed_distinct_labels') ~ " then "
            ~ record([['share', in_steps('categories.value', step)], ['category', label('categories.label')]]) ~ " end"
        ) }} as categories,
        coalesce(
            max(case when categories.category_position = {{ var('listed_distinct_labels') }} then categories.value end),
            {{ var('listed_from_share') }}
        ) as least_share
    from tiers
    left join ranked_categories as categories on tiers.clv_tier = categories.entity
    group by tiers.clv_tier

),

-- The month in which Klaviyo expects the most next orders, of those that are not overdue.
expected as (

    select
        clv_tier,
        {{ month_of('cast(next_order_expected_at as date)') }} as expected_month,
        count(*) as customer_count
    from {{ ref('dim_customers') }}
    where cast(next_order_expected_at as date) >= measured_on
    group by 1, 2

),

ranked_months as (

    select
        *,
        row_number() over (partition by clv_tier order by customer_count desc, expected_month) as month_position
    from expected
    where customer_count >= {{ var('smallest_group') }}

)

select
    tiers.clv_tier as entity,
    {{ called('tiers.clv_tier', {
        'top': 'Loyal Top Spenders',
        'middle': 'Steady Regulars: the middle of the customer base',
        'rest': 'Occasional Buyers: small orders, loose ties',
    }, 'Customers by predicted value') }} as name,
    {{ facts_with_steps([
        ['clv_tier', 'tiers.clv_tier'],
        ['tier_from_share', 'tiers.from_share'],
        ['tier_to_share', 'tiers.to_share'],
        figure('customer_count', 'tiers.customer_count'),
        measure('share_of_predicted_value', 'tiers.predicted_value_share', step),
        ['currency', known_currency('tiers.currency')],
        figure('mean_predicted_clv', 'tiers.mean_predicted_clv'),
        figure('mean_historic_clv', 'tiers.mean_historic_clv'),
        figure('mean_average_order_value', 'tiers.mean_average_order_value'),
        measure('mean_order_count', 'tiers.mean_order_count', 0.1),
        figure('mean_days_between_orders', 'tiers.mean_days_between_orders'),
        measure('mean_churn_probability', 'tiers.mean_churn_probability', step),
        ['churn_shares', record([
            ['low', in_steps('tiers.low_churn_share', step)],
            ['high', in_steps('tiers.high_churn_share', step)],
        ]), {'.low': step, '.high': step}],
        measure('overdue_share', 'own.overdue_share', step),
        measure('viewer_share', 'own.viewer_share', step),
        measure('email_reachable_share', 'tiers.email_reachable_share', step),
        measure('sms_reachable_share', 'tiers.sms_reachable_share', step),
        ['next_order_month', "case when months.expected_month is not null then concat_ws('', months.expected_month, '-01') end"],
        ['top_categories', 'category_lists.categories', {'[]': 'category_lists.least_share', '[].share': step}],
        set_apart('apart'),
        averages('everybody', compared),
        leaning('leaning_categories'),
        leaning('reading_devices'),
        leaning('reading_hours'),
        leaning('leaning_countries'),
    ]) }},
    tiers.customer_count as person_count,
    {{ no_references() }} as reference_keys,
    tiers.measured_on
from tiers
join compared on tiers.clv_tier = compared.entity
join category_lists on tiers.clv_tier = category_lists.clv_tier
left join own on tiers.clv_tier = own.entity
left join ranked_months as months on tiers.clv_tier = months.clv_tier and months.month_position = 1
