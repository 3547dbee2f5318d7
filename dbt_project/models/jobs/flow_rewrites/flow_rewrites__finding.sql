select
    'klaviyo' as vendor,
    coalesce(
        case when count(*) filter (where is_compared) > 0 then concat(
            {{ counted('count(*) filter (where is_laggard)') }}, ' of ', {{ counted('count(*) filter (where is_compared)') }},
            ' messages of flows lag'
        )
        end,
        'no message of a flow has enough recipients'
    ) as finding
from {{ ref('fct_flow_messages') }}
