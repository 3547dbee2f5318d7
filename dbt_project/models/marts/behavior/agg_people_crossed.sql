-- A person may have several browsers and profiles: the browser with the most sessions and the profile of the highest tier count.
with viewers as (

    select
        person_id,
        viewer_cluster,
        row_number() over (partition by person_id order by session_count desc, viewer_id) as place
    from {{ ref('dim_viewers') }}
    where person_id is not null

),

customers as (

    select
        person_id,
        min(case clv_tier when 'top' then 1 when 'middle' then 2 when 'rest' then 3 else 4 end) as tier_place,
        sum(predicted_clv) as predicted_clv
    from {{ ref('dim_customers') }}
    where person_id is not null
    group by person_id

),

people as (

    select
        people.person_id,
        coalesce(viewers.viewer_cluster, 'no_views') as viewer_cluster,
        case customers.tier_place when 1 then 'top' when 2 then 'middle' when 3 then 'rest' when 4 then 'no_prediction' else 'no_profile' end
            as clv_tier,
        coalesce(mails.lifecycle, 'never') as email_lifecycle,
        people.email_consent,
        people.may_be_mailed,
        customers.predicted_clv,
        buyers.buyer_id is not null as is_buyer,
        buyers.net_revenue
    from {{ ref('dim_people') }} as people
    left join viewers on people.person_id = viewers.person_id and viewers.place = 1
    left join customers on people.person_id = customers.person_id
    left join {{ ref('fct_person_lifecycle') }} as mails on people.person_id = mails.buyer_id and mails.channel = 'email'
    left join {{ ref('dim_buyers') }} as buyers on people.person_id = buyers.buyer_id

)

select
    people.viewer_cluster,
    people.clv_tier,
    people.email_lifecycle,
    people.email_consent,
    account.currency,
    count(*) as person_count,
    count(*) filter (where people.may_be_mailed) as mailable_count,
    count(*) filter (where people.is_buyer) as buyer_count,
    cast(coalesce(sum(people.net_revenue), 0) as decimal(18, 2)) as net_revenue,
    cast(sum(people.predicted_clv) as decimal(18, 2)) as predicted_clv,
    {{ is_small('count(*)') }} as is_small_sample
from people
cross join {{ ref('int_account_currency') }} as account
group by people.viewer_cluster, people.clv_tier, people.email_lifecycle, people.email_consent, account.currency
