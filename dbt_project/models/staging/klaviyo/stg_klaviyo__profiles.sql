{%- set may_email = json_text('subscriptions', ['email', 'marketing', 'can_receive_email_marketing']) -%}
{%- set may_sms = json_text('subscriptions', ['sms', 'marketing', 'can_receive_sms_marketing']) -%}

with source as (

    {{ readable('raw_klaviyo', 'profiles') }}

),

renamed as (

    select
        -- ids
        id as customer_id,
        nullif(trim(external_id), '') as external_id,

        -- text
        nullif(lower(trim(email)), '') as email,
        nullif(trim(first_name), '') as first_name,
        nullif(trim(last_name), '') as last_name,
        nullif(locale, '') as locale,
        nullif(trim({{ json_text('location', 'country') }}), '') as country,
        nullif(trim({{ json_text('location', 'region') }}), '') as region,
        nullif(trim({{ json_text('location', 'city') }}), '') as city,
        {{ json_text('location', 'timezone') }} as timezone,

        -- booleans
        nullif(trim(phone_number), '') is not null as has_phone_number,
        coalesce(try_cast({{ may_email }} as boolean), false) as can_receive_email,
        coalesce(try_cast({{ may_sms }} as boolean), false) as can_receive_sms,

        -- times
        {{ utc('created') }} as created_at,
        {{ utc('updated') }} as updated_at,
        {{ utc('last_event_date') }} as last_event_at
    from source

)

select * from renamed
