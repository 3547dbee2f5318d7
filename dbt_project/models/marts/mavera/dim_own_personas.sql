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

)

select * from named
