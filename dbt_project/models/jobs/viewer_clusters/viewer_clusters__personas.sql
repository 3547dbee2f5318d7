{%- set step = var('persona_share_step') -%}

-- A persona per cluster with viewers.
with

clusters as (

    select * from {{ ref('agg_viewer_clusters') }} where viewer_count > 0

),

countries as (

    select
        viewer_cluster,
        country,
        {{ share('count(*)', 'sum(count(*)) over (partition by viewer_cluster)') }} as share
    from {{ ref('dim_viewers') }}
    where country is not null
    group by viewer_cluster, country

),

country_lists as (

    select
        clusters.viewer_cluster,
        {{ sorted_list(
            "case when countries.share >= " ~ var('listed_from_share') ~ " then "
            ~ record([['share', in_steps('countries.share', step)], ['country', 'countries.country']]) ~ " end"
        ) }} as countries
    from clusters
    left join countries on clusters.viewer_cluster = countries.viewer_cluster
    group by clusters.viewer_cluster

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
    {{ titled('Video viewers', 'clusters.viewer_cluster') }} as name,
    {{ facts_with_steps([
        ['viewer_cluster', 'clusters.viewer_cluster'],
        ['rule', record([
            ['media_count_from', 'clusters.media_count_from'],
            ['media_count_to', 'clusters.media_count_to'],
            ['watched_share_from', 'clusters.watched_share_from'],
            ['watched_share_below', 'clusters.watched_share_below'],
        ])],
        figure('viewer_count', 'clusters.viewer_count'),
        measure('share_of_viewers', 'clusters.viewer_share', step),
        measure('mean_media_count', 'clusters.mean_media_count', 0.1),
        measure('mean_watched_share', 'clusters.mean_watched_share', step, [
            'clusters.mean_watched_share_low', 'clusters.mean_watched_share_high'
        ]),
        measure('mean_session_count', 'clusters.mean_session_count', 0.1),
        measure('identified_share', 'clusters.identified_share', step),
        measure('mobile_share', 'clusters.mobile_share', step),
        ['countries', 'country_lists.countries', {'[]': var('listed_from_share'), '[].share': step}],
        ['medias', 'media_lists.medias', {'[]': 'media_lists.least_share', '[].share': step}],
    ]) }},
    clusters.person_count,
    {{ no_references() }} as reference_keys,
    cast(clusters.last_viewed_at as date) as measured_on
from clusters
join country_lists on clusters.viewer_cluster = country_lists.viewer_cluster
join media_lists on clusters.viewer_cluster = media_lists.viewer_cluster
