{%- set email, sms = ['email', 'marketing'], ['sms', 'marketing'] -%}

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
        upper(trim({{ json_text('subscriptions', email + ['consent']) }})) as email_consent,
        upper(trim({{ json_text('subscriptions', sms + ['consent']) }})) as sms_consent,
        -- JSON lists: reasons why no list may mail the address, and lists that may not.
        nullif({{ json_text('subscriptions', email + ['suppression']) }}, '[]') as email_suppressions,
        nullif({{ json_text('subscriptions', email + ['list_suppressions']) }}, '[]') as email_list_suppressions,

        -- booleans
        nullif(trim(phone_number), '') is not null as has_phone_number,
        coalesce(try_cast({{ json_text('subscriptions', email + ['can_receive_email_marketing']) }} as boolean), false) as can_receive_email,
        coalesce(try_cast({{ json_text('subscriptions', sms + ['can_receive_sms_marketing']) }} as boolean), false) as can_receive_sms,

        -- times
        {{ utc('created') }} as created_at,
        {{ utc('updated') }} as updated_at,
        {{ utc('last_event_date') }} as last_event_at,
        {{ readable_value('moment', utc_in(json_text('subscriptions', email + ['consent_timestamp']))) }} as email_consented_at,
        {{ readable_value('moment', utc_in(json_text('subscriptions', sms + ['consent_timestamp']))) }} as sms_consented_at
    from source

)

select * from renamed
