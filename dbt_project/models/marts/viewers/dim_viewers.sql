with viewers as (

    select * from {{ ref('int_views_summed_to_viewer') }}

),

identified as (

    select * from {{ ref('int_viewers_identified') }}

)

select
    viewers.viewer_id,
    {{ person_id('identified.email') }} as person_id,
    clustered.viewer_cluster,
    identified.country,
    identified.region,
    identified.browser,
    identified.platform,
    viewers.media_count,
    cast(viewers.session_count as bigint) as session_count,
    identified.load_count,
    identified.play_count,
    viewers.watched_share,
    identified.email is not null as is_identified,
    identified.is_mobile,
    viewers.first_viewed_at,
    viewers.last_viewed_at
from viewers
join {{ ref('int_viewers_clustered') }} as clustered on viewers.viewer_id = clustered.viewer_id
left join identified on viewers.viewer_id = identified.viewer_id
