with source as (

    {{ readable('raw_klaviyo', 'lists') }}

),

renamed as (

    select
        -- ids
        id as list_id,

        -- text
        name as list_name,

        -- booleans
        coalesce(opt_in_process = 'double_opt_in', false) as is_double_opt_in,

        -- times
        {{ utc('created') }} as created_at,
        {{ utc('updated') }} as updated_at,
        {{ utc('gone_at') }} as gone_at
    from source

)

select * from renamed
