{{ growing(['viewer_id', 'media_id'], after=['stg_wistia__viewing_events'], whose='viewer_id') }}

-- The best session counts as the share watched of a media: a viewer who returns for the end has seen the whole, and one who looks
-- something up again has not forgotten the rest.
select
    viewer_id,
    media_id,
    count(*) as session_count,
    max(watched_share) as watched_share,
    min(viewed_at) as first_viewed_at,
    max(viewed_at) as last_viewed_at
from {{ ref('stg_wistia__viewing_events') }}
where viewer_id is not null
    and media_id is not null
    and watched_share is not null
    {%- if is_incremental() %}
    and {{ in_new_loads('viewer_id', 'stg_wistia__viewing_events') }}
    {%- endif %}
group by viewer_id, media_id
