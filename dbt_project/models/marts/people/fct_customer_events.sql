{{ growing(
    'customer_event_id',
    after=['stg_klaviyo__events', 'int_amounts_read'],
    beside=['stg_klaviyo__metrics', 'int_metric_roles', 'int_campaign_keys'],
) }}

with {% if is_incremental() -%}
-- Profiles that are another person's than before: their address changed, came or went.
moved as (

    select known.customer_id
    from (select distinct customer_id, person_id from {{ this }}) as known
    left join {{ ref('int_customers_consented') }} as consents on known.customer_id = consents.customer_id
    where known.person_id is distinct from consents.person_id

),

{% endif -%}
-- A metric may have several roles, if the account maps it to one that its name does not say.
roles as (

    select
        metric_id,
        min(metric_role) as metric_role
    from {{ ref('int_metric_roles') }}
    group by metric_id

)

select
    events.customer_event_id,
    events.customer_id,
    consents.person_id,
    coalesce(consents.person_id, events.customer_id) as buyer_id,
    events.metric_id,
    events.message_id,
    campaign_keys.campaign_id,
    events.flow_id,
    events.variation_id,
    events.product_id,
    metrics.metric_name,
    roles.metric_role,
    case when roles.metric_role like '%email%' then 'email' when roles.metric_role like '%text%' then 'sms' end as channel,
    events.link,
    events.operating_system,
    {{ device_class_of('events.operating_system') }} as device_class,
    amounts.currency,
    amounts.value_amount,
    coalesce(amounts.is_account_currency, false) as is_account_currency,
    events.is_automatic,
    events.happened_at
from {{ ref('stg_klaviyo__events') }} as events
left join {{ ref('stg_klaviyo__metrics') }} as metrics on events.metric_id = metrics.metric_id
left join roles on events.metric_id = roles.metric_id
left join {{ ref('int_customers_consented') }} as consents on events.customer_id = consents.customer_id
left join {{ ref('int_campaign_keys') }} as campaign_keys on events.message_id = campaign_keys.message_id
left join {{ ref('int_amounts_read') }} as amounts on events.customer_event_id = amounts.customer_event_id
{%- if is_incremental() %}
where {{ came_since('events.load_id') }} or events.customer_id in (select customer_id from moved)
{%- endif %}
