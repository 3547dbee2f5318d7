select
    days.media_id,
    medias.media_name,
    days.load_count,
    days.play_count,
    days.nominal_watched_seconds,
    days.played_on
from {{ ref('stg_wistia__media_days') }} as days
left join {{ ref('stg_wistia__medias') }} as medias on days.media_id = medias.media_id
