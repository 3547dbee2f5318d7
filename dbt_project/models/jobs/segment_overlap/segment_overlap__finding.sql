{%- set twins = 'count(*) filter (where is_near_duplicate)' -%}
{%- set inner = 'count(*) filter (where is_contained and not is_near_duplicate)' -%}

select
    'klaviyo' as vendor,
    case
        when count(*) = 0 then 'No two segments share a member'
        else concat_ws('',
            case when {{ twins }} = 0 then 'No' else {{ counted(twins) }} end,
            case when {{ twins }} > 1 then ' pairs of segments are' else ' pair of segments is' end, ' nearly the same; ',
            case when {{ inner }} = 0 then 'none' else {{ counted(inner) }} end, ' within another'
        )
    end as finding
from {{ ref('agg_segment_overlaps') }}
