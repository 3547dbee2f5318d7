with purchases as (

    select
        events.product_id,
        events.customer_id,
        case when amounts.is_account_currency then amounts.value_amount end as value,
        coalesce(not amounts.is_account_currency and amounts.value_amount is not null, false) as is_other_currency,
        cast(events.happened_at as date) as purchased_on
    from {{ ref('stg_klaviyo__events') }} as events
    join {{ ref('int_metric_roles') }} as metrics on events.metric_id = metrics.metric_id
    left join {{ ref('int_amounts_read') }} as amounts on events.customer_event_id = amounts.customer_event_id
    where metrics.metric_role = 'ordered_product' and events.product_id is not null

),

bought as (

    select
        product_id,
        count(*) as purchase_count,
        count(distinct customer_id) as customer_count,
        count(*) filter (where is_other_currency) as other_currency_purchase_count,
        sum(value) as revenue,
        min(purchased_on) as first_purchased_on,
        max(purchased_on) as last_purchased_on
    from purchases
    group by product_id

),

names as (

    select product_id, max(product_name) as product_name
    from {{ ref('stg_klaviyo__events') }}
    group by product_id

),

ranked_items as (

    select
        *,
        -- Two catalogs may list one product: it is available if it is available in either.
        row_number() over (
            partition by product_id order by is_published desc, updated_at desc, catalog_item_id
        ) as recency
    from {{ ref('stg_klaviyo__catalog_items') }}

),

listed as (

    select * from ranked_items where recency = 1

),

item_variants as (

    select catalog_item_id, {{ explode_rows('variants') }} as variant from listed

),

priced as (

    select
        item_variants.catalog_item_id,
        count(*) as variant_count,
        min(variants.price) as lowest_price,
        max(variants.price) as highest_price
    from item_variants
    join {{ ref('stg_klaviyo__catalog_variants') }} as variants
        on {{ json_text('item_variants.variant', 'id') }} = variants.catalog_variant_id
    group by item_variants.catalog_item_id

),

shelved as (

    select
        items.catalog_item_id,
        {{ dbt.listagg('categories.category_name', "', '", 'order by categories.category_name') }} as category
    from {{ ref('stg_klaviyo__catalog_category_items') }} as items
    join {{ ref('stg_klaviyo__catalog_categories') }} as categories on items.category_id = categories.category_id
    group by items.catalog_item_id

),

-- A catalog without a single product was never read.
reading as (

    select count(*) as listed_count from listed

),

products as (

    select product_id from bought
    union
    select product_id from listed

)

select
    products.product_id,
    coalesce(listed.product_name, names.product_name, products.product_id) as product_name,
    shelved.category,
    account.currency,
    case
        when reading.listed_count = 0 then 'not_read'
        when listed.product_id is null then 'not_listed'
        when listed.is_published then 'published'
        else 'unpublished'
    end as standing,
    coalesce(listed.price, priced.lowest_price) as price,
    priced.lowest_price as lowest_variant_price,
    priced.highest_price as highest_variant_price,
    coalesce(priced.variant_count, 0) as variant_count,
    coalesce(bought.purchase_count, 0) as purchase_count,
    coalesce(bought.customer_count, 0) as customer_count,
    coalesce(bought.other_currency_purchase_count, 0) as other_currency_purchase_count,
    cast(coalesce(bought.revenue, 0) as decimal(18, 2)) as revenue,
    bought.purchase_count is not null and (listed.product_id is null or not listed.is_published)
        and reading.listed_count > 0 as is_out_of_sync,
    bought.first_purchased_on,
    bought.last_purchased_on
from products
cross join reading
cross join {{ ref('int_account_currency') }} as account
left join listed on products.product_id = listed.product_id
left join names on products.product_id = names.product_id
left join priced on listed.catalog_item_id = priced.catalog_item_id
left join shelved on listed.catalog_item_id = shelved.catalog_item_id
left join bought on products.product_id = bought.product_id
