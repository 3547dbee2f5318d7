select
    accounts.account_id,
    currency.currency,
    currency.currency_source,
    accounts.time_zone,
    accounts.locale,
    accounts.industry,
    accounts.is_test_account
from {{ ref('int_account_currency') }} as currency
left join {{ ref('stg_klaviyo__accounts') }} as accounts on true
