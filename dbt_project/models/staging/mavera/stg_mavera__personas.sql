with source as (

    {{ readable('raw_mavera', 'personas') }}

),

renamed as (

    select
        -- ids
        id as persona_id,

        -- text
        name as persona_name,
        category,
        description,
        pipeline_type,
        type as audience_type,

        -- numbers
        credits_charged,

        -- booleans
        coalesce(is_custom, false) as is_custom,
        coalesce(is_expert, false) as is_expert,

        -- times
        {{ utc('created_at') }} as created_at
    from source

)

select * from renamed
