with shop_orders as (

    select
        events.shop_id,
        orders.*,
        events.items,
        -- A shop that sends an order twice has two events of one id: its products belong to the latest.
        row_number() over (partition by events.shop_id order by orders.ordered_at desc, orders.order_id) as recency
    from {{ ref('fct_orders') }} as orders
    join {{ ref('stg_klaviyo__events') }} as events on orders.order_id = events.customer_event_id

),

bought as (

    select
        events.customer_event_id as order_item_id,
        orders.order_id,
        events.customer_id,
        consents.person_id,
        coalesce(consents.person_id, events.customer_id) as buyer_id,
        events.product_id,
        events.product_name,
        amounts.currency,
        events.quantity,
        amounts.value_amount as amount,
        coalesce(amounts.is_account_currency, false) as is_account_currency,
        events.happened_at as ordered_at
    from {{ ref('stg_klaviyo__events') }} as events
    join {{ ref('int_metric_roles') }} as metrics on events.metric_id = metrics.metric_id
    left join {{ ref('int_customers_consented') }} as consents on events.customer_id = consents.customer_id
    left join {{ ref('int_amounts_read') }} as amounts on events.customer_event_id = amounts.customer_event_id
    left join shop_orders as orders on events.shop_order_id = orders.shop_id and orders.recency = 1
    where metrics.metric_role = 'ordered_product'

),

-- Orders whose products are not tracked as actions of their own list them, as names or as objects.
listed as (

    select
        orders.*,
        {{ explode_rows('orders.items') }} as item
    from shop_orders as orders
    where orders.order_id not in (select order_id from bought where order_id is not null)

),

opened as (

    select
        *,
        {{ element_text('item') }} as item_text,
        {{ json_texts('item', ['ProductID', 'ProductName', 'Product Name', 'Name', 'Quantity', 'RowTotal', 'ItemPrice']) }} as texts
    from listed

),

named as (

    select
        *,
        {{ text_at('texts', 1) }} as product_id,
        coalesce(
            {{ text_at('texts', 2) }}, {{ text_at('texts', 3) }}, {{ text_at('texts', 4) }},
            case when left(item_text, 1) <> '{' then nullif(trim(item_text), '') end
        ) as product_name,
        coalesce({{ number_in(text_at('texts', 5), 0) }}, 1) as quantity,
        coalesce(
            {{ number_in(text_at('texts', 6)) }},
            {{ number_in(text_at('texts', 7)) }} * coalesce({{ number_in(text_at('texts', 5), 0) }}, 1)
        ) as amount
    from opened

)

select
    order_item_id,
    order_id,
    customer_id,
    person_id,
    buyer_id,
    product_id,
    product_name,
    currency,
    {{ as_decimal('quantity', 18, 3) }} as quantity,
    amount,
    is_account_currency,
    false as is_listed_only,
    ordered_at
from bought

union all

select
    concat_ws(':', order_id, coalesce(product_id, product_name)) as order_item_id,
    order_id,
    customer_id,
    person_id,
    buyer_id,
    product_id,
    min(product_name) as product_name,
    currency,
    cast(sum({{ as_decimal('quantity', 18, 3) }}) as decimal(18, 3)) as quantity,
    cast(sum({{ as_decimal('amount', 18, 2) }}) as decimal(18, 2)) as amount,
    is_account_currency,
    true as is_listed_only,
    ordered_at
from named
where coalesce(product_id, product_name) is not null
group by order_id, customer_id, person_id, buyer_id, product_id, coalesce(product_id, product_name), currency, is_account_currency, ordered_at
