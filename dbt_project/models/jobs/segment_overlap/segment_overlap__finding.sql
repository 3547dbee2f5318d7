select
    'klaviyo' as vendor,
    coalesce(
        case when count(*) > 0 then concat(
            {{ one_or_many('count(*) filter (where is_near_duplicate)', 'near duplicate', 'near duplicates') }}, ', ',
            {{ counted('count(*) filter (where is_contained and not is_near_duplicate)') }}, ' within another'
        )
        end,
        'no two segments share a member'
    ) as finding
from {{ ref('agg_segment_overlaps') }}
