{%- set found = 'count(*) filter (where is_affinity)' -%}
{%- set offered = 'count(*) filter (where is_affinity and is_offered)' -%}

select
    'klaviyo' as vendor,
    coalesce(
        case when max(judged_pair_count) > 0 then concat_ws('',
            case when {{ found }} = 0 then 'None' else {{ counted(found) }} end, ' of ', {{ counted('max(judged_pair_count)') }},
            case when {{ found }} > 1 then ' product pairs sell' else ' product pairs sells' end, ' together more often than chance',
            case when {{ offered }} < {{ found }} then concat_ws('', '; ', {{ counted(offered) }}, ' on offer') else '' end
        )
        end,
        'No two products have enough buyers to be judged'
    ) as finding
from {{ ref('agg_product_pairs') }}
