with source as (

    {{ readable('raw_klaviyo', 'campaigns') }}

),

renamed as (

    select
        -- ids
        id as campaign_id,

        -- text
        name as campaign_name,
        channel,
        status,

        -- booleans
        coalesce(archived, false) as is_archived,

        -- times
        {{ utc('created_at') }} as created_at,
        {{ utc('scheduled_at') }} as scheduled_at,
        {{ utc('updated_at') }} as updated_at,
        {{ utc('send_time') }} as sent_at,
        {{ utc('gone_at') }} as gone_at
    from source

)

select * from renamed
