{#- Sessions grow while they last, and none moves to another viewer: if one does, the table is built whole. -#}
{%- set hashed = ['event_key', 'visitor_key'] -%}
{{ growing(
    'viewing_event_id', raw={'schema': 'raw_wistia', 'table': 'events', 'key': 'event_key', 'hashed': hashed}, mark='percent_viewed_scale'
) }}

with source as (

    {{ readable('raw_wistia', 'events') }}

),

scale as (

    select {{ percent_viewed_scale() }} as whole

),

opened as (

    select
        *,
        {{ json_texts('user_agent_details', ['browser', 'platform', 'mobile']) }} as user_agent,
        {{ json_texts('conversion_data', ['email', 'first_name', 'last_name']) }} as conversion
    from source
    {% if is_incremental() -%}
    where {{ came_since(load_of('_dlt_load_id')) }}
    {%- endif %}

),

renamed as (

    select
        -- ids
        opened.event_key as viewing_event_id,
        opened.visitor_key as viewer_id,
        opened.media_id,
        {{ load_of('opened._dlt_load_id') }} as load_id,

        -- text
        nullif(lower(trim(opened.email)), '') as email,
        nullif(lower(trim({{ text_at('opened.conversion', 1) }})), '') as conversion_email,
        nullif(trim({{ text_at('opened.conversion', 2) }}), '') as conversion_first_name,
        nullif(trim({{ text_at('opened.conversion', 3) }}), '') as conversion_last_name,
        nullif(nullif(opened.conversion_type, ''), '0') as conversion_type,
        nullif(upper(trim(opened.country)), '') as country,
        nullif(trim(opened.region), '') as region,
        nullif(trim(opened.city), '') as city,
        opened.media_name,
        nullif(opened.embed_url, '') as embed_url,
        {{ text_at('opened.user_agent', 1) }} as browser,
        {{ text_at('opened.user_agent', 2) }} as platform,

        -- numbers
        {{ row_hash(hashed) }} as row_hash,
        opened.percent_viewed as served_percent_viewed,
        -- Decimal, so that a mean does not depend on the order of its rows. Values slightly above 1 are 1.
        case
            when opened.percent_viewed between 0 and scale.whole
                then {{ as_decimal('opened.percent_viewed / scale.whole', 7, 6) }}
            when scale.whole = 1 and opened.percent_viewed between 1 and {{ var('share_far_above') }} then 1
        end as watched_share,

        -- booleans
        try_cast({{ text_at('opened.user_agent', 3) }} as boolean) as is_mobile,

        -- times
        {{ utc('opened.received_at') }} as viewed_at
    from opened
    cross join scale

)

select * from renamed
