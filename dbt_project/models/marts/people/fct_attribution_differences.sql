-- Klaviyo may name several messages; that of the latest touch is compared first.
with klaviyos as (

    select
        order_id,
        message_id,
        row_number() over (partition by order_id order by touched_at desc, message_id) as recency
    from {{ ref('fct_order_attribution') }}
    where attribution_model = 'klaviyo'

),

ours as (

    select order_id, message_id
    from {{ ref('fct_order_attribution') }}
    where attribution_model = 'last_touch'

),

agreed as (

    select klaviyos.order_id
    from klaviyos
    join ours on klaviyos.order_id = ours.order_id and klaviyos.message_id = ours.message_id

)

select
    orders.order_id,
    orders.buyer_id,
    orders.person_id,
    klaviyos.message_id as klaviyo_message_id,
    ours.message_id as last_touch_message_id,
    case
        when agreed.order_id is not null then 'same'
        when klaviyos.message_id is null and ours.message_id is null then 'neither'
        when klaviyos.message_id is null then 'not_attributed_by_klaviyo'
        when touches.machine_touched_at is not null and touches.earned_at is null then 'machine_touch'
        when touches.machine_touched_at > touches.earned_at then 'machine_touch'
        when touches.earned_at is not null then 'earlier_touch'
        when touches.message_id is not null then 'outside_of_window'
        else 'no_touch_known'
    end as difference,
    orders.currency,
    orders.gross_amount,
    orders.is_account_currency,
    orders.ordered_at
from {{ ref('fct_orders') }} as orders
left join klaviyos on orders.order_id = klaviyos.order_id and klaviyos.recency = 1
left join ours on orders.order_id = ours.order_id
left join agreed on orders.order_id = agreed.order_id
left join {{ ref('fct_order_touches') }} as touches
    on klaviyos.order_id = touches.order_id and klaviyos.message_id = touches.message_id
