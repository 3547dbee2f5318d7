with named as (

    select * from {{ ref('dim_own_personas') }}

),

personas as (

    select * from {{ ref('sync_mavera__personas') }}

)

select
    named.record_key,
    coalesce(personas.job, {{ dbt.split_part('named.record_key', "':'", 1) }}) as job,
    -- Without a wanted persona of the group, there are no words.
    coalesce(personas.template, '') as template,
    coalesce(personas.name, named.record_key) as name,
    coalesce(personas.facts, to_json({{ text_list([]) }})) as facts,
    coalesce(personas.fact_steps, to_json({{ text_list([]) }})) as fact_steps,
    coalesce(named.persona, '') as persona,
    personas.person_count,
    coalesce(
        named.ambiguity,
        case when personas.record_key is null then 'no job wants a persona of this group now: plan --all lists the groups' end,
        personas.withheld_reason
    ) as withheld_reason,
    personas.doubt,
    {{ no_references() }} as reference_keys,
    personas.measured_on
from named
left join personas on named.record_key = personas.record_key
