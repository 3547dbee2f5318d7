with source as (

    {{ readable('raw_klaviyo', 'accounts') }}

),

renamed as (

    select
        -- ids
        id as account_id,

        -- text
        upper(trim(preferred_currency)) as currency,
        nullif(trim(timezone), '') as time_zone,
        nullif(trim(locale), '') as locale,
        nullif(trim(industry), '') as industry,

        -- booleans
        coalesce(test_account, false) as is_test_account
    from source

)

select * from renamed
