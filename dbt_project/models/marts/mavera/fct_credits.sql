select
    job,
    kind,
    count(*) as call_count,
    count(*) filter (where state = 'done') as done_count,
    count(*) filter (where state = 'failed') as failed_count,
    count(*) filter (where state = 'unknown') as unknown_count,
    count(*) filter (where state = 'waiting') as waiting_count,
    cast(coalesce(sum(credits), 0) as bigint) as credits,
    cast(coalesce(sum(case when credits_source = 'documented' then credits end), 0) as bigint) as estimated_credits,
    cast(sum(credits_at_risk) as bigint) as credits_at_risk,
    cast(begun_at as date) as called_on
from {{ ref('int_mavera_calls') }}
group by job, kind, cast(begun_at as date)
