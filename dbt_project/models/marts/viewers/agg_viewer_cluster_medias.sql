with views as (

    select
        viewers.viewer_cluster,
        views.media_id,
        count(*) as viewer_count,
        {{ mean('views.watched_share') }} as mean_watched_share
    from {{ ref('int_sessions_summed_to_view') }} as views
    join {{ ref('dim_viewers') }} as viewers on views.viewer_id = viewers.viewer_id
    group by viewers.viewer_cluster, views.media_id

)

select
    views.viewer_cluster,
    views.media_id,
    medias.media_name,
    views.viewer_count,
    {{ share_with_interval('views.viewer_count', 'clusters.viewer_count', 'viewer_share') }},
    views.mean_watched_share,
    {{ is_small('clusters.viewer_count') }} as is_small_sample
from views
join {{ ref('agg_viewer_clusters') }} as clusters on views.viewer_cluster = clusters.viewer_cluster
join {{ ref('fct_media_performance') }} as medias on views.media_id = medias.media_id
