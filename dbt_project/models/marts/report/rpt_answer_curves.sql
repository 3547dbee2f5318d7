select
    answers.record_id,
    cells.media_name,
    cells.position_seconds,
    cells.retention_share,
    cells.starting_play_count,
    drop_offs.drop_off_number,
    drop_offs.to_seconds as drop_off_to_seconds,
    drop_offs.lost_share,
    cells.is_small_sample
from {{ ref('fct_answers') }} as answers
join {{ ref('fct_media_retention') }} as cells on answers.record_key = concat_ws('', 'drop-offs:', cells.media_id)
-- A drop-off begins at the start of a cell; half a cell of tolerance, because both are computed numbers.
left join {{ ref('fct_media_drop_offs') }} as drop_offs
    on cells.media_id = drop_offs.media_id
    and abs(cells.position_seconds - drop_offs.from_seconds) < cells.cell_seconds / 2
where answers.kind = 'analyses'
