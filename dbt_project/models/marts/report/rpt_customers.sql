select
    'Customers' as section,
    count(*) as affinity_count
from {{ ref('agg_product_pairs') }}
where is_affinity
