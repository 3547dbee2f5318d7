with snapshots as (

    select
        *,
        row_number() over (partition by media_id order by measured_on desc) as recency
    from {{ ref('stg_wistia__media_engagement') }}

),

latest as (

    select * from snapshots where recency = 1

),

played as (

    select media_id, measured_on, {{ explode_numbers('play_counts') }} as cell from latest

),

replayed as (

    select media_id, {{ explode_numbers('replay_counts') }} as cell from latest

),

-- A cell is a second; if a media has more than 1,000 cells, or a partial one at its end, the cells share its length.
placed as (

    select
        played.media_id,
        medias.media_name,
        played.cell.place as cell_place,
        played.cell.number as play_count,
        coalesce(medias.duration_seconds / count(*) over (partition by played.media_id), 1.0) as cell_seconds,
        played.measured_on
    from played
    left join {{ ref('stg_wistia__medias') }} as medias on played.media_id = medias.media_id

),

starts as (

    select media_id, max(play_count) as starting_play_count
    from placed
    where cell_place * cell_seconds < {{ var('retention_start_seconds') }}
    group by media_id

)

select
    placed.media_id,
    placed.cell_place,
    placed.media_name,
    placed.play_count,
    replayed.cell.number as replay_count,
    starts.starting_play_count,
    placed.cell_place * placed.cell_seconds as position_seconds,
    placed.cell_seconds,
    {{ share('placed.play_count', 'starts.starting_play_count') }} as retention_share,
    {{ is_small('starts.starting_play_count') }} as is_small_sample,
    placed.measured_on
from placed
join starts on placed.media_id = starts.media_id
left join replayed on placed.media_id = replayed.media_id and placed.cell_place = replayed.cell.place
