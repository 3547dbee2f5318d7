with

{%- set settings = var('action_settings') %}

set_actions as (

    {% for setting in settings -%}
    select
        media_id,
        '{{ setting.action_type }}' as action_type,
        nullif(trim({{ json_text('player_settings', [setting.plugin, setting.words]) }}), '') as action_text,
        lower(trim(coalesce(
            {{ json_text('player_settings', [setting.plugin, 'time']) }}, '{{ setting.usual_time }}'
        ))) as shown_time,
        coalesce(lower({{ json_text('player_settings', [setting.plugin, 'on']) }}), 'true') as switch
    from {{ ref('stg_wistia__customizations') }}
    where {{ json_text('player_settings', setting.plugin) }} is not null
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

timed as (

    select
        actions.media_id,
        actions.action_type,
        actions.action_text,
        case actions.shown_time
            when 'before' then 0.0
            when 'end' then medias.duration_seconds
            else {{ number_in('actions.shown_time', least=0) }}
        end as shown_seconds,
        medias.duration_seconds
    from set_actions as actions
    left join {{ ref('stg_wistia__medias') }} as medias on actions.media_id = medias.media_id
    where actions.switch <> 'false'

)

select
    media_id,
    action_type,
    action_text,
    -- Thirds of the media.
    case
        when shown_seconds <= duration_seconds / 3 then 'start'
        when shown_seconds <= duration_seconds * 2 / 3 then 'middle'
        when shown_seconds is not null and duration_seconds is not null then 'end'
    end as placement,
    shown_seconds
from timed
