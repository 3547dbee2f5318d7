{%- set step = var('analysis_share_step') -%}
{%- set told = var('persona_share_step') -%}

-- The clusters side by side.
with

cluster_list as (

    select
        {{ sorted_list(
            "case when viewer_count >= " ~ var('smallest_group') ~ " then "
            ~ record([
                ['share', in_steps('viewer_share', told)],
                ['viewer_cluster', 'viewer_cluster'],
                ['viewer_count', two_digits('viewer_count', 5)],
                ['mean_media_count', in_steps('mean_media_count', 0.1)],
                ['mean_watched_share', in_steps('mean_watched_share', told)],
                ['mean_session_count', in_steps('mean_session_count', 0.1)],
                ['identified_share', in_steps('identified_share', told)],
            ]) ~ " end"
        ) }} as clusters,
        {{ sorted_list(
            "case when viewer_count between 1 and " ~ (var('smallest_group') - 1) ~ " then viewer_cluster end"
        ) }} as small_clusters,
        sum(viewer_count * mean_media_count) / nullif(sum(viewer_count), 0) as mean_media_count,
        sum(viewer_count * mean_watched_share) / nullif(sum(viewer_count), 0) as mean_watched_share,
        sum(viewer_count * mean_session_count) / nullif(sum(viewer_count), 0) as mean_session_count,
        sum(viewer_count) as viewer_count,
        sum(session_count) as session_count,
        sum(identified_viewer_count) as identified_viewer_count,
        cast(max(last_viewed_at) as date) as measured_on
    from {{ ref('agg_viewer_clusters') }}

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

-- By the exact share: a step must not hide that more people watched another media. least_share keeps noise at the edge from costing
-- credits.
ranked_medias as (

    select
        *,
        row_number() over (order by viewer_share desc, media_id) as media_position
    from watched

),

media_list as (

    select
        {{ sorted_list(
            "case when viewer_share >= " ~ var('listed_from_share') ~ " then "
            ~ record([
                ['share', in_steps('viewer_share', told)],
                ['media_name', label('media_name')],
                ['mean_watched_share', in_steps('mean_watched_share', told)],
            ]) ~ " end"
        ) }} as medias,
        -- The upper bound of a media that is not among them.
        coalesce(
            max(case when media_position = {{ var('listed_analysis_medias') }} then viewer_share end),
            {{ var('listed_from_share') }}
        ) as least_share
    from ranked_medias
    where media_position <= {{ var('listed_analysis_medias') }}

),

-- Videos, pages, countries, devices and hours to which a cluster leans beyond chance.
leaning_list as (

    select
        {{ sorted_list(
            "case when label_position <= " ~ var('listed_distinct_labels') ~ " then "
            ~ record([
                ['distance', in_steps('distance', 0.1)],
                ['viewer_cluster', 'entity'],
                ['fact', 'fact_name'],
                ['label', label('label')],
                ['share', in_steps('value', told)],
                ['average', in_steps('average', told)],
            ]) ~ " end"
        ) }} as leanings
    from {{ ref('agg_groups_compared') }}
    where job = 'viewer-clusters' and label <> ''

)

select
    'all' as entity,
    'Viewer clusters' as name,
    {{ facts_with_steps([
        figure('viewer_count', 'cluster_list.viewer_count', 5),
        figure('session_count', 'cluster_list.session_count', 5),
        measure('identified_share', share('cluster_list.identified_viewer_count', 'cluster_list.viewer_count'), step, told=told),
        ['clusters', 'cluster_list.clusters', {
            '[].share': step,
            '[].viewer_count': two_digits_step('cluster_list.viewer_count', 5),
            '[].mean_media_count': 0.5,
            '[].mean_watched_share': step,
            '[].mean_session_count': 0.5,
            '[].identified_share': step,
        }],
        ['small_clusters', 'cluster_list.small_clusters'],
        ['medias', 'media_list.medias', {
            '[]': 'media_list.least_share', '[].share': step, '[].mean_watched_share': step
        }],
        ['leanings', 'leaning_list.leanings', {
            '[]': var('distinct_from_distance'), '[].distance': var('distinct_from_distance'), '[].share': 0.1, '[].average': 0.1
        }],
        ['everybody', record([
            ['mean_media_count', in_steps('cluster_list.mean_media_count', 0.1)],
            ['mean_watched_share', in_steps('cluster_list.mean_watched_share', told)],
            ['mean_session_count', in_steps('cluster_list.mean_session_count', 0.1)],
        ]), {'.mean_media_count': 0.5, '.mean_watched_share': step, '.mean_session_count': 0.5}],
    ]) }},
    viewers.person_count,
    {{ no_references() }} as reference_keys,
    cluster_list.measured_on
from cluster_list
cross join viewers
cross join media_list
cross join leaning_list
where cluster_list.viewer_count > 0
