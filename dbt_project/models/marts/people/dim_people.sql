select
    person_id,
    cast(viewer_count as bigint) as viewer_count,
    cast(customer_count as bigint) as customer_count,
    viewer_count > 0 as has_wistia,
    customer_count > 0 as has_klaviyo
from {{ ref('int_people_matched') }}
