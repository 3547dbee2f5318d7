select
    'wistia' as vendor,
    coalesce(
        case when count(*) > 0 then
            concat({{ one_or_many('count(*)', 'drop-off', 'drop-offs') }}, ' in ', {{ one_or_many('count(distinct media_id)', 'video', 'videos') }})
        end,
        'no drop-offs in any video'
    ) as finding
from {{ ref('fct_media_drop_offs') }}
