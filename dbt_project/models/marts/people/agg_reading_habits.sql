{%- set z = var('statement_z') -%}
{%- set beside -%}
    partition by segment_kind, segment_id, country, region, device_class = 'any', day_part = 'any'
    order by hourly_count desc, device_class, day_part
{%- endset -%}
{#- Hours of a week in each part of the day: an hour belongs to the first part that fits, as in int_reading_events. -#}
{%- set hours = {} -%}
{%- for hour in range(24) -%}
    {%- for days, is_weekend in [(5, false), (2, true)] -%}
        {%- set fits = [] -%}
        {%- for rule in var('day_parts') if rule.hour_from <= hour < rule.hour_to and not (is_weekend and rule.weekdays_only) -%}
            {%- do fits.append(rule.day_part) -%}
        {%- endfor -%}
        {%- if fits -%}
            {%- do hours.update({fits[0]: hours.get(fits[0], 0) + days}) -%}
        {%- endif -%}
    {%- endfor -%}
{%- endfor -%}

with told as (

    select
        *,
        cast(happened_at as date) as happened_on,
        max(cast(happened_at as date)) over () as measured_to
    from {{ ref('int_reading_events') }}
    where device_class is not null and day_part is not null and country is not null

),

readings as (

    select *
    from told
    where {{ dbt.datediff('happened_on', 'measured_to', 'day') }} < {{ var('reading_window_days') }}

),

-- A cell is a kind of device at a part of the day; `any` means all of either.
counted as (

    select person_id, country, region, device_class, day_part, count(*) as event_count
    from readings
    group by person_id, country, region, device_class, day_part

),

people as (

    select person_id, country, region, cast(sum(event_count) as bigint) as event_count
    from counted
    group by person_id, country, region
    having sum(event_count) >= {{ var('reading_events_from') }}

),

cells as (

    select person_id, device_class, day_part, event_count from counted
    union all
    select person_id, device_class, 'any' as day_part, sum(event_count) as event_count
    from counted
    group by person_id, device_class
    union all
    select person_id, 'any' as device_class, day_part, sum(event_count) as event_count
    from counted
    group by person_id, day_part

),

members as (

    select segments.segment_kind, segments.segment_id, segments.segment_name, people.*
    from {{ ref('int_people_segmented') }} as segments
    join people on segments.person_id = people.person_id

),

groups_of_regions as (

    select
        segment_kind,
        segment_id,
        country,
        region,
        max(segment_name) as segment_name,
        count(*) as segment_person_count,
        sum(event_count) as segment_event_count
    from members
    group by segment_kind, segment_id, country, region

),

habits_of_regions as (

    select
        members.segment_kind,
        members.segment_id,
        members.country,
        members.region,
        cells.device_class,
        cells.day_part,
        -- More than half of a person's events: nobody has two habits, and people without a habit count in the whole.
        count(*) filter (where 2 * cells.event_count > members.event_count) as person_count,
        sum(cells.event_count) as event_count,
        -- Every person counts once, whatever the number of events. Decimal, so that the sum does not depend on the order of its rows.
        sum(cast({{ share('cells.event_count', 'members.event_count') }} as decimal(38, 16))) as event_share_sum
    from members
    join cells on members.person_id = cells.person_id
    group by members.segment_kind, members.segment_id, members.country, members.region, cells.device_class, cells.day_part

),

-- Each person counts in their own region, in its country, and in the whole.
{%- set levels = [
    ['country', 'region', 'where region is not null'],
    ['country', "'all'", ''],
    ["'all'", "'all'", ''],
] %}
groups as (

    {% for country, region, known in levels -%}
    select
        segment_kind,
        segment_id,
        {{ country }} as country,
        {{ region }} as region,
        max(segment_name) as segment_name,
        cast(sum(segment_person_count) as bigint) as segment_person_count,
        cast(sum(segment_event_count) as bigint) as segment_event_count
    from groups_of_regions
    {{ known }}
    group by 1, 2, 3, 4
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

habits as (

    {% for country, region, known in levels -%}
    select
        segment_kind,
        segment_id,
        {{ country }} as country,
        {{ region }} as region,
        device_class,
        day_part,
        cast(sum(person_count) as bigint) as person_count,
        cast(sum(event_count) as bigint) as event_count,
        cast(sum(event_share_sum) as double) as event_share_sum,
        case day_part
            {%- for day_part, week_hours in hours.items() %}
            when '{{ day_part }}' then {{ week_hours }} / cast(168 as double)
            {%- endfor %}
            else cast(1 as double)
        end as week_share
    from habits_of_regions
    {{ known }}
    group by 1, 2, 3, 4, 5, 6
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

measured as (

    select
        habits.segment_kind,
        habits.segment_id,
        habits.country,
        habits.region,
        habits.device_class,
        habits.day_part,
        groups.segment_name,
        groups.segment_person_count,
        habits.person_count,
        groups.segment_event_count,
        habits.event_count,
        {{ share_with_interval('habits.person_count', 'groups.segment_person_count', 'person_share') }},
        {{ share('habits.event_count', 'groups.segment_event_count') }} as event_share,
        {{ share('habits.event_share_sum', 'groups.segment_person_count') }} as mean_event_share,
        habits.week_share,
        groups.segment_person_count >= {{ var('small_sample') }} as is_measured,
        {{ wilson_low('habits.person_count', 'groups.segment_person_count', z) }} as surely_above,
        -- Parts of the day differ in length, so they are compared by events per hour. Otherwise a long part would have more events,
        -- and more people with more than half of theirs, everywhere.
        case
            when habits.day_part = 'any' then habits.person_count
            else least(habits.event_share_sum, groups.segment_person_count)
        end as compared_count
    from habits
    join groups
        on habits.segment_kind = groups.segment_kind
        and habits.segment_id = groups.segment_id
        and habits.country = groups.country
        and habits.region = groups.region

),

compared as (

    select
        *,
        compared_count / week_share as hourly_count,
        {{ wilson_low('compared_count', 'segment_person_count', z) }} / week_share as compared_low,
        {{ wilson_high('compared_count', 'segment_person_count', z) }} / week_share as compared_high
    from measured

),

-- Compared within its own kind: devices with devices, hours with hours, both with both.
ranked as (

    select
        *,
        row_number() over ({{ beside }}) as habit_position,
        max(compared_high) over ({{ beside }} rows between 1 following and unbounded following) as compared_high_of_others
    from compared

),

judged as (

    select
        *,
        is_measured and surely_above > 0.5 as is_surely_most,
        is_measured and habit_position = 1 and compared_low > coalesce(compared_high_of_others, 0) as is_surely_foremost
    from ranked

),

windows as (

    select min(happened_on) as measured_from, max(happened_on) as measured_to from readings

)

select
    judged.segment_kind,
    judged.segment_id,
    judged.country,
    judged.region,
    judged.device_class,
    judged.day_part,
    judged.segment_name,
    case
        when judged.is_surely_most or judged.is_surely_foremost then concat_ws('',
            case
                when judged.is_surely_most then 'Most of '
                when judged.day_part = 'any' then 'The most frequent habit of '
                else 'Hour for hour, the most frequent habit of '
            end,
            case judged.segment_kind
                when 'everybody' then 'everybody'
                else concat_ws('', judged.segment_kind, ' "', judged.segment_name, '"')
            end,
            case
                when judged.country = 'all' then ''
                when judged.region = 'all' then concat_ws('', ' in ', judged.country)
                else concat_ws('', ' in ', judged.region, ', ', judged.country)
            end,
            case when judged.is_surely_most then ' read or watch' else ' is to read or watch' end,
            case when judged.device_class <> 'any' then concat_ws('', ' on ', judged.device_class) else '' end,
            case judged.day_part
                {%- for rule in var('day_parts') %}
                when '{{ rule.day_part }}' then ' {{ rule.said }}'
                {%- endfor %}
                else ''
            end,
            ': ', {{ counted('judged.person_count') }}, ' of ', {{ counted('judged.segment_person_count') }}, ' people, ',
            {{ percent('judged.person_share') }}, ' (95% interval ',
            {{ percent('judged.person_share_low') }}, ' to ', {{ percent('judged.person_share_high') }}, '), by ',
            {{ counted('judged.segment_event_count') }}, ' events'
        )
    end as statement,
    judged.segment_person_count,
    judged.person_count,
    judged.segment_event_count,
    judged.event_count,
    judged.person_share,
    judged.person_share_low,
    judged.person_share_high,
    judged.event_share,
    judged.mean_event_share,
    judged.week_share,
    judged.is_measured,
    judged.is_surely_most,
    judged.is_surely_foremost,
    windows.measured_from,
    windows.measured_to
from judged
cross join windows
