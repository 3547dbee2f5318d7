-- TODO: say in one sentence what the marts behind this job hold, and what is said while they are empty.
select
    '[[ vendor ]]' as vendor,
    coalesce(
        case when count(*) > 0 then {{ one_or_many('count(*)', '[[ thing ]]', '[[ thing ]]s') }} end,
        'No [[ thing ]]s yet'
    ) as finding
from {{ ref('[[ mart ]]') }}
