{{ growing('viewing_event_id', after=['stg_wistia__viewing_events']) }}

{% if is_incremental() -%}
-- Browsers of another person than before, or of one who has become known.
with moved as (

    select known.viewer_id
    from (select distinct viewer_id, person_id from {{ this }}) as known
    left join {{ ref('int_viewers_identified') }} as viewers on known.viewer_id = viewers.viewer_id
    where known.person_id is distinct from {{ person_id('viewers.email') }}

)

{% endif -%}
select
    sessions.viewing_event_id,
    sessions.viewer_id,
    {{ person_id('viewers.email') }} as person_id,
    sessions.media_id,
    sessions.media_name,
    sessions.country,
    sessions.region,
    sessions.browser,
    sessions.platform,
    case
        when sessions.is_mobile then 'mobile'
        when not sessions.is_mobile then 'desktop'
        else {{ device_class_of('sessions.platform') }}
    end as device_class,
    sessions.conversion_type,
    cast(sessions.watched_share as decimal(7, 6)) as watched_share,
    sessions.viewed_at
from {{ ref('stg_wistia__viewing_events') }} as sessions
left join {{ ref('int_viewers_identified') }} as viewers on sessions.viewer_id = viewers.viewer_id
{%- if is_incremental() %}
where {{ came_since('sessions.load_id') }} or sessions.viewer_id in (select viewer_id from moved)
{%- endif %}
