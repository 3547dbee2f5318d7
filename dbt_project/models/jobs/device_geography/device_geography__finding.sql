select
    'sendgrid' as vendor,
    coalesce(
        max(concat_ws('', {{ percent('share') }}, ' of opens come from ', replace(device_persona, '_', '-'), ' readers')),
        'No opens by device in the window'
    ) as finding
from {{ ref('agg_device_segments') }}
where share = (select max(share) from {{ ref('agg_device_segments') }})
