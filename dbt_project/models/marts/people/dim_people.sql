select
    person_id,
    cast(viewer_count as bigint) as viewer_count,
    cast(customer_count as bigint) as customer_count,
    cast(contact_count as bigint) as contact_count,
    viewer_count > 0 as has_wistia,
    customer_count > 0 as has_klaviyo,
    contact_count > 0 as has_sendgrid
from {{ ref('int_people_matched') }}
