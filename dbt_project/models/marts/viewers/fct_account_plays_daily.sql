with listed as (

    select played_on, cast(sum(play_count) as bigint) as play_count
    from {{ ref('stg_wistia__media_days') }}
    group by played_on

)

select
    days.load_count,
    days.play_count,
    coalesce(listed.play_count, 0) as listed_play_count,
    days.nominal_watched_seconds,
    days.played_on
from {{ ref('stg_wistia__account_days') }} as days
left join listed on days.played_on = listed.played_on
