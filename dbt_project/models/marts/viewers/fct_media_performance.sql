with views as (

    select
        views.media_id,
        count(*) as viewer_count,
        count(distinct coalesce(viewers.person_id, views.viewer_id)) as person_count,
        cast(sum(views.session_count) as bigint) as session_count,
        {{ mean('views.watched_share') }} as mean_watched_share,
        {{ mean_low('views.watched_share') }} as mean_watched_share_low,
        {{ mean_high('views.watched_share') }} as mean_watched_share_high,
        max(views.last_viewed_at) as last_viewed_at
    from {{ ref('int_sessions_summed_to_view') }} as views
    join {{ ref('dim_viewers') }} as viewers on views.viewer_id = viewers.viewer_id
    group by views.media_id

),

-- Sessions have the media's name at the time, even if it has left the catalog.
sessions as (

    select media_id, max_by(media_name, viewed_at) filter (where media_name is not null) as media_name
    from {{ ref('stg_wistia__viewing_events') }}
    where media_id is not null
    group by media_id

),

medias as (

    select * from {{ ref('stg_wistia__medias') }}

),

snapshots as (

    select
        *,
        row_number() over (partition by media_id order by measured_on desc) as recency
    from {{ ref('stg_wistia__media_stats') }}

),

known as (

    select media_id from medias
    union
    select media_id from sessions

)

select
    known.media_id,
    coalesce(medias.media_name, sessions.media_name) as media_name,
    medias.media_type,
    medias.project_name,
    medias.duration_seconds,
    coalesce(views.viewer_count, 0) as viewer_count,
    coalesce(views.person_count, 0) as person_count,
    coalesce(views.session_count, 0) as session_count,
    views.mean_watched_share,
    views.mean_watched_share_low,
    views.mean_watched_share_high,
    snapshots.load_count,
    snapshots.play_count,
    snapshots.visitor_count,
    snapshots.play_share,
    snapshots.engagement_share,
    snapshots.watched_seconds,
    medias.media_id is null as is_deleted,
    {{ is_small('views.viewer_count') }} as is_small_sample,
    snapshots.measured_on,
    views.last_viewed_at
from known
left join medias on known.media_id = medias.media_id
left join sessions on known.media_id = sessions.media_id
left join views on known.media_id = views.media_id
left join snapshots on known.media_id = snapshots.media_id and snapshots.recency = 1
