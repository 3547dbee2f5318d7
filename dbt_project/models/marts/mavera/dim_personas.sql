with calls as (

    select * from {{ ref('int_mavera_calls') }} where kind = 'personas'

),

sent as (

    select
        *,
        {{ json_text('payload', 'name') }} as persona_name,
        {{ json_text('payload', 'description') }} as description,
        row_number() over (partition by record_key order by begun_at desc, call_id desc) as recency
    from calls
    where state = 'done' and remote_id is not null

),

costs as (

    select
        record_key,
        cast(sum(credits) as bigint) as credits,
        count(*) filter (where state = 'done') as sent_count,
        min(begun_at) as first_sent_at
    from calls
    group by record_key

),

listed as (

    select * from {{ ref('stg_mavera__personas') }}

),

-- Mavera always lists its base personas: an empty list was never read.
reading as (

    select count(*) as listed_count from listed

)

select
    sent.record_key,
    sent.remote_id as persona_id,
    sent.job,
    sent.persona_name,
    sent.description,
    case
        when reading.listed_count = 0 then 'not_read'
        when listed.persona_id is null then 'missing'
        when listed.persona_name <> sent.persona_name then 'changed_by_hand'
        when listed.description <> sent.description then 'changed_by_hand'
        else 'live'
    end as standing,
    sent.facts,
    costs.credits,
    costs.sent_count,
    costs.first_sent_at,
    sent.begun_at as last_sent_at
from sent
join costs on sent.record_key = costs.record_key
cross join reading
left join listed on sent.remote_id = listed.persona_id
where sent.recency = 1
