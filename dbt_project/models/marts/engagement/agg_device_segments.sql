with personas as (

    {% for persona, classes in var('device_personas').items() -%}
    {%- set persona_loop = loop -%}
    {%- for device_class in classes %}
    select '{{ persona }}' as device_persona, '{{ device_class }}' as device_class
    {{ 'union all' if not (loop.last and persona_loop.last) }}
    {%- endfor %}
    {%- endfor %}

),

shares as (

    select * from {{ ref('agg_engagement_shares') }} where breakdown = 'device'

),

account as (

    select
        max(total_count) as total_count,
        min(measured_from) as measured_from,
        max(measured_to) as measured_to
    from shares

),

windowed as (

    select
        personas.device_persona,
        cast(coalesce(sum(shares.summed_daily_count), 0) as bigint) as summed_daily_unique_open_count
    from personas
    left join shares on personas.device_class = shares.label
    group by personas.device_persona

),

days as (

    select
        personas.device_persona,
        daily.happened_on,
        sum(daily.daily_unique_open_count) as daily_unique_open_count
    from {{ ref('fct_opens_by_device_daily') }} as daily
    join personas on daily.device_class = personas.device_class
    join account on daily.happened_on between account.measured_from and account.measured_to
    group by personas.device_persona, daily.happened_on

),

busiest as (

    select device_persona, cast(max(daily_unique_open_count) as bigint) as busiest_day_open_count
    from days
    group by device_persona

),

measured as (

    select
        windowed.device_persona,
        windowed.summed_daily_unique_open_count,
        coalesce(account.total_count, 0) as total_count,
        coalesce(busiest.busiest_day_open_count, 0) as busiest_day_open_count,
        {{ share_with_interval('windowed.summed_daily_unique_open_count', 'account.total_count', 'share') }},
        account.measured_from,
        account.measured_to
    from windowed
    cross join account
    left join busiest on windowed.device_persona = busiest.device_persona

)

select
    device_persona,
    summed_daily_unique_open_count,
    total_count,
    busiest_day_open_count,
    share,
    share_low,
    share_high,
    coalesce(share_low, 0) >= {{ var('device_persona_from_share') }} as is_persona,
    {{ is_small('total_count') }} as is_small_sample,
    measured_from,
    measured_to
from measured
