with undeliverable as (

    select distinct person_id
    from {{ ref('int_suppressions_listed') }}
    where is_undeliverable

)

select
    people.person_id,
    cast(people.viewer_count as bigint) as viewer_count,
    cast(people.customer_count as bigint) as customer_count,
    cast(people.contact_count as bigint) as contact_count,
    people.viewer_count > 0 as has_wistia,
    people.customer_count > 0 as has_klaviyo,
    people.contact_count > 0 as has_sendgrid,
    undeliverable.person_id is not null as is_undeliverable
from {{ ref('int_people_matched') }} as people
left join undeliverable on people.person_id = undeliverable.person_id
