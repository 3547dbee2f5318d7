-- What a person wrote down in the seed counts before what a vendor shows.
with noted as (

    select
        trim(record) as record_id,
        note,
        put_in_on
    from {{ ref('put_in') }}

),

calls as (

    select
        concat_ws('', kind, '/', record_key) as record_id,
        record_key,
        job,
        min(ended_at) as answered_at,
        min_by({{ json_text('facts', 'duration_seconds') }}, ended_at) filter (where {{ json_text('facts', 'duration_seconds') }} is not null) as asked_duration_seconds
    from {{ ref('int_mavera_calls') }}
    where state = 'done'
    group by kind, record_key, job

),

-- A message of a flow that was edited, and a video that was changed, after the answer.
changed as (

    select
        calls.record_id,
        case when messages.flow_message_id is not null then 'edited in Klaviyo' else 'changed in Wistia' end as known_by,
        coalesce(messages.updated_at, medias.updated_at) as put_in_at,
        medias.duration_seconds - cast(calls.asked_duration_seconds as double) as length_change_seconds
    from calls
    left join {{ ref('stg_klaviyo__flow_messages') }} as messages
        on calls.record_id = concat_ws('', 'generations/flow-rewrites:', messages.flow_message_id)
    left join {{ ref('stg_wistia__medias') }} as medias on calls.record_id = concat_ws('', 'analyses/drop-offs:', medias.media_id)
    where coalesce(messages.updated_at, medias.updated_at) > calls.answered_at

)

select
    calls.record_id,
    calls.record_key,
    calls.job,
    case when noted.record_id is not null then 'noted by a person' else changed.known_by end as known_by,
    noted.note,
    changed.length_change_seconds,
    calls.answered_at,
    case when noted.record_id is not null then greatest({{ utc('noted.put_in_on') }}, calls.answered_at) else changed.put_in_at end as put_in_at
from calls
left join noted on calls.record_id = noted.record_id
left join changed on calls.record_id = changed.record_id
where noted.record_id is not null or changed.record_id is not null
