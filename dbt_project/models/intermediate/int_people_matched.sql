with addresses as (

    select email, 1 as viewer, 0 as customer, 0 as contact from {{ ref('int_viewers_identified') }} where email is not null
    union all
    select email, 0 as viewer, 1 as customer, 0 as contact from {{ ref('stg_klaviyo__profiles') }} where email is not null
    union all
    select email, 0 as viewer, 0 as customer, 1 as contact from {{ ref('stg_sendgrid__contacts') }} where email is not null

)

select
    {{ person_id('email') }} as person_id,
    email,
    sum(viewer) as viewer_count,
    sum(customer) as customer_count,
    sum(contact) as contact_count
from addresses
group by email
