with orders as (

    select
        *,
        row_number() over (partition by buyer_id order by ordered_at, order_id) as counted_number
    from {{ ref('fct_orders') }}
    where {{ order_counts() }}

),

summed as (

    select
        buyer_id,
        max(person_id) as person_id,
        count(*) as order_count,
        count(distinct ordered_on) as purchase_day_count,
        sum(net_amount) as net_revenue,
        min(ordered_on) as first_ordered_on,
        min(case when counted_number = 2 then ordered_on end) as second_ordered_on,
        max(ordered_on) as last_ordered_on
    from orders
    group by buyer_id

),

ranked as (

    select
        *,
        count(*) over () as buyer_count,
        rank() over (order by last_ordered_on) - 1 as less_recent_count,
        rank() over (order by order_count) - 1 as less_frequent_count,
        rank() over (order by net_revenue) - 1 as less_valuable_count
    from summed

),

scored as (

    select
        ranked.*,
        cast({{ dbt.datediff('ranked.last_ordered_on', 'observed.observed_until', 'day') }} as bigint) as days_since_order,
        {%- for score, lower in [('recency', 'recent'), ('frequency', 'frequent'), ('monetary', 'valuable')] %}
        {{ part_of_all('less_' ~ lower ~ '_count', 'buyer_count', var('rfm_scores')) }} as {{ score }}_score,
        {%- endfor %}
        {{ part_of_all('less_frequent_count', 'buyer_count', 3) }} as klaviyo_frequency_score,
        {{ part_of_all('less_valuable_count', 'buyer_count', 3) }} as klaviyo_monetary_score
    from ranked
    join {{ ref('int_observed_days') }} as observed on observed.vendor = 'klaviyo'

),

by_klaviyo as (

    select
        *,
        cast(case
            when days_since_order <= {{ var('klaviyo_rfm_recent_days') }} then 3
            when days_since_order <= {{ var('klaviyo_rfm_earlier_days') }} then 2
            else 1
        end as bigint) as klaviyo_recency_score
    from scored

)

select
    buyer_id,
    person_id,
    case
        {%- for rule in var('rfm_group_rules') %}
        when true
            {%- for score in ['recency', 'frequency', 'monetary'] if score ~ '_from' in rule %} and {{ score }}_score >= {{ rule[score ~ '_from'] }}
            {%- endfor %} then '{{ rule.group }}'
        {%- endfor %}
    end as rfm_group,
    case 100 * klaviyo_recency_score + 10 * klaviyo_frequency_score + klaviyo_monetary_score
        {%- for group, scores in var('klaviyo_rfm_groups').items() -%}
        {%- for score in scores %}
        when {{ score }} then '{{ group }}'
        {%- endfor -%}
        {%- endfor %}
    end as klaviyo_rfm_group,
    account.currency,
    order_count,
    purchase_day_count,
    recency_score,
    frequency_score,
    monetary_score,
    klaviyo_recency_score,
    klaviyo_frequency_score,
    klaviyo_monetary_score,
    days_since_order,
    cast(net_revenue as decimal(18, 2)) as net_revenue,
    first_ordered_on,
    second_ordered_on,
    last_ordered_on
from by_klaviyo
cross join {{ ref('int_account_currency') }} as account
