{%- set channels = var('lifecycle_rules') -%}

-- Acts by machines are left out: they open an e-mail for people who never do.
with told as (

    select
        events.customer_id,
        metrics.metric_role,
        cast(events.happened_at as date) as touched_on
    from {{ ref('stg_klaviyo__events') }} as events
    join {{ ref('int_metric_roles') }} as metrics on events.metric_id = metrics.metric_id
    where not events.is_automatic
        and events.customer_id is not null
        and metrics.metric_role in (
            {%- for channel in channels.values() if channel.roles -%}
            '{{ channel.roles | join("', '") }}'{{ ', ' if not loop.last }}
            {%- endfor -%}
        )
    group by events.customer_id, metrics.metric_role, cast(events.happened_at as date)

)

select
    coalesce(consents.person_id, told.customer_id) as buyer_id,
    max(consents.person_id) as person_id,
    case
        {%- for channel, its in channels.items() if its.roles %}
        when told.metric_role in ('{{ its.roles | join("', '") }}') then '{{ channel }}'
        {%- endfor %}
    end as channel,
    told.touched_on
from told
left join {{ ref('int_customers_consented') }} as consents on told.customer_id = consents.customer_id
group by 1, 3, 4

union all

select
    {{ person_id('viewers.email') }} as buyer_id,
    {{ person_id('viewers.email') }} as person_id,
    'video' as channel,
    cast(sessions.viewed_at as date) as touched_on
from {{ ref('stg_wistia__viewing_events') }} as sessions
join {{ ref('int_viewers_identified') }} as viewers on sessions.viewer_id = viewers.viewer_id
where viewers.email is not null and sessions.viewed_at is not null
group by 1, 2, 4
