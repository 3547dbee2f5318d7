{{ config(materialized="table") }}

{%- set scale = var('percent_viewed_scale') -%}
{%- if scale not in ('auto', 'fraction', 'percent') -%}
    {%- set message = "var percent_viewed_scale is " ~ scale ~ "; it can be auto, fraction or percent" -%}
    {{ exceptions.raise_compiler_error(message) }}
{%- endif -%}

with source as (

    {{ readable('raw_wistia', 'events') }}

),

scale as (

    {% if scale == 'auto' -%}
    -- NaN sorts above every number, and says nothing about the scale.
    select
        case
            when count(*) filter (where percent_viewed > {{ var('share_far_above') }} and percent_viewed <= 100)
                > {{ var('percent_scale_above_share') }} * count(*) filter (where percent_viewed > 0 and percent_viewed <= 100)
                then 100
            else 1
        end as whole
    from source
    {%- else -%}
    select {{ 100 if scale == 'percent' else 1 }} as whole
    {%- endif %}

),

renamed as (

    select
        -- ids
        source.event_key as viewing_event_id,
        source.visitor_key as viewer_id,
        source.media_id,

        -- text
        nullif(lower(trim(source.email)), '') as email,
        nullif(lower(trim({{ json_text('source.conversion_data', 'email') }})), '') as conversion_email,
        nullif(trim({{ json_text('source.conversion_data', 'first_name') }}), '') as conversion_first_name,
        nullif(trim({{ json_text('source.conversion_data', 'last_name') }}), '') as conversion_last_name,
        nullif(nullif(source.conversion_type, ''), '0') as conversion_type,
        nullif(upper(trim(source.country)), '') as country,
        nullif(trim(source.region), '') as region,
        nullif(trim(source.city), '') as city,
        source.media_name,
        nullif(source.embed_url, '') as embed_url,
        {{ json_text('source.user_agent_details', 'browser') }} as browser,
        {{ json_text('source.user_agent_details', 'platform') }} as platform,

        -- numbers
        source.percent_viewed as served_percent_viewed,
        -- Decimal, so that a mean does not depend on the order of its rows. Values slightly above 1 are 1.
        case
            when source.percent_viewed between 0 and scale.whole
                then cast(source.percent_viewed / scale.whole as decimal(7, 6))
            when scale.whole = 1 and source.percent_viewed between 1 and {{ var('share_far_above') }} then 1
        end as watched_share,

        -- booleans
        try_cast({{ json_text('source.user_agent_details', 'mobile') }} as boolean) as is_mobile,

        -- times
        {{ utc('source.received_at') }} as viewed_at
    from source
    cross join scale

)

select * from renamed
