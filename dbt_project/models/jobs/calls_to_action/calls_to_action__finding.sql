{%- set low = 'count(*) filter (where is_surely_below_median)' -%}
{%- set compared = 'count(*) filter (where has_enough_impressions)' -%}

select
    'wistia' as vendor,
    case
        when count(*) = 0 then 'No video has a call to action'
        when {{ compared }} = 0 then 'No call to action was shown often enough to be compared'
        else concat_ws('',
            case when {{ low }} = 0 then 'No' else {{ counted(low) }} end,
            case when {{ low }} > 1 then ' calls to action are' else ' call to action is' end,
            ' clearly below the median (', {{ counted(compared) }}, ' compared)'
        )
    end as finding
from {{ ref('fct_media_action_rates') }}
where action_type in ('{{ var('asked_action_types') | join("', '") }}')
