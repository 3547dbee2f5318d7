{%- set roles = {
    'received': ['received_email', 'received_text'],
    'opened': ['opened_email', 'opened_text'],
    'clicked': ['clicked_email', 'clicked_text'],
    'bounced': ['bounced_email'],
    'dropped': ['dropped_email'],
    'spam_report': ['marked_email_as_spam'],
    'unsubscribed': ['unsubscribed_from_email', 'unsubscribed_from_texts'],
    'order': ['placed_order'],
} -%}

with events as (

    select
        case message_kind when 'campaign' then 'campaign' else 'flow' end as subject_kind,
        case message_kind when 'campaign' then sent_message_id else flow_id end as subject_id,
        coalesce(variation_id, 'none') as variation_id,
        customer_id,
        metric_role,
        is_automatic,
        cast(null as decimal(18, 2)) as revenue,
        cast(null as decimal(18, 2)) as returned_amount,
        false as is_other_currency,
        happened_at
    from {{ ref('int_message_events') }}
    where message_kind <> 'other' and customer_id is not null

    union all

    select
        case when orders.attributed_campaign_id is not null then 'campaign' else 'flow' end as subject_kind,
        coalesce(orders.attributed_campaign_id, orders.attributed_flow_id) as subject_id,
        coalesce(touches.variation_id, 'none') as variation_id,
        orders.customer_id,
        'placed_order' as metric_role,
        false as is_automatic,
        case when orders.is_account_currency then orders.gross_amount end as revenue,
        case when orders.is_account_currency then orders.refunded_amount end as returned_amount,
        not orders.is_account_currency and orders.gross_amount is not null as is_other_currency,
        orders.ordered_at as happened_at
    from {{ ref('fct_orders') }} as orders
    left join {{ ref('int_message_events') }} as touches on orders.attributed_event_id = touches.customer_event_id
    where orders.customer_id is not null
        and coalesce(orders.attributed_campaign_id, orders.attributed_flow_id) is not null

),

customers as (

    select
        subject_kind,
        subject_id,
        variation_id,
        customer_id,
        {%- for deed, names in roles.items() %}
        count(*) filter (where metric_role in ('{{ names | join("', '") }}')) as {{ deed }}_count,
        {%- endfor %}
        count(*) filter (where metric_role in ('{{ roles.opened | join("', '") }}') and not is_automatic) as human_open_count,
        count(*) filter (where is_other_currency) as other_currency_order_count,
        sum(revenue) as revenue,
        sum(returned_amount) as returned_amount,
        min(happened_at) as first_event_at,
        max(happened_at) as last_event_at
    from events
    group by subject_kind, subject_id, variation_id, customer_id

),

summed as (

    select
        subject_kind,
        subject_id,
        variation_id,
        count(*) as customer_count,
        {%- for deed in roles %}
        cast(sum({{ deed }}_count) as bigint) as {{ deed }}_count,
        count(*) filter (where {{ deed }}_count > 0) as {{ deed }}_customer_count,
        {%- endfor %}
        count(*) filter (where human_open_count > 0) as human_opened_customer_count,
        cast(sum(other_currency_order_count) as bigint) as other_currency_order_count,
        cast(coalesce(sum(revenue), 0) as decimal(18, 2)) as revenue,
        cast(coalesce(sum(returned_amount), 0) as decimal(18, 2)) as returned_amount,
        min(first_event_at) as first_event_at,
        max(last_event_at) as last_event_at
    from customers
    group by subject_kind, subject_id, variation_id

),

names as (

    select 'campaign' as subject_kind, campaign_id as subject_id, campaign_name as subject_name from {{ ref('stg_klaviyo__campaigns') }}
    union all
    select 'flow' as subject_kind, flow_id as subject_id, flow_name as subject_name from {{ ref('stg_klaviyo__flows') }}

)

select
    summed.subject_kind,
    summed.subject_id,
    summed.variation_id,
    names.subject_name,
    account.currency,
    summed.customer_count,
    {%- for deed in roles %}
    summed.{{ deed }}_count,
    summed.{{ deed }}_customer_count,
    {%- endfor %}
    summed.human_opened_customer_count,
    summed.other_currency_order_count,
    summed.revenue,
    summed.returned_amount,
    {%- for deed in ['clicked', 'order', 'spam_report', 'unsubscribed'] %}
    {{ share_with_interval('summed.' ~ deed ~ '_customer_count', 'summed.received_customer_count', deed ~ '_share') }},
    {%- endfor %}
    {{ is_small('summed.received_customer_count') }} as is_small_sample,
    summed.first_event_at,
    summed.last_event_at
from summed
cross join {{ ref('int_account_currency') }} as account
left join names on summed.subject_kind = names.subject_kind and summed.subject_id = names.subject_id
