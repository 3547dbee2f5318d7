with entries as (

    select
        *,
        -- A call may end twice: first as unknown, later with its true outcome. The last entry counts.
        row_number() over (partition by call_id, event order by entry_id desc) as recency
    from {{ ref('stg_mavera__ledger_entries') }}

),

begun as (

    select * from entries where event = 'begin'

),

ended as (

    select * from entries where event = 'end' and recency = 1

)

select
    begun.call_id,
    begun.record_key,
    ended.remote_id,
    ended.thread_id,
    begun.kind,
    begun.job,
    begun.action,
    coalesce(ended.state, 'unknown') as state,
    ended.error,
    ended.credits_source,
    begun.facts,
    begun.payload,
    ended.answer,
    ended.credits,
    case when coalesce(ended.state, 'unknown') = 'unknown' then begun.credits_high else 0 end as credits_at_risk,
    begun.written_at as begun_at,
    ended.written_at as ended_at
from begun
left join ended on begun.call_id = ended.call_id
