{%- set step = var('analysis_share_step') -%}

-- The clusters side by side.
with

cluster_list as (

    select
        {{ sorted_list(
            "case when viewer_count >= " ~ var('smallest_group') ~ " then "
            ~ record([
                ['share', in_steps('viewer_share', step)],
                ['viewer_cluster', 'viewer_cluster'],
                ['viewer_count', two_digits('viewer_count', 5)],
                ['mean_media_count', in_steps('mean_media_count', 0.5)],
                ['mean_watched_share', in_steps('mean_watched_share', step)],
                ['mean_session_count', in_steps('mean_session_count', 0.5)],
                ['identified_share', in_steps('identified_share', step)],
            ]) ~ " end"
        ) }} as clusters,
        {{ sorted_list(
            "case when viewer_count between 1 and " ~ (var('smallest_group') - 1) ~ " then viewer_cluster end"
        ) }} as small_clusters,
        sum(viewer_count) as viewer_count,
        sum(session_count) as session_count,
        sum(identified_viewer_count) as identified_viewer_count,
        cast(max(last_viewed_at) as date) as measured_on
    from {{ ref('viewer_clusters') }}

),

viewers as (

    select
        count(*) as viewer_count,
        count(distinct coalesce(person_id, viewer_id)) as person_count
    from {{ ref('dim_viewers') }}

),

watched as (

    select
        medias.media_id,
        medias.media_name,
        {{ share('medias.viewer_count', 'viewers.viewer_count') }} as viewer_share,
        medias.mean_watched_share
    from {{ ref('fct_media_performance') }} as medias
    cross join viewers

),

-- By the share as it leaves: among medias that are as good as equal, noise must not decide which are named.
ranked_medias as (

    select
        *,
        row_number() over (order by {{ in_steps('viewer_share', step) }} desc, media_id) as media_position
    from watched

),

media_list as (

    select
        {{ sorted_list(
            "case when viewer_share >= " ~ var('listed_from_share') ~ " then "
            ~ record([
                ['share', in_steps('viewer_share', step)],
                ['media_name', label('media_name')],
                ['mean_watched_share', in_steps('mean_watched_share', step)],
            ]) ~ " end"
        ) }} as medias
    from ranked_medias
    where media_position <= {{ var('listed_analysis_medias') }}

)

select
    'all' as entity,
    'Viewer clusters' as name,
    {{ json_build([
        ['viewer_count', two_digits('cluster_list.viewer_count', 5)],
        ['session_count', two_digits('cluster_list.session_count', 5)],
        ['identified_share', in_steps(
            share('cluster_list.identified_viewer_count', 'cluster_list.viewer_count'), step
        )],
        ['clusters', 'cluster_list.clusters'],
        ['small_clusters', 'cluster_list.small_clusters'],
        ['medias', 'media_list.medias'],
    ]) }} as facts,
    viewers.person_count,
    {{ no_references() }} as reference_keys,
    cluster_list.measured_on
from cluster_list
cross join viewers
cross join media_list
where cluster_list.viewer_count > 0
