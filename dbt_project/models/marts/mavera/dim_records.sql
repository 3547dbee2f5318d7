with calls as (

    select
        *,
        row_number() over (partition by kind, record_key order by begun_at desc, call_id desc) as recency
    from {{ ref('int_mavera_calls') }}

)

select
    concat_ws('', kind, '/', record_key) as record_id,
    kind,
    record_key,
    min(job) as job,
    min(case when recency = 1 then state end) as state,
    min(case when recency = 1 then error end) as error,
    count(*) as call_count,
    cast(coalesce(sum(credits), 0) as bigint) as credits,
    bool_or(state = 'done') as has_stood,
    max(begun_at) as last_called_at
from calls
group by kind, record_key
