{%- set counted = [
    ['received', ['received_email', 'received_text']],
    ['open', ['opened_email', 'opened_text']],
    ['click', ['clicked_email', 'clicked_text']],
    ['order', ['placed_order']],
] -%}

with counts as (

    select
        aggregates.*,
        metrics.metric_role
    from {{ ref('stg_klaviyo__metric_aggregates') }} as aggregates
    join {{ ref('int_metric_roles') }} as metrics on aggregates.metric_id = metrics.metric_id
    where aggregates.flow_id <> ''

),

account as (

    select
        min(account.currency) as currency,
        count(*) filter (where not amounts.is_account_currency and amounts.value_amount is not null) as other_currency_count
    from {{ ref('int_account_currency') }} as account
    left join {{ ref('int_amounts_read') }} as amounts on account.currency is not null

)

select
    counts.message_id as flow_message_id,
    min(counts.flow_id) as flow_id,
    min(account.currency) as currency,
    {%- for name, metrics in counted %}
    {%- set is_it = "metric_role in ('" ~ metrics | join("', '") ~ "')" %}
    cast(coalesce(sum(event_count) filter (where {{ is_it }}), 0) as bigint) as {{ name }}_count,
    {%- if name in ['open', 'click'] %}
    cast(coalesce(sum(daily_customer_count) filter (where {{ is_it }}), 0) as bigint) as daily_unique_{{ name }}_count,
    {%- endif %}
    {%- endfor %}
    -- Klaviyo adds all currencies without conversion: a mixed sum has no currency.
    case when min(account.other_currency_count) = 0 then
        cast(coalesce(sum(value_amount) filter (where metric_role = 'placed_order'), 0) as decimal(18, 2))
    end as revenue,
    happened_on
from counts
cross join account
group by counts.message_id, counts.happened_on
