with medias as (

    select project_id, count(*) as media_count
    from {{ ref('stg_wistia__medias') }}
    where project_id is not null
    group by project_id

),

views as (

    select
        medias.project_id,
        count(distinct views.viewer_id) as viewer_count,
        count(distinct coalesce(viewers.person_id, views.viewer_id)) as person_count,
        cast(sum(views.session_count) as bigint) as session_count,
        {{ mean('views.watched_share') }} as mean_watched_share,
        {{ mean_low('views.watched_share') }} as mean_watched_share_low,
        {{ mean_high('views.watched_share') }} as mean_watched_share_high
    from {{ ref('int_sessions_summed_to_view') }} as views
    join {{ ref('stg_wistia__medias') }} as medias on views.media_id = medias.media_id
    join {{ ref('dim_viewers') }} as viewers on views.viewer_id = viewers.viewer_id
    group by medias.project_id

)

select
    projects.project_id,
    projects.project_name,
    coalesce(medias.media_count, 0) as media_count,
    projects.reported_media_count,
    coalesce(views.viewer_count, 0) as viewer_count,
    coalesce(views.person_count, 0) as person_count,
    coalesce(views.session_count, 0) as session_count,
    views.mean_watched_share,
    views.mean_watched_share_low,
    views.mean_watched_share_high,
    {{ is_small('views.viewer_count') }} as is_small_sample,
    projects.created_at,
    projects.updated_at
from {{ ref('stg_wistia__projects') }} as projects
left join medias on projects.project_id = medias.project_id
left join views on projects.project_id = views.project_id
