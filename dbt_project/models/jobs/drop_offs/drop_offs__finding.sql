select
    'wistia' as vendor,
    coalesce(
        case when count(*) > 0 then
            concat_ws('', {{ one_or_many('count(*)', 'drop-off', 'drop-offs') }}, ' in ', {{ one_or_many('count(distinct media_id)', 'video', 'videos') }})
        end,
        'No video has a drop-off'
    ) as finding
from {{ ref('fct_media_drop_offs') }}
