with analyses as (

    select
        *,
        row_number() over (partition by record_key order by asked_at desc, analysis_id) as recency
    from {{ ref('fct_analyses') }}
    where job = 'drop-offs'

)

select
    drop_offs.media_id,
    drop_offs.drop_off_number,
    analyses.analysis_id,
    drop_offs.media_name,
    drop_offs.caption_excerpt,
    analyses.answer as proposed_edits,
    drop_offs.from_seconds,
    drop_offs.to_seconds,
    drop_offs.retention_before_share,
    drop_offs.retention_after_share,
    drop_offs.lost_share,
    analyses.asked_at,
    drop_offs.measured_on
from {{ ref('fct_media_drop_offs') }} as drop_offs
join analyses on concat_ws('', 'drop-offs:', drop_offs.media_id) = analyses.record_key
where analyses.recency = 1
