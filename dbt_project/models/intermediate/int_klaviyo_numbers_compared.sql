{#- Numbers that both Klaviyo and this project count, by Klaviyo's definition: opens and clicks by machines count, orders are those
    that it attributes (by any customer), and amounts in all currencies are added without conversion. -#}
{%- set period_roles = {
    'received': ['received_email', 'received_text'],
    'opened': ['opened_email', 'opened_text'],
    'clicked': ['clicked_email', 'clicked_text'],
} -%}

{#- Of events of campaigns and of orders, which are added up together. -#}
{%- set event_columns -%}
        events.customer_event_id,
        events.customer_id,
        metrics.metric_role,
        amounts.value_amount,
        amounts.unread_reason is not null as is_unread,
        cast(events.happened_at as date) as happened_on
{%- endset -%}

with daily as (

    select
        metrics.metric_role,
        cast(events.happened_at as date) as happened_on,
        count(*) as event_count
    from {{ ref('stg_klaviyo__events') }} as events
    join {{ ref('int_metric_roles') }} as metrics on events.metric_id = metrics.metric_id
    group by metrics.metric_role, cast(events.happened_at as date)

),

orders as (

    select
        {{ event_columns }}
    from {{ ref('stg_klaviyo__events') }} as events
    join {{ ref('int_metric_roles') }} as metrics on events.metric_id = metrics.metric_id
    left join {{ ref('int_amounts_read') }} as amounts on events.customer_event_id = amounts.customer_event_id
    where metrics.metric_role = 'placed_order'

),

loaded as (

    select
        min(cast(happened_at as date)) as first_on,
        max(cast(happened_at as date)) as last_on
    from {{ ref('stg_klaviyo__events') }}

),

-- Campaigns: the report of the past year.
campaign_days as (

    select
        campaign_id,
        measured_on,
        cast(sum(received_count) as bigint) as received_count,
        cast(sum(opened_count) as bigint) as opened_count,
        cast(sum(clicked_count) as bigint) as clicked_count,
        cast(sum(converted_count) as bigint) as converted_count,
        cast(sum(order_count) as bigint) as order_count,
        sum(revenue) as revenue,
        row_number() over (partition by campaign_id order by measured_on desc) as recency
    from {{ ref('stg_klaviyo__campaign_values') }}
    group by campaign_id, measured_on

),

campaign_reports as (

    select * from campaign_days where recency = 1

),

campaign_events as (

    select
        keys.campaign_id,
        {{ event_columns }}
    from {{ ref('stg_klaviyo__events') }} as events
    join {{ ref('int_campaign_keys') }} as keys on events.message_id = keys.message_id
    join {{ ref('int_metric_roles') }} as metrics on events.metric_id = metrics.metric_id
    left join {{ ref('int_amounts_read') }} as amounts on events.customer_event_id = amounts.customer_event_id

    union all

    select
        attributed.campaign_id,
        orders.*
    from orders
    join {{ ref('int_events_attributed') }} as attributed on orders.customer_event_id = attributed.customer_event_id
    where attributed.campaign_id is not null

),

campaigns_counted as (

    select
        found.campaign_id,
        {%- for deed in ['received', 'opened', 'clicked'] %}
        count(distinct case
            when found.metric_role {{ in_roles(deed) }} then coalesce(found.customer_id, found.customer_event_id)
        end) as {{ deed }}_count,
        {%- endfor %}
        count(distinct case
            when found.metric_role = 'placed_order' then coalesce(found.customer_id, found.customer_event_id)
        end) as converted_count,
        sum(case when found.metric_role = 'placed_order' then found.value_amount end) as revenue,
        count(*) filter (where found.metric_role = 'placed_order' and found.is_unread) as unread_count
    from campaign_events as found
    left join campaign_reports as reports on found.campaign_id = reports.campaign_id
    where reports.measured_on is null or found.happened_on <= reports.measured_on
    group by found.campaign_id

),

campaigns as (

    select
        campaigns.campaign_id,
        campaigns.campaign_name,
        reports.measured_on,
        case
            when reports.campaign_id is null then 'it is in no report that is loaded'
            when loaded.first_on is null then 'no events are loaded'
            when cast(campaigns.sent_at as date) < loaded.first_on then 'it was sent before the first event that is loaded'
        end as reason,
        {%- for count in ['received', 'opened', 'clicked', 'converted'] %}
        coalesce(counted.{{ count }}_count, 0) as {{ count }}_ours,
        reports.{{ count }}_count as {{ count }}_theirs,
        {%- endfor %}
        coalesce(counted.revenue, 0) as revenue_ours,
        reports.revenue as revenue_theirs,
        reports.order_count,
        coalesce(counted.unread_count, 0) as unread_count
    from {{ ref('stg_klaviyo__campaigns') }} as campaigns
    cross join loaded
    left join campaign_reports as reports on campaigns.campaign_id = reports.campaign_id
    left join campaigns_counted as counted on campaigns.campaign_id = counted.campaign_id
    where campaigns.sent_at is not null

),

-- Messages of flows: the report of messages sent in the full days before it.
flow_day as (

    select max(measured_on) as measured_on from {{ ref('stg_klaviyo__flow_values') }}

),

flow_reports as (

    select
        reports.flow_message_id,
        sum(reports.delivered_count) as received_count,
        sum(reports.unique_open_count) as opened_count,
        sum(reports.unique_click_count) as clicked_count,
        sum(reports.order_count) as ordered_count,
        sum(reports.order_value) as revenue
    from {{ ref('stg_klaviyo__flow_values') }} as reports
    join flow_day on reports.measured_on = flow_day.measured_on
    group by reports.flow_message_id

),

flows_counted as (

    select
        receipts.flow_message_id,
        count(*) as received_count,
        count(*) filter (where receipts.is_opened_by_any) as opened_count,
        count(*) filter (where receipts.is_clicked_by_any) as clicked_count,
        sum(receipts.order_count) as ordered_count,
        sum(receipts.any_revenue) as revenue,
        sum(receipts.unread_order_count) as unread_count
    from {{ ref('int_flow_receipts') }} as receipts
    cross join flow_day
    cross join loaded
    -- Without a report, only our own count exists.
    where {{ dbt.datediff('cast(receipts.received_at as date)', 'coalesce(flow_day.measured_on, loaded.last_on)', 'day') }}
        between 1 and {{ var('flow_report_days') }}
    group by receipts.flow_message_id

),

flows as (

    select
        messages.flow_message_id,
        names.message_name,
        flow_day.measured_on,
        case
            when flow_day.measured_on is null then 'no report is loaded'
            when reports.flow_message_id is null then 'it is not in the latest report'
            when loaded.first_on is null then 'no events are loaded'
            when {{ dbt.datediff('flow_day.measured_on', 'loaded.last_on', 'day') }} > 2 then 'the report is older than the events'
            when {{ dbt.datediff('loaded.first_on', 'flow_day.measured_on', 'day') }} < {{ var('flow_report_days') }}
                then 'the report begins before the first event that is loaded'
        end as reason,
        {%- for count in ['received', 'opened', 'clicked', 'ordered'] %}
        coalesce(counted.{{ count }}_count, 0) as {{ count }}_ours,
        reports.{{ count }}_count as {{ count }}_theirs,
        {%- endfor %}
        coalesce(counted.revenue, 0) as revenue_ours,
        reports.revenue as revenue_theirs,
        reports.ordered_count as order_count,
        coalesce(counted.unread_count, 0) as unread_count
    from (
        select flow_message_id from flow_reports
        union
        select flow_message_id from flows_counted
    ) as messages
    cross join flow_day
    cross join loaded
    left join flow_reports as reports on messages.flow_message_id = reports.flow_message_id
    left join flows_counted as counted on messages.flow_message_id = counted.flow_message_id
    left join {{ ref('stg_klaviyo__flow_messages') }} as names on messages.flow_message_id = names.flow_message_id

),

-- Months: sums by day, over the days that both sides report completely.
aggregates as (

    select
        metrics.metric_role,
        aggregates.message_id <> '' as is_attributed,
        aggregates.event_count,
        aggregates.value_amount,
        aggregates.happened_on
    from {{ ref('stg_klaviyo__metric_aggregates') }} as aggregates
    join {{ ref('int_metric_roles') }} as metrics on aggregates.metric_id = metrics.metric_id

),

days as (

    select
        loaded.first_on is not null as has_events,
        min(aggregates.happened_on) is not null as has_aggregates,
        greatest(coalesce(min(aggregates.happened_on), loaded.first_on), loaded.first_on) as after_on,
        least(coalesce(max(aggregates.happened_on), loaded.last_on), loaded.last_on) as before_on
    from loaded
    left join aggregates on aggregates.happened_on is not null
    group by loaded.first_on, loaded.last_on

),

-- As in Klaviyo's sums, an order attributed to two messages counts for each.
placed as (

    select
        orders.*,
        attributed.customer_event_id is not null as is_attributed
    from orders
    left join {{ ref('int_events_attributed') }} as attributed on orders.customer_event_id = attributed.customer_event_id

),

summed as (

    {% for measure, roles in period_roles.items() -%}
    select
        {{ month_of('happened_on') }} as period, '{{ measure }}' as measure, true as is_ours,
        cast(sum(event_count) as decimal(18, 2)) as value, cast(null as bigint) as order_count, 0 as unread_count
    from daily cross join days
    where metric_role in ('{{ roles | join("', '") }}') and happened_on > after_on and happened_on < before_on
    group by 1
    union all
    select {{ month_of('happened_on') }}, '{{ measure }}', false, cast(sum(event_count) as decimal(18, 2)), null, 0
    from aggregates cross join days
    where metric_role in ('{{ roles | join("', '") }}') and happened_on > after_on and happened_on < before_on
    group by 1
    union all
    {% endfor -%}
    {% for prefix, rule in [('', 'true'), ('attributed_', 'is_attributed')] -%}
    select {{ month_of('happened_on') }}, '{{ prefix }}ordered', true, cast(count(*) as decimal(18, 2)), null, 0
    from placed cross join days
    where {{ rule }} and happened_on > after_on and happened_on < before_on
    group by 1
    union all
    select {{ month_of('happened_on') }}, '{{ prefix }}ordered', false, cast(sum(event_count) as decimal(18, 2)), null, 0
    from aggregates cross join days
    where metric_role = 'placed_order' and {{ rule }} and happened_on > after_on and happened_on < before_on
    group by 1
    union all
    select
        {{ month_of('happened_on') }}, '{{ prefix }}revenue', true, cast(coalesce(sum(value_amount), 0) as decimal(18, 2)), null,
        count(*) filter (where is_unread)
    from placed cross join days
    where {{ rule }} and happened_on > after_on and happened_on < before_on
    group by 1
    union all
    select
        {{ month_of('happened_on') }}, '{{ prefix }}revenue', false, cast(coalesce(sum(value_amount), 0) as decimal(18, 2)),
        cast(sum(event_count) as bigint), 0
    from aggregates cross join days
    where metric_role = 'placed_order' and {{ rule }} and happened_on > after_on and happened_on < before_on
    group by 1
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

periods as (

    select
        summed.period,
        summed.measure,
        case when not days.has_aggregates then 'no sums by day are loaded' when not days.has_events then 'no events are loaded' end as reason,
        coalesce(sum(case when summed.is_ours then summed.value end), 0) as ours,
        case when days.has_aggregates then coalesce(sum(case when not summed.is_ours then summed.value end), 0) end as theirs,
        sum(summed.order_count) as order_count,
        sum(summed.unread_count) as unread_count,
        days.before_on as measured_on
    from summed
    cross join days
    group by summed.period, summed.measure, days.has_aggregates, days.has_events, days.before_on

),

-- Lists and segments.
{% for group, model, members in [
    ('segment', 'stg_klaviyo__segment_counts', 'stg_klaviyo__segment_members'), ('list', 'stg_klaviyo__list_counts', 'stg_klaviyo__list_members')
] -%}
{{ group }}_counts as (

    select
        *,
        row_number() over (partition by {{ group }}_id order by measured_on desc) as recency
    from {{ ref(model) }}

),

{{ group }}_members as (

    select {{ group }}_id, count(*) as member_count
    from {{ ref(members) }}
    group by {{ group }}_id

),

{% endfor -%}

told as (

    {% for measure in ['received', 'opened', 'clicked', 'converted', 'revenue'] -%}
    select
        'campaign' as subject_kind,
        campaign_id as subject_id,
        campaign_name as subject_name,
        '{{ measure }}' as measure,
        'since it was sent' as period,
        reason,
        cast({{ measure }}_ours as decimal(18, 2)) as ours,
        cast({{ measure }}_theirs as decimal(18, 2)) as theirs,
        {{ 'order_count' if measure == 'revenue' else 'cast(null as bigint)' }} as order_count,
        {{ 'unread_count' if measure == 'revenue' else 'cast(0 as bigint)' }} as unread_count,
        measured_on
    from campaigns

    union all

    {% endfor -%}
    {% for measure in ['received', 'opened', 'clicked', 'ordered', 'revenue'] -%}
    select
        'flow_message', flow_message_id, message_name, '{{ measure }}', '{{ var('flow_report_days') }} days', reason,
        cast({{ measure }}_ours as decimal(18, 2)), cast({{ measure }}_theirs as decimal(18, 2)),
        {{ 'order_count' if measure == 'revenue' else 'cast(null as bigint)' }},
        {{ 'unread_count' if measure == 'revenue' else '0' }}, measured_on
    from flows

    union all

    {% endfor -%}
    select 'account', 'account', null, measure, period, reason, ours, theirs, order_count, unread_count, measured_on
    from periods

    {% for group in ['segment', 'list'] -%}
    union all

    select
        '{{ group }}', groups.{{ group }}_id, groups.{{ group }}_name, 'members', 'now',
        case
            when counts.customer_count is null then 'Klaviyo''s own count is not loaded'
            {%- if group == 'segment' %}
            when groups.is_processing then 'Klaviyo is at work on it'
            {%- endif %}
        end,
        coalesce(members.member_count, 0), counts.customer_count, null, 0, counts.measured_on
    from {{ ref('stg_klaviyo__' ~ group ~ 's') }} as groups
    left join {{ group }}_counts as counts on groups.{{ group }}_id = counts.{{ group }}_id and counts.recency = 1
    left join {{ group }}_members as members on groups.{{ group }}_id = members.{{ group }}_id
    where groups.gone_at is null
    {% endfor %}

)

{{ numbers_compared('klaviyo', has_orders=true) }}
