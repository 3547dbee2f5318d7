with calls as (

    select
        *,
        -- After adoption by hand, two calls may have the same text.
        row_number() over (partition by remote_id order by begun_at desc, call_id desc) as recency
    from {{ ref('int_mavera_calls') }}
    where kind = 'generations' and state in ('done', 'waiting') and remote_id is not null

),

listed as (

    select * from {{ ref('stg_mavera__generations') }}

)

select
    calls.remote_id as generation_id,
    calls.record_key,
    listed.brand_voice_id,
    {{ json_text('calls.payload', 'persona_id') }} as persona_id,
    calls.job,
    coalesce(listed.app_id, {{ json_text('calls.payload', 'app_id') }}) as app_id,
    coalesce(listed.title, {{ json_text('calls.payload', 'title') }}) as title,
    coalesce(
        listed.generated_text,
        {{ json_text('calls.answer', 'output') }},
        {{ json_text('calls.answer', 'content') }},
        {{ json_text('calls.answer', 'markdown') }}
    ) as generated_text,
    {{ json_text('calls.payload', 'input_data') }} as input_data,
    calls.facts,
    calls.credits,
    listed.generation_id is not null as is_listed,
    calls.begun_at as asked_at,
    calls.ended_at as answered_at
from calls
left join listed on calls.remote_id = listed.generation_id
where calls.recency = 1
    -- A text may exist before the ledger notes it.
    and (calls.state = 'done' or listed.generated_text is not null)
