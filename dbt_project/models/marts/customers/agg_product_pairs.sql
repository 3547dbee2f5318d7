{%- set bundled = '(named_a.price + named_b.price) * (1 - ' ~ var('bundle_discount_share') ~ ')' -%}

with purchases as (

    select distinct
        events.customer_id,
        events.product_id,
        cast(events.happened_at as date) as purchased_on
    from {{ ref('stg_klaviyo__events') }} as events
    join {{ ref('int_metric_roles') }} as metrics on events.metric_id = metrics.metric_id
    where metrics.metric_role = 'ordered_product'
        and events.product_id is not null and events.customer_id is not null

),

products as (

    select product_id, count(distinct customer_id) as customer_count
    from purchases
    group by product_id

),

account as (

    select count(distinct customer_id) as customer_count, max(purchased_on) as measured_on from purchases

),

-- All pairs of products, including those that nobody bought together: how many have enough buyers to be judged, and how many joint
-- buyers all pairs would have if purchases were independent.
every_pair as (

    select
        count(*) filter (where customer_count >= {{ var('smallest_group') }}) as judged_product_count,
        (power(cast(sum(customer_count) as double), 2) - sum(power(cast(customer_count as double), 2))) / 2
            as customer_count_product
    from products

),

joint as (

    select
        first.product_id as product_a_id,
        second.product_id as product_b_id,
        count(distinct first.customer_id) as joint_customer_count
    from purchases as first
    join purchases as second
        on first.customer_id = second.customer_id
        and first.product_id < second.product_id
        and abs({{ dbt.datediff('first.purchased_on', 'second.purchased_on', 'day') }})
            <= {{ var('pair_window_days') }}
    group by first.product_id, second.product_id

),

-- Frequent buyers buy more of everything: all pairs together are bought this much more often than independent ones would be.
overall as (

    select
        max(every_pair.judged_product_count * (every_pair.judged_product_count - 1) / 2) as judged_pair_count,
        sum(joint.joint_customer_count)
        / nullif(max(every_pair.customer_count_product) / nullif(max(account.customer_count), 0), 0) as overall_lift
    from joint
    cross join every_pair
    cross join account

),

measured as (

    select
        joint.product_a_id,
        joint.product_b_id,
        account.customer_count,
        a.customer_count as product_a_customer_count,
        b.customer_count as product_b_customer_count,
        joint.joint_customer_count,
        overall.overall_lift * a.customer_count * b.customer_count / nullif(account.customer_count, 0)
            as chance_customer_count,
        least(a.customer_count, b.customer_count) >= {{ var('smallest_group') }} as is_judged,
        overall.judged_pair_count,
        account.measured_on
    from joint
    cross join account
    cross join overall
    join products as a on joint.product_a_id = a.product_id
    join products as b on joint.product_b_id = b.product_id

),

-- The square root of a count has the same variance at any size; a pair's variance decreases with the size of its products.
scored as (

    select
        *,
        2 * (sqrt(joint_customer_count) - sqrt(chance_customer_count)) / nullif(sqrt(
            (1 - {{ share('product_a_customer_count', 'customer_count') }})
            * (1 - {{ share('product_b_customer_count', 'customer_count') }})
        ), 0) as z_score
    from measured

),

tested as (

    select *, {{ p_above('z_score') }} as p_value from scored

),

adjusted as (

    {{ with_adjusted_p('tested', [['', 'is_judged']], count='judged_pair_count') }}

),

judged as (

    select *, joint_customer_count / nullif(chance_customer_count, 0) as lift
    from adjusted

)

select
    judged.product_a_id,
    judged.product_b_id,
    named_a.product_name as product_a_name,
    named_b.product_name as product_b_name,
    named_a.category as product_a_category,
    named_b.category as product_b_category,
    named_a.currency,
    judged.customer_count,
    judged.product_a_customer_count,
    judged.product_b_customer_count,
    judged.joint_customer_count,
    judged.chance_customer_count,
    {{ share('judged.joint_customer_count', 'judged.customer_count') }} as support_share,
    {{ share('judged.joint_customer_count', 'judged.product_a_customer_count') }} as a_to_b_share,
    {{ share('judged.joint_customer_count', 'judged.product_b_customer_count') }} as b_to_a_share,
    judged.lift,
    {% for end in ['low', 'high'] -%}
    {%- set wilson = wilson_low if end == 'low' else wilson_high -%}
    {{ wilson('judged.joint_customer_count', 'judged.product_a_customer_count') }}
        * judged.product_a_customer_count / nullif(judged.chance_customer_count, 0) as lift_{{ end }},
    {% endfor -%}
    judged.p_value,
    judged.adjusted_p_value,
    cast(judged.judged_pair_count as bigint) as judged_pair_count,
    cast(named_a.price + named_b.price as decimal(18, 2)) as pair_price,
    cast(
        case when {{ bundled }} >= {{ var('bundle_without_cents_from') }} then round({{ bundled }}, 0) else round({{ bundled }}, 2) end
        as decimal(18, 2)
    ) as bundle_price,
    coalesce(
        judged.joint_customer_count >= {{ var('smallest_group') }}
        and judged.lift > {{ var('pair_lift_above') }}
        and judged.adjusted_p_value < {{ var('false_discovery_below') }},
        false
    ) as is_affinity,
    'unpublished' not in (named_a.standing, named_b.standing) as is_offered,
    {{ is_small('judged.joint_customer_count') }} as is_small_sample,
    judged.measured_on
from judged
join {{ ref('dim_products') }} as named_a on judged.product_a_id = named_a.product_id
join {{ ref('dim_products') }} as named_b on judged.product_b_id = named_b.product_id
