with members as (

    select
        *,
        count(*) over (partition by customer_id) as segment_count
    from {{ ref('stg_klaviyo__segment_members') }}

),

counted as (

    select
        segment_id,
        count(*) as member_count,
        count(*) filter (where segment_count = 1) as only_here_count,
        max(joined_at) as last_joined_at
    from members
    group by segment_id

),

snapshots as (

    select
        *,
        row_number() over (partition by segment_id order by measured_on desc) as recency
    from {{ ref('stg_klaviyo__segment_counts') }}

)

select
    segments.segment_id,
    segments.segment_name,
    coalesce(counted.member_count, 0) as member_count,
    coalesce(counted.only_here_count, 0) as only_here_count,
    {{ share('counted.only_here_count', 'counted.member_count') }} as only_here_share,
    snapshots.customer_count as reported_member_count,
    segments.is_active,
    segments.is_processing,
    segments.is_starred,
    coalesce(counted.member_count, 0) < {{ var('smallest_group') }} as is_small_group,
    snapshots.measured_on,
    segments.created_at,
    segments.updated_at,
    counted.last_joined_at
from {{ ref('stg_klaviyo__segments') }} as segments
left join counted on segments.segment_id = counted.segment_id
left join snapshots on segments.segment_id = snapshots.segment_id and snapshots.recency = 1
where segments.gone_at is null
