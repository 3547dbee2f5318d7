{%- set step = var('persona_share_step') -%}
{%- set compared = {
    'mean_media_count': 0.1, 'mean_watched_share': step, 'mean_session_count': 0.1, 'identified_share': step, 'mobile_share': step,
} -%}

-- A persona per cluster with viewers.
with

clusters as (

    select * from {{ ref('agg_viewer_clusters') }} where viewer_count > 0

),

compared as (

    {{ groups_compared('viewer-clusters', 'clusters', 'viewer_cluster', compared, {
        'reading_devices': 'device', 'reading_hours': 'day_part', 'leaning_medias': 'media_name', 'leaning_pages': 'page',
        'leaning_countries': 'country',
    }) }}

),

-- By the exact share; least_share keeps noise at the edge from moving anything.
ranked_medias as (

    select
        *,
        row_number() over (
            partition by viewer_cluster
            order by viewer_share desc, media_id
        ) as position_in_cluster
    from {{ ref('agg_viewer_cluster_medias') }}
    where viewer_share >= {{ var('listed_from_share') }}

),

media_lists as (

    select
        clusters.viewer_cluster,
        {{ sorted_list(
            "case when medias.position_in_cluster <= " ~ var('listed_persona_medias') ~ " then "
            ~ record([
                ['share', in_steps('medias.viewer_share', step)],
                ['media_name', label('medias.media_name')],
            ]) ~ " end"
        ) }} as medias,
        -- The upper bound of a media that is not among them.
        coalesce(
            max(case when medias.position_in_cluster = {{ var('listed_persona_medias') }} then medias.viewer_share end),
            {{ var('listed_from_share') }}
        ) as least_share
    from clusters
    left join ranked_medias as medias on clusters.viewer_cluster = medias.viewer_cluster
    group by clusters.viewer_cluster

)

select
    clusters.viewer_cluster as entity,
    {{ called('clusters.viewer_cluster', {
        'binge_watchers': 'Binge Watchers: finish what they start',
        'engaged_explorers': 'Engaged Explorers: compare before they choose',
        'skimmers': 'Skimmers: sample a lot, finish little',
        'bouncers': 'Bouncers: one video, gone in moments',
        'casual_viewers': 'Casual Viewers: a video or two, watched through',
    }, 'Video Viewers') }} as name,
    {{ facts_with_steps([
        ['viewer_cluster', 'clusters.viewer_cluster'],
        figure('viewer_count', 'clusters.viewer_count'),
        measure('share_of_viewers', 'clusters.viewer_share', step),
        measure('mean_media_count', 'clusters.mean_media_count', 0.1),
        measure('mean_watched_share', 'clusters.mean_watched_share', step, [
            'clusters.mean_watched_share_low', 'clusters.mean_watched_share_high'
        ]),
        measure('mean_session_count', 'clusters.mean_session_count', 0.1),
        measure('identified_share', 'clusters.identified_share', step),
        measure('mobile_share', 'clusters.mobile_share', step),
        ['medias', 'media_lists.medias', {'[]': 'media_lists.least_share', '[].share': step}],
        set_apart('apart'),
        averages('everybody', compared),
        leaning('reading_devices'),
        leaning('reading_hours'),
        leaning('leaning_medias'),
        leaning('leaning_pages'),
        leaning('leaning_countries'),
    ]) }},
    clusters.person_count,
    {{ no_references() }} as reference_keys,
    cast(clusters.last_viewed_at as date) as measured_on
from clusters
join compared on clusters.viewer_cluster = compared.entity
join media_lists on clusters.viewer_cluster = media_lists.viewer_cluster
