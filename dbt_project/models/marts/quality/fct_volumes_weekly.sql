with loads as (

    select
        vendor,
        resource as table_name,
        cast(date_trunc('week', started_at) as date) as week_from,
        outcome,
        new_row_count,
        changed_row_count,
        late_row_count
    from {{ ref('stg_operations__loads') }}

),

clock as (

    select cast(max(started_at) as date) as read_to from {{ ref('stg_operations__loads') }}

),

weeks as (

    select
        vendor,
        table_name,
        week_from,
        count(*) filter (where outcome = 'loaded') as load_count,
        count(*) filter (where outcome = 'failed') as failed_load_count,
        cast(coalesce(sum(new_row_count), 0) as bigint) as new_row_count,
        cast(coalesce(sum(changed_row_count), 0) as bigint) as changed_row_count,
        cast(coalesce(sum(late_row_count), 0) as bigint) as late_row_count,
        row_number() over (partition by vendor, table_name order by week_from) as week_number
    from loads
    group by vendor, table_name, week_from

),

-- Earlier weeks that a week is compared with: not the first, which loads all that the vendor still has.
compared as (

    select
        weeks.vendor,
        weeks.table_name,
        weeks.week_from,
        earlier.new_row_count as earlier_row_count
    from weeks
    join weeks as earlier
        on weeks.vendor = earlier.vendor
        and weeks.table_name = earlier.table_name
        and earlier.week_number > 1
        and earlier.week_number between weeks.week_number - {{ var('volume_weeks') }} and weeks.week_number - 1

),

medians as (

    select
        vendor,
        table_name,
        week_from,
        count(*) as compared_week_count,
        percentile_cont(0.5) within group (order by cast(earlier_row_count as double)) as median_row_count
    from compared
    group by vendor, table_name, week_from

),

deviations as (

    select
        compared.vendor,
        compared.table_name,
        compared.week_from,
        medians.compared_week_count,
        medians.median_row_count,
        percentile_cont(0.5) within group (
            order by cast(abs(compared.earlier_row_count - medians.median_row_count) as double)
        ) as median_deviation
    from compared
    join medians
        on compared.vendor = medians.vendor
        and compared.table_name = medians.table_name
        and compared.week_from = medians.week_from
    group by
        compared.vendor, compared.table_name, compared.week_from, medians.compared_week_count, medians.median_row_count

),

bands as (

    select
        *,
        greatest(
            {{ var('volume_deviations') }} * median_deviation,
            {{ var('volume_least_share') }} * median_row_count,
            {{ var('volume_least_rows') }}
        ) as half_width
    from deviations
    where compared_week_count >= {{ var('volume_weeks_from') }}

),

set_aside as (

    select
        vendor,
        table_name,
        max(row_count) as set_aside_row_count,
        max(total_count) as total_count
    from {{ ref('fct_quarantined_rows') }}
    group by vendor, table_name

)

select
    weeks.vendor,
    weeks.table_name,
    weeks.load_count,
    weeks.failed_load_count,
    weeks.new_row_count,
    weeks.changed_row_count,
    weeks.late_row_count,
    {{ share('weeks.late_row_count', 'weeks.new_row_count') }} as late_share,
    {{ share('set_aside.set_aside_row_count', 'set_aside.total_count') }} as set_aside_share,
    coalesce(bands.compared_week_count, 0) as compared_week_count,
    bands.median_row_count,
    case when bands.half_width is not null then greatest(bands.median_row_count - bands.half_width, 0) end as low_row_count,
    bands.median_row_count + bands.half_width as high_row_count,
    coalesce(
        {{ dbt.dateadd('day', 7, 'weeks.week_from') }} <= clock.read_to
        and abs(weeks.new_row_count - bands.median_row_count) > bands.half_width,
        false
    ) as is_outside,
    {{ dbt.dateadd('day', 7, 'weeks.week_from') }} <= clock.read_to as is_complete,
    weeks.week_from
from weeks
cross join clock
left join bands
    on weeks.vendor = bands.vendor
    and weeks.table_name = bands.table_name
    and weeks.week_from = bands.week_from
left join set_aside on weeks.vendor = set_aside.vendor and weeks.table_name = set_aside.table_name
