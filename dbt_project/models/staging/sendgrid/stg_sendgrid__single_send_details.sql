with source as (

    {{ readable('raw_sendgrid', 'single_send_details') }}

),

renamed as (

    select
        -- ids
        id as single_send_id,

        -- text
        nullif(trim(subject), '') as subject,
        {{ json_text('ab_test', var('ab_variation_fields').list) }} as variations,

        -- times
        {{ utc('updated_at') }} as updated_at
    from source

)

select * from renamed
