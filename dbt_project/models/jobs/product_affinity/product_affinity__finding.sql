select
    'klaviyo' as vendor,
    coalesce(
        case when max(judged_pair_count) > 0 then
            concat({{ counted('count(*) filter (where is_affinity)') }}, ' of ', {{ counted('max(judged_pair_count)') }}, ' pairs above chance')
        end,
        'no two products have enough buyers to be judged'
    ) as finding
from {{ ref('agg_product_pairs') }}
