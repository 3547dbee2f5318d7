with numbered as (

    select *, row_number() over (order by started_at desc, run_id) as run_number from {{ ref('fct_runs') }}

)

select
    run_id,
    step,
    scope,
    outcome,
    detail,
    row_count,
    request_count,
    wait_count,
    credits,
    duration_seconds,
    started_at
from numbered
where run_number <= {{ var('reported_runs') }}
