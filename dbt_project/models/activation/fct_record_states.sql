with wanted as (

    {% for kind in ['personas', 'enriched_personas', 'brand_voices', 'analyses', 'focus_groups', 'generations'] -%}
    select
        '{{ kind | replace('_', '-') }}' as kind,
        record_key,
        job,
        person_count
    from {{ ref('sync_mavera__' ~ kind) }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

called as (

    select * from {{ ref('dim_records') }}

)

select
    concat_ws('', coalesce(wanted.kind, called.kind), '/', coalesce(wanted.record_key, called.record_key)) as record_id,
    coalesce(wanted.kind, called.kind) as kind,
    coalesce(wanted.record_key, called.record_key) as record_key,
    coalesce(wanted.job, called.job) as job,
    case
        when called.record_key is null then 'not sent'
        when called.state in ('unknown', 'waiting') then called.state
        when wanted.record_key is null then 'unwanted'
        when called.state = 'failed' then 'failed'
        else 'sent'
    end as standing,
    called.error,
    coalesce(called.credits, 0) as credits,
    wanted.record_key is not null as is_wanted,
    coalesce(wanted.person_count < {{ var('smallest_group') }}, false) as is_small_group,
    called.last_called_at
from wanted
full join called on wanted.kind = called.kind and wanted.record_key = called.record_key
where
    wanted.record_key is not null
    -- A persona of the account's own is never unwanted: only its paragraph is removed.
    or (called.kind <> 'enriched-personas' and (called.has_stood or called.state <> 'failed'))
