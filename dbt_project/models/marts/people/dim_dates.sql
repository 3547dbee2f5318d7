{#- Counted from a Monday. ISO 8601 counts a week in the year that has its Thursday. -#}
{%- set first_day = "cast('2010-01-04' as date)" -%}
{%- set days = {'0': 'Monday', '1': 'Tuesday', '2': 'Wednesday', '3': 'Thursday', '4': 'Friday', '5': 'Saturday', '6': 'Sunday'} -%}

with digits as (

    {% for digit in range(10) -%}
    select {{ digit }} as digit{{ ' union all' if not loop.last }}
    {% endfor %}
),

numbered as (

    select 1000 * thousands.digit + 100 * hundreds.digit + 10 * tens.digit + ones.digit as day_place
    from digits as thousands
    cross join digits as hundreds
    cross join digits as tens
    cross join digits as ones

),

dated as (

    select
        day_place,
        mod(day_place, 7) as weekday,
        cast({{ dbt.dateadd('day', 'day_place', first_day) }} as date) as day_on,
        cast({{ dbt.dateadd('day', 'day_place - mod(day_place, 7)', first_day) }} as date) as week_starts_on,
        cast({{ dbt.dateadd('day', 'day_place - mod(day_place, 7) + 3', first_day) }} as date) as thursday
    from numbered

)

select
    day_on,
    {{ month_of('day_on') }} as month,
    concat_ws('', cast(extract(year from day_on) as {{ dbt.type_string() }}), '-Q', cast(extract(quarter from day_on) as {{ dbt.type_string() }})) as quarter,
    concat_ws('', cast(extract(year from thursday) as {{ dbt.type_string() }}), '-W', lpad(cast(extract(week from day_on) as {{ dbt.type_string() }}), 2, '0')) as iso_week,
    case weekday{% for place, name in days.items() %} when {{ place }} then '{{ name }}'{% endfor %} end as day_name,
    cast(extract(year from day_on) as int) as year,
    cast(extract(day from day_on) as int) as day_of_month,
    cast(weekday + 1 as int) as day_of_week,
    weekday >= 5 as is_weekend,
    week_starts_on,
    cast(date_trunc('month', day_on) as date) as month_starts_on
from dated
