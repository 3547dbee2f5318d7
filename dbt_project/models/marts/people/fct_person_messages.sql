with deeds as (

    select
        buyer_id,
        person_id,
        coalesce(campaign_id, message_id) as message_id,
        campaign_id,
        flow_id,
        channel,
        case
            when metric_role {{ in_roles('received') }} then 'received'
            when metric_role {{ in_roles('opened') }} then case when is_automatic then 'opened by a machine' else 'opened' end
            when metric_role {{ in_roles('clicked') }} then case when is_automatic then 'clicked by a machine' else 'clicked' end
            when metric_role in ('bounced_email', 'dropped_email', 'failed_text') then 'failed'
            when metric_role in ('unsubscribed_from_email', 'unsubscribed_from_list', 'unsubscribed_from_texts') then 'unsubscribed'
            when metric_role = 'marked_email_as_spam' then 'reported'
        end as deed,
        cast(null as decimal(18, 2)) as revenue,
        cast(null as decimal(18, 2)) as returned_amount,
        false as is_other_currency,
        happened_at
    from {{ ref('fct_customer_events') }}
    where message_id is not null and channel is not null

    union all

    select
        orders.buyer_id,
        orders.person_id,
        coalesce(attributed.campaign_id, attributed.flow_message_id) as message_id,
        attributed.campaign_id,
        attributed.flow_id,
        coalesce(campaigns.channel, messages.channel, 'unknown') as channel,
        'ordered' as deed,
        case when orders.is_account_currency then orders.gross_amount end as revenue,
        case when orders.is_account_currency then orders.refunded_amount end as returned_amount,
        not orders.is_account_currency and orders.gross_amount is not null as is_other_currency,
        orders.ordered_at as happened_at
    from {{ ref('int_events_attributed') }} as attributed
    join {{ ref('fct_orders') }} as orders on attributed.customer_event_id = orders.order_id
    left join {{ ref('stg_klaviyo__campaigns') }} as campaigns on attributed.campaign_id = campaigns.campaign_id
    left join {{ ref('stg_klaviyo__flow_messages') }} as messages on attributed.flow_message_id = messages.flow_message_id

)

select
    buyer_id,
    message_id,
    min(person_id) as person_id,
    min(campaign_id) as campaign_id,
    min(flow_id) as flow_id,
    channel,
    (select currency from {{ ref('int_account_currency') }}) as currency,
    count(*) filter (where deed = 'received') as received_count,
    count(*) filter (where deed = 'opened') as open_count,
    count(*) filter (where deed = 'clicked') as click_count,
    count(*) filter (where deed = 'opened by a machine') as machine_open_count,
    count(*) filter (where deed = 'clicked by a machine') as machine_click_count,
    count(*) filter (where deed = 'failed') as failed_count,
    count(*) filter (where deed = 'ordered') as order_count,
    count(*) filter (where is_other_currency) as other_currency_order_count,
    cast(coalesce(sum(revenue), 0) as decimal(18, 2)) as revenue,
    cast(coalesce(sum(returned_amount), 0) as decimal(18, 2)) as returned_amount,
    count(*) filter (where deed = 'unsubscribed') > 0 as is_unsubscribed,
    count(*) filter (where deed = 'reported') > 0 as is_reported_as_spam,
    min(case when deed = 'received' then happened_at end) as first_received_at,
    max(case when deed = 'received' then happened_at end) as last_received_at,
    min(case when deed = 'opened' then happened_at end) as first_opened_at,
    min(case when deed = 'clicked' then happened_at end) as first_clicked_at,
    min(case when deed = 'ordered' then happened_at end) as first_ordered_at
from deeds
where deed is not null and buyer_id is not null
group by buyer_id, message_id, channel
