with undeliverable as (

    select distinct person_id
    from {{ ref('int_suppressions_listed') }}
    where is_undeliverable

),

-- Several profiles may share an address: it may be mailed only if each of them may.
consents as (

    select
        person_id,
        case when min(case when has_email_consent then 1 else 0 end) = 1 then 'given' else 'not_given' end as email_consent
    from {{ ref('int_customers_consented') }}
    where person_id is not null
    group by person_id

),

judged as (

    select
        people.*,
        coalesce(consents.email_consent, 'unknown') as email_consent,
        undeliverable.person_id is not null as is_undeliverable
    from {{ ref('int_people_matched') }} as people
    left join undeliverable on people.person_id = undeliverable.person_id
    left join consents on people.person_id = consents.person_id

)

select
    person_id,
    email_consent,
    cast(viewer_count as bigint) as viewer_count,
    cast(customer_count as bigint) as customer_count,
    cast(contact_count as bigint) as contact_count,
    viewer_count > 0 as has_wistia,
    customer_count > 0 as has_klaviyo,
    contact_count > 0 as has_sendgrid,
    is_undeliverable,
    email_consent in ('{{ var('mailed_consents') | join("', '") }}') and not is_undeliverable as may_be_mailed
from judged
