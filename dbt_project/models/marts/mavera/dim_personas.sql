with sent as (

    select
        *,
        {{ json_text('payload', 'name') }} as persona_name,
        {{ json_text('payload', 'description') }} as description,
        -- Mavera's answer counts: an update cannot change how a persona was made.
        {{ json_text('answer', 'details') }} as profile,
        coalesce({{ json_text('answer', 'pipeline_type') }}, {{ json_text('payload', 'pipeline_type') }}) as pipeline_type,
        cast(row_number() over (partition by record_key order by begun_at, call_id) as bigint) as version_number,
        lead(begun_at) over (partition by record_key order by begun_at, call_id) as replaced_at
    from {{ ref('int_mavera_calls') }}
    where kind = 'personas' and state = 'done' and remote_id is not null

),

listed as (

    select * from {{ ref('stg_mavera__personas') }}

),

-- Mavera always lists its base personas: an empty list means it was never read.
reading as (

    select count(*) as listed_count from listed

)

select
    sent.record_key,
    sent.remote_id as persona_id,
    sent.job,
    sent.persona_name,
    sent.description,
    sent.pipeline_type,
    case
        when sent.replaced_at is not null then 'replaced'
        when reading.listed_count = 0 then 'not_read'
        when listed.persona_id is null then 'missing'
        when listed.persona_name <> sent.persona_name then 'changed_by_hand'
        when listed.description <> sent.description then 'changed_by_hand'
        else 'live'
    end as standing,
    sent.profile,
    sent.facts,
    sent.version_number,
    sent.credits,
    sent.replaced_at is null as is_current,
    sent.begun_at as valid_from,
    sent.replaced_at as valid_to
from sent
cross join reading
left join listed on sent.remote_id = listed.persona_id
