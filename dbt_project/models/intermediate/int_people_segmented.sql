with contacts as (

    select person_id, role, industry from {{ ref('int_contacts_grouped') }} where person_id is not null

)

select person_id, 'everybody' as segment_kind, 'everybody' as segment_id, 'everybody' as segment_name
from {{ ref('int_people_matched') }}
union
select {{ person_id('profiles.email') }}, 'segment', segments.segment_id, segments.segment_name
from {{ ref('stg_klaviyo__segment_members') }} as members
join {{ ref('stg_klaviyo__segments') }} as segments on members.segment_id = segments.segment_id
join {{ ref('stg_klaviyo__profiles') }} as profiles on members.customer_id = profiles.customer_id
where profiles.email is not null
union
select person_id, 'role', role, role from contacts where role is not null
union
select person_id, 'industry', industry, industry from contacts where industry is not null
