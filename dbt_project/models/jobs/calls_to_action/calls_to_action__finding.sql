select
    'wistia' as vendor,
    coalesce(
        case when count(*) > 0 then
            concat({{ counted('count(*) filter (where is_surely_below_median)') }}, ' of ', {{ counted('count(*)') }}, ' calls surely below median')
        end,
        'no calls to action in any video'
    ) as finding
from {{ ref('fct_media_action_rates') }}
where action_type in ('{{ var('asked_action_types') | join("', '") }}')
