with snapshots as (

    select
        *,
        row_number() over (partition by media_id order by measured_on desc) as recency
    from {{ ref('stg_wistia__media_stats') }}

),

actions as (

    select media_id, measured_on, {{ explode_rows('actions') }} as action
    from snapshots
    where recency = 1

),

-- A media may show several of a kind.
counted as (

    select
        media_id,
        {{ json_text('action', 'type') }} as action_type,
        cast(sum(cast({{ json_text('action', 'impression_count') }} as bigint)) as bigint) as impression_count,
        cast(sum(cast({{ json_text('action', 'action_count') }} as bigint)) as bigint) as action_count,
        max(measured_on) as measured_on
    from actions
    group by media_id, action_type

),

rated as (

    select
        *,
        {{ share('action_count', 'impression_count') }} as action_share,
        impression_count >= {{ var('action_impressions_from') }} as has_enough_impressions
    from counted
    where action_type is not null

),

-- What single sessions say of the same, under names of their own.
converted as (

    select media_id, lower(conversion_type) as action_type, count(*) as converted_session_count
    from {{ ref('stg_wistia__viewing_events') }}
    where conversion_type is not null
    group by media_id, lower(conversion_type)

),

medians as (

    select action_type, median(action_share) as median_action_share
    from rated
    where has_enough_impressions
    group by action_type

)

select
    rated.media_id,
    rated.action_type,
    medias.media_name,
    placed.action_text,
    placed.placement,
    rated.impression_count,
    rated.action_count,
    rated.action_share,
    {{ wilson_low('rated.action_count', 'rated.impression_count') }} as action_share_low,
    {{ wilson_high('rated.action_count', 'rated.impression_count') }} as action_share_high,
    medians.median_action_share,
    coalesce(converted.converted_session_count, 0) as converted_session_count,
    placed.shown_seconds,
    rated.has_enough_impressions,
    rated.has_enough_impressions and rated.action_share < medians.median_action_share as is_below_median,
    rated.measured_on
from rated
left join medians on rated.action_type = medians.action_type
left join {{ ref('fct_media_performance') }} as medias on rated.media_id = medias.media_id
left join {{ ref('int_actions_placed') }} as placed
    on rated.media_id = placed.media_id and rated.action_type = placed.action_type
left join converted on rated.media_id = converted.media_id and lower(rated.action_type) = converted.action_type
