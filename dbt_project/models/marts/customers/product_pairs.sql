with purchases as (

    select distinct
        events.customer_id,
        events.product_id,
        cast(events.happened_at as date) as purchased_on
    from {{ ref('stg_klaviyo__events') }} as events
    join {{ ref('stg_klaviyo__metrics') }} as metrics on events.metric_id = metrics.metric_id
    where metrics.metric_name = '{{ var('purchase_metric') }}'
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

measured as (

    select
        joint.product_a_id,
        joint.product_b_id,
        named_a.product_name as product_a_name,
        named_b.product_name as product_b_name,
        named_a.category as product_a_category,
        named_b.category as product_b_category,
        named_a.price_usd + named_b.price_usd as pair_price_usd,
        'unpublished' not in (named_a.standing, named_b.standing) as is_offered,
        account.customer_count,
        a.customer_count as product_a_customer_count,
        b.customer_count as product_b_customer_count,
        joint.joint_customer_count,
        {{ share('joint.joint_customer_count', 'account.customer_count') }} as support_share,
        {{ share('joint.joint_customer_count', 'a.customer_count') }} as a_to_b_share,
        {{ share('joint.joint_customer_count', 'b.customer_count') }} as b_to_a_share,
        {{ wilson_low('joint.joint_customer_count', 'a.customer_count') }} as a_to_b_share_low,
        {{ wilson_high('joint.joint_customer_count', 'a.customer_count') }} as a_to_b_share_high,
        {{ share('b.customer_count', 'account.customer_count') }} as b_share,
        account.measured_on
    from joint
    cross join account
    join products as a on joint.product_a_id = a.product_id
    join products as b on joint.product_b_id = b.product_id
    join {{ ref('dim_products') }} as named_a on joint.product_a_id = named_a.product_id
    join {{ ref('dim_products') }} as named_b on joint.product_b_id = named_b.product_id

)

select
    product_a_id,
    product_b_id,
    product_a_name,
    product_b_name,
    product_a_category,
    product_b_category,
    customer_count,
    product_a_customer_count,
    product_b_customer_count,
    joint_customer_count,
    support_share,
    a_to_b_share,
    b_to_a_share,
    a_to_b_share / b_share as lift,
    a_to_b_share_low / b_share as lift_low,
    a_to_b_share_high / b_share as lift_high,
    cast(pair_price_usd as decimal(18, 2)) as pair_price_usd,
    joint_customer_count >= {{ var('smallest_group') }}
        and a_to_b_share / b_share > {{ var('pair_lift_above') }}
        and a_to_b_share_low / b_share > 1 as is_affinity,
    is_offered,
    measured_on
from measured
