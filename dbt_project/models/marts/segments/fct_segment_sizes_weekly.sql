with counts as (

    select
        *,
        max(measured_on) over () as last_day
    from {{ ref('stg_klaviyo__segment_counts') }}

),

weeks as (

    select
        *,
        cast(floor(({{ dbt.datediff('measured_on', 'last_day', 'day') }}) / cast(7 as double)) as bigint) as weeks_ago
    from counts

),

latest as (

    select
        *,
        row_number() over (partition by segment_id, weeks_ago order by measured_on desc) as recency
    from weeks

)

select
    latest.segment_id,
    segments.segment_name,
    latest.weeks_ago,
    latest.customer_count as member_count,
    count(*) over (partition by latest.segment_id) as week_count,
    max(case when latest.weeks_ago = 4 then latest.customer_count end) over (partition by latest.segment_id) as member_count_before,
    latest.weeks_ago = 0 as is_latest,
    latest.measured_on,
    cast({{ dbt.dateadd('day', '-7 * latest.weeks_ago', 'latest.last_day') }} as date) as week_to
from latest
join {{ ref('dim_segments') }} as segments on latest.segment_id = segments.segment_id
where latest.recency = 1 and latest.weeks_ago < {{ var('trend_periods') }} and latest.customer_count is not null
