with counted as (

    select
        kind,
        standing,
        count(*) as record_count,
        count(*) filter (where is_wanted) as wanted_count,
        count(*) filter (where is_small_group and standing = 'not sent') as small_group_count
    from {{ ref('fct_record_states') }}
    group by kind, standing

)

select
    kind,
    standing,
    record_count,
    cast(sum(record_count) over (partition by standing) as bigint) as standing_count,
    cast(sum(wanted_count) over () as bigint) as all_wanted_count,
    cast(sum(small_group_count) over () as bigint) as all_small_group_count
from counted
