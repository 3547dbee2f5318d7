-- The first available one of: Klaviyo's account, the var account_currency, the currency that most events name.
with told as (

    select min(accounts.currency) as currency
    from {{ ref('stg_klaviyo__accounts') }} as accounts
    join {{ ref('currencies') }} as currencies on accounts.currency = currencies.currency

),

named as (

    select
        events.currency_text as currency,
        row_number() over (order by count(*) desc, events.currency_text) as place
    from {{ ref('stg_klaviyo__events') }} as events
    join {{ ref('currencies') }} as currencies on events.currency_text = currencies.currency
    where events.value_text is not null
    group by events.currency_text

),

candidates as (

    select
        (select currency from told) as told_currency,
        (select currency from {{ ref('currencies') }} where currency = upper('{{ var('account_currency') }}')) as set_currency,
        (select currency from named where place = 1) as named_currency

)

select
    coalesce(told_currency, set_currency, named_currency, 'unknown') as currency,
    case
        when told_currency is not null then 'account'
        when set_currency is not null then 'setting'
        when named_currency is not null then 'events'
        else 'nothing'
    end as currency_source
from candidates
