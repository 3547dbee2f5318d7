{%- set purposes = [('forecast', 0, var('prediction_days')), ('check', var('expected_check_days'), var('expected_check_days'))] -%}

-- One purchase is a day with orders, and nothing after fitted_to is known.
with days as (

    select
        buyer_id,
        max(person_id) as person_id,
        ordered_on,
        sum(net_amount) as amount
    from {{ ref('fct_orders') }}
    where {{ order_counts() }}
    group by buyer_id, ordered_on

),

purposes as (

    {% for purpose, left_out, horizon in purposes -%}
    select
        '{{ purpose }}' as purpose,
        {{ horizon }} as horizon_days,
        cast({{ dbt.dateadd('day', -left_out, 'observed_until') }} as date) as fitted_to
    from {{ ref('int_observed_days') }}
    where vendor = 'klaviyo'{{ '' if var('expected_orders_enabled') else ' and 1 = 0' }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

firsts as (

    select *, min(ordered_on) over (partition by buyer_id) as first_ordered_on
    from days

)

select
    purposes.purpose,
    firsts.buyer_id,
    max(firsts.person_id) as person_id,
    account.currency,
    count(*) - 1 as frequency,
    cast({{ dbt.datediff('min(firsts.ordered_on)', 'max(firsts.ordered_on)', 'day') }} as bigint) as recency_days,
    cast({{ dbt.datediff('min(firsts.ordered_on)', 'max(purposes.fitted_to)', 'day') }} as bigint) as age_days,
    cast({{ mean('case when firsts.ordered_on > firsts.first_ordered_on then firsts.amount end') }} as double) as mean_repeat_value,
    cast(max(purposes.horizon_days) as bigint) as horizon_days,
    cast({{ var('expected_repeat_buyers_from') }} as bigint) as repeat_buyers_from,
    max(purposes.fitted_to) as fitted_to
from purposes
join firsts on firsts.ordered_on <= purposes.fitted_to
cross join {{ ref('int_account_currency') }} as account
group by purposes.purpose, firsts.buyer_id, account.currency
