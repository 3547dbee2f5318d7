with credits as (

    select
        attribution_model,
        case when campaign_id is not null then 'campaign' when flow_id is not null then 'flow' else 'other_message' end as thing,
        coalesce(campaign_id, flow_id, message_id) as thing_id,
        coalesce(channel, 'unknown') as channel,
        order_id,
        buyer_id,
        credit_share,
        case when is_account_currency then credited_amount end as credited_amount,
        case when is_account_currency then credited_net_amount end as credited_net_amount
    from {{ ref('fct_order_attribution') }}

),

credited as (

    select distinct attribution_model, order_id
    from credits

),

models as (

    {% for model in ['klaviyo', 'last_touch', 'first_touch', 'position_based'] -%}
    select '{{ model }}' as attribution_model{{ ' union all' if not loop.last }}
    {% endfor %}
),

-- What no message earned, by each model.
earned_by_none as (

    select
        models.attribution_model,
        'none' as thing,
        'none' as thing_id,
        'none' as channel,
        orders.order_id,
        orders.buyer_id,
        cast(1 as decimal(9, 6)) as credit_share,
        case when orders.is_account_currency then orders.gross_amount end as credited_amount,
        case when orders.is_account_currency then orders.net_amount end as credited_net_amount
    from {{ ref('fct_orders') }} as orders
    cross join models
    left join credited on orders.order_id = credited.order_id and models.attribution_model = credited.attribution_model
    where credited.order_id is null

),

summed as (

    select
        attribution_model,
        thing,
        thing_id,
        channel,
        count(distinct buyer_id) as buyer_count,
        count(distinct order_id) as order_count,
        cast(sum(credit_share) as decimal(18, 2)) as credited_order_count,
        cast(coalesce(sum(credited_amount), 0) as decimal(18, 2)) as revenue,
        cast(coalesce(sum(credited_net_amount), 0) as decimal(18, 2)) as net_revenue
    from (
        select * from credits
        union all
        select * from earned_by_none
    ) as everything
    group by attribution_model, thing, thing_id, channel

)

select
    summed.attribution_model,
    summed.thing,
    summed.thing_id,
    summed.channel,
    coalesce(campaigns.campaign_name, flows.flow_name) as thing_name,
    account.currency,
    summed.buyer_count,
    summed.order_count,
    summed.credited_order_count,
    summed.revenue,
    summed.net_revenue,
    {{ share('summed.revenue', 'sum(summed.revenue) over (partition by summed.attribution_model)') }} as revenue_share,
    {{ is_small('summed.buyer_count') }} as is_small_sample
from summed
cross join {{ ref('int_account_currency') }} as account
left join {{ ref('stg_klaviyo__campaigns') }} as campaigns on summed.thing = 'campaign' and summed.thing_id = campaigns.campaign_id
left join {{ ref('stg_klaviyo__flows') }} as flows on summed.thing = 'flow' and summed.thing_id = flows.flow_id
