{%- set channels = var('lifecycle_rules') -%}

with touches as (

    select buyer_id, person_id, channel, touched_on from {{ ref('int_days_touched') }}

    union all

    select buyer_id, max(person_id) as person_id, 'shop' as channel, ordered_on as touched_on
    from {{ ref('fct_orders') }}
    where {{ order_counts() }}
    group by buyer_id, ordered_on

),

rules as (

    {% for channel, its in channels.items() -%}
    select
        '{{ channel }}' as channel,
        '{{ 'wistia' if channel == 'video' else 'klaviyo' }}' as vendor,
        {{ its.new_within }} as new_within,
        {{ its.at_risk_after }} as at_risk_after,
        {{ its.lapsed_after }} as lapsed_after
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

spaced as (

    select
        touches.*,
        {{ dbt.datediff('lag(touched_on) over (partition by buyer_id, channel order by touched_on)', 'touched_on', 'day') }} as gap_days
    from touches

),

summed as (

    select
        spaced.buyer_id,
        spaced.channel,
        max(spaced.person_id) as person_id,
        count(*) as active_day_count,
        min(spaced.touched_on) as first_on,
        max(case when spaced.gap_days > rules.lapsed_after then spaced.touched_on end) as came_back_on,
        max(spaced.touched_on) as last_on
    from spaced
    join rules on spaced.channel = rules.channel
    group by spaced.buyer_id, spaced.channel

),

aged as (

    select
        summed.*,
        rules.new_within,
        rules.at_risk_after,
        rules.lapsed_after,
        {{ dbt.datediff('summed.first_on', 'observed.observed_until', 'day') }} as days_since_first,
        {{ dbt.datediff('summed.came_back_on', 'observed.observed_until', 'day') }} as days_since_return,
        cast({{ dbt.datediff('summed.last_on', 'observed.observed_until', 'day') }} as bigint) as days_since_last
    from summed
    join rules on summed.channel = rules.channel
    join {{ ref('int_observed_days') }} as observed on rules.vendor = observed.vendor

)

select
    buyer_id,
    person_id,
    channel,
    case
        when days_since_last > lapsed_after then 'lapsed'
        when days_since_last > at_risk_after then 'at_risk'
        when days_since_return < new_within then 'won_back'
        when days_since_first < new_within then 'new'
        else 'active'
    end as lifecycle,
    active_day_count,
    days_since_last,
    first_on,
    came_back_on,
    last_on
from aged
