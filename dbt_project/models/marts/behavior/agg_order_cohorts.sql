with orders as (

    select buyer_id, ordered_on, net_amount
    from {{ ref('fct_orders') }}
    where {{ order_counts() }}

),

members as (

    select 'first_order' as cohort_kind, buyer_id, cast(date_trunc('month', first_ordered_on) as date) as cohort_month
    from {{ ref('dim_buyers') }}

    union all

    select 'first_touch' as cohort_kind, buyer_id, cast(date_trunc('month', min(touched_on)) as date) as cohort_month
    from (
        select buyer_id, touched_on from {{ ref('int_days_touched') }}
        union all
        select buyer_id, first_ordered_on as touched_on from {{ ref('dim_buyers') }}
    ) as touches
    group by buyer_id

),

cohorts as (

    select cohort_kind, cohort_month, count(*) as member_count
    from members
    group by cohort_kind, cohort_month

),

acts as (

    select
        members.cohort_kind,
        members.cohort_month,
        {{ dbt.datediff('members.cohort_month', 'orders.ordered_on', 'month') }} as month_number,
        count(distinct orders.buyer_id) as buyer_count,
        count(*) as order_count,
        sum(orders.net_amount) as net_revenue
    from members
    join orders on members.buyer_id = orders.buyer_id
    group by 1, 2, 3

),

numbers as (

    select generated_number - 1 as month_number
    from ({{ dbt.generate_series(var('cohort_months')) }}) as series

),

-- No cell lies in the future: months begin on or before the last day with an event.
cells as (

    select
        cohorts.*,
        cast(numbers.month_number as bigint) as month_number,
        {{ dbt.datediff('cohorts.cohort_month', dbt.dateadd('day', 1, 'observed.observed_until'), 'month') }} as observed_month_count
    from cohorts
    join {{ ref('int_observed_days') }} as observed on observed.vendor = 'klaviyo'
    join numbers on numbers.month_number <= {{ dbt.datediff('cohorts.cohort_month', 'observed.observed_until', 'month') }}

),

filled as (

    select
        cells.*,
        coalesce(acts.buyer_count, 0) as buyer_count,
        coalesce(acts.order_count, 0) as order_count,
        coalesce(acts.net_revenue, 0) as net_revenue,
        sum(coalesce(acts.net_revenue, 0)) over (
            partition by cells.cohort_kind, cells.cohort_month order by cells.month_number
        ) as cumulative_net_revenue
    from cells
    left join acts
        on cells.cohort_kind = acts.cohort_kind
        and cells.cohort_month = acts.cohort_month
        and cells.month_number = acts.month_number

)

select
    cohort_kind,
    account.currency,
    month_number,
    cast(observed_month_count as bigint) as observed_month_count,
    member_count,
    buyer_count,
    {{ share_with_interval('buyer_count', 'member_count', 'buyer_share') }},
    order_count,
    cast(net_revenue as decimal(18, 2)) as net_revenue,
    cast(cumulative_net_revenue as decimal(18, 2)) as cumulative_net_revenue,
    {{ as_decimal('cast(cumulative_net_revenue as double) / nullif(member_count, 0)', 18, 2) }} as cumulative_net_revenue_per_member,
    month_number < observed_month_count as is_complete,
    {{ is_small('member_count') }} as is_small_sample,
    cohort_month
from filled
cross join {{ ref('int_account_currency') }} as account
