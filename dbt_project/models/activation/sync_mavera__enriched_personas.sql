-- People copy the key from a plan, where it begins with its kind.
with mapped as (

    select distinct
        trim(persona) as persona,
        regexp_replace(trim(record_key), '^personas/', '') as record_key
    from {{ ref('own_personas') }}

),

by_group as (

    select record_key, count(*) as persona_count from mapped group by record_key

),

by_persona as (

    select persona, count(*) as group_count from mapped group by persona

),

named as (

    select
        mapped.record_key,
        min(case when by_group.persona_count = 1 and by_persona.group_count = 1 then mapped.persona end) as persona,
        case
            when max(by_group.persona_count) > 1 then 'own_personas.csv names several personas for this group: keep one row'
            when max(by_persona.group_count) > 1 then 'own_personas.csv names this persona for several groups: keep one row'
        end as ambiguity
    from mapped
    inner join by_group on mapped.record_key = by_group.record_key
    inner join by_persona on mapped.persona = by_persona.persona
    group by mapped.record_key

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
