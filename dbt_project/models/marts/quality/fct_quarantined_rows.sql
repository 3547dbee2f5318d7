{%- set checks = [
    ['wistia', 'events', 'percent_viewed', 'out of range', 'sessions',
        'served_percent_viewed is not null and watched_share is null'],
    ['wistia', 'events', 'percent_viewed', 'missing', 'sessions', 'served_percent_viewed is null'],
    ['wistia', 'events', 'visitor_key, media_id', 'missing', 'sessions', 'viewer_id is null or media_id is null'],
    ['wistia', 'captions', 'text', 'holds no cue', 'captions', 'has_no_cue'],
    ['klaviyo', 'events', '$message', 'missing', 'flow_receipts', 'message_id is null'],
    ['klaviyo', 'predictive_analytics', 'profile_id', 'no such profile', 'predictions', 'has_no_profile'],
] -%}

-- Values set aside by ingest are counted as such below: null in raw, but not missing.
with sessions as (

    select * from {{ ref('stg_wistia__viewing_events') }}

),

flow_receipts as (

    select events.message_id
    from {{ ref('stg_klaviyo__events') }} as events
    join {{ ref('int_metric_roles') }} as metrics on events.metric_id = metrics.metric_id
    where events.flow_id is not null and metrics.metric_role {{ in_roles('received') }}

),

predictions as (

    select profiles.customer_id is null as has_no_profile
    from {{ ref('stg_klaviyo__predictive_analytics') }} as predictions
    left join {{ ref('stg_klaviyo__profiles') }} as profiles on predictions.customer_id = profiles.customer_id

),

amounts as (

    select
        unread_reason,
        count(*) as row_count,
        sum(count(*)) over () as total_count
    from {{ ref('int_amounts_read') }}
    group by unread_reason

),

captions as (

    select captions.subtitles is not null and cues.media_id is null as has_no_cue
    from {{ ref('stg_wistia__captions') }} as captions
    left join {{ ref('stg_wistia__caption_cues') }} as cues
        on captions.media_id = cues.media_id and captions.caption_language = cues.caption_language and cues.cue_number = 1

),

counted as (

    {% for vendor, table_name, field, reason, rows, rule in checks -%}
    select
        '{{ vendor }}' as vendor,
        '{{ table_name }}' as table_name,
        '{{ field }}' as field,
        '{{ reason }}' as reason,
        {% if reason == 'missing' -%}
        greatest(0, count(*) filter (where {{ rule }}) - (
            select count(*) from {{ ref('stg_operations__set_aside') }}
            where vendor = '{{ vendor }}' and table_name = '{{ table_name }}' and field in ('{{ field.split(', ') | join("', '") }}')
        ))
        {%- else -%}
        count(*) filter (where {{ rule }})
        {%- endif %} as row_count,
        count(*) as total_count
    from {{ rows }}

    union all

    {% endfor -%}
    select
        vendor,
        table_name,
        field,
        reason,
        row_count,
        total_count
    from {{ ref('stg_operations__unread_values') }}

    union all

    select
        'klaviyo' as vendor,
        'events' as table_name,
        '$value' as field,
        unread_reason as reason,
        row_count,
        cast(total_count as bigint) as total_count
    from amounts
    where unread_reason is not null

    union all

    select
        vendor,
        table_name,
        field,
        concat_ws('', reason, ', set aside by ingest') as reason,
        count(*) as row_count,
        cast(null as bigint) as total_count
    from {{ ref('stg_operations__set_aside') }}
    group by vendor, table_name, field, reason

)

select
    vendor,
    table_name,
    field,
    replace(table_name, '_', ' ') as things,
    concat_ws('', field, ' ', reason) as reason,
    row_count,
    total_count
from counted
