-- A key belongs to one account. If Klaviyo lists several, the first by id is used, so that this stays one row.
with accounts as (

    select
        *,
        row_number() over (order by account_id) as place
    from {{ ref('stg_klaviyo__accounts') }}

)

select
    accounts.account_id,
    currency.currency,
    currency.currency_source,
    accounts.time_zone,
    accounts.locale,
    accounts.industry,
    accounts.is_test_account
from {{ ref('int_account_currency') }} as currency
left join accounts on accounts.place = 1
