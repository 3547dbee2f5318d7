with clusters as (

    select count(*) as cluster_count from {{ ref('agg_viewer_clusters') }}

),

keenest as (

    select viewer_cluster
    from {{ ref('agg_viewer_clusters') }}
    where not is_small_sample
    order by mean_watched_share desc, viewer_count desc, rule_position
    limit 1

),

medias as (

    select
        media_id,
        count(drop_off_number) as drop_off_count
    from {{ ref('rpt_most_played_retention') }}
    group by media_id

),

reported as (

    select
        count(*) as reported_media_count,
        coalesce(max(drop_off_count), 0) as most_drop_off_count
    from medias

),

steepest as (

    select *
    from {{ ref('rpt_most_played_retention') }}
    where drop_off_number is not null and not is_small_sample
    order by lost_share desc, media_position, cell_place
    limit 1

),

actions as (

    select
        count(*) filter (where has_enough_impressions) as compared_action_count,
        count(*) filter (where is_surely_below_median) as low_action_count
    from {{ ref('fct_media_action_rates') }}
    where action_share is not null

),

cohorts as (

    select count(*) filter (where not is_written and mailable_lead_count > 0 and cohort <> 'none') as unwritten_cohort_count
    from {{ ref('agg_lead_cohorts') }}

)

select
    'Video' as section,
    keenest.viewer_cluster as keenest_cluster,
    steepest.media_name as steepest_media_name,
    clusters.cluster_count,
    reported.reported_media_count,
    reported.most_drop_off_count,
    steepest.lost_share as steepest_lost_share,
    steepest.position_seconds as steepest_from_seconds,
    steepest.drop_off_to_seconds as steepest_to_seconds,
    actions.compared_action_count,
    actions.low_action_count,
    cohorts.unwritten_cohort_count
from clusters
cross join reported
cross join actions
cross join cohorts
left join keenest on true
left join steepest on true
