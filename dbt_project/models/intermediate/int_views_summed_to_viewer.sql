select
    viewer_id,
    count(*) as media_count,
    sum(session_count) as session_count,
    {{ mean('watched_share') }} as watched_share,
    min(first_viewed_at) as first_viewed_at,
    max(last_viewed_at) as last_viewed_at
from {{ ref('int_sessions_summed_to_view') }}
group by viewer_id
