select
    'sendgrid' as vendor,
    coalesce(
        case when count(*) > 0 then concat_ws('',
            {{ one_or_many('count(*)', 'group', 'groups') }}, ' by role and industry; ', {{ counted('count(*) filter (where is_selected)') }},
            case when count(*) filter (where is_selected) = 1 then ' becomes a persona' else ' become personas' end
        )
        end,
        'No contact states a role and an industry'
    ) as finding
from {{ ref('agg_contact_groups') }}
