select
    'sendgrid' as vendor,
    coalesce(
        case when count(*) > 0 then
            concat({{ one_or_many('count(*)', 'group', 'groups') }}, ' of contacts, ', {{ counted('count(*) filter (where is_selected)') }}, ' chosen')
        end,
        'no contact states a role and an industry'
    ) as finding
from {{ ref('agg_contact_groups') }}
