with listed as (

    select
        suppression_kind,
        person_id,
        is_undeliverable,
        cast(listed_at as date) as listed_on
    from {{ ref('int_suppressions_listed') }}

)

select
    listed.suppression_kind,
    count(*) as address_count,
    count(people.person_id) as contact_address_count,
    listed.is_undeliverable,
    listed.listed_on
from listed
left join {{ ref('int_people_matched') }} as people
    on listed.person_id = people.person_id
    and people.contact_count > 0
group by listed.suppression_kind, listed.is_undeliverable, listed.listed_on
