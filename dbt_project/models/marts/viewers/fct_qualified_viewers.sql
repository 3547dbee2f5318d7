with views as (

    select
        viewers.person_id,
        views.media_id,
        cast(sum(views.session_count) as bigint) as session_count,
        cast(max(views.watched_share) as double) as watched_share,
        max(views.last_viewed_at) as last_viewed_at
    from {{ ref('int_sessions_summed_to_view') }} as views
    join {{ ref('dim_viewers') }} as viewers on views.viewer_id = viewers.viewer_id
    where viewers.person_id is not null
    group by viewers.person_id, views.media_id
    having max(views.watched_share) > {{ var('qualified_share_above') }}

)

select
    views.person_id,
    views.media_id,
    medias.media_name,
    views.session_count,
    views.watched_share,
    views.last_viewed_at
from views
left join {{ ref('fct_media_performance') }} as medias on views.media_id = medias.media_id
