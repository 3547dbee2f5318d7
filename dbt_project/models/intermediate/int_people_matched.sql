with addresses as (

    select email, 1 as viewer, 0 as customer from {{ ref('int_viewers_identified') }} where email is not null
    union all
    select email, 0 as viewer, 1 as customer from {{ ref('stg_klaviyo__profiles') }} where email is not null

)

select
    {{ person_id('email') }} as person_id,
    email,
    sum(viewer) as viewer_count,
    sum(customer) as customer_count
from addresses
group by email
