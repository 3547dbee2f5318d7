with summed as (

    select
        lives.channel,
        lives.lifecycle,
        count(*) as person_count,
        count(buyers.buyer_id) as buyer_count,
        sum(buyers.net_revenue) as net_revenue,
        {{ mean('lives.days_since_last') }} as mean_days_since_last
    from {{ ref('fct_person_lifecycle') }} as lives
    left join {{ ref('dim_buyers') }} as buyers on lives.buyer_id = buyers.buyer_id
    group by lives.channel, lives.lifecycle

),

with_total as (

    select
        *,
        sum(person_count) over (partition by channel) as channel_person_count
    from summed

)

select
    channel,
    lifecycle,
    account.currency,
    person_count,
    {{ share_with_interval('person_count', 'channel_person_count', 'person_share') }},
    buyer_count,
    cast(coalesce(net_revenue, 0) as decimal(18, 2)) as net_revenue,
    cast(mean_days_since_last as double) as mean_days_since_last,
    {{ is_small('channel_person_count') }} as is_small_sample
from with_total
cross join {{ ref('int_account_currency') }} as account
