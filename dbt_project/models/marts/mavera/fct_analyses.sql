with calls as (

    select * from {{ ref('int_mavera_calls') }} where kind = 'analyses' and state = 'done'

),

exploded as (

    select thread_id, {{ explode_rows('messages') }} as message from {{ ref('stg_mavera__threads') }}

),

messages as (

    select
        {{ json_text('message', 'id') }} as message_id,
        max({{ json_text('message', 'content') }}) as content
    from exploded
    group by {{ json_text('message', 'id') }}

),

threads as (

    select * from {{ ref('stg_mavera__threads') }}

)

select
    calls.call_id as analysis_id,
    calls.record_key,
    calls.thread_id,
    calls.remote_id as message_id,
    calls.job,
    threads.thread_title,
    {{ json_text('calls.payload', 'message') }} as question,
    coalesce(messages.content, {{ json_text('calls.answer', 'content') }}) as answer,
    calls.facts,
    threads.sources,
    calls.credits,
    messages.message_id is not null as is_in_thread,
    calls.begun_at as asked_at,
    calls.ended_at as answered_at
from calls
left join messages on calls.remote_id = messages.message_id
left join threads on calls.thread_id = threads.thread_id
