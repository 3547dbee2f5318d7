select
    differences.difference,
    account.currency,
    count(distinct differences.buyer_id) as buyer_count,
    count(*) as order_count,
    cast(coalesce(sum(case when differences.is_account_currency then differences.gross_amount end), 0) as decimal(18, 2)) as revenue,
    {{ share('count(*)', 'sum(count(*)) over ()') }} as order_share,
    {{ is_small('count(distinct differences.buyer_id)') }} as is_small_sample
from {{ ref('fct_attribution_differences') }} as differences
cross join {{ ref('int_account_currency') }} as account
group by differences.difference, account.currency
