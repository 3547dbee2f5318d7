select
    customer_id,
    {{ person_id('email') }} as person_id,
    coalesce(email_consent = 'SUBSCRIBED' and can_receive_email and email_suppressions is null, false) as has_email_consent,
    coalesce(sms_consent = 'SUBSCRIBED' and can_receive_sms, false) as has_sms_consent
from {{ ref('stg_klaviyo__profiles') }}
