with drop_offs as (

    select * from {{ ref('fct_media_drop_offs') }}

),

losing as (

    select distinct media_id from drop_offs

),

cells as (

    select
        cells.*,
        cast(dense_rank() over (
            order by case when losing.media_id is null then 1 else 0 end, cells.starting_play_count desc, cells.media_id
        ) as bigint) as media_position
    from {{ ref('fct_media_retention') }} as cells
    left join losing on cells.media_id = losing.media_id
    where cells.starting_play_count > 0

)

select
    cells.media_id,
    cells.cell_place,
    cells.media_name,
    cells.media_position,
    cells.starting_play_count,
    cells.position_seconds,
    cells.retention_share,
    drop_offs.drop_off_number,
    drop_offs.to_seconds as drop_off_to_seconds,
    drop_offs.lost_share,
    cells.is_small_sample,
    cells.measured_on
from cells
-- A drop-off begins at the start of a cell; half a cell of tolerance, because both are computed numbers.
left join drop_offs
    on cells.media_id = drop_offs.media_id
    and abs(cells.position_seconds - drop_offs.from_seconds) < cells.cell_seconds / 2
where cells.media_position <= {{ var('reported_medias') }}
