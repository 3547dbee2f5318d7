{%- set lagging = 'count(*) filter (where is_laggard)' -%}
{%- set compared = 'count(*) filter (where is_compared)' -%}

select
    'klaviyo' as vendor,
    case
        when {{ compared }} = 0 then 'No flow message has enough recipients to be compared'
        else concat_ws('',
            case when {{ lagging }} = 0 then 'None' else {{ counted(lagging) }} end, ' of ',
            {{ one_or_many(compared, 'compared flow message', 'compared flow messages') }},
            case when {{ lagging }} > 1 then ' lag behind' else ' lags behind' end
        )
    end as finding
from {{ ref('fct_flow_messages') }}
