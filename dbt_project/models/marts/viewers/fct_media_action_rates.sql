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

-- A media may show several of one type.
counted as (

    select
        media_id,
        {{ json_text('action', 'type') }} as action_type,
        cast(sum({{ whole(number_in(json_text('action', 'impression_count'), least=0)) }}) as bigint) as impression_count,
        cast(sum({{ whole(number_in(json_text('action', 'action_count'), least=0)) }}) as bigint) as action_count,
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

-- The same events from single sessions, under other names.
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

),

-- How far below the median each is, with the median as given.
scored as (

    select
        rated.*,
        medians.median_action_share,
        (medians.median_action_share - rated.action_share) / nullif(sqrt(greatest(
            0, medians.median_action_share * (1 - medians.median_action_share) / nullif(rated.impression_count, 0)
        )), 0) as z_score
    from rated
    left join medians on rated.action_type = medians.action_type

),

tested as (

    select *, {{ p_above('z_score') }} as p_value from scored

),

judged as (

    {{ with_adjusted_p('tested', [['', 'has_enough_impressions']]) }}

)

select
    judged.media_id,
    judged.action_type,
    medias.media_name,
    placed.action_text,
    placed.placement,
    judged.impression_count,
    judged.action_count,
    judged.action_share,
    {{ interval('judged.action_count', 'judged.impression_count', 'action_share') }},
    judged.median_action_share,
    judged.adjusted_p_value,
    coalesce(converted.converted_session_count, 0) as converted_session_count,
    placed.shown_seconds,
    judged.has_enough_impressions,
    judged.has_enough_impressions and judged.action_share < judged.median_action_share as is_below_median,
    coalesce(judged.adjusted_p_value < {{ var('false_discovery_below') }}, false) as is_surely_below_median,
    judged.measured_on
from judged
left join {{ ref('fct_media_performance') }} as medias on judged.media_id = medias.media_id
left join {{ ref('int_actions_placed') }} as placed
    on judged.media_id = placed.media_id and judged.action_type = placed.action_type
left join converted on judged.media_id = converted.media_id and lower(judged.action_type) = converted.action_type
