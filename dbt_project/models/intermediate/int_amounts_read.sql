{{ growing(
    'customer_event_id', after=['stg_klaviyo__events'], beside=['int_account_currency', 'currencies', 'currency_signs']
) }}

{#- The currency and format of an amount. Only unambiguous amounts are read: 1.234 may be a thousand or just above one, and two
    contradicting currencies mean that one of them is wrong. -#}
{%- set blanks = '\u00a0\u2007\u2009\u202f\t\r\n' -%}
{%- set grouping = " '\u2019" -%}
{%- set sign = '[-+\u2212]?' -%}
{%- set unit = "([^-+\u2212 0-9.,'\u2019()]{1,4}[.]?)?" -%}
{%- set written = '^' ~ sign ~ ' *' ~ unit ~ ' *' ~ sign ~ " *([0-9.,][0-9., '\u2019]*)" ~ unit ~ ' *' ~ sign ~ '$' -%}

with told as (

    select
        customer_event_id,
        is_value_text,
        value_text,
        currency_text,
        trim(translate(value_text, '{{ blanks }}', '{{ ' ' * (blanks | length) }}')) as tidy
    from {{ ref('stg_klaviyo__events') }}
    where value_text is not null
    {%- if is_incremental() %}
        and {{ came_since('load_id') }}
    {%- endif %}

),

bare as (

    select
        *,
        tidy like '(%)' as is_bracketed,
        case when tidy like '(%)' then trim(substr(tidy, 2, length(tidy) - 2)) else tidy end as inner_text
    from told

),

parts as (

    select
        *,
        upper(trim(trailing '.' from coalesce({{ text_part('inner_text', written, 1) }}, {{ text_part('inner_text', written, 3) }}))) as unit,
        {{ text_part('inner_text', written, 1) }} is not null and {{ text_part('inner_text', written, 3) }} is not null as has_two_units,
        {{ text_part('inner_text', written, 2) }} as digits,
        length(inner_text) - length(translate(inner_text, '-+{{ '\u2212' }}', '')) as sign_count,
        length(inner_text) - length(translate(inner_text, '-{{ '\u2212' }}', '')) as minus_count
    from bare

),

sole_signs as (

    select sign, min(currency) as currency
    from {{ ref('currency_signs') }}
    group by sign
    having count(*) = 1

),

-- The event's own currency, then the one beside the amount, then the account's.
placed as (

    select
        parts.*,
        coalesce(named.currency, named_by_sign.currency) as named_currency,
        coalesce(named.currency, named_by_sign.currency, units.currency, sole_signs.currency, account.currency) as currency
    from parts
    cross join {{ ref('int_account_currency') }} as account
    left join {{ ref('currencies') }} as named on parts.currency_text = named.currency
    left join sole_signs as named_by_sign on parts.currency_text = named_by_sign.sign
    left join {{ ref('currencies') }} as units on parts.unit = units.currency
    left join sole_signs on parts.unit = sole_signs.sign

),

checked as (

    select
        placed.*,
        currencies.decimal_count,
        placed.currency_text is not null and placed.named_currency is null as has_strange_currency,
        placed.is_value_text and placed.unit is not null and placed.unit <> placed.currency and signs.sign is null
            and (currencies.currency is not null or length(placed.unit) > 1)
            as has_strange_unit
    from placed
    left join {{ ref('currencies') }} as currencies on placed.currency = currencies.currency
    left join {{ ref('currency_signs') }} as signs on placed.unit = signs.sign and placed.currency = signs.currency

),

numbers as (

    select
        *,
        case
            when not is_value_text then value_text
            when digits is null or has_two_units or sign_count > 1 or (is_bracketed and sign_count > 0) then null
            when {{ fits('digits', '^[0-9]+$') }} then digits
            -- 12.5, 12,50, 0.125, 1234.500: none of these has a thousands separator
            when {{ fits('digits', '^[0-9]*[.,][0-9]+$') }}
                and not {{ fits('digits', '^[1-9][0-9]{0,2}[.,][0-9]{3}$') }} then replace(digits, ',', '.')
            when {{ fits('digits', '^[1-9][0-9]{0,2}[.,][0-9]{3}$') }} and decimal_count = 0
                then translate(digits, '.,', '')
            when {{ fits('digits', "^[0-9]{1,3}([ '\u2019][0-9]{3})+([.,][0-9]+)?$") }}
                then replace(translate(digits, '{{ grouping | replace("'", "''") }}', ''), ',', '.')
            -- also the Indian format: 12,34,567.50
            when {{ fits('digits', '^[0-9]{1,3}(,[0-9]{2,3})*,[0-9]{3}[.][0-9]+$') }}
                or {{ fits('digits', '^[0-9]{1,3}(,[0-9]{3}){2,}$') }}
                or {{ fits('digits', '^[0-9]{1,2}(,[0-9]{2})+,[0-9]{3}$') }} then replace(digits, ',', '')
            when {{ fits('digits', '^[0-9]{1,3}([.][0-9]{3})+,[0-9]+$') }}
                or {{ fits('digits', '^[0-9]{1,3}([.][0-9]{3}){2,}$') }} then replace(replace(digits, '.', ''), ',', '.')
        end as number_text
    from checked

),

measured as (

    select
        *,
        try_cast(number_text as double) * case when is_value_text and (is_bracketed or minus_count > 0) then -1 else 1 end
            as amount
    from numbers

),

judged as (

    select
        *,
        case
            when has_strange_currency then 'in a currency that cannot be read'
            when amount is null then 'not readable as an amount in one way only'
            when has_strange_unit then 'in a currency that contradicts its sign'
            -- NaN sorts above every number.
            when amount > 1e12 or amount < -1e12 then 'above a million million, or not a number'
        end as unread_reason
    from measured

)

select
    judged.customer_event_id,
    judged.currency,
    judged.unread_reason,
    case when judged.unread_reason is null then {{ as_decimal('judged.amount', 18, 2) }} end as value_amount,
    judged.currency = account.currency as is_account_currency
from judged
cross join {{ ref('int_account_currency') }} as account
