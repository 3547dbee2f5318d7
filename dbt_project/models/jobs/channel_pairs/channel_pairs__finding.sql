select
    'klaviyo' as vendor,
    coalesce(
        case when count(*) > 0 then concat(
            'texts win ', {{ counted('count(*) filter (where click_outcome = \'sms\')') }}, ' of ', {{ counted('count(*)') }},
            ' pairs, e-mails ', {{ counted('count(*) filter (where click_outcome = \'email\')') }}
        )
        end,
        'no campaign ran on both channels'
    ) as finding
from {{ ref('agg_channel_pairs') }}
