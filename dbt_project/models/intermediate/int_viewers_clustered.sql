{{ growing('viewer_id', after=['stg_wistia__viewing_events'], whose='viewer_id') }}

-- The views of each media by the end of each day on which its viewer watched it.
with account as (

    select max(cast(viewed_at as date)) as last_viewed_on
    from {{ ref('stg_wistia__viewing_events') }}
    where viewer_id is not null
        and media_id is not null
        and watched_share is not null

),

{% if is_incremental() -%}
-- Time alone moves a viewer whose latest views fit another cluster.
redone as (

    select viewer_id from {{ ref('stg_wistia__viewing_events') }} where {{ came_since('load_id') }}
    union
    select viewer_id from {{ this }} where is_moving

),

{% endif -%}
watched as (

    select
        viewer_id,
        media_id,
        cast(viewed_at as date) as viewed_on,
        max(watched_share) as watched_share
    from {{ ref('stg_wistia__viewing_events') }}
    where viewer_id is not null
        and media_id is not null
        and watched_share is not null
        {%- if is_incremental() %}
        and viewer_id in (select viewer_id from redone)
        {%- endif %}
    group by viewer_id, media_id, cast(viewed_at as date)

),

compared as (

    select
        *,
        max(watched_share) over (
            partition by viewer_id, media_id order by viewed_on rows between unbounded preceding and 1 preceding
        ) as best_before
    from watched

),

days as (

    select
        viewer_id,
        viewed_on,
        sum(case when best_before is null then 1 else 0 end) as new_media_count,
        sum(greatest(watched_share - coalesce(best_before, 0), 0)) as gained_share
    from compared
    group by viewer_id, viewed_on

),

-- Decimal and never divided: rounding must not move a viewer who is exactly on a threshold.
standings as (

    select
        viewer_id,
        viewed_on,
        lead(viewed_on) over (partition by viewer_id order by viewed_on) as next_viewed_on,
        cast(sum(new_media_count) over (partition by viewer_id order by viewed_on) as bigint) as media_count,
        sum(gained_share) over (partition by viewer_id order by viewed_on) as watched_share_sum
    from days

),

clustered as (

    select
        *,
        case
            {%- for rule in var('viewer_cluster_rules') %}
            when media_count >= {{ rule.media_count_from }}
                {%- if 'media_count_to' in rule %}
                and media_count <= {{ rule.media_count_to }}
                {%- endif %}
                {%- if 'watched_share_from' in rule %}
                and watched_share_sum >= {{ rule.watched_share_from }} * media_count
                {%- endif %}
                {%- if 'watched_share_below' in rule %}
                and watched_share_sum < {{ rule.watched_share_below }} * media_count
                {%- endif %}
                then '{{ rule.cluster }}'
            {%- endfor %}
        end as viewer_cluster
    from standings

),

changes as (

    select
        *,
        case
            when viewer_cluster = lag(viewer_cluster) over (partition by viewer_id order by viewed_on) then 0 else 1
        end as change_count
    from clustered

),

numbered as (

    select
        *,
        sum(change_count) over (partition by viewer_id order by viewed_on) as stay_number
    from changes

),

-- A stay lasts until a day's views ended it; the last stay lasts to the end of the data.
stays as (

    select
        numbered.viewer_id,
        numbered.stay_number,
        numbered.viewer_cluster,
        {{ dbt.datediff(
            'min(numbered.viewed_on)', 'max(coalesce(numbered.next_viewed_on, account.last_viewed_on))', 'day'
        ) }} + max(case when numbered.next_viewed_on is null then 1 else 0 end) as day_count
    from numbered
    cross join account
    group by numbered.viewer_id, numbered.stay_number, numbered.viewer_cluster

),

chosen as (

    select
        viewer_id,
        coalesce(
            max_by(viewer_cluster, stay_number) filter (where day_count >= {{ var('cluster_days_to_move') }} and viewer_cluster is not null),
            min_by(viewer_cluster, stay_number) filter (where viewer_cluster is not null)
        ) as viewer_cluster,
        max_by(viewer_cluster, stay_number) filter (where viewer_cluster is not null) as latest_cluster
    from stays
    group by viewer_id

)

select
    viewer_id,
    viewer_cluster,
    viewer_cluster <> latest_cluster as is_moving
from chosen
