{%- set counted = [
    ['received', ['Received Email', 'Received SMS']],
    ['open', ['Opened Email']],
    ['click', ['Clicked Email', 'Clicked SMS']],
    ['order', [var('order_metric')]],
] -%}

with counts as (

    select
        aggregates.*,
        metrics.metric_name
    from {{ ref('stg_klaviyo__metric_aggregates') }} as aggregates
    join {{ ref('stg_klaviyo__metrics') }} as metrics on aggregates.metric_id = metrics.metric_id
    where aggregates.flow_id <> ''

)

select
    message_id as flow_message_id,
    min(flow_id) as flow_id,
    {%- for name, metrics in counted %}
    {%- set is_it = "metric_name in ('" ~ metrics | join("', '") ~ "')" %}
    cast(coalesce(sum(event_count) filter (where {{ is_it }}), 0) as bigint) as {{ name }}_count,
    {%- if name in ['open', 'click'] %}
    cast(coalesce(sum(daily_customer_count) filter (where {{ is_it }}), 0) as bigint) as daily_unique_{{ name }}_count,
    {%- endif %}
    {%- endfor %}
    cast(coalesce(sum(value_amount) filter (where metric_name = '{{ var('order_metric') }}'), 0) as decimal(18, 2))
        as revenue_usd,
    happened_on
from counts
group by message_id, happened_on
