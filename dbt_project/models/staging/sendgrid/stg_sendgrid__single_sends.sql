with source as (

    {{ readable('raw_sendgrid', 'single_sends') }}

),

renamed as (

    select
        -- ids
        id as single_send_id,

        -- text
        name as single_send_name,
        status,
        categories,
        abtest as ab_test_settings,

        -- booleans
        coalesce(is_abtest, false) as is_ab_test,

        -- times
        {{ utc('send_at') }} as sent_at,
        {{ utc('created_at') }} as created_at,
        {{ utc('updated_at') }} as updated_at,
        {{ utc('gone_at') }} as gone_at
    from source

)

select * from renamed
